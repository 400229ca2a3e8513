"""From what a meter counted and what the library told of meanwhile: every piece of memory with its line, op, role and time.

The meter's log has each piece of memory that was taken or given back, in order. Events of the core (`core/events.py`) say at which
entry of the log an op, a pullback or a sweep had ended, and at which addresses its arrays lie. Here the two are joined, after the run:
nothing that was measured was held for it.

A piece that no event names is a *temporary* if it came and went within one op. What is left is "other": plain NumPy of the user's, at
the user's line, and what ops keep for themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from wengert.core.source import Source
from wengert.graph.atoms import Var
from wengert.graph.residuals import Residual
from wengert.profile.footprint.calls import Calls, Note, Outside, user_of
from wengert.profile.footprint.meter import AGAIN, BLOCK, STACK, WORKSPACE, Entry
from wengert.profile.footprint.report import Holding, Line, MemoryReport, Point, Role, phase_of

SLIGHT = 4096  # bytes within an op that are no point of their own, if they make no peak
MOST = 20_000  # holdings in a report; the smallest are left out, and said so
POINTS = 100_000  # of a timeline
RANK: dict[str, int] = {"": 0, "other": 1, "temporary": 1, "value": 2, "cotangent": 3, "residual": 4, "result": 5}


@dataclass(slots=True)
class Piece:
    """One piece of memory, while it was held."""

    entry: Entry
    note: int
    born: int = 0
    role: str = ""
    op: str = ""
    name: str = ""
    source: Source | None = None
    phase: str = ""
    shape: tuple[int, ...] = ()
    dtype: str = ""
    died: int | None = None
    left: int | None = None  # the note before which it died
    used: int | None = None
    readers: list[tuple[str, Source | None]] = field(default_factory=list)
    within: str = ""

    def be(self, role: str) -> None:
        if RANK.get(role, 2) > RANK.get(self.role, 2):
            self.role = role


class Attribution:
    """Joins the log of a meter with notes; `report` is what comes out.

    outside : by address, arrays that the log does not know
    origin : the log's clock when the notes' seconds began
    caller : the line of compiled calls that come from no line of the user's
    """

    def __init__(
        self,
        entries: Sequence[Entry],
        notes: list[Note],
        outside: dict[int, Outside],
        origin: int,
        caller: Source | None = None,
    ) -> None:
        self.entries, self.outside, self.caller = entries, outside, caller
        self.pieces: list[Piece] = []
        self.at: dict[int, Piece] = {}  # what lies at an address now
        self.of: dict[Var, Piece] = {}
        self.phases: dict[Var, str] = {}
        self.points: list[Point] = []
        self.live = self.top = self.reused = 0
        self.why: dict[int, Residual] = {}  # of arrays from outside
        self.lines: dict[Source | None, Line] = {}
        self.calls = Calls(entries, origin, caller)
        self.notes = self._phased(
            sorted(self.calls.notes([n for n in notes if n.kind == "compiled"]) + notes, key=lambda n: n.mark)
        )
        self.number = done = 0
        for number, note in enumerate(self.notes):
            self.number = number
            done = self._interval(done, note)
            self._named(note)

    @staticmethod
    def _phased(notes: list[Note]) -> list[Note]:
        """Calls are in the phase of what comes next: where phases change, there is a note."""
        phase = ""
        for note in reversed(notes):
            if note.kind == "ran":
                note.phase = phase
            phase = note.phase
        return notes

    # ── one interval of the log, up to a note ─────────────────────────────────

    def _interval(self, start: int, note: Note) -> int:
        """Take and give back what the log says. If there was more in between than before and after, that is a point of its own."""
        end = max(start, min(note.mark, len(self.entries)))
        before = top = self.live
        where = start
        born: list[tuple[int, Piece]] = []
        died: list[tuple[int, Piece]] = []
        for i in range(start, end):
            entry = self.entries[i]
            if entry.size > 0:
                piece = self.at[entry.address] = Piece(entry, self.number)
                born.append((i, piece))
                self.pieces.append(piece)
                self.live += entry.size
                self.reused += entry.size if entry.what & AGAIN else 0
                if self.live > top:
                    top, where = self.live, i + 1
            elif (gone := self.at.pop(entry.address, None)) is not None:
                gone.left = self.number
                died.append((i, gone))
                self.live += entry.size
        about = note.seconds, note.name or (note.op.name if note.op else ""), self._phase(note), self._line(note.source)
        if top > max(before, self.live) + (SLIGHT if top <= self.top else 0):
            self._point(top, top, *about)
        else:
            where = start
        if note.kind == "ran":
            made = [piece for _, piece in born if piece.entry.spec and not self.calls.is_workspace(piece.entry)]
            for i, piece in enumerate(made):
                piece.shape, piece.dtype = self.calls.result(note, i)
        self._point(self.live, max(top, self.live), *about)
        self.top = max(self.top, top)
        after = len(self.points) - 1
        for i, piece in born:
            piece.born = after - (i < where)
        for i, piece in died:
            piece.died = after - (i < where)
        return end

    def _point(self, live: int, top: int, seconds: float, op: str, phase: str, line: Line) -> None:
        self.points.append(Point(seconds, live, top, op, phase, line))

    # ── what a note tells of pieces ───────────────────────────────────────────

    def _phase(self, note: Note) -> str:
        if note.kind in ("cotangent", "accumulated", "swept"):
            for var in note.vars:
                if var is not None and self.phases.get(var, "forward") != "forward":
                    return f"{self.phases[var]}, backward"
            return "backward"
        return note.phase or ("compiling" if note.kind in ("traced", "compiled") else "forward")

    def _named(self, note: Note) -> None:
        now = len(self.points) - 1
        for address in (*note.read, *note.kept):
            if (piece := self.at.get(address)) is not None:
                piece.used = now
        for var in note.ins if note.kind == "recorded" else ():
            if isinstance(var, Var) and (piece := self.of.get(var)) is not None:
                piece.used = now
        role = {"recorded": "value", "evaluated": "value", "cotangent": "cotangent", "accumulated": "cotangent"}
        if note.kind in role:
            self._made(note, role[note.kind])
        reader = (note.op.name if note.op else "", note.source)
        for address in note.kept if note.kind == "recorded" else ():
            piece = self.at.get(address)
            if piece is not None:
                if not piece.role:
                    piece.name = "constant"
                piece.be("residual")
                piece.readers.append(reader)
            elif (info := self.outside.get(address)) is not None:
                known = self.why.setdefault(
                    address, Residual(info.nbytes, info.shape, np.dtype(float), "argument", None)
                )
                known.readers.append(reader)

    def _made(self, note: Note, role: str) -> None:
        op = note.op.name if note.op else note.name
        phase = self._phase(note)
        for i, address in enumerate(note.outs):
            piece = self.at.get(address)
            vars_ = note.vars if role == "value" else note.ins
            var = vars_[i] if i < len(vars_) else None
            if piece is None:
                continue
            if isinstance(var, Var) and role == "value":
                self.of[var], self.phases[var] = piece, phase
            again = note.fresh and bool(piece.op) and piece.note != self.number
            if again:
                self.reused += piece.entry.size
            if again or not piece.op:
                piece.op, piece.source, piece.phase = op, note.source, phase
                if isinstance(var, Var):
                    piece.shape, piece.dtype = tuple(var.shape), str(var.dtype)
            piece.be(role)

    # ── the report ────────────────────────────────────────────────────────────

    def _line(self, source: Any) -> Line:
        key = None if source is None or source[0] is None else source
        if key not in self.lines:
            self.lines[key] = Line.of(key)
        return self.lines[key]

    def _settle(self, piece: Piece, results: set[int]) -> None:
        """Its role, if no event gave it one."""
        note, kind = self.notes[piece.note], piece.entry.what & 15
        source, inside = user_of(piece.entry)
        compiled = self.calls.spec(piece.entry)
        if not piece.phase:
            piece.phase = self._phase(note)
        if compiled or kind in (WORKSPACE, BLOCK, STACK):
            self._of_program(piece, note, compiled, kind, source)
        elif not piece.role and inside:
            piece.op = piece.op or note.name or (note.op.name if note.op else "")
            piece.source = piece.source or note.source or source
            kept = "constant" if note.kind in ("traced", "compiled") else "other"
            piece.role = "temporary" if piece.left == piece.note and piece.op else kept
        elif not piece.role:
            piece.role, piece.source = "other", source
        elif piece.source is None:
            piece.source = source or note.source
        if piece.name == "constant" and piece.role == "residual":
            piece.role = "constant"
        if piece.died is None and piece.entry.address in results:
            piece.role = "result"

    def _of_program(self, piece: Piece, note: Note, spec: int, kind: int, source: Source | None) -> None:
        source = source or self.caller
        inner = note.name if note.kind == "ran" or not spec else self.calls.name(spec)
        piece.within = inner
        piece.op = piece.op or inner
        piece.source = piece.source or source or note.source
        backward = inner == "backward" or piece.phase.endswith("backward")
        if backward and "backward" not in piece.phase:
            piece.phase = "backward"
        if kind == STACK:
            piece.role, piece.op = "residual", "while_loop"
            piece.readers.append(("while_loop", piece.source))
        elif self.calls.is_workspace(piece.entry):
            piece.role = "workspace"
        elif not piece.role:
            piece.role = "cotangent" if backward else "value"

    def _holding(self, piece: Piece) -> Holding:
        why = ""
        if piece.readers:
            dtype = np.dtype(piece.dtype or float)
            why = Residual(piece.entry.size, piece.shape, dtype, "result", readers=piece.readers).why
        role: Any = piece.role
        line, life = self._line(piece.source), (piece.born, piece.died, piece.used)
        what = piece.phase, piece.shape, piece.dtype
        return Holding(piece.entry.size, role, piece.op, line, *what, *life, why, within=piece.within)

    def _holdings(self, pieces: Sequence[Piece]) -> list[Holding]:
        """Those of pieces; a workspace by what is in it when it is fullest."""
        found: list[Holding] = []
        for piece in pieces:
            holding = self._holding(piece)
            parts = self.calls.parts(piece.entry) if piece.role == "workspace" else []
            for part in parts:
                role: Any = part.role
                reader = [part.reader] if part.reader else []
                why = Residual(0, (), np.dtype(float), "result", readers=reader).why if reader else ""
                phase = phase_of(part.source) if piece.phase == "forward" else piece.phase
                what = phase, tuple(part.shape), part.dtype
                life = piece.born, piece.died, piece.used
                line = self._line(part.source)
                found.append(Holding(part.nbytes, role, part.op, line, *what, *life, why, within=piece.within))
            holding.nbytes -= sum(part.nbytes for part in parts)
            if holding.nbytes:
                found.append(holding)
        return found

    def _outside(self) -> list[Holding]:
        """Arrays that were there before: arguments, and constants of programs, which are never held by the run."""
        found = []
        for address, (nbytes, shape, dtype) in self.outside.items():
            known = self.why.get(address)
            role: Role = "argument"
            found.append(Holding(nbytes, role, shape=shape, dtype=dtype, why=known.why if known else ""))
        for name, array in self.calls.constants():
            role = "constant"
            what = array.shape, str(array.dtype)
            found.append(Holding(array.nbytes, role, name, Line(), "forward", *what, died=0, within=name))
        return sorted(found, key=lambda h: -h.nbytes)

    def report(self, name: str, results: set[int]) -> MemoryReport:
        """What was found; `results` are addresses of what the function returned."""
        for piece in self.pieces:
            self._settle(piece, results)
        tops = [p.top for p in self.points]
        peak = max(tops, default=0)
        report = MemoryReport(name, "measured", self._mode(), peak=peak, end=self.live)
        report.peak_at = tops.index(peak) if tops else 0
        report.timeline, report.reused = self.points, self.reused
        report.allocated, report.tensors = sum(p.entry.size for p in self.pieces), len(self.pieces)
        listed = self.pieces
        if len(listed) > MOST:
            listed = self._foremost(report.peak_at)
            rest = len(self.pieces) - len(listed)
            report.notes.append(
                f"{rest:,} pieces, none of them there at the peak, are not listed, though they are counted"
            )
        report.holdings = self._outside() + self._holdings(listed)
        report.arguments = sum(h.nbytes for h in report.holdings if h.role == "argument")
        if len(self.points) > POINTS:
            thin(report)
        return report

    def _foremost(self, peak_at: int) -> list[Piece]:
        """All that were there at the peak, and the largest others, in the order in which they were made."""

        def rank(i: int) -> tuple[bool, int, int]:
            piece = self.pieces[i]
            there = piece.born <= peak_at and (piece.died is None or peak_at < piece.died)
            return not there, -piece.entry.size, i

        ranked = sorted(range(len(self.pieces)), key=rank)
        there = sum(not rank(i)[0] for i in ranked)
        return [self.pieces[i] for i in sorted(ranked[: max(MOST, there)])]

    def _mode(self) -> str:
        eager = any(n.kind in ("recorded", "evaluated") for n in self.notes)
        compiled = any(n.kind == "ran" and n.name != "backward" for n in self.notes)
        return "mixed" if eager and compiled else "jit" if compiled else "eager"


def thin(report: MemoryReport) -> None:
    """Merge neighbouring points of a long timeline; the peak stays a point of its own."""
    points = report.timeline
    step = -(-len(points) // POINTS)
    new: list[Point] = []
    moved: list[int] = []
    for i, point in enumerate(points):
        if i % step == 0 or i in (report.peak_at, report.peak_at + 1):
            new.append(replace(point))
        else:
            last, new[-1] = new[-1], replace(point)
            new[-1].top = max(last.top, point.top)
        moved.append(len(new) - 1)
    for h in report.holdings:
        h.born = moved[min(h.born, len(moved) - 1)]
        h.died = None if h.died is None else moved[min(h.died, len(moved) - 1)]
        h.used = None if h.used is None else moved[h.used]
    report.timeline, report.peak_at = new, moved[report.peak_at]
    report.notes.append(f"{len(points)} events are shown as {len(new)} points")
