"""Activations against PyTorch; kinks, masks, extreme arguments."""

import numpy as np
import pytest

from wengert import nn
from wengert.transforms.reverse import record, vjp_flat

torch = pytest.importorskip("torch", reason="PyTorch is the oracle")
F = torch.nn.functional

PAIRS = {
    "relu": (nn.relu, F.relu),
    "relu6": (nn.relu6, F.relu6),
    "leaky_relu": (lambda x: nn.leaky_relu(x, 0.2), lambda x: F.leaky_relu(x, 0.2)),
    "leaky_relu steep": (lambda x: nn.leaky_relu(x, 2.0), lambda x: F.leaky_relu(x, 2.0)),
    "elu": (lambda x: nn.elu(x, 0.7), lambda x: F.elu(x, 0.7)),
    "selu": (nn.selu, F.selu),
    "celu": (lambda x: nn.celu(x, 0.7), lambda x: F.celu(x, 0.7)),
    "gelu": (nn.gelu, F.gelu),
    "gelu tanh": (lambda x: nn.gelu(x, "tanh"), lambda x: F.gelu(x, approximate="tanh")),
    "silu": (nn.silu, F.silu),
    "mish": (nn.mish, F.mish),
    "softplus": (nn.softplus, F.softplus),
    "softplus beta": (lambda x: nn.softplus(x, 3.0), lambda x: F.softplus(x, 3.0, threshold=1000)),
    "softsign": (nn.softsign, F.softsign),
    "sigmoid": (nn.sigmoid, torch.sigmoid),
    "log_sigmoid": (nn.log_sigmoid, F.logsigmoid),
    "tanh": (nn.tanh, torch.tanh),
    "tanhshrink": (nn.tanhshrink, F.tanhshrink),
    "hardtanh": (lambda x: nn.hardtanh(x, -0.5, 2), lambda x: F.hardtanh(x, -0.5, 2)),
    "hardsigmoid": (nn.hardsigmoid, F.hardsigmoid),
    "hardswish": (nn.hardswish, F.hardswish),
    "hardshrink": (nn.hardshrink, F.hardshrink),
    "softshrink": (nn.softshrink, F.softshrink),
    "threshold": (lambda x: nn.threshold(x, 0.3, 7.0), lambda x: F.threshold(x, 0.3, 7.0)),
    "glu": (lambda x: nn.glu(x, 0), lambda x: F.glu(x, 0)),
    "softmax": (lambda x: nn.softmax(x, 0), lambda x: F.softmax(x, 0)),
    "softmin": (lambda x: nn.softmin(x, -1), lambda x: F.softmin(x, -1)),
    "log_softmax": (lambda x: nn.log_softmax(x, 1), lambda x: F.log_softmax(x, 1)),
    "logsumexp": (lambda x: nn.logsumexp(x, (0, 1)), lambda x: torch.logsumexp(x, (0, 1))),
    "logsumexp kept": (lambda x: nn.logsumexp(x, -1, keepdims=True), lambda x: torch.logsumexp(x, -1, keepdim=True)),
    "maxout": (lambda x: nn.maxout(x, 3), lambda x: x.reshape(4, 2, 3).max(-1).values),
}


@pytest.mark.parametrize("name", PAIRS)
def test_values_and_gradients(name, against_torch, rng):
    ours, theirs = PAIRS[name]
    # PyTorch keeps 1/6 and 1/alpha of these two in single precision, whatever the operand's.
    rtol = 1e-7 if name in ("celu", "hardsigmoid") else 1e-9
    against_torch(ours, theirs, rng.normal(0, 2.5, (4, 6)), rtol=rtol)


@pytest.mark.parametrize(
    "name",
    [
        n
        for n in PAIRS
        if n not in ("glu", "maxout", "softmax", "softmin", "log_softmax", "logsumexp kept", "logsumexp")
    ],
)
def test_dtype_and_scalars(name):
    ours, _ = PAIRS[name]
    assert ours(np.ones((2, 2), np.float32)).dtype == np.float32
    (out,), pullback, _ = vjp_flat(lambda x: [ours(x)], [np.ones((2, 2), np.float32)])
    assert out.dtype == np.float32
    assert pullback([np.ones((2, 2), np.float32)])[0].dtype == np.float32
    assert np.shape(ours(0.3)) == ()
    assert np.asarray(ours(np.arange(3))).dtype == np.float64
    assert type(ours(np.float64(0.3))) is np.float64


def test_prelu(against_torch, rng):
    x = rng.normal(size=(2, 3, 4))
    against_torch(nn.prelu, F.prelu, x, rng.normal(size=3))
    against_torch(nn.prelu, F.prelu, x, rng.normal(size=1))
    against_torch(nn.prelu, F.prelu, x[:, :, 0], rng.normal(size=3))


KINKS = {
    "relu": (nn.relu, F.relu, 0.0),
    "relu6 low": (nn.relu6, F.relu6, 0.0),
    "relu6 high": (nn.relu6, F.relu6, 6.0),
    "leaky_relu": (nn.leaky_relu, F.leaky_relu, 0.0),
    "elu": (lambda x: nn.elu(x, 0.5), lambda x: F.elu(x, 0.5), 0.0),
    "elu smooth": (nn.elu, F.elu, 0.0),
    "hardtanh": (nn.hardtanh, F.hardtanh, -1.0),
    "hardsigmoid": (nn.hardsigmoid, F.hardsigmoid, 3.0),
    "softshrink": (nn.softshrink, F.softshrink, 0.5),
    "softsign": (nn.softsign, F.softsign, 0.0),
}


@pytest.mark.parametrize("name", KINKS)
def test_derivative_at_kink_is_pytorchs(name, against_torch):
    ours, theirs, at = KINKS[name]
    against_torch(ours, theirs, np.array([at]), rtol=1e-7 if name == "hardsigmoid" else 1e-9)


@pytest.mark.parametrize(
    "fun", [nn.sigmoid, nn.softplus, nn.log_sigmoid, nn.softmax, nn.log_softmax, nn.logsumexp, nn.gelu, nn.elu, nn.tanh]
)
def test_extreme_arguments_stay_finite(fun):
    x = np.array([-1000.0, -50.0, 0.0, 50.0, 1000.0])
    with np.errstate(all="raise", under="ignore"):
        (out,), pullback, _ = vjp_flat(lambda x: [fun(x)], [x])
    assert np.isfinite(out).all()
    assert np.isfinite(pullback([np.ones(np.shape(out))])[0]).all()


def test_tails_keep_relative_accuracy():
    mpmath = pytest.importorskip("mpmath", reason="mpmath is the oracle")
    x = np.array([-30.0, -20.0, -5.0])
    mpmath.mp.dps = 40
    want = [float(1 / (1 + mpmath.exp(-mpmath.mpf(v)))) for v in x]
    np.testing.assert_allclose(nn.sigmoid(x), want, rtol=1e-15)
    want = [float(mpmath.log1p(mpmath.exp(mpmath.mpf(v)))) for v in x]
    np.testing.assert_allclose(nn.softplus(x), want, rtol=1e-15)
    want = [float(mpmath.mpf(v) * mpmath.ncdf(mpmath.mpf(v))) for v in x]
    np.testing.assert_allclose(nn.gelu(x), want, rtol=1e-13)


def test_masked_elements_have_zero_probability_and_derivative(rng):
    x = rng.normal(size=(3, 4))
    x[0, 1:3] = -np.inf
    (p,), pullback, _ = vjp_flat(lambda x: [nn.softmax(x)], [x])
    assert (p[0, 1:3] == 0).all()
    (back,) = pullback([rng.normal(size=(3, 4))])
    assert np.isfinite(back).all() and (back[0, 1:3] == 0).all()
    np.testing.assert_allclose(p[0, [0, 3]], nn.softmax(x[0, [0, 3]]))


def test_fully_masked_rows():
    x = np.array([[-np.inf, -np.inf], [0.0, 1.0]])
    for fun, row in ((nn.softmax, [0, 0]), (nn.log_softmax, [-np.inf, -np.inf])):
        (out,), pullback, _ = vjp_flat(lambda x, fun=fun: [fun(x)], [x])
        np.testing.assert_array_equal(out[0], row)
        assert np.isfinite(pullback([np.ones((2, 2))])[0]).all()
    (out,), pullback, _ = vjp_flat(lambda x: [nn.logsumexp(x, -1)], [x])
    assert out[0] == -np.inf
    np.testing.assert_array_equal(pullback([np.ones(2)])[0][0], [0, 0])


def test_infinite_cotangent_of_unselected_element_is_dropped():
    _, pullback, _ = vjp_flat(lambda x: [nn.relu(x)], [np.array([-1.0, 2.0])])
    np.testing.assert_array_equal(pullback([np.array([np.inf, 1.0])])[0], [0, 1])


def test_relu_keeps_its_output_alone():
    x = np.linspace(-1, 1, 1000)
    (out,), tape = record(lambda x: [nn.relu(x)], [x])
    (eqn,) = tape.program.equations()
    assert eqn.out is tape.lower(out) and eqn.xs == [None]


def test_errors():
    with pytest.raises(ValueError, match="even length"):
        nn.glu(np.ones(3))
    with pytest.raises(ValueError, match="multiple of 2"):
        nn.maxout(np.ones(3), 2)
    with pytest.raises(ValueError, match="approximate='erf'"):
        nn.gelu(np.ones(3), "erf")
