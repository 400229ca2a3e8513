"""The timeline as SVG: bytes held, stacked by role, phases shaded; and the data from which the script tells what was held where."""

from __future__ import annotations

import heapq
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from wengert.core.sizes import shown
from wengert.profile.footprint import breakdown
from wengert.profile.footprint.terminal import place, seconds

if TYPE_CHECKING:
    from wengert.profile.footprint.report import Holding, MemoryReport

WIDTH, HEIGHT = 1000, 280
POINTS = 1500  # that are drawn; of more, the extremes of equal stretches
HELD = 8  # groups of arrays told of at each point
INTRO = (
    "Bytes held beyond the arguments after each op, pullback or compiled call, by what they were held as. The line above is the "
    "most within the op itself. Move over it to see what was held; click to keep that in view."
)


def timeline(report: MemoryReport) -> str:
    """HTML of the chart; empty without points."""
    if not report.timeline:
        return ""
    length = len(report.timeline)
    at = breakdown.thin(report, POINTS)
    scale = ceiling(int(breakdown.tops(report).max()))
    layers, shades = _layers(report, at, scale), _phases(report, at)
    peak = (min(report.peak_at, length - 1) + 0.5) * WIDTH / length
    inner = _shaded(shades) + "".join(f'<path class="role-{role}" d="{path}"/>' for role, path in layers.items())
    inner += f'<path class="top" d="{outline(report, scale)}"/>'
    inner += f'<line class="peak" x1="{peak:.2f}" x2="{peak:.2f}" y1="0" y2="{HEIGHT}"/>'
    end = report.timeline[-1].seconds
    axis = f"<span>0</span><span>{length:,} points{', ' + seconds(end) if end else ''}</span>"
    return (
        _legend(list(layers))
        + plot(inner, scale, f"bytes held over {length:,} points, {shown(report.peak)} at most", "chart")
        + f'<div class="under"><div class="phases">{_names(shades)}</div><div class="axis">{axis}</div></div>'
        + '<div class="held" id="held" aria-live="polite"></div>'
    )


def plot(inner: str, scale: int, label: str, name: str = "") -> str:
    """HTML of a plot of bytes up to `scale`; `inner` is SVG."""
    ticks = "".join(f'<span style="bottom:{part:.0%}">{shown(scale * part)}</span>' for part in (0, 0.25, 0.5, 0.75, 1))
    head = f'<div class="chart" id="{name}" tabindex="0">' if name else '<div class="chart">'
    svg = f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" preserveAspectRatio="none" role="img" aria-label="{escape(label)}">'
    return f'{head}<div class="ticks">{ticks}</div><div class="plot">{svg}{inner}</svg><div class="cursor" hidden></div></div></div>'


def outline(report: MemoryReport, scale: int) -> str:
    """The path of the most bytes at each point."""
    at = breakdown.thin(report, POINTS)
    return _steps(_x(report, at), HEIGHT * (1 - breakdown.tops(report)[at] / scale))


def _x(report: MemoryReport, at: np.ndarray) -> np.ndarray:
    """Where each of the points begins, and where the last ends."""
    return np.append(at, len(report.timeline)) * (WIDTH / len(report.timeline))


def _legend(roles: list[str]) -> str:
    said = "".join(
        f'<span title="{escape(breakdown.MEANINGS[role])}"><i class="role-{role}"></i>{role}</span>'
        for role in reversed(roles)
    )
    return f'<div class="legend">{said}<span><i class="line"></i>within the op</span></div>'


def _shaded(shades: list[tuple[str, float, float]]) -> str:
    kinds = {name: n % 2 for n, name in enumerate(dict.fromkeys(name for name, _, _ in shades))}
    return "".join(
        f'<rect class="phase-{kinds[name]}" x="{a:.2f}" y="0" width="{b - a:.2f}" height="{HEIGHT}"/>'
        for name, a, b in shades
    )


def _names(shades: list[tuple[str, float, float]]) -> str:
    return "".join(
        f'<span style="left:{a / WIDTH:.2%};width:{(b - a) / WIDTH:.2%}">{escape(name)}</span>'
        for name, a, b in shades
        if b - a > 0.03 * WIDTH
    )


def ceiling(nbytes: int) -> int:
    """A round number of bytes, at least `nbytes` and one, for the top of a scale."""
    nbytes = max(nbytes, 1)
    unit = 1024 ** min(int(np.log2(nbytes)) // 10, 3)
    for step in (
        1,
        2,
        4,
        8,
        10,
        12,
        16,
        20,
        24,
        32,
        40,
        48,
        64,
        80,
        96,
        128,
        160,
        200,
        256,
        320,
        400,
        512,
        640,
        800,
        1024,
    ):
        if step * unit >= nbytes:
            return step * unit
    return nbytes


def _layers(report: MemoryReport, at: np.ndarray, scale: int) -> dict[str, str]:
    """The outline of each role's band, by role, from below."""
    found: dict[str, str] = {}
    x, base = _x(report, at), np.zeros(len(at))
    for role, curve in breakdown.curves(report).items():
        if not curve.any():
            continue
        over = base + curve[at]
        there = _steps(x, HEIGHT * (1 - over / scale))
        back = _steps(x[::-1], HEIGHT * (1 - base[::-1] / scale), "L")
        found[role] = f"{there}{back}Z"
        base = over
    return found


def _steps(x: np.ndarray, y: np.ndarray, begin: str = "M") -> str:
    """A path that is at y[i] from x[i] to x[i + 1]."""
    parts, last = [f"{begin}{x[0]:.2f} {y[0]:.1f}"], y[0]
    for i in range(1, len(y)):
        if y[i] != last:
            parts.append(f"H{x[i]:.2f}V{y[i]:.1f}")
            last = y[i]
    return "".join(parts) + f"H{x[-1]:.2f}"


def _phases(report: MemoryReport, at: np.ndarray) -> list[tuple[str, float, float]]:
    """Each run of one phase, from where to where."""
    runs, length = breakdown.phases(report, at.tolist()), len(report.timeline)
    edges = [start * WIDTH / length for _, start, _ in runs] + [float(WIDTH)]
    return [(name, edges[n], edges[n + 1]) for n, (name, _, _) in enumerate(runs)]


# ── what was held where ───────────────────────────────────────────────────────


class Table(dict[Any, int]):
    """Numbers things in the order in which they first appear."""

    def number(self, thing: Any) -> int:
        return self.setdefault(thing, len(self))


def data(report: MemoryReport) -> dict[str, Any]:
    """For each drawn point what it was, and the largest groups of arrays held there."""
    at = breakdown.thin(report, POINTS).tolist()
    words, kinds = Table(), Table()
    points = []
    for i, held in zip(at, _held(report, at, kinds)):
        p = report.timeline[i]
        names = (words.number(s) for s in (p.phase, p.op, place(p.line) if p.line.file else "", p.line.text))
        points.append([i, round(p.seconds, 6), p.live, max(p.top, p.live), *names, held])
    groups = [[words.number(s) for s in kind] for kind in kinds]
    return {
        "length": len(report.timeline),
        "peak": report.peak_at,
        "points": points,
        "groups": groups,
        "words": list(words),
    }


def _held(report: MemoryReport, at: list[int], kinds: Table) -> list[list[list[int]]]:
    """At each of the points the largest groups: which, bytes, how many arrays."""
    events: list[tuple[int, int, Holding]] = []
    for h in report.holdings:
        if h.role != "argument":
            events.append((h.born, 1, h))
            if h.died is not None:
                events.append((h.died, -1, h))
    events.sort(key=lambda event: event[:2])
    now: dict[int, list[int]] = {}
    found, next_event = [], 0
    for point in at:
        while next_event < len(events) and events[next_event][0] <= point:
            _, sign, h = events[next_event]
            kind = kinds.number((h.role, h.op or h.within, place(h.line) if h.line.file else ""))
            group = now.setdefault(kind, [0, 0])
            group[0] += sign * h.nbytes
            group[1] += sign
            if not group[1]:
                del now[kind]
            next_event += 1
        largest = heapq.nlargest(HELD, now.items(), key=lambda item: item[1][0])
        found.append([[kind, nbytes, count] for kind, (nbytes, count) in largest if nbytes])
    return found
