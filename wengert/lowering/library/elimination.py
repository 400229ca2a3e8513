"""Linear algebra of matrices up to 4 × 4, unrolled, one matrix per lane.

Elimination with partial pivoting: rows change places by selects, so that every lane pivots as its matrix needs.
Source  Golub & Van Loan (2013), Matrix Computations, §3.4.
"""

from __future__ import annotations

from typing import NamedTuple

from wengert.lowering.library.lanes import Lanes, Mask
from wengert.lowering.text import Value

Rows = list[list[Value]]


class Eliminated(NamedTuple):
    """An upper triangle U with what was done to the rows done to the right-hand sides."""

    upper: Rows
    right: Rows
    inverse: list[Value]  # of U's diagonal; zero where that is zero
    singular: Mask
    odd: Mask  # whether rows changed places an odd number of times


def matrix(values: list[Value], n: int) -> Rows:
    """The rows of `n` columns."""
    return [values[i : i + n] for i in range(0, len(values), n)]


def identity(v: Lanes, n: int) -> Rows:
    return [[v.constant(float(i == j)) for j in range(n)] for i in range(n)]


def eliminated(v: Lanes, a: Rows, right: Rows) -> Eliminated:
    """Gaussian elimination of `a`."""
    n = len(a)
    rows = [[*x, *y] for x, y in zip(a, right, strict=True)]
    zero, one = v.constant(0.0), v.constant(1.0)
    odd: Mask = "zeroinitializer" if v.n > 1 else "false"
    singular = odd
    inverse = []
    for k in range(n):
        for i in range(k + 1, n):
            larger = v.compare("ogt", v.abs(rows[i][k]), v.abs(rows[k][k]))
            odd = v.b.emit(f"xor {v.mask_type} {odd}, {larger}", None).ref
            for j in range(k, len(rows[k])):
                x, y = rows[k][j], rows[i][j]
                rows[k][j], rows[i][j] = v.select(larger, y, x), v.select(larger, x, y)
        pivot = rows[k][k]
        none = v.compare("oeq", pivot, zero)
        singular = v.either(singular, none)
        inverse.append(v.select(none, zero, v.div(one, pivot)))
        for i in range(k + 1, n):
            factor = v.mul(rows[i][k], inverse[k])
            for j in range(k + 1, len(rows[k])):
                rows[i][j] = v.sub(rows[i][j], v.mul(factor, rows[k][j]))
    return Eliminated([r[:n] for r in rows], [r[n:] for r in rows], inverse, singular, odd)


def back_substituted(v: Lanes, e: Eliminated) -> Rows:
    """U⁻¹ times the right-hand sides."""
    n = len(e.upper)
    x = [list(r) for r in e.right]
    for k in reversed(range(n)):
        x[k] = [v.mul(c, e.inverse[k]) for c in x[k]]
        for i in range(k):
            x[i] = [v.sub(c, v.mul(e.upper[i][k], d)) for c, d in zip(x[i], x[k], strict=True)]
    return x


def product_of_pivots(v: Lanes, e: Eliminated) -> tuple[Value, str]:
    """(m, k) with det = m · 2ᵏ: exponents are added up apart, since the product of some pivots may overflow."""
    stored, bias = (52, 1023) if v.bits == 64 else (23, 127)
    mantissa, power = v.constant(1.0), v.integral(0)
    for i in range(len(e.upper)):
        pivot = e.upper[i][i]
        word = v.as_bits(pivot)
        exponent = v.integer("and", v.integer("lshr", word, stored), 2 * bias + 1)
        # zeros, subnormals, infinities and NaNs are multiplied as they are
        normal = v.integer("and", v.integer("add", exponent, 1), 2 * bias)
        plain = v.b.emit(f"icmp eq {v.integers()} {normal}, {v.integral(0)}", None).ref
        kept = v.integer("and", word, ~((2 * bias + 1) << stored))
        scaled = v.from_bits(v.integer("or", kept, bias << stored))
        mantissa = v.mul(mantissa, v.select(plain, pivot, scaled))
        power = v.integer("add", power, v.choose(plain, v.integral(0), v.integer("sub", exponent, bias)))
    return v.select(e.odd, v.neg(mantissa), mantissa), power


def power_of_two(v: Lanes, k: str) -> Value:
    """2ᵏ, for normal results."""
    stored, bias = (52, 1023) if v.bits == 64 else (23, 127)
    return v.from_bits(v.integer("shl", v.integer("add", k, bias), stored))


def scaled(v: Lanes, x: Value, k: str) -> Value:
    """x · 2ᵏ, in two steps, each of which is a normal number."""
    bound = 1000 if v.bits == 64 else 120
    k = clamped(v, k, 2 * bound)
    half = v.integer("ashr", k, 1)
    return v.mul(v.mul(x, power_of_two(v, half)), power_of_two(v, v.integer("sub", k, half)))


def clamped(v: Lanes, k: str, bound: int) -> str:
    """k, no further from zero than `bound`."""
    for what, limit in (("sgt", bound), ("slt", -bound)):
        beyond = v.b.emit(f"icmp {what} {v.integers()} {k}, {v.integral(limit)}", None).ref
        k = v.choose(beyond, v.integral(limit), k)
    return k


def cofactors(v: Lanes, a: Rows) -> list[Value]:
    """Row by row; minors of the last rows are made once."""
    n = len(a)
    minors: dict[tuple[tuple[int, ...], tuple[int, ...]], Value] = {}

    def minor(rows: tuple[int, ...], columns: tuple[int, ...]) -> Value:
        if not rows:
            return v.constant(1.0)
        if len(rows) == 1:
            return a[rows[0]][columns[0]]
        key = rows, columns
        if key not in minors:
            total: Value | None = None
            for j, column in enumerate(columns):
                term = v.mul(a[rows[0]][column], minor(rows[1:], columns[:j] + columns[j + 1 :]))
                total = term if total is None else v.sub(total, term) if j % 2 else v.add(total, term)
            assert total is not None
            minors[key] = total
        return minors[key]

    every = tuple(range(n))
    out = []
    for i in range(n):
        for j in range(n):
            m = minor(every[:i] + every[i + 1 :], every[:j] + every[j + 1 :])
            out.append(v.neg(m) if (i + j) % 2 else m)
    return out


def cholesky_factor(v: Lanes, a: Rows) -> tuple[Rows, Mask]:
    """The lower factor of the symmetric part, and where there is none."""
    n = len(a)
    half, zero, one = v.constant(0.5), v.constant(0.0), v.constant(1.0)
    s = [[v.mul(v.add(a[i][j], a[j][i]), half) for j in range(i + 1)] for i in range(n)]
    bad: Mask = "zeroinitializer" if v.n > 1 else "false"
    out = [[zero] * n for _ in range(n)]
    for j in range(n):
        bad = v.either(bad, v.compare("ole", s[j][j], zero))
        root = v.sqrt(s[j][j])
        out[j][j] = root
        inverse = v.div(one, root)
        for i in range(j + 1, n):
            out[i][j] = v.mul(s[i][j], inverse)
        for i in range(j + 1, n):
            for k in range(j + 1, i + 1):
                s[i][k] = v.sub(s[i][k], v.mul(out[i][j], out[k][j]))
    return out, bad


def triangular_solved(v: Lanes, a: Rows, right: Rows, lower: bool, unit: bool) -> tuple[Rows, Mask]:
    """The solution of a triangular system, and where its diagonal is zero."""
    n = len(a)
    x = [list(r) for r in right]
    bad: Mask = "zeroinitializer" if v.n > 1 else "false"
    zero, one = v.constant(0.0), v.constant(1.0)
    order = range(n) if lower else range(n - 1, -1, -1)
    for k in order:
        if not unit:
            bad = v.either(bad, v.compare("oeq", a[k][k], zero))
            inverse = v.div(one, a[k][k])
            x[k] = [v.mul(c, inverse) for c in x[k]]
        for i in range(k + 1, n) if lower else range(k):
            x[i] = [v.sub(c, v.mul(a[i][k], d)) for c, d in zip(x[i], x[k], strict=True)]
    return x, bad


def condition(v: Lanes, a: Rows, inverse: Rows) -> Value:
    """The condition number in the 1-norm."""
    return v.mul(_norm(v, a), _norm(v, inverse))


def _norm(v: Lanes, a: Rows) -> Value:
    sums = []
    for j in range(len(a)):
        total = v.abs(a[0][j])
        for i in range(1, len(a)):
            total = v.add(total, v.abs(a[i][j]))
        sums.append(total)
    largest = sums[0]
    for s in sums[1:]:
        # a NaN stays, on either side
        keep = v.either(v.compare("ogt", largest, s), v.compare("uno", largest, largest))
        largest = v.select(keep, largest, s)
    return largest
