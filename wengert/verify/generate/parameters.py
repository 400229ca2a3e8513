"""Static parameters of a call, made to follow when its shapes change.

A parameter is known by its name, which has one meaning in all ops: `axes` and `axis` number axes, `shape` and `extent`
give sizes, `spec` stands between brackets, and so on. A candidate is only a guess: the op's shape rule decides.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

from wengert.core.op import Sample
from wengert.verify.generate.choices import Choices
from wengert.verify.generate.legal import shape_of

Shape = tuple[int, ...]
TRIES = 60


def adapted(sample: Sample, args: Sequence[Any]) -> Iterator[dict[str, Any]]:
    """Parameters that may suit `args` in place of the sample's arguments, the plainest first."""
    before = [shape_of(a) for a in sample.args]
    after = [shape_of(a) for a in args]
    names = list(sample.params)
    options = [distinct([sample.params[n], *_follow(n, sample.params, before, after)]) for n in names]
    for values in itertools.islice(itertools.product(*options), TRIES):
        yield dict(zip(names, values, strict=True))


def distinct(values: Sequence[Any]) -> list[Any]:
    """Without repetitions, in order; for values that need not hash."""
    kept: list[Any] = []
    for v in values:
        if not any(v is k or (type(v) is type(k) and v == k) for k in kept):
            kept.append(v)
    return kept


def _follow(name: str, params: dict[str, Any], before: Sequence[Shape], after: Sequence[Shape]) -> list[Any]:
    value, old, new = params[name], before[0], after[0]
    grown = len(new) - len(old)
    match name:
        case "axes" if len(value) == len(old):
            return [(*range(max(grown, 0)), *_moved(value, grown)), tuple(range(len(new)))]
        case "axes":
            return [_moved(value, grown), tuple(a for a in value if a < len(new)), tuple(range(len(new))), ()]
        case "axis" | "axis1" | "axis2":
            return [*_moved((value,), grown), 0]
        case "shape" | "extent" | "kernel":
            return [_renamed(value, before, after), new, new[: len(value)], (_size(new),), (1,) * len(new), ()]
        case "sizes":
            axis = params.get("axis", 0)
            if not isinstance(axis, int) or any(axis >= len(s) for s in after):
                return [tuple(0 for _ in value), ()]
            along = tuple(s[axis] for s in after)
            return [along, (0,) * (len(value) - 1) + along[:1], (0,) * len(value)]
        case "widths":
            return [((0, 0),) * max(grown, 0) + tuple(value)[max(-grown, 0) :], ((0, 0),) * len(new)]
        case "spec" if len(after) == 1:
            return [(), (Ellipsis,), (slice(None),) * len(new)]
        case "subscripts":
            return [relabelled(value, after)]
        case "lead" | "offset":
            return [0]
    return []


def _moved(axes: Sequence[int], by: int) -> tuple[int, ...]:
    return tuple(a + by for a in axes if a + by >= 0)


def _renamed(sizes: Shape, before: Sequence[Shape], after: Sequence[Shape]) -> Shape:
    names = {o: n for old, new in zip(before, after, strict=True) if len(old) == len(new) for o, n in zip(old, new)}
    return tuple(names.get(s, s) for s in sizes)


def _size(shape: Shape) -> int:
    n = 1
    for d in shape:
        n *= d
    return n


def relabelled(subscripts: str, shapes: Sequence[Shape]) -> str:
    """The subscripts of an einsum for operands that have lost leading axes or gained new ones."""
    left, _, right = subscripts.partition("->")
    terms = left.split(",")
    fresh = iter("zyxwvu")
    grown = max((len(s) - len(t) for s, t in zip(shapes, terms, strict=True)), default=0)
    labels = "".join(itertools.islice(fresh, max(grown, 0)))
    made = [
        labels[: len(s) - len(t)] + t if len(s) >= len(t) else t[len(t) - len(s) :]
        for s, t in zip(shapes, terms, strict=True)
    ]
    kept = labels + "".join(c for c in right if any(c in t for t in made))
    return ",".join(made) + "->" + kept


# ── other values ──────────────────────────────────────────────────────────────

# Orders of derivatives and the like: only what the samples show.
CLOSED = {"n", "type", "i", "j", "r", "rise", "powers", "strong", "dtype", "seed", "rcond", "least", "lead"}
# Sizes and steps that must stay positive, and amounts of any sign.
POSITIVE = {"strides", "dilation", "window", "kernel", "sizes"}


def mutated(name: str, value: Any, seen: Sequence[Any], shapes: Sequence[Shape], choices: Choices) -> Any:
    """Another value for the parameter `name`, of the kind that the op's samples show in `seen`.

    The op's shape rule, and a trial evaluation, decide whether it is admitted.
    """
    ndim = len(shapes[0]) if shapes else 0
    other = [s for s in distinct(list(seen)) if s != value]
    if name in ("spec", "subscripts"):  # belongs to the operands; `indexing` writes new ones
        return value
    if name in CLOSED or isinstance(value, str) or value is None:
        return choices.pick(other) if other else value
    if isinstance(value, bool):
        return not value
    if name == "axes" and isinstance(value, tuple):
        count = ndim if len(value) == ndim and choices.chance(0.5) else choices.integer(0, ndim)
        left = list(range(ndim))
        return tuple(left.pop(choices.integer(0, len(left) - 1)) for _ in range(count))
    if name in ("axis", "axis1", "axis2"):
        return choices.integer(0, max(ndim, 1))
    if name == "shape":
        return _other_shape(value, shapes, choices)
    if isinstance(value, int):
        low = min([0, *(s for s in seen if isinstance(s, int))])
        return choices.integer(low, max(3, *(s + 2 for s in seen if isinstance(s, int))))
    if isinstance(value, float):
        scaled = value * choices.pick((2.0, 0.5, 1.25, 0.8))
        return choices.pick([scaled, *(s for s in other if isinstance(s, float))])
    if isinstance(value, tuple) and value and choices.chance(0.8):
        at = choices.integer(0, len(value) - 1)
        item = value[at]
        if isinstance(item, tuple):
            item = tuple(choices.integer(0, 2) for _ in item)
        elif isinstance(item, int):
            item = choices.integer(1, 3) if name in POSITIVE else choices.integer(-3, 5)
        return (*value[:at], item, *value[at + 1 :])
    return choices.pick(other) if other else value


def _other_shape(value: Shape, shapes: Sequence[Shape], choices: Choices) -> Shape:
    """For reshape: the same number of elements; for broadcast_to: more axes; for others the rule decides."""
    own = shapes[0] if shapes else ()
    n = _size(own)
    match choices.integer(0, 3):
        case 0:
            return (n,)
        case 1:
            k = choices.integer(1, max(n, 1))
            return (k, n // k) if n % k == 0 else (n, 1)
        case 2:
            return (choices.integer(0, 3), *(d if d != 1 else choices.integer(1, 3) for d in own))
        case _:
            return own
