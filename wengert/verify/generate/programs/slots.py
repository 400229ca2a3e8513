"""Templates of expressions and statements, whose slots are chosen only when the template asks for them.

Besides `x`, the name of a value, these may stand in braces:

    y  w        values (or constants) that broadcast with x; w may be complex
    same        a value of x's shape
    into        a value (or constant) that can be assigned to all of x
    key         a key of basic indexing; `part` is a value that can be assigned to x[key]
    fancy       a key with an index array or a mask, each element once; `parts` likewise
    many        the same, with repetitions
    axis other  axes; `lead` is what stands before axis `front` between brackets
    how         axis= and keepdims= of a reduction
    number shift count n        constants; `n` is the length along `axis`
    shape size first last bits  of x: a 0/1 pattern of its shape is `bits`
    const line  constants of x's shape, of its last axis
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from wengert.verify.generate.choices import Choices
from wengert.verify.generate.programs.scope import Scope


def table(text: str) -> tuple[str, ...]:
    """Templates, one a line; `⏎` breaks a line within one."""
    return tuple(line.strip().replace("⏎", "\n") for line in text.strip().splitlines())


def blocks(text: str) -> tuple[str, ...]:
    """Templates of several lines, with empty lines between them."""
    return tuple(textwrap.dedent(block).strip() for block in re.split(r"\n\s*\n", text))


class Slots(dict[str, str]):
    """What stands in braces; drawn when it is first asked for, and the same from then on."""

    def __init__(self, scope: Scope, x: str, **given: Any) -> None:
        super().__init__({"x": x, **{k: str(v) for k, v in given.items()}})
        self.scope, self.choices, self.v = scope, scope.choices, scope[x]

    def __missing__(self, slot: str) -> str:
        found = self[slot] = str(MAKERS[slot](self))
        return found

    def fill(self, template: str) -> str:
        return template.format_map(self)

    def pick(self, *tables: Sequence[str]) -> str:
        """One template of these tables, filled."""
        return self.fill(self.choices.pick([t for table in tables for t in table]))

    def part_shape(self, key: str) -> tuple[int, ...]:
        return np.shape(self.v[eval(f"np.s_[{key}]", {"np": np})])

    @property
    def kind(self) -> str:
        return "fc" if self.v.dtype.kind == "c" else "f"


def basic_key(c: Choices, shape: tuple[int, ...]) -> str:
    """Integers, slices, None and an ellipsis, as text between brackets."""
    entries = []
    for d in shape[: c.integer(1, len(shape))]:
        i = c.integer(0, d - 1)
        entries.append(c.pick((str(i), ":", f"{i}:", f":{i + 1}", "::-1", "::2", f"{i - d}", f"{i - d}:", f"{i}::-1")))
    if c.chance(0.2):
        entries.insert(c.integer(0, len(entries)), "None")
    if c.chance(0.2):
        entries.append("...")
    return ", ".join(entries)


def array_key(c: Choices, shape: tuple[int, ...], repeats: bool) -> str:
    """A key with index arrays or a mask, as text; without `repeats` each element is named at most once."""
    axis = c.integer(0, len(shape) - 1)
    d, lead = shape[axis], ":, " * axis

    def some(count: int) -> list[int]:
        picked = [c.integer(-d, d - 1) for _ in range(count)]
        return picked if repeats else list({i % d: i for i in picked}.values())

    if c.chance(0.25):
        return f"{lead}np.array({[c.chance(0.6) for _ in range(d - 1)] + [True]})"
    rows = some(c.integer(1, 3))
    if axis + 1 < len(shape) and c.chance(0.4):
        e = shape[axis + 1]
        columns = [c.integer(-e, e - 1) for _ in rows]
        return lead + c.pick(
            (f"{rows}, {columns}", f"{rows}, -1", f"{rows}, 0:1", f"np.array({rows})[:, None], {columns[0]}")
        )
    if repeats and c.chance(0.2):
        return f"{lead}np.array([{some(2)}, {some(2)}])"
    return f"{lead}{rows}"


def _how(s: Slots) -> str:
    c, n = s.choices, s.v.ndim
    axis: Any = c.pick((None, *range(-n, n)))
    if n > 1 and c.chance(0.25):
        axis = c.pick((tuple(range(n)), (0, -1), (-1, 0), (1, 0)))
    return f"axis={axis}" + (", keepdims=True" if c.chance(0.4) else "")


def _order(s: Slots) -> tuple[int, ...]:
    left, order = list(range(s.v.ndim)), []
    while left:
        order.append(left.pop(s.choices.integer(0, len(left) - 1)))
    return tuple(order)


def _length(s: Slots) -> int:
    return s.v.shape[int(s["axis"])]


def _indices(s: Slots) -> list[int]:
    return [s.choices.integer(0, _length(s) - 1) for _ in range(s.choices.integer(1, 3))]


def _factors(s: Slots) -> tuple[int, ...]:
    size = s.v.size
    pairs = [(p, size // p) for p in range(1, size + 1) if size % p == 0]
    return s.choices.pick([(size,), *pairs, *((1, *p) for p in pairs)])


MAKERS: dict[str, Callable[[Slots], Any]] = {
    "y": lambda s: s.scope.like(s.v.shape),
    "w": lambda s: s.scope.like(s.v.shape, "fc"),
    "same": lambda s: s.choices.pick(s.scope.names(lambda v: v.shape == s.v.shape, s.kind)),
    "into": lambda s: s.scope.like(s.v.shape, s.kind, into=True),
    "key": lambda s: basic_key(s.choices, s.v.shape),
    "part": lambda s: s.scope.like(s.part_shape(s["key"]), s.kind, into=True),
    "fancy": lambda s: array_key(s.choices, s.v.shape, False),
    "parts": lambda s: s.scope.like(s.part_shape(s["fancy"]), s.kind, into=True),
    "many": lambda s: array_key(s.choices, s.v.shape, True),
    "axis": lambda s: s.scope.axis(s.v),
    "other": lambda s: s.scope.axis(s.v),
    "front": lambda s: s.choices.integer(0, s.v.ndim - 1),
    "lead": lambda s: ":, " * int(s["front"]),
    "new": lambda s: s.choices.integer(-s.v.ndim - 1, s.v.ndim),
    "how": _how,
    "number": lambda s: s.scope.number(),
    "shift": lambda s: s.choices.integer(-2, 2),
    "count": lambda s: s.choices.integer(1, 4),
    "scalar": lambda s: s.scope.any(lambda v: v.ndim == 0) or s.scope.number(),
    "n": _length,
    "row": lambda s: s.choices.integer(0, _length(s) - 1),
    "rows": _indices,
    "keep": lambda s: [True] + [s.choices.chance(0.5) for _ in range(_length(s) - 1)],
    "times": lambda s: [s.choices.integer(0, 2) for _ in range(_length(s) - 1)] + [1],
    "pads": lambda s: tuple((s.choices.integer(0, 2), s.choices.integer(0, 1)) for _ in range(s.v.ndim)),
    "mode": lambda s: repr(
        s.choices.pick(("edge", "reflect", "wrap", "symmetric", "linear_ramp", "mean", "maximum", "minimum", "median"))
    ),
    "major": lambda s: repr(s.choices.pick("CFA")),
    "perm": _order,
    "factors": _factors,
    "shape": lambda s: tuple(s.v.shape),
    "reversed": lambda s: tuple(s.v.shape[::-1]),
    "doubled": lambda s: (2, *s.v.shape),
    "size": lambda s: s.v.size,
    "place": lambda s: s.choices.integer(0, s.v.size - 1),
    "ndim": lambda s: s.v.ndim,
    "first": lambda s: s.v.shape[0],
    "last": lambda s: s.v.shape[-1],
    "half": lambda s: s.v.shape[-1] // 2,
    "bits": lambda s: f"(np.arange({s.v.size}).reshape({tuple(s.v.shape)}) % {s.choices.integer(2, 3)} == 0)",
    "const": lambda s: s.scope.weights(s.v.shape),
    "line": lambda s: s.scope.weights(s.v.shape[-1:]),
    "along": lambda s: s.scope.weights((_length(s),)).replace("np.cos", "np.exp"),
    "map": lambda s: s.scope.weights((s.v.shape[-1], s.choices.integer(1, 3))),
    "column": lambda s: s.scope.weights(s.v.shape[-2:-1]),
    "mate": lambda s: s.scope.any(lambda w: bool(w.ndim) and w.shape[-1] == s.v.shape[-1], s.kind) or s["x"],
}
