"""Which calls of a peer compute what an op of ours computes: one line per op, in NumPy's and SciPy's names.

`counterpart(op, peer)` takes the op's own arrays and parameters. An op without a line has no counterpart.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from wengert.core.op import Op
from wengert.ops.special import SPECIAL
from wengert.verify.oracles.peers.peer import Missing, Peer

SAME = """
abs add arccos arccosh arcsin arcsinh arctan arctan2 arctanh bitwise_and bitwise_count bitwise_or bitwise_xor ceil conj
copysign cos cosh deg2rad equal exp fabs floor floor_divide fmax fmin fmod gcd greater greater_equal heaviside hypot imag
invert iscomplex isfinite isinf isnan isneginf isposinf isreal lcm ldexp left_shift less less_equal log log10 log2
logaddexp logaddexp2 logical_and logical_not logical_or logical_xor maximum minimum nextafter not_equal positive rad2deg
real reciprocal remainder right_shift rint sign signbit sin sinh spacing sqrt square tan tanh trunc where clip
""".split()

RENAMED = {"mul": "multiply", "div": "divide", "sub": "subtract", "neg": "negative", "pow": "power", "scale": "multiply",
           "strong_mul": "multiply", "unscale": "divide", "contiguous": "copy", "phase": "sign"}  # fmt: skip

REDUCTIONS = {"sum": "sum", "mean": "mean", "prod": "prod", "max": "max", "min": "min", "fmax": "nanmax", "fmin": "nanmin",
              "all": "all", "any": "any"}  # fmt: skip

LINALG = "det inv cholesky solve slogdet".split()
MATRIX = "expm logm sqrtm".split()

UNARY_NN = {"relu": "relu", "sigmoid": "sigmoid", "silu": "silu", "log_sigmoid": "log_sigmoid", "gelu": "gelu",
            "hard_sigmoid": "hardsigmoid", "soft_plus": "softplus"}  # fmt: skip

# Ops whose further outputs are residuals of ours, or pivots that are counted differently.
FIRST = ("gelu", "window_max", "cross_entropy", "lu")

NOT_EXPOSED = "no function of the peer's own: this op is a part of our rules"


def counterpart(op: Op, peer: Peer) -> Callable[..., Any]:
    """The peer's function with the op's signature; Missing where there is none."""
    found = _table(peer).get(op.name)
    if found is not None:
        return found
    for name, special in SPECIAL.items():
        if special is op:
            return lambda *xs, **params: getattr(peer.special, name)(*xs, **params)
    raise Missing(NOT_EXPOSED)


def hermitian(op: Op, np: Any, xs: Sequence[Any]) -> Sequence[Any]:
    """Matrices of which ours reads the Hermitian part, made Hermitian for both sides; `np` is whoever takes them."""
    if op.name not in ("cholesky", "eigh"):
        return xs
    return [(x + np.conj(np.swapaxes(x, -1, -2))) / 2 for x in xs]


def settled(op: Op, np: Any, outs: Any) -> Any:
    """Outputs without the signs, phases and order that LAPACK leaves open; `np` is whoever made them."""
    if op.name in FIRST:
        return outs[0]
    if op.name == "eigh":
        w, v = outs
        return w, (v * w[..., None, :]) @ np.conj(np.swapaxes(v, -1, -2)), np.abs(v)
    if op.name == "svd":
        u, s, vh = outs
        k = s.shape[-1]
        u, vh = u[..., :, :k], vh[..., :k, :]
        return s, np.abs(u), np.abs(vh), (u * s[..., None, :]) @ vh
    if op.name == "eig":
        w, v = outs
        return np.sum(w**3, axis=-1), np.prod(w, axis=-1)
    return outs


def _table(peer: Peer) -> dict[str, Callable[..., Any]]:
    np_ = peer.numpy
    table: dict[str, Callable[..., Any]] = {}

    def named(space: Any, name: str) -> Callable[..., Any]:
        return lambda *xs, **params: _get(space, name)(*xs, **params)

    for name in SAME:
        table[name] = named(np_, name)
    for name, theirs in RENAMED.items():
        table[name] = named(np_, theirs)
    for name, theirs in REDUCTIONS.items():
        table[f"reduce_{name}"] = lambda x, axes, f=theirs: _get(np_, f)(x, axis=axes)
    for name in LINALG:
        table[name] = lambda *xs, f=name, **rest: _get(np_.linalg, f)(*xs)
    for name in MATRIX:
        table[name] = lambda *xs, f=name, **rest: _get(peer.linalg, f)(*xs)
    for name, theirs in UNARY_NN.items():
        table[name] = named(peer.nn, theirs)
    table["gelu"] = lambda x: (peer.nn.gelu(x),)
    return table | _shapes(np_) | _reductions(np_, peer) | _linear(np_, peer) | _neural(np_, peer)


def _get(space: Any, name: str) -> Any:
    found = getattr(space, name, None)
    if found is None:
        raise Missing(f"no {name}")
    return found


def _cumulative(np: Any, name: str) -> Callable[..., Any]:
    def call(x: Any, axis: int, reverse: bool = False) -> Any:
        fun = _get(np, name)
        return np.flip(fun(np.flip(x, axis), axis=axis), axis) if reverse else fun(x, axis=axis)

    return call


def _shapes(np_: Any) -> dict[str, Callable[..., Any]]:
    def put(x: Any, v: Any, spec: Any) -> Any:
        if hasattr(x, "at"):
            return x.at[spec].set(v)
        y = np_.copy(x)
        y[spec] = v
        return y

    def scatter_add(v: Any, spec: Any, shape: Any) -> Any:
        if not hasattr(v, "at"):
            raise Missing("PyTorch's counterpart, index_put_(accumulate=True), takes arrays of indices alone")
        return np_.zeros(shape, v.dtype).at[spec].add(v)

    return {
        "broadcast_to": lambda x, shape: np_.broadcast_to(x, shape),
        "cast": lambda x, dtype: x.astype(dtype.name if not hasattr(x, "at") else dtype),
        "concatenate": lambda *xs, axis, sizes: np_.concatenate(xs, axis=axis),
        "stack": lambda *xs, axis: np_.stack(xs, axis=axis),
        "split": lambda x, axis, sizes: np_.split(x, list(np.cumsum(sizes)[:-1]), axis=axis),
        "diagonal": lambda x, offset, axis1, axis2: np_.diagonal(x, offset, axis1, axis2),
        "flip": lambda x, axes: np_.flip(x, axes),
        "roll": lambda x, shifts, axes: np_.roll(x, shifts, axes),
        "repeat": lambda x, count, axis: np_.repeat(x, count, axis=axis),
        "reshape": lambda x, shape: np_.reshape(x, shape),
        "transpose": lambda x, axes: np_.transpose(x, axes),
        "index": lambda x, spec: x[spec],
        "index_put": lambda x, v, spec: put(x, v, spec),
        "scatter_add": scatter_add,
        "pad_constant": lambda x, widths, value=0: np_.pad(x, widths, constant_values=value),
        "round": lambda x, decimals: np_.round(x, decimals),
        "isclose": lambda x, y, rtol, atol, equal_nan: np_.isclose(x, y, rtol, atol, equal_nan),
        "mantissa": lambda x: np_.frexp(x)[0],
        "exponent": lambda x: np_.frexp(x)[1],
        "from_parts": lambda x, y: x + 1j * y,
        "searchsorted": lambda x, v, side: np_.searchsorted(x, v, side),
        "sinc": lambda x, n=0: _zeroth(n, np_.sinc)(x),
    }


def _zeroth(n: int, fun: Any) -> Any:
    if n:
        raise Missing("peers give the function, not its n-th derivative, a name")
    return fun


def _reductions(np_: Any, peer: Peer) -> dict[str, Callable[..., Any]]:
    lax = getattr(getattr(peer, "jax", None), "lax", np_)
    same = {name: _cumulative(np_, name) for name in ("cumsum", "cumprod")}
    running = {name: _cumulative(_Flipped(np_, lax), name) for name in ("cummax", "cummin")}
    return same | running | {
        "argmax": lambda x, axis: np_.argmax(x, axis=axis),
        "argmin": lambda x, axis: np_.argmin(x, axis=axis),
        "argsort": lambda x, axis, kind=None, descending=False: np_.argsort(x, axis=axis, **(
            {"descending": True} if descending else {})),
        "lexsort": lambda x, axis: _get(np_, "lexsort")(x, axis=axis),
        "count_nonzero": lambda x, axes: np_.count_nonzero(x, axis=axes),
        "reduce_std": lambda x, axes, ddof: np_.std(x, axis=axes, ddof=ddof),
        "reduce_var": lambda x, axes, ddof: np_.var(x, axis=axes, ddof=ddof),
        "reduce_logsumexp": lambda x, axes: peer.special.logsumexp(x, axis=axes),
        "softmax": lambda x, axes: peer.nn.softmax(x, axis=axes if len(axes) != 1 else axes[0]),
        "log_softmax": lambda x, axes: peer.nn.log_softmax(x, axis=axes if len(axes) != 1 else axes[0]),
    }  # fmt: skip


class _Flipped:
    """`flip` of one namespace, everything else of another."""

    def __init__(self, flips: Any, rest: Any) -> None:
        self.flip, self._rest = flips.flip, rest

    def __getattr__(self, name: str) -> Any:
        return getattr(self._rest, name)


def _linear(np_: Any, peer: Peer) -> dict[str, Callable[..., Any]]:
    la, sl = np_.linalg, peer.linalg

    def qr(a: Any, complete: bool = False) -> Any:
        return tuple(la.qr(a, mode="complete" if complete else "reduced"))

    def vector_norm(x: Any, axes: Any, p: float = 2.0) -> Any:
        return _get(la, "vector_norm")(x, axis=axes, ord=p)

    def fft(x: Any, axes: Any, inverse: bool, norm: str) -> Any:
        return (np_.fft.ifftn if inverse else np_.fft.fftn)(x, axes=axes, norm=norm)

    return {
        "matmul": lambda x, y, strong=False: np_.matmul(x, y),
        "contract": lambda *xs, subscripts, strong=False: np_.einsum(subscripts, *xs),
        "convolve": lambda x, y, mode, strong=False: _get(np_, "convolve")(x, y, mode),
        "eigh": lambda a, lower=True: tuple(la.eigh(a, UPLO="L" if lower else "U")),
        "svd": lambda a, full=False: tuple(la.svd(a, full_matrices=full)),
        "eig": lambda a: tuple(la.eig(a)),
        "qr": qr,
        "lu": lambda a: tuple(_get(sl, "lu_factor")(a)),
        "pinv": lambda a, rcond: la.pinv(a),
        "expm_frechet": lambda a, e: _get(sl, "expm_frechet")(a, e)[1],
        "polar_factor": lambda a: _get(sl, "polar")(a)[0],
        "sylvester": lambda a, b, q: _get(sl, "solve_sylvester")(a, b, q),
        "solve_triangular": lambda a, b, lower, unit=False: _get(sl, "solve_triangular")(
            a, b, lower=lower, unit_diagonal=unit),
        "norm2": lambda x, axes: vector_norm(x, axes),
        "norm_p": lambda x, axes, p: vector_norm(x, axes, p),
        "fft": fft,
        "rfft": lambda x, axis, norm: np_.fft.rfft(x, axis=axis, norm=norm),
        "irfft": lambda x, n, axis, norm: np_.fft.irfft(x, n, axis=axis, norm=norm),
        "roots": lambda p, lead: _get(np_, "roots")(p[lead:], strip_zeros=False),
    }  # fmt: skip


def _neural(np_: Any, peer: Peer) -> dict[str, Callable[..., Any]]:
    nn = peer.nn

    def conv(x: Any, w: Any, strides: Any, padding: Any, dilation: Any) -> Any:
        n, g, c = x.shape[:3]
        o = w.shape[1]
        fun = _get(nn, f"conv{len(strides)}d")
        flat = np_.reshape(x, (n, g * c, *x.shape[3:])), np_.reshape(w, (g * o, *w.shape[2:]))
        pads = tuple(p[0] if p[0] == p[1] else p for p in padding)
        out = fun(*flat, stride=tuple(strides), padding=pads, dilation=tuple(dilation), groups=g)
        return np_.reshape(out, (n, g, o, *out.shape[2:]))

    def window_max(x: Any, window: Any, strides: Any, padding: Any, dilation: Any) -> Any:
        if set(dilation) != {1} or any(p[0] != p[1] for p in padding) or x.ndim != len(window) + 1:
            raise Missing("pools of peers take one channel axis, no dilation, and the same padding on both sides")
        fun = _get(nn, f"max_pool{len(window)}d")
        return fun(x, tuple(window), tuple(strides), tuple(p[0] for p in padding))

    return {
        "conv": conv,
        "window_max": lambda *xs, **params: (window_max(*xs, **params),),
        "gelu_tanh": lambda x: nn.gelu(x, "tanh"),
        "elu": lambda x, alpha: nn.elu(x, alpha),
        "leaky_relu": lambda x, slope: nn.leaky_relu(x, slope),
        "hard_shrink": lambda x, width: nn.hardshrink(x, width),
        "soft_shrink": lambda x, width: nn.softshrink(x, width),
        "hard_tanh": lambda x, low, high: nn.hardtanh(x, low, high),
        "threshold": lambda x, at, value: nn.threshold(x, at, value),
        "one_hot": lambda labels, classes, dtype: nn.one_hot(labels, classes),
        "cross_entropy": lambda x, labels: (nn.cross_entropy(x, labels, reduction="none"),),
        "softplus": lambda x: peer.special.softplus(x) if peer.label == "torch" else nn.softplus(x),
    }
