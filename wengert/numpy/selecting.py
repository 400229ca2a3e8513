"""Selecting and replacing elements: by index, by condition, by value.

The derivative of a selection goes to what was selected, and to nothing else: the rest gets a
strong zero. Where an element is taken twice, its cotangents add up; where it is written twice,
the last write counts. A condition or an index has no derivative itself.

Under vmap, results whose shape depends on values (`nonzero`, `extract`, set functions) raise
ConcretizationError, as in every library that batches; `where` with three arguments does not.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from wengert.core.errors import NotDifferentiable
from wengert.core.source import describe, here
from wengert.core.tensor import Array, Tensor, active, carries
from wengert.numpy.arrays import astype, axis_of, has_tensor, lift, operand, promoted, result_type, writes_out
from wengert.numpy.layout import gathered
from wengert.numpy.registry import constant, implements, theirs, values
from wengert.numpy.traced import value_of, when_traced, write_elements
from wengert.ops.basis import broadcast_to, reshape
from wengert.ops.choice import position
from wengert.ops.dtype import truncate
from wengert.ops.index import ARRAY, index, index_put
from wengert.ops.select import where as select_op
from wengert.ops.shape import stack

BOOL = np.dtype(bool)
_MISSING: Any = np._NoValue  # pyright: ignore[reportAttributeAccessIssue]


def flat(x: Array) -> Array:
    """`x` in one axis, in C order."""
    return x if x.ndim == 1 else reshape(x, shape=(x.size,))


def mask_of(condition: Any) -> Array:
    """A condition of any dtype as booleans."""
    c: Any = lift(condition)
    if c.dtype == BOOL:
        return c
    return truncate(c, dtype=BOOL) if type(c) is Tensor else c.astype(bool)


def indices_of(indices: Any, *, lists: bool = True) -> Array:
    """An index array. As NumPy does, floats in an array are refused, and in a list (`lists`) cut to integers."""
    i: Any = lift(indices)
    if lists and i.dtype.kind == "f" and isinstance(indices, (list, tuple, float)) and type(i) is not Tensor:
        return np.asarray(i).astype(np.intp)[()]
    if i.dtype.kind == "f" and i.size == 0:
        return np.zeros(i.shape, np.intp)
    if i.dtype.kind not in "iub":
        raise TypeError(
            f"Cannot cast array data from {i.dtype!r} to {np.dtype(np.intp)!r} according to the rule 'safe'"
        )
    if i.dtype.kind == "b":
        return truncate(i, dtype=np.dtype(np.intp)) if type(i) is Tensor else np.asarray(i).astype(np.intp)[()]
    return i


# ── by index ──────────────────────────────────────────────────────────────────


@when_traced("take")
def take(a: Any, indices: Any, axis: Any = None, out: Any = None, mode: str = "raise") -> Array:
    """`numpy.take`: elements along an axis (of the flattened array for None)."""
    x = lift(a)
    if axis is None:
        x, axis = flat(x), 0
    elif x.ndim == 0:
        x = reshape(x, shape=(1,))
    axis = axis_of(axis, x.ndim)
    i = indices_of(indices)
    if mode != "raise" or type(i) is not Tensor:
        if x.shape[axis] == 0 and i.size:
            raise IndexError("cannot do a non-empty take from an empty axes.")
        i = position(i, length=x.shape[axis], mode=mode)
    return writes_out(gathered(x, i, axis), out)


def _along(x: Array, indices: Array, axis: int) -> tuple[tuple[Any, ...], list[Array]]:
    """The spec and arrays with which `x[...]` picks `indices` along `axis`, one set for each place elsewhere."""
    if indices.dtype.kind not in "iu":
        raise IndexError("`indices` must be an integer array")
    if indices.ndim != x.ndim:
        raise ValueError("`indices` and `arr` must have the same number of dimensions")
    arrays = [
        indices if i == axis else np.arange(d).reshape((-1,) + (1,) * (x.ndim - 1 - i)) for i, d in enumerate(x.shape)
    ]
    return (ARRAY,) * x.ndim, arrays


@when_traced("take_along_axis")
def take_along_axis(arr: Any, indices: Any, axis: Any = -1) -> Array:
    """`numpy.take_along_axis`."""
    x, i = lift(arr), lift(indices)
    if axis is None:
        if i.ndim != 1:
            raise ValueError("when axis=None, `indices` must have a single dimension.")
        x, axis = flat(x), 0
    spec, arrays = _along(x, i, axis_of(axis, x.ndim))
    return index(x, *arrays, spec=spec)


@when_traced("put_along_axis")
def put_along_axis(arr: Any, indices: Any, values: Any, axis: Any) -> None:
    """`numpy.put_along_axis`: writes into `arr`."""
    i, v = lift(indices), lift(values)

    def new(x: Array) -> Array:
        y, along = (flat(x), 0) if axis is None else (x, axis_of(axis, x.ndim))
        spec, arrays = _along(y, i, along)
        return reshape(index_put(y, v, *arrays, spec=spec), shape=x.shape)

    write_elements("put_along_axis", arr, new, v)


def _repeated(v: Array, n: int) -> Array:
    """`v` flattened, repeated or cut to `n` elements."""
    v = flat(v)
    if v.size == n or v.size == 0:
        return v
    return index(v, np.arange(n) % v.size, spec=(ARRAY,))


@when_traced("put")
def put(a: Any, ind: Any, v: Any, mode: str = "raise") -> None:
    """`numpy.put`: writes into `a`, by position in the flattened array."""
    i, y = flat(indices_of(ind)), lift(v)
    if y.size == 0 or i.size == 0:
        return

    def new(x: Array) -> Array:
        at = position(i, length=x.size, mode=mode)
        return reshape(index_put(flat(x), _repeated(y, i.size), at, spec=(ARRAY,)), shape=x.shape)

    write_elements("put", a, new, y)


@when_traced("putmask")
def putmask(a: Any, mask: Any, values: Any) -> None:
    """`numpy.putmask`: `a.flat[i] = values[i % len(values)]` where the mask is true."""
    m, y = mask_of(mask), lift(values)
    if m.size != np.size(a) if type(a) is not Tensor else m.size != a.size:
        raise ValueError("putmask: mask and data must be the same size")
    if y.size == 0:
        return

    def new(x: Array) -> Array:
        filled = reshape(_repeated(y, x.size), shape=x.shape)
        return select_op(reshape(m, shape=x.shape), _as_dtype(filled, x), x)

    write_elements("putmask", a, new, y)


@when_traced("place")
def place(arr: Any, mask: Any, vals: Any) -> None:
    """`numpy.place`: the first values go where the mask is true."""
    m, y = values(mask_of(mask)), lift(vals)
    at = np.flatnonzero(m)
    if m.size != arr.size:
        raise ValueError("place: mask and data must be the same size")
    if at.size == 0:
        return
    if y.size == 0:
        raise ValueError("Cannot insert from an empty array!")
    write_elements(
        "place",
        arr,
        lambda x: reshape(index_put(flat(x), _repeated(y, at.size), at, spec=(ARRAY,)), shape=x.shape),
        y,
    )


def _as_dtype(y: Array, like: Array) -> Array:
    """Values as they are stored in an array of another dtype."""
    return y if y.dtype == like.dtype else astype(y, like.dtype)


# ── by condition ──────────────────────────────────────────────────────────────


@when_traced("where")
def where(condition: Any, x: Any = _MISSING, y: Any = _MISSING, /) -> Any:
    """`numpy.where`: x where the condition is true, else y; with the condition alone, `nonzero`."""
    if x is _MISSING:
        return nonzero(condition)
    if y is _MISSING:
        raise ValueError("either both or neither of x and y should be given")
    return select_op(mask_of(condition), operand(x), operand(y))


@when_traced("select")
def select(condlist: Any, choicelist: Any, default: Any = 0) -> Array:
    """`numpy.select`: the first choice whose condition is true."""
    if len(condlist) != len(choicelist):
        raise ValueError("list of cases must be same length as list of conditions")
    if len(condlist) == 0:
        raise ValueError("select with an empty condition list is not possible")
    masks = [lift(c) for c in condlist]
    for i, m in enumerate(masks):
        if m.dtype != BOOL:
            raise TypeError(f"invalid entry {i} in condlist: should be boolean ndarray")
    choices = [operand(c) for c in choicelist]
    rest = operand(default)
    dtype = result_type(*choices, rest)
    out = _as_array(rest, dtype)
    for mask, choice in zip(masks[::-1], choices[::-1], strict=True):
        out = select_op(mask, _as_array(choice, dtype), out)
    return out


def _as_array(x: Any, dtype: np.dtype) -> Array:
    return astype(x, dtype) if hasattr(x, "dtype") else np.asarray(x, dtype)[()]


@when_traced("choose")
def choose(a: Any, choices: Any, out: Any = None, mode: str = "raise") -> Array:
    """`numpy.choose`: per element, the choice of that number."""
    options = promoted([lift(c) for c in choices])
    chosen = position(indices_of(a, lists=False), length=len(options), mode=mode)
    if mode == "raise":
        known = value_of(chosen)
        if known is not None and np.any(np.asarray(values(a)) < 0):
            raise ValueError("invalid entry in choice array")
    shape = np.broadcast_shapes(chosen.shape, *(o.shape for o in options))
    table = stack(*(o if o.shape == shape else broadcast_to(o, shape=shape) for o in options), axis=0)
    if not shape:
        return writes_out(index(table, chosen, spec=(ARRAY,)), out)
    grid = np.ogrid[tuple(slice(0, d) for d in shape)]
    if chosen.shape != shape:
        chosen = broadcast_to(chosen, shape=shape)
    spec = (ARRAY,) * (len(shape) + 1)
    return writes_out(index(table, chosen, *grid, spec=spec, unique=True), out)


@when_traced("compress")
def compress(condition: Any, a: Any, axis: Any = None, out: Any = None) -> Array:
    """`numpy.compress`: the slices along an axis where the condition is true."""
    x = lift(a)
    if axis is None:
        x, axis = flat(x), 0
    axis = axis_of(axis, x.ndim)
    mask = values(mask_of(condition))
    if mask.ndim != 1:
        raise ValueError("condition must be a 1-d array")
    at = np.flatnonzero(mask)
    return writes_out(gathered(x, at, axis, unique=True), out)


@when_traced("extract")
def extract(condition: Any, arr: Any) -> Array:
    """`numpy.extract`: the elements where the condition is true, in one axis."""
    at = np.flatnonzero(values(mask_of(condition)))
    return index(flat(lift(arr)), at, spec=(ARRAY,), unique=True)


@implements("piecewise")
def piecewise(x: Any, condlist: Any, funclist: Any, *args: Any, **kw: Any) -> Array:
    """`numpy.piecewise`: each function on the elements where its condition is true; later conditions win.

    Under vmap, where the conditions differ between examples, every function runs on all elements
    and the results are selected: the others' derivatives are strong zeros.
    """
    if not has_tensor([x, condlist, funclist, list(args)]) and not has_tensor(list(kw.values())) and not active():
        return theirs("piecewise")(x, condlist, funclist, *args, **kw)
    x = lift(x)
    masks = _conditions(x, condlist, len(funclist))
    known = [value_of(m) for m in masks]
    if any(k is None for k in known):
        return _piecewise_batched(x, masks, funclist, args, kw)
    out: Array = np.zeros(x.shape, x.dtype)
    for mask, func in zip(known, funclist, strict=True):
        at: Any = np.nonzero(np.broadcast_to(mask, x.shape)) if x.shape else ()
        if not (len(at[0]) if at else mask):
            continue
        spec = (ARRAY,) * len(at)
        y = lift(
            func(index(x, *at, spec=spec, unique=True) if at else reshape(x, shape=(1,)), *args, **kw)
            if callable(func)
            else func
        )
        _check_piece(x, y)
        out = index_put(out, y, *at, spec=spec) if at else astype(reshape(y, shape=()), x.dtype)
    return out


def _conditions(x: Array, condlist: Any, n_functions: int) -> list[Array]:
    """The conditions, one per function: the last one, "otherwise", is made where it was left out."""
    scalar = not hasattr(condlist, "__len__") or getattr(condlist, "ndim", None) == 0
    if scalar or (x.ndim and not isinstance(condlist[0], (list, np.ndarray, Tensor))):
        condlist = [condlist]  # a single condition
    elif type(condlist) is Tensor and condlist.ndim == x.ndim == 1:
        condlist = [condlist]
    conditions: Any = condlist
    masks: list[Any] = [mask_of(c) for c in conditions]
    n = len(masks)
    if n == n_functions - 1:
        otherwise: Array = np.ones(x.shape, bool)
        for m in masks:
            otherwise = select_op(m, False, otherwise)
        return [*masks, otherwise]
    if n != n_functions:
        raise ValueError(f"with {n} condition(s), either {n} or {n + 1} functions are expected")
    return masks


def _check_piece(x: Array, y: Array) -> None:
    if (y.dtype.kind == "c" and x.dtype.kind != "c") or (carries(y) and x.dtype.kind not in "fc"):
        raise NotDifferentiable(
            "numpy.piecewise",
            got=f"{y.dtype} values for x of dtype {x.dtype}, which the result has",
            want="x of a dtype that holds them",
            fix="pass x.astype(float) (or complex)",
            at=describe(here(3)),
        )


def _piecewise_batched(x: Array, masks: list[Array], funclist: Any, args: Any, kw: Any) -> Array:
    out: Array = np.zeros(x.shape, x.dtype)
    for mask, func in zip(masks, funclist, strict=True):
        y = func(flat(x), *args, **kw) if callable(func) else func
        y = lift(y)
        _check_piece(x, y)
        if y.shape and callable(func):
            y = reshape(y, shape=x.shape)
        out = select_op(mask, _as_dtype(y, x), out)
    return out


# ── indices, which are constants ──────────────────────────────────────────────

AN_INDEX = "positions are integers"

for _name in [
    "nonzero",
    "flatnonzero",
    "argwhere",
    "unravel_index",
    "ravel_multi_index",
    "diag_indices",
    "tril_indices",
    "triu_indices",
    "mask_indices",
]:
    constant(_name, AN_INDEX)


def _from_shape(name: str) -> None:
    """Serve an index function that looks at the shape of its array alone, so that it works under vmap."""
    original = theirs(name)

    def function(arr: Any, *args: Any, **kwargs: Any) -> Any:
        return original(
            np.broadcast_to(np.zeros(()), np.shape(arr) if type(arr) is not Tensor else arr.shape), *args, **kwargs
        )

    constant(name, AN_INDEX, function)


for _name in ("diag_indices_from", "tril_indices_from", "triu_indices_from"):
    _from_shape(_name)


def nonzero(a: Any) -> Any:
    """`numpy.nonzero`: integer arrays, whose shape depends on the values."""
    return np.nonzero(values(lift(a)))
