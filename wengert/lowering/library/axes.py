"""The axes of a contraction, as loops over three arrays: which there are, and which of them are one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from wengert.lowering.emission import Operand

# what an axis belongs to
BATCH, LEFT, RIGHT, INNER = "batch", "left", "right", "inner"


@dataclass(frozen=True)
class Axis:
    """`size` steps, of `x`, `y` and `out` elements each; 0 where the array does not have the axis."""

    size: int
    x: int
    y: int
    out: int
    kind: str

    def swapped(self) -> Axis:
        """For the operands in the other order."""
        return replace(self, x=self.y, y=self.x, kind={LEFT: RIGHT, RIGHT: LEFT}.get(self.kind, self.kind))


def axes_of(x: Operand, y: Operand, out: Operand, labels: tuple[str, str, str]) -> list[Axis]:
    """One axis per label; those of length 1 are left out."""
    steps: list[Mapping[str, int]] = [
        {label: t if n != 1 else 0 for label, t, n in zip(names, v.strides, v.shape, strict=True)}
        for names, v in zip(labels, (x, y, out), strict=True)
    ]
    sizes: dict[str, int] = {}
    for names, v in zip(labels, (x, y, out), strict=True):
        for label, n in zip(names, v.shape, strict=True):
            sizes[label] = n if sizes.get(label, 1) == 1 else sizes[label]
    axes = []
    for label, n in sizes.items():
        if n == 1:
            continue
        a, b, c = (s.get(label, 0) for s in steps)
        if label not in labels[2]:
            kind = INNER
        elif a and not b:
            kind = LEFT
        elif b and not a:
            kind = RIGHT
        else:
            kind = BATCH
        axes.append(Axis(n, a, b, c, kind))
    return axes


def merged(axes: Sequence[Axis]) -> list[Axis]:
    """The axes of one kind, longest steps first, as few as possible."""
    out: list[Axis] = []
    for axis in sorted(axes, key=lambda a: (-abs(a.out), -abs(a.x), -abs(a.y))):
        if out:
            last = out[-1]
            n = axis.size
            if (last.x, last.y, last.out) == (axis.x * n, axis.y * n, axis.out * n):
                out[-1] = replace(axis, size=last.size * n)
                continue
        out.append(axis)
    return out


def grouped(axes: Sequence[Axis]) -> dict[str, list[Axis]]:
    """Merged axes by kind."""
    return {kind: merged([a for a in axes if a.kind == kind]) for kind in (BATCH, LEFT, RIGHT, INNER)}


def steps(axes: Sequence[Axis], which: str) -> list[int]:
    """The steps of one array along axes."""
    return [getattr(a, which) for a in axes]


def sizes(axes: Sequence[Axis]) -> list[int]:
    return [a.size for a in axes]
