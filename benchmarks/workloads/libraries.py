"""A problem as a ready call of each library: ours, JAX, PyTorch, NumPy written by hand, C++."""

from __future__ import annotations

import ctypes
import importlib.util
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from workloads.case import Problem

Call = Callable[[], Any]


def installed(name: str) -> bool:
    return importlib.util.find_spec(name) is not None


def mapped(function: Callable[[Any], Any], tree: Any) -> Any:
    if isinstance(tree, tuple | list):
        return type(tree)(mapped(function, item) for item in tree)
    return function(tree)


def leaves(tree: Any) -> list[np.ndarray]:
    """The arrays of a result, in order, as NumPy arrays. Lists, tuples and nothing else nest."""
    if isinstance(tree, tuple | list):
        return [leaf for item in tree for leaf in leaves(item)]
    return [np.asarray(tree.detach() if hasattr(tree, "detach") else tree)]


def stepped(problem: Problem, run: Callable[..., Any], value_and_grad: Callable[..., Any]) -> Callable[..., Any]:
    """What is compiled: the function; its value and gradients; or the value and the parameters after one step."""
    if not problem.wrt:
        return run
    slope = value_and_grad(run, problem.wrt)
    if not problem.rate:
        return slope

    def step(params, *rest):
        value, (gradients,) = slope(params, *rest)
        return value, [p - problem.rate * g for p, g in zip(params, gradients, strict=True)]

    return step


# ── ours ──────────────────────────────────────────────────────────────────────


def stand_in() -> bool:
    import wengert as wg

    return not hasattr(wg, "jit")


def our_step(problem: Problem) -> Callable[..., Any]:
    """The function of NumPy arrays that a user would call."""
    import wengert as wg

    step = stepped(problem, problem.numpy, wg.value_and_grad)
    return step if stand_in() else wg.jit(step)


def ours(problem: Problem) -> Call:
    step, args = our_step(problem), problem.args
    if stand_in() and not problem.wrt:
        return lambda: problem.numpy(*args)
    return lambda: step(*args)


def settle(call: Call) -> None:
    """Call ours until it is compiled as far as it will be: large programs begin as quickly made code."""
    from wengert.runtime import tiers

    for _ in range(tiers.CALLS + 1):
        call()
    tiers.drain()


def interpreted(step: Callable[..., Any]) -> bool:
    """Whether a jitted function that has been called is run op by op, not as machine code."""
    executables = [compiled.executable for compiled in getattr(step, "_known", {}).values()]
    return any("Interpreted" in type(e).__name__ for e in executables)


# ── peers ─────────────────────────────────────────────────────────────────────


def import_jax() -> Any:
    import jax

    jax.config.update("jax_enable_x64", True)
    jax.config.update("jax_platforms", "cpu")
    return jax


def jax_step(problem: Problem) -> tuple[Callable[..., Any], tuple[Any, ...]]:
    jax = import_jax()
    assert problem.jax is not None
    return jax.jit(stepped(problem, problem.jax, jax.value_and_grad)), mapped(jax.numpy.asarray, problem.args)


def with_jax(problem: Problem) -> Call:
    jax = import_jax()
    step, args = jax_step(problem)
    return lambda: jax.block_until_ready(step(*args))


def with_torch(problem: Problem) -> Call:
    import torch

    run = problem.torch
    assert run is not None
    args = mapped(lambda a: torch.tensor(np.asarray(a)), problem.args)
    if not problem.wrt:
        return lambda: run(*args)
    wanted = [args[i] for i in problem.wrt]
    mapped(lambda a: a.requires_grad_(True), wanted)
    flat = [leaf for w in wanted for leaf in (w if isinstance(w, list) else [w])]

    def gradient():
        value = run(*args)
        return value, torch.autograd.grad(value, flat)

    def step():
        value, gradients = gradient()
        with torch.no_grad():
            return value, [p - problem.rate * g for p, g in zip(flat, gradients, strict=True)]

    return step if problem.rate else gradient


def by_hand(problem: Problem) -> Call | None:
    run, args = problem.by_hand, problem.args
    return None if run is None else lambda: run(*args)


# ── C++ ───────────────────────────────────────────────────────────────────────

SOURCE = """
#include <cmath>
template <class T> static void formula(const T *x, T a, T b, long n, T *dx, T *out) {
    T f = 0, da = 0, db = 0;
    for (long i = 0; i < n; ++i) {
        T t = std::tanh(a * x[i] + b), g = std::exp(-(x[i] * x[i])), e = std::exp(x[i]);
        T u = (1 - t * t) * g;
        f += t * g + std::log1p(e);
        dx[i] = a * u - 2 * x[i] * t * g + e / (1 + e);
        da += x[i] * u;
        db += u;
    }
    out[0] = f; out[1] = da; out[2] = db;
}
extern "C" void float64(const double *x, double a, double b, long n, double *dx, double *out) { formula(x, a, b, n, dx, out); }
extern "C" void float32(const float *x, float a, float b, long n, float *dx, float *out) { formula(x, a, b, n, dx, out); }
"""


class Native:
    """The prototype's function and its gradient, written in C++ and built with `g++ -Ofast -march=native`."""

    def __init__(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        path = Path(self.folder.name)
        (path / "formula.cpp").write_text(SOURCE)
        # Linked without -Ofast, which would have the whole process flush subnormal numbers to zero.
        for flags in (
            ["-Ofast", "-march=native", "-fPIC", "-c", "formula.cpp"],
            ["-shared", "formula.o", "-o", "formula.so"],
        ):
            subprocess.run(["g++", *flags], cwd=path, check=True, capture_output=True)
        self.library = ctypes.CDLL(str(path / "formula.so"))

    @staticmethod
    def present() -> bool:
        return shutil.which("g++") is not None

    def formula(self, problem: Problem) -> Call:
        x, a, b = problem.args
        function, number = getattr(self.library, x.dtype.name), {8: ctypes.c_double, 4: ctypes.c_float}[x.itemsize]
        pointer = ctypes.c_void_p
        function.argtypes, function.restype = [pointer, number, number, ctypes.c_long, pointer, pointer], None

        def run():
            dx, out = np.empty_like(x), np.empty(3, x.dtype)
            function(x.ctypes.data, a, b, x.size, dx.ctypes.data, out.ctypes.data)
            return out[0], (dx, out[1], out[2])

        return run
