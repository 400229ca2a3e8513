"""Compile times: the first call of value-and-gradient on each of the programs, in a process of its own.

    python -m workloads.cold ours|jax wall|cpu [FOLDER]    → JSON on stdout

The library is loaded and has compiled one trivial function before the clock starts; its caches are cleared before
each program. FOLDER: the disk cache to use (a second process then finds what the first has left); none without.
Of ours, also what it took until the code was compiled as far as it will be, with the few calls that brings about.
"""

from __future__ import annotations

import functools
import json
import sys
import time
from typing import Any

from workloads import environment
from workloads.libraries import settle
from workloads.programs import PROGRAMS, argument


def our_compiler(folder: str | None) -> tuple[Any, Any, Any]:
    import wengert as wg

    if hasattr(wg.config, "disk_cache"):
        wg.config.disk_cache, wg.config.cache_dir = folder is not None, folder
    compiler = getattr(wg, "jit", lambda f: f)
    clear = getattr(getattr(wg, "jit", None), "clear_caches", lambda: None)
    return lambda f: compiler(wg.value_and_grad(f)), clear, __import__("numpy")


def jax_compiler(folder: str | None) -> tuple[Any, Any, Any]:
    from workloads.libraries import import_jax

    jax = import_jax()
    if folder:
        jax.config.update("jax_compilation_cache_dir", folder)
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
        jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)

    def compiler(f):
        step = jax.jit(jax.value_and_grad(f))
        return lambda x: jax.block_until_ready(step(x))

    return compiler, jax.clear_caches, jax.numpy


def main() -> None:
    environment.pin(1)
    library, folder = sys.argv[1], sys.argv[3] if len(sys.argv) > 3 else None
    now = time.perf_counter if sys.argv[2] == "wall" else time.process_time
    compiler, clear, namespace = (our_compiler if library == "ours" else jax_compiler)(folder)
    start = now()
    compiler(lambda x: namespace.sum(x * x))(namespace.ones(3))
    seconds = {"first function of the process": now() - start}
    for name, (make, _) in PROGRAMS.items():
        clear()
        x = namespace.asarray(argument(name))
        step = compiler(make(namespace))
        start = now()
        value, gradient = step(x)
        seconds[name] = now() - start
        if library == "ours":
            settle(functools.partial(step, x))
            seconds[f"{name}: full tier"] = now() - start
        seconds[f"{name}: value"] = float(value)
        seconds[f"{name}: gradient"] = float(namespace.sum(gradient * namespace.cos(namespace.arange(len(x)))))
    print(json.dumps(seconds))


if __name__ == "__main__":
    main()
