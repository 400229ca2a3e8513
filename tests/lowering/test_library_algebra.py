"""Linear algebra as library kernels, against NumPy, SciPy and the ops themselves."""

import numpy as np
import pytest

from wengert.lowering.library import EMITTERS
from wengert.ops.factor import cholesky, lu
from wengert.ops.solve import det, det_cofactor, inv, slogdet, solve, solve_triangular

OPS = [inv, det, det_cofactor, slogdet, solve, solve_triangular, cholesky, lu]
DTYPES = [np.float32, np.float64]
STACKS = [(), (19,), (2, 3)]


def near(got, want, dtype, condition=1.0):
    scale = np.finfo(dtype).eps * 30 * condition
    assert got.shape == np.shape(want) and got.dtype == np.asarray(want).dtype
    np.testing.assert_allclose(got, want, rtol=scale, atol=scale * max(1e-30, np.max(np.abs(want), initial=0)))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("op", OPS, ids=lambda op: op.name)
def test_samples(emitted, op, dtype):
    rng = np.random.default_rng(0)
    for sample in op.samples:
        arrays = sample.build(rng, dtype)
        got = emitted(op, *arrays, **sample.params)
        if got is None:
            assert op in (det, slogdet) and arrays[0].shape == (0, 0), sample
            continue
        want = op.eval(*arrays, **sample.params)
        for g, w in zip(got, want, strict=True) if op.multi else [(got, want)]:
            near(g, np.asarray(w), dtype, 50) if op not in (det, det_cofactor) else np.testing.assert_allclose(
                g, w, 1e-3, 1e-5
            )


def regular(rng, stack, n, dtype):
    return (rng.normal(size=(*stack, n, n)) + 3 * np.eye(n)).astype(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("stack", STACKS)
@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 16, 30])
def test_stacks(emitted, stack, n, dtype):
    rng = np.random.default_rng(n)
    a = regular(rng, stack, n, dtype)
    cond = float(np.max(np.linalg.cond(a.astype(float))))
    near(emitted(inv, a), np.linalg.inv(a), dtype, cond)
    near(emitted(det, a), np.linalg.det(a), dtype, cond)
    if n <= 4:
        near(emitted(det_cofactor, a), det_cofactor.eval(a), dtype, cond)
    for g, w in zip(emitted(slogdet, a), np.linalg.slogdet(a)):
        near(g, w, dtype, cond)
    for k in (1, 5):
        for shape in ((*stack, n, k), (4, *(1,) * len(stack), n, k)):
            b = rng.normal(size=shape).astype(dtype)
            near(emitted(solve, a, b), np.linalg.solve(a, b), dtype, cond)
            for lower, unit in ((True, k == 1), (False, k != 1)):
                t = np.tril(a) if lower else np.triu(a)
                if unit:
                    t[..., range(n), range(n)] = 1
                c = float(np.max(np.linalg.cond(t.astype(float))))
                got = emitted(solve_triangular, a, b, lower=lower, unit=unit)
                near(got, np.linalg.solve(t, b), dtype, c)
    s = a @ a.swapaxes(-1, -2) + np.eye(n, dtype=dtype)
    near(emitted(cholesky, s), np.linalg.cholesky(s), dtype, cond**2)
    for g, w in zip(emitted(lu, a), lu.eval(a)):
        near(g, w, dtype, cond)


@pytest.mark.parametrize("n", [2, 3, 4, 6])
def test_errors_are_as_small_as_lapacks(emitted, n):
    """Matrices with condition numbers up to 1e12: residuals relative to sizes, as backward stability has them."""
    rng = np.random.default_rng(n)
    count = 300
    u, v = (np.linalg.qr(rng.normal(size=(count, n, n)))[0] for _ in range(2))
    s = 10.0 ** np.linspace(0, -np.arange(count) / count * 12, n).T
    a = (u * s[:, None, :]) @ v
    a[::3, 0, 0] = 0  # what cannot do without pivoting
    b = rng.normal(size=(count, n, 1))

    def residual(x):
        return np.abs(a @ x - b).max((1, 2)) / (np.abs(a).sum(2).max(1) * np.abs(x).max((1, 2)))

    ours, theirs = residual(emitted(solve, a, b)), residual(np.linalg.solve(a, b))
    assert ours.max() < 8 * max(theirs.max(), 1e-16)

    def distance(x):
        return np.abs(a @ x - np.eye(n)).max((1, 2)) / (np.linalg.cond(a) * 1e-16)

    ours, theirs = distance(emitted(inv, a)), distance(np.linalg.inv(a))
    assert ours.max() < 8 * theirs.max()


@pytest.mark.parametrize("n", [1, 2, 3, 4, 6])
@pytest.mark.parametrize("stack", [(), (21,)])
def test_singular_matrices(emitted, n, stack):
    rng = np.random.default_rng(0)
    a = regular(rng, stack, n, float)
    at = (13,) if stack else ()
    a[at] = 0
    a[at][..., 0, :] = 2.0 if n > 1 else 0.0
    for op, args in ((inv, (a,)), (solve, (a, rng.normal(size=(n, 1))))):
        with pytest.raises(np.linalg.LinAlgError, match=r"^Singular matrix$"):
            emitted(op, *args)
    with pytest.raises(np.linalg.LinAlgError, match=r"^Singular matrix$"):
        emitted(inv, a, singular="refuse")
    got = emitted(inv, a, singular="infinite")
    near(np.where(np.isinf(got), 1, got), np.where(np.isinf(w := inv.eval(a, singular="infinite")), 1, w), float, 100)
    assert np.isinf(got[at]).all() and np.isinf(got).sum() == n * n
    near(emitted(det, a), np.linalg.det(a), float, 100)
    sign, log = emitted(slogdet, a)
    assert sign[at] == 0 and log[at] == -np.inf
    near(np.where(np.isinf(log), 0, log), np.where(np.isinf(w := np.linalg.slogdet(a)[1]), 0, w), float, 100)


def test_matrices_that_are_singular_to_working_precision_are_refused(emitted):
    for n in (3, 7):
        a = np.eye(n) + np.ones((n, n))
        emitted(inv, a, singular="refuse")
        a[0] = a[1] * (1 + 1e-15)
        a[0, 0] *= 1 + 1e-14
        with pytest.raises(np.linalg.LinAlgError, match="working precision"):
            inv.eval(a, singular="refuse")
        with pytest.raises(np.linalg.LinAlgError, match="working precision"):
            emitted(inv, a, singular="refuse")


@pytest.mark.parametrize("n", [1, 3, 4, 7])
def test_what_has_no_cholesky_factor(emitted, n):
    a = np.stack([np.eye(n)] * 19)
    a[11, n - 1, n - 1] = -1
    with pytest.raises(np.linalg.LinAlgError, match=r"^Matrix is not positive definite$"):
        emitted(cholesky, a)
    a[11, n - 1, n - 1] = np.nan
    np.testing.assert_array_equal(emitted(cholesky, a), np.linalg.cholesky(a))


@pytest.mark.parametrize("n", [3, 7, 100])
def test_zeros_on_the_diagonal_of_triangles(emitted, n):
    a, b = np.eye(n), np.ones((n, 2))
    a[1, 1] = 0
    with pytest.raises(np.linalg.LinAlgError) as eager:
        solve_triangular.eval(a, b, lower=True)
    with pytest.raises(np.linalg.LinAlgError) as native:
        emitted(solve_triangular, a, b, lower=True)
    assert n > 64 or str(native.value) == str(eager.value)
    near(emitted(solve_triangular, a, b, lower=True, unit=True), b, float)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", [2, 4, 8, 40])
def test_determinants_whose_partial_products_overflow(emitted, n, dtype):
    big = np.finfo(dtype).max ** 0.7
    d = np.array([big, 1 / big] * (n // 2) if n < 8 else [big] * (n // 2) + [1 / big] * (n // 2))
    a = np.stack([np.diag(d[np.random.default_rng(i).permutation(n)]) for i in range(9)]).astype(dtype)
    near(emitted(det, a), np.ones(9, dtype), dtype, n)
    sign, log = emitted(slogdet, a * dtype(2))
    np.testing.assert_allclose(log, n * np.log(2), rtol=np.finfo(dtype).eps * 200 * n)
    assert (sign == 1).all()


@pytest.mark.parametrize("n", [3, 6])
def test_nans_and_infinities(emitted, n):
    a = np.stack([np.eye(n) + 0.1] * 9)
    a[4, 1, 1] = np.nan
    assert np.isnan(emitted(det, a)[4]) and np.isfinite(np.delete(emitted(det, a), 4)).all()
    sign, log = emitted(slogdet, a)
    assert (
        (sign == 1).all()
        and np.isnan(log[4])
        and np.isnan(emitted(inv, a)[4]).any()
        and np.isfinite(np.delete(emitted(inv, a), 4, 0)).all()
    )


def test_names():
    assert {op.name for op in OPS} <= set(EMITTERS)
