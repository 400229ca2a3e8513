"""What this machine can do at most, measured: floating-point operations and bytes of memory in a second.

Flops are measured in two ways, of which the better counts: products of matrices by BLAS, and a loop of fused multiply-adds in
registers, on as many threads as compiled programs may use. Bytes are those of STREAM's triad, a = b + s·c, over arrays that no
common cache holds (a server's last level may be larger, and then this is its speed); what is written counts once.
Source  McCalpin (1995), Memory bandwidth and machine balance. Williams, Waterman, Patterson (2009), Roofline.
"""

from __future__ import annotations

import ctypes
import functools
import json
import os
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass
from itertools import pairwise
from time import perf_counter
from typing import Any

import numpy as np

from wengert.runtime import cache, native
from wengert.runtime.threads import get_threads

SIZE = 1024  # rows of the matrices
ARRAY = 64 << 20  # bytes of each of the triad's arrays
TURNS = 500_000  # of the loop of multiply-adds
CHAINS = 12  # of them, side by side: latency × ports of today's CPUs is 8 to 10
REPEATS = 15
VERSION = "1"


@dataclass(frozen=True)
class Machine:
    """A machine's peaks, in flops and bytes per second.

    flops : by dtype, and by how it was measured: "blas", "fma"
    """

    cpu: str
    threads: int
    flops: dict[str, dict[str, float]]
    bandwidth: float
    method: str

    def peak(self, dtype: str = "float64") -> float:
        """Flops per second; those of double precision for a dtype that was not measured."""
        return max(self.flops.get(dtype, self.flops["float64"]).values())

    def bound(self, flops: float, nbytes: float, dtype: str = "float64") -> float:
        """The least seconds that this work can take: the roofline."""
        return max(flops / self.peak(dtype), nbytes / self.bandwidth)

    def ridge(self, dtype: str = "float64") -> float:
        """Flops per byte from which on arithmetic is the bound."""
        return self.peak(dtype) / self.bandwidth

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


_kept: dict[str, Machine] = {}


def machine() -> Machine:
    """The peaks of this machine with as many threads as now: measured once, in about two seconds, and kept in the cache folder."""
    threads = get_threads()
    name = cache.key("machine", VERSION, *native.cpu(), _model(), np.__version__, str(threads), _blas_threads())
    if name not in _kept:
        data = cache.load(name)
        found = measure(threads) if data is None else Machine(**json.loads(data))
        if data is None:
            cache.save(name, json.dumps(found.to_dict()).encode())
        _kept[name] = found
    return _kept[name]


def measure(threads: int, *, size: int = SIZE, array: int = ARRAY, turns: int = TURNS) -> Machine:
    """Measure the peaks, with this many threads."""
    flops = {kind: {"blas": _blas(kind, size), "fma": _fma(kind, threads, turns)} for kind in ("float64", "float32")}
    method = (
        f"the best of {REPEATS}; flops: products of {size}×{size} matrices by BLAS, and {CHAINS} chains of fused"
        f" multiply-adds in each of {threads} threads; bytes: STREAM's triad over arrays of {array >> 20} MiB"
    )
    return Machine(_model(), threads, flops, _triad(threads, array), method)


def _best(run: Callable[[], Any]) -> float:
    best = float("inf")
    for _ in range(REPEATS):
        start = perf_counter()
        run()
        best = min(best, perf_counter() - start)
    return best


def _model() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            for line in file:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    except OSError:
        pass
    return native.cpu()[0]


def _blas_threads() -> str:
    return ",".join(os.environ.get(f"{name}_NUM_THREADS", "") for name in ("OMP", "OPENBLAS", "MKL"))


def _blas(kind: str, size: int) -> float:
    rng = np.random.default_rng(0)
    a, b = (rng.normal(size=(size, size)).astype(kind) for _ in range(2))
    out = np.empty_like(a)
    np.matmul(a, b, out=out)
    return 2.0 * size**3 / _best(lambda: np.matmul(a, b, out=out))


# ── loops of our own ──────────────────────────────────────────────────────────


def _lanes(kind: str) -> int:
    features = native.cpu()[1].split(",")
    width = 64 if "+avx512f" in features else 32 if "+avx2" in features else 16
    return width // np.dtype(kind).itemsize


def _fma_text(kind: str) -> str:
    """`void fma(ptr out, i64 turns)`: chains of x ← x·m + c, which cannot overlap within a chain, side by side."""
    scalar, lanes = ("double" if kind == "float64" else "float"), _lanes(kind)
    vector = f"<{lanes} x {scalar}>"
    intrinsic = f"@llvm.fma.v{lanes}f{64 if kind == 'float64' else 32}"
    half = "0x3FE0000000000000"  # of itself it goes to 1, and overflows nowhere
    same = f"<{', '.join([f'{scalar} {half}'] * lanes)}>"
    chains = range(CHAINS)
    return "\n".join(
        [
            f"declare {vector} {intrinsic}({vector}, {vector}, {vector})",
            'define void @fma(ptr %out, i64 %turns) nounwind "prefer-vector-width"="512" {',
            f"entry:\n  %seed = load {vector}, ptr %out, align 8\n  br label %loop",
            "loop:\n  %i = phi i64 [0, %entry], [%next, %loop]",
            *(f"  %x{k} = phi {vector} [%seed, %entry], [%y{k}, %loop]" for k in chains),
            *(f"  %y{k} = call {vector} {intrinsic}({vector} %x{k}, {vector} {same}, {vector} {same})" for k in chains),
            "  %next = add i64 %i, 1\n  %more = icmp slt i64 %next, %turns\n  br i1 %more, label %loop, label %done",
            "done:",
            *(f"  store {vector} %y{k}, ptr %out, align 8" if k == 0 else _stored(k, vector) for k in chains),
            "  ret void\n}",
            "",
        ]
    )


def _stored(k: int, vector: str) -> str:
    return f"  %at{k} = getelementptr {vector}, ptr %out, i64 {k}\n  store {vector} %y{k}, ptr %at{k}, align 8"


_TRIAD = """define void @triad(ptr noalias %a, ptr noalias %b, ptr noalias %c, i64 %n) nounwind "prefer-vector-width"="512" {
entry:
  br label %loop
loop:
  %i = phi i64 [0, %entry], [%next, %loop]
  %b.at = getelementptr double, ptr %b, i64 %i
  %c.at = getelementptr double, ptr %c, i64 %i
  %a.at = getelementptr double, ptr %a, i64 %i
  %x = load double, ptr %b.at
  %y = load double, ptr %c.at
  %z = fmul contract double %y, 3.0
  %w = fadd contract double %x, %z
  store double %w, ptr %a.at
  %next = add i64 %i, 1
  %more = icmp slt i64 %next, %n
  br i1 %more, label %loop, label %done
done:
  ret void
}
"""


def _loaded(text: str, name: str, *arguments: Any) -> Any:
    """A function of `text`, called without Python's lock; it keeps its code."""
    code = native.Code(cache.assembled(text, native.FULL)[0])
    function = ctypes.CFUNCTYPE(None, *arguments)(code.address(name))
    function.code = code  # type: ignore[attr-defined]
    return function


def _at_once(jobs: list[Callable[[], Any]]) -> None:
    if len(jobs) == 1:
        jobs[0]()
        return
    threads = [threading.Thread(target=job) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _fma(kind: str, threads: int, turns: int) -> float:
    function = _loaded(_fma_text(kind), "fma", ctypes.c_void_p, ctypes.c_int64)
    outs = [np.zeros(CHAINS * _lanes(kind), kind) for _ in range(threads)]
    jobs = [functools.partial(function, out.ctypes.data, turns) for out in outs]
    return 2.0 * threads * CHAINS * _lanes(kind) * turns / _best(lambda: _at_once(jobs))


def _triad(threads: int, array: int) -> float:
    function = _loaded(_TRIAD, "triad", *[ctypes.c_void_p] * 3, ctypes.c_int64)
    n = array // 8
    arrays = [np.ones(n) for _ in range(3)]
    cuts = np.linspace(0, n, threads + 1).astype(int)
    jobs = [
        functools.partial(function, *(a.ctypes.data + 8 * int(low) for a in arrays), int(high - low))
        for low, high in pairwise(cuts)
    ]
    return 3.0 * array / _best(lambda: _at_once(jobs))
