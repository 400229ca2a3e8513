"""What a checkout of the suite holds: its evals' workloads and validators, as the evals themselves make them."""

from __future__ import annotations

import contextlib
import importlib
import io
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np

from .evals import functions

#: a text of this length and alphabet stands for the suite's, which is fetched apart from its repository
LETTERS = "abcdefghijklmnopqrstuvwxyz ,.’"


class Incomplete(Exception):
    """The checkout, or what its Python package needs, is not all there."""


@dataclass(frozen=True)
class Workload:
    eval: str
    function: str
    description: str
    input: Any
    validator: Callable[[str, Any, Any], Any]

    @property
    def name(self) -> str:
        return f"{self.eval} {self.function} {self.description}"


class Recorder:
    """In the place of the suite's own end of the protocol: keeps what an eval asks for."""

    def __init__(self, *, module: str, validator: Any) -> None:
        self.module, self.validator = module, validator
        self.kept: list[Workload] = []
        RECORDERS.append(self)

    def start(self, **_: Any) -> None:
        pass

    def define(self) -> Any:
        return SimpleNamespace(success=True)

    def evaluate(self, *, function: str, input: Any, description: str = "") -> Any:
        self.kept.append(Workload(self.module, function, description, input, self.validator))
        # hello's next question is the answer to its last
        answer = functions("hello")[function].run(input) if self.module == "hello" else None
        return SimpleNamespace(success=False, output=answer)


RECORDERS: list[Recorder] = []


@contextlib.contextmanager
def within(checkout: Path, arguments: list[str] | None = None) -> Iterator[None]:
    """As if run from the checkout, with these arguments on the command line: its evals look for files and tools there."""
    where, argv = Path.cwd(), sys.argv
    os.chdir(checkout)
    sys.argv = ["run", *(arguments or [])]
    try:
        yield
    finally:
        os.chdir(where)
        sys.argv = argv


def module(checkout: Path, name: str) -> ModuleType:
    folder = str(checkout / "python" / "gradbench")
    if folder not in sys.path:
        sys.path.insert(0, folder)
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise Incomplete(
            f"{name} of {checkout}: {error}. Its package needs `pip install pydantic dataclasses-json`"
        ) from None


def workloads(checkout: Path, eval: str, arguments: list[str]) -> list[Workload]:
    """What the suite's eval asks for when it is run with `arguments`."""
    run = module(checkout, f"gradbench.evals.{eval}.run")
    run.SingleModuleValidatedEval = Recorder  # type: ignore[attr-defined]
    if eval == "lstm" and not (checkout / "evals/lstm/data/lstm_full.txt").exists():
        run.read_full_text = text  # type: ignore[attr-defined]
    RECORDERS.clear()
    with within(checkout, arguments):
        run.main()
    return [w for recorder in RECORDERS for w in recorder.kept]


def text(_: str, count: int) -> str:
    return "".join(np.random.default_rng(0).choice(list(LETTERS), size=count))


def verdict(checkout: Path, workload: Workload, output: Any) -> str:
    """What the suite's own validator says against `output`, or nothing."""
    with within(checkout), contextlib.redirect_stdout(io.StringIO()):
        analysis = workload.validator(workload.function, workload.input, output)
    return "" if analysis.valid else (analysis.error or "not valid").splitlines()[-1]
