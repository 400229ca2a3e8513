"""Vector math: functions of one float as LLVM IR that loops' vectorisation turns into SIMD code.

    definition("exp", np.dtype(float))  →  "declare …\\ndefine internal double @wg.exp.d(double %x) alwaysinline … { … }", ()

Bodies are straight lines of instructions: no branches, no calls into libm.
Results are within 2 units in the last place, with NaN, infinities, signed zeros and subnormals as C's Annex F and
NumPy have them; `docs/vecmath.md` has the measured errors.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np

from wengert.lowering.vecmath import area, error, exponential, far, gamma, inverse, logarithm, power, trigonometric
from wengert.lowering.vecmath.writer import Writer

FUNCTIONS = {
    "sin": (trigonometric.sin, 1),
    "cos": (trigonometric.cos, 1),
    "tan": (trigonometric.tan, 1),
    "arcsin": (inverse.arcsin, 1),
    "arccos": (inverse.arccos, 1),
    "arctan": (inverse.arctan, 1),
    "arctan2": (inverse.arctan2, 2),
    "arcsinh": (area.arcsinh, 1),
    "arccosh": (area.arccosh, 1),
    "arctanh": (area.arctanh, 1),
    "exp": (exponential.exp, 1),
    "exp2": (exponential.exp2, 1),
    "expm1": (exponential.expm1, 1),
    "log": (logarithm.log, 1),
    "log1p": (logarithm.log1p, 1),
    "log2": (logarithm.log2, 1),
    "log10": (logarithm.log10, 1),
    "pow": (power.pow, 2),
    "cbrt": (power.cbrt, 1),
    "hypot": (power.hypot, 2),
    "erf": (error.erf, 1),
    "erfc": (error.erfc, 1),
    "erfcx": (error.erfcx, 1),
    "ndtr": (error.ndtr, 1),
    "log_ndtr": (error.log_ndtr, 1),
    "lgamma": (gamma.lgamma, 1),
    "digamma": (gamma.digamma, 1),
    "logaddexp": (logarithm.logaddexp, 2),
    "rsqrt": (power.rsqrt, 1),
    "sqrt": (power.sqrt, 1),
    "softplus": (logarithm.softplus, 1),
    "sigmoid": (exponential.sigmoid, 1),
    "sinh": (exponential.sinh, 1),
    "cosh": (exponential.cosh, 1),
    "tanh": (exponential.tanh, 1),
}
NAMES = frozenset(FUNCTIONS)
WIDENED = frozenset({"pow", "lgamma", "digamma"})  # float32 by way of float64


def arity(name: str) -> int:
    """How many arguments a function takes."""
    return FUNCTIONS[name][1]


@cache
def definition(name: str, dtype: np.dtype) -> tuple[str, Sequence[tuple[str, np.dtype]]]:
    """The text of `@wg.<name>.<dtype.char>` for float64 or float32, and which others it calls."""
    if dtype.char not in "df":
        raise TypeError(f"vector math got {dtype}; it computes in float64 and float32: cast the operands first")
    if name in far.NAMES:
        return far.definition(name, dtype, trigonometric.COMBINE)
    body, count = FUNCTIONS[name]
    w = Writer(dtype)
    arguments = w.arguments(count)
    result = body(w, *arguments)
    return w.function(f"wg.{name}.{dtype.char}", arguments, result), tuple(w.needs)
