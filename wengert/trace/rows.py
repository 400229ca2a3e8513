"""The equations of a tape whose residuals are put away: packed by the user's hooks, and fetched again when they are used.

A tape's rows are a plain list, and stay one where nobody asks: recorders are bound to that list's `append`. Within a block of
hooks the rows are a `PackedRows`, whose `append` packs what a row keeps, and whose `pop`, which a sweep calls, fetches it again,
if the row's cotangent has been reached. Whoever iterates sees the rows as they are, with a `Packed` for what is away.

Each array is packed once, however many rows keep it: the same elements of the same memory, also transposed or reshaped. They
cannot be written meanwhile: a tape with such rows protects what it was given, and writes into no value in place.
"""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any, NamedTuple

import numpy as np

from wengert.core.errors import TapeError
from wengert.core.events import packed, tell, unpacked
from wengert.core.protect import WeakGuard
from wengert.core.source import Source, describe, here
from wengert.core.tensor import Array, Tensor, active, held
from wengert.graph.atoms import Away
from wengert.trace.stage import Stage
from wengert.trace.tape import Tape


class Block:
    """A `with` block of hooks, and the tapes that run in it."""

    def __init__(self, pack: Callable[[np.ndarray], Any], unpack: Callable[[Any], np.ndarray], tells: bool) -> None:
        self.pack, self.unpack = pack, unpack
        self.tells = tells  # of what is packed and unpacked, to whoever listens
        self.tapes: weakref.WeakSet[Tape] = weakref.WeakSet()


_block: ContextVar[Block | None] = ContextVar("wengert_hooks_of_residuals", default=None)


class HookedTape(Tape):
    """A tape within a block of hooks: of another class than `Tape`, so that no recorder takes a way past its rows."""

    __slots__ = ()


def in_block() -> bool:
    """Whether a block of hooks runs."""
    return _block.get() is not None


def start() -> Tape:
    """A new tape, under the hooks of the block that runs."""
    tape = Tape()
    if (block := _block.get()) is not None:
        _hook(tape, block)
    return tape


@contextlib.contextmanager
def hooking(
    pack: Callable[[np.ndarray], Any], unpack: Callable[[Any], np.ndarray], what: str, tells: bool = True
) -> Iterator[None]:
    """Have the tapes of this thread pack what they keep: those that run, and those that start in the block."""
    traces = active()
    if any(type(trace) is Stage for trace in traces):
        raise TapeError(
            what,
            got="a block of hooks in a function that is being staged (jit), where no residual has a value",
            want="a block around eager gradients",
            fix="for compiled ones: wengert.jit(f, memory_budget=...), or wengert.checkpoint(f, policy=...)",
            at=describe(here(4)),
        )
    block, before = Block(pack, unpack, tells), _block.get()
    token = _block.set(block)
    for trace in traces:
        if type(trace) is Tape or type(trace) is HookedTape:
            _hook(trace, block)
    try:
        yield
    finally:
        with contextlib.suppress(ValueError):  # a generator may end in another context than it began in
            _block.reset(token)
        for tape in list(block.tapes):
            _unhook(tape, block, before)


def _hook(tape: Tape, block: Block) -> None:
    rows = tape.program.eqns
    if type(rows) is not PackedRows:
        rows = tape.program.eqns = PackedRows(rows)
        tape.guard = WeakGuard(tape.guard)
    rows.block = block
    tape.append = rows.append
    tape.__class__ = HookedTape
    block.tapes.add(tape)


def _unhook(tape: Tape, block: Block, outer: Block | None) -> None:
    rows = tape.program.eqns
    if type(rows) is not PackedRows or rows.block is not block:
        return
    if outer is not None:
        _hook(tape, outer)
    else:
        rows.block = None
        tape.append = super(PackedRows, rows).append
        tape.__class__ = Tape


class Kept:
    """What a hook has made of an array, and how the array was."""

    __slots__ = ("__weakref__", "_last", "axes", "block", "dtype", "held", "shape", "source")

    def __init__(self, array: np.ndarray, axes: tuple[int, ...], block: Block, source: Source | None) -> None:
        self.shape, self.dtype, self.axes = array.shape, array.dtype, axes
        self.block, self.source = block, source
        self._last: Any = None  # a weak reference to the array as it was fetched last
        shown = array.view()
        shown.flags.writeable = False
        with _without_hooks():
            self.held = block.pack(shown)

    def fetch(self) -> np.ndarray:
        """The array, from the user's hook, unless somebody still has what that gave before."""
        if self._last is not None and (known := self._last()) is not None:
            return known
        with _without_hooks():
            found = self.block.unpack(self.held)
        if isinstance(found, np.generic):
            found = np.asarray(found)
        if not isinstance(found, np.ndarray) or found.shape != self.shape or found.dtype != self.dtype:
            shown = f"{found.dtype}{list(found.shape)}" if isinstance(found, np.ndarray) else type(found).__name__
            raise TapeError(
                "saved_tensors_hooks",
                got=f"{shown} from unpack",
                want=f"the array that was packed, or one like it: {self.dtype}{list(self.shape)}",
                fix="return an ndarray of that shape and dtype (array.astype(dtype))",
                at=describe(self.source),
            )
        found = found.view(np.ndarray)
        found.flags.writeable = False
        self._last = weakref.ref(found)
        return found


class Layer(NamedTuple):
    """A trace that a value is a Tensor of, and what that keeps beside it."""

    node: Any
    trace: Any


class Packed(Away):
    """One array of a row: which packed one it is, and how it lies in that."""

    __slots__ = ("axes", "kept", "layers", "shape")

    def __init__(self, kept: Kept, shape: tuple[int, ...], axes: tuple[int, ...], layers: tuple[Layer, ...]) -> None:
        self.kept, self.shape, self.axes, self.layers = kept, shape, axes, layers

    @property
    def held(self) -> Any:
        """What the hook returned."""
        return self.kept.held

    @property
    def present(self) -> Any:
        return self.kept.held if isinstance(self.kept.held, np.ndarray) else None

    def fetch(self) -> Array:
        """The value, as the row kept it."""
        kept = self.kept
        value: Any = kept.fetch()
        if kept.shape != self.shape or kept.axes != self.axes:
            flat = np.ascontiguousarray(value.transpose(kept.axes)).reshape(-1)
            laid = flat.reshape([self.shape[i] for i in self.axes])
            value = laid.transpose(np.argsort(self.axes))
        for node, trace in reversed(self.layers):
            value = Tensor(value, node, trace)
        return value


class PackedRows(list[Any]):
    """Rows, of which some keep `Packed` in the place of arrays."""

    __slots__ = ("block", "known", "reached")

    def __init__(self, rows: Any = ()) -> None:
        super().__init__(rows)
        self.block: Block | None = None
        # By elements in memory: the array that has that memory, which must be alive, and what became of it.
        self.known: dict[Any, tuple[weakref.ref[Any], weakref.ref[Kept]]] = {}
        self.reached: Any = None  # the cotangents of the sweep that pops

    def append(self, row: Any) -> None:
        if self.block is not None:
            op, ins, outs, params, xs, out, code, lasti = row
            xs = [self._packed(x, row) for x in xs]
            if out is not None:
                out = type(out)(self._packed(o, row) for o in out) if op.multi else self._packed(out, row)
            row = op, ins, outs, params, xs, out, code, lasti
        super().append(row)

    def begin(self, cts: Any) -> None:
        """A sweep with these cotangents starts to pop."""
        self.reached = cts

    def pop(self, *where: Any) -> Any:
        row = super().pop(*where)
        op, ins, outs, params, xs, out, code, lasti = row
        if (cts := self.reached) is not None and not (any(o in cts for o in outs) if op.multi else outs in cts):
            return row  # nobody needs it
        xs = [_fetched(x, row) for x in xs]
        if out is not None:
            out = type(out)(_fetched(o, row) for o in out) if op.multi else _fetched(out, row)
        return op, ins, outs, params, xs, out, code, lasti

    def copy(self) -> PackedRows:
        return PackedRows(self)

    def clear(self) -> None:
        super().clear()
        self.known.clear()
        self.reached = None

    def _packed(self, x: Any, row: Any) -> Any:
        layers = []
        bottom = x
        while type(bottom) is Tensor:
            if bottom._view is not None:
                bottom = held(bottom)
            layers.append(Layer(bottom._node, bottom._trace))
            bottom = bottom._value
        if type(bottom) is not np.ndarray or bottom.dtype.hasobject:
            return x
        axes = tuple(sorted(range(bottom.ndim), key=lambda i: (-abs(bottom.strides[i]), i)))
        key, owner = _elements(bottom, axes), _root(bottom)
        kept = None
        if (known := self.known.get(key)) is not None and known[0]() is owner:
            kept = known[1]()
        if kept is None:
            _, _, _, _, _, _, code, lasti = row
            assert self.block is not None
            kept = Kept(bottom, axes, self.block, None if code is None else (code, lasti))
            if key is not None:
                self.known[key] = weakref.ref(owner), weakref.ref(kept)
                if len(self.known) & 1023 == 0:
                    self._tidy()
            if packed and self.block.tells:
                tell(packed, row, x, kept.held)
        return Packed(kept, bottom.shape, axes, tuple(layers))

    def _tidy(self) -> None:
        """Forget what no row keeps any more."""
        self.known = {key: known for key, known in self.known.items() if known[1]() is not None}


def _fetched(x: Any, row: Any) -> Any:
    if type(x) is not Packed:
        return x
    value = x.fetch()
    if unpacked and x.kept.block.tells:
        tell(unpacked, row, x.held, value)
    return value


def _elements(array: np.ndarray, axes: tuple[int, ...]) -> Any:
    """What two arrays with the same elements in the same memory have in common, whatever their shapes; None if there are none."""
    if not array.size:
        return None
    address = array.__array_interface__["data"][0]
    if array.transpose(axes).flags.c_contiguous:
        return address, array.size, array.dtype
    return address, array.shape, array.strides, array.dtype


def _root(array: np.ndarray) -> np.ndarray:
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


@contextlib.contextmanager
def _without_hooks() -> Iterator[None]:
    """What hooks do themselves is not packed."""
    token = _block.set(None)
    try:
        yield
    finally:
        _block.reset(token)
