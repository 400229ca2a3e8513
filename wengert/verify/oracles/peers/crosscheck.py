"""Every op and name of ours against its counterparts, one row each."""

from __future__ import annotations

import importlib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from wengert.core.errors import MissingExtra
from wengert.verify.oracles.peers.comparison import KINDS, Outcome, compare
from wengert.verify.oracles.peers.explained import explanation
from wengert.verify.oracles.peers.items import Item, items
from wengert.verify.oracles.peers.peer import Peer

STATUSES = ("agrees", "differs, explained", "FAILS", "no counterpart")


@dataclass
class Row:
    """One op or name, with one peer.

    `errors` are the worst relative differences per kind (value, jvp, vjp, hvp) in double precision, `single` the worst in
    single precision. `samples` counts what was compared (a sample in one dtype), `skipped` what the peer could not run,
    each with its reason; `partly` why some kinds of derivative were not compared.
    """

    name: str
    kind: str
    peer: str
    status: str = "no counterpart"
    errors: dict[str, float] = field(default_factory=dict)
    single: float = 0.0
    samples: int = 0
    skipped: list[str] = field(default_factory=list)
    partly: str = ""
    reason: str = ""


def load(label: str) -> Peer:
    """A peer by its name; MissingExtra where it is not installed."""
    return importlib.import_module(f"wengert.verify.oracles.peers.{label}").load()


def cross_check(
    match: str = "",
    peers: Iterable[str] = ("jax", "torch"),
    progress: Callable[[str], None] | None = None,
    *,
    samples: int = 1,
    single: bool = False,
    wanted: Callable[[str], bool] = lambda name: True,
) -> list[Row]:
    """Compare every op and every name that contains `match`, and that is `wanted`.

    samples : of each name, at most; the first that the peer can run
    single : in single precision too

    Peers that are not installed give one row that says so. Cost of everything on one core: PyTorch 8 s; JAX 3 minutes, since each
    sample is compiled; both twice that with `samples=2, single=True`.
    """
    found: list[Row] = []
    for label in peers:
        try:
            peer = load(label)
        except MissingExtra as error:
            found.append(Row("*", "op", label, reason=str(error).splitlines()[0]))
            continue
        for (kind, name), tried in items(match).items():
            if wanted(name):
                if progress is not None:
                    progress(f"{label} {name}")
                found.append(row(kind, name, tried, peer, samples, single))
    return found


def row(kind: str, name: str, tried: Sequence[Item], peer: Peer, samples: int = 1, single: bool = False) -> Row:
    """Compare the first `samples` samples that the peer can run."""
    found = Row(name, kind, peer.label)
    failures: list[str] = []
    done = 0
    for item in tried[: 4 * samples]:
        if done >= samples:
            break
        dtypes = ["float64", *(["complex128"] if item.complex else []), *(["float32"] if single and not done else [])]
        compared = False
        for dtype in dtypes:
            outcome = compare(item, peer, dtype)
            compared |= outcome.compared
            failures += _note(found, item, outcome)
            if not outcome.compared and dtype == "float64":
                break
        done += compared
    if failures:
        why = explanation(peer.label, name)
        found.status, found.reason = ("differs, explained", why) if why else ("FAILS", failures[0])
    elif found.samples:
        found.status = "agrees"
    else:
        found.reason = found.skipped[0] if found.skipped else "no samples"
    return found


def _note(found: Row, item: Item, outcome: Outcome) -> list[str]:
    """Enter one outcome; its failures, as text."""
    if not outcome.compared:
        found.skipped.append(f"{item.sample!r} {outcome.dtype}: {outcome.missing}")
        return []
    found.samples += 1
    found.partly = found.partly or outcome.partly
    for which, error in outcome.errors.items():
        if outcome.dtype in ("float32", "complex64"):
            found.single = max(found.single, error)
        else:
            found.errors[which] = max(found.errors.get(which, 0.0), error)
    verdict = f" (the reference sides with {outcome.verdict})" if outcome.verdict else ""
    return [f"{item.sample!r} {outcome.dtype} {which} {text}{verdict}" for which, text in outcome.failures.items()]


@dataclass(frozen=True)
class Totals:
    """Counts of names: per peer and status, and of those that neither peer has."""

    names: int
    by_peer: dict[str, Counter[str]]
    with_any: int
    with_none: int


def totals(rows: Sequence[Row]) -> Totals:
    """What a set of rows amounts to."""
    every = {(r.kind, r.name) for r in rows if r.name != "*"}
    have = {(r.kind, r.name) for r in rows if r.status in STATUSES[:3]}
    by_peer = {p: Counter(r.status for r in rows if r.peer == p and r.name != "*") for p in {r.peer for r in rows}}
    return Totals(len(every), by_peer, len(have), len(every - have))


__all__ = ["KINDS", "STATUSES", "Row", "Totals", "cross_check", "load", "row", "totals"]
