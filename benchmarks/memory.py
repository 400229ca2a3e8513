"""Memory, measured: budgets of compiled programs, loops of a million steps, what eager tapes hold, what profilers cost.

    python benchmarks/memory.py [--quick] [--only FAMILY]...

Each family is a script of its own in benchmarks/memory/, which says what it measures, how, and what its bars are; it runs in a
process of its own. With --quick those that know it are given it.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent / "memory"
FAMILIES = ("budgets", "loops", "eager", "profilers", "predictions")
QUICK = {"budgets"}  # those that know --quick


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer points, fewer rounds")
    parser.add_argument("--only", action="append", default=[], choices=FAMILIES)
    asked = parser.parse_args()
    failed = 0
    for name in FAMILIES:
        script = FOLDER / f"{name}.py"
        if (asked.only and name not in asked.only) or not script.exists():
            continue
        print(f"── {name} ──", flush=True)
        failed |= subprocess.run(
            [sys.executable, str(script), *(["--quick"] if asked.quick and name in QUICK else [])]
        ).returncode
    return failed


if __name__ == "__main__":
    sys.exit(main())
