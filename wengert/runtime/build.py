"""From a Program to what runs it: passes, lowering and machine code, or NumPy where there is no compiler."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from time import perf_counter
from typing import Any

from wengert.core.config import config
from wengert.core.errors import BudgetError
from wengert.core.events import built, tell
from wengert.graph.program import Program
from wengert.runtime.interpreted import Interpreted
from wengert.transforms.call import EXECUTE, SPLIT
from wengert.transforms.derived import Split, split

_lock = threading.RLock()
log = logging.getLogger("wengert")


def build(program: Program, donated: frozenset[int] = frozenset(), name: str = "", budget: int | None = None) -> Any:
    """A callable of flat arrays that gives a list of arrays: an `Executable`, or `Interpreted`.

    budget : bytes that a call may take beyond its arguments

    A program that cannot be compiled is run by NumPy, with a warning in the log; with `config.debug_passes` the error is raised.
    NumPy's own run obeys no budget, and the log says so. Raises BudgetError where a budget is too small.
    """
    if not config.compile or config.watches_values:
        if budget is not None:
            log.warning("%s is not compiled, so its memory budget is not obeyed", name)
        return Interpreted(program, name)
    try:
        return _compiled(program, donated, name, budget)
    except BudgetError:
        raise
    except Exception as error:
        if config.debug_passes:
            raise
        more = "" if budget is None else "; its memory budget is not obeyed"
        log.warning("%s cannot be compiled, and is run op by op: %s: %s%s", name, type(error).__name__, error, more)
        return Interpreted(program, name)


def _compiled(program: Program, donated: frozenset[int], name: str, budget: int | None) -> Any:
    from wengert.runtime.engine import compile
    from wengert.runtime.preparation import prepared

    start = perf_counter()
    optimised, reports = prepared(program)
    if built:
        tell(built, name, "passes", start, perf_counter())
    if budget is None:
        executable = compile(optimised, donated=donated, name=name)
    else:
        from wengert.runtime.budget import compiled_within

        executable = compiled_within(program, optimised, donated, budget, name)
    executable.reports = reports  # type: ignore[attr-defined]  # what the passes did, for `explain`
    return executable


def execute(program: Program, memory: int | None = None) -> Callable[..., Any]:
    """What runs `program` for the op `call`, in at most `memory` bytes: built on its first use, and kept with it. It gives a
    tuple, with scalars for results without axes."""
    key = "executable", config.compile, config.watches_values, memory
    found = program.derived.get(key)
    if found is None:
        with _lock:
            found = program.derived.get(key)
            if found is None:
                built = build(program, name="call", budget=memory)

                def slow(*args: Any) -> tuple[Any, ...]:
                    return tuple([out if out.ndim else out[()] for out in built(*args)])

                weak = any(atom.aval.weak for atom in program.outs)  # entries give Python's numbers for these
                make = None if weak else getattr(built, "entry", None)
                found = program.derived[key] = slow if make is None else make(slow, "tuple")
    return found


def halves(program: Program, mask: tuple[bool, ...], memory: int) -> Split:
    """The pullback of `program` in two halves that each obey `memory`, residuals included."""
    if not config.compile or config.watches_values:
        return split(program, mask)
    from wengert.runtime.budget import split_within

    return split_within(program, mask, memory)


EXECUTE.append(execute)
SPLIT.append(halves)
