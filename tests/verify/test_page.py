"""The presentations of the matrix: the page, in a browser too, Markdown, and the terminal."""

import html as markup
import io
import itertools
import json
import os
import re
import shutil
import subprocess
from html.parser import HTMLParser

import numpy as np
import pytest
from rich.console import Console

from wengert.core.op import Constant
from wengert.verify.catalog import family, load_ops
from wengert.verify.matrix.markdown import markdown
from wengert.verify.matrix.page import page, read
from wengert.verify.matrix.page.packing import decode, encode
from wengert.verify.matrix.summary import headline, summary
from wengert.verify.matrix.terminal import terminal

MODES = [
    "forward",
    "reverse",
    "forward over reverse",
    "reverse over reverse",
    "vmap",
    "jvp of vmap",
    "jit",
    "checkpoint",
]
DTYPES = ["float32", "float64", "complex64", "complex128"]
LAYOUTS = ["contiguous", "strided", "empty", "0-d"]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def a_cell(rng, op, mode, dtype, layout):
    if mode == "jit":
        return {"status": "absent", "reason": "not in this version"}
    if isinstance(op.vjp, Constant):
        return {"status": "constant", "reason": op.vjp.reason, "error": 0.0, "limit": 0.0, "seconds": 1e-4, "sample": 0}
    status = rng.choice(["pass"] * 96 + ["fail", "undecided", "refused", "refused"])
    if status == "refused":
        return {
            "status": status,
            "reason": str(rng.choice(["takes real values only", "no such call: it needs an axis"])),
        }
    error = 0.0 if rng.random() < 0.1 else float(10 ** rng.uniform(-17, -7))
    error = float(rng.choice([1e-2, np.nan, np.inf])) if status == "fail" else error
    return {
        "status": str(status),
        "error": error,
        "ulp": error / 2.2e-16,
        "limit": 1e-6,
        "oracle": "complex step",
        "seconds": float(rng.gamma(2, 0.002)),
        "sample": 0,
        "reason": "got <b>1</b> & 'two' | three\nfour" if status == "fail" else "",
        "snippet": f"run({op.name!r}, {mode!r})\n# in {dtype} and {layout}" if mode == "vmap" else "",
    }


@pytest.fixture(scope="module")
def matrix():
    """All ops, with random cells."""
    rng = np.random.default_rng(0)
    ops = [
        {
            "name": name,
            "family": family(op),
            "constant": op.vjp.reason if isinstance(op.vjp, Constant) else "",
            "note": op.note,
            "source": op.source,
            "samples": [repr(s) for s in op.samples],
            "cells": {f"{m}|{d}|{n}": a_cell(rng, op, m, d, n) for m in MODES for d in DTYPES for n in LAYOUTS},
        }
        for name, op in load_ops().items()
    ]
    return {
        "schema": 1,
        "versions": {"wengert": "0.1.0", "numpy": "2.4.6", "scipy": "1.17.0", "python": "3.11.7"},
        "date": "2026-11-22",
        "quick": False,
        "seconds": 312.0,
        "modes": MODES,
        "dtypes": DTYPES,
        "layouts": LAYOUTS,
        "snippet": "reproduce({name!r}, sample={sample}, mode={mode!r}, dtype={dtype!r}, layout={layout!r})\n",
        "ops": ops,
        "names": [
            {"name": "linalg.solve", "space": "numpy.linalg", "status": "differentiable", "reason": "", "remedy": "", "examples": 3, "failures": []},
            {"name": "asmatrix", "space": "numpy", "status": "refused", "reason": "a subclass | of ndarray", "remedy": "use an array", "examples": 0, "failures": []},
            {"name": "roll", "space": "numpy", "status": "differentiable", "reason": "", "remedy": "", "examples": 2, "failures": ["reverse in float64: off by 2"]},
        ],
        "accuracy": [
            {"name": "special.gammainc", "parameter": 0, "points": 40, "worst_ulp": 12.0, "where": [0.5, 2.0], "median_ulp": 0.8, "bound": 50, "note": ""},
            {"name": "special.jv", "parameter": 0, "points": 60, "worst_ulp": 700.0, "where": [1.5, 30.0], "median_ulp": 2.5, "bound": 100, "note": "near a zero"},
        ],
        "mutants": {"seeds": 3, "tried": 20, "caught": 19, "kinds": {"sign": [10, 10], "dropped term": [9, 10]}, "survivors": [{"op": "sort", "kind": "dropped term", "why": "it has one term"}]},
        "gaps": [{"name": "asmatrix", "space": "numpy", "uses": 120, "by": {"numpy": 3, "scipy": 117}, "status": "refused", "reason": "a subclass"}],
    }  # fmt: skip


@pytest.fixture(scope="module")
def html(matrix):
    return page(matrix)


def test_carries_every_cell(matrix, html):
    back = read(html)
    assert [op["name"] for op in back["ops"]] == list(load_ops())
    for op, want in zip(back["ops"], matrix["ops"]):
        assert {k: op[k] for k in ("family", "constant", "note", "source", "samples")} == {
            k: want[k] for k in ("family", "constant", "note", "source", "samples")
        }
        assert list(op["cells"]) == list(want["cells"])
        for key, cell in op["cells"].items():
            given = want["cells"][key]
            for k in ("status", "reason", "oracle", "snippet"):
                assert cell[k] == given.get(k, "")
            assert cell["sample"] == given.get("sample")
            for k in ("error", "ulp", "limit", "seconds"):
                if given.get(k) is None:
                    assert cell[k] is None
                else:
                    np.testing.assert_allclose(cell[k], given[k], rtol=5e-3)
    for k in ("modes", "dtypes", "layouts", "versions", "date", "snippet", "names", "accuracy", "mutants", "gaps"):
        assert back[k] == matrix[k]


def test_what_is_missing_stays_missing(matrix):
    short = {k: v for k, v in matrix.items() if k not in ("accuracy", "mutants", "gaps")}
    short["ops"] = [
        {**matrix["ops"][0], "cells": {}},
        {**matrix["ops"][1], "cells": {"vmap|float64|empty": {"status": "pass"}}},
    ]
    back = decode(encode(short))
    assert not {"accuracy", "mutants", "gaps"} & set(back)
    assert back["ops"][0]["cells"] == {}
    assert back["ops"][1]["cells"]["vmap|float64|empty"]["error"] is None


def test_is_small(html):
    assert len(html.encode()) < 3e6


def test_needs_no_other_file(html):
    found = []

    class Links(HTMLParser):
        def handle_starttag(self, tag, attrs):
            found.extend(
                (tag, k, v)
                for k, v in attrs
                if k in ("src", "href", "srcset", "action", "data", "poster") and not (v or "").startswith("#")
            )
            assert tag not in ("link", "iframe", "object", "embed", "img", "base")

    parser = Links()
    parser.feed(html)
    assert found == []
    assert not re.search(r"https?://|@import|url\(|\bimport\s*\(|\bfetch\(|XMLHttpRequest|WebSocket", html)
    assert "<!-- " not in html  # every part has found its place


def test_read_refuses_another_page():
    with pytest.raises(ValueError, match="embedded data"):
        read("<html></html>")


def opened(tmp_path, html, state=""):
    """The document that a browser has made of the page; and what it complained about."""
    if CHROMIUM is None:
        pytest.skip("needs chromium")
    path = tmp_path / "matrix.html"
    path.write_text(html, encoding="utf-8")
    flags = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
    flags += " --disable-component-update --disable-sync --virtual-time-budget=20000 --enable-logging=stderr --v=0 --dump-dom"
    command = [
        CHROMIUM,
        *flags.split(),
        f"--user-data-dir={tmp_path / 'profile'}",
        "--window-size=1400,3000",
        f"file://{path}#{state}",
    ]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=300, env={**os.environ, "HOME": str(tmp_path)}
    )
    complaints = [line for line in done.stderr.splitlines() if ":CONSOLE" in line]
    return done.stdout, complaints


def text_of(document, tag, marker):
    """The text of the first element of that tag with `marker` in its start tag."""
    found = re.search(rf"<{tag}[^>]*{marker}[^>]*>(.*?)</{tag}>", document, re.S)
    assert found, f"no {tag} with {marker}"
    return markup.unescape(re.sub(r"<[^>]+>", " ", found[1]))


def test_panel_in_a_browser(matrix, html, tmp_path):
    name, key, cell = next(
        (op["name"], k, c)
        for op in matrix["ops"]
        for k, c in op["cells"].items()
        if c["status"] == "fail" and c["error"] == 1e-2 and not c["snippet"]
    )
    mode, dtype, layout = key.split("|")
    document, complaints = opened(tmp_path, html, f"cell={name}|{key}".replace(" ", "+"))
    assert complaints == []
    assert 'data-ready="true"' in document
    panel = text_of(document, "aside", 'id="panel"')
    assert f"{mode}, {dtype}, {layout}" in panel
    for said in (name, "fail", cell["reason"], "0.01", "complex step", "exceeded 10,000 times over"):
        assert said in panel
    assert f"reproduce('{name}', sample=0, mode='{mode}', dtype='{dtype}', layout='{layout}')" in panel
    # Every family has a row, and the parts below the matrix are there.
    for text in {op["family"] for op in matrix["ops"]} | {
        "linalg.solve",
        "special.gammainc",
        "dropped term",
        "asmatrix",
    }:
        assert f">{text}" in document


def test_filters_in_a_browser(matrix, html, tmp_path):
    failing = {
        op["name"]
        for op in matrix["ops"]
        if any(c["status"] == "fail" and k.startswith("vmap|float64") for k, c in op["cells"].items())
    }
    document, complaints = opened(
        tmp_path, html, "status=fail&mode=vmap&dtype=float64&sort=name&columns=layout&theme=dark"
    )
    assert complaints == []
    assert 'data-theme="dark"' in document
    rows = set(re.findall(r'<span class="name" role="rowheader" data-c="-1">([^<$]+)</span>', document))
    assert rows <= failing and len(rows) >= min(len(failing), 20)
    assert f"{len(failing)} op" in text_of(document, "p", 'id="found"')


def test_markdown(matrix):
    text = markdown(matrix)
    lines = text.splitlines()
    counts = summary(matrix).total.counts
    assert f"{counts['fail']:,} failures" in text and "19 of 20" in text
    tables = [line for line in lines if line.startswith("|")]
    for head, rule in ((a, b) for a, b in itertools.pairwise(lines) if b.startswith("|--")):
        columns = rule.count("|")
        at = lines.index(head)
        while at < len(lines) and lines[at].startswith("|"):
            assert len(re.findall(r"(?<!\\)\|", lines[at])) == columns, lines[at]
            at += 1
    for name in {op["family"] for op in matrix["ops"]}:
        assert any(line.startswith(f"| {name} |") for line in tables)
    assert "takes real values only" in text and "got &lt;b>1&lt;/b>" in text and "special.jv" in text
    assert len(text) < 100_000


def test_terminal(matrix):
    out = io.StringIO()
    Console(file=out, width=80).print(terminal(matrix))
    text = out.getvalue()
    assert max(map(len, text.splitlines())) <= 80
    for name in {op["family"] for op in matrix["ops"]}:
        assert re.search(rf"^{re.escape(name)} +\d+ ", text, re.M)
    assert " · ".join(headline(matrix, summary(matrix)))[:60] in text
    words = " ".join(text.split())
    for said in ("Nothing was executed in: jit", "1 missed", "over the bound: special.jv[0]", "failing examples: roll"):
        assert said in words
    assert "got <b>1</b>" in text


def test_summary_counts(matrix):
    """Against a count made another way."""
    found = summary(matrix)
    flat = json.dumps(matrix["ops"])
    for status, number in found.total.counts.items():
        assert flat.count(f'"status": "{status}"') == number
    assert found.tightest is not None
    assert found.tightest.cell["error"] == max(
        c["error"] for op in matrix["ops"] for c in op["cells"].values() if c["status"] == "pass"
    )


def test_a_clean_matrix_says_so(matrix):
    clean = {
        **matrix,
        "ops": [
            {**op, "cells": {k: c for k, c in op["cells"].items() if c["status"] != "fail"}} for op in matrix["ops"]
        ],
    }
    assert "0 failures" in headline(clean, summary(clean))
    assert "## Failures\n\nNone." in markdown(clean)
