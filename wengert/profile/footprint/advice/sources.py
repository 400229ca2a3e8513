"""What the user's own source says of a line: in which loop of its function it stands, and who is handed to `scan`."""

from __future__ import annotations

import ast
import functools
import linecache
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wengert.profile.footprint.report import Line

Functions = ast.FunctionDef | ast.AsyncFunctionDef
Loops = ast.For | ast.While | ast.ListComp | ast.GeneratorExp | ast.DictComp | ast.SetComp


@functools.lru_cache(maxsize=64)
def _tree(file: str) -> ast.Module | None:
    try:
        return ast.parse("".join(linecache.getlines(file)))
    except SyntaxError:
        return None


def definition(file: str, function: str, number: int) -> Functions | None:
    """The innermost function of that name around a line."""
    tree = _tree(file)
    found = None
    for node in ast.walk(tree) if tree is not None else ():
        if isinstance(node, Functions) and node.name == function and _within(number, node):
            if found is None or node.lineno > found.lineno:
                found = node
    return found


def loop(file: str, function: str, number: int) -> int:
    """The line at which the outermost loop around a line begins, within its own function; 0 if there is none."""
    around = definition(file, function, number)
    if around is None:
        return 0
    found = [node.lineno for node in _own(around) if isinstance(node, Loops) and _within(number, node)]
    return min(found, default=0)


def last_read(file: str, function: str, name: str, number: int) -> bool:
    """Whether a variable is known not to be read after a line of its function; within a loop nobody knows."""
    around = definition(file, function, number)
    if around is None or loop(file, function, number):
        return False
    reads = (n for n in ast.walk(around) if isinstance(n, ast.Name) and n.id == name and isinstance(n.ctx, ast.Load))
    return all(n.lineno <= number for n in reads)


@dataclass(frozen=True)
class Reach:
    """The lines that run when a function, or a loop, does: its own, and those of functions that it calls by name.

    ranges : of lines of its own file; `last` is the last line of the function or loop itself
    names : of functions that are called, and that the file does not define: another may
    """

    file: str
    function: str
    ranges: tuple[tuple[int, int], ...] = ()
    names: frozenset[str] = frozenset()
    last: int = 0

    def __contains__(self, line: Line) -> bool:
        if line.file == self.file and not self.ranges:
            return line.function == self.function
        if line.file == self.file:
            return any(a <= line.number <= b for a, b in self.ranges)
        return line.function in self.names


@functools.lru_cache(maxsize=1024)
def reach(file: str, function: str, number: int, of_loop: bool) -> Reach:
    """That of the function around a line, or of the loop that begins at it."""
    tree, around = _tree(file), definition(file, function, number)
    if tree is None or around is None:
        return Reach(file, function)
    start: ast.AST = next((n for n in _own(around) if n.lineno == number), around) if of_loop else around
    known = {node.name: node for node in ast.walk(tree) if isinstance(node, Functions)}
    reached, names, waiting = [start], set[str](), [start]
    while waiting:
        for name in _called(waiting.pop()) - names:
            names.add(name)
            if (node := known.get(name)) is not None and node is not around:
                reached.append(node)
                waiting.append(node)
    ranges = [(n.lineno, n.end_lineno or n.lineno) for n in reached]  # type: ignore[attr-defined]
    return Reach(file, function, tuple(ranges), frozenset(names - set(known)), ranges[0][1])


def _called(node: ast.AST) -> set[str]:
    """Names of what is called in it: `f(x)`, `model.f(x)`."""
    found = (n.func for n in ast.walk(node) if isinstance(n, ast.Call))
    names = {f.id if isinstance(f, ast.Name) else f.attr if isinstance(f, ast.Attribute) else "" for f in found}
    return names - {""}


def handed_to(file: str, function: str) -> str:
    """ "scan", "fori_loop" or "while_loop", if the file hands the function to one; else empty."""
    pattern = re.compile(rf"\b(scan|fori_loop|while_loop)\s*\((?:[^()]|\([^()]*\))*?\b{re.escape(function)}\b")
    found = pattern.search("".join(linecache.getlines(file)))
    return found[1] if found else ""


def text(file: str, number: int) -> str:
    return linecache.getline(file, number).strip()


def _within(number: int, node: ast.stmt | ast.expr) -> bool:
    return node.lineno <= number <= (node.end_lineno or node.lineno)


def _own(function: Functions) -> list[Loops]:
    """Loops of a function that are not within another function of it."""
    found, waiting = [], list(ast.iter_child_nodes(function))
    while waiting:
        node = waiting.pop()
        if isinstance(node, Loops):
            found.append(node)
        if not isinstance(node, Functions | ast.Lambda):
            waiting += ast.iter_child_nodes(node)
    return found
