"""Changes of dtype that end a derivative. (Between inexact dtypes: `cast`, in `basis`.)"""

from __future__ import annotations

import numpy as np

from wengert.core.aval import ANY
from wengert.core.form import Map
from wengert.core.op import Constant, Op, Sample

truncate = Op(
    name="truncate",
    accepts=ANY,
    shape=lambda x, *, dtype: x.with_dtype(dtype),
    eval=lambda x, *, dtype: (x if hasattr(x, "astype") else np.asarray(x)[()]).astype(dtype),
    jvp=Constant("integers and booleans are isolated points"),
    vjp=Constant("integers and booleans are isolated points"),
    saves=(),
    batch=lambda xs, batched, size, *, dtype: truncate(xs[0], dtype=dtype),
    samples=(Sample((3,), dtype=np.dtype(int), real_only=True), Sample((), dtype=np.dtype(bool), real_only=True)),
    lower=Map(lambda b, x, *, dtype: b.cast(x, dtype), "none"),
)
