"""What `import wengert` gives, and what it does not load."""

from __future__ import annotations

import inspect
import subprocess
import sys
import types
from pathlib import Path

import pytest

import wengert

ROOT = Path(__file__).parent.parent

PUBLIC = [
    "GradientTape",
    "Program",
    "ShapeDtype",
    "Tensor",
    "__version__",
    "adopt",
    "associative_scan",
    "call",
    "checkpoint",
    "checkpoint_sequential",
    "cond",
    "config",
    "custom_jvp",
    "custom_vjp",
    "detect_anomaly",
    "enable_grad",
    "errors",
    "events",
    "fori_loop",
    "get_threads",
    "grad",
    "gradient_hook",
    "hessian",
    "hvp",
    "jacfwd",
    "jacobian",
    "jacrev",
    "jit",
    "jvp",
    "linearize",
    "map",
    "name",
    "no_grad",
    "per_example_grad",
    "policies",
    "save_on_disk",
    "saved_residuals",
    "saved_tensors_hooks",
    "scan",
    "set_threads",
    "stop_gradient",
    "switch",
    "trace",
    "value_and_grad",
    "vjp",
    "vmap",
    "while_loop",
]
ERRORS = [
    "BudgetError",
    "CompileError",
    "ConcretizationError",
    "DTypeError",
    "LeakError",
    "MissingExtra",
    "MissingPackage",
    "NonFinite",
    "NotDifferentiable",
    "ShapeError",
    "TapeError",
    "TracerLeak",
    "Unconnected",
    "WengertError",
]
LAZY = ["cli", "nn", "scipy", "verify"]  # submodules that load on first use
HEAVY = [
    "scipy",
    "matplotlib",
    "rich",
    "sklearn",
    "pandas",
    "torch",
    "jax",
    "wengert.verify",
    "wengert.nn",
    "wengert.scipy",
]


def in_subprocess(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_exported_names_are_these():
    assert sorted(wengert.__all__) == PUBLIC
    assert sorted(wengert.errors.__all__) == ERRORS


def test_star_import():
    assert in_subprocess(
        "before = set(dir()); from wengert import *; print(sorted(set(dir()) - before - {'before'}))"
    ) == (f"{PUBLIC}\n")


@pytest.mark.parametrize("name", [n for n in PUBLIC if n != "__version__"])
def test_docstring(name):
    thing = getattr(wengert, name)
    doc = inspect.getdoc(thing) or ""
    assert len(doc.split()) >= 4, f"wengert.{name} needs a docstring"
    if not isinstance(thing, type | types.ModuleType) and callable(thing):
        hints = inspect.signature(thing)
        assert all(p.annotation is not p.empty for p in hints.parameters.values()), f"wengert.{name} is not fully typed"


@pytest.mark.parametrize("cls", ["GradientTape", "custom_vjp", "custom_jvp"])
def test_docstrings_of_methods(cls):
    for name, member in vars(getattr(wengert, cls)).items():
        if not name.startswith("_"):
            assert inspect.getdoc(member), f"wengert.{cls}.{name} needs a docstring"


@pytest.mark.parametrize("name", ERRORS)
def test_errors_share_a_base(name):
    error = getattr(wengert.errors, name)
    assert issubclass(error, wengert.errors.WengertError) and error.__doc__


def test_nn_exports_have_docstrings():
    assert len(set(wengert.nn.__all__)) == len(wengert.nn.__all__) > 50
    for name in wengert.nn.__all__:
        assert inspect.getdoc(getattr(wengert.nn, name)), f"wengert.nn.{name} needs a docstring"


def test_import_is_light():
    loaded = in_subprocess(f"import sys, wengert; print([m for m in {HEAVY!r} if m in sys.modules])")
    assert loaded == "[]\n"


@pytest.mark.parametrize("name", LAZY)
def test_submodules_load_on_first_use(name):
    code = f"import sys, wengert; m = 'wengert.{name}'; assert m not in sys.modules; wengert.{name}; print(m in sys.modules)"
    assert in_subprocess(code) == "True\n"


def test_numpy_is_loaded_with_the_package():
    assert in_subprocess("import wengert; print(wengert.numpy.linalg.solve)").strip()


def test_unknown_name():
    with pytest.raises(AttributeError, match=r"module 'wengert' has no attribute 'gard'"):
        wengert.gard


def test_dir_names_what_is_public():
    assert set(PUBLIC) - {"__version__"} <= set(dir(wengert))


def test_typed():
    assert (ROOT / "wengert" / "py.typed").exists()
