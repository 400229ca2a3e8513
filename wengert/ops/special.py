"""Helpers that make ops of SciPy's special ufuncs from their slopes, and the table of all such ops.

    special("gammainc", "a x", <slope in a>, <slope in x>, domain=((0.5, 4.0), (0.1, 6.0)))

A slope is a function of what it reads: operands by the names given, and `out`. What it
reads is what the op saves. The modules `special_*` hold one family each. All of them
import scipy.special, so nothing that `import wengert` loads may import them.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import scipy.special as sp

from wengert.core.aval import ANY, FLOAT, INEXACT, INT, Aval, Kind
from wengert.core.errors import NotDifferentiable
from wengert.core.form import HostCall, Map
from wengert.core.op import Constant, Op, Refuse, Rule, Sample
from wengert.core.tensor import Array
from wengert.graph.program import Vars
from wengert.ops import scalars
from wengert.ops.basis import add, batch_elementwise, broadcast_shapes, fit, fit_tangent, scale
from wengert.ops.family import Point, Slope, elementwise, piecewise_constant

SPECIAL: dict[str, Op] = {}  #: SciPy's name of a ufunc (private ones with their underscore) → op

COMPOSED: dict[str, Callable[..., Any]] = {}  #: as `SPECIAL`, for ufuncs served by a function of several ops
ARGUMENTS: dict[str, dict[str, Refuse | Constant | None]] = {}  #: name → argument → why it has no derivative

PI, SQRT_PI, SQRT_2PI = math.pi, math.sqrt(math.pi), math.sqrt(2 * math.pi)

ORDER = Refuse(
    "the derivative in the order is no function that SciPy has",
    "keep the order constant (wengert.stop_gradient), or give the derivative with wengert.custom_jvp",
)
PARAMETER = Refuse(
    "the derivative in this parameter has no closed form",
    "keep the parameter constant (wengert.stop_gradient), or give the derivative with wengert.custom_jvp",
)
INTEGER = Refuse(
    "the parameter is an integer",
    "keep it constant (wengert.stop_gradient)",
)
STEPS = Constant("only the integer part of this argument counts")

# ── ops from slopes ───────────────────────────────────────────────────────────


def original(name: str) -> Any:
    """SciPy's ufunc of that name, public or private; None where this SciPy has none."""
    for room in (sp, sp._ufuncs):
        found = getattr(room, name, None)
        if isinstance(found, np.ufunc):
            return found
    return None


def special(
    name: str,
    arguments: str,
    *slopes: Any,
    fn: Any = None,
    domain: Sequence[Any] | None = None,
    params: dict[str, Any] | None = None,
    order: int = 2,
    broadcast: bool = True,
    complex: bool = True,
    note: str = "",
    source: str = "",
    lower: Any = HostCall(),
) -> Any:
    """An elementwise op of n arguments from its n slopes; with several outputs, slopes return a tuple.

    Parameters
    ----------
    name : of SciPy's ufunc, or of a function of ours if `fn` is given
    domain : per argument an interval, or a list of three constants, which are not differentiated
    params : static parameters of the samples
    order : highest order of derivatives to check on the samples
    broadcast : whether arguments may be combined freely in the samples
    complex : whether the slopes hold for complex values, where SciPy has them
    lower : what it is to the compiler: a form of `core/form.py`
    """
    ufunc = fn or original(name)
    if ufunc is None:
        return None  # a newer SciPy has it
    names = {n: i for i, n in enumerate(arguments.split())} | {"out": "out"}
    partials, saves = zip(*(_slope(s, names) for s in slopes), strict=True)
    kind = INEXACT if complex and takes_complex(ufunc) else FLOAT
    samples = make_samples(domain or ((-2.0, 2.0),) * len(slopes), params or {}, order, broadcast)
    if getattr(ufunc, "nout", 1) > 1:
        op: Op = several(name, ufunc, partials, saves, samples=samples, accepts=kind, note=note, source=source)
    else:
        op = elementwise(
            name, ufunc, partials, saves, samples=samples, accepts=kind, note=note, source=source, lower=lower
        )
    if fn is None:
        SPECIAL[name] = op
        ARGUMENTS[name] = {a: None if callable(s) else s for a, s in zip(arguments.split(), slopes, strict=True)}
    return op


def takes_complex(ufunc: Any) -> bool:
    """Whether the last operand may be complex; functions of ours that may say so."""
    if not isinstance(ufunc, np.ufunc):
        return getattr(ufunc, "complex", False)
    return any(t.split("->")[0][-1] in "FD" for t in ufunc.types)


def _slope(slope: Any, names: dict[str, Any]) -> tuple[Any, tuple[int | str, ...]]:
    """A slope written over named operands as one over a `Point`, and what it reads."""
    if not callable(slope):
        return slope, ()
    kinds = inspect.signature(slope).parameters.values()
    reads = tuple(names[p.name] for p in kinds if p.kind is p.POSITIONAL_OR_KEYWORD)

    def at(point: Point, **params: Any) -> Any:
        return slope(*[point.out if n == "out" else point.xs[n] for n in reads], **params)

    return at, reads


def make_samples(domain: Sequence[Any], params: dict[str, Any], order: int = 2, broadcast: bool = True) -> list[Sample]:
    """Vectors, broadcasting matrices, scalars, and (of one argument) nothing at all."""
    n = len(domain)
    layouts: list[list[tuple[int, ...]]] = [[(3,)] * n, [()] * n]
    if broadcast:
        layouts += [[(0,)]] if n == 1 else [[(2, 1)] + [(3,)] * (n - 1)]
    made = []
    for shapes in layouts:
        args: list[Any] = []
        for shape, where_from in zip(shapes, domain, strict=True):
            if isinstance(where_from, list):
                values = np.array(where_from)
                args.append(values[0] if shape == () else values[:2, None] if shape == (2, 1) else values)
            else:
                args.append(shape)
        intervals = tuple((0.0, 1.0) if isinstance(d, list) else d for d in domain)
        made.append(Sample(*args, domain=intervals, order=order, **params))
    return made


def several(
    name: str,
    ufunc: np.ufunc,
    slopes: Sequence[Slope | Refuse],
    saves: Sequence[Sequence[int | str]],
    *,
    samples: Sequence[Sample],
    accepts: Kind = INEXACT,
    note: str = "",
    source: str = "",
) -> Op:
    """An elementwise op of several outputs. A slope returns one partial per output, None for zero."""
    op: Op
    single = elementwise_refusals(name, slopes)

    def shape(*avals: Aval) -> tuple[Aval, ...]:
        out = broadcast_shapes(name, *(a.shape for a in avals))
        operands = [a.dtype if not a.weak else {"i": int, "f": float, "c": complex}[a.dtype.kind] for a in avals]
        dtypes = ufunc.resolve_dtypes((*operands, *[None] * ufunc.nout))
        return tuple(Aval(out, d) for d in dtypes[-ufunc.nout :])

    def jvp(xs: Sequence[Array], dxs: Sequence[Array], out: Sequence[Array]) -> list[Array]:
        point = Point(xs, out)  # type: ignore[arg-type]
        totals: list[Any] = [None] * len(out)
        for dx, slope in zip(dxs, single, strict=True):
            if dx is None:
                continue
            for k, partial in enumerate(slope(point)):
                if partial is not None:
                    term = scale(dx, partial)
                    totals[k] = term if totals[k] is None else add(totals[k], term)
        return [
            np.zeros(o.shape, o.dtype)[()] if t is None else fit_tangent(t, o) for t, o in zip(totals, out, strict=True)
        ]

    def vjp(ct: Sequence[Array | None], ins: Vars, xs: Sequence[Array], out: Any) -> tuple[Array | None, ...]:
        point = Point(xs, out)
        cts: list[Any] = []
        for var, slope in zip(ins, single, strict=True):
            total = None
            for c, partial in zip(ct, () if var is None else slope(point), strict=var is not None):
                if c is not None and partial is not None:
                    term = fit(scale(c, partial), var)  # type: ignore[arg-type]
                    total = term if total is None else add(total, term)
            cts.append(total)
        return tuple(cts)

    positions = [tuple(s) for s in saves]
    op = Op(
        name=name,
        accepts=accepts,
        shape=shape,
        eval=ufunc,
        jvp=jvp,
        vjp=vjp,
        saves=dict(enumerate(positions)),
        batch=batch_elementwise(lambda: op),
        samples=tuple(samples),
        multi=True,
        note=note,
        source=source,
    )
    return op


def elementwise_refusals(name: str, slopes: Sequence[Slope | Refuse]) -> list[Slope]:
    """The slopes, with those that are refused raising NotDifferentiable."""

    def refusing(i: int, refusal: Refuse) -> Slope:
        def slope(point: Point) -> Array:
            raise NotDifferentiable(f"{name} has no derivative in argument {i}: {refusal.reason}", fix=refusal.remedy)

        return slope

    return [refusing(i, s) if isinstance(s, Refuse) else s for i, s in enumerate(slopes)]


def in_double(fn: Callable[..., Any]) -> Rule:
    """`fn`, written over double precision arrays, as an eval rule for every inexact dtype."""

    def evaluate(*xs: Array, **params: Any) -> Array:
        dtype = np.result_type(*xs)
        if dtype.kind not in "fc":
            dtype = np.dtype(float)
        wide = complex if dtype.kind == "c" else float
        with np.errstate(all="ignore"):
            out = fn(*np.broadcast_arrays(*(np.asarray(x, wide) for x in xs)), **params)
        return np.asarray(out).astype(dtype)[()]

    evaluate.complex = getattr(fn, "complex", False)  # type: ignore[attr-defined]
    return evaluate


def blocks(nodes: np.ndarray, points: np.ndarray) -> Iterator[np.ndarray]:
    """Quadrature nodes along a first axis against `points`, as many at a time as keep a block near 1 MB."""
    length = max(1, 100_000 // max(points.size, 1))
    for start in range(0, len(nodes), length):
        yield nodes[start : start + length].reshape(-1, *(1,) * points.ndim)


def predicate(
    name: str, fn: Callable[..., Any], *domain: Any, accepts: Kind = FLOAT | INT, lower: Any = HostCall()
) -> Op:
    """A mask op for `where` in slopes: it chooses between formulas for the same function."""
    samples = make_samples(domain or ((-2.0, 2.0),), {})
    return piecewise_constant(name, fn, "a mask between formulas", accepts=accepts, samples=samples, lower=lower)


def widened(scalar: Callable[..., Any], cost: int = 80) -> Map:
    """The form of a scalar function of floats that cancels or overflows in single precision: it runs in double."""

    def wide(b: Any, *xs: Any, **params: Any) -> Any:
        for x in xs:
            scalars.floating(x)
        return scalar(b, *[b.cast(x, np.dtype(float)) for x in xs], **params)

    return Map(wide, "out", cost)


is_zero = predicate("is_zero", lambda x: np.equal(x, 0), accepts=ANY, lower=scalars.tested(scalars.is_zero))
