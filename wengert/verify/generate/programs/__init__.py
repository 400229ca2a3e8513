"""Random programs of NumPy: the text of a function with 5 to 40 statements, and its arguments.

    elementwise   functions of one or two arrays with broadcasting; special functions, activations, complex numbers
    arrays        reductions, movement, indexing, joining, selection, scans
    algebra       contractions, linear algebra, Fourier transforms, layers
    writes        in place: views, `out=`, `ufunc.at`, loops
    nesting       control flow and closures; transforms within the program
    loops         structured control flow: scan, while_loop, cond, … of random bodies, in each other

The result is a real number on which every value has an effect.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from wengert.core.config import config
from wengert.verify.generate.choices import Choices
from wengert.verify.generate.programs import algebra, arrays, elementwise, loops, nesting, writes
from wengert.verify.generate.programs.scope import MOST, Scope, Story
from wengert.verify.generate.programs.text import Program, literal

__all__ = ["Program", "literal", "program"]

# kind → how often it is chosen, and instructions that give an expression
EXPRESSIONS: dict[str, tuple[int, tuple[Callable[[Scope], str | None], ...]]] = {
    "elementwise": (
        24,
        (elementwise.unary, elementwise.binary),
    ),
    "numbers": (3, (elementwise.numbers,)),
    "arrays": (22, (arrays.reduce, arrays.move, arrays.index, arrays.join, arrays.select, arrays.scan)),
    "algebra": (10, (algebra.contract, algebra.contract, algebra.matrix, algebra.fourier)),
    "branches": (1, (arrays.branch,)),
    "complex": (10, (elementwise.complex_,)),
    "special": (8, (elementwise.special,)),
    "neural": (8, (elementwise.neural, algebra.layer)),
    "precision": (3, (elementwise.precision,)),
}
STATEMENTS = {"control": 3, "writes": 18, "transforms": 7, "loops": 9}
ALWAYS = ("elementwise", "arrays", "algebra")
SOMETIMES = {
    "numbers": 0.7,
    "branches": 0.2,
    "complex": 0.3,
    "special": 0.3,
    "neural": 0.25,
    "precision": 0.08,
    "control": 0.5,
    "writes": 0.6,
    "loops": 0.4,
}
DEPTHS = {"transforms": 2, "loops": loops.DEEPEST}  # functions within functions
SMALL = (1, 2, 3)
VARIED = (1, 2, 7, 16, 33, 130)  # beyond the width of vectors, with remainders


def program(
    choices: Choices, *, only: frozenset[str] | None = None, longest: int = 40, extents: Sequence[int] = SMALL
) -> Program:
    """A random program. `only` names the kinds of instructions to take besides the plain ones (see SOMETIMES, and
    "transforms"); `longest` is the number of statements, at most; `extents` are those of the arguments' axes (SMALL, VARIED)."""
    if only is None:
        only = frozenset(k for k, p in {**SOMETIMES, "transforms": 0.5}.items() if choices.chance(p))
    story = Story(allowed=frozenset(ALWAYS) | only, most=MOST if extents is SMALL else max(extents) ** 2)
    args = {name: _argument(choices, only, extents, story.most) for name in "xyz"[: choices.integer(1, 3)]}
    scope = Scope(choices, args, story=story)
    with config.override(
        compiled_backward=False
    ):  # or last bits change at some call, and with them what is written next
        _grow(scope, choices.integer(5, longest))
        source = scope.text(f"f({', '.join(args)})", scope.scalar())
    if "float32" in story.traits or any(a.dtype.itemsize < 8 for a in args.values()):
        story.traits.add("float32")
    failures = tuple((text, f"{type(error).__name__}: {error}") for text, error in story.failures)
    return Program(source, tuple(args.values()), frozenset(story.traits), failures)


def _argument(choices: Choices, only: frozenset[str], extents: Sequence[int], most: int) -> np.ndarray:
    shape = tuple(choices.pick(extents) for _ in range(choices.integer(0, 3)))
    while math.prod(shape) > most:
        shape = shape[1:]
    value = np.round(choices.normal(shape), 4)
    if "complex" in only and choices.chance(0.2):
        return np.asarray(value + 1j * np.round(choices.normal(shape), 4))
    return np.asarray(value, np.float32 if "precision" in only and choices.chance(0.3) else np.float64)


def _grow(scope: Scope, steps: int) -> None:
    """Add about that many statements."""
    allowed = scope.story.allowed
    weights = {k: w for k, (w, _) in EXPRESSIONS.items() if k in allowed}
    weights |= {k: w for k, w in STATEMENTS.items() if k in allowed and scope.depth < DEPTHS.get(k, math.inf)}
    kinds = [k for k, w in weights.items() for _ in range(w)]
    for _ in range(steps):
        kind = scope.choices.pick(kinds)
        if kind == "writes":
            writes.write(scope)
        elif kind == "control":
            nesting.control(scope)
        elif kind == "transforms":
            nesting.transform(scope, _grow)
        elif kind == "loops":
            loops.loop(scope, _grow)
        else:
            scope.bind(scope.choices.pick(EXPRESSIONS[kind][1])(scope))
