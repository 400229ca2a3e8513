"""Normalisation against PyTorch; constant rows, running statistics."""

import numpy as np
import pytest

import wengert as wg
from wengert import nn
from wengert.transforms.reverse import vjp_flat

torch = pytest.importorskip("torch", reason="PyTorch is the oracle")
F = torch.nn.functional


@pytest.mark.parametrize("shape", [(6,), (5, 6), (4, 5, 6)])
def test_layer_norm(shape, against_torch, rng):
    x, w, b = rng.normal(size=(3, 4, 5, 6)), rng.normal(size=shape), rng.normal(size=shape)
    against_torch(lambda x: nn.layer_norm(x, shape), lambda x: F.layer_norm(x, shape), x)
    against_torch(
        lambda x, w, b: nn.layer_norm(x, shape, w, b, eps=0.1),
        lambda x, w, b: F.layer_norm(x, shape, w, b, 0.1),
        x,
        w,
        b,
    )
    against_torch(lambda x, w: nn.rms_norm(x, shape, w), lambda x, w: F.rms_norm(x, shape, w), x, w)


def test_layer_norm_defaults_to_the_last_axis(rng):
    x = rng.normal(size=(3, 6))
    np.testing.assert_array_equal(nn.layer_norm(x), nn.layer_norm(x, 6))


@pytest.mark.parametrize("shape", [(5, 3), (4, 3, 5), (2, 3, 4, 5)])
def test_batch_norm(shape, against_torch, rng):
    x, w, b = rng.normal(size=shape), rng.normal(size=3), rng.normal(size=3)
    mean, var = rng.normal(size=3), rng.uniform(0.5, 2, 3)
    against_torch(
        lambda x, w, b: nn.batch_norm(x, None, None, w, b, training=True)[0],
        lambda x, w, b: F.batch_norm(x, None, None, w, b, training=True),
        x, w, b,
    )  # fmt: skip
    against_torch(
        lambda x, m, v, w, b: nn.batch_norm(x, m, v, w, b, training=False),
        lambda x, m, v, w, b: F.batch_norm(x, m.detach(), v.detach(), w, b) + 0 * (m.sum() + v.sum()),
        x, mean, var, w, b, gradients=False,
    )  # fmt: skip
    _, new_mean, new_var = nn.batch_norm(x, mean, var, training=True, momentum=0.3)
    running = torch.tensor(mean), torch.tensor(var)
    F.batch_norm(torch.tensor(x), *running, training=True, momentum=0.3)
    np.testing.assert_allclose(new_mean, running[0].numpy(), rtol=1e-12)
    np.testing.assert_allclose(new_var, running[1].numpy(), rtol=1e-12)


def test_running_statistics_carry_no_derivative(rng):
    x = rng.normal(size=(5, 3))
    _, _, variables = vjp_flat(lambda x: list(nn.batch_norm(x, np.zeros(3), np.ones(3), training=True)), [x])
    assert variables[0] is not None and variables[1] is None and variables[2] is None


def test_group_instance_and_local_response(against_torch, rng):
    x, w, b = rng.normal(size=(2, 6, 4, 5)), rng.normal(size=6), rng.normal(size=6)
    against_torch(lambda x, w, b: nn.group_norm(x, 3, w, b), lambda x, w, b: F.group_norm(x, 3, w, b), x, w, b)
    against_torch(
        lambda x, w, b: nn.instance_norm(x, w, b), lambda x, w, b: F.instance_norm(x, weight=w, bias=b), x, w, b
    )
    for size in (2, 3):
        against_torch(
            lambda x, size=size: nn.local_response_norm(x, size, 0.5),
            lambda x, size=size: F.local_response_norm(x, size, 0.5),
            x,
        )


@pytest.mark.parametrize("p", [1.0, 2.0, 3.0])
def test_normalize(p, against_torch, rng):
    against_torch(lambda x: nn.normalize(x, p, -1), lambda x: F.normalize(x, p, -1), rng.normal(size=(3, 4)))


def test_constant_rows_give_zero_and_finite_derivatives():
    x = np.array([[2.0, 2, 2], [1, 2, 4]])
    for fun in (nn.layer_norm, lambda x: nn.normalize(x - 2.0, axis=-1)):
        (y,), pullback, _ = vjp_flat(lambda x, fun=fun: [fun(x)], [x])
        np.testing.assert_array_equal(y[0], 0)
        assert np.isfinite(pullback([np.ones((2, 3))])[0]).all()


def test_float32_stays(rng):
    x = rng.normal(size=(2, 4, 3)).astype("f")
    for fun in (nn.layer_norm, nn.rms_norm, nn.instance_norm, lambda x: nn.batch_norm(x, training=True)[0]):
        (y,), pullback, _ = vjp_flat(lambda x, fun=fun: [fun(x)], [x])
        assert y.dtype == np.float32 and pullback([y])[0].dtype == np.float32


def test_errors():
    with pytest.raises(ValueError, match="last axes of x"):
        nn.layer_norm(np.ones((2, 3)), 2)
    with pytest.raises(ValueError, match="multiple of groups"):
        nn.group_norm(np.ones((2, 3)), 2)
    with pytest.raises(ValueError, match="at least 2 in training"):
        nn.batch_norm(np.ones((1, 3)), training=True)
    with pytest.raises(ValueError, match="needs running_mean"):
        nn.batch_norm(np.ones((2, 3)), training=False)


def test_a_row_without_spread_that_nobody_asked_for():
    # With eps = 0 a constant row divides by zero; a cotangent of zero still gives a gradient of zero.
    x = np.array([[1.0, 1.0, 1.0], [1.0, 2.0, 4.0]])
    with np.errstate(all="ignore"):
        got = wg.grad(
            lambda x: np.sum(np.where(np.ptp(x, axis=1, keepdims=True) > 0, nn.layer_norm(x, eps=0.0), 0.0) ** 3)
        )(x)
        want = wg.grad(lambda x: np.sum(nn.layer_norm(x, eps=0.0) ** 3))(x[1:])
    np.testing.assert_allclose(got, [[0.0, 0.0, 0.0], want[0]], rtol=1e-12)


def test_variance_of_a_row_without_spread():
    from wengert.ops.standardize import standardize
    from wengert.transforms.forward import jvp_flat

    x = np.array([[1.0, 1.0], [1.0, 3.0]])
    with np.errstate(all="ignore"):
        _, (_, _, dvar) = jvp_flat(
            lambda x: list(standardize(x, axes=(1,), eps=0.0)), [x], [np.array([[1.0, 0.0]] * 2)]
        )
    np.testing.assert_array_equal(dvar, [0.0, -1.0])
