"""Switches that hold for the whole process. Each is read where it acts, never copied."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

_listeners: list[Callable[[str], None]] = []


def when_set(function: Callable[[str], None]) -> None:
    """Call `function(name)` whenever a setting is set: for whoever keeps what depends on one."""
    _listeners.append(function)


@dataclass(slots=True)
class Config:
    """Settings; assign to a field, or use `config.override(field=value)` for a block.

    complex_convention
        "steepest" (default): the gradient of a real loss with respect to a complex
        input is the direction of steepest ascent, ∂L/∂Re + i ∂L/∂Im, as in PyTorch and
        TensorFlow. "jax": its conjugate, as in JAX and HIPS autograd.
    debug_nans
        Raise `NonFinite` at the first op, forward or backward, that makes a NaN. Jitted functions are run op by op then.
    detect_anomaly
        Raise `NonFinite` where a NaN or an infinity is made, forward or backward; see `wengert.detect_anomaly`.
    full_traceback
        Show this library's frames in tracebacks.
    jit
        Without it, jitted functions are run as they are written, like any others: for prints, breakpoints, and whoever listens
        to the ops in them.
    compile
        Run jitted functions as machine code. Without it, their programs are run op by op with NumPy.
    debug_passes
        Check every program before and after each pass of the compiler.
    log_compiles
        Log each compilation of a jitted function, and the argument that caused it, as a warning of the logger "wengert".
    tiered
        Run a very large program (a second of compiling) at once as quickly made code, and compile it well, in the
        background, when it is called again. Results of the two may differ in rounding; with False they are the same
        from the first call on. "always": small programs too, where programs are run once.
    compiled_backward
        Compile the backward pass of an eager gradient that has come so often, from the same lines and with the same
        shapes, that compiling would have paid; keep that where it is measured to win. From then on gradients differ from
        earlier ones in rounding; with False they are the same, bit for bit, from the first call on.
    perf_map
        Tell Linux's `perf` the names of compiled kernels, in /tmp/perf-PID.map. Set it, or $WENGERT_PERF_MAP=1, before they are
        compiled: kernels stay functions of their own then.
    jitdump
        A folder: write the code itself there too, with lines, for `perf inject --jit` and `perf annotate`. Or $WENGERT_JITDUMP.
    disk_cache, cache_dir, cache_size
        Keep machine code on disk; in which folder (default: `$WENGERT_CACHE_DIR`, or where the system keeps
        caches); and how many bytes of it at most.
    """

    complex_convention: Literal["steepest", "jax"] = "steepest"
    debug_nans: bool = False
    detect_anomaly: bool = False
    full_traceback: bool = False
    jit: bool = True
    compile: bool = True
    debug_passes: bool = False
    log_compiles: bool = False
    tiered: bool | Literal["always"] = True
    compiled_backward: bool = True
    perf_map: bool = False
    jitdump: str | bool = False
    disk_cache: bool = True
    cache_dir: str | None = None
    cache_size: int = 512 * 1024**2

    def __setattr__(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)
        for function in _listeners:
            function(name)

    @property
    def watches_values(self) -> bool:
        """Whether results are looked at as they are made."""
        return self.debug_nans or self.detect_anomaly

    @contextlib.contextmanager
    def override(self, **settings: Any) -> Iterator[None]:
        """Set fields for the length of a `with` block."""
        before = {name: getattr(self, name) for name in settings}
        try:
            for name, value in settings.items():
                setattr(self, name, value)
            yield
        finally:
            for name, value in before.items():
                setattr(self, name, value)


config = Config()
