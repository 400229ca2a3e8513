"""What an op gives, without evaluating it on arrays of any size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from wengert.core.aval import Aval, kind
from wengert.core.op import Op
from wengert.trace.stage import Stage

SMALL = 1 << 16  # bytes of integer operands that an op may be tried on


def shapes_of(stage: Stage, op: Op, avals: Sequence[Aval], params: dict[str, Any]) -> Any:
    """`Stage._inferred`, but for large operands of dtypes that the shape rule does not know (integers in arithmetic): these
    are not tried out; the rule for floats gives the shape, and one element the dtype."""
    unknown = any(not a.weak and kind(a.dtype) not in op.accepts for a in avals)
    if not unknown or op.multi or sum(a.size * a.dtype.itemsize for a in avals) <= SMALL:
        return stage._inferred(op, avals, params)
    try:
        out = op.shape(*[a.with_dtype(np.dtype(float)) if a.dtype.kind in "biu" else a for a in avals], **params)
        with np.errstate(all="ignore"):
            tried = op.eval(*[np.ones((1,) * len(a.shape), a.dtype)[() if a.shape else ...] for a in avals], **params)
    except Exception:
        return stage._inferred(op, avals, params)
    return Aval(tuple(out.shape), np.asarray(tried).dtype)
