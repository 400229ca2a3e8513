"""Einstein summation's notation, resolved: which pair of operands to contract when, and how to prepare each."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import numpy as np

from wengert.ops.contract import LABELS

Shape = tuple[int, ...]
Names = tuple[str, ...]  # one name per axis


class Prepare(NamedTuple):
    """What happens to one operand before it meets the other.

    Each of `diagonals` moves the diagonal over those axes to the front; then the axes `drop` (of
    length one) and `sum` go, and `order` transposes what remains (None: it stays).
    """

    diagonals: tuple[tuple[int, ...], ...]
    drop: tuple[int, ...]
    sum: tuple[int, ...]
    order: tuple[int, ...] | None


class Step(NamedTuple):
    """One or two operands, by position in the list of what is left, and their `contract` subscripts."""

    operands: tuple[int, ...]
    prepare: tuple[Prepare, ...]
    subscripts: str


@functools.lru_cache(maxsize=2048)
def plan_einsum(subscripts: str, shapes: tuple[Shape, ...], optimize: Any) -> tuple[Step, ...]:
    """The steps of an einsum over operands of these shapes; `optimize` is NumPy's, or the pairs of a path."""
    terms, out = parse(subscripts, shapes)
    sizes = _sizes(terms, shapes, subscripts)
    if len(terms) == 1:
        return (_single(terms[0], shapes[0], out, sizes),)
    pool = list(zip(terms, shapes, strict=True))
    steps: list[Step] = []
    for group in _path(subscripts, shapes, optimize):
        chosen = sorted(group)
        if len(chosen) == 1:  # a path may hand a lone operand through
            pool.append(pool.pop(chosen[0]))
            steps.append(Step((chosen[0],), (Prepare((), (), (), None),), ""))
            continue
        while len(chosen) > 1:  # a group of three and more, pair by pair
            i, j = chosen[0], chosen[1]
            y, x = pool.pop(j), pool.pop(i)
            wanted = set(out).union(*(names for names, _ in pool))
            last = not pool
            step, names = _pair(x, y, wanted, sizes, out if last else None)
            steps.append(step._replace(operands=(i, j)))
            pool.append((names, tuple(sizes[n] for n in names)))
            chosen = [k - (k > i) - (k > j) for k in chosen[2:]] + [len(pool) - 1]
    return tuple(steps)


def parse(subscripts: str, shapes: tuple[Shape, ...]) -> tuple[list[Names], Names]:
    """Axis names of operands and result. An ellipsis becomes names of its own, counted from the right."""
    text = subscripts.replace(" ", "")
    left, arrow, right = text.partition("->")
    parts = left.split(",")
    if len(parts) != len(shapes):
        raise ValueError(f"einsum: {len(parts)} terms in {subscripts!r} for {len(shapes)} operands")
    terms, widest = [], 0
    for part, shape in zip(parts, shapes, strict=True):
        head, dots, tail = part.partition("...")
        free = len(shape) - len(head) - len(tail)
        if free < 0 or (not dots and free):
            raise ValueError(f"einsum: term {part!r} of {subscripts!r} does not fit an operand of shape {shape}")
        widest = max(widest, free)
        terms.append((*head, *(f".{k}" for k in range(free, 0, -1)), *tail))
    ellipsis = tuple(f".{k}" for k in range(widest, 0, -1))
    if not arrow:
        letters = [n for term in terms for n in term if n[0] != "."]
        return terms, (*ellipsis, *sorted(n for n in set(letters) if letters.count(n) == 1))
    head, dots, tail = right.partition("...")
    if widest and not dots:
        raise ValueError(f"einsum: {subscripts!r} has an ellipsis on the left, and none in the result")
    out = (*head, *(ellipsis if dots else ()), *tail)
    known = {n for term in terms for n in term}
    if len(set(out)) != len(out) or not set(out) <= known:
        raise ValueError(
            f"einsum: each name of the result of {subscripts!r} occurs in an operand, and once in the result"
        )
    return terms, out


def _sizes(terms: list[Names], shapes: tuple[Shape, ...], subscripts: str) -> dict[str, int]:
    sizes: dict[str, int] = {}
    for term, shape in zip(terms, shapes, strict=True):
        for name, d in zip(term, shape, strict=True):
            known = sizes.get(name, 1)
            if d != known and d != 1 and known != 1:
                raise ValueError(f"einsum: axis {name!r} of {subscripts!r} has lengths {known} and {d}")
            sizes[name] = d if known == 1 else known
    return sizes


def _path(subscripts: str, shapes: tuple[Shape, ...], optimize: Any) -> list[tuple[int, ...]]:
    if isinstance(optimize, tuple):
        return [tuple(map(int, group)) for group in optimize]
    if len(shapes) == 2:
        return [(0, 1)]
    arrays = [np.broadcast_to(np.empty(()), shape) for shape in shapes]
    return np.einsum_path(subscripts, *arrays, optimize=optimize or "greedy")[0][1:]


def _unrepeated(names: Names) -> tuple[tuple[tuple[int, ...], ...], Names]:
    """The diagonals to take, one after the other, until no name repeats; and the names then."""
    diagonals = []
    while repeated := next((n for n in names if names.count(n) > 1), None):
        diagonals.append(tuple(i for i, n in enumerate(names) if n == repeated))
        names = (repeated, *(n for n in names if n != repeated))
    return tuple(diagonals), names


def _reduced(names: Names, shape: Shape, keep: set[str], sizes: dict[str, int]) -> tuple[Prepare, Names]:
    """Diagonals, then drop axes of length one that broadcast, and sum names that nothing else has."""
    of: dict[str, int] = {}
    for n, d in zip(names, shape, strict=True):
        if of.setdefault(n, d) != d:
            raise ValueError(f"einsum: the lengths of the axes {n!r} of one operand of shape {shape} differ")
    diagonals, names = _unrepeated(names)
    drop = tuple(i for i, n in enumerate(names) if of[n] == 1 and sizes[n] != 1)
    summed = tuple(i for i, n in enumerate(names) if i not in drop and n not in keep)
    return Prepare(diagonals, drop, summed, None), tuple(
        n for i, n in enumerate(names) if i not in drop and i not in summed
    )


def _single(names: Names, shape: Shape, out: Names, sizes: dict[str, int]) -> Step:
    prepare, names = _reduced(names, shape, set(out), sizes)
    order = None if names == out else tuple(names.index(n) for n in out)
    return Step((0,), (prepare._replace(order=order),), "")


def _pair(
    x: tuple[Names, Shape], y: tuple[Names, Shape], wanted: set[str], sizes: dict[str, int], out: Names | None
) -> tuple[Step, Names]:
    """Contract two operands, of whose names those in `wanted` survive; `out` orders the last result."""
    first, a = _reduced(*x, wanted | _present(*y, sizes), sizes)
    second, b = _reduced(*y, wanted | set(a), sizes)
    if out is None:
        out = tuple(n for n in dict.fromkeys(a + b) if n in wanted)
    alias = dict(zip(dict.fromkeys(a + b), LABELS, strict=False))
    text = ("".join(alias[n] for n in names) for names in (a, b, out))
    return Step((), (first, second), "{},{}->{}".format(*text)), out


def _present(names: Names, shape: Shape, sizes: dict[str, int]) -> set[str]:
    """The names along which an operand really varies."""
    return {n for n, d in zip(names, shape, strict=True) if d == sizes[n]}


__all__ = ["Prepare", "Step", "parse", "plan_einsum"]
