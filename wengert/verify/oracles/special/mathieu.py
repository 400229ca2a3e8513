"""Mathieu functions, from eigenvectors of the recurrence of their Fourier coefficients (DLMF 28.4, 28.24)."""

from __future__ import annotations

import functools

from mpmath import mp

from wengert.verify.oracles.special import oracle
from wengert.verify.oracles.special.grids import points

SIZE = 22  # coefficients kept: they fall faster than (q/4)ᵏ/k!², below 1e-35 for q ≤ 3


@functools.cache
def coefficients(m: int, q: float, even: bool, digits: int):
    """Fourier coefficients of ce_m or se_m, normalized and signed as in DLMF 28.4."""
    with mp.workdps(digits):
        q = mp.mpf(q)
        odd = m % 2
        first = odd if even or odd else 2
        harmonics = [first + 2 * k for k in range(SIZE)]
        matrix = mp.zeros(SIZE, SIZE)
        for k, h in enumerate(harmonics):
            matrix[k, k] = mp.mpf(h) ** 2
            if k:
                matrix[k, k - 1] = matrix[k - 1, k] = q
        if odd:
            matrix[0, 0] += q if even else -q
        elif even:
            matrix[0, 1] = matrix[1, 0] = q * mp.sqrt(2)
        values, vectors = mp.eigsy(matrix)
        index = (m if even else m - 1) // 2
        vector = [vectors[k, index] for k in range(SIZE)]
        if even and not odd:
            vector[0] /= mp.sqrt(2)
        sign = mp.sign(sum(vector) if even else sum(h * v for h, v in zip(harmonics, vector, strict=True)))
        return harmonics, [sign * v for v in vector], values[index]


def angular(even):
    def value(m, q, x):
        harmonics, vector, _ = coefficients(int(m), float(q), even, mp.dps)
        t = mp.radians(x)
        if even:
            return (
                sum(v * mp.cos(h * t) for h, v in zip(harmonics, vector, strict=True)),
                -sum(h * v * mp.sin(h * t) for h, v in zip(harmonics, vector, strict=True)),
            )
        return (
            sum(v * mp.sin(h * t) for h, v in zip(harmonics, vector, strict=True)),
            sum(h * v * mp.cos(h * t) for h, v in zip(harmonics, vector, strict=True)),
        )

    return value


def modified(even, second):
    """The series in products of Bessel functions, about the leading coefficient; and its derivative by differences."""

    def cylinders(z, count):
        """J or Y of order 0, 1, …: Y upwards by recurrence, which is stable, and cheaper than its limits."""
        if not second:
            return [mp.besselj(k, z) for k in range(count)]
        found = [mp.bessely(0, z), mp.bessely(1, z)]
        for k in range(1, count - 1):
            found.append(2 * k / z * found[k] - found[k - 1])
        return found

    def plain(m, q, x):
        m = int(m)
        _, vector, _ = coefficients(m, float(q), even, mp.dps)
        near, far = mp.sqrt(q) * mp.exp(-x), mp.sqrt(q) * mp.exp(x)
        shift = 0 if even and m % 2 == 0 else 1 if m % 2 else 2
        total = mp.mpf(0)
        inner, outer = [mp.besselj(k, near) for k in range(SIZE)], cylinders(far, SIZE)
        for k, v in enumerate(vector[: SIZE - 4]):
            pair = inner[k] * outer[k + shift]
            twin = inner[k + shift] * outer[k]
            term = pair if shift == 0 else pair + twin if even else pair - twin
            total += (-1) ** k * v * term
        index = (m if even else m - 1) // 2
        return (-1) ** index * total / vector[0]

    @functools.cache
    def at(m, q, x, digits):
        with mp.workdps(digits + 15):
            h = mp.mpf(10) ** (-digits // 3)
            here, *ends = (plain(m, q, x + s * h) for s in (0, -2, -1, 1, 2))
            return here, (ends[0] - 8 * ends[1] + 8 * ends[2] - ends[3]) / (12 * h)

    def value(m, q, x):
        return at(m, q, x, mp.dps)

    def slope(m, q, x):
        """The derivative of y is the second output; that of y' by the equation y'' = (a - 2q cosh 2x) y."""
        y, rate = at(m, q, x, mp.dps)
        a = coefficients(int(m), float(q), even, mp.dps)[2]
        return rate, (a - 2 * q * mp.cosh(2 * x)) * y

    return value, slope


_ANGLES = points(
    *(
        (m, q, x)
        for m, q in ((1.0, 0.5), (2.0, 1.0), (3.0, 2.0), (4.0, 0.1))
        for x in (1.0, 10.0, 37.0, 60.0, 85.0, 110.0, 170.0)
    )
)
_RADIAL = points(*((m, q, x) for m, q in ((1.0, 0.5), (2.0, 1.0), (3.0, 2.0)) for x in (0.1, 0.4, 0.9, 1.3)))
oracle("special.mathieu_cem", "m q x", angular(True), _ANGLES, wanted=[2], scaled=True)
oracle("special.mathieu_sem", "m q x", angular(False), _ANGLES, wanted=[2], scaled=True)
for _name, _even, _second in (
    ("modcem1", True, False), ("modcem2", True, True), ("modsem1", False, False), ("modsem2", False, True),
):  # fmt: skip
    _value, _slope = modified(_even, _second)
    oracle(f"special.mathieu_{_name}", "m q x", _value, _RADIAL, wanted=[2], slope={2: _slope}, scaled=True)
