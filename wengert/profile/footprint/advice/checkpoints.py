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
from wengert.profile.footprint.recommendation import Advice, internal, severity

if TYPE_CHECKING:
    from wengert.profile.footprint.report import Holding, Line, MemoryReport

FEWEST = 2  # calls: of a single one the residuals are all back when the peak is
MANY = 16  # calls from which cutting them in segments pays
NEARLY, LONGEST = 0.95, 200
CHECKPOINTED = "checkpoint_call"


def checkpoints(report: MemoryReport) -> Iterator[Advice]:
    """One piece of advice for each function, or loop in a function, whose residuals would be worth it."""
    found: dict[tuple[str, str, int], list[Holding]] = {}
    for h in report.holdings:
        if h.role == "residual" and h.phase != "backward" and not internal(h) and h.line.file and h.op != CHECKPOINTED:
            loop = sources.loop(h.line.file, h.line.function, h.line.number)
            found.setdefault((h.line.file, h.line.function, loop), []).append(h)
    for (file, function, loop), holdings in found.items():
        if loop:
            yield from _loop(report, file, function, loop, calls(holdings))
        elif function.isidentifier():
            whole = holdings + [
                h for key, more in found.items() if key[:2] == (file, function) and key[2] for h in more
            ]
            yield from _function(report, file, function, calls(whole, holdings[0]))


def calls(holdings: list[Holding], first: Holding | None = None) -> list[list[Holding]]:
    """The holdings of each call, or trip: a new one begins where the ops begin to come again, or `first`'s does."""
    together: dict[tuple[int, int, str], list[Holding]] = {}  # what one op made at once
    for h in sorted(holdings, key=lambda h: h.born):
        together.setdefault((h.born, h.line.number, h.op), []).append(h)
    keys = [key[1:] for key in together]
    head = keys[0] if first is None else (first.line.number, first.op)
    start = keys.index(head)
    length = period(keys[start:])
    found: list[list[Holding]] = []
    for i, made in enumerate(list(together.values())[start:]):
        # Calls that differ, by a branch say, have no period: then the op that came first tells.
        again = keys[start + i] == head and (i == 0 or keys[start + i - 1] != head)
        if i % length == 0 if length else again:
            found.append([])
        found[-1] += made
    return found


def period(keys: list[tuple[int, str]]) -> int:
    """The least number of keys after which nearly all come again; 0 if they do not. What is before or after a loop is let pass."""
    for p in range(1, min(len(keys) // 2, LONGEST) + 1):
        if keys[p] == keys[0]:
            again = sum(a == b for a, b in zip(keys, keys[p:]))
            if again >= NEARLY * (len(keys) - p):
                return p
    return 0


def cuts(of: list[list[Holding]], length: int) -> Iterator[breakdown.Cut]:
    """What would not be held, and what would be made again, if each of these calls were a checkpoint."""
    for call in of:
        result, inner = call[-1], call[:-1]
        ended = result.born + 1
        later = [_last_use(h, length) for h in inner if _last_use(h, length) > ended]
        if not later:
            continue
        again = min(later)
        yield from ((ended, again, h.nbytes) for h in inner if _last_use(h, length) > ended)
        yield again, again + 1, -result.nbytes


def _last_use(h: Holding, length: int) -> int:
    return h.used if h.used is not None else (length if h.died is None else h.died) - 1


def share_of_time(report: MemoryReport, functions: set[tuple[str, str]], lines: range | None = None) -> float | None:
    """The part of the run's time that is forward work of these functions: what running them again costs."""
    spent, before = 0.0, 0.0
    for p in report.timeline:
        if (
            (p.line.file, p.line.function) in functions
            and p.phase != "backward"
            and (lines is None or p.line.number in lines)
        ):
            spent += p.seconds - before
        before = p.seconds
    return spent / before if before else None


def _function(report: MemoryReport, file: str, function: str, of: list[list[Holding]]) -> Iterator[Advice]:
    if len(of) < FEWEST:
        return
    loop = sources.handed_to(file, function)
    if loop and len(of) >= MANY:
        yield from _scanned(report, file, function, loop, of)
        return
    saves = report.peak - breakdown.without(report, cuts(of, len(report.timeline)))
    if saves <= 0:
        return
    line = of[0][0].line
    yield Advice(
        "checkpoint",
        f"checkpoint `{function}` ({Path(file).name}:{line.number})",
        f"{len(of)} calls of it keep {_size(of)} of residuals until their pullbacks; a checkpoint keeps what each call "
        "is given, and runs it again in the backward pass",
        f"@wg.checkpoint\ndef {function}(…): …" if function != "<lambda>" else "wg.checkpoint(lambda …: …)",
        saves, severity(saves, report), share_of_time(report, {(file, function)}), line, _inner(of),
    )  # fmt: skip


def _loop(report: MemoryReport, file: str, function: str, loop: int, of: list[list[Holding]]) -> Iterator[Advice]:
    if len(of) < FEWEST:
        return
    saves = report.peak - breakdown.without(report, cuts(of, len(report.timeline)))
    if saves <= 0:
        return
    last = max(h.line.number for call in of for h in call)
    head = sources.text(file, loop)
    yield Advice(
        "loop",
        f"checkpoint the body of the loop at {Path(file).name}:{loop} in `{function}`",
        f"{len(of)} trips of `{head}` keep {_size(of)} of residuals until their pullbacks",
        f"@wg.checkpoint\ndef body(…): …  # lines {loop + 1} to {last}\n{head}\n    … = body(…)",
        saves, severity(saves, report), share_of_time(report, {(file, function)}, range(loop, last + 1)), of[0][0].line,
        _inner(of),
    )  # fmt: skip


def _scanned(report: MemoryReport, file: str, function: str, loop: str, of: list[list[Holding]]) -> Iterator[Advice]:
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
        saves, severity(saves, report), share_of_time(report, {(file, function)}), line,
        frozenset((h.line, h.op) for call in of for h in call),
    )  # fmt: skip


def _inner(of: list[list[Holding]]) -> frozenset[tuple[Line, str]]:
    """Lines and ops of what a checkpoint frees; the result of each call is read by the next, and stays."""
    results = {(call[-1].line, call[-1].op) for call in of if len(call) > 1}
    return frozenset((h.line, h.op) for call in of for h in call) - results


def _size(of: list[list[Holding]]) -> str:
    return shown(sum(h.nbytes for call in of for h in call))
