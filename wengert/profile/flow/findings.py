"""What is wrong with a flow of gradients, how bad that is, and what to do about it.

Source  Hochreiter (1991) and Glorot & Bengio (2010) for gradients that vanish and explode with depth; Karpathy's rule of thumb for the
        ratio of updates to weights (about 1e-3).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from wengert.profile.flow.report import FlowReport, OpFlow

Severity = Literal["critical", "major", "minor", "info"]
ORDER = ("critical", "major", "minor", "info")

VANISHED = 1e-5  # of the gradient of the parameter that gets most
FADED = 1e-4  # from the end of the graph to its beginning
GROWN = 1e3  # times the gradient of the steps before
CLOSED = 0.5  # fraction of elements that let nothing pass
DEAD = 0.1  # fraction of units that are always shut
SLOW, FAST = 1e-6, 1e-1  # updates relative to values
NOISY = 0.02  # signal to noise


@dataclass(frozen=True)
class Finding:
    """One thing that stands out. `kind`: nonfinite, exploding, vanishing, disconnected, dead, saturated, updates, noisy.

    also : other places of which the same is true
    """

    kind: str
    severity: Severity
    where: str
    what: str
    advice: str
    also: tuple[str, ...] = ()

    @property
    def places(self) -> str:
        """Where, in words: the first, and how many more."""
        return f"{self.where} (and {len(self.also)} more)" if self.also else self.where

    def __str__(self) -> str:
        return f"{self.severity}: {self.places}: {self.what}; {self.advice}."


def find(report: FlowReport) -> list[Finding]:
    """All that stands out, the worst first."""
    if not report.steps:
        return []
    found: dict[tuple[str, str, str], Finding] = {}
    for finding in (finding for look in LOOKS for finding in look(report)):
        key = (finding.kind, finding.severity, finding.advice)
        first = found.get(key)
        found[key] = finding if first is None else replace(first, also=(*first.also, finding.where))
    return sorted(found.values(), key=lambda f: ORDER.index(f.severity))


def _nonfinite(report: FlowReport) -> Iterator[Finding]:
    """The first op, forwards, whose value is not finite; else the first, backwards, whose cotangent is not."""
    advice = "wg.detect_anomaly() names the op that made the first one, and the operands it was given"
    for op in report.ops:
        if op.nonfinite_values:
            yield Finding("nonfinite", "critical", str(op), "its value is NaN or infinite", advice)
            return
    for op in reversed(report.ops):
        if op.nonfinite_cotangents:
            yield Finding(
                "nonfinite", "critical", str(op), "the cotangent that arrives at it is NaN or infinite", advice
            )
            return


def _disconnected(report: FlowReport) -> Iterator[Finding]:
    for p in report.parameters:
        if p.unreached == report.steps:
            yield Finding(
                "disconnected", "major", p.name, "no gradient reaches it",
                "the loss does not depend on it: is it used, or cut off by stop_gradient, an integer, a comparison or argmax?",
            )  # fmt: skip
        elif p.course and p.gradient == 0 and p.zeros == 1:
            yield Finding(
                "dead", "major", p.name, "its gradient is exactly 0, step after step",
                "everything between it and the loss is shut: look for saturated or dead ops, and at how it is initialised",
            )  # fmt: skip


def _vanishing(report: FlowReport) -> Iterator[Finding]:
    """Parameters that get far less than others, unless they are far smaller as well."""
    alive = [p for p in report.parameters if p.gradient > 0]
    most = max((p.gradient for p in alive), default=0.0)
    for p in alive:
        share = p.gradient / most
        if share < VANISHED and p.gradient * max(p.value, 1e-12) < VANISHED * most * max(q.value for q in alive):
            severity: Severity = "major" if share < VANISHED**2 else "minor"
            yield Finding(
                "vanishing", severity, p.name, f"its gradient is {share:.0e} of the largest among the parameters",
                "normalise what is between (nn.layer_norm), add skip connections, or scale the initial values (variance 2/fan-in)",
            )  # fmt: skip


def _along_depth(report: FlowReport) -> Iterator[Finding]:
    """Lines that run again and again, layers of a loop: how the cotangent fares from the last to the first."""
    lines: dict[tuple[str, object], list[OpFlow]] = {}
    for op in report.ops:
        if op.backward > 0 and op.shape:
            lines.setdefault((op.op, op.line), []).append(op)
    worst: dict[str, tuple[float, Finding]] = {}
    for runs in lines.values():
        if len(runs) < 4 or runs[0].shape != runs[-1].shape:
            continue
        ratio = runs[0].backward / runs[-1].backward
        where = f"{runs[0].op} at {runs[0].line}, {len(runs)} runs"
        if ratio < FADED:
            severity: Severity = "major" if ratio < 0.1 * FADED else "minor"
            finding = Finding(
                "vanishing", severity, where, f"from the last run back to the first, the cotangent shrinks to {ratio:.0e}",
                "normalise between layers, add skip connections, or use gates; scale the initial weights up",
            )  # fmt: skip
            worst["vanishing"] = min(
                worst.get("vanishing", (ratio, finding)), (ratio, finding), key=lambda pair: pair[0]
            )
        elif ratio > 1 / FADED:
            severity = "major" if ratio > 10 / FADED else "minor"
            finding = Finding(
                "exploding", severity, where, f"from the last run back to the first, the cotangent grows by {ratio:.0e}",
                "scale the initial weights down (orthogonal matrices keep lengths), normalise between layers, or clip the gradient",
            )  # fmt: skip
            worst["exploding"] = max(
                worst.get("exploding", (ratio, finding)), (ratio, finding), key=lambda pair: pair[0]
            )
    yield from (finding for _, finding in worst.values())


def _exploding(report: FlowReport) -> Iterator[Finding]:
    for p in report.parameters:
        course = np.array(p.course)
        if len(course) < 4:
            continue
        before = np.median(course[: max(3, len(course) // 4)])
        after = np.max(course[len(course) // 2 :])
        if before > 0 and after > GROWN * before:
            yield Finding(
                "exploding", "critical" if after > GROWN**2 * before else "major", p.name,
                f"its gradient has grown by {after / before:.0e} since the first steps",
                "make the steps shorter, or clip the gradient by its norm",
            )  # fmt: skip


def _saturated(report: FlowReport) -> Iterator[Finding]:
    for op in report.ops:
        if op.closed is not None and op.closed > CLOSED and op.op not in MASKS:
            yield Finding(
                "saturated", "major" if op.closed > 0.9 else "minor", str(op),
                f"{100 * op.closed:.0f} % of its elements pass less than a thousandth of the gradient on",
                f"its operands are too large for {op.op}: scale weights or inputs down, or normalise",
            )  # fmt: skip


def _dead(report: FlowReport) -> Iterator[Finding]:
    for op in report.ops:
        if op.dead is not None and op.units and op.dead > DEAD * op.units:
            yield Finding(
                "dead", "major" if op.dead > 0.5 * op.units else "minor", str(op),
                f"{op.dead} of {op.units} units were 0 for every example of every step",
                "make the steps shorter, the initial biases larger, or let something pass (nn.leaky_relu, nn.gelu)",
            )  # fmt: skip


def _updates(report: FlowReport) -> Iterator[Finding]:
    for p in report.parameters:
        if p.update is None or p.value == 0:
            continue
        if 0 < p.update < SLOW:
            yield Finding(
                "updates",
                "minor",
                p.name,
                f"a step changes it by {p.update:.0e} of its size",
                "it hardly learns: longer steps for it",
            )
        elif p.update > FAST:
            yield Finding(
                "updates",
                "minor",
                p.name,
                f"a step changes it by {100 * p.update:.0f} % of its size",
                "shorter steps, or a warm-up",
            )


def _noisy(report: FlowReport) -> Iterator[Finding]:
    if report.steps < 20:
        return
    for p in report.parameters:
        if p.signal_to_noise is not None and p.signal_to_noise < NOISY and p.gradient > 0:
            share = f"the signal in its gradient is {p.signal_to_noise:.1g} of the noise"
            yield Finding(
                "noisy", "info", p.name, share if p.signal_to_noise else "its gradient is lost in noise from step to step",
                "larger batches or shorter steps, if the loss does not fall any more",
            )  # fmt: skip


MASKS = frozenset(
    {"relu", "relu6", "clip", "index", "maximum", "minimum"}
)  # which shut by design: units are looked at instead
LOOKS: tuple[Callable[[FlowReport], Iterator[Finding]], ...] = (
    _nonfinite,
    _disconnected,
    _exploding,
    _along_depth,
    _vanishing,
    _saturated,
    _dead,
    _updates,
    _noisy,
)
