"""A Program as straight-line code: every equation, on values in registers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from wengert.core.aval import Aval, promote
from wengert.core.form import Assemble, Barrier, Control, Library, Map, Move, Reduce, Reshape, Scan, Unsupported
from wengert.core.op import OPS
from wengert.core.tensor import raw
from wengert.graph.program import Eqn, Program, Var
from wengert.lowering.affine import Index, view_of, weighted
from wengert.lowering.emission import row_major
from wengert.lowering.straight import indexing, products, wide
from wengert.lowering.straight.cells import (
    LARGEST,
    Cells,
    Constant,
    Held,
    Memory,
    Patch,
    address,
    cells,
    moved,
    object_array,
    reshape,
)
from wengert.lowering.straight.reductions import KINDS, reduced, running
from wengert.lowering.straight.weights import FEWEST, FUNCTION
from wengert.lowering.straight.weights import avals as operand_avals
from wengert.lowering.straight.writer import Writer
from wengert.lowering.text import NATIVE
from wengert.ops import basis  # noqa: F401 - registers `add`

Loops = Any  # writes the equations whose form is `Control`

ADD = OPS["add"]
PACKED = 8  # elements that LLVM makes a vector of


class Body:
    """Writes Programs. One object serves a kernel: `loops` calls `run` for each of its bodies."""

    def __init__(self, w: Writer, loops: Loops) -> None:
        self.w, self.b, self.loops = w, w.b, loops

    def run(self, program: Program, operands: Sequence[Held]) -> list[Held]:
        """The results of `program` on `operands`."""
        env: dict[Var, Held] = dict(zip(program.ins, operands, strict=True))

        def read(atom: Any) -> Held:
            return env[atom] if isinstance(atom, Var) else Constant(np.asarray(raw(atom.value)))

        for eqn in program.equations():
            outs = eqn.outs if eqn.op.multi else (eqn.outs,)
            ins = [read(a) for a in eqn.ins]
            self.w.flags.source = eqn.source
            if eqn.op is not ADD or eqn.outs not in self.w.updates:
                ins = [indexing.settled(self.w, x) for x in ins]
            found = self._equation(eqn, outs, ins)
            env.update((var, value) for var, value in zip(outs, found, strict=True) if var is not None)
            self.w.limit()
        return [read(atom) for atom in program.outs]

    def _equation(self, eqn: Eqn, outs: Sequence[Var], ins: Sequence[Held]) -> Sequence[Held]:
        avals = operand_avals(eqn)
        if not all(a.dtype.char in NATIVE for a in (*avals, *(v for v in outs if v is not None))):
            raise Unsupported("complex, half or object dtype")
        form: Any = eqn.op.lower
        if callable(form):
            form = form(tuple(avals), eqn.params)
        if isinstance(form, Control):
            return self.loops.control(form.kind, ins, eqn.params)
        if isinstance(form, Library):
            return self._library(eqn, form.name, ins, avals, outs)
        forms = form if isinstance(form, tuple) else (form,)
        if len(forms) != len(outs):
            raise Unsupported("a form for another number of results")
        return [self._one(eqn, one, ins, avals, out) for one, out in zip(forms, outs, strict=True) if out is not None]

    def _one(self, eqn: Eqn, form: Any, ins: Sequence[Held], avals: Sequence[Aval], out: Var) -> Held:
        b = self.b
        if isinstance(form, Map):
            return self._map(eqn, form, ins, avals, out)
        if isinstance(form, Move):
            index = view_of(form.index, ins[0].shape, out.shape, eqn.params)
            self._tangle(index, ins[0].shape, out.shape)
            return moved(b, ins[0], index, out.shape)
        if isinstance(form, Barrier):
            return ins[0]
        if isinstance(form, Reshape):
            return reshape(b, ins[0], out.shape)
        if isinstance(form, Reduce) and form.kind in KINDS:
            self.w.tangled += 6 if form.kind in ("add", "mul") else 2
            return Cells(reduced(b, form.kind, cells(b, ins[0]), eqn.params["axes"], out.dtype), out.dtype)
        if isinstance(form, Scan):
            axis, backwards = eqn.params["axis"] % len(out.shape), bool(eqn.params.get("reverse", False))
            return Cells(running(b, form.kind, cells(b, ins[0]), axis, backwards, out.dtype), out.dtype)
        if isinstance(form, Assemble):
            regions = form.regions([a.shape for a in avals], out.shape, **eqn.params)
            return indexing.assembled(self.w, regions, ins, out.shape, out.dtype)
        raise Unsupported(f"{eqn.op.name}, a {type(form).__name__}")

    def _tangle(self, index: Index, shape: tuple[int, ...], result: tuple[int, ...]) -> None:
        """Note that neighbours come from far apart."""
        last = max((axis for axis, n in enumerate(result) if n > 1), default=None)
        if last is not None and abs(weighted(index, row_major(shape), len(result))[last + 1]) > 1:
            self.w.tangled += math.prod(result)

    # ── elementwise ───────────────────────────────────────────────────────────

    def _map(self, eqn: Eqn, form: Map, ins: Sequence[Held], avals: Sequence[Aval], out: Var) -> Held:
        size = math.prod(out.shape)
        if eqn.op is ADD and (out in self.w.updates or all(isinstance(x, Patch) for x in ins)):
            return added(self.w, ins, out)
        if size > LARGEST:
            raise Unsupported(f"a value of {size} elements in a small loop")
        compute = {"out": lambda: out.dtype, "joint": lambda: promote(*avals), "none": lambda: None}[form.compute]()
        if compute is not None and compute.char not in NATIVE:
            compute = None
        self.w.limit(size)
        b = self.b
        if not out.shape:
            single: list[Any] = [cells(b, x, compute)[()] for x in ins]
            value = form.scalar(b, *single, **eqn.params) if out not in self.w.sums else b.accumulate(*single)
            return Cells(object_array((), [b.cast(value, out.dtype)]), out.dtype)
        columns = [np.broadcast_to(cells(b, x, compute), out.shape).ravel() for x in ins]
        scalar = (lambda b, x, y: b.accumulate(x, y)) if out in self.w.sums else form.scalar
        self.w.packed = self.w.packed or size >= PACKED
        rows = list(zip(*columns, strict=True))
        keys = [tuple((x.ref, x.dtype.char) for x in xs) for xs in rows]
        distinct = dict(zip(keys, rows, strict=True))
        few = len(distinct) < FEWEST or form.cost < FUNCTION or self.w.side_by_side
        if few or not wide.serves([out.dtype, *(x.dtype for x in rows[0])]):
            found = []
            for xs in distinct.values():
                found.append(b.cast(scalar(b, *xs, **eqn.params), out.dtype))
                self.w.limit()
        else:
            found = wide.mapped(self.w, form, list(distinct.values()), eqn.params, out.dtype)
        done = dict(zip(distinct, found, strict=True))
        return Cells(object_array(out.shape, [done[key] for key in keys]), out.dtype)

    # ── kernels of the library ────────────────────────────────────────────────

    def _library(
        self, eqn: Eqn, name: str, ins: Sequence[Held], avals: Sequence[Aval], outs: Sequence[Var]
    ) -> Sequence[Held]:
        w, params = self.w, eqn.params
        if name == "index":
            return [indexing.gathered(w, ins[0], ins[1:], params["spec"], outs[0].shape)]
        if name == "scatter_add":
            return [indexing.scattered(w, ins[0], ins[1:], params["spec"], outs[0].shape, outs[0].dtype)]
        if name == "index_put":
            return [indexing.put(w, ins[0], ins[1], ins[2:], params["spec"], outs[0].dtype)]
        if name in ("contract", "matmul"):
            return [products.contracted(w, name, ins, avals, params, outs[0].shape, outs[0].dtype)]
        return products.by_kernel(w, name, ins, avals, params, [v.aval for v in outs])


def added(w: Writer, ins: Sequence[Held], out: Var) -> Held:
    """An array that is updated in place, and what is added to some of its elements; or two large patches."""
    x, y = ins
    if x.shape != y.shape or x.dtype != out.dtype or y.dtype != out.dtype:
        raise Unsupported("a sum of large arrays in a small loop")
    if isinstance(x, Patch) and isinstance(y, Patch):
        return Patch(x.shape, x.dtype, (*x.parts, *y.parts))
    if not (isinstance(x, Memory) and x.room is not None):
        x, y = y, x
    b, m = w.b, indexing.writable(x)
    parts = y.parts if isinstance(y, Patch) else enumerate(cells(b, y).ravel())
    for place, value in parts:
        at = address(b, m, place)
        b.store(b.add(b.load(at, m.dtype), value), at)
    return indexing.written(m)
