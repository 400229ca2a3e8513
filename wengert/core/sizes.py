"""Numbers of bytes as people write them."""

from __future__ import annotations

import re

UNITS = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12}
UNITS |= {"kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40}
_FORM = re.compile(r"\s*([0-9_]*\.?[0-9]+(?:e[+-]?[0-9]+)?)\s*([a-z]*)\s*", re.IGNORECASE)


def bytes_of(size: int | float | str) -> int:
    """The number of bytes that `size` says: an integer, or "64 MiB", "1.5 GB", "300kB"."""
    if isinstance(size, str):
        found = _FORM.fullmatch(size)
        unit = UNITS.get(found[2].lower()) if found else None
        if found is None or unit is None:
            raise ValueError(f"a number of bytes: got {size!r}, want an integer or a text such as '64 MiB' or '1.5 GB'")
        size = float(found[1].replace("_", "")) * unit
    if isinstance(size, bool) or not size >= 0 or size == float("inf"):
        raise ValueError(f"a number of bytes: got {size!r}, want one that is not negative")
    return int(size)


def shown(nbytes: float) -> str:
    """`nbytes` for people: "512 B", "1.5 KiB", "64.0 MiB"."""
    sign, size = ("-", -nbytes) if nbytes < 0 else ("", nbytes)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024 or unit == "GiB":
            return f"{sign}{size:.0f} B" if unit == "B" else f"{sign}{size:.{1 if size < 1000 else 0}f} {unit}"
        size /= 1024
    raise AssertionError
