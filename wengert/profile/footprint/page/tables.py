"""The tables of the page: advice, residuals, lines, parts, and all that was held."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from wengert.core.sizes import shown
from wengert.profile.footprint import breakdown
from wengert.profile.footprint.recommendation import remedy
from wengert.profile.footprint.terminal import array, counted, place, promise, share

if TYPE_CHECKING:
    from wengert.profile.footprint.advice import Advice
    from wengert.profile.footprint.report import Line, MemoryReport

OPEN = 20  # rows that are shown at once
SIZES = ("bytes", "change", "before", "after")  # titles of columns of numbers
MOST = 500  # rows that are shown at all; what is left out is added up
ADVICE = (
    "What each would save at the peak is estimated from the times at which the arrays were made, last used and freed."
)
RESIDUALS = "Arrays held at the peak because a pullback reads them: which one, and what would free them."
LINES = "Where the bytes at the peak were made, and as what they were held."
HOLDINGS = "All that was held at the peak; arrays that are alike stand in one row."


def advice(found: Sequence[Advice], peak: int) -> str:
    items = []
    for a in found:
        how = f"<pre>{escape(a.how)}</pre>" if a.how else ""
        items.append(
            f'<li class="{a.severity}"><h3>{_code(a.what)} <span class="badge">{a.severity}</span></h3>'
            f'<p>{_code(a.why)}</p><p class="saves">{escape(promise(a, peak))}</p>{how}</li>'
        )
    return f'<ol class="advice">{"".join(items)}</ol>' if items else ""


def _code(said: str) -> str:
    """HTML of a text in which `names` stand between backquotes."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(said))


def residuals(report: MemoryReport, advice: Sequence[Advice] = ()) -> str:
    rows = []
    for group in breakdown.groups(h for h in report.at_peak() if h.role == "residual"):
        like = group.like
        freed = remedy(like, advice)
        free = f"<p class='free'>→ {_code(freed)}</p>" if freed else ""
        cells = [
            _number(shown(group.nbytes)), _bar(group.nbytes, report.peak, "residual"),
            f"{str(group.count) + ' × ' if group.count > 1 else ''}<code>{escape(array(like.shape, like.dtype))}</code>",
            f"<code>{escape(like.op or like.within)}</code>", _line(like.line), f"{escape(like.why)}{free}",
        ]  # fmt: skip
        rows.append((group.nbytes, cells))
    return table(("bytes", "of the peak", "what", "made by", "at", "why it is kept → what would free it"), rows)


def lines(report: MemoryReport) -> str:
    found: dict[Line, list[Any]] = {}
    for h in report.at_peak():
        found.setdefault(h.line, []).append(h)
    rows = []
    for line, holdings in sorted(found.items(), key=lambda item: -sum(h.nbytes for h in item[1])):
        nbytes = sum(h.nbytes for h in holdings)
        sizes: dict[str, int] = {}
        for h in holdings:
            sizes[h.role] = sizes.get(h.role, 0) + h.nbytes
        cells = [_number(shown(nbytes)), _bars(sizes, report.peak), _line(line), escape(counted(holdings))]
        rows.append((nbytes, cells))
    rest = report.peak - breakdown.explained(report)
    if rest > 0:
        said = "within the op, or belonging to no array that was seen"
        rows.append((rest, [_number(shown(rest)), _bar(rest, report.peak, "unexplained"), said, ""]))
    return table(("bytes", "of the peak", "line", "what"), rows)


def parts(report: MemoryReport) -> str:
    if report.peak <= 0:
        return ""
    tables = []
    for title, found in breakdown.parts(report).items():
        rows = []
        for name, nbytes in found.items():
            meaning = escape(breakdown.MEANINGS.get(name, "")) if title == "role" else ""
            role = name if title == "role" else "residual" if title == "op" else "other"
            cells = [
                _number(shown(nbytes)),
                _bar(nbytes, report.peak, role),
                f'<span title="{meaning}">{escape(name)}</span>',
            ]
            rows.append((nbytes, cells))
        tables.append(f"<div>{table(('bytes', 'of the peak', title), rows)}</div>")
    return f'<div class="side">{"".join(tables)}</div>'


def holdings(report: MemoryReport) -> str:
    rows = []
    for group in breakdown.groups(report.at_peak()):
        like = group.like
        cells = [
            _number(shown(group.nbytes)), _bar(group.nbytes, report.peak, like.role), escape(like.role), escape(like.phase),
            f"{str(group.count) + ' × ' if group.count > 1 else ''}<code>{escape(array(like.shape, like.dtype))}</code>",
            f"<code>{escape(like.op or like.within)}</code>", _line(like.line),
        ]  # fmt: skip
        rows.append((group.nbytes, cells))
    return table(("bytes", "of the peak", "role", "phase", "what", "made by", "at"), rows)


# ── a table ───────────────────────────────────────────────────────────────────


def table(titles: Iterable[str], rows: list[tuple[int, list[str]]], rest: bool = True) -> str:
    """HTML of rows (their bytes, their cells as HTML); those beyond the first are folded away, those beyond `MOST` added up."""
    if not rows:
        return ""
    titles = tuple(titles)
    head = "".join((f'<th class="number">{escape(t)}</th>' if t in SIZES else f"<th>{escape(t)}</th>") for t in titles)
    first, more, left = rows[:OPEN], rows[OPEN:MOST], rows[MOST:]
    found = f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{_rows(first)}</tbody></table></div>'
    if more:
        size = shown(sum(size for size, _ in more + left)) if rest else ""
        tail = (
            f"<p>{len(left):,} more rows, of {shown(sum(size for size, _ in left))}, are left out.</p>" if left else ""
        )
        found += (
            f"<details><summary>{len(more) + len(left):,} more{', ' + size if size else ''}</summary>"
            f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{_rows(more)}</tbody></table></div>{tail}</details>'
        )
    return found


def _rows(rows: list[tuple[int, list[str]]]) -> str:
    return "".join(
        "<tr>" + "".join(c if c.startswith("<td") else f"<td>{c}</td>" for c in cells) + "</tr>" for _, cells in rows
    )


def _number(said: str) -> str:
    return f'<td class="number">{escape(said)}</td>'


def _bar(nbytes: int, whole: int, role: str) -> str:
    return _bars({role: nbytes}, whole)


def _bars(sizes: dict[str, int], whole: int) -> str:
    inner = "".join(
        f'<i class="role-{escape(role)}" style="width:{n / max(whole, 1):.2%}" title="{escape(role)}: {shown(n)}"></i>'
        for role, n in sorted(sizes.items(), key=lambda item: -item[1])
    )
    return f'<td class="bar"><span>{inner}</span><small>{share(sum(sizes.values()), whole)}</small></td>'


def _line(line: Line) -> str:
    text = f'<code class="text">{escape(line.text)}</code>' if line.text else ""
    return f'<span title="{escape(line.file)}">{escape(place(line))}</span>{text}'
