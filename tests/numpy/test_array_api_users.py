"""Libraries that dispatch on the array API standard: SciPy and scikit-learn accept Tensors, or raise; none is wrong.

The calls are in `tests/array_api/dispatched.py`, run in a process of its own with SCIPY_ARRAY_API=1.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# What raises, and why. With the newest versions everything else must be right.
COMPILED = "compiled code, which takes ndarrays"
MIXED = "comparisons of Tensors are ndarrays, and SciPy refuses to mix namespaces"
FLOAT = "its result is a Python float"
RAISES = {
    **dict.fromkeys(["stats.variation", "stats.lmoment", "stats.pearsonr", "stats.chisquare"], MIXED),
    **dict.fromkeys(["stats.combine_pvalues", "interpolate.CubicSpline", "linear_model.LinearRegression"], MIXED),
    **dict.fromkeys(["signal.convolve", "signal.detrend", "signal.welch", "signal.savgol_filter"], COMPILED),
    **dict.fromkeys(["stats.norm.logpdf", "fft.dct", "cluster.vq.vq", "cluster.hierarchy.linkage"], COMPILED),
    **dict.fromkeys(["integrate.simpson", "spatial.distance.cdist", "ndimage.gaussian_filter", "linalg.det"], COMPILED),
    **dict.fromkeys(["metrics.mean_squared_error as a float", "metrics.log_loss as a float"], FLOAT),
}
TESTED_WITH = {"scipy": (1, 17), "sklearn": (1, 9)}
OLDEST = {"scipy": (1, 13), "sklearn": (1, 7)}  # before, scikit-learn's dispatch needs another package


def version(library: str) -> tuple[int, ...]:
    return tuple(int(part) for part in importlib.import_module(library).__version__.split(".")[:2])


@pytest.mark.parametrize("library", ["scipy", "sklearn"])
def test_a_library_on_tensors_is_right_or_raises(library):
    pytest.importorskip(library, reason=f"{library} is not installed")
    if version(library) < OLDEST[library]:
        pytest.skip(f"{library} {version(library)} dispatches on the standard with help only")
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    ran = subprocess.run(
        [sys.executable, str(ROOT / "tests/array_api/dispatched.py"), library],
        env={**os.environ, "SCIPY_ARRAY_API": "1", "PYTHONPATH": path},
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout)
    assert not {name: said for name, said in found.items() if said.startswith("wrong")}
    if version(library) >= TESTED_WITH[library]:
        raising = {name: said for name, said in found.items() if said.startswith("raises")}
        assert not {name: said for name, said in raising.items() if name not in RAISES}
