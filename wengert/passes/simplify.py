"""Simplification: rules that replace one equation by something cheaper, tried on every equation in order.

What a rule makes is simplified in turn, so one walk usually reaches the end; the pipeline walks again until
nothing changes. The rules stand in `passes/rules/`, one file per kind.
"""

from __future__ import annotations

from wengert.graph.program import Program
from wengert.passes.rewriter import Notes, Rewriter
from wengert.passes.rules import arithmetic, dtypes, indexing, movement, reduction, strong
from wengert.passes.rules.table import RULES

RULE_FILES = (arithmetic, strong, dtypes, movement, reduction, indexing)  # importing them has entered their rules


def simplify(program: Program, notes: Notes | None = None) -> Program:
    """`program` after all rules. Cost: some 3 µs an equation to which none applies."""
    return Rewriter(RULES, notes).run(program)
