"""The command line: `wengert demo | doctor | coverage`. Each command prints; the work is done elsewhere."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from wengert.core.errors import WengertError


def parser() -> argparse.ArgumentParser:
    """The commands and their options."""
    top = argparse.ArgumentParser(
        prog="wengert", description="Automatic differentiation of your own NumPy and SciPy code."
    )
    commands = top.add_subparsers(dest="command", required=True)

    demo = commands.add_parser("demo", help="fit an ecological model and train a classifier, on real data")
    demo.add_argument("--out", default="out", help="folder for the plots (default: out)")
    demo.add_argument("--json", action="store_true", help="print the results for a machine")

    doctor = commands.add_parser("doctor", help="versions, CPU, BLAS, extras, and what works here")
    doctor.add_argument("--json", action="store_true", help="print the report for a machine")

    coverage = commands.add_parser("coverage", help="what becomes of each name of NumPy, SciPy and the array API")
    coverage.add_argument("--api", action="store_true", help="the table of names (the default)")
    coverage.add_argument(
        "--only", choices=("differentiable", "constant", "refused", "blank"), help="rows of one status"
    )
    coverage.add_argument("--match", default="", help="rows whose name contains this")
    coverage.add_argument("--run", action="store_true", help="execute the examples, and show which pass")
    coverage.add_argument("--json", action="store_true", help="print the table for a machine")
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="replace")  # type: ignore[union-attr]
    options = parser().parse_args(argv)
    import importlib

    command = importlib.import_module(f"wengert.cli.{options.command}")
    try:
        return command.run(options)
    except WengertError as error:
        print(f"wengert {options.command}: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # `| head` has seen enough
        sys.stdout = None
        return 0
    except KeyboardInterrupt:
        return 130
