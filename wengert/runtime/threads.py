"""How many threads share the chunks of one loop; the threads themselves are in `support/threads_posix.ll`."""

from __future__ import annotations

import operator
import os

from wengert.runtime import support


def default() -> int:
    """`OMP_NUM_THREADS`, or the CPUs that this process may use."""
    first = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    if first.isdecimal() and int(first) > 0:
        return int(first)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


_count = default()
support.configure("limit", _count)


def get_threads() -> int:
    """The number of threads that one compiled call may use."""
    return _count


def set_threads(n: int) -> None:
    """Let compiled calls use up to `n` threads, the caller's own among them.

    The default is `OMP_NUM_THREADS`, or the number of CPUs that this process may use. Results do not depend on it, bit for bit.
    Threads are started when the first loop needs them. BLAS has threads of its own, with settings of its own.
    """
    global _count
    n = operator.index(n)
    if n < 1:
        raise ValueError(f"set_threads: got {n}\n  want: at least 1")
    _count = n
    support.configure("limit", n)
