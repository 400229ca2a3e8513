"""sqrt, rsqrt."""

from __future__ import annotations

from wengert.lowering.vecmath.writer import Term, Writer


def sqrt(w: Writer, x: Term) -> Term:
    return w.sqrt(x)


def rsqrt(w: Writer, x: Term) -> Term:
    return 1.0 / w.sqrt(x)
