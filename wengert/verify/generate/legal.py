"""What an op admits: its shape rule is asked first, then `eval` has to agree with it."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from wengert.core.aval import Aval, aval_of
from wengert.core.errors import WengertError
from wengert.core.op import Op, Sample


def remade(sample: Sample, args: Sequence[Any], params: dict[str, Any]) -> Sample:
    """`sample` with other arguments and parameters: same domain, differentiable arguments and order."""
    return Sample(
        *args, domain=sample.domain, diff=sample.diff, real_only=sample.real_only, order=sample.order, **params
    )


def shape_of(arg: Any) -> tuple[int, ...]:
    """The shape of a sample's argument: itself, or that of a ready array."""
    return arg if isinstance(arg, tuple) else np.shape(arg)


def refused(op: Op, args: Sequence[Any], params: dict[str, Any], dtype: Any = np.float64) -> str:
    """Why the shape rule refuses a call (arguments as in a Sample), in its own words; "" if it does not."""
    dtype = np.dtype(dtype)
    avals = [Aval(a, dtype) if isinstance(a, tuple) else aval_of(a) for a in args]
    try:
        op.shape(*avals, **params)
    except Exception as error:  # a rule may stumble over what it was never meant to see
        return words(error)
    return ""


def evaluated(op: Op, arrays: Sequence[Any], params: dict[str, Any]) -> list[Any] | str:
    """The outputs, if `eval` runs and gives the shapes and dtypes that the shape rule says; else why not."""
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            said = op.shape(*map(aval_of, arrays), **params)
            out = op.eval(*arrays, **params)
    except Exception as error:  # a matrix that is singular, a dtype that LAPACK lacks
        return words(error)
    outs, said = (list(out), list(said)) if op.multi else ([out], [said])
    for aval, o in zip(said, outs, strict=True):
        if aval != Aval(np.shape(o), np.asarray(o).dtype):
            return f"the shape rule says {aval}, eval gives {Aval(np.shape(o), np.asarray(o).dtype)}"
    return outs


def words(error: BaseException) -> str:
    """An error in one line."""
    text = "; ".join(line.strip() for line in str(error).splitlines() if not line.strip().startswith("at:"))
    return text if isinstance(error, WengertError) else f"{type(error).__name__}: {text}".rstrip(": ")


WHOLE = {"solve", "factor", "spectrum", "matfunc", "matrix", "polynomial"}


def whole(op: Op) -> bool:
    """Whether an op works on matrices as wholes, by LAPACK: a backward error is relative to the largest element, and one
    element that is not finite reaches all the others."""
    rules = (op.shape, op.eval, op.vjp)
    return any(getattr(rule, "__module__", "").rpartition(".")[2] in WHOLE for rule in rules)
