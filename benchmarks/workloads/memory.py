"""Peak memory of one call, in a process of its own.

    python -m workloads.memory ours|jax|torch NAME    → JSON on stdout: MiB

A small instance of the workload runs first, so that everything lazy is loaded; then the call is compiled ahead of
time where the library can, free memory goes back to the system, and the peak of resident memory is reset. What is
reported is by how much the first call raises it: results and temporaries. Arguments are there before.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from workloads import environment

#: glibc gives every large block back as soon as it is free, in every library alike.
ENVIRONMENT = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536", "MALLOC_TOP_PAD_": "0"}


def resident() -> float:
    return next(
        _mib(line) for line in Path("/proc/self/smaps_rollup").read_text().splitlines() if line.startswith("Rss")
    )


def peak() -> float:
    return next(_mib(line) for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))


def _mib(line: str) -> float:
    return int(line.split()[1]) / 1024


def raised_by(call: Callable[[], Any]) -> float:
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")
    before = resident()
    result = call()
    after = peak()
    del result
    return after - before


def our_call(problem: Any) -> tuple[Callable[[], Any], dict[str, int]]:
    from workloads import libraries

    step = libraries.our_step(problem)
    if not hasattr(step, "lower"):  # nothing is compiled ahead of time
        return libraries.ours(problem), {}
    compiled = step.lower(*problem.args).compile()
    facts = {}
    with contextlib.suppress(AttributeError, NotImplementedError):
        analysis = compiled.memory_analysis()
        facts = {
            k: v for k, v in (analysis if isinstance(analysis, dict) else vars(analysis)).items() if isinstance(v, int)
        }
    return lambda: compiled(*problem.args), facts


def jax_call(problem: Any) -> tuple[Callable[[], Any], dict[str, int]]:
    from workloads import libraries

    jax = libraries.import_jax()
    step, args = libraries.jax_step(problem)
    jax.block_until_ready(args)
    compiled = step.lower(*args).compile()
    analysis = compiled.memory_analysis()
    facts = {"workspace": analysis.temp_size_in_bytes, "outputs": analysis.output_size_in_bytes}
    return lambda: jax.block_until_ready(compiled(*args)), facts


def main() -> None:
    environment.pin(1)
    library, name = sys.argv[1:3]
    from workloads import case, libraries

    chosen = case.case(name)
    small = next(s for s in case.SMALL if s.make is chosen.make)
    if library == "torch":
        import torch

        torch.set_num_threads(1)
        make = lambda problem: (libraries.with_torch(problem), {})
    else:
        make = our_call if library == "ours" else jax_call
    make(small.problem(chosen.dtype))[0]()
    call, facts = make(chosen.problem())
    print(json.dumps({"raised": raised_by(call), **facts}))


if __name__ == "__main__":
    main()
