"""Where the reports are kept that later ones are compared with: one folder for each machine."""

from __future__ import annotations

import re
from pathlib import Path

from wengert.profile.statistics.machine import key, machine

FOLDER = ".wengert/benchmarks"


def path_of(asked: str, name: str) -> Path:
    """The file for the baseline of `name`: `asked`, or if that is empty, the machine's own in `.wengert/benchmarks`."""
    if asked:
        return Path(asked)
    return Path(FOLDER) / key(machine()) / f"{re.sub(r'[^A-Za-z0-9_.-]+', '_', name)}.json"
