"""`Tensor`: a NumPy-like handle to a traced value, and `Trace`: what gives its ops their meaning.

A Tensor is a *cell*. It holds one immutable value at a time (an ndarray, a NumPy
scalar, or a Tensor of an outer trace); an in-place write binds the cell to a new
value. A view remembers the cell it was taken from and re-reads it when that cell
has changed, so writes are seen through views, and through to their bases, as in NumPy.

Nesting: each transform runs the user's function under a trace of its own. Levels
grow with the time a trace starts, so the inner trace is the one with the higher
level, and a Tensor's value belongs to a lower level than the Tensor itself.

This module knows no op. Operators, methods and protocols are attached by `wengert.numpy`.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import numpy as np

from wengert.core.abstract import Abstract, is_array, share_memory
from wengert.core.aval import is_inexact
from wengert.core.errors import ConcretizationError, ShapeError, TracerLeak
from wengert.core.source import describe, here

if TYPE_CHECKING:
    from wengert.core.op import Op

Array = Any  # an ndarray, NumPy scalar, Python scalar or Tensor

_levels = itertools.count(1)
_active: ContextVar[tuple[Trace, ...]] = ContextVar("wengert_active_traces", default=())


class Trace:
    """One interpretation of ops: record them, push tangents through them, batch them.

    `mode` is None on the fast path; otherwise it is the function that handles `apply`
    instead (paused, closed, checking for NaN, replaying).
    """

    __slots__ = ("__weakref__", "level", "mode")

    differentiates = True  # whether no_grad() concerns this trace
    guard: Any = None  # the arrays that a backward pass needs, if there is to be one
    confines = False  # whether what runs under it may write to nothing from outside: the body of a loop or branch
    rehearses = False  # whether what runs under it will run again, on a tape of its own
    shadows = False  # whether its values stand for those of an eager run, although they have no elements
    met: Any = None  # told of each Tensor whose value is read or copied past `apply`: a checkpoint wants to know

    def __init__(self) -> None:
        self.level: float = next(_levels)
        self.mode: Any = None

    def __reduce_ex__(self, protocol: Any) -> Any:
        raise TypeError(f"cannot copy or pickle a {type(self).__name__}: it belongs to a running computation")

    def apply(self, op: Op, args: tuple[Array, ...], params: dict[str, Any]) -> Any:
        """Interpret one call of `op`, of whose operands at least one belongs to this trace."""
        raise NotImplementedError

    def view(self, op: Op, x: Tensor, params: dict[str, Any]) -> Array:
        """See the function `view`."""
        out = op(x, **params)
        if type(out) is Tensor and share_memory(raw(out), raw(x)) and not is_scalar(x):
            out._view = View(x, op, params)
        return out

    def write(self, cell: Tensor, spec: Any, value: Array, node: Any, traced: bool) -> bool:
        """`cell[spec] = value` in the memory of `cell`, of this trace, which nobody else holds; False if it cannot be.

        `spec` has no arrays. `value` is an ndarray or a number; if `traced`, it is of this trace, with `node`.
        """
        return False

    def shape(self, value: Array) -> tuple[int, ...]:
        """The shape that a Tensor of this trace shows, given what it holds."""
        return value.shape

    def seeded(self, seeds: Any) -> Any:
        """The (variable, cotangent) pairs that a sweep begins with, which runs while this trace does."""
        return seeds

    def owned(self, x: Tensor, seen: set[int]) -> Tensor:
        """`x`, of this trace, as it leaves the library; `seen` has the ids of arrays that have left."""
        return held(x)

    def copied(self, x: Tensor) -> Tensor:
        """`x`, of this trace, in a cell of its own."""
        return held(x)

    def lower(self, arg: Array) -> Array:
        """`arg` as the next trace below sees it."""
        if type(arg) is Tensor:
            if arg._view is not None:
                arg._sync()
            if arg._trace is self or arg._trace is CONSTANTS:
                return arg._value
        return arg

    def owns(self, arg: Array) -> bool:
        """Whether `arg` is a Tensor of this trace."""
        if type(arg) is not Tensor:
            return False
        if arg._view is not None:
            arg._sync()
        return arg._trace is self

    def close(self, what: str) -> None:
        """End the trace: any later use of its Tensors is a leak."""
        source = here(2)

        def leaked(trace: Trace, op: Op, args: tuple[Array, ...], params: dict[str, Any]) -> Any:
            raise TracerLeak(
                op.name,
                got=f"a Tensor of {what}, which has ended (started at {describe(source)})",
                want="Tensors of a running trace",
                fix="return the value from the function (has_aux=True), or store wengert.stop_gradient(x) instead of x",
                at=describe(here(3)),
            )

        leaked.ended = True
        self.mode = leaked


def paused(trace: Trace, op: Op, args: tuple[Array, ...], params: dict[str, Any]) -> Any:
    """The mode of a trace that looks away: results are constants for it."""
    out = op(*map(trace.lower, args), **params)
    return tuple(map(constant, out)) if op.multi else constant(out)


class _Constants(Trace):
    """The trace of Tensors that depend on nothing: mutable cells which adopted creation functions return."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__()
        self.level = 0

    def apply(self, op: Op, args: tuple[Array, ...], params: dict[str, Any]) -> Any:
        out = op.eval(*map(self.lower, args), **params)
        return tuple(map(constant, out)) if op.multi else constant(out)


CONSTANTS = _Constants()


class View:
    """How a cell was taken from another: re-read with `op`, written back with `op.put`."""

    __slots__ = ("base", "node", "op", "params", "value")

    def __init__(self, base: Tensor, op: Op, params: dict[str, Any]) -> None:
        self.base = base
        self.op = op
        self.params = params
        self.value = base._value
        self.node = base._node

    def stale(self) -> bool:
        base = self.base
        if base._view is not None:
            base._sync()
        return base._value is not self.value or base._node is not self.node


class Tensor:
    """An array under a trace. It behaves as the ndarray it stands for.

    Not for direct construction: `GradientTape.watch`, the transforms and
    (within a trace) `wengert.numpy`'s creation functions make Tensors.

    Attributes
    ----------
    shape, dtype, ndim, size, T, real, imag, flat, …
        As ndarray's.
    """

    __slots__ = ("__weakref__", "_node", "_trace", "_value", "_view")

    _value: Any
    _node: Any  # what the trace keeps beside the value: a Var, a tangent, nothing
    _trace: Trace
    _view: View | None

    # ndarray's binary operators hand over to ours when the other operand is a Tensor.
    __array_priority__ = 1000.0

    if TYPE_CHECKING:  # what `wengert.numpy` attaches, for type checkers: operators, and ndarray's methods

        def __getattr__(self, name: str) -> Any: ...
        def __setitem__(self, key: Any, value: Any) -> None: ...
        def __iter__(self) -> Iterator[Any]: ...
        def __len__(self) -> int: ...
        def __float__(self) -> float: ...
        def __int__(self) -> int: ...
        def __neg__(self) -> Any: ...
        def __pos__(self) -> Any: ...
        def __abs__(self) -> Any: ...
        def __invert__(self) -> Any: ...
        def __add__(self, other: Any, /) -> Any: ...
        def __radd__(self, other: Any, /) -> Any: ...
        def __iadd__(self, other: Any, /) -> Any: ...
        def __sub__(self, other: Any, /) -> Any: ...
        def __rsub__(self, other: Any, /) -> Any: ...
        def __isub__(self, other: Any, /) -> Any: ...
        def __mul__(self, other: Any, /) -> Any: ...
        def __rmul__(self, other: Any, /) -> Any: ...
        def __imul__(self, other: Any, /) -> Any: ...
        def __truediv__(self, other: Any, /) -> Any: ...
        def __rtruediv__(self, other: Any, /) -> Any: ...
        def __itruediv__(self, other: Any, /) -> Any: ...
        def __pow__(self, other: Any, /) -> Any: ...
        def __rpow__(self, other: Any, /) -> Any: ...
        def __ipow__(self, other: Any, /) -> Any: ...
        def __floordiv__(self, other: Any, /) -> Any: ...
        def __rfloordiv__(self, other: Any, /) -> Any: ...
        def __mod__(self, other: Any, /) -> Any: ...
        def __rmod__(self, other: Any, /) -> Any: ...
        def __matmul__(self, other: Any, /) -> Any: ...
        def __rmatmul__(self, other: Any, /) -> Any: ...
        def __and__(self, other: Any, /) -> Any: ...
        def __or__(self, other: Any, /) -> Any: ...
        def __xor__(self, other: Any, /) -> Any: ...
        def __lt__(self, other: Any, /) -> Any: ...
        def __le__(self, other: Any, /) -> Any: ...
        def __gt__(self, other: Any, /) -> Any: ...
        def __ge__(self, other: Any, /) -> Any: ...
        def __getitem__(self, other: Any, /) -> Any: ...

    def __init__(self, value: Array, node: Any, trace: Trace) -> None:
        self._value = value
        self._node = node
        self._trace = trace
        self._view = None

    def __reduce_ex__(self, protocol: Any) -> Any:
        if self._view is not None:
            self._sync()
        if self._trace is CONSTANTS:
            return np.array, (self._value,)
        raise ConcretizationError(
            "pickle of a Tensor",
            got=f"{self.dtype}{list(self.shape)} of a trace, which stays in its process",
            want="an ndarray",
            fix="pickle wengert.stop_gradient(x)",
            at=describe(here(2)),
        )

    @property
    def shape(self) -> tuple[int, ...]:
        return self._trace.shape(self._value)

    @property
    def dtype(self) -> np.dtype:
        return self._value.dtype

    @property
    def ndim(self) -> int:
        return len(self._trace.shape(self._value))

    @property
    def size(self) -> int:
        n = 1
        for d in self._trace.shape(self._value):
            n *= d
        return n

    def _sync(self) -> None:
        """Re-read a view whose base has been written since."""
        view = self._view
        if view is not None and view.stale():
            with looking(view.base):
                self._bind(view.op(view.base, **view.params))
            self._view = View(view.base, view.op, view.params)

    def _bind(self, new: Array) -> None:
        """Point the cell at another value, whose shape and dtype must be the cell's."""
        if type(new) is Tensor:
            self._value, self._node, self._trace = new._value, new._node, new._trace
        else:
            self._value, self._node, self._trace = new, None, CONSTANTS

    def _write(self, new: Array) -> None:
        """Bind the cell in place of an assignment, and write through to what it is a view of."""
        if any(t.confines and 0 < self._trace.level < t.level for t in active()):
            raise TracerLeak(
                "in-place write",
                got="a write to an array from outside, in the body of a staged loop or branch: it would happen once, whatever runs",
                want="writes to what the body is given or has made",
                fix="make the array part of the carry (or an operand of the branch), write to that, and return it",
                at=describe(here(2)),
            )
        if getattr(new, "shape", ()) != self.shape:
            raise ShapeError(
                "in-place write", got=f"shape {np.shape(new)}", want=f"shape {self.shape}", at=describe(here(2))
            )
        self._sync()
        view, old = self._view, raw(self)
        if view is None:
            laid = new if same_layout(raw(new), old) else self._laid_out(new, old)
            self._bind(laid)
            if laid is not new and type(laid) is Tensor:
                self._view = laid._view
            return
        seen: View | None = view
        while seen is not None:
            if seen.op.put is None:
                raise ValueError(f"assignment destination is read-only (a {seen.op.name} view)")
            seen = seen.base._view
        self._bind(new)
        put: Any = view.op.put
        view.base._write(put(view.base, self, **view.params))
        if not same_layout(raw(new), old):
            self._bind(view.op(view.base, **view.params))
        self._view = View(view.base, view.op, view.params)

    @staticmethod
    def _laid_out(new: Array, old: np.ndarray) -> Array:
        """`new` in the memory layout of `old`; attached by `wengert.numpy`, since it takes ops."""
        return new


def same_layout(x: Any, y: Any) -> bool:
    """Whether two arrays of one shape lie alike in memory, which decides where NumPy makes views of them."""
    return is_array(x) is is_array(y) and x.strides == y.strides


def constant(value: Any) -> Any:
    """Wrap an inexact ndarray as a mutable cell; leave integers, booleans and scalars as NumPy makes them."""
    if isinstance(value, np.ndarray) and is_inexact(value.dtype):
        return Tensor(value, None, CONSTANTS)
    return value


def view(op: Op, x: Tensor, **params: Any) -> Array:
    """Apply a view op to a Tensor, and tie the result to `x` where NumPy would share memory."""
    if x._view is not None:
        x._sync()
    return x._trace.view(op, x, params)


def is_scalar(x: Tensor) -> bool:
    """Whether `x` stands for a NumPy scalar, which cannot be written, and not for an array without axes.

    Under vmap, whose values have a batch axis, it does unless it is a view.
    """
    if x.ndim:
        return False
    bottom = raw(x)
    return not is_array(bottom) or (bottom.ndim > 0 and x._view is None)


def held(x: Array) -> Array:
    """`x` as it is now: a Tensor is a cell that the user may write to, and what a trace holds must not change with it."""
    if type(x) is not Tensor:
        return x
    if x._view is not None:
        x._sync()
    meet(x)
    return Tensor(x._value, x._node, x._trace)


def meet(x: Tensor) -> None:
    """Tell the trace of `x` that its value is used, though not by an op."""
    if (met := x._trace.met) is not None:
        met(x)


def raw(x: Array) -> Any:
    """The ndarray or scalar at the bottom. It carries no derivative: for flags, repr and control flow only."""
    while type(x) is Tensor:
        if x._view is not None:
            x._sync()
        x = x._value
    return x


def staged(x: Array) -> bool:
    """Whether `x` is, or stands for, a Tensor of a program that is being staged: it has no value yet."""
    if type(x) is not Tensor:
        return False
    trace = x._trace
    while type(x) is Tensor:
        if x._view is not None:
            x._sync()
        trace, x = x._trace, x._value
    return type(x) is Abstract and not trace.shadows


def protect(x: Tensor) -> None:
    """Protect the value of `x`, which is about to be handed out, against writes while a tape may need it."""
    meet(x)
    guard = x._trace.guard
    if guard is not None and type(x._value) is np.ndarray:
        guard.add(x._value)


def carries(x: Array) -> bool:
    """Whether making a plain number of `x` would lose a derivative: it is inexact, and of a trace that looks."""
    while type(x) is Tensor:
        if x._view is not None:
            x._sync()
        if x._trace is CONSTANTS or not is_inexact(x.dtype):
            return False
        if x._trace.mode is not paused:
            return True
        x = x._value
    return False


def active() -> tuple[Trace, ...]:
    """The traces now running in this thread and context, outermost first."""
    return _active.get()


@contextlib.contextmanager
def looking(x: Array) -> Iterator[None]:
    """Have the traces of `x` record, even those that are paused or run a checkpoint: a view that catches up with
    a write made earlier is no computation of now."""
    away: list[tuple[Trace, Any]] = []
    while type(x) is Tensor:
        trace = x._trace
        if trace.mode is paused or trace.met is not None or getattr(trace.mode, "catches", False):
            away.append((trace, trace.mode))
            trace.mode = None
        x = x._value
    try:
        yield
    finally:
        for trace, mode in away:
            trace.mode = mode


class running:
    """Hold `trace` active for the length of a `with` block.

    Blocks may end in any order, and in another context than they began in (generators): each takes away its own.
    """

    __slots__ = ("trace",)

    def __init__(self, trace: Trace) -> None:
        self.trace = trace

    def __enter__(self) -> None:
        _active.set((*_active.get(), self.trace))

    def __exit__(self, *exc: object) -> None:
        traces = _active.get()
        for i in range(len(traces) - 1, -1, -1):  # the last, since a trace may be held by blocks within each other
            if traces[i] is self.trace:
                _active.set(traces[:i] + traces[i + 1 :])
                break
        for function in _when_ended:
            function(self.trace)


_when_ended: list[Callable[[Trace], None]] = []


def when_ended(function: Callable[[Trace], None]) -> None:
    """Call `function(trace)` whenever a trace ceases to be active: for whoever keeps values of running traces."""
    _when_ended.append(function)
