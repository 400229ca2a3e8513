"""What one call of an op costs, in additions, from its operands' shapes: enough to tell what is dear to compute again.

A form says it for most ops (`Map.cost`); contractions, and factorisations, count their products. What a composition costs is
the sum of what it is made of. These are estimates: of a library call that nothing is known of, twenty for each element.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any

from wengert.core.aval import Aval
from wengert.core.form import Assemble, Map, Move, Reduce, Reshape, Scan, Unsupported, Via
from wengert.core.op import Op
from wengert.ops.contract import places
from wengert.trace.stage import stage

CONTRACTIONS = frozenset({"contract", "matmul", "conv", "conv_input", "conv_kernel", "convolve"})
CUBIC = frozenset("solve inv det slogdet pinv lstsq cholesky qr lu eigh eig svd expm sqrtm logm schur".split())
UNKNOWN = 20  # additions for an element of what is run by a library

Avals = Sequence[Aval]


def flops(op: Op, ins: Avals, outs: Avals, params: dict[str, Any]) -> float:
    """The additions that `op` makes of operands `ins`, for results `outs`."""
    try:
        key = tuple(sorted(params.items()))
        hash(key)
    except TypeError:
        return _flops(op, tuple(ins), tuple(outs), params)
    return _known(op, tuple(ins), tuple(outs), key)


@functools.lru_cache(maxsize=4096)
def _known(op: Op, ins: tuple[Aval, ...], outs: tuple[Aval, ...], params: tuple[Any, ...]) -> float:
    return _flops(op, ins, outs, dict(params))


def _flops(op: Op, ins: tuple[Aval, ...], outs: tuple[Aval, ...], params: dict[str, Any]) -> float:
    if op.name in CONTRACTIONS:
        return 2.0 * _products(op, ins, outs, params)
    size = sum(aval.size for aval in outs)
    widest = max([size, *(aval.size for aval in ins)])
    if op.name in CUBIC:
        return float(widest) * max(aval.shape[-1] if aval.shape else 1 for aval in ins)
    if op.name in ("name", "barrier"):
        return 0.0
    programs = _programs(params)
    if programs:
        return sum(map(of_program, programs)) * float(params.get("length") or 1)
    form = op.lower
    if callable(form):
        try:
            form = form(ins, params)
        except Exception:  # a form that does not serve this call
            form = None
    match form:
        case tuple():
            costs = [f.cost if isinstance(f, Map) else 1 for f in form]
            return float(sum(costs) * widest)
        case Map():
            return float(form.cost * size)
        case Reduce() | Scan():
            return float(widest)
        case Move() | Reshape() | Assemble():
            return 0.0
        case Via():
            return _composed(op, form, ins, params)
    return float(UNKNOWN * widest)


def _composed(op: Op, form: Via, ins: tuple[Aval, ...], params: dict[str, Any]) -> float:
    def run(*xs: Any) -> Sequence[Any]:
        out = form.ops(*xs, **params)
        return tuple(out) if op.multi else (out,)

    try:
        program, _ = stage(run, ins)
    except (Unsupported, TypeError, ValueError):
        return float(UNKNOWN * max((aval.size for aval in ins), default=1))
    return of_program(program)


def of_program(program: Any) -> float:
    """The additions of all equations of a Program."""
    total = 0.0
    for op, ins, out, params, *_ in program.eqns:
        outs = [v.aval for v in (out if op.multi else (out,)) if v is not None]
        total += flops(op, [atom.aval for atom in ins], outs, params)
    return total


def _programs(params: dict[str, Any]) -> list[Any]:
    return [p for v in params.values() for p in (v if type(v) is tuple else (v,)) if hasattr(p, "eqns")]


def _products(op: Op, ins: tuple[Aval, ...], outs: tuple[Aval, ...], params: dict[str, Any]) -> float:
    """How many products a contraction adds up."""
    x, y, out = ins[0], ins[1], outs[0]
    if op.name == "contract":
        sizes: dict[str, int] = {}
        for labels, aval in zip(places(params["subscripts"]), (x, y, out), strict=True):
            sizes.update(zip(labels, aval.shape, strict=True))
        return float(math.prod(sizes.values()))
    if op.name == "matmul":
        return float(out.size) * (x.shape[-1] if x.shape else 1)
    if op.name == "convolve":
        return float(x.size * y.size)
    w = out if op.name == "conv_kernel" else y
    at = {"conv": out, "conv_input": x, "conv_kernel": y}[op.name]  # the larger sum: groups, channels out, places
    return float(at.size) * w.size / max(1, math.prod(w.shape[:2]))
