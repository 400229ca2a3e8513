"""Half precision, where NumPy and ml_dtypes promote differently from the other floats: derivatives keep the primal's dtype."""

import numpy as np
import pytest

from wengert.transforms.batch import batch_flat
from wengert.transforms.forward import jvp_flat
from wengert.transforms.reverse import vjp_flat
from wengert.verify.catalog import load_ops

OPS = load_ops()
CALLS = {
    "maximum": ([[1.0, 2.0], [1.0, 0.0]], {}, [0.5, 1.0]),
    "clip": ([[0.5, 2.0], [0.5, 0.0], [1.0, 1.0]], {}, [0.5, 0.0]),
    "cummax": ([[1.0, 1.0, 0.5]], {"axis": 0}, [2.0, 1.0, 0.0]),
    "reduce_max": ([[1.0, 1.0, 0.5]], {"axes": (0,)}, [0.5, 0.5, 0.0]),
    "reduce_var": ([[1.0, 3.0]], {"axes": (0,), "ddof": 0}, [-1.0, 1.0]),
    "reduce_std": ([[1.0, 3.0]], {"axes": (0,), "ddof": 0}, [-0.5, 0.5]),
    "reduce_logsumexp": ([[1.0, 1.0]], {"axes": (0,)}, [0.5, 0.5]),
    "imag": ([[1.0, 2.0]], {}, [0.0, 0.0]),
}


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("name", CALLS)
def test_dtype_and_value(name, dtype):
    dtype = np.dtype(dtype) if dtype == "float16" else np.dtype(pytest.importorskip("ml_dtypes").bfloat16)
    values, params, want = CALLS[name]
    xs = [np.array(v, dtype) for v in values]
    op = OPS[name]
    outs, dots = jvp_flat(lambda *xs: [op(*xs, **params)], xs, [np.ones_like(x) for x in xs])
    assert (outs[0].dtype, dots[0].dtype) == (dtype, dtype)
    back = vjp_flat(lambda *xs: [op(*xs, **params)], xs)[1]([np.ones(np.shape(outs[0]), dtype)])
    assert all(b.dtype == dtype for b in back)
    np.testing.assert_allclose(back[0].astype(float), want, atol=0.02)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_convolution_of_a_batch(dtype):
    dtype = np.dtype(dtype) if dtype == "float16" else np.dtype(pytest.importorskip("ml_dtypes").bfloat16)
    x, y = np.array([[1, 2, 3], [4, 5, 6]], dtype), np.array([1, 2], dtype)
    (out,), _ = batch_flat(lambda x, y: [OPS["convolve"](x, y, mode="full")], [x, y], [True, False], 2)
    assert out.dtype == dtype
    np.testing.assert_array_equal(out.astype(float), [np.convolve(row, [1, 2]) for row in x.astype(float)])
