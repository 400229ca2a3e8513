"""What a check found: data first, text and tables from it.

GradientCheckError    (WengertError, AssertionError)   a derivative is wrong
GradientCheckWarning  (UserWarning)                    nothing is proved wrong, but not everything could be decided
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from rich.console import Console, ConsoleOptions, Group, RenderableType
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from wengert.core.errors import WengertError

Verdict = Literal["right", "wrong", "undecided"]
COLOURS = {"right": "green", "wrong": "bold red", "undecided": "yellow", "note": "cyan"}
WIDTH = 110  # columns of the plain text, which has no terminal to ask


class GradientCheckError(WengertError, AssertionError):
    """A derivative disagrees with what the function's values say; `report` has the findings."""

    def __init__(self, report: Report) -> None:
        Exception.__init__(self, str(report))
        self.report = report
        self.at = None

    def __reduce__(self) -> Any:
        return GradientCheckError, (self.report,)


class GradientCheckWarning(UserWarning):
    """A check that could not decide everything; its message is the report."""


@dataclass
class Entry:
    """One element of a derivative: ∂`output`/∂`input`, ours and the reference's, with the reference's own error.

    Where the one-sided slopes were looked at, `left` and `right` are these.
    """

    output: str
    input: str
    ours: float
    reference: float
    error: float
    left: float | None = None
    right: float | None = None


@dataclass
class Finding:
    """One thing that was recognised.

    `kind` is one of the words listed in docs/checking; `level` says what it does to the verdict; `advice` what to do;
    `numbers` the figures behind the message; `entries` the elements that show it best.
    """

    kind: str
    level: Literal["wrong", "undecided", "note"]
    message: str
    advice: str = ""
    order: int = 1
    mode: str = ""
    numbers: dict[str, Any] = field(default_factory=dict)
    entries: list[Entry] = field(default_factory=list)


@dataclass
class Comparison:
    """One derivative against its reference: `error` is relative to the largest slope, and so is `resolution`, the reference's own."""

    order: int
    mode: str
    reference: str
    error: float
    resolution: float
    status: Verdict


@dataclass
class Property:
    """One identity that derivatives must satisfy, and by how much it is missed, relative to its terms."""

    name: str
    order: int
    status: Literal["right", "wrong", "undecided", "left out"]
    error: float = 0.0
    note: str = ""


@dataclass
class Report:
    """The result of `check_grads`. True if the verdict is "right"."""

    function: str
    arguments: str
    order: int
    modes: tuple[str, ...]
    comparisons: list[Comparison] = field(default_factory=list)
    properties: list[Property] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    evaluations: int = 0
    derivatives: int = 0
    seconds: float = 0.0

    @property
    def verdict(self) -> Verdict:
        """The gravest of the findings."""
        levels = {f.level for f in self.findings}
        return "wrong" if "wrong" in levels else "undecided" if "undecided" in levels else "right"

    def __bool__(self) -> bool:
        return self.verdict == "right"

    def to_dict(self) -> dict[str, Any]:
        """The report as plain data that JSON can hold; NaN and infinities become strings."""
        return _plain({"verdict": self.verdict, **asdict(self)})

    def __str__(self) -> str:
        text = io.StringIO()
        Console(file=text, width=WIDTH, no_color=True, highlight=False).print(self)
        return "\n".join(line.rstrip() for line in text.getvalue().rstrip().splitlines())

    __repr__ = __str__

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        yield Text.assemble(
            (self.verdict.upper(), COLOURS[self.verdict]), f"  derivatives of {self.function}({self.arguments})"
        )
        for finding in self.findings:
            if finding.level != "note" or finding.advice:
                yield _shown(finding)
        if self.comparisons and all(c.status == "right" for c in self.comparisons):
            yield from (_indented(line, 2) for line in self._agreed())
        elif self.comparisons:
            yield Text()
            yield self._compared()
        kept, rest = [], []
        for p in self.properties:
            (kept if p.status == "right" else rest).append(p)
        if kept:
            yield _indented("also: " + ", ".join(dict.fromkeys(p.name for p in kept)), 2, "dim")
        for p in rest:
            if p.status in ("left out", "undecided"):
                yield _indented(f"{p.status}: {p.name} (order {p.order}): {p.note}", 2, "dim")
        for finding in self.findings:
            if finding.level == "note" and not finding.advice:
                yield _indented(f"{finding.kind}: {finding.message}", 2, COLOURS["note"])
        yield Text(
            f"  {self.evaluations} evaluations of the function, {self.derivatives} of its derivatives, {self.seconds:.2g} s",
            style="dim",
        )

    def _agreed(self) -> Iterator[str]:
        for order in dict.fromkeys(c.order for c in self.comparisons):
            some = [c for c in self.comparisons if c.order == order]
            modes = ", ".join(f"{c.mode} {figure(c.error)}" for c in some)
            reference = " and ".join(dict.fromkeys(c.reference for c in some))
            yield f"order {order}: {modes} off the reference ({reference}, good to {figure(max(c.resolution for c in some))})"

    def _compared(self) -> Table:
        table = Table(box=None, padding=(0, 2, 0, 0), show_edge=False, header_style="dim")
        table.add_column("  order", justify="right")
        table.add_column("mode")
        table.add_column("relative error", justify="right")
        table.add_column("reference")
        table.add_column("its own error", justify="right")
        table.add_column("")
        for c in self.comparisons:
            table.add_row(
                str(c.order),
                c.mode,
                figure(c.error),
                c.reference,
                figure(c.resolution),
                Text(c.status, style=COLOURS[c.status]),
            )
        return table


def _shown(finding: Finding) -> RenderableType:
    where = f"order {finding.order}" + (f", {finding.mode}" if finding.mode else "")
    head = Text.assemble(("\n  " + finding.kind, COLOURS[finding.level]), (f"  ({where})", "dim"))
    parts: list[RenderableType] = [head, _indented(finding.message)]
    if finding.entries:
        parts.append(_table(finding.entries))
    if finding.advice:
        parts.append(_indented("→ " + finding.advice))
    return Group(*parts)


def _indented(text: str, by: int = 4, style: str = "") -> RenderableType:
    return Padding(Text(text, style=style), (0, 0, 0, by), expand=False)


def _table(entries: list[Entry]) -> RenderableType:
    table = Table(box=None, padding=(0, 2, 0, 0), show_edge=False, header_style="dim")
    sided = any(e.left is not None for e in entries)
    plain = any(e.left is None for e in entries)
    several = len({e.output for e in entries}) > 1 or entries[0].output != "output"
    columns = [*(["output"] if several else []), "input", "ours", *(["reference", "± its error"] if plain else [])]
    for name in [*columns, *(["left slope", "right slope"] if sided else [])]:
        table.add_column(name, justify="left" if name in ("output", "input") else "right")
    for e in entries:
        row = [e.output] if several else []
        row += [e.input, f"{e.ours:.10g}"]
        row += ["", ""] if plain and e.left is not None else [f"{e.reference:.10g}", figure(e.error)] if plain else []
        row += (
            [f"{e.left:.6g}", f"{e.right:.6g}"]
            if e.left is not None and e.right is not None
            else ["", ""]
            if sided
            else []
        )
        table.add_row(*map(escape, row))
    return Padding(table, (0, 0, 0, 4), expand=False)


def figure(x: float) -> str:
    """Two digits, or what it is instead of a number."""
    return "0" if x == 0 else f"{x:.1e}" if math.isfinite(x) else str(x)


def _plain(x: Any) -> Any:
    if isinstance(x, dict):
        return {str(k): _plain(v) for k, v in x.items()}
    if isinstance(x, (list, tuple)):
        return [_plain(v) for v in x]
    if hasattr(x, "item"):
        x = x.item() if getattr(x, "ndim", 0) == 0 else x.tolist()
        return _plain(x)
    return str(x) if isinstance(x, float) and not math.isfinite(x) else x
