"""The matrix in few bytes, to be carried inside a page.

Cells become columns of equal length, strings become numbers in a table, snippets become lists of line numbers
(they differ in a line or two from each other); measured values keep three digits. The whole is JSON, deflated and
written in base64. 66,000 cells with a snippet each are 21 MB as JSON of schema 1, and below 1 MB here.
"""

from __future__ import annotations

import base64
import json
import math
import zlib
from collections.abc import Mapping
from typing import Any

STATUSES = ("pass", "fail", "undecided", "refused", "constant", "absent")
SECTIONS = ("names", "accuracy", "mutants", "gaps")
HEAD = ("schema", "versions", "date", "quick", "seconds", "snippet")
MEASURED = ("error", "ulp", "limit", "seconds")
WORDS = ("oracle", "reason")


class Table(dict[Any, int]):
    """Numbers things in the order in which they first appear."""

    def number(self, thing: Any) -> int:
        return self.setdefault(thing, len(self))


def encode(data: Mapping[str, Any], **extra: Any) -> str:
    """Base64 of the packed matrix; `extra` is carried along under its own names."""
    text = json.dumps({**pack(data), **extra}, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return base64.b64encode(zlib.compress(text.encode(), 9)).decode("ascii")


def decode(text: str) -> dict[str, Any]:
    """The matrix from what `encode` wrote."""
    return unpack(json.loads(zlib.decompress(base64.b64decode(text))))


def pack(data: Mapping[str, Any]) -> dict[str, Any]:
    """The matrix as columns, of values that JSON knows."""
    strings, lines, snippets = Table({"": 0}), Table(), Table({(): 0})

    def snippet(text: str) -> int:
        return snippets.number(tuple(lines.number(line) for line in text.split("\n")) if text else ())

    modes, dtypes, layouts = (
        Table({k: i for i, k in enumerate(data[axis])}) for axis in ("modes", "dtypes", "layouts")
    )
    columns: dict[str, list[Any]] = {k: [] for k in ("key", *MEASURED, *WORDS, "sample", "snippet")}
    statuses: list[str] = []
    ops = []
    for op in data["ops"]:
        ops.append(
            {
                "name": op["name"],
                "family": op["family"],
                **{k: strings.number(op.get(k) or "") for k in ("constant", "note", "source")},
                "samples": [strings.number(s) for s in op["samples"]],
                "cells": len(op["cells"]),
            }
        )
        for key, cell in op["cells"].items():
            mode, dtype, layout = key.split("|")
            columns["key"].append([modes.number(mode), dtypes.number(dtype), layouts.number(layout)])
            statuses.append(str(STATUSES.index(cell["status"])))
            for k in MEASURED:
                columns[k].append(number(cell.get(k)))
            for k in WORDS:
                columns[k].append(strings.number(cell.get(k) or ""))
            columns["sample"].append(cell.get("sample"))
            columns["snippet"].append(snippet(cell.get("snippet") or ""))
    columns["key"] = [(m * len(dtypes) + d) * len(layouts) + n for m, d, n in columns["key"]]
    return {
        **{k: data[k] for k in HEAD if k in data},
        "modes": list(modes),
        "dtypes": list(dtypes),
        "layouts": list(layouts),
        "ops": ops,
        "cells": {**columns, "status": "".join(statuses)},
        "strings": list(strings),
        "lines": list(lines),
        "snippets": list(snippets),
        **{k: plain(data[k]) for k in SECTIONS if k in data},
    }


def unpack(packed: Mapping[str, Any]) -> dict[str, Any]:
    """Schema 1 again; measured values have three digits."""
    strings, cells = packed["strings"], packed["cells"]
    keys = [f"{m}|{d}|{n}" for m in packed["modes"] for d in packed["dtypes"] for n in packed["layouts"]]

    def snippet(at: int) -> str:
        return "\n".join(packed["lines"][i] for i in packed["snippets"][at])

    def cell(i: int) -> dict[str, Any]:
        return {
            "status": STATUSES[int(cells["status"][i])],
            **{k: value(cells[k][i]) for k in MEASURED},
            **{k: strings[cells[k][i]] for k in WORDS},
            "sample": cells["sample"][i],
            "snippet": snippet(cells["snippet"][i]),
        }

    ops, start = [], 0
    for op in packed["ops"]:
        stop = start + op["cells"]
        ops.append(
            {
                "name": op["name"],
                "family": op["family"],
                **{k: strings[op[k]] for k in ("constant", "note", "source")},
                "samples": [strings[s] for s in op["samples"]],
                "cells": {keys[cells["key"][i]]: cell(i) for i in range(start, stop)},
            }
        )
        start = stop
    kept = {k: packed[k] for k in (*HEAD, "modes", "dtypes", "layouts", *SECTIONS) if k in packed}
    return {**kept, "ops": ops}


def number(x: float | None) -> float | int | str | None:
    """Three digits of a measured value. JSON has no infinity: it travels as the word that `Number()` and `float()` read."""
    if x is None:
        return None
    if not math.isfinite(x):
        return "NaN" if math.isnan(x) else "Infinity" if x > 0 else "-Infinity"
    short = float(f"{x:.3g}")
    return int(short) if short == int(short) and abs(short) < 1e6 else short


def value(x: float | str | None) -> float | None:
    return None if x is None else float(x)


def plain(thing: Any) -> Any:
    """A copy in which numbers are such as JSON knows, in six digits."""
    if isinstance(thing, Mapping):
        return {k: plain(v) for k, v in thing.items()}
    if isinstance(thing, list | tuple):
        return [plain(v) for v in thing]
    if isinstance(thing, float):
        return float(f"{thing:.6g}") if math.isfinite(thing) else number(thing)
    return thing
