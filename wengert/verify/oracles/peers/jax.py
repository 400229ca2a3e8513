"""JAX as a peer. Its cotangents pair without a conjugate, as ours do inside the library."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from wengert.core.errors import MissingExtra
from wengert.verify.oracles.peers.peer import DERIVATIVES, Derived, Function, Missing, Names

# Each call is compiled once and run once, so the compiler's optimisations cost more than they save.
OPTIONS = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}

# Functions whose result's shape depends on values cannot be compiled: they run eagerly.
SHAPED_BY_VALUES = ("ConcretizationTypeError", "TracerBoolConversionError", "TracerArrayConversionError",
                    "TracerIntegerConversionError", "NonConcreteBooleanIndexError")  # fmt: skip


def load() -> JAX:
    """The peer; MissingExtra where JAX is not installed."""
    try:
        import jax
    except ImportError:
        raise MissingExtra("jax", "peers", "comparing with JAX") from None
    return JAX(jax)


class JAX:
    label = "jax"

    def __init__(self, jax: Any) -> None:
        import jax.numpy as jnp
        import jax.scipy.linalg as linalg
        import jax.scipy.special as special

        self.jax, self.jnp, self.version = jax, jnp, jax.__version__
        self.numpy = jnp
        self.special = Names("jax.scipy.special", _special(jnp), special, hidden=("fresnel",))
        self.linalg = Names("jax.scipy.linalg", {}, linalg, jnp.linalg)
        self.nn = Names("jax.nn", _nn(jax), hidden=())

    def array(self, x: Any) -> Any:
        return x  # JAX takes ndarrays, as constants too

    def derive(
        self,
        fun: Function,
        primals: Sequence[Any],
        tangents: Sequence[Any],
        cotangents: Sequence[Any],
        kinds: Sequence[str] = DERIVATIVES,
    ) -> Derived:
        """See `Peer`. One compilation of everything; where that fails, part by part."""
        jax, jnp = self.jax, self.jnp

        def differentiable(*ps: Any) -> list[Any]:
            return [o for o in fun(*ps) if jnp.issubdtype(jnp.asarray(o).dtype, jnp.inexact)]

        def value(ps: Any, ts: Any, cts: Any) -> Any:
            return [jnp.asarray(o) for o in fun(*ps)]

        def forward(ps: Any, ts: Any, cts: Any) -> Any:
            return jax.jvp(differentiable, ps, ts)[1]

        def reverse(ps: Any, ts: Any, cts: Any) -> Any:
            outs, pullback = jax.vjp(differentiable, *ps)
            return list(pullback([jnp.asarray(c, o.dtype) for c, o in zip(cts, outs, strict=True)]))

        def second(ps: Any, ts: Any, cts: Any) -> Any:
            return jax.jvp(lambda *ps: reverse(ps, ts, cts), ps, ts)[1]

        parts = {k: part for k, part in (("jvp", forward), ("vjp", reverse), ("hvp", second)) if k in kinds}

        def all_of_it(ps: Any, ts: Any, cts: Any) -> Any:
            return value(ps, ts, cts), [part(ps, ts, cts) for part in parts.values()]

        with jax.enable_x64(True):
            ps, ts, cts = (tuple(map(jnp.asarray, xs)) for xs in (primals, tangents, cotangents))
            if not ps or not cts:
                return Derived(_out(self._run(value, ps, ts, cts)))
            try:
                values, slopes = self._run(all_of_it, ps, ts, cts)
                found = Derived(_out(values))
                for kind, slope in zip(parts, slopes, strict=True):
                    setattr(found, kind, _out(slope))
                return found
            except Exception:  # some rule is missing, or the whole function: part by part tells which
                found = Derived(_out(self._run(value, ps, ts, cts)))
            for kind, part in parts.items():
                try:
                    setattr(found, kind, _out(self._run(part, ps, ts, cts)))
                except Exception as error:
                    found.why += f"{'; ' if found.why else ''}{kind}: {reason(error)}"
            return found

    def _run(self, fun: Callable[..., Any], *args: Any) -> Any:
        try:
            return self.jax.jit(fun, compiler_options=OPTIONS)(*args)
        except Exception as error:
            if type(error).__name__ in SHAPED_BY_VALUES:
                return fun(*args)
            raise


def _out(tree: Any) -> list[np.ndarray]:
    return [np.asarray(x) for x in tree]


def reason(error: BaseException) -> str:
    """The first line of an error."""
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0] if text else ''}"[:160]


def _special(jnp: Any) -> dict[str, Any]:
    same = "cbrt exp2 expm1 log1p sinc".split()
    return {n: getattr(jnp, n) for n in same} | {"round": jnp.rint, "cosm1": None}


def _nn(jax: Any) -> dict[str, Any]:
    """Our names, arguments and defaults, in `jax.nn` and `jax.lax`."""
    nn, lax, jnp = jax.nn, jax.lax, jax.numpy

    def default(fun: Any, *values: Any) -> Any:
        """A function of JAX's that lacks our optional arguments."""

        def call(x: Any, *given: Any) -> Any:
            if given and given != values[: len(given)]:
                raise Missing(f"jax.nn.{fun.__name__} takes no such argument")
            return fun(x)

        return call

    def layer_norm(x: Any, shape: Any = None, weight: Any = None, bias: Any = None, eps: float = 1e-5) -> Any:
        size = 1 if shape is None or isinstance(shape, int) else len(shape)
        out = nn.standardize(x, axis=tuple(range(-size, 0)), epsilon=eps)
        return out if weight is None else out * weight + (0 if bias is None else bias)

    def attention(
        query: Any,
        key: Any,
        value: Any,
        mask: Any = None,
        causal: bool = False,
        dropout_rate: float = 0.0,
        rng: Any = None,
    ) -> Any:
        if dropout_rate:
            raise Missing("jax.nn.dot_product_attention has no dropout")
        heads = [x.reshape(-1, 1, *x.shape[-2:]).swapaxes(1, 2) for x in (query, key, value)]
        kind = "mask" if mask is not None and jnp.asarray(mask).dtype == bool else "bias"
        extra = {} if mask is None else {kind: jnp.asarray(mask)[None, None]}
        out = nn.dot_product_attention(*heads, is_causal=causal, **extra)
        return out.swapaxes(1, 2).reshape(*query.shape[:-1], value.shape[-1])

    table = {
        "sigmoid": nn.sigmoid, "log_sigmoid": nn.log_sigmoid, "relu": nn.relu, "relu6": nn.relu6, "silu": nn.silu,
        "swish": nn.swish, "mish": nn.mish, "selu": nn.selu, "elu": nn.elu, "celu": nn.celu, "glu": nn.glu,
        "softsign": nn.soft_sign, "hardsigmoid": nn.hard_sigmoid, "hardswish": nn.hard_swish, "tanh": nn.tanh,
        "leaky_relu": nn.leaky_relu, "softmax": nn.softmax, "log_softmax": nn.log_softmax, "logsumexp": nn.logsumexp,
        "softplus": default(nn.softplus, 1.0), "hardtanh": default(nn.hard_tanh, -1.0, 1.0),
        "gelu": lambda x, approximate="none": nn.gelu(x, approximate == "tanh"),
        "one_hot": lambda labels, classes, dtype=float: nn.one_hot(labels, classes, dtype=dtype),
        "layer_norm": layer_norm, "scaled_dot_product_attention": attention,
    }  # fmt: skip
    for n in (1, 2, 3):
        table[f"conv{n}d"] = functools.partial(_conv, lax, n)
        table[f"conv_transpose{n}d"] = functools.partial(_conv_transpose, lax, n)
        table[f"max_pool{n}d"] = functools.partial(_max_pool, jax, n)
        table[f"avg_pool{n}d"] = functools.partial(_avg_pool, jax, n)
    return table


def _each(value: Any, n: int) -> tuple[int, ...]:
    return (value,) * n if isinstance(value, int) else tuple(value)


def _pairs(padding: Any, n: int) -> Any:
    if isinstance(padding, str):
        return padding.upper()
    return [p if isinstance(p, tuple) else (p, p) for p in _each(padding, n)]


def _batched(fun: Callable[[Any], Any], x: Any, n: int) -> Any:
    """`fun` on a batch, where `x` may be one example."""
    return fun(x) if x.ndim == n + 2 else fun(x[None])[0]


def _conv(
    lax: Any,
    n: int,
    x: Any,
    w: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Any:
    def run(x: Any) -> Any:
        out = lax.conv_general_dilated(
            x, w, _each(stride, n), _pairs(padding, n), rhs_dilation=_each(dilation, n), feature_group_count=groups
        )
        return out if bias is None else out + bias.reshape(-1, *[1] * n)

    return _batched(run, x, n)


def _conv_transpose(
    lax: Any, n: int, x: Any, w: Any, bias: Any = None, stride: Any = 1, padding: Any = 0, output_padding: Any = 0,
    groups: int = 1, dilation: Any = 1,
) -> Any:  # fmt: skip
    """A convolution of the input with holes, by the kernel turned round."""
    reach = [d * (k - 1) for d, k in zip(_each(dilation, n), w.shape[2:], strict=True)]
    given = list(zip(reach, _each(padding, n), _each(output_padding, n), strict=True))
    w = w.reshape(groups, -1, *w.shape[1:]).swapaxes(1, 2)
    w = w.reshape(-1, *w.shape[2:])[(..., *[slice(None, None, -1)] * n)]
    out = lax.conv_general_dilated(
        x, w, (1,) * n, [(r - p, r - p + o) for r, p, o in given], lhs_dilation=_each(stride, n),
        rhs_dilation=_each(dilation, n), feature_group_count=groups,
    )  # fmt: skip
    return out if bias is None else out + bias.reshape(-1, *[1] * n)


def _pool(jax: Any, n: int, x: Any, init: Any, op: Any, window: Any, stride: Any, padding: Any) -> Any:
    window = _each(window, n)
    strides = window if stride is None else _each(stride, n)
    lead = x.ndim - n
    pads = [(0, 0)] * lead + _pairs(padding, n)
    return jax.lax.reduce_window(x, init, op, (*[1] * lead, *window), (*[1] * lead, *strides), pads)


def _max_pool(
    jax: Any, n: int, x: Any, window: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False
) -> Any:
    if ceil_mode:
        raise Missing("jax.lax.reduce_window has no ceil_mode")
    return _pool(jax, n, x, -np.inf, jax.lax.max, window, stride, padding)


def _avg_pool(jax: Any, n: int, x: Any, window: Any, stride: Any = None, padding: Any = 0, **other: Any) -> Any:
    if any(other.values()):
        raise Missing("jax.lax.reduce_window has no such argument")
    return _pool(jax, n, x, 0.0, jax.lax.add, window, stride, padding) / np.prod(_each(window, n))
