"""`wengert coverage`."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

Step = Callable[[int, int, str], None]


def run(options: argparse.Namespace) -> int:
    console = Console(stderr=True)
    for part in ("api", "gaps", "mutants", "accuracy", "peers", "degenerate"):
        if getattr(options, part):
            data, shown, fine = globals()[f"_{part}"](options, console)
            return _finish(options, data, shown, fine)
    return _matrix(options, console)


def _finish(options: argparse.Namespace, data: Any, shown: Callable[[], RenderableType], fine: bool) -> int:
    if options.json == "-":
        json.dump(data, sys.stdout, indent=1)
        print()
        return 0 if fine else 1
    if options.json:
        _write(options.json, json.dumps(data))
    Console().print(shown())
    return 0 if fine else 1


def _write(path: str, text: str) -> None:
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text, encoding="utf-8")
    Console(stderr=True).print(f"wrote {target} ({len(text) / 1e6:.1f} MB)", highlight=False)


@contextmanager
def _bar(console: Console, what: str) -> Iterator[Step]:
    """A progress bar as a callback."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, TextColumn("{task.fields[last]}"), console=console, transient=True) as bar:
        task = bar.add_task(what, total=None, last="")
        yield lambda done, of, last: bar.update(task, completed=done, total=of, last=last)


# ── the matrix ────────────────────────────────────────────────────────────────


def _matrix(options: argparse.Namespace, console: Console) -> int:
    from wengert.verify import matrix

    old = matrix.expand(json.loads(Path(options.against).read_text(encoding="utf-8"))) if options.against else None
    with _bar(console, "ops") as step:
        data = matrix.run(options.match, options.quick, options.jobs, step)
    data["names"] = _names(options, console)
    if options.all:
        data["accuracy"] = _accuracy(options, console)[0]
        data["mutants"] = _mutants(options, console)[0]
        data["gaps"] = _gaps(options, console)[0]
    if options.markdown:
        _write(options.markdown, matrix.markdown(data))
    if options.baseline:
        _write(options.baseline, matrix.compact(data))
    if options.html:
        _write(options.html, matrix.page(data))
    found = matrix.compare(old, data, options.match) if old else None
    failed = bool(matrix.failures(data)) or any(n["failures"] for n in data["names"])
    if options.json == "-":
        json.dump(data, sys.stdout)
        print()
    else:
        if options.json:
            _write(options.json, json.dumps(data))
        Console().print(matrix.terminal(data))
        if found is not None:
            Console().print(found)
    return 1 if failed or (found is not None and found.regressed) else 0


def _names(options: argparse.Namespace, console: Console) -> list[dict[str, Any]]:
    """The names of NumPy, SciPy and the array API, their examples executed unless a quick look is asked for."""
    from wengert.verify import api

    chosen = [row for row in api.rows() if options.match in row.name]
    if options.quick:
        return api.data(chosen, {})
    with _bar(console, "names") as step:
        return api.data(chosen, api.execute({row.name for row in chosen}, options.jobs, step))


# ── instead of it ─────────────────────────────────────────────────────────────

Part = tuple[Any, Callable[[], RenderableType], bool]


def _api(options: argparse.Namespace, console: Console) -> Part:
    from wengert.verify import api

    chosen = [r for r in api.rows() if options.match in r.name and options.only in (None, r.status)]
    failures: dict[str, list[str]] = {}
    if options.run:
        with _bar(console, "names") as step:
            failures = api.execute({row.name for row in chosen}, options.jobs, step)
    data = {"rows": api.data(chosen, failures), "failures": failures}
    return data, lambda: api.terminal(chosen, failures), not failures and all(r.status != "blank" for r in chosen)


def _gaps(options: argparse.Namespace, console: Console) -> Part:
    from wengert.verify import gaps

    with _bar(console, "sources") as step:
        found = gaps.survey(jobs=options.jobs, progress=lambda done, of: step(done, of, ""))
    return gaps.data(found.gaps), lambda: gaps.terminal(found), True


def _mutants(options: argparse.Namespace, console: Console) -> Part:
    from wengert.verify import mutants

    with _bar(console, "mutants") as step:
        most = 2 if options.quick else mutants.PER_OP
        found = mutants.hunt(options.match, most=most, jobs=options.jobs, progress=step)
    return found, lambda: mutants.terminal(found), found["caught"] == found["tried"]


def _accuracy(options: argparse.Namespace, console: Console) -> Part:
    from wengert.verify import accuracy

    with _bar(console, "special functions") as step:
        found = accuracy.measure(options.match, step, options.jobs)
    return [row.record() for row in found], lambda: accuracy.terminal(found), all(row.ok for row in found)


def _peers(options: argparse.Namespace, console: Console) -> Part:
    from wengert.verify.oracles.peers import cross_check, report

    with console.status("peers") as status:
        found = cross_check(options.match, progress=lambda name: status.update(f"peers: {name}"))
    return [asdict(row) for row in found], lambda: report.table(found), all(row.status != "FAILS" for row in found)


def _degenerate(options: argparse.Namespace, console: Console) -> Part:
    from wengert.verify.oracles import degenerate

    with console.status("linear algebra") as status:
        found = degenerate.measure(options.match, lambda name: status.update(f"linear algebra: {name}"))
    return [asdict(row) for row in found], lambda: degenerate.terminal(found), all(r.outcome != "WRONG" for r in found)
