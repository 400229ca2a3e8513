"""A bar for long measurements."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def bar(quiet: bool = False) -> Iterator[Callable[[int, int], None] | None]:
    """What `interleaved(watch=)` wants, drawn on the terminal's standard error; None if `quiet`."""
    if quiet:
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = TextColumn("measuring"), BarColumn(), MofNCompleteColumn(), TextColumn("rounds"), TimeRemainingColumn()
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("rounds")
        yield lambda done, expected: progress.update(task, completed=done, total=expected)
