"""Check NumPy's names as users call them: an example's values, both modes, second order, and vmap.

value     our function on plain arrays, and on Tensors, against NumPy's
forward, reverse, second, batch   as in `rules`, through NumPy's dispatch on Tensors
"""

from __future__ import annotations

from typing import Any

import numpy as np

import wengert.numpy as wnp
from wengert.core.tensor import Array
from wengert.core.tree import leaves
from wengert.transforms.forward import jvp_flat
from wengert.verify.call import Call, random_like
from wengert.verify.examples import Example
from wengert.verify.rules import check_batch, check_forward, check_reverse, check_second

CHECKS = ("value", "forward", "reverse", "second", "batch")


class _ExampleOp:
    """An example in the part of an op, for the checks of `rules`."""

    multi, constant, jvp, vjp, batch = True, False, None, None, None

    def __init__(self, example: Example, namespace: Any) -> None:
        self.example, self.namespace, self.name = example, namespace, example.name

    def __call__(self, *args: Array) -> tuple[Array, ...]:
        out = leaves(self.example.fun(self.namespace, *args))
        return tuple(o if hasattr(o, "dtype") else np.asarray(o)[()] for o in out)


def call(example: Example, namespace: Any, dtype: str = "float64") -> Call:
    """The example as a function of its differentiable arrays; `namespace` is what it sees as `np`."""
    return Call(_ExampleOp(example, namespace), example.sample, dtype)  # pyright: ignore[reportArgumentType]


def dtypes_of(example: Example) -> list[str]:
    return ["float64", "complex128"] if example.complex else ["float64"]


TESTED_WITH = "2.4.0"  # on an older NumPy, examples of names and keywords that it lacks do not apply


def unavailable(example: Example) -> str:
    """Why an example cannot run with the installed NumPy; empty if it can."""
    if np.lib.NumpyVersion(np.__version__) >= TESTED_WITH:
        return ""
    try:
        run = call(example, np)
        run.all_outs(*run.primals)
    except (AttributeError, TypeError) as error:
        return f"NumPy {np.__version__}: {error}"
    return ""


def check_value(example: Example, dtype: str) -> None:
    theirs, ours = call(example, np, dtype), call(example, wnp, dtype)
    want = theirs.all_outs(*theirs.primals)
    got = ours.all_outs(*ours.primals)
    theirs.close("plain values", got, want, 1e-12, 1e-13)
    if not theirs.primals:
        return
    inexact = theirs(*theirs.primals)
    for namespace in (np, wnp):  # np: through dispatch
        run = call(example, namespace, dtype)
        traced, _ = jvp_flat(run, run.primals, [random_like(run.rng, p) for p in run.primals])
        run.close("traced values", traced, inexact, 1e-10, 1e-12)
        for t, w in zip(traced, inexact, strict=True):
            assert t.dtype == w.dtype, f"{example.name}: dtype {t.dtype}, NumPy gives {w.dtype}"


def check(example: Example, which: str, dtype: str = "float64") -> None:
    """Run one check of one example."""
    if which == "value":
        check_value(example, dtype)
    elif which == "batch":
        if example.batch and example.sample.diff:
            check_batch(call(example, wnp, dtype))
    elif example.sample.diff:
        run = call(example, wnp, dtype)
        if run(*run.primals):  # indices and booleans alone have no derivative
            {"forward": check_forward, "reverse": check_reverse, "second": check_second}[which](run)
