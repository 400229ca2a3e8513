"""What `wengert profile memory` and `predict` do: a script or a function in, a report out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from wengert import api
from wengert.core import tree
from wengert.core.errors import WengertError
from wengert.profile import script
from wengert.profile.footprint.prediction.predict import predict_memory
from wengert.profile.footprint.profiler import MemoryProfiler, memory
from wengert.profile.footprint.report import MemoryReport

Of = Literal["gradient", "value"]


def memory_of_script(path: str, arguments: Sequence[str] = (), function: str = "") -> tuple[MemoryReport, int]:
    """Run a script: its report, and its exit status. With `function`, the report of the call that had the highest peak.

    Raises WengertError if the function was never called.
    """
    if function:
        return _memory_of_calls(path, arguments, function)
    profiler = MemoryProfiler(name=Path(path).name)
    profiler._caller = None  # a script is called by no line of the user's
    with profiler:
        status = script.run(path, arguments)
    return _ended(profiler.report, status), status


def _memory_of_calls(path: str, arguments: Sequence[str], function: str) -> tuple[MemoryReport, int]:
    calls = Calls(function)
    status = script.run(path, arguments, around=function, wrapper=calls)
    if calls.highest is None:
        raise WengertError(
            f"function {function}", got=f"no call of it while {path} ran", want="at least one",
            fix="name a function that the script calls",
        )  # fmt: skip
    report = _ended(calls.highest, status)
    if calls.count > 1:
        report.notes.append(f"the one of {calls.count:,} calls of {function} with the highest peak")
    return report, status


def _ended(report: MemoryReport, status: int) -> MemoryReport:
    if status:
        report.notes.append(f"the script ended with status {status}: what it would have done after that is missing")
    return report


class Calls:
    """Makes a context manager for each call of a function; calls within calls are not measured apart."""

    def __init__(self, name: str) -> None:
        self.name, self.count, self.highest = name, 0, None
        self._depth, self._profiler = 0, None

    highest: MemoryReport | None
    _profiler: MemoryProfiler | None

    def __call__(self) -> Calls:
        return self

    def __enter__(self) -> None:
        self._depth += 1
        if self._depth == 1:
            self._profiler = MemoryProfiler(name=self.name)
            self._profiler.__enter__()

    def __exit__(self, *error: Any) -> None:
        self._depth -= 1
        if self._depth or self._profiler is None:
            return
        profiler, self._profiler = self._profiler, None
        profiler.__exit__(*error)
        self.count += 1
        if self.highest is None or profiler.report.peak > self.highest.peak:
            self.highest = profiler.report


def memory_of(
    function: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any], of: Of, jit: bool
) -> MemoryReport:
    """Call a function, or its gradient, and measure. Compiled functions are compiled before."""
    asked = subject(function, args, of, jit)
    if jit:
        asked(*args, **kwargs)
    report = memory(asked)(*args, **kwargs)
    report.name = _name(function, of, jit)
    return report


def prediction_of(
    function: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any], of: Of, jit: bool
) -> MemoryReport:
    """The same without running it."""
    report = predict_memory(subject(function, args, of, jit), *args, **kwargs)
    report.name = _name(function, of, jit)
    return report


def subject(function: Callable[..., Any], args: Sequence[Any], of: Of, jit: bool) -> Callable[..., Any]:
    """`function`, or its value and gradient by all arguments of floats; compiled, if asked for."""
    if of == "gradient":
        argnums = tuple(i for i, arg in enumerate(args) if _differentiable(arg))
        if not argnums:
            raise WengertError(
                "gradient", got="no argument of floats", want="at least one", fix="pass floats, or --of value"
            )
        function = api.value_and_grad(function, argnums=argnums)
    return api.jit(function) if jit else function


def _differentiable(arg: Any) -> bool:
    leaves = tree.leaves(arg)
    return bool(leaves) and all(np.issubdtype(np.asarray(leaf).dtype, np.inexact) for leaf in leaves)


def _name(function: Callable[..., Any], of: Of, jit: bool) -> str:
    name = getattr(function, "__name__", type(function).__name__)
    name = f"value_and_grad({name})" if of == "gradient" else name
    return f"jit({name})" if jit else name
