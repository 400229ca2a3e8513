"""Gradients of user functions on pytrees: `grad`, `value_and_grad`, `vjp`, `jvp`, `hvp`.

Composition is nesting: each call starts a trace of its own, so `grad(grad(f))`,
`jvp` of `grad`, `grad` of `vmap` … need nothing special.

Complex numbers: by default the gradient of a real loss is its direction of steepest
ascent (conjugate Wirtinger, as in PyTorch and TensorFlow), and `vjp`'s pullback applies Jᴴ;
`config.complex_convention = "jax"` gives the conjugate gradient and Jᵀ.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np

from wengert.core.errors import DTypeError, ShapeError, Unconnected
from wengert.core.source import describe, here
from wengert.core.tensor import Array, held
from wengert.core.tree import flatten
from wengert.ops.basis import cast_ct
from wengert.trace.admission import inexact
from wengert.trace.budget import budgeted
from wengert.transforms.entry import FlatFunction, entry, outward
from wengert.transforms.forward import jvp_flat
from wengert.transforms.reverse import own, vjp_flat

ArgNums = int | Sequence[int]


def positions(argnums: ArgNums, args: Sequence[Any]) -> tuple[int, ...]:
    """`argnums` as non-negative positions."""
    if type(argnums) is int and 0 <= argnums < len(args):
        return (argnums,)
    chosen = (argnums,) if isinstance(argnums, int) else tuple(argnums)
    for i in chosen:
        if not -len(args) <= operator.index(i) < len(args):
            raise TypeError(f"argnums={argnums}: the function was called with {len(args)} positional arguments")
    found = tuple(i % len(args) for i in chosen)
    if len(set(found)) != len(found):
        raise ValueError(f"argnums={argnums}: names an argument twice")
    return found


def value_and_grad(
    fun: Callable[..., Any],
    argnums: ArgNums = 0,
    *,
    has_aux: bool = False,
    holomorphic: bool = False,
    unconnected: Literal["zero", "raise"] = "zero",
    adopt: bool = True,
    memory_budget: int | str | None = None,
) -> Callable[..., Any]:
    """A function that returns `fun`'s value and its gradient.

    Parameters
    ----------
    fun : callable
        Returns a real scalar (or `(scalar, aux)`); takes arrays, numbers, and any pytrees of them.
    argnums : int or tuple of int
        The positional arguments to differentiate. An int gives one gradient, a tuple a tuple.
    has_aux : bool
        `fun` returns `(scalar, aux)`; the result is then `((scalar, aux), gradient)`.
    holomorphic : bool
        `fun` is a holomorphic function of complex numbers: the result is its complex derivative.
    unconnected : "zero" or "raise"
        What to do when the scalar does not depend on an argument at all. Its derivative is then zero, which is
        right for a constant, and a sign of a lost computation elsewhere.
    adopt : bool
        Run `fun` with its own `np`, `math` and `scipy` bound to wengert's (see docs/concepts).
    memory_budget : int or str, optional
        Bytes ("64 MiB") that an eager call may take beyond its arguments: values, residuals, cotangents, temporaries. Residuals are
        let go when it is reached, and computed again: the gradient is the same, bit for bit. Values that `fun` still holds in
        variables cannot be let go. For compiled functions it is `jit(grad(f), memory_budget=...)`.

    Returns
    -------
    callable with `fun`'s signature. A gradient has the shape and dtype of its argument.

    Cost: at most about four evaluations of `fun`, plus recording (1 µs an op). Memory: the
    residuals that the ops of `fun` declare.

    Raises
    ------
    ShapeError : the output is not a scalar.
    DTypeError : an integer argument, or a complex output without `holomorphic`.
    BudgetError : `memory_budget` cannot be obeyed; it names the smallest one that can be.
    """

    begin = budgeted(memory_budget, "grad(memory_budget=...)")

    @entry
    @functools.wraps(fun)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        flat = FlatFunction(fun, args, kwargs, positions(argnums, args), has_aux, adopt)
        if holomorphic:
            _need_complex(flat.leaves)
        values, pullback, out_vars = vjp_flat(flat, flat.leaves, "grad", begin)
        out = _scalar(values[: flat.n_out], holomorphic)
        if unconnected == "raise" and out_vars[0] is None:
            raise Unconnected(
                "grad",
                got="an output that does not depend on the differentiated arguments",
                want="a result computed from them",
                fix="look for stop_gradient, .item(), comparisons, or plain copies on the way",
                at=describe(here(2)),
            )
        cts = pullback([out.dtype.type(1)], consume=True)
        cts = cts if holomorphic else [outward(ct) for ct in cts]
        grads = flat.pack_in(own(cts))
        value = flat.pack_out(values)
        result = grads[0] if isinstance(argnums, int) else grads
        return ((value, flat.pack_aux(values)), result) if has_aux else (value, result)

    return wrapped


def grad(
    fun: Callable[..., Any],
    argnums: ArgNums = 0,
    *,
    has_aux: bool = False,
    holomorphic: bool = False,
    unconnected: Literal["zero", "raise"] = "zero",
    adopt: bool = True,
    memory_budget: int | str | None = None,
) -> Callable[..., Any]:
    """A function that returns the gradient of `fun` (with `has_aux`: gradient and aux). See `value_and_grad`."""
    both = value_and_grad(
        fun, argnums, has_aux=has_aux, holomorphic=holomorphic, unconnected=unconnected, adopt=adopt, memory_budget=memory_budget
    )  # fmt: skip

    @functools.wraps(fun)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        value, gradient = both(*args, **kwargs)
        return (gradient, value[1]) if has_aux else gradient

    return wrapped


def _need_complex(leaves: Sequence[Any]) -> None:
    for leaf in leaves:
        if inexact(leaf, "grad(holomorphic=True)").dtype.kind != "c":
            raise DTypeError(
                "grad(holomorphic=True)", got=f"a {leaf.dtype if hasattr(leaf, 'dtype') else type(leaf).__name__} argument",
                want="complex arguments", fix="pass z.astype(complex), or drop holomorphic", at=describe(here(2)),
            )  # fmt: skip


def _scalar(values: Sequence[Array], holomorphic: bool) -> Array:
    shapes = [np.shape(v) if not hasattr(v, "shape") else v.shape for v in values]
    if len(values) != 1 or shapes[0] != ():
        raise ShapeError(
            "grad",
            got=f"an output of {len(values)} arrays" if len(values) != 1 else f"an output of shape {tuple(shapes[0])}",
            want="one scalar",
            fix="reduce it (numpy.sum, numpy.mean), or use wengert.jacobian or wengert.vjp",
            at=describe(here(2)),
        )
    out = values[0] if hasattr(values[0], "dtype") else np.asarray(values[0])[()]
    if out.dtype.kind == "c" and not holomorphic:
        raise DTypeError(
            "grad",
            got=f"a {out.dtype} output",
            want="a real scalar",
            fix="take numpy.real or numpy.abs of it; for a holomorphic function pass holomorphic=True",
            at=describe(here(2)),
        )
    if out.dtype.kind in "iub":
        raise DTypeError(
            "grad", got=f"a {out.dtype} output", want="a float", fix="return a float: counts and comparisons have no gradient",
            at=describe(here(2)),
        )  # fmt: skip
    return out


class Pullback:
    """The linear map from a cotangent of the output to those of the inputs. Hold it to hold the residuals.

    Calling it gives a tuple with one cotangent per primal. It may be called any number of times.
    """

    def __init__(self, flat: FlatFunction, values: Sequence[Array], pullback: Any) -> None:
        self._flat, self._values, self._pullback = flat, values, pullback

    def __call__(self, ct: Any) -> tuple[Any, ...]:
        leaves, tree = flatten(ct)
        if tree != self._flat.out_tree:
            raise ShapeError(
                "pullback", got=f"a cotangent of structure {tree}", want=f"that of the output: {self._flat.out_tree}"
            )
        cts = [outward(like(c, v)) if _inexact(v) else None for c, v in zip(leaves, self._values, strict=True)]
        return self._flat.pack_in(own([outward(c) for c in self._pullback(cts)], borrowed=leaves))


def _inexact(v: Array) -> bool:
    return hasattr(v, "dtype") and v.dtype.kind not in "iub"


def like(ct: Any, value: Array) -> Array:
    """A user's cotangent or tangent, checked against its primal, in the primal's dtype."""
    if not hasattr(ct, "dtype"):
        ct = np.asarray(ct)[()]
    if tuple(ct.shape) != tuple(value.shape):
        raise ShapeError(
            "cotangent or tangent",
            got=f"shape {tuple(ct.shape)}",
            want=f"that of its primal, {tuple(value.shape)}",
            at=describe(here(3)),
        )
    if ct.dtype.kind in "iub":
        ct = ct.astype(value.dtype)
    if ct.dtype.kind == "c" and value.dtype.kind != "c":
        raise DTypeError(
            "cotangent or tangent", got=f"{ct.dtype}", want=f"{value.dtype}, as its primal", at=describe(here(3))
        )
    return cast_ct(ct, value.dtype)


@entry
def vjp(
    fun: Callable[..., Any],
    *primals: Any,
    has_aux: bool = False,
    adopt: bool = True,
    memory_budget: int | str | None = None,
) -> tuple[Any, ...]:
    """`fun(*primals)`, and the pullback: the map from a cotangent of the output to those of `primals`.

    Returns `(out, pullback)`, or `(out, pullback, aux)` with `has_aux`.
    Cost: one recorded evaluation; each pullback at most about three more. `memory_budget`: see `value_and_grad`.
    """
    flat = FlatFunction(fun, primals, {}, range(len(primals)), has_aux, adopt)
    values, pullback, _ = vjp_flat(flat, flat.leaves, begin=budgeted(memory_budget, "vjp(memory_budget=...)"))
    # The tape may hold these very arrays for the backward pass, and the caller may write into the results.
    values = [v.copy("K") if type(v) is np.ndarray else held(v) for v in values]
    out = flat.pack_out(values)
    back = Pullback(flat, values[: flat.n_out], pullback)
    return (out, back, flat.pack_aux(values)) if has_aux else (out, back)


@entry
def jvp(
    fun: Callable[..., Any],
    primals: Sequence[Any],
    tangents: Sequence[Any],
    *,
    has_aux: bool = False,
    adopt: bool = True,
) -> tuple[Any, ...]:
    """`fun(*primals)`, and its derivative in the direction `tangents`: `(out, tangent)` (and aux).

    Cost: about two evaluations of `fun`; nothing is stored.
    """
    flat = FlatFunction(fun, tuple(primals), {}, range(len(primals)), has_aux, adopt)
    leaves = [inexact(p, "jvp") for p in flat.leaves]
    dots, tree = flatten(tuple(tangents))
    if tree != flat.in_tree:
        raise ShapeError(
            "jvp",
            got=f"tangents of structure {tree}",
            want=f"that of the primals: {flat.in_tree}",
            at=describe(here(2)),
        )
    values, out_dots = jvp_flat(flat, leaves, [like(t, p) for t, p in zip(dots, leaves, strict=True)])
    filled = [zero_tangent(v) if d is None else d for v, d in zip(values[: flat.n_out], out_dots, strict=False)]
    out, dot = flat.pack_out(values), flat.pack_out(own(filled, borrowed=dots))
    return (out, dot, flat.pack_aux(values)) if has_aux else (out, dot)


def zero_tangent(value: Array) -> Array:
    """The zero tangent of a value that depends on no input."""
    value = value if hasattr(value, "dtype") else np.asarray(value)
    return np.zeros(value.shape, value.dtype if value.dtype.kind in "fc" else float)[()]


def hvp(fun: Callable[..., Any], primals: Sequence[Any], tangents: Sequence[Any], *, adopt: bool = True) -> Any:
    """The Hessian of a scalar function times a vector, by forward over reverse.

    `primals` and `tangents` are tuples with one entry per argument; so is the result (for one
    primal: that primal's product alone). Cost: a small multiple of one gradient; no Hessian is formed.
    """
    single = len(primals) == 1
    argnums: ArgNums = 0 if single else tuple(range(len(primals)))
    return jvp(grad(fun, argnums, adopt=adopt), primals, tangents, adopt=False)[1]
