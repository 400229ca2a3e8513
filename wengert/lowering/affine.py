"""Index expressions: affine functions of loop variables, as tuples `(constant, c₀, c₁, …)`.

A view of an array is one expression per axis of the array, in the indices of the view. Views compose by
substitution, so that any chain of transposes, slices, broadcasts costs nothing when it is read.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

Expression = tuple[int, ...]
Index = tuple[Expression, ...]  # one per axis


class Symbol:
    """An index expression that the index functions of `Move` forms compute with."""

    __slots__ = ("expression",)

    def __init__(self, expression: Expression) -> None:
        self.expression = expression

    def __add__(self, other: Any) -> Symbol:
        e = self.expression
        if isinstance(other, Symbol):
            return Symbol(tuple(a + b for a, b in zip(e, other.expression, strict=True)))
        return Symbol((e[0] + int(other), *e[1:]))

    __radd__ = __add__

    def __neg__(self) -> Symbol:
        return Symbol(tuple(-a for a in self.expression))

    def __sub__(self, other: Any) -> Symbol:
        return self + (-other)

    def __rsub__(self, other: Any) -> Symbol:
        return -self + other

    def __mul__(self, other: Any) -> Symbol:
        return Symbol(tuple(int(other) * a for a in self.expression))

    __rmul__ = __mul__


def identity(n: int) -> Index:
    """Each of `n` loop variables by itself."""
    return tuple((0, *(int(i == j) for j in range(n))) for i in range(n))


def constant(k: int, n: int) -> Expression:
    """`k`, over `n` loop variables."""
    return (k, *(0,) * n)


def weighted(index: Index, weights: Sequence[int], n: int, k: int = 0) -> Expression:
    """k + Σ weight · expression: an address, given strides."""
    total = [k] + [0] * n
    for w, e in zip(weights, index, strict=True):
        if w:
            for i, c in enumerate(e):
                if c:
                    total[i] += w * c
    return tuple(total)


def compose(outer: Index, inner: Index, n: int) -> Index:
    """`outer`, whose variables are the entries of `inner`, in the `n` variables of `inner`."""
    return tuple(weighted(inner, e[1:], n, e[0]) for e in outer)


def view_of(index: Any, shape: tuple[int, ...], result: tuple[int, ...], params: dict[str, Any]) -> Index:
    """What a `Move` form says of an operand of `shape`, for a result of shape `result`."""
    n = len(result)
    found = index([Symbol(e) for e in identity(n)], shape, **params)
    return tuple(e.expression if isinstance(e, Symbol) else constant(int(e), n) for e in found)


def reshaped(shape: tuple[int, ...], result: tuple[int, ...]) -> Index | None:
    """Where element i of the `result` shape lies in `shape`, if that is affine: axes are split, or have one element."""
    n = len(result)
    steps: list[tuple[int, int, int]] = []  # axis of the result, its stride, its extent
    stride = 1
    for i in range(n - 1, -1, -1):
        if result[i] != 1:
            steps.append((i, stride, result[i]))
        stride *= result[i]
    found: list[Expression] = []
    stride = 1
    at = 0
    for extent in reversed(shape):
        expression = [0] * (n + 1)
        if extent != 1:
            reach = stride
            while at < len(steps) and reach < stride * extent:
                axis, step, count = steps[at]
                if step != reach or reach * count > stride * extent:
                    return None
                expression[axis + 1] = step // stride
                reach *= count
                at += 1
            if reach != stride * extent:
                return None
        stride *= extent
        found.append(tuple(expression))
    return tuple(reversed(found)) if at == len(steps) else None


def broadcast(index: Index, shape: tuple[int, ...], n: int) -> Index:
    """`index` into a result, as an index into an operand of `shape` that was broadcast to it."""
    zero = constant(0, n)
    lead = len(index) - len(shape)
    return tuple(zero if d == 1 else e for d, e in zip(shape, index[lead:], strict=True))
