"""What is noted while a profiler is on, and the calls of compiled programs, of which the meter's log alone tells."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from wengert.core.op import Op
from wengert.core.source import LIBRARY, Source
from wengert.graph.atoms import Var
from wengert.lowering import composition
from wengert.profile.footprint.meter import STACK, WORKSPACE, Entry
from wengert.runtime import engine

NUMERIC = str(Path(np.__file__ or "").parent) + "/"  # whose frames are nobody's own
SLOW = 1  # in the place of a spec
SLOWLY = ("Executable.__call__", "Executable._new")


class Outside(NamedTuple):
    """An array that was there before."""

    nbytes: int
    shape: tuple[int, ...]
    dtype: str


@dataclass(slots=True)
class Note:
    """Something has happened.

    mark : entries of the log until then
    outs : addresses of what it made, kept : of what is kept for its pullback, read : of what it read
    ins, vars : variables that it read, and made
    fresh : whether what it made may be written over memory of something dead
    spec : of a compiled call, the address of its entry
    """

    kind: str
    mark: int
    seconds: float
    phase: str = ""
    op: Op | None = None
    name: str = ""
    source: Source | None = None
    outs: Sequence[int] = ()
    kept: Sequence[int] = ()
    read: Sequence[int] = ()
    ins: Sequence[Any] = ()
    vars: Sequence[Var | None] = ()
    fresh: bool = False
    spec: int = 0


def user_of(entry: Entry) -> tuple[Source | None, bool]:
    """The user's frame that took a piece, if it is among those noted; and whether it was taken within this library."""
    inside = not entry.frames or entry.frames[0][0].co_filename.startswith(LIBRARY)
    for code, lasti in entry.frames:
        if not code.co_filename.startswith((LIBRARY, NUMERIC)):
            return (code, lasti), inside
    return None, inside


class Calls:
    """Calls of compiled programs, found in the log.

    origin : the log's clock when the notes' seconds began
    caller : the line of calls that come from no line of the user's
    """

    def __init__(self, entries: Sequence[Entry], origin: int, caller: Source | None) -> None:
        self.entries, self.origin, self.caller = entries, origin, caller
        self.programs: dict[int, engine.Executable | None] = {}
        self.known: dict[int, Sequence[composition.Piece]] = {}

    def notes(self, made: Sequence[Note]) -> list[Note]:
        """A note for each: at the entry that gave its workspace back, or after its results were made. `made` are the notes
        of programs being compiled, of which the latest is what is called by way of Python."""
        found: list[Note] = []
        running: dict[int, Note] = {}  # by the address of the workspace
        current: Note | None = None
        latest: Note | None = None  # the call that a loop's residuals belong to
        names = iter(made)
        following, name = next(names, None), "compiled"
        for i, entry in enumerate(self.entries):
            if entry.size < 0:
                if (ended := running.pop(entry.address, None)) is not None:
                    ended.mark, ended.seconds = max(ended.mark, i + 1), (entry.when - self.origin) * 1e-9
                continue
            if entry.what & 15 == STACK and latest is not None:
                running[entry.address] = latest
                latest.mark = max(latest.mark, i + 1)
            if not (spec := self.spec(entry)):
                continue
            while following is not None and following.mark <= i:
                following, name = next(names, None), following.name
            if current is None or current.spec != spec or current.mark != i:
                source = user_of(entry)[0] or self.caller
                called = name if spec == SLOW else self.name(spec)
                latest = current = Note("ran", i, 0.0, name=called, source=source, spec=spec)
                found.append(current)
            current.mark, current.seconds = i + 1, (entry.when - self.origin) * 1e-9
            if self.is_workspace(entry):
                running[entry.address], current = current, None
        return found

    def spec(self, entry: Entry) -> int:
        """The compiled entry that takes memory, SLOW if a compiled program is called by way of Python, or 0."""
        if entry.spec or not entry.frames:
            return entry.spec
        code = entry.frames[0][0]
        return SLOW if code.co_qualname in SLOWLY and code.co_filename == engine.__file__ else 0

    def is_workspace(self, entry: Entry) -> bool:
        """Whether it is what a compiled program works in."""
        if entry.what & 15 == WORKSPACE:
            return True
        return self.spec(entry) == SLOW and entry.frames[0][0].co_qualname == SLOWLY[0]

    def program(self, spec: int) -> engine.Executable | None:
        """Whose entry it is, if that is still there."""
        if spec not in self.programs:
            found = [e for e in list(engine.made) if spec != SLOW and e.enters_by(spec)]
            self.programs[spec] = found[0] if found else None
        return self.programs[spec]

    def name(self, spec: int) -> str:
        """The program's name."""
        program = self.program(spec)
        return "compiled" if program is None else program.name

    def parts(self, workspace: Entry) -> Sequence[composition.Piece]:
        """What a workspace holds when it is fullest, largest first; empty if that cannot be told."""
        spec = self.spec(workspace)
        if spec not in self.known:
            program, self.known[spec] = self.program(spec), ()
            if program is not None:
                whole = composition.composition(program.lowered)
                parts = [p for p in whole.at(whole.fullest) if p.offset is not None and p.nbytes]
                if sum(p.nbytes for p in parts) <= workspace.size:
                    self.known[spec] = parts
        return self.known[spec]

    def result(self, note: Note, number: int) -> tuple[tuple[int, ...], str]:
        """Shape and dtype of the `number`th array that a call makes for its results."""
        program = self.program(note.spec)
        if program is None:
            return (), ""
        lowered = program.lowered
        new = [
            o.aval for i, o in enumerate(lowered.outs) if o.kind == "new" and o.aval.shape and i not in lowered.inplace
        ]
        return (new[number].shape, str(new[number].dtype)) if number < len(new) else ((), "")

    def constants(self) -> Iterator[tuple[str, Any]]:
        """The constants of the programs that were called, with the programs' names."""
        for program in self.programs.values():
            if program is not None:
                yield from ((program.name, constant) for constant in program.lowered.constants)
