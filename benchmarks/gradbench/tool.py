"""The suite's protocol: a JSON message per line in, a JSON response per line out.

The first call of a function with new shapes stages and compiles it. Its time is reported under the name "compile", and
only the calls after it as "evaluate": tools written in C++ are compiled before they are timed, too.
"""

from __future__ import annotations

import json
import time
import traceback
from collections.abc import Callable, Iterable
from typing import Any, TextIO

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


class Tool:
    """Answers messages, with the functions that `load` finds for an eval."""

    def __init__(self, name: str, load: Callable[[str], dict[str, Function]]) -> None:
        self.name, self.load = name, load

    def start(self, message: Message) -> Message:
        return {"tool": self.name}

    def define(self, message: Message) -> Message:
        self.load(message["module"])
        return {"success": True}

    def evaluate(self, message: Message) -> Message:
        return measured(self.load(message["module"])[message["function"]], message["input"])

    def response(self, message: Message) -> Message:
        answers = {"start": self.start, "define": self.define, "evaluate": self.evaluate}
        try:
            found = answers.get(message["kind"], lambda _: {})(message)
        except Exception:
            found = {"success": False, "error": traceback.format_exc()}
        return {"id": message["id"]} | found

    def serve(self, messages: Iterable[str], out: TextIO) -> None:
        """Answer messages until there are no more. "end" has no answer that anybody would read, but gets one."""
        for line in messages:
            print(json.dumps(self.response(json.loads(line))), file=out, flush=True)
