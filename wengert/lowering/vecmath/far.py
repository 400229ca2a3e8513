"""sin, cos and tan of arguments so large that π/2 in a few floats no longer does (Payne and Hanek's reduction).

Such arguments are rare, and the work is in integers of 128 bits: it stays out of line. A loop is vectorised all the
same, because the call names vector variants (`vector-function-abi-variant`), which look whether any lane needs
the work, and almost always return at once. They are `weak_odr`: an `internal` function that nothing calls yet
would be dropped before the vectoriser has run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import inf

import numpy as np

from wengert.lowering.text import F64, hexadecimal
from wengert.lowering.vecmath.coefficients import TWO_OVER_PI_BITS, TWO_OVER_PI_DIGITS
from wengert.lowering.vecmath.writer import Term, Writer

# not optimised: that would take longer than the functions ever run, and the check for far lanes is as fast
ATTRIBUTES = "noinline optnone nounwind willreturn memory(none)"
TABLE = "wg.two_over_pi"
Combine = Callable[[Writer, Term, Term, Term], Term]  # quarters k, r and its rest → the function


def limit(w: Writer) -> float:
    """Arguments beyond this are far."""
    return w.pick(2.0**23, 3000.0)


def widths(dtype: np.dtype) -> tuple[int, ...]:
    """Lanes of the vector variants: 256 and 512 bits."""
    return (4, 8) if dtype == F64 else (8, 16)


def call(w: Writer, name: str, x: Term) -> Term:
    """The function at a far argument; anything at others."""
    symbol = f"wg.far_{name}.{w.dtype.char}"
    variants = ",".join(f"_ZGV_LLVM_N{n}v_{symbol}({symbol}.v{n})" for n in widths(w.dtype))
    w.needs.append((f"far_{name}", w.dtype))
    return w.emit(f'call {w.types["f"]} @{symbol}({x}) "vector-function-abi-variant"="{variants}"', "f")


def table() -> str:
    """⌊2/π · 2^n⌋, least byte first."""
    data = TWO_OVER_PI_DIGITS.to_bytes(TWO_OVER_PI_BITS // 8 + 32, "little")
    text = "".join(f"\\{byte:02X}" for byte in data)
    return f'@{TABLE} = internal unnamed_addr constant [{len(data)} x i8] c"{text}"'


# |x| = m·2^e. Of 2/π, 192 bits count: those of a weight above that of a few whole turns make multiples of four quarters,
# and those below are too small. Times m, modulo whole turns, that is two bits of quarters and 118 bits of fraction.
# The window begins at a byte, so up to seven bits too early: the product is shifted by them.
REDUCTION = f"""
  %bits = bitcast double %x to i64
  %field = lshr i64 %bits, 52
  %exponent = and i64 %field, 2047
  %fraction = and i64 %bits, 4503599627370495
  %m = or i64 %fraction, 4503599627370496
  %place = sub i64 {TWO_OVER_PI_BITS - 192 + 2 + 1075}, %exponent
  %late = add i64 %place, 7
  %byte = lshr i64 %late, 3
  %start = shl i64 %byte, 3
  %early = sub i64 %start, %place
  %address = getelementptr i8, ptr @{TABLE}, i64 %byte
  %address1 = getelementptr i8, ptr %address, i64 8
  %address2 = getelementptr i8, ptr %address, i64 16
  %word = load i64, ptr %address, align 1
  %word1 = load i64, ptr %address1, align 1
  %word2 = load i64, ptr %address2, align 1
  %m.w = zext i64 %m to i128
  %word.w = zext i64 %word to i128
  %word1.w = zext i64 %word1 to i128
  %low.p = mul i128 %m.w, %word.w
  %low.c = lshr i128 %low.p, 64
  %middle.p = mul i128 %m.w, %word1.w
  %middle = add i128 %middle.p, %low.c
  %high.p = mul i64 %m, %word2
  %high.w = zext i64 %high.p to i128
  %high.s = shl i128 %high.w, 64
  %product = add i128 %high.s, %middle
  %turns.w = zext i64 %early to i128
  %quarters = shl i128 %product, %turns.w
  %half = shl i128 1, 125
  %turned = add i128 %quarters, %half
  %k.w = lshr i128 %turned, 126
  %k = trunc i128 %k.w to i64
  %rest = shl i128 %quarters, 2
  %upper.w = lshr i128 %rest, 64
  %upper = trunc i128 %upper.w to i64
  %lower = trunc i128 %rest to i64
  %first.i = and i64 %upper, -2048
  %second.i = and i64 %upper, 2047
  %first.f = sitofp i64 %first.i to double
  %second.f = sitofp i64 %second.i to double
  %third.f = uitofp i64 %lower to double
  %first = fmul double %first.f, {hexadecimal(2.0**-64)}
  %second = fmul double %second.f, {hexadecimal(2.0**-64)}
  %third = fmul double %third.f, {hexadecimal(2.0**-128)}"""


def scalar(name: str, combine: Combine) -> tuple[str, str]:
    """Declarations, and the function of one double."""
    w = Writer(F64)
    x, k = Term(w, "%x", "f"), Term(w, "%k", "i")
    first, second, third = (Term(w, f"%{name}", "f") for name in ("first", "second", "third"))
    high, low = w.quick_sum(first, second)
    high, rest = w.quick_sum(high, third)
    high, low = w.quick_sum(high, rest + low)
    pi_high, pi_low = w.table("HALF_PI")
    r, rest = w.two_product(high, pi_high)
    r, rest = w.quick_sum(r, rest + w.fma(high, pi_low, low * pi_high))
    value = combine(w, k, r, rest)
    if name != "cos":
        minus = w.bits(x) & -(2**63)
        value = w.float(w.bits(value) ^ minus)
    w.declarations["declare double @llvm.fabs.f64(double)"] = None
    text = [
        f"define internal double @wg.far_{name}.d(double %x) {ATTRIBUTES} {{",
        "  %a = call double @llvm.fabs.f64(double %x)",
        f"  %beyond = fcmp ogt double %a, {hexadecimal(1000.0)}",
        f"  %finite = fcmp olt double %a, {hexadecimal(inf)}",
        "  %far = and i1 %beyond, %finite",
        "  br i1 %far, label %work, label %out",
        "out:",
        "  %nothing = fsub double %x, %x",
        "  ret double %nothing",
        "work:" + REDUCTION,
        *w.lines,
        f"  ret {value}",
        "}",
    ]
    return "\n".join(w.declarations), "\n".join(text)


def variant(name: str, dtype: np.dtype, n: int) -> tuple[str, str]:
    """The function of a vector: the scalar one, lane by lane, if any lane is far."""
    w = Writer(dtype)
    kind = w.types["f"]
    vector, symbol = f"<{n} x {kind}>", f"wg.far_{name}.{dtype.char}"
    bound, vector_bytes = hexadecimal(limit(w)), n * dtype.itemsize
    declare = f"declare {vector} @llvm.fabs.v{n}{w.suffix}({vector})"
    bounds = ", ".join([f"{kind} {bound}"] * n)
    return declare, "\n".join(
        [
            f"define weak_odr hidden {vector} @{symbol}.v{n}({vector} %x) {ATTRIBUTES} {{",
            "entry:",
            f"  %memory = alloca {vector}, align {vector_bytes}",
            f"  %a = call {vector} @llvm.fabs.v{n}{w.suffix}({vector} %x)",
            f"  %far = fcmp ogt {vector} %a, <{bounds}>",
            f"  %mask = bitcast <{n} x i1> %far to i{n}",
            f"  %any = icmp ne i{n} %mask, 0",
            "  br i1 %any, label %work, label %out",
            "work:",
            f"  store {vector} %x, ptr %memory, align {vector_bytes}",
            "  br label %lane",
            "lane:",
            "  %i = phi i64 [0, %work], [%j, %lane]",
            f"  %place = getelementptr {kind}, ptr %memory, i64 %i",
            f"  %e = load {kind}, ptr %place",
            f"  %v = call {kind} @{symbol}({kind} %e)",
            f"  store {kind} %v, ptr %place",
            "  %j = add nuw nsw i64 %i, 1",
            f"  %more = icmp ult i64 %j, {n}",
            "  br i1 %more, label %lane, label %done",
            "done:",
            f"  %y = load {vector}, ptr %memory, align {vector_bytes}",
            f"  ret {vector} %y",
            "out:",
            f"  ret {vector} %x",
            "}",
        ]
    )


def definition(name: str, dtype: np.dtype, combine: Mapping[str, Combine]) -> tuple[str, list[tuple[str, np.dtype]]]:
    """Scalar function and vector variants of `far_sin`, `far_cos`, `far_tan`; or the table of digits."""
    if name == "two_over_pi":
        return table(), []
    base = name.removeprefix("far_")
    pairs = [variant(base, dtype, n) for n in widths(dtype)]
    needs: list[tuple[str, np.dtype]]
    if dtype == F64:
        pairs.append(scalar(base, combine[base]))
        needs = [("two_over_pi", F64)]
    else:
        pairs.append(("", narrow(base)))
        needs = [(name, F64)]
    return "\n".join([d for d, _ in pairs if d] + [t for _, t in pairs]), needs


def narrow(name: str) -> str:
    """float by way of double."""
    return "\n".join(
        [
            f"define internal float @wg.far_{name}.f(float %x) {ATTRIBUTES} {{",
            "  %wide = fpext float %x to double",
            f"  %y = call double @wg.far_{name}.d(double %wide)",
            "  %r = fptrunc double %y to float",
            "  ret float %r",
            "}",
        ]
    )


NAMES = {"far_sin", "far_cos", "far_tan", "two_over_pi"}
