"""What is recorded of a shadow run: its steps, the memory that they make, and the pullbacks that they are part of."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from wengert.core.op import Op
from wengert.core.source import Source


@dataclass(eq=False, slots=True)
class Block:
    """The memory of one array, however many views there are of it.

    own : whether NumPy's array would own its memory; only such are written over
    born, died : numbers of steps; it is there from the step `born` on, and no more in the step `died`
    pulled : of whose pullback it is a part, if it was made in one
    reader : the op and line whose pullback has read it last
    kind : "made" by an op; an "argument"; "given": an array of NumPy's own, which was there before, unless its `address` is among
        those that the run has taken
    """

    nbytes: int
    shape: tuple[int, ...]
    dtype: np.dtype
    born: int
    op: str = ""
    source: Source | None = None
    backward: bool = False
    pulled: Any = None
    again: bool = False  # computed again by a checkpoint, in its pullback
    kind: str = "made"
    died: int | None = None
    used: int = 0
    reader: tuple[str, Source | None] | None = None
    address: int = 0
    own: bool = True
    result: bool = False
    ref: Any = None


@dataclass(slots=True)
class Step:
    """One op of the run.

    temps : bytes that its `eval` takes besides the result
    over : blocks of which one is written over if it dies in this step
    within : the name of the compiled program that it is a call of
    marks : how many entries the log had before and after: of arrays that NumPy has made itself
    numpys : NumPy does the same without arrays that nobody takes
    """

    op: str
    source: Source | None
    backward: bool
    made: tuple[Block, ...]
    temps: int
    over: tuple[Block, ...] = ()
    within: str = ""
    marks: tuple[int, int] = (0, 0)
    numpys: bool = False


@dataclass(slots=True)
class Pull:
    """The pullback of a row: the steps from `start` up to `end` are its rule's.

    ct : the block of the cotangent that it is given, if the op has a rule which writes over that
    held : references to that cotangent, and to its memory
    copied : bytes of a part of it, which is copied out before it is written over
    gathered : bytes that are taken out of the operand's cotangent, to be put back with what is added
    added : the step of the sum into what the operand has already, where the op has a rule that adds in place
    """

    op: Op
    source: Source | None
    start: int
    ct: Block | None
    held: tuple[int, int] = (0, 0)
    copied: int = 0
    gathered: int = 0
    end: int = -1
    after: int = -1  # where the next one starts
    made: tuple[Block, ...] = ()
    added: int = -1


@dataclass
class Record:
    """Everything that happened, in order. `log` tells what NumPy has made itself meanwhile.

    packed : whether a tape puts away what it keeps
    """

    steps: list[Step] = field(default_factory=list)
    blocks: list[Block] = field(default_factory=list)
    pulls: list[Pull] = field(default_factory=list)
    log: list[Any] = field(default_factory=list)
    packed: bool = False
