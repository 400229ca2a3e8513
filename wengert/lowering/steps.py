"""One Program as kernels: values, statements, clusters, buffers, and the text of what computes each step."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property
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
from wengert.lowering.control import PLANS
from wengert.lowering.control.bodies import Flow, Lower, Plan
from wengert.lowering.control.places import begun, misplaced, ordered, reads, small_reads
from wengert.lowering.donation import Allowed, of, takeovers
from wengert.lowering.emission import Emission, Operand, row_major
from wengert.lowering.lowered import HostReference, Kernel
from wengert.lowering.nest import Nest
from wengert.lowering.nest import plan as plan_nest
from wengert.lowering.order import awaited
from wengert.lowering.statements import statements_of
from wengert.lowering.text import I32, I64, Builder, Module, Value
from wengert.lowering.unit import Site, Unit
from wengert.lowering.values import IDENTITY, Alias, Gather, Opaque, Place, Point, Values
from wengert.lowering.vecmath import definition

INLINED = 48  # calls of vector math that are worth their code in one module
FEW = 12  # such calls in a small loop
LARGE = 4096  # elements
CALL = 15  # additions: what costs more is vector math


class Declined(Exception):
    """A form raised Unsupported while it was written: its equation is run by eval."""

    def __init__(self, number: int) -> None:
        self.number = number


class Steps:
    """The kernels of one Program, called from `run` or from a body.

    allowed : which results may take over the memory of which operands
    fresh : whether also results that are written in full may
    refused : equations whose form has declined
    """

    head = 0  # bytes of the workspace that are taken
    chunked = True  # whether kernels are cut into chunks; those of loops' bodies are not
    prefix = ""  # of names of functions
    chunk = "i64 %chunk"  # the number of the chunk, as its kernel is given it

    def __init__(
        self, unit: Unit, program: Program, allowed: Allowed, fresh: bool, refused: Sequence[int], lower: Lower
    ) -> None:
        self.unit, self.module, self.program, self.lower = unit, unit.module, program, lower
        self.allowed, self.fresh, self.refused = allowed, fresh, refused
        self.kernels: list[Kernel] = []
        self.stoppable: set[str] = set()  # kernels that may leave a code, and leave early
        self.stops = False  # whether any step can leave a code
        self.taken: dict[Var, Var] = {}

    # ── the plan ──────────────────────────────────────────────────────────────

    def plan(self) -> list[list[str]]:
        """Plan everything, write all kernels, and tell how each step is called."""
        steps, outs = self._arranged()
        memory = self._memory(steps, outs)
        nests = {}
        for i, step in enumerate(steps):
            if isinstance(step, Cluster):
                nests[i] = nest = plan_nest(step, memory, i)
                if not self.chunked:
                    nest.chunks, nest.partial = 1, {}
        self.inplace = takeovers(self.values, steps, outs, self.allowed, self.over, self.fresh)
        self.taken = {self.program.ins[i]: self.values.base(outs[number]) for number, i in self.inplace.items()}
        donated = set(self.taken.values())
        self.buffers = plan_buffers(self.values, steps, nests, outs, memory, donated, self.over, self.head)
        self.taken |= self.buffers.over
        self.outs = outs
        self.start()
        return [
            self._nest(nests[i], memory) if isinstance(step, Cluster) else self._opaque(i, step)
            for i, step in enumerate(steps)
        ]

    def start(self) -> None:
        """Called when the memory is planned, before kernels are written."""

    def _arranged(self) -> tuple[list[Any], list[Var]]:
        """Steps in order, and results. What would be written over too early is not made in place."""
        banned: set[Var] = set()
        while True:
            self.values = Values(self.program, self.refused, repeated=not self.chunked)
            self.plans = self._plans()
            self.over = begun(self.values, self._allowed, banned, self.plans)
            outs = self._outputs()
            small_reads(self.values, self.over)
            steps = self._cluster()
            wrong = misplaced(self.values, steps, self.over)
            if not wrong:
                return steps, outs
            banned |= wrong

    def _allowed(self, result: Var, operand: int) -> bool:
        number = next(
            n for n, v in enumerate(self.program.outs) if isinstance(v, Var) and self.values.base(v) is result
        )
        return operand in of(self.allowed, number)

    def _plans(self) -> dict[int, Plan]:
        """The plans of loops, branches and calls that have bodies, by their definitions."""
        plans: dict[int, Plan] = {}
        for d in self.values.definitions.values():
            if isinstance(d, Opaque) and d.control and id(d) not in plans:
                try:
                    plans[id(d)] = PLANS[d.control](self.lower, [a.aval for a in d.operands], d.params)  # type: ignore
                except Unsupported as error:
                    raise Declined(d.number) from error
        return plans

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
        for var in ordered(values, self.over):
            d = values.definitions[var]
            if isinstance(d, Opaque):
                if id(d) not in seen:
                    seen.add(id(d))
                    clusters.opaque(d)
            elif var in values.stored and not isinstance(d, (Place, Alias)):
                self._add(clusters, var)
        return clusters.steps

    def _add(self, clusters: Clusters, var: Var) -> None:
        statements, source = statements_of(self.values, var), self.over.get(var)
        if source is None:
            for statement in statements:
                clusters.add(statement)
            return
        for statement in statements[1:]:  # the first would copy what is there already
            before = [i for i, step in enumerate(clusters.steps) if source in reads(self.values, step)]
            clusters.where[source] = max([clusters.where.get(source, -1), *before])
            statement.whole |= {source}
            clusters.add(statement)

    def _memory(self, steps: Sequence[Any], outs: Sequence[Var]) -> set[Var]:
        """Values that must be in memory: results, operands of library kernels, and what other clusters read."""
        values = self.values
        memory = {values.base(v) for v in outs} | set(self.over) | set(self.over.values())
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
        if values.after:  # what is waited for is made, even if nobody reads it
            read = memory.union(*({base for base, _ in step.loads} for step in steps if isinstance(step, Cluster)))
            memory |= awaited(values, values.after) - read
        return memory

    # ── kernels ───────────────────────────────────────────────────────────────

    def site(self) -> Site:
        """Where the next kernel is called from."""
        raise NotImplementedError

    def seal(self, site: Site, name: str) -> None:
        """The call has been written."""
        raise NotImplementedError

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
        self.unit.math_calls += body.math_calls
        name = self.prefix + f"k{number}"
        params = "".join(f", ptr noalias %p{i}" for i in range(len(needed)))
        self.module.functions.append(body.function(f"define internal void @{name}.body(i64 %chunk{params}) #0"))
        site = self.site()
        self._call_body(site, needed, nest, f"@{name}.body", self.chunk)
        self.seal(site, name)
        self._describe(nest)
        lines = [name, str(nest.chunks)]
        if nest.partial:
            joiner = Builder(self.module)
            keys = [k for k in needed if k in nest.partial or (isinstance(k, tuple) and k[0] == "partial")]
            keys = list(dict.fromkeys([*keys, *nest.partial]))
            kernel.join(nest, joiner, {key: Value(f"%p{i}", None) for i, key in enumerate(keys)})
            params = ", ".join(f"ptr noalias %p{i}" for i in range(len(keys)))
            self.module.functions.append(joiner.function(f"define internal void @{name}.join({params}) #0"))
            site = self.site()
            self._call_body(site, keys, nest, f"@{name}.join", "")
            self.seal(site, f"{name}.joined")
            lines += [f"{name}.joined", "1"]
        return lines

    def _call_body(self, site: Site, keys: Sequence[Any], nest: Nest, name: str, first: str) -> None:
        args = [first] if first else []
        for key in keys:
            if key == "failure":
                args.append(str(site.code))
            elif isinstance(key, tuple):
                args.append(str(site.work(nest.where[key])))
            else:
                args.append(str(site.pointer(key)))
        site.b.effect(f"call void {name}({', '.join(args)})")

    def _constant(self, key: Any) -> np.ndarray | None:
        """What a load reads, if it is a constant of the program."""
        d = self.values.definitions.get(key[0])
        return self.values.constants[d.index] if isinstance(d, Place) and d.kind == "constant" else None

    def _failure(self, error: type[Exception], message: str, source: Source | None) -> int:
        self.stops = True
        return self.unit.failure(error, message, source)

    def _inlines(self, nest: Nest) -> bool:
        """Whether vector math goes into the loops: for many elements always, since calls are not vectorised."""
        size = nest.cluster.size
        if not self.unit.inline_math or size >= LARGE:
            return self.unit.inline_math
        calls = sum(
            isinstance(item.point, Point) and item.point.form.cost >= CALL
            for m in nest.cluster.members
            for item in m.body
        )
        return size > 1 and calls <= FEW and self.unit.math_calls + calls <= INLINED

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
            if m.reduced or m.statement.kind == "into" or m.statement.scatter is not None:
                flops += m.statement.size
            target = m.statement.target
            if target in self.buffers.memory:
                traffic += (m.statement.size if target in self.over else target.aval.size) * target.dtype.itemsize
        note = (
            f"{nest.cluster.phases} phases over {math.prod(x.extent for x in nest.loops[: nest.rows])} rows"
            if nest.rows
            else ""
        )
        sources, dtype = self._sources(cluster), str(cluster.members[0].statement.target.dtype)
        name, of = f"{self.prefix}k{nest.number}", list(ops)
        self.kernels.append(Kernel(name, of, cluster.extents, traffic, flops, nest.chunks, note, sources, dtype=dtype))

    def _sources(self, cluster: Cluster) -> list[tuple[str, Source | None]]:
        """What is computed in a loop nest, and where the user has written it."""
        found: dict[tuple[str, Source | None], None] = {}
        for m in cluster.members:
            for item in m.body:
                if item.point is not None:
                    found[item.point.op.name, item.point.source] = None
            if m.statement.name:
                found[m.statement.name, self._lines.get(m.statement.target)] = None
        return list(found)

    @cached_property
    def _lines(self) -> dict[Var, Source | None]:
        """Where each value of the program is computed."""
        return {v: eqn.source for eqn in self.program.equations() for v in eqn.results}

    # ── library kernels, control flow and host calls ──────────────────────────

    def _opaque(self, number: int, step: Opaque) -> list[str]:
        name = self.prefix + f"k{number}"
        if step.control:
            self._control(name, number, step)
        elif step.emitter is not None:
            self._library(name, number, step)
        else:
            self._host(name, step)
        return [name, "1"]

    def _scratch(self, number: int, site: Site, given: Any) -> Any:
        return lambda nbytes: given(site.work(self.buffers.scratch(number, nbytes)))

    def _library(self, name: str, number: int, step: Opaque) -> None:
        """A kernel of the library: its body takes pointers alone, so that equal ones are compiled once."""
        site, b = self.site(), Builder(self.module)
        b.inline = True
        passed = Passed()
        source = step.eqn.source

        def fail(error: type[Exception], message: str, at: Source | None = source) -> int:
            return self._failure(error, message, at)

        e = Emission(b, self._scratch(number, site, passed), fail, source)
        e.code = passed(site.code)

        def interruption() -> tuple[Value, Value]:
            self.stoppable.add(name)
            self.stops = self.unit.stops = True
            own, ask = (site.b.load(site.b.at(site.context, slot, None), None) for slot in (2, 3))
            return passed(ask), passed(own)

        e.interruption = interruption
        operands = []
        for i, atom in enumerate(step.operands):
            if i in step.strided:
                var, offset, strides = step.strided[i]
                pointer = site.b.at(site.pointer(var), offset, var.dtype)
                operands.append(Operand(passed(pointer), step.operands[i].shape, strides, var.dtype))
            else:
                pointer = passed(site.pointer(atom), self.buffers.home(atom))
                operands.append(Operand(pointer, atom.shape, row_major(atom.shape), atom.dtype))
        results = [
            Operand(passed(site.pointer(v), self.buffers.home(v)), v.shape, row_major(v.shape), v.dtype)
            for v in step.outs
        ]
        assert step.emitter is not None
        try:
            work = step.emitter.emit(e, operands, results, step.params)
        except Unsupported as error:
            raise Declined(step.number) from error
        head = "ptr noalias" if step.emitter.apart else "ptr"
        heads = ", ".join(f"{head} %p{i}" for i in range(len(passed.values)))
        self.module.functions.append(b.function(f"define internal void @{name}.body({heads}) {work.attributes} #0"))
        site.b.effect(f"call void @{name}.body({', '.join(map(str, passed.values))})")
        self.seal(site, name)
        changed = [v for v in step.outs if v in self.over]  # in place: no more of it than is put there
        arrays = [*operands, *results] if not changed else operands[1:]
        traffic = sum(o.size * o.dtype.itemsize for o in arrays)
        domain = step.outs[0].shape if step.outs else ()
        made = Kernel(name, [step.eqn.op.name], domain, traffic, work.flops, 1, work.note or "library")
        self._step(step, "library call", made)

    def _control(self, name: str, number: int, step: Opaque) -> None:
        """A loop, branch or call. Its body's function is called by its kernel, which takes pointers."""
        site, b, passed = self.site(), Builder(self.module), Passed()
        context, code = passed(site.context), passed(site.code)
        ins = [passed(site.pointer(v), self.buffers.home(v)) for v in step.operands]
        outs = [passed(site.pointer(v), self.buffers.home(v)) for v in step.outs]
        flow = Flow(self.unit, b, context, code, ins, outs, self._scratch(number, site, passed), step.eqn.source)
        found = self.plans[id(step)].emit(flow)
        heads = ", ".join(f"ptr %p{i}" for i in range(len(passed.values)))
        self.module.functions.append(b.function(f"define internal void @{name}.body({heads}) #0"))
        if flow.stops:
            self.stoppable.add(name)
            self.stops = True
        site.b.effect(f"call void @{name}.body({', '.join(map(str, passed.values))})")
        self.seal(site, name)
        inner = [k for body in found.bodies for k in body.kernels]
        ops = [step.eqn.op.name, *(op for k in inner for op in k.ops)]
        made = Kernel(name, ops, found.domain, found.bytes, found.flops, 1, found.note, inner=inner)
        self._step(step, "control flow", made)

    def _host(self, name: str, step: Opaque) -> None:
        site = self.site()
        b = site.b
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
            b.store(site.pointer(atom), b.at(table, i, None))
        index = len(self.unit.hosts)
        outs = tuple(v.aval for v in step.outs)
        self.unit.hosts.append(HostReference(step.eqn.op, step.params, tuple(ins), outs, step.eqn.source, step.reason))
        host = b.load(site.context, None)
        own = b.load(b.at(site.context, 2, None), None)
        answer = b.emit(f"call i32 {host.ref}(ptr {own.ref}, i64 {index}, ptr {table.ref})", I32)
        with b.when(b.compare("ne", answer, b.like(0, answer))):
            b.effect(f"store i32 -1, ptr {site.code.ref}")
        self.stoppable.add(name)
        self.stops = self.unit.stops = True
        self.seal(site, name)
        traffic = sum(v.aval.size * v.dtype.itemsize for v in arrays if isinstance(v, Var))
        domain = step.outs[0].shape if step.outs else ()
        made = Kernel(name, [step.eqn.op.name], domain, traffic, 0.0, 1, f"host call: {step.reason}")
        self._step(step, "host call", made)

    def _step(self, step: Opaque, kind: Any, made: Kernel) -> None:
        """Describe what is no loop nest."""
        made.kind, made.sources = kind, [(step.eqn.op.name, step.eqn.source)]
        made.dtype = str(step.outs[0].dtype) if step.outs else made.dtype
        self.kernels.append(made)


class Passed:
    """The pointers that a kernel is given, and their names in it. What lies in one place has one name."""

    def __init__(self) -> None:
        self.values: list[Value] = []
        self._homes: dict[Var, Value] = {}

    def __call__(self, pointer: Value, home: Var | None = None) -> Value:
        if home is not None and home in self._homes:
            return self._homes[home]
        self.values.append(pointer)
        name = Value(f"%p{len(self.values) - 1}", None)
        if home is not None:
            self._homes[home] = name
        return name
