"""Programs become functions: lowered, compiled, loaded, and called on ndarrays."""

from __future__ import annotations

import contextlib
import ctypes
import os
import threading
import time
import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

import numpy as np

from wengert.core.aval import Aval
from wengert.core.config import config, when_set
from wengert.core.errors import CompileError
from wengert.core.events import built, compiled, ran, running, tell, when_changed
from wengert.graph.program import Program
from wengert.lowering.lowered import Lowered
from wengert.runtime import blocks, cache, native, objects, perf, threads, tiers  # noqa: F401 - which configure what they name
from wengert.runtime.entry import CONTEXT, OPERANDS, RUN, Spec, Tables, Wrap, builtin
from wengert.runtime.hostcall import located, runner
from wengert.runtime.portable import Caller
from wengert.runtime.support import support

LONG = 20e-6  # seconds of estimated work from which on the interpreter lock is released


def compile(
    program: Program | Lowered, *, donated: frozenset[int] = frozenset(), name: str = "", tier: str | None = None
) -> Executable:
    """Machine code for a program; the same object where an equal program, from the same lines of the user's, is compiled again.

    donated : operands whose memory results may take over
    tier : "first", "fast" or "full"; None: see `tiers.py`
    Cost: some tens of milliseconds per loop nest in the full tier, a tenth of that in the first; a millisecond altogether where
    the disk cache has the code. Several threads that ask for one program wait for the first of them.
    """
    level = None if tier is None else native.TIERS[tier]
    if isinstance(program, Lowered):
        return Executable(program, level, name, {})
    lines = tuple(eqn[6:8] for eqn in program.eqns)  # errors name them
    known = program, lines, donated, level, config.tiered
    with _compiling(known):
        found = _recent.pop(known, None) or _alive.get(known)
        if found is None:
            found = _compiled(program, donated, name, level)
        _alive[known] = found
        _keep(known, found)
        return found


def _compiled(program: Program, donated: frozenset[int], name: str, tier: native.Tier | None) -> Executable:
    from wengert.lowering.lower import lower

    start = time.perf_counter()
    lowered = lower(program, donated=donated)
    end = time.perf_counter()
    if built:
        tell(built, name, "lower", start, end)
    return Executable(lowered, tier, name, {"lower": end - start})


Known = tuple[Program, Any, frozenset[int], native.Tier | None, Any]
_alive: weakref.WeakValueDictionary[Known, Executable] = weakref.WeakValueDictionary()
_recent: OrderedDict[Known, Executable] = OrderedDict()  # kept even if nobody else does
_RECENT, _SMALL = 128, 1 << 20  # how many; and up to which bytes of constants
_guard = threading.Lock()
_running: dict[Known, tuple[threading.RLock, list[int]]] = {}


def forget() -> None:
    """Let go of programs that nobody holds, and compile equal ones again."""
    with _guard:
        _recent.clear()
        _alive.clear()


def _forked() -> None:
    """Nobody compiles in the child of a fork, whatever other threads of its parent did."""
    global _guard
    _guard = threading.Lock()
    _running.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)


@contextlib.contextmanager
def _compiling(known: Known) -> Iterator[None]:
    """One thread at a time per program."""
    with _guard:
        lock, waiting = _running.setdefault(known, (threading.RLock(), [0]))
        waiting[0] += 1
    try:
        with lock:
            yield
    finally:
        with _guard:
            waiting[0] -= 1
            if not waiting[0]:
                _running.pop(known, None)


def _keep(known: Known, executable: Executable) -> None:
    with _guard:
        if sum(c.nbytes for c in executable.lowered.constants) <= _SMALL:
            _recent[known] = executable
        while len(_recent) > _RECENT:
            _recent.popitem(last=False)


made: weakref.WeakSet[Executable] = weakref.WeakSet()  # all that there are
instead: int | None = None  # where entries go in the place of `run`, for a while: see `timing.py`
_refusing = False  # whether they refuse every call, which then comes through Python


class Executable:
    """A compiled program.

    seconds : what each stage of compiling took
    nbytes : of object code
    """

    def __init__(self, lowered: Lowered, tier: native.Tier | None, name: str, seconds: dict[str, float]) -> None:
        self.lowered, self.name, self.seconds = lowered, name or "compiled", seconds
        for aval in (*lowered.ins, *(out.aval for out in lowered.outs)):
            if aval.dtype.hasobject:
                raise CompileError("compiled code cannot hold Python objects", got=str(aval))
        native.require(lowered.symbols)
        self._specs: weakref.WeakSet[Any] = weakref.WeakSet()
        self._codes: list[native.Code] = []  # earlier ones may still be running
        self._instead = instead
        self._calls = 0
        self._load(self._assembled(tier))
        self._constants = [_constant(c) for c in lowered.constants]
        endless = any(eqn.op.name.startswith("while_") for eqn in lowered.program.equations())  # nobody knows how long
        self._long = endless or sum(max(k.flops / 4e9, k.bytes / 1e10) for k in lowered.kernels) > LONG
        self._host = [runner(reference) for reference in lowered.host_calls]
        self.unsupported = objects.supported()
        if self.unsupported:
            self._caller = Caller(lowered.host_calls, self._host)
            self._context = self._caller.context
        else:
            self._tables = Tables(lowered, self._constants, self._host)
            self._spec = self._tables.spec(self._run, long=self._long)
            self._specs.add(self._spec)
            self._point(self._spec)
            self._context = self._spec.address + CONTEXT
            self.unsupported = self._tables.unsupported
        made.add(self)
        if compiled:
            tell(compiled, self, lowered.program)

    def _assembled(self, tier: native.Tier | None) -> bytes:
        """Object code: of the tier asked for, or of the one to begin in, unless the full one lies in the cache already."""
        self.tier, text = tier or tiers.chosen(self.lowered), perf.text(self.lowered)
        if tier is None and self.tier is not native.FULL and cache.holds(text, native.FULL):
            self.tier = native.FULL
        start = time.perf_counter()
        code, stages = cache.assembled(text, self.tier)
        if built:
            tell(built, self.name, "cached" if "cached" in stages else "llvm", start, time.perf_counter())
        self._until_hot = tiers.CALLS if tier is None and self.tier is not native.FULL else 0
        self.seconds |= stages
        return code

    def _load(self, code: bytes) -> None:
        start = time.perf_counter()
        self._codes.append(native.Code(code, perf.Names(self.name, self.lowered)))
        self._run = self._codes[-1].address("run")
        self.nbytes = len(code)
        end = time.perf_counter()
        self.seconds["load"] = end - start
        if built:
            tell(built, self.name, "load", start, end)

    def recompile(self, tier: native.Tier) -> None:
        """Run code of another tier from the next call on."""
        code, stages = cache.assembled(perf.text(self.lowered), tier)
        self.seconds |= {f"{tier.name} {stage}": seconds for stage, seconds in stages.items()}
        self._load(code)
        self.tier = tier
        self.go(instead)

    def go(self, address: int | None) -> None:
        """Have entries go to `address` in the place of `run`; None: to `run`."""
        self._instead = address
        for spec in list(self._specs):
            self._point(spec)

    def _point(self, spec: Spec) -> None:
        spec.words[RUN] = self._instead or self._run
        spec.words[OPERANDS] = -1 if _refusing else len(self.lowered.ins)

    def enters_by(self, address: int) -> bool:
        """Whether a spec of this program's lies there."""
        return any(spec.address == address for spec in list(self._specs))

    def _hot(self) -> None:
        """This program was called again: an entry's first call is not the program's, which comes through Python."""
        if self._until_hot:
            self._until_hot = 0
            tiers.promote(self)

    def entry(self, slow: Callable[..., Any], out: Wrap = "array") -> Callable[..., Any]:
        """A function of the operands, at about 0.2 µs a call and 20 ns an array.

        It serves arrays that are contiguous, aligned and of the very shapes and dtypes that were compiled for, and scalars
        (Python's for weak avals). For anything else it returns `slow(*args)`, so entries can be chained.
        out : "array", the one result; "tuple", all of them; or a callable that is given the results and whose result is returned
        """
        if self.unsupported:
            return slow
        fail, hot = self._fail, self._hot
        spec = self._tables.spec(
            self._run, long=self._long, slow=slow, fail=fail, wrap=out, calls=min(self._until_hot, 1), hot=hot
        )
        self._specs.add(spec)
        self._point(spec)  # its code may have changed just now
        return builtin(spec, self.name, (slow, fail, out, hot, self))

    def __call__(self, *operands: Any) -> list[np.ndarray]:
        """Results for operands of the avals that were compiled for: arrays in any layout, or scalars. 0-d results are 0-d arrays."""
        lowered = self.lowered
        ins = [_operand(x, aval) for x, aval in zip(operands, lowered.ins, strict=True)]
        if ran and running:
            tell(running, self, ins)
        began = time.perf_counter() if ran else 0.0
        for i in lowered.inplace.values():
            shared = any(np.may_share_memory(ins[i], x) for j, x in enumerate(ins) if j != i)
            if shared or not ins[i].flags.writeable:
                ins[i] = ins[i].copy()
        new = [self._new(i, ins) for i, out in enumerate(lowered.outs) if out.kind == "new"]
        work = np.empty(lowered.workspace + 64, np.uint8)
        arrays = [*ins, *new, *self._constants]
        frame = (ctypes.c_void_p * (len(arrays) + 2))(
            self._context, *(a.ctypes.data for a in arrays), (work.ctypes.data + 63) & ~63
        )
        if objects.supported():
            code = self._caller(self._instead or self._run, ctypes.addressof(frame))
        else:
            code = support().invoke(self._spec.address, ctypes.addressof(frame))
        if code:
            self._fail(code)
        self._calls += 1
        if self._calls == self._until_hot:
            self._hot()
        results = self._results(ins, new)
        if ran and began:
            tell(ran, self, ins, results, began, time.perf_counter())
        return results

    def _new(self, number: int, ins: list[np.ndarray]) -> np.ndarray:
        """Memory for a result that is written by `run`: its own, or that of a donated operand."""
        aval, taken = self.lowered.outs[number].aval, self.lowered.inplace.get(number)
        if taken is None:
            return np.empty(aval.shape, aval.dtype)
        return ins[taken].view(aval.dtype).reshape(aval.shape)

    def _results(self, ins: list[np.ndarray], new: list[np.ndarray]) -> list[np.ndarray]:
        fresh = iter(new)
        results: list[np.ndarray] = []
        for out in self.lowered.outs:
            match out.kind:
                case "new":
                    results.append(next(fresh))
                case "input":
                    results.append(ins[out.index].copy())
                case "constant":
                    results.append(self._constants[out.index].copy())
                case "same":
                    results.append(results[out.index].copy())
        return results

    def _fail(self, code: int) -> NoReturn:
        """Raise what has gone wrong in a call that returned `code`."""
        if code < 0:
            raise CompileError("compiled code failed, and kept no error")
        kind, message, source = self.lowered.failures[code - 1]
        raise located(kind(message), source)

    def llvm(self, optimised: bool = False) -> str:
        """The text that was compiled, before or after LLVM's passes."""
        return native.show(self.lowered.text, self.tier, "llvm") if optimised else self.lowered.text

    @property
    def asm(self) -> str:
        """The machine code as assembly."""
        return native.show(self.lowered.text, self.tier, "asm")


def _listened() -> None:
    """Somebody came to listen to calls, or nobody does any more; or `config.jit` was set."""
    global _refusing
    refusing = bool(ran) or not config.jit
    if _refusing != refusing:
        _refusing = refusing
        for executable in list(made):
            executable.go(executable._instead)


when_changed(_listened)
when_set(lambda name: _listened() if name == "jit" else None)


def _constant(value: Any) -> np.ndarray:
    array = np.ascontiguousarray(value).reshape(np.shape(value))
    return array if array.flags.aligned else array.copy()


def _operand(x: Any, aval: Aval) -> np.ndarray:
    """`x` as compiled code wants it: contiguous and aligned."""
    array = np.require(x, aval.dtype if aval.weak else None, ["C", "A"]).reshape(np.shape(x))
    if array.shape != aval.shape or array.dtype != aval.dtype:
        raise CompileError(
            "compiled code was given an operand that it was not compiled for",
            got=f"{array.dtype}{list(array.shape)}",
            want=str(aval),
        )
    return array
