"""Check every rule of an op on one sample, against oracles that are independent of the rule.

    shape      `shape` against what `eval` returns
    residuals  the pullback reads what `saves` declares, all of it, and nothing else
    and each mode of `measure`

Each check raises AssertionError with the op, the sample and the numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from wengert.core.aval import Aval, aval_of, is_inexact
from wengert.core.errors import WengertError
from wengert.core.op import Op, Sample
from wengert.core.tensor import Array
from wengert.graph.program import Var
from wengert.runtime.jit import jit
from wengert.verify.call import Call, dtypes_of, random_like
from wengert.verify.closeness import Measurement
from wengert.verify.compiled import Unstaged
from wengert.verify.measure import MEASURES, MODES, SECOND, applies

__all__ = ["CHECKS", "Call", "check", "check_call", "dtypes_of"]

CHECKS = ("shape", "residuals", *(mode for mode in MODES if mode != "jit"))


class Undecided(Exception):
    """The reference's own error is too large to judge by."""


def check(op: Op, sample: Sample, which: str, dtype: str = "float64") -> None:
    """Run one check of one sample."""
    check_call(Call(op, sample, dtype), which)


def check_call(call: Call, which: str) -> Measurement | None:
    """Run one check; None where it does not apply (a constant op has no derivative to check). Raises Undecided."""
    if which == "shape":
        return check_shape(call)
    if which == "residuals":
        return None if call.op.constant or not call.diff else check_residuals(call)
    if applies(call, which) is not None:
        return None
    try:
        found = MEASURES[which](call)
    except Unstaged:
        return None
    if not found.decided:
        raise Undecided(f"{call.op.name} {call.sample!r} {which}: the reference's relative error is {found.blunt:.2g}")
    return found


def check_forward(call: Call) -> None:
    check_call(call, "forward")


def check_reverse(call: Call) -> None:
    check_call(call, "reverse")


def check_second(call: Call) -> None:
    for mode in SECOND:
        check_call(call, mode)


def check_batch(call: Call) -> None:
    check_call(call, "vmap")


def check_shape(call: Call) -> None:
    """The shape rule agrees with what `eval` returns."""
    outs = call.all_outs(*call.primals)
    avals = call.op.shape(*map(aval_of, call.args), **call.sample.params)
    avals = avals if call.op.multi else [avals]
    assert len(avals) == len(outs), f"{call.op.name}: {len(avals)} avals for {len(outs)} outputs"
    for aval, out in zip(avals, outs, strict=True):
        got = Aval(np.shape(out), np.asarray(out).dtype)
        if aval != got:
            raise call.fail("shape rule", f"says {aval}, eval gives {got}")


def check_rejects(op: Op, sample: Sample) -> None:
    """The shape rule refuses what `rejects` lists."""
    args = sample.build(np.random.default_rng(0))
    try:
        op.shape(*map(aval_of, args), **sample.params)
    except WengertError as error:
        assert sample.raises is None or isinstance(error, sample.raises), f"{op.name} raises {type(error).__name__}"
        return
    raise AssertionError(f"{op.name} accepts {sample!r}, which it should reject")


def check_rejects_staged(op: Op, sample: Sample) -> None:
    """What the shape rule refuses raises when a function is staged, before anything runs."""
    args = sample.build(np.random.default_rng(0))
    given = [i for i, a in enumerate(args) if isinstance(a, (np.ndarray, np.generic))]

    def fun(*arrays: Array) -> Any:
        full = list(args)
        for i, a in zip(given, arrays, strict=True):
            full[i] = a
        return op(*full, **sample.params)

    try:
        jit(fun, adopt=False)(*(args[i] for i in given))
    except WengertError as error:
        assert sample.raises is None or isinstance(error, sample.raises), f"{op.name} raises {type(error).__name__}"
        return
    raise AssertionError(f"{op.name} accepts {sample!r} when it is staged, which it should reject")


class _Spy(list):
    """Saved operands that note which of them the pullback reads."""

    def __init__(self, values: Sequence[Array]) -> None:
        super().__init__(values)
        self.read: set[int] = set()

    def __getitem__(self, i: Any) -> Any:
        self.read |= set(range(len(self))[i]) if isinstance(i, slice) else {range(len(self))[i]}
        return super().__getitem__(i)

    def __iter__(self) -> Any:
        self.read |= set(range(len(self)))
        return super().__iter__()


def check_residuals(call: Call) -> None:
    """What a pullback reads is what the op declares for the wanted inputs."""
    op, outs = call.op, call.all_outs(*call.primals)
    if not callable(op.vjp) or not call.diff:
        return
    n = len(call.args)
    for chosen in [call.diff, *([(i,) for i in call.diff] if len(call.diff) > 1 else [])]:
        mask = sum(1 << i for i in chosen)
        ins = [Var(np.shape(a), np.asarray(a).dtype) if i in chosen else None for i, a in enumerate(call.args)]
        drop, _, saves_out = op.dropped(mask, n)
        xs = _Spy([None if i in drop else a for i, a in enumerate(call.args)])
        cts = [random_like(call.rng, np.asarray(o)) if is_inexact(np.asarray(o).dtype) else None for o in outs]
        out = (tuple(outs) if op.multi else outs[0]) if saves_out else None
        op.vjp(cts if op.multi else cts[0], ins, xs, out, **call.sample.params)
        declared = set(range(n)) - set(drop)
        if not declared <= xs.read:
            raise AssertionError(
                f"{op.name}: saves inputs {declared} for {chosen}, and never reads {declared - xs.read}"
            )
