"""Calls of BLAS and LAPACK as SciPy exports them: Fortran's conventions, every argument an address, 32-bit integers."""

from __future__ import annotations

import numpy as np

from wengert.lowering.emission import Emission
from wengert.lowering.text import I32, Value, hexadecimal, llvm_type

LIMIT = 2**31 - 1  # of dimensions and strides


def letter(dtype: np.dtype) -> str:
    """The prefix of a routine's name."""
    return "d" if dtype.itemsize == 8 else "s"


def integer(e: Emission, x: int) -> str:
    """The address of a constant."""
    name = f"wg.i32.{x}" if x >= 0 else f"wg.i32.m{-x}"
    e.b.module.define(name, f"@{name} = private unnamed_addr constant i32 {x}, align 4")
    return f"ptr @{name}"


def real(e: Emission, x: float, dtype: np.dtype) -> str:
    """The address of a constant."""
    bits = hexadecimal(x)
    name = f"wg.{dtype.char}.{bits}"
    e.b.module.define(name, f"@{name} = private unnamed_addr constant {llvm_type(dtype)} {bits}, align 8")
    return f"ptr @{name}"


def flag(e: Emission, x: str) -> str:
    """The address of a character."""
    name = f"wg.char.{x}"
    e.b.module.define(name, f"@{name} = private unnamed_addr constant i8 {ord(x)}")
    return f"ptr @{name}"


def call(e: Emission, symbol: str, *args: str | Value) -> None:
    """Call a subroutine; all arguments are addresses."""
    texts = [a if isinstance(a, str) else str(a) for a in args]
    e.b.effect(e.external(symbol, "void", ["ptr"] * len(texts))(*texts))


def gemm(
    e: Emission,
    dtype: np.dtype,
    flags: str,
    sizes: tuple[int, int, int],
    a: tuple[Value, int],
    b: tuple[Value, int],
    c: tuple[Value, int],
    beta: float = 0.0,
    alpha: float = 1.0,
) -> None:
    """C = alpha op(A) op(B) + beta C, by columns: C is m × n, `sizes` are m, n, k. With beta = 0, C is not read."""
    m, n, k = sizes
    call(
        e,
        f"blas.{letter(dtype)}gemm",
        flag(e, flags[0]),
        flag(e, flags[1]),
        integer(e, m),
        integer(e, n),
        integer(e, k),
        real(e, alpha, dtype),
        a[0],
        integer(e, a[1]),
        b[0],
        integer(e, b[1]),
        real(e, beta, dtype),
        c[0],
        integer(e, c[1]),
    )


def gemv(
    e: Emission,
    dtype: np.dtype,
    trans: str,
    sizes: tuple[int, int],
    a: tuple[Value, int],
    x: tuple[Value, int],
    y: tuple[Value, int],
    beta: float = 0.0,
) -> None:
    """y = op(A) x + beta y, A being m × n by columns; steps of x and y are positive."""
    m, n = sizes
    call(
        e,
        f"blas.{letter(dtype)}gemv",
        flag(e, trans),
        integer(e, m),
        integer(e, n),
        real(e, 1.0, dtype),
        a[0],
        integer(e, a[1]),
        x[0],
        integer(e, x[1]),
        real(e, beta, dtype),
        y[0],
        integer(e, y[1]),
    )


def info(e: Emission) -> Value:
    """Memory for LAPACK's `info`."""
    return e.b.allocate(I32)
