"""Why ops make NaN and infinity, in words: what their operands had, and what usually helps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

LOGARITHMS = frozenset({"log", "log2", "log10", "log1p"})
EXPONENTIALS = frozenset({"exp", "exp2", "expm1", "sinh", "cosh"})
SUMS = frozenset(
    {"add", "sub", "mul", "square", "matmul", "contract", "reduce_sum", "reduce_prod", "cumsum", "cumprod", "scale"}
)
SMOOTH = "keep the operand away from there: sqrt(x + tiny), or np.where(x > 0, x, 1) before and np.where(x > 0, ..., 0) after"
GUARD = "guard it before the op, np.where(ok, x, 1.0), and choose with np.where after: after alone, its gradient is NaN still"
IN_A_PULLBACK = (
    "the op at this line has an infinite slope here (sqrt, a norm, or x**y at 0; log or a division at 0; arccos at 1), or its"
    f" cotangent overflows: {GUARD}"
)
UNKNOWN = "look at the operands above, and guard them (numpy.where before the op, numpy.clip)"

Test = Callable[[Any], bool]


def _some(test: Callable[[np.ndarray], Any], x: Any) -> bool:
    if x is None or (not hasattr(x, "dtype") and not isinstance(x, (int, float, complex))):
        return False
    array = np.asarray(x)
    return array.dtype.kind in "biufc" and bool(np.any(test(array)))


def _zero(x: Any) -> bool:
    return _some(lambda a: a == 0, x)


def _negative(x: Any) -> bool:
    return _some(lambda a: a < 0 if a.dtype.kind != "c" else a != a, x)


def forward_cause(name: str, xs: Sequence[Any], out: Any, params: dict[str, Any]) -> str:
    """What to do about a value of op `name` that is not finite, where its operands were."""
    x = xs[0] if xs else None
    y = xs[1] if len(xs) > 1 else None
    dtype: Any = getattr(out, "dtype", np.dtype(float))
    if name == "sqrt" and _negative(x):
        return "the square root of a negative number: np.maximum(x, 0) before it; often rounding below zero"
    if name in LOGARITHMS:
        low = -1 if name == "log1p" else 0
        if _some(lambda a: a == low, x):
            return f"{name} of {low} is -inf: add a small number inside, or {GUARD}"
        return f"{name} of a number below {low}: {GUARD}"
    if name in ("div", "reciprocal", "unscale"):
        divisor = x if name == "reciprocal" else y
        if name == "div" and _some(lambda a: a == 0, x) and _zero(y):
            return f"0/0, or a division by zero: {GUARD}"
        if _zero(divisor):
            return f"a division by zero: {GUARD}"
        return f"the quotient overflows {dtype}: {_overflow(dtype)}"
    if name in EXPONENTIALS:
        limit = np.log(np.finfo(dtype).max) if dtype.kind in "fc" else 709.0
        return (
            f"{name} overflows {dtype}"
            + (f" above {limit:.4g}" if name == "exp" else "")
            + ": subtract the maximum first"
            " (scipy.special.logsumexp, softmax, log_softmax do), or clip the operand"
        )
    if name in ("pow", "power_or_zero"):
        if _negative(x):
            return "a negative base with an exponent that is no integer: np.abs or np.maximum(x, tiny) on the base"
        if _zero(x):
            return f"zero to a negative power: {GUARD}"
        return f"the power overflows {dtype}: {_overflow(dtype)}"
    if name in ("arccos", "arcsin", "arctanh"):
        return f"{name} beyond, or at the ends of, [-1, 1]: np.clip(x, -1, 1) (often rounding)"
    if name == "arccosh":
        return "arccosh below 1: np.maximum(x, 1)"
    if name in ("cast", "truncate"):
        return f"the value does not fit {dtype}: {_overflow(dtype)}"
    if name in SUMS:
        if _some(np.isinf, x) or _some(np.isinf, y):
            return "an infinite operand: inf - inf, or 0 * inf, is NaN; use a large finite number in its place, or np.where"
        return f"the result overflows {dtype}: {_overflow(dtype)}"
    return UNKNOWN


def backward_cause(name: str, xs: Sequence[Any], out: Any, params: dict[str, Any]) -> str:
    """What to do about a pullback of op `name` that gives what is not finite, where its result was finite."""
    x = xs[0] if xs else None
    y = xs[1] if len(xs) > 1 else None
    if name == "sqrt" and (_zero(out) or _zero(x)):
        return f"the slope of sqrt at 0 is infinite: {SMOOTH}"
    if name in ("norm2", "norm_p", "hypot", "reduce_std") and _zero(out):
        return f"{name} has no gradient at 0: {SMOOTH}"
    if name == "cbrt" and (_zero(out) or _zero(x)):
        return f"the slope of cbrt at 0 is infinite: {SMOOTH}"
    if name == "pow":
        if _zero(x):
            return "the slope of x**y at x = 0 is infinite for y < 1 (and that in y is log 0): keep x above 0, np.maximum(x, tiny)"
        return "x**y with a negative x has no slope in y: np.abs(x), or a constant exponent"
    if name in LOGARITHMS and _zero(x):
        return f"the slope of {name} at 0 is infinite: {GUARD}"
    if name in ("div", "reciprocal") and (_zero(x) or _zero(y)):
        return f"a division by zero: {GUARD}"
    if name in ("arccos", "arcsin", "arctanh"):
        return f"the slope of {name} at -1 and 1 is infinite: np.clip(x, -1 + tiny, 1 - tiny)"
    if name == "arccosh":
        return "the slope of arccosh at 1 is infinite: np.maximum(x, 1 + tiny)"
    if name in ("cholesky", "inv", "solve", "eigh", "svd", "eig", "det", "slogdet"):
        return "a singular matrix, or equal eigenvalues, where there is no derivative: add tiny * identity"
    return "the cotangent times the op's slope overflows, or the slope is infinite here: scale the loss down, or guard the operand"


def _overflow(dtype: np.dtype) -> str:
    if dtype.itemsize <= 4 or (dtype.kind == "c" and dtype.itemsize == 8):
        return "scale the values down, or work in float64"
    return "scale the values down, or work with logarithms"
