"""Linear algebra. Functions of complex eigenvectors and singular vectors are made independent of their phases."""

from __future__ import annotations

import numpy
from numpy import inf

from wengert.ops.matrix import anything, positive_definite, regular, spread
from wengert.verify.examples import example

away = (0.3, 2.0)


def sym(np, x):
    """The Hermitian part."""
    return (x + x.conj().swapaxes(-1, -2)) / 2


def projectors(np, v, vh):
    """Phases of vectors cancel in v vᴴ, weighted to tell the vectors apart."""
    return (v * numpy.arange(1.0, 1 + v.shape[-1])) @ vh


def two(name, fun, *shapes, domain=(regular, anything), **options):
    example(name, fun, *shapes, domain=domain, **options)


# systems
two("linalg.solve", lambda np, a, b: np.linalg.solve(a, b), (3, 3), (3, 2), complex=True)
two("linalg.solve", lambda np, a, b: np.linalg.solve(a, b), (2, 3, 3), (3,), complex=True)
two("linalg.solve", lambda np, a, b: np.linalg.solve(a, b), (2, 3, 3), (2, 3, 1))
example("linalg.inv", lambda np, a: np.linalg.inv(a), (2, 3, 3), domain=regular, complex=True)
example("linalg.det", lambda np, a: np.linalg.det(a), (2, 3, 3), domain=regular, complex=True)
example("linalg.det", lambda np, a: np.linalg.det(a[:, :1] * a[:1, :]), (3, 3), domain=regular)
example("linalg.slogdet", lambda np, a: np.linalg.slogdet(a), (2, 3, 3), domain=regular, complex=True)
example("linalg.slogdet", lambda np, a: np.linalg.slogdet(a).logabsdet, (3, 3), domain=regular)
example("linalg.pinv", lambda np, a: np.linalg.pinv(a), (2, 4, 3), domain=regular, complex=True)
example("linalg.pinv", lambda np, a: np.linalg.pinv(a, rcond=[1e-12, 1e-10]), (2, 2, 3), domain=regular)
example("linalg.pinv", lambda np, a: np.linalg.pinv(a, rtol=None), (3, 3), domain=regular)
example(
    "linalg.pinv",
    lambda np, a: np.linalg.pinv(sym(np, a), hermitian=True),
    (3, 3),
    domain=positive_definite,
    complex=True,
)
two("linalg.lstsq", lambda np, a, b: np.linalg.lstsq(a, b), (4, 2), (4, 2), complex=True)
two("linalg.lstsq", lambda np, a, b: np.linalg.lstsq(a, b), (4, 2), (4,))
two("linalg.lstsq", lambda np, a, b: np.linalg.lstsq(a, b, rcond=1e-10), (2, 3), (2, 1))
two("linalg.tensorsolve", lambda np, a, b: np.linalg.tensorsolve(a.reshape(2, 3, 6), b), (6, 6), (2, 3), complex=True)
two(
    "linalg.tensorsolve",
    lambda np, a, b: np.linalg.tensorsolve(a.reshape(2, 3, 3, 2), b, axes=(0, 1)),
    (6, 6),
    (3, 2),
)
example("linalg.tensorinv", lambda np, a: np.linalg.tensorinv(a.reshape(2, 3, 6)), (6, 6), domain=regular, complex=True)
example("linalg.tensorinv", lambda np, a: np.linalg.tensorinv(a.reshape(4, 2, 2), ind=1), (4, 4), domain=regular)
for _n in (0, 1, 2, 5, -1, -3):
    example(
        "linalg.matrix_power",
        lambda np, a, n=_n: np.linalg.matrix_power(a, n),
        (2, 3, 3),
        domain=regular,
        complex=_n == -3,
    )

# factorizations
_spd = {"domain": positive_definite, "complex": True}
example("linalg.cholesky", lambda np, a: np.linalg.cholesky(sym(np, a)), (2, 3, 3), **_spd)
example("linalg.cholesky", lambda np, a: np.linalg.cholesky(sym(np, a), upper=True), (3, 3), **_spd)
example("linalg.cholesky", lambda np, a: np.linalg.cholesky(a), (3, 3), domain=spread)
example("linalg.cholesky", lambda np, a: np.linalg.cholesky(a, upper=True), (3, 3), domain=spread)
for _shape in ((3, 3), (4, 2), (2, 2, 3)):
    example("linalg.qr", lambda np, a: np.linalg.qr(a), _shape, domain=regular, complex=True)
example("linalg.qr", lambda np, a: np.linalg.qr(a, "r"), (4, 3), domain=regular)
example("linalg.qr", lambda np, a: np.linalg.qr(a, "complete"), (4, 3), domain=regular)
example("linalg.qr", lambda np, a: np.linalg.qr(a, "complete"), (2, 3), domain=regular)
example("linalg.svd", lambda np, a: np.linalg.svd(a), (2, 3, 3), domain=regular)
example("linalg.svd", lambda np, a: np.linalg.svd(a, full_matrices=False), (4, 2), domain=regular)
example("linalg.svd", lambda np, a: np.linalg.svd(a), (2, 3), domain=regular)
example("linalg.svd", lambda np, a: np.linalg.svd(a, compute_uv=False), (4, 3), domain=regular, complex=True)


def _svd_projectors(np, a):
    u, s, vh = np.linalg.svd(a, full_matrices=False)
    return projectors(np, u, vh), s, projectors(np, u, u.conj().swapaxes(-1, -2))


def _svd_complements(np, a):
    u, _, vh = np.linalg.svd(a)
    k = min(a.shape[-2:])
    u, vh = u[..., k:], vh[..., k:, :]
    return u @ u.conj().swapaxes(-1, -2), vh.conj().swapaxes(-1, -2) @ vh


for _shape in ((3, 3), (4, 2), (2, 2, 4)):
    example("linalg.svd", _svd_projectors, _shape, domain=regular, complex=True)
for _shape in ((5, 2), (2, 2, 4)):
    example("linalg.svd", _svd_complements, _shape, domain=regular, complex=True)


def _indefinite(rng, shape):
    return positive_definite(rng, shape) - 3.5 * numpy.eye(shape[-1])


example("linalg.svd", lambda np, a: np.linalg.svd(sym(np, a), hermitian=True), (3, 3), domain=_indefinite)
example(
    "linalg.svd",
    lambda np, a: np.linalg.svd(sym(np, a), compute_uv=False, hermitian=True),
    (2, 3, 3),
    domain=_indefinite,
    complex=True,
)
example("linalg.svdvals", lambda np, a: np.linalg.svdvals(a), (2, 3, 2), domain=regular, complex=True)


def _eigh_projectors(np, a):
    w, v = np.linalg.eigh(sym(np, a))
    return w, projectors(np, v, v.conj().swapaxes(-1, -2))


example("linalg.eigh", _eigh_projectors, (2, 3, 3), **_spd)
example("linalg.eigh", lambda np, a: np.linalg.eigh(sym(np, a)), (3, 3), domain=positive_definite)
example("linalg.eigh", lambda np, a: np.linalg.eigh(a, UPLO="U"), (3, 3), domain=spread)
example("linalg.eigh", lambda np, a: np.linalg.eigh(a).eigenvalues, (3, 3), domain=spread, complex=True)
example("linalg.eigvalsh", lambda np, a: np.linalg.eigvalsh(sym(np, a)), (2, 3, 3), **_spd)
example("linalg.eig", lambda np, a: np.linalg.eig(a), (2, 3, 3), domain=spread, complex=True)


def _rotating(rng, shape):
    """Real, with two conjugate pairs of eigenvalues."""
    blocks = numpy.kron(numpy.diag([1.0, 3.0]), numpy.array([[1.0, 2.0], [-1.5, 0.5]]))
    return blocks + 0.2 * rng.normal(size=shape)


example("linalg.eig", lambda np, a: np.linalg.eig(a), (4, 4), domain=_rotating)
example("linalg.eigvals", lambda np, a: np.linalg.eigvals(a), (4, 4), domain=_rotating, complex=True)

# norms
for _ord in (None, inf, -inf, 0, 1, -1, 2, -2, 3, 0.5):
    example("linalg.norm", lambda np, x, o=_ord: np.linalg.norm(x, o, axis=-1), (3, 4), domain=away, complex=True)
    example(
        "linalg.vector_norm",
        lambda np, x, o=_ord or 2: np.linalg.vector_norm(x, axis=(2, 0), ord=o),
        (2, 3, 2),
        domain=away,
    )
for _ord in (None, "fro", "nuc", inf, -inf, 1, -1, 2, -2):
    example("linalg.norm", lambda np, x, o=_ord: np.linalg.norm(x, o), (3, 2), domain=regular, complex=True)
    example(
        "linalg.norm", lambda np, x, o=_ord: np.linalg.norm(x, o, axis=(2, 0), keepdims=True), (2, 3, 4), domain=away
    )
    example("linalg.cond", lambda np, x, o=_ord: np.linalg.cond(x, o), (2, 3, 3), domain=regular, complex=True)
example("linalg.norm", lambda np, x: np.linalg.norm(x), (2, 3, 2), complex=True)
example("linalg.norm", lambda np, x: np.linalg.norm(x, keepdims=True), (2, 3))
example("linalg.norm", lambda np, x: np.linalg.norm(x, 1), (4,), domain=away)
example("linalg.vector_norm", lambda np, x: np.linalg.vector_norm(x, keepdims=True), (2, 3), complex=True)
example("linalg.matrix_norm", lambda np, x: np.linalg.matrix_norm(x), (2, 3, 2), complex=True)
example("linalg.matrix_norm", lambda np, x: np.linalg.matrix_norm(x, ord="nuc", keepdims=True), (3, 2), domain=regular)
example("linalg.cond", lambda np, x: np.linalg.cond(x), (4, 3), domain=regular)

# parts and products
example("linalg.matrix_rank", lambda np, x: x * np.linalg.matrix_rank(x), (3, 2), batch=False)
example("linalg.matrix_transpose", lambda np, x: np.linalg.matrix_transpose(x), (2, 3, 4), complex=True)
example("linalg.diagonal", lambda np, x: np.linalg.diagonal(x, offset=1), (2, 3, 4), complex=True)
example("linalg.trace", lambda np, x: np.linalg.trace(x, offset=-1), (2, 3, 4), complex=True)
