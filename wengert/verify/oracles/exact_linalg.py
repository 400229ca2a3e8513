"""Linear algebra in mpmath, each function from its definition: a flat list of numbers for mpmath's matrices.

None of it goes through eigenvectors where the result does not need them, so that degenerate points are ordinary here.
"""

from __future__ import annotations

from typing import Any

import numpy as np


def matrix(mp: Any, a: np.ndarray) -> Any:
    """An ndarray, exactly."""
    return mp.matrix([[mp.mpf(float(v)) for v in row] for row in np.atleast_2d(a)])


def sym(a: Any) -> Any:
    return (a + a.T) / 2


def trace(a: Any) -> Any:
    return sum(a[i, i] for i in range(a.rows))


# ── spectra ───────────────────────────────────────────────────────────────────


def sum_of_squares(mp: Any, a: Any) -> list[Any]:
    return [trace(sym(a) * sym(a))]


def trace_exp(mp: Any, a: Any) -> list[Any]:
    return [trace(_exp(mp, sym(a)))]


def expm_sym(mp: Any, a: Any) -> list[Any]:
    return list(_exp(mp, sym(a)))


def log_det_sym(mp: Any, a: Any) -> list[Any]:
    return [mp.log(mp.det(sym(a)))]


def trace_square(mp: Any, a: Any) -> list[Any]:
    return [trace(a * a)]


def trace_expm(mp: Any, a: Any) -> list[Any]:
    return [trace(_exp(mp, a))]


def frobenius_square(mp: Any, a: Any) -> list[Any]:
    return [trace(a.T * a)]


def gram_square(mp: Any, a: Any) -> list[Any]:
    return [trace(a.T * a * a.T * a)]


def gram_times(mp: Any, a: Any) -> list[Any]:
    return list(a * a.T * a)


def gram_det(mp: Any, a: Any) -> list[Any]:
    return [mp.det(a.T * a)]


def polar(mp: Any, a: Any) -> list[Any]:
    """A (AᵀA)^(-1/2), by Newton's iteration U ← (U + U⁻ᵀ)/2."""
    u = a
    for _ in range(400):
        other = (u + mp.inverse(u).T) / 2
        done = mp.mnorm(other - u, 1) < mp.mpf(10) ** (4 - mp.dps)
        u = other
        if done:
            break
    return list(u)


# ── systems ───────────────────────────────────────────────────────────────────


def solve(mp: Any, a: Any, b: Any) -> list[Any]:
    return list(mp.inverse(a) * b)


def solve_sym(mp: Any, a: Any, b: Any) -> list[Any]:
    return solve(mp, sym(a), b)


def solve_lower(mp: Any, a: Any, b: Any) -> list[Any]:
    x: list[Any] = []
    for i in range(a.rows):
        x.append((b[i] - sum((a[i, j] * x[j] for j in range(i)), mp.mpf(0))) / a[i, i])
    return x


def solve_toeplitz(mp: Any, c: Any, b: Any) -> list[Any]:
    n = len(c)
    return solve(mp, mp.matrix([[c[abs(i - j)] for j in range(n)] for i in range(n)]), b)


def inv(mp: Any, a: Any) -> list[Any]:
    return list(mp.inverse(a))


def inv_square(mp: Any, a: Any) -> list[Any]:
    x = mp.inverse(a)
    return list(x * x)


def cond_fro(mp: Any, a: Any) -> list[Any]:
    return [mp.mnorm(a, "f") * mp.mnorm(mp.inverse(a), "f")]


def _pinv(mp: Any, a: Any) -> Any:
    if a.rows >= a.cols:
        return mp.inverse(a.T * a) * a.T
    return a.T * mp.inverse(a * a.T)


def pinv(mp: Any, a: Any) -> list[Any]:
    return list(_pinv(mp, a))


def lstsq(mp: Any, a: Any, b: Any) -> list[Any]:
    return list(_pinv(mp, a) * b)


def pinv_of_product(mp: Any, left: Any, right: Any) -> list[Any]:
    return list(_pinv(mp, right) * _pinv(mp, left))


def det(mp: Any, a: Any) -> list[Any]:
    """By expansion, which knows no pivots that vanish."""

    def minor(rows: list[int], columns: list[int]) -> Any:
        if not rows:
            return mp.mpf(1)
        return sum(
            (-1) ** k * a[rows[0], j] * minor(rows[1:], columns[:k] + columns[k + 1 :]) for k, j in enumerate(columns)
        )

    return [minor(list(range(a.rows)), list(range(a.cols)))]


def log_det(mp: Any, a: Any) -> list[Any]:
    return [mp.log(mp.fabs(det(mp, a)[0]))]


# ── factors ───────────────────────────────────────────────────────────────────


def _cholesky(mp: Any, a: Any) -> Any:
    n = a.rows
    low = mp.zeros(n)
    for j in range(n):
        low[j, j] = mp.sqrt(a[j, j] - sum((low[j, k] ** 2 for k in range(j)), mp.mpf(0)))
        for i in range(j + 1, n):
            low[i, j] = (a[i, j] - sum((low[i, k] * low[j, k] for k in range(j)), mp.mpf(0))) / low[j, j]
    return low


def cholesky(mp: Any, a: Any) -> list[Any]:
    return list(_cholesky(mp, sym(a)))


def qr_gram(mp: Any, a: Any) -> list[Any]:
    """Q D Qᵀ and Rᵀ D R, D = diag(1, 2, …): what does not depend on signs."""
    low = _cholesky(mp, a.T * a)
    q = a * mp.inverse(low.T)
    d = mp.diag(list(range(1, a.cols + 1)))
    return [*(q * d * q.T), *(low * d * low.T)]


def lu_permuted(mp: Any, a: Any) -> list[Any]:
    """P L and U, with the pivots that partial pivoting takes."""
    n = a.rows
    u, low = a.copy(), mp.zeros(n)
    order = list(range(n))
    for k in range(n):
        p = max(range(k, n), key=lambda i: mp.fabs(u[i, k]))
        for j in range(n):
            u[k, j], u[p, j] = u[p, j], u[k, j]
            low[k, j], low[p, j] = low[p, j], low[k, j]
        order[k], order[p] = order[p], order[k]
        low[k, k] = mp.mpf(1)
        for i in range(k + 1, n):
            low[i, k] = u[i, k] / u[k, k]
            for j in range(n):
                u[i, j] -= low[i, k] * u[k, j]
    back = mp.zeros(n)
    for i, row in enumerate(order):
        for j in range(n):
            back[row, j] = low[i, j]
    return [*back, *u]


# ── functions of matrices ─────────────────────────────────────────────────────


def _series(mp: Any, a: Any, keep: Any) -> Any:
    """Σ keep(k) Aᵏ/k!."""
    total, term, k = mp.zeros(a.rows), mp.eye(a.rows), 0
    while k < 3 or mp.mnorm(term, 1) > mp.mpf(10) ** (-mp.dps - 10):
        if keep(k):
            total += keep(k) * term
        k += 1
        term = term * a / k
    return total


def _exp(mp: Any, a: Any) -> Any:
    halvings = max(0, int(mp.ceil(mp.log(mp.mnorm(a, 1) + mp.mpf("1e-300"), 2))) + 2)
    with mp.extradps(20 + halvings):
        out = _series(mp, a / mp.mpf(2) ** halvings, lambda k: 1)
        for _ in range(halvings):
            out = out * out
    return out


def expm(mp: Any, a: Any) -> list[Any]:
    return list(_exp(mp, a))


def cosm(mp: Any, a: Any) -> list[Any]:
    return list(_series(mp, a, lambda k: (1, 0, -1, 0)[k % 4]))


def sinm(mp: Any, a: Any) -> list[Any]:
    return list(_series(mp, a, lambda k: (0, 1, 0, -1)[k % 4]))


def coshm(mp: Any, a: Any) -> list[Any]:
    return list(_series(mp, a, lambda k: 1 - k % 2))


def sinhm(mp: Any, a: Any) -> list[Any]:
    return list(_series(mp, a, lambda k: k % 2))


def tanhm(mp: Any, a: Any) -> list[Any]:
    return list(mp.inverse(_series(mp, a, lambda k: 1 - k % 2)) * _series(mp, a, lambda k: k % 2))


def expm_frechet(mp: Any, a: Any, e: Any) -> list[Any]:
    """The corner of exp [[A, E], [0, A]]."""
    n = a.rows
    both = mp.zeros(2 * n)
    for i in range(n):
        for j in range(n):
            both[i, j] = both[n + i, n + j] = a[i, j]
            both[i, n + j] = e[i, j]
    out = _exp(mp, both)
    return [out[i, n + j] for i in range(n) for j in range(n)]


def _sqrt(mp: Any, a: Any) -> Any:
    """The iteration of Denman and Beavers."""
    y, z = a, mp.eye(a.rows)
    for _ in range(400):
        other, z = (y + mp.inverse(z)) / 2, (z + mp.inverse(y)) / 2
        done = mp.mnorm(other - y, 1) < mp.mpf(10) ** (4 - mp.dps) * (1 + mp.mnorm(y, 1))
        y = other
        if done:
            break
    return y


def sqrtm(mp: Any, a: Any) -> list[Any]:
    return list(_sqrt(mp, a))


def logm(mp: Any, a: Any) -> list[Any]:
    """By square roots until close to 1, then the series of 2 artanh((A - 1)/(A + 1))."""
    one, roots = mp.eye(a.rows), 0
    with mp.extradps(20):
        while mp.mnorm(a - one, 1) > mp.mpf("0.1"):
            a, roots = _sqrt(mp, a), roots + 1
        x = (a - one) * mp.inverse(a + one)
        square, term, total, k = x * x, x, mp.zeros(a.rows), 1
        while mp.mnorm(term, 1) > mp.mpf(10) ** (-mp.dps):
            total += term / k
            term, k = term * square, k + 2
        return list(total * 2 ** (roots + 1))


# ── equations ─────────────────────────────────────────────────────────────────


def _linear(mp: Any, n: int, image: Any, q: Any) -> list[Any]:
    """X with image(X) = Q, for a linear map of n × n matrices."""
    system = mp.zeros(n * n)
    for k in range(n * n):
        unit = mp.zeros(n)
        unit[k // n, k % n] = 1
        for i, v in enumerate(image(unit)):
            system[i, k] = v
    return list(mp.inverse(system) * mp.matrix(list(q)))


def sylvester(mp: Any, a: Any, b: Any, q: Any) -> list[Any]:
    return _linear(mp, a.rows, lambda x: list(a * x + x * b), q)


def lyapunov(mp: Any, a: Any, q: Any) -> list[Any]:
    return _linear(mp, a.rows, lambda x: list(a * x + x * a.T), q)


def discrete_lyapunov(mp: Any, a: Any, q: Any) -> list[Any]:
    return _linear(mp, a.rows, lambda x: list(x - a * x * a.T), q)


# ── norms ─────────────────────────────────────────────────────────────────────


def norm(mp: Any, a: Any, order: Any) -> Any:
    if order == "fro":
        return mp.mnorm(a, "f")
    values = sorted(mp.sqrt(v) for v in mp.eigsy(a.T * a, eigvals_only=True))
    return {"nuc": sum(values), 2: values[-1], -2: values[0]}[order]


def norm2(mp: Any, x: Any) -> list[Any]:
    return [mp.norm(x, 2)]
