"""Loops and branches whose bodies are small, as straight-line scalar code in registers."""

from __future__ import annotations

from wengert.lowering.emission import Emitter
from wengert.lowering.straight.emitters import Straight

#: by the kind of a `Control` form
STRAIGHT: dict[str, Emitter] = {
    kind: Straight(kind) for kind in ("scan", "while_loop", "while_pullback", "switch", "call")
}

__all__ = ["STRAIGHT"]
