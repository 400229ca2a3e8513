"""The suite's protocol: a JSON message per line in, a JSON response per line out.

The first call of a function with new shapes stages and compiles it. Its time is reported under the name "compile", and
only the calls after it as "evaluate": tools written in C++ are compiled before they are timed, too.
"""

from __future__ import annotations

import json
import time
import traceback
from collections.abc import Iterable
from typing import Any, TextIO

from .evals import functions
from .function import Function, Input

Message = dict[str, Any]


def timing(name: str, nanoseconds: int) -> Message:
    return {"name": name, "nanoseconds": nanoseconds}


def measured(function: Function, input: Input) -> Message:
    """The response to an evaluation: `min_runs` runs at least, and as many as fill `min_seconds`."""
    asked = input if isinstance(input, dict) else {}
    min_runs, left = asked.get("min_runs", 1), asked.get("min_seconds", 0) * 1e9
    start = time.perf_counter_ns()
    arguments = function.prepare(input)
    prepared = time.perf_counter_ns()
    result = function.run(*arguments)
    timings = [timing("prepare", prepared - start), timing("compile", time.perf_counter_ns() - prepared)]
    runs = 0
    while runs < min_runs or left > 0:
        start = time.perf_counter_ns()
        result = function.run(*arguments)
        took = time.perf_counter_ns() - start
        timings.append(timing("evaluate", took))
        runs, left = runs + 1, left - took
    return {"success": True, "output": function.answer(result), "timings": timings}


def evaluated(message: Message) -> Message:
    try:
        return measured(functions(message["module"])[message["function"]], message["input"])
    except Exception:
        return {"success": False, "error": traceback.format_exc()}


def defined(message: Message) -> Message:
    try:
        functions(message["module"])
    except Exception:
        return {"success": False, "error": traceback.format_exc()}
    return {"success": True}


def response(message: Message) -> Message:
    kinds = {"start": lambda _: {"tool": "wengert"}, "define": defined, "evaluate": evaluated}
    return {"id": message["id"]} | kinds.get(message["kind"], lambda _: {})(message)


def serve(messages: Iterable[str], out: TextIO) -> None:
    """Answer messages until there are no more. "end" has no answer that anybody would read, but gets one."""
    for line in messages:
        print(json.dumps(response(json.loads(line))), file=out, flush=True)
