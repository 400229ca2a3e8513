"""What time went into: ops, kernels, compiled programs, stages of compiling; and single things that happened."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from wengert.profile.clock.machine import Machine
from wengert.profile.footprint.report import Line


@dataclass
class Row:
    """One op of one line, or one kernel of a compiled program: all of its runs.

    kind : "op", or of what a program does "loop nest", "library call", "host call", "loop" (with what is within it)
    ops : for kernels, what was fused into it
    lines : of the user's, the most telling first
    seconds : on the clock, without what ran within it and has a row of its own
    cpu : processor time of all threads, or None where it was not measured
    flops, bytes : estimates; flops in additions (a division counts about ten, a function 20 to 60), None where nobody knows
    within : whether this is a part of a loop in the same program, whose row has the time as well
    first : seconds of the first run, for kernels
    """

    kind: str
    name: str
    phase: str
    lines: list[Line]
    calls: int
    seconds: float
    cpu: float | None = None
    flops: float | None = None
    bytes: float | None = None
    dtype: str = "float64"
    ops: list[str] = field(default_factory=list)
    program: str = ""
    within: bool = False
    first: float | None = None

    @property
    def line(self) -> Line:
        return self.lines[0] if self.lines else Line()

    @property
    def mean(self) -> float:
        return self.seconds / self.calls if self.calls else 0.0

    @property
    def gflops(self) -> float | None:
        """Billions of flops per second."""
        return None if self.flops is None or not self.seconds else self.flops / self.seconds / 1e9

    @property
    def gbytes(self) -> float | None:
        """Billions of bytes per second."""
        return None if self.bytes is None or not self.seconds else self.bytes / self.seconds / 1e9

    @property
    def intensity(self) -> float | None:
        """Flops per byte."""
        return self.flops / self.bytes if self.flops is not None and self.bytes else None

    def fraction(self, machine: Machine | None) -> float | None:
        """The part of what the machine could do for this: the least time by the roofline, over the time taken. Above 1 where
        operands came from a cache."""
        if machine is None or not self.seconds or self.flops is None or self.bytes is None:
            return None
        return machine.bound(self.flops, self.bytes, self.dtype) / self.seconds

    def bound(self, machine: Machine | None) -> str:
        """What bounds it by the roofline: "flops" or "memory"; empty where that is not known."""
        if machine is None or self.intensity is None:
            return ""
        return "flops" if self.intensity >= machine.ridge(self.dtype) else "memory"


@dataclass
class ProgramTime:
    """A compiled program.

    seconds : within its machine code, over all calls
    first : of the first call since the profiler came; `steady`: the mean of the others (None if there were none)
    kernels : in order, those within loops after all others
    """

    name: str
    calls: int
    seconds: float
    first: float
    steady: float | None
    kernels: list[Row]
    tier: str = "full"


@dataclass
class StageTime:
    """One stage of making compiled programs of one name."""

    program: str
    stage: str
    seconds: float
    times: int = 1


@dataclass
class Span:
    """One thing that happened, for traces: times in seconds since the beginning."""

    name: str
    kind: str
    thread: int
    began: float
    ended: float
    line: Line = field(default_factory=Line)
    notes: dict[str, Any] = field(default_factory=dict)
