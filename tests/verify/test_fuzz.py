"""`wengert fuzz`: repeatable, side by side, in its time; what it finds is shrunk and written down."""

import json
import subprocess
import sys
import textwrap
import time

import pytest

from wengert import cli
from wengert.core.op import OPS
from wengert.verify.fuzz import Plan, fuzz


def counts(summary):
    return {k: v for k, v in summary.as_dict().items() if k not in ("seconds", "jobs")}


def test_units_are_the_same_whatever_the_number_of_processes():
    alone = fuzz(5.0, seed=3, units=8, jobs=1)
    together = fuzz(5.0, seed=3, units=8, jobs=2)
    assert counts(alone) == counts(together)
    assert alone.programs == 4 and alone.calls > 20 and alone.passed > 50
    assert not [f for f in alone.findings if f.kind == "program"]


def test_seeds_differ():
    assert counts(fuzz(5.0, seed=1, units=3, jobs=1, only="calls")) != counts(
        fuzz(5.0, seed=2, units=3, jobs=1, only="calls")
    )


def test_ends_in_time():
    start = time.monotonic()
    summary = fuzz(0.02, seed=0, jobs=1, only="calls", match="sin")
    assert time.monotonic() - start < 20
    assert summary.calls and not summary.programs and not summary.interrupted


def test_tells_of_its_progress_and_may_be_interrupted():
    seen = []

    def progress(summary):
        seen.append(summary.calls)
        if len(seen) == 2:
            raise KeyboardInterrupt

    summary = fuzz(5.0, jobs=1, only="calls", match="exp", progress=progress)
    assert summary.interrupted and seen == sorted(set(seen)) and summary.calls == seen[-1]


def test_an_op_that_does_not_exist():
    with pytest.raises(ValueError, match="no op has 'nonsense'"):
        fuzz(1.0, match="nonsense", jobs=2)


def test_a_wrong_rule_is_found_by_programs_shrunk_and_written(monkeypatch, tmp_path):
    monkeypatch.setattr(OPS["tanh"], "pullback", lambda ct, ins, xs, out: (ct,))
    monkeypatch.setattr("wengert.verify.fuzz.SHRINKING", 5.0)
    summary = fuzz(5.0, seed=0, units=6, jobs=1, only="programs", out=tmp_path)
    finding = summary.findings[0]
    script = (tmp_path / f"program-0-{finding.unit}.py").read_text()
    assert script == finding.script and finding.file.endswith(".py")
    assert len(script.splitlines()) < 30
    assert "differ" in finding.detail or "apart" in finding.detail or "got" in finding.detail
    done = subprocess.run([sys.executable, finding.file], capture_output=True, text=True, check=True)
    assert "'pass'" in done.stdout  # in a process where the rule is right


def test_a_wrong_rule_is_found_by_calls(monkeypatch, tmp_path):
    monkeypatch.setattr(OPS["tanh"], "pullback", lambda ct, ins, xs, out: (ct,))
    summary = fuzz(5.0, seed=0, units=2, jobs=1, only="calls", match="tanh", out=tmp_path)
    assert any(f.kind == "call" and f.check == "tanh" for f in summary.findings)
    assert "check(" in (tmp_path / f"call-0-{summary.findings[0].unit}.py").read_text()


def test_a_process_that_dies_is_a_finding_and_the_others_go_on(tmp_path):
    script = tmp_path / "dies.py"
    script.write_text(
        textwrap.dedent("""
        import os, time
        from wengert.verify.fuzz import Plan, Tally, _side_by_side

        class Deadly(Plan):
            def unit(self, k):
                if k == 2:
                    os._exit(7)
                return Tally(calls=1)

        if __name__ == "__main__":
            plan = Deadly(0, None, "", time.monotonic() + 60, 6)
            tallies = list(_side_by_side(plan, 2))
            print(sum(t.calls for t in tallies), [(f.unit, f.detail) for t in tallies for f in t.findings])
        """)
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.strip() == "5 [(2, 'the process ended with status 7')]"


def test_the_plan_of_a_process():
    plan = Plan(0, None, "", time.monotonic() + 60, 7)
    assert [*plan.numbers(1, 3)] == [1, 4]
    assert [*Plan(0, None, "", time.monotonic() - 1, None).numbers(0, 1)] == []


# ── the command ───────────────────────────────────────────────────────────────


def test_command(capsys, tmp_path):
    assert cli.main(["fuzz", "--minutes", "0.03", "--jobs", "1", "--only", "programs", "--out", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    assert "random programs" in shown and "mismatches" in shown


def test_command_as_json(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(OPS["cos"], "pullback", lambda ct, ins, xs, out: (ct,))
    options = [
        "--minutes",
        "0.05",
        "--jobs",
        "1",
        "--only",
        "calls",
        "--match",
        "cos",
        "--json",
        "--out",
        str(tmp_path),
    ]
    assert cli.main(["fuzz", *options]) == 1
    report = json.loads(capsys.readouterr().out)
    assert report["seed"] == 0 and report["calls"] > 0 and report["findings"]
    assert report["findings"][0]["check"] == "cos"
