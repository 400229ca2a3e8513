"""What a memory report is shown and judged by: curves by role, groups of like holdings, the tree of lines, and "what if".

Nothing here knows how it is shown. Points are thinned such that no maximum is lost, however long the timeline.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from wengert.profile.footprint.report import Holding, Line, MemoryReport

#: in the order in which they are stacked, from below
ROLES = ("constant", "result", "value", "residual", "cotangent", "temporary", "workspace", "other")
MEANINGS = {
    "argument": "the caller's own arrays; not counted in the peak",
    "constant": "arrays that the function took from outside, copied or converted",
    "value": "made on the way, and still within reach of the program",
    "residual": "kept because a pullback will read it",
    "cotangent": "gradients on their way back",
    "temporary": "within one op",
    "workspace": "the block that a compiled program works in",
    "result": "handed to the caller",
    "other": "none of these",
    "unexplained": "measured, but belonging to no array that was seen",
}


@dataclass(frozen=True)
class Like:
    """What several holdings have in common."""

    line: Line
    op: str
    role: str
    phase: str
    shape: tuple[int, ...]
    dtype: str
    why: str
    frees: str
    within: str


@dataclass
class Group:
    """Holdings that are alike: so many, of so many bytes together."""

    like: Like
    count: int = 0
    nbytes: int = 0


def groups(holdings: Iterable[Holding]) -> list[Group]:
    """Like holdings together, the largest sum first."""
    found: dict[Like, Group] = {}
    for h in holdings:
        like = Like(h.line, h.op, h.role, h.phase, tuple(h.shape), h.dtype, h.why, h.frees, h.within)
        group = found.setdefault(like, Group(like))
        group.count += 1
        group.nbytes += h.nbytes
    return sorted(found.values(), key=lambda g: -g.nbytes)


def explained(report: MemoryReport) -> int:
    """Bytes at the peak that some holding accounts for."""
    return sum(h.nbytes for h in report.at_peak())


def sums(report: MemoryReport, key: Callable[[Holding], str], rest: str = "unexplained") -> dict[str, int]:
    """`report.by(key)`, with what no holding accounts for as `rest`; largest first."""
    found = report.by(key)
    if (more := report.peak - sum(found.values())) > 0:
        found[rest] = found.get(rest, 0) + more
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def parts(report: MemoryReport) -> dict[str, dict[str, int]]:
    """Bytes at the peak by role, phase and op. What only the op at the peak can have made counts as its own."""
    at = report.timeline[report.peak_at] if report.timeline else None
    return {
        "role": sums(report, lambda h: h.role),
        "phase": sums(report, lambda h: h.phase, at.phase if at else "unexplained"),
        "op": sums(report, lambda h: h.op or h.within or "(none)", (at.op if at else "") or "unexplained"),
    }


# ── curves ────────────────────────────────────────────────────────────────────


def held(holdings: Iterable[Holding], length: int) -> np.ndarray:
    """Bytes of `holdings` at each of `length` points."""
    steps = np.zeros(length + 1, np.int64)
    for h in holdings:
        steps[min(max(h.born, 0), length)] += h.nbytes
        if h.died is not None:
            steps[min(max(h.died, 0), length)] -= h.nbytes
    return np.cumsum(steps[:-1])


def curves(report: MemoryReport) -> dict[str, np.ndarray]:
    """Bytes held at each point of the timeline, by role; "unexplained" is what `live` has beyond them."""
    length = len(report.timeline)
    by_role: dict[str, list[Holding]] = {}
    for h in report.holdings:
        if h.role != "argument":
            by_role.setdefault(h.role, []).append(h)
    found = {role: held(by_role[role], length) for role in ROLES if role in by_role}
    live = np.array([p.live for p in report.timeline], np.int64)
    rest = np.maximum(live - np.sum(list(found.values()), axis=0, dtype=np.int64), 0)
    return found | ({"unexplained": rest} if rest.any() else {})


def tops(report: MemoryReport) -> np.ndarray:
    """The most bytes held at or within each point."""
    return np.array([max(p.top, p.live) for p in report.timeline], np.int64)


def thin(report: MemoryReport, most: int) -> np.ndarray:
    """Indices of about `most` points: first, highest and lowest of equal stretches; the peak and the end are among them."""
    length = len(report.timeline)
    if length <= most:
        return np.arange(length)
    top, live = tops(report), np.array([p.live for p in report.timeline], np.int64)
    edges = np.unique(np.linspace(0, length, max(most // 3, 1) + 1).astype(int))
    kept = {min(report.peak_at, length - 1), length - 1}
    for start, stop in itertools.pairwise(edges):
        kept |= {int(start), int(start + np.argmax(top[start:stop])), int(start + np.argmin(live[start:stop]))}
    return np.array(sorted(kept))


def columns(report: MemoryReport, count: int) -> np.ndarray:
    """The highest `top` of each of at most `count` equal stretches of the timeline."""
    top = tops(report)
    if len(top) <= count:
        return top
    edges = np.linspace(0, len(top), count + 1).astype(int)
    return np.array([top[a:b].max() for a, b in itertools.pairwise(edges)])


def phases(report: MemoryReport, points: Iterable[int] | None = None) -> list[tuple[str, int, int]]:
    """Runs of one phase among `points`: its name, the index of its first point, and the index after its last."""
    runs: list[tuple[str, int, int]] = []
    for i in range(len(report.timeline)) if points is None else points:
        phase = report.timeline[i].phase
        if runs and runs[-1][0] == phase:
            runs[-1] = (phase, runs[-1][1], int(i) + 1)
        else:
            runs.append((phase, runs[-1][2] if runs else int(i), int(i) + 1))
    return runs


# ── the tree of lines ─────────────────────────────────────────────────────────


@dataclass
class Branch:
    """Bytes at the peak of one file, function, line or op, and what they consist of."""

    name: str
    kind: str
    nbytes: int = 0
    count: int = 0
    text: str = ""
    role: str = ""
    parts: dict[tuple[str, str], Branch] = field(default_factory=dict)

    def part(self, name: str, kind: str, key: str = "", text: str = "", role: str = "") -> Branch:
        return self.parts.setdefault((name, key), Branch(name, kind, text=text, role=role))

    def sorted(self) -> list[Branch]:
        return sorted(self.parts.values(), key=lambda b: -b.nbytes)

    def walk(self, depth: int = 0) -> Iterator[tuple[int, Branch]]:
        yield depth, self
        for part in self.sorted():
            yield from part.walk(depth + 1)


def tree(report: MemoryReport) -> Branch:
    """The bytes at the peak by file, function, line and op; what nobody accounts for is a part of the root."""
    root = Branch(report.name or "all", "all", report.peak)
    for h in report.at_peak():
        line = h.line
        path = [root, root.part(Path(line.file).name or "(no file)", "file", line.file, line.file)]
        if line.file:
            path.append(path[-1].part(line.function or "?", "function", "", f"{line.function} in {line.file}"))
            path.append(path[-1].part(f"{line.number}: {line.text}", "line", str(line.number), str(line)))
        path.append(path[-1].part(h.op or h.within or "?", "op", h.role, f"{h.op} ({h.role})", h.role))
        for branch in path:
            branch.nbytes += h.nbytes if branch is not root else 0
            branch.count += 1
    if (rest := report.peak - sum(part.nbytes for part in root.parts.values())) > 0:
        root.part("unexplained", "op", role="unexplained", text=MEANINGS["unexplained"]).nbytes = rest
    return root


# ── what if ───────────────────────────────────────────────────────────────────

#: from which point, until which, how many bytes fewer (negative: more)
Cut = tuple[int, int, int]


def without(report: MemoryReport, cuts: Iterable[Cut]) -> int:
    """The peak if so many bytes fewer had been held at these stretches of the timeline."""
    top = tops(report)
    steps = np.zeros(len(top) + 1, np.int64)
    for start, stop, nbytes in cuts:
        if start < stop:
            steps[max(start, 0)] += nbytes
            steps[min(stop, len(top))] -= nbytes
    return int((top - np.cumsum(steps[:-1])).max(initial=0))
