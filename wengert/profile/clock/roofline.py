"""The roofline as a picture: what each op and kernel has achieved, under what the machine can do at its flops per byte."""

from __future__ import annotations

import math
from collections.abc import Callable
from html import escape
from typing import TYPE_CHECKING

from wengert.profile.clock.machine import Machine
from wengert.profile.clock.rows import Row
from wengert.profile.clock.terminal import duration

if TYPE_CHECKING:
    from wengert.profile.clock.report import TimeReport

WIDTH, HEIGHT, LEFT, BOTTOM, TOP, RIGHT = 760, 430, 62, 48, 18, 20
MOST, LEAST = 60, 1e-3  # points, and the part of the time from which on there is one
COLOURS = {"forward": "var(--forward, #2b6cb0)", "backward": "var(--backward, #b7562b)", "both": "var(--both, #6b4fa0)"}


def picture(report: TimeReport) -> str:
    """SVG; empty where nothing can be drawn."""
    machine = report.machine
    rows = sorted([*report.rows, *report.kernels], key=lambda row: -row.seconds)
    least = LEAST * sum(row.seconds for row in rows)
    rows = [row for row in rows if row.intensity and row.gflops and row.seconds >= least][:MOST]
    if machine is None or not rows:
        return ""
    kinds = [kind for kind in machine.flops if any(row.dtype == kind for row in rows)] or ["float64"]
    across, up, area = _scales(rows, machine, kinds)
    parts = [_grid(across, up, area)]
    parts += [_roof(machine, kind, across, up, area, dashed=i > 0) for i, kind in enumerate(kinds)]
    whole = sum(row.seconds for row in rows)
    parts += [_point(row, machine, across, up, whole) for row in reversed(rows)]
    keys = "".join(
        f'<circle cx="{LEFT + 14 + 95 * i}" cy="{TOP + 12}" r="5" fill="{colour}"/>'
        f'<text x="{LEFT + 24 + 95 * i}" y="{TOP + 16}">{phase}</text>'
        for i, (phase, colour) in enumerate(COLOURS.items())
    )
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" role="img" xmlns="http://www.w3.org/2000/svg"'
        f' aria-label="Roofline: GFLOP per second over flops per byte" fill="currentColor" font-family="sans-serif"'
        f' font-size="12">{"".join(parts)}{keys}</svg>'
    )


Scale = Callable[[float], float]
Area = tuple[float, float, float, float]


def _scales(rows: list[Row], machine: Machine, kinds: list[str]) -> tuple[Scale, Scale, Area]:
    xs = [row.intensity or 1.0 for row in rows] + [machine.ridge(kind) for kind in kinds]
    ys = [row.gflops or 1.0 for row in rows] + [machine.peak(kind) / 1e9 for kind in kinds]
    ys += [min(xs) * machine.bandwidth / 1e9]
    low_x, high_x = 10 ** math.floor(math.log10(min(xs))), 10 ** math.ceil(math.log10(max(xs) * 1.2))
    low_y, high_y = 10 ** math.floor(math.log10(max(min(ys), 1e-3))), 10 ** math.ceil(math.log10(max(ys) * 1.2))

    def scale(x: float, low: float, high: float, start: float, end: float) -> float:
        at = (math.log(max(x, low)) - math.log(low)) / (math.log(high) - math.log(low))
        return start + at * (end - start)

    return (
        lambda x: scale(x, low_x, high_x, LEFT, WIDTH - RIGHT),
        lambda y: scale(y, low_y, high_y, HEIGHT - BOTTOM, TOP),
        (low_x, high_x, low_y, high_y),
    )


def _decades(low: float, high: float) -> list[float]:
    return [10.0**k for k in range(round(math.log10(low)), round(math.log10(high)) + 1)]


def _grid(across: Scale, up: Scale, area: Area) -> str:
    low_x, high_x, low_y, high_y = area
    faint = 'stroke="currentColor" stroke-opacity=".15"'
    lines = [
        f'<line x1="{across(x):.1f}" x2="{across(x):.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}" {faint}/>'
        f'<text x="{across(x):.1f}" y="{HEIGHT - BOTTOM + 17}" text-anchor="middle">{x:g}</text>'
        for x in _decades(low_x, high_x)
    ]
    lines += [
        f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{up(y):.1f}" y2="{up(y):.1f}" {faint}/>'
        f'<text x="{LEFT - 7}" y="{up(y) + 4:.1f}" text-anchor="end">{y:g}</text>'
        for y in _decades(low_y, high_y)
    ]
    middle = (LEFT + WIDTH - RIGHT) / 2
    lines.append(f'<text x="{middle}" y="{HEIGHT - 10}" text-anchor="middle">flops per byte</text>')
    height = (TOP + HEIGHT - BOTTOM) / 2
    lines.append(
        f'<text x="15" y="{height}" text-anchor="middle" transform="rotate(-90 15 {height})">GFLOP per second</text>'
    )
    return "".join(lines)


def _roof(machine: Machine, kind: str, across: Scale, up: Scale, area: Area, dashed: bool) -> str:
    low_x, high_x, _, _ = area
    ridge, peak = machine.ridge(kind), machine.peak(kind) / 1e9
    points = [(low_x, low_x * machine.bandwidth / 1e9), (ridge, peak), (max(high_x, ridge), peak)]
    path = " ".join(f"{across(x):.1f},{up(y):.1f}" for x, y in points)
    style = 'stroke-dasharray="5 4"' if dashed else ""
    return (
        f'<polyline points="{path}" fill="none" stroke="currentColor" stroke-width="1.6" {style}/>'
        f'<text x="{WIDTH - RIGHT - 4}" y="{up(peak) - 6:.1f}" text-anchor="end">{peak:.0f} GFLOP/s {kind}</text>'
    )


def _point(row: Row, machine: Machine, across: Scale, up: Scale, whole: float) -> str:
    radius = 3.0 + 13.0 * math.sqrt(row.seconds / whole) if whole else 3.0
    fraction = row.fraction(machine)
    told = f"{row.name} {', '.join(row.ops[:6])} ({row.phase}), {row.line}: {duration(row.seconds)}, {row.gflops:.3g} GFLOP/s"
    told += "" if fraction is None else f", {100 * fraction:.0f} % of the roofline"
    return (
        f'<circle cx="{across(row.intensity or 1):.1f}" cy="{up(row.gflops or 1):.1f}" r="{radius:.1f}"'
        f' fill="{COLOURS.get(row.phase, COLOURS["both"])}" fill-opacity=".55"><title>{escape(told)}</title></circle>'
    )
