"""Every block of Python in the README and the docs runs, and so does every example.

Blocks marked `python` are executed page by page, in one module per page. Blocks marked `pycon` are sessions: what
they print, and the errors they raise, are compared (`...` stands for anything). Other blocks are not run.
"""

from __future__ import annotations

import contextlib
import doctest
import importlib
import io
import linecache
import os
import re
import subprocess
import sys
import types
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from wengert.core.op import OPS
from wengert.numpy import registry

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
PAGES = [p for p in PAGES if "_build" not in p.parts]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
FENCE = re.compile(r"^```(python|pycon)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def blocks(path: Path) -> list[tuple[str, str, int]]:
    """Kind, text and first line (from 0) of each block that is to be run."""
    text = path.read_text(encoding="utf-8")
    return [(m[1], m[2], text.count("\n", 0, m.start(2))) for m in FENCE.finditer(text)]


@contextlib.contextmanager
def page_module(path: Path):
    """A module that stands for the page, as a notebook's namespace does for its cells; ops it adds go with it."""
    module = types.ModuleType("page_" + re.sub(r"\W", "_", path.stem))
    sys.modules[module.__name__] = module
    tables = [(table, dict(table)) for table in (OPS, registry.NAMES, registry.FUNCTIONS)]
    try:
        yield module
    finally:
        del sys.modules[module.__name__]
        for table, before in tables:
            table.clear()
            table.update(before)


def run_code(text: str, first: int, path: Path, namespace: dict) -> None:
    """Execute a block under the page's own file name and line numbers, which error messages then show."""
    linecache.checkcache(str(path))
    exec(compile("\n" * first + text, str(path), "exec"), namespace)


def run_session(text: str, first: int, path: Path, namespace: dict) -> None:
    test = doctest.DocTestParser().get_doctest(text, {}, name(path), name(path), first)
    test.globs = namespace
    report = io.StringIO()
    result = doctest.DocTestRunner(verbose=False, optionflags=OPTIONS).run(test, out=report.write, clear_globs=False)
    assert not result.failed, report.getvalue()


@pytest.mark.parametrize("path", [p for p in PAGES if blocks(p)], ids=name)
def test_page_runs(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with page_module(path) as module:
        for kind, text, first in blocks(path):
            (run_code if kind == "python" else run_session)(text, first, path, vars(module))


@pytest.mark.parametrize("path", EXAMPLES, ids=name)
def test_example_runs(path, tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8", "PYTHONWARNINGS": "error"}
    done = subprocess.run(
        [sys.executable, str(path)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(done.stdout.splitlines()) >= 3, "an example prints what it finds"
    assert "difference" in done.stdout, "an example checks its derivatives against differences"


def test_examples_are_listed():
    listed = (ROOT / "README.md").read_text(encoding="utf-8")
    for path in EXAMPLES:
        assert f"examples/{path.name}" in listed, f"the README does not list {path.name}"


def test_pages_are_in_the_contents():
    """Sphinx warns of pages in no toctree; ADRs are read in the repository too, so their index lists them."""
    index = (ROOT / "docs/adr/000-index.md").read_text(encoding="utf-8")
    for path in (ROOT / "docs/adr").glob("*.md"):
        assert path.stem == "000-index" or path.name in index or path.stem in index, f"{path.name} is not in the index"


def test_layout_names_rooms_and_files_that_exist():
    text = (ROOT / "docs/layout.md").read_text(encoding="utf-8")
    for room in (p.name for p in (ROOT / "wengert").iterdir() if p.is_dir() and (p / "__init__.py").exists()):
        assert f"`{room}/`" in text, f"docs/layout.md does not know the room {room}"
    named = re.findall(r"`((?:\w+/)+\w+\.py)`", text)
    assert named
    for path in named:
        assert (ROOT / "wengert" / path).exists() or (ROOT / path).exists(), (
            f"docs/layout.md names {path}, which is not there"
        )


def test_links_lead_somewhere():
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{name(page)} links to {target}, which is not there"


def test_readme_counts():
    """The table of the README holds the figures that `wengert coverage --api` prints."""
    from wengert.verify.api import rows

    text = (ROOT / "README.md").read_text(encoding="utf-8")
    stated = re.search(r"NumPy (\d+\.\d+)", text[text.index("## What is covered") :])
    assert stated
    if not np.__version__.startswith(stated[1] + "."):
        pytest.skip(f"the README counts the names of NumPy {stated[1]}, this is {np.__version__}")
    counts = Counter((r.space, r.status) for r in rows())
    for space in dict.fromkeys(s for s, _ in counts):
        cells = [counts[space, status] for status in ("differentiable", "constant", "refused", "blank")]
        row = f"| {space} | " + " | ".join(map(str, cells)) + " |"
        assert row in text, f"the README's table should have the row\n{row}"


@pytest.mark.parametrize("room", ["special", "linalg"])
def test_readme_counts_scipy(room):
    import scipy

    text = (ROOT / "README.md").read_text(encoding="utf-8")
    stated = re.search(r"SciPy (\d+\.\d+)", text[text.index("## What is covered") :])
    assert stated
    if not scipy.__version__.startswith(stated[1] + "."):
        pytest.skip(f"the README counts the names of SciPy {stated[1]}, this is {scipy.__version__}")
    names = importlib.import_module(f"wengert.scipy.{room}").NAMES
    counts = Counter(entry.status for entry in names.values())
    row = f"| scipy.{room} | {counts['differentiable']} | {counts['constant']} | {counts['refused']} | 0 |"
    assert row in text, f"the README's table should have the row\n{row}"
