"""The page of a memory report: what it says, that it needs nothing else, and that it works in a browser."""

import itertools
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser

import numpy as np
import pytest

from wengert.profile.footprint import breakdown
from wengert.profile.footprint.page import chart, page
from wengert.profile.footprint.page.tables import MOST, OPEN
from wengert.profile.footprint.report import Holding, Line, MemoryReport, Point

KIB = 1024
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
VOID = {"meta", "br", "rect", "path", "line", "input"}
NASTY = "</script><script>alert('x')</script>&<b>\"'"


class Reader(HTMLParser):
    """Elements and their texts; raises for tags that do not match."""

    def __init__(self, text):
        super().__init__()
        self.open, self.found, self.texts = [], [], []
        self.feed(text)
        self.close()
        assert not self.open, f"not closed: {self.open}"

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, f"</{tag}> where {self.open} is open"

    def handle_data(self, data):
        self.texts.append((self.open[-1] if self.open else "", data))

    def all(self, tag, part=""):
        return [a for t, a in self.found if t == tag and part in a.get("class", "")]


def long_report(length, seed=0):
    """A saw tooth with one needle, in `length` points."""
    rng = np.random.default_rng(seed)
    line = Line("/m.py", 5, "f", "y = g(x)")
    points = [
        Point(i * 1e-5, int(v), int(v), "g", "forward" if i % 1000 < 500 else "backward", line)
        for i, v in enumerate(rng.integers(0, 1000, length))
    ]
    needle = int(length * 0.61803)
    points[needle].top = 123_456
    holdings = [
        Holding(int(n), "value", "g", line, born=int(b), died=int(b) + 9)
        for n, b in zip(rng.integers(1, 90, length // 4), rng.integers(0, length - 10, length // 4))
    ]
    return MemoryReport("long", "measured", "eager", 123_456, needle, timeline=points, holdings=holdings)


def test_the_page_is_well_formed_and_says_what_the_report_says(made):
    report = made(8)
    read = Reader(page(report))
    text = " ".join(data for tag, data in read.texts if tag not in ("script", "style"))
    for said in (
        "640.0 KiB",
        "at point 11 of 18",
        "model.py:31 in block",
        "h = np.tanh(x @ w)",
        "kept for the pullback of tanh",
        "→ wg.checkpoint(block)",
        "2 arrays of C code were not seen",
    ):
        assert said in text
    assert {a["id"] for a in read.all("section")} == {"timeline", "flame", "residuals", "lines", "parts", "holdings"}


def test_it_needs_nothing_else(made):
    text = page(made(8))
    assert not re.search(r"""(src|href)\s*=\s*["'](?!#)|url\(|@import|https?://""", text)


def test_a_page_of_nothing():
    read = Reader(page(MemoryReport("empty", "predicted", "jit")))
    assert not read.all("section")


def test_texts_of_the_users_are_escaped(made):
    report = made(3, name=NASTY)
    line = Line(f"/x/{NASTY}.py", 1, NASTY, NASTY)
    report.timeline = [Point(p.seconds, p.live, p.top, NASTY, NASTY, line) for p in report.timeline]
    report.holdings = [
        Holding(h.nbytes, h.role, NASTY, line, NASTY, h.shape, NASTY, h.born, h.died, h.used, NASTY, NASTY, NASTY)
        for h in report.holdings
    ]
    report.notes = [NASTY]
    read = Reader(page(report))
    assert len(read.all("script")) == 2 and not read.all("b", "x")
    assert "alert('x')" not in re.sub(
        r"\\u003c/script>.*", "", "".join(d for t, d in read.texts if t == "script").split("\n")[0]
    )
    data = embedded(page(report))
    assert NASTY in data["words"]  # as data, it is what it was
    assert Reader(page_of_diff(report, made(4)))


def page_of_diff(a, b):
    from wengert.profile.footprint.difference.page import page as diff_page

    return diff_page(a.diff(b))


def embedded(text):
    return json.loads(re.search(r'<script id="data" type="application/json">(.*?)</script>', text, re.DOTALL)[1])


# ── the timeline ──────────────────────────────────────────────────────────────


def test_curves_of_roles_add_up_to_what_was_held(made):
    report = made(8)
    total = sum(breakdown.curves(report).values())
    assert total.tolist() == [p.live for p in report.timeline]


def test_what_was_held_at_each_point_is_what_the_holdings_say():
    report = long_report(400)
    data = chart.data(report)
    words, groups = data["words"], data["groups"]
    assert [p[0] for p in data["points"]] == list(range(400))
    for index, _, live, top, *_, held in data["points"]:
        alive = [h for h in report.holdings if h.alive(index)]
        assert sum(b for _, b, _ in held) == sum(h.nbytes for h in alive) and sum(c for *_, c in held) == len(alive)
        assert (live, top) == (
            report.timeline[index].live,
            max(report.timeline[index].live, report.timeline[index].top),
        )
        assert all(words[groups[k][0]] == "value" for k, _, _ in held)


def test_a_long_timeline_keeps_its_maxima_and_stays_small():
    report = long_report(100_000)
    at = breakdown.thin(report, chart.POINTS)
    assert report.peak_at in at and at[-1] == 99_999 and len(at) <= chart.POINTS + 2
    tops = breakdown.tops(report)
    edges = np.linspace(0, 100_000, chart.POINTS // 3 + 1).astype(int)
    kept = tops[at]
    for a, b in itertools.pairwise(edges):
        assert kept[(at >= a) & (at < b)].max() == tops[a:b].max()
    text = page(report)
    assert len(text) < 2_000_000 and Reader(text)
    top = path_of(text, "top")
    assert min(y for _, y in top) == pytest.approx(chart.HEIGHT * (1 - 123_456 / chart.ceiling(123_456)), abs=0.06)


def path_of(text, look):
    """The corners of a path of the timeline."""
    commands = re.findall(r"([MHVL])([\d.]+)(?: ([\d.]+))?", re.search(rf'<path class="{look}" d="([^"]+)"', text)[1])
    x = y = 0.0
    corners = []
    for command, a, b in commands:
        x, y = (float(a), float(b)) if command in "ML" else (float(a), y) if command == "H" else (x, float(a))
        corners.append((x, y))
    return corners


def test_the_drawn_outline_is_the_curve(made):
    report = made(8)
    corners = path_of(page(report), "top")
    scale, length = chart.ceiling(int(breakdown.tops(report).max())), len(report.timeline)
    for i, top in enumerate(breakdown.tops(report)):
        x = (i + 0.5) * chart.WIDTH / length
        y = next(y for (ax, y), (bx, by) in itertools.pairwise(corners) if ax <= x < bx and y == by)
        assert y == pytest.approx(chart.HEIGHT * (1 - top / scale), abs=0.06)


@pytest.mark.parametrize("nbytes", [0, 1, 7, 1023, 1024, 1025, 5 * 2**20, 2**30 + 1, 900 * 2**30, 2**45])
def test_scales_hold_what_they_show(nbytes):
    assert nbytes <= chart.ceiling(nbytes) and chart.ceiling(nbytes) <= max(2 * nbytes, 1)


# ── the flame graph and the tables ────────────────────────────────────────────


def test_boxes_are_as_wide_as_their_bytes(made):
    report = made(8)
    boxes = [
        (int(a["data-row"]), float(a["data-left"]), float(a["data-width"]), a["title"])
        for a in Reader(page(report)).all("button", "box")
    ]
    rows = {n: [b for b in boxes if b[0] == n] for n in range(5)}
    assert [round(b[2] * report.peak) for b in rows[0]] == [report.peak]
    assert sum(b[2] for b in rows[1]) == pytest.approx(1, abs=1e-5)
    assert {b[3].split("\n")[0]: round(b[2], 3) for b in rows[4]} == {"tanh (residual)": 0.8, "power (cotangent)": 0.1}
    for row, left, width, _ in boxes:
        assert row == 0 or any(a - 1e-5 <= left and left + width <= a + w + 1e-5 for _, a, w, _ in rows[row - 1])


def test_small_boxes_are_gathered():
    line = Line("/m.py", 1, "f", "y")
    holdings = [Holding(10_000, "value", "big", line)] + [Holding(1, "value", f"op{n}", line) for n in range(300)]
    report = MemoryReport("f", "measured", "eager", 10_300, 0, timeline=[Point(0, 10_300, 10_300)], holdings=holdings)
    titles = [a["title"] for a in Reader(page(report)).all("button", "box")]
    assert len(titles) == 6 and "300 more\n300 B, 2.9% of the peak, 300 arrays" in titles


def test_long_tables_are_folded_and_what_is_left_out_is_counted():
    lines = [Line("/m.py", n, "f", f"x{n}") for n in range(MOST + 30)]
    holdings = [Holding(1000 + n, "residual", "mul", line, why="w") for n, line in enumerate(lines)]
    peak = sum(h.nbytes for h in holdings)
    report = MemoryReport("f", "measured", "eager", peak, 0, timeline=[Point(0, peak, peak)], holdings=holdings)
    text = page(report)
    assert f"{MOST + 30 - OPEN:,} more" in text and "30 more rows, of" in text
    assert Reader(text)


# ── in a browser ──────────────────────────────────────────────────────────────

browser = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here")


def rendered(path, tmp_path, script=""):
    """What the page is once its script, and then ours, has run."""
    text = path.read_text()
    if script:
        text = text.replace("</body>", f"<script>{script}</script></body>")
    path.write_text(text)
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}", "--virtual-time-budget=3000", "--dump-dom", path.as_uri()]  # fmt: skip
    return subprocess.run(command, capture_output=True, text=True, timeout=120).stdout


@browser
def test_hover_tells_what_was_held(made, tmp_path):
    made(8).html(tmp_path / "r.html")
    script = """
      const plot = document.querySelector(".plot"), box = plot.getBoundingClientRect();
      const at = (part) => plot.dispatchEvent(new PointerEvent("pointermove", {clientX: box.left + part * box.width, pointerType: "mouse"}));
      document.body.dataset.first = document.getElementById("held").innerText;
      at(3.5 / 18); document.body.dataset.third = document.getElementById("held").innerText;
      document.getElementById("chart").dispatchEvent(new KeyboardEvent("keydown", {key: "End"}));
      document.body.dataset.last = document.getElementById("held").innerText;
    """
    body = next(a for t, a in elements(rendered(tmp_path / "r.html", tmp_path, script)) if t == "body")
    assert "576.0 KiB held, 640.0 KiB within the op" in body["data-first"] and "the peak" in body["data-first"]
    assert (
        "256.0 KiB held" in body["data-third"] and "4 × tanh" in body["data-third"] and "point 4" in body["data-third"]
    )
    assert "128.0 KiB held" in body["data-last"] and "point 18" in body["data-last"]


@browser
def test_a_click_on_a_box_zooms(made, tmp_path):
    made(8).html(tmp_path / "r.html")
    script = """
      const boxes = [...document.querySelectorAll(".box")], find = (t) => boxes.find((b) => b.title.startsWith(t));
      const said = (b) => b.hidden ? "hidden" : b.style.left + " " + b.style.width;
      find("loss in").click();
      document.body.dataset.zoomed = ["loss in", "power", "tanh", "step"].map((t) => said(find(t))).join("; ");
      find("step").click();
      document.body.dataset.back = ["loss in", "tanh", "step"].map((t) => said(find(t))).join("; ");
    """
    body = next(a for t, a in elements(rendered(tmp_path / "r.html", tmp_path, script)) if t == "body")
    assert body["data-zoomed"] == "0% 100%; 0% 100%; hidden; 0px 100%"
    assert body["data-back"] == "80% 10%; 0% 80%; 0% 100%"


@browser
def test_ten_to_the_five_points_and_nasty_texts_in_a_browser(tmp_path):
    report = long_report(100_000)
    report.name = NASTY
    report.html(tmp_path / "r.html")
    found = elements(rendered(tmp_path / "r.html", tmp_path))
    assert next(a for t, a in found if t == "html").get("data-ready") == "true"
    assert sum(t == "script" for t, _ in found) == 2


def elements(text):
    """Tags and attributes of what a browser made of a page."""
    parser, found = HTMLParser(), []
    parser.handle_starttag = lambda tag, attributes: found.append((tag, dict(attributes)))
    parser.feed(text)
    return found
