"""What the tests of forms share: a scalar builder on arrays, and checks of forms against `eval`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import pytest
import scipy.special as sp

from wengert.core.aval import Aval, aval_of, kind, promote
from wengert.core.form import (
    Assemble,
    Barrier,
    HostCall,
    Library,
    Map,
    Move,
    Reduce,
    Region,
    Reshape,
    Scan,
    Unsupported,
    Via,
)
from wengert.core.op import Op, Sample
from wengert.verify.catalog import load_ops

NATIVE = frozenset("?bhilqBHILQfd")


CALLS = {"call", "checkpoint_call", "custom_vjp_call", "custom_jvp_call"}


OPS: dict[str, Op] = {name: op for name, op in load_ops().items() if name not in CALLS}


class Arrays:
    """A scalar builder whose values are arrays: as `lowering.text.Builder`, one operation at a time."""

    MATH: ClassVar[dict[str, Callable[..., Any]]] = {
        **{n: getattr(np, n) for n in ("exp", "exp2", "expm1", "log", "log2", "log1p", "log10", "sin", "cos", "tan")},
        **{n: getattr(np, n) for n in ("arcsin", "arccos", "arctan", "arctan2", "sinh", "cosh", "tanh", "hypot")},
        **{n: getattr(np, n) for n in ("arcsinh", "arccosh", "arctanh", "cbrt")},
        **{n: getattr(sp, n) for n in ("erf", "erfc", "erfcx", "digamma", "ndtr", "log_ndtr")},
        "pow": np.power,
        "logaddexp": np.logaddexp,
        "sigmoid": sp.expit,
        "softplus": lambda x: np.logaddexp(np.zeros_like(x), x),
        "lgamma": sp.gammaln,
        "rsqrt": lambda x: 1 / np.sqrt(x),
    }

    def const(self, x: Any, dtype: Any) -> np.ndarray:
        return np.asarray(x).astype(dtype)

    def like(self, x: Any, value: Any) -> np.ndarray:
        return self.const(x, value.dtype)

    def cast(self, x: Any, dtype: Any) -> np.ndarray:
        return x.astype(dtype)

    def bits(self, x: Any) -> np.ndarray:
        return x.view(f"i{x.dtype.itemsize}")

    def from_bits(self, x: Any, dtype: Any) -> np.ndarray:
        return x.view(dtype)

    def _same(self, *xs: Any) -> None:
        assert len({x.dtype for x in xs}) == 1, [x.dtype for x in xs]

    def add(self, x: Any, y: Any) -> Any:
        self._same(x, y)
        return np.asarray(x + y)

    def sub(self, x: Any, y: Any) -> Any:
        self._same(x, y)
        return np.asarray(x - y)

    def mul(self, x: Any, y: Any) -> Any:
        self._same(x, y)
        return np.asarray(x * y)

    def div(self, x: Any, y: Any) -> Any:
        self._same(x, y)
        assert x.dtype.kind == "f"
        return np.asarray(x / y)

    def neg(self, x: Any) -> Any:
        return np.asarray(-x)

    def fma(self, x: Any, y: Any, z: Any) -> Any:
        return self.add(self.mul(x, y), z)

    def quotient(self, x: Any, y: Any) -> Any:
        self._same(x, y)
        assert x.dtype.kind in "iu" and np.all(y != 0)
        return np.asarray((x - np.fmod(x, y)) // y)

    def remainder(self, x: Any, y: Any) -> Any:
        self._same(x, y)
        assert x.dtype.kind in "iu" and np.all(y != 0)
        return np.asarray(np.fmod(x, y))

    def _logic(self, ufunc: Any, *xs: Any) -> Any:
        self._same(*xs)
        assert xs[0].dtype.kind in "biu"
        return np.asarray(ufunc(*xs))

    def and_(self, x: Any, y: Any) -> Any:
        return self._logic(np.bitwise_and, x, y)

    def or_(self, x: Any, y: Any) -> Any:
        return self._logic(np.bitwise_or, x, y)

    def xor(self, x: Any, y: Any) -> Any:
        return self._logic(np.bitwise_xor, x, y)

    def not_(self, x: Any) -> Any:
        return self._logic(np.invert, x)

    def shl(self, x: Any, y: Any) -> Any:
        assert np.all((y >= 0) & (y < 8 * x.dtype.itemsize))
        return self._logic(np.left_shift, x, y)

    def shr(self, x: Any, y: Any) -> Any:
        assert np.all((y >= 0) & (y < 8 * x.dtype.itemsize))
        return self._logic(np.right_shift, x, y)

    def compare(self, which: str, x: Any, y: Any) -> Any:
        self._same(x, y)
        names = {"lt": "less", "le": "less_equal", "gt": "greater", "ge": "greater_equal", "eq": "equal"}
        return np.asarray(getattr(np, names.get(which, "not_equal"))(x, y))

    def select(self, condition: Any, x: Any, y: Any) -> Any:
        self._same(x, y)
        assert condition.dtype == bool
        return np.where(condition, x, y)

    def isnan(self, x: Any) -> Any:
        assert x.dtype.kind == "f"
        return np.asarray(np.isnan(x))

    def intrinsic(self, name: str, x: Any, *rest: Any) -> Any:
        assert name == "ctpop"
        wide = np.asarray(x).view(f"u{x.dtype.itemsize}")
        return np.bitwise_count(wide).astype(x.dtype)

    def _float(self, ufunc: Any, *xs: Any) -> Any:
        self._same(*xs)
        assert xs[0].dtype.kind == "f"
        return np.asarray(ufunc(*xs))

    def sqrt(self, x: Any) -> Any:
        return self._float(np.sqrt, x)

    def abs(self, x: Any) -> Any:
        return np.asarray(abs(x))

    def floor(self, x: Any) -> Any:
        return self._float(np.floor, x)

    def ceil(self, x: Any) -> Any:
        return self._float(np.ceil, x)

    def trunc(self, x: Any) -> Any:
        return self._float(np.trunc, x)

    def rint(self, x: Any) -> Any:
        return self._float(np.rint, x)

    def fmod(self, x: Any, y: Any) -> Any:
        return self._float(np.fmod, x, y)

    def copysign(self, x: Any, y: Any) -> Any:
        return self._float(np.copysign, x, y)

    def maximum(self, x: Any, y: Any) -> Any:
        self._same(x, y)
        return np.asarray(np.maximum(x, y))

    def minimum(self, x: Any, y: Any) -> Any:
        self._same(x, y)
        return np.asarray(np.minimum(x, y))

    def math(self, name: str, *xs: Any) -> Any:
        return self._float(self.MATH[name], *xs).astype(xs[0].dtype)


SPECIAL = (0.0, -0.0, 1.0, -1.0, 0.5, 3.0, -2.5, np.inf, -np.inf, np.nan, 1e-310, -1e-310, 1e300, -1e300, 40.0, -40.0)


WHOLE = (0, 1, -1, 2, 7, -5, 100, -128, 127)


LOOSE = {"boxcox": 1024.0, "boxcox1p": 1024.0}  # exponentials of large numbers, which have rounded


def build(op: Op, sample: Sample, dtype: str) -> list[Any]:
    return sample.build(np.random.default_rng(5), dtype)


def form_of(op: Op, args: list[Any], params: dict[str, Any]) -> Any:
    """The op's form for a call, or None where compiled code has no part in it."""
    avals = tuple(map(aval_of, args))
    try:
        outs = op.shape(*avals, **params)
    except Exception:
        return None  # a dtype that the op has no result for
    if any(a.dtype.char not in NATIVE for a in (*avals, *(outs if op.multi else [outs]))):
        return None
    lower = op.lower
    return lower(avals, params) if callable(lower) else lower


def evaluated(op: Op, args: list[Any], params: dict[str, Any]) -> list[np.ndarray]:
    with np.errstate(all="ignore"):
        out = op.eval(*args, **params)
    return [np.asarray(o) for o in (out if op.multi else [out])]


def mapped(form: Map, args: list[Any], params: dict[str, Any], out: Aval) -> np.ndarray:
    if form.compute == "none":
        values = [np.asarray(a) for a in args]
    else:
        dtype = out.dtype if form.compute == "out" else promote(*map(aval_of, args))
        values = [np.asarray(a).astype(dtype) for a in args]
    with np.errstate(all="ignore"):
        value = form.scalar(Arrays(), *values, **params).astype(out.dtype)
    return np.broadcast_to(value, out.shape)


def agree(got: Any, want: np.ndarray, what: str, ulps: float = 16.0) -> None:
    got = np.asarray(got)
    assert got.dtype == want.dtype and got.shape == want.shape, (what, got.dtype, got.shape, want.dtype, want.shape)
    if want.dtype.kind != "f":
        np.testing.assert_array_equal(got, want, err_msg=what)
        return
    eps, tiny = float(np.finfo(want.dtype).eps), float(np.finfo(want.dtype).tiny)
    with np.errstate(all="ignore"):
        same = (got == want) | (np.isnan(got) & np.isnan(want))
        near = np.isfinite(want) & (np.abs(got - want) <= ulps * eps * np.abs(want) + 4 * tiny)
    bad = ~(same | near)
    assert not bad.any(), f"{what}: {got[bad][:5]} is not {want[bad][:5]}"


def specials(n: int, dtype: str) -> list[np.ndarray]:
    """n operands, all combinations of special values."""
    values = np.array(SPECIAL if np.dtype(dtype).kind == "f" else WHOLE if dtype != "bool" else (True, False))
    with np.errstate(all="ignore"):
        return [g.ravel().astype(dtype) for g in np.meshgrid(*[values] * n, indexing="ij")]


def check_map(op: Op, args: list[Any], params: dict[str, Any], ulps: float) -> bool:
    form = form_of(op, args, params)
    if not isinstance(form, Map):
        return False
    try:
        want = evaluated(op, args, params)
    except (TypeError, ValueError, IndexError):
        return False  # NumPy refuses
    avals = op.shape(*map(aval_of, args), **params)
    if want[0].dtype != avals.dtype:
        return False  # dtypes that the op is not for
    try:
        got = mapped(form, args, params, avals)
    except Unsupported:
        return False
    shown = ", ".join(str(aval_of(a)) for a in args)
    agree(got, want[0], f"{op.name}({shown}, {params})", LOOSE.get(op.name, ulps))
    return True


def composed(form: Via, args: list[Any], params: dict[str, Any], op: Op) -> list[np.ndarray]:
    with np.errstate(all="ignore"):
        out = form.ops(*args, **params)
    return [np.asarray(o) for o in (out if op.multi else [out])]


def moved(form: Move, x: Any, params: dict[str, Any], out: Aval) -> np.ndarray:
    x, got = np.asarray(x), np.empty(out.shape, out.dtype)
    for at in np.ndindex(*out.shape):
        index = form.index(list(at), x.shape, **params)
        assert len(index) == x.ndim and all(0 <= i < n for i, n in zip(index, x.shape, strict=True))
        got[at] = x[tuple(index)]
    return got


def assembled(form: Assemble, args: list[Any], params: dict[str, Any], out: Aval) -> np.ndarray:
    got, covered = np.empty(out.shape, out.dtype), np.zeros(out.shape, bool)
    for region in form.regions([np.shape(a) for a in args], out.shape, **params):
        assert isinstance(region, Region)
        assert len(region.start) == len(region.step) == len(region.shape) == len(out.shape)
        assert all(s >= 0 and k > 0 for s, k in zip(region.start, region.step, strict=True))
        places = [np.arange(n) * k + s for s, k, n in zip(region.start, region.step, region.shape, strict=True)]
        where = np.ix_(*places) if places else ()
        value = region.fill if region.operand is None else args[region.operand]
        got[where] = np.broadcast_to(np.asarray(value).astype(out.dtype), region.shape)
        covered[where] = True
    assert covered.all()
    return got


REDUCTIONS: dict[str, Any] = {
    "add": np.add,
    "mul": np.multiply,
    "max": np.maximum,
    "min": np.minimum,
    "fmax": np.fmax,
    "fmin": np.fmin,
    "any": np.logical_or,
    "all": np.logical_and,
}


def reduced(kind: str, x: Any, out: Aval, axes: Any = None, axis: Any = None) -> np.ndarray:
    if kind in ("argmax", "argmin"):
        return np.asarray(getattr(np, kind)(x, axis=axis))
    with np.errstate(all="ignore"):
        return np.asarray(REDUCTIONS[kind].reduce(x, axis=axes, dtype=bool if kind in ("any", "all") else out.dtype))


def scanned(kind: str, x: Any, out: Aval, axis: int, reverse: bool = False) -> np.ndarray:
    x = np.flip(x, axis) if reverse else x
    with np.errstate(all="ignore"):
        got = REDUCTIONS[kind].accumulate(x, axis=axis, dtype=out.dtype)
    return np.flip(got, axis) if reverse else got


def check_other(op: Op, args: list[Any], params: dict[str, Any], ulps: float) -> str:
    """Check a form that is no Map; returns its name, or "" where there is none."""
    form = form_of(op, args, params)
    if form is None or isinstance(form, (Map, HostCall, Library)):
        return ""
    avals = op.shape(*map(aval_of, args), **params)
    avals = avals if op.multi else (avals,)
    try:
        want = evaluated(op, args, params)
    except OverflowError:
        return ""  # an infinity where integers are expected
    if [w.dtype for w in want] != [a.dtype for a in avals]:
        return ""
    shown = f"{op.name}({', '.join(str(aval_of(a)) for a in args)}, {params})"
    forms = form if isinstance(form, tuple) else (form,)
    match forms[0]:
        case Via():
            try:
                got = composed(forms[0], args, params, op)
            except Unsupported:
                return ""
        case Move():
            got = [moved(f, args[0], params, a) for f, a in zip(forms, avals, strict=True)]
        case Assemble():
            got = [assembled(forms[0], args, params, avals[0])]
        case Barrier():
            got = [np.asarray(args[0])]
        case Reshape():
            got = [np.asarray(args[0]).reshape(avals[0].shape)]
        case Reduce():
            got = [reduced(forms[0].kind, args[0], avals[0], **params)]
        case Scan():
            got = [scanned(forms[0].kind, args[0], avals[0], **params)]
        case other:
            raise AssertionError(f"{op.name}: {other}")
    assert len(got) == len(want), shown
    for g, w in zip(got, want, strict=True):
        agree(g, w, shown, ulps)
    return type(forms[0]).__name__


def accepts(op: Op, args: list[Any]) -> bool:
    return all(kind(aval_of(a).dtype) in op.accepts for a in args)


@pytest.fixture
def forms() -> Any:
    """This module."""
    return sys.modules[__name__]
