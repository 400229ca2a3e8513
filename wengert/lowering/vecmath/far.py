"""sin, cos and tan of arguments so large that π/2 in a few floats no longer does (Payne and Hanek's reduction).

Such arguments are rare, and the work is in integers of 256 bits: it stays out of line. A loop is vectorised all the
same, because the call names vector variants (`vector-function-abi-variant`), which look whether any lane needs
the work, and almost always return at once. They are `weak_odr`: an `internal` function that nothing calls yet
would be dropped before the vectoriser has run.
"""

from __future__ import annotations

from math import inf

import numpy as np

from wengert.lowering.text import F32, F64, hexadecimal
from wengert.lowering.vecmath.coefficients import TWO_OVER_PI_BITS, TWO_OVER_PI_DIGITS
from wengert.lowering.vecmath.writer import Term, Writer

ATTRIBUTES = "noinline nounwind willreturn memory(none)"
TABLE = "wg.two_over_pi"


def limit(w: Writer) -> float:
    """Arguments beyond this are far."""
    return w.pick(2.0**23, 3000.0)


def widths(dtype: np.dtype) -> tuple[int, ...]:
    """Lanes of the vector variants: 128, 256 and 512 bits."""
    return (2, 4, 8) if dtype == F64 else (4, 8, 16)


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


# |x| = m·2^e. Of 2/π the bits from 2^(1−e) on count, since those before make multiples of four quarters.
# 256 of them times m, modulo 2^256: two bits of quarters, and 254 of fraction, of which at least 190 are right.
REDUCTION = f"""
  %bits = bitcast double %x to i64
  %field = lshr i64 %bits, 52
  %exponent = and i64 %field, 2047
  %fraction = and i64 %bits, 4503599627370495
  %m = or i64 %fraction, 4503599627370496
  %place = sub i64 {TWO_OVER_PI_BITS - 256 + 2 + 1075 - 1}, %exponent
  %place1 = add i64 %place, 1
  %byte = lshr i64 %place1, 3
  %bit = and i64 %place1, 7
  %address = getelementptr i8, ptr @{TABLE}, i64 %byte
  %raw = load i264, ptr %address, align 1
  %bit.w = zext i64 %bit to i264
  %window.w = lshr i264 %raw, %bit.w
  %window = trunc i264 %window.w to i256
  %m.w = zext i64 %m to i256
  %product = mul i256 %window, %m.w
  %half = shl i256 1, 253
  %turned = add i256 %product, %half
  %quarter.w = lshr i256 %turned, 254
  %k = trunc i256 %quarter.w to i64
  %rest = shl i256 %product, 2
  %rest.h = lshr i256 %rest, 128
  %f = trunc i256 %rest.h to i128
  %minus = icmp slt i128 %f, 0
  %negated = sub i128 0, %f
  %size = select i1 %minus, i128 %negated, i128 %f
  %zeros = call i128 @llvm.ctlz.i128(i128 %size, i1 false)
  %digits = shl i128 %size, %zeros
  %first.w = lshr i128 %digits, 75
  %first = trunc i128 %first.w to i64
  %second.w = lshr i128 %digits, 22
  %second.t = trunc i128 %second.w to i64
  %second = and i64 %second.t, 9007199254740991
  %z = trunc i128 %zeros to i64
  %scale.e = sub i64 970, %z
  %scale.b = shl i64 %scale.e, 52
  %scale = bitcast i64 %scale.b to double
  %first.f = uitofp i64 %first to double
  %second.f = uitofp i64 %second to double
  %high.u = fmul double %first.f, %scale
  %low.s = fmul double %second.f, {hexadecimal(2.0**-53)}
  %low.u = fmul double %low.s, %scale
  %high.n = fneg double %high.u
  %low.n = fneg double %low.u
  %high = select i1 %minus, double %high.n, double %high.u
  %low = select i1 %minus, double %low.n, double %low.u"""


def scalar(name: str) -> tuple[str, str]:
    """Declarations, and the function of one double."""
    from wengert.lowering.vecmath import trigonometric

    combine = {"sin": trigonometric.sine, "cos": trigonometric.cosine, "tan": trigonometric.tangent}[name]
    w = Writer(F64)
    x, k, high, low = (Term(w, ref, kind) for ref, kind in (("%x", "f"), ("%k", "i"), ("%high", "f"), ("%low", "f")))
    pi_high, pi_low = w.table("HALF_PI")
    r, rest = w.two_product(high, pi_high)
    r, rest = w.quick_sum(r, rest + w.fma(high, pi_low, low * pi_high))
    value = combine(w, k, r, rest)
    if name != "cos":
        minus = w.bits(x) & -(2**63)
        value = w.float(w.bits(value) ^ minus)
    w.declarations["declare i128 @llvm.ctlz.i128(i128, i1)"] = None
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
    bound = hexadecimal(limit(w))
    declare = f"declare {vector} @llvm.fabs.v{n}{w.suffix}({vector})"
    bounds = ", ".join([f"{kind} {bound}"] * n)
    return declare, "\n".join(
        [
            f"define weak_odr hidden {vector} @{symbol}.v{n}({vector} %x) {ATTRIBUTES} {{",
            "entry:",
            f"  %a = call {vector} @llvm.fabs.v{n}{w.suffix}({vector} %x)",
            f"  %far = fcmp ogt {vector} %a, <{bounds}>",
            f"  %mask = bitcast <{n} x i1> %far to i{n}",
            f"  %any = icmp ne i{n} %mask, 0",
            "  br i1 %any, label %lane, label %out",
            "lane:",
            "  %i = phi i64 [0, %entry], [%j, %lane]",
            f"  %y = phi {vector} [%x, %entry], [%z, %lane]",
            f"  %e = extractelement {vector} %x, i64 %i",
            f"  %v = call {kind} @{symbol}({kind} %e)",
            f"  %z = insertelement {vector} %y, {kind} %v, i64 %i",
            "  %j = add nuw nsw i64 %i, 1",
            f"  %more = icmp ult i64 %j, {n}",
            "  br i1 %more, label %lane, label %out",
            "out:",
            f"  %r = phi {vector} [%x, %entry], [%z, %lane]",
            f"  ret {vector} %r",
            "}",
        ]
    )


def definition(name: str, dtype: np.dtype) -> tuple[str, list[tuple[str, np.dtype]]]:
    """Scalar function and vector variants of `far_sin`, `far_cos`, `far_tan`; or the table of digits."""
    if name == "two_over_pi":
        return table(), []
    base = name.removeprefix("far_")
    pairs = [variant(base, dtype, n) for n in widths(dtype)]
    needs: list[tuple[str, np.dtype]]
    if dtype == F64:
        pairs.append(scalar(base))
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
_ = F32
