"""`wengert bench`."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from rich.console import Console

from wengert.profile.statistics.baselines import path_of
from wengert.profile.statistics.benchmark import benchmark
from wengert.profile.statistics.progress import bar
from wengert.profile.statistics.report import BenchmarkReport
from wengert.profile.statistics.variants import variants
from wengert.verify.checker import target


def run(options: argparse.Namespace) -> int:
    found = target.read(
        options.function, args=options.args, kwargs=options.kwargs, shapes=options.shapes, seed=options.seed
    )
    modes = options.modes.split(",")
    first, *others = variants(found.function, modes, options.function.rpartition(":")[2])
    against = dict(others) | {text: target.function(text) for text in options.against}
    with target.usage(found), bar(options.json) as watch:
        report = benchmark(
            first[1], *found.args, against=against, name=first[0], seconds=options.seconds, rounds=options.rounds,
            clock=options.clock, memory=not options.no_memory, threshold=options.threshold, seed=options.seed, progress=watch,
            agree=1e-6 if len(modes) == 1 else None,
            **found.kwargs,
        )  # fmt: skip
    show = Console().print if not options.json else lambda shown: print(json.dumps(shown.to_dict(), indent=1))
    baseline = path_of(options.baseline, options.function) if options.baseline is not None else None
    regressed = False
    if baseline is not None and Path(baseline).exists() and not options.update:
        changes = report.since(BenchmarkReport.load(baseline), threshold=options.threshold, anyway=options.anyway)
        regressed = changes.regressed
        if not options.json:
            show(report)
        show(changes)
    else:
        show(report)
        if baseline is not None:
            report.save(baseline)
            if not options.json:
                print(f"baseline written: {baseline}")
    if options.save:
        report.save(options.save)
    return int(regressed)
