"""The graph of one step as SVG: ops from top to bottom, coloured by the cotangent that arrives at them, edges as thick as what flows.

Layers are longest paths from the inputs; within a layer nodes are sorted by the mean place of what they read (Sugiyama et al. 1981).
"""

from __future__ import annotations

import html
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wengert.profile.flow.report import FlowReport, OpFlow

MOST = 160  # boxes; with more, the runs of a line become one box, and then the ops of a line
WIDTH, HEIGHT, ACROSS, DOWN, MARGIN = 150, 34, 170, 62, 24
GREY = "#9a9a9a"


@dataclass
class Box:
    """One op, or several drawn as one; or a parameter."""

    title: str
    below: str
    strength: float | None  #: rms of the cotangent; None where none arrives
    tip: str
    parameter: bool = False
    reads: set[int] = field(default_factory=set)
    layer: int = 0
    x: float = 0.0


def drawn(report: FlowReport) -> str:
    """`report`'s graph as one SVG element; empty text where nothing was seen."""
    boxes = _boxes(report)
    if not boxes:
        return ""
    layers = _layers(boxes)
    widest = max(map(len, layers))
    strengths = [b.strength for b in boxes if b.strength]
    low, high = (math.log10(min(strengths)), math.log10(max(strengths))) if strengths else (0.0, 0.0)
    width, height = widest * ACROSS + 2 * MARGIN, len(layers) * DOWN + 2 * MARGIN + 30
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img"'
        ' aria-label="graph of ops with the gradients that flow through them" font-family="system-ui, sans-serif" font-size="11">'
    ]
    for box in boxes:
        for number in sorted(box.reads):
            parts.append(_edge(boxes[number], box, low, high))
    parts += [_shape(box, low, high) for box in boxes]
    parts.append(_legend(low, high, height))
    return "\n".join([*parts, "</svg>"])


# ── boxes ─────────────────────────────────────────────────────────────────────


def _boxes(report: FlowReport) -> list[Box]:
    """Parameters, then ops in the order in which they ran."""
    ops = report.ops
    for key in (lambda op: op.number, lambda op: (op.op, op.line), lambda op: op.line, lambda op: op.line.function):
        groups: dict[object, list[OpFlow]] = {}
        for op in ops:
            groups.setdefault(key(op), []).append(op)
        if len(groups) <= MOST:
            break
    names = {p.name: i for i, p in enumerate(report.parameters)}
    boxes = [
        Box(
            p.name,
            "×".join(map(str, p.shape)) or "scalar",
            p.gradient or None,
            f"{p.name}: gradient {p.gradient:.2g}",
            True,
        )
        for p in report.parameters
    ]
    place: dict[int, int] = {}
    for group in groups.values():
        place.update((op.number, len(boxes)) for op in group)
        boxes.append(_box(group))
    for op in ops:
        here = place[op.number]
        for read in op.reads:
            origin = names.get(read) if isinstance(read, str) else place[read]
            if origin is not None and origin < here:  # boxes of loops would read themselves
                boxes[here].reads.add(origin)
    return boxes


def _box(group: list[OpFlow]) -> Box:
    first, kinds = group[0], dict.fromkeys(op.op for op in group)
    strengths = [op.backward for op in group if op.backward]
    title = first.op if len(kinds) == 1 else f"{len(group)} ops"
    if len(group) > 1 and len(kinds) == 1:
        title += f" ×{len(group)}"
    tip = [f"{first.line}", first.line.text, f"value {first.forward:.2g}"]
    if strengths:
        tip.append(
            f"cotangent {min(strengths):.2g} … {max(strengths):.2g}"
            if len(strengths) > 1
            else f"cotangent {strengths[0]:.2g}"
        )
    closed = [op.closed for op in group if op.closed]
    if closed:
        tip.append(f"{100 * max(closed):.0f} % closed")
    return Box(title, f"{first.line}", min(strengths, default=None), "\n".join(tip))


def _layers(boxes: list[Box]) -> list[list[Box]]:
    """Set where each box lies; the boxes of each layer."""
    for box in boxes:
        box.layer = 1 + max((boxes[i].layer for i in box.reads), default=-1)
    for i, box in enumerate(boxes):  # a parameter lies above what reads it first
        readers = [b.layer for b in boxes if i in b.reads]
        if box.parameter and readers:
            box.layer = min(readers) - 1
    layers: list[list[Box]] = [[] for _ in range(1 + max(box.layer for box in boxes))]
    for box in boxes:
        layers[box.layer].append(box)
    middle = max(map(len, layers)) * ACROSS / 2 + MARGIN
    for layer in layers:
        layer.sort(key=lambda box: sum(boxes[i].x for i in box.reads) / len(box.reads) if box.reads else math.inf)
        for i, box in enumerate(layer):
            box.x = middle + (i - (len(layer) - 1) / 2) * ACROSS
    return [layer for layer in layers if layer]


# ── marks ─────────────────────────────────────────────────────────────────────


def _share(strength: float | None, low: float, high: float) -> float:
    """Where a strength lies between the weakest and the strongest, by its logarithm."""
    return (math.log10(strength) - low) / (high - low) if strength and high - low > 1e-9 else 1.0


def _colour(strength: float | None, low: float, high: float) -> str:
    """From pale blue to red; grey where nothing arrives."""
    if not strength:
        return GREY
    share = _share(strength, low, high)
    return f"hsl({220 - 220 * share:.0f} 70% {72 - 14 * share:.0f}%)"


def _y(box: Box) -> float:
    return MARGIN + box.layer * DOWN


def _edge(source: Box, target: Box, low: float, high: float) -> str:
    x0, y0, x1, y1 = source.x, _y(source) + HEIGHT, target.x, _y(target)
    bend = max((y1 - y0) / 2, 10)
    thick = 0.7 + 3.3 * _share(source.strength, low, high) if source.strength else 0.7
    dash = "" if source.strength else ' stroke-dasharray="3 3"'
    colour = _colour(source.strength, low, high)
    path = f"M{x0:.0f} {y0:.0f} C{x0:.0f} {y0 + bend:.0f} {x1:.0f} {y1 - bend:.0f} {x1:.0f} {y1:.0f}"
    return f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="{thick:.1f}"{dash}/>'


def _shape(box: Box, low: float, high: float) -> str:
    x, y = box.x - WIDTH / 2, _y(box)
    round_ = HEIGHT / 2 if box.parameter else 5
    return (
        f"<g><title>{html.escape(box.tip)}</title>"
        f'<rect x="{x:.0f}" y="{y:.0f}" width="{WIDTH}" height="{HEIGHT}" rx="{round_:.0f}"'
        f' fill="{_colour(box.strength, low, high)}" stroke="#444" stroke-width="{1.2 if box.parameter else 0.5}"/>'
        f'<text x="{box.x:.0f}" y="{y + 14:.0f}" text-anchor="middle" font-weight="600">{html.escape(_short(box.title))}</text>'
        f'<text x="{box.x:.0f}" y="{y + 27:.0f}" text-anchor="middle" font-size="9.5">{html.escape(_short(box.below))}</text></g>'
    )


def _short(text: str) -> str:
    return text if len(text) <= 25 else f"{text[:24]}…"


def _legend(low: float, high: float, height: float) -> str:
    y, steps = height - 22, 12
    swatches = "".join(
        f'<rect x="{MARGIN + 14 * i}" y="{y:.0f}" width="14" height="10"'
        f' fill="{_colour(10 ** (low + (high - low) * i / (steps - 1)), low, high)}"/>'
        for i in range(steps)
    )
    return (
        f'{swatches}<text x="{MARGIN + 14 * steps + 6}" y="{y + 9:.0f}" fill="currentColor">'
        f"cotangent, rms: 1e{low:.1f} … 1e{high:.1f}; grey: none arrives</text>"
    )
