"""Library kernels against NumPy and JAX: microseconds, minima of interleaved runs on one thread.

python benchmarks/library.py [name …]
"""

import ctypes
import functools
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


def race(functions, seconds=0.12):
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


def product(dtype, a, b):
    from wengert.ops.contract import matmul

    x, y = normal(*a, dtype=dtype), normal(*b, dtype=dtype)
    out = np.empty((x @ y).shape, dtype)
    race_of = {
        "ours": ours(matmul, x, y),
        "numpy": lambda: np.matmul(x, y, out=out),
        "jax": jitted(lambda x, y: x @ y, x, y),
    }
    show(f"matmul {a} {b} {np.dtype(dtype).char}", race_of, 2.0 * out.size * a[-1])


def einsum(dtype, s, a, b):
    import jax.numpy as jnp

    from wengert.ops.contract import contract

    x, y = normal(*a, dtype=dtype), normal(*b, dtype=dtype)
    race_of = {
        "ours": ours(contract, x, y, subscripts=s),
        "numpy": lambda: np.einsum(s, x, y, optimize=True),
        "jax": jitted(lambda x, y: jnp.einsum(s, x, y), x, y),
    }
    show(f"{s} {a} {np.dtype(dtype).char}", race_of)


def contractions():
    for dtype in (np.float64, np.float32):
        for n in (4, 8, 16, 32, 48, 64, 96, 128, 256, 1024):
            product(dtype, (n, n), (n, n))
        for count, n in ((10000, 3), (10000, 4), (5000, 8), (1000, 16), (300, 32), (100, 50)):
            product(dtype, (count, n, n), (count, n, n))
        for a, b in [
            ((100,), (100,)),
            ((100000,), (100000,)),
            ((20, 20), (20,)),
            ((100, 100), (100,)),
            ((1000, 1000), (1000,)),
            ((100,), (100, 100)),
            ((1000,), (1000, 1000)),
            ((1000, 3), (3, 3)),
            ((100, 10), (10, 100)),
            ((32, 784), (784, 100)),
        ]:
            product(dtype, a, b)
        for s, a, b in [("ij,kj->ik", (16, 16), (16, 16)), ("ij,kj->ik", (64, 64), (64, 64)), ("ji,jk->ik", (64, 64), (64, 64)), ("bij,jik->kb", (2, 30, 40), (40, 30, 50)), ("ijb,jkb->ikb", (4, 4, 1000), (4, 4, 1000)),
                        ("bi,bi->b", (1000, 16), (1000, 16)), ("i,j->ij", (300,), (300,)), ("nchw,oc->nohw", (8, 32, 14, 14), (32, 32)), ("bhqd,bhkd->bhqk", (2, 4, 64, 32), (2, 4, 64, 32)), ("bqhd,bkhd->bhqk", (2, 64, 4, 32), (2, 64, 4, 32))]:  # fmt: skip
            einsum(dtype, s, a, b)


def algebra():
    import jax.numpy as jnp
    from jax.scipy.linalg import solve_triangular as triangular

    from wengert.ops.factor import cholesky
    from wengert.ops.solve import det, inv, slogdet, solve, solve_triangular

    for dtype in (np.float64, np.float32):
        for count, n in (
            (1000, 2),
            (1000, 3),
            (10000, 3),
            (1000, 4),
            (1000, 6),
            (1000, 8),
            (300, 16),
            (1, 3),
            (1, 10),
            (1, 100),
        ):
            a = (normal(count, n, n) + 2 * n**0.5 * np.eye(n)).astype(dtype)
            s, x = np.ascontiguousarray(a @ a.swapaxes(1, 2)), normal(count, n, 1, dtype=dtype)
            for op, args, params, theirs, peer in [(inv, (a,), {}, np.linalg.inv, jnp.linalg.inv), (det, (a,), {}, np.linalg.det, jnp.linalg.det), (slogdet, (a,), {}, np.linalg.slogdet, jnp.linalg.slogdet),
                                     (solve, (a, x), {}, np.linalg.solve, jnp.linalg.solve), (cholesky, (s,), {}, np.linalg.cholesky, jnp.linalg.cholesky), (solve_triangular, (a, x), {"lower": True}, None, lambda a, b: triangular(a, b, lower=True))]:  # fmt: skip
                race_of = {
                    "ours": ours(op, *args, **params),
                    "numpy": theirs and functools.partial(theirs, *args),
                    "jax": jitted(peer, *args),
                }
                show(f"{op.name} {count} × {n} {np.dtype(dtype).char}", race_of)


def gathers():
    import jax.numpy as jnp

    from wengert.ops.index import ARRAY, index, scatter_add

    def added(shape, y, i):
        out = np.zeros(shape, y.dtype)
        np.add.at(out, i, y)
        return out

    for dtype in (np.float64, np.float32):
        for n, count, row in (
            (1000, 1000, ()),
            (100_000, 1_000_000, ()),
            (20_000, 100_000, (3,)),
            (20_000, 100_000, (16,)),
            (5000, 10_000, (100,)),
        ):
            x, i = normal(n, *row, dtype=dtype), rng.integers(0, n, count)
            y = x[i]
            title = f"{count} of {n} × {row} {np.dtype(dtype).char}"
            show(
                "index " + title,
                {
                    "ours": ours(index, x, i, spec=(ARRAY,)),
                    "numpy": lambda x=x, i=i: x[i],
                    "jax": jitted(lambda x, i: x[i], x, i),
                },
            )
            peer = jitted(lambda y, i, shape=x.shape: jnp.zeros(shape, y.dtype).at[i].add(y), y, i)
            show(
                "scatter_add " + title,
                {
                    "ours": ours(scatter_add, y, i, spec=(ARRAY,), shape=x.shape),
                    "numpy": functools.partial(added, x.shape, y, i),
                    "jax": peer,
                },
            )


def convolution(dtype, n, c, size, o, kernel, stride=1, pad=0):
    import jax

    from wengert.ops.conv import conv, conv_input, conv_kernel, positions

    window = {"strides": (stride,) * 2, "padding": ((pad, pad),) * 2, "dilation": (1, 1)}
    places = positions((size,) * 2, (kernel,) * 2, **window)
    x, w, y = (
        normal(n, 1, c, size, size, dtype=dtype),
        normal(1, o, c, kernel, kernel, dtype=dtype),
        normal(n, 1, o, *places, dtype=dtype),
    )
    their = lambda x, w: jax.lax.conv_general_dilated(x, w, (stride,) * 2, [(pad, pad)] * 2)
    flops = 2.0 * y.size * c * kernel**2
    title = f"{n}×{c}→{o} {size}² k{kernel} s{stride} p{pad} {np.dtype(dtype).char}"
    peers = {
        "x": jitted(lambda x, w, y: jax.vjp(lambda x: their(x, w), x)[1](y), x[:, 0], w[0], y[:, 0]),
        "w": jitted(lambda x, w, y: jax.vjp(lambda w: their(x, w), w)[1](y), x[:, 0], w[0], y[:, 0]),
    }
    start = time.perf_counter()
    mine = [
        ours(conv, x, w, **window),
        ours(conv_input, y, w, extent=(size,) * 2, **window),
        ours(conv_kernel, x, y, kernel=(kernel,) * 2, **window),
    ]
    title += f" ({(time.perf_counter() - start) * 1e3 / 3:.0f} ms)"
    show(
        "conv " + title,
        {"ours": mine[0], "jax": jitted(their, x[:, 0], w[0]), **torches(x, w, y, stride, pad, None)},
        flops,
    )
    show(
        "conv_input " + title,
        {"ours": mine[1], "jax": peers["x"], **torches(x, w, y, stride, pad, (True, False, False))},
        flops,
    )
    show(
        "conv_kernel " + title,
        {"ours": mine[2], "jax": peers["w"], **torches(x, w, y, stride, pad, (False, True, False))},
        flops,
    )


def torches(x, w, y, stride, pad, which):
    try:
        import torch
    except ImportError:
        return {}
    torch.set_num_threads(1)
    x, w, y = torch.from_numpy(x[:, 0].copy()), torch.from_numpy(w[0].copy()), torch.from_numpy(y[:, 0].copy())
    if which is None:
        return {"torch": lambda: torch.nn.functional.conv2d(x, w, stride=stride, padding=pad)}
    return {
        "torch": lambda: torch.ops.aten.convolution_backward(
            y, x, w, None, [stride] * 2, [pad] * 2, [1, 1], False, [0, 0], 1, which
        )
    }


def convolutions():
    for dtype in (np.float32, np.float64):
        convolution(dtype, 32, 1, 28, 16, 3)
        convolution(dtype, 32, 16, 14, 32, 3)
        convolution(dtype, 16, 64, 28, 64, 3)
        convolution(dtype, 16, 64, 28, 64, 3, pad=1)
        convolution(dtype, 8, 3, 64, 32, 5, stride=2, pad=2)
        convolution(dtype, 8, 64, 14, 64, 1)


BENCHMARKS = {"contractions": contractions, "algebra": algebra, "gathers": gathers, "convolutions": convolutions}

if __name__ == "__main__":
    for name in sys.argv[1:] or BENCHMARKS:
        BENCHMARKS[name]()
