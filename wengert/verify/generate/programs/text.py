"""`Program`: a function of NumPy as source text, with its arguments; and as a script that runs on its own."""

from __future__ import annotations

import itertools
import linecache
import math
import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import scipy.linalg
import scipy.special

import wengert.api as wg
from wengert import nn

IMPORTS = {  # name in a program's text → the statement that binds it in a script
    "math": "import math",
    "np": "import numpy as np",
    "linalg": "from scipy import linalg",
    "special": "from scipy import special",
    "wg": "import wengert as wg",
    "nn": "from wengert import nn",
}
NAMESPACE = {"math": math, "np": np, "linalg": scipy.linalg, "special": scipy.special, "wg": wg, "nn": nn}
FILES = "<random program {}>"
_numbers = itertools.count()


@dataclass(frozen=True)
class Program:
    """`source` defines `f`, a real scalar function of `args`.

    `traits` say what its text does, where a check must know:
    "branches on values" (so it has no vmap), "writes" in place, "float32" (so that its derivatives are that precise).
    `failures` are statements with transforms that raised while the program was written, and what they raised;
    they are not in the text.
    """

    source: str
    args: tuple[np.ndarray, ...]
    traits: frozenset[str] = frozenset()
    failures: tuple[tuple[str, str], ...] = ()

    @cached_property
    def f(self) -> Callable[..., Any]:
        """The function, with NumPy as `np`."""
        return self.compiled(NAMESPACE)

    @cached_property
    def names(self) -> set[str]:
        """The modules that the text refers to."""
        return _used(self.source)

    def compiled(self, namespace: dict[str, Any]) -> Callable[..., Any]:
        """The function with other modules in NumPy's place. Its lines are known to tracebacks."""
        file = FILES.format(next(_numbers))
        linecache.cache[file] = (len(self.source), None, self.source.splitlines(keepends=True), file)
        bound = {"__name__": "random_program", **namespace}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)  # a shrunk program may be an odd one
            exec(compile(self.source, file, "exec"), bound)
        return bound["f"]

    def fresh_args(self) -> list[np.ndarray]:
        """Copies of the arguments."""
        return [a.copy() for a in self.args]

    def double(self) -> Program:
        """The same computation in double precision throughout."""
        args = tuple(a.astype(np.complex128 if a.dtype.kind == "c" else np.float64) for a in self.args)
        source = self.source.replace("np.float32", "np.float64").replace("np.complex64", "np.complex128")
        return Program(source, args, self.traits - {"float32"})

    def script(self, rest: str = "") -> str:
        """A runnable script: imports, the function, the arguments as `args`, and `rest`."""
        used = _used(self.source + rest) | {"np"}
        head = "\n".join(line for name, line in IMPORTS.items() if name in used)
        args = "".join(f"    {literal(a)},\n" for a in self.args)
        return f"{head}\n\n\n{self.source.rstrip()}\n\n\nargs = (\n{args})\n{rest}"


def _used(source: str) -> set[str]:
    return {name for name in IMPORTS if re.search(rf"(?<![\w.]){name}\.", source)}


def literal(a: np.ndarray) -> str:
    """`a` as an expression that gives it again, to the bit."""
    dtype = "" if a.dtype in (np.float64, np.complex128) else f", dtype=np.{a.dtype}"
    if a.size == 0 and a.ndim > 1:
        return f"np.zeros({a.shape}{dtype})"
    return f"np.array({a.tolist()}{dtype})"


def forget(program: Program) -> None:
    """Drop what `linecache` holds of a program that is done with."""
    if "f" in vars(program):
        linecache.cache.pop(program.f.__code__.co_filename, None)
