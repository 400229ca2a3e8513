"""Static parameters of a call, made to follow when its shapes change.

A parameter is known by its name, which has one meaning in all ops: `axes` and `axis` number axes, `shape` and `extent`
give sizes, `spec` stands between brackets, and so on. A candidate is only a guess: the op's shape rule decides.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

from wengert.core.op import Sample
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
        case "spec":
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
