"""Clusters: statements that share one loop nest.

A cluster has loop axes, and statements whose own loop variables have been identified with them. Where a
reduction over its inner axes is read again by a statement of the cluster (softmax, layer norm), the axes split:
the outer ones (`rows`) go once around everything, the inner ones several times, in `phases`:

    for each row:
        phase 0: inner loops; then statements of the row alone
        phase 1: inner loops, which read what phase 0 has found for the row; …

Clusters run in order. A statement joins a cluster only if everything it reads is made in that cluster or before,
and if what it reads of that cluster is read at the point where it is made: so no order is ever violated.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from wengert.graph.program import Var
from wengert.lowering.affine import Expression
from wengert.lowering.statements import Item, Key, Statement
from wengert.lowering.values import Opaque

LIMIT = 400  # items in one cluster: longer loops spill more registers than fusing saves
SUMS = 12  # reductions in one cluster, whose accumulators share the registers with everything else
WAYS_BACK = 12  # clusters looked at for one statement


@dataclass(slots=True)
class Member:
    """A statement in a cluster, its keys and address renamed to the cluster's axes."""

    statement: Statement
    body: list[Item]
    result: Any
    address: Expression
    reduced: frozenset[int]
    row: bool  # whether it runs once per row
    phase: int
    arrays: Sequence[Any] = ()


@dataclass(slots=True)
class Cluster:
    extents: tuple[int, ...]
    members: list[Member] = field(default_factory=list)
    made: dict[Var, Member] = field(default_factory=dict)
    rows: int = 0  # the leading axes that are outer
    items: int = 0
    loads: set[Key] = field(default_factory=set)
    whole: set[Var] = field(default_factory=set)  # read at places known only when it runs

    @property
    def size(self) -> int:
        return math.prod(self.extents)

    @property
    def sums(self) -> int:
        return sum(bool(m.reduced) for m in self.members)

    @property
    def phases(self) -> int:
        return 1 + max((m.phase for m in self.members), default=0)


Step = Cluster | Opaque


def renamed(e: Expression, axes: Sequence[int], n: int) -> Expression:
    """An expression in a statement's variables as one in a cluster's `n` axes."""
    out = [e[0]] + [0] * n
    for c, axis in zip(e[1:], axes, strict=True):
        out[axis + 1] += c
    return tuple(out)


class Clusters:
    """Steps in order of execution; `where` tells in which step a stored value is made."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.where: dict[Var, int] = {}

    def opaque(self, step: Opaque) -> None:
        """A library kernel or host call."""
        for out in step.outs:
            self.where[out] = len(self.steps)
        self.steps.append(step)

    def add(self, statement: Statement) -> None:
        """Put a statement into the earliest cluster that it may join with profit, or into one of its own."""
        target = statement.target
        latest = max((self.where.get(base, -1) for base, _ in statement.loads()), default=-1)
        before = self.where.get(target, -1)
        if statement.alone and not (before >= 0 and _in_order(self.steps[before], statement)):
            before += 1
        latest = max(latest, before)
        latest = max([latest, *(self.where.get(v, -1) + 1 for v in statement.whole)])
        if statement.after:
            latest = max(latest, *(self.where.get(v, -1) for v in statement.after))
        first = max(latest, len(self.steps) - WAYS_BACK, 0)
        for number in range(first, len(self.steps)):
            step = self.steps[number]
            if isinstance(step, Cluster) and join(step, statement):
                self.where[target] = max(number, self.where.get(target, -1))
                return
        cluster = Cluster(statement.extents)
        n = len(statement.extents)
        _enter(cluster, statement, tuple(range(n)), False, 0)
        self.where[target] = len(self.steps)
        self.steps.append(cluster)


def join(cluster: Cluster, statement: Statement) -> bool:
    """Make `statement` a member of `cluster`, if it fits and gains by it."""
    if cluster.items + len(statement.body) > LIMIT:
        return False
    if len(statement.extents) == len(cluster.extents) and cluster.sums >= SUMS:
        return False
    before = cluster.made.get(statement.target)
    if before is not None:
        parts = statement.part and before.statement.part
        if not parts and not (_in_order(cluster, statement) and before.statement.kind == "into"):
            return False
    internal = [(key, cluster.made[key[0]]) for key in statement.loads() if key[0] in cluster.made]
    n, own = len(cluster.extents), len(statement.extents)
    if own > n:
        return False
    axes = _identified(cluster, statement, internal)
    if axes is None:
        return False
    row = own < n
    if not internal:
        if row or (
            n and not any((base, renamed(address, axes, n)) in cluster.loads for base, address in statement.loads())
        ):
            return False
    rows, phase = cluster.rows, 0
    for (_, address), member in internal:
        if renamed(address, axes, n) != member.address or member.statement.kind in ("scatter", "into"):
            return False
        if member.reduced:
            kept = set(range(n)) - member.reduced
            if n == 0 or not kept or kept != set(range(len(kept))) or member.row:
                return False
            if rows not in (0, len(kept)):
                return False
            if not rows and not _can_split(cluster, len(kept)):
                return False
            rows = len(kept)
            phase = max(phase, member.phase + (0 if row else 1))
        elif member.row:
            phase = max(phase, member.phase + (0 if row else 1))
        else:
            if row:
                return False
            phase = max(phase, member.phase)
    if row and (not rows or set(axes) != set(range(rows))):
        return False
    if not internal and cluster.rows:
        phase = min((m.phase for m in cluster.members if not m.row and _shares(m, statement, axes, n)), default=0)
    cluster.rows = rows
    _enter(cluster, statement, axes, row, phase)
    return True


def _in_order(step: Step, statement: Statement) -> bool:
    """Whether what `statement` adds comes after everything that the step has done: no loops, only a sequence."""
    return statement.kind == "into" and isinstance(step, Cluster) and not step.extents and not statement.extents


def _shares(member: Member, statement: Statement, axes: Sequence[int], n: int) -> bool:
    mine = {(base, renamed(address, axes, n)) for base, address in statement.loads()}
    return any(item.point is None and item.key in mine for item in member.body)


def _can_split(cluster: Cluster, rows: int) -> bool:
    """Whether the leading `rows` axes can become outer: inner loops must be long enough to be worth it."""
    return math.prod(cluster.extents[rows:]) >= 2


def _identified(
    cluster: Cluster, statement: Statement, internal: Sequence[tuple[Key, Member]]
) -> tuple[int, ...] | None:
    """For each of the statement's loop variables the axis of the cluster that it is."""
    n = len(cluster.extents)
    axes: dict[int, int] = {}
    for (_, address), member in internal:
        if address[0] != member.address[0]:
            return None
        for i, c in enumerate(address[1:]):
            if c:
                found = [
                    x for x in range(n) if member.address[x + 1] == c and cluster.extents[x] == statement.extents[i]
                ]
                if len(found) != 1 or axes.get(i, found[0]) != found[0]:
                    return None
                axes[i] = found[0]
    if len(set(axes.values())) != len(axes):
        return None
    free = [x for x in range(n) if x not in axes.values()]
    missing = [i for i in range(len(statement.extents)) if i not in axes]
    if len(statement.extents) == n:
        for i, x in zip(missing, free, strict=True):
            if statement.extents[i] != cluster.extents[x]:
                return None
            axes[i] = x
    elif missing:
        return None
    return tuple(axes[i] for i in range(len(statement.extents)))


def _enter(cluster: Cluster, statement: Statement, axes: tuple[int, ...], row: bool, phase: int) -> None:
    n = len(cluster.extents)

    def key(k: Any) -> Any:
        if not isinstance(k, tuple):
            return k  # a Literal
        var, where = k
        if where and isinstance(where[0], int):
            return var, renamed(where, axes, n)
        return var, tuple(renamed(e, axes, n) for e in where)

    plain = axes == tuple(range(n))
    body = (
        statement.body
        if plain
        else [Item(key(i.key), i.point, [key(o) for o in i.operands], i.dtype) for i in statement.body]
    )
    member = Member(
        statement,
        body,
        statement.result if plain else key(statement.result),
        statement.address if plain else renamed(statement.address, axes, n),
        frozenset(axes[i] for i in statement.reduced),
        row,
        phase,
        [key(k) for k in statement.arrays],
    )
    cluster.whole |= statement.whole
    cluster.members.append(member)
    cluster.made[statement.target] = member
    cluster.items += len(body)
    cluster.loads.update(item.key for item in body if item.point is None)
