"""Where NaN and infinity begin: the op, forward or backward, that makes one out of what had none.

`config.debug_nans` raises at the first NaN, wherever it comes from. `config.detect_anomaly` raises where a NaN, or an infinity, is
*made*: a NaN in what an op gives and none in what it was given; an infinity, and all that it was given was finite. So a mask of
-inf, or missing data, pass.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from wengert.core.abstract import Abstract
from wengert.core.config import config
from wengert.core.errors import NonFinite
from wengert.core.op import Op
from wengert.core.source import Source, describe, here, is_backward
from wengert.core.tensor import raw
from wengert.graph.atoms import Away
from wengert.trace.admission import check_nan
from wengert.trace.causes import IN_A_PULLBACK, backward_cause, forward_cause


class Checks:
    """What a backward pass looks at, and where it was started."""

    def __init__(self) -> None:
        self.started = here(3)

    def pullback(self, row: Any, ct: Any, cts: Sequence[Any]) -> None:
        """Look at the cotangents that the rule of `row` gave."""
        op, ins, _, params, xs, out, code, lasti = row
        source = None if code is None else (code, lasti)
        if config.debug_nans:
            for c in cts:
                if c is not None:
                    check_nan(c, f"pullback of {op.name}", source)
        if not config.detect_anomaly:
            return
        outs = out if isinstance(out, tuple | list) else (out,)
        given = [*(ct if op.multi else (ct,)), *xs, *outs]
        for var, c in zip(ins, cts, strict=False):
            if c is None or var is None or (kind := made(c, given)) is None:
                continue
            n = list(ins).index(var)
            named = [("its cotangent", ct)] if not op.multi else []
            named += [(f"operand {i}", x) for i, x in enumerate(xs)] + [("its result", o) for o in outs]
            raise NonFinite(
                f"pullback of {op.name}",
                got=f"{kind} in the cotangent of operand {n}: {summary(c)}{_shown(named)}",
                want="finite values (detect_anomaly)",
                fix=backward_cause(op.name, [raw(x) for x in xs], raw(out), params),
                at=f"{describe(source)} (the op, forward)\n        {describe(self.started)} (where the backward pass was started)",
            )

    @staticmethod
    def within(error: NonFinite, row: Any) -> NonFinite:
        """`error`, which an op in the pullback of `row` raised to another trace, with the line of the row."""
        code, lasti = row[6:8]
        error.args = (
            f"{error.args[0]}\n  in:   the pullback of {row[0].name}: {describe((code, lasti))}",
            *error.args[1:],
        )
        return error

    def sum(self, row: Any, known: Any, ct: Any) -> None:
        """Look at the sum of two contributions to one cotangent."""
        if not config.detect_anomaly or type(raw(known)) is Abstract or type(raw(ct)) is Abstract:
            return
        with np.errstate(all="ignore"):
            total = np.asarray(raw(known)) + np.asarray(raw(ct))
        if (kind := made(total, [known, ct])) is not None:
            code, lasti = row[6:8]
            raise NonFinite(
                "sum of cotangents",
                got=f"{kind}: {summary(total)}{_shown([('the sum so far', known), ('contribution', ct)])}",
                want="finite values (detect_anomaly)",
                fix="scale the loss down, or work in float64",
                at=f"{describe((code, lasti))} (the last use, forward)"
                f"\n        {describe(self.started)} (where the backward pass was started)",
            )


def check_result(op: Op, args: Sequence[Any], out: Any, source: Source | None, params: Any = None) -> None:
    """Look at what `op` gave, with `config.debug_nans` and `config.detect_anomaly`."""
    outs = out if op.multi else (out,)
    if config.debug_nans:
        for o in outs:
            check_nan(o, op.name, source)
    if not config.detect_anomaly:
        return
    for o in outs:
        if (kind := made(o, args)) is None:
            continue
        named = [(f"operand {i}", a) for i, a in enumerate(args)]
        pulled = is_backward(source)  # a compiled program run op by op
        fix = IN_A_PULLBACK if pulled else forward_cause(op.name, [raw(a) for a in args], raw(o), params or {})
        at = describe(source)
        if pulled:
            at += f" (the op, forward)\n        {describe(here(2))} (where the backward pass was started)"
        raise NonFinite(
            f"{op.name}, in a pullback" if pulled else op.name,
            got=f"{kind}: {summary(o)}{_shown(named)}",
            want="finite values (detect_anomaly)",
            fix=fix,
            at=at,
        )


def check_tangent(op: Op, given: Sequence[Any], tangent: Any, source: Source | None) -> None:
    """The same for the tangent of the result of `op`."""
    if config.debug_nans:
        check_nan(tangent, f"jvp of {op.name}", source)
    if config.detect_anomaly and (kind := made(tangent, given)) is not None:
        xs, out = given[: len(given) // 2], given[-1]
        raise NonFinite(
            f"jvp of {op.name}",
            got=f"{kind} in the tangent: {summary(tangent)}{_shown([(f'operand {i}', x) for i, x in enumerate(xs)])}",
            want="finite values (detect_anomaly)",
            fix=backward_cause(op.name, [raw(x) for x in xs], raw(out), {}),
            at=describe(source),
        )


def made(value: Any, given: Sequence[Any]) -> str | None:
    """What `value` has and nothing `given` had: "a NaN", "an infinity", or None."""
    nans, infinite = _kinds(value)
    if not (nans or infinite):
        return None
    before = [_kinds(g) for g in given]
    if nans and not any(n for n, _ in before):
        return "the first NaN"
    if infinite and not any(n or i for n, i in before):
        return "the first infinity"
    return None


def _kinds(value: Any) -> tuple[bool, bool]:
    """Whether there are NaNs, and infinities."""
    bottom = raw(value)
    if bottom is None or type(bottom) is Abstract or isinstance(bottom, Away):
        return False, False
    array = np.asarray(bottom)
    if array.dtype.kind not in "fc" or np.isfinite(array).all():
        return False, False
    return bool(np.isnan(array).any()), bool(np.isinf(array).any())


def summary(value: Any) -> str:
    """An array in a few numbers: `float64[3], from 0 to 2.5, 1 of 3 not finite, first at (0,)`."""
    array = np.asarray(raw(value))
    text = f"{array.dtype}{list(array.shape)}"
    if not array.size or array.dtype.kind not in "biufc":
        return text
    if array.size == 1:
        return (
            f"{text} = {array.reshape(-1)[0]:.6g}" if array.dtype.kind in "fc" else f"{text} = {array.reshape(-1)[0]}"
        )
    finite = np.isfinite(array)
    sizes = np.abs(array[finite]) if array.dtype.kind == "c" else array[finite]
    if sizes.size:
        low, high = sizes.min(), sizes.max()
        span = f"{low:.6g} to {high:.6g}" if array.dtype.kind in "fc" else f"{low} to {high}"
        text += f", {'moduli ' if array.dtype.kind == 'c' else ''}from {span}"
    if not finite.all():
        first = tuple(map(int, np.argwhere(~finite)[0]))
        text += f", {int((~finite).sum())} of {array.size} not finite, first at {first}"
    return text


def _shown(named: Sequence[tuple[str, Any]]) -> str:
    """The operands that are known, one a line."""
    lines = []
    for name, value in named:
        bottom = raw(value)
        if bottom is not None and type(bottom) is not Abstract and not isinstance(bottom, Away):
            lines.append(f"\n        {name}: {summary(bottom)}")
    return "".join(lines)
