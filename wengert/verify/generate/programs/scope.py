"""`Scope`: the body of a function while it is being written, each statement executed as it is added.

Since statements run on plain ndarrays at once, every shape, dtype and overlap in memory is known when the next one
is chosen, and what NumPy refuses is never in the text. A statement that raises, or leaves values that are
infinite or large, is taken back.
"""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from wengert.verify.generate.choices import Choices
from wengert.verify.generate.programs.text import NAMESPACE

LARGEST, MOST, DEEPEST = 6.0, 48, 4  # absolute value, elements and axes of a value
Fits = Callable[[Any], bool]


def anything(value: Any) -> bool:
    return True


@dataclass
class Story:
    """What the scopes of one program share.

    `allowed` are the kinds of instructions that may be used. `traits` are those of `Program`. `failures` are transforms within the
    program that raised where the function they were given runs: pairs of the text and the exception.
    `most` is how many elements a value may have.
    """

    allowed: frozenset[str] = frozenset()
    traits: set[str] = field(default_factory=set)
    failures: list[tuple[str, Exception]] = field(default_factory=list)
    names: int = 0
    most: int = MOST


class Scope:
    """Attributes
    ----------
    lines : the statements so far; each may span several lines
    env : name → value, plain ndarrays, as it is after the last statement
    own : names of values that this scope made, arguments included; `closed` those it reads from outside
    traced : those of `own` that depend on the scope's arguments, or are Tensors anyway under a trace
    batched : whether values stand for many examples: then none may decide a branch or a shape
    depth : how many functions enclose this one
    """

    def __init__(
        self,
        choices: Choices,
        args: dict[str, Any],
        *,
        story: Story | None = None,
        outer: Scope | None = None,
        closes: bool = True,
        batched: bool = False,
    ) -> None:
        self.choices, self.outer = choices, outer
        self.story = outer.story if outer else story or Story()
        self.depth = outer.depth + 1 if outer else 0
        self.batched = batched or (outer is not None and outer.batched)
        self.closed = [*outer.closed, *outer.own] if outer and closes else []
        self.args, self.own, self.traced = list(args), list(args), set(args)
        self.changed: set[str] = set()
        self.lines: list[str] = []
        self._base = {**(outer.env if outer and closes else NAMESPACE), **args}
        self.env: dict[str, Any] = {}
        self._replay()

    # ── values ──

    def __getitem__(self, name: str) -> Any:
        return self.env[name]

    def names(self, fits: Fits = anything, kind: str = "f") -> list[str]:
        """Names of values that fit, of this scope and of those around it; `kind` as in `dtype.kind`."""
        return [n for n in self.closed + self.own if self.env[n].dtype.kind in kind and fits(self.env[n])]

    def any(self, fits: Fits = anything, kind: str = "f") -> str | None:
        """A name of a value that fits; a recent one in half of the cases, so that computations grow deep."""
        found = self.names(fits, kind)
        if self.depth and self.choices.chance(0.6):  # or its argument would hardly matter to an inner function
            found = [n for n in found if n in self.own] or found
        if not found:
            return None
        return self.choices.pick(found[-3:] if self.choices.chance(0.5) else found)

    def array(self, ndim: int = 1, kind: str = "f") -> str | None:
        """A name of a value with at least `ndim` axes."""
        return self.any(lambda v: v.ndim >= ndim, kind)

    def like(self, shape: tuple[int, ...], kind: str = "f", into: bool = False) -> str:
        """An expression that broadcasts with `shape` (or to it, if it goes `into` an array): a value, or a constant."""
        found = self.names(lambda v: _joins(v.shape, shape, into, self.story.most), kind)
        if found and self.choices.chance(0.85):
            return self.choices.pick(found)
        return self.weights(shape) if self.choices.chance(0.5) else self.number()

    def number(self) -> str:
        """A short constant."""
        return str(self.choices.integer(-19, 19) / 10 or 0.3)

    def weights(self, shape: Sequence[int]) -> str:
        """A constant array of values that are all different."""
        size, shift = math.prod(shape), self.choices.integer(0, 9)
        flat = f"np.cos(np.arange({size}.0)" + (f" + 0.{shift})" if shift else ")")
        return flat if len(shape) == 1 else f"{flat}.reshape({tuple(shape)})"

    def axis(self, x: Any) -> int:
        """One axis of `x`, counted from the front or from behind."""
        return self.choices.integer(-x.ndim, x.ndim - 1)

    def fresh(self, letter: str = "v") -> str:
        self.story.names += 1
        return f"{letter}{self.story.names}"

    def target(self, ndim: int = 1, kind: str = "f") -> str | None:
        """A name of an array that may be written: of this scope's own, apart from arguments and closed-over values."""
        protected = [self.env[n] for n in self.args + self.closed]

        def free(name: str) -> bool:
            v = self.env[name]
            return (
                (name in self.traced and isinstance(v, np.ndarray) and v.flags.writeable)
                and (v.ndim >= ndim and v.dtype.kind in kind)
                and not any(np.may_share_memory(v, p) for p in protected)
            )

        found = [n for n in self.own if free(n)]
        return self.choices.pick(found) if found else None

    def is_tensor(self, name: str) -> bool:
        """Whether `name` is a Tensor whenever the program is differentiated."""
        return name in self.traced or (self.outer is not None and self.outer.is_tensor(name))

    # ── statements ──

    def bind(self, expression: str | None, before: str = "") -> str | None:
        """`v = expression`, scaled down where it is large, after the statements `before` (which define functions).
        The name, or None if it cannot be had."""
        if expression is None:
            return None
        name = self.fresh()
        statement = f"{before}{name} = {expression}"
        if not self._execute(statement) or not fit(self.env[name], 1e6, self.story.most):
            self.env.pop(name, None)
            return None
        largest = float(np.max(np.abs(self.env[name]), initial=0.0))
        if largest > LARGEST:
            factor = f"{10.0 ** -math.ceil(math.log10(largest / LARGEST)):.6g}"
            statement = f"{before}{name} = {factor} * ({expression})"
            if not self._execute(statement) or not fit(self.env[name], most=self.story.most):
                return None
        self._keep(statement, [name])
        return name

    def run(self, statement: str, binds: Sequence[str] = (), writes: Sequence[str] = (), fresh: bool = False) -> bool:
        """Add a statement that binds some names and writes into others; False, and nothing is changed, if it does not
        work out. `fresh`: what it binds is made anew by functions that adoption replaces."""
        if not self._execute(statement) or not all(
            fit(self.env.get(n), most=self.story.most) for n in [*self.own, *binds]
        ):
            self._replay()
            return False
        self._keep(statement, binds, fresh)
        self.changed.update(writes)
        return True

    def _keep(self, statement: str, binds: Iterable[str], fresh: bool = False) -> None:
        self.lines.append(statement)
        # A transform's result is a plain array where its function did not depend on the arguments after all.
        depends = fresh or ("wg." not in statement and any(re.search(rf"\b{n}\b", statement) for n in self.traced))
        for name in binds:
            self.own.append(name)
            if depends:
                self.traced.add(name)

    def _execute(self, statement: str) -> bool:
        """Run the statement; False if it raises. Of a function with transforms in it, that is recorded."""
        try:
            with warnings.catch_warnings(), np.errstate(all="ignore"):
                warnings.simplefilter("ignore")
                exec(statement, self.env)
        except Exception as error:  # NumPy's refusal: another instruction will do
            if "wg." in statement:
                self.story.failures.append((statement, error))
            return False
        return True

    def _replay(self) -> None:
        """Start again from the arguments, and run the statements so far."""
        self.env = {n: v.copy() if n in self.args else v for n, v in self._base.items()}
        for line in self.lines:
            self._execute(line)

    # ── the result ──

    def loose(self) -> list[str]:
        """Names whose value nothing uses, and those that were written."""
        text = "\n".join(self.lines)
        return [
            n
            for n in self.own
            if n in self.changed or len(re.findall(rf"\b{n}\b", text)) <= (0 if n in self.args else 1)
        ]

    def scalar(self) -> str:
        """An expression for one real number, to which all loose values contribute."""
        return " + ".join(self._term(n) for n in self.loose() or self.own[-1:])

    def _term(self, name: str) -> str:
        v, c = self.env[name], self.choices
        if v.dtype.kind == "c":
            absolute = f"np.mean(np.abs({name}) ** 2)"
            return c.pick((absolute, f"np.mean(np.sin({name}.real))", f"np.sum(({name} * (0.6 - 0.8j)).imag)"))
        if v.ndim == 0:
            return c.pick((f"np.sin({name})", f"{name} * 0.7", f"{name} ** 2"))
        if v.size > 1 and c.chance(0.3):
            return f"np.sum({name} * {self.weights(v.shape)})"
        return c.pick((f"np.mean(np.sin({name}))", f"np.mean({name} ** 2)", f"np.sum({name} * {name}) / {v.size}"))

    def text(self, head: str, result: str) -> str:
        """The function as text."""
        return f"def {head}:\n" + indented("\n".join([*self.lines, f"return {result}"]))


def indented(text: str) -> str:
    return "".join(f"    {line}\n" for line in text.splitlines())


def fit(value: Any, largest: float = 10 * LARGEST, most: int = MOST) -> bool:
    """Whether a value may stay: finite floating-point numbers of ordinary precision, neither many nor large."""
    if not isinstance(value, np.ndarray | np.generic) or value.dtype.name not in PRECISIONS:
        return False
    if value.size > most or value.ndim > DEEPEST or value.size == 0:
        return False
    return bool(np.all(np.isfinite(value))) and float(np.max(np.abs(value))) <= largest


PRECISIONS = ("float32", "float64", "complex64", "complex128")


def _joins(shape: tuple[int, ...], other: tuple[int, ...], into: bool, most: int) -> bool:
    try:
        joint = np.broadcast_shapes(shape, other)
    except ValueError:
        return False
    return joint == other if into else math.prod(joint) <= most
