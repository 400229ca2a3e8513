"""The matrix as Markdown, of a length for the documentation: figures, tables by family, and whatever is not a pass."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from wengert.verify.matrix import wording
from wengert.verify.matrix.summary import (
    EXECUTED,
    Place,
    Summary,
    Tally,
    brief,
    counted,
    grouped,
    headline,
    provenance,
    summary,
)

LISTED = 40  # rows of a table that could grow without end; what is left out is counted


def markdown(data: dict[str, Any]) -> str:
    """A page for a matrix of schema 1."""
    found = summary(data)
    parts = [
        "# Coverage matrix",
        "**" + " · ".join(headline(data, found)) + "**",
        provenance(data),
        *_families(data, found),
        *_troubles(found),
        *_refusals(found),
        *_names(data.get("names") or []),
        *_accuracy(data.get("accuracy") or []),
        *_mutants(data.get("mutants")),
        *_gaps(data.get("gaps") or []),
    ]
    return "\n\n".join(parts) + "\n"


def cell(text: Any) -> str:
    """Text that leaves a table whole."""
    return str(text).replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")


def table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A pipe table; a heading that begins with # is of a column of numbers."""
    lines = ["| " + " | ".join(h.lstrip("#") for h in head) + " |"]
    lines.append("|" + "|".join("---:" if h.startswith("#") else "---" for h in head) + "|")
    lines += ["| " + " | ".join(cell(c) for c in row) + " |" for row in rows]
    return "\n".join(lines)


def _rest(shown: int, total: int) -> list[str]:
    return [f"… and {total - shown:,} more."] if total > shown else []


def _families(data: dict[str, Any], found: Summary) -> list[str]:
    modes = found.present(data)
    rows = [[family, found.sizes[family], *(_tally(of.get(m)) for m in modes)] for family, of in found.families.items()]
    rows.append(["all", found.ops, *(_tally(found.modes.get(m)) for m in modes)])
    meanings = [f"- *{m}*: {wording.MODES.get(m, '')}" for m in modes]
    absent = [m for m in data["modes"] if m not in modes]
    return [
        "## Families and modes",
        f"Calls that pass, over {', '.join(data['dtypes'])} and {', '.join(data['layouts'])} arguments, and the largest error"
        " among those in double precision. × fails, ? is undecided, ○ is piecewise constant (derivative zero, and checked to be),"
        " – is refused.",
        table(["family", "#ops", *modes], rows),
        "\n".join(meanings),
        *([f"Nothing was executed in: {', '.join(absent)}."] if absent else []),
    ]


def _tally(tally: Tally | None) -> str:
    if tally is None:
        return ""
    counts = tally.counts
    parts = [f"{counts['pass']:,}"] if counts["pass"] else []
    parts += [f"**{counts['fail']} ×**"] if counts["fail"] else []
    parts += [f"{counts[s]:,} {mark}" for s, mark in (("undecided", "?"), ("constant", "○")) if counts[s]]
    parts += ["–"] if counts["refused"] and not any(counts[s] for s in EXECUTED) else []
    return " ".join(parts) + (f", {brief(tally.worst)}" if tally.worst is not None else "")


def _troubles(found: Summary) -> list[str]:
    failures = [p for p in found.troubles if p.cell["status"] == "fail"]
    undecided = [p for p in found.troubles if p.cell["status"] == "undecided"]
    parts = ["## Failures"]
    parts += _places(failures) if failures else ["None."]
    if undecided:
        parts += ["## Undecided", wording.STATUSES["undecided"], *_places(undecided)]
    return parts


def _places(places: list[Place]) -> list[str]:
    groups = grouped(places)
    rows = [
        [
            f"`{p.op}`",
            p.mode,
            f"{p.dtype}, {p.layout}" + (f", and {more} more" if more else ""),
            brief(p.cell.get("error")),
            brief(p.cell.get("limit")),
            p.cell.get("reason", ""),
        ]
        for p, more in groups[:LISTED]
    ]
    return [table(["op", "mode", "where", "#error", "#limit", "why"], rows), *_rest(len(rows), len(groups))]


def _refusals(found: Summary) -> list[str]:
    if not found.refusals:
        return []
    common = found.refusals.most_common(LISTED)
    left = sum(found.refusals.values()) - sum(n for _, n in common)
    return [
        "## Refused, or no such call",
        f"{counted(sum(found.refusals.values()), 'cell')} for {counted(len(found.refusals), 'reason')}.",
        table(["#cells", "reason"], [[f"{n:,}", reason or "no reason was recorded"] for reason, n in common]),
        *([f"… and {left:,} cells for {len(found.refusals) - len(common):,} other reasons."] if left else []),
    ]


def _names(names: list[dict[str, Any]]) -> list[str]:
    if not names:
        return []
    counts = Counter((n["space"], n["status"]) for n in names)
    kinds = [k for k in wording.NAMES if any(status == k for _, status in counts)]
    spaces = list(dict.fromkeys(n["space"] for n in names))
    rows = [[space, *(counts[space, k] or "" for k in kinds)] for space in spaces]
    failing = [n for n in names if n.get("failures")]
    parts = [
        "## Names",
        f"What becomes of {len(names):,} public names.",
        table(["where", *("#" + k for k in kinds)], rows),
    ]
    if failing:
        shown = [[f"`{n['name']}`", n["space"], "; ".join(n["failures"])] for n in failing[:LISTED]]
        parts += [
            f"{counted(len(failing), 'name')} with a failing example:",
            table(["name", "where", "what fails"], shown),
        ]
        parts += _rest(len(shown), len(failing))
    return parts


def _accuracy(rows: list[dict[str, Any]]) -> list[str]:
    if not rows:
        return []
    over = [a for a in rows if a["worst_ulp"] > a["bound"]]
    ranked = sorted(rows, key=lambda a: -a["worst_ulp"] / a["bound"])
    body = [
        [
            f"`{a['name']}`",
            a["parameter"],
            brief(a["median_ulp"]),
            brief(a["worst_ulp"]),
            brief(a["bound"]),
            ", ".join(brief(x) if isinstance(x, int | float) else str(x) for x in a.get("where") or ()),
            a["points"],
            a.get("note", ""),
        ]
        for a in ranked[:LISTED]
    ]
    return [
        "## Accuracy of special functions",
        f"Derivatives against mpmath, in ulp: {len(rows):,} functions and arguments,"
        f" {sum(a['points'] for a in rows):,} points, {len(over)} over their bound. Closest to the bound first.",
        table(["function", "#argument", "#median", "#worst", "#bound", "worst at", "#points", "note"], body),
        *_rest(len(body), len(rows)),
    ]


def _mutants(mutants: dict[str, Any] | None) -> list[str]:
    if not mutants:
        return []
    kinds = [[kind, caught, tried] for kind, (caught, tried) in mutants["kinds"].items()]
    survivors = [[f"`{s['op']}`", s["kind"], s.get("why", "")] for s in mutants.get("survivors", ())]
    return [
        "## Wrong rules",
        f"Rules made wrong on purpose, to see that the checks notice: {mutants['caught']:,} of {mutants['tried']:,} caught,"
        f" over {counted(mutants['seeds'], 'seed')}.",
        table(["what was made wrong", "#caught", "#tried"], kinds),
        *(["Not caught:", table(["op", "what was made wrong", "why"], survivors)] if survivors else []),
    ]


def _gaps(gaps: list[dict[str, Any]]) -> list[str]:
    if not gaps:
        return []
    places = list(dict.fromkeys(place for g in gaps for place in g.get("by", {})))
    rows = [
        [
            f"`{g['name']}`",
            g["space"],
            g["uses"],
            *(g.get("by", {}).get(p, 0) for p in places),
            g["status"],
            g["reason"],
        ]
        for g in gaps[:LISTED]
    ]
    return [
        "## Gaps",
        "Names without a derivative, by how often real code calls them.",
        table(["name", "where", "#calls", *(f"#in {p}" for p in places), "status", "reason"], rows),
        *_rest(len(rows), len(gaps)),
    ]
