"""The matrix as one HTML page that needs nothing else: no network, no fonts, no other file.

`page.html` is the frame; `page.css`, and the scripts below in this order, are put into it, and the data as
`packing` writes them. The scripts share one scope, as chapters of one program.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from html import escape
from pathlib import Path
from typing import Any

from wengert.verify.matrix import wording
from wengert.verify.matrix.page.packing import decode, encode
from wengert.verify.matrix.summary import headline, provenance, summary

SCRIPTS = ("model.js", "state.js", "grid.js", "panel.js", "sections.js", "start.js")


def page(data: dict[str, Any]) -> str:
    """The page for a matrix of schema 1."""
    found = summary(data)
    phrases = headline(data, found)
    words = {"modes": wording.MODES, "layouts": wording.LAYOUTS, "statuses": wording.STATUSES, "names": wording.NAMES}
    words["short"] = {m: wording.short(m) for m in data["modes"]}
    parts = {
        "title": f"wengert {data['versions'].get('wengert', '')}: coverage matrix".replace(" :", ":"),
        "headline": " · ".join(phrases),
        "lede": "".join(f"<li>{_phrase(p)}</li>" for p in phrases),
        "provenance": escape(provenance(data)),
        "modes": _definitions(data["modes"], wording.MODES),
        "layouts": _definitions(data["layouts"], wording.LAYOUTS),
        "style": _file("page.css"),
        "script": "\n".join(_file(name) for name in SCRIPTS),
        "data": encode(data, words=words),
    }
    parts["title"], parts["headline"] = escape(parts["title"]), escape(parts["headline"])
    return re.sub(r"<!-- (\w+) -->", lambda m: parts[m[1]], _file("page.html"))


def read(html: str) -> dict[str, Any]:
    """The matrix that a page carries, of schema 1; measured values have three digits there."""
    found = re.search(r'<script id="data"[^>]*>([^<]*)</script>', html)
    if found is None:
        raise ValueError("got a text without embedded data, want a page written by `wengert coverage --html`")
    return decode(found[1].strip())


def _file(name: str) -> str:
    return Path(__file__).with_name(name).read_text(encoding="utf-8")


def _phrase(phrase: str) -> str:
    """The figures of a phrase of the headline, set off from its words."""
    return re.sub(r"([\d.,∞]*[\d∞](?: %)?)", r"<b>\1</b>", escape(phrase))


def _definitions(terms: Iterable[str], meanings: dict[str, str]) -> str:
    return "".join(f"<dt>{escape(t)}</dt><dd>{escape(meanings.get(t, ''))}</dd>" for t in terms)
