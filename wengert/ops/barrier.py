"""`barrier`: its first operand, once the others exist.

To the compiler the result is another value than the operand. So what is computed from the one is never shared with what is
computed from the other, and nothing that reads the result runs before the other operands have been made: that is how
recomputed values stay recomputed, and how they are not made long before somebody reads them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from wengert.core.aval import ANY, Aval
from wengert.core.form import Barrier
from wengert.core.op import Op, Sample
from wengert.core.tensor import Array
from wengert.graph.program import Vars
from wengert.ops.basis import all_batched


def _shape(x: Aval, *after: Aval) -> Aval:
    return x


def _eval(x: Array, *after: Array) -> Array:
    return x


def _jvp(xs: Sequence[Array], dxs: Sequence[Array | None], out: Array) -> Array:
    if dxs[0] is None:
        return np.zeros(np.shape(out), out.dtype)[()]
    return barrier(dxs[0], *xs[1:])


def _vjp(ct: Array, ins: Vars, xs: Sequence[Any], out: Any) -> tuple[Array | None, ...]:
    return (None if ins[0] is None else ct, *(None,) * (len(ins) - 1))


def _batch(xs: Sequence[Array], batched: Sequence[bool], size: int) -> Array:
    return barrier(all_batched(xs[:1], batched[:1], size)[0], *xs[1:])


barrier = Op(
    name="barrier",
    accepts=ANY,
    shape=_shape,
    eval=_eval,
    jvp=_jvp,
    vjp=_vjp,
    saves=(),
    batch=_batch,
    samples=(Sample((3, 4)), Sample(()), Sample((0, 2)), Sample((3,), (2, 2)), Sample((2, 2), (), (3,))),
    note="the first operand; the others say what must exist before anybody reads the result",
    lower=Barrier(),
)
