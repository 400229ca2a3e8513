"""Errors as numbers: how far results are from what they are measured against, and how far they may be.

Errors are relative to the largest element of the array in question. A limit is what the dtype, the conditioning of the
call (measured, `Call.sensitivity`) and the reference's own error allow for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from wengert.core.tensor import Array
from wengert.verify.call import Call

# By eps of the dtype: what rounding inside a rule may cost beyond the conditioning of the derivative (rtol), and the size,
# relative to 1, below which a number counts as zero.
PRECISION = {
    "float64": (2e-7, 1e-3),  # SciPy's values of special functions may be no better
    "float32": (2e-4, 1e-2),
    "float16": (5e-2, 1e-1),
    "bfloat16": (2e-1, 1e-1),
}
UNDECIDED = 1e-2  # a reference with a larger relative error says nothing


@dataclass
class Measurement:
    """`error` and `limit` are relative; `oracle` says what the error was measured against.

    `blunt` is the reference's own relative error; where it is too large nothing is decided.
    """

    error: float
    limit: float
    oracle: str
    blunt: float = 0.0
    how: str = ""  # of the mode "jit": see `compiled.Code.how`
    why: str = ""

    @property
    def decided(self) -> bool:
        return self.blunt <= UNDECIDED

    @property
    def right(self) -> bool:
        return self.error <= self.limit


@dataclass
class Comparison:
    """Collects the worst of several comparisons for one call."""

    call: Call
    oracle: str
    worst: Measurement

    def __init__(self, call: Call, oracle: str) -> None:
        self.call, self.oracle = call, oracle
        self.worst = Measurement(0.0, np.inf, oracle)

    def precision(self, *dtypes: np.dtype) -> tuple[float, float, float]:
        return precision(self.call.dtype, *dtypes)

    def note(self, what: str, error: float, limit: float, blunt: float, numbers: Callable[[], str]) -> None:
        if blunt <= UNDECIDED and not error <= limit:  # NaN fails
            raise self.call.fail(
                what, f"off by {error:.3g} of the largest element, {limit:.3g} is allowed; {numbers()}"
            )
        self.worst.blunt = max(self.worst.blunt, blunt)
        if error / limit >= self.worst.error / self.worst.limit:
            self.worst.error, self.worst.limit = error, limit

    def arrays(
        self, what: str, got: Sequence[Any], want: Sequence[Any], bounds: Sequence[Any], moves: Sequence[Any] | None
    ) -> None:
        """Elementwise; `bounds` are the reference's errors, `moves` the sensitivities."""
        for k, (g, w) in enumerate(zip(got, want, strict=True)):
            g, w = np.asarray(g), np.asarray(w)
            if g.shape != w.shape:
                raise self.call.fail(what, f"shape {g.shape}, the reference has {w.shape}")
            if w.size == 0:
                continue
            rtol, floor, eps = self.precision(g.dtype)
            with np.errstate(all="ignore"):
                scale = float(np.max(np.abs(w))) + floor
                own = float(np.max(bounds[k])) / scale
                rounding = 16 * eps * float(np.max(moves[k])) / scale if moves is not None else 0.0
                error = float(np.max(np.abs(g - w))) / scale
            limit = rtol + 8 * own + (rounding if np.isfinite(rounding) else 0.0)
            self.note(what, error, limit, own if np.isfinite(own) else np.inf, lambda g=g, w=w: f"got {g}, want {w}")

    def pairing(
        self,
        what: str,
        left: tuple[Sequence[Any], Sequence[Any]],
        right: tuple[Sequence[Any], Sequence[Any]],
        bound: float = 0.0,
        move: float = 0.0,
    ) -> None:
        """⟨a, b⟩ = ⟨c, d⟩, relative to the sums of absolute values."""
        lhs, rhs = dot(*left), dot(*right)
        rtol, floor, eps = self.precision(*(np.asarray(a).dtype for a in (*left[0], *right[0])))
        scale = max(size(*left), size(*right)) + floor
        rounding = 16 * eps * move / scale
        own = bound / scale
        limit = rtol + 8 * own + (rounding if np.isfinite(rounding) else 0.0)
        self.note(what, abs(lhs - rhs) / scale, limit, own, lambda: f"{lhs:.12g} and {rhs:.12g}")


def precision(*dtypes: np.dtype) -> tuple[float, float, float]:
    """Relative tolerance, floor and eps of a computation in which these dtypes met: those of the narrowest."""
    reals = [np.finfo(d).dtype if d.kind in "fc" else d for d in dtypes]
    rtol, floor = max(PRECISION.get(r.name, PRECISION["float64"]) for r in reals)
    eps = max(float(np.finfo(r).eps) if r.kind == "f" else float(_half(r)) for r in reals)
    return rtol, floor, eps


def _half(dtype: np.dtype) -> Any:
    import ml_dtypes  # whose dtypes NumPy's finfo does not know

    return ml_dtypes.finfo(dtype).eps


def dot(us: Sequence[Array], vs: Sequence[Array]) -> float:
    """Re Σ u·v, the pairing of cotangents with tangents."""
    return float(sum(np.sum(wide(u) * wide(v)).real for u, v in zip(us, vs, strict=True)))


def size(us: Sequence[Array], vs: Sequence[Array]) -> float:
    """Σ |u||v|."""
    return float(sum(np.sum(np.abs(wide(u)) * np.abs(wide(v))) for u, v in zip(us, vs, strict=True)))


def wide(x: Any) -> np.ndarray:
    x = np.asarray(x)
    return x.astype(np.complex128 if x.dtype.kind == "c" else np.float64)


def weighed(us: Sequence[Any], bounds: Sequence[Any]) -> float:
    """Σ |u|·bound: what elementwise bounds allow for a projection on u."""
    return float(sum(np.sum(np.abs(wide(u)) * b) for u, b in zip(us, bounds, strict=True)))


def present(dots: Sequence[Any], likes: Sequence[Any]) -> list[np.ndarray]:
    """Tangents or cotangents with zeros for None."""
    return [np.zeros_like(np.asarray(w)) if d is None else np.asarray(d) for d, w in zip(dots, likes, strict=True)]


def at_values(outs: Sequence[Any], *arrays: Sequence[Any]) -> list[list[np.ndarray]]:
    """Zeros where the function has no finite value, and so no derivative."""
    fine = [np.isfinite(np.asarray(o)) for o in outs]
    return [
        [np.where(f, np.asarray(a), 0) if not f.all() else np.asarray(a) for f, a in zip(fine, row, strict=True)]
        for row in arrays
    ]


def alike(call: Call, what: str, found: Sequence[Any], likes: Sequence[Any]) -> None:
    """A tangent or cotangent has the shape and dtype of what it belongs to."""
    for f, x in zip(found, likes, strict=True):
        f, x = np.asarray(f), np.asarray(x)
        if (f.shape, f.dtype) != (x.shape, x.dtype):
            raise call.fail(what, f"{f.dtype}{f.shape} for {x.dtype}{x.shape}")
