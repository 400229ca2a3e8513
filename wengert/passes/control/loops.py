"""The pass over loops and branches: each equation of a control op is taken apart, made smaller, and put together again.

Bodies are optimised by all passes, this one among them, so that it reaches every depth of a nest.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from wengert.graph.program import Literal, Program, Var
from wengert.ops.basis import add
from wengert.passes.control import carries, operands, parts, products, sums
from wengert.passes.control.counters import counted
from wengert.passes.control.ends import begun
from wengert.passes.control.motion import hoisted
from wengert.passes.control.recomputation import recomputed
from wengert.passes.control.sites import Site, kind_of, opened, settled
from wengert.passes.control.straightening import straightened
from wengert.passes.control.streams import streamed
from wengert.passes.rewriter import Notes, Rewriter, Row, aval, strong
from wengert.passes.rules.table import RULES

ROUNDS = 3  # of making a site smaller and optimising its bodies, unless nothing changes before
Optimise = Callable[[Program], Program]


def control(program: Program, notes: Notes | None = None, optimise: Optimise | None = None) -> Program:
    """`program` with its loops and branches simplified; `optimise` is what their bodies are optimised by."""
    if not has_control(program):
        return program
    return _Control(notes, optimise).run(program)


def has_control(program: Program) -> bool:
    """Whether an equation of it is a loop, a branch or a call."""
    return any([kind_of(row[0]) for row in program.eqns])  # noqa: C419 - a list is half the cost


class _Control(Rewriter):
    """Rewrites equations of control ops; what it makes in front of them is simplified on the way."""

    __slots__ = ("changed", "optimise", "readers")

    def __init__(self, notes: Notes | None, optimise: Optimise | None) -> None:
        super().__init__(RULES, notes)
        self.optimise = optimise
        self.changed = False
        self.readers: dict[Any, Row] = {}  # of each variable the last equation that reads it

    def run(self, program: Program) -> Program:
        self.uses.update(a for row in program.eqns for a in row[1] if type(a) is not Literal)
        self.uses.update(o for o in program.outs if type(o) is not Literal)
        self.readers = {a: row for row in program.eqns for a in row[1] if type(a) is not Literal}
        env = self.env
        for row in program.eqns:
            if env:
                row = self._read(row)
            self.code, self.lasti = row[6:8]
            if kind_of(row[0]) is None:
                self.append(row)
            else:
                self.replaced(row)
        if not self.changed:
            return program
        return Program(program.ins, self.rows, [env.get(o, o) for o in program.outs], program.written_out)

    def _read(self, row: Row) -> Row:
        new = [self.env.get(a, a) for a in row[1]]
        return row if new == list(row[1]) else (row[0], new, *row[2:4], (), None, *row[6:8])

    def append(self, row: Row) -> None:
        self.rows.append(row)
        if row[0].multi:
            self.made.update((v, row) for v in row[2])
        else:
            self.made[row[2]] = row

    # ── a site ────────────────────────────────────────────────────────────────

    def replaced(self, row: Row) -> None:
        """Append what the equation of a control op becomes."""
        op, ins, outs, params = row[:4]
        site = opened(op, ins, outs, {name: _settled(value) for name, value in params.items()})
        site.uses = self.uses
        plain = _fits(site)
        if plain and self._straight(site):
            return
        for _ in range(ROUNDS):
            changed = plain and self._smaller(site)
            if self.optimise is not None:
                changed |= site.optimised(self.optimise)
            if plain and self._straight(site):
                return
            if not changed:
                break
        if plain:
            self._note(site, operands.lifted(site), "arrays moved out of")
        code, lasti = row[6:8]
        new = site.row(code, lasti)
        if _unchanged(row, new):
            self.append(row)
        else:
            self.changed = True
            self.append(new)
        self._settle(site)

    def _smaller(self, site: Site) -> bool:
        """One round of everything that makes a site smaller; whether anything did."""
        if site.kind == "call":
            return False
        total = 0
        for step, what in _STEPS:
            count = step(self, site)
            self._note(site, count, what)
            total += count
        return total > 0

    def _note(self, site: Site, count: int, what: str) -> None:
        if count:
            self.changed = True
            self.notes[f"{what} {site.kind}"] += count

    def _straight(self, site: Site) -> bool:
        before = len(self.rows)
        found = straightened(self, site)
        if found is None:
            return False
        fitted = [self.fitted(atom, var) for atom, var in zip(found, site.results, strict=True)]
        if any(atom is None for atom in fitted):
            del self.rows[before:]
            return False
        self.changed = True
        self.notes[f"{site.kind} written out"] += 1
        for var, atom in zip(site.results, fitted, strict=True):
            site.give(var, atom)  # type: ignore[arg-type]
        self._settle(site)
        return True

    def _settle(self, site: Site) -> None:
        """Let everybody read what stands for results that the site no longer gives."""
        found = site.found
        for var in found:
            atom = found[var]
            while atom in found:
                atom = found[atom]
            self.env[var] = atom
            self.changed = True
        for var, make in site.later:
            atom = make()
            fitted = self.fitted(atom, var)
            self.env[var] = atom if fitted is None else fitted
            self.changed = True

    def root_of(self, var: Var) -> Var | None:
        """The result of the largest sum that reads `var`, which is read once, and whose parts nobody else reads."""
        found = None
        while self.uses[var] == 1 and (row := self.readers.get(var)) is not None and row[0] is add:
            found = var = row[2]
        return found

    # ── what steps make outside ───────────────────────────────────────────────

    def again(self, row: Row, ins: Sequence[Any]) -> Sequence[Any]:
        """The results of an equation on other operands, made here."""
        op, _, outs, params = row[:4]
        self.code, self.lasti = row[6:8]
        if not op.multi:
            found = self.emit(op, *ins, **params)
            fitted = self.fitted(found, outs)
            return [found if fitted is None else fitted]
        made = tuple(type(v)(v.shape, v.dtype) for v in outs)
        new = (op, list(ins), made, params, (), None, self.code, self.lasti)
        if kind_of(op) is None:
            self.append(new)
            return made
        self.uses.update(made)
        self.replaced(new)
        return [self.env.get(v, v) for v in made]

    def extended(self, row: Row, atoms: Sequence[Var]) -> list[Var]:
        """More ys of a scan that stands here already: the values of these variables of its body."""
        body, length = row[3]["body"], row[3]["length"]
        stacks = [Var((length, *atom.shape), atom.dtype) for atom in atoms]
        wider = Program(body.ins, body.eqns, [*body.outs, *atoms], body.written_out)
        new = (row[0], row[1], (*row[2], *stacks), {**row[3], "body": wider}, (), None, *row[6:8])
        self.rows[next(i for i, other in enumerate(self.rows) if other is row)] = new
        self.made.update((v, new) for v in new[2])
        self.uses.update(stacks)
        self.changed = True
        return stacks

    def played(self, program: Program, atoms: Sequence[Any]) -> list[Any]:
        """The outputs of `program` on these operands, with its equations made here."""
        env: dict[Any, Any] = {}
        for var, atom in zip(program.ins, atoms, strict=True):
            env[var] = atom if var.weak else strong(atom, var.dtype)
        for row in program.eqns:
            outs = row[2] if row[0].multi else (row[2],)
            env.update(zip(outs, self.again(row, [env.get(a, a) for a in row[1]]), strict=True))
        return [env.get(a, a) for a in program.outs]


_STEPS: tuple[tuple[Callable[[Any, Site], int], str], ...] = (
    (operands.sunk, "operands known in the body of"),
    (operands.spread, "operands the same for each trip of"),
    (lambda r, site: carries.unchanged(site), "unchanged carries of"),
    (lambda r, site: operands.merged(site) + carries.twins(site), "duplicates among operands and results of"),
    (hoisted, "equations moved out of"),
    (carries.known, "results known without"),
    (begun, "operands of the first trip alone of"),
    (streamed, "operands made element by element in"),
    (recomputed, "residuals computed again by"),
    (counted, "elements in the order of trips of"),
    (parts.split, "products taken apart in"),
    (products.ahead, "products made at once in front of"),
    (products.afterwards, "products made at once after"),
    (sums.split, "sums of products → products of stacks, after"),
    (sums.joined, "sums carried as one by"),
    (lambda r, site: carries.dropped(site) + operands.unread(site), "operands and results without use dropped from"),
)


def _settled(value: Any) -> Any:
    """A parameter, its Programs without weak variables."""
    if isinstance(value, Program):
        return settled(value)
    return tuple(map(_settled, value)) if isinstance(value, tuple) else value


def _fits(site: Site) -> bool:
    """Whether operands, what bodies take and what they give agree to the dtype: steps exchange one for the other."""
    for i, trip in enumerate(site.trips):
        pairs = [*zip(site.consts, trip.consts, strict=True), *zip(trip.nexts, trip.carries, strict=False)]
        if i < 2:
            pairs += zip(site.inits, trip.carries, strict=True)
        if any(var.weak for var in (*trip.consts, *trip.carries)):
            return False
        if any(aval(strong(atom, var.dtype)) != var.aval for atom, var in pairs):
            return False
        if any(aval(atom).weak for atom in trip.nexts):
            return False
    return all(type(var) is Var for var in site.results)


def _unchanged(row: Row, new: Row) -> bool:
    if list(row[1]) != new[1] or tuple(row[2]) != new[2] or row[3].keys() != new[3].keys():
        return False
    return all(_same(value, new[3][name]) for name, value in row[3].items())


def _same(a: Any, b: Any) -> bool:
    if type(a) is tuple and type(b) is tuple:
        return len(a) == len(b) and all(map(_same, a, b))
    return a is b or (not hasattr(a, "eqns") and a == b)
