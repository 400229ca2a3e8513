"""Sphinx: MyST pages, the docstrings of the public names, and tables read from the ops and the registry."""

from __future__ import annotations

import re
import sys
from collections import Counter
from pathlib import Path

from docutils import nodes
from docutils.parsers.rst import Directive

sys.path.insert(0, str(Path(__file__).parent.parent))

import wengert

project = "wengert"
author = "The wengert authors"
copyright = "2025, the wengert authors"
release = version = wengert.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"wengert {release}"
html_show_sourcelink = False
myst_enable_extensions = ["dollarmath", "deflist"]
myst_heading_anchors = 3
default_role = "code"
add_module_names = False
autodoc_typehints = "none"
autodoc_member_order = "bysource"
napoleon_numpy_docstring = True
napoleon_google_docstring = False
suppress_warnings = ["misc.highlighting_failure"]

# ── docstrings: plain text with indented code, as they read in a terminal ─────

ITEM = re.compile(r"^(Parameters|Returns|Raises|Attributes|Yields)$")


def plain_to_rst(app, what, name, obj, options, lines):
    """Indented blocks become literal blocks; `*` and `|` outside backquotes are what they are."""
    out, literal, section = [], False, False
    for i, line in enumerate(lines):
        follows_blank = i == 0 or not lines[i - 1].strip()
        if ITEM.match(line) and i + 1 < len(lines) and lines[i + 1].startswith("---"):
            section = True
        indented = line.startswith("    ")
        if indented and follows_blank and not section and not literal:
            out += ["::", ""]
            literal = True
        elif line.strip() and not indented:
            literal = False
            if section and follows_blank and not ITEM.match(line):
                section = False
        out.append(line if literal else escaped(line))
    lines[:] = out


def escaped(line):
    parts = line.split("`")
    parts[::2] = [re.sub(r"([*|])", r"\\\1", p) for p in parts[::2]]
    return "`".join(parts)


# ── tables that the code itself fills ─────────────────────────────────────────


class Rows(Directive):
    """A table whose cells are read from the library when the docs are built."""

    head: tuple[str, ...] = ()
    widths: tuple[int, ...] = ()

    def rows(self):
        raise NotImplementedError


    def run(self):
        group = nodes.tgroup(cols=len(self.head))
        group += [nodes.colspec(colwidth=w) for w in self.widths]
        head, body = nodes.thead(), nodes.tbody()
        for part, rows in ((head, [self.head]), (body, self.rows())):
            for cells in rows:
                row = nodes.row()
                row += [nodes.entry("", nodes.paragraph("", "", *inline(str(c)))) for c in cells]
                part += row
        group += [head, body]
        return [nodes.table("", group)]


def inline(text):
    """Text whose backquoted parts are code."""
    return [nodes.literal("", p) if i % 2 else nodes.Text(p) for i, p in enumerate(text.split("`")) if p]


POINT = re.compile(r"subgradient|slope|derivative|share|tie|differentiable|equal elements|last write|is taken")


class Subgradients(Rows):
    """What is taken where a derivative does not exist, from the `note` of each op."""

    head, widths = ("op", "at its kinks, ties and boundaries"), (20, 80)

    def rows(self):
        import wengert.nn
        import wengert.scipy.special
        from wengert.core.op import OPS

        return [(f"`{op.name}`", op.note) for op in sorted(OPS.values(), key=lambda op: op.name) if POINT.search(op.note)]


class Refused(Rows):
    """The names that raise, with reason and remedy."""

    head, widths = ("name", "why there is no derivative", "what to do"), (25, 45, 30)

    def rows(self):
        from wengert.verify.api import rows

        found = {r.name: r for r in rows() if r.status == "refused"}
        return [(f"`{r.name}`", r.reason, r.remedy) for r in found.values()]


class Counts(Rows):
    """How many names of each space have each status."""

    head, widths = ("names of", "differentiable", "constant", "refused", "blank"), (40, 15, 15, 15, 15)

    def rows(self):
        from wengert.verify.api import rows

        table = rows()
        counts = Counter((r.space, r.status) for r in table)
        return [(space, *(counts[space, s] for s in self.head[1:])) for space in dict.fromkeys(r.space for r in table)]


def setup(app):
    app.connect("autodoc-process-docstring", plain_to_rst, priority=100)
    app.add_directive("subgradients", Subgradients)
    app.add_directive("refused-names", Refused)
    app.add_directive("name-counts", Counts)
    return {"parallel_read_safe": True}
