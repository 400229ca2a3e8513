"""What this machine and installation have, and whether the essentials work: the content of `wengert doctor`."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import sys
from collections.abc import Callable
from typing import Literal, NamedTuple

import numpy as np

import wengert.api as wg
from wengert.runtime import cache


class Finding(NamedTuple):
    """One line of the report."""

    topic: str
    value: str
    state: Literal["ok", "missing", "broken"] = "ok"
    advice: str = ""


EXTRAS = {
    "demo": ("matplotlib", "scikit-learn"),
    "docs": ("sphinx", "furo", "myst-parser"),
    "dev": ("pytest", "hypothesis", "mpmath", "ruff", "pyright"),
    "peers": ("torch", "jax", "autograd"),
}


def examine() -> list[Finding]:
    """Versions, machine, extras, and a run of each basic capability."""
    return [*_versions(), *_machine(), *_extras(), *_capabilities()]


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _versions() -> list[Finding]:
    found = [Finding("python", f"{platform.python_version()} ({platform.python_implementation()})")]
    for package in ("wengert", "numpy", "scipy", "llvmlite", "optree", "rich"):
        version = _version(package)
        found.append(Finding(package, version or "not installed", "ok" if version else "broken"))
    return found


def _machine() -> list[Finding]:
    info = np.show_config(mode="dicts")
    blas = info.get("Build Dependencies", {}).get("blas", {}) if isinstance(info, dict) else {}
    simd = info.get("SIMD Extensions", {}).get("found", []) if isinstance(info, dict) else []
    threads = os.environ.get("OMP_NUM_THREADS") or os.environ.get("OPENBLAS_NUM_THREADS") or "default"
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return [
        Finding("system", f"{platform.system()} {platform.machine()}, {cores} cores"),
        Finding("BLAS", f"{blas.get('name', 'unknown')} {blas.get('version', '')}, threads: {threads}".strip()),
        Finding("SIMD", ", ".join(simd) or "baseline"),
        Finding("threads", f"{wg.get_threads()} for compiled code"),
        Finding("compiled code", f"kept in {cache.directory()}" if wg.config.disk_cache else "not kept on disk"),
    ]


def _extras() -> list[Finding]:
    found = []
    for extra, packages in EXTRAS.items():
        versions = {p: _version(p) for p in packages}
        missing = [p for p, v in versions.items() if v is None]
        shown = ", ".join(f"{p} {v}" for p, v in versions.items() if v)
        advice = f"pip install 'wengert[{extra}]' for {', '.join(missing)}" if missing else ""
        found.append(Finding(f"extra {extra}", shown or "none", "missing" if missing else "ok", advice))
    return found


def _close(got: object, want: object) -> bool:
    return bool(np.allclose(np.asarray(got), np.asarray(want), rtol=1e-8))


def _special() -> bool:
    from scipy import special

    return _close(wg.grad(special.gammaln)(2.5), special.digamma(2.5))


def _compiled() -> bool:
    fast = wg.jit(wg.value_and_grad(lambda x: np.sum(np.sin(x) * x)))
    x = np.linspace(0.0, 1.0, 5)
    with wg.config.override(debug_passes=True):  # otherwise what cannot be compiled runs by NumPy
        return _close(fast(x)[1], np.sin(x) + x * np.cos(x))


CAPABILITIES: dict[str, Callable[[], bool]] = {
    "reverse mode": lambda: _close(wg.grad(lambda x: np.sum(np.sin(x)))(np.ones(3)), np.cos(np.ones(3))),
    "forward mode": lambda: _close(wg.jvp(np.exp, (1.0,), (1.0,))[1], np.e),
    "second order": lambda: _close(wg.hessian(lambda x: np.sum(x**3))(np.ones(2)), 6 * np.eye(2)),
    "vmap": lambda: _close(wg.vmap(wg.grad(lambda x: x * x))(np.arange(3.0)), 2 * np.arange(3.0)),
    "linear algebra": lambda: _close(wg.grad(np.linalg.det)(2 * np.eye(2)), 2 * np.eye(2)),
    "special functions": _special,
    "machine code": _compiled,
}


def _capabilities() -> list[Finding]:
    found = []
    for name, works in CAPABILITIES.items():
        try:
            ok, shown = works(), "gives the right number"
        except Exception as error:  # the doctor reports whatever is wrong
            ok, shown = False, f"{type(error).__name__}: {error}".splitlines()[0]
        found.append(
            Finding(name, shown if ok or "Error" in shown else "gives a wrong number", "ok" if ok else "broken")
        )
    if sys.flags.optimize:
        found.append(Finding("python -O", "asserts are off: checks still run, they do not rely on assert"))
    return found
