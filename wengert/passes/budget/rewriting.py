"""A plan as a Program: equations that run again are written again, behind barriers, and whoever reads later reads the new values.

Each recomputation reads what has stayed through barriers that name what ran just before. So it is neither merged with the
first computation nor moved away from where it is planned.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from wengert.graph.atoms import Literal, Var
from wengert.graph.decisions import results_of
from wengert.graph.program import Program
from wengert.ops.barrier import barrier
from wengert.passes.budget.eviction import Plan
from wengert.passes.budget.problem import Problem


def rewritten(program: Program, problem: Problem, plan: Plan) -> Program:
    """`program`, run as `plan` says."""
    return _Writing(program, problem, plan).run()


class _Writing:
    def __init__(self, program: Program, problem: Problem, plan: Plan) -> None:
        self.program, self.problem, self.plan = program, problem, plan
        self.makers = {v: row for row in program.eqns for v in results_of(row)}
        self.now: dict[Any, Any] = {v: v for v in program.ins}  # what stands for each value in memory at present
        self.values = {var: v for v, var in enumerate(problem.variables)}
        self.rows: list[Any] = []
        self.written: dict[Any, Any] = {}  # what is computed where it is read, by its equation and operands
        self.events: list[Sequence[Any]] = [()]  # what each run has made
        self.waits: dict[Any, int] = {}  # by barrier how many runs there were before

    def run(self) -> Program:
        seen: set[int] = set()
        for number in self.plan.runs:
            row = self.program.eqns[self.problem.nodes[number].row]
            if number in seen:
                self._again(row)
            else:
                self._first(row)
            seen.add(number)
        outs = [a if type(a) is Literal else self._read(a, None) for a in self.program.outs]
        return Program(self.program.ins, self._needed(outs), outs, self.program.written_out)

    def _needed(self, outs: Sequence[Any]) -> list[Any]:
        """The equations that something depends on; barriers wait for the last run before them that made any such thing."""
        live = {a for a in outs if type(a) is not Literal}
        kept = []
        for row in reversed(self.rows):
            if not live.isdisjoint(results_of(row)):
                kept.append(row)
                live.update(a for a in row[1] if type(a) is not Literal)
        last, found = 0, [0]
        for n, made in enumerate(self.events[1:], 1):
            last = n if not live.isdisjoint(made) else last
            found.append(last)
        rows = []
        for row in reversed(kept):
            if row[0] is barrier:
                after = [v for v in self.events[found[self.waits.get(row[2], 0)]] if v in live]
                row = (barrier, [row[1][0], *after], *row[2:])
            rows.append(row)
        return rows

    def _first(self, row: Any) -> None:
        self._write(row, None, row[2])
        for var in results_of(row):
            self.now[var] = self._barred(var, row) if self.values.get(var) in self.plan.kept else var
        self.events.append([self.now[v] for v in results_of(row)])

    def _again(self, row: Any) -> None:
        """Write a node again, which reads everything but what ran just before through barriers."""
        outs = _fresh(row)
        self._write(row, {}, outs)
        self.events.append(_listed(row, outs))
        self.now.update(zip(results_of(row), self.events[-1], strict=True))

    def _write(self, row: Any, bars: dict[Any, Any] | None, outs: Any) -> None:
        op, ins, _, params, _, _, code, lasti = row
        read = [a if type(a) is Literal else self._read(a, bars) for a in ins]
        self.rows.append((op, read, outs, params, (), None, code, lasti))

    def _read(self, var: Var, bars: dict[Any, Any] | None) -> Any:
        """What stands for `var` now; computed here if it is computed where it is read."""
        stack = [var]
        found: dict[Any, Any] = {}
        while stack:
            at = stack[-1]
            if at in found:
                stack.pop()
                continue
            row = self.makers.get(at)
            if row is None or at in self.values:
                found[at] = self._behind(self.now[at], bars, row)
                continue
            ins = row[1][:1] if row[0] is barrier else row[1]
            missing = [a for a in ins if type(a) is not Literal and a not in found]
            stack += missing
            if not missing:
                made = self._between(row, [a if type(a) is Literal else found[a] for a in ins])
                found.update(zip(results_of(row), _listed(row, made), strict=True))
        return found[var]

    def _between(self, row: Any, ins: list[Any]) -> Any:
        """The results of an equation between values in memory, for these operands."""
        op, own, outs, params, _, _, code, lasti = row
        key = id(row), *map(id, ins)
        made = self.written.get(key)
        if made is None:
            made = outs if all(a is b for a, b in zip(own, ins, strict=False)) else _fresh(row)
            self.written[key] = made
            self.waits[made] = len(self.events) - 1
            self.rows.append((op, ins, made, params, (), None, code, lasti))
        return made

    def _behind(self, var: Any, bars: dict[Any, Any] | None, row: Any) -> Any:
        """`var`; for what runs again behind a barrier, unless it was made just before."""
        if bars is None or var.weak or any(var is v for v in self.events[-1]):
            return var
        if var not in bars:
            bars[var] = self._barred(var, row)
        return bars[var]

    def _barred(self, var: Any, row: Any) -> Var:
        out = Var(var.shape, var.dtype)
        code, lasti = (None, 0) if row is None else row[6:8]
        self.waits[out] = len(self.events) - 1
        self.rows.append((barrier, [var], out, {}, (), None, code, lasti))
        return out


def _fresh(row: Any) -> Any:
    """New variables for the results of an equation."""
    if row[0].multi:
        return tuple(None if v is None else type(v)(v.shape, v.dtype) for v in row[2])
    return type(row[2])(row[2].shape, row[2].dtype)


def _listed(row: Any, outs: Any) -> list[Any]:
    return [v for v in outs if v is not None] if row[0].multi else [outs]
