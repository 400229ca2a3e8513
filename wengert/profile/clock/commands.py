"""What `wengert profile run` does: a script in, reports out."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path

from wengert.profile import script
from wengert.profile.clock.profiler import TimeProfiler
from wengert.profile.clock.report import TimeReport
from wengert.profile.footprint.profiler import MemoryProfiler
from wengert.profile.footprint.report import MemoryReport


def run_script(
    path: str, arguments: Sequence[str] = (), *, memory: bool = False, peaks: bool = True
) -> tuple[TimeReport, MemoryReport | None, int]:
    """Run a script under the time profiler: its report, that of its memory if wanted, and the script's exit status.

    peaks : whether to compare with what the machine can do, which is measured if it never was
    """
    name = Path(path).name
    prof, meter = TimeProfiler(name, machine=None if peaks else False), MemoryProfiler(name) if memory else None
    with meter or contextlib.nullcontext(), prof:
        status = script.run(path, arguments)
    report = prof.report()
    if status:
        report.notes.append(f"the script ended with status {status}: what it would have done after that is missing")
    if memory:
        report.notes.append("memory was profiled too: calls of compiled programs came through Python, and cost more")
    return report, None if meter is None else meter.report, status


def written(
    report: TimeReport, memory: MemoryReport | None, folder: str | None, html: str | None, trace: str | None,
    save: str | None,
) -> list[Path]:  # fmt: skip
    """Write what is asked for, all of it where a folder is given; the files."""
    files: list[Path] = []
    stem = Path(report.name).stem
    where = None if folder is None else Path(folder)
    if where is not None:
        where.mkdir(parents=True, exist_ok=True)

    def path(given: str | None, ending: str) -> Path | None:
        found = Path(given) if given else None if where is None else where / f"{stem}{ending}"
        files.extend([found] if found else [])
        return found

    if found := path(html, ".time.html"):
        report.html(found)
    if found := path(save, ".time.json"):
        report.save(found)
    if found := path(trace, ".trace.json"):
        report.chrome_trace(found, memory)
    if memory is not None and where is not None:
        memory.html(where / f"{stem}.memory.html")
        files.append(where / f"{stem}.memory.html")
    return files
