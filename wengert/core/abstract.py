"""`Abstract`: what a staged Tensor holds in the place of an ndarray: its shape, dtype and layout, and no elements.

Whatever asks for elements raises ConcretizationError with the user's line, so that a value which a staged
program does not have yet cannot be read by accident.
"""

from __future__ import annotations

import functools
import mmap
import re
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

import numpy as np

from wengert.core.errors import ConcretizationError
from wengert.core.source import describe, here

CHOICE = (
    "numpy.where for a choice by element, wengert.cond(pred, true_fn, false_fn, *operands) for one of two computations"
)
WHILE = "wengert.while_loop(cond, body, init), whose body gives the next value of all that changes"
RANGE = (
    "wengert.fori_loop(lower, upper, body, init) for a number of trips that is computed; one that is known as a static argument"
    " (static_argnums)"
)
WAYS_OUT = (  # by what the user's line has: the first that fits
    (r"^(el)?if |\bif\b.*\belse\b", CHOICE),
    (r"^while ", WHILE),
    (r"\brange\(", RANGE),
    (r"\b(max|min|sorted)\(", "numpy.maximum, numpy.minimum, numpy.sort: Python's own ask for values"),
    (r"\b(and|or|not)\b", "numpy.logical_and, numpy.logical_or, numpy.logical_not: Python's own ask for values"),
    (r"\b(float|int|complex)\(|\.item\(|\.tolist\(", "x itself, or x.astype(dtype): to NumPy it is a number already"),
)
WAY_OUT = (
    "for a choice, numpy.where or wengert.cond; for a loop that ends when a value says so, wengert.while_loop; for a number"
    " that decides shapes or branches, a static argument (static_argnums, static_argnames)"
)


def way_out(line: str) -> str:
    """What to write in the place of a line that asks for a value."""
    text = re.split(r":\d+ in [\w<>.]+: ", line, maxsplit=1)[-1].strip()
    return next((fix for pattern, fix in WAYS_OUT if re.search(pattern, text)), WAY_OUT)


def no_value(what: str, got: str, depth: int = 2, fix: str = "") -> ConcretizationError:
    """The error for a value that a staged program does not have while it is recorded; by default the user's line tells the fix."""
    at = describe(here(depth))
    return ConcretizationError(
        what,
        got=f"{got} of a function that is being staged (wengert.jit, wengert.trace): it has a shape and a dtype, and no value yet",
        want="code that does the same for every value",
        fix=fix or way_out(at),
        at=at,
    )


class Abstract:
    """An array without elements, laid out in memory as NumPy would lay it out.

    `scalar` marks what NumPy would give as a scalar, which cannot be written. `base` is the array whose memory
    a view shares. `augmented` notes that a scalar met `x += y`, which would write an array.
    """

    __slots__ = ("__weakref__", "augmented", "base", "dtype", "scalar", "shape", "strides")

    def __init__(
        self,
        shape: tuple[int, ...],
        dtype: np.dtype,
        strides: tuple[int, ...] | None = None,
        scalar: bool = False,
        base: Abstract | None = None,
    ) -> None:
        self.shape = shape
        self.dtype = dtype
        self.strides = c_strides(shape, dtype.itemsize) if strides is None else strides
        self.scalar = scalar
        self.base = base
        self.augmented = False

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        n = 1
        for d in self.shape:
            n *= d
        return n

    @property
    def itemsize(self) -> int:
        return self.dtype.itemsize

    @property
    def nbytes(self) -> int:
        return self.size * self.dtype.itemsize

    @property
    def flags(self) -> Any:
        return self.prototype().flags

    @property
    def root(self) -> Abstract:
        """The array that owns the memory."""
        return self if self.base is None else self.base

    def prototype(self) -> np.ndarray:
        """An ndarray of this shape, dtype and layout: zeros, whose pages are not touched unless read."""
        if 0 in self.shape or self.strides == c_strides(self.shape, self.dtype.itemsize):
            if self.nbytes > HUGE:
                return np.ndarray(self.shape, self.dtype, reserved(self.nbytes))
            return np.zeros(self.shape, self.dtype)
        spans = [(d - 1) * s for d, s in zip(self.shape, self.strides, strict=True)]
        offset = -sum(s for s in spans if s < 0)
        size = sum(map(abs, spans)) + self.dtype.itemsize
        room = np.zeros(size, np.uint8) if size <= HUGE else reserved(size)
        return np.ndarray(self.shape, self.dtype, room, offset, self.strides)

    def _refuse(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise no_value("value of a staged Tensor", f"{self.dtype}{list(self.shape)}")

    __array__ = __array_ufunc__ = __array_function__ = __bool__ = __float__ = __int__ = __index__ = __complex__ = (
        _refuse
    )
    __len__ = __iter__ = __getitem__ = __lt__ = __le__ = __gt__ = __ge__ = item = tolist = astype = _refuse

    def __repr__(self) -> str:
        return f"{self.dtype}{list(self.shape)}"


HUGE = 1 << 30  # bytes from which on systems may refuse memory, though it is not touched


def reserved(nbytes: int) -> Any:
    """Zeros that take no memory before they are read."""
    flags = getattr(mmap, "MAP_PRIVATE", 0) | getattr(mmap, "MAP_ANONYMOUS", 0)
    if not flags:
        return np.zeros(nbytes, np.uint8)
    return mmap.mmap(-1, nbytes, flags=flags | getattr(mmap, "MAP_NORESERVE", 0x4000 if sys.platform == "linux" else 0))


@functools.lru_cache(maxsize=4096)
def c_strides(shape: tuple[int, ...], itemsize: int) -> tuple[int, ...]:
    """Strides of a C-contiguous array."""
    strides: list[int] = []
    step = itemsize
    for d in reversed(shape):
        strides.append(step)
        step *= max(d, 1)
    return tuple(reversed(strides))


def is_array(bottom: Any) -> bool:
    """Whether what a Tensor holds is an array, with memory and a layout, and no NumPy scalar."""
    return isinstance(bottom, np.ndarray) or (type(bottom) is Abstract and not bottom.scalar)


def share_memory(x: Any, y: Any) -> bool:
    """Whether two arrays may share memory: `numpy.may_share_memory`, also of abstract ones."""
    if type(x) is Abstract or type(y) is Abstract:
        return type(x) is type(y) and x.root is y.root
    return np.may_share_memory(x, y)


def k_strides(
    shape: tuple[int, ...], itemsize: int, operands: Sequence[tuple[tuple[int, ...], tuple[int, ...]]]
) -> Any:
    """The strides that NumPy's iterator (order="K") gives a new result of operands of these (shape, strides)."""
    n = len(shape)
    if n < 2 or all(
        strides == c_strides(own, itemsize_of(own, strides)) and len(own) == n for own, strides in operands
    ):
        return None
    aligned = []
    for own, strides in operands:
        lead = n - len(own)
        aligned.append([0] * lead + [0 if d == 1 else abs(s) for d, s in zip(own, strides, strict=True)])
    order = list(range(n))[::-1]  # innermost first
    for i in range(1, n):  # insertion sort, as NumPy's iterator does it: ties keep C order
        place = i
        for j in range(i - 1, -1, -1):
            swap, decided = False, False
            for steps in aligned:
                a, b = steps[order[i]], steps[order[j]]
                if a and b:
                    if b <= a:
                        swap = False
                        decided = True
                        break
                    swap, decided = True, True
            if decided:
                if swap:
                    place = j
                else:
                    break
        order.insert(place, order.pop(i))
    strides_out = [0] * n
    step = itemsize
    for axis in order:
        strides_out[axis] = step
        step *= max(shape[axis], 1)
    return tuple(strides_out)


def itemsize_of(shape: tuple[int, ...], strides: tuple[int, ...]) -> int:
    """The innermost stride, which is the size of an item where an array is C-contiguous."""
    return strides[-1] if strides else 1
