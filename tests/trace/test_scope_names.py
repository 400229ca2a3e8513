"""Users' functions may have any name, also those of the attributes of what stands for their module."""

import importlib

import numpy as np
import pytest

import wengert as wg

NAMES = ("put", "sync", "watch_writes", "real", "module", "written", "kept")
BODY = "def {0}(x):\n    global COUNT\n    COUNT += 1\n    return np.sin(x) * 2.0\n"
TEXT = "import numpy as np\nCOUNT = 0\n" + "\n".join(map(BODY.format, NAMES))
TEXT += "\ndef total(x):\n    return " + " + ".join(f"{n}(x)" for n in NAMES) + "\n"


@pytest.fixture
def helpers(tmp_path, monkeypatch):
    (tmp_path / "helpers_of_odd_names.py").write_text(TEXT)
    monkeypatch.syspath_prepend(tmp_path)
    module = importlib.import_module("helpers_of_odd_names")
    yield module
    monkeypatch.delitem(importlib.sys.modules, "helpers_of_odd_names")


def test_as_globals(helpers):
    slope = 2.0 * len(NAMES) * np.cos(0.5)
    for _ in range(3):
        assert wg.grad(helpers.total)(0.5) == pytest.approx(slope)
    assert wg.grad(lambda x: wg.fori_loop(0, 1, lambda i, c: helpers.total(c), x))(0.5) == pytest.approx(slope)
    assert 4 * len(NAMES) == helpers.COUNT


@pytest.mark.parametrize("name", NAMES)
def test_as_attributes(helpers, name):
    def f(x):
        import helpers_of_odd_names as inside

        return getattr(inside, name)(x) + eval(f"helpers.{name}(x)", {"helpers": helpers, "x": x})

    assert wg.grad(f)(0.5) == pytest.approx(4.0 * np.cos(0.5))
