"""Shrink a program that fails: fewer statements, shorter expressions, smaller arguments, and it still fails.

Works on the syntax tree of the text, and needs to know nothing of how the program was made. Greedy, in the manner of
delta debugging (Zeller & Hildebrandt 2002): a simplification is kept if the failure stays, until none is left or the time is over.
"""

from __future__ import annotations

import ast
import copy
import itertools
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

import wengert.api as wg
from wengert.verify.generate.programs import Program
from wengert.verify.generate.programs.text import NAMESPACE, forget

Fails = Callable[[Program], bool]
TRIPS = 100  # of a loop, before it is taken to be without an end


def shrink(program: Program, fails: Fails, seconds: float = 20.0) -> Program:
    """The smallest program found that still `fails`; plain NumPy runs it."""
    deadline = time.monotonic() + seconds
    best, number, since = program, 0, 0
    while time.monotonic() < deadline:
        candidate = _simpler(best, number)
        if candidate is None:  # past the last one
            if not since:
                return best
            number = since = 0
        elif _runs(candidate) and fails(candidate):
            best, since = candidate, since + 1  # the simplification of that number is now another one
        else:
            forget(candidate)
            number += 1
    return best


def _runs(program: Program) -> bool:
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            f = program.compiled({**NAMESPACE, "wg": _Ending()}) if "while_loop" in program.source else program.f
            value = f(*(args := program.fresh_args()))
        kept = all(np.array_equal(a, b) for a, b in zip(args, program.args, strict=True))
        return kept and np.ndim(value) == 0 and bool(np.isrealobj(value)) and bool(np.isfinite(value))
    except Exception:  # the simplification has broken it
        return False


class _Ending:
    """wengert, with loops that a simplification may have left without an end."""

    def __getattr__(self, name: str) -> Any:
        return getattr(wg, name)

    def while_loop(self, cond: Callable[[Any], Any], body: Callable[[Any], Any], init: Any) -> Any:
        trips = itertools.count()

        def asked(value: Any) -> Any:
            if next(trips) > TRIPS:
                raise RuntimeError(f"a loop of more than {TRIPS} trips")
            return cond(value)

        return wg.while_loop(asked, body, init)


def _simpler(program: Program, number: int) -> Program | None:
    """Simplification `number` of the program, if there are so many. The boldest come first."""
    tree = ast.parse(program.source)
    edits = list(_edits(tree))
    if number < len(edits):
        changed = copy.deepcopy(tree)
        edits[number](list(ast.walk(changed)))
        return replace(program, source=ast.unparse(ast.fix_missing_locations(changed)) + "\n", failures=())
    number -= len(edits)
    variants = list(_smaller_arguments(program, tree))
    return variants[number] if number < len(variants) else None


# ── the text ──────────────────────────────────────────────────────────────────

Edit = Callable[[list[Any]], None]  # of the nodes of a copy of the tree, in `ast.walk`'s order


def _edits(tree: ast.Module) -> Iterator[Edit]:
    nodes = list(ast.walk(tree))
    place = {id(node): i for i, node in enumerate(nodes)}
    # a `while` goes as a whole: without one of its parts it might not end
    inside = {id(n) for loop in nodes if isinstance(loop, ast.While) for n in ast.walk(loop)}
    nodes = [n for n in nodes if id(n) not in inside]
    for node in nodes:
        if isinstance(node, ast.Return):
            for term in _terms(node.value):
                yield _hoist(place[id(node.value)], place[id(term)])
            for total in _sums(node.value):
                yield _hoist(place[id(total)], place[id(total.left)])
    bodies = [n for n in nodes if isinstance(n, ast.FunctionDef | ast.For | ast.If | ast.With)]
    for body in bodies:
        size = len(body.body)
        chunk = size // 2
        while chunk:
            for start in range(size - chunk, -1, -chunk):
                if not any(isinstance(s, ast.Return) for s in body.body[start : start + chunk]):
                    yield _drop(place[id(body)], start, chunk)
            chunk //= 2
    for body in bodies:
        if not isinstance(body, ast.FunctionDef):
            yield _unwrap(place[id(body)])
    params = [a.arg for a in nodes[1].args.args] if isinstance(nodes[1], ast.FunctionDef) else []
    for node in nodes:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            if isinstance(node.value, ast.Name):
                yield _instead(place[id(node)], node.value.id)
            for name in params:
                yield _instead(place[id(node)], name)
            uses = [n for n in nodes if isinstance(n, ast.Name) and n.id == node.targets[0].id]
            if len(uses) == 2:  # where it is bound, and where it is used
                yield _inline(place[id(node)], place[id(uses[1])])
    for node in nodes:
        if isinstance(node, ast.expr) and not isinstance(getattr(node, "ctx", None), ast.Store):
            for child in ast.iter_child_nodes(node):
                for inner in [
                    child,
                    *(ast.iter_child_nodes(child) if isinstance(child, ast.keyword | ast.Tuple) else ()),
                ]:
                    if isinstance(inner, ast.Slice) or _of_module(inner):
                        continue  # no values; and `np.r_` alone iterates for ever
                    if isinstance(inner, ast.expr) and not isinstance(node, ast.Lambda):
                        yield _hoist(place[id(node)], place[id(inner)])


MODULES = {"math", "nn", "np", "scipy", "special", "wg"}


def _of_module(node: ast.AST) -> bool:
    """Whether an expression names something in a module, such as `np.tanh`."""
    while isinstance(node, ast.Attribute):
        node = node.value
        if isinstance(node, ast.Name) and node.id in MODULES:
            return True
    return False


def _sums(node: Any) -> list[ast.BinOp]:
    """The additions that make up `node`, outermost first."""
    sums = []
    while isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        sums.append(node)
        node = node.left
    return sums


def _terms(node: Any) -> list[ast.expr]:
    sums = _sums(node)
    return [*(s.right for s in sums), sums[-1].left] if sums else []


def _drop(body: int, start: int, count: int) -> Edit:
    def edit(nodes: list[Any]) -> None:
        del nodes[body].body[start : start + count]
        nodes[body].body = nodes[body].body or [ast.Pass()]

    return edit


def _unwrap(body: int) -> Edit:
    """The statements of a block in the block's place."""

    def edit(nodes: list[Any]) -> None:
        for node in nodes:
            for name in ("body", "orelse"):
                lines = getattr(node, name, None)
                if isinstance(lines, list) and nodes[body] in lines:
                    i = lines.index(nodes[body])
                    lines[i : i + 1] = nodes[body].body

    return edit


def _instead(assign: int, name: str) -> Edit:
    """An argument in the place of a value."""

    def edit(nodes: list[Any]) -> None:
        node = nodes[assign]
        gone = node.targets[0].id
        for other in nodes:
            if isinstance(other, ast.Name) and other.id == gone and isinstance(other.ctx, ast.Load):
                other.id = name
        node.value = ast.Name(name, ast.Load())
        _sweep(nodes[0])

    return edit


def _inline(assign: int, use: int) -> Edit:
    """A value in the place of the name that is used once."""

    def edit(nodes: list[Any]) -> None:
        _replace(nodes, nodes[use], nodes[assign].value)
        _sweep(nodes[0])

    return edit


def _hoist(outer: int, inner: int) -> Edit:
    """An expression's part in its place."""

    def edit(nodes: list[Any]) -> None:
        _replace(nodes, nodes[outer], nodes[inner])
        _sweep(nodes[0])

    return edit


def _replace(nodes: list[Any], old: Any, new: Any) -> None:
    for node in nodes:
        for name, value in ast.iter_fields(node):
            if value is old:
                setattr(node, name, new)
            elif isinstance(value, list) and any(v is old for v in value):
                setattr(node, name, [new if v is old else v for v in value])


def _sweep(tree: ast.Module) -> None:
    """Drop assignments to names, and functions, that nothing refers to."""
    while True:
        used = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}
        dropped = False
        for node in ast.walk(tree):
            lines = getattr(node, "body", None)
            if not isinstance(lines, list) or isinstance(node, ast.Module):
                continue
            kept = [s for s in lines if not _idle(s, used)] or [ast.Pass()]
            dropped |= len(kept) < len(lines)
            node.body = kept  # type: ignore[attr-defined]
        if not dropped:
            return


def _idle(statement: ast.stmt, used: set[str]) -> bool:
    if isinstance(statement, ast.FunctionDef):
        return statement.name not in used
    if not isinstance(statement, ast.Assign):
        return False
    target = statement.targets[0]
    return isinstance(target, ast.Name) and target.id not in used


# ── the arguments ─────────────────────────────────────────────────────────────


def _smaller_arguments(program: Program, tree: ast.Module) -> Iterator[Program]:
    args = program.args
    function = next(n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef))
    used = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name)}
    for i, a in enumerate(args):
        if len(args) > 1 and function.args.args[i].arg not in used:
            fewer = copy.deepcopy(tree)
            next(n for n in ast.walk(fewer) if isinstance(n, ast.FunctionDef)).args.args.pop(i)
            yield replace(program, source=ast.unparse(fewer) + "\n", args=args[:i] + args[i + 1 :])
        others = [a[(slice(None),) * k + (slice(0, n - 1),)] for k, n in enumerate(a.shape) if n > 1]
        others += [a[(slice(None),) * k + (0,)] for k in range(a.ndim)]
        others += [r for r in (np.round(a, 1),) if not np.array_equal(r, a)]
        for other in others:
            yield replace(program, args=(*args[:i], np.asarray(other.copy(), a.dtype), *args[i + 1 :]))
