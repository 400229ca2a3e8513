"""`Shadow`: a run of a function in which arrays have shapes and no elements, and a record of what lives when.

The function runs as it would eagerly: the same Python, the same tapes and sweeps above, the same names held for as long. Only
that at the bottom, in the place of NumPy's arrays, there are `Abstract`s, and no op is evaluated. What dies in such a run dies when
the array would; what eager evaluation does otherwise (writing over what dies) is settled afterwards, in `account.py`.
"""

from __future__ import annotations

import functools
import sys
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from types import CodeType
from typing import Any

import numpy as np

from wengert.core.abstract import Abstract
from wengert.core.aval import Aval, aval_of
from wengert.core.events import listening
from wengert.core.form import Control
from wengert.core.op import Op
from wengert.core.source import LIBRARY, Source
from wengert.core.tensor import CONSTANTS, Array, Tensor, active, held, raw, running
from wengert.graph.program import Literal, Var, WeakVar
from wengert.ops import basis
from wengert.ops.elementwise import exp
from wengert.ops.temporaries import REBASED, temporaries
from wengert.profile.footprint.meter import meter, root_of
from wengert.profile.footprint.prediction.overwriting import OTHERWISE, alias, dying_operands
from wengert.profile.footprint.prediction.plans import passing
from wengert.profile.footprint.prediction.record import Block, Pull, Record, Step
from wengert.profile.footprint.prediction.shapes import shapes_of
from wengert.trace.stage import PYTHONIC, Stage, check_integers, laid_out
from wengert.trace.tape import Tape
from wengert.transforms import reverse

_WALK, _SUM, _OVER = reverse.walk.__code__, reverse._sum.__code__, basis.times_over.__code__
_TAPED, _IN_PLACE = Tape.apply.__code__, Tensor.__iadd__.__code__
_ours: dict[CodeType, bool] = {}


class Shadow(Stage):
    """A stage whose ops leave no equations, but a record of lifetimes."""

    __slots__ = ("_blocks", "_guarded", "_meter", "_pulling", "_root", "record")

    shadows = True

    def __init__(self) -> None:
        super().__init__()
        self._meter, self._root = meter(), root_of()
        self.append = lambda row: None
        self.record = Record()
        self._blocks: dict[int, Block] = {}
        self._pulling: list[Pull] = []
        self._guarded: weakref.WeakKeyDictionary[Any, list[Any]] = weakref.WeakKeyDictionary()

    # ── what there is ─────────────────────────────────────────────────────────

    def argument(self, aval: Aval) -> Tensor:
        """A Tensor that stands for an argument, whose memory is the caller's."""
        tensor = self.input(aval, array=True)
        block = self._add(tensor._value, "argument")
        block.kind = "argument"
        return tensor

    def _add(self, root: Any, op: str, source: Source | None = None, backward: bool = False) -> Block:
        nbytes = 0 if type(root) is Abstract and root.scalar else root.nbytes
        block = Block(nbytes, root.shape, root.dtype, len(self.record.steps), op, source, backward)
        block.own = op not in REBASED
        block.used = block.born
        block.ref = weakref.ref(root, partial(self._died, id(root)))
        self._blocks[id(root)] = block
        self.record.blocks.append(block)
        return block

    def _died(self, key: int, _: Any) -> None:
        block = self._blocks.pop(key, None)
        if block is not None:
            block.died, block.ref = len(self.record.steps), None

    def block(self, value: Any) -> Block | None:
        """The memory behind a value, if it is an array's."""
        bottom = raw(value)
        if type(bottom) is Abstract:
            return self._blocks.get(id(bottom.root))
        if not isinstance(bottom, np.ndarray):
            return None
        while isinstance(bottom.base, np.ndarray):
            bottom = bottom.base
        block = self._blocks.get(id(bottom))
        if block is None:
            block = self._add(bottom, "")
            block.kind, block.address = "given", self._root(bottom)
        return block

    # ── what happens ──────────────────────────────────────────────────────────

    def apply(self, op: Op, args: tuple[Array, ...], params: dict[str, Any]) -> Any:
        if self.mode is not None:
            return self.mode(self, op, args, params)
        if op.transparent:
            return op.eval(*map(held, args), **params)
        began = self._mark()
        atoms = [self._atom(a) for a in args]
        avals = [atom.aval if isinstance(atom, Var) else aval_of(atom.value) for atom in atoms]
        strong = any(not a.weak for a in avals)
        if any(a.weak and isinstance(x, Var) for a, x in zip(avals, atoms, strict=True)):
            if strong or type(op.lower) is Control:
                self._resolve(op, atoms, avals)
        outs = shapes_of(self, op, avals, params)
        if strong and (op.multi or outs.dtype.kind in "iub"):
            check_integers(op, atoms, avals)
        weak = not strong and op.name in PYTHONIC
        layouts = [raw(a) for a in args]
        found = []
        for out in outs if op.multi else (outs,):
            shape = tuple(out.shape)
            var = (WeakVar if weak and shape == () else Var)(shape, out.dtype)
            value = alias(op, layouts, shape)
            if value is None and op.multi:
                value = Abstract(shape, out.dtype, scalar=shape == ())
            elif value is None:
                value = laid_out(op, layouts, shape, out.dtype, params)
            found.append(Tensor(value, var, self))
        self._note(op, args, avals, params, found, began)
        return tuple(found) if op.multi else found[0]

    def _mark(self) -> int:
        return self._meter.mark() if self._meter.exact else 0

    def _atom(self, a: Array) -> Any:
        if type(a) is Tensor:
            if a._view is not None:
                a._sync()
            if a._trace is self:
                return a._node
            if a._trace is CONSTANTS:
                return Literal(a._value)
            return self._capture(a)  # which raises: a Tensor of a trace that has ended, or of one within
        return Literal(a)

    def _note(
        self,
        op: Op,
        args: Sequence[Array],
        avals: Sequence[Aval],
        params: dict[str, Any],
        found: Sequence[Tensor],
        began: int,
    ) -> None:
        number = len(self.record.steps)
        source, codes, backward, library = self._place()
        pull = self._pulling[-1] if self._pulling else None
        if pull is None and backward and self.record.pulls:
            pull = self.record.pulls[-1]  # the sum of its cotangent and an earlier one
        backward = backward or pull is not None
        where = pull.source if pull is not None and library else source
        reads = [self.block(a) for a in args]
        for block in reads:
            if block is not None:
                block.used = number
                if pull is not None and library and not block.backward:
                    block.reader = pull.op.name, pull.source
        made = []
        for tensor in found:
            root = tensor._value.root
            if id(root) not in self._blocks:
                block = self._add(root, op.name, where, backward)
                block.pulled, block.again = pull, pull is not None and not library
                made.append(block)
        over = self._over(op, args, avals, reads, made, codes, source) if made else ()
        if op.name == "call":
            within, temps = "call", passing(params["program"], params.get("memory"))
        else:
            within, temps = "", temporaries(op, avals, [t._node.aval for t in found], params)
        numpys = op.name in OTHERWISE and len(active()) == 1  # no transform runs, so NumPy's own function does the work
        if numpys:
            temps = 0
        marks = began, self._mark()
        self.record.steps.append(Step(op.name, where, backward, tuple(made), temps, over, within, marks, numpys))

    def _place(self) -> tuple[Source | None, set[CodeType], bool, bool]:
        """The user's line, the library's functions of interest on the way to it, whether a sweep is among them, and whether it is
        the sweep that calls (and not a function of the user's, which a checkpoint runs again)."""
        frame: Any = sys._getframe(3)
        codes: set[CodeType] = set()
        while frame is not None:
            code = frame.f_code
            ours = _ours.get(code)
            if ours is None:
                ours = _ours[code] = code.co_filename.startswith(LIBRARY)
            if not ours:
                return (code, frame.f_lasti), codes, _WALK in codes, _WALK in codes
            codes.add(code)
            frame = frame.f_back
        return None, codes, _WALK in codes, _WALK in codes

    def _over(
        self,
        op: Op,
        args: Sequence[Array],
        avals: Sequence[Aval],
        reads: Sequence[Block | None],
        made: Sequence[Block],
        codes: set[CodeType],
        source: Source | None,
    ) -> tuple[Block, ...]:
        """What the result is written over, should it die with this step."""
        out = made[0]
        if op.name == "index_put" and _WALK not in codes:
            chosen = reads[:1] if len(reads) == 2 else []
        elif op.name == "add" and _SUM in codes:
            held = (
                reads[0] is not None and reads[0] in self.record.pulls[-1].made
            )  # by what the rule gave for both operands
            chosen = reads[:1] if out.nbytes >= reverse.LARGE and not held else []
        elif op.name == "scale" and _OVER in codes:
            chosen = reads[1:2] if out.nbytes >= basis.LARGE else []
        elif _WALK in codes or source is None:
            chosen = []
        elif _IN_PLACE in codes and len(active()) == 1:  # NumPy's own `x += y`
            if raw(args[0]).base is not None:
                out.nbytes = 0
            chosen = reads[:1]
        else:
            chosen = dying_operands(op, args, avals, reads, source, _TAPED in codes)
        return tuple(b for b in chosen if b is not None and b.own and b.shape == out.shape and b.dtype == out.dtype)

    # ── sweeps ────────────────────────────────────────────────────────────────

    def pulling(self, row: Any, ct: Any) -> None:
        """The pullback of `row` begins."""
        op, code, lasti = row[0], row[6], row[7]
        start = len(self.record.steps)
        if self.record.pulls:
            last = self.record.pulls[-1]
            last.after = start if last.after < 0 else last.after
        block, held_by = None, (0, 0)
        if type(ct) is Tensor and ct._trace is self and ct._value.base is None:
            block, held_by = self.block(ct), (sys.getrefcount(ct), sys.getrefcount(ct._value))
        pull = Pull(op, None if code is None else (code, lasti), start, block, held_by)
        for value in (*row[4], *(row[5] if type(row[5]) is tuple else (row[5],))):
            if (kept := None if value is None else self.block(value)) is not None:
                kept.reader = op.name, pull.source
        if (
            op.accumulate is not None
            and len(row[1]) > 1
            and row[3].get("unique")
            and type(bottom := raw(ct)) is Abstract
        ):
            pull.gathered = bottom.nbytes
        self._pulling.append(pull)
        self.record.pulls.append(pull)

    def recorded(self, tape: Any, row: Any, _: Any) -> None:
        """A tape protects the constants that it needs, and so holds them to its end."""
        if type(tape.program.eqns) is not list:
            self.record.packed = True
        for var, x in zip(row[1], row[4], strict=True):
            if var is None and type(x) is Tensor and x._trace is self:
                self._guarded.setdefault(tape, []).append(x._value)

    def pulled(self, row: Any, ct: Any, cts: Any, *_: Any) -> None:
        """It has ended."""
        pull = self._pulling.pop()
        pull.end = len(self.record.steps)
        blocks = [None if c is None else self.block(c) for c in cts or ()]
        pull.made = tuple(b for b in blocks if b is not None)
        if pull.op.name == "index_put" and cts[1] is not None:
            bottom = raw(cts[1])
            pull.copied = 0 if bottom.scalar else bottom.nbytes

    def added(self, var: Any, *_: Any) -> None:
        """A contribution has been added to the cotangent of `var`."""
        if self.record.pulls:
            pull = self.record.pulls[-1]
            if pull.op.accumulate is not None and pull.added < 0:
                pull.added = len(self.record.steps) - 1

    def seeded(self, seeds: Any) -> Any:
        """Cotangents that are arrays or numbers become shadows too, or the first rules would be evaluated."""
        return [(var, self._cast(ct)) for var, ct in seeds]

    def _cast(self, x: Any) -> Any:
        if not isinstance(x, np.ndarray | np.generic):
            return x
        tensor = self.input(aval_of(x), array=True)
        self._add(tensor._value, "ones").nbytes = 0  # as long as the sweep lasts the array itself is there
        return tensor

    def owned(self, x: Tensor, seen: set[int]) -> Tensor:
        """`x` as it leaves the library: a copy, where it shares memory with another or cannot be written."""
        value: Any = x._value
        root, block = value.root, self.block(x)
        fixed = block is not None and block.kind != "made"
        spread = any(s == 0 and d > 1 for s, d in zip(value.strides, value.shape, strict=True))
        if value.scalar or not (id(root) in seen or fixed or spread):
            seen.add(id(root))
            return held(x)
        return self.copied(x)

    def copied(self, x: Tensor) -> Tensor:
        """A copy, which takes memory: to an eager run `x` is an ndarray."""
        value: Any = held(x)._value
        if value.scalar:
            return held(x)
        copy = Abstract(value.shape, value.dtype)
        source, _, backward, _ = self._place()
        made = self._add(copy, "copy", source, backward)
        mark = self._mark()
        self.record.steps.append(Step("copy", source, backward, (made,), 0, marks=(mark, mark)))
        return Tensor(copy, x._node, self)


@contextmanager
def shadowing() -> Iterator[Shadow]:
    """Run a shadow; what is still held when the block ends is held at the end of the run."""
    trace = Shadow()
    counted = trace._meter.exact
    if counted:
        trace._meter.start()
    try:
        with (
            running(trace),
            listening(recorded=trace.recorded, pulling=trace.pulling, cotangent=trace.pulled, accumulated=trace.added),
        ):
            yield trace
    finally:
        if counted:
            trace._meter.stop()
            trace.record.log = trace._meter.log
        trace.close("a prediction of memory")


@functools.cache
def alone() -> tuple[int, int]:
    """References to a cotangent that the sweep alone holds, and to its memory, as `Shadow.pulling` counts them."""
    with shadowing() as trace:
        x = trace.argument(Aval((2,), np.dtype(float)))
        reverse.vjp_flat(lambda x: [exp(exp(x))], [x])[1]([x], consume=True)
    return trace.record.pulls[-1].held
