"""Selection: one of several values per element. The cotangent of what was not selected is a strong zero."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from wengert.core.aval import ANY, Aval, promote
from wengert.core.op import Op, Sample
from wengert.core.tensor import Array
from wengert.graph.program import Vars
from wengert.ops.basis import batch_elementwise, broadcast_shapes, fit, fit_tangent

# ── where ─────────────────────────────────────────────────────────────────────


def _where_jvp(xs: Sequence[Array], dxs: Sequence[Array], out: Array) -> Array:
    _, dx, dy = dxs
    return fit_tangent(where(xs[0], 0.0 if dx is None else dx, 0.0 if dy is None else dy), out)


def _where_vjp(ct: Array, ins: Vars, xs: Sequence[Array], out: Array) -> tuple[Array | None, ...]:
    _, x, y = ins
    return (
        None,
        None if x is None else fit(where(xs[0], ct, 0.0), x),
        None if y is None else fit(where(xs[0], 0.0, ct), y),
    )


_MASK = np.array([[True, False, True, True], [False] * 4, [True] * 4])

where = Op(
    name="where",
    accepts=ANY,
    shape=lambda c, x, y: Aval(broadcast_shapes("where", c.shape, x.shape, y.shape), promote(x, y)),
    eval=lambda c, x, y: np.where(c, x, y)[()],
    jvp=_where_jvp,
    vjp=_where_vjp,
    saves=(0,),
    batch=batch_elementwise(lambda: where),
    samples=(
        Sample(_MASK, (3, 4), (3, 4)),
        Sample(_MASK, (4,), ()),
        Sample(np.array(True), (2,), (2,)),
        Sample(_MASK[0], (3, 1), (4,)),
    ),
)
