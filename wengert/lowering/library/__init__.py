"""Emitters of kernels that are not loops over elements: contractions, linear algebra, gathers."""

from __future__ import annotations

from wengert.lowering.emission import Emitter
from wengert.lowering.library.contraction import Contract, MatMul
from wengert.lowering.library.convolution import Conv, ConvInput, ConvKernel
from wengert.lowering.library.gather import Index, IndexPut, ScatterAdd
from wengert.lowering.library.recurrence import Recurrence
from wengert.lowering.library.smallalgebra import LU, Cholesky, Det, DetCofactor, Inv, SlogDet, Solve, SolveTriangular

EMITTERS: dict[str, Emitter] = {
    "contract": Contract(),
    "matmul": MatMul(),
    "inv": Inv(),
    "det": Det(),
    "slogdet": SlogDet(),
    "solve": Solve(),
    "solve_triangular": SolveTriangular(),
    "cholesky": Cholesky(),
    "lu": LU(),
    "det_cofactor": DetCofactor(),
    "recurrence": Recurrence(),
    "conv": Conv(),
    "conv_input": ConvInput(),
    "conv_kernel": ConvKernel(),
    "index": Index(),
    "scatter_add": ScatterAdd(),
    "index_put": IndexPut(),
}

__all__ = ["EMITTERS"]
