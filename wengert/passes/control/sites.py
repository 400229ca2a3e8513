"""An equation of a control op, taken apart: which operand is which input of which body, and which output is which result.

All four ops are seen in one way. A `Trip` is one of the op's Programs with its inputs and outputs in groups; a `Site` is the
equation, with operands and results in the same groups. A switch's operands are its consts, and its results are stacks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from wengert.core.form import Control
from wengert.core.op import Op
from wengert.graph.program import Literal, Program, Var
from wengert.passes.rewriter import Atom, Row, strong

BODIES = {
    "scan": ("body",),
    "while_loop": ("cond", "body"),
    "while_pullback": ("cond", "forward", "backward"),
    "switch": (),
    "call": ("program",),
}
SETTINGS = frozenset({"consts", "carries", "length", "reverse", "unroll", "shared"})


def kind_of(op: Op) -> str | None:
    """Which control op it is; None for all others."""
    form = op.lower
    return form.kind if type(form) is Control else "call" if op.name == "call" else None


@dataclass
class Trip:
    """One of a site's Programs: it takes consts, carries and xs, and gives nexts and ys."""

    consts: list[Var]
    carries: list[Var]
    xs: list[Var]
    rows: list[Row]
    nexts: list[Any]
    ys: list[Any]
    origin: Program

    @classmethod
    def of(cls, program: Program, consts: int, carries: int, nexts: int) -> Trip:
        ins, outs, split = program.ins, program.outs, consts + carries
        return cls(
            ins[:consts], ins[consts:split], ins[split:], list(program.eqns), outs[:nexts], outs[nexts:], program
        )

    @property
    def ins(self) -> list[Var]:
        return [*self.consts, *self.carries, *self.xs]

    @property
    def outs(self) -> list[Any]:
        return [*self.nexts, *self.ys]

    def program(self) -> Program:
        """It as a Program: the one that it was, if nothing has changed."""
        was = self.origin
        if _same(was.ins, self.ins) and _same(was.eqns, self.rows) and _same(was.outs, self.outs):
            return was
        self.origin = Program(self.ins, list(self.rows), self.outs, was.written_out)
        return self.origin

    def become(self, program: Program) -> None:
        """Take the equations and outputs of `program`, which has the same inputs and does the same."""
        new = Trip.of(program, len(self.consts), len(self.carries), len(self.nexts))
        self.__dict__.update(new.__dict__)

    def put(self, env: Mapping[Any, Atom]) -> None:
        """Read other atoms in the place of the variables in `env`."""
        self.rows = [replaced(row, env) for row in self.rows]
        self.nexts = [env.get(a, a) for a in self.nexts]
        self.ys = [env.get(a, a) for a in self.ys]

    def reads(self) -> set[Any]:
        """The variables that an equation or an output reads."""
        found = {a for row in self.rows for a in row[1]}
        found.update(self.nexts, self.ys)
        return found

    def prune(self) -> None:
        """Drop equations that no output depends on."""
        self.rows = Program(self.ins, self.rows, self.outs).pruned().eqns

    def needed(self, outs: Iterable[Atom]) -> set[Any]:
        """The variables on which `outs` depend."""
        found = {a for a in outs if type(a) is not Literal}
        for row in reversed(self.rows):
            if not found.isdisjoint(row[2] if row[0].multi else (row[2],)):
                found.update(a for a in row[1] if type(a) is not Literal)
        return found


def _same(a: Sequence[Any], b: Sequence[Any]) -> bool:
    return len(a) == len(b) and all(x is y for x, y in zip(a, b, strict=True))


def replaced(row: Row, env: Mapping[Any, Atom]) -> Row:
    """`row` with other operands where `env` has some."""
    if not any(a in env for a in row[1]):
        return row
    return (row[0], [env.get(a, a) for a in row[1]], *row[2:4], (), None, *row[6:8])


@dataclass
class Site:
    """An equation of a control op.

    first : the operand before all others (a switch's index)
    xs : operands after the carries: arrays to read from, or a pullback's cotangents
    finals, stacks : results that are the last carries, and those that come from ys
    uses : how often the program reads each of its variables
    found : atoms that stand for results which the equation no longer gives
    later : such results and what makes them, after the equation
    """

    op: Op
    kind: str
    params: dict[str, Any]
    first: list[Any]
    consts: list[Any]
    inits: list[Any]
    xs: list[Any]
    finals: list[Any]
    stacks: list[Any]
    trips: list[Trip]
    uses: Counter[Any] = field(default_factory=Counter)
    found: dict[Any, Any] = field(default_factory=dict)
    later: list[tuple[Any, Callable[[], Any]]] = field(default_factory=list)

    def give(self, var: Any, atom: Atom) -> None:
        """`atom` stands for the result `var` from now on."""
        self.found[var] = atom
        self.uses[atom] += self.uses[var]

    @property
    def ins(self) -> list[Any]:
        return [*self.first, *self.consts, *self.inits, *self.xs]

    @property
    def results(self) -> list[Any]:
        return [*self.finals, *self.stacks]

    @property
    def runs(self) -> bool:
        """Whether the first of its Programs that does any work certainly runs."""
        return self.kind == "call" or (self.kind == "scan" and self.params["length"] > 0)

    def row(self, code: Any, lasti: int) -> Row:
        return (self.op, self.ins, tuple(self.results), self.settings(), (), None, code, lasti)

    def settings(self) -> dict[str, Any]:
        """The parameters of the equation, without those that only its derivatives need."""
        programs = [trip.program() for trip in self.trips]
        if self.kind == "switch":
            return {**self.params, "branches": tuple(programs)}
        found = {k: v for k, v in self.params.items() if k in SETTINGS}
        found.update(zip(BODIES[self.kind], programs, strict=True))
        if "consts" in found:
            found["consts"] = len(self.consts)
        if "carries" in found:
            found["carries"] = len(self.inits)
        return found

    def optimised(self, optimise: Callable[[Program], Program]) -> bool:
        """Put what `optimise` makes of them in the place of the bodies; whether that is anything else."""
        changed = False
        for trip in self.trips:
            program = trip.program()
            if (better := optimise(program)) is not program:
                trip.become(better)
                changed = True
        return changed

    def insert(self, atom: Atom, variables: Sequence[Var | None]) -> None:
        """One more const; `variables` stand for it in each trip."""
        self.consts.append(atom)
        for trip, var in zip(self.trips, variables, strict=True):
            trip.consts.append(fresh(atom) if var is None else var)

    def without_consts(self, gone: Mapping[int, Any] | set[int]) -> None:
        self.consts = without(self.consts, gone)
        for trip in self.trips:
            trip.consts = without(trip.consts, gone)


def without(items: Sequence[Any], gone: Any) -> list[Any]:
    """The items whose numbers are not in `gone`."""
    return [item for i, item in enumerate(items) if i not in gone]


def fresh(atom: Atom) -> Var:
    """A new variable of the aval of `atom`."""
    of = atom.aval
    return Var(of.shape, of.dtype)


def literal(value: Literal, var: Var) -> Literal | None:
    """`value` as what may be read in the place of `var`; None if it is of another aval."""
    found = value if var.weak else strong(value, var.dtype)
    return found if found.aval == var.aval else None


def settled(program: Program) -> Program:
    """`program` without weak variables. When it was recorded they became what their partners are, by casts that it holds; now
    they are numbers like any other."""
    found = program.derived.get("settled")
    if found is None:
        weak = [v for v in program.ins if v.weak]
        weak += [v for row in program.eqns for v in (row[2] if row[0].multi else (row[2],)) if v is not None and v.weak]
        found = program
        if weak and not any(
            v.dtype.kind == "b" for v in weak
        ):  # booleans of Python's add up to integers, NumPy's do not
            new = {v: Var(v.shape, v.dtype) for v in weak}
            rows = [_renamed(row, new) for row in program.eqns]
            found = Program(
                [new.get(v, v) for v in program.ins], rows, [new.get(a, a) for a in program.outs], program.written_out
            )
        program.derived["settled"] = found
    return found


def _renamed(row: Row, new: Mapping[Any, Any]) -> Row:
    outs = tuple(new.get(v, v) for v in row[2]) if row[0].multi else new.get(row[2], row[2])
    return (row[0], [new.get(a, a) for a in row[1]], outs, *row[3:])


def opened(op: Op, ins: Sequence[Atom], outs: Any, params: dict[str, Any]) -> Site:
    """The equation, taken apart."""
    kind = kind_of(op) or ""
    ins, outs = list(ins), list(outs)
    if kind == "switch":
        trips = [Trip.of(p, len(ins) - 1, 0, 0) for p in params["branches"]]
        return Site(op, kind, params, ins[:1], ins[1:], [], [], [], outs, trips)
    if kind == "call":
        return Site(op, kind, params, [], ins, [], [], [], outs, [Trip.of(params["program"], len(ins), 0, 0)])
    n = params["consts"]
    if kind == "while_loop":
        trips = [Trip.of(params["cond"], n, len(ins) - n, 0), Trip.of(params["body"], n, len(ins) - n, len(outs))]
        return Site(op, kind, params, [], ins[:n], ins[n:], [], outs, [], trips)
    end = n + params["carries"]
    if kind == "scan":
        trips = [Trip.of(params["body"], n, params["carries"], params["carries"])]
        return Site(op, kind, params, [], ins[:n], ins[n:end], ins[end:], outs[: end - n], outs[end - n :], trips)
    trips = [
        Trip.of(params["cond"], n, end - n, 0),
        Trip.of(params["forward"], n, end - n, end - n),
        Trip.of(params["backward"], n, len(outs), len(outs)),
    ]
    return Site(op, kind, params, [], ins[:n], ins[n:end], ins[end:], outs, [], trips)
