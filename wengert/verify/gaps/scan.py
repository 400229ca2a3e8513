"""Which names of NumPy and SciPy a module uses: one file's syntax tree, its scopes, and no import of it.

A name counts where it is read, called or not: `map(np.abs, xs)` is a use of `numpy.abs`. Imports themselves, annotations
and definitions are no uses. What a name refers to is found by Python's rules of scope:

- `import` and `from … import`, at any depth, relative ones included, bind what they name. An import wins over other bindings of the
  same name in the same scope (`try: from scipy.special import comb` … `except ImportError: comb = None`).
- `f = np.dot` is an alias if the scope binds `f` nowhere else.
- `xp` is the namespace of the array API standard where it is a parameter, or the (first) result of a call of one of
  `NAMESPACES`: `xp = array_namespace(x)`, `xp, _ = get_namespace(x)`.
- Everything else that binds a name (parameters, assignments, loops, definitions) shadows it.
- After `from numpy import *`, a name bound nowhere else is looked up there.

A method call `x.name(…)` counts if `name` is a method of ndarray, unless the receiver is an imported module or name, `self` or
`cls`, or a literal. Whether such a name says much about the type of `x` is judged in `names.method_kind`.
"""

from __future__ import annotations

import ast
import builtins
from collections import Counter
from dataclasses import dataclass, field

import numpy as np

TRACKED = ("numpy", "scipy")
NAMESPACES = ("array_namespace", "get_namespace", "get_namespace_and_device", "__array_namespace__")
XP = "xp"  #: what the root of an array API name is called in a `Tally`
STAR = "|*|"  #: between the modules of star imports and a name that is bound nowhere, in a `Tally`
METHODS = frozenset(
    name for name in dir(np.ndarray) if not name.startswith("_") and callable(getattr(np.ndarray, name))
)

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_LITERALS = (ast.Constant, ast.JoinedStr, ast.List, ast.Tuple, ast.Dict, ast.Set, *_COMPREHENSIONS)


@dataclass
class Tally:
    """The uses in one file: dotted names as they are written (`numpy.linalg.norm`, `xp.sum`), and method calls."""

    names: Counter[str] = field(default_factory=Counter)
    methods: Counter[str] = field(default_factory=Counter)
    unreadable: str = ""  #: why the file could not be parsed


@dataclass(frozen=True)
class _Import:
    """A binding to a module, or to a name in one."""

    target: str


@dataclass(frozen=True)
class _Alias:
    """A binding by assignment to a dotted name."""

    chain: tuple[str, ...]


_OPAQUE = _Import("")
_Binding = _Import | _Alias | None


class _Scope:
    """The bindings of a module, function, class or comprehension."""

    def __init__(self, parent: _Scope | None, is_class: bool = False) -> None:
        self.parent = parent
        self.is_class = is_class
        self.bindings: dict[str, _Binding] = {}
        self.elsewhere: dict[str, _Scope] = {}  # global and nonlocal names

    def bind(self, name: str, to: _Binding) -> None:
        scope = self.elsewhere.get(name, self)
        known = scope.bindings.get(name, _OPAQUE)
        if isinstance(known, _Import) and known is not _OPAQUE:
            if not isinstance(to, _Import) or _root(known.target) in (*TRACKED, XP):
                return
        scope.bindings[name] = to if known is _OPAQUE or isinstance(to, _Import) else None

    def lookup(self, name: str) -> tuple[_Binding, _Scope] | None:
        """What `name` refers to when read here, and the scope that says so."""
        scope: _Scope | None = self.elsewhere.get(name, self)
        first = True
        while scope is not None:
            if name in scope.bindings and (first or not scope.is_class):
                return scope.bindings[name], scope
            scope, first = scope.parent, False
        return None


def _root(dotted: str) -> str:
    return dotted.partition(".")[0]


def _chain(node: ast.AST) -> tuple[str, ...] | None:
    """("np", "linalg", "norm") of `np.linalg.norm`; None for anything that is no dotted name."""
    attributes: list[str] = []
    while isinstance(node, ast.Attribute):
        attributes.append(node.attr)
        node = node.value
    return (node.id, *reversed(attributes)) if isinstance(node, ast.Name) else None


class _Reader(ast.NodeVisitor):
    """One pass that notes bindings and uses; uses are resolved at the end, when all bindings are known."""

    def __init__(self, module: str, is_package: bool) -> None:
        self.package = module if is_package else module.rpartition(".")[0]
        self.scope = self.top = _Scope(None)
        self.uses: list[tuple[_Scope, tuple[str, ...]]] = []
        self.calls: list[tuple[_Scope, tuple[str, ...] | None, str]] = []
        self.stars: list[str] = []

    # ── bindings ──────────────────────────────────────────────────────────────

    def visit_Import(self, node: ast.Import) -> None:
        for a in node.names:
            self.scope.bind(a.asname or _root(a.name), _Import(a.name if a.asname else _root(a.name)))

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        base = node.module or ""
        if node.level:
            parts = self.package.split(".")
            base = ".".join([*parts[: len(parts) - node.level + 1], *([base] if base else [])])
        for a in node.names:
            if a.name == "*":
                self.stars += [base] if _root(base) in TRACKED else []
            else:
                self.scope.bind(a.asname or a.name, _Import(f"{base}.{a.name}"))

    def visit_Global(self, node: ast.Global) -> None:
        self.scope.elsewhere.update(dict.fromkeys(node.names, self.top))

    def visit_Nonlocal(self, node: ast.Nonlocal) -> None:
        outer = self.scope.parent or self.top
        for name in node.names:
            found = outer.lookup(name)
            self.scope.elsewhere[name] = found[1] if found else outer

    def visit_Assign(self, node: ast.Assign) -> None:
        self.visit(node.value)
        chain = _chain(node.value)
        for target in node.targets:
            if _is_namespace(node.value) and (name := _first_name(target)):
                self.scope.bind(name, _Import(XP))
            if isinstance(target, ast.Name) and chain:
                self.scope.bind(target.id, _Alias(chain))
            else:
                self.visit(target)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        self.visit(node.target)
        if node.value is not None:
            self.visit(node.value)

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> None:
        if node.name:
            self.scope.bind(node.name, None)
        self.generic_visit(node)

    def visit_MatchAs(self, node: ast.MatchAs) -> None:
        if node.name:
            self.scope.bind(node.name, None)
        self.generic_visit(node)

    # ── scopes ────────────────────────────────────────────────────────────────

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> None:
        args = node.args
        for default in (*args.defaults, *args.kw_defaults):
            if default is not None:
                self.visit(default)
        outer, self.scope = self.scope, _Scope(self.scope)
        names = [*args.posonlyargs, *args.args, *args.kwonlyargs, *filter(None, (args.vararg, args.kwarg))]
        for name in names:
            self.scope.bind(name.arg, _Import(XP) if name.arg == XP else None)
        for child in node.body if isinstance(node.body, list) else [node.body]:
            self.visit(child)
        self.scope = outer

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        self.scope.bind(node.name, None)
        for decorator in node.decorator_list:
            self.visit(decorator)
        self._function(node)

    visit_AsyncFunctionDef = visit_FunctionDef
    visit_Lambda = _function

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self.scope.bind(node.name, None)
        for child in (*node.decorator_list, *node.bases, *(k.value for k in node.keywords)):
            self.visit(child)
        outer, self.scope = self.scope, _Scope(self.scope, is_class=True)
        for child in node.body:
            self.visit(child)
        self.scope = outer

    def _comprehension(self, node: ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp) -> None:
        self.visit(node.generators[0].iter)  # Python reads the first iterable outside
        outer, self.scope = self.scope, _Scope(self.scope)
        for i, part in enumerate(node.generators):
            self.visit(part.target)
            for child in ([part.iter] if i else []) + part.ifs:
                self.visit(child)
        for child in (node.key, node.value) if isinstance(node, ast.DictComp) else (node.elt,):
            self.visit(child)
        self.scope = outer

    visit_ListComp = visit_SetComp = visit_GeneratorExp = visit_DictComp = _comprehension

    # ── uses ──────────────────────────────────────────────────────────────────

    def visit_Name(self, node: ast.Name) -> None:
        if isinstance(node.ctx, ast.Load):
            self.uses.append((self.scope, (node.id,)))
        else:
            self.scope.bind(node.id, None)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        chain = _chain(node)
        if chain is None:
            self.generic_visit(node)
        elif isinstance(node.ctx, ast.Load):
            self.uses.append((self.scope, chain))
        else:
            self.uses.append((self.scope, chain[:-1]))

    def visit_Call(self, node: ast.Call) -> None:
        f = node.func
        if isinstance(f, ast.Attribute) and f.attr in METHODS and not isinstance(f.value, _LITERALS):
            self.calls.append((self.scope, _chain(f.value), f.attr))
        self.generic_visit(node)

    # ── what they refer to ────────────────────────────────────────────────────

    def resolve(self, scope: _Scope, chain: tuple[str, ...], depth: int = 0) -> str | None:
        """The dotted name behind a chain; "" for what is bound to something else, None for what is bound nowhere."""
        found = scope.lookup(chain[0])
        if found is None:
            return None
        binding, where = found
        if isinstance(binding, _Alias):
            inner = self.resolve(where, binding.chain, depth + 1) if depth < 8 else ""
            return ".".join((inner, *chain[1:])) if inner else ""
        return ".".join((binding.target, *chain[1:])) if binding else ""

    def tally(self) -> Tally:
        out = Tally()
        for scope, chain in self.uses:
            dotted = self.resolve(scope, chain)
            if dotted is None:
                if self.stars and not hasattr(builtins, chain[0]):
                    out.names["|".join(self.stars) + STAR + ".".join(chain)] += 1
            elif _root(dotted) in (*TRACKED, XP):
                out.names[dotted] += 1
        for scope, chain, method in self.calls:
            if chain is None or not (chain in (("self",), ("cls",)) or self._imported(scope, chain)):
                out.methods[method] += 1
        return out

    def _imported(self, scope: _Scope, chain: tuple[str, ...]) -> bool:
        return bool(self.resolve(scope, chain))


def _is_namespace(value: ast.AST) -> bool:
    chain = _chain(value.func) if isinstance(value, ast.Call) else None
    return bool(chain) and chain[-1] in NAMESPACES


def _first_name(target: ast.AST) -> str | None:
    if isinstance(target, ast.Tuple) and target.elts:
        target = target.elts[0]
    return target.id if isinstance(target, ast.Name) else None


def scan(source: bytes, module: str, is_package: bool = False) -> Tally:
    """The uses in the source of `module` (its full dotted name, by which relative imports are resolved)."""
    try:
        tree = ast.parse(source)
    except (
        SyntaxError,
        ValueError,
        RecursionError,
        MemoryError,
    ) as error:  # too deep for the parser is MemoryError too
        return Tally(unreadable=f"{type(error).__name__}: {error}")
    reader = _Reader(module, is_package)
    try:
        for node in tree.body:
            reader.visit(node)
    except RecursionError:
        return Tally(unreadable="RecursionError: an expression too deep for the reader")
    return reader.tally()
