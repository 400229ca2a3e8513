"""`wengert check`."""

from __future__ import annotations

import argparse
import json

from rich.console import Console

from wengert.verify.checker import target
from wengert.verify.checker.check import check_grads

EXIT = {"right": 0, "wrong": 1, "undecided": 3}


def run(options: argparse.Namespace) -> int:
    found = target.read(
        options.function, args=options.args, kwargs=options.kwargs, shapes=options.shapes, seed=options.seed
    )
    with target.usage(found):
        report = check_grads(
            found.function, *found.args, order=options.order, modes=options.modes.split(","), rtol=options.rtol,
            atol=options.atol, eps=options.eps, method=options.method, rng=options.seed, raise_exception=False, **found.kwargs,
        )  # fmt: skip
    if options.json:
        print(json.dumps(report.to_dict(), indent=1))
    else:
        Console().print(report)
    return EXIT[report.verdict]
