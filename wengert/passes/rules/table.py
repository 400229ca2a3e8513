"""The table that rules are entered in: per op, in the order in which they are tried."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from wengert.core.op import Op
from wengert.passes.rewriter import Rule

KindRule = Callable[..., Any]


class Table(dict[Op, Any]):
    """op → its rules as (label, function); None for an op without any. Rules for kinds of ops come after its own."""

    def __init__(self) -> None:
        self.own: dict[Op, list[tuple[str, Rule]]] = {}
        self.of_kinds: list[tuple[Callable[[Op], bool], str, KindRule]] = []

    def __missing__(self, op: Op) -> Any:
        kinds = [(label, partial(f, op)) for holds, label, f in self.of_kinds if holds(op)]
        rules = [*self.own.get(op, ()), *kinds]
        self[op] = found = tuple(rules) or None
        return found


RULES = Table()


def rule(label: str, *ops: Op) -> Callable[[Rule], Rule]:
    """Enter a rule for equations of `ops`; `label` is what `explain()` calls it."""

    def enter(function: Rule) -> Rule:
        for op in ops:
            RULES.own.setdefault(op, []).append((label, function))
        return function

    return enter


def rule_of(label: str, holds: Callable[[Op], bool]) -> Callable[[KindRule], KindRule]:
    """Enter a rule for equations of every op for which `holds(op)`; it gets the op first."""

    def enter(function: KindRule) -> KindRule:
        RULES.of_kinds.append((holds, label, function))
        return function

    return enter
