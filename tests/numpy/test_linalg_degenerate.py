"""Linear algebra at degenerate and ill-conditioned points: right to what the conditioning allows, or loud."""

import dataclasses

import numpy as np
import pytest
import scipy.linalg
from numpy.linalg import LinAlgError

import wengert.scipy.linalg as sl
from wengert.transforms.forward import jvp_flat
from wengert.transforms.reverse import vjp_flat
from wengert.verify.reference import differences

RNG = np.random.default_rng(0)
DEPENDENT = np.array([[1.0, 2.0, 3.0], [2.0, 4.0, 1.0], [1.0, 2.0, 5.0]])  # R has 1e-16 on its diagonal, not 0


def pushed(fun, a, v):
    """The tangent of the first output."""
    return np.asarray(jvp_flat(lambda a: [fun(a)], [a], [v])[1][0])


def pulled(fun, a):
    outs, pullback, _ = vjp_flat(lambda a: [fun(a)], [a])
    return pullback([np.ones(outs[0].shape, outs[0].dtype)])[0]


# ── everything against 80 digits ──────────────────────────────────────────────


@pytest.fixture(scope="module")
def rows():
    pytest.importorskip("mpmath", reason="the oracle")
    from wengert.verify.oracles import degenerate

    return degenerate.measure()


def test_no_derivative_is_finite_and_wrong(rows):
    assert [r for r in rows if r.outcome == "WRONG"] == []


def test_most_are_right_and_the_bounds_mean_something(rows):
    right = [r for r in rows if r.outcome == "right"]
    assert len(right) > 350
    assert np.median([r.bound for r in right]) < 1e-9
    assert {r.name for r in rows} >= {
        f"linalg.{n}" for n in "solve inv det slogdet pinv lstsq qr cholesky eigh svd norm".split()
    }


def test_beyond_is_for_those_that_go_through_vectors_and_for_lost_causes(rows):
    beyond = {(r.name, r.case.split(",")[0]) for r in rows if r.outcome == "beyond"}
    allowed = ("V exp(Λ) Vᵀ", "U σ³ Vᵀ", "Σλ²", "Σ exp λ", "Σ log λ", "Hilbert 10")
    assert all(case in allowed for _, case in beyond), beyond
    assert all(r.mode == "second" for r in rows if r.outcome == "beyond" and r.case.startswith(("Σλ²", "Σ exp")))


def test_a_wrong_derivative_is_noticed(rows):
    from wengert.verify.oracles import degenerate
    from wengert.verify.oracles.degenerate_cases import cases

    case = next(c for c in cases() if c.name == "linalg.solve" and c.label == "Hilbert 4")
    wrong = dataclasses.replace(case, ours=lambda a, b: np.linalg.solve(a, b) + 1e-6 * np.linalg.solve(a.T @ a, b))
    assert {r.outcome for r in degenerate._rows(wrong)} == {"WRONG"}
    loud = dataclasses.replace(case, expect="loud", second="loud")
    assert {r.outcome for r in degenerate._rows(loud)} == {"WRONG"}


# ── what rounding must not make up ────────────────────────────────────────────


@pytest.mark.parametrize("take", [pulled, lambda f, a: pushed(f, a, np.ones(a.shape))])
@pytest.mark.parametrize(
    "fun, a",
    [
        (lambda a: np.linalg.qr(a)[0], DEPENDENT),
        (lambda a: np.linalg.qr(a)[1], DEPENDENT.astype("f4")),
        (lambda a: np.linalg.qr(a)[0], np.hstack([DEPENDENT[:2, :2], RNG.normal(size=(2, 2))])),
        (lambda a: sl.lu(a, permute_l=True)[0], 0.1 * DEPENDENT),
        (lambda a: sl.polar(a)[0], np.diag([2.0, 1.0, 0.0])),
        (lambda a: sl.polar(a)[0], DEPENDENT),
        (lambda a: sl.solve_sylvester(a, -a.T, np.eye(3)), DEPENDENT),
        (lambda a: sl.solve_continuous_lyapunov(a, np.eye(2)), np.array([[0.0, 1.0], [-1.0, 0.0]])),
    ],
)
def test_derivatives_that_need_full_rank_raise_to_working_precision(fun, a, take):
    with pytest.raises(LinAlgError):
        take(fun, a)


def test_columns_and_rows_of_different_scale_are_no_lack_of_rank():
    low = np.array([[1.0, 0.0], [0.5, 1.0]])
    for a in (low * [1.0, 1e-20], low[:, ::-1] * [1e-20, 1.0]):
        assert np.isfinite(pulled(lambda a: np.linalg.qr(a)[1], a)).all()
    a = low.T * [[1e20], [1.0]]
    assert np.isfinite(pulled(lambda a: sl.lu(a, permute_l=True)[1], a)).all()


@pytest.mark.parametrize("fun", [sl.sqrtm, sl.logm])
@pytest.mark.parametrize("a", [np.diag([0.0, 1.0]), np.zeros((2, 2)), np.array([[1.0, 2.0], [2.0, 4.0]])])
@pytest.mark.filterwarnings("ignore")
def test_root_and_logarithm_of_singular_matrices_have_no_derivative(fun, a):
    assert np.isnan(pushed(fun, a, np.ones((2, 2)))).all()
    assert np.isnan(pulled(lambda x: np.real(fun(x)), a)).all()


def test_root_of_a_triangular_matrix_of_many_scales_has_one():
    a, v = np.array([[1.0, 1e3], [0.0, 1e-16]]), np.diag([1.0, 1e-16])
    (want,) = differences(lambda t: [scipy.linalg.sqrtm(a + float(t) * v)]).value
    np.testing.assert_allclose(pushed(sl.sqrtm, a, v), want, rtol=1e-8)


def test_second_derivatives_of_the_polar_factor_do_not_feel_one_small_singular_value(rows):
    """Only the sums σᵢ + σⱼ of pairs i ≠ j count."""
    (row,) = [r for r in rows if r.name == "scipy.linalg.polar" and r.case == "U, σ to 1e-8" and r.mode == "second"]
    assert row.error < 1e-9


def test_vectors_of_nearly_defective_matrices_have_no_derivative():
    q = np.linalg.qr(RNG.normal(size=(3, 3)))[0]
    a = q @ (np.eye(3) + np.eye(3, k=1)) @ q.T
    squares = lambda a: np.sum(np.linalg.eigvals(a) ** 2).real
    np.testing.assert_allclose(pulled(squares, a), 2 * a.T, atol=1e-3)  # eigenvalues alone: as far as κ(V) allows
    assert np.isnan(jvp_flat(lambda a: [pulled(squares, a)], [a], [np.ones((3, 3))])[1][0]).all()
    assert np.isnan(pulled(lambda a: np.abs(np.linalg.eig(a)[1]), a)).any()


def test_sylvester_of_real_and_complex_matrices():
    """A real Schur form is no triangular matrix for LAPACK's complex solver."""
    a = RNG.normal(size=(2, 2)) + 5 + 1j * RNG.normal(size=(2, 2))
    b, q = np.array([[1.0, 2.0], [-3.0, 1.0]]), RNG.normal(size=(2, 2))
    (x,), _ = jvp_flat(lambda q: [sl.solve_sylvester(a, b, q)], [q], [q])
    np.testing.assert_allclose(a @ x + x @ b, q, atol=1e-12)
    (y,), _ = jvp_flat(lambda q: [sl.solve_sylvester(b, a, q)], [q], [q])
    np.testing.assert_allclose(b @ y + y @ a, q, atol=1e-12)
