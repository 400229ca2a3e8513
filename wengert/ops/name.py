"""`name`: its operand, with a label that policies of checkpoints and reports of residuals read. It computes nothing."""

from __future__ import annotations

from wengert.core.aval import ANY
from wengert.core.form import Via
from wengert.core.op import Sample
from wengert.ops.basis import linear

name = linear(
    "name",
    accepts=ANY,
    shape=lambda x, *, label: x,
    eval=lambda x, *, label: x,
    transpose=lambda ct, var, *, label: ct,
    batch=lambda xs, batched, size, *, label: name(xs[0], label=label),
    put=lambda x, y, *, label: y,
    samples=(Sample((3, 4), label="a"), Sample((), label="a"), Sample((0, 2), label="a")),
    note="a view of the whole operand: what is written into the one is seen in the other, as with Python's own names",
    lower=Via(lambda x, *, label: x),
)
