"""Advice on arrays: wider than what they were made of, held after their last use, held by a tape that lives on."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from wengert.core.sizes import shown
from wengert.profile.footprint import breakdown
from wengert.profile.footprint.advice import sources
from wengert.profile.footprint.recommendation import Advice, internal, severity
from wengert.profile.footprint.terminal import array, place

if TYPE_CHECKING:
    from wengert.profile.footprint.report import Holding, MemoryReport

WIDER = {"float16": "float32", "float32": "float64", "complex64": "complex128"}
MOSTLY = 0.9  # of the bytes of the arguments
LEAST, FLOOR = 0.02, 16 * 1024  # of the peak, and in bytes, for arrays to be worth a line
NAMED = re.compile(r"^(\w+)\s*(?::[^=]+)?=(?!=)")


def precision(report: MemoryReport) -> Iterator[Advice]:
    """Arrays of twice the width of the arguments."""
    given: dict[str, int] = {}
    for h in report.holdings:
        if h.role == "argument":
            given[h.dtype] = given.get(h.dtype, 0) + h.nbytes
    floats = {d: n for d, n in given.items() if d.startswith(("float", "complex", "bfloat"))}
    narrow = max(floats, key=lambda d: floats[d], default="")
    wide = WIDER.get(narrow, "")
    if not wide or floats[narrow] < MOSTLY * sum(floats.values()):
        return
    found = [h for h in report.holdings if h.dtype == wide and h.role != "argument"]
    saves = report.peak - breakdown.without(report, ((h.born, _end(h, report), h.nbytes // 2) for h in found))
    if saves < LEAST * report.peak or saves <= 0:
        return
    large = max(h.nbytes for h in found) / 8
    made = [h for h in found if h.role != "constant" and h.nbytes >= large]
    first = min(made or found, key=lambda h: h.born)
    constants = [h for h in found if h.role == "constant" or (h.nbytes < large and h.born <= first.born)]
    cause = f"; it met {array(constants[0].shape, wide)} there" if constants else ""
    size = shown(sum(h.nbytes for h in found if h.alive(report.peak_at)))
    yield Advice(
        "precision",
        f"keep to {narrow}: {wide} begins at {place(first.line)}",
        f"the arguments are {narrow}, but {size} at the peak are {wide}{cause}. A constant array, or a NumPy scalar, of the wider "
        "dtype promotes all that it meets; a Python number does not",
        f"constant = np.asarray(constant, np.{narrow})  # before {first.line.text or first.op}",
        saves, severity(saves, report), None, first.line,
    )  # fmt: skip


def variables(report: MemoryReport) -> Iterator[Advice]:
    """Arrays that nothing reads any more at the peak, but that the program can still reach."""
    for h in report.at_peak():
        if h.role not in ("value", "constant", "other") or h.within or h.used is None or not h.line.file:
            continue
        if h.used >= report.peak_at or h.nbytes < LEAST * report.peak:
            continue
        saves = report.peak - breakdown.without(report, [(h.used + 1, _end(h, report), h.nbytes)])
        if saves <= 0:
            continue
        last = report.timeline[h.used].line
        name = found[1] if (found := NAMED.match(h.line.text)) else ""
        # Reads that nobody reports, by NumPy alone say, are in the source: the name must not come again.
        if not name or not sources.last_read(h.line.file, h.line.function, name, max(h.line.number, last.number)):
            continue
        yield Advice(
            "variable",
            f"let go of `{name}`, made at {place(h.line)}",
            f"{array(h.shape, h.dtype)}, {shown(h.nbytes)}, was last read at {place(last)}, and is held until the function ends",
            f"del {name}  # after {last.text or place(last)}",
            saves, severity(saves, report), None, h.line,
        )  # fmt: skip


def tapes(report: MemoryReport) -> Iterator[Advice]:
    """Residuals whose pullbacks have run, and which are there at the end all the same."""
    swept = any(p.phase == "backward" for p in report.timeline)
    kept = [h for h in report.holdings if h.role == "residual" and not internal(h) and h.died is None]
    total = sum(h.nbytes for h in kept)
    if not kept or not swept or total < max(LEAST * report.peak, FLOOR):
        return
    after = ((h.used + 1, len(report.timeline), h.nbytes) for h in kept if h.used is not None)
    saves = max(report.peak - breakdown.without(report, after), 0)
    yield Advice(
        "tape",
        f"let go of the tape that holds {shown(total)} at the end",
        "residuals are there after the backward pass: the tape is persistent, or something (a variable, a closure, a Tensor that was "
        "kept) still refers to it, or part of it was never swept",
        "with wg.GradientTape() as tape: …  # not persistent=True; or `del tape` after the last gradient",
        saves, severity(saves, report), None, max(kept, key=lambda h: h.nbytes).line,
    )  # fmt: skip


def _end(h: Holding, report: MemoryReport) -> int:
    return len(report.timeline) if h.died is None else h.died
