"""Gaps: counting on sources written for it, and what must hold of the real ones."""

import json
from collections import Counter
from textwrap import dedent

import numpy as np
import pytest
from rich.console import Console

from wengert.core.errors import MissingPackage
from wengert.verify import api, gaps
from wengert.verify.gaps import __main__ as command
from wengert.verify.gaps import aside, names, sources, table
from wengert.verify.gaps.ranking import judged
from wengert.verify.gaps.scan import scan


def tally(source, module="pack.mod", is_package=False):
    return scan(dedent(source).encode(), module, is_package)


@pytest.mark.parametrize(
    "source, want",
    [
        ("import numpy\nnumpy.sum(1)", {"numpy.sum": 1}),
        ("import numpy as np\nnp.linalg.norm(np.ones(3))", {"numpy.linalg.norm": 1, "numpy.ones": 1}),
        ("import numpy.linalg\nnumpy.linalg.inv(a)", {"numpy.linalg.inv": 1}),
        ("import numpy.linalg as la\nla.inv(a)", {"numpy.linalg.inv": 1}),
        ("from numpy import linalg\nlinalg.inv(a)", {"numpy.linalg.inv": 1}),
        ("from scipy import special as sc\nsc.gammaln(1)", {"scipy.special.gammaln": 1}),
        ("from scipy.special import gammaln as g\ng(1); g(2)", {"scipy.special.gammaln": 2}),
        ("import numpy as np\nmap(np.abs, xs)", {"numpy.abs": 1}),
        ("import numpy as np\nnp.add.reduce(x)", {"numpy.add.reduce": 1}),
        ("import numpy as np\nf = np.dot\nf(a, b)", {"numpy.dot": 2}),
        ("import numpy as np\nf = np.dot\nif c:\n    f = np.inner\nf(a, b)", {"numpy.dot": 1, "numpy.inner": 1}),
        (
            "try:\n    from scipy.special import comb\nexcept ImportError:\n    comb = None\ncomb(3)",
            {"scipy.special.comb": 1},
        ),
        ("import numpy as np\n@np.vectorize\ndef f(x: np.ndarray) -> np.ndarray: ...", {"numpy.vectorize": 1}),
        ("import numpy as np\nx: np.ndarray = np.ones(2)", {"numpy.ones": 1}),
        ("import math\nmath.sqrt(2)", {}),
        ("np.sum(1)", {}),
    ],
)
def test_imports_and_aliases(source, want):
    assert dict(tally(source).names) == want


@pytest.mark.parametrize(
    "source, want",
    [
        ("import numpy as np\ndef f(np): return np.sum(1)", {}),
        ("import numpy as np\ndef f():\n    np = thing()\n    return np.sum(1)\nnp.prod(1)", {"numpy.prod": 1}),
        ("import numpy as np\n[np.sum(1) for np in xs]", {}),
        ("import numpy as np\n[x for x in np.ones(3)]", {"numpy.ones": 1}),
        ("import numpy as np\nf = lambda np: np.sum(1)", {}),
        ("import numpy as np\nlambda x=np.ones(3): np.sum(x)", {"numpy.ones": 1, "numpy.sum": 1}),
        ("def f():\n    import numpy as np\n    def g(): return np.sum(1)\nnp.prod(1)", {"numpy.sum": 1}),
        ("def f():\n    return np.sum(1)\nimport numpy as np", {"numpy.sum": 1}),
        ("class A:\n    import numpy as np\n    x = np.ones(1)\n    def f(self): return np.sum(1)", {"numpy.ones": 1}),
        ("def f():\n    global np\n    import numpy as np\ndef g(): return np.sum(1)", {"numpy.sum": 1}),
        ("def f():\n    import numpy as np\n    def g():\n        nonlocal np\n        np.sum(1)", {"numpy.sum": 1}),
        ("from numpy import sum\ndef sum2(): return sum(1)", {"numpy.sum": 1}),
        ("def sum(x): ...\nsum(1)", {}),
    ],
)
def test_scopes_and_shadows(source, want):
    assert dict(tally(source).names) == want


def test_relative_imports():
    assert dict(tally("from ._basic import solve\nsolve(a)", "scipy.linalg._decomp").names) == {
        "scipy.linalg._basic.solve": 1
    }
    assert dict(tally("from . import special\nspecial.gamma(1)", "scipy", True).names) == {"scipy.special.gamma": 1}
    assert dict(tally("from ..special import gamma\ngamma(1)", "scipy.stats._m").names) == {"scipy.special.gamma": 1}
    assert dict(tally("from ..utils import dot\ndot(1)", "sklearn.x.y").names) == {}


def test_array_namespaces():
    source = """
        def f(x, xp): return xp.sum(x)
        def g(x):
            xp = array_namespace(x)
            return xp.linalg.inv(x)
        def h(x):
            xp, _ = get_namespace(x)
            return xp.exp(x)
        def i(x):
            xp = other(x)
            return xp.exp(x)
    """
    assert dict(tally(source).names) == {"xp.sum": 1, "xp.linalg.inv": 1, "xp.exp": 1}


def test_star_imports():
    found = tally("from scipy.special import *\nprint(gammaln(1), nothing(2), len(x))")
    known = Counter()
    for dotted, n in found.names.items():
        name = names.canonical(dotted)
        known[name.name if isinstance(name, names.Name) else name.why] += n
    assert known == {"scipy.special.gammaln": 1, names.UNBOUND.why: 2}  # nothing, x


def test_methods():
    source = """
        import numpy as np, json
        x.sum(); f(x).mean().reshape(2); (a + b).astype(int)
        np.sum(x); json.dump(x); self.dot(x); "".join(y).copy(); [1].copy(); [i for i in x].sort(); x.other()
        self.x.ravel()
    """
    want = {"sum": 1, "mean": 1, "reshape": 1, "astype": 1, "copy": 1, "ravel": 1}
    assert dict(tally(source).methods) == want


def test_unreadable_sources_are_told():
    assert "SyntaxError" in tally("def f(:").unreadable
    assert tally("x = " + "-" * 20000 + "1").unreadable


def test_a_method_of_other_common_types_is_ambiguous():
    assert names.method_kind("copy") and names.method_kind("sort") and names.method_kind("dot")
    for array_only in ("searchsorted", "swapaxes", "view", "cumsum"):
        assert names.method_kind(array_only) == ""


@pytest.mark.parametrize(
    "dotted, want",
    [
        ("numpy.sum", "numpy.sum"),
        ("numpy._core.fromnumeric.sum", "numpy.sum"),
        ("numpy.add.reduce", "numpy.add"),
        ("numpy.linalg.norm", "numpy.linalg.norm"),
        ("xp.sum", "numpy.sum"),
        ("xp.linalg.inv", "numpy.linalg.inv"),
        ("scipy.linalg._basic.solve", "scipy.linalg.solve"),
        ("scipy.fft._basic.rfft", "scipy.fft.rfft"),
        ("scipy.stats.norm.cdf", "scipy.stats.norm.cdf"),
        ("scipy.interpolate.CubicSpline", "scipy.interpolate.CubicSpline"),
    ],
)
def test_one_public_name(dotted, want):
    assert names.canonical(dotted).name == want


def test_names_that_are_none():
    assert names.canonical("numpy.pi") == names.VALUE
    assert names.canonical("numpy.linalg") == names.canonical("xp") == names.MODULE
    assert names.canonical("scipy.linalg._basic.no_such_thing") == names.INTERNAL
    assert names.canonical("xp.transpose") == names.NOT_STANDARD


def test_standing():
    def status(dotted):
        return names.standing(names.canonical(dotted)).status

    assert status("numpy.exp") == status("numpy.linalg.solve") == status("scipy.special.gammaln") == "differentiable"
    assert status("numpy.concat") == "differentiable"
    assert status("numpy.argmax") == "constant"
    assert status("numpy.nditer") == "refused"
    assert status("scipy.optimize.minimize") == "unserved"


def test_stated_lists_name_existing_things():
    """A name that is set aside exists in the installed NumPy and SciPy, or did in a version that is still supported."""
    gone = {"scipy.stats.find_repeats"}
    for dotted in aside.NAMES:
        if dotted.startswith("ndarray."):
            assert hasattr(np.ndarray, dotted.removeprefix("ndarray."))
            continue
        space, _, name = dotted.rpartition(".")
        where = names.module(space)
        assert where is not None and (hasattr(where, name) or dotted in gone), dotted


@pytest.fixture
def toy(tmp_path, monkeypatch):
    files = {
        "toypack/__init__.py": "import numpy as np\nfrom .inner import f\n",
        "toypack/inner.py": "from scipy import fft, optimize\nimport numpy as np\n"
        "def f(x):\n    optimize.minimize(np.sum, x)\n    return np.sum(x) + x.squeeze()\n",
        "toypack/tests/test_inner.py": "import numpy as np\nfrom scipy.optimize import minimize\n"
        "def test_f():\n    minimize(np.sin, np.ones(3)); np.testing.assert_equal(1, 1); np.pi\n",
        "toypack/broken.py": "def f(:\n",
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    return "toypack"


def test_a_small_package(toy):
    steps = []
    found = gaps.survey((toy,), jobs=1, progress=lambda done, total: steps.append((done, total)))
    assert steps[-1] == (4, 4)
    assert found.files == {toy: 4}
    assert [path.endswith("broken.py") for path in found.unreadable] == [True]
    minimize = next(g for g in found.gaps if g.name == "scipy.optimize.minimize")
    assert (minimize.uses, minimize.tests, minimize.own, minimize.by) == (2, 1, 0, {toy: 2})
    assert minimize.status == "unserved"
    assert {g.name: g.uses for g in found.served} == {
        "numpy.sum": 2,
        "numpy.sin": 1,
        "numpy.ones": 1,
        "ndarray.squeeze": 1,
    }
    assert {a.reason: a.uses for a in found.aside} == {"tests": 1, names.VALUE.why: 1}
    assert found.gaps == gaps.gaps((toy,), jobs=1)


def test_two_processes_count_the_same(toy):
    one, two = (sources.read((toy,), jobs) for jobs in (1, 2))
    assert one == two


def test_a_package_that_is_not_there():
    with pytest.raises(MissingPackage, match="nosuchpackage"):
        gaps.survey(("nosuchpackage",))
    assert command.main(["nosuchpackage"]) == 2


def test_own_uses_are_apart():
    homes = {s.module: (s.home, s.test) for s in sources.find("scipy")}
    assert homes["scipy.linalg._basic"] == ("scipy.linalg", False)
    assert homes["scipy._lib._array_api"] == ("scipy", False)
    assert homes["scipy.fft.tests.test_helper"] == ("scipy.fft", True)
    assert {s.home for s in sources.find("numpy") if s.module.startswith("numpy.lib")} == {"numpy"}


@pytest.fixture(scope="module")
def reading():
    return sources.read(("numpy", "sklearn"), jobs=1)


@pytest.fixture(scope="module")
def real(reading):
    return judged(reading, ("numpy", "sklearn"))


def test_the_real_thing_is_read(real):
    served = {g.name: g for g in real.served}
    assert served["numpy.sum"].all > 300
    assert served["numpy.sum"].by["sklearn"] > 50
    assert served["numpy.array"].tests > served["numpy.array"].uses / 2
    assert real.unreadable == {}


def test_nothing_is_dropped(real, reading):
    uses = [u for found in (reading.names, reading.methods) for u in found.values()]
    assert real.total == sum(u.library.total() + u.tests.total() for u in uses)
    assert real.total == sum(row[0] for row in table.totals(real))
    for group in real.aside:
        assert group.reason and group.uses == sum(group.names.values())


def test_what_is_served_is_no_gap(real):
    good = {
        f"numpy.{r.name}" if not r.space.startswith("scipy") else r.name
        for r in api.rows()
        if r.status == "differentiable"
    }
    missing = {g.name for g in real.gaps}
    assert missing and not missing & good
    assert not missing & {g.name for g in real.served}
    assert not any(g.status in ("differentiable", "constant") for g in (*real.gaps, *real.ambiguous))


def test_the_most_used_is_first(real):
    assert [g.uses for g in real.gaps] == sorted((g.uses for g in real.gaps), reverse=True)
    assert all(g.uses == sum(g.by.values()) and g.tests <= g.uses for g in real.gaps)


def test_limits_say_what_is_refused(real):
    found = {(limit.name, limit.what) for limit in real.limits}
    assert ("scipy.special.kv", "parameter v") in found
    assert ("scipy.linalg.qr", "an option") in found
    assert all(limit.reason for limit in real.limits)


def test_shown(real, tmp_path, capsys):
    console = Console(width=200, record=True, file=open(tmp_path / "out.txt", "w", encoding="utf-8"))  # noqa: SIM115
    console.print(gaps.terminal(real, 5))
    text = console.export_text()
    assert real.gaps[0].name in text and f"all {real.total} uses" in text and f"{len(real.gaps) - 5} more" in text
    page = gaps.markdown(real)
    assert f"`{real.gaps[0].name}`" in page and "set aside: tests" in page
    rows = json.loads(json.dumps(gaps.data(real.gaps)))
    assert {"name", "space", "uses", "by", "status", "reason"} <= set(rows[0])


def test_the_command(toy, capsys, tmp_path):
    assert command.main([toy, "--jobs", "1", "--json"]) == 0
    assert any(row["name"] == "scipy.optimize.minimize" for row in json.loads(capsys.readouterr().out))
    assert command.main([toy, "--jobs", "1", "--markdown", str(tmp_path / "gaps.md")]) == 0
    assert "scipy.optimize.minimize" in (tmp_path / "gaps.md").read_text()
