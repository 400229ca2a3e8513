"""Arrays for generated calls: values that are hard on purpose, memory layouts, and code that rebuilds both exactly."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from wengert.core.aval import is_inexact
from wengert.verify.generate.choices import Choices


def limits(dtype: np.dtype) -> Any:
    """`np.finfo`, for the dtypes of ml_dtypes too."""
    if dtype.kind in "fc":
        return np.finfo(dtype)
    import ml_dtypes

    return ml_dtypes.finfo(dtype)


# ── memory layouts ────────────────────────────────────────────────────────────
# Each is a function of a contiguous array and the code that does the same. None changes values.

LAYOUTS: dict[str, tuple[Callable[[np.ndarray], np.ndarray], str]] = {
    "contiguous": (lambda x: x, "{}"),
    "fortran": (np.asfortranarray, "np.asfortranarray({})"),
    "reversed": (lambda x: np.flip(np.flip(x).copy()), "np.flip(np.flip({}).copy())"),
    "strided": (lambda x: np.repeat(x, 2, axis=-1)[..., ::2], "np.repeat({}, 2, axis=-1)[..., ::2]"),
    "broadcast": (
        lambda x: np.broadcast_to(x[:1].copy(), x.shape),
        "(lambda x: np.broadcast_to(x[:1].copy(), x.shape))({})",
    ),
    "unaligned": (
        lambda x: np.frombuffer(b"\0" + x.tobytes(), x.dtype, offset=1).reshape(x.shape),
        "(lambda x: np.frombuffer(b'\\0' + x.tobytes(), x.dtype, offset=1).reshape(x.shape))({})",
    ),
}


def layouts_of(x: np.ndarray) -> list[str]:
    """The layouts that hold the values of `x`, other than the plain one."""
    if x.ndim == 0 or x.size == 0:
        return []
    equal = x.shape[0] > 1 and bool(np.all(x[:1] == x)) and bool(np.all(x[:1].tobytes() * x.shape[0] == x.tobytes()))
    return [
        "reversed",
        "strided",
        *(["fortran"] if x.ndim > 1 else []),
        *(["broadcast"] if equal else []),
        *(["unaligned"] if x.dtype.kind in "fciub" else []),
    ]


@dataclass
class Laid:
    """Values and the memory that they lie in. `scalar`: of no axes, and a NumPy scalar rather than an array."""

    values: np.ndarray
    layout: str = "contiguous"
    scalar: bool = False

    def build(self) -> Any:
        if self.scalar:
            return self.values[()]
        return LAYOUTS[self.layout][0](self.values.copy())

    def code(self) -> str:
        return LAYOUTS[self.layout][1].format(literal(self.values)) + ("[()]" if self.scalar else "")


# ── code ──────────────────────────────────────────────────────────────────────


def literal(x: Any) -> str:
    """Code for an array with exactly its values (the sign of zeros included), shape and dtype."""
    x = np.asarray(x)
    dtype = x.dtype.name if x.dtype.kind in "fciub" else f"ml_dtypes.{x.dtype.name}"
    dtype = dtype if "." in dtype else ("bool" if dtype == "bool" else f"np.{dtype}")
    if x.size == 0:
        return f"np.zeros({x.shape}, {dtype})"
    return f"np.array({_nested(x)}, {dtype})"


def _nested(x: np.ndarray) -> str:
    if x.ndim:
        return "[" + ", ".join(_nested(row) for row in x) + "]"
    if x.dtype.kind == "c":
        re, im = float(np.real(x)), float(np.imag(x))
        plain = np.isfinite([re, im]).all() and not any(np.signbit(v) and v == 0 for v in (re, im)) and re != 0
        return repr(complex(re, im))[1:-1] if plain else f"complex({number(re)}, {number(im)})"
    return number(float(x)) if is_inexact(x.dtype) else repr(x.item())


def number(value: float) -> str:
    """Code for a float."""
    if np.isnan(value):
        return "np.nan"
    if np.isinf(value):
        return "np.inf" if value > 0 else "-np.inf"
    return repr(value)


def shown(value: Any) -> str:
    """Code for a static parameter."""
    match value:
        case np.dtype():
            return f"np.dtype({value.name!r})"
        case float():
            return number(value)
        case np.ndarray() | np.generic():
            return literal(value)
        case tuple():
            return "(" + "".join(f"{shown(v)}, " for v in value).rstrip(" " if len(value) == 1 else ", ") + ")"
    return repr(value)


# ── values that are hard ──────────────────────────────────────────────────────

SPECIAL = (0.0, 1.0, -1.0, 0.5, -0.5, 2.0, -2.0, -0.0)
KINDS = ("ties", "integers", "zeros", "special", "boundary", "near", "tiny", "huge", "infinite")


def hardened(x: np.ndarray, kind: str, bounds: tuple[float, float], choices: Choices) -> np.ndarray:
    """Some elements of `x` replaced by hard ones of a kind:

    ties       few different values, repeated
    integers   whole numbers
    zeros      0.0 and −0.0
    special    where functions tend to have kinks, poles and branch points
    boundary   the ends of the domain
    near       a few ulp from a special value
    tiny, huge far out in the exponent's range
    infinite   ±∞
    """
    if x.size == 0:
        return x
    flat = x.reshape(-1).copy()
    if kind == "ties":
        pool = flat[: max(1, choices.integer(1, min(2, flat.size)))]
        new = np.asarray([choices.pick(list(pool)) for _ in flat[:16]])
        return np.resize(new, x.shape).astype(x.dtype)
    info = limits(x.dtype)
    eps, least, most = float(info.eps), float(info.smallest_subnormal), float(info.max)
    for i in range(flat.size if choices.chance(0.3) else 1):
        at = choices.integer(0, flat.size - 1) if i == 0 else i
        if kind == "integers":
            flat[at] = np.round(flat[at].real)
        else:
            sign = choices.pick((1.0, -1.0)) if x.dtype.kind != "c" else 1.0
            flat[at] = _hard(kind, bounds, eps, least, most, sign, choices)
            if x.dtype.kind == "c" and choices.chance(0.5):
                flat[at] = complex(float(flat[at].real), choices.pick((-0.0, 1.0, 0.0)))
    return flat.reshape(x.shape)


def _hard(
    kind: str, bounds: tuple[float, float], eps: float, least: float, most: float, sign: float, choices: Choices
) -> float:
    match kind:
        case "zeros":
            return choices.pick((0.0, -0.0))
        case "special":
            return choices.pick(SPECIAL)
        case "boundary":
            return choices.pick(bounds)
        case "near":
            return choices.pick(SPECIAL) + sign * eps * choices.pick((1, 4, 1000))
        case "tiny":
            return sign * choices.pick((eps, least / eps**0.5, least / eps * 4, least))
        case "huge":
            return sign * choices.pick((1 / eps, most**0.5, most * eps**0.5, most))
        case _:
            return sign * np.inf
