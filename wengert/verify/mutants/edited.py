"""Wrong rules made by one small edit in the source of a right one.

The edits are those that a tired author makes: `add` for `sub`, a factor or a term left out, a neighbouring axis, a changed
constant, a function for its companion, `neg` or `conj` forgotten. A rule is found in its module's source by its code's
position; closures keep the variables that they close over.
"""

from __future__ import annotations

import ast
import copy
import functools
import inspect
import sys
import textwrap
import types
from collections.abc import Callable, Iterator
from typing import Any

from wengert.core.op import Op, Rule

SWAPS = {
    "add": "sub", "sub": "add", "mul": "add", "div": "mul", "sin": "cos", "cos": "sin", "sinh": "cosh", "cosh": "sinh",
    "exp": "expm1", "log": "log1p", "greater": "less", "less": "greater", "maximum": "minimum", "minimum": "maximum",
    "real": "imag", "scale": "unscale", "unscale": "scale",
}  # fmt: skip
UNWRAPPED = {"neg", "conj", "square", "sqrt", "reciprocal", "exp", "t", "adjoint"}
TERMS = {"add", "sub", "mul", "scale", "div", "matmul"}


@functools.cache
def _tree(file: str) -> ast.Module:
    with open(file, encoding="utf-8") as stream:
        return ast.parse(stream.read())


def _node(code: types.CodeType, name: str) -> ast.FunctionDef | ast.Lambda | None:
    """The definition that a code object was compiled from."""
    found = []
    for node in ast.walk(_tree(code.co_filename)):
        if isinstance(node, ast.FunctionDef) and node.name == name and node.lineno == code.co_firstlineno:
            return node
        if isinstance(node, ast.Lambda) and name == "<lambda>":
            names = [a.arg for a in (*node.args.args, *node.args.kwonlyargs)]
            first, last = node.lineno, node.end_lineno or node.lineno
            positions = [p[0] for p in code.co_positions() if p[0]]
            inside = all(first <= line <= last for line in positions)
            if inside and names == list(code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]):
                found.append(node)
    exact = [n for n in found if _columns(n, code)]
    return exact[0] if len(exact) == 1 else None


def _columns(node: ast.Lambda, code: types.CodeType) -> bool:
    """Whether the lambda's body spans what the code's positions span."""
    spans = [(a, c, b, d) for a, b, c, d in code.co_positions() if None not in (a, b, c, d) and (a, c) != (b, d)]
    body = node.body
    start = min(((a, c) for a, c, _, _ in spans), default=None)
    return start == (body.lineno, body.col_offset)


def edits(tree: ast.AST) -> Iterator[tuple[str, Callable[[ast.AST], None]]]:
    """(kind and place, the edit) for each small edit of a definition; an edit works on a copy of the same shape."""
    for k, node in enumerate(ast.walk(tree)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            name, places = node.func.id, [a for a in node.args if not isinstance(a, ast.Starred)]
            if name in SWAPS:
                yield f"{name} → {SWAPS[name]}", _at(k, lambda n, to=SWAPS[name]: _rename(n, to))
            if name in UNWRAPPED and len(places) == 1:
                yield f"{name} left out", _at(k, lambda n: _become(n, n.args[0]))
            if name in TERMS and len(places) == 2:
                yield f"{name}: second left out", _at(k, lambda n: _become(n, n.args[0]))
                yield f"{name}: first left out", _at(k, lambda n: _become(n, n.args[1]))
        elif isinstance(node, ast.Constant) and isinstance(node.value, (int, float)) and type(node.value) is not bool:
            yield f"{node.value} → {node.value + 1}", _at(k, lambda n: setattr(n, "value", n.value + 1))


def _at(k: int, change: Callable[[Any], None]) -> Callable[[ast.AST], None]:
    def edit(tree: ast.AST) -> None:
        for j, node in enumerate(ast.walk(tree)):
            if j == k:
                change(node)
                return

    return edit


def _rename(call: ast.Call, name: str) -> None:
    call.func = ast.copy_location(ast.Name(name, ast.Load()), call.func)


def _become(call: Any, other: ast.AST) -> None:
    """Turn a node into another in place: its parent need not be known."""
    call.__class__ = other.__class__
    call.__dict__ = dict(vars(other))


def rebuilt(rule: types.FunctionType, definition: ast.FunctionDef | ast.Lambda) -> Rule:
    """A function of the edited definition, with the globals, closure and defaults of the original."""
    free = rule.__code__.co_freevars
    inner: ast.stmt
    if isinstance(definition, ast.Lambda):
        inner = ast.Return(definition)
    else:
        definition.decorator_list, definition.returns = [], None
        inner = definition
    body: list[ast.stmt] = [inner]
    if isinstance(definition, ast.FunctionDef):
        body.append(ast.Return(ast.Name(definition.name, ast.Load())))
    outer = ast.parse(textwrap.dedent(f"def outer({', '.join(free)}):\n    pass"))
    outer.body[0].body = body  # type: ignore[attr-defined]
    ast.fix_missing_locations(outer)
    space: dict[str, Any] = {}
    missing = {name: vars(sys.modules["wengert.ops.basis"]).get(name) or _op(name) for name in set(SWAPS.values())}
    lookup = {**missing, **rule.__globals__}
    exec(compile(outer, f"<edited {rule.__name__}>", "exec"), lookup, space)
    made = space["outer"](*(cell.cell_contents for cell in rule.__closure__ or ()))
    made.__defaults__, made.__kwdefaults__ = rule.__defaults__, rule.__kwdefaults__
    return made


def _op(name: str) -> Any:
    from wengert.core.op import OPS

    return OPS.get(name)


def _edited(rule: Any) -> Iterator[tuple[str, Rule]]:
    """(what, the rule with one edit), for a rule written in this package."""
    if not inspect.isfunction(rule) or "wengert" not in rule.__code__.co_filename:
        return
    definition = _node(rule.__code__, rule.__name__)  # whose code may go by the op's name
    if definition is None:
        return
    for what, edit in edits(definition):
        tree = copy.deepcopy(definition)
        edit(tree)
        try:
            yield what, rebuilt(rule, tree)
        except (SyntaxError, TypeError, ValueError):  # not a program any more
            continue


def _parts(rule: Any) -> Iterator[tuple[str, int | None, Rule]]:
    """The functions that a factory's rule closes over, such as slopes: (variable, place in a list, function)."""
    if not inspect.isfunction(rule):
        return
    for name, cell in zip(rule.__code__.co_freevars, rule.__closure__ or (), strict=True):
        held = cell.cell_contents
        if inspect.isfunction(held):
            yield name, None, held
        elif isinstance(held, (list, tuple)):
            yield from ((name, k, f) for k, f in enumerate(held) if inspect.isfunction(f))


def _with_part(rule: Any, name: str, k: int | None, part: Rule) -> Rule:
    """The rule that closes over another function."""
    cells = []
    for free, cell in zip(rule.__code__.co_freevars, rule.__closure__, strict=True):
        held = cell.cell_contents
        if free == name:
            held = part if k is None else type(held)([*held[:k], part, *held[k + 1 :]])
        cells.append(types.CellType(held))
    made = types.FunctionType(rule.__code__, rule.__globals__, rule.__name__, rule.__defaults__, tuple(cells))
    made.__kwdefaults__ = rule.__kwdefaults__
    return made


def slips(op: Op) -> Iterator[tuple[str, str, dict[str, Rule]]]:
    """(kind, where, rules to put in): one edit each of the op's `vjp`, `jvp` and `batch`, or of the slopes they are made of."""
    for which in ("vjp", "jvp", "batch"):
        for what, made in _edited(getattr(op, which)):
            yield "edit", f"{which}: {what}", {which: made}
    for name, k, part in _parts(op.vjp):
        for what, made in _edited(part):
            place = name if k is None else f"{name}[{k}]"
            changed = {"vjp": _with_part(op.vjp, name, k, made)}
            if (name, k, part) in list(_parts(op.jvp)):  # made of the same slopes, so that both are wrong alike
                changed["jvp"] = _with_part(op.jvp, name, k, made)
            yield "edit", f"{place}: {what}", changed
