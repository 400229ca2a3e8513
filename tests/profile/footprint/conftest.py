"""Reports that are made up: of a network whose layers keep what their pullbacks read, with known figures."""

from __future__ import annotations

import pytest

from wengert.profile.footprint.report import Holding, Line, MemoryReport, Point

FILE = "/home/me/model.py"
LAYER = Line(FILE, 31, "block", "h = np.tanh(x @ w)")
LOSS = Line(FILE, 40, "loss", "return np.mean((h - y) ** 2)")
KIB = 1024


def network(layers: int = 8, size: int = 64 * KIB, name: str = "step", shift: int = 0, **changes) -> MemoryReport:
    """`layers` blocks that keep one array of `size` bytes each until their pullback; a difference, and cotangents.

    The peak is in the first pullback of a block: all residuals, one cotangent, one temporary of `size` within the op.
    """
    layer = Line(FILE, LAYER.number + shift, LAYER.function, LAYER.text)
    loss = Line(FILE, LOSS.number + shift, LOSS.function, LOSS.text)
    points, holdings, live = [], [Holding(3 * size, "argument", line=Line(), shape=(3, size // 8), dtype="float64")], 0

    def point(op: str, line: Line, phase: str, by: int, extra: int = 0) -> None:
        nonlocal live
        top = max(live, live + by) + extra
        live += by
        points.append(Point(0.01 * len(points), live, top, op, phase, line))

    for i in range(layers):
        last = 2 * layers - i + 1
        why, frees = f"kept for the pullback of tanh at model.py:{layer.number}", "wg.checkpoint(block)"
        holdings.append(
            Holding(size, "residual", "tanh", layer, "forward", (size // 8,), "float64", i, last + 1, last, why, frees)
        )
        point("tanh", layer, "forward", size)
    holdings.append(
        Holding(size, "residual", "subtract", loss, "forward", (size // 8,), "float64", layers, layers + 1, layers)
    )
    point("subtract", loss, "forward", size)
    holdings.append(Holding(size, "cotangent", "power", loss, "backward", (size // 8,), "float64", layers + 1, None))
    point("power", loss, "backward", 0)
    for i in range(layers):
        point("tanh", layer, "backward", 0 if i == 0 else -size, size if i == 0 else 0)
    peak_at = max(range(len(points)), key=lambda i: points[i].top)
    report = MemoryReport(
        name, "measured", "eager", points[peak_at].top, peak_at, 0, live, (2 * layers + 3) * size, 2 * size,
        2 * layers + 3, points[-1].seconds, 3 * size, points, holdings, ["2 arrays of C code were not seen"],
    )  # fmt: skip
    for key, value in changes.items():
        setattr(report, key, value)
    return report


@pytest.fixture
def made():
    return network
