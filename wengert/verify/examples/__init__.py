"""Example calls of NumPy's and SciPy's names, executed as evidence that a name is served. One file per family."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from typing import Any

from wengert.core.op import Sample


class Example:
    """One call: `fun(np, *arrays)`, run with NumPy itself and with `wengert.numpy`.

    `args` and the keywords are those of `Sample`. `batch=False` says that its shapes depend on values,
    so that it cannot run under vmap. `complex` runs it on complex arrays too.
    """

    def __init__(
        self, name: str, fun: Callable[..., Any], *args: Any, batch: bool = True, complex: bool = False, **sample: Any
    ) -> None:
        self.name = name
        self.fun = fun
        self.sample = Sample(*args, real_only=not complex, **sample)
        self.batch = batch
        self.complex = complex


EXAMPLES: list[Example] = []


def example(name: str, fun: Callable[..., Any], *args: Any, **options: Any) -> None:
    """Add an example of the dotted name (as in the registry: "linalg.solve", "ndarray.sum", "special.gammaln")."""
    EXAMPLES.append(Example(name, fun, *args, **options))


def load() -> list[Example]:
    """All examples, of every family."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
    return EXAMPLES
