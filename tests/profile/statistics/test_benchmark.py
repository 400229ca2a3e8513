"""`wg.benchmark` on functions whose times are known, since they sleep or spin."""

import json
import time

import numpy as np
import pytest

import wengert as wg
from wengert.core.errors import WengertError
from wengert.profile.statistics.report import BenchmarkReport
from wengert.profile.statistics.sampling import interleaved


def spin(seconds):
    def run(x):
        end = time.process_time() + seconds
        while time.process_time() < end:
            pass
        return x

    return run


@pytest.fixture(scope="module")
def report():
    slow, fast = spin(2e-3), spin(1e-3)
    return wg.benchmark(slow, 3.0, name="slow", against={"fast": fast, "as slow": spin(2e-3)}, rounds=20, clock="cpu")


def test_times_are_those_of_the_clock(report):
    slow, fast, same = report.rows
    assert 2e-3 <= slow.minimum <= slow.median.value
    assert 1e-3 <= fast.minimum <= fast.median.value
    assert slow.median.low <= slow.median.value <= slow.median.high
    assert same.loops == 1 and len(same.times) + same.warmup == 20


def test_the_first_is_compared_with_each_of_the_others(report):
    found = report.comparisons["fast"]
    assert found.verdict == "slower" and found.ratio.value == pytest.approx(2.0, rel=0.3)
    assert found.effect > 0.9 and found.p < 1e-4
    assert 0.8 < report.comparisons["as slow"].ratio.value < 1.25


def test_text_names_functions_and_verdicts(report):
    text = str(report)
    assert "as slow" in text and "faster" in text and "ms" in text


def test_a_report_survives_json(report, tmp_path):
    report.save(tmp_path / "deep" / "b.json")
    assert BenchmarkReport.load(tmp_path / "deep" / "b.json") == report
    with pytest.raises(ValueError, match="schema"):
        BenchmarkReport.from_dict({**report.to_dict(), "schema": 99})


def test_regressions_are_found_and_graded(report):
    later = BenchmarkReport.from_dict(json.loads(json.dumps(report.to_dict())))
    same = later.since(report)
    assert same.worst == "none" and not same.regressed
    row = later.row("fast")
    row.times = [1.3 * t for t in row.times]
    changes = later.since(report)
    (fast,) = [c for c in changes.changes if c.name == "fast"]
    assert fast.severity == "major" and changes.regressed
    assert "major" in str(changes)
    assert report.since(later).worst in ("none", "better") and not report.since(later).regressed


def test_other_machines_are_not_compared_unless_asked(report):
    other = BenchmarkReport.from_dict({**report.to_dict(), "machine": {**report.machine, "cpu": "another"}})
    with pytest.raises(WengertError, match="cpu"):
        report.since(other)
    assert any("cpu" in note for note in report.since(other, anyway=True).notes)


def test_results_that_disagree_are_told():
    report = wg.benchmark(np.sum, np.ones(3), against={"mean": np.mean}, rounds=10, memory=False)
    assert any("mean does not agree" in note for note in report.notes)
    fine = wg.benchmark(np.sum, np.ones(3), against=lambda x: x.sum(), rounds=10, memory=False)
    assert not any("agree" in note for note in fine.notes)


def test_first_call_tells_compilation():
    def loss(x):
        return np.sum(np.sin(x) * 1.2345)

    with wg.config.override(disk_cache=False):
        report = wg.benchmark(wg.jit(wg.grad(loss)), np.ones(17), rounds=10)
    (row,) = report.rows
    assert row.first > 100 * row.median.value
    assert 0 < row.compiling < row.first


def test_peak_is_that_of_one_call():
    def double(x):
        y = x * 2
        return y + 1  # two arrays at once

    report = wg.benchmark(double, np.ones(1 << 17), rounds=10)
    assert report.rows[0].peak == pytest.approx(2 << 20, rel=0.02)


def test_asynchronous_results_are_waited_for():
    class Later:
        waited = 0

        def block_until_ready(self):
            Later.waited += 1

    wg.benchmark(Later, rounds=10, agree=None, memory=False)
    assert Later.waited > 10


def test_order_within_rounds_is_shuffled_and_collection_held_back():
    import gc

    seen = []

    def call(name):
        def run():
            seen.append((name, gc.isenabled()))
            time.sleep(4e-4)

        return run

    interleaved({"a": call("a"), "b": call("b")}, rounds=40)
    measured = seen[-80:]
    firsts = {name for name, _ in measured[::2]}
    assert firsts == {"a", "b"} and not any(on for _, on in measured)
    assert gc.isenabled()


def test_an_error_in_a_call_leaves_the_collector_on():
    import gc

    calls = []

    def fails():
        calls.append(0)
        if len(calls) > 8:
            raise RuntimeError("no more")
        time.sleep(1e-3)

    with pytest.raises(RuntimeError):
        wg.benchmark(fails, rounds=40)
    assert gc.isenabled()
