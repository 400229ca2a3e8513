"""The suite's workloads by this tool, and by the suite's own `manual` (C++), `jax` and `pytorch` tools where they are.

    python -m benchmarks.gradbench.compare --checkout DIR [--evals ba,gmm] [--all] [--budget S] [--markdown]

DIR is a checkout of the suite with its Python package's requirements (pydantic, dataclasses-json) installed, and with
`make -C DIR/tools/manual` done. Every tool is a process of its own, pinned to one core and one thread; they take turns,
and the shortest run counts. JAX's results are waited for. Our outputs are held against the suite's own validators and
against oracles (`oracles.py`) that know nothing of either; rows that fail say so. First calls, which stage and compile,
have a column of their own, and are measured with an empty cache.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import oracles, suite
from .evals import NAMES
from .processes import Failed, Manual, Process, Worker

#: for each eval: how it is run, and which of its workloads are in the table unless all are asked for
TABLE: dict[str, tuple[list[str], tuple[str, ...]]] = {
    "hello": ([], ("",)),
    "ba": (["--max", "4"], ("ba1_n49_m7776_p31843", "ba4_n372_m47423_p204472")),
    "det": (["-l", "8", "10"], ("8", "10")),
    "gmm": (["-d", "10", "32", "64", "-k", "10", "25", "100"], ("10_10_1000", "32_25_1000", "64_100_1000")),
    "ht": (["--max", "11"], ("hand1_t26_c100", "hand11_t26_c51200")),
    "kmeans": ([], ("k=10,n=10000,d=8", "k=1000,n=10000,d=16")),
    "llsq": (["-n", "128", "16392"], ("n=128,m=128", "n=16392,m=128")),
    "lse": (["-n", "10000", "1280000"], ("n=10000", "n=1280000")),
    "lstm": (["-l", "2", "4", "-c", "1024", "8192"], ("l=2,c=1024", "l=4,c=8192")),
    "ode": (["-n", "1000", "100000", "-s", "100"], ("n=1000,s=100", "n=100000,s=100")),
    "particle": ([], ("w=0",)),
    "saddle": ([], ("w=0",)),
}
PRIMALS = ("objective", "primal", "cost", "square")
LONG = {"ht": ["--max", "11"]}  # its twelfth is fetched apart from the repository
#: the suite's `manual` has no derivative there, but a formula
FORMULAS = {("ode", "gradient")}
TURNS = 3


@dataclass
class Row:
    workload: suite.Workload
    seconds: dict[str, float] = field(default_factory=dict)
    first: dict[str, float] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)  # of ours
    notes: list[str] = field(default_factory=list)  # on the others

    def ratio(self, peer: str) -> float | None:
        """Ours over theirs."""
        mine, other = self.seconds.get("wengert"), self.seconds.get(peer)
        return mine / other if mine and other else None


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkout", type=Path, required=True)
    parser.add_argument("--evals", default=",".join(NAMES), help="comma-separated; default: all twelve")
    parser.add_argument("--tools", default="wengert,manual,jax,pytorch")
    parser.add_argument("--budget", type=float, default=1.0, help="seconds of runs for each tool and workload")
    parser.add_argument("--limit", type=float, default=120.0, help="seconds after which a tool's turn is given up")
    parser.add_argument("--all", action="store_true", help="all of the suite's workloads, not only the table's")
    parser.add_argument("--primals", action="store_true", help="time functions without derivatives too")
    parser.add_argument("--markdown", action="store_true")
    parser.add_argument("--core", type=int, default=0)
    chosen = parser.parse_args()
    chosen.checkout = chosen.checkout.resolve()
    return chosen


def chosen_workloads(asked: argparse.Namespace) -> list[suite.Workload]:
    found = []
    for eval in asked.evals.split(","):
        arguments, descriptions = TABLE[eval]
        if asked.all:
            arguments = LONG.get(eval, [])
        for workload in suite.workloads(asked.checkout, eval, arguments):
            listed = asked.all or workload.description in descriptions
            again = any(w.name == workload.name for w in found)  # hello asks the same of several numbers
            if listed and not again and (asked.primals or workload.function not in PRIMALS or eval == "hello"):
                found.append(workload)
    return found


def processes(asked: argparse.Namespace, cache: str) -> dict[str, Process]:
    """One process for each tool that is there. Ours begins with an empty cache of compiled code."""
    env = os.environ | dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    env |= {"XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false", "WENGERT_CACHE_DIR": cache}
    here = str(Path(__file__).resolve().parents[2])
    env["PYTHONPATH"] = os.pathsep.join(p for p in (here, env.get("PYTHONPATH")) if p)
    found: dict[str, Process] = {}
    for tool in asked.tools.split(","):
        if tool == "manual":
            found[tool] = Manual(asked.checkout, asked.core, asked.limit)
        else:
            module = ["benchmarks.gradbench"]
            if tool != "wengert":
                module = ["benchmarks.gradbench.peer", tool, "--checkout", str(asked.checkout)]
            found[tool] = Worker([sys.executable, "-m", *module], env, asked.core, asked.limit)
    return found


def judged(checkout: Path, workload: suite.Workload, output: Any) -> list[str]:
    """What speaks against an output of ours."""
    faults = []
    if said := suite.verdict(checkout, workload, output):
        faults.append(f"not valid: {said}")
    try:
        oracles.check(workload.eval, workload.function, workload.input, output)
    except oracles.Wrong as wrong:
        faults.append(f"wrong: {wrong}")
    return faults


def measured(asked: argparse.Namespace, workload: suite.Workload, tools: dict[str, Process]) -> Row:
    row, left = Row(workload), dict(tools)
    for turn in range(TURNS):
        for name, process in list(left.items()):
            begun = time.perf_counter()
            try:
                output, timings = process.run(workload, asked.budget / TURNS)
            except Failed as failed:
                del left[name]
                if name == "wengert":
                    row.faults.append(str(failed))
                elif failed.unexpected:
                    row.notes.append(f"{name}: {failed}")
                continue
            seconds = [t["nanoseconds"] / 1e9 for t in timings if t["name"] == "evaluate"]
            row.seconds[name] = min([*seconds, row.seconds.get(name, math.inf)])
            if turn == 0:
                row.first[name] = sum(t["nanoseconds"] for t in timings if t["name"] == "compile") / 1e9
                if name == "wengert":
                    row.faults += judged(asked.checkout, workload, output)
            if time.perf_counter() - begun > 20 * asked.budget:
                del left[name]  # so slow that one turn must do
    return row


# ── the table ─────────────────────────────────────────────────────────────────


def cell(value: float | None, scale: float = 1.0) -> str:
    return "" if value is None else f"{value * scale:.3g}"


def lines(rows: list[Row], tools: list[str], markdown: bool) -> list[str]:
    peers = [t for t in tools if t != "wengert"]
    head = ["workload", *(f"{t}, ms" for t in tools), *(f"÷ {t}" for t in peers), "first call, ms", ""]
    body = [
        [
            row.workload.name,
            *(cell(row.seconds.get(t), 1e3) for t in tools),
            *(cell(row.ratio(t)) for t in peers),
            cell(row.first.get("wengert"), 1e3),
            "; ".join([*(row.faults or ["valid"]), *row.notes]),
        ]
        for row in rows
    ]
    if markdown:
        return ["| " + " | ".join(r) + " |" for r in [head, ["---"] + ["---:"] * (len(head) - 2) + ["---"], *body]]
    widths = [max(len(r[i]) for r in [head, *body]) for i in range(len(head))]
    return [
        "  ".join(c.ljust(w) if i in (0, len(r) - 1) else c.rjust(w) for i, (c, w) in enumerate(zip(r, widths)))
        for r in [head, *body]
    ]


def summary(rows: list[Row], peers: list[str]) -> list[str]:
    said = []
    for peer in peers:
        counted = [r for r in rows if (r.workload.eval, r.workload.function) not in FORMULAS or peer != "manual"]
        ratios = [(r.ratio(peer), r) for r in counted if r.ratio(peer) is not None and r.workload.eval != "hello"]
        if ratios:
            mean = math.exp(sum(math.log(q) for q, _ in ratios if q) / len(ratios))
            worst, row = max(((q, r) for q, r in ratios if q), key=lambda pair: pair[0])
            said.append(
                f"ours ÷ {peer}: geometric mean {mean:.3g} over {len(ratios)} workloads; worst {worst:.3g} ({row.workload.name})"
            )
    bad = [r for r in rows if r.faults]
    said.append(f"{len(rows) - len(bad)} of {len(rows)} workloads of ours valid, by the suite and by the oracles")
    return said


def main() -> int:
    asked = options()
    os.sched_setaffinity(0, os.sched_getaffinity(0) - {asked.core} or {asked.core})
    try:
        found = chosen_workloads(asked)
    except suite.Incomplete as error:
        print(error, file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as cache:
        tools = processes(asked, cache)
        rows = []
        try:
            for workload in found:
                rows.append(measured(asked, workload, tools))
                print(lines(rows[-1:], list(tools), False)[-1], file=sys.stderr, flush=True)
        finally:
            for process in tools.values():
                process.close()
    print("\n".join(lines(rows, list(tools), asked.markdown)))
    print()
    print("\n".join(summary(rows, [t for t in tools if t != "wengert"])))
    return 1 if any(r.faults for r in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
