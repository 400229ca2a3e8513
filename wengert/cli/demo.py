"""`wengert demo`."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from wengert.demo import digits, lynx_hare

EPOCHS, BATCH = 30, 64


def _progress(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
        TextColumn("{task.fields[note]}"), console=console, transient=False,
    )  # fmt: skip


def run(options: argparse.Namespace) -> int:
    console = Console(stderr=options.json)
    out = Path(options.out)
    out.mkdir(parents=True, exist_ok=True)
    report: dict[str, Any] = {}

    console.rule("[bold]1  Lynx and hare: an ODE in a plain NumPy loop, fitted with scipy.optimize.minimize(jac=…)")
    with _progress(console) as progress:
        task = progress.add_task("evaluations of loss and gradient", total=None, note="")
        fit = lynx_hare.fit(lambda: progress.advance(task))
        progress.update(task, total=fit.evaluations, completed=fit.evaluations)
    table = Table("parameter", "fitted", "∂loss at the start, wengert", "central differences")
    for (name, value), g, d in zip(fit.parameters.items(), fit.gradient, fit.differences, strict=True):
        table.add_row(name, f"{value:.4f}", f"{g:+.10f}", f"{d:+.10f}")
    console.print(table)
    console.print(
        f"loss {fit.start_loss:.4f} → [bold]{fit.loss:.4f}[/] in {fit.evaluations} evaluations;"
        f" gradient check: relative deviation {fit.gradient_error:.1e}"
    )
    report["lynx_hare"] = {
        "parameters": fit.parameters, "loss": fit.loss, "evaluations": fit.evaluations, "gradient_error": fit.gradient_error,
    }  # fmt: skip

    console.rule("[bold]2  Handwritten digits: a 64-64-10 classifier, Adam in NumPy")
    n_train = len(digits.split()[0])
    with _progress(console) as progress:
        task = progress.add_task("training steps", total=EPOCHS * -(-n_train // BATCH), note="")
        trained = digits.train(
            EPOCHS, BATCH, tick=lambda loss: progress.update(task, advance=1, note=f"loss {loss:.3f}")
        )
    console.print(
        f"test accuracy [bold]{trained.test_accuracy:.2%}[/], {trained.seconds:.1f} s for {trained.steps} steps,"
        f" {trained.tape_bytes / 1024:.0f} KiB held by the tape per step"
    )
    report["digits"] = {
        "test_accuracy": trained.test_accuracy, "seconds": trained.seconds, "steps": trained.steps, "tape_bytes": trained.tape_bytes,
    }  # fmt: skip

    files = [lynx_hare.plot(fit, out / "lynx_hare.png"), digits.plot(trained, out / "digits_loss.png")]
    report["files"] = [str(f) for f in files]
    console.rule()
    for file in files:
        console.print(f"wrote [bold]{file}[/]")
    if options.json:
        print(json.dumps(report, indent=1))
    return 0
