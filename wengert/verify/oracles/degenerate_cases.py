"""The cases of `degenerate`: our function, mpmath's, and the matrix where it is hard."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import wengert.scipy.linalg as sl
from wengert.verify.oracles import exact_linalg as E


@dataclass
class Case:
    """`ours(*arrays)` on Tensors; `exact(mp, *matrices)` the same function on mpmath's matrices, as a flat list.

    `extra` multiplies κ, for the first and the second derivative: what the program loses by its way of computing, through
    vectors. `floor` is the size below which a derivative counts as zero.
    `curve(mp, t, *matrices)` replaces straight lines A + tV, where only some directions have a derivative; its tangents are
    the `directions`.
    """

    name: str
    label: str
    ours: Callable[..., Any]
    exact: Callable[..., Sequence[Any]]
    args: Sequence[np.ndarray]
    order: int = 2
    extra: tuple[float, float] = (1.0, 1.0)
    floor: float = 0.0
    expect: str = "right"  # or "loud" where there is no derivative, or none can be had this way
    second: str = "right"  # likewise for the second derivative
    graded: bool = False  # rows or columns of different scales: perturbations are relative to each element
    directions: Sequence[Sequence[np.ndarray]] = field(default_factory=list)
    curve: Callable[..., Sequence[Any]] | None = None


RNG = np.random.default_rng(0)
Q3 = np.linalg.qr(RNG.normal(size=(3, 3)))[0]
Q4 = np.linalg.qr(RNG.normal(size=(4, 4)))[0]
GAPS = (1e-6, 1e-10, 1e-14)


def sym(a: Any) -> Any:
    """The symmetric part."""
    return (a + np.swapaxes(a, -1, -2)) / 2


def with_eigenvalues(q: np.ndarray, values: list[float]) -> np.ndarray:
    return sym((q * np.array(values)) @ q.T)


def hilbert(n: int) -> np.ndarray:
    i = np.arange(1.0, n + 1)
    return 1 / (i[:, None] + i - 1)


def jordan(n: int, value: float) -> np.ndarray:
    return value * np.eye(n) + np.eye(n, k=1)


def cases() -> Iterator[Case]:
    """Every case."""
    yield from _symmetric()
    yield from _unsymmetric()
    yield from _singular_values()
    yield from _rank()
    yield from _systems()
    yield from _determinants()
    yield from _factors()
    yield from _functions()
    yield from _equations()
    yield from _norms()


# ── eigenvalues ───────────────────────────────────────────────────────────────


def _squares(a: Any) -> Any:
    return np.sum(np.linalg.eigvalsh(sym(a)) ** 2)


def _exponentials(a: Any) -> Any:
    return np.sum(np.exp(np.linalg.eigh(sym(a))[0]))


def _exp_by_vectors(a: Any) -> Any:
    w, v = np.linalg.eigh(sym(a))
    return (v * np.exp(w)) @ np.swapaxes(v, -1, -2)


def _symmetric() -> Iterator[Case]:
    repeated = {
        "identity": np.eye(3),
        "zero": np.zeros((3, 3)),
        "one pair": np.diag([1.0, 1.0, 2.0]),
        "one pair, rotated": with_eigenvalues(Q3, [1.0, 1.0, 2.0]),
        "two pairs, rotated": with_eigenvalues(Q4, [1.0, 1.0, -2.0, -2.0]),
    }
    for label, a in repeated.items():
        loud = "loud" if label in ("identity", "zero", "one pair") else "right"
        scale = 1e16 if loud == "right" else 1.0  # rotated, they are apart by rounding or not at all
        yield Case("linalg.eigvalsh", f"Σλ², {label}", _squares, E.sum_of_squares, [a], second=loud)
        yield Case("linalg.eigh", f"Σ exp λ, {label}", _exponentials, E.trace_exp, [a], second=loud)
        yield Case(
            "linalg.eigh",
            f"V exp(Λ) Vᵀ, {label}",
            _exp_by_vectors,
            E.expm_sym,
            [a],
            order=1,
            expect=loud,
            extra=(scale, scale),
        )
    for gap in GAPS:
        a = with_eigenvalues(Q3, [1.0, 1.0 + gap, 2.0])
        yield Case("linalg.eigvalsh", f"Σλ², gap {gap:g}", _squares, E.sum_of_squares, [a], extra=(1.0, 1 / gap))
        yield Case("linalg.eigh", f"Σ exp λ, gap {gap:g}", _exponentials, E.trace_exp, [a], extra=(1.0, 1 / gap))
        yield Case(
            "linalg.eigh", f"V exp(Λ) Vᵀ, gap {gap:g}", _exp_by_vectors, E.expm_sym, [a], extra=(1 / gap, gap**-2)
        )
    graded = with_eigenvalues(Q3, [1e-8, 1.0, 1e8])
    yield Case("linalg.eigvalsh", "Σ log λ, λ from 1e-8 to 1e8", lambda a: np.sum(np.log(np.linalg.eigvalsh(sym(a)))),
               E.log_det_sym, [graded])  # fmt: skip


def _through_vectors(a: np.ndarray) -> tuple[float, float]:
    """κ(V), and κ(V)²/gap."""
    w, v = np.linalg.eig(a)
    gap = np.abs(w[:, None] - w)[~np.eye(len(w), dtype=bool)].min()
    return float(np.linalg.cond(v)), float(np.linalg.cond(v) ** 2 / gap)


def _unsymmetric() -> Iterator[Case]:
    def squares(a: Any) -> Any:
        return np.sum(np.linalg.eigvals(a) ** 2).real

    def exponentials(a: Any) -> Any:
        return np.sum(np.exp(np.linalg.eig(a)[0])).real

    s = np.array([[1.0, 2.0, 0.0], [0.0, 1.0, 1.0], [1.0, 0.0, 1.0]])
    semisimple = s @ np.diag([1.0, 1.0, 3.0]) @ np.linalg.inv(s)
    for label, a in {"identity": np.eye(3), "repeated, diagonalisable": semisimple}.items():
        second = "loud" if label == "identity" else "right"
        yield Case("linalg.eigvals", f"Σλ², {label}", squares, E.trace_square, [a], second=second, extra=(1e2, 1e4))
        yield Case("linalg.eig", f"Σ exp λ, {label}", exponentials, E.trace_expm, [a], second=second, extra=(1e2, 1e4))
    for n in (2, 3):
        yield Case("linalg.eigvals", f"Σλ², Jordan block of {n}", squares, E.trace_square, [jordan(n, 1.0)],
                   expect="loud", second="loud")  # fmt: skip
    for n, q in ((3, Q3), (4, Q4)):
        a = q @ jordan(n, 1.0) @ q.T
        extra = _through_vectors(a)
        yield Case(
            "linalg.eigvals",
            f"Σλ², Jordan block of {n}, rotated",
            squares,
            E.trace_square,
            [a],
            extra=extra,
        )
    for delta in (1e-6, 1e-10, 1e-20):
        a = np.array([[1.0, 1.0], [delta, 1.0]])
        extra = _through_vectors(a)
        yield Case("linalg.eigvals", f"Σλ², [[1, 1], [{delta:g}, 1]]", squares, E.trace_square, [a], extra=extra)


# ── singular values and rank ──────────────────────────────────────────────────


def _singular_values() -> Iterator[Case]:
    def squares(a: Any) -> Any:
        return np.sum(np.linalg.svd(a)[1] ** 2)

    def quartics(a: Any) -> Any:
        return np.sum(np.linalg.svdvals(a) ** 4)

    def product(a: Any) -> Any:
        return np.prod(np.linalg.svd(a, compute_uv=False))

    def cubes(a: Any) -> Any:
        u, s, vh = np.linalg.svd(a, full_matrices=False)
        return (u * s**3) @ vh

    tall = np.linalg.qr(RNG.normal(size=(4, 3)))[0]
    hard = {
        "identity": np.eye(3),
        "orthogonal columns": 2 * tall,
        "one zero": (tall * [2.0, 1.0, 0.0]) @ Q3,
        "rank 1": np.outer([1.0, 2.0, 3.0, 4.0], [1.0, -1.0, 2.0]),
        "zero": np.zeros((2, 3)),
        "gap 1e-10": (tall * [2.0, 1.0 + 1e-10, 1.0]) @ Q3,
    }
    for label, a in hard.items():
        second = "right" if label in ("gap 1e-10", "one zero") else "loud"
        extra = (1.0, 1e10 if label == "gap 1e-10" else 1.0)
        yield Case("linalg.svd", f"Σσ², {label}", squares, E.frobenius_square, [a], second=second, extra=extra)
        yield Case("linalg.svdvals", f"Σσ⁴, {label}", quartics, E.gram_square, [a], second=second, extra=extra)
    yield Case("linalg.svd", "Πσ, identity", product, E.det, [np.eye(3)], second="loud")
    yield Case("linalg.svd", "U σ³ Vᵀ, identity", cubes, E.gram_times, [np.eye(3)], expect="loud", second="loud")
    for gap in GAPS:
        a = (Q3 * [2.0, 1.0 + gap, 1.0]) @ Q3[::-1]
        yield Case("linalg.svd", f"U σ³ Vᵀ, gap {gap:g}", cubes, E.gram_times, [a], extra=(1 / gap, gap**-2))
    small = (tall * [1.0, 1e-5, 1e-10]) @ Q3
    yield Case("linalg.svd", "Πσ² of 4×3, σ to 1e-10", lambda a: np.prod(np.linalg.svd(a)[1]) ** 2, E.gram_det, [small])
    for label, a in {"σ = 1": Q3, "σ to 1e-8": (Q3 * [1.0, 1e-4, 1e-8]) @ Q3[::-1]}.items():
        yield Case("scipy.linalg.polar", f"U, {label}", lambda a: sl.polar(a)[0], E.polar, [a])
    yield Case("scipy.linalg.polar", "U, one σ = 0", lambda a: sl.polar(a)[0], E.polar, [np.diag([2.0, 1.0, 0.0])],
               expect="loud", second="loud")  # fmt: skip


def _rank() -> Iterator[Case]:
    full = {"tall": RNG.normal(size=(4, 3)), "wide": RNG.normal(size=(2, 4)),
            "tall, κ = 1e6": (np.linalg.qr(RNG.normal(size=(4, 3)))[0] * [1.0, 1e-3, 1e-6]) @ Q3}  # fmt: skip
    for label, a in full.items():
        b = RNG.normal(size=a.shape[0])
        yield Case("linalg.pinv", label, np.linalg.pinv, E.pinv, [a])
        yield Case("scipy.linalg.pinv", label, sl.pinv, E.pinv, [a])
        yield Case("linalg.lstsq", label, lambda a, b: np.linalg.lstsq(a, b)[0], E.lstsq, [a, b])
    left, right = RNG.normal(size=(4, 2)), RNG.normal(size=(2, 3))
    a, x, y = left @ right, RNG.normal(size=(3, 3)), RNG.normal(size=(4, 4))

    def keeping_rank(mp: Any, t: Any, *_: Any) -> tuple[Any, Any]:
        """(1 + tY) L and R (1 + tX): their product keeps its rank."""
        low, up = E.matrix(mp, left), E.matrix(mp, right)
        return low + t * (E.matrix(mp, y) * low), up + t * (up * E.matrix(mp, x))

    along = [[a @ x + y @ a]]
    yield Case("linalg.pinv", "rank 2 of 3, rank kept", np.linalg.pinv, E.pinv_of_product, [a], order=1, directions=along,
               curve=keeping_rank)  # fmt: skip
    for label, a in {"first columns dependent": np.array([[1.0, 2.0, 3.0], [2.0, 4.0, 1.0], [1.0, 2.0, 5.0]]),
                     "wide, first block singular": np.array([[1.0, 2.0, 3.0, 1.0], [2.0, 4.0, 1.0, 7.0]]),
                     "zero column": np.array([[0.0, 1.0], [0.0, 2.0], [0.0, 4.0]])}.items():  # fmt: skip
        yield Case("linalg.qr", label, lambda a: np.linalg.qr(a)[0], E.pinv, [a], expect="loud", second="loud")


# ── systems ───────────────────────────────────────────────────────────────────


def _systems() -> Iterator[Case]:
    for n in (3, 4, 6, 8, 10):
        a, b = hilbert(n), RNG.normal(size=n)
        yield Case("linalg.solve", f"Hilbert {n}", np.linalg.solve, E.solve, [a, b])
        yield Case("scipy.linalg.solve", f"Hilbert {n}, positive", lambda a, b: sl.solve(sym(a), b, assume_a="pos"),
                   E.solve_sym, [a, b])  # fmt: skip
        if n < 8:
            yield Case("linalg.inv", f"Hilbert {n}", np.linalg.inv, E.inv, [a])
            yield Case(
                "linalg.matrix_power", f"-2, Hilbert {n}", lambda a: np.linalg.matrix_power(a, -2), E.inv_square, [a]
            )
            yield Case(
                "scipy.linalg.lu_solve", f"Hilbert {n}", lambda a, b: sl.lu_solve(sl.lu_factor(a), b), E.solve, [a, b]
            )
            yield Case("linalg.cond", f"Hilbert {n}, fro", lambda a: np.linalg.cond(a, "fro"), E.cond_fro, [a])
    low = np.tril(RNG.normal(size=(4, 4))) + 2 * np.eye(4)
    rows, columns = np.array([1e-100, 1.0, 1e80, 1e-30])[:, None], np.array([1e40, 1e-60, 1.0, 1e20])
    scaled = low * rows * columns
    yield Case("scipy.linalg.solve_triangular", "scales from 1e-100 to 1e80",
               lambda a, b: sl.solve_triangular(a, b, lower=True), E.solve_lower, [scaled, np.ones(4)], graded=True,
               order=1, directions=[[scaled * RNG.normal(size=(4, 4)), RNG.normal(size=4)]])  # fmt: skip
    for power in (0, 3, 5):
        yield Case("linalg.matrix_power", f"{power}, nilpotent", lambda a, p=power: np.linalg.matrix_power(a, p),
                   lambda mp, a, p=power: list(a**p if p else mp.eye(3) + 0 * a), [jordan(3, 0.0)])  # fmt: skip
    for label, a in {"zero": np.zeros((3, 3)), "diag(1, 2, 0)": np.diag([1.0, 2.0, 0.0])}.items():
        yield Case("linalg.inv", label, np.linalg.inv, E.inv, [a], expect="loud", second="loud")
        yield Case("linalg.solve", label, np.linalg.solve, E.solve, [a, np.ones(3)], expect="loud", second="loud")
        yield Case("linalg.slogdet", label, lambda a: np.linalg.slogdet(a)[1], E.det, [a], expect="loud", second="loud")
    c = np.array([1.0, 0.99, 0.97, 0.94])
    yield Case("scipy.linalg.solve_toeplitz", "nearly singular", lambda c, b: sl.solve_toeplitz(c, b), E.solve_toeplitz,
               [c, RNG.normal(size=4)])  # fmt: skip


def _determinants() -> Iterator[Case]:
    for rank in (0, 1, 2, 3):
        a = RNG.normal(size=(4, rank)) @ RNG.normal(size=(rank, 4)) if rank else np.zeros((4, 4))
        yield Case("linalg.det", f"rank {rank} of 4", np.linalg.det, E.det, [a], floor=1.0)
        yield Case("scipy.linalg.det", f"rank {rank} of 4", sl.det, E.det, [a], floor=1.0)
    integers = np.arange(1.0, 10).reshape(3, 3)
    yield Case("linalg.det", "[[1..3], [4..6], [7..9]]", np.linalg.det, E.det, [integers])
    for n in (4, 6):
        yield Case("linalg.det", f"Hilbert {n}", np.linalg.det, E.det, [hilbert(n)])
        yield Case("linalg.slogdet", f"Hilbert {n}", lambda a: np.linalg.slogdet(a)[1], E.log_det, [hilbert(n)])
    big = np.diag([1e-100, 1e-200, 1e250]) + 1e-120 * np.triu(np.ones((3, 3)), 1)
    yield Case("linalg.slogdet", "scales from 1e-200 to 1e250", lambda a: np.linalg.slogdet(a)[1], E.log_det, [big], order=1,
               graded=True, directions=[[big * RNG.normal(size=(3, 3))]])  # fmt: skip


def _factors() -> Iterator[Case]:
    def gram(a: Any) -> Any:
        q, r = np.linalg.qr(a)
        return (q * np.arange(1.0, 1 + q.shape[-1])) @ q.T, r.T @ (r * np.arange(1.0, 1 + len(r))[:, None])

    for n in (3, 5, 7):
        yield Case("linalg.cholesky", f"Hilbert {n}", lambda a: np.linalg.cholesky(sym(a)), E.cholesky, [hilbert(n)])
    near = with_eigenvalues(Q3, [1.0, 1.0, 1e-12])
    yield Case("linalg.cholesky", "λ = 1, 1, 1e-12", lambda a: np.linalg.cholesky(sym(a)), E.cholesky, [near])
    yield Case("linalg.cholesky", "singular", lambda a: np.linalg.cholesky(sym(a)), E.cholesky, [np.diag([1.0, 1.0, 0.0])],
               expect="loud", second="loud")  # fmt: skip
    tall = (np.linalg.qr(RNG.normal(size=(4, 3)))[0] * [1.0, 1e-3, 1e-6]) @ Q3
    for label, a in {"Hilbert 4": hilbert(4), "tall, κ = 1e6": tall, "orthogonal": Q4}.items():
        yield Case("linalg.qr", label, gram, E.qr_gram, [a])
    yield Case("scipy.linalg.lu", "Hilbert 5", lambda a: sl.lu(a, permute_l=True), E.lu_permuted, [hilbert(5)])
    yield Case("scipy.linalg.lu_factor", "singular", lambda a: sl.lu_factor(a)[0], E.det, [np.array([[0.0, 1.0], [0.0, 2.0]])],
               expect="loud", second="loud")  # fmt: skip


# ── functions of matrices, equations ──────────────────────────────────────────


def _functions() -> Iterator[Case]:
    shifted = Q3 @ jordan(3, 2.0) @ Q3.T
    nilpotent = {"zero": np.zeros((3, 3)), "nilpotent": jordan(3, 0.0), "nilpotent, rotated": Q3 @ jordan(3, 0.0) @ Q3.T,
                 "Jordan block": jordan(3, 2.0), "Jordan block, rotated": shifted, "norm 40": 10 * jordan(3, 3.0)}  # fmt: skip
    for label, a in nilpotent.items():
        yield Case("scipy.linalg.expm", label, sl.expm, E.expm, [a])
        if label != "norm 40":
            for name in ("cosm", "sinm", "coshm", "sinhm", "tanhm"):
                yield Case(f"scipy.linalg.{name}", label, getattr(sl, name), getattr(E, name), [a], order=1)
    yield Case("scipy.linalg.expm", "[[1, 1e6], [0, -1]]", sl.expm, E.expm, [np.array([[1.0, 1e6], [0.0, -1.0]])])
    for name, exact in (("logm", E.logm), ("sqrtm", E.sqrtm)):
        function = getattr(sl, name)
        for label, a in {"identity": np.eye(3), "Jordan block": jordan(3, 2.0), "Jordan block, rotated": shifted,
                         "λ to 1e-8": with_eigenvalues(Q3, [1.0, 1e-4, 1e-8])}.items():  # fmt: skip
            yield Case(f"scipy.linalg.{name}", label, function, exact, [a])
        for label, a in {
            "nilpotent": jordan(2, 0.0),
            "diag(0, 1)": np.diag([0.0, 1.0]),
            "zero": np.zeros((2, 2)),
        }.items():
            yield Case(f"scipy.linalg.{name}", label, function, exact, [a], expect="loud", second="loud")


def _equations() -> Iterator[Case]:
    a = with_eigenvalues(Q3, [1.0, 2.0, 3.0])
    q = RNG.normal(size=(3, 3))
    for gap in (1e-4, 1e-8):
        b = with_eigenvalues(Q3, [-1.0 + gap, 4.0, 5.0])
        yield Case("scipy.linalg.solve_sylvester", f"λ + μ = {gap:g}", sl.solve_sylvester, E.sylvester, [a, b, q])
        c = with_eigenvalues(Q3, [1.0, -1.0 + gap, 3.0])
        yield Case(
            "scipy.linalg.solve_continuous_lyapunov",
            f"λ + μ = {gap:g}",
            sl.solve_continuous_lyapunov,
            E.lyapunov,
            [c, q],
        )
        d = with_eigenvalues(Q3, [1.0 - gap, 0.5, 0.1])
        yield Case(
            "scipy.linalg.solve_discrete_lyapunov",
            f"1 - λ = {gap:g}",
            sl.solve_discrete_lyapunov,
            E.discrete_lyapunov,
            [d, q],
        )
    yield Case("scipy.linalg.solve_sylvester", "λ + μ = 0", sl.solve_sylvester, E.sylvester,
               [np.diag([1.0, 2.0]), np.diag([-1.0, 3.0]), np.ones((2, 2))], expect="loud", second="loud")  # fmt: skip
    yield Case("scipy.linalg.expm_frechet", "nilpotent", lambda a, e: sl.expm_frechet(a, e)[1], E.expm_frechet,
               [jordan(3, 0.0), q])  # fmt: skip


def _norms() -> Iterator[Case]:
    a = with_eigenvalues(Q3, [3.0, 2.0, 1e-6])
    orders: tuple[Any, ...] = ("nuc", 2, -2, "fro")
    for order in orders:
        yield Case("linalg.norm", f"{order}, σ = 3, 2, 1e-6", lambda a, o=order: np.linalg.norm(a, o),
                   lambda mp, a, o=order: [E.norm(mp, a, o)], [a], extra=(1.0, 1e6 if order in (-2, "nuc") else 1.0))  # fmt: skip
    yield Case("linalg.norm", "vector of 1e-150", np.linalg.norm, E.norm2, [1e-150 * np.array([3.0, 4.0])], order=1,
               directions=[[1e-150 * np.ones(2)]])  # fmt: skip
    yield Case("linalg.norm", "vector of 1e150", np.linalg.norm, E.norm2, [1e150 * np.array([3.0, 4.0])], order=1,
               directions=[[1e150 * np.array([1.0, -2.0])]])  # fmt: skip
