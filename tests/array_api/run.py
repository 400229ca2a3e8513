"""Run the array API standard's own test suite on `wengert.numpy`, outside gradients and inside them.

    python tests/array_api/run.py --suite /path/to/array-api-tests

Modes, each a run of the whole suite (README.md says what they do):

    peer    array_api_compat.numpy, for comparison
    plain   wengert.numpy on plain arrays
    tape    Tensors that are constants under a tape
    grad    Tensors that carry derivatives, inside wengert.vjp; every pullback runs
    jvp     the same inside wengert.jvp; every tangent is looked at

Prints a table, and each failure that exceptions.txt does not list. Exit status: 0 if there is none, 1 if there are,
2 if the suite could not be run.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
EXCEPTIONS = HERE / "exceptions.txt"
WENGERT = ("plain", "tape", "grad", "jvp")
MODULES = {
    "peer": "array_api_compat.numpy",
    "plain": "wengert.numpy",
    "tape": "exec('import wengert, wengert.numpy as xp; wengert.GradientTape().__enter__()')",
    "grad": "exec('from connected import namespace as xp')",
    "jvp": "exec('from connected import namespace as xp')",
}
AGAIN = 10  # seeds to try where two runs disagree: some tests draw a single example

GET = """To get it:

    git clone https://github.com/data-apis/array-api-tests
    git -C array-api-tests submodule update --init
    python tests/array_api/run.py --suite array-api-tests"""


class Unready(Exception):
    """The suite cannot be run; the message says what is missing and how to get it."""


# ── what a run needs ──────────────────────────────────────────────────────────


def check_checkout(suite: Path, version: str) -> None:
    """Unready unless `suite` is a checkout of array-api-tests with its submodule, in which `version` is described."""
    if not (suite / "array_api_tests" / "__init__.py").is_file():
        raise Unready(f"{suite} is no checkout of array-api-tests: it has no folder array_api_tests.\n\n{GET}")
    spec, stubs = suite / "array-api" / "spec", suite / "array-api" / "src" / "array_api_stubs"
    if not spec.is_dir() or not stubs.is_dir():
        raise Unready(
            f"{suite} lacks its submodule array-api.\n\nTo get it:\n\n    git -C {suite} submodule update --init"
        )
    if not (spec / version).is_dir():
        found = ", ".join(sorted(p.name for p in spec.iterdir() if p.name[:2] == "20"))
        raise Unready(f"the suite does not describe version {version} of the standard, only {found}: take a newer one")


def check_requirements(modes: Sequence[str], jobs: int) -> None:
    """Unready unless the suite's requirements are installed beside wengert."""
    wanted = {"pytest": "pytest", "hypothesis": "hypothesis", "ndindex": "ndindex", "pytest_jsonreport": "pytest-json-report"}  # fmt: skip
    if "peer" in modes:
        wanted["array_api_compat"] = "array-api-compat"
    if jobs > 1:
        wanted["xdist"] = "pytest-xdist"
    missing = [package for module, package in wanted.items() if importlib.util.find_spec(module) is None]
    if missing:
        raise Unready(f"not installed: {', '.join(missing)}\n\n    python -m pip install {' '.join(missing)}")


def read_exceptions(path: Path) -> list[str]:
    """The tests that a file of the suite's format `--xfails-file` lists."""
    lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


# ── one run ───────────────────────────────────────────────────────────────────


@dataclass
class Run:
    """What became of each test in one mode."""

    mode: str
    outcomes: dict[str, dict[str, str]]  # by the test's name: outcome ("passed", "failed", "skipped") and reason
    counts: dict[str, int] = field(default_factory=dict)  # what the plugin saw: "grad matmul", "refused qr", …
    seconds: float = 0.0

    def of(self, outcome: str) -> list[str]:
        return sorted(test for test, o in self.outcomes.items() if o["outcome"] == outcome)

    def count(self, kind: str) -> int:
        return sum(n for what, n in self.counts.items() if what.split()[0] == kind)


def run(mode: str, suite: Path, options: argparse.Namespace, tests: Sequence[str] = (), seed: int | None = None) -> Run:
    """Run the suite, or some of its tests with the examples of another seed, in a process of its own."""
    seed = options.seed if seed is None else seed
    with tempfile.TemporaryDirectory() as folder:
        out, none = Path(folder) / "outcomes.json", Path(folder) / "none.txt"
        none.touch()  # the suite's own lists of expected failures are not ours
        paths = [str(ROOT), str(HERE), *filter(None, [os.environ.get("PYTHONPATH")])]
        environment = os.environ | {
            "ARRAY_API_TESTS_MODULE": MODULES[mode],
            "ARRAY_API_TESTS_VERSION": options.version,
            "PYTHONPATH": os.pathsep.join(paths),
            "WENGERT_SUITE_MODE": mode,
            "WENGERT_SUITE_OUT": str(out),
        }
        command = [sys.executable, "-m", "pytest", "-q", "--tb=short", "-p", "suite_plugin", "-p", "no:cacheprovider"]
        command += [f"--max-examples={options.max_examples}", "--disable-deadline", f"--xfails-file={none}"]
        command += ["--derandomize"] if seed is None else [f"--hypothesis-seed={seed}"]
        command += ["-n", str(options.jobs)] if options.jobs > 1 else []
        command += ["-k", options.select] if options.select else []
        start = time.perf_counter()
        done = subprocess.run(
            [*command, *(tests or ["array_api_tests"])],
            cwd=suite,
            env=environment,
            text=True,
            capture_output=True,
            check=False,
        )
        if done.returncode not in (0, 1) or not out.is_file():
            raise Unready(f"pytest ended with status {done.returncode}:\n{done.stdout[-4000:]}{done.stderr[-4000:]}")
        if options.verbose:
            print(done.stdout)
        seen = json.loads(out.read_text(encoding="utf-8"))
        return Run(mode, seen["tests"], seen["counts"], time.perf_counter() - start)


def confirm(verdict: Verdict, suite: Path, options: argparse.Namespace) -> None:
    """Where the peer, or all our modes, passed what is expected to fail, look again: a value may not have been drawn."""
    doubtful = {
        "peer": sorted({t for mode in verdict.runs for t in verdict.beyond_peer(mode)}),
        "plain": [t for t in verdict.stale() if any(t in r.outcomes for r in verdict.runs.values())],
    }
    for mode in doubtful.keys() & verdict.runs.keys():
        tests = doubtful[mode]
        verdict.again += tests
        for seed in range(AGAIN):
            if tests:
                again = run(mode, suite, options, tests, seed)
                verdict.runs[mode].outcomes |= {t: again.outcomes[t] for t in again.of("failed")}
                tests = [t for t in tests if t not in again.of("failed")]


# ── what the runs say ─────────────────────────────────────────────────────────


@dataclass
class Verdict:
    """The failures of the runs, against the list of exceptions and against the peer."""

    runs: dict[str, Run]
    listed: list[str]
    again: list[str] = field(default_factory=list)  # tests that ran more than once

    def unexpected(self, mode: str) -> list[str]:
        """Failures that the list does not have; the peer may fail as it likes."""
        return [] if mode == "peer" else [t for t in self.runs[mode].of("failed") if t not in self.listed]

    def beyond_peer(self, mode: str) -> list[str]:
        """Failures that the peer does not have, if it has run."""
        if mode == "peer" or "peer" not in self.runs:
            return []
        theirs = set(self.runs["peer"].of("failed"))
        return [t for t in self.runs[mode].of("failed") if t not in theirs]

    def stale(self) -> list[str]:
        """Listed tests that ran, and failed in no mode; and listed names that no test has."""
        ours = [r for mode, r in self.runs.items() if mode != "peer"]
        failed = {t for r in ours for t in r.of("failed")}
        return [t for t in self.listed if ours and t not in failed]

    def missing(self) -> dict[str, list[str]]:
        """Tests that another mode ran and this one did not."""
        every = {t for r in self.runs.values() for t in r.outcomes}
        return {mode: sorted(lost) for mode, r in self.runs.items() if (lost := every - set(r.outcomes))}

    @property
    def good(self) -> bool:
        return not self.missing() and not any(map(self.unexpected, self.runs))

    def data(self) -> dict[str, Any]:
        """All of it, for JSON."""
        return {
            "versions": {p: importlib.metadata.version(p) for p in ("numpy", "hypothesis")},
            "good": self.good,
            "stale": self.stale(),
            "missing": self.missing(),
            "modes": {
                mode: {
                    "seconds": round(r.seconds, 1),
                    "tests": len(r.outcomes),
                    "passed": len(r.of("passed")),
                    "failed": {t: r.outcomes[t]["reason"] for t in r.of("failed")},
                    "skipped": {t: r.outcomes[t]["reason"] for t in r.of("skipped")},
                    "unexpected": self.unexpected(mode),
                    "beyond_peer": self.beyond_peer(mode),
                    "counts": r.counts,
                }
                for mode, r in self.runs.items()
            },
        }


def show(verdict: Verdict, brief: bool) -> None:
    """The table, and the failures that matter."""
    from rich.box import SIMPLE
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console(soft_wrap=True)
    table = Table(
        "mode",
        *(["tests", "passed", "skipped", "failed", "listed", "unlisted", "beyond", "rules", "s"]),
        box=SIMPLE,
        padding=(0, 1, 0, 0),
    )
    for column in table.columns[1:]:
        column.justify = "right"
    for mode, r in verdict.runs.items():
        failed, ours = r.of("failed"), mode != "peer"
        table.add_row(
            mode,
            *(str(n) for n in (len(r.outcomes), len(r.of("passed")), len(r.of("skipped")), len(failed))),
            str(len(set(failed) & set(verdict.listed))) if ours else "·",
            str(len(verdict.unexpected(mode))) if ours else "·",
            str(len(verdict.beyond_peer(mode))) if ours and "peer" in verdict.runs else "·",
            str(r.count(mode) or "·"),
            f"{r.seconds:.0f}",
        )
    console.print(table)
    if verdict.again:
        console.print(f"{len(verdict.again)} tests ran again from up to {AGAIN} seeds, for modes disagreed")
    for mode, r in verdict.runs.items():
        if refused := {w.split()[1]: n for w, n in sorted(r.counts.items()) if w.startswith("refused ")}:
            console.print(f"{mode}: no derivative, and said so: {', '.join(f'{o} {n}×' for o, n in refused.items())}")
        if ops := sorted(w.split()[1] for w in r.counts if w.startswith(f"{mode} ")):
            console.print(f"{mode}: {len(ops)} ops" + ("" if brief else f": {' '.join(ops)}"))
        for test in verdict.unexpected(mode):
            reason = r.outcomes[test]["reason"].strip().splitlines() or [""]
            console.print(f"[red]FAILED[/] {mode} {escape(test)}\n    {escape(reason[0])}")
        for test in set(verdict.beyond_peer(mode)) & set(verdict.listed):
            console.print(f"listed, though the peer passes: {mode} {escape(test)}")
    for mode, lost in verdict.missing().items():
        console.print(f"[red]{len(lost)} tests did not run[/] in mode {mode}, first {escape(lost[0])}")
    for test in verdict.stale():
        console.print(f"[yellow]stale[/] in {EXCEPTIONS.name}, for it failed in no mode: {escape(test)}")


# ── command line ──────────────────────────────────────────────────────────────


def parser() -> argparse.ArgumentParser:
    found = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    found.add_argument("--suite", type=Path, required=True, help="a checkout of array-api-tests, submodule included")
    found.add_argument("--mode", default="all", choices=["all", *MODULES], help="default: all, one after the other")
    found.add_argument("--max-examples", type=int, default=100, help="hypothesis's examples per test (default 100)")
    found.add_argument("--seed", type=int, help="random examples from this seed; default: the same in every run")
    found.add_argument("--jobs", type=int, default=1, help="processes (more than one need pytest-xdist)")
    found.add_argument("--select", default="", help="pytest's -k: only the tests that this expression names")
    found.add_argument("--version", default="2024.12", help="of the standard (default 2024.12)")
    found.add_argument("--json", type=Path, metavar="FILE", help="write the results there too")
    found.add_argument("--verbose", action="store_true", help="print pytest's output, and the ops that ran")
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    modes = list(MODULES) if options.mode == "all" else [options.mode]
    suite = options.suite.resolve()
    try:
        check_checkout(suite, options.version)
        check_requirements(modes, options.jobs)
        runs = {}
        for mode in modes:
            print(f"running the suite: {mode}", file=sys.stderr)
            runs[mode] = run(mode, suite, options)
        verdict = Verdict(runs, [] if options.mode == "peer" else read_exceptions(EXCEPTIONS))
        if options.select:  # what was not selected is not stale
            ran = {t for r in runs.values() for t in r.outcomes}
            verdict.listed = [t for t in verdict.listed if t in ran]
        confirm(verdict, suite, options)
    except Unready as error:
        print(error, file=sys.stderr)
        return 2
    show(verdict, not options.verbose)
    if options.json:
        options.json.write_text(json.dumps(verdict.data(), indent=1) + "\n", encoding="utf-8")
    return 0 if verdict.good else 1


if __name__ == "__main__":
    sys.exit(main())
