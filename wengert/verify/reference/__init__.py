"""Reference derivatives: from values of the function alone, with a bound on their own error.

slope.py           the directional derivative, by complex step, extended precision or differences
noise.py           how noisy a function's values are
sides.py           one-sided slopes, jumps, growth
multiprecision.py  numbers of 50 digits that NumPy's object arrays compute with
"""

from wengert.verify.reference.slope import (
    OUTSIDE,
    Method,
    Neville,
    NoReference,
    Slope,
    along,
    differences,
    directional,
    imaginary,
    imaginary_error,
)

__all__ = [
    "OUTSIDE",
    "Method",
    "Neville",
    "NoReference",
    "Slope",
    "along",
    "differences",
    "directional",
    "imaginary",
    "imaginary_error",
]
