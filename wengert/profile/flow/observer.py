"""`GradientFlow`: looks on while gradients are computed, and remembers what passed through each op and reached each parameter."""

from __future__ import annotations

import contextlib
import warnings
from collections import Counter
from typing import Any

import numpy as np
import optree

from wengert.core.config import config
from wengert.core.events import listening
from wengert.core.tensor import active
from wengert.core.tree import NAMESPACE
from wengert.graph.program import Eqn, Var
from wengert.profile.flow.record import Node, Parameter
from wengert.profile.flow.report import FlowReport
from wengert.profile.flow.statistics import Summary
from wengert.profile.footprint.report import Line

MANY = 400  # times that one line's op is told apart within a step
FAINT = 1e-3  # of the cotangent that arrives: elements that let less of it pass count as closed


class GradientFlow:
    """Statistics of gradients, over the steps of a training loop.

        flow = wg.profile.GradientFlow(params)
        for x, y in batches:
            with flow:                                   # the one line
                loss, gradient = value_and_grad(params, x, y)
            params = update(params, gradient)
        print(flow.report())

    The block may also hold the whole loop. Each backward pass at the outermost level is a step.

    Parameters
    ----------
    params : pytree of the parameters, for their names; without it they are numbered
    every : look at every so many-th block; the others cost nothing
    updates : keep a copy of each parameter, to tell how much a step changes it

    Within a block that is looked at, jitted functions run as they are written, and backward passes op by op: a step takes some times
    longer. Memory: two arrays per parameter.
    """

    def __init__(self, params: Any = None, *, every: int = 1, updates: bool = True) -> None:
        if every < 1:
            raise ValueError(f"GradientFlow: got every={every}, want 1 or more")
        self.every, self.updates = every, updates
        self.names = [] if params is None else _names(params)
        self.parameters: dict[str, Parameter] = {}
        self.nodes: dict[Any, Node] = {}
        self.steps = 0
        self.notes: Counter[str] = Counter()
        self._blocks = 0
        self._stack: contextlib.ExitStack | None = None
        self._forget()

    def _forget(self) -> None:
        """A step is over."""
        self._turns: Counter[Any] = Counter()
        self._at: dict[Var, Node] = {}
        self._sources: dict[Var, Any] = {}
        self._totals: dict[Var, Any] = {}
        self._before: Any = None
        self._program: Any = None

    # ── blocks ────────────────────────────────────────────────────────────────

    def __enter__(self) -> GradientFlow:
        if self._stack is not None:
            raise RuntimeError("GradientFlow: got a second `with` within the first, want one after the other")
        self._stack = contextlib.ExitStack()
        if self._blocks % self.every == 0:
            self._stack.enter_context(config.override(jit=False, compiled_backward=False))
            self._stack.enter_context(listening(**self._ears()))
        self._blocks += 1
        return self

    def _ears(self) -> dict[str, Any]:
        """What listens to which kind of event."""
        return {
            "watched": self._watched,
            "recorded": self._recorded,
            "pulling": self._pulling,
            "cotangent": self._pulled,
            "accumulated": self._accumulated,
            "swept": self._swept,
        }

    def __exit__(self, *exc: object) -> None:
        stack, self._stack = self._stack, None
        if stack is not None:
            stack.close()
        self._forget()

    def report(self) -> FlowReport:
        """What was seen so far."""
        if not self.steps:
            warnings.warn(
                "GradientFlow has seen no backward pass: `with flow:` goes around value_and_grad", stacklevel=2
            )
        notes = [f"{what} ({n} of them)" for what, n in self.notes.items()]
        return FlowReport.of(self.steps, self.parameters.values(), self.nodes.values(), notes)

    # ── what is heard ─────────────────────────────────────────────────────────

    def _watched(self, tape: Any, var: Var, value: Any) -> None:
        if _plain(value) and len(active()) <= 1 and self._program in (None, tape.program):
            self._program = tape.program
            self._sources[var] = np.asarray(value)

    def _recorded(self, tape: Any, row: Any, out: Any) -> None:
        if tape.program is not self._program:
            self.notes["ops on inner tapes were not looked at"] += 1
            return
        eqn = Eqn._make(row)
        values = out if eqn.op.multi else (out,)
        if not all(map(_plain, values)):
            self.notes["ops within other transforms were not looked at"] += 1
            return
        node = self._node(eqn, values)
        node.reads = [
            found
            for var in dict.fromkeys(v for v in eqn.ins if type(v) is Var)
            if (found := self._origin(var)) is not None
        ]
        for var in eqn.results:
            self._at[var] = node
        value = values[0]
        if getattr(value, "dtype", None) is not None and value.dtype.kind in "fc":
            node.forward.add(self.steps, Summary.of(value))
            self._silent(node, value)

    def _node(self, eqn: Eqn, values: Any) -> Node:
        site = (eqn.op.name, eqn.code, eqn.lasti)
        turn = min(self._turns[site], MANY)
        self._turns[site] += 1
        node = self.nodes.get((*site, turn))
        if node is None:
            node = Node(len(self.nodes), eqn.op.name, Line.of(eqn.source), turn, np.shape(values[0]))
            self.nodes[(*site, turn)] = node
        return node

    def _origin(self, var: Var) -> int | str | None:
        node = self._at.get(var)
        if node is not None:
            return node.number
        return self._name(var) if var in self._sources else None

    def _name(self, var: Var) -> str:
        number = list(self._sources).index(var)
        return self.names[number] if number < len(self.names) else f"input {number}"

    def _silent(self, node: Node, value: Any) -> None:
        """Units that give nothing, whatever the example."""
        if node.op in RECTIFIERS and np.ndim(value) >= 2:
            silent = ~np.any(value, axis=tuple(range(np.ndim(value) - 1)))
            same = node.silent is not None and node.silent.shape == silent.shape
            node.silent = silent & node.silent if same else silent

    def _pulling(self, row: Any, ct: Any) -> None:
        """Before the pullback, which may write over what it is given."""
        eqn = Eqn._make(row)
        first: Any = next((c for c in ct if c is not None), None) if eqn.op.multi else ct
        self._before = None
        node = next((self._at[v] for v in eqn.results if v in self._at), None)
        if node is None or not _plain(first):
            return
        node.backward.add(self.steps, Summary.of(first))
        if len(eqn.ins) == 1 and not eqn.op.multi and getattr(eqn.ins[0], "shape", None) == np.shape(first):
            self._before = np.abs(first)

    def _pulled(self, row: Any, ct: Any, cts: Any, began: float, ended: float) -> None:
        eqn = Eqn._make(row)
        before, self._before = self._before, None
        if before is not None and before.ndim and cts[0] is not None and _plain(cts[0]):
            node = next(self._at[v] for v in eqn.results if v in self._at)
            arrived = before > 0
            passed = np.abs(cts[0]) > FAINT * before
            n = np.count_nonzero(arrived)
            node.closed.append(1.0 - np.count_nonzero(passed & arrived) / n if n else 0.0)
        for var, found in zip(eqn.ins, cts, strict=False):
            if var in self._sources and found is not None and var not in self._totals:
                self._totals[var] = found

    def _accumulated(self, var: Var, *what: Any) -> None:
        if var in self._sources:
            self._totals[var] = what[-1]

    def _swept(self, program: Any, began: float, ended: float) -> None:
        if program is not self._program:
            return
        for var, value in self._sources.items():
            self._step_of(var, value)
        self.steps += 1
        self._forget()

    def _step_of(self, var: Var, value: np.ndarray) -> None:
        name = self._name(var)
        p = self.parameters.setdefault(name, Parameter(name, value.shape))
        p.value.add(self.steps, Summary.of(value))
        total = self._totals.get(var)
        if total is None:
            p.unreached += 1
        elif _plain(total):
            p.gradient.add(self.steps, Summary.of(total))
            p.signal.add(np.asarray(total))
        if self.updates:
            if p.last is not None and p.last.shape == value.shape:
                size = Summary.of(p.last).rms
                p.updates.append(Summary.of(value - p.last).rms / size if size else 0.0)
            p.last = value.copy()


RECTIFIERS = frozenset({"relu", "maximum", "relu6", "clip"})  # whose units may be shut for good


def _plain(value: Any) -> bool:
    return isinstance(value, (np.ndarray, np.generic, float, complex, int))


def _names(params: Any) -> list[str]:
    """The paths of leaves, as they are written in Python."""
    accessors = optree.tree_accessors(params, namespace=NAMESPACE)
    return [accessor.codify("params") for accessor in accessors]
