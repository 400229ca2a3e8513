"""`wengert cache`."""

from __future__ import annotations

import argparse
import json

from wengert.runtime.cache import clear, info


def run(options: argparse.Namespace) -> int:
    if options.action == "clear":
        files, nbytes = clear()
        print(
            json.dumps({"files": files, "bytes": nbytes})
            if options.json
            else f"{files} files, {nbytes:,} bytes deleted"
        )
        return 0
    found = info()
    if options.json:
        print(json.dumps(found._asdict()))
        return 0
    print(f"{found.folder}: {found.files} compiled programs, {found.bytes:,} of at most {found.limit:,} bytes")
    if found.problem:
        print(f"not used: {found.problem}")
    return 0
