"""Formulas over scalars, written down as straight-line LLVM IR.

Arithmetic carries no flags: every operation rounds as IEEE says, and a fused one is asked for by name (`fma`),
because error-free transformations (`two_sum`, …) live on that. Integers have the width of the float they belong to,
so that a loop keeps one vector width, and nothing here needs more than AVX2 has: no conversion between
floats and integers, no arithmetic shift of 64 bits.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from wengert.lowering.text import F64, hexadecimal
from wengert.lowering.vecmath import coefficients

ATTRIBUTES = "alwaysinline nounwind willreturn memory(none)"
OPERATIONS = {
    "+": ("fadd", "add"),
    "-": ("fsub", "sub"),
    "*": ("fmul", "mul"),
    "/": ("fdiv", ""),
    "&": ("", "and"),
    "|": ("", "or"),
    "^": ("", "xor"),
    "<<": ("", "shl"),
    ">>": ("", "lshr"),
    "<": ("fcmp olt", "icmp slt"),
    "<=": ("fcmp ole", "icmp sle"),
    ">": ("fcmp ogt", "icmp sgt"),
    ">=": ("fcmp oge", "icmp sge"),
    "==": ("fcmp oeq", "icmp eq"),
    "!=": ("fcmp une", "icmp ne"),
}


class Term:
    """A register or literal: kind "f" (the float), "i" (the integer of its width), "b" (a condition)."""

    __slots__ = ("kind", "ref", "writer")
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, writer: Writer, ref: str, kind: str) -> None:
        self.writer, self.ref, self.kind = writer, ref, kind

    def __add__(self, other: Any) -> Term:
        return self.writer.binary("+", self, other)

    def __radd__(self, other: Any) -> Term:
        return self.writer.binary("+", other, self)

    def __sub__(self, other: Any) -> Term:
        return self.writer.binary("-", self, other)

    def __rsub__(self, other: Any) -> Term:
        return self.writer.binary("-", other, self)

    def __mul__(self, other: Any) -> Term:
        return self.writer.binary("*", self, other)

    def __rmul__(self, other: Any) -> Term:
        return self.writer.binary("*", other, self)

    def __truediv__(self, other: Any) -> Term:
        return self.writer.binary("/", self, other)

    def __rtruediv__(self, other: Any) -> Term:
        return self.writer.binary("/", other, self)

    def __and__(self, other: Any) -> Term:
        return self.writer.binary("&", self, other)

    def __or__(self, other: Any) -> Term:
        return self.writer.binary("|", self, other)

    def __xor__(self, other: Any) -> Term:
        return self.writer.binary("^", self, other)

    def __lshift__(self, other: Any) -> Term:
        return self.writer.binary("<<", self, other)

    def __rshift__(self, other: Any) -> Term:
        """Logical: zeros come in."""
        return self.writer.binary(">>", self, other)

    def __neg__(self) -> Term:
        if self.kind == "f":
            return self.writer.emit(f"fneg {self}", "f")
        return 0 - self

    def __lt__(self, other: Any) -> Term:
        return self.writer.binary("<", self, other)

    def __le__(self, other: Any) -> Term:
        return self.writer.binary("<=", self, other)

    def __gt__(self, other: Any) -> Term:
        return self.writer.binary(">", self, other)

    def __ge__(self, other: Any) -> Term:
        return self.writer.binary(">=", self, other)

    def __eq__(self, other: Any) -> Any:
        return self.writer.binary("==", self, other)

    def __ne__(self, other: Any) -> Any:
        return self.writer.binary("!=", self, other)

    def __str__(self) -> str:
        return f"{self.writer.types[self.kind]} {self.ref}"


class Writer:
    """Collects the instructions of one function on `dtype`, float64 or float32."""

    def __init__(self, dtype: np.dtype, host: Writer | None = None) -> None:
        self.dtype = dtype
        self.medium = host is not None
        self.double = dtype == F64
        self.bits_of_mantissa = 52 if self.double else 23
        self.bias = 1023 if self.double else 127
        self.types = {"f": "double", "i": "i64", "b": "i1"} if self.double else {"f": "float", "i": "i32", "b": "i1"}
        self.suffix = "f64" if self.double else "f32"
        self.lines: list[str] = host.lines if host else []
        self.declarations: dict[str, None] = host.declarations if host else {}
        self.needs: list[tuple[str, np.dtype]] = []  # other definitions that this one calls
        self.prefix = "%w" if host else "%t"
        self.count = 0

    # ── instructions ──────────────────────────────────────────────────────────

    def emit(self, text: str, kind: str) -> Term:
        self.count += 1
        ref = f"{self.prefix}{self.count}"
        self.lines.append(f"  {ref} = {text}")
        return Term(self, ref, kind)

    def const(self, x: float) -> Term:
        """A literal of the function's float type, rounded to it."""
        return Term(self, hexadecimal(x if self.double else float(np.float32(x))), "f")

    def term(self, x: Any, kind: str = "f") -> Term:
        """`x`, or the literal for it where it is a Python number."""
        if isinstance(x, Term):
            return x
        return self.const(x) if kind == "f" else Term(self, str(x), kind)

    def table(self, name: str) -> tuple[float, ...]:
        """The table `name` of `coefficients` for the function's dtype."""
        if self.medium and hasattr(coefficients, name + "_M"):
            return getattr(coefficients, name + "_M")
        return getattr(coefficients, name + ("_D" if self.double else "_F"))

    def pick(self, double: float, single: float) -> float:
        """A number that depends on the dtype."""
        return double if self.double else single

    def binary(self, sign: str, x: Any, y: Any) -> Term:
        kind = x.kind if isinstance(x, Term) else y.kind
        x, y = self.term(x, kind), self.term(y, kind)
        what = OPERATIONS[sign][kind != "f"]
        return self.emit(f"{what} {x}, {y.ref}", "b" if what[1:4] == "cmp" else kind)

    def intrinsic(self, name: str, *args: Any) -> Term:
        """A call of `llvm.name`; the declaration reads as `text.Builder` writes it."""
        args = tuple(self.term(a) for a in args)
        kind, full = self.types["f"], f"llvm.{name}.{self.suffix}"
        self.declarations[f"declare {kind} @{full}({', '.join([kind] * len(args))})"] = None
        return self.emit(f"call {kind} @{full}({', '.join(map(str, args))})", "f")

    def fma(self, x: Any, y: Any, z: Any) -> Term:
        """x·y + z, rounded once."""
        return self.intrinsic("fma", x, y, z)

    def abs(self, x: Term) -> Term:
        return self.intrinsic("fabs", x)

    def sqrt(self, x: Term) -> Term:
        return self.intrinsic("sqrt", x)

    def copysign(self, x: Any, y: Term) -> Term:
        return self.intrinsic("copysign", x, y)

    def floor(self, x: Term) -> Term:
        return self.intrinsic("floor", x)

    def where(self, condition: Term, x: Any, y: Any) -> Term:
        """`x` where `condition` holds, else `y`."""
        kind = next((v.kind for v in (x, y) if isinstance(v, Term)), "f")
        return self.emit(f"select {condition}, {self.term(x, kind)}, {self.term(y, kind)}", kind)

    def least(self, x: Term, high: Any) -> Term:
        """`x` where it is not above `high`; a NaN stays."""
        return self.where(x > high, high, x)

    def most(self, x: Term, low: Any) -> Term:
        """`x` where it is not below `low`; a NaN stays."""
        return self.where(x < low, low, x)

    def unordered(self, x: Term, y: Term) -> Term:
        """Whether either is NaN."""
        return self.emit(f"fcmp uno {x}, {y.ref}", "b")

    def isnan(self, x: Term) -> Term:
        return self.unordered(x, x)

    def negate(self, condition: Term) -> Term:
        return self.emit(f"xor {condition}, true", "b")

    # ── bits ──────────────────────────────────────────────────────────────────

    def bits(self, x: Term) -> Term:
        return self.emit(f"bitcast {x} to {self.types['i']}", "i")

    def float(self, i: Term) -> Term:
        return self.emit(f"bitcast {i} to {self.types['f']}", "f")

    def pattern(self, x: float) -> int:
        """The bits of a literal."""
        if self.double:
            return int(np.float64(x).view(np.int64))
        return int(np.float32(x).view(np.int32))

    @property
    def magic(self) -> float:
        """1.5·2^mantissa: added to a float, it leaves the nearest integer in the low bits."""
        return 1.5 * 2.0**self.bits_of_mantissa

    def nearest(self, x: Any, y: Any) -> tuple[Term, Term]:
        """x·y rounded to an integer, as a float, and as an integer whose low bits alone count."""
        shifted = self.fma(x, y, self.magic)
        return shifted - self.magic, self.bits(shifted)

    def power_of_two(self, k: Term, offset: int = 0) -> Term:
        """2^(k + offset), where that is normal; of `k` the low bits count."""
        return self.float((k << self.bits_of_mantissa) + ((self.bias + offset) << self.bits_of_mantissa))

    # ── polynomials and pairs ─────────────────────────────────────────────────

    def horner(self, x: Term, coefficients: Sequence[float], last: Any = None) -> Term:
        """Σ c[i]·x^i; `last` stands in for the highest coefficient."""
        total = self.term(coefficients[-1] if last is None else last)
        for c in coefficients[-2::-1]:
            total = self.fma(total, x, c)
        return total

    def horner_pair(self, x: Term, coefficients: Sequence[float]) -> tuple[Term, Term]:
        """Σ c[i]·x^i with the last sum as a pair; c[0] must be the larger of its terms."""
        return self.quick_sum(coefficients[0], x * self.horner(x, coefficients[1:]))

    def quick_sum(self, x: Any, y: Any) -> tuple[Term, Term]:
        """x + y and its rounding error, where |x| ≥ |y| or x = 0."""
        total = x + y
        return total, y - (total - x)

    def two_sum(self, x: Any, y: Any) -> tuple[Term, Term]:
        """x + y and its rounding error."""
        total = x + y
        other = total - x
        return total, (x - (total - other)) + (y - other)

    def two_product(self, x: Any, y: Any) -> tuple[Term, Term]:
        """x·y and its rounding error."""
        product = x * y
        return product, self.fma(x, y, -product)

    def quotient(self, high: Term, low: Any, divisor: Term, rest: Any = None) -> Term:
        """(high + low) / (divisor + rest), with hardly more than the last rounding."""
        inverse = 1.0 / divisor
        q = high * inverse
        left = self.fma(-q, divisor, high)
        if low is not None:
            left = left + low
        if rest is not None:
            left = self.fma(-q, rest, left)
        return self.fma(left, inverse, q)

    # ── float32 by way of float64 ─────────────────────────────────────────────

    def widened(self, *xs: Term) -> tuple[Writer, list[Term]]:
        """A writer of float64 into the same function, and its terms for these ones; its polynomials are shorter."""
        wide = Writer(F64, self)
        return wide, [wide.emit(f"fpext {x} to double", "f") for x in xs]

    def narrowed(self, x: Term) -> Term:
        return self.emit(f"fptrunc {x} to {self.types['f']}", "f")

    # ── the function ──────────────────────────────────────────────────────────

    def arguments(self, count: int) -> list[Term]:
        return [Term(self, f"%{name}", "f") for name in "xyz"[:count]]

    def function(self, symbol: str, arguments: Sequence[Term], result: Term) -> str:
        head = f"define internal {self.types['f']} @{symbol}({', '.join(map(str, arguments))}) {ATTRIBUTES} {{"
        return "\n".join([*self.declarations, head, *self.lines, f"  ret {result}", "}"])
