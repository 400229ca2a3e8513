"""Lines of two versions of a program that are the same line: by function and text, wherever it has moved to."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Hashable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wengert.profile.footprint.report import Line

ALIKE = 0.7  # of the texts of two lines of one function, for one to count as the other, edited
MOST = 400  # lines that are compared as texts; what is beyond is gone, and new

#: the line before, the line after (None: there is none), and how they were recognised
Pair = tuple["Line | None", "Line | None", str]


def matched(before: Iterable[Line], after: Iterable[Line]) -> list[Pair]:
    """Each line of either once; "same", "moved", "renamed file", "edited", "gone" or "new"."""
    left, right = sorted(set(before), key=_order), sorted(set(after), key=_order)
    pairs: list[Pair] = []
    keys: list[tuple[str, Callable[[Line], Hashable]]] = [
        ("same", lambda line: line),
        ("same", lambda line: (Path(line.file).name, line.function, line.text, line.number)),
        ("moved", lambda line: (Path(line.file).name, line.function, line.text)),
        ("renamed file", lambda line: (line.function, line.text)),
    ]
    for how, key in keys:
        found = list(_equal(left, right, key))
        pairs += [(a, b, how) for a, b in found]
        left, right = _less(left, [a for a, _ in found]), _less(right, [b for _, b in found])
    found = list(_edited(left, right)) if len(left) + len(right) <= MOST else []
    pairs += [(a, b, "edited") for a, b in found]
    left, right = _less(left, [a for a, _ in found]), _less(right, [b for _, b in found])
    return pairs + [(a, None, "gone") for a in left] + [(None, b, "new") for b in right]


def _order(line: Line) -> tuple[str, int, str]:
    return line.file, line.number, line.text


def _less(lines: list[Line], taken: list[Line]) -> list[Line]:
    gone = set(taken)
    return [line for line in lines if line not in gone]


def _equal(left: list[Line], right: list[Line], key: Callable[[Line], Hashable]) -> Iterator[tuple[Line, Line]]:
    """Pairs of equal keys; where several have one key, in the order of the file."""
    places: dict[Hashable, list[Line]] = {}
    for line in right:
        places.setdefault(key(line), []).append(line)
    for line in left:
        # Lines whose text is unknown all look alike: they are matched by their number alone.
        if (line.text or key(line) == line or not line.file) and (found := places.get(key(line))):
            yield line, found.pop(0)


def _edited(left: list[Line], right: list[Line]) -> Iterator[tuple[Line, Line]]:
    """Pairs within one function whose texts are alike, the closest first."""
    close = []
    for a in left:
        for b in right:
            if a.function == b.function and Path(a.file).name == Path(b.file).name and a.text and b.text:
                ratio = difflib.SequenceMatcher(None, a.text, b.text).ratio()
                if ratio >= ALIKE:
                    close.append((ratio, a, b))
    taken: set[tuple[str, Line]] = set()
    for _, a, b in sorted(close, key=lambda item: (-item[0], _order(item[1]), _order(item[2]))):
        if ("a", a) not in taken and ("b", b) not in taken:
            taken |= {("a", a), ("b", b)}
            yield a, b
