"""Which rule on the way is wrong: every op that a function calls, checked alone at the values that it has there.

The function runs forward once under a trace that looks at each op: its tangent rule against differences of its own
values, and its pullback against those by ⟨u, Jv⟩ = ⟨Jᵀu, v⟩. If all are right on their own, the mistake is between them:
something cuts the dependence.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from wengert.core.aval import is_inexact
from wengert.core.op import Op
from wengert.core.source import Source, describe, here
from wengert.core.tensor import CONSTANTS, Tensor, constant, held, running
from wengert.graph.program import Var
from wengert.transforms.forward import Jvp
from wengert.verify.checker.comparison import DOUBT
from wengert.verify.checker.report import Finding
from wengert.verify.checker.subject import Level
from wengert.verify.reference import differences

TIMES = 3  # that a call at one place is looked at
SECONDS = 20.0
RELATIVE = 1e-6  # below this a rule is not blamed


@dataclass
class Suspect:
    """An op whose rule is off, where, and by how much, relatively."""

    name: str
    where: str
    rules: list[str]
    error: float


@dataclass
class Inquiry:
    """What the run saw: `looked` calls of ops were checked, `skipped` were not."""

    suspects: list[Suspect] = field(default_factory=list)
    looked: int = 0
    skipped: int = 0
    seen: dict[tuple[str, Source | None], int] = field(default_factory=dict)
    until: float = field(default_factory=lambda: time.monotonic() + SECONDS)


def blame(level: Level, tangents: Sequence[Any]) -> Inquiry:
    """Run the function of a level along `tangents`, and look at every op on the way."""
    inquiry, trace = Inquiry(), Jvp()

    def mode(trace: Any, op: Op, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        return _applied(trace, op, args, params, inquiry, here(3))

    trace.mode = mode
    with running(trace), np.errstate(all="ignore"):
        level.traced(*(Tensor(held(x), held(v), trace) for x, v in zip(level.leaves, tangents, strict=True)))
    trace.close("a finished check")
    return inquiry


def _applied(
    trace: Any, op: Op, args: tuple[Any, ...], params: dict[str, Any], inquiry: Inquiry, at: Source | None
) -> Any:
    """As `Jvp.apply`, with a look at the rules."""
    xs, dxs = [], []
    for a in args:
        dx = None
        if type(a) is Tensor and a._trace is trace:
            a, dx = a._value, a._node
        elif type(a) is Tensor and a._trace is CONSTANTS:
            a = a._value
        xs.append(a)
        dxs.append(dx)
    out = op.eval(*xs, **params)
    if op.constant:
        return tuple(map(constant, out)) if op.multi else constant(out)
    dout = op.pushforward(xs, dxs, out, **params)
    known = inquiry.seen.get((op.name, at), 0)
    if known < TIMES and time.monotonic() < inquiry.until:
        inquiry.seen[op.name, at] = known + 1
        inquiry.looked += 1
        _look(op, xs, dxs, out, dout, params, inquiry, at)
    else:
        inquiry.skipped += 1
    if op.multi:
        pairs = zip(out, dout, strict=True)
        return tuple(o if d is None or not is_inexact(o.dtype) else Tensor(o, d, trace) for o, d in pairs)
    return Tensor(out, dout, trace)


def _look(
    op: Op,
    xs: list[Any],
    dxs: list[Any],
    out: Any,
    dout: Any,
    params: dict[str, Any],
    inquiry: Inquiry,
    at: Source | None,
) -> None:
    outs, dots = (list(out), list(dout)) if op.multi else ([out], [dout])
    # A residual that a custom rule returns has no tangent on purpose.
    kept = [
        i for i, (o, d) in enumerate(zip(outs, dots, strict=True)) if d is not None and is_inexact(np.asarray(o).dtype)
    ]

    def values(t: Any) -> list[Any]:
        found = op.eval(
            *(x if v is None else np.asarray(x + t * v).astype(np.asarray(x).dtype)[()] for x, v in zip(xs, dxs)),
            **params,
        )
        found = list(found) if op.multi else [found]
        return [found[i] for i in kept]

    try:
        slope = differences(values)
    except Exception:  # an op that cannot be moved along its tangent cannot be judged alone
        inquiry.skipped += 1
        return
    rng = np.random.default_rng(0)
    cts = [rng.choice([-1.0, 1.0], np.shape(o)) * rng.uniform(0.5, 1.5, np.shape(o)) for o in (outs[i] for i in kept)]
    rules, worst = [], 0.0
    off = max((_relative(dots[i], v, e) for i, v, e in zip(kept, slope.value, slope.error, strict=True)), default=0.0)
    if off > RELATIVE:
        rules.append("tangent rule (jvp)")
    back = _pulled(op, xs, dxs, outs, kept, cts, params)
    if back is not None:
        want = sum(float(np.sum(np.asarray(u * v)).real) for u, v in zip(cts, slope.value, strict=True))
        size = sum(float(np.sum(np.abs(u * v))) for u, v in zip(cts, slope.value, strict=True))
        error = sum(float(np.sum(np.abs(u) * e)) for u, e in zip(cts, slope.error, strict=True))
        miss = abs(back - want)
        if np.isfinite(error) and not miss <= DOUBT * error + RELATIVE * size:
            rules.append("pullback (vjp)")
            worst = miss / max(abs(want), 1e-2 * size) if size else np.inf
    if rules:
        custom = {"custom_vjp_call": "a custom_vjp function", "custom_jvp_call": "a custom_jvp function"}
        name = custom.get(op.name, f"the op {op.name}")
        inquiry.suspects.append(Suspect(name, describe(at), rules, max(worst, off if off > RELATIVE else 0.0)))


def _relative(ours: Any, reference: Any, error: Any) -> float:
    """By how much ours is off beyond the reference's error, relative to the largest slope."""
    known = np.isfinite(reference) & np.isfinite(error)
    off = np.where(known, np.abs(np.asarray(ours) - reference) - DOUBT * error, 0.0)
    scale = float(np.max(np.abs(reference), initial=0.0, where=known))
    worst = float(np.max(np.where(np.isnan(off), np.inf, off), initial=0.0))
    return 0.0 if worst <= 0 else worst / scale if scale else np.inf


def _pulled(
    op: Op, xs: list[Any], dxs: list[Any], outs: list[Any], kept: list[int], cts: list[Any], params: dict[str, Any]
) -> float | None:
    """Re Σ (Jᵀu)·v by the op's pullback; None where it refuses."""
    ins = [None if v is None else Var(np.shape(x), np.asarray(x).dtype) for x, v in zip(xs, dxs, strict=True)]
    given = dict(
        zip(kept, (np.asarray(c).astype(np.asarray(outs[i]).dtype)[()] for i, c in zip(kept, cts)), strict=True)
    )
    ct = [given.get(i) for i in range(len(outs))]
    try:
        found = op.pullback(ct if op.multi else ct[0], ins, xs, tuple(outs) if op.multi else outs[0], **params)
    except Exception:
        return None
    pairs = [(c, v) for c, v in zip(found, dxs) if c is not None and v is not None]
    return sum(float(np.sum(np.asarray(c) * np.asarray(v)).real) for c, v in pairs)


def finding(inquiry: Inquiry, order: int) -> Finding:
    """What is to be said of it."""
    rest = f" ({inquiry.skipped} more calls were not looked at)" if inquiry.skipped else ""
    if not inquiry.suspects:
        return Finding(
            "between the rules", "note",
            f"each of the {inquiry.looked} calls of ops on the way, checked alone at the values it has there, has right rules{rest}",
            "So the mistake is between them: a dependence is cut, or a value is taken out and put back. Look for stop_gradient,"
            " no_grad, .item(), float() of a value, an array that another function fills.",
            order, numbers={"looked": inquiry.looked, "skipped": inquiry.skipped},
        )  # fmt: skip
    worst = inquiry.suspects[:3]
    lines = [
        f"{' and '.join(s.rules)} of {s.name}, off by {s.error:.2g} (relatively)"
        + (f"\n  {s.where}" if s.where else "")
        for s in worst
    ]
    return Finding(
        "wrong rule", "wrong",
        f"of {inquiry.looked} calls of ops on the way, checked alone, these have wrong rules{rest}:\n" + "\n".join(lines),
        "Correct that rule; if it is one of wengert's own, please report it with this text.",
        order, numbers={"suspects": [vars(s) for s in inquiry.suspects], "looked": inquiry.looked},
    )  # fmt: skip
