"""What a program holds and what it takes: memory, time, and how its gradients flow.

    report = wg.profile.memory(step)(params, batch)     # run it, and see every byte by line, op and phase
    print(report); report.html("memory.html")

Each profiler listens to the events that the core sends (`wengert.core.events`); with none at work nothing is recorded.
"""

from __future__ import annotations

import importlib
from typing import Any

#: public names, and the module of each
_NAMES: dict[str, str] = {
    "BenchmarkReport": "statistics.report",
    "benchmark": "statistics.benchmark",
    "MemoryProfiler": "footprint.profiler",
    "FlowReport": "flow.report",
    "GradientFlow": "flow.observer",
    "Advice": "footprint.advice",
    "MemoryDiff": "footprint.difference",
    "MemoryReport": "footprint.report",
    "largest": "footprint.prediction.fitting",
    "predict_memory": "footprint.prediction.predict",
    "TimeProfiler": "clock.profiler",
    "TimeReport": "clock.report",
    "nvtx": "clock.nvtx",
    "time": "clock.profiler",
    "LeakReport": "footprint.leaks",
    "assert_no_leaks": "footprint.leaks",
    "leaks": "footprint.leaks",
    "memory": "footprint.profiler",
    "phase": "footprint.profiler",
}

__all__ = list(_NAMES)  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    if name in _NAMES:
        return getattr(importlib.import_module(f"{__name__}.{_NAMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
