"""From a Program to LLVM text: values, statements, clusters, buffers, kernels, and `run`, which calls them in order."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from wengert.core.aval import aval_of
from wengert.core.form import Unsupported
from wengert.core.source import Source
from wengert.core.tensor import raw
from wengert.graph.program import Literal, Program, Var
from wengert.lowering import kernel
from wengert.lowering.buffers import plan_buffers
from wengert.lowering.clusters import Cluster, Clusters
from wengert.lowering.donation import takeovers
from wengert.lowering.emission import Emission, Operand, row_major
from wengert.lowering.lowered import HostReference, Kernel, Lowered, Out
from wengert.lowering.nest import Nest
from wengert.lowering.nest import plan as plan_nest
from wengert.lowering.statements import statements_of
from wengert.lowering.text import I32, I64, Builder, Module, Value
from wengert.lowering.values import IDENTITY, Alias, Gather, Opaque, Place, Point, Values
from wengert.lowering.vecmath import definition

INLINED = 48  # calls of vector math that are worth their code in one module
FEW = 12  # such calls in a small loop
LARGE = 4096  # elements
LONG = 5e6  # flops and bytes of a kernel, some milliseconds, after which a call asks whether it is interrupted
CALL = 15  # additions: what costs more is vector math


class Declined(Exception):
    """A form raised Unsupported while it was written: its equation is run by eval."""

    def __init__(self, number: int) -> None:
        self.number = number


def lower(program: Program, *, donated: frozenset[int] = frozenset(), inline_math: bool = True) -> Lowered:
    """Compile `program` to text.

    Parameters
    ----------
    donated : inputs whose memory results may take over
    inline_math : put vector math into the loops that call it, so that they are vectorised
    """
    program = program.pruned()  # what nobody reads has no memory to go to
    refused: frozenset[int] = frozenset()
    while True:
        try:
            return _Lowering(program, donated, inline_math, refused).run()
        except Declined as declined:
            refused |= {declined.number}


class _Lowering:
    def __init__(self, program: Program, donated: frozenset[int], inline_math: bool, refused: frozenset[int]) -> None:
        self.program, self.donated, self.inline_math = program, donated, inline_math
        self.values = Values(program, refused)
        self.module = Module(definition)
        self.hosts: list[HostReference] = []
        self.failures: list[tuple[type[Exception], str, Source | None]] = []
        self.kernels: list[Kernel] = []
        self.math_calls = 0
        self.stoppable: set[str] = set()  # kernels that may leave because of an interruption

    # ── the whole ─────────────────────────────────────────────────────────────

    def run(self) -> Lowered:
        outs = self._outputs()
        steps = self._cluster()
        memory = self._memory(steps, outs)
        nests = {i: plan_nest(step, memory, i) for i, step in enumerate(steps) if isinstance(step, Cluster)}
        inplace = takeovers(self.values, steps, outs, self.donated)
        self.taken = {self.program.ins[i]: self.values.base(outs[number]) for number, i in inplace.items()}
        self.buffers = plan_buffers(self.values, steps, nests, outs, memory, set(self.taken.values()))
        self.taken |= self.buffers.over
        calls = [
            self._nest(nests[i], memory) if isinstance(step, Cluster) else self._opaque(i, step)
            for i, step in enumerate(steps)
        ]
        text = self._run_text(calls)
        return Lowered(
            text,
            frozenset(self.module.symbols),
            [v.aval for v in self.program.ins],
            [Out("new", v.aval) for v in outs],
            self.values.constants,
            self.hosts,
            self.failures,
            self.buffers.workspace,
            self.kernels,
            self.program,
            inplace,
        )

    def _outputs(self) -> list[Var]:
        """One value with memory of its own per result; what is no such value is copied into one."""
        values, outs, taken = self.values, [], set()
        for atom in self.program.outs:
            var = atom if isinstance(atom, Var) else None
            base = None if var is None else values.base(var)
            if var is None or base is None or base in taken or isinstance(values.definitions[base], Place):
                made = values.copy(atom)
                outs.append(made)
                base = made
            else:
                outs.append(var)
            taken.add(base)
        return outs

    def _cluster(self) -> list[Any]:
        values, clusters = self.values, Clusters()
        seen: set[int] = set()
        for var in values.order:
            d = values.definitions[var]
            if isinstance(d, Opaque):
                if id(d) not in seen:
                    seen.add(id(d))
                    clusters.opaque(d)
            elif var in values.stored and not isinstance(d, (Place, Alias)):
                for statement in statements_of(values, var):
                    clusters.add(statement)
        return clusters.steps

    def _memory(self, steps: Sequence[Any], outs: Sequence[Var]) -> set[Var]:
        """Values that must be in memory: results, operands of library kernels, and what other clusters read."""
        values = self.values
        memory = {values.base(v) for v in outs}
        makers: dict[Var, set[int]] = {}
        for i, step in enumerate(steps):
            if isinstance(step, Cluster):
                for target in step.made:
                    makers.setdefault(target, set()).add(i)
            else:
                memory.update(step.outs)
                for j, a in enumerate(step.operands):
                    if isinstance(a, Var):
                        memory.add(values.base(step.strided[j][0] if j in step.strided else a))
        memory.update(v for v, where in makers.items() if len(where) > 1)
        for step in steps:
            if isinstance(step, Cluster):
                memory.update(base for base, _ in step.loads if base not in step.made)
                memory.update(map(values.base, step.whole))
        return memory

    # ── kernels ───────────────────────────────────────────────────────────────

    def _pointer(self, b: Builder, frame: Value, ws: Value | None, var: Var) -> Value:
        """The memory of a value, seen from a kernel."""
        slot, offset = self.buffers.place(var)
        if slot is not None:
            return b.load(b.at(frame, slot, None), None)
        assert ws is not None
        return b.emit(f"getelementptr inbounds i8, ptr {ws.ref}, i64 {offset}", None)

    def _nest(self, nest: Nest, memory: set[Var]) -> list[str]:
        """A kernel's function(s), and the lines by which `run` calls them."""
        number, cluster = nest.number, nest.cluster
        needed: list[Any] = []
        for m in cluster.members:
            for item in m.body:
                base = item.key[0]
                if item.point is None and base not in nest.scratch and (base in memory or base not in cluster.made):
                    needed.append(base)
                if isinstance(item.point, Gather):
                    needed.append(item.point.operand)
            target = m.statement.target
            if target in memory:
                needed.append(target)
            if target in nest.partial:
                needed.append(("partial", target))
            if target in nest.scratch:
                needed.append(("scratch", target))
        indexed = cluster.whole or any(m.statement.scatter is not None for m in cluster.members)
        needed = [*dict.fromkeys(needed), *(["failure"] if indexed else [])]
        body = Builder(self.module)
        body.inline = self._inlines(nest)
        pointers = {key: Value(f"%p{i}", None) for i, key in enumerate(needed)}
        for operand, result in self.taken.items():
            if operand in pointers and result in pointers:  # one array, which `noalias` must not make two
                pointers[operand] = pointers[result]
        emitted = kernel.Kernel(nest, body, pointers, memory, Value("%chunk", I64), self._constant, self._failure)
        try:
            emitted.write()
        except Unsupported as error:
            raise Declined(self._culprit(cluster)) from error
        self.math_calls += body.math_calls
        params = "".join(f", ptr noalias %p{i}" for i in range(len(needed)))
        self.module.functions.append(body.function(f"define internal void @k{number}.body(i64 %chunk{params}) #0"))
        outer = Builder(self.module)
        frame = Value("%frame", None)
        self._call_body(outer, frame, needed, nest, f"@k{number}.body", "i64 %chunk")
        self.module.functions.append(outer.function(f"define internal void @k{number}(ptr %frame, i64 %chunk) #0"))
        self._describe(nest)
        lines = [f"k{number}", str(nest.chunks)]
        if nest.partial:
            joiner = Builder(self.module)
            keys = [k for k in needed if k in nest.partial or (isinstance(k, tuple) and k[0] == "partial")]
            keys = list(dict.fromkeys([*keys, *nest.partial]))
            kernel.join(nest, joiner, {key: Value(f"%p{i}", None) for i, key in enumerate(keys)})
            params = ", ".join(f"ptr noalias %p{i}" for i in range(len(keys)))
            self.module.functions.append(joiner.function(f"define internal void @k{number}.join({params}) #0"))
            outer = Builder(self.module)
            self._call_body(outer, frame, keys, nest, f"@k{number}.join", "")
            self.module.functions.append(
                outer.function(f"define internal void @k{number}.joined(ptr %frame, i64 %chunk) #0")
            )
            lines += [f"k{number}.joined", "1"]
        return lines

    def _call_body(self, b: Builder, frame: Value, keys: Sequence[Any], nest: Nest, name: str, first: str) -> None:
        ws = b.load(b.at(frame, self.buffers.last, None), None)
        args = [first] if first else []
        for key in keys:
            if key == "failure":
                args.append(f"ptr {ws.ref}")
            elif isinstance(key, tuple):
                args.append(
                    f"ptr {b.emit(f'getelementptr inbounds i8, ptr {ws.ref}, i64 {nest.where[key]}', None).ref}"
                )
            else:
                args.append(f"ptr {self._pointer(b, frame, ws, key).ref}")
        b.effect(f"call void {name}({', '.join(args)})")

    def _constant(self, key: Any) -> np.ndarray | None:
        """What a load reads, if it is a constant of the program."""
        d = self.values.definitions.get(key[0])
        return self.values.constants[d.index] if isinstance(d, Place) and d.kind == "constant" else None

    def _failure(self, error: type[Exception], message: str, source: Source | None) -> int:
        """The code that `run` returns for a failure."""
        one = (error, message, source)
        if one not in self.failures:
            self.failures.append(one)
        return 1 + self.failures.index(one)

    def _inlines(self, nest: Nest) -> bool:
        """Whether vector math goes into the loops: for many elements always, since calls are not vectorised."""
        size = nest.cluster.size
        if not self.inline_math or size >= LARGE:
            return self.inline_math
        calls = sum(
            isinstance(item.point, Point) and item.point.form.cost >= CALL
            for m in nest.cluster.members
            for item in m.body
        )
        return size > 1 and calls <= FEW and self.math_calls + calls <= INLINED

    def _culprit(self, cluster: Cluster) -> int:
        """The equation whose form raises Unsupported, found by writing each by itself."""
        for m in cluster.members:
            for item in m.body:
                if not isinstance(item.point, Point) or item.point.form is IDENTITY:
                    continue
                b = Builder(Module(definition))
                xs = []
                for k, operand in enumerate(item.operands):
                    dtype = item.point.compute or (
                        np.asarray(raw(operand.value)).dtype if isinstance(operand, Literal) else operand[0].dtype
                    )
                    xs.append(Value(f"%x{k}", dtype))
                try:
                    item.point.form.scalar(b, *xs, **item.point.params)
                except Unsupported:
                    return self._number_of(item.point)
        raise RuntimeError("no form of this kernel declines by itself")

    def _number_of(self, point: Point) -> int:
        for number, eqn in enumerate(self.program.equations()):
            if eqn.op is point.op and eqn.params is point.params and self.values.definitions.get(eqn.outs) is point:
                return number
        raise RuntimeError(f"{point.op.name} is not of this program")

    def _describe(self, nest: Nest) -> None:
        cluster = nest.cluster
        ops: dict[str, None] = {}
        flops, traffic, counted = 0.0, 0, set()
        for m in cluster.members:
            for item in m.body:
                if item.point is not None:
                    ops[item.point.op.name] = None
                    cost = item.point.form.cost if isinstance(item.point, Point) else 1
                    flops += cost * m.statement.size
                elif item.key[0] not in cluster.made and item.key[0] not in counted:
                    counted.add(item.key[0])
                    traffic += item.key[0].aval.size * item.key[0].dtype.itemsize
            if m.statement.name:
                ops[m.statement.name] = None
            if m.statement.target in self.buffers.memory:
                traffic += m.statement.target.aval.size * m.statement.target.dtype.itemsize
        note = (
            f"{nest.cluster.phases} phases over {math.prod(x.extent for x in nest.loops[: nest.rows])} rows"
            if nest.rows
            else ""
        )
        self.kernels.append(Kernel(f"k{nest.number}", list(ops), cluster.extents, traffic, flops, nest.chunks, note))

    # ── library kernels and host calls ────────────────────────────────────────

    def _opaque(self, number: int, step: Opaque) -> list[str]:
        return self._host(number, step) if step.emitter is None else self._library(number, step)

    def _library(self, number: int, step: Opaque) -> list[str]:
        """A kernel of the library: its body takes pointers alone, so that equal ones are compiled once."""
        outer, b = Builder(self.module), Builder(self.module)
        b.inline = True
        frame = Value("%frame", None)
        ws = outer.load(outer.at(frame, self.buffers.last, None), None)
        source = step.eqn.source
        passed: list[Value] = []

        def given(pointer: Value) -> Value:
            passed.append(pointer)
            return Value(f"%p{len(passed) - 1}", None)

        def fail(error: type[Exception], message: str) -> int:
            return self._failure(error, message, source)

        def scratch(nbytes: int) -> Value:
            offset = self.buffers.scratch(number, nbytes)
            return given(outer.emit(f"getelementptr inbounds i8, ptr {ws.ref}, i64 {offset}", None))

        e = Emission(b, scratch, fail, source)
        e.code = given(ws)

        def interruption() -> tuple[Value, Value]:
            self.stoppable.add(f"k{number}")
            context = outer.load(outer.at(frame, 0, None), None)
            own, ask = (outer.load(outer.at(context, slot, None), None) for slot in (2, 3))
            return given(ask), given(own)

        e.interruption = interruption
        operands = []
        for i, atom in enumerate(step.operands):
            if i in step.strided:
                var, offset, strides = step.strided[i]
                pointer = outer.at(self._pointer(outer, frame, ws, var), offset, var.dtype)
                operands.append(Operand(given(pointer), step.operands[i].shape, strides, var.dtype))
            else:
                pointer = self._pointer(outer, frame, ws, atom)
                operands.append(Operand(given(pointer), atom.shape, row_major(atom.shape), atom.dtype))
        results = [
            Operand(given(self._pointer(outer, frame, ws, v)), v.shape, row_major(v.shape), v.dtype) for v in step.outs
        ]
        assert step.emitter is not None
        work = step.emitter.emit(e, operands, results, step.params)
        head = "ptr noalias" if step.emitter.apart else "ptr"
        heads = ", ".join(f"{head} %p{i}" for i in range(len(passed)))
        self.module.functions.append(b.function(f"define internal void @k{number}.body({heads}) #0"))
        outer.effect(f"call void @k{number}.body({', '.join(map(str, passed))})")
        self.module.functions.append(outer.function(f"define internal void @k{number}(ptr %frame, i64 %chunk) #0"))
        traffic = sum(o.size * o.dtype.itemsize for o in (*operands, *results))
        self.kernels.append(
            Kernel(f"k{number}", [step.eqn.op.name], step.outs[0].shape, traffic, work.flops, 1, work.note or "library")
        )
        return [f"k{number}", "1"]

    def _host(self, number: int, step: Opaque) -> list[str]:
        b = Builder(self.module)
        frame = Value("%frame", None)
        ws = b.load(b.at(frame, self.buffers.last, None), None)
        arrays = [*step.operands, *step.outs]
        table = b.allocate(None, max(len(arrays), 1))
        ins = []
        for i, atom in enumerate(arrays):
            if isinstance(atom, Literal):
                var = self.values.scalar(atom)
                ins.append(aval_of(raw(atom.value)))
                atom = var
            elif i < len(step.operands):
                ins.append(atom.aval)
            b.store(self._pointer(b, frame, ws, atom), b.at(table, i, None))
        index = len(self.hosts)
        self.hosts.append(
            HostReference(
                step.eqn.op, step.params, tuple(ins), tuple(v.aval for v in step.outs), step.eqn.source, step.reason
            )
        )
        context = b.load(b.at(frame, 0, None), None)
        host = b.load(context, None)
        own = b.load(b.emit(f"getelementptr i8, ptr {context.ref}, i64 16", None), None)
        code = b.emit(f"call i32 {host.ref}(ptr {own.ref}, i64 {index}, ptr {table.ref})", I32)
        text = b.function(f"define internal i32 @k{number}(ptr %frame) #0", f"ret i32 {code.ref}")
        self.module.functions.append(text)
        traffic = sum(v.aval.size * v.dtype.itemsize for v in arrays if isinstance(v, Var))
        self.kernels.append(
            Kernel(f"k{number}", [step.eqn.op.name], step.outs[0].shape, traffic, 0.0, 1, f"host call: {step.reason}")
        )
        return [f"k{number}", "host"]

    # ── run ───────────────────────────────────────────────────────────────────

    def _run_text(self, calls: Sequence[Sequence[str]]) -> str:
        b = Builder(self.module)
        frame = Value("%frame", None)
        ws = b.load(b.at(frame, self.buffers.last, None), None)
        if self.failures or self.stoppable:
            b.effect(f"store i32 0, ptr {ws.ref}")
        parallel = any(n not in ("1", "host") for line in calls for n in line[1::2])
        context = b.load(b.at(frame, 0, None), None)
        long = [k.flops + k.bytes > LONG for k in self.kernels]
        if parallel or any(long):
            own = b.load(b.emit(f"getelementptr i8, ptr {context.ref}, i64 16", None), None)
        if any(long):
            interrupted = b.load(b.emit(f"getelementptr i8, ptr {context.ref}, i64 24", None), None)
        if parallel:
            pool = b.load(b.emit(f"getelementptr i8, ptr {context.ref}, i64 8", None), None)
            serial = b.emit(f"icmp eq ptr {pool.ref}, null", np.dtype(bool))
        for number, line in enumerate(calls):
            if number and long[number - 1]:
                _stop_if(b, b.emit(f"call i32 {interrupted.ref}(ptr {own.ref})", I32))
            for name, how in zip(line[::2], line[1::2], strict=True):
                if how == "1":
                    b.effect(f"call void @{name}(ptr %frame, i64 0)")
                    if name in self.stoppable:
                        _stop_if(b, b.load(ws, I32), kept=False)
                elif how == "host":
                    _stop_if(b, b.emit(f"call i32 @{name}(ptr %frame)", I32))
                else:
                    one, many, done = b.label("one"), b.label("many"), b.label("done")
                    b.branch_if(serial, one, many)
                    b.start(one)
                    with b.loop(0, int(how)) as chunk:
                        b.effect(f"call void @{name}(ptr %frame, i64 {chunk.ref})")
                    b.branch(done)
                    b.start(many)
                    b.effect(f"call void {pool.ref}(ptr {own.ref}, ptr @{name}, ptr %frame, i64 {how})")
                    b.branch(done)
                    b.start(done)
        code = b.load(ws, I32) if self.failures or self.stoppable else b.const(0, I32)
        self.module.functions.append(b.function("define i32 @run(ptr %frame) #0", f"ret {code}"))
        return self.module.text()


def _stop_if(b: Builder, code: Value, kept: bool = True) -> None:
    """Leave `run` if `code` is not 0: Python has an exception (`kept`), or the code says what is the matter."""
    stop, go = b.label("stop"), b.label("go")
    b.branch_if(b.compare("ne", code, b.like(0, code)), stop, go)
    b.start(stop)
    b.effect("ret i32 -1" if kept else f"ret {code}")
    b.start(go)
