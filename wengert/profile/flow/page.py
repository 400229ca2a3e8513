"""A flow of gradients as one page: findings, parameters, the graph, all ops. No scripts, nothing from elsewhere."""

from __future__ import annotations

import html
import math
from typing import TYPE_CHECKING

from wengert.profile.flow.drawing import drawn

if TYPE_CHECKING:
    from wengert.profile.flow.report import FlowReport

STYLE = """
:root { color-scheme: light dark; --line: #8884; --critical: #c22; --major: #d60; --minor: #b90; --info: #68a; }
body { font: 14px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 1200px; padding: 0 1rem; }
h1 { font-size: 1.4rem } h2 { font-size: 1.1rem; margin-top: 2rem }
table { border-collapse: collapse; width: 100% } td, th { padding: .25rem .6rem; text-align: right }
tr { border-bottom: 1px solid var(--line) }
td:first-child, th:first-child, td.text { text-align: left } td.text { font-family: ui-monospace, monospace; font-size: 12px }
.graph { overflow: auto; border: 1px solid var(--line); max-height: 80vh } .graph text { fill: #111 }
li { margin: .4rem 0 } .tag { font-weight: 700 } .critical { color: var(--critical) } .major { color: var(--major) }
.minor { color: var(--minor) } .info { color: var(--info) } .course { vertical-align: middle }
"""


def page(report: FlowReport) -> str:
    """The page's text."""
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Gradient flow</title><style>{STYLE}</style></head><body>'
        f"<h1>Gradients of {report.steps} steps</h1>"
        f"<h2>What stands out</h2>{_findings(report)}"
        f"<h2>Parameters</h2>{_parameters(report)}"
        f'<h2>Flow</h2><div class="graph">{drawn(report)}</div>'
        f"<h2>Ops</h2>{_ops(report)}{_notes(report)}</body></html>"
    )


def _findings(report: FlowReport) -> str:
    if not report.findings:
        return "<p>Nothing.</p>"
    items = (
        f'<li><span class="tag {f.severity}">{f.severity}</span> <b>{html.escape(f.places)}</b>: {html.escape(f.what)};'
        f" {html.escape(f.advice)}.</li>"
        for f in report.findings
    )
    return f"<ul>{''.join(items)}</ul>"


def _parameters(report: FlowReport) -> str:
    rows = [
        [
            html.escape(p.name), "×".join(map(str, p.shape)) or "scalar", f"{p.value:.3g}",
            f"{p.gradient:.3g}" if p.course else "none", course(p.course), f"{100 * p.zeros:.0f} %",
            "" if p.signal_to_noise is None else f"{p.signal_to_noise:.3g}", "" if p.update is None else f"{p.update:.2e}",
        ]
        for p in report.parameters
    ]  # fmt: skip
    heads = ("parameter", "shape", "|value|", "|gradient|", "over the steps", "zero", "signal/noise", "update/value")
    return _table(heads, rows)


def _ops(report: FlowReport) -> str:
    rows = [
        [
            html.escape(str(op)), f'<td class="text">{html.escape(op.line.text)}</td>', f"{op.forward:.3g}",
            f"{op.backward:.3g}" if op.course else "none", course(op.course),
            "" if op.closed is None else f"{100 * op.closed:.0f} %", "" if op.dead is None else f"{op.dead} of {op.units}",
        ]
        for op in report.ops
    ]  # fmt: skip
    return _table(("op", "line", "|value|", "|cotangent|", "over the steps", "closed", "dead units"), rows)


def _notes(report: FlowReport) -> str:
    return "".join(f"<p>Note: {html.escape(note)}.</p>" for note in report.notes)


def _table(heads: tuple[str, ...], rows: list[list[str]]) -> str:
    head = "".join(f"<th>{h}</th>" for h in heads)
    body = "".join(
        "<tr>" + "".join(c if c.startswith("<td") else f"<td>{c}</td>" for c in row) + "</tr>" for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def course(values: list[float], width: int = 110, height: int = 22) -> str:
    """Positive values over the steps, on a logarithmic scale, as a small picture."""
    if len(values) < 2:
        return ""
    if len(values) > 2 * width:
        step = len(values) / (2 * width)
        values = [values[int(i * step)] for i in range(2 * width)]
    logs = [math.log10(max(v, 1e-300)) for v in values]
    low, high = min(logs), max(logs)
    span = max(high - low, 0.3)
    points = " ".join(
        f"{i * width / (len(logs) - 1):.1f},{height - 2 - (height - 4) * (v - low) / span:.1f}"
        for i, v in enumerate(logs)
    )
    return (
        f'<svg class="course" width="{width}" height="{height}" role="img" aria-label="from {values[0]:.2g} to {values[-1]:.2g}">'
        f"<title>{values[0]:.2g} … {values[-1]:.2g}</title>"
        f'<polyline points="{points}" fill="none" stroke="currentColor" stroke-width="1.2"/></svg>'
    )
