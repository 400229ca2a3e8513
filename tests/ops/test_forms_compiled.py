"""Machine code of single ops against their `eval`: what the lowering makes of each form."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from wengert.core.aval import aval_of
from wengert.core.form import Control, HostCall, Map
from wengert.core.op import Op
from wengert.passes.pipeline import optimise
from wengert.runtime.engine import compile
from wengert.trace.stage import stage

# SciPy's log-gamma is infinite at subnormal numbers, whose true values are not
BETTER = {"gammaln", "loggamma"}


def compiled(op: Op, args: list[Any], params: dict[str, Any]) -> tuple[Any, list[np.ndarray]]:
    def run(*xs: Any) -> Any:
        out = op(*xs, **params)
        return tuple(out) if op.multi else (out,)

    program, _ = stage(run, [aval_of(a) for a in args])
    executable = compile(optimise(program)[0], tier="fast")
    return executable, executable(*args)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_compiled_ops_agree_with_eval_on_a_sample(forms: Any, dtype: str) -> None:
    native = 0
    for op in forms.OPS.values():
        if isinstance(op.lower, (HostCall, Control)) or not op.samples:  # loops and branches have tests of their own
            continue
        sample = op.samples[0]
        args = forms.build(op, sample, dtype)
        if forms.form_of(op, args, sample.params) is None:
            continue
        executable, got = compiled(op, args, sample.params)
        for g, w in zip(got, forms.evaluated(op, args, sample.params), strict=True):
            forms.agree(g, w, f"{op.name}{sample!r}", 64)
        native += not executable.lowered.host_calls
    assert native > 200


@pytest.mark.parametrize("dtype", ["float64", "float32", "int32"])
def test_compiled_functions_agree_with_eval_on_special_values(forms: Any, dtype: str) -> None:
    checked = 0
    for op in forms.OPS.values():
        if isinstance(op.lower, (HostCall, Control)) or not op.samples:
            continue
        sample = op.samples[0]
        if any(not isinstance(a, (tuple, float)) for a in sample.args):
            continue
        args = forms.specials(len(sample.args), dtype)
        if op.name in BETTER or not isinstance(forms.form_of(op, args, sample.params), Map):
            continue
        try:
            want = forms.evaluated(op, args, sample.params)
        except (TypeError, ValueError, IndexError):
            continue  # NumPy refuses
        if want[0].dtype.char not in forms.NATIVE:
            continue
        executable, got = compiled(op, args, sample.params)
        if not executable.lowered.host_calls:
            forms.agree(got[0], want[0], op.name, forms.LOOSE.get(op.name, 64))
            checked += 1
    assert checked > (100 if dtype[0] == "f" else 40)
