"""Compiled code against its peers and its bars: one run, interleaved, ratios of minima.

    python benchmarks/compiled.py [--quick] [--only NAME]... [--json FILE] [--threads N] [--no-jax] [--no-torch]

Every workload is one computation written as a user of each library would (benchmarks/workloads/). Ours takes NumPy arrays
and returns NumPy arrays; JAX takes and returns its own, waited for; PyTorch runs eagerly; "by hand" is NumPy with the
gradient written out; g++ is the same loop in C++. All run on the same core unless `--threads` says otherwise. Before
anything is timed, the results are compared, and a row where they differ is not timed but reported as wrong.

`--only`: part of a row's name, or one of compile, memory, threads.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import sys
import tempfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))
from workloads import environment

#: over the rows of the group "workloads": times faster than the peer, geometric mean
MEANS = {"jax": 2.5, "torch": 4.0}
COMPILE, DISK, UNROLLED = 3.0, 20.0, 1.0
THREADED, UNHARMED, LARGE = 1.6, 0.95, 1_000_000
SLACK = 0.25  # MiB: the system counts resident pages in batches
PARTS = ("compile", "memory", "threads")
PEERS = ("jax", "torch", "by hand", "g++")


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one dtype of each workload, fewer rounds")
    parser.add_argument("--only", action="append", default=[], metavar="NAME")
    parser.add_argument("--json", metavar="FILE")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=0, help="default: 30, quick 7")
    parser.add_argument("--budget", type=float, default=0, help="seconds for a row; default: 6, quick 1.5")
    parser.add_argument("--clock", choices=("wall", "cpu"), default="wall", help="cpu: on a machine that others use")
    parser.add_argument("--explain", action="store_true", help="what was compiled, for rows below their bar")
    parser.add_argument("--no-jax", action="store_true")
    parser.add_argument("--no-torch", action="store_true")
    chosen = parser.parse_args()
    chosen.rounds = chosen.rounds or (7 if chosen.quick else 30)
    chosen.budget = chosen.budget or (1.5 if chosen.quick else 6.0)
    return chosen


# ── running ───────────────────────────────────────────────────────────────────


class Bench:
    """One run: what is installed, what was asked for, what came out."""

    def __init__(self, asked: argparse.Namespace) -> None:
        from workloads import libraries

        self.asked = asked
        self.libraries = libraries
        self.jax = libraries.installed("jax") and not asked.no_jax
        self.torch = libraries.installed("torch") and not asked.no_torch
        self.native = libraries.Native() if libraries.Native.present() else None
        if self.torch:
            import torch

            torch.set_num_threads(asked.threads)
        if asked.threads > 1:
            import wengert as wg

            if hasattr(wg, "set_threads"):
                wg.set_threads(asked.threads)

    @property
    def repeats(self) -> int:
        return 1 if self.asked.quick else 3

    @property
    def compilations(self) -> int:
        return self.repeats * (2 + self.jax) + (self.jax and not self.asked.quick)

    def wants(self, name: str) -> bool:
        return not self.asked.only or any(part.lower() in name.lower() for part in self.asked.only)

    def cases(self) -> list[Any]:
        from workloads import case

        return [c for c in case.load() if (c.quick or not self.asked.quick) and self.wants(c.name)]

    def calls(self, case: Any, problem: Any) -> dict[str, Any]:
        lib = self.libraries
        found = {"ours": lib.ours(problem)}
        if self.jax:
            found["jax"] = lib.with_jax(problem)
        if self.torch:
            found["torch"] = lib.with_torch(problem)
        if hand := lib.by_hand(problem):
            found["by hand"] = hand
        if self.native and case.group == "formula":
            found["g++"] = self.native.formula(problem)
        return found

    def row(self, case: Any) -> dict[str, Any]:
        """Results compared, then timed."""
        from workloads.timing import disagreement, figures, ratio, sampled

        problem = case.problem()
        calls = self.calls(case, problem)
        row: dict[str, Any] = {"name": case.name, "group": case.group, "size": list(case.size), "dtype": case.dtype}
        tolerance = problem.tolerance[case.dtype]
        try:
            mine = calls["ours"]()
        except Exception as error:  # shown as a row that is wrong; the others still count
            row["wrong"] = {"raised": f"{type(error).__name__}: {error}".splitlines()[0]}
            return row
        gaps = {peer: disagreement(mine, call(), tolerance) for peer, call in calls.items() if peer != "ours"}
        row["wrong"] = {peer: gap for peer, gap in gaps.items() if gap}
        del mine
        if row["wrong"]:
            return row
        if not self.libraries.stand_in():
            self.libraries.settle(calls["ours"])
        times = sampled(calls, self.asked.rounds, self.asked.budget)
        ours = times["ours"]
        row["seconds"] = {name: figures(t) for name, t in times.items()}
        row["ratios"] = {name: ratio(t, ours, self.asked.clock) for name, t in times.items() if name != "ours"}
        row["bars"] = {
            k: v for k, v in {"jax": case.bar.jax, "g++": case.bar.native}.items() if v and k in row["ratios"]
        }
        row["limit µs"] = case.bar.microseconds
        row["passed"] = all(row["ratios"][peer]["min"] >= bar for peer, bar in row["bars"].items()) and (
            case.bar.microseconds is None or min(ours.by(self.asked.clock)) * 1e6 <= case.bar.microseconds
        )
        if not self.libraries.stand_in():
            step = self.libraries.our_step(problem)
            step(*problem.args)
            row["interpreted"] = self.libraries.interpreted(step)
            if self.asked.explain and not row["passed"]:
                row["explained"] = str(step.explain(*problem.args))
        return row

    def memory(self, case: Any) -> dict[str, Any]:
        """MiB that one call of each library adds, in a process of its own."""
        from workloads.memory import ENVIRONMENT

        names = ["ours"] + ["jax"] * self.jax + ["torch"] * self.torch
        found = {}
        for name in names:
            try:
                found[name] = environment.child("memory", name, case.name, env=ENVIRONMENT)
            except RuntimeError as error:  # shown in the row; the others still count
                found[name] = {"raised": math.nan, "error": str(error).strip().splitlines()[-1]}
        limit = min((found[name]["raised"] for name in names[1:]), default=math.inf)
        return {"name": case.name, "MiB": found, "passed": found["ours"]["raised"] <= limit + SLACK}

    def compiling(self, advance: Any) -> dict[str, Any]:
        """First calls, in fresh processes: ours, which writes its disk cache; ours again, which reads it; JAX without a
        disk cache, as it comes; and with one that is filled."""
        from workloads.programs import PROGRAMS

        runs: dict[str, list[dict[str, float]]] = {}

        def first(column: str, library: str, *folder: str) -> None:
            runs.setdefault(column, []).append(environment.child("cold", library, self.asked.clock, *folder))
            advance()

        for _ in range(self.repeats):
            with tempfile.TemporaryDirectory() as folder:
                first("ours", "ours", folder)
                first("ours, disk", "ours", folder)
            if self.jax:
                first("jax", "jax")
        if self.jax and not self.asked.quick:
            with tempfile.TemporaryDirectory() as folder:
                environment.child("cold", "jax", self.asked.clock, folder)
                first("jax, disk", "jax", folder)
        best = {k: {name: min(r[name] for r in rs) for name in rs[0]} for k, rs in runs.items() if rs}
        best["ours, full tier"] = {name: best["ours"][f"{name}: full tier"] for name in PROGRAMS}
        return {"seconds": best, **compile_figures(best)}


def geometric(values: list[float]) -> float:
    return math.exp(sum(map(math.log, values)) / len(values)) if values else math.nan


def compile_figures(best: dict[str, dict[str, float]]) -> dict[str, Any]:
    from workloads.programs import LONGEST, PROGRAMS

    figures: dict[str, Any] = {
        "unrolled s": best["ours"][LONGEST],
        "unrolled passed": best["ours"][LONGEST] <= UNROLLED,
        "wrong": [],
    }
    if "jax" not in best:
        return figures
    for name in PROGRAMS:
        for what in ("value", "gradient"):
            mine, theirs = (best[k][f"{name}: {what}"] for k in ("ours", "jax"))
            if not math.isclose(mine, theirs, rel_tol=1e-9, abs_tol=1e-9):
                figures["wrong"].append(f"{name}: {what} is {mine}, JAX's {theirs}")
    for key, bar in (("ours", COMPILE), ("ours, disk", DISK)):
        figures[f"{key} ratio"] = geometric([best["jax"][name] / best[key][name] for name in PROGRAMS])
        figures[f"{key} passed"] = figures[f"{key} ratio"] >= bar
    return figures


def means(rows: list[dict[str, Any]]) -> dict[str, float]:
    counted = [r for r in rows if r["group"] == "workloads" and not r["wrong"]]
    return {peer: geometric([r["ratios"][peer]["min"] for r in counted if peer in r["ratios"]]) for peer in MEANS}


# ── showing ───────────────────────────────────────────────────────────────────


def shown(seconds: float) -> str:
    for unit, scale in (("s", 1.0), ("ms", 1e3), ("µs", 1e6)):
        if seconds * scale >= 1:
            return f"{seconds * scale:.3g} {unit}"
    return f"{seconds * 1e9:.0f} ns"


def verdict(passed: bool) -> str:
    return "[green]pass[/]" if passed else "[bold red]miss[/]"


def table(title: str, columns: list[str]) -> Any:
    from rich.table import Table

    made = Table(title=title, title_justify="left", title_style="bold")
    for i, column in enumerate(columns):
        made.add_column(column, justify="left" if i == 0 else "right", no_wrap=i > 0)
    return made


def show_rows(console: Any, rows: list[dict[str, Any]], clock: str) -> None:
    key = "min" if clock == "wall" else "cpu min"
    made = table("one call: time, and how many times ours (bar)", ["workload", "ours", *PEERS, ""])
    for row in rows:
        if row["wrong"]:
            made.add_row(row["name"], *[""] * (len(PEERS) + 1), "[bold red]wrong[/]")
            continue
        cells = []
        for peer in PEERS:
            if peer not in row["ratios"]:
                cells.append("")
                continue
            bar = f" (≥ {row['bars'][peer]:g})" if peer in row["bars"] else ""
            cells.append(f"{shown(row['seconds'][peer][key])}, {row['ratios'][peer]['min']:.2f}×{bar}")
        limit = f" (≤ {row['limit µs']:g} µs)" if row["limit µs"] else ""
        how = "[yellow]by NumPy[/] " if row.get("interpreted") else ""
        made.add_row(row["name"], how + shown(row["seconds"]["ours"][key]) + limit, *cells, verdict(row["passed"]))
    console.print(made)
    for row in rows:
        for peer, gap in row["wrong"].items():
            console.print(f"[bold red]WRONG[/] {row['name']}: {peer}: ", end="")
            console.print(gap, markup=False)
    counted = sum(r["group"] == "workloads" and not r["wrong"] for r in rows)
    for peer, mean in means(rows).items():
        if not math.isnan(mean):
            bar = MEANS[peer]
            console.print(
                f"geometric mean over {counted} workloads: {mean:.2f} × faster than {peer} (≥ {bar}) {verdict(mean >= bar)}"
            )


def show_compile(console: Any, result: dict[str, Any]) -> None:
    best = result["seconds"]
    made = table("first call of value and gradient: compile times", ["program", *best])
    for name in [n for n in best["ours"] if ":" not in n]:
        made.add_row(name, *[shown(best[k][name]) if name in best[k] else "" for k in best])
    console.print(made)
    for wrong in result["wrong"]:
        console.print(f"[bold red]WRONG[/] {wrong}")
    if "ours ratio" in result:
        for key, bar in (("ours", COMPILE), ("ours, disk", DISK)):
            passed = verdict(result[f"{key} passed"])
            console.print(
                f"{key}: {result[f'{key} ratio']:.2f} × faster than JAX without a disk cache, geometric mean (≥ {bar}) {passed}"
            )
    console.print(
        f"1000 unrolled operations: {shown(result['unrolled s'])} (≤ 1 s) {verdict(result['unrolled passed'])}"
    )


def show_memory(console: Any, results: list[dict[str, Any]]) -> None:
    libraries = list(results[0]["MiB"]) if results else []
    made = table(
        f"peak memory that one call adds, MiB (ours at most the others' + {SLACK})", ["workload", *libraries, ""]
    )
    for r in results:
        made.add_row(r["name"], *[f"{r['MiB'][k]['raised']:.2f}" for k in libraries], verdict(r["passed"]))
    console.print(made)
    for r in results:
        for library in libraries:
            if "error" in r["MiB"][library]:
                console.print(f"[bold red]WRONG[/] {r['name']}: {library}: ", end="")
                console.print(r["MiB"][library]["error"], markup=False)


def show_threads(console: Any, result: dict[str, Any]) -> None:
    if result.get("reason"):
        console.print(f"threads: {result['reason']}")
        return
    made = table("two threads against one", ["workload", "one", "two", "faster", ""])
    for r in result["rows"]:
        bar = THREADED if r["elements"] >= LARGE else UNHARMED
        r["bar"], r["passed"] = bar, r["ratio"]["min"] >= bar
        one, two = (shown(r["seconds"][k]["min"]) for k in "12")
        made.add_row(r["name"], one, two, f"{r['ratio']['min']:.2f}× (≥ {bar})", verdict(r["passed"]))
    console.print(made)


def machine(asked: argparse.Namespace) -> dict[str, Any]:
    cpu = next(
        (line.split(":")[1].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")),
        platform.machine(),
    )
    versions = {"python": platform.python_version()}
    for name in ("wengert", "numpy", "scipy", "llvmlite", "jax", "torch"):
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else math.nan
    return {
        "cpu": cpu,
        "cores": os.cpu_count(),
        "load": load,
        "threads": asked.threads,
        "clock": asked.clock,
        "versions": versions,
    }


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines() if Path(path).exists() else []


# ── one run ───────────────────────────────────────────────────────────────────


def run(bench: Bench, console: Any) -> dict[str, Any]:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    asked = bench.asked
    parts = [part for part in PARTS if bench.wants(part)]
    cases = bench.cases()
    # Memory is that of every case; asked for by itself, of them all.
    measured = [c for c in cases or _all(bench) if c.group in ("workloads", "formula")] if "memory" in parts else []
    libraries = 1 + bench.jax
    total = (
        len(cases)
        + len(measured)
        + (libraries * (1 if asked.quick else 3) if "compile" in parts else 0)
        + ("threads" in parts)
    )
    report: dict[str, Any] = {"schema": 1, "quick": asked.quick, "machine": machine(asked), "rows": []}
    report["compiled"] = not bench.libraries.stand_in()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=total)
        for case in cases:
            progress.update(task, description=case.name)
            report["rows"].append(bench.row(case))
            progress.advance(task)
        if "compile" in parts:
            progress.update(task, description="compile times")
            report["compile"] = bench.compiling(lambda: progress.advance(task))
        if measured:
            report["memory"] = []
        for case in measured:
            progress.update(task, description=f"memory: {case.name}")
            report["memory"].append(bench.memory(case))
            progress.advance(task)
        if "threads" in parts:
            progress.update(task, description="threads")
            report["threads"] = environment.child("threads", str(asked.rounds))
            progress.advance(task)
    report["means"] = means(report["rows"])
    return report


def _all(bench: Bench) -> list[Any]:
    from workloads import case

    return [c for c in case.load() if c.quick or not bench.asked.quick]


def show(console: Any, report: dict[str, Any]) -> None:
    load, cores = report["machine"]["load"], report["machine"]["cores"]
    if load > cores:
        busy = f"The machine is busy (load {load:.1f} on {cores} cores): wall times and threads measure that too."
        console.print(f"[bold yellow]{busy}[/]")
    if not report["compiled"]:
        console.print("[bold yellow]This wengert has no jit: its column is eager evaluation.[/]")
    if report["rows"]:
        show_rows(console, report["rows"], report["machine"]["clock"])
    if "compile" in report:
        show_compile(console, report["compile"])
    if report.get("memory"):
        show_memory(console, report["memory"])
    if "threads" in report:
        show_threads(console, report["threads"])
    for row in report["rows"]:
        if row.get("explained"):
            console.rule(row["name"])
            console.print(row["explained"], markup=False, highlight=False)


def main() -> int:
    asked = options()
    environment.pin(asked.threads)
    from rich.console import Console

    console = Console(width=None if sys.stdout.isatty() else 190)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["WENGERT_CACHE_DIR"] = folder  # nothing that an earlier run left, and nothing left behind
        report = run(Bench(asked), console)
    show(console, report)
    if asked.json:
        Path(asked.json).write_text(json.dumps(report, indent=1))
    wrong = [r["name"] for r in report["rows"] if r["wrong"]] + report.get("compile", {}).get("wrong", [])
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
