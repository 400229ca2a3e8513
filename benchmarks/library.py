"""Library kernels against NumPy and JAX: microseconds, minima of interleaved runs on one thread.

python benchmarks/library.py [name …]
"""

import ctypes
import importlib.util
import os
import sys
import time
from pathlib import Path

os.environ.update(
    OMP_NUM_THREADS="1",
    OPENBLAS_NUM_THREADS="1",
    XLA_FLAGS="--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
)
import numpy as np

from wengert.core.aval import Aval

spec = importlib.util.spec_from_file_location("harness", Path(__file__).parent.parent / "tests/lowering/conftest.py")
harness = importlib.util.module_from_spec(spec)
spec.loader.exec_module(harness)
rng = np.random.default_rng(0)


def ours(op, *arrays, **params):
    """The compiled kernel, called through ctypes (about 0.4 µs a call)."""
    got = op.shape(*[Aval(a.shape, a.dtype) for a in arrays], **params)
    outs = [np.empty(a.shape, a.dtype) for a in (got if op.multi else (got,))]
    call = harness.kernel(op.name, list(arrays), outs, params)
    if call is None:
        return None
    call()
    run, frame = call.run, ctypes.cast(call.frame, ctypes.c_void_p)
    result = lambda: run(frame)
    result.call = call
    return result


def race(functions, seconds=0.25):
    """The minimum of each, in turn."""
    best, inner = {}, {}
    for name, f in functions.items():
        f(), f()
        start = time.perf_counter()
        f()
        inner[name] = max(1, int(2e-4 / max(1e-7, time.perf_counter() - start)))
        best[name] = np.inf
    end = time.perf_counter() + seconds * len(functions)
    while time.perf_counter() < end:
        for name, f in functions.items():
            n = inner[name]
            start = time.perf_counter()
            for _ in range(n):
                f()
            best[name] = min(best[name], (time.perf_counter() - start) / n)
    return best


def show(title, functions, flops=0.0):
    functions = {k: f for k, f in functions.items() if f is not None}
    best = race(functions)
    mine = best.get("ours")
    row = "  ".join(
        f"{k} {t * 1e6:9.2f}" + ("" if k.startswith("ours") or mine is None else f" ({t / mine:5.2f}×)")
        for k, t in best.items()
    )
    print(f"{title:44s} {row}" + (f"  {flops / mine / 1e9:6.1f} GF" if flops and mine else ""), flush=True)


def jitted(f, *arrays):
    import jax

    jax.config.update("jax_enable_x64", True)
    g, xs = jax.jit(f), [jax.numpy.asarray(a) for a in arrays]
    return lambda: jax.block_until_ready(g(*xs))


def normal(*shape, dtype=float):
    return rng.normal(size=shape).astype(dtype)


def contractions():
    from wengert.ops.contract import contract, matmul

    for dtype in (np.float64, np.float32):
        cases = [((n, n), (n, n)) for n in (4, 8, 16, 24, 32, 40, 48, 64, 96, 128, 256, 1024)]
        cases += [((10000, 3, 3), (10000, 3, 3)), ((10000, 4, 4), (10000, 4, 4)), ((5000, 8, 8), (5000, 8, 8)), ((1000, 16, 16), (1000, 16, 16)), ((300, 32, 32), (300, 32, 32)),
                  ((100, 50, 50), (100, 50, 50)), ((100,), (100,)), ((100000,), (100000,)), ((20, 20), (20,)), ((100, 100), (100,)), ((1000, 1000), (1000,)),
                  ((100,), (100, 100)), ((1000,), (1000, 1000)), ((1000, 3), (3, 3)), ((100, 10), (10, 100)), ((32, 784), (784, 100))]  # fmt: skip
        for a, b in cases:
            x, y = normal(*a, dtype=dtype), normal(*b, dtype=dtype)
            out = np.empty((x @ y).shape, dtype)
            flops = 2.0 * out.size * a[-1]
            show(
                f"matmul {a} {b} {np.dtype(dtype).char}",
                {
                    "ours": ours(matmul, x, y),
                    "numpy": lambda: np.matmul(x, y, out=out),
                    "jax": jitted(lambda x, y: x @ y, x, y),
                },
                flops,
            )
        for s, a, b in [("ij,kj->ik", (16, 16), (16, 16)), ("ij,kj->ik", (64, 64), (64, 64)), ("ji,jk->ik", (64, 64), (64, 64)), ("bij,jik->kb", (2, 30, 40), (40, 30, 50)), ("ijb,jkb->ikb", (4, 4, 1000), (4, 4, 1000)),
                        ("bi,bi->b", (1000, 16), (1000, 16)), ("i,j->ij", (300,), (300,)), ("nchw,oc->nohw", (8, 32, 14, 14), (32, 32)), ("bhqd,bhkd->bhqk", (2, 4, 64, 32), (2, 4, 64, 32)), ("bqhd,bkhd->bhqk", (2, 64, 4, 32), (2, 64, 4, 32))]:  # fmt: skip
            x, y = normal(*a, dtype=dtype), normal(*b, dtype=dtype)
            import jax.numpy as jnp

            show(
                f"{s} {a} {np.dtype(dtype).char}",
                {
                    "ours": ours(contract, x, y, subscripts=s),
                    "numpy": lambda: np.einsum(s, x, y, optimize=True),
                    "jax": jitted(lambda x, y: jnp.einsum(s, x, y), x, y),
                },
            )


BENCHMARKS = {"contractions": contractions}

if __name__ == "__main__":
    for name in sys.argv[1:] or BENCHMARKS:
        BENCHMARKS[name]()
