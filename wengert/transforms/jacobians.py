"""Whole derivatives: Jacobians by rows or by columns, Hessians, and linearization.

The rows (or columns) are one batched sweep over the standard basis: `batch` over `pullback`,
or over `jvp`. Structure: for each output leaf, a pytree of the arguments' structure, whose
leaves have shape `out.shape + in.shape`.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from wengert.core.errors import DTypeError
from wengert.core.source import describe, here
from wengert.core.tensor import Array, constant, held, running
from wengert.graph.program import Literal
from wengert.ops.basis import add, cast, reshape, scale, transpose
from wengert.trace.admission import inexact
from wengert.trace.tape import ReplayableTape
from wengert.transforms.batch import batch_flat
from wengert.transforms.entry import FlatFunction, entry
from wengert.transforms.forward import jvp_flat
from wengert.transforms.gradients import ArgNums, positions, zero_tangent
from wengert.transforms.reverse import own, vjp_flat


def basis(value: Array) -> np.ndarray:
    """The standard basis of arrays like `value`, along a leading axis."""
    n = math.prod(value.shape)
    return np.eye(n, dtype=value.dtype).reshape(n, *value.shape)


def _check_complex(leaves: Sequence[Array], holomorphic: bool, what: str) -> None:
    for x in leaves:
        if (x.dtype.kind == "c") is not holomorphic:
            raise DTypeError(
                what,
                got=f"{x.dtype} input with holomorphic={holomorphic}",
                want="real inputs, or holomorphic=True and complex ones (the complex derivative)",
                fix="differentiate with respect to the real and imaginary parts separately",
                at=describe(here(3)),
            )


def rows(pullback: Any, values: Sequence[Array], k: int, holomorphic: bool) -> list[Array]:
    """The Jacobian of output leaf `k` with respect to each input leaf, by one batched sweep."""
    out = values[k]
    seeds = basis(out)

    def pull(seed: Array) -> list[Array]:
        return pullback([seed if j == k else None for j in range(len(values))])

    def sweep(seeds: np.ndarray) -> list[Array]:
        found, flags = batch_flat(pull, [seeds], [True], len(seeds))
        return [f if b else np.broadcast_to(f, (len(seeds), *f.shape)) for f, b in zip(found, flags, strict=True)]

    found = sweep(seeds)
    if out.dtype.kind == "c" and not holomorphic:  # real inputs: Re J from seeds 1, Im J from seeds -i
        imaginary = sweep(seeds * -1j)
        found = [
            add(cast(re, dtype=out.dtype), scale(cast(im, dtype=out.dtype), 1j))
            for re, im in zip(found, imaginary, strict=True)
        ]
    return [reshape(f, shape=(*out.shape, *f.shape[1:])) for f in found]


def _constant_rows(value: Array, leaves: Sequence[Array]) -> list[Array]:
    dtype = value.dtype if value.dtype.kind in "fc" else np.dtype(float)
    return [np.zeros((*value.shape, *x.shape), dtype) for x in leaves]


def _finish(flat: FlatFunction, per_output: Sequence[Sequence[Array]], argnums: ArgNums) -> Any:
    """The per-leaf Jacobians in the structures of output and arguments."""
    packed = [flat.pack_in(own(found)) for found in per_output]
    return flat.pack_out([p[0] if isinstance(argnums, int) else p for p in packed])


def _reverse(flat: FlatFunction, leaves: list[Array], run: Any, holomorphic: bool) -> list[list[Array]]:
    values, pullback, out_vars = run
    outs = values[: flat.n_out]
    return [
        rows(pullback, outs, k, holomorphic) if out_vars[k] is not None else _constant_rows(outs[k], leaves)
        for k in range(flat.n_out)
    ]


def _forward(flat: FlatFunction, leaves: list[Array], holomorphic: bool) -> tuple[list[Array], list[list[Array]]]:
    per_input: list[list[Array]] = []
    values: list[Array] = []
    for i, leaf in enumerate(leaves):
        directions = basis(leaf)
        unbatched: list[Array] = []

        def push(direction: Array, i: int = i, unbatched: list[Array] = unbatched) -> list[Array]:
            tangents = [direction if j == i else None for j in range(len(leaves))]
            # a cell may hold them: what the function makes of them it may write to, as under `jacrev`
            points = [leaf if j == i else constant(held(leaf)) for j, leaf in enumerate(leaves)]
            outs, dots = jvp_flat(flat, points, tangents)
            unbatched[:] = outs
            return [zero_tangent(o) if d is None else d for o, d in zip(outs[: flat.n_out], dots, strict=False)]

        found, flags = batch_flat(push, [directions], [True], len(directions))
        values = unbatched
        columns = []
        for column, batched in zip(found, flags, strict=True):
            if not batched:
                column = np.broadcast_to(column, (len(directions), *column.shape))
            n = column.ndim
            column = transpose(column, axes=(*range(1, n), 0))
            columns.append(reshape(column, shape=(*column.shape[:-1], *leaf.shape)))
        per_input.append(columns)
    return values, [[columns[k] for columns in per_input] for k in range(flat.n_out)]


def _jacobian(
    which: str, fun: Any, argnums: ArgNums, has_aux: bool, holomorphic: bool, adopt: bool
) -> Callable[..., Any]:
    @entry
    @functools.wraps(fun)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        flat = FlatFunction(fun, args, kwargs, positions(argnums, args), has_aux, adopt)
        leaves = [inexact(x, which) for x in flat.leaves]
        _check_complex(leaves, holomorphic, which)
        if which == "jacfwd":
            values, found = _forward(flat, leaves, holomorphic)
            if not leaves:
                values = flat()
        else:
            values, pullback, out_vars = vjp_flat(flat, leaves, which)
            outs = [v if hasattr(v, "dtype") else np.asarray(v) for v in values[: flat.n_out]]
            n_out, n_in = sum(math.prod(o.shape) for o in outs), sum(math.prod(x.shape) for x in leaves)
            if which == "jacobian" and n_out > n_in:
                _, found = _forward(flat, leaves, holomorphic)
            else:
                found = _reverse(flat, leaves, (outs, pullback, out_vars), holomorphic)
        result = _finish(flat, found, argnums)
        return (result, flat.pack_aux(values)) if has_aux else result

    return wrapped


def jacrev(
    fun: Callable[..., Any],
    argnums: ArgNums = 0,
    *,
    has_aux: bool = False,
    holomorphic: bool = False,
    adopt: bool = True,
) -> Callable[..., Any]:
    """The Jacobian by rows: reverse mode, one batched pullback. Best for few outputs."""
    return _jacobian("jacrev", fun, argnums, has_aux, holomorphic, adopt)


def jacfwd(
    fun: Callable[..., Any],
    argnums: ArgNums = 0,
    *,
    has_aux: bool = False,
    holomorphic: bool = False,
    adopt: bool = True,
) -> Callable[..., Any]:
    """The Jacobian by columns: forward mode, one batched push. Best for few inputs."""
    return _jacobian("jacfwd", fun, argnums, has_aux, holomorphic, adopt)


def jacobian(
    fun: Callable[..., Any],
    argnums: ArgNums = 0,
    *,
    has_aux: bool = False,
    holomorphic: bool = False,
    adopt: bool = True,
) -> Callable[..., Any]:
    """The Jacobian, by rows or by columns, whichever are fewer.

    With more outputs than inputs `fun` runs twice: once to count them. Leaves have shape `out.shape + in.shape`.
    """
    return _jacobian("jacobian", fun, argnums, has_aux, holomorphic, adopt)


def hessian(
    fun: Callable[..., Any],
    argnums: ArgNums = 0,
    *,
    has_aux: bool = False,
    holomorphic: bool = False,
    adopt: bool = True,
) -> Callable[..., Any]:
    """Second derivatives, by forward over reverse; leaves have shape `out.shape + in.shape + in.shape`."""
    inner = jacrev(fun, argnums, has_aux=has_aux, holomorphic=holomorphic, adopt=adopt)
    return jacfwd(inner, argnums, has_aux=has_aux, holomorphic=holomorphic, adopt=False)


@entry
def linearize(fun: Callable[..., Any], *primals: Any, has_aux: bool = False, adopt: bool = True) -> tuple[Any, ...]:
    """`fun(*primals)`, and its derivative there as a function of tangents: `(out, f_jvp)` (and aux).

    `f_jvp(*tangents)` replays a recorded list of linear equations: no part of `fun` runs again.
    Cost: a jvp, plus recording; each `f_jvp` about one evaluation of `fun`.
    """
    flat = FlatFunction(fun, primals, {}, range(len(primals)), has_aux, adopt)
    leaves = [inexact(p, "linearize") for p in flat.leaves]
    tape = ReplayableTape()
    try:
        with running(tape):
            tangents = [tape.input(np.zeros(p.shape, p.dtype)[()]) for p in leaves]
            values, dots = jvp_flat(flat, leaves, tangents)
    except BaseException:
        tape.guard.release()
        raise
    program = tape.program
    outs = values[: flat.n_out]
    program.outs = [
        var if (var := tape.var(d)) is not None else Literal(zero_tangent(v)) for v, d in zip(outs, dots, strict=False)
    ]
    values = [tape.lower(v) for v in values]
    tape.close("a finished linearize")

    def f_jvp(*tangents: Any) -> Any:
        given = FlatFunction(lambda *t: t, tangents, {}, range(len(tangents)))
        if given.in_tree != flat.in_tree:
            raise TypeError(f"f_jvp: got tangents of structure {given.in_tree}, want {flat.in_tree}")
        for t, p in zip(given.leaves, leaves, strict=True):
            if np.shape(t) != p.shape:
                raise ValueError(f"f_jvp: got a tangent of shape {np.shape(t)}, want {p.shape}")
        with np.errstate(all="ignore"):
            return flat.pack_out(
                own(program.run(*(t if hasattr(t, "dtype") else np.asarray(t)[()] for t in given.leaves)))
            )

    f_jvp.guard = tape.guard  # type: ignore[attr-defined]  # keeps the captured arrays protected
    out = flat.pack_out(values)
    return (out, f_jvp, flat.pack_aux(values)) if has_aux else (out, f_jvp)
