"""How a wrong derivative differs from the right one: the patterns that mistakes in rules leave.

Each recogniser looks at the block of a Jacobian that belongs to one argument, rows by columns, and says what it sees in
words, or None. Agreement to six digits or more is asked for, so that a pattern is no coincidence.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from wengert.verify.checker.columns import Place


@dataclass
class Block:
    """Ours and the reference's derivatives by one argument. `wrong` marks the elements that differ."""

    ours: np.ndarray
    reference: np.ndarray
    wrong: np.ndarray
    digits: float  # relative agreement to ask for
    rows: Sequence[Place | None]
    columns: Sequence[Place]
    name: str
    x: np.ndarray  # the argument
    outputs: Sequence[np.ndarray]
    output_names: Sequence[str]
    shapes: Sequence[tuple[str, tuple[int, ...]]]  # of all arguments and outputs
    whole: bool  # whether every element of the argument has its column
    others: Sequence[tuple[str, np.ndarray]]  # the reference's blocks by the other arguments

    def near(self, a: Any, b: Any) -> bool:
        b = np.asarray(b)
        scale = np.max(np.abs(b), initial=0.0)
        return bool(scale > 0 and np.all(np.abs(np.asarray(a) - b) <= self.digits * scale))

    def explains(self, model: Any, ours: Any, reference: Any) -> bool:
        """Whether ours is `model`, much nearer than it is to the reference."""
        rest = np.max(np.abs(np.asarray(ours) - model), initial=0.0)
        return self.near(ours, model) and bool(rest <= 1e-2 * np.max(np.abs(np.asarray(ours) - reference), initial=0.0))

    def bad(self) -> tuple[np.ndarray, np.ndarray]:
        """Ours and the reference's, where they differ."""
        return self.ours[self.wrong], self.reference[self.wrong]

    def imaginary(self) -> np.ndarray:
        return np.array([c.imaginary for c in self.columns])


@dataclass
class Pattern:
    """What was recognised: see `Finding`."""

    kind: str
    message: str
    advice: str


CUT = (
    "Look for what cuts a dependence: stop_gradient, no_grad, .item(), a custom rule that returns None or zero for an argument,"
    " a copy made outside of the function."
)


def not_finite(block: Block) -> Pattern | None:
    ours, ref = block.bad()
    lost = ~np.isfinite(ours)
    if not np.any(lost):
        return None
    what = "NaN" if np.any(np.isnan(ours)) else "infinite"
    return Pattern(
        "not finite",
        f"ours is {what} for {_of(int(lost.sum()), ours.size)} wrong elements by {block.name}, where the function is smooth"
        f" and the reference is finite (largest {np.max(np.abs(ref)):.3g})",
        "A factor 0·∞ or ∞/∞ arises in a rule, often in a branch of np.where that is not taken: guard the argument, not the result"
        " (np.where(ok, x, 1.0) before the division). wengert.config.debug_nans = True names the op and the line.",
    )


def dropped(block: Block) -> Pattern | None:
    ours, ref = block.bad()
    if not np.all(np.abs(ours) <= 1e-14 * np.max(np.abs(ref))):
        return None
    if not np.any(block.ours):
        return Pattern("dropped", f"ours is zero for all of {block.name}, on which the result does depend", CUT)
    return Pattern(
        "dropped",
        f"ours is exactly zero for {_of(ours.size, block.ours.size)} elements by {block.name}, where the reference is not",
        CUT,
    )


def flat(block: Block) -> Pattern | None:
    ours, ref = block.bad()
    if np.any(ref) or not np.all(np.isfinite(ours)) or np.any(block.reference):
        return None
    return Pattern(
        "no dependence",
        f"the result does not change at all when {block.name} changes a little: the reference is exactly zero, ours is not",
        "Rounding, np.floor, comparisons and casts to integers have the derivative zero. A rule that says otherwise on purpose (a"
        " straight-through estimator) is no derivative. Or the change is too small beside what it is added to, and is rounded away.",
    )


def sign(block: Block) -> Pattern | None:
    ours, ref = block.bad()
    if not block.explains(-ref, ours, ref):
        return None
    return Pattern(
        "sign",
        f"ours has the wrong sign by {block.name}: it is −1 times the reference",
        "Look for a minus that is missing, or one too many.",
    )


def conjugate(block: Block) -> Pattern | None:
    im = block.imaginary()
    rows = np.array([r is not None and r.imaginary for r in block.rows])
    views = (
        (np.broadcast_to(im, block.ours.shape), "of the argument"),
        (np.broadcast_to(rows[:, None], block.ours.shape), "of the result"),
        (im != rows[:, None], "of the factor, for a holomorphic function"),
    )
    for flipped, what in views:
        if not np.any(flipped) or np.all(flipped) or not np.any(block.reference[flipped]):
            continue
        if block.near(block.ours, np.where(flipped, -block.reference, block.reference)) and np.any(
            block.wrong & flipped
        ):
            return Pattern(
                "conjugate",
                f"ours is the complex conjugate of the reference ({what}) by {block.name}",
                "A conj is missing, or one too many. Cotangents here follow wengert.config.complex_convention: by default the gradient"
                " of a real loss is the direction of steepest ascent, and the pullback applies Jᴴ (docs/complex).",
            )
    return None


def factor(block: Block) -> Pattern | None:
    ours, ref = block.bad()
    if not np.all(np.isfinite(ours)):
        return None
    c = float(np.sum(ours * ref) / np.sum(ref * ref))
    if not block.explains(c * ref, ours, ref):
        return None
    named = _named_factor(c, block)
    if named is None and ours.size < 3:
        return None
    what, advice = named or (
        _fraction(c),
        "A constant factor is wrong: look for a scale that is applied twice, or not at all.",
    )
    part = "" if ours.size == np.count_nonzero(block.reference) else f", in {_of(ours.size, block.ours.size)} elements"
    return Pattern("factor", f"ours is {what} times the reference by {block.name}{part}", advice)


def _fraction(c: float) -> str:
    near = Fraction(c).limit_denominator(12)
    return (
        f"{near}" if near and abs(c - near) <= 1e-8 * abs(c) else f"{c:.6g}" if abs(c - 1) > 1e-4 else f"1 {c - 1:+.2g}"
    )


def _named_factor(c: float, block: Block) -> tuple[str, str] | None:
    def is_near(x: float) -> bool:
        return abs(c - x) <= block.digits * 2 * abs(x)

    for name, shape in block.shapes:
        lengths = [(f"the length of axis {i} of {name}", n) for i, n in enumerate(shape)]
        if len(shape) > 1:
            lengths.append((f"the number of elements of {name}", math.prod(shape)))
        for what, n in lengths:
            if n > 2 and (is_near(n) or is_near(1 / n)):
                ratio = f"{n}" if is_near(n) else f"1/{n}"
                return f"{ratio} ({what}, {shape})", "A mean was taken for a sum, or a sum for a mean."
    simple = {
        2.0: ("2", "A term is counted twice, or the derivative of a half square has lost its ½."),
        0.5: (
            "½",
            "Of two equal contributions one is lost (x·x with one factor cut off by stop_gradient, half of a symmetric matrix),"
            " or the 2 of a square is missing.",
        ),
    }
    for value, found in simple.items():
        if is_near(value):
            return found
    for n in (3, 4, math.pi, 2 * math.pi, math.sqrt(2), math.log(2), math.log(10)):
        for value, text in ((n, f"{n:.6g}"), (1 / n, f"1/{n:.6g}")):
            if is_near(value):
                return text, "A constant factor is wrong: look for a scale that is applied twice, or not at all."
    return None


def permuted(block: Block) -> Pattern | None:
    if block.whole and not np.any(block.imaginary()) and block.x.ndim and block.x.size > 1:
        for name, move in _moves(block.x.shape):
            ref = np.stack([move(row.reshape(block.x.shape)).reshape(-1) for row in block.reference])
            if block.explains(ref, block.ours, block.reference):
                return Pattern(
                    "permuted",
                    f"ours, by {block.name}, is the reference {name}",
                    "Look for a transpose, a flip or an order of indices that is not undone.",
                )
    return _permuted_rows(block)


def _permuted_rows(block: Block) -> Pattern | None:
    start = 0
    for out, name in zip(block.outputs, block.output_names, strict=True):
        size = out.size
        rows = slice(start, start + size)
        start += size
        if None in block.rows or np.iscomplexobj(out) or len(block.rows) < start or size < 2:
            return None
        if not np.any(block.wrong[rows]):
            continue
        for what, move in _moves(out.shape):
            ref = np.stack([move(col.reshape(out.shape)).reshape(-1) for col in block.reference[rows].T], axis=1)
            if block.explains(ref, block.ours[rows], block.reference[rows]):
                return Pattern(
                    "permuted",
                    f"ours, along {name} by {block.name}, is the reference {what}",
                    "Look for a transpose, a flip or an order of indices that is not applied to the tangent.",
                )
    return None


def _moves(shape: tuple[int, ...]) -> Iterator[tuple[str, Callable[[np.ndarray], np.ndarray]]]:
    for axes in itertools.permutations(range(len(shape))) if 1 < len(shape) <= 4 else ():
        if axes != tuple(range(len(shape))) and tuple(shape[a] for a in axes) == shape:
            yield f"with its axes permuted, {axes}", lambda a, axes=axes: a.transpose(axes)
    for axis, n in enumerate(shape):
        if n > 1:
            yield f"in reverse order along axis {axis}", lambda a, axis=axis: np.flip(a, axis)
            for shift in (1, -1) if n > 2 else ():
                yield f"shifted by {shift} along axis {axis}", lambda a, axis=axis, shift=shift: np.roll(a, shift, axis)


def missing(block: Block) -> Pattern | None:
    """The difference is a multiple of something that mistakes leave out."""
    lack = block.reference - block.ours
    if not np.all(np.isfinite(lack)) or np.any(block.imaginary()):
        return None
    for vector, candidates in _views(block, lack):
        if np.count_nonzero(np.abs(vector) > 1e-3 * np.max(np.abs(vector), initial=0.0)) < 3:
            continue
        for name, candidate in candidates:
            norm = float(np.sum(candidate * candidate))
            if norm == 0 or not np.all(np.isfinite(candidate)):
                continue
            c = float(np.sum(vector * candidate)) / norm
            if block.near(c * candidate, vector):
                return Pattern(
                    "missing term",
                    f"what ours lacks by {block.name} is {c:.6g} × {name}, element by element",
                    "One term of a sum, product or chain rule is left out (or, with the other sign, is one too many).",
                )
    return None


def _views(block: Block, lack: np.ndarray) -> Iterator[tuple[np.ndarray, list[tuple[str, np.ndarray]]]]:
    """The lack as vectors, each with what it may be a multiple of: along the diagonal of an elementwise function, or row by row."""
    x = np.array([block.x[c.index] for c in block.columns], dtype=float)
    powers = [("1", np.ones_like(x)), (block.name, x), (f"{block.name}²", x * x)]
    with np.errstate(all="ignore"):
        powers.append((f"1/{block.name}", 1 / x))
    with np.errstate(all="ignore"):
        yield from _diagonal(block, lack, x, powers)
    worst = int(np.argmax(np.max(np.abs(lack), axis=1)))
    rows = [(f"the derivative by {n}", other[worst]) for n, other in block.others if other.shape == lack.shape]
    yield lack[worst], [*powers, *rows]


def _diagonal(
    block: Block, lack: np.ndarray, x: np.ndarray, powers: list[tuple[str, np.ndarray]]
) -> Iterator[tuple[np.ndarray, list[tuple[str, np.ndarray]]]]:
    if lack.shape[0] == lack.shape[1] == sum(o.size for o in block.outputs) and len(block.outputs) == 1:
        off = lack - np.diag(np.diag(lack))
        if not np.any(np.abs(off) > block.digits * np.max(np.abs(lack))) and block.whole:
            f = np.asarray(block.outputs[0], dtype=float).reshape(-1)
            name = block.output_names[0]
            more = [(name, f), (f"{name}²", f * f), (f"{block.name}·{name}", x * f), (f"{name}/{block.name}", f / x)]
            yield np.diag(lack), [*powers, *more]


RECOGNISERS = (not_finite, flat, dropped, conjugate, sign, factor, permuted, missing)


def recognise(block: Block) -> Pattern | None:
    """The first pattern that fits."""
    with np.errstate(all="ignore"):
        for recogniser in RECOGNISERS:
            found = recogniser(block)
            if found is not None:
                return found
    return None


def _of(some: int, all_: int) -> str:
    return f"{some} of {all_}"
