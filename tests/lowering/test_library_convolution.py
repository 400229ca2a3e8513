"""Convolutions as library kernels, against the ops and against sums written out."""

import numpy as np
import pytest

from wengert.ops.conv import conv, conv_input, conv_kernel, positions

DTYPES = [np.float32, np.float64]


def close(got, want, dtype, terms=100):
    scale = np.finfo(dtype).eps * terms
    assert got.shape == want.shape and got.dtype == want.dtype
    np.testing.assert_allclose(got, want, rtol=scale, atol=scale * max(1, np.max(np.abs(want), initial=0)))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("op", [conv, conv_input, conv_kernel], ids=lambda op: op.name)
def test_samples(emitted, op, dtype):
    rng = np.random.default_rng(0)
    for sample in op.samples:
        arrays = sample.build(rng, dtype)
        got = emitted(op, *arrays, **sample.params)
        assert got is not None, sample
        close(got, op.eval(*arrays, **sample.params), dtype)


CASES = [
    # x (N, G, C, *S), w (G, O, C, *K), strides, padding, dilation
    ((2, 1, 3, 20), (1, 9, 3, 4), (1,), ((0, 0),), (1,)),
    ((2, 1, 3, 200), (1, 5, 3, 4), (3,), ((2, 1),), (2,)),
    ((1, 2, 3, 14, 14), (2, 17, 3, 3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1)),
    ((2, 1, 4, 9, 31), (1, 8, 4, 3, 3), (1, 1), ((0, 0), (0, 0)), (1, 1)),
    ((2, 1, 4, 11, 70), (1, 3, 4, 3, 5), (2, 2), ((1, 0), (2, 3)), (1, 2)),
    ((1, 1, 2, 7, 7), (1, 2, 2, 1, 1), (1, 1), ((0, 0), (0, 0)), (1, 1)),
    ((1, 1, 2, 7, 7), (1, 2, 2, 1, 1), (2, 3), ((0, 0), (0, 0)), (1, 1)),
    ((2, 1, 2, 5, 6, 7), (1, 3, 2, 2, 3, 2), (1, 2, 1), ((1, 0), (0, 1), (1, 1)), (2, 1, 1)),
    ((1, 1, 1, 12, 12), (1, 1, 1, 3, 3), (1, 1), ((-2, 1), (-1, -3)), (1, 1)),
    ((1, 1, 1, 12, 12), (1, 1, 1, 3, 3), (2, 3), ((-2, 1), (-1, -3)), (1, 2)),
    ((1, 1, 1, 9), (1, 1, 1, 2), (4,), ((0, -3),), (1,)),
]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_cases(emitted, case, dtype):
    a, b, strides, padding, dilation = case
    rng = np.random.default_rng(1)
    window = {"strides": strides, "padding": padding, "dilation": dilation}
    places = positions(a[3:], b[3:], strides, padding, dilation)
    x, w, y = (rng.normal(size=s).astype(dtype) for s in (a, b, (a[0], a[1], b[1], *places)))
    close(emitted(conv, x, w, **window), written_out("y", x, w, y, **window), dtype)
    close(emitted(conv_input, y, w, extent=a[3:], **window), written_out("x", x, w, y, **window), dtype)
    close(emitted(conv_kernel, x, y, kernel=b[3:], **window), written_out("w", x, w, y, **window), dtype, 300)


def written_out(which, x, w, y, strides, padding, dilation):
    """The trilinear form, term by term."""
    xs, ys, ws = (np.zeros_like(v) if which == n else v for n, v in (("x", x), ("y", y), ("w", w)))
    out = {"x": xs, "y": ys, "w": ws}[which]
    for p in np.ndindex(*y.shape[3:]):
        for k in np.ndindex(*w.shape[3:]):
            s = tuple(t * i + d * j - lo for t, i, d, j, (lo, _) in zip(strides, p, dilation, k, padding))
            if not all(0 <= i < n for i, n in zip(s, x.shape[3:])):
                continue
            xp, yp, wp = x[(..., *s)], y[(..., *p)], w[(..., *k)]
            spec, args, at = {
                "y": ("ngc,goc->ngo", (xp, wp), p), "x": ("ngo,goc->ngc", (yp, wp), s), "w": ("ngc,ngo->goc", (xp, yp), k)
            }[which]  # fmt: skip
            out[(..., *at)] += np.einsum(spec, *args)
    return out


@pytest.mark.parametrize("strong", [None, (True, False), (False, True), (True, True)])
@pytest.mark.parametrize("case", [CASES[1], CASES[2], CASES[4], CASES[9]], ids=str)
def test_infinities_and_nans(emitted, case, strong):
    a, b, strides, padding, dilation = case
    rng = np.random.default_rng(3)
    window = {"strides": strides, "padding": padding, "dilation": dilation}
    places = positions(a[3:], b[3:], strides, padding, dilation)
    arrays = [rng.normal(size=s) for s in (a, b, (a[0], a[1], b[1], *places))]
    for v in arrays:
        v[rng.random(v.shape) < 0.6] = 0
        spots = rng.choice(v.size, 3)
        v.reshape(-1)[spots] = [np.inf, -np.inf, np.nan]
    x, w, y = arrays
    calls = ((conv, (x, w), {}), (conv_input, (y, w), {"extent": a[3:]}), (conv_kernel, (x, y), {"kernel": b[3:]}))
    for op, operands, params in calls:
        params = {**params, **window}
        if strong is not None:
            params["strong"] = strong
        elif op is conv_input and set(strides) != {1}:
            continue  # what columns outside the image meet is not defined
        with np.errstate(invalid="ignore"):
            want = op.eval(*operands, **params)
        np.testing.assert_allclose(emitted(op, *operands, **params), want, rtol=1e-11, atol=1e-12)
