"""Loops in less memory: what a scan stacks for the way back is made again, segment by segment.

A pair is a scan whose stacks nobody reads but a scan that runs the other way. It becomes

    forwards     segments of trips, of which the carries that each begins with are stacked
    backwards    segments from the last to the first: its trips once more, with their stacks, and then back

The two scans within a segment back are such a pair again, so that levels nest. Trips that are left over when the length is
divided come last in the order of the arrays, and keep their stacks; more of them may be kept than the division leaves.

This costs one more evaluation per level, and is applied where memory is short alone: before the passes over loops, which take what
comes out apart like all other loops (one of them gathers the products of all trips, after which the stacks have two readers).

Source  Griewank & Walther (2008), Evaluating Derivatives, ch. 12; Chen et al. (2016) for √n.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from wengert.core.form import Library, Map
from wengert.graph.program import Literal, Program, Var
from wengert.ops.basis import reshape
from wengert.ops.index import index
from wengert.ops.shape import concatenate
from wengert.passes.control.sites import SETTINGS, kind_of
from wengert.passes.rewriter import Row, aval

Path = tuple[tuple[int, str, int], ...]
ASSUMED = 100  # trips of a loop of which nobody knows how many there are
PARTS = (0.0, 0.5, 0.75)  # of the stacks that an option leaves as they are
LEVELS = 4  # that options have at most


@dataclass(frozen=True)
class How:
    """One way to cut a pair: the lengths of segments at each level, the longest first, and how many trips are left out."""

    lengths: tuple[int, ...]
    left: int = 0


@dataclass(frozen=True)
class Option:
    """bytes: what remains stacked at a time; extra: flops of what is computed again."""

    bytes: int
    extra: float
    how: How


@dataclass(frozen=True)
class Pair:
    """Two equations of a program, or of a Program in it.

    path : the way to that Program: (equation, parameter, number in that parameter) for each step down
    forward, backward : their numbers
    length : of both
    carried : bytes of what the first carries
    row : bytes that a trip stacks for the second alone
    flops : of a trip of the first
    """

    path: Path
    forward: int
    backward: int
    length: int
    carried: int
    row: int
    flops: float

    @property
    def bytes(self) -> int:
        return self.length * self.row

    def taken(self, how: How) -> int:
        """Bytes that are stacked at a time, cut in this way."""
        total, n = how.left * self.row, self.length - how.left
        for length in how.lengths:
            total += n // length * self.carried + n % length * self.row
            n = length
        return total + n * self.row

    def extra(self, how: How) -> float:
        return len(how.lengths) * (self.length - how.left) * self.flops

    def options(self) -> list[Option]:
        """Ways to cut it, the cheapest first, of which each takes fewer bytes than all before."""
        found = []
        for levels in range(1, LEVELS + 1):
            for part in PARTS if levels == 1 else PARTS[:1]:
                how = self.cut(levels, int(part * self.length))
                found.append(Option(self.taken(how), self.extra(how), how))
        best = self.bytes
        options = []
        for option in sorted(found, key=lambda o: (o.extra, o.bytes)):
            if option.bytes < best:
                options.append(option)
                best = option.bytes
        return options

    def cut(self, levels: int, left: int = 0) -> How:
        """So many levels, all of which take as many bytes."""
        n, found = self.length - left, []
        ratio = max(self.carried, 1) / max(self.row, 1)
        for k in range(levels, 0, -1):
            share = max(
                (n * ratio**k) ** (1 / (k + 1)), 1.0
            )  # segments of this level times `ratio` are rows of the last
            n = divisor(n, max(round(n * ratio / share), 1))
            found.append(n)
        return How(tuple(found), left)


def divisor(n: int, about: int) -> int:
    """A divisor of `n` within a quarter of `about`; `about` itself if there is none."""
    about = min(max(about, 1), max(n, 1))
    for d in range(about // 4 + 1):
        for length in (about + d, about - d):
            if length and n % length == 0:
                return length
    return about


# ── finding ───────────────────────────────────────────────────────────────────


def sites(program: Program, path: Path = ()) -> list[Pair]:
    """The pairs of a flat program and of the Programs in it; those with the largest stacks first."""
    found = list(_pairs(program, path))
    for i, row in enumerate(program.eqns):
        if kind_of(row[0]) is not None:
            for name, k, inner in _programs(row):
                found += sites(inner, (*path, (i, name, k)))
    return sorted(found, key=lambda pair: -pair.bytes)


def _programs(row: Row) -> Iterator[tuple[str, int, Program]]:
    for name, value in row[3].items():
        for k, inner in enumerate(value if type(value) is tuple else (value,)):
            if isinstance(inner, Program):
                yield name, k, inner


def _pairs(program: Program, path: Path) -> Iterator[Pair]:
    uses: Counter[Any] = Counter(a for row in program.eqns for a in row[1] if type(a) is not Literal)
    uses.update(a for a in program.outs if type(a) is not Literal)
    makers = {var: i for i, row in enumerate(program.eqns) if kind_of(row[0]) == "scan" for var in row[2]}
    for j, row in enumerate(program.eqns):
        if kind_of(row[0]) != "scan" or row[3]["length"] < 2:
            continue
        for i in dict.fromkeys(makers[a] for a in _xs(row) if a in makers):
            first = program.eqns[i]
            if (
                first[3]["length"] == row[3]["length"]
                and first[3]["reverse"] != row[3]["reverse"]
                and not any(v.weak for v in (*first[3]["body"].ins, *row[3]["body"].ins))
            ):
                private = _private(first, row, uses)
                if private:
                    carried = sum(_bytes(a) for a in first[3]["body"].outs[: first[3]["carries"]])
                    stacked = sum(_bytes(v) for v in private) // row[3]["length"]
                    flops = weight(first[3]["body"])
                    yield Pair(path, i, j, row[3]["length"], carried, stacked, flops)


def _xs(row: Row) -> Sequence[Any]:
    return row[1][row[3]["consts"] + row[3]["carries"] :]


def _private(first: Row, second: Row, uses: Counter[Any]) -> list[Var]:
    """The stacks of the first scan that the second alone reads, trip by trip."""
    read = Counter(a for a in _xs(second) if type(a) is not Literal)
    return [v for v in first[2][first[3]["carries"] :] if v is not None and read[v] and uses[v] == read[v]]


def _bytes(atom: Any) -> int:
    of = aval(atom)
    return of.size * of.dtype.itemsize


def weight(program: Program) -> float:
    """Flops of one run, roughly."""
    total = 0.0
    for op, ins, outs, params, *_ in program.eqns:
        kind, form = kind_of(op), op.lower
        size = sum(v.aval.size for v in (outs if op.multi else (outs,)) if v is not None)
        if kind is not None:
            inner = [weight(p) for _, _, p in _programs((op, ins, outs, params))]
            total += params.get("length", ASSUMED if "while" in kind else 1) * sum(inner)
        elif type(form) is Map:
            total += max(form.cost, 0) * size
        elif type(form) is Library and len(ins) > 1:
            total += 2 * math.sqrt(math.prod(aval(a).size for a in ins[:2]) * size)
        else:
            total += size
    return total


# ── rewriting ─────────────────────────────────────────────────────────────────


def segmented(program: Program, pair: Pair, how: How) -> Program:
    """`program` with this pair in segments. Pairs that were found before are not to be used with what it returns."""
    return _within(program, pair.path, pair, how)


def _within(program: Program, path: Path, pair: Pair, how: How) -> Program:
    if path:
        number, name, k = path[0]
        row = program.eqns[number]
        value = row[3][name]
        inner = _within(value[k] if type(value) is tuple else value, path[1:], pair, how)
        new = (*value[:k], inner, *value[k + 1 :]) if type(value) is tuple else inner
        rows = list(program.eqns)
        rows[number] = (*row[:3], {**row[3], name: new}, *row[4:])
        return Program(program.ins, rows, program.outs, program.written_out)
    return _Cut(program, pair.forward, pair.backward, how).program()


class _Scan:
    """A scan's equation with its operands in groups."""

    def __init__(self, row: Row) -> None:
        self.row, self.op, self.params = row, row[0], row[3]
        n, m = self.params["consts"], self.params["carries"]
        self.consts, self.inits, self.xs = list(row[1][:n]), list(row[1][n : n + m]), list(row[1][n + m :])
        self.finals, self.stacks = list(row[2][:m]), list(row[2][m:])
        self.body: Program = self.params["body"]
        self.carries = m

    def giving(self, stacks: Sequence[Any]) -> Program:
        """The body with these of its ys alone."""
        atoms = dict(zip(self.stacks, self.body.outs[self.carries :], strict=True))
        outs = [*self.body.outs[: self.carries], *(atoms[v] for v in stacks)]
        return Program(self.body.ins, self.body.eqns, outs, self.body.written_out).pruned()

    def again(
        self, body: Program, consts: Sequence[Any], carry: Sequence[Any], xs: Sequence[Any], length: int
    ) -> tuple[Row, list[Var], list[Var]]:
        """A scan of the same kind: its equation, its last carries, its stacks."""
        finals = [_var(a) for a in body.outs[: len(carry)]]
        stacks = [_var(a, length) for a in body.outs[len(carry) :]]
        settings = {k: v for k, v in self.params.items() if k in SETTINGS}
        params = {**settings, "body": body, "consts": len(consts), "carries": len(carry), "length": length}
        ins = [*consts, *carry, *xs]
        return (self.op, ins, (*finals, *stacks), params, (), None, *self.row[6:8]), finals, stacks


def _var(atom: Any, *lead: int) -> Var:
    of = aval(atom)
    return Var((*lead, *of.shape), of.dtype)


class _Cut:
    """A program while one pair of it is rewritten: at the place of each of its equations stand several."""

    def __init__(self, program: Program, forward: int, backward: int, how: How) -> None:
        self.whole, self.numbers, self.how = program, (forward, backward), how
        self.first, self.second = _Scan(program.eqns[forward]), _Scan(program.eqns[backward])
        self.uses: Counter[Any] = Counter(a for row in program.eqns for a in row[1] if type(a) is not Literal)
        self.uses.update(a for a in program.outs if type(a) is not Literal)
        self.n = self.first.params["length"]
        self.reverse = self.first.params["reverse"]
        self.length = min(max(how.lengths[0], 1), self.n)
        self.count = (self.n - how.left) // self.length
        self.cut = self.count * self.length
        self.rows: list[Row] = []
        self.env: dict[Any, Any] = {}

    def program(self) -> Program:
        if not self.count:
            return self.whole
        self.private = _private(self.first.row, self.second.row, self.uses)
        self.public = [v for v in self.first.stacks if v not in self.private]
        rows: list[Row] = []
        for i, row in enumerate(self.whole.eqns):
            if i in self.numbers:
                self.rows = rows
                (self._forwards if i == self.numbers[0] else self._backwards)()
            else:
                ins = [self.env.get(a, a) for a in row[1]] if self.env else row[1]
                rows.append(row if ins == list(row[1]) else (row[0], ins, *row[2:4], (), None, *row[6:8]))
        outs = [self.env.get(a, a) for a in self.whole.outs]
        return Program(self.whole.ins, rows, outs, self.whole.written_out)

    # ── the two ways ──────────────────────────────────────────────────────────

    def _forwards(self) -> None:
        one = self.first
        plain, every = one.giving(self.public), one.giving([*self.public, *self.private])
        consts, carry, xs = [_var(a) for a in one.consts], [_var(a) for a in one.inits], self._inner(one.xs)
        row, finals, stacks = one.again(plain, consts, carry, xs, self.length)
        body = Program([*consts, *carry, *xs], [row], [*finals, *stacks, *carry])
        rest, mains = [self._rest(x) for x in one.xs], [self._main(x) for x in one.xs]

        def main(begin: Sequence[Any]) -> tuple[list[Var], list[Var]]:
            row, last, found = one.again(body, one.consts, begin, mains, self.count)
            self.rows.append(row)
            return last, found

        def left(begin: Sequence[Any]) -> tuple[list[Var], list[Var]]:
            row, last, found = one.again(every, one.consts, begin, rest, self.n - self.cut)
            self.rows.append(row)
            return last, found

        last, of_main, of_rest = self._in_order(one.inits, main, left, last_first=self.reverse)
        self.env.update(zip(one.finals, last, strict=True))
        k = len(self.public)
        self.starts = of_main[k:]
        self.env.update(zip(self.public, self._joined(of_main[:k], of_rest[:k]), strict=True))
        self.kept = dict(zip(self.private, of_rest[k:], strict=False))

    def _backwards(self) -> None:
        one, two = self.first, self.second
        read = [self.env.get(a, a) for a in two.xs]
        others = [a for a in read if a not in self.private]
        there = one.giving(self.private)
        f_consts, b_consts = [_var(a) for a in one.consts], [_var(a) for a in two.consts]
        starts, carry = [_var(a) for a in one.inits], [_var(a) for a in two.inits]
        f_xs, b_xs = self._inner(one.xs), self._inner(others)
        row, _, made = one.again(there, f_consts, starts, f_xs, self.length)
        of, given = dict(zip(self.private, made, strict=True)), iter(b_xs)
        back, finals, stacks = two.again(
            two.body, b_consts, carry, [of[a] if a in of else next(given) for a in read], self.length
        )
        body = Program([*f_consts, *b_consts, *carry, *f_xs, *starts, *b_xs], [row, back], [*finals, *stacks])
        if len(self.how.lengths) > 1 and self.how.lengths[1] < self.length:
            body = _Cut(body, 0, 1, How(self.how.lengths[1:])).program()
        consts = [self.env.get(a, a) for a in (*one.consts, *two.consts)]
        inits = [self.env.get(a, a) for a in two.inits]
        f_mains = [self._main(self.env.get(a, a)) for a in one.xs]
        b_mains = [self._main(a) for a in others]
        rest = [self.kept[a] if a in self.private else self._rest(a) for a in read] if self.cut < self.n else []

        def main(begin: Sequence[Any]) -> tuple[list[Var], list[Var]]:
            row, last, found = two.again(body, consts, begin, [*f_mains, *self.starts, *b_mains], self.count)
            self.rows.append(row)
            return last, found

        def left(begin: Sequence[Any]) -> tuple[list[Var], list[Var]]:
            fixed = [self.env.get(a, a) for a in two.consts]
            row, last, found = two.again(two.body, fixed, begin, rest, self.n - self.cut)
            self.rows.append(row)
            return last, found

        last, of_main, of_rest = self._in_order(inits, main, left, last_first=not self.reverse)
        self.env.update(zip(two.finals, last, strict=True))
        self.env.update(zip(two.stacks, self._joined(of_main, of_rest), strict=True))

    def _in_order(self, begin: Sequence[Any], main: Any, left: Any, *, last_first: bool) -> tuple[Any, Any, Any]:
        """Both parts in the order of time: (last carries, stacks of the segments, stacks of the rest)."""
        if self.cut == self.n:
            last, found = main(begin)
            return last, found, []
        if last_first:
            last, of_rest = left(begin)
            last, of_main = main(last)
        else:
            last, of_main = main(begin)
            last, of_rest = left(last)
        return last, of_main, of_rest

    # ── arrays of all trips ───────────────────────────────────────────────────

    def _inner(self, atoms: Sequence[Any]) -> list[Var]:
        """Variables for a segment's rows."""
        return [Var((self.length, *aval(a).shape[1:]), aval(a).dtype) for a in atoms]

    def _emit(self, op: Any, ins: list[Any], to: tuple[int, ...], **params: Any) -> Var:
        out = Var(to, aval(ins[0]).dtype)
        self.rows.append((op, ins, out, params, (), None, *self.first.row[6:8]))
        return out

    def _main(self, x: Any) -> Any:
        shape = aval(x).shape[1:]
        if self.cut < self.n:
            x = self._emit(index, [x], (self.cut, *shape), spec=(slice(0, self.cut),))
        full = (self.count, self.length, *shape)
        return self._emit(reshape, [x], full, shape=full)

    def _rest(self, x: Any) -> Any:
        if self.cut == self.n:
            return None
        left = self.n - self.cut
        return self._emit(index, [x], (left, *aval(x).shape[1:]), spec=(slice(self.cut, self.n),))

    def _joined(self, mains: Sequence[Var], rests: Sequence[Var]) -> list[Var]:
        """Stacks of segments and of the rest as one."""
        found = []
        for i, y in enumerate(mains):
            shape = (self.cut, *y.shape[2:])
            y = self._emit(reshape, [y], shape, shape=shape)
            if rests:
                full, sizes = (self.n, *y.shape[1:]), (self.cut, self.n - self.cut)
                y = self._emit(concatenate, [y, rests[i]], full, axis=0, sizes=sizes)
            found.append(y)
        return found
