"""A user's script, run as `python script.py` would run it, with a profiler around it or around the calls of one function."""

from __future__ import annotations

import ast
import contextlib
import sys
import traceback
import types
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from wengert.core.errors import WengertError
from wengert.core.source import LIBRARY

WRAPPER = "__wengert_profiled__"
Functions = ast.FunctionDef | ast.AsyncFunctionDef


def run(
    path: str | Path, arguments: Sequence[str] = (), *, around: str = "", wrapper: Callable[[], Any] | None = None
) -> int:
    """Run the script as `__main__`, with `arguments` in `sys.argv`; returns its exit status.

    around, wrapper : the name of a function or method of the script (`step`, `Model.step`), and what makes a context manager: each
        call of the function is within one. The function keeps its lines and its globals

    An exception of the script is shown as Python shows it, and is status 1. Raises WengertError for a script that is not there,
    is no Python, or has no such function.
    """
    found = Path(path).resolve()
    tree = _parsed(found, str(path))
    if around:
        _surround(tree, around, str(path))
    code = compile(tree, str(found), "exec")
    with _as_main(found, arguments) as module:
        module.__dict__[WRAPPER] = wrapper
        return _status(lambda: exec(code, module.__dict__))


def _parsed(found: Path, name: str) -> ast.Module:
    try:
        return ast.parse(found.read_bytes(), str(found))
    except OSError as error:
        raise WengertError(f"script {name}", got=error.strerror or str(error), want="a Python file") from None
    except (SyntaxError, ValueError) as error:
        raise WengertError(f"script {name}", got=f"{type(error).__name__}: {error}", want="a Python file") from None


@contextlib.contextmanager
def _as_main(found: Path, arguments: Sequence[str]) -> Iterator[types.ModuleType]:
    module = types.ModuleType("__main__")
    module.__file__ = str(found)
    before = sys.argv, sys.path[:], sys.modules["__main__"]
    sys.argv, sys.modules["__main__"] = [str(found), *arguments], module
    sys.path.insert(0, str(found.parent))
    try:
        yield module
    finally:
        sys.argv, sys.path[:], sys.modules["__main__"] = before


def _status(action: Callable[[], Any]) -> int:
    try:
        action()
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            return end.code or 0
        print(end.code, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    except BaseException as error:
        tb = error.__traceback__
        while tb is not None and tb.tb_frame.f_code.co_filename.startswith(LIBRARY) and tb.tb_next is not None:
            tb = tb.tb_next
        traceback.print_exception(type(error), error, tb)
        return 1
    return 0


# ── around the calls of one function ──────────────────────────────────────────


def _surround(tree: ast.Module, name: str, path: str) -> None:
    """Put the bodies of all functions called `name` into a `with` statement."""
    known: list[str] = []
    count = 0
    for qualified, node in _functions(tree, ""):
        known.append(qualified)
        if qualified == name or qualified.endswith("." + name):
            _wrap(node)
            count += 1
    if not count:
        raise WengertError(
            f"function {name}", got=f"no such function in {path}", want="a function or method that the script defines",
            fix=f"it has {', '.join(known[:12]) or 'none'}",
        )  # fmt: skip
    ast.fix_missing_locations(tree)


def _functions(node: ast.AST, within: str) -> Iterator[tuple[str, Functions]]:
    for child in ast.iter_child_nodes(node):
        named = isinstance(child, Functions | ast.ClassDef)
        name = f"{within}.{child.name}" if named and within else child.name if named else within
        if isinstance(child, Functions):
            yield name, child
        yield from _functions(child, name)


def _wrap(node: Functions) -> None:
    # A docstring stays the first statement, or it would be none.
    first = 1 if ast.get_docstring(node, clean=False) is not None and len(node.body) > 1 else 0
    call = ast.Call(ast.Name(WRAPPER, ast.Load()), [], [])
    body = ast.With([ast.withitem(call)], node.body[first:])
    ast.copy_location(body, node.body[first])
    node.body[first:] = [body]
