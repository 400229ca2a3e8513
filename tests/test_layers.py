"""The rooms of docs/layout.md: a module imports only from lower ranks or its own folder, and nothing runs in circles."""

import ast
import graphlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent / "wengert"
RANKS = {
    "core": 0,
    "graph": 1,
    "ops": 2,
    "trace": 2,
    "numpy": 3,
    "passes": 3,
    "transforms": 3,
    "scipy": 4,
    "nn": 4,
    "lowering": 4,
    "runtime": 5,
    "api": 6,
    "profile": 7,
    "demo": 7,
    "verify": 8,
    "cli": 9,
    "__main__": 10,
}


def modules() -> dict[str, Path]:
    names = {}
    for path in ROOT.rglob("*.py"):
        parts = list(path.relative_to(ROOT.parent).with_suffix("").parts)
        names[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return names


MODULES = modules()


def imports(name: str) -> set[str]:
    """Modules of wengert that `name` imports, at the top or inside functions, but not for types alone."""
    tree = ast.parse(MODULES[name].read_text())
    package = name if MODULES[name].name == "__init__.py" else name.rpartition(".")[0]
    found: set[str] = set()

    def visit(node: ast.AST) -> None:
        if isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
            return
        if isinstance(node, ast.Import):
            found.update(a.name for a in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = package.split(".")
                base = ".".join([*parents[: len(parents) - node.level + 1], *([base] if base else [])])
            for a in node.names:
                found.add(f"{base}.{a.name}" if f"{base}.{a.name}" in MODULES else base)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            found.update(str(a.value) for a in node.args[:1] if isinstance(a, ast.Constant))
        for child in ast.iter_child_nodes(node):
            visit(child)

    visit(tree)
    return {m for m in found if m in MODULES and m != name}


def room(name: str) -> str:
    parts = name.split(".")
    return parts[1] if len(parts) > 1 else ""


@pytest.mark.parametrize("name", sorted(MODULES))
def test_imports_go_down(name):
    mine = room(name)
    if not mine:
        return  # the package itself: it only re-exports the API
    assert mine in RANKS, f"{name} is in a room that docs/layout.md does not know"
    for other in imports(name):
        theirs = room(other)
        if theirs in ("", mine):
            assert theirs or name == "wengert.api", f"{name} imports the package wengert itself"
            continue
        assert RANKS[theirs] < RANKS[mine], f"{name} (rank {RANKS[mine]}) imports {other} (rank {RANKS[theirs]})"


def test_no_cycles():
    graph = {name: imports(name) for name in MODULES if room(name)}
    for name, found in graph.items():
        # A package's __init__ is loaded before its modules; importing a module is no arrow to its package.
        found -= {m for m in found if name.startswith(m + ".")}
    try:
        list(graphlib.TopologicalSorter(graph).static_order())
    except graphlib.CycleError as error:
        raise AssertionError(" → ".join(error.args[1])) from None


def test_core_knows_no_op():
    for name in MODULES:
        if room(name) == "core":
            assert "wengert.ops" not in MODULES[name].read_text()
