"""Threads and cores, set before any library is loaded."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

CORES = "BENCHMARK_CORES"
FOLDER = Path(__file__).resolve().parent.parent


def pin(threads: int) -> None:
    """Run on `threads` cores (all the same ones for every library), with pools of that size."""
    if hasattr(os, "sched_setaffinity"):
        # A child inherits one core, and may ask for two: it has to know which there were.
        given = os.environ.setdefault(CORES, ",".join(map(str, sorted(os.sched_getaffinity(0)))))
        os.sched_setaffinity(0, [int(core) for core in given.split(",")][-threads:])
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[variable] = str(threads)
    os.environ["JAX_PLATFORMS"] = "cpu"
    if threads == 1:
        flags = os.environ.get("XLA_FLAGS", "")
        if "multi_thread_eigen" not in flags:
            os.environ["XLA_FLAGS"] = f"{flags} --xla_cpu_multi_thread_eigen=false".strip()
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(threads)


def child(module: str, *args: str, env: dict[str, str] | None = None, timeout: float = 600) -> Any:
    """What `python -m workloads.<module> args` prints as JSON."""
    import json

    path = os.pathsep.join(filter(None, [str(FOLDER), os.environ.get("PYTHONPATH", "")]))
    run = subprocess.run(
        [sys.executable, "-m", f"workloads.{module}", *args],
        capture_output=True,
        text=True,
        timeout=timeout,
        env={**os.environ, "PYTHONPATH": path, **(env or {})},
    )
    if run.returncode:
        raise RuntimeError(f"workloads.{module} {' '.join(args)} failed:\n{run.stderr[-2000:]}")
    return json.loads(run.stdout.splitlines()[-1])
