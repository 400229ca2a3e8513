"""The comparison with peers, and the table of conventions, for people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from wengert.verify.oracles.peers.conventions_table import TABLE
from wengert.verify.oracles.peers.crosscheck import KINDS, STATUSES, Row, totals

STYLES = {"agrees": "green", "differs, explained": "yellow", "FAILS": "bold red", "no counterpart": "dim"}


def table(rows: Sequence[Row], absent: bool = False) -> Any:
    """A table for a terminal (rich); `absent` shows names without counterpart too."""
    from rich.table import Table

    made = Table(title="Ours and the peers', on the same samples", title_justify="left", caption=summary(rows))
    for heading in ("peer", "name", "status", "samples", *KINDS, "float32", "why"):
        made.add_column(
            heading, justify="right" if heading in (*KINDS, "samples", "float32") else "left", no_wrap=heading == "name"
        )
    for row in sorted(rows, key=lambda r: (r.peer, -STATUSES.index(r.status) % 4, r.name)):
        if row.status != "no counterpart" or absent:
            errors = [f"{row.errors[k]:.0e}" if k in row.errors else "-" for k in KINDS]
            made.add_row(
                row.peer, row.name, row.status, str(row.samples), *errors, f"{row.single:.0e}", row.reason or row.partly,
                style=STYLES[row.status],
            )  # fmt: skip
    return made


def summary(rows: Sequence[Row]) -> str:
    """The totals in words."""
    found = totals(rows)
    parts = [
        f"{peer}: " + ", ".join(f"{counts[s]} {s}" for s in STATUSES if counts[s])
        for peer, counts in sorted(found.by_peer.items())
    ]
    return (
        f"{found.names} ops and names; {found.with_any} have a counterpart in a peer, {found.with_none} in none.\n"
        + "\n".join(parts)
    )


def markdown() -> str:
    """The table of conventions, as docs/conventions.md shows it: differences first."""
    different = ["| where | wengert | JAX | PyTorch | why |", "|---|---|---|---|---|"]
    same = ["| where | derivative |", "|---|---|"]
    for key, (ours, jax, torch, why) in TABLE.items():
        where = key.replace("|", "\\|")
        if why:
            different.append(
                f"| {where} | {_code(ours)} | {_code(jax)} | {_code(torch)} | {why.replace('|', chr(92) + '|')} |"
            )
        else:
            same.append(f"| {where} | {_code(ours)} |")
    return "\n".join(["## Where they differ", "", *different, "", "## Where they agree", "", *same, ""])


def _code(text: str) -> str:
    return "none" if text == "-" else f"`{text}`"
