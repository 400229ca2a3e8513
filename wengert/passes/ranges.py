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
NEAR = 96  # equations that are looked at to see where NaNs come from


class Facts(NamedTuple):
    """Elements that are not NaN lie in [low, high].

    nan : whether an element may be NaN
    sources : operands of which one is NaN in the place of a NaN; None where NaNs may be new
    carriers : operands whose NaNs are NaNs of the result in the same place
    """

    low: float
    high: float
    nan: bool = True
    sources: Sequence[Any] | None = None
    carriers: Sequence[Any] = ()

    @property
    def bounded(self) -> bool:
        return self.low > -INF and self.high < INF

    @property
    def finite(self) -> bool:
        return not self.nan and self.low > -INF and self.high < INF

    @property
    def nonzero(self) -> bool:
        """NaN is not zero."""
        return self.low > 0 or self.high < 0


ANYTHING = Facts(-INF, INF)
FRACTION = Facts(0.0, 1.0, False)
_OF_KIND = {"b": FRACTION, "i": Facts(-1e19, 1e19, False), "u": Facts(0.0, 2e19, False)}


def range_of(r: Any, atom: Any) -> Facts:
    """What is known of `atom`, from the equations of the rewriter `r`."""
    known = r.facts.get(atom)
    if known is None:
        if type(atom) is Literal:
            known = r.facts[atom] = _of_literal(atom)
        else:
            _look_on(r)
            known = r.facts.get(atom) or _OF_KIND.get(atom.dtype.kind, ANYTHING)
    return known


def is_product(r: Any, x: Any, slope: Any) -> bool:
    """Whether the strong product of `x` and `slope`, strong in x, is their plain product."""
    known = range_of(r, slope)
    return known.finite or range_of(r, x).nonzero or (known.bounded and _spreads(r, slope, x))


def is_quotient(r: Any, x: Any, y: Any) -> bool:
    """Whether the strong quotient x / y, zero where x is, is the plain one."""
    return range_of(r, x).nonzero or (range_of(r, y).nonzero and _spreads(r, y, x))


def _spreads(r: Any, y: Any, x: Any) -> bool:
    """Whether x is NaN wherever y is."""
    line = _line(r, y)
    if line is None:
        return True
    reached = {x}
    queue = [x]
    for atom in queue:
        if atom in line:
            return True
        for carrier in range_of(r, atom).carriers:
            if carrier not in reached:
                reached.add(carrier)
                queue.append(carrier)
        if len(queue) > NEAR:
            break
    return _all_reached(r, line[-1], reached)


def _line(r: Any, y: Any) -> list[Any] | None:
    """`y`, and in turn the only operand that a NaN in it can come from; None if there is none in the end."""
    line = [y]
    while len(line) < NEAR:
        sources = range_of(r, line[-1]).sources
        if sources is None:
            break
        possible = [s for s in sources if range_of(r, s).nan]
        if not possible:
            return None
        if len(possible) > 1:
            break
        line.append(possible[0])
    return line


def _all_reached(r: Any, y: Any, reached: set[Any]) -> bool:
    """Whether NaNs in y come from those in `reached` alone."""
    seen = {y}
    queue = [y]
    for atom in queue:
        if atom in reached:
            continue
        known = range_of(r, atom)
        if not known.nan:
            continue
        if known.sources is None or len(queue) > NEAR:
            return False
        new = [s for s in known.sources if s not in seen]
        seen.update(new)
        queue.extend(new)
    return True


# ── facts, equation by equation ───────────────────────────────────────────────


def _of_literal(atom: Literal) -> Facts:
    value = atom.value
    if isinstance(value, (float, int)):
        return Facts(float(value), float(value), False) if value == value else ANYTHING
    value = np.asarray(value)
    if value.dtype.kind not in "biuf" or not 0 < value.size <= 4096 or np.isnan(value).any():
        return ANYTHING
    return Facts(float(value.min()), float(value.max()), False)


def _look_on(r: Any) -> None:
    """Find out about the equations that have come since the last time."""
    facts, limits_of, start = r.facts, _LIMITS.get, r.looked
    r.looked = len(r.rows)
    for row in r.rows[start:]:
        rule = _RULES.get(row[0])
        if rule is None or (limits := limits_of(row[2].dtype.char)) is None:
            continue
        known = rule(r, row[1])
        tiny, huge = limits
        low, high = known.low, known.high
        if not (-huge < low < -tiny or tiny < low < huge) or not (-huge < high < -tiny or tiny < high < huge):
            known = known._replace(low=_bound(low, tiny, huge, -INF), high=_bound(high, tiny, huge, INF))
        facts[row[2]] = known


_LIMITS = {"d": (1e-290, 1e300), "f": (1e-30, 1e37)}  # beyond them, rounding may make a zero or an infinity


def _bound(x: float, tiny: float, huge: float, outward: float) -> float:
    if x != x:
        return outward
    if abs(x) < tiny:
        return 0.0
    return x if abs(x) < huge else math.copysign(INF, x)


# ── rules ─────────────────────────────────────────────────────────────────────

_RULES: dict[Op, Callable[[Any, Sequence[Any]], Facts]] = {}


def _unary(op: Op, bounds: Callable[[float, float], tuple[float, float]], *, within: Any = (-INF, INF)) -> None:
    """`within`: where the function is defined."""
    low, high = within

    def rule(r: Any, ins: Sequence[Any]) -> Facts:
        x = range_of(r, ins[0])
        if x.low >= low and x.high <= high:
            return Facts(*bounds(x.low, x.high), x.nan, ins[:1], ins[:1])
        return Facts(*bounds(max(x.low, low), max(min(x.high, high), low)), True, None, ins[:1])

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


def _of_two(
    low: float,
    high: float,
    ins: Sequence[Any],
    x: Facts,
    y: Facts,
    defined: bool,
    carriers: Sequence[Any] | None = None,
) -> Facts:
    """`defined`: that no NaN comes of two operands that are none."""
    carriers = ins if carriers is None else carriers
    return Facts(low, high, x.nan or y.nan, ins, carriers) if defined else Facts(low, high, True, None, carriers)


def _sum(r: Any, ins: Sequence[Any], sign: int = 1) -> Facts:
    x, y = range_of(r, ins[0]), range_of(r, ins[1])
    low, high = (y.low, y.high) if sign > 0 else (-y.high, -y.low)
    opposite = (x.high == INF and low == -INF) or (x.low == -INF and high == INF)
    a, b = x.low + low, x.high + high
    if low * x.low < 0:  # cancellation may leave a rounding error of either sign
        a -= 1e-6 * (abs(x.low) + abs(low))
    if high * x.high < 0:
        b += 1e-6 * (abs(x.high) + abs(high))
    return _of_two(a, b, ins, x, y, not opposite)


def _corners(x: Facts, y: Facts) -> tuple[float, float]:
    products = [0.0 if 0 in (a, b) else a * b for a in (x.low, x.high) for b in (y.low, y.high)]
    return min(products), max(products)


def _product(r: Any, ins: Sequence[Any]) -> Facts:
    x, y = range_of(r, ins[0]), range_of(r, ins[1])
    defined = (x.bounded or y.nonzero) and (y.bounded or x.nonzero)
    return _of_two(*_corners(x, y), ins, x, y, defined)


def _strong_in_first(r: Any, ins: Sequence[Any]) -> Facts:
    x, y = range_of(r, ins[0]), range_of(r, ins[1])
    defined = x.bounded or y.nonzero
    return _of_two(*_corners(x, y), ins, x, y, defined, ins if x.nonzero else ins[:1])


def _strong_in_both(r: Any, ins: Sequence[Any]) -> Facts:
    x, y = range_of(r, ins[0]), range_of(r, ins[1])
    return _of_two(*_corners(x, y), ins, x, y, True, ())


def _quotient(r: Any, ins: Sequence[Any]) -> Facts:
    x, y = range_of(r, ins[0]), range_of(r, ins[1])
    defined = (x.nonzero or y.nonzero) and (x.bounded or y.bounded)
    low, high = _inverses(y.low, y.high)
    return _of_two(*_corners(x, Facts(low, high)), ins, x, y, defined)


def _larger(r: Any, ins: Sequence[Any]) -> Facts:
    x, y = range_of(r, ins[0]), range_of(r, ins[1])
    return _of_two(max(x.low, y.low), max(x.high, y.high), ins, x, y, True)


def _smaller(r: Any, ins: Sequence[Any]) -> Facts:
    x, y = range_of(r, ins[0]), range_of(r, ins[1])
    return _of_two(min(x.low, y.low), min(x.high, y.high), ins, x, y, True)


def _selected(r: Any, ins: Sequence[Any]) -> Facts:
    x, y = range_of(r, ins[1]), range_of(r, ins[2])
    return _of_two(min(x.low, y.low), max(x.high, y.high), ins[1:], x, y, True, ())


_RULES |= {
    add: _sum,
    e.sub: lambda r, ins: _sum(r, ins, -1),
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
    _RULES[_op] = lambda r, ins: FRACTION
