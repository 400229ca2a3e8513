"""`wengert profile run`."""

from __future__ import annotations

import argparse
import json
import sys


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("script", help="path/to/script.py")
    parser.add_argument("arguments", nargs="*", help="its own arguments; those that begin with a dash after --")
    parser.add_argument("--memory", action="store_true", help="profile its memory too; a counter in the trace")
    parser.add_argument(
        "--out", metavar="FOLDER", help="write report (page and JSON) and trace to files in this folder"
    )
    parser.add_argument("--html", metavar="FILE", help="write the report as one self-contained page")
    parser.add_argument("--trace", metavar="FILE", help="write a trace for Perfetto (ui.perfetto.dev), as JSON")
    parser.add_argument("--save", metavar="FILE", help="write the report as JSON")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    parser.add_argument("--no-peaks", action="store_true", help="do not compare with the peaks of this machine")


def run(options: argparse.Namespace) -> int:
    from rich.console import Console

    from wengert.profile.clock import commands

    report, memory, status = commands.run_script(
        options.script, [*options.arguments, *options.rest], memory=options.memory, peaks=not options.no_peaks
    )
    if options.json:
        print(json.dumps(report.to_dict()))
    else:
        Console().print(report)
        if memory is not None:
            memory.show()
    for path in commands.written(report, memory, options.out, options.html, options.trace, options.save):
        print(f"wrote {path}", file=sys.stderr)
    return status
