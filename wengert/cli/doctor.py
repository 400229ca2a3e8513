"""`wengert doctor`."""

from __future__ import annotations

import argparse
import json

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from wengert.verify.doctor import examine


def run(options: argparse.Namespace) -> int:
    findings = examine()
    if options.json:
        print(json.dumps([f._asdict() for f in findings], indent=1))
    else:
        table = Table("", "", "")
        for f in findings:
            mark = {"ok": "[green]ok[/]", "missing": "[yellow]–[/]", "broken": "[red]broken[/]"}[f.state]
            table.add_row(f.topic, escape(f.value), mark + (f"  {escape(f.advice)}" if f.advice else ""))
        Console().print(table)
    return 1 if any(f.state == "broken" for f in findings) else 0
