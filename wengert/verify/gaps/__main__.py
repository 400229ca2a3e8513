"""`python -m wengert.verify.gaps`: the table, as JSON or as a page of Markdown."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from wengert.core.errors import MissingPackage
from wengert.verify.gaps.ranking import PACKAGES, Survey, survey
from wengert.verify.gaps.table import data, markdown, terminal


def shown(packages: Sequence[str], jobs: int | None, console: Console) -> Survey:
    """A survey with a progress bar."""
    with Progress(console=console, transient=True) as bar:
        task = bar.add_task("reading sources", total=None)
        return survey(packages, jobs, lambda done, total: bar.update(task, completed=done, total=total))


def main(argv: Sequence[str] | None = None) -> int:
    top = argparse.ArgumentParser(prog="python -m wengert.verify.gaps", description=__doc__)
    top.add_argument(
        "packages", nargs="*", default=PACKAGES, help=f"whose sources to read (default: {' '.join(PACKAGES)})"
    )
    top.add_argument("--jobs", type=int, help="processes (default: the CPUs this process may use)")
    top.add_argument("--top", type=int, default=60, help="rows to show (default: 60)")
    top.add_argument("--json", action="store_true", help="print the gaps for a machine")
    top.add_argument("--markdown", metavar="FILE", help="write a page")
    options = top.parse_args(argv)
    try:
        found = shown(options.packages, options.jobs, Console(stderr=True))
    except MissingPackage as error:
        print(error, file=sys.stderr)
        return 2
    if options.markdown:
        Path(options.markdown).write_text(markdown(found), encoding="utf-8")
    elif options.json:
        print(json.dumps(data(found.gaps), indent=1))
    else:
        Console().print(terminal(found, options.top))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
