"""What `wengert check` is to look at: a function named in text, and arguments written as Python.

`package.module:function` is imported, with the working directory on the path; `path/to/file.py:function` is run as a
file. Arguments are expressions over `np`, `numpy`, `math` and the names of the function's module.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import inspect
import math
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from wengert.core.errors import WengertError


class UsageError(WengertError):
    """A command that cannot be carried out as it was given."""


@dataclass
class Target:
    """A function and the arguments to check it at."""

    name: str
    function: Callable[..., Any]
    args: list[Any] = field(default_factory=list)
    kwargs: dict[str, Any] = field(default_factory=dict)


def read(
    name: str, *, args: Sequence[str] = (), kwargs: Sequence[str] = (), shapes: Sequence[str] = (), seed: int = 0
) -> Target:
    """The function called `name`, with `args` and `kwargs` evaluated, or with random arrays of `shapes`."""
    if args and shapes:
        fix = "write random arrays as 'np.random.default_rng(0).normal(size=3)' in --args"
        raise UsageError("arguments", got="both --args and --shapes", want="one of them", fix=fix)
    module, function = _function(name)
    scope = {**vars(module), "np": np, "numpy": np, "math": math}
    rng = np.random.default_rng(seed)
    values = [rng.normal(size=_shape(s))[()] for s in shapes] if shapes else [_value(a, scope, "--args") for a in args]
    named = {}
    for text in kwargs:
        key, equals, expression = text.partition("=")
        if not equals or not key.isidentifier():
            raise UsageError("--kwargs", got=repr(text), want="NAME=EXPRESSION, like n=3")
        named[key] = _value(expression, scope, f"--kwargs {key}")
    found = Target(name, function, values, named)
    _fits(found)
    return found


def function(name: str) -> Callable[..., Any]:
    """The function called `name`."""
    return _function(name)[1]


def _function(name: str) -> tuple[Any, Callable[..., Any]]:
    where, colon, path = name.rpartition(":")
    if not colon or not where or not path:
        raise UsageError("function", got=repr(name), want="package.module:function, or path/to/file.py:function")
    module = _file(where) if where.endswith(".py") else _module(where)
    found: Any = module
    for part in path.split("."):
        if not hasattr(found, part):
            raise UsageError(
                f"function {name}",
                got=f"no {part!r} in {where}",
                want="one of its names",
                fix=f"it has {_known(module)}",
            )
        found = getattr(found, part)
    if not callable(found):
        raise UsageError(f"function {name}", got=f"a {type(found).__name__}", want="something that can be called")
    return module, found


def _known(module: Any) -> str:
    own = (n for n, v in vars(module).items() if callable(v) and getattr(v, "__module__", "") == module.__name__)
    return ", ".join([n for n in own if not n.startswith("_")][:12]) or "no functions"


def _file(path: str) -> Any:
    if not Path(path).is_file():
        raise UsageError(f"file {path}", got="no such file", want="a Python file, from the working directory")
    spec = importlib.util.spec_from_file_location(Path(path).stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    sys.path.insert(0, str(Path(path).resolve().parent))  # as `python file.py` has it
    _load(path, lambda: spec.loader.exec_module(module))  # type: ignore[union-attr]
    return module


def _module(name: str) -> Any:
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    return _load(name, lambda: importlib.import_module(name))


def _load(name: str, action: Callable[[], Any]) -> Any:
    try:
        return action()
    except Exception as error:
        what = f"{type(error).__name__}: {error}"
        raise UsageError(f"cannot load {name}", got=what, want="a module that can be imported") from error


def _shape(text: str) -> tuple[int, ...]:
    try:
        shape = tuple(int(n) for n in text.strip("()").split(",") if n.strip())
    except ValueError:
        shape = (-1,)
    if any(n < 0 for n in shape):
        raise UsageError("--shapes", got=repr(text), want="lengths with commas, like 3,4 or 5, or () for a number")
    return shape


def _value(text: str, scope: dict[str, Any], option: str) -> Any:
    try:
        return eval(text, dict(scope))
    except Exception as error:
        raise UsageError(
            option, got=f"{text!r}, which raises {type(error).__name__}: {error}",
            want="a Python expression; np and the names of the function's module are known",
        ) from error  # fmt: skip


def _fits(found: Target) -> None:
    try:
        signature = inspect.signature(found.function)
    except (TypeError, ValueError):
        return  # a function in C does not tell
    try:
        signature.bind(*found.args, **found.kwargs)
    except TypeError as error:
        given = f"{len(found.args)} argument{'' if len(found.args) == 1 else 's'}"
        given += f" and {', '.join(found.kwargs)}" if found.kwargs else ""
        raise UsageError(
            f"arguments of {found.name}{signature}", got=f"{given} ({error})", want="what the function takes",
            fix="pass --args EXPR EXPR …, --kwargs NAME=EXPR …, or --shapes 3,4 5 () for random arrays",
        ) from None  # fmt: skip


@contextlib.contextmanager
def usage(found: Target) -> Iterator[None]:
    """Errors of the call itself, told as such: the function fails at these arguments, or an option is wrong."""
    try:
        yield
    except WengertError:
        raise
    except ValueError as error:
        if str(error).startswith("check_grads"):
            raise UsageError("options", got=str(error)) from None
        raise _failed(found, error) from error
    except Exception as error:
        raise _failed(found, error) from error


def _failed(found: Target, error: Exception) -> UsageError:
    return UsageError(
        f"{found.name} fails at these arguments",
        got=f"{type(error).__name__}: {error}",
        want="a call that returns floats",
    )
