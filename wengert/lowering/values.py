"""What each value of a Program is to the lowering, and which values get memory of their own.

    Place       it lies in memory when compiled code begins: an operand, a constant
    Point       a scalar function of its operands' elements
    View        elements of another value, elsewhere: an index expression per axis
    Alias       a reshape that no index expression tells: the same memory in another shape
    Reduction   a sum, an extremum, … over some axes
    Assembly    put together from regions
    Accumulation  a value, to regions of which others are added
    Gather      elements of another value, at places that arrays of integers name
    Scatter     zeros, to which elements are added at such places
    Opaque      made by a library kernel or by the op's own `eval`

Points and views are recomputed where they are read, unless that would cost more than memory does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from wengert.core.aval import Aval, aval_of, promote
from wengert.core.form import Assemble, Barrier, Control, HostCall, Library, Map, Move, Reduce, Region, Reshape, Scan
from wengert.core.op import OPS, Op
from wengert.core.source import Source
from wengert.core.tensor import raw
from wengert.graph.program import Eqn, Literal, Program, Var
from wengert.lowering.affine import Index, compose, identity, reshaped, view_of, weighted
from wengert.lowering.emission import Emitter, row_major
from wengert.lowering.library import EMITTERS
from wengert.lowering.library.scan import SCANS
from wengert.lowering.straight import STRAIGHT
from wengert.lowering.text import NATIVE
from wengert.ops import basis  # noqa: F401 - registers `cast`

CHEAP = 2  # additions that cost no more than a round trip to memory
DEAR = 24  # the same where every trip of a loop goes through arrays that are in no fast cache,
FAR = 1 << 18  # those of so many bytes
REDUCTIONS = frozenset({"add", "mul", "max", "min", "fmax", "fmin", "any", "all"})

Atom = Any  # a Var, or a Literal of one element


@dataclass(slots=True)
class Place:
    kind: str  # "input", "constant"
    index: int


@dataclass(slots=True)
class Point:
    op: Op
    form: Map
    params: dict[str, Any]
    operands: Sequence[Atom]
    compute: np.dtype | None  # what operands are converted to
    source: Source | None


@dataclass(slots=True)
class View:
    operand: Var
    index: Index


@dataclass(slots=True)
class Alias:
    operand: Var


@dataclass(slots=True)
class Reduction:
    op: Op
    kind: str
    operand: Atom
    axes: tuple[int, ...]


@dataclass(slots=True)
class Assembly:
    op: Op
    regions: Sequence[Region]
    operands: Sequence[Atom]


@dataclass(slots=True)
class Accumulation:
    """`start` (or zeros if None), and what is added to its regions, or at places that are read, in order."""

    op: Op
    start: Atom | None
    regions: Sequence[tuple[Region | Scatter, Atom]]


@dataclass(slots=True)
class Places:
    """Where an indexed element lies: per axis of the array either `(axis, start, step)` of the indices, or the number
    of an index array, whose own axes are those of the indices in `axes`."""

    entries: tuple[tuple[int, int, int] | int, ...]
    axes: tuple[int, ...]
    arrays: Sequence[Atom]
    shape: tuple[int, ...]  #: of the array


@dataclass(slots=True)
class Gather:
    op: Op
    operand: Var
    places: Places
    source: Source | None


@dataclass(slots=True)
class Scatter:
    op: Op
    operand: Atom
    places: Places
    source: Source | None


@dataclass(slots=True)
class Opaque:
    eqn: Eqn
    outs: Sequence[Var]
    operands: Sequence[Any]  #: Var; for `eval` also Literals of one element
    emitter: Emitter | None
    params: dict[str, Any]
    reason: str = ""
    strided: dict[int, tuple[Var, int, tuple[int, ...]]] = field(default_factory=dict)
    # operand read in place: base, offset, strides
    control: str = ""  #: the kind of a loop, branch or call that is lowered with its bodies
    number: int = -1  #: of the equation, in its program


Definition = Place | Point | View | Alias | Reduction | Assembly | Accumulation | Gather | Scatter | Opaque


class Values:
    """The definitions of all values, in order, and the set of those that are `stored`."""

    def __init__(self, program: Program, refused: Sequence[int], repeated: bool = False) -> None:
        self.program, self.repeated = program, repeated  # whether it is the body of a loop
        self.refused = (
            refused  # equations whose form has declined: run by eval, but for control flow that has only once
        )
        self.definitions: dict[Var, Definition] = {}
        self.order: list[Var] = []
        self.constants: list[np.ndarray] = []
        self.by_content: dict[Any, Var] = {}
        self.stored: set[Var] = set()
        self.after: dict[Var, list[Var]] = {}  # what must exist before anybody reads a value through this one
        self.readers: dict[Var, int] = {}
        self.weights: dict[Var, float] = {}
        self.uses = Counter(a for row in program.eqns for a in row[1] if isinstance(a, Var))
        self.uses.update(a for a in program.outs if isinstance(a, Var))
        for i, var in enumerate(program.ins):
            self._define(var, Place("input", i))
            self.stored.add(var)
        for number, eqn in enumerate(program.equations()):
            self._classify(number, eqn)
        for out in program.outs:
            if isinstance(out, Var):
                self.store(out)

    # ── reading ───────────────────────────────────────────────────────────────

    def base(self, var: Var) -> Var:
        """The value whose memory `var` lies in."""
        while isinstance(d := self.definitions[var], Alias):
            var = d.operand
        return var

    def barriers(self, var: Var) -> list[Var]:
        """The barriers between `var` and the value in whose memory it lies."""
        found: list[Var] = []
        while self.after:
            if var in self.after:
                found.append(var)
            if not isinstance(d := self.definitions[var], Alias):
                break
            var = d.operand
        return found

    def store(self, atom: Any) -> None:
        """Give a value memory of its own."""
        if isinstance(atom, Var):
            self.stored.add(atom)
            self.stored.add(self.base(atom))

    def copy(self, atom: Atom) -> Var:
        """A new value with memory of its own, equal to `atom`."""
        value = atom if isinstance(atom, Var) else self._atom(atom)
        aval = atom.aval if isinstance(atom, Var) else aval_of(raw(atom.value))
        out = Var(aval.shape, aval.dtype)
        if aval.dtype.char not in NATIVE:
            eqn = Eqn(COPY, (atom,), out, {"dtype": aval.dtype}, (), None, None, 0)
            self._opaque(eqn, (out,), HostCall("complex, half or object dtype"), [aval])
            return out
        self._define(out, Point(COPY, IDENTITY, {}, [value], out.dtype, None))
        self.weights[out] = 0
        self.store(out)
        return out

    def scalar(self, atom: Literal) -> Var:
        """A Literal of one element, in memory."""
        return self._array(np.asarray(raw(atom.value)))

    # ── classifying ───────────────────────────────────────────────────────────

    def _define(self, var: Var, definition: Definition) -> None:
        self.definitions[var] = definition
        self.order.append(var)

    def _atom(self, atom: Any) -> Atom:
        """A Literal array becomes a constant in memory."""
        if isinstance(atom, Literal) and np.ndim(raw(atom.value)):
            value = np.ascontiguousarray(raw(atom.value))
            if value.size == 1:
                return Literal(value.reshape(())[()])  # broadcasts to the same
            key = (value.shape, value.dtype.str, value.tobytes())
            var = self.by_content.get(key)
            if var is None:
                var = self.by_content[key] = Var(value.shape, value.dtype)
                self._define(var, Place("constant", len(self.constants)))
                self.stored.add(var)
                self.constants.append(value)
            return var
        return atom

    def _read(self, atom: Any) -> None:
        if isinstance(atom, Var):
            readers = self.readers[atom] = self.readers.get(atom, 0) + 1
            worth = DEAR if self.repeated and atom.aval.size * atom.dtype.itemsize >= FAR else CHEAP
            if readers > 1 and isinstance(self.definitions[atom], Point) and self.weights[atom] > worth:
                self.store(atom)

    def _classify(self, number: int, eqn: Eqn) -> None:
        outs = eqn.outs if eqn.op.multi else (eqn.outs,)
        avals = [aval_of_atom(a) for a in eqn.ins]
        native = all(a.dtype.char in NATIVE for a in avals) and all(v.dtype.char in NATIVE for v in outs)
        if isinstance(eqn.op.lower, Barrier):
            self._barrier(eqn, outs[0], avals)
            return
        form: Any = HostCall("complex, half or object dtype")
        control = Control("call") if eqn.op.name == "call" else eqn.op.lower
        if isinstance(control, Control) and self.refused.count(number) < 2:
            if not any(a.dtype.hasobject for a in (*avals, *(v.aval for v in outs))):
                self._opaque(eqn, outs, control, avals, number)
                return
        elif number in self.refused:
            form = HostCall("its form declined these operands")
        elif native:
            form = eqn.op.lower
            if callable(form):
                form = form(tuple(avals), eqn.params)
        forms = form if isinstance(form, tuple) else (form,)
        if len(forms) != len(outs) and not isinstance(form, (HostCall, Library, Control)):
            form, forms = HostCall("its form has another number of results"), (HostCall(),)
        if (
            isinstance(form, Library)
            and form.name in ("index", "scatter_add")
            and self._indexed(eqn, outs[0], form.name)
        ):
            return
        if isinstance(form, (HostCall, Library, Scan, Control)) or any(isinstance(f, HostCall) for f in forms):
            self._opaque(eqn, outs, form, avals, number)
            return
        for out, one in zip(outs, forms, strict=True):
            if not self._define_one(eqn, out, one, avals):
                self._opaque(eqn, outs, HostCall(f"its {type(one).__name__} form does not serve this call"), avals)
                return

    def _barrier(self, eqn: Eqn, out: Var, avals: Sequence[Aval]) -> None:
        operand = self._atom(eqn.ins[0])
        if isinstance(operand, Literal):
            self._point(eqn._replace(ins=eqn.ins[:1]), out, IDENTITY, avals[:1])
        elif operand not in self.stored and isinstance(self.definitions[operand], View):
            self._view(out, operand, identity(len(out.shape)))
        else:
            self._view(out, operand, None)
        self.after[out] = [a for a in eqn.ins[1:] if isinstance(a, Var)]

    def _define_one(self, eqn: Eqn, out: Var, form: Any, avals: Sequence[Aval]) -> bool:
        if isinstance(form, Map):
            if eqn.op is ADD and self._accumulation(eqn, out):
                return True
            self._point(eqn, out, form, avals)
        elif isinstance(form, (Move, Reshape)):
            operand = self._atom(eqn.ins[0])
            if isinstance(operand, Literal):  # one element, wherever it is read
                self._point(eqn, out, IDENTITY, avals)
                return True
            index = (
                reshaped(operand.shape, out.shape)
                if isinstance(form, Reshape)
                else view_of(form.index, operand.shape, out.shape, eqn.params)
            )
            self._view(out, operand, index)
        elif isinstance(form, Reduce):
            axes = tuple(eqn.params["axes"])
            if form.kind not in REDUCTIONS:
                return False
            operand = self._atom(eqn.ins[0])
            if not axes and form.kind not in ("any", "all"):
                self._point(eqn, out, IDENTITY, avals)
                return True
            if isinstance(operand, Literal):
                return False
            self._define(out, Reduction(eqn.op, form.kind, operand, axes))
            self.weights[out] = 0
            self._read(operand)
            self.store(out)
        elif isinstance(form, Assemble):
            operands = [self._atom(a) for a in eqn.ins]
            regions = form.regions([a.shape for a in avals], out.shape, **eqn.params)
            self._define(out, Assembly(eqn.op, regions, operands))
            self.weights[out] = 0
            for region in regions:
                if region.operand is not None:
                    self._read(operands[region.operand])
            self.store(out)
        else:
            return False
        return True

    def _point(self, eqn: Eqn, out: Var, form: Map, avals: Sequence[Aval]) -> None:
        operands = [self._atom(a) for a in eqn.ins]
        compute = {"out": lambda: out.dtype, "joint": lambda: promote(*avals), "none": lambda: None}[form.compute]()
        if compute is not None and compute.char not in NATIVE:
            compute = None
        self._define(out, Point(eqn.op, form, eqn.params, operands, compute, eqn.source))
        if eqn.op.exact and all(isinstance(a, Var) and a.dtype.kind == "f" for a in operands):
            for i in eqn.op.exact:
                self._settle(operands[i])
        weight: float = form.cost
        for operand in operands:
            if isinstance(operand, Var):
                self._read(operand)
                if operand not in self.stored:
                    if form.cost >= 0 and operand.aval.size < out.aval.size:
                        self._spread(operand)
                    weight += self.weights.get(operand, 0)
                else:
                    weight += 0.5
        self.weights[out] = weight

    def _settle(self, atom: Any) -> None:
        """What is compared for equality is computed once: another kernel might round it otherwise."""
        while isinstance(atom, Var) and isinstance(d := self.definitions[atom], (View, Alias)):
            atom = d.operand
        if isinstance(atom, Var) and isinstance(d := self.definitions[atom], Point) and d.form.cost > 0:
            self.store(atom)

    def _accumulation(self, eqn: Eqn, out: Var) -> bool:
        """A sum with something that is zero but for a region: only the region is added."""
        x, y = eqn.ins
        if self._patch(y, out) is None:
            x, y = y, x
        patch = self._patch(y, out)
        if patch is None or not isinstance(y, Var) or x is None:
            return False
        regions, start = list(patch), self._atom(x)
        known = self.definitions.get(x) if isinstance(x, Var) else None
        if isinstance(known, Accumulation) and isinstance(x, Var) and self.uses[x] == 1 and x.aval == out.aval:
            regions, start = [*known.regions, *regions], known.start
            self._absorb(x)
        elif isinstance(x, Var) and (first := self._patch(x, out)) is not None:
            regions, start = [*first, *regions], None
            self._absorb(x)
        else:
            self._read(start)
        self._absorb(y)
        self._define(out, Accumulation(eqn.op, start, regions))
        self.weights[out] = 0
        self.store(out)
        return True

    def _patch(self, atom: Any, out: Var) -> list[tuple[Region | Scatter, Atom]] | None:
        """The regions of a value that is zero elsewhere, if nobody else reads it."""
        if not isinstance(atom, Var) or self.uses[atom] != 1 or atom.aval != out.aval:
            return None
        d = self.definitions[atom]
        if isinstance(d, Scatter):
            return [(d, d.operand)]
        if not isinstance(d, Assembly) or len(d.regions) != 2:
            return None
        zeros, region = d.regions
        if zeros.operand is not None or zeros.fill != 0 or region.operand is None or zeros.shape != out.shape:
            return None
        return [(region, d.operands[region.operand])]

    def _absorb(self, var: Var) -> None:
        """`var` is part of the definition that reads it, and is not made by itself."""
        self.stored.discard(var)
        self.order.remove(var)

    def _indexed(self, eqn: Eqn, out: Var, name: str) -> bool:
        """Define a gather or scatter; False if the op is not a plain one."""
        first, *arrays = [self._atom(a) for a in eqn.ins]
        shape = first.shape if name == "index" and isinstance(first, Var) else out.shape
        if not isinstance(first, Var) or any(isinstance(a, Var) and a.dtype.kind not in "iu" for a in arrays):
            return False
        rank = max(aval_of_atom(a).ndim for a in eqn.ins[1:])
        places = places_of(eqn.params["spec"], arrays, rank, shape)
        if places is None:
            return False
        for array in arrays:
            self._read(array)
        if name == "index":
            self._read(first)
            self.store(first)
            self._define(out, Gather(eqn.op, self.base(first), places, eqn.source))
            if passed := self.barriers(first):
                self.after[out] = [a for var in passed for a in self.after[var]]
            self.weights[out] = 1
        else:
            self._define(out, Scatter(eqn.op, first, places, eqn.source))
            self.weights[out] = 0
            self._read(first)
            if all(isinstance(e, int) for e in places.entries) and self.weights.get(first, 0) > CHEAP:
                self.store(first)  # a loop that adds single elements is no SIMD loop: keep the arithmetic out of it
            self.store(out)
        return True

    def _view(self, out: Var, operand: Var, index: Index | None) -> None:
        if index is None:
            if isinstance(self.definitions[operand], View):
                self.store(operand)
            self._define(out, Alias(operand))
            self.store(operand)
            self.stored.add(out)
            self.weights[out] = 0
        else:
            if operand not in self.stored and operand.aval.size < out.aval.size:
                self._spread(operand)
            self._define(out, View(operand, index))
            self.weights[out] = self.weights.get(operand, 0) if operand not in self.stored else 0
        self._read(operand)

    def _spread(self, var: Var) -> None:
        """`var` is read at more points than it has elements: it is made once, unless it costs next to nothing."""
        if self.weights.get(var, 0) > CHEAP:
            while isinstance(d := self.definitions[var], View):
                var = d.operand
            self.store(var)

    def _opaque(self, eqn: Eqn, outs: Sequence[Var], form: Any, avals: Sequence[Aval], number: int = -1) -> None:
        emitter, reason, control = None, getattr(form, "reason", "no native lowering"), ""
        params = eqn.params
        if isinstance(form, (Library, Scan)):
            name = form.name if isinstance(form, Library) else f"scan_{form.kind}"
            found = EMITTERS.get(name) or SCANS.get(name)
            if found is not None and found.supports(avals, [v.aval for v in outs], params):
                emitter, reason = found, ""
            else:
                reason = f"the library kernel {name!r} does not serve this call" if found else f"no kernel {name!r}"
        elif isinstance(form, Control):
            straight = STRAIGHT.get(form.kind) if number not in self.refused and not params.get("shared") else None
            native = all(a.dtype.char in NATIVE for a in (*avals, *(v.aval for v in outs)))
            if straight is not None and native and straight.supports(avals, [v.aval for v in outs], params):
                emitter, reason = straight, ""
            else:
                control, reason = form.kind, ""
        operands: list[Any] = []
        made = Opaque(eqn, outs, operands, emitter, params, reason, control=control, number=number)
        for i, atom in enumerate(eqn.ins):
            if isinstance(atom, Literal):
                var = self._array(np.ascontiguousarray(raw(atom.value)).reshape(np.shape(raw(atom.value))))
                if (
                    emitter is not None or control or var.shape
                ):  # `eval` tells Python scalars from arrays: they stay Literals
                    atom = var
            operands.append(atom)
            if isinstance(atom, Var):
                self._read(atom)
                if not self._in_place(made, i, atom, avals):
                    self._renamed(atom)
                    self.store(atom)
        for out in outs:
            self._define(out, made)
            self.weights[out] = 0
            self.store(out)

    def _array(self, value: np.ndarray) -> Var:
        key = (value.shape, value.dtype.str, value.tobytes() if value.dtype.kind != "O" else id(value))
        var = self.by_content.get(key)
        if var is None:
            var = self.by_content[key] = Var(value.shape, value.dtype)
            self._define(var, Place("constant", len(self.constants)))
            self.stored.add(var)
            self.constants.append(value)
        return var

    def _renamed(self, var: Var) -> None:
        """A view that is an array that lies in memory, element for element in another shape, is an alias of it; so are the
        first elements of an operand or constant."""
        n = len(var.shape)
        index, of = identity(n), var
        while of not in self.stored and isinstance(d := self.definitions[of], View):
            index, of = compose(d.index, index, n), d.operand
        if of is var or of not in self.stored:
            return
        whole = of.aval.size == var.aval.size or isinstance(self.definitions[self.base(of)], Place)
        first, *steps = weighted(index, row_major(of.shape), n)
        wanted = zip(steps, row_major(var.shape), var.shape, strict=True)
        if whole and first == 0 and all(a == b for a, b, extent in wanted if extent != 1):
            self.definitions[var] = Alias(of)

    def _in_place(self, made: Opaque, i: int, var: Var, avals: Sequence[Aval]) -> bool:
        """Whether a library kernel can read a view where it lies, by strides."""
        if made.emitter is None or var in self.stored or not isinstance(self.definitions[var], View):
            return False
        n = len(var.shape)
        index, at = identity(n), var
        while at not in self.stored and isinstance(d := self.definitions[at], View):
            index, at = compose(d.index, index, n), d.operand
        if at not in self.stored and not (isinstance(self.definitions[at], Point) and self.readers.get(at, 0) >= 1):
            return False
        address = weighted(index, row_major(at.shape), n)
        strides = address[1:]
        if (any(s < 0 for s in strides) and not made.emitter.turns) or not made.emitter.takes(
            i, strides, avals, made.params
        ):
            return False
        self.store(at)
        made.strided[i] = (at, address[0], strides)
        return True


COPY, ADD = OPS["cast"], OPS["add"]
IDENTITY = Map(lambda b, x, **params: x, cost=0)


def places_of(spec: Any, arrays: Sequence[Atom], rank: int, shape: tuple[int, ...]) -> Places | None:
    """What a spec of `ops/index.py` with index arrays says, or None where it has new axes. `rank` is that of the
    arrays together (one that has a single element has become a Literal)."""
    entries = list(spec) if isinstance(spec, tuple) else [spec]
    if any(e is None or e is Ellipsis for e in entries):
        return None
    entries += [slice(None)] * (len(shape) - len(entries))
    if len(entries) != len(shape):
        return None
    isarray = [not isinstance(e, slice) for e in entries]
    if sum(isarray) != len(arrays):
        return None
    first, last = isarray.index(True), len(entries) - 1 - isarray[::-1].index(True)
    start = first if all(isarray[first : last + 1]) else 0
    place, number, out = 0, 0, []
    for entry, array in zip(enumerate(entries), isarray, strict=True):
        axis, e = entry
        if array:
            out.append(number)
            number += 1
            continue
        if place == start:
            place += rank
        begin, _, step = e.indices(shape[axis])
        out.append((place, begin, step))
        place += 1
    return Places(tuple(out), tuple(range(start, start + rank)), arrays, shape)


def aval_of_atom(atom: Any) -> Aval:
    return atom.aval if isinstance(atom, Var) else aval_of(raw(atom.value))


def contents(atom: Atom) -> Any:
    """The Python or NumPy scalar of a Literal."""
    return raw(atom.value)
