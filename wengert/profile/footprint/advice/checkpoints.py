"""Advice to compute residuals again: of functions that are called often, of bodies of loops, of functions given to `scan`.

A call's residuals are its holdings between its first and its last one; if it were a checkpoint, they would be gone from its end
until its own pullback begins, but for its result, which the next call reads. The peak without them is what is promised.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from wengert.core.sizes import shown
from wengert.profile.footprint import breakdown
from wengert.profile.footprint.advice import sources
from wengert.profile.footprint.advice.sources import Reach
from wengert.profile.footprint.advice.trips import calls, cuts, parted
from wengert.profile.footprint.recommendation import Advice, internal, severity

if TYPE_CHECKING:
    from wengert.profile.footprint.report import Holding, Line, MemoryReport

FEWEST = 2  # calls: of a single one the residuals are all back when the peak is
MANY = 16  # calls from which cutting them in segments pays
CHECKPOINTED = "checkpoint_call"
Trips = list[list["Holding"]]


def checkpoints(report: MemoryReport) -> Iterator[Advice]:
    """One piece of advice for each function, or loop in a function, whose residuals would be worth it."""
    kept = [h for h in report.holdings if h.role == "residual" and h.phase != "backward" and not internal(h)]
    kept = [h for h in kept if h.line.file and h.op != CHECKPOINTED]
    found: dict[tuple[str, str, int], list[Holding]] = {}
    for h in kept:
        loop = sources.loop(h.line.file, h.line.function, h.line.number)
        found.setdefault((h.line.file, h.line.function, loop), []).append(h)
    for (file, function, loop), own in found.items():
        reach = sources.reach(file, function, loop or own[0].line.number, bool(loop))
        of = _trips(kept, own, reach)
        if len(of) < FEWEST:
            continue
        if loop:
            yield from _loop(report, file, function, loop, of, reach)
        elif function.isidentifier():
            yield from _function(report, file, function, of, reach)


def _trips(kept: list[Holding], own: list[Holding], reach: Reach) -> Trips:
    """The calls, with what functions made that are called from there, if these are called from nowhere else."""
    alone = calls(own)
    together = calls([h for h in kept if h.line in reach or h in own])
    return together if len(together) == len(alone) else alone


def share_of_time(report: MemoryReport, reach: Reach) -> float | None:
    """The part of the run's time that is forward work of these lines: what running them again costs."""
    spent, before = 0.0, 0.0
    for p in report.timeline:
        if p.phase != "backward" and p.line in reach:
            spent += p.seconds - before
        before = p.seconds
    return spent / before if before else None


def _function(report: MemoryReport, file: str, function: str, of: Trips, reach: Reach) -> Iterator[Advice]:
    loop = sources.handed_to(file, function)
    if loop and len(of) >= MANY:
        yield from _scanned(report, file, function, loop, of, reach)
        return
    saves = report.peak - breakdown.without(report, cuts(of, len(report.timeline)))
    if saves <= 0:
        return
    line = next(h.line for call in of for h in call if h.line.function == function)
    yield Advice(
        "checkpoint",
        f"checkpoint `{function}` ({Path(file).name}:{line.number})",
        f"{len(of)} calls of it keep {_size(of)} of residuals until their pullbacks; a checkpoint keeps what each call "
        "is given, and runs it again in the backward pass",
        f"@wg.checkpoint\ndef {function}(…): …", saves, severity(saves, report), share_of_time(report, reach), line, _inner(of),
    )  # fmt: skip


def _loop(report: MemoryReport, file: str, function: str, loop: int, of: Trips, reach: Reach) -> Iterator[Advice]:
    saves = report.peak - breakdown.without(report, cuts(of, len(report.timeline)))
    if saves <= 0:
        return
    head = sources.text(file, loop)
    yield Advice(
        "loop",
        f"checkpoint the body of the loop at {Path(file).name}:{loop} in `{function}`",
        f"{len(of)} trips of `{head}` keep {_size(of)} of residuals until their pullbacks",
        f"@wg.checkpoint\ndef body(…): …  # lines {loop + 1} to {reach.last}\n{head}\n    … = body(…)",
        saves, severity(saves, report), share_of_time(report, reach), of[0][0].line, _inner(of),
    )  # fmt: skip


def _scanned(report: MemoryReport, file: str, function: str, loop: str, of: Trips, reach: Reach) -> Iterator[Advice]:
    """`of` are trips of a loop that Python runs; kept are some 2 √n carries, and the residuals of √n trips at once."""
    total = sum(h.nbytes for call in of for h in call if h.alive(report.peak_at))
    carry = sum(call[-1].nbytes for call in of) / len(of)
    trip = sum(h.nbytes for call in of for h in call) / len(of)
    root = math.isqrt(len(of))
    saves = int(total - root * carry - root * trip)
    if saves <= 0:
        return
    line = of[0][0].line
    yield Advice(
        "scan",
        f"keep few carries of the `{loop}` over `{function}` ({Path(file).name}:{line.number})",
        f"each of {len(of):,} trips keeps {shown(trip)} of residuals until its pullback",
        f'wg.{loop}({function}, …, checkpoint="sqrt")  # or the number of carries to keep; "binomial" keeps fewest',
        saves, severity(saves, report), share_of_time(report, reach), line,
        frozenset((h.line, h.op) for call in of for h in call),
    )  # fmt: skip


def _inner(of: Trips) -> frozenset[tuple[Line, str]]:
    """Lines and ops of what a checkpoint frees."""
    return frozenset((h.line, h.op) for inner, _ in parted(of) for h in inner)


def _size(of: Trips) -> str:
    return shown(sum(h.nbytes for call in of for h in call))
