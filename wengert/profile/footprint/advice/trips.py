"""The calls of a function, or the trips of a loop, told apart by what they made; and what they would hold as checkpoints."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from wengert.profile.footprint import breakdown

if TYPE_CHECKING:
    from wengert.profile.footprint.report import Holding

NEARLY, LONGEST = 0.95, 400  # of the keys come again; ops in a trip that is looked for
Key = tuple[str, int, str]


def calls(holdings: list[Holding], first: Holding | None = None) -> list[list[Holding]]:
    """The holdings of each call, or trip: a new one begins where the ops begin to come again, or `first`'s does."""
    together: dict[tuple[int, Key], list[Holding]] = {}  # what one op made at once
    for h in sorted(holdings, key=lambda h: h.born):
        together.setdefault((h.born, _key(h)), []).append(h)
    keys = [key for _, key in together]
    head = keys[0] if first is None else _key(first)
    start = keys.index(head)
    keys, made = keys[start:], list(together.values())[start:]
    length = period(keys)
    # The first trip may lack something that the others have: where most of them begin tells.
    offset = Counter(i % length for i, key in enumerate(keys) if key == head).most_common(1)[0][0] if length else 0
    found: list[list[Holding]] = []
    for i, key in enumerate(keys):
        # Calls that differ, by a branch say, have no period: then the op that came first tells.
        begins = i % length == offset if length else key == head and keys[i - 1] != head
        if begins or not i:
            found.append([])
        found[-1] += made[i]
    return found


def period(keys: list[Key]) -> int:
    """The least number of keys after which nearly all come again; 0 if they do not. What is before or after a loop is let pass."""
    for p in range(1, min(len(keys) // 2, LONGEST) + 1):
        if keys[p] == keys[0]:
            again = sum(a == b for a, b in zip(keys, keys[p:]))
            if again >= NEARLY * (len(keys) - p):
                return p
    return 0


def _key(h: Holding) -> Key:
    return h.line.file, h.line.number, h.op


def parted(of: list[list[Holding]]) -> Iterator[tuple[list[Holding], Holding | None]]:
    """Of each call what a checkpoint frees, and its result, which the next call reads; None if that was not kept."""
    usual = Counter(_key(call[-1]) for call in of if len(call) > 1).most_common(1)
    for call in of:
        if len(call) > 1 and _key(call[-1]) == usual[0][0]:
            yield call[:-1], call[-1]
        else:
            yield (call, None) if usual else ([], call[-1])


def cuts(of: list[list[Holding]], length: int) -> Iterator[breakdown.Cut]:
    """What would not be held, and what would be made again, if each of these calls were a checkpoint."""
    for inner, result in parted(of):
        ended = max((h.born for h in (*inner, result) if h is not None), default=0) + 1
        later = [_last_use(h, length) for h in inner if _last_use(h, length) > ended]
        if not later:
            continue
        again = min(later)
        yield from ((ended, again, h.nbytes) for h in inner if _last_use(h, length) > ended)
        # Where the first run's result is still there, the second one's takes its place.
        if result is not None and result.died is not None and result.died <= again:
            yield again, again + 1, -result.nbytes


def _last_use(h: Holding, length: int) -> int:
    return h.used if h.used is not None else (length if h.died is None else h.died) - 1
