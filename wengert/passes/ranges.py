"""What is known of a value's elements: bounds, and where NaNs can come from.

It serves one end: to see that a strong product is a plain one. `scale(x, slope)` is zero where x is, even if the slope
is infinite or NaN; so it is `x * slope` if the slope is finite, or x not zero, or if whatever makes the slope NaN also
makes x NaN, which is then no zero. The last is what holds in most pullbacks: both came from one primal.

Elements are compared place by place: facts pass through elementwise ops and broadcasts alone, under which every
element has one place, counted from the last axis.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from wengert.core.op import Op
from wengert.graph.program import Literal
from wengert.ops import elementwise as e
from wengert.ops.activation import sigmoid
from wengert.ops.basis import add, broadcast_to, cast, neg, scale, strong_mul
from wengert.ops.select import (
    high_share,
    inside_share,
    larger_number_share,
    larger_share,
    low_share,
    maximum,
    minimum,
    smaller_number_share,
    smaller_share,
    where,
)

INF = math.inf
DEPTH = 12  # how many equations up are looked at
MANY = 24  # causes or taints that are kept


class Facts(NamedTuple):
    """Elements that are not NaN lie in [low, high]. One is NaN only if that in its place is NaN in one of `causes`;
    and if one of `taints` is NaN there, so is it."""

    low: float
    high: float
    causes: frozenset[Any]
    taints: frozenset[Any]

    @property
    def bounded(self) -> bool:
        return self.low > -INF and self.high < INF

    @property
    def finite(self) -> bool:
        return not self.causes and self.low > -INF and self.high < INF

    @property
    def nonzero(self) -> bool:
        """NaN is not zero."""
        return self.low > 0 or self.high < 0


NOTHING: frozenset[Any] = frozenset()
_FRACTION = Facts(0.0, 1.0, NOTHING, NOTHING)
_INTEGER = Facts(-1e19, 2e19, NOTHING, NOTHING)


def range_of(r: Any, atom: Any, depth: int = DEPTH) -> Facts:
    """What is known of `atom`, from the equations of the rewriter `r`."""
    known = r.facts.get(atom)
    if known is None:
        known = r.facts[atom] = _of_literal(atom) if type(atom) is Literal else _of_var(r, atom, depth)
    return known


def is_product(r: Any, x: Any, slope: Any) -> bool:
    """Whether the strong product of `x` and `slope`, strong in x, is their plain product."""
    s = range_of(r, slope)
    if s.finite:
        return True
    f = range_of(r, x)
    return f.nonzero or (s.bounded and s.causes <= f.taints)


def is_quotient(r: Any, x: Any, y: Any) -> bool:
    """Whether the strong quotient x / y, zero where x is, is the plain one."""
    d, f = range_of(r, y), range_of(r, x)
    return f.nonzero or (d.nonzero and d.causes <= f.taints)


# ── one atom ──────────────────────────────────────────────────────────────────


def _of_literal(atom: Literal) -> Facts:
    value = np.asarray(atom.value)
    if value.dtype.kind not in "biuf" or not 0 < value.size <= 4096:
        return Facts(-INF, INF, frozenset({atom}), frozenset({atom}))
    valid = value[~np.isnan(value)]
    if valid.size < value.size:
        own = frozenset({atom})
        return Facts(-INF, INF, own, own)
    return Facts(float(valid.min()), float(valid.max()), NOTHING, NOTHING)


def _of_var(r: Any, var: Any, depth: int) -> Facts:
    kind = var.dtype.kind
    if kind == "b":
        return _FRACTION
    if kind in "iu":
        return _INTEGER
    row = r.made.get(var)
    rule = None if row is None else _RULES.get(row[0])
    if row is None or rule is None or depth == 0 or kind != "f":
        return _leaf(var)
    low, high, causes, taints = rule(r, row[1], depth - 1)
    limits = _LIMITS.get(var.dtype.char)
    if limits is None:
        return _leaf(var)
    tiny, huge = limits
    if causes is None or len(causes) > MANY:
        causes = frozenset({var})
    if len(taints) > MANY:
        taints = NOTHING
    return Facts(_bound(low, tiny, huge, -INF), _bound(high, tiny, huge, INF), causes, taints | {var})


def _leaf(var: Any) -> Facts:
    own = frozenset({var})
    return Facts(-INF, INF, own, own)


_LIMITS = {"d": (1e-290, 1e300), "f": (1e-30, 1e37)}  # beyond them, rounding may make a zero or an infinity


def _bound(x: float, tiny: float, huge: float, outward: float) -> float:
    if x != x:
        return outward
    if abs(x) < tiny:
        return 0.0
    return x if abs(x) < huge else math.copysign(INF, x)


# ── rules: (bounds, causes or None for the value itself, taints) ──────────────

Found = tuple[float, float, Any, frozenset[Any]]
_RULES: dict[Op, Callable[[Any, Sequence[Any], int], Found]] = {}


def _unary(op: Op, bounds: Callable[[float, float], tuple[float, float]], *, within: Any = (-INF, INF)) -> None:
    """`within`: where the function is defined, infinities included if the bound is infinite."""
    low, high = within

    def rule(r: Any, ins: Sequence[Any], depth: int) -> Found:
        x = range_of(r, ins[0], depth)
        defined = x.low >= low and x.high <= high
        a, b = bounds(x.low, x.high) if defined else bounds(max(x.low, low), max(min(x.high, high), low))
        return a, b, x.causes if defined else None, x.taints

    _RULES[op] = rule


def _exp(x: float) -> float:
    return math.exp(x) if x < 700 else INF


def _squares(low: float, high: float) -> tuple[float, float]:
    a, b = abs(low), abs(high)
    return (0.0 if low <= 0 <= high else min(a, b) ** 2 if min(a, b) < 1e150 else INF), (
        max(a, b) ** 2 if max(a, b) < 1e150 else INF
    )


def _magnitudes(low: float, high: float) -> tuple[float, float]:
    a, b = abs(low), abs(high)
    return 0.0 if low <= 0 <= high else min(a, b), max(a, b)


def _inverses(low: float, high: float) -> tuple[float, float]:
    return (1 / high, 1 / low) if low > 0 or high < 0 else (-INF, INF)


FINITE = 1.7e308
_unary(neg, lambda a, b: (-b, -a))
_unary(e.positive, lambda a, b: (a, b))
_unary(cast, lambda a, b: (a, b))
_unary(broadcast_to, lambda a, b: (a, b))
_unary(e.sin, lambda a, b: (-1.0, 1.0), within=(-FINITE, FINITE))
_unary(
    e.cos,
    lambda a, b: (math.cos(max(-a, b)) if max(-a, b) < 1.5 else -1.0, 1.0),
    within=(-FINITE, FINITE),
)
_unary(e.tanh, lambda a, b: (math.tanh(a), math.tanh(b)))
_unary(e.arctan, lambda a, b: (-1.5708, 1.5708))
_unary(e.sign, lambda a, b: (-1.0 if a < 0 else 0.0, 1.0 if b > 0 else 0.0))
_unary(sigmoid, lambda a, b: (0.0 if a < -600 else 1 / (1 + math.exp(-a)), 1.0))
_unary(e.exp, lambda a, b: (_exp(a), _exp(b)))
_unary(e.expm1, lambda a, b: (-1.0, _exp(b)))
_unary(e.cosh, lambda a, b: (1.0, _exp(max(abs(a), abs(b)))))
_unary(e.square, _squares)
_unary(e.abs_, _magnitudes)
_unary(e.fabs, _magnitudes)
_unary(e.sqrt, lambda a, b: (math.sqrt(a), math.sqrt(b)), within=(0.0, INF))
_unary(e.log, lambda a, b: (math.log(a) if a > 0 else -INF, math.log(b) if 0 < b < INF else INF), within=(0.0, INF))
_unary(e.log1p, lambda a, b: (math.log1p(a) if a > -1 else -INF, math.log1p(b) if b > -1 else INF), within=(-1.0, INF))
_unary(e.reciprocal, _inverses)


def _sum(r: Any, ins: Sequence[Any], depth: int, sign: int = 1) -> Found:
    x, y = range_of(r, ins[0], depth), range_of(r, ins[1], depth)
    low, high = (y.low, y.high) if sign > 0 else (-y.high, -y.low)
    opposite = (x.high == INF and low == -INF) or (x.low == -INF and high == INF)
    a, b = x.low + low, x.high + high
    if low * x.low < 0:  # cancellation may leave a rounding error of either sign
        a -= 1e-6 * (abs(x.low) + abs(low))
    if high * x.high < 0:
        b += 1e-6 * (abs(x.high) + abs(high))
    return a, b, None if opposite else x.causes | y.causes, x.taints | y.taints


def _corners(x: Facts, y: Facts) -> tuple[float, float]:
    products = [0.0 if 0 in (a, b) else a * b for a in (x.low, x.high) for b in (y.low, y.high)]
    return min(products), max(products)


def _product(r: Any, ins: Sequence[Any], depth: int) -> Found:
    x, y = range_of(r, ins[0], depth), range_of(r, ins[1], depth)
    defined = (x.bounded or y.nonzero) and (y.bounded or x.nonzero)
    return *_corners(x, y), x.causes | y.causes if defined else None, x.taints | y.taints


def _strong_in_first(r: Any, ins: Sequence[Any], depth: int) -> Found:
    x, y = range_of(r, ins[0], depth), range_of(r, ins[1], depth)
    defined = x.bounded or y.nonzero
    taints = x.taints | y.taints if x.nonzero else x.taints
    return *_corners(x, y), x.causes | y.causes if defined else None, taints


def _strong_in_both(r: Any, ins: Sequence[Any], depth: int) -> Found:
    x, y = range_of(r, ins[0], depth), range_of(r, ins[1], depth)
    return *_corners(x, y), x.causes | y.causes, NOTHING


def _quotient(r: Any, ins: Sequence[Any], depth: int) -> Found:
    x, y = range_of(r, ins[0], depth), range_of(r, ins[1], depth)
    defined = (x.nonzero or y.nonzero) and (x.bounded or y.bounded)
    low, high = _inverses(y.low, y.high)
    inverse = Facts(low, high, NOTHING, NOTHING)
    return *_corners(x, inverse), x.causes | y.causes if defined else None, x.taints | y.taints


def _larger(r: Any, ins: Sequence[Any], depth: int) -> Found:
    x, y = range_of(r, ins[0], depth), range_of(r, ins[1], depth)
    return max(x.low, y.low), max(x.high, y.high), x.causes | y.causes, x.taints | y.taints


def _smaller(r: Any, ins: Sequence[Any], depth: int) -> Found:
    x, y = range_of(r, ins[0], depth), range_of(r, ins[1], depth)
    return min(x.low, y.low), min(x.high, y.high), x.causes | y.causes, x.taints | y.taints


def _selected(r: Any, ins: Sequence[Any], depth: int) -> Found:
    x, y = range_of(r, ins[1], depth), range_of(r, ins[2], depth)
    return min(x.low, y.low), max(x.high, y.high), x.causes | y.causes, x.taints & y.taints


_RULES |= {
    add: _sum,
    e.sub: lambda r, ins, depth: _sum(r, ins, depth, -1),
    e.mul: _product,
    scale: _strong_in_first,
    strong_mul: _strong_in_both,
    e.div: _quotient,
    maximum: _larger,
    minimum: _smaller,
    where: _selected,
}
for _op in (
    larger_share,
    smaller_share,
    larger_number_share,
    smaller_number_share,
    inside_share,
    low_share,
    high_share,
):
    _RULES[_op] = lambda r, ins, depth: (0.0, 1.0, NOTHING, NOTHING)
