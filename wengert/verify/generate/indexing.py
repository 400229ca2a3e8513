"""Index specs, and the subscripts of contractions: parameters with a grammar, varied by writing new ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from wengert.core.op import Op, Sample
from wengert.ops.index import ARRAY, native
from wengert.verify.generate.choices import Choices
from wengert.verify.generate.legal import refused, remade, shape_of


def varied(op: Op, sample: Sample, choices: Choices) -> Sample:
    """The sample with a new spec or new subscripts, where it has one and the choice falls so."""
    if not ({"spec", "subscripts"} & set(sample.params)) or choices.chance(0.4):
        return sample
    made = _contracted(sample, choices) if "subscripts" in sample.params else _indexed(op, sample, choices)
    return sample if made is None or refused(op, made.args, made.params) else made


def _contracted(sample: Sample, choices: Choices) -> Sample:
    """Labels for every axis (equal ones only where sizes are), any subset of them in the result, in any order."""
    sizes: dict[str, int] = {}
    terms = []
    for arg in sample.args:
        term = ""
        for size in shape_of(arg):
            fit = [c for c, s in sizes.items() if s == size and c not in term]
            label = choices.pick(fit) if fit and choices.chance(0.6) else "abcdefgh"[len(sizes)]
            sizes[label] = size
            term += label
        terms.append(term)
    left = list(dict.fromkeys("".join(terms)))
    kept = [left.pop(choices.integer(0, len(left) - 1)) for _ in range(choices.integer(0, len(left)))]
    return remade(sample, sample.args, {**sample.params, "subscripts": ",".join(terms) + "->" + "".join(kept)})


def _indexed(op: Op, sample: Sample, choices: Choices) -> Sample | None:
    """A new spec for an array of new shape; operands whose shapes follow from it."""
    counts = {"index": 1, "scatter_add": 1, "index_put": 2, "last_write": 0}
    if op.name not in counts or (op.name == "last_write") > any(isinstance(a, np.ndarray) for a in sample.args):
        return None
    shape = tuple(choices.integer(1, 4) for _ in range(choices.integer(0 if op.name != "last_write" else 1, 3)))
    spec, arrays = _spec(shape, choices, op.name == "last_write" or choices.chance(0.5))
    if not arrays and op.name == "last_write":
        return None
    taken = np.empty(shape)[native(spec, arrays)].shape
    params: dict[str, Any] = {"spec": spec}
    if op.name in ("scatter_add", "last_write"):
        params["shape"] = shape
    if op.name in ("index", "scatter_add") and len({tuple(i) for i in _named(shape, spec, arrays)}) == _size(taken):
        if choices.chance(0.5):
            params["unique"] = True
    value = taken[choices.integer(0, len(taken)) :] if choices.chance(0.5) else taken
    operands = {"index": [shape], "scatter_add": [taken], "index_put": [shape, value], "last_write": []}[op.name]
    args = [*operands, *arrays]
    return Sample(*args, domain=sample.domain, real_only=sample.real_only, order=sample.order, **params)


def _named(shape: Sequence[int], spec: Any, arrays: Sequence[np.ndarray]) -> np.ndarray:
    numbers = np.arange(_size(shape)).reshape(shape)
    return np.asarray(numbers[native(spec, arrays)]).reshape(-1, 1)


def _size(shape: Sequence[int]) -> int:
    return int(np.prod(shape))


def _spec(shape: tuple[int, ...], choices: Choices, advanced: bool) -> tuple[Any, list[np.ndarray]]:
    """What may stand between the brackets: with index arrays there is no Ellipsis and no int."""
    entries: list[Any] = []
    arrays: list[np.ndarray] = []
    rank = choices.integer(1, 2)
    common = tuple(choices.integer(0, 3) for _ in range(rank))
    for size in shape[: choices.integer(0, len(shape))]:
        if choices.chance(0.2):
            entries.append(None)
        kind = choices.pick(("slice", "array" if advanced else "int"))
        if kind == "slice":
            entries.append(_slice(size, choices))
        elif kind == "int":
            entries.append(choices.integer(-size, size - 1))
        else:
            own = tuple(1 if choices.chance(0.2) else d for d in common)
            n = _size(own)
            values = [choices.integer(-size, size - 1) for _ in range(n)]
            arrays.append(np.array(values, np.intp).reshape(own))
            entries.append(ARRAY)
    if not arrays and choices.chance(0.3):
        entries.insert(choices.integer(0, len(entries)), Ellipsis)
        back = entries.index(Ellipsis)
        named = sum(e is not None and e is not Ellipsis for e in entries[:back])
        entries = list(entries[: back + 1]) if named <= len(shape) else entries
    return tuple(entries), arrays


def _slice(size: int, choices: Choices) -> slice:
    if choices.chance(0.4):
        return slice(None, None, choices.pick((None, -1, 2, -2)))
    start, stop = choices.integer(-size - 1, size + 1), choices.integer(-size - 1, size + 1)
    return slice(start, stop, choices.pick((None, -1, 2)))
