"""Loops, branches and batches of small programs, compiled: against JAX and PyTorch, and against their bars, in one run.

    python benchmarks/loops.py [--quick] [--only NAME]... [--json FILE] [--clock wall|cpu] [--no-jax] [--no-torch]

Every workload (benchmarks/control/) is one function, written once for NumPy with `wg.scan`, `wg.while_loop`, … and, since
these have the same signatures in `jax.lax`, run by JAX from the same text; PyTorch runs loops of Python, eagerly. Values and
derivatives of all libraries are timed in turn, on one core, JAX waited for. Before anything is timed, a small instance is
compared with plain Python loops, and the full one with the peers; a row that differs is reported as wrong and not timed.

JAX has no reverse mode through `while_loop`: there, its derivatives are forward mode's (`jacfwd`).
`--only`: part of a workload's name or group, or memory.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))
from workloads import environment

GROWTH = 1.5  # time per trip at the longest, over that at the shortest
LONG = ("moving average of 1e6 numbers", "pendulum, 1e6 steps", "x ← c x while x > tol, 1e6 trips")
SLACK = 1.0  # MiB: the system counts resident pages in batches


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer sizes, fewer rounds")
    parser.add_argument("--only", action="append", default=[], metavar="NAME")
    parser.add_argument("--json", metavar="FILE")
    parser.add_argument("--rounds", type=int, default=0, help="default: 30, quick 7")
    parser.add_argument("--budget", type=float, default=0, help="seconds for a row; default: 6, quick 1.5")
    parser.add_argument("--patience", type=float, default=10, help="a call of ours that takes longer is not made")
    parser.add_argument("--clock", choices=("wall", "cpu"), default="wall", help="cpu: on a machine that others use")
    parser.add_argument("--explain", action="store_true", help="what was compiled, for rows that miss a bar")
    parser.add_argument("--no-jax", dest="jax", action="store_false")
    parser.add_argument("--no-torch", dest="torch", action="store_false")
    parser.add_argument("--peak", nargs=3, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    chosen.rounds = chosen.rounds or (7 if chosen.quick else 30)
    chosen.budget = chosen.budget or (1.5 if chosen.quick else 6.0)
    return chosen


def wants(asked: argparse.Namespace, *names: str) -> bool:
    return not asked.only or any(part.lower() in name.lower() for part in asked.only for name in names)


# ── memory ────────────────────────────────────────────────────────────────────


def peak(library: str, name: str, what: str) -> float:
    """MiB that the first call of compiled code adds, in this process."""
    from control import measure, workload
    from workloads.memory import raised_by

    lib = workload.ours() if library == "ours" else workload.with_jax()
    work = next(w for w in workload.load() if w.name == name)
    measure.calls(lib, work.make(lib, *work.small))[what]()
    computation = work.make(lib, *work.size)
    function = computation.run if what == "value" else computation.slope
    args = measure.mapped(lib.array, computation.args)
    compiled = lib.jit(function).lower(*args).compile()
    return raised_by(lambda: lib.wait(compiled(*args)))


def in_child(library: str, name: str, what: str) -> float | str:
    from workloads.memory import ENVIRONMENT

    run = subprocess.run(
        [sys.executable, __file__, "--peak", library, name, what],
        capture_output=True, text=True, timeout=600, env={**os.environ, **ENVIRONMENT},
    )  # fmt: skip
    return float(run.stdout) if run.returncode == 0 else run.stderr.strip().splitlines()[-1]


def memory(names: list[str], peers: list[str]) -> list[dict[str, Any]]:
    rows = []
    for name in names:
        for what in ("value", "slope"):
            found = {}
            for library in ["ours", *peers]:
                if library == "ours" or not (what == "slope" and "while" in name):  # JAX's is forward mode
                    found[library] = in_child(library, name, what)
            mine = found["ours"]
            others = [v for k, v in found.items() if k != "ours" and isinstance(v, float)]
            passed = isinstance(mine, float) and mine <= min(others, default=float("inf")) + SLACK
            rows.append({"name": name, "what": what, "MiB": found, "passed": passed})
    return rows


# ── one run ───────────────────────────────────────────────────────────────────


def growth(rows: list[dict[str, Any]], key: str) -> list[dict[str, Any]]:
    """For each series: nanoseconds per trip at each length."""
    found = []
    for series in dict.fromkeys(r["series"] for r in rows if r["series"] and "seconds" in r):
        mine = [r for r in rows if r["series"] == series and "seconds" in r]
        if len(mine) < 2:
            continue
        for what in ("value", "slope"):
            times = {r["trips"]: r["seconds"][f"ours {what}"][key] / r["trips"] * 1e9 for r in mine}
            ends = [times[min(times)], times[max(times)]]
            passed = ends[1] <= GROWTH * ends[0] or ends[1] <= ends[0] + 0.5
            found.append({"series": series, "what": what, "ns": times, "ratio": ends[1] / ends[0], "passed": passed})
    return found


def run(asked: argparse.Namespace, console: Any) -> dict[str, Any]:
    from control import workload
    from control.measure import Measured
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
    from workloads.libraries import installed

    import wengert as wg

    wg.config.disk_cache = False
    wg.jit(lambda x: x + 1)(1.0)  # which loads LLVM
    libraries = [workload.ours()] + ([workload.with_jax()] if asked.jax and installed("jax") else [])
    asked.torch = asked.torch and installed("torch")
    if asked.torch:
        import torch

        torch.set_num_threads(1)
    works = [w for w in workload.load() if (w.quick or not asked.quick) and wants(asked, w.name, w.group)]
    import compiled

    report: dict[str, Any] = {"schema": 1, "quick": asked.quick, "rows": []}
    asked.threads = 1
    report["machine"] = compiled.machine(asked)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=len(works))
        for work in works:
            progress.update(task, description=work.name)
            report["rows"].append(Measured(work, libraries, asked).run())
            if asked.explain and not report["rows"][-1]["passed"]:
                report["rows"][-1]["explained"] = explained(work, libraries[0])
            progress.advance(task)
    report["growth"] = growth(report["rows"], "min" if asked.clock == "wall" else "cpu min")
    if wants(asked, "memory") and not (asked.quick and not asked.only):
        report["memory"] = memory(list(LONG), [lib.name for lib in libraries[1:]])
    return report


def explained(work: Any, lib: Any) -> str:
    computation = work.make(lib, *work.size)
    try:
        return str(lib.jit(computation.slope or computation.run).explain(*computation.args))
    except Exception as error:  # the row says already what is wrong
        return f"{type(error).__name__}: {error}"


# ── showing ───────────────────────────────────────────────────────────────────


def show(console: Any, report: dict[str, Any]) -> None:
    from compiled import shown, table, verdict
    from rich.markup import escape

    key = "min" if report["machine"]["clock"] == "wall" else "cpu min"
    machine = report["machine"]
    if machine["load"] > machine["cores"]:
        console.print(f"[bold yellow]The machine is busy (load {machine['load']:.1f} on {machine['cores']} cores).[/]")
    columns = [
        "workload",
        "value",
        "derivative",
        "ratio",
        "a trip",
        "first",
        "JAX",
        "derivative",
        "first",
        "torch",
        "derivative",
        "",
    ]
    made = table(
        "one call; of the peers, how many times ours; “first” is tracing and compiling the derivative", columns
    )
    group = ""
    for row in report["rows"]:
        if group and row["group"] != group:
            made.add_section()
        group = row["group"]
        passed = "[bold red]wrong[/]" if row["wrong"] else verdict(row["passed"])
        figures = cells(row, key, shown) if "seconds" in row else [""] * (len(columns) - 2)
        made.add_row(escape(row["name"]), *figures, passed)
    console.print(made)
    for row in report["rows"]:
        for what, gap in row["wrong"].items():
            console.print(f"[bold red]WRONG[/] {escape(row['name'])}: {what}: {escape(gap)}")
        for name, b in row.get("bars", {}).items():
            if not b["passed"]:
                wanted = f"{'≥' if b['least'] else '≤'} {b['limit']:g}"
                console.print(f"[bold red]miss[/] {escape(row['name'])}: {name}: {b['value']:.2f} ({wanted})")
    if report["growth"]:
        made = table(
            f"time per trip by length, ns (longest at most {GROWTH} × shortest)", ["loop", "", "trips: ns", "ratio", ""]
        )
        for g in report["growth"]:
            each = "   ".join(f"{n:.0e}: {ns:.2f}".replace("e+0", "e") for n, ns in g["ns"].items())
            made.add_row(escape(g["series"]), NAMES[g["what"]], each, f"{g['ratio']:.2f}", verdict(g["passed"]))
        console.print(made)
    if report.get("memory"):
        peers = list(report["memory"][0]["MiB"])
        made = table("peak memory that one call of 1e6 steps adds, MiB", ["loop", "", *peers, ""])
        for r in report["memory"]:
            each = [f"{v:.1f}" if isinstance(v, float) else str(v or "") for v in (r["MiB"].get(p) for p in peers)]
            made.add_row(escape(r["name"]), NAMES[r["what"]], *each, verdict(r["passed"]))
        console.print(made)
    for row in report["rows"]:
        if row.get("explained"):
            console.rule(row["name"])
            console.print(row["explained"], markup=False, highlight=False)


NAMES = {"value": "value", "slope": "derivative"}


def cells(row: dict[str, Any], key: str, shown: Any) -> list[str]:
    seconds = {name: s[key] for name, s in row["seconds"].items()}
    value, slope = seconds["ours value"], seconds.get("ours slope")

    def of(library: str, what: str) -> str:
        name = f"{library} {what}"
        return f"{shown(seconds[name])} {row['ratios'][name]['min']:.3g}×" if name in seconds else ""

    trip = (slope or value) / row["trips"] * 1e9
    return [
        shown(value),
        shown(slope) if slope else "",
        f"{slope / value:.2f}" if slope else "",
        f"{trip:.3g} ns",
        shown(row["first"].get("ours slope", row["first"]["ours value"])),
        of("jax", "value"),
        of("jax", "slope"),
        shown(row["first"]["jax slope"]) if "jax slope" in row["first"] else "",
        of("torch", "value"),
        of("torch", "slope"),
    ]


def main() -> int:
    asked = options()
    environment.pin(1)
    if asked.peak:
        print(peak(*asked.peak))
        return 0
    from rich.console import Console

    console = Console(width=None if sys.stdout.isatty() else 200)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["WENGERT_CACHE_DIR"] = folder
        report = run(asked, console)
    show(console, report)
    if asked.json:
        Path(asked.json).write_text(json.dumps(report, indent=1))
    return 1 if any(r["wrong"] for r in report["rows"]) else 0


if __name__ == "__main__":
    sys.exit(main())
