"""The form of a tape: all that a sweep reads of it, but for the elements of arrays; and the arrays.

Two tapes of one form get one sweep, up to the elements. So a form has: the op of each equation and its rule; which variable is each
operand, result, seed and wanted one; their shapes and dtypes; the types of what is saved; and the parameters, with their types,
since 1, 1.0 and True are equal. It refers to no variable and no array of the tape it was taken from.
"""

from __future__ import annotations

import types
from collections.abc import Sequence
from itertools import chain, count
from operator import attrgetter, is_
from typing import Any

import numpy as np

from wengert.core.aval import Aval
from wengert.core.source import Source
from wengert.core.tensor import Array
from wengert.graph.program import Program, Var
from wengert.ops.basis import transpose
from wengert.ops.index import ARRAY

PLAIN = frozenset({bool, int, str, types.NoneType})
PYTHON = frozenset({bool, int, float})
ARRAYS = frozenset({np.ndarray, *(np.dtype(c).type for c in "?bBhHiIlLqQfd")})
SAVED = ARRAYS | PYTHON | {types.NoneType}
WEAK = {bool: np.dtype(bool), int: np.dtype(int), float: np.dtype(float)}
NATIVE = frozenset("?bBhHiIlLqQfd")
_multi, _rule = attrgetter("multi"), attrgetter("pullback")


class Unfit(Exception):
    """A tape whose sweep cannot be compiled."""


CONSTANT = -1  # the name of an operand that is no variable


class Form:
    """See the module's docstring. `of` says which variable each saved value is the value of, by name."""

    __slots__ = ("layout", "length", "parts", "source")

    def __init__(self, parts: tuple[Any, ...], source: Source | None) -> None:
        self.parts, self.source = parts, source
        self.layout: Layout = parts[1]
        self.length = len(parts[0])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Form) and self.parts == other.parts

    __hash__ = None  # type: ignore[assignment]

    def check(self) -> None:
        """Raise Unfit for dtypes and values that are left to the sweep."""
        _, layout, _, kinds, *_, dtypes = self.parts
        if not SAVED.issuperset(kinds):
            raise Unfit("what is saved are no arrays")
        if not all(d.char in NATIVE and d.isnative for d in set(dtypes)):
            raise Unfit("dtypes without machine code")
        if layout[2] != layout[3]:
            raise Unfit("operands that are saved in a way of their own")

    def named(self) -> list[int]:
        """Per saved value, the name of the variable that it is the value of."""
        n_inputs, n_outs, n_ins, _, n_seeds, multi = self.layout
        results = range(n_inputs, n_inputs + n_outs)
        if multi:
            results = [CONSTANT if unkept else name for name, unkept in zip(results, multi[1], strict=True)]
        return [*self.parts[2][: sum(n_ins)], *results, *[CONSTANT] * n_seeds]


# How many inputs and results there are; operands, and saved operands, per equation; seeds; and where there are ops of several
# results, how many each has (-1: one), and which of all results have no variable
Layout = tuple[int, int, list[int], list[int], int, tuple[list[int], list[bool]] | None]


def form_of(
    program: Program, seeds: Sequence[tuple[Var, Array]], wanted: Sequence[Var | None]
) -> tuple[Form, list[Any]]:
    """The form of a sweep; and what is saved: of operands, of results, and the cotangents that it starts from.

    Cost: 0.3 µs an equation. Raises Unfit for parameters that cannot be compared.
    """
    eqns, inputs = program.eqns, program.ins
    ops, ins, outs, params, xs, saved, _, _ = zip(*eqns)
    distinct = dict.fromkeys(ops)
    multi = None
    if any(map(_multi, distinct)):
        widths = [len(o) if op.multi else -1 for op, o in zip(ops, outs, strict=True)]
        saved, outs = _spread(widths, saved), _spread(widths, outs)
        multi = widths, [o is None for o in outs]
    known: dict[Any, Any] = dict(zip([*inputs, *outs], count()))
    known[None] = CONSTANT
    ends = [*wanted, *[v for v, _ in seeds]]
    try:
        names = list(map(known.__getitem__, [*chain.from_iterable(ins), *ends]))
    except KeyError:  # variables that are no inputs, but watched: in the order in which they are met
        first = len(inputs) + len(outs)
        names = [known.setdefault(v, first + len(known)) for v in chain(chain.from_iterable(ins), ends)]
    del known[None]
    try:
        shapes, dtypes = [v.shape for v in known], [v.dtype for v in known]
    except AttributeError:
        raise Unfit("literal operands") from None
    values = [*chain.from_iterable(xs), *saved, *[ct for _, ct in seeds]]
    layout: Layout = len(inputs), len(outs), list(map(len, ins)), list(map(len, xs)), len(seeds), multi
    tokens = [token(p) for p in params if p]
    rules = list(map(_rule, distinct))
    parts = (
        ops, layout, names, list(map(type, values)), list(map(len, params)), tokens, rules, shapes, dtypes
    )  # fmt: skip
    *_, code, lasti = eqns[-1]
    return Form(parts, None if code is None else (code, lasti)), values


def _spread(widths: Sequence[int], column: Sequence[Any]) -> tuple[Any, ...]:
    """A column of equations, with the entries of several results one by one."""
    flat: list[Any] = []
    for n, entry in zip(widths, column, strict=True):
        flat += [entry] if n < 0 else [None] * n if entry is None else entry
    return tuple(flat)


def token(value: Any) -> Any:
    """A parameter as something that is equal to that of an equal parameter alone."""
    kind = type(value)
    if kind in PLAIN:
        return kind, value
    if kind is tuple or kind is list:
        kinds = tuple(map(type, value))
        return (kind, kinds, tuple(value) if PLAIN.issuperset(kinds) else tuple(map(token, value)))
    if kind is dict:
        kinds = tuple(map(type, value.values()))
        return (
            (tuple(value.items()), kinds)
            if PLAIN.issuperset(kinds)
            else tuple([(k, token(v)) for k, v in value.items()])
        )
    if kind is float or kind is complex or isinstance(value, np.generic):
        return kind, np.asarray(value).tobytes()
    if kind is slice:
        return kind, token(value.start), token(value.stop), token(value.step)
    if isinstance(value, np.dtype) and not value.hasobject:
        return np.dtype, value.str, value.name
    if value is ARRAY or value is Ellipsis:
        return kind
    if isinstance(value, type):
        return type, value
    raise Unfit(f"a parameter of type {kind.__name__}")


class Operands:
    """Which of a tape's saved values are operands of its compiled sweep, and which constants of it.

    Arrays are operands, one per variable, and one per array of those that stand for no variable. Python's numbers are
    constants as long as they come the same (exponents, factors), and operands afterwards; so is a cotangent of one, which a loss has.
    """

    __slots__ = ("constants", "copies", "expected", "free", "numbers", "originals", "sharing", "slots", "turned")

    def __init__(self, form: Form, values: Sequence[Any], free: frozenset[int], sharing: bool) -> None:
        self.free, self.sharing = free, sharing
        self.constants: dict[int, Any] = {}
        self.slots: list[int] = []  # of `values`, by the number of the operand
        self.numbers: dict[int, int] = {}  # the number of the operand, by slot
        self.copies: list[int] = []  # slots without a variable that hold the array of another slot
        self.originals: list[int] = []  # of which these are
        self.expected: list[Aval] = []
        names, first = form.named(), len(values) - form.layout[4]
        known: dict[Any, int] = {}
        for slot, value in enumerate(values):
            kind, name = type(value), names[slot]
            if value is None:
                continue
            if slot not in free and _is_constant(value, slot >= first):
                self.constants[slot] = value
                continue
            key: Any = slot
            if name != CONSTANT:
                key = kind, name, id(value)
            elif kind is np.ndarray and sharing:
                key = kind, "array", id(value)
            number = self.numbers[slot] = known.setdefault(key, len(self.slots))
            if number == len(self.slots):
                self.slots.append(slot)
            elif name == CONSTANT:
                self.copies.append(slot)
                self.originals.append(self.slots[number])
        arrays = [values[slot] for slot in self.slots]
        self.turned = [number for number, x in enumerate(arrays) if _is_turned(x)]

    @classmethod
    def of(cls, form: Form, values: Sequence[Any]) -> Operands:
        """As they are seen for the first time."""
        return cls(form, values, frozenset(), sharing=True)

    def varied(self, form: Form, values: Sequence[Any]) -> Operands:
        """As they must be to take these values too."""
        differ = {slot for slot, known in self.constants.items() if values[slot] != known}
        return Operands(form, values, self.free | differ, self.sharing and self._shares(values))

    def _shares(self, values: Sequence[Any]) -> bool:
        get = values.__getitem__
        return all(map(is_, map(get, self.copies), map(get, self.originals)))

    def take(self, values: Sequence[Any]) -> list[Any] | None:
        """The operands among values of the same form; None if constants differ, or arrays that were the same."""
        for slot, known in self.constants.items():
            value = values[slot]
            if value is not known and value != known:  # they are of one type, and none is zero
                return None
        if self.copies and not self._shares(values):
            return None
        found = [values[slot] for slot in self.slots]
        for number in self.turned:
            found[number] = found[number].T
        return found

    def nbytes(self, values: Sequence[Any]) -> int:
        """Of all operands."""
        return sum(values[slot].nbytes for slot in self.slots if type(values[slot]) is np.ndarray)

    def avals(self, operands: Sequence[Any]) -> list[Aval]:
        """What the compiled sweep takes."""
        self.expected = [
            Aval((), WEAK[type(x)], weak=True) if type(x) in PYTHON else Aval(tuple(x.shape), x.dtype) for x in operands
        ]
        if not all(a.dtype.char in NATIVE and a.dtype.isnative for a in self.expected):
            raise Unfit("dtypes without machine code")
        return self.expected

    def compact(self, operands: Sequence[Any]) -> list[Any] | None:
        """The operands in the layout of compiled code; None if they are of other shapes or dtypes."""
        made = []
        for x, aval in zip(operands, self.expected, strict=True):
            if type(x) is np.ndarray:
                if x.shape != aval.shape or x.dtype != aval.dtype:
                    return None
                x = np.require(x, None, ["C", "A"]) if x.ndim else x[()]
            made.append(x)
        return made

    def placed(
        self, program: Program, seeds: Sequence[tuple[Var, Array]], cells: Sequence[Any]
    ) -> tuple[Program, list[tuple[Var, Any]]]:
        """`program` and `seeds` with `cells` in the place of the operands' values."""
        cells = list(cells)
        for number in self.turned:
            cell = cells[number]
            cells[number] = transpose(cell, axes=tuple(range(cell.ndim))[::-1])
        n_xs = sum(len(eqn[4]) for eqn in program.eqns)
        slots = iter(range(n_xs))
        after = count(n_xs)

        def at(slot: int, value: Any) -> Any:
            number = self.numbers.get(slot)
            return value if number is None else cells[number]

        rows = []
        for op, ins, outs, params, xs, out, code, lasti in program.eqns:
            new = [at(next(slots), x) for x in xs]
            if op.multi:
                spread = [at(next(after), o) for o in (out if out is not None else [None] * len(outs))]
                out = None if out is None else tuple(spread)
            else:
                out = at(next(after), out)
            rows.append((op, ins, outs, params, new, out, code, lasti))
        given = [(var, at(next(after), ct)) for var, ct in seeds]
        return Program(program.ins, rows), given


def _is_constant(value: Any, seed: bool) -> bool:
    """Whether a number is taken to be the same in all tapes. Zeros, of which there are two, are not."""
    kind = type(value)
    if seed:
        return isinstance(value, np.generic) and value == 1
    return kind is int or kind is bool or (kind is float and value != 0)


def _is_turned(x: Any) -> bool:
    """Whether the transpose of `x` is contiguous, and not `x` itself."""
    return type(x) is np.ndarray and x.ndim > 1 and x.flags.f_contiguous and not x.flags.c_contiguous
