"""What the `eval` of an op takes in passing, besides its operands and its results.

Most ops are one call of NumPy's, which takes none worth mentioning. The others are listed here with the arrays that their `eval`
holds at its worst moment, as multiples of the bytes of the operands or of the results; tests measure them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from wengert.core.aval import Aval
from wengert.core.op import Op
from wengert.ops import conv, sort

#: per op: (of the bytes of the largest operand, of the bytes of the results)
FACTORS: dict[str, tuple[float, float]] = {
    # functions written in several calls
    "elu": (0, 2),
    "gelu_tanh": (0, 1),
    "gelu_tanh_slope": (0, 4),
    "hard_sigmoid": (0, 1),
    "leaky_relu": (0, 1),
    "log_sigmoid": (0, 2),
    "sigmoid_slope": (0, 1),
    "sinc": (0, 2),
    "soft_plus": (0, 1),
    "soft_shrink": (0, 1),
    "softsign": (0, 1),
    "tanhshrink": (0, 5),
    "normal_density": (0, 1),
    "sign_of": (0, 1),
    "exponent": (1, 0),
    "fraction": (0, 1),
    "integral": (0, 1),
    "mantissa": (0, 0.5),
    "clip": (0, 1),
    "direction": (0, 1),
    "logistic_share": (0, 1),
    "high_share": (0, 1.25),
    "low_share": (0, 2.25),
    "inside_share": (0, 2.25),
    "larger_share": (0, 0.125),
    "smaller_share": (0, 0.125),
    "larger_number_share": (0, 0.375),
    "smaller_number_share": (0, 0.375),
    "inversion": (0, 2),
    "trunc_divide": (0, 1),
    "turns": (0, 4),
    "bracket": (1, 0),
    # along axes
    "softmax": (0, 1),
    "log_softmax": (0, 2),
    "reduce_logsumexp": (2, 0),
    "reduce_std": (1, 0),
    "reduce_var": (1, 0),
    "norm2": (1, 0),
    "norm_p": (2, 0),
    "standardize": (0, 1),
    "quantile_plan": (1.125, 0),
    "weighted_rank": (3.75, 0),
    "partition_order": (0, 4.4),
    "largest_entries": (3, 0),
    "merged": (2, 0),
    # linear algebra
    "cholesky": (0, 1),
    "eigh": (0, 1),
    "eig": (0, 1),
    "lu": (0, 1),
    "qr": (1, 0),
    "lstsq": (0, 1),
    "pinv": (0, 3),
    "det_cofactor": (0, 1),
    "inverse_gaps": (0, 1.125),
    # others
    "isclose": (2, 0),
    "isreal": (1, 0),
    "count_nonzero": (0.125, 0),
    "gate": (0, 0.125),
    "hard_shrink": (0, 0.125),
    "hard_shrink_slope": (0, 0.125),
    "hard_sigmoid_slope": (0, 0.125),
    "hard_tanh_slope": (0, 0.125),
    "leaky_relu_slope": (0, 0.125),
    "soft_shrink_slope": (0, 0.125),
    "threshold": (0, 0.125),
    "threshold_slope": (0, 0.125),
    "power_or_zero": (0, 0.125),
    "inverse_or_zero": (0, 0.125),
    "pow_log": (0, 2.125),
    "bin_index": (1.125, 0),
    "cross_entropy": (3, 0),
}

#: ops whose result is an array of its own, but a view of it to NumPy (of another shape, or by `[()]`)
REBASED = frozenset(
    "bessel_i bin_index conv conv_kernel cross_entropy inverse_or_zero isclose pow_log power_or_zero reduce_logsumexp threshold"
    " where window_put window_spread".split()
)

Rule = Callable[[Sequence[Aval], Sequence[Aval], dict[str, Any]], int]


def _as_complex(ins: Sequence[Aval], outs: Sequence[Aval], params: dict[str, Any]) -> int:
    """Real operands of a complex transform are converted."""
    return sum(a.size * max(16, 2 * a.dtype.itemsize) for a in ins if a.dtype.kind != "c")


def _arg(ins: Sequence[Aval], outs: Sequence[Aval], params: dict[str, Any]) -> int:
    """NumPy looks for extrema along the last axis, and copies an array to have it there."""
    x = ins[0]
    return nbytes_of(x) if len(x.shape) > 1 and params.get("axis") not in (None, len(x.shape) - 1) else 0


def _argsort(ins: Sequence[Aval], outs: Sequence[Aval], params: dict[str, Any]) -> int:
    """Long rows of floats are sorted without regard to equal ones, and looked through for these."""
    x, taken = ins[0], 0.0
    if params.get("kind") == "stable" and x.dtype.char in "fd" and x.shape[params["axis"]] >= sort.MANY:
        taken = nbytes_of(x) + x.size
    return math.ceil(max(taken, nbytes_of(outs[0]) if params.get("descending") else 0))


def _recurrence(ins: Sequence[Aval], outs: Sequence[Aval], params: dict[str, Any]) -> int:
    """Along one axis alone it is solved by doubling, among many others step by step."""
    return math.ceil((4 if len(outs[0].shape) == 1 else 0.15) * nbytes_of(outs[0]))


def _padded(shape: Sequence[int], padding: Sequence[tuple[int, int]], itemsize: int) -> int:
    """Bytes of a padded copy; none where there is nothing to pad, or only to crop."""
    if all(lo <= 0 and hi <= 0 for lo, hi in padding):
        return 0
    lead = len(shape) - len(padding)
    inner = [n + lo + hi for n, (lo, hi) in zip(shape[lead:], padding, strict=True)]
    return math.prod(shape[:lead]) * math.prod(inner) * itemsize


def _columns(
    x: Sequence[int], kernel: Sequence[int], places: Sequence[int], strides: Sequence[int], itemsize: int
) -> int:
    """Bytes of the buffer of columns of a convolution, and how many examples it has."""
    n, g, c = x[:3]
    if math.prod(kernel) == 1 and set(strides) <= {1}:
        return 0
    each = g * c * math.prod(kernel) * math.prod(places) * itemsize
    return max(1, min(n, conv.BUFFER // max(1, each))) * each


def _conv(ins: Sequence[Aval], outs: Sequence[Aval], params: dict[str, Any]) -> int:
    x, w, size = ins[0].shape, ins[1].shape, outs[0].dtype.itemsize
    room = _columns(x, w[3:], outs[0].shape[3:], params["strides"], size)
    return _padded(x, params["padding"], size) + room


def _conv_input(ins: Sequence[Aval], outs: Sequence[Aval], params: dict[str, Any]) -> int:
    y, w, size = ins[0].shape, ins[1].shape, outs[0].dtype.itemsize
    kernel, places, extent, strides, padding = w[3:], y[3:], params["extent"], params["strides"], params["padding"]
    if set(strides) <= {1}:
        reach = [d * (k - 1) for d, k in zip(params["dilation"], kernel, strict=True)]
        around = [(r - lo, n - p + lo) for r, (lo, _), n, p in zip(reach, padding, extent, places, strict=True)]
        return _padded(y, around, size) + nbytes_of(ins[1]) + _columns(y, kernel, extent, strides, size)
    n, g, c = y[0], y[1], w[2]
    each = g * c * math.prod(kernel) * math.prod(places) * size
    block = max(1, min(n, conv.BUFFER // max(1, each)))
    return _padded((n, g, c, *extent), padding, size) + nbytes_of(ins[1]) + block * each


def _conv_kernel(ins: Sequence[Aval], outs: Sequence[Aval], params: dict[str, Any]) -> int:
    x, y, size = ins[0].shape, ins[1].shape, outs[0].dtype.itemsize
    room = _columns(x, params["kernel"], y[3:], params["strides"], size)
    each = x[1] * x[2] * math.prod(params["kernel"]) * math.prod(y[3:]) * size
    block = max(1, min(x[0], conv.BUFFER // max(1, each)))
    return _padded(x, params["padding"], size) + room + (block + (block > 1)) * nbytes_of(outs[0])


def _window(ins: Sequence[Aval], outs: Sequence[Aval], params: dict[str, Any]) -> int:
    passing = _padded(ins[0].shape, params["padding"], ins[0].dtype.itemsize)
    return passing + (math.ceil(0.42 * sum(map(nbytes_of, outs))) if len(outs) > 1 else 0)


def _one_matrix(times: int) -> Rule:
    """Functions of matrices go through a stack one by one."""
    return lambda ins, outs, params: times * math.prod(ins[0].shape[-2:]) * ins[0].dtype.itemsize


RULES: dict[str, Rule] = {
    "expm": _one_matrix(6),
    "expm_frechet": _one_matrix(32),
    "logm": _one_matrix(15),
    "logm_frechet": _one_matrix(71),
    "sqrtm_frechet": _one_matrix(8),
    "fft": _as_complex,
    "irfft": _as_complex,
    "argmax": _arg,
    "argmin": _arg,
    "argsort": _argsort,
    "convolve": lambda ins, outs, params: min(map(nbytes_of, ins)),  # the shorter one, reversed
    "recurrence": _recurrence,
    "conv": _conv,
    "conv_input": _conv_input,
    "conv_kernel": _conv_kernel,
    "window_max": _window,
    "window_sum": _window,
}


def temporaries(op: Op, ins: Sequence[Aval], outs: Sequence[Aval], params: dict[str, Any]) -> int:
    """Bytes that an evaluation takes in passing."""
    rule = RULES.get(op.name)
    if rule is not None:
        return rule(ins, outs, params)
    factors = FACTORS.get(op.name)
    if factors is None:
        return 0
    largest = max(map(nbytes_of, ins), default=0)
    return math.ceil(factors[0] * largest + factors[1] * sum(map(nbytes_of, outs)))


def nbytes_of(aval: Aval) -> int:
    """Bytes of the elements; none for a number."""
    return aval.size * aval.dtype.itemsize if aval.shape else 0
