"""Two matrices side by side: what got worse, what got better, what is new.

Only what both executed is compared. But an op that is gone is a regression whatever was executed, and so is a
cell that is gone, unless the newer run is a quick one and the older was not.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from wengert.core.errors import WengertError
from wengert.verify.matrix.summary import brief, counted

GOOD = ("pass", "constant")
NAMES = ("blank", "refused", "constant", "differentiable")  # from worse to better
LISTED = 60
GROWTH = 2.0  # errors and ulps vary from machine to machine; more than that is a change


@dataclass(frozen=True)
class Change:
    """One thing that differs. `part` is ops, names, accuracy or mutants; `where` is empty or a cell's mode, dtype and layout."""

    part: str
    name: str
    where: str
    before: str
    after: str
    why: str = ""


@dataclass
class Comparison:
    """`notes` say what could not be compared, and why."""

    before: str
    after: str
    regressions: list[Change] = field(default_factory=list)
    improvements: list[Change] = field(default_factory=list)
    new: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def regressed(self) -> bool:
        return bool(self.regressions)

    def data(self) -> dict[str, Any]:
        """For JSON."""
        rows = {k: [vars(c) for c in getattr(self, k)] for k in ("regressions", "improvements")}
        return {"before": self.before, "after": self.after, **rows, "new": self.new, "notes": self.notes}

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield Text(f"{self.before}  →  {self.after}", style="dim")
        for title, changes, style in (("worse", self.regressions, "red"), ("better", self.improvements, "green")):
            if changes:
                yield Text(title, style=f"bold {style}")
                yield from _listed(changes, style)
        if self.new:
            shown = ", ".join(self.new[:LISTED]) + (
                f" … and {len(self.new) - LISTED} more" if len(self.new) > LISTED else ""
            )
            yield Text(f"new ops: {shown}")
        for note in self.notes:
            yield Text(note, style="dim")
        if self.regressed:
            yield Text(f"{counted(len(self.regressions), 'regression')}", style="bold red")
        else:
            yield Text(f"no regressions, {counted(len(self.improvements), 'improvement')}", style="bold green")


def compare(old: dict[str, Any], new: dict[str, Any], match: str = "") -> Comparison:
    """What changed from `old` to `new`, both of schema 1; with `match`, among ops whose name contains it and nothing else.

    Raises WengertError for other schemas.
    """
    for which, data in (("old", old), ("new", new)):
        if data.get("schema") != 1:
            raise WengertError(
                f"the {which} matrix has schema {data.get('schema')!r}, want 1",
                fix="write it again with `wengert coverage --json`",
            )
    found = Comparison(_title(old), _title(new))
    _ops(old, new, match, found)
    if match:
        found.notes.append(f"only ops whose name contains {match!r} were compared")
        return found
    for part, compared in (("names", _names), ("accuracy", _accuracy), ("mutants", _mutants)):
        if part in old and part in new:
            compared(old, new, found)
        elif part in old:
            found.notes.append(f"{part}: not compared, since the newer matrix does not have them")
    return found


def _title(data: dict[str, Any]) -> str:
    versions = ", ".join(f"{k} {v}" for k, v in data.get("versions", {}).items())
    return f"{data.get('date', '?')}{' (quick)' if data.get('quick') else ''}, {versions}"


def _ops(old: dict[str, Any], new: dict[str, Any], match: str, found: Comparison) -> None:
    before = {op["name"]: op for op in old["ops"] if match in op["name"]}
    after = {op["name"]: op for op in new["ops"] if match in op["name"]}
    partial = bool(new.get("quick")) and not old.get("quick")
    left_out = 0
    for name, op in before.items():
        if name not in after:
            found.regressions.append(Change("ops", name, "", _counted_cells(op), "gone", "the op is missing"))
            continue
        for key, cell in op["cells"].items():
            now = after[name]["cells"].get(key)
            if now is not None:
                _cell(name, key, cell, now, found)
            elif partial or cell["status"] not in (*GOOD, "undecided", "fail"):
                left_out += 1
            else:
                why = "the cell is missing, though the mode, dtype or layout was executed before"
                found.regressions.append(Change("ops", name, _where(key), cell["status"], "gone", why))
    for name, op in after.items():
        if name not in before:
            found.new.append(name)
        known = before.get(name, {"cells": {}})["cells"]
        for key, cell in op["cells"].items():
            if key not in known and cell["status"] == "fail":
                found.regressions.append(
                    Change("ops", name, _where(key), "not executed", "fail", cell.get("reason", ""))
                )
    if left_out:
        found.notes.append(
            f"{left_out:,} cells of the older matrix were not executed in the newer one, and not compared"
        )


def _cell(name: str, key: str, before: dict[str, Any], after: dict[str, Any], found: Comparison) -> None:
    was, now = before["status"], after["status"]
    change = Change("ops", name, _where(key), was, now, after.get("reason", ""))
    if was == now:
        if was == "pass" and (grown := _grown(before, after)):
            found.regressions.append(grown_change(change, before, after, grown))
    elif now == "fail" or (was in GOOD and now not in GOOD):
        found.regressions.append(change)
    elif was == "pass" and now == "constant":
        found.regressions.append(Change(*_but(change), "a derivative was there, and now it is declared zero"))
    elif now in GOOD:
        found.improvements.append(change)


def _grown(before: dict[str, Any], after: dict[str, Any]) -> str:
    """Why a pass is none any more, measured by the limit that held before: a limit can be widened to hide an error."""
    error, limit, was = after.get("error"), before.get("limit"), before.get("error")
    if error is None or limit is None or was is None or math.isnan(error):
        return ""
    if error > limit and error > GROWTH * was:
        return f"the limit was {brief(limit)}, and is {brief(after.get('limit'))} now" + (
            "" if before.get("sample") == after.get("sample") else "; the samples differ"
        )
    return ""


def grown_change(change: Change, before: dict[str, Any], after: dict[str, Any], why: str) -> Change:
    return Change(
        change.part, change.name, change.where, f"error {brief(before['error'])}", f"error {brief(after['error'])}", why
    )


def _but(change: Change) -> tuple[str, str, str, str, str]:
    return change.part, change.name, change.where, change.before, change.after


def _where(key: str) -> str:
    return key.replace("|", ", ")


def _counted_cells(op: dict[str, Any]) -> str:
    counts = Counter(c["status"] for c in op["cells"].values())
    return ", ".join(f"{n} {status}" for status, n in counts.most_common()) or "no cells"


def _names(old: dict[str, Any], new: dict[str, Any], found: Comparison) -> None:
    after = {(n["space"], n["name"]): n for n in new["names"]}
    for n in old["names"]:
        label = f"{n['space']}: {n['name']}"
        now = after.get((n["space"], n["name"]))
        if now is None:
            package = _updated(n["space"], old, new)
            if package:
                found.notes.append(f"{label} is gone, with {package}")
            else:
                found.regressions.append(Change("names", label, "", n["status"], "gone", "the name is missing"))
            continue
        change = Change("names", label, "", n["status"], now["status"], now.get("reason", ""))
        step = NAMES.index(now["status"]) - NAMES.index(n["status"])
        if step:
            (found.improvements if step > 0 else found.regressions).append(change)
        failures, failed = now.get("failures") or [], n.get("failures") or []
        if failures and not failed:
            found.regressions.append(Change("names", label, "", "examples pass", "examples fail", "; ".join(failures)))
        elif failed and not failures:
            found.improvements.append(Change("names", label, "", "examples fail", "examples pass"))


def _updated(space: str, old: dict[str, Any], new: dict[str, Any]) -> str:
    """`NumPy 2.4 in place of 2.3`, if the package that a name belongs to is another one now."""
    package = "scipy" if space.startswith("scipy") else "numpy"
    was, now = old.get("versions", {}).get(package), new.get("versions", {}).get(package)
    return "" if was == now else f"{package} {now} in place of {was}"


def _accuracy(old: dict[str, Any], new: dict[str, Any], found: Comparison) -> None:
    after = {(a["name"], a["parameter"]): a for a in new["accuracy"]}
    partial = bool(new.get("quick")) and not old.get("quick")
    for a in old["accuracy"]:
        now = after.get((a["name"], a["parameter"]))
        label, was = f"{a['name']}, argument {a['parameter']}", a["worst_ulp"]
        if now is None:
            if not partial:
                found.regressions.append(
                    Change("accuracy", label, "", f"{brief(was)} ulp", "gone", "it is measured no more")
                )
            continue
        bound, ulp = min(a["bound"], now["bound"]), now["worst_ulp"]
        change = Change("accuracy", label, "", f"{brief(was)} ulp", f"{brief(ulp)} ulp", f"bound {brief(bound)} ulp")
        if not ulp <= bound and not ulp <= GROWTH * was:
            found.regressions.append(change)
        elif was > bound and ulp <= bound:
            found.improvements.append(change)


def _mutants(old: dict[str, Any], new: dict[str, Any], found: Comparison) -> None:
    for kind, (caught, tried) in _kinds(old):
        now = dict(_kinds(new)).get(kind)
        if now is None:
            found.regressions.append(Change("mutants", kind, "", f"{caught} of {tried}", "gone", "it is tried no more"))
            continue
        was, rate = caught / max(tried, 1), now[0] / max(now[1], 1)
        change = Change(
            "mutants", kind, "", f"{caught} of {tried} caught", f"{now[0]} of {now[1]} caught", _survivors(new, kind)
        )
        if rate != was:
            (found.regressions if rate < was else found.improvements).append(change)


def _kinds(data: dict[str, Any]) -> Iterator[tuple[str, tuple[int, int]]]:
    mutants = data["mutants"]
    yield "all", (mutants["caught"], mutants["tried"])
    yield from ((kind, (caught, tried)) for kind, (caught, tried) in mutants["kinds"].items())


def _survivors(data: dict[str, Any], kind: str) -> str:
    ops = sorted({s["op"] for s in data["mutants"].get("survivors", ()) if kind in ("all", s["kind"])})
    return f"not caught in {', '.join(ops[:6])}{' …' if len(ops) > 6 else ''}" if ops else ""


def _listed(changes: Iterable[Change], style: str) -> Iterator[Text]:
    """One line per op and kind of change, with the cells in which it happened."""
    grouped: defaultdict[tuple[str, ...], list[Change]] = defaultdict(list)
    for c in changes:
        grouped[c.part, c.name, c.before if not c.where else c.before.split()[0], c.after.split()[0], c.why].append(c)
    for n, group in enumerate(grouped.values()):
        if n == LISTED:
            rest = sum(len(g) for g in list(grouped.values())[LISTED:])
            yield Text(f"  … and {rest:,} more", style="dim")
            return
        first = group[0]
        line = Text("  ").append(first.name, "bold").append(f"  {first.before} → {first.after}", style)
        if first.where:
            line.append(f"  {first.where}" + (f" and {counted(len(group) - 1, 'more cell')}" if len(group) > 1 else ""))
        if first.why:
            line.append(f"  {first.why}", "dim")
        yield line
