"""Compiled programs: the memory of a call, from the plan of its lowering. No machine code is made."""

from __future__ import annotations

from wengert.core.sizes import shown
from wengert.core.source import is_backward
from wengert.lowering.composition import Composition, Piece, composition
from wengert.lowering.host import host_bytes
from wengert.lowering.lowered import Kernel, Lowered
from wengert.ops.temporaries import nbytes_of
from wengert.profile.footprint.prediction.account import kept_for
from wengert.profile.footprint.prediction.trips import stack_bytes, stacks
from wengert.profile.footprint.report import Holding, Line, MemoryReport, Point, phase_of


def holdings(plan: Lowered, name: str = "") -> list[Holding]:
    """What the memory of a call is made of: `born` and `died` are steps (kernels), of which a call goes through all. Constants are
    listed, and held by none of them."""
    found = [_holding(piece, name) for piece in composition(plan).pieces if piece.nbytes]
    for constant in plan.constants:
        shape, dtype = constant.shape, constant.dtype.name
        found.append(Holding(constant.nbytes, "constant", shape=shape, dtype=dtype, died=0, within=name))
    for kernel, each, trips in stacks(plan):
        if trips is not None:
            line, _ = _place(kernel)
            kept = Holding(stack_bytes(each, trips), "residual", kernel.ops[0], line, "backward", (trips,), within=name)
            kept.born = kept.used = plan.kernels.index(kernel)
            kept.died, kept.why = kept.born + 1, f"{each} bytes for each of {trips} trips"
            found.append(kept)
    for step, nbytes in enumerate(host_bytes(plan)):
        if nbytes:
            kernel = plan.kernels[step]
            line, phase = _place(kernel)
            taken = Holding(nbytes, "temporary", kernel.ops[0], line, phase, born=step, died=step + 1, within=name)
            taken.used, taken.why = step, "arrays of a call to NumPy"
            found.append(taken)
    return found


def report(plan: Lowered, name: str) -> MemoryReport:
    """The report of one call."""
    parts, found = composition(plan), MemoryReport(name, "predicted", "jit")
    found.arguments = sum(map(nbytes_of, plan.ins))
    found.holdings = [Holding(nbytes_of(a), "argument", shape=a.shape, dtype=a.dtype.name) for a in plan.ins]
    found.holdings += holdings(plan, name)
    fixed, host = parts.results, host_bytes(plan) or [0]
    for kernel, each, trips in stacks(plan):
        host[plan.kernels.index(kernel)] += 0 if trips is None else stack_bytes(each, trips)
    for step, extra in enumerate(host):
        line, phase = _place(parts.kernels[step]) if parts.kernels else (Line(), "forward")
        ops = "+".join(parts.kernels[step].ops) if parts.kernels else "call"
        live = fixed + parts.filled(step)
        found.timeline.append(Point(0.0, live, fixed + plan.workspace + extra, ops, phase, line))
    found.peak_at = max(range(len(host)), key=lambda step: (host[step], parts.filled(step)))
    found.peak = found.timeline[found.peak_at].top
    slack = plan.workspace - parts.filled(found.peak_at)
    if slack:
        gap = Holding(slack, "other", "workspace", born=found.peak_at, died=found.peak_at + 1, within=name)
        gap.why = "parts of the workspace that hold nothing in this step"
        found.holdings.append(gap)
    found.end = fixed
    found.allocated = sum(h.nbytes for h in found.holdings if h.role not in ("argument", "constant", "other"))
    found.reused = max(found.allocated - found.peak, 0)
    found.tensors = sum(h.role not in ("argument", "other", "temporary") for h in found.holdings)
    found.notes = _notes(plan, parts)
    return found


def _holding(piece: Piece, name: str) -> Holding:
    line, phase = Line.of(piece.source), phase_of(piece.source)
    found = Holding(piece.nbytes, piece.role, piece.op, line, phase, piece.shape, piece.dtype)
    found.born, found.used, found.within = piece.first, piece.last, name
    found.died = None if piece.role == "result" else piece.last + 1
    if piece.reader is not None:
        found.why = kept_for(*piece.reader)
    return found


def _place(kernel: Kernel) -> tuple[Line, str]:
    """The line of a kernel's last op, and its phase: backward if any of its ops is."""
    sources = [source for _, source in kernel.sources if source is not None]
    if not sources:
        return Line(), "forward"
    return Line.of(sources[-1]), "backward" if any(map(is_backward, sources)) else "forward"


def _notes(plan: Lowered, parts: Composition) -> list[str]:
    notes = []
    if plan.constants:
        kept = shown(sum(c.nbytes for c in plan.constants))
        notes.append(
            f"{kept} of constants are held by the compiled function, as long as it lives; they are not in the peak"
        )
    if parts.hosted:
        notes.append(
            f"{parts.hosted} values lie in the memory of results that are made later, and take none of their own"
        )
    for kernel, each, trips in stacks(plan):
        if trips is None:
            notes.append(
                f"{Line.of(kernel.sources[0][1])}: the loop keeps {each} bytes of residuals for each trip, in memory that doubles"
                " as it grows; their number is not known before it runs, and they are not counted"
            )
    return notes
