"""Complex numbers as pairs of real ones in memory: what `ndarray.view` shows of the one as the other.

Under the pairing Re(Σ ct·t) each of the two is, up to a conjugate, the transpose of the other.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from wengert.core.aval import FLOAT, Aval
from wengert.core.errors import ShapeError
from wengert.core.op import Sample
from wengert.core.source import describe, here
from wengert.core.tensor import Array
from wengert.ops.basis import conj, fit, linear, real_dtype


def _paired(name: str, x: Aval, width: int) -> tuple[int, ...]:
    """The shape of `x` before its last axis, which must be there and of a multiple of `width`."""
    if not x.ndim or x.shape[-1] % width:
        raise ShapeError(
            name,
            got=str(x),
            want="a last axis" if width == 1 else "a last axis of even length, of real and imaginary parts in turn",
            fix="reshape it first",
            at=describe(here(2)),
        )
    return x.shape[:-1]


def _seen_as(x: Array, dtype: Any) -> np.ndarray:
    try:
        return x.view(dtype)  # type: ignore[union-attr]
    except ValueError:  # the last axis is not contiguous
        return np.ascontiguousarray(x).view(dtype)


as_reals = linear(
    "as_reals",
    shape=lambda x: Aval((*_paired("as_reals", x, 1), 2 * x.shape[-1]), real_dtype(x.dtype)),
    eval=lambda x: _seen_as(x if x.dtype.kind == "c" else x + 0j, real_dtype(x.dtype)),
    transpose=lambda ct, var: fit(conj(as_complexes(ct)), var),
    batch=lambda xs, batched, size: as_reals(xs[0]),
    put=lambda x, y: as_complexes(y),
    samples=(Sample((2, 3)), Sample((1,)), Sample((2, 0))),
    rejects=(Sample((), raises=ShapeError),),
    note="a real operand has imaginary parts of zero",
)

as_complexes = linear(
    "as_complexes",
    accepts=FLOAT,
    shape=lambda x: Aval((*_paired("as_complexes", x, 2), x.shape[-1] // 2), np.result_type(x.dtype, np.complex64)),
    eval=lambda x: _seen_as(x, np.result_type(x.dtype, np.complex64)),
    transpose=lambda ct, var: fit(as_reals(conj(ct)), var),
    batch=lambda xs, batched, size: as_complexes(xs[0]),
    put=lambda x, y: as_reals(y),
    samples=(Sample((2, 4)), Sample((2,)), Sample((3, 0))),
    rejects=(Sample((), raises=ShapeError), Sample((3,), raises=ShapeError)),
)
