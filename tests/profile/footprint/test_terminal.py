"""Memory reports in a terminal: what is said, and that figures are those of the report."""

import io

import pytest
from rich.console import Console

from wengert.profile.footprint import breakdown
from wengert.profile.footprint.report import Holding, Line, MemoryReport, Point
from wengert.profile.footprint.terminal import CHART, counted, figures, seconds, terminal, text

KIB = 1024


def test_it_says_the_peak_and_where(made):
    report = made(8, 64 * KIB)
    shown = str(report)
    assert "memory of step, eager, measured" in shown
    assert "peak 640.0 KiB at point 11 of 18, backward: tanh" in shown
    assert "model.py:31 in block: h = np.tanh(x @ w)" in shown
    assert "arguments 192.0 KiB besides" in shown and "11% of it in memory used before" in shown
    assert "note: 2 arrays of C code were not seen" in shown


def test_what_made_the_peak(made):
    shown = str(made(8, 64 * KIB))
    assert "512.0 KiB  80% model.py:31 in block  8 residuals of tanh" in shown
    assert "64.0 KiB  10% model.py:40 in loss  cotangent of power" in shown
    assert "within the op, or belonging to no array seen" in shown
    lines = [line.split() for line in shown.splitlines() if "█" in line and "%" in line]
    assert [line[3] for line in lines] == [
        "residual",
        "cotangent",
        "unexplained",
        "forward",
        "backward",
        "tanh",
        "power",
    ]
    assert lines[4][:3] == ["128.0", "KiB", "20%"]  # the temporary of the op at the peak is backward too


def test_residuals_are_said_with_reason_and_remedy(made):
    shown = str(made(8))
    assert "8 × float64[8192]  tanh, model.py:31 in block" in shown
    assert "kept for the pullback of tanh at model.py:31" in shown and "→ wg.checkpoint(block)" in shown


@pytest.mark.parametrize("layers", [1, 8, 500])
def test_plain_text_of_80_columns(made, layers):
    shown = str(made(layers))
    assert "\x1b" not in shown and max(map(len, shown.splitlines())) <= 80


def test_the_chart_is_the_curve(made):
    report = made(200)
    lines = str(report).splitlines()
    at = next(i for i, line in enumerate(lines) if line.strip() == "▲")
    rows = [line.ljust(2 + CHART[0])[2 : 2 + CHART[0]] for line in lines[at - CHART[1] : at]]
    heights = [max([0, *(CHART[1] - r for r, row in enumerate(rows) if row[c] not in " ")]) for c in range(CHART[0])]
    tops = breakdown.columns(report, CHART[0])
    assert [round(h) for h in heights] == [-(-int(t) * CHART[1] // int(tops.max())) for t in tops]
    assert lines[at].index("▲") - 2 == report.peak_at * CHART[0] // len(report.timeline)
    assert lines[at + 1].strip().startswith("forward──") and "backward──" in lines[at + 1]


def test_many_phases_are_counted(made):
    report = made(40)
    for i, p in enumerate(report.timeline):
        p.phase = "forward" if i % 2 == 0 else "backward"
    assert "forward and backward, in 82 turns" in str(report)


def test_colours_in_a_terminal(made):
    out = io.StringIO()
    Console(file=out, force_terminal=True, width=100, color_system="standard").print(made(8))
    assert "\x1b[" in out.getvalue() and "640.0 KiB" in out.getvalue()


def test_show_lists_as_many_as_asked(made, capsys):
    report = made(8)
    line = Line("/home/me/model.py", 0, "f", "x")
    for n in range(1, 13):
        report.holdings.append(Holding(8, "value", f"op{n}", Line(line.file, n, "f", f"x{n} = g(x)"), died=None))
    report.show(listed=3)
    few = capsys.readouterr().out
    report.show(listed=30)
    assert "11 more lines" in few and "x12 = g(x)" not in few and "x12 = g(x)" in capsys.readouterr().out


def test_nothing_held_and_no_points():
    shown = str(MemoryReport("empty", "predicted", "jit"))
    assert "memory of empty, jit, predicted" in shown and "peak 0 B" in shown and "At the peak" not in shown


def test_markup_of_the_users_is_text():
    line = Line("/m.py", 3, "f", "x[bold] = y[/bold] + [red]")
    report = MemoryReport(
        "g[/red]", "measured", "eager", 8, 0, timeline=[Point(0.0, 8, 8, "op[i]", "forward", line)],
        holdings=[Holding(8, "residual", "op[i]", line, why="[/] kept", frees="[/nothing]")], notes=["[/bold]"],
    )  # fmt: skip
    shown = str(report)
    for said in ("g[/red]", "x[bold] = y[/bold] + [red]", "[/] kept", "→ [/nothing]", "note: [/bold]"):
        assert said in shown


def test_words():
    assert [seconds(t) for t in (2.5, 0.0125, 3e-6, 0.9999, 0.0009999, 1234.5)] == [
        "2.5 s", "12.5 ms", "3 µs", "1 s", "1 ms", "1,234 s",
    ]  # fmt: skip
    of = [Holding(8, "residual", "mul"), Holding(8, "residual", "add"), Holding(99, "value", "")]
    assert counted(of) == "value; 2 residuals of mul, add"
    report = MemoryReport("f", "measured", "eager", 10, begin=1, end=3, allocated=0)
    assert "held before 1 B, after 3 B" in figures(report) and "memory used before" not in figures(report)
    assert text(terminal(report)) == str(report)
