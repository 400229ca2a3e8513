"""The names that no other family has: constants (types, printing, dates, settings), and refusals with remedies.

This module is loaded last, and leaves alone what a family has filled.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from wengert.core.errors import NotDifferentiable
from wengert.core.source import describe, here
from wengert.core.tensor import Array, Tensor, carries, raw
from wengert.core.tree import leaves
from wengert.numpy.arrays import has_tensor, lift, operand
from wengert.numpy.layout import example
from wengert.numpy.methods import CUT
from wengert.numpy.registry import NAMES, enter, theirs, values
from wengert.ops.elementwise import div, mul


def fill(names: str, status: Any, reason: str, remedy: str = "", make: Callable[[str, Any], Any] | None = None) -> None:
    """Enter each of the names that NumPy has and that is still free; `make(name, original)` gives the function."""
    for name in names.split():
        original = theirs(name)
        if original is not None and name not in NAMES:
            enter(name, status, original if make is None else make(name, original), reason, remedy)


def mapped(replace: Callable[[Any], Any]) -> Callable[[str, Any], Any]:
    """NumPy's function, with each Tensor among its arguments replaced."""

    def make(name: str, original: Any) -> Any:
        @functools.wraps(original)
        def function(*args: Any, **kwargs: Any) -> Any:
            return original(*_each(args, replace), **_each(kwargs, replace))

        return function

    return make


def _each(tree: Any, replace: Callable[[Any], Any]) -> Any:
    if type(tree) is Tensor:
        return replace(tree)
    if type(tree) in (tuple, list):
        return type(tree)(_each(t, replace) for t in tree)
    if type(tree) is dict:
        return {k: _each(v, replace) for k, v in tree.items()}
    return tree


def stand_in(x: Tensor) -> Any:
    """An array of the shape and dtype of `x`, without memory: for questions that a vmap can answer too."""
    return np.broadcast_to(np.zeros((), x.dtype), x.shape)


def shown(x: Tensor) -> np.ndarray:
    """What is printed: under vmap, all examples."""
    return np.asarray(raw(x))


def refusing(reason: str, remedy: str) -> Callable[[str, Any], Any]:
    """NumPy's function, which raises on Tensors that carry a derivative, and takes the values of others."""

    def make(name: str, original: Any) -> Any:
        def function(*args: Any, **kwargs: Any) -> Any:
            if any(map(carries, leaves((args, kwargs)))):
                raise NotDifferentiable(f"numpy.{name}: {reason}", fix=remedy, at=describe(here(2)))
            return original(*values(args), **values(kwargs))

        if isinstance(original, type):
            return GuardedClass(original.__name__, (), {"original": original, "create": staticmethod(function)})
        return functools.wraps(original)(function)

    return make


class GuardedClass(type):
    """A class of NumPy's whose construction is checked; `isinstance` and attributes are the original's."""

    original: type
    create: Any

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        return cls.create(*args, **kwargs)

    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, cls.original)

    def __subclasscheck__(cls, subclass: type) -> bool:
        return issubclass(subclass, cls.original)

    def __getattr__(cls, name: str) -> Any:
        return getattr(cls.original, name)


def refuse(names: str, reason: str, remedy: str) -> None:
    """Refuse each of the names for one reason."""
    fill(names, "refused", reason, remedy, refusing(reason, remedy))


# ── constants ─────────────────────────────────────────────────────────────────

fill(
    "can_cast result_type iscomplexobj isrealobj common_type isfortran promote_types issubdtype isdtype mintypecode"
    " typename",
    "constant",
    "an answer about types",
    make=mapped(stand_in),
)
fill("min_scalar_type", "constant", "an answer about types", make=mapped(values))
fill("isscalar", "constant", "an answer about types", make=mapped(raw))
fill("iterable", "constant", "an answer about types")
fill(
    "array2string array_repr array_str format_float_positional format_float_scientific base_repr binary_repr",
    "constant",
    "text",
    make=mapped(shown),
)
fill("packbits unpackbits", "constant", "bits", make=mapped(values))
fill(
    "load loadtxt genfromtxt fromfile fromregex fromstring frombuffer",
    "constant",
    "numbers from outside the program; on a Tensor it raises",
)
fill(
    "busday_count busday_offset is_busday datetime_as_string datetime_data isnat",
    "constant",
    "dates are counted in whole units",
    make=mapped(values),
)
fill(
    "get_printoptions set_printoptions printoptions getbufsize setbufsize geterr seterr geterrcall seterrcall",
    "constant",
    "a setting of NumPy's",
)
fill("get_include info show_config show_runtime test linalg.test fft.test", "constant", "about NumPy itself")
fill("bartlett blackman hamming hanning", "constant", "a function of the integer M alone")
fill("broadcast_shapes", "constant", "shapes are integers")
fill("fft.fftfreq fft.rfftfreq", "constant", "a function of integers")
fill("einsum_path", "constant", "an order of evaluation", make=mapped(stand_in))
fill("ndindex", "constant", "positions are integers")


def _root(x: Tensor) -> Tensor:
    """The cell whose contents `x` shows."""
    while x._view is not None:
        x._sync()
        x = x._view.base
    return x


def _seen(x: Tensor) -> np.ndarray:
    """What `x` shows of its root's memory; under vmap, of one example's."""
    if x._view is None:
        return example(x)
    return x._view.op.eval(_seen(x._view.base), **x._view.params)  # a cell that was written holds a value of its own


def _sharing(name: str, original: Any) -> Any:
    @functools.wraps(original)
    def function(a: Any, b: Any, *args: Any, **kwargs: Any) -> bool:
        if type(a) is Tensor or type(b) is Tensor:
            if type(a) is not type(b) or _root(a) is not _root(b):
                return False
            a, b = (raw(a), raw(b)) if a is b else (_seen(a), _seen(b))
        return original(a, b, *args, **kwargs)

    return function


fill("shares_memory may_share_memory", "constant", "whether a write to one is seen in the other", make=_sharing)

# ── differentiable ────────────────────────────────────────────────────────────


def kaiser(M: Any, beta: Any) -> Array:
    """`numpy.kaiser`: differentiable in beta. NumPy's own does not dispatch: use wengert.numpy, or adoption."""
    if not has_tensor((M, beta)):
        return np.kaiser(M, beta)
    n = int(values(M))
    beta = operand(beta)
    if n == 1:
        return np.ones(1)
    i0 = NAMES["i0"].function
    half = (n - 1) / 2.0
    return div(i0(mul(beta, np.sqrt(1 - ((np.arange(0, n) - half) / half) ** 2.0))), i0(beta))


def apply_over_axes(func: Callable[..., Any], a: Any, axes: Any) -> Array:
    """`numpy.apply_over_axes`: `func(a, axis)` over each axis in turn, its result expanded to the rank of `a`."""
    x = lift(a)
    rank = x.ndim
    for axis in np.atleast_1d(axes).tolist():
        axis = axis + rank if axis < 0 else axis
        out = lift(func(x, axis))
        if out.ndim == rank - 1:
            out = lift(NAMES["expand_dims"].function(out, axis))
        if out.ndim != rank:
            raise ValueError("function is not returning an array of the correct shape")
        x = out
    return x


for _function in (kaiser, apply_over_axes):
    fill(_function.__name__, "differentiable", "", make=lambda name, original, function=_function: function)

# ── refusals ──────────────────────────────────────────────────────────────────

refuse(
    "save savez savez_compressed savetxt",
    "a file keeps the values and not their derivative",
    "write wengert.stop_gradient(x), or return x from the function and save it outside",
)
refuse(
    "memmap",
    "an array in a file, which keeps no derivative",
    "use an ordinary array",
)
refuse(
    "nditer nested_iters",
    "an iterator over memory, which hands out ndarrays",
    "iterate with `for v in x.flat`, numpy.ndenumerate(x) or numpy.ndindex(x.shape)",
)
refuse(
    "frompyfunc",
    "a ufunc over Python objects, whose results have no dtype",
    "use numpy.vectorize, or wengert.custom_jvp for a function whose derivative you know",
)
refuse(
    "matrix asmatrix bmat",
    "numpy.matrix is a subclass of ndarray, which a Tensor is not",
    "use two-dimensional arrays and the operator @ (numpy.block for bmat)",
)
refuse(
    "broadcast flatiter",
    "an iterator over memory, which hands out ndarrays",
    "use numpy.broadcast_arrays, numpy.broadcast_shapes, or x.flat",
)
refuse(
    "poly1d",
    "an object that holds an ndarray of coefficients",
    "keep the coefficients in a Tensor c, and use numpy.polyval(c, x), polyadd, polymul, polyder, polyint, roots",
)

# ── methods of ndarray that a Tensor refuses ──────────────────────────────────

REFUSED_METHODS: dict[str, tuple[str, str]] = {}


def refuse_methods(names: Iterable[str], reason: str, remedy: str, attribute: bool = False) -> None:
    """Give Tensor a method, or an attribute, of each name that raises with the reason and the remedy."""

    def make(name: str) -> Any:
        @functools.wraps(getattr(np.ndarray, name))
        def method(self: Tensor, *args: Any, **kwargs: Any) -> Any:
            if not carries(self):
                found = getattr(np.asarray(raw(self)), name)
                return found if attribute else found(*args, **kwargs)
            raise NotDifferentiable(f"ndarray.{name}: {reason}", fix=remedy + CUT, at=describe(here(2)))

        return method

    for name in names:
        if not hasattr(Tensor, name) and hasattr(np.ndarray, name):
            setattr(Tensor, name, property(make(name)) if attribute else make(name))
            REFUSED_METHODS[name] = (reason, remedy)


def attach() -> None:
    """Complete Tensor with the refusals; called after its methods are attached."""
    refuse_methods(
        ["tobytes", "tofile", "dump", "dumps"],
        "bytes keep the values and not their derivative",
        "return x, and write it outside",
    )
    refuse_methods(
        ["__dlpack__"],
        "another library's array has no derivative of ours",
        "write the computation with NumPy's functions, or give its derivative with wengert.custom_vjp",
    )
    Tensor.__dlpack_device__ = lambda self: (1, 0)  # type: ignore[attr-defined]  # CPU
    refuse_methods(
        ["ctypes", "data"],
        "an address lets other code read and write without a trace",
        "pass a copy of the value",
        True,
    )
    refuse_methods(
        ["getfield", "setfield", "byteswap"],
        "the bits of a number are not a differentiable function of it",
        "use astype for another dtype, x.real and x.imag for the parts of complex numbers",
    )
    refuse_methods(["resize"], "a cell keeps its shape", "use numpy.resize(x, shape), which makes a new array")
    refuse_methods(["setflags"], "a Tensor has no memory of its own to protect", "leave it out")
    refuse_methods(["partition"], "no rule in place", "use numpy.partition(x, kth)")
