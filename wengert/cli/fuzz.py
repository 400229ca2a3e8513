"""`wengert fuzz`."""

from __future__ import annotations

import argparse
import json

from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from wengert.verify.fuzz import Summary, fuzz


def run(options: argparse.Namespace) -> int:
    console = Console(stderr=options.json)
    with Live(Text("starting …"), console=console, refresh_per_second=4, transient=True) as live:
        summary = fuzz(
            options.minutes,
            options.seed,
            only=options.only,
            match=options.match,
            jobs=options.jobs,
            out=options.out,
            progress=lambda so_far: live.update(_line(so_far, options.minutes)),
        )
    if options.json:
        print(json.dumps(summary.as_dict(), indent=1))
    else:
        _show(summary, console)
    return 1 if summary.findings else 0


def _line(s: Summary, minutes: float) -> Text:
    done = min(1.0, s.seconds / (60 * minutes)) if minutes else 1.0
    bar = "━" * round(30 * done)
    rate = (s.programs + s.calls) / s.seconds
    text = Text.assemble((bar, "cyan"), ("━" * (30 - len(bar)), "dim"), f" {s.seconds:4.0f} s  ")
    text.append(f"{s.programs} programs, {s.calls} calls ({rate:.0f}/s)  ")
    text.append(f"{sum(s.undecided.values())} undecided, {sum(s.refused.values())} refusals, ", "dim")
    text.append(f"{len(s.findings)} mismatches", "bold red" if s.findings else "green")
    return text


def _show(s: Summary, console: Console) -> None:
    table = Table("", "", title=f"fuzz, seed {s.seed}, {s.seconds:.0f} s on {s.jobs} processes", show_header=False)
    table.add_row("random programs", f"{s.programs}  ({s.programs / s.seconds:.1f}/s)")
    table.add_row("random calls of ops", f"{s.calls}  ({s.calls / s.seconds:.1f}/s)")
    table.add_row("checks that passed", str(s.passed))
    table.add_row("undecided", f"{sum(s.undecided.values())}  ({100 * s.undecided_fraction:.2f} %)")
    for check, count in s.undecided.most_common(6):
        table.add_row(f"  {check}", str(count), style="dim")
    table.add_row("documented refusals", str(sum(s.refused.values())))
    for reason, count in s.refused.most_common(6):
        table.add_row(f"  {escape(reason[:90])}", str(count), style="dim")
    table.add_row("checks without meaning there", str(sum(s.inapplicable.values())))
    for reason, count in s.inapplicable.most_common(6):
        table.add_row(f"  {escape(reason[:90])}", str(count), style="dim")
    table.add_row("mismatches", f"[{'bold red' if s.findings else 'green'}]{len(s.findings)}[/]")
    console.print(table)
    for finding in s.findings:
        console.rule(f"{finding.kind} {finding.unit}: {escape(finding.check)}  {escape(finding.file)}", align="left")
        console.print(escape(finding.script), highlight=False)
        console.print(escape(finding.detail), style="red", highlight=False)
    if s.interrupted:
        console.print("interrupted before its time", style="yellow")
