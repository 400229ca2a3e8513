"""Zeros of cotangents and tangents against infinities, in convolutions: where a result is NaN, its terms are added again,
without those in which a strong operand is zero; what comes out finite is the result.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from wengert.lowering.emission import Emission, Operand, row_major
from wengert.lowering.library.image import Geometry
from wengert.lowering.library.strided import offset, value
from wengert.lowering.text import BOOL, I64, Value

Index = Value | int


@dataclass(frozen=True)
class Convolved:
    """Σ y[n,g,o,p] x[n,g,c,s·p + d·k - lo] w[g,o,c,k], of which `result` ("x", "w", "y") is what is computed."""

    g: Geometry
    examples: int
    groups: int
    rows: int
    result: str

    def shape(self, role: str) -> tuple[int, ...]:
        g = self.g
        return {
            "x": (self.examples, self.groups, g.channels, *g.extent),
            "w": (self.groups, self.rows, g.channels, *g.kernel),
            "y": (self.examples, self.groups, self.rows, *g.places),
        }[role]


ROLES = {"x": "NGC", "w": "GOC", "y": "NGO"}


def annihilate(e: Emission, form: Convolved, strong: tuple[bool, bool], ins: Sequence[Operand], out: Operand) -> None:
    """Put right what is NaN in `out`."""
    b, dtype = e.b, out.dtype
    total = b.allocate(dtype)
    zero = b.const(0, dtype)
    b.store(zero, total)
    with b.loop(0, out.size) as i:
        term = b.mul(b.load(b.at(out.pointer, i, dtype), dtype), zero)
        b.store(b.accumulate(b.load(total, dtype), term), total)
    with b.when(b.isnan(b.load(total, dtype))), ExitStack() as stack:
        shape = form.shape(form.result)
        at = [stack.enter_context(b.loop(0, n)) for n in shape]
        place = b.at(out.pointer, offset(b, at, row_major(shape)), dtype)
        stack.enter_context(b.when(b.isnan(b.load(place, dtype))))
        b.store(zero, total)
        _terms(e, form, strong, ins, at, total)
        got = b.load(total, dtype)
        with b.when(b.compare("eq", b.sub(got, got), zero)):
            b.store(got, place)


def _terms(
    e: Emission,
    form: Convolved,
    strong: tuple[bool, bool],
    ins: Sequence[Operand],
    at: Sequence[Index],
    total: Value,
) -> None:
    """Add the live terms of one element of the result."""
    b, g, dtype = e.b, form.g, ins[0].dtype
    roles = [r for r in "xwy" if r != form.result]
    if form.result == "x":
        roles = ["y", "w"]
    sizes = {"N": form.examples, "G": form.groups, "O": form.rows, "C": g.channels}
    known: dict[str, Index] = dict(zip(ROLES[form.result], at[:3], strict=True))
    spatial: dict[str, list[Index]] = {form.result: list(at[3:])}
    lengths = {"x": g.extent, "w": g.kernel, "y": g.places}
    with ExitStack() as stack:
        for name in "NGOC":
            if name not in known:
                known[name] = stack.enter_context(b.loop(0, sizes[name]))
        # the loops run over the kernel or the places; the third position follows
        free = "y" if form.result == "w" else "w"
        spatial[free] = [stack.enter_context(b.loop(0, n)) for n in lengths[free]]
        last = next(r for r in "xwy" if r not in spatial)
        spatial[last] = []
        for axis in range(len(g.extent)):
            position, ok = _third(e, g, axis, spatial, last)
            stack.enter_context(b.when(ok))
            spatial[last].append(position)
        product: Value | None = None
        dead: Value | None = None
        for role, operand, is_strong in zip(roles, ins, strong, strict=True):
            index = [*(known[i] for i in ROLES[role]), *spatial[role]]
            v = b.load(b.at(operand.pointer, offset(b, index, row_major(form.shape(role))), dtype), dtype)
            product = v if product is None else b.mul(product, v)
            if is_strong:
                none = b.compare("eq", v, b.const(0, dtype))
                dead = none if dead is None else b.or_(dead, none)
        assert product is not None
        if dead is not None:
            product = b.select(dead, b.const(0, dtype), product)
        b.store(b.add(b.load(total, dtype), product), total)


def _third(e: Emission, g: Geometry, axis: int, spatial: dict[str, list[Index]], wanted: str) -> tuple[Value, Value]:
    """The position along an axis of x (or of y) from the two others, and whether there is one."""
    b = e.b
    stride, dilation, low = g.strides[axis], g.dilation[axis], g.padding[axis][0]
    k = spatial["w"][axis]
    if wanted == "x":
        p = spatial["y"][axis]
        position = value(b, offset(b, [p, k], [stride, dilation], -low))
        return position, _within(e, position, g.extent[axis])
    position = value(b, offset(b, [spatial["x"][axis], k], [1, -dilation], low))
    step = b.const(stride, I64)
    first = b.compare("ge", position, b.const(0, I64))
    even = b.compare("eq", b.remainder(position, step), b.const(0, I64))
    p = b.quotient(position, step)
    return p, b.and_(b.and_(first, even), _within(e, p, g.places[axis]))


def _within(e: Emission, i: Value, n: int) -> Value:
    return e.b.emit(f"icmp ult i64 {i.ref}, {n}", BOOL)
