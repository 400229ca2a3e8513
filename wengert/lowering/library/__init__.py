"""Emitters of kernels that are not loops over elements: contractions, linear algebra, gathers."""

from __future__ import annotations

from wengert.lowering.emission import Emitter
from wengert.lowering.library.contraction import Contract, MatMul

EMITTERS: dict[str, Emitter] = {
    "contract": Contract(),
    "matmul": MatMul(),
}

__all__ = ["EMITTERS"]
