"""Random programs and random calls of ops, checked until the time is over.

Work comes in units. Unit k of a seed is the same whatever the number of processes: even ones are a random program, odd
ones some calls. One program in PEER is of NumPy alone, and short, and held against JAX where that is installed. One in WIDE has
arrays longer than vectors and of odd lengths, and is compiled; the others have a few elements.
What fails is shrunk, and written to a folder as a script that fails again.
"""

from __future__ import annotations

import itertools
import multiprocessing
import re
import signal
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from dataclasses import asdict, dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import numpy as np

from wengert.core.op import OPS
from wengert.verify.catalog import load_ops
from wengert.verify.generate.calls import call, generable
from wengert.verify.generate.choices import RandomChoices
from wengert.verify.generate.consistency import check_call
from wengert.verify.generate.programs import VARIED, Program, program
from wengert.verify.programs import CHECKS, Outcome, check_program
from wengert.verify.shrinking import shrink
from wengert.verify.workers import available, single_threaded

CALLS = 6  # in a unit
PEER = 24
WIDE = 4
SHRINKING = 20.0  # seconds, at most
TOO_LONG = 120.0  # seconds for one unit, after which its process is ended


@dataclass
class Finding:
    """Something wrong: `script` shows it, and lies in `file` if that could be written."""

    unit: int
    kind: str
    check: str
    detail: str
    script: str
    file: str = ""


@dataclass
class Tally:
    """What came of one unit, or of all. `undecided` counts by check, `refused` and `inapplicable` by reason."""

    programs: int = 0
    calls: int = 0
    passed: int = 0
    undecided: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    inapplicable: Counter[str] = field(default_factory=Counter)
    findings: list[Finding] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        """Count another one in."""
        self.programs += other.programs
        self.calls += other.calls
        self.passed += other.passed
        self.undecided += other.undecided
        self.refused += other.refused
        self.inapplicable += other.inapplicable
        self.findings += other.findings


@dataclass
class Summary(Tally):
    """A run. `interrupted` says that it was ended before its time."""

    seed: int = 0
    seconds: float = 0.0
    jobs: int = 1
    interrupted: bool = False

    @property
    def undecided_fraction(self) -> float:
        """Of the checks that were made."""
        undecided = sum(self.undecided.values())
        return undecided / max(1, undecided + self.passed + len(self.findings))

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        plain = {k: dict(v) if isinstance(v, Counter) else v for k, v in vars(self).items()}
        return {
            **plain,
            "findings": [asdict(f) for f in self.findings],
            "undecided_fraction": self.undecided_fraction,
        }


def fuzz(
    minutes: float = 1.0,
    seed: int = 0,
    *,
    only: str | None = None,
    match: str = "",
    jobs: int | None = None,
    out: str | Path | None = None,
    progress: Callable[[Summary], None] = lambda summary: None,
    units: int | None = None,
) -> Summary:
    """Check random programs and calls for some minutes.

    Parameters
    ----------
    only : "programs" or "calls"
    match : calls of ops whose name contains this
    jobs : processes; 1 works in this one. More need the caller's module to be importable (`if __name__ == "__main__":`)
    out : a folder for scripts that show what was found
    progress : told of the summary so far, after each unit
    units : end after so many units, if the time is not over before
    """
    jobs = available() if jobs is None else max(1, jobs)
    if not _ops(match):
        raise ValueError(f"no op has {match!r} in its name")
    start = time.monotonic()
    plan = Plan(seed, only, match, start + 60 * minutes, units)
    summary = Summary(seed=seed, jobs=jobs)
    tallies = _in_turn(plan) if jobs == 1 else _side_by_side(plan, jobs)
    try:
        for tally in tallies:
            for number, finding in enumerate(tally.findings):
                _write(finding, seed, number, out)
            summary.add(tally)
            summary.seconds = time.monotonic() - start
            progress(summary)
    except KeyboardInterrupt:
        summary.interrupted = True
    finally:
        tallies.close()
    summary.seconds = time.monotonic() - start
    return summary


def _write(finding: Finding, seed: int, number: int, out: str | Path | None) -> None:
    if out is None:
        return
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{finding.kind}-{seed}-{finding.unit}{f'-{number}' if number else ''}.py"
    file.write_text(finding.script, encoding="utf-8")
    finding.file = str(file)


# ── units ─────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Plan:
    """What is to be done, until when (by the monotonic clock, which processes share)."""

    seed: int
    only: str | None
    match: str
    deadline: float
    units: int | None

    def numbers(self, first: int, step: int) -> Iterator[int]:
        """The units of one process."""
        for k in itertools.count(first, step):
            if time.monotonic() >= self.deadline or (self.units is not None and k >= self.units):
                return
            yield k

    def unit(self, k: int) -> Tally:
        """Do unit k."""
        choices = RandomChoices(np.random.default_rng([self.seed, k]))
        programs = self.only == "programs" or (self.only is None and k % 2 == 0)
        return _program(choices, k) if programs else _calls(choices, k, self.match)


def _program(choices: RandomChoices, k: int) -> Tally:
    peer, wide = k // 2 % PEER == 0, k // 2 % WIDE == 1
    if peer:
        made, checks = program(choices, only=frozenset(("complex",)), longest=12), CHECKS
    elif wide:
        made, checks = program(choices, longest=20, extents=VARIED), ("jit",)
    else:
        made, checks = program(choices), tuple(c for c in CHECKS if c != "peer")
    outcomes = check_program(made, checks)
    tally = Tally(programs=1, passed=sum(o.status == "pass" for o in outcomes))
    tally.undecided.update(f"program, {o.check}" for o in outcomes if o.status == "undecided")
    tally.refused.update(o.detail.splitlines()[0] for o in outcomes if o.status == "refused")
    tally.inapplicable.update(f"{o.check}: {o.detail}" for o in outcomes if o.status == "inapplicable")
    wrong = [o for o in outcomes if o.status == "mismatch"]
    if wrong:  # one of them: the others are mostly the same in another light
        tally.findings.append(_shrunk(made, wrong[0], k))
    return tally


def _shrunk(made: Program, outcome: Outcome, k: int) -> Finding:
    check = outcome.check
    if check == "text":
        return Finding(k, "program", check, outcome.detail, f'"""{outcome.detail}"""\n')
    small = shrink(made, lambda p: any(_alike(o, outcome) for o in check_program(p, (check,))), SHRINKING)
    found = next(o for o in check_program(small, (check,)) if _alike(o, outcome))
    return Finding(k, "program", check, found.detail, small.script(_tail(small, check)))


def _tail(small: Program, check: str) -> str:
    traits = f", traits={sorted(small.traits)}" if small.traits else ""
    return (
        "\nfrom wengert.verify.programs import check_function\n\n"
        f'print(*check_function(f, args, checks=({check!r},){traits}), sep="\\n")\n'
    )


def _alike(a: Outcome, b: Outcome) -> bool:
    """Whether two mismatches are of one kind: the same check, and the same exception if there is one."""
    raised = [re.match(r"raises \w+: .{0,40}", o.detail) for o in (a, b)]
    kinds = [m.group() if m else "" for m in raised]
    return a.status == b.status == "mismatch" and a.check == b.check and kinds[0] == kinds[1]


def _ops(match: str) -> list[str]:
    load_ops()
    return sorted(name for name in generable() if match in name)


def _calls(choices: RandomChoices, k: int, match: str) -> Tally:
    names = _ops(match)
    tally = Tally()
    for _ in range(CALLS):
        name = choices.pick(names)
        made = call(OPS[name], choices)
        tally.calls += 1
        try:
            outcome = check_call(made)
        except AssertionError as error:
            tally.findings.append(Finding(k, "call", name, str(error).partition("\n\n")[0], made.code() + "\n"))
            continue
        refused = outcome.pop("refused", None)
        if refused is not None:
            tally.refused[f"{name}: {refused}"] += 1
        tally.passed += sum(not why for why in outcome.values())
        tally.undecided.update(f"call, {check}" for check, why in outcome.items() if why)
    return tally


# ── processes ─────────────────────────────────────────────────────────────────


def _in_turn(plan: Plan) -> Generator[Tally, None, None]:
    for k in plan.numbers(0, 1):
        yield plan.unit(k)


def _work(plan: Plan, first: int, step: int, pipe: Connection) -> None:
    """A process: sends the number of each unit before it, and its tally after it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends us
    single_threaded()
    for k in plan.numbers(first, step):
        pipe.send(k)
        pipe.send(plan.unit(k))
    pipe.close()


@dataclass
class Worker:
    """A process that does units `number`, `number + jobs`, …; `unit` is what it is at, `since` when it began."""

    process: BaseProcess
    pipe: Connection
    unit: int
    since: float


def _side_by_side(plan: Plan, jobs: int) -> Generator[Tally, None, None]:
    context = multiprocessing.get_context("spawn")

    def started(first: int) -> Worker:
        mine, theirs = context.Pipe(duplex=False)
        process = context.Process(target=_work, args=(plan, first, jobs, theirs), daemon=True)
        process.start()
        theirs.close()
        return Worker(process, mine, first, time.monotonic())

    workers = [started(i) for i in range(jobs)]
    try:
        while workers:
            ready = wait([w.pipe for w in workers], timeout=1.0)
            for worker in list(workers):
                tally = None
                if worker.pipe in ready:
                    try:
                        message = worker.pipe.recv()
                    except EOFError:
                        workers.remove(worker)
                        worker.process.join()
                        if worker.process.exitcode == 0:
                            continue
                        tally = _lost(worker.unit, f"the process ended with status {worker.process.exitcode}")
                    else:
                        if isinstance(message, Tally):
                            yield message
                        else:
                            worker.unit, worker.since = message, time.monotonic()
                elif time.monotonic() - worker.since > TOO_LONG:
                    worker.process.kill()
                    worker.process.join()
                    workers.remove(worker)
                    tally = _lost(worker.unit, f"not done after {TOO_LONG:.0f} s")
                if tally is not None:
                    yield tally
                    workers.append(started(worker.unit + jobs))
    finally:
        for worker in workers:
            worker.process.kill()
            worker.process.join()


def _lost(k: int, why: str) -> Tally:
    return Tally(findings=[Finding(k, "unit", "process", why, f'"""Unit {k}: {why}."""\n')])
