"""SciPy's linear algebra. SciPy's own functions do not dispatch: a Tensor goes to `wengert.scipy.linalg`, as in adopted code."""

import numpy
import scipy.linalg

import wengert.scipy.linalg
from wengert.core.tensor import Tensor
from wengert.verify.examples import example


def spread(rng, shape):
    """A square matrix with eigenvalues well apart, and away from the negative axis."""
    n = shape[-1]
    return numpy.diag(numpy.arange(1.0, n + 1)) + 0.2 * rng.normal(size=shape)


def positive(rng, shape):
    """A symmetric positive definite matrix."""
    a = rng.normal(size=shape)
    return a @ a.swapaxes(-1, -2) + shape[-1] * numpy.eye(shape[-1])


def small(rng, shape):
    return 0.3 * rng.normal(size=shape)


def column(rng, shape):
    """The first column, or row, of a diagonally dominant matrix."""
    c = 0.2 * rng.normal(size=shape)
    c[0] = 2.0
    return c


def sym(a):
    return (a + a.T) / 2


def la(np, *xs):
    """SciPy's module for NumPy and plain arrays, ours otherwise."""
    plain = np is numpy and not any(type(x) is Tensor for x in xs)
    return scipy.linalg if plain else wengert.scipy.linalg


def one(name, *args, domain=spread, call=None, **options):
    run = call or (lambda f, *xs: f(*xs))
    example(
        f"scipy.linalg.{name}",
        lambda np, *xs: run(getattr(la(np, *xs), name), *xs),
        *(args or ((3, 3),)),
        domain=domain,
        **options,
    )


SQUARE_RHS = {"domain": (spread, (-1.0, 1.0))}

one("solve", (3, 3), (3, 2), **SQUARE_RHS, complex=True)
one("solve", (3, 3), (3,), **SQUARE_RHS, call=lambda f, a, b: f(a, b, transposed=True))
one("solve", (3, 3), (3,), domain=(positive, (-1.0, 1.0)), call=lambda f, a, b: f(sym(a), b, assume_a="pos"))
one("solve_triangular", (3, 3), (3, 2), **SQUARE_RHS)
one("solve_triangular", (3, 3), (3,), **SQUARE_RHS, call=lambda f, a, b: f(a, b, lower=True, trans=1))
one("solve_banded", (3, 4), (4,), domain=(lambda rng, s: numpy.array([[0.3], [3.0], [0.4]]) + small(rng, s), (-1.0, 1.0)),
    call=lambda f, ab, b: f((1, 1), ab, b))  # fmt: skip
one("solve_toeplitz", (4,), (4,), domain=(column, (-1.0, 1.0)))
one("solve_sylvester", (3, 3), (2, 2), (3, 2), domain=(spread, spread, (-1.0, 1.0)))
one("solve_continuous_lyapunov", (3, 3), (3, 3), domain=(spread, (-1.0, 1.0)))
one("solve_discrete_lyapunov", (3, 3), (3, 3), domain=(small, (-1.0, 1.0)))
one("inv", complex=True)
one("det", complex=True)
one("pinv", (4, 3), domain=(-1.0, 1.0))
one("pinvh", (3, 3), domain=positive, call=lambda f, a: f(sym(a)))
one("lstsq", (4, 3), (4,), domain=(-1.0, 1.0), call=lambda f, a, b: f(a, b)[0])
one("cholesky", domain=positive, call=lambda f, a: f(sym(a)))
one("cholesky", domain=positive, call=lambda f, a: f(sym(a), lower=True))
one("cho_factor", domain=positive, call=lambda f, a: (lambda c: c * numpy.tri(3))(f(sym(a), lower=True)[0]))
example("scipy.linalg.cho_solve", lambda np, a, b: la(np, a, b).cho_solve((la(np, a, b).cholesky(sym(a), lower=True), True), b),
        (3, 3), (3, 2), domain=(positive, (-1.0, 1.0)))  # fmt: skip
one("lu", call=lambda f, a: f(a)[1:])
one("lu", call=lambda f, a: f(a, permute_l=True))
one("lu_factor", call=lambda f, a: f(a)[0])
example("scipy.linalg.lu_solve", lambda np, a, b: la(np, a, b).lu_solve(la(np, a, b).lu_factor(a), b), (3, 3), (3,),
        domain=(spread, (-1.0, 1.0)))  # fmt: skip
one("qr", (4, 3), domain=(-1.0, 1.0), call=lambda f, a: f(a, mode="economic"))
one("rq", (3, 3))
one("svd", (4, 3), domain=(-1.0, 1.0), call=lambda f, a: f(a, full_matrices=False))
one("svdvals", (4, 3), domain=(-1.0, 1.0))
one("eigh", domain=positive, call=lambda f, a: f(sym(a))[0])
one("eigvalsh", domain=positive, call=lambda f, a: f(sym(a)))
one("eig", call=lambda f, a: f(a)[0])
one("eigvals")
one("norm", (3, 4), domain=(-1.0, 1.0))
one("norm", (4,), domain=(0.3, 1.0), call=lambda f, a: f(a, 3))
one("polar")
one("orthogonal_procrustes", (4, 3), (4, 3), domain=(-1.0, 1.0), call=lambda f, a, b: f(a, b)[1])
one("expm", domain=small, complex=True)
one("expm_frechet", (3, 3), (3, 3), domain=small)
one("logm")
one("sqrtm")
for _name in ("cosm", "sinm", "tanm", "coshm", "sinhm", "tanhm"):
    one(_name, domain=small)
one("block_diag", (2, 2), (1, 3), domain=(-1.0, 1.0))
one("toeplitz", (3,), (4,), domain=(-1.0, 1.0))
one("hankel", (3,), (4,), domain=(-1.0, 1.0))
one("circulant", (4,), domain=(-1.0, 1.0))
one("khatri_rao", (2, 3), (4, 3), domain=(-1.0, 1.0))


# ── bands, and matrices of few numbers ────────────────────────────────────────


def banded(rng, shape):
    """Diagonals, in either order, of a symmetric positive definite matrix."""
    band = 0.3 * rng.normal(size=shape)
    band[0] += 3.0
    return band


def upside_down(rng, shape):
    return banded(rng, shape)[::-1].copy()


def corner(x, up):
    """A band without the corner outside the matrix, whose values SciPy leaves as they were."""
    row, j = numpy.arange(x.shape[0])[:, None], numpy.arange(x.shape[1])
    i = row - (x.shape[0] - 1 if up else 0) + j
    return x * ((i >= 0) & (i < x.shape[1]))


def well_apart(rng, shape):
    return numpy.arange(1.0, shape[0] + 1) + 0.1 * rng.normal(size=shape)


BAND_RHS = {"domain": (banded, (-1.0, 1.0)), "complex": True}
one("cholesky_banded", (3, 5), domain=banded, complex=True, call=lambda f, ab: corner(f(ab, lower=True), False))
one("cholesky_banded", (2, 4), domain=upside_down, complex=True, call=lambda f, ab: corner(f(ab), True))
one("cho_solve_banded", (3, 5), (5,), **BAND_RHS, call=lambda f, cb, b: f((cb, True), b))
one("cho_solve_banded", (2, 4), (4, 2), domain=(upside_down, (-1.0, 1.0)), call=lambda f, cb, b: f((cb, False), b))
one("solveh_banded", (3, 5), (5, 2), **BAND_RHS, call=lambda f, ab, b: f(ab, b, lower=True))
one("solveh_banded", (2, 4), (4,), domain=(upside_down, (-1.0, 1.0)))
one(
    "eigvals_banded",
    (2, 4),
    domain=lambda rng, s: numpy.stack([numpy.r_[0.0, small(rng, (s[1] - 1,))], well_apart(rng, s[1:])]),
)
one("eigvals_banded", (2, 4), domain=lambda rng, s: numpy.stack([well_apart(rng, s[1:]), small(rng, s[1:])]), complex=True,
    call=lambda f, ab: f(ab, lower=True, select="i", select_range=(1, 2)))  # fmt: skip
one("eigvalsh_tridiagonal", (4,), (3,), domain=(well_apart, small))
one(
    "eigvalsh_tridiagonal",
    (4,),
    (3,),
    domain=(well_apart, small),
    call=lambda f, d, e: f(d, e, select="i", select_range=(0, 1)),
)
one("eigvalsh_tridiagonal", (1,), (0,), domain=(well_apart, small))
one("solve_circulant", (4,), (4,), domain=(column, (-1.0, 1.0)), complex=True)
one("solve_circulant", (4,), (4, 2), domain=(column, (-1.0, 1.0)))
one("matmul_toeplitz", (4,), (4,), domain=(-1.0, 1.0), complex=True)
one("matmul_toeplitz", (3,), (4,), (4, 2), domain=(-1.0, 1.0), call=lambda f, c, r, x: f((c, r), x))
one("companion", (4,), domain=(0.5, 1.5), complex=True)
one("companion", (2,), domain=(0.5, 1.5))
one("leslie", (4,), (3,), domain=(0.1, 1.0))
one("fiedler", (4,), domain=well_apart)
for _mode in ("full", "same", "valid"):
    one("convolution_matrix", (4,), domain=(-1.0, 1.0), call=lambda f, a, m=_mode: f(a, 3, m))
    one("convolution_matrix", (2,), domain=(-1.0, 1.0), complex=True, call=lambda f, a, m=_mode: f(a, 5, m))
one("diagsvd", (3,), domain=(-1.0, 1.0), call=lambda f, s: f(s, 3, 4))
one("diagsvd", (2,), domain=(-1.0, 1.0), call=lambda f, s: f(s, 4, 2), complex=True)
one("fractional_matrix_power", call=lambda f, a: f(a, 0.3))
one("fractional_matrix_power", call=lambda f, a: f(a, -2), complex=True)
one("fractional_matrix_power", (3, 3), (), domain=(spread, (0.2, 0.8)), batch=False)
one("signm", domain=lambda rng, s: spread(rng, s) - 1.6 * numpy.eye(s[-1]))
