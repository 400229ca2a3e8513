"""vmap against loops: axes, pytrees, nesting, constants, refusals; per-example gradients."""

import numpy as np
import pytest
import scipy.linalg

import wengert as wg

RNG = np.random.default_rng(0)
A = RNG.normal(size=(4, 3))
B = RNG.normal(size=(3, 4, 2))


def test_against_a_loop():
    got = wg.vmap(lambda a, b: np.tanh(a) @ b, in_axes=(0, 1))(A, B)
    np.testing.assert_allclose(got, np.stack([np.tanh(A[i]) @ B[:, i] for i in range(4)]), rtol=1e-14)


def test_shared_arguments_out_axes_and_negative_axes():
    got = wg.vmap(lambda a, c: np.outer(a, c), in_axes=(-2, None), out_axes=-1)(A, np.arange(2.0))
    assert got.shape == (3, 2, 4)
    np.testing.assert_allclose(got[..., 1], np.outer(A[1], np.arange(2.0)))


def test_pytree_axes_and_outputs():
    got = wg.vmap(lambda p: {"s": p["a"].sum(), "k": 7.0}, in_axes=({"a": 0},))({"a": A})
    np.testing.assert_allclose(got["s"], A.sum(1))
    np.testing.assert_array_equal(got["k"], np.full(4, 7.0))


def test_nested():
    got = wg.vmap(wg.vmap(lambda x, y: x * y, (None, 0)), (0, None))(A[:, 0], A[0])
    np.testing.assert_allclose(got, np.outer(A[:, 0], A[0]))


def test_comparisons_selection_and_argmax_are_per_example():
    got = wg.vmap(lambda a: np.where(a > 0, a, 0.0)[np.argmax(a)])(A)
    np.testing.assert_allclose(got, np.maximum(A, 0)[np.arange(4), A.argmax(1)])


def test_branch_on_a_value_raises():
    with pytest.raises(wg.errors.ConcretizationError, match=r"vmap(.|\n)*numpy\.where"):
        wg.vmap(lambda a: a if a.sum() > 0 else -a)(A)


def test_size_errors():
    with pytest.raises(wg.errors.ShapeError, match="different numbers of examples"):
        wg.vmap(lambda a, b: a)(A, B)
    with pytest.raises(wg.errors.ShapeError, match="in_axes=None"):
        wg.vmap(lambda a: a)(1.0)
    with pytest.raises(wg.errors.ShapeError, match="no mapped argument"):
        wg.vmap(lambda a: a, in_axes=None)(A)


def test_writes_inside():
    def fill(a):
        out = np.zeros_like(a)
        out[0] = a[1] * 2
        out[1:] += a[0]
        return out

    np.testing.assert_allclose(wg.vmap(fill)(A), np.stack([fill(a) for a in A]))
    np.testing.assert_allclose(wg.vmap(wg.grad(lambda a: np.sum(fill(a) ** 2)))(A),
                               np.stack([wg.grad(lambda a: np.sum(fill(a) ** 2))(a) for a in A]))  # fmt: skip


def test_per_example_grad():
    def loss(p, x, y):
        return (p["w"] @ x - y) ** 2

    p, y = {"w": np.arange(3.0)}, RNG.normal(size=4)
    got = wg.per_example_grad(loss)(p, A, y)["w"]
    np.testing.assert_allclose(got, 2 * (A @ p["w"] - y)[:, None] * A, rtol=1e-13)


@pytest.mark.parametrize("outer, inner", [((0, 0), (0, 0)), ((0, None), (None, 0)), ((None, 0), (0, None))])
def test_nested_interpolation(outer, inner):
    x = RNG.uniform(size=(2, 3, 5) if (outer[0], inner[0]) == (0, 0) else (2, 5) if outer[0] == 0 else (3, 5))
    xp = np.sort(RNG.uniform(size=(2, 3, 4) if (outer[1], inner[1]) == (0, 0) else (2, 4) if outer[1] == 0 else (3, 4)))
    got = wg.vmap(wg.vmap(lambda x, xp: np.interp(x, xp, xp**2), in_axes=inner), in_axes=outer)(x, xp)
    for i in range(2):
        for j in range(3):
            one, points = (a[(i,) * (outer[k] == 0) + (j,) * (inner[k] == 0)] for k, a in enumerate((x, xp)))
            np.testing.assert_allclose(got[i, j], np.interp(one, points, points**2), rtol=1e-14)


def test_gradient_through_a_batch_of_directions():
    # The directions are batched, the matrix is not: the pullback joins blocks of both.
    a, e = 0.3 * RNG.normal(size=(3, 3)), RNG.normal(size=(4, 3, 3))

    def one(a, e):
        return np.sum(np.sin(wg.jvp(scipy.linalg.expm, (a,), (e,))[1]))

    got = wg.grad(lambda a: np.sum(wg.vmap(lambda e: one(a, e))(e)))(a)
    np.testing.assert_allclose(got, sum(wg.grad(one)(a, x) for x in e), rtol=1e-12)


def test_convolution_of_infinite_values():
    x, y = np.array([[1.0, np.inf, 2.0], [1.0, 2.0, 3.0]]), np.array([1.0, np.inf])
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(wg.vmap(lambda x: np.convolve(x, y))(x), [np.convolve(row, y) for row in x])


def test_roots_at_zero_come_last():
    p = np.array([[1.0, 0.0, 4.0, 0.0], [1.0, -3.0, 2.0, 0.0], [1.0, 2.0, -1.0, 3.0]])
    np.testing.assert_allclose(wg.vmap(np.roots)(p), [np.roots(row) for row in p], atol=1e-12)
