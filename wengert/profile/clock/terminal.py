"""A time report in a terminal."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from wengert.profile.clock.machine import Machine
from wengert.profile.clock.rows import ProgramTime, Row

if TYPE_CHECKING:
    from wengert.profile.clock.report import TimeReport

MOST = 15  # rows of a table
NUMBERS = ("calls", "total", "share", "mean", "cpu", "GFLOP/s", "GB/s", "of roofline")
FEW = (0, 1, 2, 7)  # of them, where there is little room
WIDE = 125  # columns of a terminal with room for all


def text(report: TimeReport, width: int = 150) -> str:
    """As plain text."""
    out = io.StringIO()
    console = Console(file=out, width=width, color_system=None)
    for part in parts(report, width):
        console.print(part)
    return out.getvalue().rstrip("\n")


def parts(report: TimeReport, width: int = WIDE) -> Iterator[Any]:
    """What rich shows of it, from the whole to the parts."""
    wide = width >= WIDE
    calls = f", {report.calls} calls of {duration(report.wall / report.calls)}" if report.calls > 1 else ""
    yield Text(
        f"{report.name or 'time'}: {duration(report.wall)} on the clock, {duration(report.cpu)} of processor time{calls}",
        style="bold",
    )
    yield _whole(report)
    if report.first is not None:
        yield Text(f"first call: {duration(report.first.wall)}{_stages(report.first)}")
    elif report.stages:
        yield Text(f"compiling{_stages(report)}")
    if report.rows:
        yield _ops(report, wide)
    for program in report.programs:
        yield _kernels(program, report.machine, wide)
    if report.machine is not None:
        yield Text(peaks(report.machine), style="dim")
    for note in report.notes:
        yield Text(f"note: {note}", style="dim")


def duration(seconds: float | None) -> str:
    """With three digits and a unit."""
    if seconds is None:
        return ""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds * 1e9:.3g} ns"


def share(part: float, whole: float) -> str:
    """As a percentage."""
    return f"{100 * part / whole:.1f} %" if whole else ""


def number(x: float | None) -> str:
    """With three digits, or nothing."""
    return "" if x is None else f"{x:.3g}"


def peaks(machine: Machine) -> str:
    """A machine in a line."""
    flops = ", ".join(f"{machine.peak(kind) / 1e9:.4g} GFLOP/s {kind}" for kind in machine.flops)
    return (
        f"peaks measured here ({machine.cpu}, {machine.threads} thread{'s' * (machine.threads > 1)}): {flops},"
        f" {machine.bandwidth / 1e9:.3g} GB/s; {machine.method}"
    )


def _whole(report: TimeReport) -> Table:
    table = Table("part", "time", "share", box=None, pad_edge=False)
    for column in table.columns[1:]:
        column.justify = "right"
    for name, seconds in report.parts.items():
        if seconds or name == "elsewhere":
            table.add_row(name, duration(seconds), share(seconds, report.wall))
    return table


def _stages(report: TimeReport) -> str:
    sums: dict[str, float] = {}
    for stage in report.stages:
        sums[stage.stage] = sums.get(stage.stage, 0.0) + stage.seconds
    if report.profiling:
        sums["the profiler's own variants"] = report.profiling
    return ": " + ", ".join(f"{name} {duration(seconds)}" for name, seconds in sums.items()) if sums else ""


def _table(title: str, wide: bool, *first: str) -> Table:
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, title_style="bold")
    for name in first:
        table.add_column(
            name, no_wrap=not wide, overflow="fold" if wide else "ellipsis", max_width=None if wide else 22
        )
    for name in _chosen(NUMBERS, wide):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("line", no_wrap=not wide, overflow="fold" if wide else "ellipsis")
    return table


def _chosen(numbers: Sequence[str], wide: bool) -> list[str]:
    return list(numbers) if wide else [numbers[i] for i in FEW]


def _numbers(row: Row, whole: float, machine: Machine | None, wide: bool) -> list[str]:
    fraction, bound = row.fraction(machine), row.bound(machine)
    of = "" if fraction is None else f"{100 * fraction:.0f} %{f' {bound}' if wide else ''}"
    found = [
        str(row.calls), duration(row.seconds), share(row.seconds, whole), duration(row.mean), duration(row.cpu),
        number(row.gflops), number(row.gbytes), of,
    ]  # fmt: skip
    return _chosen(found, wide)


def _ops(report: TimeReport, wide: bool) -> Table:
    table = _table("ops", wide, "op", "phase")
    for row in report.rows[:MOST]:
        table.add_row(row.name, row.phase, *_numbers(row, report.wall, report.machine, wide), escape(str(row.line)))
    _rest(table, 2, report.rows[MOST:], report.wall)
    return table


def _rest(table: Table, first: int, rows: list[Row], whole: float) -> None:
    if rows:
        seconds, calls = sum(row.seconds for row in rows), sum(row.calls for row in rows)
        names = [f"{len(rows)} more", *[""] * (first - 1)]
        table.add_row(*names, str(calls), duration(seconds), share(seconds, whole))


def _kernels(program: ProgramTime, machine: Machine | None, wide: bool) -> Table:
    steady = f", then {duration(program.steady)}" if program.steady is not None else ""
    times = f"{program.calls} call{'s' * (program.calls > 1)}"
    title = (
        f"{program.name}: {times}, {duration(program.seconds)} in machine code; first {duration(program.first)}{steady}"
    )
    first = ("kernel", "what", "phase") if wide else ("kernel", "what")
    table = _table(escape(title), wide, *first)
    rows = sorted(program.kernels, key=lambda row: -row.seconds)
    for row in rows[:MOST]:
        ops = ", ".join(row.ops[:5]) + (f" … {len(row.ops)} ops" if len(row.ops) > 5 else "")
        name = f"  {row.name}" if row.within else row.name
        what = f"{row.kind}: {ops}" if wide else ops
        where = escape(str(row.line)) + (f" and {len(row.lines) - 1} more" if len(row.lines) > 1 else "")
        named = [name, escape(what), row.phase][: len(first)]
        table.add_row(*named, *_numbers(row, program.seconds, machine, wide), where)
    _rest(table, len(first), [row for row in rows[MOST:] if not row.within], program.seconds)
    return table
