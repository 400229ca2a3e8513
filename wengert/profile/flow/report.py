"""What `GradientFlow` saw, as data: parameters, ops, findings; shown, saved, drawn."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from wengert.profile.flow.findings import Finding, find
from wengert.profile.flow.record import Node, Parameter
from wengert.profile.footprint.report import Line

SCHEMA = 1
BARS = " ▁▂▃▄▅▆▇█"


@dataclass
class ParameterFlow:
    """One parameter over the steps. Sizes are root mean squares of elements, typical ones medians over steps.

    zeros : fraction of gradient elements that are 0; `nonfinite`: the largest fraction that was NaN or infinite
    signal_to_noise : of the gradient over the steps; None for fewer than three
    update : typical rms(change) / rms(value) of a step; None if unknown
    unreached : steps in which no gradient reached it
    course : rms of the gradient at each step that had one
    """

    name: str
    shape: tuple[int, ...]
    value: float
    gradient: float
    zeros: float
    nonfinite: float
    signal_to_noise: float | None
    update: float | None
    unreached: int
    course: list[float] = field(default_factory=list)

    @classmethod
    def of(cls, p: Parameter) -> ParameterFlow:
        return cls(
            p.name, p.shape, p.value.typical, p.gradient.typical, p.gradient.typical_zeros, p.gradient.worst_nonfinite,
            p.signal.to_noise, float(np.median(p.updates)) if p.updates else None, p.unreached, list(p.gradient.rms),
        )  # fmt: skip


@dataclass
class OpFlow:
    """One op at one line; `turn` counts how often that line ran before it within a step.

    forward, backward : typical rms of its value, and of the cotangent that arrives at it
    zeros : fraction of its value that is 0; `closed`: fraction of elements that let less than a thousandth of the cotangent pass
    nonfinite : the largest fraction of NaN and infinities, of values and of cotangents
    dead, units : units that were 0 for every example of every step, of how many; None where not looked at
    course : rms of the cotangent, step by step
    """

    number: int
    op: str
    line: Line
    turn: int
    shape: tuple[int, ...]
    forward: float
    backward: float
    zeros: float
    closed: float | None
    nonfinite_values: float
    nonfinite_cotangents: float
    dead: int | None
    units: int | None
    reads: list[int | str]
    course: list[float] = field(default_factory=list)

    @classmethod
    def of(cls, n: Node) -> OpFlow:
        return cls(
            n.number, n.op, n.line, n.turn, n.shape, n.forward.typical, n.backward.typical, n.forward.typical_zeros,
            float(np.median(n.closed)) if n.closed else None, n.forward.worst_nonfinite, n.backward.worst_nonfinite,
            n.dead, None if n.silent is None else n.silent.size, n.reads, list(n.backward.rms),
        )  # fmt: skip

    def __str__(self) -> str:
        turn = f", run {self.turn + 1}" if self.turn else ""
        return f"{self.op} at {self.line}{turn}"


@dataclass
class FlowReport:
    """See `GradientFlow`. `findings` are the worst first."""

    steps: int
    parameters: list[ParameterFlow]
    ops: list[OpFlow]
    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, steps: int, parameters: Iterable[Parameter], nodes: Iterable[Node], notes: list[str]) -> FlowReport:
        report = cls(steps, list(map(ParameterFlow.of, parameters)), list(map(OpFlow.of, nodes)), notes=notes)
        report.findings = find(report)
        return report

    # ── as data ───────────────────────────────────────────────────────────────

    def to_dict(self) -> dict[str, Any]:
        return {"schema": SCHEMA, **asdict(self)}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> FlowReport:
        if data.get("schema") != SCHEMA:
            raise ValueError(
                f"a flow report: got schema {data.get('schema')!r}, want {SCHEMA}: save it again with this version"
            )
        shaped = [{**row, "shape": tuple(row["shape"])} for row in data["parameters"]]
        ops = [{**row, "shape": tuple(row["shape"]), "line": Line(**row["line"])} for row in data["ops"]]
        findings = [Finding(**{**row, "also": tuple(row["also"])}) for row in data["findings"]]
        parameters = [ParameterFlow(**row) for row in shaped]
        return cls(data["steps"], parameters, [OpFlow(**row) for row in ops], findings, data["notes"])

    def save(self, path: str | Path) -> None:
        """Write it as JSON."""
        Path(path).write_text(json.dumps(self.to_dict()), encoding="utf-8")

    @classmethod
    def load(cls, path: str | Path) -> FlowReport:
        """What `save` wrote."""
        return cls.from_dict(json.loads(Path(path).read_text(encoding="utf-8")))

    # ── for people ────────────────────────────────────────────────────────────

    def svg(self, path: str | Path | None = None) -> str:
        """The graph with the flow drawn on it, as SVG; written to `path` if that is given."""
        from wengert.profile.flow.drawing import drawn

        text = drawn(self)
        if path is not None:
            Path(path).write_text(text, encoding="utf-8")
        return text

    def html(self, path: str | Path) -> None:
        """One page with findings, parameters, the graph, and all ops."""
        from wengert.profile.flow.page import page

        Path(path).write_text(page(self), encoding="utf-8")

    def __str__(self) -> str:
        from rich.console import Console

        text = io.StringIO()
        Console(file=text, width=120).print(self)
        return "\n".join(line.rstrip() for line in text.getvalue().splitlines())

    def __rich__(self) -> Any:
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        table = Table(title=f"Gradients of {self.steps} steps", title_justify="left", box=None, pad_edge=False)
        for heading in (
            "parameter",
            "shape",
            "|value|",
            "|gradient|",
            "over time",
            "zero",
            "signal/noise",
            "update/value",
        ):
            table.add_column(heading, justify="left" if heading in ("parameter", "over time") else "right")
        for p in self.parameters:
            table.add_row(
                p.name,
                "×".join(map(str, p.shape)) or "scalar",
                f"{p.value:.2g}",
                f"{p.gradient:.2g}" if p.course else "none",
                sparkline(p.course),
                f"{100 * p.zeros:.0f} %",
                "" if p.signal_to_noise is None else f"{p.signal_to_noise:.2g}",
                "" if p.update is None else f"{p.update:.1e}",
            )
        style = {"critical": "bold red", "major": "red", "minor": "yellow", "info": ""}
        told = [Text(str(finding), style=style[finding.severity]) for finding in self.findings]
        if not told:
            told = [Text("nothing stands out", style="green")]
        return Group(table, *told, *(Text(f"note: {note}", style="dim") for note in self.notes))


def sparkline(values: list[float], width: int = 16) -> str:
    """The course of positive values, on a logarithmic scale, in at most `width` characters."""
    parts = np.array_split(np.array(values, float), min(width, len(values))) if values else []
    heights = np.array([np.log10(max(float(np.median(part)), 1e-300)) for part in parts])
    if not heights.size:
        return ""
    low, span = heights.min(), np.ptp(heights)
    scaled = (heights - low) / span if span > 0.3 else np.full(heights.shape, 0.5)  # a factor of two is flat
    return "".join(BARS[1 + round(7 * float(h))] for h in scaled)
