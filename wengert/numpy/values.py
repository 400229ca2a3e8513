"""Values of Tensors, where they may be had without losing a derivative, and the error where not."""

from __future__ import annotations

from typing import Any

from wengert.core.abstract import Abstract, no_value
from wengert.core.errors import ConcretizationError
from wengert.core.source import describe, here
from wengert.core.tensor import CONSTANTS, Tensor, meet, raw


def lost(what: str, got: str, fix: str) -> ConcretizationError:
    """The error for a conversion that would lose a derivative."""
    return ConcretizationError(
        what, got=got, want="a Tensor all the way, so that its derivative is kept", fix=fix, at=describe(here(2))
    )


def seen(x: Any) -> Any:
    """The ndarray or scalar at the bottom of `x`, for checks of arguments; None where there is no value yet (staging)."""
    bottom = raw(x)
    return None if type(bottom) is Abstract else bottom


def concrete(x: Tensor) -> Any:
    """The value of `x`, for control flow and constant results: known on a tape, under jvp, or of a constant."""
    while type(x) is Tensor:
        if x._view is not None:
            x._sync()
        if type(x._value) is Abstract:
            raise no_value("value of a staged Tensor", f"{x.dtype}{list(x.shape)}", 3)
        if x._trace is not CONSTANTS and not x._trace.differentiates:
            raise ConcretizationError(
                "value of a batched Tensor",
                got=f"{x.dtype}{list(x.shape)} that stands for all examples of a vmap",
                want="code that does the same for every example",
                fix="use numpy.where instead of `if`, or loop over the examples in Python",
                at=describe(here(2)),
            )
        meet(x)
        x = x._value
    return x
