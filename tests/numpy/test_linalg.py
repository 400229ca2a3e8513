"""numpy.linalg at degenerate points, in its conventions, and against peers."""

import numpy as np
import pytest
from numpy.linalg import LinAlgError

import wengert
import wengert.numpy as wnp
from wengert.core.errors import ConcretizationError, NotDifferentiable
from wengert.numpy.registry import NAMES
from wengert.ops.matrix import positive_definite, regular
from wengert.transforms.forward import jvp_flat
from wengert.transforms.reverse import vjp_flat
from wengert.verify.reference import differences

RNG = np.random.default_rng(0)


def pulled(fun, x, ct=None):
    """The cotangent of x, for a cotangent (default: ones) of the output."""
    outs, pullback, _ = vjp_flat(lambda x: [fun(x)], [x])
    return pullback([np.ones(outs[0].shape, outs[0].dtype) if ct is None else ct])[0]


def hessian(fun, x, v):
    """H v, forward over reverse."""
    (dot,) = jvp_flat(lambda x: [pulled(fun, x)], [x], [v])[1]
    return np.zeros_like(x) if dot is None else dot


def test_every_public_name_is_served():
    public = {n for n in np.linalg.__all__ if n not in ("LinAlgError", "LinAlgWarning")}
    assert {n for n in public if f"linalg.{n}" not in NAMES} == set()
    assert wnp.linalg.LinAlgError is LinAlgError
    assert wnp.linalg.matrix_rank is NAMES["linalg.matrix_rank"].function


# ── norms at zero ─────────────────────────────────────────────────────────────

VECTOR = [None, 2, 1, 3, 1.5, np.inf, -np.inf, 0.5, 0]
MATRIX = [None, "fro", "nuc", 2, -2, 1, -1, np.inf, -np.inf]


@pytest.mark.parametrize("ord", VECTOR)
@pytest.mark.parametrize("dtype", [float, complex])
def test_vector_norm_at_zero_has_subgradient_zero_and_no_nan_in_second_order(ord, dtype):
    x, v = np.zeros(4, dtype), np.arange(4.0).astype(dtype)
    gradient = pulled(lambda x: np.linalg.norm(x, ord), x)
    assert gradient.dtype == dtype
    assert np.array_equal(gradient, np.zeros(4))
    assert np.isfinite(hessian(lambda x: np.linalg.norm(x, ord), x, v)).all()


@pytest.mark.parametrize("ord", MATRIX)
def test_matrix_norm_at_zero(ord):
    x, v = np.zeros((3, 2)), RNG.normal(size=(3, 2))
    assert np.array_equal(pulled(lambda x: np.linalg.norm(x, ord), x), np.zeros((3, 2)))
    assert np.isfinite(hessian(lambda x: np.linalg.norm(x, ord), x, v)).all()


@pytest.mark.parametrize("ord", [3, 1.5, 2, 1])
def test_norm_with_some_zero_elements(ord):
    x = np.array([0.0, 2.0, -1.0])
    gradient = pulled(lambda x: np.linalg.norm(x, ord), x)
    want = np.sign(x) * (np.abs(x) / np.linalg.norm(x, ord)) ** (ord - 1)
    np.testing.assert_allclose(gradient, np.where(x == 0, 0, want))
    assert np.isfinite(hessian(lambda x: np.linalg.norm(x, ord), x, np.ones(3))).all()


def test_ties_of_the_largest_singular_value_share():
    np.testing.assert_allclose(pulled(lambda x: np.linalg.norm(x, 2), 3.0 * np.eye(3)), np.eye(3) / 3, atol=1e-15)


def test_nuclear_norm_of_a_singular_matrix_takes_the_smallest_subgradient():
    x = np.diag([2.0, 0.0])
    np.testing.assert_allclose(pulled(lambda x: np.linalg.norm(x, "nuc"), x), np.diag([1.0, 0.0]))


def test_empty_axes():
    assert np.array_equal(pulled(lambda x: np.linalg.norm(x, np.inf, axis=1), np.zeros((2, 0))), np.zeros((2, 0)))


# ── determinants ──────────────────────────────────────────────────────────────


@pytest.mark.parametrize("rank", [0, 1, 2, 3])
def test_first_and_second_derivative_of_det_at_every_rank(rank):
    a = RNG.normal(size=(4, rank)) @ RNG.normal(size=(rank, 4)) if rank else np.zeros((4, 4))
    v = RNG.normal(size=(4, 4))

    def cofactors(m):
        minor = [
            [np.linalg.det(np.delete(np.delete(m, i, 0), j, 1)) * (-1) ** (i + j) for j in range(4)] for i in range(4)
        ]
        return np.array(minor)

    np.testing.assert_allclose(pulled(np.linalg.det, a), cofactors(a), atol=1e-12)
    (want,) = differences(lambda t: [cofactors(a + t * v)]).value
    np.testing.assert_allclose(hessian(np.linalg.det, a, v), want, atol=1e-8)


def test_third_derivative_of_det_of_a_singular_matrix_raises():
    a, v = np.diag([1.0, 2.0, 0.0]), RNG.normal(size=(3, 3))
    with pytest.raises(LinAlgError):
        jvp_flat(lambda x: [hessian(np.linalg.det, x, v)], [a], [v])


def test_unselected_logdet_of_a_singular_matrix_is_a_strong_zero():
    a = np.stack([np.diag([1.0, 2.0]), np.zeros((2, 2))])
    keep = np.array([True, False])
    back = pulled(lambda a: np.where(keep, np.linalg.slogdet(a)[1], 0.0), a)
    np.testing.assert_allclose(back, [np.diag([1.0, 0.5]), np.zeros((2, 2))])


# ── one triangle ──────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "fun",
    [
        np.linalg.cholesky,
        lambda a: np.linalg.cholesky(a, upper=True),
        np.linalg.eigvalsh,
        lambda a: np.linalg.eigvalsh(a, "U"),
    ],
)
def test_gradients_of_symmetric_arguments_are_symmetric(fun):
    a = positive_definite(RNG, (3, 3)).real
    ct = RNG.normal(size=np.shape(fun(a)))
    back = pulled(fun, a, ct)
    np.testing.assert_allclose(back, back.T, atol=1e-14)
    v = RNG.normal(size=(3, 3))
    (want,) = differences(lambda t: [fun(a + t * (v + v.T))]).value
    np.testing.assert_allclose(np.sum(back * (v + v.T)), np.sum(ct * want), rtol=1e-7)


@pytest.mark.parametrize("upper", [False, True])
def test_unsymmetric_argument_is_read_from_its_triangle(upper):
    a = positive_definite(RNG, (3, 3)).real
    half = np.triu(a) if upper else np.tril(a)
    fun = lambda a: np.linalg.cholesky(a, upper=upper)
    ct = RNG.normal(size=(3, 3))
    outs, pullback, _ = vjp_flat(lambda a: [fun(a)], [half])
    np.testing.assert_allclose(outs[0], fun(half))
    (back,) = pullback([ct])
    v = RNG.normal(size=(3, 3))
    (want,) = differences(lambda t: [fun(half + t * v)]).value
    np.testing.assert_allclose(np.sum(back * v), np.sum(ct * want), rtol=1e-7)
    assert np.array_equal(back, np.triu(back) if upper else np.tril(back))


# ── degenerate spectra ────────────────────────────────────────────────────────


def test_eigenvalues_of_degenerate_matrices_have_derivatives():
    np.testing.assert_allclose(pulled(lambda a: np.linalg.eigvalsh(a).sum(), np.eye(3)), np.eye(3), atol=1e-15)
    np.testing.assert_allclose(pulled(lambda a: (np.linalg.eigh(a)[0] ** 2).sum(), 2 * np.eye(3)), 4 * np.eye(3))
    np.testing.assert_allclose(pulled(lambda a: np.linalg.svd(a)[1].prod(), np.eye(3)), np.eye(3), atol=1e-15)


@pytest.mark.parametrize(
    "fun",
    [
        lambda a: (lambda w, v: (v * np.exp(w)) @ v.T)(*np.linalg.eigh(a)),
        lambda a: (lambda u, s, vh: (u * s**2) @ vh)(*np.linalg.svd(a)),
    ],
)
def test_functions_through_degenerate_vectors_are_nan_and_never_a_wrong_number(fun):
    """d exp(A)[E] = e E at A = 1; by way of degenerate eigenvectors it cannot be found, and a zero would be wrong."""
    assert np.isnan(pulled(fun, np.eye(3), RNG.normal(size=(3, 3)))).any()
    nearly = np.eye(3) + 1e-17 * RNG.normal(size=(3, 3))
    assert np.isnan(pulled(fun, nearly, RNG.normal(size=(3, 3)))).any()


def test_small_singular_values_apart_are_resolved():
    """Their squares differ by less than rounding of the largest square."""
    u, _, vh = np.linalg.svd(RNG.normal(size=(3, 3)))
    a = (u * [1.0, 3e-9, 1e-9]) @ vh
    ct = RNG.normal(size=(3, 3))
    back = pulled(lambda a: np.linalg.svd(a)[0], a, ct)
    assert np.isfinite(back).all()
    v = u @ np.diag([0.0, 1e-9, 2e-9]) @ vh + 1e-9 * RNG.normal(size=(3, 3))
    (want,) = differences(lambda t: [np.linalg.svd(a + t * v)[0]]).value
    # The singular values themselves are known to seven digits, and differences divide that by the step of 1e-3.
    np.testing.assert_allclose(np.sum(back * v), np.sum(ct * want), rtol=1e-3)


def test_hermitian_svd_of_eigenvalues_of_equal_modulus_apart():
    a = np.array([[1.5, 1.0], [1.0, -1.0]])
    back = pulled(lambda a: np.linalg.svd((a + a.T) / 2, hermitian=True)[0], a, np.ones((2, 2)))
    v = RNG.normal(size=(2, 2))
    (want,) = differences(lambda t: [np.linalg.svd((a + a.T + t * (v + v.T)) / 2, hermitian=True)[0]]).value
    np.testing.assert_allclose(np.sum(back * v), want.sum(), rtol=1e-7)


def test_defective_matrix_raises():
    with pytest.raises(LinAlgError):
        pulled(lambda a: np.linalg.eigvals(a).real.sum(), np.array([[1.0, 1.0], [0.0, 1.0]]))


def test_eig_is_real_where_numpys_is():
    rotation = np.array([[0.0, 1.0], [-1.0, 0.0]])
    for a in (np.diag([1.0, 2.0]), rotation):
        (w, v), _ = jvp_flat(lambda a: list(np.linalg.eig(a)), [a], [np.ones((2, 2))])
        assert w.dtype == v.dtype == np.linalg.eig(a)[0].dtype


# ── results, errors, refusals ─────────────────────────────────────────────────


def test_results_have_numpys_names():
    a = positive_definite(RNG, (3, 3)).real

    def fun(a):
        return (
            np.linalg.eigh(a).eigenvalues.sum()
            + np.linalg.svd(a).S.sum()
            + np.linalg.qr(a).R[0, 0]
            + np.linalg.slogdet(a).logabsdet
            + np.real(np.linalg.eig(a).eigenvectors[0, 0])
        )

    assert wengert.grad(fun)(a).shape == (3, 3)


def test_lstsq_returns_all_four():
    a, b = RNG.normal(size=(5, 2)), RNG.normal(size=5)
    want = np.linalg.lstsq(a, b)
    got, _ = jvp_flat(lambda a: list(np.linalg.lstsq(a, b)), [a], [a])
    assert got[2] == want[2] and got[2].dtype == want[2].dtype
    for g, w in zip(got, want, strict=True):
        np.testing.assert_allclose(g, w)
    deficient = np.ones((5, 2))
    got, _ = jvp_flat(lambda b: list(np.linalg.lstsq(deficient, b)), [b], [b])
    assert got[1].shape == (0,) and got[2] == 1


def test_lstsq_of_different_ranks_under_vmap_raises():
    a = np.stack([np.ones((3, 2)), RNG.normal(size=(3, 2))])
    with pytest.raises(ConcretizationError, match="ranks"):
        wengert.vmap(lambda a: np.linalg.lstsq(a, np.ones(3))[1])(a)


@pytest.mark.parametrize(
    "call",
    [
        lambda x: np.linalg.inv(x),
        lambda x: np.linalg.det(x),
        lambda x: np.linalg.cholesky(x),
        lambda x: np.linalg.eigh(x),
        lambda x: np.linalg.solve(x, x),
        lambda x: np.linalg.inv(x[:, 0]),
        lambda x: np.linalg.inv(x[:2] * 0.0),
        lambda x: np.linalg.cholesky(-np.eye(2) + 0 * x[:2]),
    ],
)
def test_errors_are_numpys(call):
    with pytest.raises(LinAlgError):
        pulled(call, np.ones((3, 2)))


def test_raw_qr_is_refused_with_a_remedy():
    with pytest.raises(NotDifferentiable, match="mode='reduced'"):
        pulled(lambda x: np.linalg.qr(x, mode="raw")[0], np.eye(2))


@pytest.mark.parametrize("order", ["weird", 7])
def test_invalid_norm_orders(order):
    with pytest.raises(ValueError, match="Invalid norm order"):
        pulled(lambda x: np.linalg.norm(x, order, axis=(0, 1)), np.eye(2))


FLOAT32 = [
    np.linalg.inv,
    np.linalg.det,
    lambda a: np.linalg.slogdet(a)[1],
    np.linalg.pinv,
    lambda a: np.linalg.solve(a, a[0]),
    lambda a: np.linalg.cholesky(a @ a.T + np.eye(3, dtype="f4")),
    lambda a: np.linalg.qr(a)[0],
    lambda a: np.linalg.svd(a)[0],
    lambda a: np.linalg.eigh(a + a.T)[1],
    lambda a: np.linalg.eig(a)[0].real,
    lambda a: np.linalg.norm(a, 3, axis=0),
    lambda a: np.linalg.norm(a, "nuc"),
    lambda a: np.linalg.lstsq(a, a)[0],
    np.linalg.cond,
]


@pytest.mark.parametrize("fun", FLOAT32)
def test_float32_values_and_gradients_stay_float32(fun):
    a = regular(np.random.default_rng(3), (3, 3)).astype("f4")
    outs, pullback, _ = vjp_flat(lambda a: [fun(a)], [a])
    want = fun(a)
    assert outs[0].dtype == want.dtype == np.float32
    back = pullback([np.ones_like(want)])[0]
    assert back.dtype == np.float32
    double = vjp_flat(lambda a: [fun(a)], [a.astype("f8")])[1]([np.ones(want.shape)])[0]
    np.testing.assert_allclose(back, double, rtol=2e-3, atol=2e-3)


# ── peers ─────────────────────────────────────────────────────────────────────


def hermitian(a):
    return (a + a.conj().swapaxes(-1, -2)) / 2


def peers_of(np):
    def projector(a):
        w, v = np.linalg.eigh(hermitian(a))
        return (v * np.exp(w)) @ v.conj().T

    def low_rank(a):
        u, s, vh = np.linalg.svd(a, full_matrices=False)
        return (u * s**2) @ vh

    return {
        "inv": np.linalg.inv,
        "det": np.linalg.det,
        "slogdet": lambda a: np.linalg.slogdet(a)[1],
        "sign": lambda a: np.linalg.slogdet(a)[0],
        "pinv": lambda a: np.linalg.pinv(a[:, :2]),
        "cholesky": lambda a: np.linalg.cholesky(hermitian(a)),
        "qr": lambda a: np.linalg.qr(a[:, :2])[0],
        "eigh": projector,
        "svd": low_rank,
        "eigvals": lambda a: (np.linalg.eigvals(a) ** 3).sum(),
        "norm": lambda a: np.linalg.norm(a, "nuc"),
        "power": lambda a: np.linalg.matrix_power(a, -2),
    }


@pytest.mark.parametrize("name", list(peers_of(np)))
@pytest.mark.parametrize("kind", [float, complex])
def test_cotangents_equal_those_of_jax(name, kind):
    """JAX's cotangents pair without a conjugate, as ours do inside the library."""
    jax = pytest.importorskip("jax", reason="peer")
    jax.config.update("jax_enable_x64", True)
    rng = np.random.default_rng(5)
    a = positive_definite(rng, (3, 3)) + 0.1 * rng.normal(size=(3, 3))
    a = a if kind is complex else a.real
    want, pull = jax.vjp(peers_of(jax.numpy)[name], a)
    fun = peers_of(np)[name]
    outs, pullback, _ = vjp_flat(lambda a: [fun(a)], [a])
    np.testing.assert_allclose(outs[0], want, rtol=1e-10, atol=1e-12)
    ct = rng.normal(size=want.shape).astype(outs[0].dtype)
    if kind is complex and outs[0].dtype.kind == "c":
        ct = ct + 1j * rng.normal(size=want.shape)
    np.testing.assert_allclose(pullback([ct])[0], pull(jax.numpy.asarray(ct, want.dtype))[0], rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("name", ["inv", "det", "pinv", "cholesky", "qr", "eigh", "svd"])
@pytest.mark.parametrize("kind", [float, complex])
def test_cotangents_equal_those_of_torch(name, kind):
    """PyTorch's gradients are conjugates of ours: it pairs by Re Σ conj(g)·t."""
    torch = pytest.importorskip("torch", reason="peer")
    rng = np.random.default_rng(6)
    a = positive_definite(rng, (3, 3)) + 0.1 * rng.normal(size=(3, 3))
    a = a if kind is complex else a.real
    x = torch.tensor(a, requires_grad=True)
    peer = peers_of(torch)[name](x)
    ct = rng.normal(size=tuple(peer.shape)) + (1j * rng.normal(size=tuple(peer.shape)) if kind is complex else 0)
    peer.backward(torch.tensor(ct.conj()))
    fun = peers_of(np)[name]
    back = vjp_flat(lambda a: [fun(a)], [a])[1]([np.asarray(ct)])[0]
    np.testing.assert_allclose(back.conj(), x.grad.numpy(), rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
def test_norm_of_an_infinite_complex_number(dtype):
    x = np.array([complex(np.inf, 0.0), 1.0], dtype)
    assert wnp.linalg.norm(x) == np.linalg.norm(x) == np.inf


def test_third_derivative_of_small_determinants():
    # det of a 2×2 matrix is quadratic: its third derivative is zero, at a singular matrix too.
    a, e = np.array([[1.0, 2.0], [2.0, 4.0]]), np.array([[1.0, 2.0], [3.0, 5.0]])
    second = wengert.grad(lambda a: np.sum(wengert.grad(np.linalg.det)(a) * e))
    np.testing.assert_allclose(second(a), [[5.0, -3.0], [-2.0, 1.0]])
    np.testing.assert_array_equal(wengert.grad(lambda a: np.sum(second(a) * e))(a), np.zeros((2, 2)))
