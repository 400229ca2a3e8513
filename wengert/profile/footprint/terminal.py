"""A memory report in a terminal: the peak and what it is made of, the timeline, what is kept and why. 80 columns suffice."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from wengert.core.sizes import shown
from wengert.profile.footprint import breakdown
from wengert.profile.footprint.recommendation import remedy

if TYPE_CHECKING:
    from wengert.profile.footprint.advice import Advice
    from wengert.profile.footprint.report import Holding, Line, MemoryReport

WIDTH = 80
LISTED = 8
ADVICE = 3  # pieces of it
CHART = (66, 6)  # columns and rows of the timeline
BAR = 32
TURNS = 12  # of phases that are told apart below the chart
EIGHTHS = " ▁▂▃▄▅▆▇█"
STYLES = {
    "residual": "blue", "cotangent": "magenta", "value": "green", "temporary": "yellow", "workspace": "cyan",
    "result": "bright_green", "constant": "bright_black", "other": "white", "unexplained": "bright_black",
    "forward": "green", "backward": "magenta",
}  # fmt: skip


def text(shown: RenderableType) -> str:
    """As plain text, 80 columns wide."""
    out = io.StringIO()
    Console(file=out, width=WIDTH, no_color=True, highlight=False, force_terminal=False).print(shown)
    return "\n".join(line.rstrip() for line in out.getvalue().rstrip().splitlines())


def terminal(report: MemoryReport, listed: int = LISTED, advice: Sequence[Advice] = ()) -> RenderableType:
    """What `print(report)` shows; `listed` rows of each kind, and the first of `advice`."""
    parts: list[RenderableType] = [*_head(report)]
    if report.timeline:
        parts += [Text(), *_chart(report)]
    if report.peak:
        parts += [Text(), _lines(report, listed), Text(), _sums(report, listed)]
    parts += [*_residuals(report, listed, advice), *_advice(report, advice)]
    parts += [Text(f"note: {note}", style="dim") for note in report.notes]
    return Group(*parts)


def _head(report: MemoryReport) -> Iterator[RenderableType]:
    head = Text(f"memory of {report.name}", style="bold")
    yield head.append(f", {report.mode}, {report.kind}", "default not bold dim")
    line = Text("peak ").append(shown(report.peak), "bold red")
    if report.timeline:
        point = report.timeline[report.peak_at]
        line.append(f" at point {report.peak_at + 1:,} of {len(report.timeline):,}, {point.phase}")
        line.append(f": {point.op}" if point.op else "")
        yield line
        if point.line.file:
            yield Text(f"  {point.line}", "dim").append(f": {point.line.text}" if point.line.text else "")
    else:
        yield line
    yield Text(figures(report), style="dim")


def figures(report: MemoryReport) -> str:
    """The rest of the numbers, in a sentence or two."""
    said = [f"arguments {shown(report.arguments)} besides"] if report.arguments else []
    said += [
        f"held before {shown(report.begin)}, after {shown(report.end)}",
        f"allocated {shown(report.allocated)} in {report.tensors:,} arrays",
    ]
    if report.reused:
        said.append(f"{share(report.reused, report.allocated)} of it in memory used before")
    said.append(f"of bytes × time held, {report.efficiency:.0%} between making and last use")
    if report.seconds:
        said.append(seconds(report.seconds))
    return ", ".join(said)


def seconds(time: float) -> str:
    """`time` for people: "1.2 s", "34 ms", "5 µs"."""
    if time >= 99.95:
        return f"{time:,.0f} s"
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if time >= 0.9995 * size:
            return f"{time / size:.3g} {unit}"
    return f"{time / 1e-6:.3g} µs"


def share(part: float, whole: float) -> str:
    return f"{part / whole:.0%}" if whole else "–"


# ── the timeline ──────────────────────────────────────────────────────────────


def _chart(report: MemoryReport) -> Iterator[RenderableType]:
    width, rows = CHART
    heights = breakdown.columns(report, width)
    width = len(heights)
    scale = max(int(heights.max()), 1)
    phases, turns = _phase_of_columns(report, width), len(breakdown.phases(report))
    styles = [STYLES.get(phase, "cyan") if turns <= TURNS else "cyan" for phase in phases]
    eighths = np.ceil(heights * rows * 8 / scale).astype(int)
    for row in reversed(range(rows)):
        line = Text("  ")
        for full, style in zip(eighths, styles):
            line.append(EIGHTHS[int(np.clip(full - 8 * row, 0, 8))], style)
        if row == rows - 1:
            line.append(f" {shown(scale)}", "dim")
        yield line
    at = min(report.peak_at * width // max(len(report.timeline), 1), width - 1)
    yield Text("  " + " " * at).append("▲", "red")
    yield (
        _legend(phases)
        if turns <= TURNS
        else Text(f"  {' and '.join(dict.fromkeys(phases))}, in {turns:,} turns", "dim")
    )


def _phase_of_columns(report: MemoryReport, width: int) -> list[str]:
    edges = np.linspace(0, len(report.timeline), width + 1).astype(int)
    return [report.timeline[int(a)].phase for a in edges[:-1]]


def _legend(phases: list[str]) -> Text:
    line, start = Text("  "), 0
    for end in range(1, len(phases) + 1):
        if end == len(phases) or phases[end] != phases[start]:
            name, room = phases[start], end - start
            line.append((name if len(name) < room else "").ljust(room, "─")[:room], STYLES.get(name, "cyan"))
            start = end
    return line


# ── what the peak is made of ──────────────────────────────────────────────────


def _lines(report: MemoryReport, listed: int) -> RenderableType:
    table = Table(box=None, padding=(0, 1, 0, 0), show_header=False, pad_edge=False, expand=True)
    table.add_column(justify="right", no_wrap=True, width=9)
    table.add_column(justify="right", no_wrap=True, width=4)
    table.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
    found: dict[Line, list[Holding]] = {}
    for h in report.at_peak():
        found.setdefault(h.line, []).append(h)
    ranked = sorted(found.items(), key=lambda item: -sum(h.nbytes for h in item[1]))
    for line, holdings in ranked[:listed]:
        nbytes = sum(h.nbytes for h in holdings)
        said = Text(place(line)).append(f"  {counted(holdings)}", "dim")
        table.add_row(shown(nbytes), share(nbytes, report.peak), said)
        if line.text:
            table.add_row("", "", Text("  " + line.text, style="bold"))
    _rest(table, [sum(h.nbytes for h in holdings) for _, holdings in ranked[listed:]], report.peak, "line")
    if (rest := report.peak - breakdown.explained(report)) > 0:
        table.add_row(
            shown(rest), share(rest, report.peak), Text("within the op, or belonging to no array seen", "dim")
        )
    return Group(Text("At the peak, by line", style="bold"), Padding(table, (0, 0, 0, 2)))


def place(line: Line) -> str:
    return f"{Path(line.file).name}:{line.number} in {line.function}" if line.file else "(no line of yours)"


def counted(holdings: list[Holding]) -> str:
    """ "12 residuals of tanh", "3 values of add, mul"."""
    roles: dict[str, list[Holding]] = {}
    for h in holdings:
        roles.setdefault(h.role, []).append(h)
    said = []
    for role, of in sorted(roles.items(), key=lambda item: -sum(h.nbytes for h in item[1])):
        ops = list(dict.fromkeys(h.op for h in of if h.op))
        words = role if len(of) == 1 else f"{len(of)} {plural(role)}"
        said.append(f"{words} of {', '.join(ops[:3])}{' …' if len(ops) > 3 else ''}" if ops else words)
    return "; ".join(said)


def plural(role: str) -> str:
    """Of a role: "residuals", "temporaries"."""
    if role in ("workspace", "unexplained"):
        return role
    return f"{role[:-1]}ies" if role.endswith("y") else f"{role}s"


def _rest(table: Table, sizes: list[int], whole: int, what: str) -> None:
    if sizes:
        more = f"{len(sizes)} more {what}{'' if len(sizes) == 1 else 's'}"
        table.add_row(shown(sum(sizes)), share(sum(sizes), whole), Text(more, style="dim"))


def _sums(report: MemoryReport, listed: int) -> RenderableType:
    """Roles, phases and ops, one under the other: the bars have one scale."""
    parts: list[RenderableType] = []
    for title, found in breakdown.parts(report).items():
        table = Table(box=None, padding=(0, 1, 0, 0), show_header=False, pad_edge=False)
        table.add_column(justify="right", no_wrap=True, min_width=9)
        table.add_column(justify="right", no_wrap=True, min_width=4)
        table.add_column(no_wrap=True, min_width=20, overflow="ellipsis", max_width=32)
        table.add_column(no_wrap=True)
        for name, nbytes in list(found.items())[:listed]:
            bar = Text("█" * max(1, round(BAR * nbytes / report.peak)), STYLES.get(name, "blue"))
            table.add_row(shown(nbytes), share(nbytes, report.peak), Text(name), bar)
        _rest(table, list(found.values())[listed:], report.peak, title)
        parts += [Text(f"At the peak, by {title}", style="bold"), Padding(table, (0, 0, 0, 2)), Text()]
    return Group(*parts[:-1])


# ── residuals ─────────────────────────────────────────────────────────────────


def _residuals(report: MemoryReport, listed: int, advice: Sequence[Advice]) -> Iterator[RenderableType]:
    found = breakdown.groups(h for h in report.at_peak() if h.role == "residual")
    if not found:
        return
    total = sum(g.nbytes for g in found)
    yield Text()
    yield Text("Residuals at the peak", style="bold").append(
        f"  {shown(total)}: arrays kept because a pullback reads them", "default not bold dim"
    )
    for group in found[:listed]:
        like = group.like
        head = Text(f"  {shown(group.nbytes):>9}  ")
        head.append(f"{group.count} × " if group.count > 1 else "").append(array(like.shape, like.dtype))
        head.append(f"  {like.op}" if like.op else "").append(f", {place(like.line)}", "dim")
        yield head
        for mark, said, style in (("", like.why, "dim"), ("→ ", remedy(like, advice), "green")):
            if said:
                yield Padding(Text(mark + said, style=style), (0, 0, 0, 13))
    if len(found) > listed:
        rest = found[listed:]
        yield Text(f"  {shown(sum(g.nbytes for g in rest)):>9}  {len(rest)} more kinds of arrays", style="dim")


# ── advice ────────────────────────────────────────────────────────────────────


def _advice(report: MemoryReport, advice: Sequence[Advice]) -> Iterator[RenderableType]:
    if not advice:
        return
    yield Text()
    yield Text("What would help", style="bold")
    for a in advice[:ADVICE]:
        yield Padding(Text("• ").append(a.what, "bold").append(f": {promise(a, report.peak)}", "green"), (0, 0, 0, 2))
        yield Padding(Text(a.why, style="dim"), (0, 0, 0, 4))
        if a.how:
            yield Padding(Text(a.how), (0, 0, 0, 4))
    if len(advice) > ADVICE:
        yield Text(f"  {len(advice) - ADVICE} more: see report.advice()", style="dim")


def promise(a: Advice, peak: int) -> str:
    """ "saves about 8.0 MiB, 61 % of the peak, for some 12 % more time"."""
    said = f"saves about {shown(a.saves)}, {share(a.saves, peak)} of the peak" if a.saves else "no less at the peak"
    return said + (f", for some {a.time:.0%} more time" if a.time is not None else "")


def array(shape: tuple[int, ...], dtype: str) -> str:
    """ "float64[3, 4]"."""
    return f"{dtype}[{', '.join(map(str, shape))}]" if dtype else "memory"
