"""A tape that obeys a budget of memory: what it keeps is let go, and made again when the backward pass needs it.

When the arrays made since the tape began, and the op about to run, would take more bytes than the budget, values that nobody but the
tape holds are let go (`eviction.py` says which). A row that needs one has it made again, by the same op from the same operands,
these likewise; so gradients are the same bit for bit. Nothing is let go while the budget is not reached.

Made again is what ops with fixed parameters gave: not what functions of the user's or compiled programs did, whose second run may
differ. Arguments and constants stay. What the user's variables hold is in use, and counts.

Source  Kirisame et al. (2021), Dynamic Tensor Rematerialization.
"""

from __future__ import annotations

import sys
import weakref
from collections.abc import Callable, Iterator, Sequence
from time import perf_counter
from typing import Any

import numpy as np

from wengert.core.errors import BudgetError, TapeError
from wengert.core.op import Op
from wengert.core.sizes import bytes_of, shown
from wengert.core.source import describe, here
from wengert.core.tensor import CONSTANTS, Array, Tensor, active, paused, raw
from wengert.graph.atoms import Away, Var
from wengert.trace.eviction import LEAST_SECONDS, Gone, Ledger, Pool, back, let_go, root
from wengert.trace.need import MARGIN, is_repeatable, need_of_op, need_of_pullback, smallest
from wengert.trace.rows import in_block
from wengert.trace.stage import Stage
from wengert.trace.tape import Tape

SMALL = 1024  # bytes of a constant that is copied, so that the function may write into its own


class Producer:
    """The call of an op whose results may be made again."""

    __slots__ = ("again", "need", "op", "operands", "outs", "params", "seconds")

    def __init__(self, op: Op, operands: list[Any], params: dict[str, Any], seconds: float, need: int) -> None:
        self.op, self.params, self.need = op, params, need  # bytes that the call takes
        self.again = is_repeatable(op, params)
        self.operands: list[Any] = []
        for o in operands:
            if type(o) is Stored and o.producer is not None:
                if o.again:
                    seconds += 0.0 if o.readers else o.producer.seconds  # it will not be there
                elif o.readers:
                    o = o.value()  # the tape holds it anyway
                else:
                    self.again = False
            self.operands.append(o)
        self.seconds = max(seconds, LEAST_SECONDS)
        self.outs: list[weakref.ref[Stored]] = []  # by position

    def made_of(self) -> Iterator[Stored]:
        """The operands that were made on the tape."""
        return (o for o in self.operands if type(o) is Stored and o.producer is not None)


class Stored(Away):
    """A value on the tape: in memory, or to be made again by its producer. An argument has none."""

    __slots__ = (
        "__weakref__",
        "again",
        "array",
        "base",
        "below",
        "clock",
        "gone",
        "nbytes",
        "number",
        "place",
        "producer",
        "readers",
        "ref",
    )

    def __init__(self, value: Array, producer: Producer | None, number: int, base: Stored | None, clock: int) -> None:
        self.array: Any = None  # while the tape keeps it
        self.ref: Any = None if isinstance(value, np.generic) else weakref.ref(value)  # while anybody does
        self.producer, self.number = producer, number  # which result of the producer it is
        self.base = base  # the value whose memory it shows, if it is a view
        self.nbytes = 0 if base is not None else _nbytes(value)
        self.again = producer is not None and producer.again  # whether it may be let go: it can be made again
        self.clock = clock  # of its last use
        self.readers = 0  # rows that need it, or a view of it
        self.place: int | None = None  # its class in the pool
        self.gone: Gone | None = None
        self.below: list[Gone] = []  # what was made of it, and is gone

    @property
    def present(self) -> Any:
        return self.array

    def value(self) -> Any:
        """The value, if anybody has it."""
        return self.array if self.array is not None or self.ref is None else self.ref()


def _nbytes(value: Array) -> int:
    array = raw(value)
    return root(array).nbytes if isinstance(array, np.ndarray) else 0


class BudgetTape(Tape):
    """See the module's docstring. `limit`: bytes."""

    __slots__ = ("clock", "constants", "ledger", "limit", "looked", "pool", "slack", "smallest", "stored")

    def __init__(self, limit: int, what: str = "memory_budget") -> None:
        for trace in active():
            if trace.mode is not paused and (trace.differentiates or type(trace) is Stage):
                raise TapeError(
                    what,
                    got=f"a memory budget within a running {type(trace).__name__.lower()}, which keeps values of its own",
                    want="the budget at the outermost transform",
                    fix="wengert.jit(f, memory_budget=...) for compiled functions; else pass memory_budget to the outer gradient",
                    at=describe(here(4)),
                )
        if in_block():
            raise TapeError(
                what,
                got="a memory budget within a block of saved_tensors_hooks (or save_on_disk)",
                want="one of them: hooks say what becomes of residuals, and so does a budget",
                fix="leave the block, or the budget",
                at=describe(here(4)),
            )
        super().__init__()
        self.limit, self.smallest = limit, 0  # smallest: what was needed so far, whatever is let go
        self.clock = 0
        self.ledger = Ledger()
        self.pool = Pool(is_free)
        self.stored: dict[Var, Stored] = {}
        self.constants: dict[int, list[Any]] = {}  # arrays from outside, with how often the tape refers to each
        self.looked = 0  # when it was looked who holds them
        self.slack = 0  # bytes left free for those that the function makes, and that are not counted yet
        rows = BudgetRows(self)
        self.program.eqns = rows
        self.append = rows.take

    # ── forward ──

    def watch(self, value: Array) -> Tensor:
        tensor = super().watch(value)
        self.ledger.ignore(tensor._value)
        s = self.stored[tensor._node] = Stored(tensor._value, None, 0, None, 0)
        s.array = tensor._value
        return tensor

    def apply(self, op: Op, args: tuple[Array, ...], params: dict[str, Any]) -> Any:
        if self.mode is not None:
            return self.mode(self, op, args, params)
        self.clock += 1
        operands = [self._operand(a) if self.owns(a) else self._constant(self.lower(a)) for a in args]
        values = [o.value() if type(o) is Stored else o for o in operands]
        self.room(need := need_of_op(op, values, params))
        rows: Any = self.program.eqns
        n, began = len(rows), perf_counter()
        out = super().apply(op, args, params)
        if len(rows) > n:
            producer = Producer(op, operands, params, perf_counter() - began, need)
            rows.keep(producer, out if op.multi else (out,))
        return out

    def view(self, op: Op, x: Tensor, params: dict[str, Any]) -> Array:
        return super(Tape, self).view(op, x, params)

    def _operand(self, x: Tensor) -> Stored:
        """What stands for a Tensor of the tape."""
        s = self.stored.get(x._node)
        if s is None:  # of a row that was not made by `apply`: a checkpoint's result, which stays
            s = self.stored[x._node] = Stored(x._value, None, 0, None, self.clock)
            s.array = x._value
            self.ledger.hold(x._value)
        return s

    def _constant(self, x: Any) -> Any:
        """An operand that is no value of the tape: it must stay as it is; a small one is copied."""
        if type(x) is np.ndarray:
            if x.nbytes <= SMALL and x.flags.forc and x.flags.writeable:
                return x.copy("K")
            self.guard.add(x)
        return x

    def refer(self, x: np.ndarray, times: int) -> None:
        """Note that the tape refers so many times more to an array from outside."""
        if x.base is None and id(x) not in self.ledger.outside:
            self.constants.setdefault(id(x), [x, 0])[1] += times

    def claim(self) -> None:
        """Count constants that nobody but the tape holds any more: the function made them (masks, noise)."""
        self.looked = self.clock
        for key, (x, times) in list(self.constants.items()):
            if sys.getrefcount(x) <= times + (x in self.guard) + REFERENCES:
                del self.constants[key]
                self.ledger.hold(x)
                self.slack = max(self.slack, 2 * x.nbytes)

    # ── memory ──

    def room(self, need: int) -> None:
        """Let values go until `need` more bytes fit."""
        if self.constants and self.clock - self.looked >= max(4, len(self.constants) // 4):
            self.claim()
        need += self.slack
        if self.ledger.used + need <= self.limit:
            return
        while self.ledger.used + need > self.limit:
            s = self.pool.victim(self.clock)
            if s is None:
                self.smallest = max(self.smallest, self.ledger.used + need)
                return
            let_go(s)
            s.array = None

    def keep(self, s: Stored, value: Array) -> None:
        """Hold a value for the rows that read it."""
        if s.array is not None or s.producer is None:
            return
        s.array, s.clock = value, self.clock
        if s.nbytes and s.again:
            self.pool.add(s)

    def fetch(self, s: Stored) -> Array:
        """A value, made again if it is gone, and what it is made of too. What is made on the way is kept while this lasts."""
        frames: list[tuple[Stored, list[Any]]] = []
        made: list[Stored] = []
        value = self._at_hand(s)
        current = s
        while True:
            if value is not None:
                if not frames:
                    break
                current, given = frames[-1]
                given.append(value)
            else:
                frames.append((current, given := []))
            value = None
            assert current.producer is not None and current.again
            operands = current.producer.operands
            while len(given) < len(operands):
                o = operands[len(given)]
                found = self._at_hand(o) if type(o) is Stored else o
                if found is None:
                    current = o
                    break
                given.append(found)
            else:
                value = self._make(current, given, made)
                frames.pop()
                given = []
        for m in made:
            if not m.readers:
                m.array = None
        del made
        return value

    def _at_hand(self, s: Stored) -> Any:
        value = s.value()
        if value is not None:
            s.clock = self.clock
            if s.base is not None:
                s.base.clock = self.clock
        return value

    def _make(self, s: Stored, values: list[Any], made: list[Stored]) -> Any:
        producer = s.producer
        assert producer is not None
        self.clock += 1
        if s.base is None:
            self.room(producer.need)
        op = producer.op
        nested = any(type(x) is Tensor for x in values)
        with np.errstate(all="ignore"):
            out = (op if nested and not op.transparent else op.eval)(*values, **producer.params)
        found = None
        for number, value in enumerate(out if op.multi else (out,)):
            self.ledger.hold(value)
            other = producer.outs[number]() if number < len(producer.outs) else None
            if other is None:
                continue
            if other is s:
                found = value
            if not isinstance(value, np.generic):
                other.ref = weakref.ref(value)
            if other.base is None and (other.readers or other is s):
                back(other)
                self.keep(other, value)
                made.append(other)
        return found


def is_free(s: Stored) -> bool:
    """Whether letting `s` go would free its memory."""
    value = s.array
    if sys.getrefcount(value) > FREE:
        return False
    if type(value) is np.ndarray and value.base is not None:
        owner = root(value)
        return sys.getrefcount(owner) <= FREE
    return True


def _count() -> int:
    class Slot:
        __slots__ = ("array",)

    s = Slot()
    s.array = np.zeros(1)
    value = s.array
    return sys.getrefcount(value)


FREE = _count()
REFERENCES = FREE  # from the list that is kept for a constant, a local variable, and the argument of `getrefcount`


class BudgetRows(list[Any]):
    """The rows of a BudgetTape: with a `Stored` for each value that an op made."""

    __slots__ = ("consuming", "reached", "tape")

    def __init__(self, tape: BudgetTape, rows: Sequence[Any] = ()) -> None:
        super().__init__(rows)
        self.tape = weakref.ref(tape)
        self.consuming = True  # whether what is popped is read for the last time
        self.reached: Any = None

    def take(self, row: Any) -> None:
        """Append a row; of a checkpoint with its inputs in the tape's care."""
        tape = self.tape()
        if tape is not None and row[0].name == "checkpoint_call":
            op, ins, vars_, params, xs, out, code, lasti = row
            xs = [self._held(tape, tape.stored.get(v), x) for v, x in zip(ins, xs, strict=True)]
            row = op, ins, vars_, params, xs, out, code, lasti
        self.append(row)

    def keep(self, producer: Producer, outs: Sequence[Any]) -> None:
        """Put the values of the last row in the tape's care."""
        tape = self.tape()
        assert tape is not None
        op, ins, vars_, params, xs, out, code, lasti = self[-1]
        operands = producer.operands
        made = []
        roots = {id(root(v)): o for o in operands if type(o) is Stored and isinstance(v := raw(o.value()), np.ndarray)}
        for number, t in enumerate(outs):
            var = vars_[number] if op.multi else vars_
            value = t._value if type(t) is Tensor and t._trace in (tape, CONSTANTS) else t
            array = raw(value)
            of = roots.get(id(root(array))) if isinstance(array, np.ndarray) else None
            base = (of.base or of) if of is not None else None
            tape.ledger.hold(value)
            s = Stored(value, producer, number, base, tape.clock)
            producer.outs.append(weakref.ref(s))
            made.append((s, value))
            if var is not None:
                tape.stored[var] = s
        held = [
            self._held(tape, operands[i], x) if x is not None and i < len(operands) else x for i, x in enumerate(xs)
        ]
        if out is not None:
            pairs = [self._held(tape, s, value) for s, value in made]
            out = tuple(pairs) if op.multi else pairs[0]
        for i, o in enumerate(operands):
            if type(o) is np.ndarray:
                tape.refer(o, 1 + (i < len(xs) and xs[i] is o))
        self[-1] = op, ins, vars_, params, held, out, code, lasti

    def _held(self, tape: BudgetTape, s: Any, value: Any) -> Any:
        if type(s) is not Stored or isinstance(value, np.generic) or (s.base is not None and not s.again):
            return value  # a view of what cannot be made again keeps that itself
        s.readers += 1
        owner = s
        if s.base is not None:
            owner, value = s.base, s.base.value()
            owner.readers += 1
        if value is not None:
            tape.keep(owner, value)
        return s

    def hold(self, ct: Array) -> None:
        """Count a cotangent."""
        if (tape := self.tape()) is not None:
            tape.ledger.hold(ct)

    def begin(self, cts: Any) -> None:
        """A sweep with these cotangents starts to pop."""
        self.reached = cts

    def check(self) -> None:
        """Raise BudgetError if the budget is, or was, too small."""
        tape = self.tape()
        if tape is not None and self.reached is not None:
            tape.claim()
            tape.slack = 0
            tape.constants.clear()  # rows that go will let go of them too, and how often is not known
            tape.smallest = max(tape.smallest, smallest(tape, self, self.reached, is_free))
            if tape.smallest > tape.limit:
                tape.smallest += tape.smallest // 64 + MARGIN  # what is let go when differs from run to run
                raise too_small(tape)

    def copy(self) -> BudgetRows:
        new = BudgetRows(self.tape(), self)  # type: ignore[arg-type]
        new.consuming = False
        return new

    def pop(self, *where: Any) -> Any:
        row = super().pop(*where)
        op, ins, vars_, params, xs, out, code, lasti = row
        tape = self.tape()
        cts = self.reached
        needed = cts is None or (any(o in cts for o in vars_) if op.multi else vars_ in cts)
        if tape is None or not needed:
            self._read(row)
            return row
        before = tape.smallest
        xs = [tape.fetch(x) if type(x) is Stored else x for x in xs]
        if type(out) is tuple:
            out = tuple(tape.fetch(o) if type(o) is Stored else o for o in out)
        elif type(out) is Stored:
            out = tape.fetch(out)
        self._read(row)
        tape.room(need_of_pullback(row, cts))
        if tape.smallest > before and cts is not None:
            tape.smallest += tape.smallest // 64 + MARGIN
            raise too_small(tape)
        return op, ins, vars_, params, xs, out, code, lasti

    def _read(self, row: Any) -> None:
        """The row is over: what no other needs, and nothing that is gone is made of, is let go."""
        tape = self.tape()
        op, _, vars_, _, xs, out, _, _ = row
        for s in (*xs, *(out if type(out) is tuple else (out,))):
            if type(s) is not Stored:
                continue
            for one in (s, s.base) if s.base is not None else (s,):
                if not self.consuming:
                    one.clock = -(1 << 40)  # not needed in this sweep any more
                elif one.producer is not None:
                    one.readers -= 1
                    if not one.readers and not (one.again and one.below):
                        one.array = None
        if self.consuming and tape is not None:
            for var in vars_ if op.multi else (vars_,):
                if (made := tape.stored.pop(var, None)) is not None:  # rows before this one do not know it
                    made.array = None


def budgeted(budget: int | str | None, what: str) -> Callable[[], Tape] | None:
    """What starts a tape that obeys `budget`; None for none."""
    if budget is None:
        return None
    limit = bytes_of(budget)
    return lambda: BudgetTape(limit, what)


def too_small(tape: BudgetTape) -> BudgetError:
    """The error for a budget that cannot be obeyed."""
    return BudgetError(
        "memory_budget",
        smallest=tape.smallest,
        got=f"a budget of {shown(tape.limit)} ({tape.limit} bytes)",
        want=f"at least {tape.smallest} bytes ({shown(tape.smallest)}): what must be in memory at one time, whatever is let go",
        fix="a larger budget, smaller arrays (batches), or fewer values that variables of the function hold",
    )
