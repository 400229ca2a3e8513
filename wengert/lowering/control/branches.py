"""`switch` and `call`: one of several bodies, and a body that is shared."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from wengert.core.aval import Aval
from wengert.core.form import Unsupported
from wengert.graph.program import Program, Var
from wengert.lowering.control.bodies import Account, Flow, Lower, Plan, agree
from wengert.lowering.control.loops import account
from wengert.lowering.library.strided import memory_move
from wengert.lowering.straight import STRAIGHT
from wengert.lowering.text import BOOL, I64, NATIVE, Value
from wengert.transforms.call import call


class SwitchPlan(Plan):
    """A result that some branches leave as one operand was, or change a part of, may lie in that operand's memory."""

    def __init__(self, lower: Lower, operands: Sequence[Aval], params: dict[str, Any]) -> None:
        self.branches: Sequence[Program] = params["branches"]
        if operands[0].shape or operands[0].dtype.kind not in "iub":
            raise Unsupported(f"a switch by {operands[0]}")
        self.index = operands[0].dtype
        for branch in self.branches:
            agree(operands[1:], branch.ins)
        outs = self.branches[0].outs
        self.nbytes = [atom.aval.size * atom.aval.dtype.itemsize for atom in outs]
        self.same = [self._kept(branch) for branch in self.branches]
        wanted = {r: i for same in self.same for r, i in same.items()}
        self.bodies = []
        for branch, same in zip(self.branches, self.same, strict=True):
            moving = [r for r in range(len(outs)) if r not in same]
            pairs = {n: wanted[r] for n, r in enumerate(moving) if r in wanted}
            reduced = Program(branch.ins, branch.eqns, [branch.outs[r] for r in moving])
            self.bodies.append((moving, lower(reduced, pairs, elementwise=False)))
        self.over: dict[int, int] = {}
        for r in range(len(outs)):
            begun = {self._begins(k, r) for k in range(len(self.branches))}
            if len(begun) == 1 and (found := begun.pop()) is not None and found not in self.over.values():
                self.over[r] = found + 1

    def _kept(self, branch: Program) -> dict[int, int]:
        """Results that are operands, each of which can be left where it lies once."""
        kept: dict[int, int] = {}
        for r, atom in enumerate(branch.outs):
            for i, var in enumerate(branch.ins):
                if atom is var and i not in kept.values():
                    kept[r] = i
        return kept

    def _begins(self, k: int, r: int) -> int | None:
        """The operand that result `r` is made of by branch `k` where it lies."""
        if r in self.same[k]:
            return self.same[k][r]
        moving, body = self.bodies[k]
        return body.inplace.get(moving.index(r))

    def emit(self, flow: Flow) -> Account:
        b = flow.b
        work = flow.work(*(body for _, body in self.bodies))
        raw = b.cast(b.load(flow.ins[0], self.index), I64)
        low = b.const(0, I64)
        high = b.const(len(self.branches) - 1, I64)
        if self.index.kind == "u":
            below, above = low, b.emit(f"icmp ugt i64 {raw.ref}, {high.ref}", BOOL)
            i = b.select(above, high, raw)
        else:
            below = b.select(b.compare("lt", raw, low), low, raw)
            i = b.select(b.compare("gt", below, high), high, below)
        labels = [b.label("branch") for _ in self.branches]
        done = b.label("done")
        cases = " ".join(f"i64 {k}, label %{label}" for k, label in enumerate(labels))
        b.effect(f"switch i64 {i.ref}, label %{labels[-1]} [{cases}]")
        for k, label in enumerate(labels):
            b.start(label)
            self._branch(flow, k, work)
            b.branch(done)
        b.start(done)
        found = account((), 1, [body for _, body in self.bodies], "")
        flops, nbytes = (max(getattr(body, w) for _, body in self.bodies) for w in ("flops", "bytes"))
        return Account((), flops, nbytes, f"{len(labels)} branches", found.bodies)

    def _branch(self, flow: Flow, k: int, work: Value) -> None:
        operands, (moving, body) = list(flow.ins[1:]), self.bodies[k]
        for r in range(len(flow.outs)):
            begun = self._begins(k, r)
            if begun is not None:
                if operands[begun].ref != flow.outs[r].ref and self.nbytes[r]:
                    memory_move(flow.b, flow.outs[r], operands[begun], self.nbytes[r])
        for n, i in body.inplace.items():
            operands[i] = flow.outs[moving[n]]
        flow.call(body, work, operands, [flow.outs[r] for r in moving])


class CallPlan(Plan):
    """A call of a body that equal calls share. The body is straight-line code where it can be."""

    def __init__(self, lower: Lower, operands: Sequence[Aval], params: dict[str, Any]) -> None:
        self.program: Program = params["program"]
        agree(operands, self.program.ins)
        self.body = lower(self._whole() if params.get("shared") else self.program, {})

    def _whole(self) -> Program:
        """The program as one equation, a call that is not shared, if there is straight-line code for that."""
        program, key = self.program, "called whole"
        if key not in program.derived:
            params, ins = {"program": program}, [v.aval for v in program.ins]
            avals = [atom.aval for atom in program.outs]
            outs = tuple(Var(a.shape, a.dtype) for a in avals)
            row = (call, program.ins, outs, params, (), None, None, 0)
            native = all(a.dtype.char in NATIVE for a in (*ins, *avals))
            straight = native and "call" in STRAIGHT and STRAIGHT["call"].supports(ins, avals, params)
            program.derived[key] = Program(program.ins, [row], list(outs)) if straight else program
        return program.derived[key]

    def emit(self, flow: Flow) -> Account:
        flow.call(self.body, flow.work(self.body), flow.ins, flow.outs)
        return account((), 1, [self.body], "")
