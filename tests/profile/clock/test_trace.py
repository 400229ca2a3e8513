"""Traces: legal by the format's rules, nested as what happened."""

from __future__ import annotations

import json
import threading
from collections import defaultdict

import numpy as np
import pytest

import wengert as wg
from wengert.profile import MemoryReport, TimeProfiler
from wengert.profile.clock.report import TimeReport
from wengert.profile.clock.rows import Span
from wengert.profile.clock.trace import nested, trace
from wengert.profile.footprint.report import Line, Point


def checked(data):
    """The events by thread, after a check against the trace event format: what Perfetto's importer wants of each."""
    json.loads(json.dumps(data, allow_nan=False))
    assert isinstance(data["traceEvents"], list) and data["displayTimeUnit"] in ("ms", "ns")
    tracks = defaultdict(list)
    for event in data["traceEvents"]:
        assert isinstance(event["name"], str) and event["name"] and event["ph"] in "XMC"
        assert isinstance(event["pid"], int) and isinstance(event["tid"], int)
        assert isinstance(event.get("args", {}), dict)
        if event["ph"] == "X":
            assert event["ts"] >= 0 and event["dur"] >= 0 and isinstance(event["cat"], str)
            tracks[event["tid"]].append(event)
        elif event["ph"] == "C":
            assert all(isinstance(v, int) for v in event["args"].values()) and event["ts"] >= 0
        else:
            assert event["name"] in ("process_name", "thread_name") and isinstance(event["args"]["name"], str)
    for track in tracks.values():  # complete events of one thread lie within one another, or apart
        ends = []
        for event in sorted(track, key=lambda e: (e["ts"], -e["dur"])):
            while ends and ends[-1] <= event["ts"] + 1e-2:
                ends.pop()
            assert not ends or event["ts"] + event["dur"] <= ends[-1] + 1e-2
            ends.append(event["ts"] + event["dur"])
    return tracks


def within(track, outer, inner):
    return [e for e in track if e["name"] == inner and outer["ts"] - 1e-2 <= e["ts"]
            and e["ts"] + e["dur"] <= outer["ts"] + outer["dur"] + 1e-2]  # fmt: skip


def loss(w, x):
    return (np.tanh(x @ w) ** 2).sum()


def test_ops_kernels_stages_and_threads(tmp_path):
    w, x = np.ones((80, 80)) / 80, np.ones((50, 80))
    step = wg.jit(wg.grad(lambda w: loss(w, x) * 1.03125))
    with wg.config.override(compiled_backward=False), TimeProfiler("both", machine=False) as prof:
        for _ in range(2):
            wg.grad(loss)(w, x)
            step(w)
        other = threading.Thread(target=lambda: wg.grad(loss)(w, x), name="other")
        other.start()
        other.join()
    prof.report().chrome_trace(tmp_path / "trace.json")
    data = json.loads((tmp_path / "trace.json").read_text(encoding="utf-8"))
    tracks = checked(data)
    names = {e["args"]["name"] for e in data["traceEvents"] if e["name"] == "thread_name"}
    assert {"MainThread", "other"} <= names and len(tracks) == 2
    main = max(tracks.values(), key=len)
    categories = {e["cat"] for e in main}
    assert {"op", "pullback", "backward pass", "program", "kernel", "compiling", "function", "profiler"} <= categories
    (visit, *more) = [e for e in main if e["cat"] == "function" and e["name"] == "loss"]
    assert len(more) == 1 and within(main, visit, "matmul") and within(main, visit, "tanh")
    sweep = next(e for e in main if e["cat"] == "backward pass")
    assert {e["cat"] for e in within(main, sweep, "tanh")} == {"pullback"}
    program = next(e for e in main if e["cat"] == "program")
    kernels = [e for e in main if e["cat"] == "kernel" and within(main, program, e["name"])]
    assert kernels and all(e["args"]["line"].startswith("test_trace.py") for e in kernels)
    assert sum(e["name"].startswith("lower") for e in main) == 1


def test_memory_is_a_counter():
    points = [Point(0.1 * i, 1000 * i, 2000 * i, "add", "forward", Line()) for i in range(5)]
    memory = MemoryReport("m", "measured", "eager", timeline=points)
    data = trace(TimeReport("r", 1.0, 1.0), memory)
    checked(data)
    counters = [e for e in data["traceEvents"] if e["ph"] == "C"]
    assert [e["args"]["bytes"] for e in counters] == [0, 1000, 2000, 3000, 4000]
    assert counters[3]["ts"] == pytest.approx(0.3e6)


def test_spans_that_overlap_by_nanoseconds_are_nested():
    spans = [Span("a", "op", 0, 0.0, 1.0), Span("b", "op", 0, 0.5, 1.0000001), Span("c", "op", 0, 1.0, 2.0)]
    assert [(s.name, s.ended) for s in nested(spans)] == [("a", 1.0), ("b", 1.0), ("c", 2.0)]
