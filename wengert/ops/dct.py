"""Discrete cosine and sine transforms of types 1 to 4, over several axes, without normalization.

Each is a symmetric matrix of cosines, or sines, with columns doubled: all but the ends (DCT-1), all but the first (DCT-3) or the
last (DST-3), all (types 2 and 4, DST-1). So its transpose is a transform too: of type 3 for 2, of 2 for 3, of its own
type otherwise, between weights on elements at the ends.

Source  Makhoul (1980), "A fast cosine transform in one and two dimensions"; pocketfft, through `scipy.fft`, computes them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.fft

from wengert.core.aval import Aval
from wengert.core.errors import ShapeError
from wengert.core.op import Op, Sample
from wengert.core.source import describe, here
from wengert.core.tensor import Array
from wengert.graph.program import Var
from wengert.ops.basis import check_axes, linear, real_dtype, scale

INVERSE = {1: 1, 2: 3, 3: 2, 4: 4}  #: the type that undoes a type, and that is its transpose's


def at_ends(x: Any, axes: tuple[int, ...], first: float, last: float) -> np.ndarray:
    """Weights that are 1 but at the first and last element along each of `axes`, with axes of length 1 elsewhere."""
    weights = np.ones((1,) * len(x.shape), real_dtype(x.dtype))
    for axis in axes:
        n = x.shape[axis]
        along = np.ones(n, weights.dtype)
        along[0] *= first
        along[-1] *= last
        weights = weights * along.reshape((-1, *(1,) * (len(x.shape) - 1 - axis)))
    return weights


def _check(name: str, x: Aval, type: int, axes: tuple[int, ...]) -> Aval:
    check_axes(name, axes, x)
    least = 2 if (name, type) == ("dct", 1) else 1
    if any(x.shape[a] < least for a in axes):
        raise ShapeError(
            name,
            got=f"axes {axes} of shape {x.shape}",
            want=f"at least {least} data points along each transformed axis",
            fix="give n (or s) to pad with zeros",
            at=describe(here(2)),
        )
    return x


def _made(name: str, fn: Callable[..., Any], ends: dict[int, tuple[float, float]]) -> Op:
    """`ends[type]`: the weights by which the first and last columns are larger than those of the symmetric matrix, doubled."""

    def eval(x: Array, *, type: int, axes: tuple[int, ...]) -> np.ndarray:
        return fn(x, type, axes=axes, norm="backward", orthogonalize=False)

    def transpose(ct: Array, var: Var, *, type: int, axes: tuple[int, ...]) -> Array:
        first, last = ends[type]
        back = INVERSE[type]
        undo, redo = ends[back]
        if (undo, redo) != (1, 1):
            ct = scale(ct, at_ends(var, axes, 1 / undo, 1 / redo))
        out = op(ct, type=back, axes=axes)
        return out if (first, last) == (1, 1) else scale(out, at_ends(var, axes, first, last))

    op = linear(
        name,
        shape=lambda x, *, type, axes: _check(name, x, type, axes),
        eval=eval,
        transpose=transpose,
        batch=lambda xs, batched, size, *, type, axes: op(xs[0], type=type, axes=tuple(a + 1 for a in axes)),
        samples=(
            *(Sample((n,), type=type, axes=(0,)) for type in INVERSE for n in (2, 5)),
            *(Sample((3, 2, 4), type=type, axes=(0, 2)) for type in INVERSE),
            *(Sample((1, 2), type=type, axes=(0,)) for type in (2, 3, 4)),
            Sample((0, 2), type=2, axes=(1,)),
        ),
        rejects=(
            Sample((3,), type=2, axes=(1,), raises=ShapeError),
            Sample((0,), type=2, axes=(0,), raises=ShapeError),
            *((Sample((1,), type=1, axes=(0,), raises=ShapeError),) if name == "dct" else ()),
        ),
        note="real and imaginary parts of a complex operand are transformed each",
        source="Makhoul (1980)",
    )
    return op


dct = _made("dct", scipy.fft.dctn, {1: (0.5, 0.5), 2: (1, 1), 3: (0.5, 1), 4: (1, 1)})
dst = _made("dst", scipy.fft.dstn, {1: (1, 1), 2: (1, 1), 3: (1, 0.5), 4: (1, 1)})
