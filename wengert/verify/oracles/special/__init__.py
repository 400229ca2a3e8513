"""Elementary and special functions in mpmath, with the points at which derivatives are compared.

An oracle is the function itself, written once more over mpmath's numbers; its derivative is a difference quotient
in 50 digits or more (`slopes.py`), or a formula where the differences would cancel to nothing. The modules beside
this one hold one family each, `grids.py` the points, `bounds.py` the errors that are allowed above the default, with
reasons, and `elsewhere.py` the functions that mpmath cannot express.

Points are data and fixed. Every other one is a single precision number (where that does not move it onto a boundary),
so that one reference serves both precisions; the rest use all bits, so that no square is exact by luck.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from wengert.core.errors import MissingExtra

FAMILIES = (
    "elementary",
    "activations",
    "entropies",
    "error",
    "gamma",
    "incomplete",
    "distribution",
    "bessel",
    "bessel_integrals",
    "elliptic",
    "hypergeometric",
    "integral",
    "mathieu",
    "plane",
)

Point = tuple[Any, ...]


@dataclass(frozen=True)
class Edge:
    """A boundary: at `point`, the derivative in `parameter` is `want` (one per output), as documented."""

    point: Point
    parameter: int
    want: tuple[Any, ...]


@dataclass(frozen=True, kw_only=True)
class Oracle:
    """One function over mpmath.

    name       as users write it below numpy, or "special.gammainc", "nn.gelu"
    value      over mpf (or mpc); a tuple when there are several outputs, None for an output without formula
    twin       differs from `value` by a constant, and keeps the digits that `value` loses next to 1
    slope      parameter → derivative as a formula, in place of differences
    parameters labels, by position
    wanted     positions that are differentiated
    scaled     errors are counted in ulps of max(|f'|, |x f''|) instead of |f'|: what an error of half an ulp
               in the argument does to the derivative; |x| counts as `length` at least
    size       errors are counted in ulps of max(|f'|, size(*args)), a size that `measure` describes
    call       what is differentiated, if it is not the function of that name
    case       tells apart oracles of one name
    """

    name: str
    value: Callable[..., Any]
    points: Sequence[Point]
    wanted: tuple[int, ...]
    parameters: tuple[str, ...]
    twin: Callable[..., Any] | None = None
    slope: Mapping[int, Callable[..., Any]] = field(default_factory=dict)
    edges: Sequence[Edge] = ()
    scaled: bool = False
    length: float = 0.0
    size: Callable[..., Any] | None = None
    measure: str = ""
    call: Callable[..., Any] | None = None
    case: str = ""

    @property
    def key(self) -> str:
        return f"{self.name} {self.case}".rstrip()


TABLE: dict[str, Oracle] = {}


def oracle(
    name: str,
    parameters: str,
    value: Callable[..., Any],
    points: Sequence[Point],
    *,
    wanted: Sequence[int] | None = None,
    edges: Sequence[tuple[Point, int, Any]] = (),
    **rest: Any,
) -> Oracle:
    """Enter one row of the table; by default all parameters are differentiated. Edges are (point, parameter, want)."""
    labels = tuple(parameters.split())
    known = tuple(Edge(p, i, w if isinstance(w, tuple) else (w,)) for p, i, w in edges)
    found = Oracle(
        name=name,
        value=value,
        points=tuple(dict.fromkeys(points)),
        parameters=labels,
        wanted=tuple(range(len(labels)) if wanted is None else wanted),
        edges=known,
        **rest,
    )
    if found.key in TABLE:
        raise ValueError(f"two oracles are named {found.key!r}")
    TABLE[found.key] = found
    return found


def load() -> dict[str, Oracle]:
    """All oracles, by key. Raises MissingExtra without mpmath."""
    try:
        import mpmath  # noqa: F401
    except ImportError:
        raise MissingExtra("mpmath", "verify", "comparing with mpmath") from None
    for family in FAMILIES:
        importlib.import_module(f"wengert.verify.oracles.special.{family}")
    return TABLE
