"""Tensor's operators and methods, those of ndarray.

Operators record in one frame where they can (`trace.tape.recording_operator`). In-place
operators write the cell, so that views and other names of the same array see it; NumPy
scalars are immutable, and so are the Tensors that stand for them. Every method that has
a function of the same name in NumPy is that function.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from wengert.core.abstract import Abstract
from wengert.core.errors import DTypeError, NotDifferentiable
from wengert.core.op import Op
from wengert.core.source import describe, here
from wengert.core.tensor import Array, Tensor, is_scalar, raw, view
from wengert.numpy import indexing, protocols
from wengert.numpy.arrays import ARRAYS, astype, lift
from wengert.numpy.layout import conformed, copied, example
from wengert.numpy.registry import NAMES, TRACED
from wengert.numpy.values import concrete
from wengert.ops import basis, elementwise, logic
from wengert.ops.basis import conj, fit_tangent, imag, real, real_dtype, reshape, transpose
from wengert.ops.contract import matmul
from wengert.ops.index import index
from wengert.ops.parts import as_complexes, as_reals
from wengert.trace.recorders import NUMBERS, recording_binary, recording_unary

OPERANDS = ARRAYS | NUMBERS
CUT = "; to cut the derivative on purpose: wengert.stop_gradient(x)"


def coerce(b: Any) -> Any:
    """The other operand of a binary operator as an array; NotImplemented for types that are none."""
    if type(b) in OPERANDS or isinstance(b, (np.generic, int, float, complex)):
        return b
    return lift(b) if isinstance(b, (list, tuple, np.ndarray)) else NotImplemented


# ── operators ─────────────────────────────────────────────────────────────────


def operands_of(op: Callable[..., Any]) -> Callable[..., Any]:
    """`op` on the operands of a binary operator, or NotImplemented."""

    def method(a: Any, b: Any) -> Any:
        a, b = coerce(a), coerce(b)
        if type(a) is complex and b.dtype == np.float64:
            a = np.complex128(a)  # 1j * np.float64(2) is Python's complex, which is no array
        return NotImplemented if a is NotImplemented or b is NotImplemented else op(a, b)

    return method


def reflected(forward: Callable[..., Any]) -> Callable[..., Any]:
    """`__rop__`."""
    return lambda a, b: forward(b, a)


def served(name: str) -> Callable[..., Any]:
    """The operator, or method, that NumPy's function `name` implements."""

    def method(self: Tensor, *args: Any, **kwargs: Any) -> Any:
        return TRACED[name](self, *args, **kwargs)

    method.__name__ = name
    return method


def served_operator(name: str) -> Callable[..., Any]:
    """As `served`, for a binary operator."""
    return operands_of(lambda a, b: NAMES[name].function(a, b))


def in_place(symbol: str, forward: Callable[..., Any]) -> Callable[..., Any]:
    """`x += y`: writes the cell, or makes a new Tensor where NumPy has a scalar."""

    def method(self: Tensor, other: Any) -> Any:
        new = forward(self, other)
        if new is NotImplemented:
            return new
        if is_scalar(self):
            if type(bottom := raw(self)) is Abstract:
                bottom.augmented = True
            return new
        if not np.can_cast(new.dtype, self.dtype, "same_kind"):
            raise DTypeError(
                f"in-place {symbol}=",
                got=f"a {new.dtype} result for a {self.dtype} array",
                want="a result that casts back",
                fix=f"write x = x {symbol} y, or start from an array of dtype {new.dtype}",
                at=describe(here(2)),
            )
        self._write(fit_tangent(new, self) if new.shape == self.shape else new)
        return self

    return method


POWERS = {
    2: recording_unary(elementwise.square),
    0.5: recording_unary(elementwise.sqrt),
    1: recording_unary(elementwise.positive),
    -1: recording_unary(elementwise.reciprocal),
}


def power(forward: Callable[..., Any]) -> Callable[..., Any]:
    """`a ** b`, with ndarray's own fast cases."""

    def method(a: Tensor, b: Any) -> Any:
        exact = type(b) is int or type(b) is float  # NumPy's scalars have dtypes that count
        if exact and (special := POWERS.get(b)) is not None and (a.dtype.kind in "fc" or (type(b) is int and b == 2)):
            return special(a)
        return forward(a, b)

    return method


ARITHMETIC: dict[str, tuple[str, Op]] = {
    "add": ("+", basis.add),
    "sub": ("-", elementwise.sub),
    "mul": ("*", elementwise.mul),
    "truediv": ("/", elementwise.div),
    "pow": ("**", elementwise.pow_),
}
SERVED = {
    "floordiv": ("//", "floor_divide"),
    "mod": ("%", "remainder"),
    "divmod": ("", "divmod"),
    "matmul": ("@", "matmul"),
    "and": ("&", "bitwise_and"),
    "or": ("|", "bitwise_or"),
    "xor": ("^", "bitwise_xor"),
    "lshift": ("<<", "left_shift"),
    "rshift": (">>", "right_shift"),
}
COMPARISONS = {
    "lt": ("less", logic.less),
    "le": ("less_equal", logic.less_equal),
    "gt": ("greater", logic.greater),
    "ge": ("greater_equal", logic.greater_equal),
    "eq": ("equal", logic.equal),
    "ne": ("not_equal", logic.not_equal),
}


def attach_operators() -> None:
    for name, (symbol, op) in ARITHMETIC.items():
        general = operands_of(op)
        forward, called = recording_binary(op, general, as_operator=True), recording_binary(op, general)
        if op is elementwise.pow_:
            forward = called = power(called)
        setattr(Tensor, f"__{name}__", forward)
        setattr(Tensor, f"__r{name}__", reflected(recording_binary(op, general)))
        setattr(Tensor, f"__i{name}__", in_place(symbol, called))
    for name, (symbol, function) in SERVED.items():
        forward = served_operator(function)
        setattr(Tensor, f"__{name}__", forward)
        setattr(Tensor, f"__r{name}__", reflected(forward))
        if name != "divmod":
            setattr(Tensor, f"__i{name}__", in_place(symbol, forward))
    for name, (function, op) in COMPARISONS.items():
        setattr(Tensor, f"__{name}__", recording_binary(op, served_operator(function)))
    Tensor.__matmul__ = recording_binary(matmul, served_operator("matmul"), as_operator=True)  # type: ignore[attr-defined]
    Tensor.__hash__ = object.__hash__  # type: ignore[method-assign]  # lost when __eq__ is set
    Tensor.__neg__ = recording_unary(basis.neg, as_operator=True)  # type: ignore[attr-defined]
    Tensor.__pos__ = recording_unary(elementwise.positive)  # type: ignore[attr-defined]
    Tensor.__abs__ = recording_unary(elementwise.abs_)  # type: ignore[attr-defined]
    Tensor.__invert__ = served("invert")  # type: ignore[attr-defined]


# ── container and conversions ─────────────────────────────────────────────────


def length(self: Tensor) -> int:
    if not self.shape:
        raise TypeError("len() of unsized object")
    return self.shape[0]


def iterate(self: Tensor) -> Iterator[Array]:
    if not self.shape:
        raise TypeError("iteration over a 0-d array")
    return (self[i] for i in range(self.shape[0]))


def contains(self: Tensor, item: Any) -> bool:
    return item in np.asarray(concrete(self))


def representation(self: Tensor) -> str:
    if self._view is not None:
        self._sync()
    value = raw(self)
    kind = type(self._trace).__name__.strip("_").lower()
    if type(value) is Abstract:
        return f"Tensor({self.dtype}{list(self.shape)}, {kind}, staged)"
    batch = "" if value.shape == self.shape else f", shape={self.shape}, batched"
    return f"Tensor({np.array2string(np.asarray(value), separator=', ', prefix='Tensor(')}{batch}, {kind})"


def formatted(self: Tensor, spec: str) -> str:
    if type(raw(self)) is Abstract:
        return repr(self)
    return format(raw(self), spec) if spec else str(self)


def item(self: Tensor, *args: int) -> Any:
    """`x.item()`: the one element, as a Tensor while it carries a derivative (a Python number otherwise)."""
    element = (
        reshape(self, shape=(self.size,))[args[0]]
        if len(args) == 1
        else self[args]
        if args
        else reshape(self, shape=())
    )
    if type(element) is Tensor and element.dtype.kind in "fc" and protocols.carries(element):
        return element
    return concrete(element).item()


def tolist(self: Tensor) -> Any:
    """Nested lists; of Tensors while they carry a derivative."""
    if not self.shape:
        return item(self)
    return [tolist(row) if type(row) is Tensor else row for row in self]


def reshape_method(self: Tensor, *shape: Any, order: str = "C", copy: Any = None) -> Array:
    if len(shape) == 1 and not isinstance(shape[0], (int, np.integer)):
        shape = tuple(shape[0])
    return TRACED["reshape"](self, shape, order=order, copy=copy)


def transpose_method(self: Tensor, *axes: Any) -> Array:
    if len(axes) == 1 and (axes[0] is None or isinstance(axes[0], (tuple, list))):
        (axes,) = axes
    return TRACED["transpose"](self, axes or None)


def reversed_axes(self: Tensor) -> Array:
    return view(transpose, self, axes=tuple(range(self.ndim))[::-1])


def matrix_transposed(self: Tensor) -> Array:
    n = self.ndim
    if n < 2:
        raise ValueError("matrix transpose with ndim < 2 is undefined")
    return view(transpose, self, axes=(*range(n - 2), n - 1, n - 2))


def copy(self: Tensor, order: str = "C") -> Array:
    """A cell of its own, with the same value and derivative."""
    return copied(self, order)


def view_method(self: Tensor, dtype: Any = None, type: Any = None) -> Array:
    """`x.view()`: the same cell under another name; with a dtype, complex numbers as pairs of real ones and back."""
    if isinstance(dtype, builtins.type):
        kind = vars(dtype).get("original", dtype)  # in adopted code np.matrix is a class that stands before NumPy's
        if issubclass(kind, np.ndarray):
            dtype, type = None, kind
    if type not in (None, np.ndarray):
        raise _no_view(f"{type.__name__} is a subclass of ndarray, which a Tensor is not", "leave the type out")
    if dtype is None or np.dtype(dtype) == self.dtype:
        return self if is_scalar(self) else view(index, self, spec=(Ellipsis,))
    dtype = np.dtype(dtype)
    if not protocols.carries(self) and not (self.dtype.kind in "fc" and dtype.kind in "fc"):
        return np.asarray(raw(self)).view(dtype)
    seen = example(self).view(dtype)  # NumPy's errors for shapes and strides
    if self.dtype.kind == "c" and dtype == real_dtype(self.dtype):
        return view(as_reals, self)
    if dtype.kind == "c" and self.dtype == real_dtype(dtype):
        return view(as_complexes, self)
    raise _no_view(
        f"the bits of a {self.dtype} seen as {seen.dtype} are not a differentiable function of it",
        "use astype for another dtype, x.real and x.imag for the parts of complex numbers" + CUT,
    )


def _no_view(reason: str, fix: str) -> NotDifferentiable:
    return NotDifferentiable(f"ndarray.view: {reason}", fix=fix, at=describe(here(3)))


def fill(self: Tensor, value: Any) -> None:
    self[...] = value


def sort_method(self: Tensor, axis: int = -1, kind: Any = None, order: Any = None, *, stable: Any = None) -> None:
    """Sort in place."""
    self._write(NAMES["sort"].function(self, axis=axis))


def put_method(self: Tensor, indices: Any, values: Any, mode: str = "raise") -> None:
    NAMES["put"].function(self, indices, values, mode)


def astype_method(
    self: Tensor, dtype: Any, order: str = "K", casting: str = "unsafe", subok: bool = True, copy: bool = True
) -> Array:
    out = astype(self, dtype)
    return copied(self, order) if out is self and copy else out


def compress_method(self: Tensor, condition: Any, axis: Any = None, out: Any = None) -> Array:
    return NAMES["compress"].function(condition, self, axis, out)


FUNCTIONS_AS_METHODS = (
    "all any argmax argmin argpartition argsort choose clip conj conjugate cumprod cumsum diagonal dot max mean min"
    " nonzero prod ravel repeat round searchsorted squeeze std sum swapaxes take trace var"
).split()  # fmt: skip


class Flat:
    """`x.flat`: iteration, reading and writing in C order."""

    def __init__(self, x: Tensor) -> None:
        self.x = x

    def __getitem__(self, key: Any) -> Array:
        return reshape(self.x, shape=(self.x.size,))[key]

    def __setitem__(self, key: Any, value: Any) -> None:
        flat = copy(reshape(self.x, shape=(self.x.size,)))
        flat[key] = value
        self.x._write(reshape(flat, shape=self.x.shape))

    def __iter__(self) -> Iterator[Array]:
        return iterate(reshape(self.x, shape=(self.x.size,)))

    def __len__(self) -> int:
        return self.x.size


def attach_methods() -> None:
    for name in FUNCTIONS_AS_METHODS:
        setattr(Tensor, name, served(name))
    attributes: dict[str, Any] = {
        "__getitem__": indexing.getitem,
        "__setitem__": indexing.setitem,
        "__len__": length,
        "__iter__": iterate,
        "__contains__": contains,
        "__repr__": representation,
        "__str__": lambda self: str(raw(self)),
        "__format__": formatted,
        "__round__": lambda self, n=None: NAMES["round"].function(self, n or 0),
        "__copy__": copy,
        "__deepcopy__": lambda self, memo: copy(self),
        "__array_namespace__": array_namespace,
        "item": item,
        "tolist": tolist,
        "reshape": reshape_method,
        "transpose": transpose_method,
        "astype": astype_method,
        "copy": copy,
        "view": view_method,
        "fill": fill,
        "sort": sort_method,
        "put": put_method,
        "compress": compress_method,
        "flatten": lambda self, order="C": copied(NAMES["ravel"].function(self, order), "C"),
        "to_device": to_device,
        "T": property(reversed_axes),
        "mT": property(matrix_transposed),
        "real": property(
            lambda self: view(real, self) if self.dtype.kind == "c" else self,
            lambda self, v: _set_part(self, "real", v),
        ),
        "imag": property(lambda self: view(imag, self), lambda self, v: _set_part(self, "imag", v)),
        "flat": property(Flat, lambda self, v: Flat(self).__setitem__(slice(None), v)),
        "itemsize": property(lambda self: self.dtype.itemsize),
        "nbytes": property(lambda self: self.size * self.dtype.itemsize),
        "device": property(lambda self: "cpu"),
        "strides": property(lambda self: _laid_out(self).strides),
        "flags": property(lambda self: _laid_out(self).flags),
        "base": property(lambda self: self._view.base if self._view is not None else None),
    }
    for name, value in attributes.items():
        setattr(Tensor, name, value)


def _laid_out(self: Tensor) -> Any:
    bottom = raw(self)
    return bottom if type(bottom) is Abstract else np.asarray(bottom)


def _set_part(self: Tensor, part: str, value: Any) -> None:
    getattr(self, part)[...] = value


STANDARDS = ("2021.12", "2022.12", "2023.12", "2024.12")  # the array API standard's versions


def array_namespace(self: Tensor, *, api_version: str | None = None) -> Any:
    """The namespace of functions for Tensors: `wengert.numpy`."""
    import wengert.numpy

    if api_version not in (None, *STANDARDS):
        raise ValueError(f"array API standard: got api_version={api_version!r}, want one of {', '.join(STANDARDS)}")
    return wengert.numpy


def to_device(self: Tensor, device: Any, /, *, stream: Any = None) -> Tensor:
    """`x.to_device("cpu")`: itself."""
    if stream is not None:
        raise ValueError("The stream argument in to_device() is not supported")
    if device != "cpu":
        raise ValueError(f"Unsupported device: {device}")
    return self


def attach() -> None:
    """Give Tensor its operators, methods and protocols."""
    Tensor._laid_out = staticmethod(conformed)
    attach_operators()
    attach_methods()
    protocols.attach()


__all__ = ["attach", "conj"]
