"""Execute the coverage matrix: op × mode × dtype × layout, every cell by running it.

    mode     as in `measure.MODES`
    dtype    single and double precision, real and complex; "integer" for the ops that take nothing else
    layout   contiguous; strided (the same values in memory of negative, wide strides);
             empty and 0-d (a legal call near the sample in which a differentiable operand is so, if there is one)

A cell is the worst of the op's samples. Values are drawn in single precision, which double holds exactly, so that all
dtypes and layouts share one reference.
"""

from __future__ import annotations

import platform
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from datetime import date
from multiprocessing import get_context
from typing import Any

import numpy as np
import scipy

from wengert.core.aval import FLOAT, INEXACT
from wengert.core.op import Op, Sample
from wengert.verify import measure
from wengert.verify.call import NARROW, Call, dtypes_accepted
from wengert.verify.catalog import family, load_rows
from wengert.verify.closeness import Measurement
from wengert.verify.compiled import Unstaged
from wengert.verify.generate.variants import variant
from wengert.verify.measure import MEASURES, MODES, NoCall, applies
from wengert.verify.workers import available, single_threaded

DTYPES = ("float32", "float64", "complex64", "complex128", "integer")
LAYOUTS = ("contiguous", "strided", "empty", "0-d")
SCHEMA = 1
HOW = ("native", "partly", "host")  # what a compiled call is made of, from the best to the worst

Progress = Callable[[int, int, str], None]  # ops done, ops in all, the one just done


def call_of(op: Op, sample: Sample, dtype: str, layout: str) -> Call | NoCall:
    """The call of one cell and sample, or why there is none."""
    if dtype == "integer":
        if FLOAT in op.accepts:
            return NoCall("refused", "no such call: integers are constants to a derivative: see the float columns")
        dtype = "float64"  # names the derivatives' dtype, of which these ops have none
    elif not op.accepts & INEXACT:
        return NoCall("refused", "no such call: takes integers and booleans only")
    elif dtype not in dtypes_accepted(op, sample):
        return NoCall(
            "refused",
            "no such call: " + ("the sample's values are real" if sample.real_only else "takes real values only"),
        )
    if layout in ("empty", "0-d"):
        found = variant(op, sample, layout, np.random.default_rng(0))  # pyright: ignore[reportArgumentType]
        if isinstance(found, str):
            return NoCall("refused", f"no such call: {found}")
        sample, layout = found, "contiguous"
    call = Call(op, sample, NARROW.get(dtype, dtype))
    if layout == "strided" and not any(np.ndim(a) for a in call.args):
        return NoCall("refused", "no such call: every operand of the sample is 0-d")
    return call if (str(call.dtype), layout) == (dtype, "contiguous") else call.twin(dtype, layout)  # type: ignore[arg-type]


def reproduce(name: str, sample: int, mode: str, dtype: str, layout: str) -> Measurement:
    """Run one cell's measurement of one sample; raises AssertionError where it fails. What a cell's snippet calls."""
    op = load_rows()[name]
    call = call_of(op, op.samples[sample], dtype, layout)
    why = call if isinstance(call, NoCall) else applies(call, mode)
    if why is not None:
        raise ValueError(f"{name}: {why.status}: {why.reason}")
    return MEASURES[mode](call)  # pyright: ignore[reportArgumentType]


SNIPPET = """from wengert.verify.matrix import reproduce

print(reproduce({name!r}, sample={sample}, mode={mode!r}, dtype={dtype!r}, layout={layout!r}))
"""


class _Calls:
    """Calls of one op, made once for all modes; twins share references."""

    def __init__(self, op: Op) -> None:
        self.op = op
        self.made: dict[Any, Any] = {}

    def __call__(self, k: int, dtype: str, layout: str) -> Call | NoCall:
        shape = layout if layout in ("empty", "0-d") else "full"
        key = (k, "complex" in dtype, shape)
        first = self.made.get(key)
        if not isinstance(first, Call) or not isinstance(
            fits := call_of(self.op, self.op.samples[k], dtype, layout), Call
        ):
            found = call_of(self.op, self.op.samples[k], dtype, layout)
            if isinstance(found, Call):
                self.made[key] = found
            return found
        fits.shared = first.shared
        return fits


def cell(calls: _Calls, ks: Sequence[int], mode: str, dtype: str, layout: str) -> dict[str, Any]:
    """Measure one cell over samples `ks`."""
    started = time.perf_counter()
    found: dict[str, Any] = {"status": "refused", "reason": "no such call: no sample"}
    worst, undecided, how, why_host = -1.0, 0, "", ""
    for k in ks:
        call = calls(k, dtype, layout)
        why = call if isinstance(call, NoCall) else applies(call, mode)
        if why is not None and why.status == "constant" and isinstance(call, Call) and mode == "forward":
            why = _constant(call, why)
        if why is not None:
            if worst < 0 and not undecided:
                found = {"status": why.status, "reason": why.reason, "sample": k}
            if why.status == "fail":
                break
            continue
        assert isinstance(call, Call)
        try:
            with warnings.catch_warnings(), np.errstate(all="ignore"):
                warnings.simplefilter("ignore")
                m = MEASURES[mode](call)
        except Unstaged as why_not:
            if worst < 0 and not undecided:
                found = {"status": "refused", "reason": str(why_not), "sample": k}
            continue
        except Exception as error:  # whatever is raised where a value is due is a finding
            found = {"status": "fail", "reason": _words(error), "sample": k}
            break
        if not m.decided:
            undecided += 1
            if worst < 0:
                why = f"the reference's own error is {m.blunt:.1g}" if np.isfinite(m.blunt) else m.oracle
                found = {"status": "undecided", "reason": why, "sample": k}
        elif m.error / m.limit > worst:
            worst = m.error / m.limit
            eps = float(np.finfo(call.dtype).eps)
            found = {
                "status": "pass", "error": m.error, "ulp": m.error / eps, "limit": m.limit, "oracle": m.oracle,
                "sample": k, "reason": "",
            }  # fmt: skip
        if m.how and HOW.index(m.how) >= HOW.index(how or m.how):
            how, why_host = m.how, m.why
    if how and found["status"] == "pass":
        found["compiled"], found["reason"] = how, f"runs by NumPy: {why_host}" if why_host else ""
    if found["status"] == "pass" and undecided:
        found["reason"] = f"the reference cannot decide {undecided} of {len(ks)} samples"
    found["seconds"] = round(time.perf_counter() - started, 6)
    return found


def _constant(call: Call, why: NoCall) -> NoCall:
    """A declaration of constancy, put to the test."""
    if not call.diff or getattr(call.op.vjp, "cut", False):
        return why
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            measure.constant(call)
    except Exception as error:
        return NoCall("fail", _words(error))
    return why


def _words(error: Exception) -> str:
    text = str(error) if isinstance(error, AssertionError) else f"{type(error).__name__}: {error}"
    return text if len(text) < 600 else text[:600] + " …"


def keys() -> Iterator[tuple[str, str, str]]:
    """(mode, dtype, layout) of every cell."""
    for dtype in DTYPES:
        for layout in LAYOUTS:
            for mode in MODES:
                yield mode, dtype, layout


def op_record(name: str, quick: bool = False) -> dict[str, Any]:
    """All cells of one op, as data."""
    op = load_rows()[name]
    numbers = [k for k, s in enumerate(op.samples) if s.diff or not any(t.diff for t in op.samples)]
    calls, cells = _Calls(op), {}
    for mode, dtype, layout in keys():
        # Empty and 0-d variants of several samples are mostly the same call.
        ks = numbers[:1] if quick else numbers if layout in ("contiguous", "strided") else numbers[:3]
        cells[f"{mode}|{dtype}|{layout}"] = cell(calls, ks, mode, dtype, layout)
    return {
        "name": name,
        "family": family(op),
        "constant": getattr(op.vjp, "reason", "") if op.constant else "",
        "note": op.note,
        "source": op.source,
        "samples": [repr(s) for s in op.samples],
        "cells": cells,
    }


def run(
    match: str = "", quick: bool = False, jobs: int | None = None, progress: Progress = lambda *a: None
) -> dict[str, Any]:
    """Execute the matrix of all ops whose name contains `match`; the result is data of schema 1, ready for JSON.

    quick
        One sample of each op instead of all.
    jobs
        Processes; by default the CPUs that this process may use.
    """
    started = time.perf_counter()
    names = [name for name in load_rows() if match in name]
    jobs = jobs or available()
    records: dict[str, Any] = {}
    if jobs == 1 or len(names) < 4:
        for name in names:
            records[name] = op_record(name, quick)
            progress(len(records), len(names), name)
    else:
        with ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), initializer=single_threaded) as pool:
            waiting = {pool.submit(op_record, name, quick): name for name in names}
            for done in as_completed(waiting):
                records[waiting[done]] = done.result()
                progress(len(records), len(names), waiting[done])
    return {
        "schema": SCHEMA,
        "versions": {
            "wengert": sys.modules["wengert"].__version__,
            "numpy": np.__version__,
            "scipy": scipy.__version__,
            "python": platform.python_version(),
        },
        "date": date.today().isoformat(),
        "quick": quick,
        "seconds": round(time.perf_counter() - started, 1),
        "modes": list(MODES),
        "dtypes": list(DTYPES),
        "layouts": list(LAYOUTS),
        "snippet": SNIPPET,
        "ops": [records[name] for name in names],
    }


def failures(data: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    """The failing cells: op, key, cell."""
    return [(op["name"], key, c) for op in data["ops"] for key, c in op["cells"].items() if c["status"] == "fail"]
