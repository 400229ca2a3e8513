"""A matrix on a few lines, to keep in a repository: a letter for each cell, a line for each op.

`compact` and `expand` keep statuses, and neither errors nor reasons: enough for `compare` to tell what got worse.
"""

from __future__ import annotations

import json
from typing import Any

LETTERS = {"pass": "p", "constant": "c", "refused": "r", "absent": "a", "undecided": "u", "fail": "F"}
STATUSES = {letter: status for status, letter in LETTERS.items()}


def compact(data: dict[str, Any]) -> str:
    """The matrix as JSON with a line per op and per space of names."""
    keys = list(data["ops"][0]["cells"]) if data["ops"] else []
    ops = {op["name"]: "".join(LETTERS[op["cells"][key]["status"]] for key in keys) for op in data["ops"]}
    names: dict[str, str] = {}
    for row in data.get("names", ()):
        group = f"{row['space']}: {row['status']}"
        names[group] = f"{names[group]} {row['name']}" if group in names else row["name"]
    head = {k: data[k] for k in ("schema", "versions", "date", "quick", "modes", "dtypes", "layouts") if k in data}
    parts = [f'"{k}": {json.dumps(v)}' for k, v in head.items()]
    parts.append(f'"letters": {json.dumps(STATUSES)}')
    parts.append(f'"keys": {json.dumps(keys)}')
    parts.append('"cells": {\n' + ",\n".join(f"  {json.dumps(n)}: {json.dumps(c)}" for n, c in ops.items()) + "\n}")
    parts.append('"names": {\n' + ",\n".join(f"  {json.dumps(g)}: {json.dumps(n)}" for g, n in names.items()) + "\n}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def expand(data: dict[str, Any]) -> dict[str, Any]:
    """The data of schema 1 that `compact` wrote; any other data as they are."""
    if "letters" not in data:
        return data
    cells = {
        name: {key: {"status": data["letters"][c]} for key, c in zip(data["keys"], row, strict=True)}
        for name, row in data["cells"].items()
    }
    names = []
    for group, listed in data["names"].items():
        space, status = group.split(": ")
        names += [{"name": n, "space": space, "status": status, "failures": []} for n in listed.split(" ")]
    found = {k: v for k, v in data.items() if k not in ("letters", "keys", "cells", "names")}
    found["ops"] = [{"name": name, "family": "", "samples": [], "cells": row} for name, row in cells.items()]
    return found | ({"names": names} if names else {})
