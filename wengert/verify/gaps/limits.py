"""What served names and ops refuse: a parameter, a mode, an option. Found in the records and in the library's own sources."""

from __future__ import annotations

import ast
import importlib.util
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import wengert.scipy.linalg
import wengert.scipy.special  # noqa: F401  # fills the records
from wengert.core.op import OPS, Refuse
from wengert.ops.special import ARGUMENTS
from wengert.verify import api

_ROOMS = ("numpy", "scipy", "nn")
_NAMED = re.compile(r"^((?:numpy|scipy(?:\.\w+)?|ndarray)\.[\w.]*\w): *")


@dataclass(frozen=True)
class Limit:
    """A served name that refuses something. `uses` are those of the name, not of what is refused."""

    name: str
    what: str  #: "parameter v", "vjp", "an option"
    reason: str
    remedy: str
    uses: int = 0


def limits(uses: Mapping[str, int]) -> list[Limit]:
    """All limits, most used names first; `uses` by full dotted name."""
    served = {_full(row): row for row in api.rows() if row.status == "differentiable"}
    found = [*_parameters(served), *_rules(), *(limit for limit in _options() if limit.name in served)]
    counted = [Limit(f.name, f.what, f.reason, f.remedy, uses.get(f.name, 0)) for f in found]
    return sorted(dict.fromkeys(counted), key=lambda f: (-f.uses, f.name, f.what))


def _full(row: api.Row) -> str:
    return row.name if row.space.startswith("scipy") or row.space == "ndarray" else f"numpy.{row.name}"


def _parameters(served: Mapping[str, api.Row]) -> Iterator[Limit]:
    """Parameters of special functions without a closed form."""
    for name, rows in ARGUMENTS.items():
        for parameter, why in rows.items():
            if isinstance(why, Refuse) and f"scipy.special.{name}" in served:
                yield Limit(f"scipy.special.{name}", f"parameter {parameter}", why.reason, why.remedy)


def _rules() -> Iterator[Limit]:
    """Ops whose record refuses a rule."""
    for name, op in sorted(OPS.items()):
        for rule in ("jvp", "vjp", "batch"):
            why = getattr(op, rule)
            if isinstance(why, Refuse):
                yield Limit(f"op {name}", rule, why.reason, why.remedy)


def _options() -> Iterator[Limit]:
    """NotDifferentiable raised in the body of a served function, read in the sources: `…` stands for what is computed."""
    for room in _ROOMS:
        spec = importlib.util.find_spec(f"wengert.{room}")
        for folder in (spec.submodule_search_locations or ()) if spec else ():
            for path in sorted(Path(folder).glob("*.py")):
                for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                    if isinstance(node, ast.Call) and (limit := _raised(node)):
                        yield limit


def _raised(call: ast.Call) -> Limit | None:
    what = call.func.id if isinstance(call.func, ast.Name) else ""
    texts = [_text(a) for a in call.args]
    remedy = next((_text(k.value) for k in call.keywords if k.arg == "fix"), "")
    if what == "NotDifferentiable" and texts and (named := _NAMED.match(texts[0])):
        return Limit(named[1], "an option", texts[0][named.end() :], remedy)
    if what == "refused" and len(texts) == 3 and texts[0].isidentifier():
        return Limit(f"scipy.linalg.{texts[0]}", "an option", texts[1], texts[2])
    return None


def _text(node: ast.AST) -> str:
    """A string, with `…` for the parts that are computed."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(_text(v) if isinstance(v, ast.Constant) else "…" for v in node.values)
    return "…"
