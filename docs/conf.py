"""Sphinx: MyST pages, the docstrings of the public names, and tables read from the ops and the registry."""

from __future__ import annotations

import contextlib
import importlib
import io
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

extensions = ["myst_parser", "sphinx.ext.autodoc"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"wengert {release}"
html_show_sourcelink = False
html_extra_path = ["_extra"] if (Path(__file__).parent / "_extra").exists() else []  # `make evidence` writes it
myst_enable_extensions = ["dollarmath", "deflist"]
myst_heading_anchors = 3
default_role = "code"
add_module_names = False
autodoc_typehints = "none"
autodoc_member_order = "bysource"
suppress_warnings = ["misc.highlighting_failure"]

# ── docstrings: plain text with indented code and NumPy's sections, as they read in a terminal ─

SECTION = re.compile(r"^-{3,}$")
ITEM = re.compile(r"^([\w, .*…]+?) : (.*)$")


def plain_to_rst(app, what, name, obj, options, lines):
    """Sections become headed lists, indented blocks literal; `*` and `|` outside backquotes are what they are."""
    out, section, literal, inside = [], False, False, False
    for i, line in enumerate(lines):
        following = lines[i + 1] if i + 1 < len(lines) else ""
        after_blank = i == 0 or not lines[i - 1].strip()
        if SECTION.match(line):
            continue
        if SECTION.match(following):
            out += ["", f"**{line}**", ""]
            section, literal, inside = True, False, False
        elif not line.strip():
            out.append("")
        elif line.startswith("    "):
            if section:
                out += [*([""] if inside else []), "  " + escaped(line.strip())]
                inside = False
                continue
            if after_blank and not literal:
                out += ["::", ""]
                literal = True
            out.append(line if literal else escaped(line))
        else:
            item = ITEM.match(line) if section else None
            section, literal = section and (item is not None or not after_blank or SECTION.match(lines[i - 1])), False
            inside = item is not None
            out.append(f"- ``{item[1]}`` : {escaped(item[2])}" if item else escaped(line))
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


POINT = re.compile(
    "subgradient|slope|share (the|equally)|(is|are) taken|no derivative|zero derivative|derivative is"
    "|constant rank|last write|equal elements|one-sided|singular"
)
FOR_RULES = re.compile(
    "nth|n-th|derivative \\(i|in a direction|slope and offset|strong|cancellation|for rules|the gradient of"
)


def chosen(note):
    return POINT.search(note) and not FOR_RULES.search(note)


class Subgradients(Rows):
    """What is taken where a derivative does not exist, from the `note` of each op."""

    head, widths = ("op", "at its kinks, ties and boundaries"), (20, 80)

    def rows(self):
        from wengert.verify.catalog import load_ops

        return [
            (f"`{op.name}`", op.note) for op in sorted(load_ops().values(), key=lambda op: op.name) if chosen(op.note)
        ]


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
        for name in ("special", "linalg"):
            served = importlib.import_module(f"wengert.scipy.{name}").NAMES.values()
            counts.update((f"scipy.{name}", entry.status) for entry in served)
        return [(space, *(counts[space, s] for s in self.head[1:])) for space in dict.fromkeys(s for s, _ in counts)]


class Excerpt(Directive):
    """What its content, a piece of Python, prints when the docs are built."""

    has_content = True

    def run(self):
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec("\n".join(self.content), {"__name__": "excerpt"})
        block = nodes.literal_block(printed.getvalue(), printed.getvalue())
        block["language"] = "text"
        return [block]


def setup(app):
    app.connect("autodoc-process-docstring", plain_to_rst, priority=100)
    app.add_directive("subgradients", Subgradients)
    app.add_directive("refused-names", Refused)
    app.add_directive("name-counts", Counts)
    app.add_directive("excerpt", Excerpt)
    return {"parallel_read_safe": True}
