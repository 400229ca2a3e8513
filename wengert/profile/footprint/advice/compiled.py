"""Advice on compiled programs, and to compile: stacks of loops, budgets, fusion."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from wengert.core.sizes import shown
from wengert.profile.footprint.recommendation import Advice, internal, severity
from wengert.profile.footprint.terminal import array, place

if TYPE_CHECKING:
    from wengert.profile.footprint.report import Holding, MemoryReport

LOOPS = ("scan", "fori_loop", "while_loop", "map")
MANY = 16  # trips
LEAST = 0.05  # of the peak
HALF = 0.5


def stacks(report: MemoryReport) -> Iterator[Advice]:
    """Residuals of all trips of a compiled loop, where some 2 √n of them would do."""
    found: dict[Any, list[Holding]] = {}
    for h in report.at_peak():
        if internal(h) and h.role == "residual" and h.op in LOOPS and h.shape and h.shape[0] >= MANY:
            found.setdefault((h.line, h.op, h.shape[0]), []).append(h)
    for (line, op, n), holdings in found.items():
        total = sum(h.nbytes for h in holdings)
        saves = int(total * (1 - 2 / math.sqrt(n)))
        if total < LEAST * report.peak or saves <= 0:
            continue
        largest = max(holdings, key=lambda h: h.nbytes)
        yield Advice(
            "scan",
            f"keep few carries of the `{op}` at {place(line)}",
            f"it keeps {shown(total)}: {array(largest.shape, largest.dtype)}, a row for each of {n:,} trips",
            f'wg.{op}(…, checkpoint="sqrt")  # or the number of carries to keep; "binomial" keeps fewest',
            saves, severity(saves, report), None, line, frozenset((h.line, h.op) for h in holdings),
        )  # fmt: skip


def budget(report: MemoryReport) -> Iterator[Advice]:
    """A budget for a compiled program half of whose peak is residuals of straight code."""
    kept = [h for h in report.at_peak() if internal(h) and h.role == "residual" and h.op not in LOOPS]
    total = sum(h.nbytes for h in kept)
    if total < HALF * report.peak:
        return
    saves = total // 2
    name = max(kept, key=lambda h: h.nbytes).within
    yield Advice(
        "budget",
        f"give `{name}` a memory budget",
        f"{shown(total)} of its {shown(report.peak)} are values kept for the backward pass; most can be computed again there",
        f'wg.jit({name}, memory_budget="{shown(report.peak - saves)}")  # an impossible one raises, and names the smallest',
        saves, severity(saves, report), None, kept[0].line, frozenset((h.line, h.op) for h in kept),
    )  # fmt: skip


def jit(report: MemoryReport, then: MemoryReport | None) -> Iterator[Advice]:
    """What compiling saves: `then` is the report of the same function, compiled, measured or predicted."""
    if then is None or report.mode == "jit":
        return
    saves = report.peak - then.peak
    if saves < LEAST * report.peak or saves <= 0:
        return
    yield Advice(
        "jit",
        "compile it",
        f"as one program it needs {shown(then.peak)} ({then.kind}): loops are fused, temporaries are never written, memory is used "
        "again",
        "wg.jit(…)", saves, severity(saves, report),
    )  # fmt: skip
