"""Functions that make arrays.

While a function is being differentiated, the arrays of floats that it makes are constant cells: Tensors that
depend on nothing, until traced values are written into them. Integers and booleans are ndarrays. So are floats
when no trace runs.
"""

from __future__ import annotations

import functools
import itertools
import operator
from typing import Any

import numpy as np

from wengert.core.tensor import Array, Tensor, active
from wengert.core.tensor import constant as cell
from wengert.numpy.arrays import astype, has_tensor, lift, operand, result_type, stack_nested
from wengert.numpy.layout import arranged, as_array, copied, example, own
from wengert.numpy.registry import constant, enter, theirs, values
from wengert.numpy.shaping import moveaxis, moved, sizes_of
from wengert.numpy.traced import value_of, when_traced
from wengert.numpy.values import concrete
from wengert.ops import basis
from wengert.ops.elementwise import div, exp, log, mul, pow_, sub
from wengert.ops.index import index
from wengert.ops.shape import concatenate


def made(array: Any) -> Any:
    """A new array, as a cell that traced values can be written into while a trace runs."""
    return cell(array) if active() else array


# ── arrays from anything ──────────────────────────────────────────────────────


def _new(name: str) -> Any:
    """Serve a creation function without array operands: NumPy's own, whose result is a cell under a trace."""
    original, traced = theirs(name), theirs(name.replace("empty", "zeros"))  # what runs again must find the same

    @functools.wraps(original)
    def function(*args: Any, **kwargs: Any) -> Any:
        return made((traced if active() else original)(*values(args), **values(kwargs)))

    constant(name, "a new array, which depends on nothing", function)
    return function


def _creates(name: str) -> Any:
    """As `when_traced`, for a function whose results without a Tensor are new arrays."""
    original = theirs(name)

    def decorate(function: Any) -> Any:
        @functools.wraps(function)
        def choose(*args: Any, **kwargs: Any) -> Any:
            if has_tensor(args) or has_tensor(tuple(kwargs.values())):
                return function(*args, **kwargs)
            out = original(*args, **kwargs)
            return (made(out[0]), *out[1:]) if type(out) is tuple else made(out)

        enter(name, "differentiable", choose)
        return choose

    return decorate


for _name in ("zeros", "ones", "empty", "eye", "identity", "tri"):
    _new(_name)


def _converted(x: Any, dtype: Any, copy: Any, order: str | None, ndmin: int = 0) -> Array:
    """`numpy.array` of something that is, or holds, a Tensor."""
    fresh = type(x) is not Tensor
    x = as_array(stack_nested(x) if fresh else x)
    if dtype is not None and np.dtype(dtype) != x.dtype:
        x, fresh = astype(x, dtype), True
    if copy is False and fresh:
        raise ValueError("Unable to avoid copy while creating an array as requested.")
    if type(x) is Tensor:
        if copy and not fresh:
            x = copied(x, order)
        elif order in ("C", "F"):
            x = arranged(x, order)
    missing = ndmin - x.ndim
    if missing > 0:
        x = moved(basis.reshape, x, shape=(1,) * missing + tuple(x.shape))
    return own(x) if copy and missing > 0 else x


@functools.wraps(np.array)
def array(
    object: Any,
    dtype: Any = None,
    *,
    copy: Any = True,
    order: Any = "K",
    subok: bool = False,
    ndmin: int = 0,
    ndmax: int = 0,
    like: Any = None,
) -> Array:
    if has_tensor(object):
        return _converted(object, dtype, copy, order, ndmin)
    out = np.array(object, dtype=dtype, copy=copy, order=order, subok=subok, ndmin=ndmin)
    return out if np.may_share_memory(out, object) and isinstance(object, np.ndarray) else made(out)


@functools.wraps(np.asarray)
def asarray(
    a: Any, dtype: Any = None, order: Any = None, *, device: Any = None, copy: Any = None, like: Any = None
) -> Array:
    if has_tensor(a):
        return _converted(a, dtype, copy, order or "K")
    out = np.array(a, dtype=dtype, order=order or "K", copy=copy)
    return out if isinstance(a, np.ndarray) and np.may_share_memory(out, a) else made(out)


@functools.wraps(np.asanyarray)
def asanyarray(
    a: Any, dtype: Any = None, order: Any = None, *, device: Any = None, copy: Any = None, like: Any = None
) -> Array:
    if has_tensor(a):
        return _converted(a, dtype, copy, order or "K")
    out = np.array(a, dtype=dtype, order=order or "K", copy=copy, subok=True)
    return out if isinstance(a, np.ndarray) and np.may_share_memory(out, a) else made(out)


enter("array", "differentiable", array)
enter("asarray", "differentiable", asarray)
enter("asanyarray", "differentiable", asanyarray)


@functools.wraps(np.copy)
def copy(a: Any, order: Any = "K", subok: bool = False) -> Array:
    return array(a, order=order, subok=subok)


enter("copy", "differentiable", copy)


@when_traced("ascontiguousarray")
def ascontiguousarray(a: Any, dtype: Any = None, *, like: Any = None) -> Array:
    """`numpy.ascontiguousarray`."""
    return _converted(a, dtype, None, "C", 1)


@when_traced("asfortranarray")
def asfortranarray(a: Any, dtype: Any = None, *, like: Any = None) -> Array:
    """`numpy.asfortranarray`."""
    return _converted(a, dtype, None, "F", 1)


@when_traced("asarray_chkfinite")
def asarray_chkfinite(a: Any, dtype: Any = None, order: Any = None) -> Array:
    """`numpy.asarray_chkfinite`: ValueError where a value is infinite or NaN."""
    x = _converted(a, dtype, None, order or "K")
    if not np.isfinite(concrete(x)).all():
        raise ValueError("array must not contain infs or NaNs")
    return x


@when_traced("require")
def require(a: Any, dtype: Any = None, requirements: Any = None, *, like: Any = None) -> Array:
    """`numpy.require`."""
    names = {"C": "C", "C_CONTIGUOUS": "C", "CONTIGUOUS": "C", "F": "F", "F_CONTIGUOUS": "F", "FORTRAN": "F"}
    others = {"A", "ALIGNED", "W", "WRITEABLE", "O", "OWNDATA", "E", "ENSUREARRAY"}
    asked = [str(r).upper() for r in ([requirements] if isinstance(requirements, str) else requirements or ())]
    for r in asked:
        if r not in names and r not in others:
            raise KeyError(r)
    orders = {names[r] for r in asked if r in names}
    if len(orders) == 2:
        raise ValueError("Cannot specify both 'C' and 'F' order")
    x = _converted(a, dtype, None, orders.pop() if orders else "A")
    seen = type(x) is Tensor and x._view is not None
    if seen and (set(asked) & {"O", "OWNDATA"} or (set(asked) & {"W", "WRITEABLE"} and x._view.op.put is None)):  # type: ignore[union-attr]
        x = copied(x, "K")
    return x


@functools.wraps(getattr(np, "astype", None) or np.ndarray.astype)
def _astype(x: Any, dtype: Any, /, *, copy: bool = True, device: Any = None) -> Array:
    if type(x) is not Tensor:
        return x.astype(dtype, copy=copy)
    out = astype(x, dtype)
    return copied(x, "K") if out is x and copy else out


if theirs("astype") is not None:
    enter("astype", "differentiable", _astype)

# ── filled arrays ─────────────────────────────────────────────────────────────


def _filled(shape: Any, value: Any, dtype: Any, order: str) -> Array:
    x = lift(value)
    x = x if dtype is None else astype(x, dtype)
    return own(arranged(basis.broadcast_to(x, shape=sizes_of(shape)), order))


@functools.wraps(np.full)
def full(
    shape: Any, fill_value: Any, dtype: Any = None, order: Any = "C", *, device: Any = None, like: Any = None
) -> Array:
    if has_tensor(fill_value):
        return _filled(shape, fill_value, dtype, order)
    return made(np.full(values(shape), fill_value, dtype=dtype, order=order))


enter("full", "differentiable", full)


def _like(name: str) -> None:
    """Serve `zeros_like` and its kin; the new array depends on nothing."""
    original, traced = theirs(name), theirs(name.replace("empty", "zeros"))

    @functools.wraps(original)
    def function(a: Any, *args: Any, **kwargs: Any) -> Any:
        if not has_tensor(a):
            return made((traced if active() else original)(a, *values(args), **values(kwargs)))
        return cell(traced(example(lift(a)), *values(args), **values(kwargs)))

    constant(name, "a new array, which depends on nothing", function)


for _name in ("zeros_like", "ones_like", "empty_like"):
    _like(_name)


@functools.wraps(np.full_like)
def full_like(
    a: Any,
    fill_value: Any,
    dtype: Any = None,
    order: Any = "K",
    subok: bool = True,
    shape: Any = None,
    *,
    device: Any = None,
) -> Array:
    if not has_tensor(fill_value):
        out = np.full_like(
            example(lift(a)) if has_tensor(a) else a, fill_value, dtype=dtype, order=order, subok=subok, shape=shape
        )
        return cell(out) if has_tensor(a) else made(out)
    x = lift(a)
    return _filled(x.shape if shape is None else shape, fill_value, x.dtype if dtype is None else dtype, "C")


enter("full_like", "differentiable", full_like)

# ── ranges ────────────────────────────────────────────────────────────────────


@functools.wraps(np.arange)
def arange(*args: Any, dtype: Any = None, device: Any = None, like: Any = None, **named: Any) -> Array:
    start, stop, step, dtype = _arange_arguments(args, dtype, named)
    if not has_tensor([start, stop, step]):
        return made(np.arange(start, stop, step, dtype))  # pyright: ignore[reportCallIssue, reportArgumentType]  # type: ignore[call-overload]
    pattern = np.arange(*(concrete(v) if type(v) is Tensor else v for v in (start, stop, step)), dtype)  # type: ignore[call-overload]
    steps = mul(np.arange(pattern.size, dtype=pattern.dtype), step)
    return own(astype(basis.add(steps, start), pattern.dtype))


enter("arange", "differentiable", arange)


def _arange_arguments(args: tuple[Any, ...], dtype: Any, named: dict[str, Any]) -> tuple[Any, Any, Any, Any]:
    if len(args) == 4:
        args, dtype = args[:3], args[3]
    given = dict(zip(("start", "stop", "step"), args, strict=False)) | named
    if "stop" not in given or given["stop"] is None:
        if "start" not in given:
            raise TypeError("arange() requires stop to be specified.")
        given["start"], given["stop"] = 0, given["start"]
    if unknown := set(given) - {"start", "stop", "step"}:
        raise TypeError(f"arange() got an unexpected keyword argument {unknown.pop()!r}")
    start, step = given.get("start"), given.get("step")
    return 0 if start is None else start, given["stop"], 1 if step is None else step, dtype


@_creates("linspace")
def linspace(
    start: Any,
    stop: Any,
    num: int = 50,
    endpoint: bool = True,
    retstep: bool = False,
    dtype: Any = None,
    axis: int = 0,
    *,
    device: Any = None,
) -> Any:
    """`numpy.linspace`, differentiable in `start` and `stop`."""
    num = _count(num)
    inner = result_type(operand(start), operand(stop))
    inner = inner if inner.kind in "fc" else np.dtype(float)
    x, y = (astype(lift(v), inner) for v in (start, stop))
    delta = sub(y, x)
    intervals = num - 1 if endpoint else num
    step = div(delta, intervals) if intervals > 0 else delta
    count = np.arange(num, dtype=inner).reshape(num, *(1,) * delta.ndim)
    out = basis.add(mul(count, step), x)
    if endpoint and num > 1:
        last = basis.broadcast_to(y, shape=(1, *delta.shape))
        out = concatenate(index(out, spec=(slice(-1),)), last, axis=0, sizes=(num - 1, 1))
    out = _finished(out, dtype, axis)
    return (out, step if intervals > 0 else np.nan) if retstep else out


def _count(num: Any) -> int:
    num = operator.index(num)
    if num < 0:
        raise ValueError(f"Number of samples, {num}, must be non-negative.")
    return num


def _finished(out: Array, dtype: Any, axis: int) -> Array:
    """Samples in their dtype (integers round down), with their axis, which comes first, where it is wanted."""
    if dtype is not None and np.dtype(dtype).kind in "iu":
        out = np.floor(concrete(out))
    if dtype is not None:
        out = astype(out, dtype)
    return own(moveaxis(out, 0, axis) if axis % max(out.ndim, 1) else out)


@_creates("logspace")
def logspace(
    start: Any, stop: Any, num: int = 50, endpoint: bool = True, base: Any = 10.0, dtype: Any = None, axis: int = 0
) -> Array:
    """`numpy.logspace`, differentiable in `start`, `stop` and `base`."""
    if not isinstance(base, (int, float)) and np.ndim(base):
        base = lift(base)
        ndim = max(np.ndim(start), np.ndim(stop), base.ndim)
        start, stop, base = (
            basis.reshape(x, shape=(1,) * (ndim - x.ndim) + tuple(x.shape)) for x in map(lift, (start, stop, base))
        )
        exponents = linspace(start, stop, num, endpoint)
        base = basis.reshape(base, shape=(1, *base.shape))
    else:
        exponents = linspace(start, stop, num, endpoint)
    return _finished(pow_(base, exponents), dtype, axis)


@_creates("geomspace")
def geomspace(start: Any, stop: Any, num: int = 50, endpoint: bool = True, dtype: Any = None, axis: int = 0) -> Array:
    """`numpy.geomspace`, differentiable in `start` and `stop`; complex ends follow a logarithmic spiral."""
    num = _count(num)
    x, y = lift(start), lift(stop)
    if any(v is not None and np.any(v == 0) for v in map(value_of, (x, y))):
        raise ValueError("Geometric sequence cannot include zero")
    inner = np.result_type(x.dtype, y.dtype, 1.0, np.dtype(dtype))
    x, y = astype(x, inner), astype(y, inner)
    intervals = max(num - 1 if endpoint else num, 1)
    rate = log(div(y, x))
    share = (np.arange(num) / intervals).astype(inner).reshape(num, *(1,) * rate.ndim)
    return _finished(mul(x, exp(mul(share, rate))), inner if dtype is None else dtype, axis)


# ── grids ─────────────────────────────────────────────────────────────────────


@when_traced("meshgrid")
def meshgrid(*xi: Any, copy: bool = True, sparse: bool = False, indexing: str = "xy") -> tuple[Array, ...]:
    """`numpy.meshgrid`."""
    if indexing not in ("xy", "ij"):
        raise ValueError("Valid values for `indexing` are 'xy' and 'ij'.")
    ndim = len(xi)
    places = list(range(ndim))
    if indexing == "xy" and ndim > 1:
        places[:2] = 1, 0
    arrays = [lift(x) for x in xi]
    shape = [0] * ndim
    for x, place in zip(arrays, places, strict=True):
        shape[place] = x.size
    out = []
    for x, place in zip(arrays, places, strict=True):
        x = moved(basis.reshape, x, shape=tuple(x.size if i == place else 1 for i in range(ndim)))
        if not sparse:
            x = moved(basis.broadcast_to, x, shape=tuple(shape))
        out.append(copied(x, "C") if copy else x)
    return tuple(out)


_new("indices")


@_creates("vander")
def vander(x: Any, N: Any = None, increasing: bool = False) -> Array:
    """`numpy.vander`."""
    x = lift(x)
    if x.ndim != 1:
        raise ValueError("x must be a one-dimensional array or sequence.")
    n = x.size if N is None else operator.index(N)
    x = astype(x, np.promote_types(x.dtype, int))
    powers = np.arange(n) if increasing else np.arange(n)[::-1]
    return pow_(basis.reshape(x, shape=(x.size, 1)), powers.astype(x.dtype.type(0).real.dtype))


@when_traced("fromfunction")
def fromfunction(function: Any, shape: Any, *, dtype: Any = float, like: Any = None, **kwargs: Any) -> Any:
    """`numpy.fromfunction`: the function is called once, on grids of indices."""
    return function(*np.indices(shape, dtype=dtype), **kwargs)


@functools.wraps(np.fromiter)
def fromiter(iter: Any, dtype: Any, count: int = -1, *, like: Any = None) -> Array:
    items = list(iter if count < 0 else itertools.islice(iter, count))
    return array(items, dtype=dtype) if has_tensor(items) else made(np.fromiter(items, dtype, count))


enter("fromiter", "differentiable", fromiter)


@functools.wraps(np.from_dlpack)
def from_dlpack(x: Any, /, *, device: Any = None, copy: Any = None) -> Array:
    if type(x) is not Tensor:
        return np.from_dlpack(x) if device is None and copy is None else np.from_dlpack(x, device=device, copy=copy)
    if device not in (None, "cpu"):
        raise ValueError(f'Device not understood. Only "cpu" is allowed, but received: {device}')
    return _converted(x, None, copy, "K")


enter("from_dlpack", "differentiable", from_dlpack)
