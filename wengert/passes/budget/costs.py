"""What an equation costs, in seconds of one core, by a model: contractions by their products, the rest by operations and bytes.

Ratios matter here, not the seconds: they decide what is better computed again than kept.
"""

from __future__ import annotations

import math
from typing import Any

from wengert.core.form import Map
from wengert.graph.atoms import Literal, Var
from wengert.graph.decisions import programs_of, results_of

PRODUCTS = 4e10  # multiplications with additions a second, of float32 in contractions; half of that of float64
OPERATIONS = 6e9  # additions a second, in loops over elements
BYTES = 8e9  # that go to memory or come from there, a second
START = 1e-6  # seconds that a kernel takes in any case
TRIPS = 100  # of a loop of which nobody knows
SUMMED = frozenset({"matmul", "contract"})


def nbytes(var: Any) -> int:
    """Bytes of a value."""
    return math.prod(var.shape) * var.dtype.itemsize


def arithmetic(row: Any) -> float:
    """Seconds of an equation without what memory takes."""
    op, ins, _, params = row[:4]
    if inner := programs_of(row):
        trips = params.get("length", TRIPS) if op.name.startswith(("scan", "while")) else 1
        runs = [sum(map(whole, program.eqns)) for program in inner]
        return trips * (max(runs) if op.name.startswith("switch") else sum(runs))
    outs = results_of(row)
    if not outs:
        return 0.0
    size, width = math.prod(outs[0].shape), max(outs[0].dtype.itemsize, 1) / 4
    if op.name in SUMMED:
        return _products(row, size) * width / PRODUCTS
    form = op.lower
    if type(form) is Map:
        return max(form.cost, 0) * size * width / OPERATIONS
    if op.name.startswith("conv") and len(ins) > 1:
        return 2 * size * math.prod(_shape(ins[1])[1:]) * width / PRODUCTS
    return (size + sum(math.prod(_shape(a)) for a in ins)) * width / OPERATIONS


def whole(row: Any) -> float:
    """Seconds of an equation, with all that it reads and writes."""
    moved = sum(nbytes(a) for a in (*row[1], *results_of(row)) if isinstance(a, Var))
    return arithmetic(row) + moved / BYTES


def _products(row: Any, size: int) -> float:
    op, ins, _, params = row[:4]
    shapes = [_shape(a) for a in ins]
    if op.name == "matmul":
        return float(size * (shapes[0][-1] if shapes[0] else 1))
    letters = params["subscripts"].partition("->")[0].split(",")
    sizes = {c: n for names, shape in zip(letters, shapes, strict=True) for c, n in zip(names, shape, strict=False)}
    return float(math.prod(sizes.values()))


def _shape(atom: Any) -> tuple[int, ...]:
    return getattr(atom.value, "shape", ()) if type(atom) is Literal else atom.shape
