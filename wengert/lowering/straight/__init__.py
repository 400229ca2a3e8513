"""Loops and branches whose bodies are small, as straight-line scalar code in registers."""

from __future__ import annotations

from wengert.lowering.emission import Emitter

STRAIGHT: dict[str, Emitter] = {}

__all__ = ["STRAIGHT"]
