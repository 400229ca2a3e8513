"""Run a program on paper within a number of bytes: when memory is full a value goes, and is computed again when it is next read.

It is known when that will be. So the value goes that costs least to bring back per byte and per step that its memory is free:
what it costs is its own node, those of the values before it that are gone as well, and of those after it that would be
computed from it. That keeps what is gone in short runs between values that stay, as in the best schedules of chains.

Cost    About 0.2 ms a node; more in the tightest budgets, which are given up beyond `PATIENCE`.
Source  Kirisame et al. (2021), "Dynamic tensor rematerialization", for the score, with the future in the place of the past.
"""

from __future__ import annotations

from dataclasses import dataclass

from wengert.passes.budget.problem import Problem

PATIENCE = 8  # times as many runs of nodes as there are nodes, from which on a budget counts as too small
NEVER = 1 << 60
HASTE = 0.5  # exponent of the steps for which memory is free: 0 is to look at cost alone

Score = tuple[float, int]  # seconds to bring a value back, and the step by which it must be


@dataclass(frozen=True)
class Plan:
    """A way to run a problem.

    runs : the nodes in order; those met before are recomputations
    peak : bytes, by the model
    extra : seconds of recomputation, by the model
    kept : decisions that take memory
    top : the node that runs when memory is at its peak
    """

    runs: list[int]
    peak: int
    extra: float
    kept: frozenset[int]
    top: int


def plan(problem: Problem, budget: int) -> Plan | None:
    """A plan that takes at most `budget` bytes, or as few as it found possible; None if it runs too many nodes."""
    return _Run(problem, budget).plan()


class _Run:
    def __init__(self, problem: Problem, budget: int) -> None:
        self.problem, self.budget = problem, budget
        count = len(problem.size)
        self.children: list[list[int]] = [[] for _ in range(count)]  # values made from each
        for node in problem.nodes:
            for v in node.reads:
                self.children[v] += node.outs
        self.dependents: dict[int, list[int]] = {}  # decisions made of each value where they are read
        for decision, sources in problem.sources.items():
            for v in sources:
                self.dependents.setdefault(v, []).append(decision)
        self.there, self.made = bytearray(count), bytearray(count)
        self.over = bytearray(count)  # what will never be read or made again, nor anything made from it
        self.locked = [0] * count
        self.virtual: set[int] = set()  # decisions that are there without memory
        self.kept: set[int] = set()
        self.gone: set[int] = set()  # what was let go at some time
        self.place = [0] * count  # in `uses`, of the next one
        self.live: set[int] = set()  # what may go
        self.scores: dict[int, Score | None] = {}
        self.small = max(min(budget, max(problem.size, default=0) << 4) >> 12, 64)
        self.time = self.now = self.peak = self.top = 0
        self.extra = 0.0
        self.runs: list[int] = []

    def plan(self) -> Plan | None:
        problem, count = self.problem, len(self.problem.nodes)
        for step in range(count):
            self.time = step
            self._make(step)
            if len(self.runs) > PATIENCE * count + 64:
                return None
        self.time = count
        for v, uses in enumerate(problem.uses):
            if uses and uses[-1] == count and not self.there[v]:
                self._make(problem.maker[v])
        return Plan(self.runs, max(self.peak, problem.given), self.extra, frozenset(self.kept), self.top)

    # ── running nodes ─────────────────────────────────────────────────────────

    def _make(self, number: int) -> None:
        """Run a node, and before it those that make what it reads and is gone."""
        nodes, there = self.problem.nodes, self.there
        self._lock(number, 1)
        stack = [number]
        while stack:
            number = stack[-1]
            missing = next((v for v in nodes[number].reads if not there[v]), None)
            if missing is not None:
                stack.append(self.problem.maker[missing])
                self._lock(stack[-1], 1)
                continue
            stack.pop()
            self._run(number)
            self._lock(number, -1)
            if number == self.time:
                self.time += 1
            self._tidy(nodes[number].reads)

    def _lock(self, number: int, by: int) -> None:
        """What a node reads does not go before it has run."""
        for v in self.problem.nodes[number].reads:
            self.locked[v] += by
            if v in self.problem.sources:
                for source in self.problem.sources[v]:
                    self.locked[source] += by

    def _run(self, number: int) -> None:
        problem, node = self.problem, self.problem.nodes[number]
        first = not self.made[node.outs[0]]
        new = [v for v in node.outs if not self.there[v]]
        if node.outs[0] in problem.sources and not self.gone.intersection(node.reads):
            self.virtual.add(node.outs[0])
            need = saved = 0
        else:
            self.kept.update(v for v in new if v in problem.sources)
            need = sum(problem.size[v] for v in new)
            saved = self._overwritten(number, need) if node.over and need else 0
        self._room(need - saved + node.work)
        if self.now + need - saved + node.work > self.peak:
            self.peak, self.top = self.now + need - saved + node.work, number
        self.now += need
        for v in new:
            self.there[v] = self.made[v] = 1
            self.live.add(v)
            if v in problem.results:
                self._finish(v)
            elif not first:
                self._changed(v)
        if not first:
            self.extra += node.cost
        self.runs.append(number)

    def _overwritten(self, number: int, need: int) -> int:
        """Bytes of an operand that is read for the last time, if the result fits in its place."""
        problem = self.problem
        for v in problem.nodes[number].reads:
            if problem.size[v] == need and v not in problem.results and self.locked[v] == 1 and v not in self.virtual:
                uses = problem.uses[v]
                if not uses or (uses[-1] <= number and self.time == number):
                    return need
        return 0

    def _tidy(self, values: list[int]) -> None:
        """Let go of what nobody will read, and nothing that is gone is made from."""
        for v in values:
            if self.there[v] and not self.locked[v] and v not in self.problem.results and self._until(v) == NEVER:
                found = self._score(v)
                if found is not None and found[1] == NEVER:
                    self._drop(v)

    # ── letting values go ─────────────────────────────────────────────────────

    def _room(self, need: int) -> None:
        """Have values go until `need` more bytes fit, if that is possible."""
        problem, budget = self.problem, self.budget
        if self.now + need <= budget:
            return
        free = [v for v in self.live if not self.locked[v] and v not in problem.results]
        for v in free:
            found = self._score(v)
            if found is not None and found[1] == NEVER:
                self._drop(v)
        free = [v for v in free if self.there[v] and problem.size[v] >= self.small]
        while self.now + need > budget:
            best, least = -1, float("inf")
            for v in free:
                if not self.there[v] or problem.pinned.get(v, -1) >= self.time:
                    continue
                found = self._score(v)
                if found is None or (freed := self._freed(v)) <= 0:
                    continue
                score = found[0] / (freed * max(found[1] - self.time, 1) ** HASTE)
                if score < least:
                    best, least = v, score
            if best < 0:
                return
            self._drop(best, wanted=True)

    def _freed(self, v: int) -> int:
        """Bytes that are free when `v` is gone."""
        freed = 0 if v in self.virtual else self.problem.size[v]
        for decision in self.dependents.get(v, ()):
            if decision in self.virtual and self._until(decision) != NEVER:
                freed -= self.problem.size[decision]
        return freed

    def _drop(self, v: int, wanted: bool = False) -> None:
        for decision in self.dependents.get(v, ()):
            if decision in self.virtual:
                self.virtual.discard(decision)
                if self._until(decision) != NEVER or self._wanted(decision):
                    self.kept.add(decision)
                    self.now += self.problem.size[decision]
                else:
                    self.there[decision] = 0
                    self.live.discard(decision)
        if v in self.virtual:
            self.virtual.discard(v)
        else:
            self.now -= self.problem.size[v]
        self.there[v] = 0
        self.live.discard(v)
        self.gone.add(v)
        if not wanted:
            self._finish(v)
        self._changed(v, wanted)

    def _finish(self, v: int) -> None:
        """Note that `v` is over, if it is; and then perhaps what it was made from."""
        stack = [v]
        while stack:
            v = stack.pop()
            there = self.there[v] and v not in self.problem.results
            if self.over[v] or there or not self.made[v] or self._until(v) != NEVER:
                continue
            if all(self.over[c] for c in self.children[v]):
                self.over[v] = 1
                stack += self.problem.nodes[self.problem.maker[v]].reads

    def _wanted(self, v: int) -> bool:
        """Whether something is gone that is made from `v` and will be read."""
        return any(self.made[c] and not self.there[c] and self._until(c) != NEVER for c in self.children[v])

    # ── what a value is worth ─────────────────────────────────────────────────

    def _until(self, v: int) -> int:
        """The next step that reads `v` when it is run for the first time."""
        uses, at, time = self.problem.uses[v], self.place[v], self.time
        while at < len(uses) and uses[at] < time:
            at += 1
        self.place[v] = at
        return uses[at] if at < len(uses) else NEVER

    def _score(self, v: int) -> Score | None:
        """What it takes to bring `v` back, with all that depends on it; None if it must stay."""
        known = self.scores.get(v, self)
        if known is None or (known is not self and known[1] >= self.time):  # type: ignore[index]
            return known  # type: ignore[return-value]
        found = self.scores[v] = self._scored(v)
        return found

    def _scored(self, v: int) -> Score | None:
        nodes, maker, there, made = self.problem.nodes, self.problem.maker, self.there, self.made
        until, cost, seen = self._until(v), 0.0, {v}
        stack = list(self.children[v])
        while stack:  # what is gone, and would be computed from it
            child = stack.pop()
            if child in seen or there[child] or not made[child] or self.over[child]:
                continue
            seen.add(child)
            stack += self.children[child]
            at = self._until(child)
            if at != NEVER:
                cost += nodes[maker[child]].cost
                until = min(until, at)
        if until == NEVER:
            return 0.0, NEVER
        stack, makers = [v], set()
        while stack:  # what is gone, and it is computed from
            number = maker[stack.pop()]
            if number in makers:
                continue
            makers.add(number)
            node = nodes[number]
            if not node.again:
                return None
            cost += node.cost
            stack += [a for a in node.reads if not there[a]]
        return cost, until

    def _changed(self, v: int, wanted: bool = True) -> None:
        """Forget the scores of what lies around `v`, up to values that are there; of what is made from it alone, where nobody
        wants it."""
        scores, nodes, maker, there, over = self.scores, self.problem.nodes, self.problem.maker, self.there, self.over
        scores.pop(v, None)
        seen, stack = {v}, [v]
        while stack:
            at = stack.pop()
            around = (*self.children[at], *nodes[maker[at]].reads) if wanted else self.children[at]
            for u in around:
                if u not in seen and not over[u]:
                    seen.add(u)
                    if there[u]:
                        scores.pop(u, None)
                    elif self.made[u]:
                        stack.append(u)
