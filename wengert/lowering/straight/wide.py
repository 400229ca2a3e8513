"""Functions of vector math on several elements of a value at once.

Each is a function of vectors of its own, whose body is a loop that LLVM makes one pass over full vectors: its code stands there
once, however many elements and calls there are.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from wengert.core.form import Map
from wengert.lowering.straight.writer import Writer
from wengert.lowering.text import I64, Builder, Value, llvm_type

BYTES = 64  # of a vector


def serves(dtypes: Sequence[np.dtype]) -> bool:
    """Whether vectors of these dtypes are passed and returned."""
    return all(d.kind in "fiu" for d in dtypes)


def mapped(w: Writer, form: Map, rows: Sequence[Sequence[Value]], params: dict[str, Any], out: np.dtype) -> list[Value]:
    """The form's function of each row of operands."""
    b, w.packed = w.b, True
    dtypes = [v.dtype for v in rows[0]]
    widest = max(d.itemsize for d in (*dtypes, out))
    found: list[Value] = []
    while len(found) < len(rows):
        part = rows[len(found) : len(found) + BYTES // widest]
        lanes = BYTES // widest
        while lanes // 2 >= len(part) and lanes > 2:
            lanes //= 2
        name = _function(w, form, params, dtypes, out, lanes)
        vectors = [_joined(b, [row[k] for row in part], lanes) for k in range(len(dtypes))]
        kind = f"<{lanes} x {llvm_type(out)}>"
        result = b.emit(f"call {kind} @{name}({', '.join(vectors)})", out)
        found += [b.emit(f"extractelement {kind} {result.ref}, i32 {i}", out) for i in range(len(part))]
    return found


def _joined(b: Builder, values: Sequence[Value], lanes: int) -> str:
    """One vector of these values, the last of which fills what is left."""
    kind = f"<{lanes} x {values[0].type}>"
    ref = "poison"
    for i in range(lanes):
        v = values[min(i, len(values) - 1)]
        ref = b.emit(f"insertelement {kind} {ref}, {v}, i32 {i}", v.dtype).ref
    return f"{kind} {ref}"


def _function(
    w: Writer, form: Map, params: dict[str, Any], dtypes: Sequence[np.dtype], out: np.dtype, lanes: int
) -> str:
    """The name of the function for `lanes` elements, which is defined if it is new."""
    module = w.b.module
    b = Builder(module)
    kinds = [f"<{lanes} x {llvm_type(d)}>" for d in (*dtypes, out)]
    places = [b.allocate(d, lanes) for d in (*dtypes, out)]
    for k, (kind, place) in enumerate(zip(kinds[:-1], places[:-1], strict=True)):
        b.effect(f"store {kind} %x{k}, ptr {place.ref}, align 64")
    with b.loop(0, lanes) as i:
        xs = [b.load(b.at(place, i, d), d) for place, d in zip(places[:-1], dtypes, strict=True)]
        b.store(b.cast(form.scalar(b, *xs, **params), out), b.at(places[-1], i, out))
    result = b.emit(f"load {kinds[-1]}, ptr {places[-1].ref}, align 64", I64)
    heads = ", ".join(f"{kind} %x{k}" for k, kind in enumerate(kinds[:-1]))
    tail = f"ret {kinds[-1]} {result.ref}"
    body = b.function(f"({heads}) noinline #0", tail)
    name = f"wg.wide.{hashlib.sha256(f'{kinds}{body}'.encode()).hexdigest()[:16]}"
    if name not in module.definitions:
        module.define(name, f"define internal {kinds[-1]} @{name}{body}")
        w.elsewhere += b.count
    return name
