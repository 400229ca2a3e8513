"""scipy.linalg on Tensors: values against SciPy, both modes, second order and vmap against finite differences."""

import numpy as np
import pytest
import scipy.linalg

import wengert
import wengert.scipy
from wengert.core.errors import NotDifferentiable
from wengert.ops.matrix import anything, positive_definite, regular, spread
from wengert.transforms.forward import jvp_flat
from wengert.verify import names, rules
from wengert.verify.examples import Example

ours = wengert.scipy.linalg
CASES = []


def case(fun, *args, **options):
    CASES.append(Example("scipy.linalg", fun, *args, **options))


def sym(x):
    return (x + x.conj().swapaxes(-1, -2)) / 2


def both(domain=regular):
    return {"domain": (domain, anything), "complex": True}


def near_positive(rng, shape):
    return positive_definite(rng, shape) + 0.2 * rng.normal(size=shape)


for kwargs in ({}, {"transposed": True}, {"assume_a": "upper triangular"}, {"assume_a": "lower triangular"}):
    case(lambda sl, a, b, k=kwargs: sl.solve(a, b, **k), (3, 3), (3, 2), domain=(spread, anything))
case(lambda sl, a, b: sl.solve(a, b), (3, 3), (3,), **both())
case(lambda sl, a, b: sl.solve(sym(a), b, assume_a="pos"), (3, 3), (3, 2), **both(positive_definite))
for trans in (0, "T", 2):
    case(lambda sl, a, b, t=trans: sl.solve_triangular(a, b, trans=t, lower=True), (3, 3), (3, 2), **both(spread))
case(lambda sl, a, b: sl.solve_triangular(a, b, unit_diagonal=True), (3, 3), (3,), **both(spread))
case(lambda sl, a: sl.inv(a), (3, 3), domain=regular, complex=True)
case(lambda sl, a: sl.det(a), (3, 3), domain=regular, complex=True)
case(lambda sl, a, b: sl.lstsq(a, b)[:2], (4, 2), (4,), **both())
case(lambda sl, a: sl.pinv(a), (4, 2), domain=regular, complex=True)
case(lambda sl, a: sl.pinvh(sym(a)), (3, 3), domain=positive_definite, complex=True)
case(lambda sl, a: sl.norm(a, "nuc"), (3, 2), domain=regular, complex=True)
case(lambda sl, a: sl.cholesky(sym(a)), (3, 3), domain=positive_definite, complex=True)
case(lambda sl, a: sl.cholesky(sym(a), lower=True), (3, 3), domain=positive_definite, complex=True)
for low in (False, True):
    case(lambda sl, a, b, w=low: sl.cho_solve(sl.cho_factor(sym(a), w), b), (3, 3), (3,), **both(positive_definite))
for trans in (0, 1, 2):
    case(lambda sl, a, b, t=trans: sl.lu_solve(sl.lu_factor(a), b, t), (3, 3), (3, 2), **both())
case(lambda sl, a: sl.lu_factor(a), (4, 4), domain=regular, complex=True)
case(lambda sl, a: sl.lu(a), (3, 3), domain=regular, complex=True)
case(lambda sl, a: sl.lu(a, permute_l=True), (3, 3), domain=regular)
case(lambda sl, a: sl.lu(a, p_indices=True), (3, 3), domain=regular)
case(lambda sl, a: sl.qr(a, mode="economic"), (4, 2), domain=regular, complex=True)
case(lambda sl, a: sl.qr(a), (4, 3), domain=regular)
case(lambda sl, a: sl.qr(a, mode="r"), (4, 2), domain=regular)
case(lambda sl, a: sl.rq(a), (3, 3), domain=regular, batch=False)
case(lambda sl, a: sl.rq(a, mode="economic"), (2, 3), domain=regular, batch=False)
case(lambda sl, a: sl.svd(a), (3, 3), domain=regular)
case(lambda sl, a: sl.svd(a, full_matrices=False), (4, 2), domain=regular)
case(lambda sl, a: sl.svdvals(a), (4, 2), domain=regular, complex=True)
case(lambda sl, a: sl.eigvalsh(sym(a)), (3, 3), domain=positive_definite, complex=True)
case(lambda sl, a: sl.eigh(sym(a), eigvals_only=True, subset_by_index=(1, 2)), (3, 3), domain=positive_definite)


def pencil(sl, a, b):
    w, v = sl.eigh(sym(a), sym(b))
    return w, (v * np.arange(1.0, 4.0)) @ v.conj().T


def projectors(sl, a):
    w, v = sl.eigh(sym(a))
    return w, (v * np.arange(1.0, 4.0)) @ v.conj().T


case(pencil, (3, 3), (3, 3), domain=(spread, positive_definite), complex=True)
case(projectors, (3, 3), domain=positive_definite, complex=True)
case(lambda sl, a: sl.eig(a), (3, 3), domain=spread, complex=True)
case(lambda sl, a: sl.eigvals(a), (3, 3), domain=spread, complex=True)
case(lambda sl, a: sl.polar(a), (4, 2), domain=regular, complex=True)
case(lambda sl, a: sl.polar(a, side="left"), (2, 3), domain=regular, complex=True)
case(lambda sl, a, b: sl.orthogonal_procrustes(a, b), (4, 2), (4, 2))
case(lambda sl, a: sl.expm(a), (2, 3, 3), domain=(-1.0, 1.0), complex=True)
case(lambda sl, a, e: sl.expm_frechet(a, e), (3, 3), (3, 3), domain=((-1.0, 1.0), (-1.0, 1.0)))
case(lambda sl, a: sl.logm(a), (3, 3), domain=near_positive, complex=True)
case(lambda sl, a: sl.sqrtm(a), (3, 3), domain=near_positive, complex=True)
for name in ("cosm", "sinm", "tanm", "coshm", "sinhm", "tanhm"):
    case(lambda sl, a, n=name: getattr(sl, n)(a), (2, 2), domain=(-0.5, 0.5), complex=True)
case(
    lambda sl, a, b, q: sl.solve_sylvester(a, b, q),
    (3, 3),
    (2, 2),
    (3, 2),
    domain=(spread, spread, anything),
    complex=True,
)
case(lambda sl, a, q: sl.solve_continuous_lyapunov(a, q), (3, 3), (3, 3), **both(spread))
case(lambda sl, a, q: sl.solve_discrete_lyapunov(a, q), (3, 3), (3, 3), domain=((-0.3, 0.3), anything), complex=True)
case(lambda sl, c: sl.toeplitz(c), (4,), complex=True)
case(lambda sl, c, r: sl.toeplitz(c, r), (4,), (3,), complex=True)
case(lambda sl, c, r: sl.hankel(c, r), (4,), (3,), complex=True)
case(lambda sl, c: sl.hankel(c), (4,))
case(lambda sl, c: sl.circulant(c), (4,), complex=True)
case(lambda sl, a, b, c: sl.block_diag(a, b, c), (2, 3), (2,), (1, 1), complex=True)
case(lambda sl, a, b: sl.khatri_rao(a, b), (2, 3), (3, 3), complex=True)
case(lambda sl, c, b: sl.solve_toeplitz(c, b), (3,), (3,), domain=(lambda rng, s: np.array([3.0, 1.0, 0.5]), anything))
case(
    lambda sl, ab, b: sl.solve_banded((1, 1), ab, b),
    (3, 4),
    (4, 2),
    domain=(lambda rng, s: rng.normal(size=s) + np.array([[0.0], [4.0], [0.0]]), anything),
)


@pytest.mark.parametrize("i", range(len(CASES)))
@pytest.mark.parametrize("which", ["value", *names.CHECKS[1:]])
def test_case(i, which):
    example = CASES[i]
    for dtype in names.dtypes_of(example):
        run = names.call(example, ours, dtype)
        if which == "value":
            want = names.call(example, scipy.linalg, dtype)(*run.primals)
            got, _ = jvp_flat(run, run.primals, [np.ones_like(p) for p in run.primals])
            run.close("values", got, want, 1e-9, 1e-11)
            for g, w in zip(got, want, strict=True):
                assert g.dtype == w.dtype and g.shape == w.shape
        elif which == "batch":
            if example.batch:
                rules.check_batch(run)
        else:
            getattr(rules, f"check_{which}")(run)


def test_plain_arrays_get_scipys_own():
    a = np.diag([1.0, 2.0])
    assert ours.null_space(a).shape == (2, 0)
    assert np.array_equal(ours.expm(a), scipy.linalg.expm(a))
    assert ours.LinAlgError is scipy.linalg.LinAlgError


@pytest.mark.parametrize(
    "call", [ours.null_space, ours.orth, ours.schur, ours.ldl, lambda x: ours.qr(x, pivoting=True)]
)
def test_refusals_name_the_reason_and_a_remedy(call):
    with pytest.raises(NotDifferentiable, match=r"scipy\.linalg"):
        wengert.grad(lambda x: call(x)[0][0, 0])(np.diag([1.0, 2.0]))


def test_polar_factor_of_equal_singular_values():
    """U Vᴴ through an SVD would be NaN here; the polar factor has a derivative."""
    e = np.array([[0.0, 1.0], [0.0, 0.0]])
    _, (dot,) = jvp_flat(lambda x: [ours.polar(x)[0]], [2 * np.eye(2)], [e])
    np.testing.assert_allclose(dot, (e - e.T) / 4, atol=1e-14)


def test_expm_frechet_does_not_lose_digits_to_a_large_direction():
    rng = np.random.default_rng(0)
    a, e = rng.normal(size=(2, 4, 4))
    _, (small,) = jvp_flat(lambda x: [ours.expm(x)], [a], [e])
    _, (large,) = jvp_flat(lambda x: [ours.expm(x)], [a], [1e12 * e])
    np.testing.assert_allclose(large / 1e12, small, rtol=1e-12)
    np.testing.assert_allclose(small, scipy.linalg.expm_frechet(a, e)[1], rtol=1e-11)


def test_refused_and_served_names_cover_scipy():
    public = {n for n in scipy.linalg.__all__ if callable(getattr(scipy.linalg, n))}
    kinds = {n for n in public if isinstance(getattr(scipy.linalg, n), type)}
    assert public - kinds <= set(ours.NAMES)
    assert all(e.reason for e in ours.NAMES.values() if e.status != "differentiable")


def test_expm_against_jax():
    jax = pytest.importorskip("jax", reason="peer")
    import jax.scipy.linalg as peer

    jax.config.update("jax_enable_x64", True)
    a = np.random.default_rng(1).normal(size=(3, 3))
    want = jax.grad(lambda x: (peer.expm(x) ** 2).sum())(a)
    np.testing.assert_allclose(wengert.grad(lambda x: (ours.expm(x) ** 2).sum())(a), want, rtol=1e-9)


def test_polar_and_sylvester_of_no_matrices():
    from wengert.ops.matfunc import polar_factor, sylvester

    a, b, q = np.zeros((0, 3, 3)), np.zeros((0, 2, 2)), np.zeros((0, 3, 2))
    assert sylvester(a, b, q).shape == q.shape
    assert jvp_flat(lambda a: [polar_factor(a)], [a], [a])[1][0].shape == a.shape


@pytest.mark.parametrize("name", ["expm", "logm", "sqrtm"])
def test_matrices_whose_norm_overflows(name):
    # SciPy's logm never returns from one.
    a = np.eye(2) + np.finfo(float).max * np.array([[0.0, 1.0], [0.0, 1.0]])
    with np.errstate(all="ignore"):
        assert np.isnan(getattr(wengert.ops.matfunc, name)(a)).all()
