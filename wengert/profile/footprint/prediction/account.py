"""From the record of a shadow run to a report: what eager evaluation writes over is settled, and bytes are added up."""

from __future__ import annotations

from pathlib import Path

from wengert.core.abstract import Abstract
from wengert.core.source import Source, lineno
from wengert.profile.footprint.prediction.record import Block, Pull, Record
from wengert.profile.footprint.prediction.shadow import alone
from wengert.profile.footprint.report import Holding, Line, MemoryReport, Point, Role

PROTOTYPE = Abstract.prototype.__code__


def report(record: Record, name: str, arguments: int) -> MemoryReport:
    """The report of a record."""
    taken = {entry.address for entry in record.log if entry.size > 0}
    for block in record.blocks:
        if block.kind == "given" and block.address in taken:
            block.kind = "literal"
    given = _given(record)
    replaced: dict[int, int] = {}
    reused = _settle(record, replaced)
    steps, mine = record.steps, [b for b in record.blocks if b.kind == "made" and b.nbytes]
    literals = [b for b in record.blocks if b.kind == "literal"]
    changes = [0] * (len(steps) + 2)
    for block in mine:
        changes[min(block.born, len(steps))] += block.nbytes
        if block.died is not None:
            changes[block.died] -= block.nbytes
    within = any(step.within for step in steps)
    found = MemoryReport(name, "predicted", "mixed" if within else "eager", arguments=arguments)
    lines: dict[Source | None, Line] = {}
    live = 0
    for i, step in enumerate(steps):
        live += changes[i]
        held, most = given[i]
        now = live + held - replaced.get(i, 0)
        top = max(now + step.temps, live + most - sum(block.nbytes for block in step.made))
        found.timeline.append(Point(0.0, now, top, step.op, _phase(step.backward), _line(lines, step.source)))
        if step.temps:
            role: Role = "workspace" if step.within else "temporary"
            taken = Holding(step.temps, role, step.op, _line(lines, step.source), _phase(step.backward))
            taken.born, taken.died, taken.used, taken.within = i, i + 1, i, step.within
            found.holdings.append(taken)
    live += changes[len(steps)]
    held, most = given[len(steps)]
    if changes[len(steps)] or most or not steps:
        found.timeline.append(Point(0.0, live + held, live + max(held, most), "end"))
    tops = [p.top for p in found.timeline]
    found.peak = max(tops)
    found.peak_at = tops.index(found.peak)
    found.end = live + held
    found.holdings += [_holding(b, lines) for b in (*mine, *literals)]
    found.holdings += [_argument(b) for b in record.blocks if b.kind == "argument"]
    found.allocated = sum(b.nbytes for b in mine) + sum(s.temps for s in steps)
    if record.packed:
        found.notes.append(
            "what a tape keeps is put away by a hook or for a budget; it is counted as if it were kept as it is"
        )
    found.reused, found.tensors = reused, len(mine)
    return found


def _given(record: Record) -> list[tuple[int, int]]:
    """At each step, and at the end, the bytes of arrays that NumPy has made itself, and the most of them since the step before.
    What finding out shapes has taken is left out."""
    sizes: dict[int, int] = {}
    found, live, at = [], 0, 0
    for began, ended in (*(step.marks for step in record.steps), (len(record.log), len(record.log))):
        most = live
        for number in range(at, ended):
            entry = record.log[number]
            if entry.size < 0:
                live -= sizes.pop(entry.address, 0)
            elif number < began and not (entry.frames and entry.frames[0][0] is PROTOTYPE):
                sizes[entry.address] = entry.size
                live += entry.size
                most = max(most, live)
        at = max(at, ended)
        found.append((live, most))
    return found


def _settle(record: Record, replaced: dict[int, int]) -> int:
    """What dies in the step that writes over it dies before that step; the bytes of that. `replaced` gets those of arrays of
    NumPy's own, by steps."""
    reused = 0
    for number, step in enumerate(record.steps):
        for block in step.made if step.numpys else ():
            if block.died == number + 1:
                block.nbytes = 0
        for block in step.over:
            if block.kind in ("made", "literal") and block.died == number + 1:
                if block.kind == "literal":
                    replaced[number] = replaced.get(number, 0) + block.nbytes
                block.died = number
                reused += block.nbytes
                break
    for pull in record.pulls:
        reused += _overwritten(record, pull) + _accumulated(record, pull)
    return reused


def _overwritten(record: Record, pull: Pull) -> int:
    """The cotangent that a rule has written over, if the sweep alone held it."""
    ct = pull.ct
    if pull.op.overwrite is None or ct is None or not ct.own or ct.kind != "made" or pull.held != alone():
        return 0
    for made in pull.made:
        if made is not ct and made.born >= pull.start and made.shape == ct.shape and made.dtype == ct.dtype:
            if pull.copied:  # where the shadow has a view of the cotangent
                part = Block(pull.copied, (), ct.dtype, pull.start, "index", pull.source, True, pull, died=ct.died)
                record.blocks.append(part)
            ct.died = made.born
            return ct.nbytes
    return 0


def _accumulated(record: Record, pull: Pull) -> int:
    """What was added in place was not made."""
    number = pull.added
    if number < pull.start or not record.steps[number].over:
        return 0
    known = record.steps[number].over[0]
    if known.kind != "made" or known.died != number:  # as settled above: nobody else holds it
        return 0
    for step in record.steps[pull.start : number]:
        step.temps = 0
        for block in step.made:
            block.nbytes = 0
    record.steps[pull.start].temps = pull.gathered
    return 0


def _phase(backward: bool) -> str:
    return "backward" if backward else "forward"


def _line(lines: dict[Source | None, Line], source: Source | None) -> Line:
    found = lines.get(source)
    if found is None:
        found = lines[source] = Line.of(source)
    return found


def _holding(block: Block, lines: dict[Source | None, Line]) -> Holding:
    role, why = _role(block)
    phase, shape, dtype = _phase(block.backward), block.shape, block.dtype.name
    line = _line(lines, block.source)
    return Holding(
        block.nbytes, role, block.op, line, phase, shape, dtype, block.born, block.died, block.used, why
    )  # fmt: skip


def _role(block: Block) -> tuple[Role, str]:
    if block.kind == "literal":
        return "constant", ""
    if block.result:
        return "result", ""
    if block.backward and not block.again:
        alone = block.pulled is not None and block.died is not None and block.died <= block.pulled.end
        return ("temporary" if alone else "cotangent"), ""
    if block.reader is not None:
        return "residual", kept_for(*block.reader)
    return "value", ""


def kept_for(op: str, source: Source | None) -> str:
    """Why a residual is kept."""
    if source is None or source[0] is None:
        return f"kept for the pullback of {op}"
    return f"kept for the pullback of {op} at {Path(source[0].co_filename).name}:{lineno(source)}"


def _argument(block: Block) -> Holding:
    return Holding(block.nbytes, "argument", shape=block.shape, dtype=block.dtype.name, used=block.used)
