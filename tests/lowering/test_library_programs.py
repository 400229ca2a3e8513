"""Library kernels where they are used: in compiled functions, among other operations."""

import numpy as np
import pytest

import wengert as wg
import wengert.numpy as wnp
from wengert.core.form import Library
from wengert.core.op import Op
from wengert.lowering.library import EMITTERS
from wengert.ops import contract, conv, factor, index, scan, solve

OPS = {
    v.name: v
    for module in (contract, conv, factor, index, scan, solve)
    for v in vars(module).values()
    if isinstance(v, Op) and v.name in EMITTERS
}


def test_every_emitter_has_an_op():
    assert set(OPS) == set(EMITTERS)
    for name, op in OPS.items():
        assert callable(op.lower) or op.lower == Library(name)


@pytest.mark.parametrize("name", sorted(EMITTERS))
def test_samples_compiled(name):
    op, rng = OPS[name], np.random.default_rng(0)
    for sample in op.samples:
        arrays = sample.build(rng, np.float64)
        got = wg.jit(lambda *xs, op=op, params=sample.params: op(*xs, **params))(*arrays)
        want = op.eval(*arrays, **sample.params)
        for g, w in zip(got, want, strict=True) if op.multi else [(got, want)]:
            np.testing.assert_allclose(g, w, rtol=1e-9, atol=1e-11)


def test_gradients_through_kernels():
    rng = np.random.default_rng(1)
    a = rng.normal(size=(40, 3, 3)) + 3 * np.eye(3)
    b = rng.normal(size=(40, 3, 1))
    i = rng.integers(-3, 3, 50)
    x, y = rng.normal(size=(2, 20, 30))

    def check(f, *args):
        np.testing.assert_allclose(wg.jit(wg.grad(f))(*args), wg.grad(f)(*args), rtol=1e-9, atol=1e-11)

    check(lambda a: wnp.sum(wnp.linalg.slogdet(a)[1] + wnp.linalg.det(a)), a)
    check(lambda a, b: wnp.sum(wnp.linalg.solve(a, b) ** 2), a, b)
    check(lambda a: wnp.sum(wnp.linalg.cholesky(a @ wnp.swapaxes(a, -1, -2)) ** 2), a)
    check(lambda a: wnp.sum(a[i] ** 2 * a[i, 0, 1][:, None, None]), a)
    check(lambda x, y: wnp.sum(wnp.tanh(x @ y.T) @ y), x, y)
    check(lambda x, y: wnp.sum(wnp.einsum("bij,bkj->bik", x.reshape(4, 5, 30), y.reshape(4, 5, 30)) ** 2), x, y)
    check(lambda x: wnp.sum(wnp.cumprod(x, axis=1)), x)


def test_errors_are_those_of_the_eager_op():
    with pytest.raises(np.linalg.LinAlgError, match=r"^Singular matrix"):
        wg.jit(lambda a: 2 * wnp.linalg.inv(a))(np.zeros((3, 3)))
    with pytest.raises(np.linalg.LinAlgError, match=r"^Matrix is not positive definite"):
        wg.jit(lambda a: 2 * wnp.linalg.cholesky(a))(-np.eye(20))


def test_kernels_are_named():
    x = np.ones((64, 64))
    shown = str(wg.jit(lambda x: wnp.tanh(x @ x)).explain(x))
    assert "matmul" in shown and "register tiles" in shown and "0 host calls" in shown
