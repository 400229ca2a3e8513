"""Legal calls of an op in a layout that its samples may lack: a differentiable argument that is empty, or 0-d."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal

import numpy as np

from wengert.core.op import Op, Sample
from wengert.verify.generate.legal import evaluated, refused, remade, shape_of
from wengert.verify.generate.parameters import adapted

Layout = Literal["empty", "0-d"]


def variant(op: Op, sample: Sample, layout: Layout, rng: np.random.Generator) -> Sample | str:
    """A legal call of `op` in which an argument that may be differentiated is empty or 0-d, as near to `sample` as
    there is one; or why there is none, in the words of the op's shape rule.

    `rng` fills arrays for trial evaluations; the same state gives the same variant. Cost: up to a few hundred runs of the
    shape rule, and one evaluation.
    """
    if not sample.diff:
        return "no argument may be differentiated"
    if has(sample, layout):
        return sample
    reasons: list[str] = []
    for base in [sample, *(s for s in op.samples if s is not sample and s.diff)]:
        if base is not sample and has(base, layout):
            return base
        for args in _drafts(base, layout):
            if not has(remade(base, args, base.params), layout):
                continue
            for params in adapted(base, args):
                reason = refused(op, args, params)
                if not reason:
                    found = remade(base, args, params)
                    reason = _unusable(op, found, rng)
                    if not reason:
                        return found
                reasons.append(reason)
    return reasons[0] if reasons else f"no argument of {op.name} can be {layout}"


def has(sample: Sample, layout: Layout) -> bool:
    """Whether a differentiable argument is laid out so."""
    shapes = [shape_of(sample.args[i]) for i in sample.diff]
    return any(0 in s if layout == "empty" else s == () for s in shapes)


def _unusable(op: Op, sample: Sample, rng: np.random.Generator) -> str:
    try:
        arrays = sample.build(rng)
    except Exception as error:  # the domain has no values in this shape
        return f"its domain has none of that shape: {error}"
    outs = evaluated(op, arrays, sample.params)
    return outs if isinstance(outs, str) else ""


def _drafts(sample: Sample, layout: Layout) -> Iterator[list[Any]]:
    return _emptied(sample) if layout == "empty" else _scalars(sample)


def _emptied(sample: Sample) -> Iterator[list[Any]]:
    """Equal sizes go to zero together, wherever they stand; then one axis alone, a new leading axis, everything."""
    args = sample.args
    shapes = [shape_of(a) for a in args]
    sizes = dict.fromkeys(d for i in sample.diff for d in shapes[i])
    for size in sizes:
        yield [resized(a, [0 if d == size else d for d in s]) for a, s in zip(args, shapes, strict=True)]
    for i in sample.diff:
        for axis in range(len(shapes[i])):
            alone = [0 if j == axis else d for j, d in enumerate(shapes[i])]
            yield [resized(a, alone) if k == i else a for k, a in enumerate(args)]
    for i in sample.diff:
        yield [resized(a, (0, *shapes[k])) if k == i else a for k, a in enumerate(args)]
    yield [resized(a, (0, *s)) for a, s in zip(args, shapes, strict=True)]
    yield [resized(a, (0,) * len(s)) for a, s in zip(args, shapes, strict=True)]


def _scalars(sample: Sample) -> Iterator[list[Any]]:
    """All arguments to 0-d, then single ones."""
    args = sample.args
    yield [resized(a, ()) for a in args]
    for i in sample.diff:
        yield [resized(a, ()) if k == i else a for k, a in enumerate(args)]
    yield [resized(a, ()) if k in sample.diff else a for k, a in enumerate(args)]


def resized(arg: Any, shape: Sequence[int]) -> Any:
    """A sample's argument in another shape: ready arrays repeat their values, Python scalars stay."""
    shape = tuple(shape)
    if isinstance(arg, tuple) or not isinstance(arg, (np.ndarray, np.generic)):
        return shape if isinstance(arg, tuple) else arg
    return arg if arg.shape == shape else np.asarray(np.resize(arg, shape), arg.dtype)
