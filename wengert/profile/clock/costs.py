"""Flops of ops that were run one by one: of their loops, were they compiled, as the lowering counts them.

Cost: about a millisecond for each op with operands of its own shapes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from wengert.core.aval import Aval
from wengert.core.op import Op
from wengert.graph.program import Var
from wengert.lowering.lower import lower
from wengert.passes.pipeline import optimise
from wengert.trace.stage import stage


def flops(op: Op, avals: Sequence[Aval], params: dict[str, Any]) -> float | None:
    """Of `op`; None if it has no form, or one that does not take such operands."""
    return _counted(lambda *xs: _several(op(*xs, **params)), avals)


def pullback_flops(
    op: Op, wanted: Sequence[bool], ins: Sequence[Any], saved: Sequence[Aval | None], out: Any, cts: Any, params: Any
) -> float | None:
    """Of its pullback. `ins`: avals of the operands, `saved` of the residuals that there are, `out` of the results that are kept,
    `cts` of the cotangents; tuples of these with `op.multi`."""
    given: list[Aval] = []

    def slot(aval: Aval | None) -> int | None:
        if aval is None:
            return None
        given.append(aval)
        return len(given) - 1

    def slots(avals: Any) -> Any:
        return [slot(aval) for aval in avals] if isinstance(avals, (tuple, list)) else slot(avals)

    ct_at, x_at, out_at = slots(cts), [slot(aval) for aval in saved], slots(out)
    variables = [Var(a.shape, a.dtype) if w and a is not None else None for w, a in zip(wanted, ins, strict=True)]

    def run(*cells: Any) -> list[Any]:
        def put(at: Any) -> Any:
            return [put(one) for one in at] if isinstance(at, list) else None if at is None else cells[at]

        found = op.pullback(put(ct_at), variables, put(x_at), put(out_at), **params)
        return [ct for ct, var in zip(found, variables) if ct is not None and var is not None]

    return _counted(run, given)


def _several(out: Any) -> list[Any]:
    return [o for o in (out if isinstance(out, tuple) else (out,)) if np.dtype(o.dtype).kind != "O"]


def _counted(run: Callable[..., list[Any]], avals: Sequence[Aval]) -> float | None:
    try:
        program, captured = stage(run, avals)
        if captured:
            return None
        lowered = lower(optimise(program)[0])
    except Exception:  # an op that cannot be staged or lowered: nobody knows
        return None
    if lowered.host_calls:
        return None
    return float(lowered.flops)
