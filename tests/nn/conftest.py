"""PyTorch as the oracle of values and gradients."""

import numpy as np
import pytest

from wengert.transforms.reverse import vjp_flat


@pytest.fixture
def against_torch():
    """Call with our function, PyTorch's, and float arrays: values and all gradients must agree."""
    torch = pytest.importorskip("torch", reason="PyTorch is the oracle")

    def compare(ours, theirs, *arrays, rtol=1e-9, atol=1e-11, gradients=True):
        tensors = [torch.tensor(a, requires_grad=gradients) for a in arrays]
        want = theirs(*tensors)
        (got,), pullback, _ = vjp_flat(lambda *xs: [ours(*xs)], arrays)
        np.testing.assert_allclose(ours(*arrays), want.detach().numpy(), rtol=rtol, atol=atol)
        np.testing.assert_allclose(got, want.detach().numpy(), rtol=rtol, atol=atol)
        assert np.shape(got) == tuple(want.shape)
        if not gradients:
            return
        ct = np.random.default_rng(7).normal(size=np.shape(got))
        grads = torch.autograd.grad(want, tensors, torch.tensor(ct), allow_unused=True)
        for mine, theirs_, a in zip(pullback([ct]), grads, arrays, strict=True):
            expected = np.zeros(a.shape) if theirs_ is None else theirs_.numpy()
            np.testing.assert_allclose(mine, expected, rtol=rtol, atol=atol)

    return compare


@pytest.fixture
def rng():
    return np.random.default_rng(0)
