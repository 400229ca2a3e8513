"""Figures that every presentation of the matrix begins with."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

EXECUTED = ("pass", "fail", "undecided", "constant")
DOUBLE = ("float64", "complex128")


class Place(NamedTuple):
    """A cell and where it stands."""

    op: str
    family: str
    mode: str
    dtype: str
    layout: str
    cell: dict[str, Any]

    @property
    def where(self) -> str:
        return f"{self.op}, {self.mode}, {self.dtype}, {self.layout}"


def places(data: dict[str, Any]) -> Iterator[Place]:
    """Every cell of the matrix, op by op."""
    for op in data["ops"]:
        for key, cell in op["cells"].items():
            mode, dtype, layout = key.split("|")
            yield Place(op["name"], op["family"], mode, dtype, layout, cell)


def share(cell: dict[str, Any]) -> float:
    """The error as a fraction of its limit; infinite where a limit of zero is exceeded, NaN where nothing was measured."""
    error, limit = cell.get("error"), cell.get("limit")
    if error is None or limit is None:
        return math.nan
    if limit == 0:
        return 0.0 if error == 0 else math.inf
    return error / limit


@dataclass
class Tally:
    """Some cells of the matrix: how many of each status, and the largest error among those that pass in double precision."""

    counts: Counter[str] = field(default_factory=Counter)
    worst: float | None = None

    def add(self, place: Place) -> None:
        cell = place.cell
        self.counts[cell["status"]] += 1
        error = cell.get("error")
        if cell["status"] == "pass" and place.dtype in DOUBLE and error is not None:
            self.worst = error if self.worst is None else max(self.worst, error)


@dataclass
class Summary:
    """`troubles` are the cells that fail or are undecided; `tightest` is the pass that comes closest to its limit.

    `compiled` counts ops by what they are when compiled for real arrays in double precision (or integers, if they take nothing
    else): "native"; "partly", with host calls in the pullback; "host", run by NumPy or SciPy.
    """

    ops: int
    total: Tally
    families: dict[str, dict[str, Tally]]
    modes: dict[str, Tally]
    sizes: Counter[str]
    troubles: list[Place]
    refusals: Counter[str]
    tightest: Place | None
    compiled: Counter[str] = field(default_factory=Counter)

    @property
    def executed(self) -> int:
        return sum(self.total.counts[s] for s in EXECUTED)

    def present(self, data: dict[str, Any]) -> list[str]:
        """The modes in which anything was executed, in the matrix's order."""
        return [m for m in data["modes"] if m in self.modes and any(self.modes[m].counts[s] for s in EXECUTED)]


def summary(data: dict[str, Any]) -> Summary:
    """One pass over the matrix."""
    found = Summary(len(data["ops"]), Tally(), {}, {}, Counter(), [], Counter(), None)
    for op in data["ops"]:
        found.sizes[op["family"]] += 1
        found.families.setdefault(op["family"], {})
        if kind := compiled(op["cells"]):
            found.compiled[kind] += 1
    for place in places(data):
        status = place.cell["status"]
        row = found.families[place.family]
        for tally in (found.total, row.setdefault(place.mode, Tally()), found.modes.setdefault(place.mode, Tally())):
            tally.add(place)
        if status in ("fail", "undecided"):
            found.troubles.append(place)
        elif status == "refused":
            found.refusals[place.cell.get("reason", "")] += 1
        elif status == "pass" and (found.tightest is None or share(place.cell) > share(found.tightest.cell)):
            found.tightest = place if share(place.cell) > 0 else found.tightest
    found.troubles.sort(key=lambda p: p.cell["status"] != "fail")
    return found


def compiled(cells: dict[str, Any]) -> str:
    """What an op is when it is compiled; empty where no such cell was executed."""
    found = (cells.get(f"jit|{dtype}|contiguous", {}) for dtype in ("float64", "complex128", "integer"))
    return next((cell["compiled"] for cell in found if "compiled" in cell), "")


def grouped(places: Iterable[Place]) -> list[tuple[Place, int]]:
    """The first place of each op and mode, and how many more there are like it."""
    groups: dict[tuple[str, str], list[Place]] = {}
    for place in places:
        groups.setdefault((place.op, place.mode), []).append(place)
    return [(group[0], len(group) - 1) for group in groups.values()]


def counted(number: int, noun: str) -> str:
    """`1 failure`, `1,204 failures`."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def headline(data: dict[str, Any], found: Summary) -> list[str]:
    """The evidence in a few phrases, the most telling first."""
    counts = found.total.counts
    phrases = [
        counted(found.ops, "op"),
        counted(found.executed, "check"),
        counted(counts["fail"], "failure"),
    ]
    if counts["undecided"]:
        phrases.append(f"{counts['undecided']:,} undecided")
    if found.compiled:
        native, partly, host = (found.compiled[kind] for kind in ("native", "partly", "host"))
        phrases.append(f"compiled: {native} ops native, {partly} partly, {host} by host calls")
    if found.tightest is not None:
        phrases.append(f"largest error {percent(share(found.tightest.cell))} of its limit")
    mutants = data.get("mutants")
    if mutants and mutants["tried"]:
        phrases.append(f"{mutants['caught']:,} of {mutants['tried']:,} wrong rules caught")
    return phrases


def provenance(data: dict[str, Any]) -> str:
    """When, with what, and for how long."""
    titles = {"wengert": "wengert", "numpy": "NumPy", "scipy": "SciPy", "python": "Python"}
    versions = ", ".join(f"{titles.get(k, k)} {v}" for k, v in data["versions"].items())
    kind = "A quick run, one sample of each op," if data.get("quick") else "A full run"
    return f"{kind} of {duration(data['seconds'])} on {data['date']}, with {versions}."


def duration(seconds: float) -> str:
    """`48 s`, `5 min 12 s`."""
    whole = round(seconds)
    return f"{whole} s" if whole < 60 else f"{whole // 60} min {whole % 60} s"


def percent(fraction: float) -> str:
    """`90 %`, `0.04 %`."""
    if not math.isfinite(fraction):
        return "∞ %"
    return f"{100 * fraction:.2g} %" if fraction < 0.995 else f"{100 * fraction:.0f} %"


def brief(value: float | None) -> str:
    """A measured number in two digits; nothing for what was not measured."""
    if value is None:
        return ""
    if value == 0:
        return "0"
    return f"{value:.1e}".replace("e-0", "e-").replace("e+0", "e+") if not 0.01 <= abs(value) < 1e4 else f"{value:.3g}"
