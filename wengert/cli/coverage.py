"""`wengert coverage`."""

from __future__ import annotations

import argparse
import json
from collections import Counter, defaultdict
from dataclasses import asdict

from rich.console import Console
from rich.markup import escape
from rich.progress import track
from rich.table import Table

from wengert.verify import examples, names
from wengert.verify.api import Row, rows

COLOURS = {"differentiable": "green", "constant": "cyan", "refused": "yellow", "blank": "red"}


def run(options: argparse.Namespace) -> int:
    console = Console(stderr=options.json)
    table = [r for r in rows() if options.match in r.name and options.only in (None, r.status)]
    failures = _execute(table, console) if options.run else {}
    if options.json:
        print(json.dumps({"rows": [asdict(r) for r in table], "failures": failures}, indent=1))
    else:
        _show(table, failures, console)
    return 1 if failures or any(r.status == "blank" for r in table) else 0


def _execute(table: list[Row], console: Console) -> dict[str, list[str]]:
    """Run the examples of the rows shown: values, both modes, second order, vmap."""
    wanted = {r.name for r in table}
    failures: dict[str, list[str]] = defaultdict(list)
    chosen = [e for e in examples.load() if e.name in wanted]
    for example in track(chosen, description="examples", console=console):
        for dtype in names.dtypes_of(example):
            for which in names.CHECKS:
                try:
                    names.check(example, which, dtype)
                except Exception as error:  # any failure is a finding, to be listed with the rest
                    failures[example.name].append(
                        f"{which} in {dtype}: {type(error).__name__}: {error}".splitlines()[0]
                    )
    return dict(failures)


def _show(table: list[Row], failures: dict[str, list[str]], console: Console) -> None:
    shown = Table("name", "where", "status", "examples")
    shown.add_column("reason and remedy", overflow="fold")
    for r in table:
        note = escape(f"{r.reason}{' — ' + r.remedy if r.remedy else ''}")
        if r.name in failures:
            note = f"[red]{escape('; '.join(failures[r.name]))}[/]"
        shown.add_row(r.name, r.space, f"[{COLOURS[r.status]}]{r.status}[/]", str(r.examples or ""), note)
    console.print(shown)
    totals = Table("where", *COLOURS)
    counts = Counter((r.space, r.status) for r in table)
    for space in dict.fromkeys(r.space for r in table):
        totals.add_row(space, *(str(counts[space, status] or "") for status in COLOURS))
    console.print(totals)
    if failures:
        console.print(f"[red]{len(failures)} names fail[/]")
