"""A time report as one self-contained page: parts, roofline, ops, kernels."""

from __future__ import annotations

from html import escape
from string import Template
from typing import TYPE_CHECKING, Any

from wengert.profile.clock.roofline import picture
from wengert.profile.clock.rows import ProgramTime, Row
from wengert.profile.clock.terminal import duration, number, peaks, share

if TYPE_CHECKING:
    from wengert.profile.clock.report import TimeReport

_PAGE = Template("""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title>
<style>
:root { --ink: #1c2430; --soft: #66707f; --rule: #dde2e8; --ground: #fff; --forward: #2b6cb0; --backward: #b7562b; --both: #6b4fa0;
  --other: #8b95a3; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ee; --soft: #9aa4b2; --rule: #343b46; --ground: #15191f; --forward: #6aa8e8;
  --backward: #e8946a; --both: #a98fdd; --other: #6d7785; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--ground); max-width: 72rem; margin: 2rem auto;
  padding: 0 1rem; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin-top: 2.2rem; } .soft { color: var(--soft); }
table { border-collapse: collapse; width: 100%; font-size: .87rem; }
th, td { text-align: right; padding: .25rem .5rem; border-bottom: 1px solid var(--rule); vertical-align: top; white-space: nowrap; }
th:first-child, td:first-child, th.l, td.l { text-align: left; white-space: normal; }
code { font-size: .92em; } .scroll { overflow-x: auto; }
.bar { display: flex; height: 1.6rem; border-radius: 4px; overflow: hidden; margin: .6rem 0; }
.bar div { min-width: 1px; } .key i { display: inline-block; width: .8em; height: .8em; border-radius: 2px; margin: 0 .35em 0 1em; }
svg { max-width: 100%; height: auto; } svg text { fill: var(--ink); font: 12px system-ui, sans-serif; }
</style></head><body>
<h1>$title</h1>
<p>$summary</p>
$bar
$roofline
$tables
<p class="soft">$machine</p>
$notes
</body></html>
""")

COLOURS = {
    "ops, forward": "#2b6cb0", "ops, backward": "#b7562b", "walking tapes": "#c9a227", "compiled programs": "#2f855a",
    "compiling": "#6b4fa0", "profiler": "#97266d", "elsewhere": "#8b95a3",
}  # fmt: skip


def page(report: TimeReport) -> str:
    """The page's text."""
    per_call = f"; {report.calls} calls of {duration(report.wall / report.calls)}" if report.calls > 1 else ""
    first = f"; the first call before them took {duration(report.first.wall)}" if report.first else ""
    drawn = picture(report)
    tables = [_table("Ops", "op", report.rows, report.wall, report)] if report.rows else []
    tables += [_program(program, report) for program in report.programs]
    tables += [_stages(report)]
    return _PAGE.substitute(
        title=escape(f"Time of {report.name}" if report.name else "Where the time goes"),
        summary=escape(
            f"{duration(report.wall)} on the clock, {duration(report.cpu)} of processor time{per_call}{first}."
        ),
        bar=_bar(report),
        roofline=f"<h2>Roofline</h2>{drawn}" if drawn else "",
        tables="\n".join(tables),
        machine=escape(peaks(report.machine)) if report.machine else "",
        notes="".join(f'<p class="soft">Note: {escape(note)}.</p>' for note in report.notes),
    )


def _bar(report: TimeReport) -> str:
    found = {name: seconds for name, seconds in report.parts.items() if seconds}
    whole = sum(found.values()) or 1.0
    bars = "".join(
        f'<div style="width:{100 * s / whole:.2f}%;background:{COLOURS[name]}" title="{escape(name)} {duration(s)}"></div>'
        for name, s in found.items()
    )
    key = "".join(
        f'<span><i style="background:{COLOURS[name]}"></i>{escape(name)} {duration(s)} ({share(s, whole)})</span>'
        for name, s in found.items()
    )
    return f'<div class="bar">{bars}</div><p class="key">{key}</p>'


_HEADS = ("calls", "total", "share", "mean", "cpu", "GFLOP/s", "GB/s", "of roofline")


def _table(title: str, first: str, rows: list[Row], whole: float, report: TimeReport) -> str:
    heads = f'<th>{first}</th><th class="l">phase</th>' + "".join(f"<th>{h}</th>" for h in _HEADS)
    body = "".join(_row(row, whole, report) for row in rows)
    return (
        f'<h2>{escape(title)}</h2><div class="scroll"><table><thead><tr>{heads}<th class="l">line</th></tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _row(row: Row, whole: float, report: TimeReport) -> str:
    fraction, bound = row.fraction(report.machine), row.bound(report.machine)
    name = escape(row.name)
    if row.kind != "op":
        inner = "&nbsp;&nbsp;" if row.within else ""
        name = f'{inner}{name} <span class="soft">{escape(row.kind)}: {escape(", ".join(row.ops))}</span>'
    cells: list[Any] = [
        row.calls, duration(row.seconds), share(row.seconds, whole), duration(row.mean), duration(row.cpu),
        number(row.gflops), number(row.gbytes), "" if fraction is None else f"{100 * fraction:.0f} % {bound}",
    ]  # fmt: skip
    lines = "<br>".join(f'<span title="{escape(line.file)}">{escape(str(line))}</span>' for line in row.lines[:4])
    text = f"<br><code>{escape(row.line.text)}</code>" if len(row.lines) == 1 and row.line.text else ""
    numbers = "".join(f"<td>{cell}</td>" for cell in cells)
    return f'<tr><td>{name}</td><td class="l">{row.phase}</td>{numbers}<td class="l">{lines}{text}</td></tr>'


def _program(program: ProgramTime, report: TimeReport) -> str:
    steady = f", then {duration(program.steady)}" if program.steady is not None else ""
    title = f"{program.name}: {program.calls} calls, first {duration(program.first)}{steady}"
    return _table(title, "kernel", program.kernels, program.seconds, report)


def _stages(report: TimeReport) -> str:
    stages = [*(report.first.stages if report.first else ()), *report.stages]
    if not stages:
        return ""
    rows = "".join(
        f'<tr><td>{escape(s.program)}</td><td class="l">{escape(s.stage)}</td><td>{s.times}</td><td>{duration(s.seconds)}</td></tr>'
        for s in stages
    )
    return (
        '<h2>Compiling</h2><table><thead><tr><th>program</th><th class="l">stage</th><th>times</th><th>time</th></tr></thead>'
        f"<tbody>{rows}</tbody></table>"
    )
