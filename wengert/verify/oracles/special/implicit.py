"""Inverse functions: their values by Newton's method, their slopes by the implicit function theorem."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import mpmath
import numpy as np
from mpmath import mp

from wengert.verify.oracles.special import Oracle, Point, oracle
from wengert.verify.oracles.special.slopes import STAGES, differentiate


def implicit(
    name: str,
    parameters: str,
    residual: Callable[..., Any],
    points: Sequence[Point],
    *,
    wanted: Sequence[int] | None = None,
    call: Callable[..., Any] | None = None,
    **rest: Any,
) -> Oracle:
    """The oracle of x(θ) with residual(*θ, x) = 0; Newton's method starts from SciPy's value, and leaves it behind."""
    import scipy.special

    scipys = call or getattr(scipy.special, name.removeprefix("special."))

    def value(*args: Any) -> Any:
        with np.errstate(all="ignore"):
            x = mpmath.mpf(float(scipys(*(a if isinstance(a, int) else float(a) for a in args))))
        with mp.workdps(mp.dps + 10):
            for _ in range(30):
                found = differentiate(lambda t: residual(*args, t), x)
                if found is None:
                    raise ValueError(f"{name}{args}: the residual has no derivative at {x}")
                move = found.values[0] / found.slopes[0]
                x -= move
                if abs(move) < mpmath.mpf(10) ** -(mp.dps * 0.6) * abs(x):
                    break
        return x

    def slope(i: int) -> Callable[..., Any]:
        def at(*args: Any) -> Any:
            x = value(*args)
            down = differentiate(lambda t: residual(*args, t), x)
            across = differentiate(lambda t: residual(*args[:i], t, *args[i + 1 :], x), args[i])
            if down is None or across is None:
                raise ValueError(f"{name}{args}: the residual has no derivative")
            return -across.slopes[0] / down.slopes[0]

        return at

    labels = parameters.split()
    chosen = tuple(range(len(labels)) if wanted is None else wanted)
    return oracle(
        name, parameters, value, points, wanted=chosen, slope={i: slope(i) for i in chosen}, call=call, **rest
    )


__all__ = ["STAGES", "implicit"]
