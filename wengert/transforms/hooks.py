"""Hooks: gradients seen or replaced on their way back, and residuals put away by the user's own functions.

x.register_hook(fn)                     the whole gradient of a Tensor of a tape, once it is complete
x.register_hook(fn, each=True)          each contribution to it, as it is added
y = wg.gradient_hook(x, fn)             the gradient that comes back through this use of x: in every mode
with wg.saved_tensors_hooks(p, u):      what tapes keep for their backward passes
with wg.save_on_disk():                 the same, in files
"""

from __future__ import annotations

import contextlib
import itertools
import tempfile
import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from wengert.core.aval import INEXACT, Aval, is_inexact
from wengert.core.errors import TapeError, TracerLeak
from wengert.core.form import Via
from wengert.core.op import Op
from wengert.core.sizes import bytes_of
from wengert.core.source import Source, describe, here
from wengert.core.tensor import CONSTANTS, Array, Tensor, active, view
from wengert.graph.program import Vars
from wengert.ops.basis import all_batched
from wengert.trace.rows import hooking
from wengert.trace.tape import Tape
from wengert.transforms.batch import batch_flat
from wengert.transforms.checkpoint.offload import Disk
from wengert.transforms.cotangents import Hooks, replaced
from wengert.transforms.entry import outward

_numbers = itertools.count()


class HookHandle:
    """A registered hook. `remove()` ends it; more than once does no harm."""

    __slots__ = ("_hooks", "_number")

    def __init__(self, hooks: dict[int, Any] | None, number: int) -> None:
        self._hooks, self._number = hooks, number

    def remove(self) -> None:
        """Call the hook no more."""
        if self._hooks is not None:
            self._hooks.pop(self._number, None)

    def __enter__(self) -> HookHandle:
        return self

    def __exit__(self, *exc: object) -> None:
        self.remove()


def register_hook(self: Tensor, fn: Callable[..., Any], *, each: bool = False) -> HookHandle:
    """Have `fn(gradient)` called when a backward pass has the whole gradient of this Tensor, all contributions added up.

    `fn` returns None, or a gradient of the same shape and dtype that goes on in its place. With `each`, `fn(contribution, total)`
    is called as each contribution is added, with the sum so far, and returns nothing.

    The Tensor belongs to a tape: an input or any intermediate value within `grad`, `vjp` or a `GradientTape`. The hook belongs to the
    innermost of them, and to the value that the Tensor has now: after an in-place write the Tensor has another one. Hooks on one
    value are called in the order in which they were registered, each with what the one before left; in every backward pass of that
    tape, before, of `GradientTape.gradient`, the gradient is handed out. Not called where no gradient arrives.

    A hook computes with ops that outer transforms see, so what it replaces is differentiated in turn. It runs while the
    backward pass is staged (jit): once per compilation, with Tensors that have no value. It must not write into what it is given.

    Returns
    -------
    HookHandle, with `remove()`.

    Raises
    ------
    TapeError : the Tensor belongs to no tape (a constant; `jvp`, `vmap` or `jit` from inside): use `gradient_hook` there.
    ShapeError, DTypeError : in the backward pass, for a replacement of another shape or dtype.
    """
    source = here(2)
    if self._view is not None:
        self._sync()
    tape = self._trace
    if tape.rehearses:
        return HookHandle(None, 0)  # the run that counts is to come
    _need_inside(tape, source)
    if not isinstance(tape, Tape) or self._node is None or not is_inexact(self.dtype):
        what = (
            "a constant"
            if tape is CONSTANTS or isinstance(tape, Tape)
            else f"a Tensor of a {type(tape).__name__.lower()}"
        )
        raise TapeError(
            "register_hook",
            got=f"{what}, to which no tape carries a gradient",
            want="an input of grad, vjp or GradientTape, or what was computed from one",
            fix="x = wengert.gradient_hook(x, fn), which works in every mode; constants have no gradient",
            at=describe(source),
        )
    if getattr(tape.mode, "ended", False):
        raise TracerLeak(
            "register_hook",
            got="a Tensor of a transform that has ended",
            want="a Tensor of a running one, or of a GradientTape",
            fix="register the hook in the function",
            at=describe(source),
        )
    program = tape.program
    if program.hooks is None:
        program.hooks = {}
    hooks = program.hooks.get(self._node)
    if hooks is None:
        hooks = program.hooks[self._node] = Hooks(weakref.ref(tape))
    number, chosen = next(_numbers), hooks.each if each else hooks.total
    chosen[number] = fn, source
    return HookHandle(chosen, number)


def _need_inside(tape: Any, source: Source | None) -> None:
    """Refuse a Tensor from outside of a checkpointed function, of whose gradient a second run would see a part."""
    if any(trace.rehearses and tape.level < trace.level for trace in active()):
        raise TapeError(
            "register_hook",
            got="in a checkpointed function, a Tensor from outside of it",
            want="one of the function's own: its second run knows that one's gradient alone",
            fix="register the hook outside, or use x = wengert.gradient_hook(x, fn) in the function",
            at=describe(source),
        )


Tensor.register_hook = register_hook  # type: ignore[attr-defined]


# ── on one use of a value, in every mode ──────────────────────────────────────


def _pulled(
    ct: Array, ins: Vars, xs: Any, out: Any, *, fn: Callable[[Any], Any], source: Source | None
) -> tuple[Array]:
    return (replaced(fn, ct, ins[0], source),)


def _batch(
    xs: Sequence[Array], batched: Sequence[bool], size: int, *, fn: Callable[[Any], Any], source: Source | None
) -> Array:
    def one(ct: Array) -> list[Array]:
        return [replaced(fn, ct, Aval(tuple(ct.shape), ct.dtype), source)]

    def every(gradient: Any) -> Any:  # for all examples; in the user's convention, as `one` is not
        outs, flags = batch_flat(one, [outward(gradient)], [True], size)
        return outward(all_batched(outs, flags, size)[0])

    return hooked(xs[0], fn=every, source=source)


hooked = Op(
    name="gradient_hook",
    accepts=INEXACT,
    shape=lambda x, *, fn, source: x,
    eval=lambda x, *, fn, source: x,
    jvp=lambda xs, dxs, out, *, fn, source: dxs[0],
    vjp=_pulled,
    saves=(),
    batch=_batch,
    put=lambda x, y, *, fn, source: y,
    samples=(),
    lower=Via(lambda x, *, fn, source: x),
    note="the operand; the user's function has the cotangent",
)


def gradient_hook(x: Array, fn: Callable[[Any], Any]) -> Any:
    """`x`, whose gradient passes through `fn` on its way back: `fn(gradient)` gives the one to go on with, or None for the same.

        h = wg.gradient_hook(h, lambda g: np.clip(g, -1.0, 1.0))

    Unlike `x.register_hook(fn)` it concerns what is computed from the result alone, and is an op: it works on plain arrays (which it
    returns), under `vmap` (`fn` sees one example), in `jit` and in loops. There `fn` is run while the backward pass is staged: it may
    compute, but sees no values, once per compilation. Forward mode passes by; reverse passes of higher order go through `fn` too.

    Shapes: any; the dtype is inexact (others have no gradient, and are returned). Cost: none forward.
    """
    source = here(2)
    if type(x) is not Tensor or not is_inexact(x.dtype):
        return x
    return view(hooked, x, fn=fn, source=source)


# ── what tapes keep ───────────────────────────────────────────────────────────


@contextlib.contextmanager
def saved_tensors_hooks(pack: Callable[[np.ndarray], Any], unpack: Callable[[Any], np.ndarray]) -> Iterator[None]:
    """Have tapes keep `pack(array)` in the place of each array that they save in this block, and `unpack` that when it is used.

        half = lambda a: a.astype(np.float16) if a.dtype == np.float64 else a
        with wg.saved_tensors_hooks(half, lambda a: a.astype(np.float64) if a.dtype == np.float16 else a):
            wg.grad(loss)(p)                      # a quarter of the residuals, to three digits

    `pack` is given a read-only view of an ndarray, and may return anything; `unpack` is given that, and returns an ndarray of the same
    shape and dtype. An array that several ops save is packed once, also where it is transposed or reshaped, and unpacked whenever
    the backward pass needs it and has not got it. Neither is called for numbers. The arrays stay write-protected as ever, but
    are freed where nobody else holds them.

    Under `vmap`, in gradients of gradients and in jvp of gradients the hooks see the ndarray at the bottom (under vmap with the
    axis of examples first); tangents, and the tapes' equations, stay. Of a checkpoint they see its inputs and what its policy
    keeps, of `custom_vjp` its residuals. In nested blocks the innermost pair holds. Gradients are those of the values that `unpack`
    gives: nothing else checks them.

    The block concerns this thread (and context): tapes that run in it, and those started in it. Compiled functions (`jit`) keep
    their residuals in memory of their own, which no hook sees; in a function that is being staged the block raises TapeError.
    """
    with hooking(pack, unpack, "saved_tensors_hooks"):
        yield


@contextlib.contextmanager
def save_on_disk(folder: Any = None, least: int | str = "1 MiB", compress: bool | str = False) -> Iterator[None]:
    """Have tapes keep in files what they save in this block: arrays of `least` bytes and more.

        with wg.save_on_disk():
            gradient = wg.grad(loss)(p)

    Parameters
    ----------
    folder : where; it must exist. By default a temporary one, which is deleted at the end of the block, or when the last file goes
    least : smaller arrays stay in memory ("64 KiB", or a number of bytes)
    compress : False, True or "zlib", or "lzma"

    Files are read through the system's file cache (memory-mapped), so what comes back is no memory of NumPy's. They are deleted as
    the backward pass has used them, and at the latest when the process ends. See `saved_tensors_hooks` for what is seen.
    """
    least = bytes_of(least)
    own = tempfile.TemporaryDirectory(prefix="wengert-") if folder is None else None
    disk = Disk.of(own.name if own is not None else folder, compress)

    def pack(array: np.ndarray) -> Any:
        page = array if array.nbytes < least else disk.put(array)
        return page if page is array else (page, own)  # `own` is deleted when the last page has gone

    def unpack(kept: Any) -> np.ndarray:
        return kept[0].fetch() if type(kept) is tuple else kept

    with hooking(pack, unpack, "save_on_disk", tells=False):  # the disk tells
        yield
