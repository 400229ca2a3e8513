"""What changed between two memory reports, and the verdict."""

import json

import pytest

from wengert.profile.footprint.difference import allowed, difference
from wengert.profile.footprint.difference.matching import matched
from wengert.profile.footprint.report import Line

KIB = 1024


def test_saved_bytes_are_told_by_line_op_phase_and_role(made):
    before, after = made(8, 64 * KIB), made(4, 64 * KIB, shift=5)
    diff = before.diff(after)
    assert (diff.verdict, diff.severity, diff.by) == ("better", "", -4 * 64 * KIB)
    first = diff.lines[0]
    assert (first.name, first.before, first.after, first.how) == ("h = np.tanh(x @ w)", 512 * KIB, 256 * KIB, "moved")
    assert (first.before_at, first.after_at) == ("model.py:31 in block", "model.py:36 in block")
    assert {c.name: c.by for c in diff.roles} == {"residual": -256 * KIB, "cotangent": 0, "unexplained": 0}
    assert {c.name: c.by for c in diff.phases} == {"forward": -256 * KIB, "backward": 0}
    assert {c.name: c.by for c in diff.ops} == {"tanh": -256 * KIB, "power": 0}
    for rows in (diff.lines, diff.roles, diff.phases, diff.ops):
        assert sum(c.by for c in rows) == diff.by  # nothing is lost on the way
    assert not diff.moved  # the same line does the same, further down


@pytest.mark.parametrize(
    "layers, threshold, verdict, severity",
    [
        (100, "5%", "same", ""),
        (104, "5%", "same", ""),
        (106, "5%", "worse", "minor"),
        (160, "5%", "worse", "major"),
        (60, "5%", "better", ""),
        (97, "5%", "same", ""),
        (160, "2 MiB", "worse", "major"),
        (104, "1KiB", "worse", "minor"),
        (104, 64 * KIB * 4, "same", ""),
        (104, 64 * KIB * 4 - 1, "worse", "minor"),
        (101, "0%", "worse", "minor"),
        (160, "100%", "same", ""),
    ],
)
def test_verdicts(made, layers, threshold, verdict, severity):
    diff = made(100).diff(made(layers), threshold)
    assert (diff.verdict, diff.severity, diff.worse) == (verdict, severity, verdict == "worse")


def test_a_peak_out_of_nothing_is_major(made):
    assert made(3, 0).diff(made(3), "0%").severity == "major"
    assert made(3, 0).diff(made(3, 0), "0%").verdict == "same"


def test_thresholds():
    assert allowed("5%", 1000) == 50 and allowed(" 12.5 % ", 1000) == 125
    assert allowed("1 MiB", 1000) == 2**20 and allowed(77, 1000) == 77 and allowed("0", 5) == 0
    for wrong in ("abc", "-1%", "%", "nan%", "inf%", "5 apples", -1, ""):
        with pytest.raises(ValueError, match="threshold: got"):
            allowed(wrong, 1000)


def test_the_peak_goes_elsewhere(made):
    before, after = made(8), made(8)
    after.peak_at = 2
    diff = before.diff(after)
    assert diff.moved and (diff.before.phase, diff.after.phase) == ("backward", "forward")
    assert "the peak was at tanh, backward" in str(diff) and "now at tanh, forward" in str(diff)


def test_notes_say_what_makes_the_comparison_unfair(made):
    diff = made(8).diff(made(8, kind="predicted", arguments=1, notes=["seen all", "2 arrays of C code were not seen"]))
    assert any("one report was measured, the other predicted" in n for n in diff.notes)
    assert any("the arguments are not the same size" in n for n in diff.notes)
    assert diff.notes[2:] == ["after: seen all"]  # what both say makes no difference


def test_the_same_by_reports_that_were_saved(made, tmp_path):
    from wengert.profile.footprint.report import MemoryReport

    before, after = made(8), made(12)
    before.save(tmp_path / "a.json"), after.save(tmp_path / "b.json")
    loaded = MemoryReport.load(tmp_path / "a.json").diff(MemoryReport.load(tmp_path / "b.json"))
    assert loaded.to_dict() == before.diff(after).to_dict()


def test_json_has_stable_keys(made, tmp_path):
    difference(made(8), made(12)).save(tmp_path / "d.json")
    data = json.loads((tmp_path / "d.json").read_text())
    assert list(data) == [
        "schema", "verdict", "severity", "by", "threshold", "moved", "before", "after", "lines", "ops", "phases", "roles", "notes",
    ]  # fmt: skip
    assert set(data["lines"][0]) == {"name", "before", "after", "how", "before_at", "after_at", "by"}
    assert data["by"] == data["after"]["peak"] - data["before"]["peak"] == 4 * 64 * KIB


def test_in_a_terminal(made):
    shown = str(made(8).diff(made(16)))
    assert shown.startswith("MAJOR REGRESSION  peak 640.0 KiB → 1.1 MiB (+80.0%), threshold 5%")
    assert "+512.0 KiB   512.0 KiB     1.0 MiB  h = np.tanh(x @ w)" in shown
    assert max(map(len, shown.splitlines())) <= 80
    assert str(made(8).diff(made(8))).startswith("SAME  peak 640.0 KiB → 640.0 KiB (±0)")


# ── which line is which ───────────────────────────────────────────────────────


def line(number, text, function="f", file="/a/model.py"):
    return Line(file, number, function, text)


def pairs(before, after):
    return {(a.number if a else None, b.number if b else None): how for a, b, how in matched(before, after)}


def test_lines_that_are_where_they_were():
    assert pairs([line(3, "x = y"), line(4, "z = x")], [line(3, "x = y"), line(4, "z = x")]) == {
        (3, 3): "same",
        (4, 4): "same",
    }
    assert pairs([line(3, "x = y")], [line(3, "x = y", file="/other/checkout/model.py")]) == {(3, 3): "same"}


def test_lines_that_moved():
    assert pairs([line(3, "x = y"), line(4, "z = x")], [line(13, "x = y"), line(14, "z = x")]) == {
        (3, 13): "moved",
        (4, 14): "moved",
    }


def test_equal_lines_are_told_apart_by_function_and_order():
    before = [line(3, "x = y"), line(8, "x = y"), line(20, "x = y", "g")]
    after = [line(5, "x = y"), line(10, "x = y"), line(2, "x = y", "g")]
    assert pairs(before, after) == {(3, 5): "moved", (8, 10): "moved", (20, 2): "moved"}


def test_a_line_that_stays_is_not_taken_by_one_that_moved():
    assert pairs([line(3, "x = y"), line(8, "x = y")], [line(8, "x = y")]) == {(8, 8): "same", (3, None): "gone"}


def test_edited_renamed_gone_and_new():
    before = [line(3, "h = np.tanh(x @ w)"), line(4, "return h.sum()"), line(9, "a = 1", "g")]
    after = [line(3, "h = np.tanh(x @ w + b)"), line(6, "for i in range(3):"), line(9, "a = 1", "g", "/a/new.py")]
    assert pairs(before, after) == {(3, 3): "edited", (9, 9): "renamed file", (4, None): "gone", (None, 6): "new"}


def test_lines_without_text_match_by_number_alone():
    assert pairs([line(3, ""), line(5, "")], [line(3, ""), line(7, "")]) == {
        (3, 3): "same",
        (5, None): "gone",
        (None, 7): "new",
    }
    assert pairs([Line()], [Line()]) == {(0, 0): "same"}


def test_each_line_is_in_one_pair():
    before, after = (
        [line(n, f"x{n % 7} = g(x)") for n in range(40)],
        [line(n, f"x{n % 5} = g(x)") for n in range(17, 51)],
    )
    found = matched(before, after)
    assert sorted(a.number for a, _, _ in found if a) == list(range(40))
    assert sorted(b.number for _, b, _ in found if b) == list(range(17, 51))
