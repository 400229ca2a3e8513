"""What a benchmark found: rows, comparisons with the first of them, and comparisons with an earlier report."""

from __future__ import annotations

import io
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from wengert.core.errors import WengertError
from wengert.core.sizes import shown
from wengert.profile.statistics.estimates import Comparison, Estimate, compare
from wengert.profile.statistics.machine import differences

SCHEMA = 1
Severity = Literal["better", "none", "minor", "major", "severe", "undecided"]
ORDER: tuple[Severity, ...] = ("severe", "major", "minor", "undecided", "none", "better")
MAJOR, SEVERE = 1.1, 1.5  # how many times slower that is


@dataclass
class Row:
    """One function.

    times : seconds of one call, by the report's clock, of each round after the warm-up
    warmup : rounds before these that were left out; `steady` says whether times had settled then
    minimum, median, mad : of `times`; the median with its interval, and the median absolute deviation from it
    first : seconds of the first call; `compiling`: of which wengert took this long to make machine code
    peak : bytes that one call held at most, beyond its arguments; None if not measured
    """

    name: str
    times: list[float]
    loops: int
    warmup: int
    steady: bool
    median: Estimate
    minimum: float
    mad: float
    outliers: int
    first: float
    compiling: float = 0.0
    peak: int | None = None


@dataclass
class BenchmarkReport:
    """See `wg.benchmark`. `comparisons` are of the first function with each of the others."""

    name: str
    clock: str
    rows: list[Row]
    comparisons: dict[str, Comparison]
    machine: dict[str, Any]
    date: str
    notes: list[str] = field(default_factory=list)

    def row(self, name: str) -> Row:
        return next(row for row in self.rows if row.name == name)

    # ── as data ───────────────────────────────────────────────────────────────

    def to_dict(self) -> dict[str, Any]:
        return {"schema": SCHEMA, **asdict(self)}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> BenchmarkReport:
        data = dict(data)
        if (schema := data.pop("schema", None)) != SCHEMA:
            raise ValueError(
                f"a benchmark report: got schema {schema!r}, want {SCHEMA}: measure again with this version"
            )
        data["rows"] = [Row(**{**row, "median": Estimate(**row["median"])}) for row in data["rows"]]
        data["comparisons"] = {
            name: Comparison(**{**c, "ratio": Estimate(**c["ratio"])}) for name, c in data["comparisons"].items()
        }
        return cls(**data)

    def save(self, path: str | Path) -> None:
        """Write it as JSON; folders are made."""
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text(json.dumps(self.to_dict()), encoding="utf-8")

    @classmethod
    def load(cls, path: str | Path) -> BenchmarkReport:
        """What `save` wrote."""
        return cls.from_dict(json.loads(Path(path).read_text(encoding="utf-8")))

    # ── against an earlier one ────────────────────────────────────────────────

    def since(self, before: BenchmarkReport, *, threshold: float = 0.05, anyway: bool = False) -> Changes:
        """How the functions of both reports have changed. Raises if they come from machines that differ, unless `anyway`."""
        differ = differences(before.machine, self.machine)
        if before.clock != self.clock:
            differ.append(f"clock: {before.clock!r} and {self.clock!r}")
        if differ and not anyway:
            raise WengertError(
                "comparison with a baseline",
                got=f"measurements that differ in {'; '.join(differ)}",
                want="both from one machine, with the same versions",
                fix="measure the baseline here and now, or compare anyway (anyway=True, --anyway)",
            )
        rng = np.random.default_rng(0)
        known = {row.name: row for row in before.rows}
        changes = [_change(known[row.name], row, rng, threshold) for row in self.rows if row.name in known]
        missing = [
            f"{name} was measured then, and not now" for name in known if name not in {r.name for r in self.rows}
        ]
        return Changes(self.name, changes, threshold, [*missing, *differ])

    # ── for people ────────────────────────────────────────────────────────────

    def __str__(self) -> str:
        return _rendered(self)

    def __rich__(self) -> Any:
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        table = Table(title=self.name, title_justify="left", title_style="bold", box=None, pad_edge=False)
        for heading in ("", "median", "minimum", "first call", "peak", "× the first"):
            table.add_column(heading, justify="right" if heading else "left", no_wrap=bool(heading))
        for row in self.rows:
            table.add_row(
                row.name,
                f"{time_shown(row.median.value)} ± {100 * row.median.spread:.1f} %",
                time_shown(row.minimum),
                time_shown(row.first),
                "" if row.peak is None else shown(row.peak),
                _ratio(self.comparisons.get(row.name)),
            )
        remarks = [
            f"{row.name}: {text}" for row in self.rows if (text := _remarks(row, self.comparisons.get(row.name)))
        ]
        notes = [f"note: {note}" for note in self.notes]
        return Group(table, *(Text(line, style="dim") for line in (*remarks, *notes)))


def _ratio(c: Comparison | None) -> str:
    """The first function's time over this one's, turned round so that it reads as what this one is."""
    return "" if c is None else f"{1 / c.ratio.value:.3g} [{1 / c.ratio.high:.3g}, {1 / c.ratio.low:.3g}] {_turned(c)}"


def _turned(c: Comparison) -> str:
    return {"faster": "slower", "slower": "faster"}.get(c.verdict, c.verdict)


def _p(p: float) -> str:
    return "< 1e-16" if p < 1e-16 else f"{p:.1g}"


def _remarks(row: Row, c: Comparison | None) -> str:
    remarks = []
    if c is not None:
        remarks.append(f"p {_p(c.p)}, δ {-c.effect:+.2f}")
    if row.compiling:
        remarks.append(f"compiling took {time_shown(row.compiling)} of the first call")
    if row.warmup:
        remarks.append(f"{row.warmup} rounds of warm-up left out")
    if not row.steady:
        remarks.append("not steady")
    if row.outliers:
        remarks.append(f"{row.outliers} of {len(row.times)} samples are outliers")
    return "; ".join(remarks)


@dataclass
class Change:
    """One function, now against before. `ratio` above 1 is slower now."""

    name: str
    before: float
    now: float
    comparison: Comparison
    severity: Severity
    peak_before: int | None = None
    peak_now: int | None = None


@dataclass
class Changes:
    """A regression report: what became slower, by how much, and how sure that is."""

    name: str
    changes: list[Change]
    threshold: float
    notes: list[str] = field(default_factory=list)

    @property
    def worst(self) -> Severity:
        worst: Severity = "better" if self.changes else "none"
        for change in self.changes:
            if ORDER.index(change.severity) < ORDER.index(worst):
                worst = change.severity
        return worst

    @property
    def regressed(self) -> bool:
        """Whether anything is slower than before by more than the threshold, for sure."""
        return self.worst in ("severe", "major", "minor")

    def to_dict(self) -> dict[str, Any]:
        return {"schema": SCHEMA, "worst": self.worst, **asdict(self)}

    def __str__(self) -> str:
        return _rendered(self)

    def __rich__(self) -> Any:
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        table = Table(title=f"{self.name}: since the baseline", title_justify="left", box=None, pad_edge=False)
        for heading in ("", "before", "now", "now / before", "p", "δ", "peak", "severity"):
            table.add_column(heading, justify="right" if heading else "left")
        colour = {"severe": "bold red", "major": "red", "minor": "yellow", "better": "green"}
        for c in self.changes:
            r = c.comparison.ratio
            peak = (
                "" if None in (c.peak_before, c.peak_now) else f"{shown(c.peak_before or 0)} → {shown(c.peak_now or 0)}"
            )
            table.add_row(
                c.name,
                time_shown(c.before),
                time_shown(c.now),
                f"{r.value:.3g} [{r.low:.3g}, {r.high:.3g}]",
                _p(c.comparison.p),
                f"{c.comparison.effect:+.2f}",
                peak,
                Text(c.severity, style=colour.get(c.severity, "")),
            )
        return Group(table, *(Text(f"note: {note}", style="dim") for note in self.notes))


def _change(before: Row, now: Row, rng: np.random.Generator, threshold: float) -> Change:
    found = compare(np.array(now.times), np.array(before.times), rng, paired=False, threshold=threshold)
    return Change(
        now.name, before.median.value, now.median.value, found, _severity(found), before.peak, now.peak
    )  # fmt: skip


def _severity(found: Comparison) -> Severity:
    slower = found.ratio.value
    match found.verdict:
        case "slower":
            return "severe" if slower > SEVERE else "major" if slower > MAJOR else "minor"
        case "faster":
            return "better"
        case "same":
            return "none"
        case _:
            return "undecided"


def time_shown(seconds: float) -> str:
    """Seconds for people: three digits and a unit."""
    for least, unit in ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs")):
        if seconds >= least:
            return f"{seconds / least:.3g} {unit}"
    return f"{seconds * 1e9:.3g} ns"


def _rendered(report: Any) -> str:
    from rich.console import Console

    text = io.StringIO()
    Console(file=text, width=180).print(report)
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines())
