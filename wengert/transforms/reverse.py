"""Reverse mode: carry cotangents backwards along a Wengert list.

One sweep serves every recorder, since all write a `Program`. It calls ops, never NumPy,
so the result can itself be taped, batched, or pushed forward.

Shapes  A cotangent has exactly the shape and dtype of its variable.
Cost    One vjp rule per equation that the result depends on, and for wanted operands only.
        Memory: what the ops list in `saves`; a sweep that may consume the tape lets each
        residual go as soon as it has been used.
Errors  NotDifferentiable, naming the op, its stated reason and the user's line.
Source  Wengert (1964) for the list; Griewank & Walther (2008), ch. 3, for the sweep.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from sys import getrefcount
from time import perf_counter
from typing import Any

import numpy as np

from wengert.core.config import config
from wengert.core.errors import NonFinite, NotDifferentiable
from wengert.core.events import accumulated, cotangent, pulling, swept, tell
from wengert.core.op import Op
from wengert.core.source import backward, describe
from wengert.core.tensor import Array, Tensor, active, raw, running
from wengert.graph.program import Program, Var
from wengert.ops.basis import add
from wengert.trace.admission import inexact
from wengert.trace.anomaly import Checks
from wengert.trace.rows import start
from wengert.trace.stage import Stage
from wengert.trace.tape import Lease, Tape
from wengert.trace.temporaries import LARGE
from wengert.transforms.cotangents import Cotangents

# What may do a sweep's work in its place, or return None; filled by the runtime, which compiles sweeps that come often.
SERVERS: list[Callable[..., list[Array | None] | None]] = []
OWN_LINES = frozenset({"custom_vjp_call", "custom_jvp_call", "checkpoint_call"})  # their rules run code of the user's


def record(
    fun: Callable[..., Sequence[Array]], primals: Sequence[Array], begin: Callable[[], Tape] | None = None
) -> tuple[Sequence[Array], Tape]:
    """Run `fun` on a new tape (of `begin()`); its outputs (Tensors of the tape, or values it does not depend on) and the tape."""
    tape = start() if begin is None else begin()
    try:
        with running(tape):
            outs = fun(*map(tape.input, primals))
    except BaseException:
        tape.guard.release()  # the error's frames may keep the tape, but the user's arrays are free
        raise
    return outs, tape


def sweep(
    program: Program, seeds: Sequence[tuple[Var, Array]], wanted: Sequence[Var | None], *, consume: bool = False
) -> list[Array | None]:
    """Cotangents of `wanted`, given those of some variables; None where nothing reaches.

    A wanted variable may also be an intermediate one, or a seed.
    """
    began = perf_counter()
    for trace in active():
        seeds = trace.seeded(seeds)
    found = None
    if SERVERS and config.compiled_backward and not config.watches_values and _is_plain(program):
        found = SERVERS[0](program, seeds, wanted, consume)
    if found is None:
        found = walk(program, seeds, wanted, consume=consume)
    if swept:
        tell(swept, program, began, perf_counter())
    return found


def _is_plain(program: Program) -> bool:
    """Whether nobody looks into its sweep."""
    return type(program.eqns) is list and not program.hooks


def walk(
    program: Program, seeds: Sequence[tuple[Var, Array]], wanted: Sequence[Var | None], *, consume: bool = False
) -> list[Array | None]:
    """`sweep`, equation by equation."""
    eqns = program.eqns if consume else program.eqns.copy()
    watched = None if _is_plain(program) else Cotangents(program, eqns)
    cts: dict[Any, Array] = {} if watched is None else watched  # by Var
    kept: dict[Any, Array] = {}  # those of equations' results, which are complete
    for var, ct in seeds:
        if var not in cts:
            cts[var] = ct
            continue
        cts[var] = add(cts[var], ct)
        if watched is not None and watched.counts(var):
            watched.contributed(var, ct, cts[var])
    if watched is not None:
        watched.begin()
    inner = set(wanted).difference(program.ins)  # variables that are both an equation's output and wanted
    take = cts.pop
    checks = Checks() if config.watches_values else None
    stages = [trace for trace in active() if type(trace) is Stage]  # they record each rule at the line of its op
    with np.errstate(all="ignore"):
        while eqns:
            # Let go before the next row's residuals are fetched; and its cotangent must be held by nobody else.
            row = xs = out = ct = cts_in = ct_in = None
            row = eqns.pop()
            op, ins, outs, params, xs, out, code, lasti = row
            rule = op.pullback
            for stage in stages:
                stage.where = None if code is None or op.name in OWN_LINES else backward((code, lasti))
            if op.multi:
                ct = [take(o, None) for o in outs]
                if not any(c is not None for c in ct):
                    continue
                if inner:
                    kept.update((o, c) for o, c in zip(outs, ct) if o in inner and c is not None)
            elif (ct := take(outs, None)) is None:
                continue
            else:
                if inner and outs in inner:
                    kept[outs] = ct
                if not op.plain:
                    if op.accumulate and ins[0] in cts and _adds_in_place(op, cts, ins[0], ct, xs, params):
                        if accumulated:
                            tell(accumulated, ins[0], None, cts[ins[0]])
                        continue
                    if op.overwrite and getrefcount(ct) == ALONE and _is_free(ct):
                        rule = op.overwrite
            began = _begun(row, ct) if cotangent else 0.0
            try:
                cts_in = rule(ct, ins, xs, out, **params) if params else rule(ct, ins, xs, out)
            except NotDifferentiable as error:
                raise error.located(describe((code, lasti))) from None
            except NonFinite as error:
                raise (error if checks is None else checks.within(error, row)) from None
            if cotangent:
                tell(cotangent, row, ct, cts_in, began, perf_counter())
            if checks:
                checks.pullback(row, ct, cts_in)
            for var, ct_in in zip(ins, cts_in):
                if ct_in is not None and var is not None:
                    if var not in cts:
                        cts[var] = ct_in
                        continue
                    if checks:
                        checks.sum(row, cts[var], ct_in)
                    cts[var] = _sum(cts, var, ct_in)
                    if accumulated:
                        tell(accumulated, var, ct_in, cts[var])
                    if watched is not None and watched.counts(var):
                        watched.contributed(var, ct_in, cts[var])
    for stage in stages:
        stage.where = None
    if watched is not None:
        watched.finish()
    return [None if var is None else kept[var] if var in kept else cts.get(var) for var in wanted]


def _begun(row: Any, ct: Any) -> float:
    """Tell that a pullback is about to be run; and the time."""
    if pulling:
        tell(pulling, row, ct)
    return perf_counter()


# ── cotangents that nobody else holds ─────────────────────────────────────────


def _count_of_a_local() -> int:
    ct = np.zeros(1)
    return getrefcount(ct)


def _count_in_a_dict() -> int:
    cts = {0: np.zeros(1)}
    return getrefcount(cts[0])


ALONE, ALONE_IN_DICT = _count_of_a_local(), _count_in_a_dict()
ALONE_IN_DICT_AND_LOCAL = ALONE + 1


def _is_free(ct: Array) -> bool:
    """Whether `ct` is an ndarray with memory of its own that may be written."""
    return type(ct) is np.ndarray and ct.base is None and ct.flags.writeable


def _adds_in_place(
    op: Op, cts: dict[Var, Array], var: Var, ct: Array, xs: Sequence[Array], params: dict[str, Any]
) -> bool:
    """Add into the cotangent that `var` has already, if nobody else holds that."""
    if getrefcount(cts[var]) != ALONE_IN_DICT or (type(cts) is Cotangents and cts.counts(var)):
        return False
    known = cts[var]
    if type(ct) is Tensor or not _is_free(known) or ct.dtype != known.dtype or any(type(x) is Tensor for x in xs):
        return False
    op.accumulate(known, ct, xs, **params)  # pyright: ignore[reportOptionalCall]
    return True


def _sum(cts: dict[Var, Array], var: Var, ct: Array) -> Array:
    """The cotangent that `var` has already and `ct`; written over the former if it is large and nobody else holds it."""
    known = cts[var]
    if type(known) is Tensor or type(ct) is Tensor:
        return add(known, ct)
    if (
        known.nbytes >= LARGE
        and known.shape == ct.shape
        and known.dtype == ct.dtype
        and getrefcount(known) == ALONE_IN_DICT_AND_LOCAL
        and _is_free(known)
    ):
        return np.add(known, ct, out=known)
    return known + ct


def zeros(var: Var) -> np.ndarray:
    """The zero cotangent of `var`."""
    return np.zeros(var.shape, var.dtype)[()]


def vjp_flat(
    fun: Callable[..., Sequence[Array]],
    primals: Sequence[Array],
    what: str = "vjp",
    begin: Callable[[], Tape] | None = None,
) -> tuple[list[Array], Callable[..., list[Array]], list[Var | None]]:
    """`fun` on flat lists: its outputs (outer values), the pullback, and each output's variable (None: constant).

    The pullback takes one cotangent per output (None, or too few, for none), and may be called again
    unless `consume=True` gives the residuals away as it goes. Plain transpose: no conjugates.
    """
    primals = [inexact(p, what) for p in primals]
    outs, tape = record(fun, primals, begin)
    program = tape.program
    out_vars = [tape.var(o) for o in outs]
    values = [tape.lower(o) for o in outs]
    tape.close("a finished gradient")
    ins = program.ins

    def pullback(cts: Sequence[Array | None], *, consume: bool = False) -> list[Array]:
        seeds = [(v, c) for v, c in zip(out_vars, cts, strict=False) if v is not None and c is not None]
        found = sweep(program, seeds, ins, consume=consume)
        return [zeros(v) if ct is None else ct for v, ct in zip(ins, found, strict=True)]

    pullback.lease = Lease(tape)  # type: ignore[attr-defined]  # captured arrays are protected while it lives
    return values, pullback, out_vars


def own(arrays: Sequence[Array], borrowed: Sequence[Array] = ()) -> list[Array]:
    """The arrays, copied where they share memory with each other, with `borrowed`, or cannot be written; Tensors in new cells.

    Gradients leave the library through here, so that updating one in place changes nothing else.
    """
    seen = {id(_root(b)) for b in borrowed}
    owned = []
    for array in arrays:
        if type(array) is np.ndarray:
            root = _root(array)
            if id(root) in seen or not array.flags.writeable or not root.flags.writeable:
                array = array.copy()
            else:
                seen.add(id(root))
        owned.append(array._trace.owned(array, seen) if type(array) is Tensor else array)
    return owned


def _root(array: Array) -> Any:
    if type(array) is np.ndarray and array.base is None:
        return array
    array = raw(array)
    while isinstance(base := getattr(array, "base", None), np.ndarray):
        array = base
    return array
