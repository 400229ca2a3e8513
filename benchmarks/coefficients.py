"""Derives the tables of `wengert/lowering/vecmath/coefficients.py`: python benchmarks/coefficients.py > that file.

Every table is the polynomial through a smooth function's values at the Chebyshev nodes of an interval, which is
within a small factor of the best one, worked out in 60 digits and rounded once, coefficient by coefficient, to the dtype.
Each is written in a variable in which the function's leading terms have been taken out and are exact in the code.
The comment on a table is the largest error, as a part of the function, that the exact polynomial leaves.
"""

from __future__ import annotations

import mpmath as mp
import numpy as np

mp.mp.dps = 60
ONE = mp.mpf(1)


def interpolate(f, low, high, degree):
    """Coefficients of the polynomial through f at Chebyshev nodes, and its largest relative error."""
    low, high = mp.mpf(low), mp.mpf(high)
    n = degree + 1
    nodes = [(low + high) / 2 + (high - low) / 2 * mp.cos(mp.pi * (2 * k + 1) / (2 * n)) for k in range(n)]
    # Newton's divided differences, then expanded
    values = [f(x) for x in nodes]
    for level in range(1, n):
        for i in range(n - 1, level - 1, -1):
            values[i] = (values[i] - values[i - 1]) / (nodes[i] - nodes[i - level])
    coefficients = [values[-1]]
    for i in range(n - 2, -1, -1):
        shifted = [mp.mpf(0), *coefficients]
        for j, c in enumerate(coefficients):
            shifted[j] -= c * nodes[i]
        shifted[0] += values[i]
        coefficients = shifted
    worst = mp.mpf(0)
    for k in range(1, 60):
        x = low + (high - low) * (k + mp.mpf("0.3")) / 60
        exact = f(x)
        got = mp.polyval(coefficients[::-1], x)
        worst = max(worst, abs(got - exact) / max(abs(exact), mp.mpf(10) ** -60))
    return coefficients, worst


def root(f):
    """A function of x² as a function of z = x²."""
    return lambda z: f(mp.sqrt(z))


def exp_rest(r):
    # the middle node is 0 but for rounding
    return ONE / 2 + r / 6 if abs(r) < mp.mpf(10) ** -50 else (mp.expm1(r) - r) / r**2


def log_rest(s):
    return (2 * mp.atanh(s) / s - 2) / s**2


def log_rest_2(s):
    return (2 * mp.atanh(s) / s - 2 - mp.mpf(2) / 3 * s**2) / s**4


def sin_rest(r):
    return (mp.sin(r) / r - 1) / r**2


def cos_rest(r):
    return (mp.cos(r) - 1 + r**2 / 2) / r**4


def atan_rest(r):
    return (mp.atan(r) / r - 1) / r**2


def asin_rest(r):
    return (mp.asin(r) / r - 1) / r**2


def erf_rest(x):
    return mp.erf(x) / x - 1


def erfcx_rest(center):
    def f(t):
        x = center * (1 + t) / (1 - t)
        return mp.exp(x * x) * mp.erfc(x) * (1 + 2 * x)

    return f


def between(center, low, high):
    """(x − center) / (x + center) at both ends."""
    return ((mp.mpf(low) - center) / (mp.mpf(low) + center), (mp.mpf(high) - center) / (mp.mpf(high) + center))


def lgamma_rest(a):
    # at t = 0, which may be a node, the derivative
    return lambda t: mp.digamma(a) if abs(t) < mp.mpf(10) ** -40 else mp.loggamma(a + t) / t


def stirling_rest(s):
    x = 1 / s
    return x * (mp.loggamma(x) - ((x - mp.mpf("0.5")) * mp.log(x) - x + HALF_LOG_2PI))


def digamma_rest(s):
    return (mp.log(1 / s) - mp.digamma(1 / s)) / s


def digamma_near(c):
    return mp.digamma(c + mp.mpf("1.75")) / (c + mp.mpf("1.75") - DIGAMMA_ZERO)


HALF_LOG_2PI = mp.log(2 * mp.pi) / 2
DIGAMMA_ZERO = mp.findroot(mp.digamma, mp.mpf("1.4616"))
HALF_LOG_2 = mp.log(2) / 2 * mp.mpf("1.001")
S_MAX = ((mp.sqrt(2) - 1) / (mp.sqrt(2) + 1)) ** 2 * mp.mpf("1.001")
QUARTER_PI = (mp.pi / 4) ** 2 * mp.mpf("1.001")

# name: (what it approximates, function, low, high, degree for float64, degree for float32)
TABLES = {
    "EXP": ("(e^r − 1 − r) / r², |r| ≤ ln 2 / 2", exp_rest, -HALF_LOG_2, HALF_LOG_2, 9, 4),
    "LOG": ("(2 atanh(s)/s − 2) / z in z = s², |s| ≤ (√2−1)/(√2+1)", root(log_rest), 0, S_MAX, 6, 2),
    "LOG_2": ("(2 atanh(s)/s − 2 − 2z/3) / z² in z = s², |s| ≤ (√2−1)/(√2+1)", root(log_rest_2), 0, S_MAX, 6, None),
    "SIN": ("(sin(r)/r − 1) / z in z = r², |r| ≤ π/4", root(sin_rest), 0, QUARTER_PI, 5, 2),
    "COS": ("(cos r − 1 + z/2) / z² in z = r², |r| ≤ π/4", root(cos_rest), 0, QUARTER_PI, 5, 2),
    "ATAN": ("(atan(r)/r − 1) / z in z = r², |r| ≤ 1/2", root(atan_rest), 0, mp.mpf("0.2501"), 12, 5),
    "ERF": ("erf(x)/x − 1 in z = x², |x| ≤ 1", root(erf_rest), 0, mp.mpf("1.001"), 12, 7),
    "ERFCX_3": (
        "(1 + 2x) e^x² erfc(x) in t = (x − 3) / (x + 3), 1/2 ≤ x ≤ 28",
        erfcx_rest(3),
        *between(3, 0.499, 28.1),
        21,
        None,
    ),
    "ERFCX_2": (
        "(1 + 2x) e^x² erfc(x) in t = (x − 2) / (x + 2), 1/2 ≤ x ≤ 10.3",
        erfcx_rest(2),
        *between(2, 0.499, 10.3),
        None,
        9,
    ),
    "ERF_FAR": (
        "(1 + 2x) e^x² erfc(x) in t = (x − 3) / (x + 3), 1 ≤ x ≤ 6",
        erfcx_rest(3),
        *between(3, 0.999, 6),
        14,
        None,
    ),
    "ERF_FAR_SHORT": (
        "(1 + 2x) e^x² erfc(x) in t = (x − 2) / (x + 2), 1 ≤ x ≤ 4",
        erfcx_rest(2),
        *between(2, 0.999, 4),
        None,
        5,
    ),
    "TANH": (
        "(tanh(x)/x − 1) / z in z = x², |x| ≤ 0.55",
        root(lambda x: (mp.tanh(x) / x - 1) / x**2),
        0,
        mp.mpf("0.551") ** 2,
        10,
        4,
    ),
    "LGAMMA_1": ("log Γ(1 + t) / t, −1/4 ≤ t ≤ 1/2", lgamma_rest(1), -0.25, 0.5, 21, None),
    "LGAMMA_2": ("log Γ(2 + t) / t, |t| ≤ 1/2", lgamma_rest(2), -0.5, 0.5, 18, None),
    "STIRLING": (
        "x (log Γ(x) − Stirling’s formula) in s = 1/x, x ≥ 5/2",
        stirling_rest,
        mp.mpf(10) ** -12,
        0.4,
        14,
        None,
    ),
    "DIGAMMA": ("ψ(x) / (x − x₀) in x − 7/4, 1 ≤ x ≤ 5/2", digamma_near, -0.75, 0.75, 25, None),
    "DIGAMMA_FAR": ("x (log x − ψ(x)) in s = 1/x, x ≥ 5/2", digamma_rest, mp.mpf(10) ** -12, 0.4, 15, None),
    "SIN_PI": ("sin(πr) / r in z = r², |r| ≤ 1/2", root(lambda r: mp.sin(mp.pi * r) / r), 0, 0.25, 8, None),
    "COT_PI": ("πr cot(πr) in z = r², |r| ≤ 1/2", root(lambda r: mp.pi * r * mp.cot(mp.pi * r)), 0, 0.25, 15, None),
    "CBRT": ("∛m, √½ ≤ m ≤ √2", mp.cbrt, mp.sqrt(0.5), mp.sqrt(2), 7, 3),
    "ASIN": ("(asin(r)/r − 1) / z in z = r², |r| ≤ 1/2", root(asin_rest), 0, mp.mpf("0.2501"), 12, 5),
}

# tables whose first two coefficients nearly cancel
RESTS = {"LGAMMA_1", "LGAMMA_2"}

# degrees for what is computed in float64 and rounded to float32
MEDIUM = {
    "EXP": 5,
    "LOG": 3,
    "LGAMMA_1": 12,
    "LGAMMA_2": 10,
    "STIRLING": 7,
    "DIGAMMA": 14,
    "DIGAMMA_FAR": 8,
    "SIN_PI": 5,
    "COT_PI": 9,
}

CONSTANTS = {
    "LN2": mp.log(2),
    "INV_LN2": 1 / mp.log(2),
    "INV_LN10": 1 / mp.log(10),
    "LOG10_2": mp.log(2) / mp.log(10),
    "ROOT_HALF": mp.sqrt(0.5),
    "HALF_LOG_2PI": HALF_LOG_2PI,
    "DIGAMMA_ZERO": DIGAMMA_ZERO,
    "ROOT_INV_PI": 1 / mp.sqrt(mp.pi),
    "PI": mp.pi,
    "HALF_PI": mp.pi / 2,
    "TWO_OVER_PI": 2 / mp.pi,
}


def rounded(x, single):
    return float(np.float32(float(x))) if single else float(x)


def chopped(x, bits):
    """x towards zero to `bits` bits."""
    return mp.ldexp(mp.floor(mp.ldexp(x, bits - mp.frexp(x)[1])), mp.frexp(x)[1] - bits)


def pieces(x, widths):
    """x as a sum of floats of so many bits each."""
    found = []
    for bits in widths:
        part = chopped(x, bits)
        found.append(part)
        x -= part
    return found


def table(name, what, f, low, high, degree, single):
    coefficients, worst = interpolate(f, low, high, degree)
    print(f"# {what}: {float(worst):.1e}")
    print(f"{name} = (")
    texts = [f"{rounded(c, single)!r}," for c in coefficients]
    for i in range(0, len(texts), 5):
        print(f"    {' '.join(texts[i : i + 5])}")
    print(")")
    if name[:-2] in RESTS:
        rests = [c - mp.mpf(rounded(c, single)) for c in coefficients[:2]]
        print(
            f"{name[:-2]}_REST{name[-2:]} = ({', '.join(repr(rounded(r, single)) for r in rests)})  # of the first two"
        )
    print()


def main():
    print('"""Coefficients of vector math, as `benchmarks/coefficients.py` derives and prints them: change them there.')
    print()
    print("Names end in _D for float64, in _F for float32, in _M for float64 that is rounded to float32.")
    print(
        "A comment says what is approximated, and the relative error of the polynomial before its coefficients were rounded."
    )
    print('"""\n\n# fmt: off\n')
    for name, value in CONSTANTS.items():
        print(
            f"{name}_D = ({rounded(value, False)!r}, {rounded(value - mp.mpf(rounded(value, False)), False)!r})  # and the rest of it"
        )
        rest = value - mp.mpf(rounded(value, True))
        print(f"{name}_F = ({rounded(value, True)!r}, {rounded(rest, True)!r})")
    print("\n# ln 2: a part whose product with any exponent is exact, and the rest")
    for name, bits, single in (("LN2_SPLIT_D", 40, False), ("LN2_SPLIT_F", 14, True)):
        high = chopped(CONSTANTS["LN2"], bits)
        print(f"{name} = ({rounded(high, single)!r}, {rounded(CONSTANTS['LN2'] - high, single)!r})")
    print("\n# π/2 in parts whose products with a small integer are exact, and the rest")
    for name, widths, single in (
        ("HALF_PI_PARTS_D", (30, 30, 30, 53), False),
        ("HALF_PI_PARTS_F", (13, 13, 13, 24), True),
    ):
        print(f"{name} = ({', '.join(repr(rounded(p, single)) for p in pieces(mp.pi / 2, widths))})")
    bits = 1408  # as many as the largest double needs, and 256 for the product
    print("\n# ⌊2/π · 2^bits⌋")
    print(f"TWO_OVER_PI_BITS = {bits}")
    mp.mp.dps = 450
    digits = f"{int(mp.floor(mp.ldexp(2 / mp.pi, bits))):x}"
    print("TWO_OVER_PI_DIGITS = int(")
    for i in range(0, len(digits), 88):
        print(f'    "{digits[i : i + 88]}"')
    print("    , 16)")
    mp.mp.dps = 60
    print()
    for name, (what, f, low, high, double, single) in TABLES.items():
        if double is not None:
            table(f"{name}_D", what, f, low, high, double, False)
        if name in MEDIUM:
            table(f"{name}_M", what, f, low, high, MEDIUM[name], False)
        if single is not None:
            table(f"{name}_F", what, f, low, high, single, True)


if __name__ == "__main__":
    main()
