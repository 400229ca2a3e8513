"""python -m benchmarks.gradbench.peer jax --checkout DIR: one of the suite's own Python tools, timed as ours is.

The suite's JAX tool stops the clock before JAX has finished, and counts the call that compiles. Here results are waited
for, and the first call is apart. The tool's own code runs unchanged, under its decorators' names.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from .evals import NAMES
from .function import Function
from .tool import Tool


def waiting(name: str) -> Callable[[Any], Any]:
    if name == "jax":
        import jax

        return jax.block_until_ready
    import torch

    torch.set_num_threads(1)
    return lambda result: result


class Kept:
    """A decorated function of the tool: what it was decorated with is what is wanted here."""

    def __init__(self, function: Callable[[Any], Any], pre: Any, post: Any, wait: Callable[[Any], Any]) -> None:
        self.function = function
        self.timed = Function(lambda input: (pre(input),), lambda input: wait(function(input)), post)

    def __call__(self, *args: Any) -> Any:
        return self.function(*args)


def load(name: str, eval: str) -> dict[str, Function]:
    if eval not in NAMES:
        raise KeyError(eval)
    found = importlib.import_module(f"gradbench.tools.{name}.{eval}")
    return {key: value.timed for key, value in vars(found).items() if isinstance(value, Kept)}


def decorate(wait: Callable[[Any], Any]) -> None:
    """Put `Kept` in the place of the suite's decorators, before its tools are imported."""
    wrap = importlib.import_module("gradbench.wrap")
    wrap.function = wrap.multiple_runs = lambda *, pre, post, **_: lambda f: Kept(f, pre, post, wait)  # type: ignore[attr-defined]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tool", choices=("jax", "pytorch"))
    parser.add_argument("--checkout", type=Path, required=True)
    asked = parser.parse_args()
    sys.path.insert(0, str(asked.checkout / "python" / "gradbench"))
    decorate(waiting(asked.tool))
    out, sys.stdout = sys.stdout, sys.stderr
    Tool(asked.tool, partial(load, asked.tool)).serve(sys.stdin, out)


if __name__ == "__main__":
    main()
