"""The forms of ops say what `eval` computes.

Scalar functions run on a builder that works on NumPy arrays, compositions on ndarrays, index functions element by
element: none of it needs a compiler.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import pytest
import scipy.special as sp

from wengert.core.aval import Aval, aval_of, kind, promote
from wengert.core.form import Assemble, HostCall, Library, Map, Move, Reduce, Region, Reshape, Scan, Unsupported, Via
from wengert.core.op import Op, Sample
from wengert.graph.program import Var
from wengert.trace.stage import stage
from wengert.verify.catalog import load_ops

NATIVE = frozenset("?bhilqBHILQfd")
CALLS = {"checkpoint_call", "custom_vjp_call", "custom_jvp_call"}
OPS: dict[str, Op] = {name: op for name, op in load_ops().items() if name not in CALLS}


class Arrays:
    """A scalar builder whose values are arrays: as `lowering.text.Builder`, one operation at a time."""

    MATH: ClassVar[dict[str, Callable[..., Any]]] = {
        **{n: getattr(np, n) for n in ("exp", "exp2", "expm1", "log", "log2", "log1p", "log10", "sin", "cos", "tan")},
        **{n: getattr(np, n) for n in ("arcsin", "arccos", "arctan", "arctan2", "sinh", "cosh", "tanh", "hypot")},
        **{n: getattr(np, n) for n in ("arcsinh", "arccosh", "arctanh", "cbrt")},
        **{n: getattr(sp, n) for n in ("erf", "erfc", "digamma", "ndtr")},
        "pow": np.power,
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


# ── calls ─────────────────────────────────────────────────────────────────────

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


# ── Map ───────────────────────────────────────────────────────────────────────


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


@pytest.mark.parametrize("dtype", ["float64", "float32", "int64", "int32", "uint8", "bool"])
def test_scalar_functions_agree_with_eval_on_samples(dtype: str) -> None:
    checked = 0
    for op in OPS.values():
        for sample in op.samples:
            checked += check_map(op, build(op, sample, dtype), sample.params, ulps=24)
    assert checked > {"f": 300, "i": 150, "u": 100, "b": 50}[np.dtype(dtype).kind]


@pytest.mark.parametrize("dtype", ["float64", "float32", "int32", "int8", "uint8", "bool"])
def test_scalar_functions_agree_with_eval_on_special_values(dtype: str) -> None:
    checked = set()
    for op in OPS.values():
        for sample in op.samples:
            args = specials(len(sample.args), dtype)
            if any(not isinstance(a, tuple) and not isinstance(a, float) for a in sample.args) and dtype[0] == "f":
                continue  # an operand that must be an integer
            if check_map(op, args, sample.params, ulps=24):
                checked.add(op.name)
    assert len(checked) > {"f": 100, "i": 40, "u": 40, "b": 20}[np.dtype(dtype).kind]


# ── Via, Move, Assemble, Reduce, Scan ─────────────────────────────────────────


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
        case Reshape():
            got = [np.asarray(args[0]).reshape(avals[0].shape)]
        case Reduce():
            got = [reduced(forms[0].kind, args[0], avals[0], **params)]
        case Scan():
            with np.errstate(all="ignore"):
                got = [REDUCTIONS[forms[0].kind].accumulate(args[0], axis=params["axis"], dtype=avals[0].dtype)]
        case other:
            raise AssertionError(f"{op.name}: {other}")
    assert len(got) == len(want), shown
    for g, w in zip(got, want, strict=True):
        agree(g, w, shown, ulps)
    return type(forms[0]).__name__


@pytest.mark.parametrize("dtype", ["float64", "float32", "int64", "bool"])
def test_the_other_forms_agree_with_eval_on_samples(dtype: str) -> None:
    found: dict[str, int] = {}
    for op in OPS.values():
        for sample in op.samples:
            args = build(op, sample, dtype)
            if np.dtype(dtype).kind != "f" and not accepts(op, args):
                continue
            name = check_other(op, args, sample.params, ulps=64)
            found[name] = found.get(name, 0) + 1
    assert found.keys() >= {"Via", "Move", "Assemble", "Reduce", "Scan", "Reshape"}, found


def accepts(op: Op, args: list[Any]) -> bool:
    return all(kind(aval_of(a).dtype) in op.accepts for a in args)


POOL = np.array([0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, 40.0, -40.0, 3.0, 0.25, np.nan, -np.inf, 1.0, 2.0])


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("values", [POOL[:4], POOL[:10], POOL, POOL[5:6]], ids=["ties", "infinities", "NaN", "-inf"])
def test_the_other_forms_agree_with_eval_on_special_values(dtype: str, values: np.ndarray) -> None:
    rng, checked = np.random.default_rng(3), 0
    for op in OPS.values():
        for sample in op.samples:
            args = [
                rng.choice(values, np.shape(built)).astype(dtype)[()] if isinstance(given, tuple) else built
                for built, given in zip(build(op, sample, dtype), sample.args, strict=True)
            ]
            checked += check_other(op, args, sample.params, ulps=64) != ""
    assert checked > 150


# ── indexing, pooling: more geometries than the samples have ──────────────────

SPECS = (
    *(0, -1, None, Ellipsis, slice(None), slice(1, None), slice(None, None, -1), slice(4, 0, -2), slice(5, 1)),
    *(
        (1, 2),
        (None, 0, slice(None, None, -3)),
        (Ellipsis, -1, None),
        (slice(0, 0), slice(None)),
        (slice(1, 9, 2), Ellipsis),
    ),
)


@pytest.mark.parametrize("spec", SPECS, ids=repr)
def test_basic_indexing_in_all_its_spellings(spec: Any) -> None:
    x = np.arange(20.0).reshape(5, 4)
    part = x[spec]
    assert check_other(OPS["index"], [x], {"spec": spec}, 0) == "Move"
    assert check_other(OPS["scatter_add"], [part + 1], {"spec": spec, "shape": (5, 4)}, 0)
    for y in (part + 1, np.float64(7), part.astype(np.float32) * 0.1, np.arange(part.shape[-1]) if part.ndim else part):
        assert check_other(OPS["index_put"], [x, y], {"spec": spec}, 0)


@pytest.mark.parametrize(
    "window, strides, padding, dilation",
    [
        ((2,), (2,), ((0, 0),), (1,)),
        ((3,), (2,), ((2, 1),), (1,)),
        ((2,), (3,), ((-1, 0),), (2,)),
        ((2, 2), (2, 1), ((0, 1), (1, 0)), (1, 2)),
    ],
)
def test_pooling_in_all_geometries(window: Any, strides: Any, padding: Any, dilation: Any) -> None:
    rng, n = np.random.default_rng(0), len(window)
    x = rng.normal(size=(2, 7, 6)[-n - 1 :])
    params = {"window": window, "strides": strides, "padding": padding, "dilation": dilation}
    best, at = OPS["window_max"].eval(x, **params)
    extent = {"extent": x.shape[1:]}
    assert check_other(OPS["window_max"], [x], params, 0) == "Via"
    assert check_other(OPS["window_sum"], [x], params, 64) == "Via"
    assert check_other(OPS["window_take"], [x, at], params, 0) == "Via"
    assert check_other(OPS["window_put"], [best, at], params | extent, 64) == "Via"
    assert check_other(OPS["window_spread"], [best], params | extent, 64) == "Via"


# ── compositions are staged from shapes alone ─────────────────────────────────


@pytest.mark.parametrize("dtype", ["float64", "float32", "int64"])
def test_compositions_can_be_staged_and_give_what_the_op_says(dtype: str) -> None:
    staged = 0
    for op in OPS.values():
        for sample in op.samples:
            args = build(op, sample, dtype)
            if not accepts(op, args):
                continue
            form = form_of(op, args, sample.params)
            if not isinstance(form, Via):
                continue

            def run(*xs: Any, form: Via = form, op: Op = op, params: dict[str, Any] = sample.params) -> Any:
                out = form.ops(*xs, **params)
                return tuple(out) if op.multi else (out,)

            avals = [aval_of(a) for a in args]
            try:
                program, captured = stage(run, avals)
            except Unsupported:
                continue
            want = op.shape(*avals, **sample.params)
            for atom, aval in zip(program.outs, want if op.multi else (want,), strict=True):
                got = atom.aval if isinstance(atom, Var) else aval_of(atom.value)
                assert (got.shape, got.dtype) == (aval.shape, aval.dtype), f"{op.name}: {got} is not {aval}"
            assert not captured
            staged += 1
    assert staged > (80 if dtype != "int64" else 20)


# ── dtypes ────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("dtype", ["uint8", "int32", "int64"])
@pytest.mark.parametrize("bound", [300, -1, 2**40, 5, 2.5, True])
def test_comparisons_with_python_numbers_are_exact(dtype: str, bound: Any) -> None:
    x = np.array([0, 1, 5, 100, 127]).astype(dtype)
    for name in ("less", "less_equal", "greater", "greater_equal", "equal", "not_equal"):
        assert check_map(OPS[name], [x, bound], {}, 0) and check_map(OPS[name], [bound, x], {}, 0)


def test_unsigned_integers_of_full_width_are_compared_by_numpy() -> None:
    x = np.array([2**63, 1], np.uint64)
    for y in (np.array([-1, 1]), -1, 7):
        assert isinstance(form_of(OPS["less"], [x, y], {}), HostCall)


def test_integer_quotients_of_all_signs_and_by_zero() -> None:
    low = np.iinfo(np.int64).min
    x = np.array([low, low + 1, -7, -1, 0, 1, 7, np.iinfo(np.int64).max])
    args: list[Any] = [g.ravel() for g in np.meshgrid(x, x)]
    for name in ("floor_divide", "remainder", "fmod"):
        assert check_map(OPS[name], args, {}, 0)


def test_signs_of_zeros() -> None:
    x = np.array([0.0, -0.0, -2.0, 2.0, -0.4, 0.4])
    pairs: list[Any] = [g.ravel() for g in np.meshgrid(x, x)]
    unary = (
        "neg",
        "positive",
        "square",
        "reciprocal",
        "floor",
        "ceil",
        "trunc",
        "rint",
        "fraction",
        "integral",
        "mantissa",
    )
    calls = [(n, [x]) for n in (*unary, "sin", "tan", "arctan", "sinh", "expm1", "log1p", "sign", "abs", "sqrt")]
    calls += [(n, pairs) for n in ("add", "sub", "mul", "div", "copysign", "remainder", "floor_divide", "fmod")]
    for name, args in calls:
        op = OPS[name]
        args = [np.abs(a) for a in args] if name == "sqrt" else args
        form, out = form_of(op, args, {}), op.shape(*map(aval_of, args))
        if isinstance(form, Map):
            got, want = mapped(form, args, {}, out), evaluated(op, args, {})[0]
            zero = want == 0
            np.testing.assert_array_equal(np.signbit(got[zero]), np.signbit(want[zero]), err_msg=name)


# ── which ops have none ───────────────────────────────────────────────────────

HOSTED = """
_factorial _lambertw _lgam1p _log1pmx _riemann_zeta _scaled_exp1 _spherical_in _spherical_jn _spherical_kn
_spherical_yn _zeta agm airy airye airye_far argpartition as_complexes as_reals bdtr bdtrc bdtri bdtrik bdtrin bei
beip ber berp bessel_i besselpoly beta beta_density betainc betainc_in betaincc betainccinv betaincinv betaln binom
btdtria btdtrib carlson chdtr chdtrc chdtri chdtriv chndtr chndtrinc chndtrix convolve cosdg cotdg cylinder_far dawsn
dawsn_derivative dct det_cofactor det_second digamma_difference dropout dst eig ellipe ellipeinc ellipj ellipk
ellipkinc ellipkm1 elliprc elliprd elliprf elliprg elliprj erfcinv erfcx erfcx_derivative erfi erfinv eval_chebyc
eval_chebys eval_chebyt eval_chebyu eval_gegenbauer eval_genlaguerre eval_hermite eval_hermitenorm eval_jacobi
eval_laguerre eval_legendre eval_sh_chebyt eval_sh_chebyu eval_sh_jacobi eval_sh_legendre exp1 expi expm expm_frechet
expn exponential_moment fdtr fdtrc fdtri fdtridfd fft fresnel from_parts full_rank gamma gamma_density gammainc
gammainc_in_a gammaincc gammainccinv gammaincinv gammasgn gcd gdtr gdtrc gdtria gdtrib gdtrix hankel1 hankel1e hankel2
hankel2e hurwitz_derivative hyp0f1 hyp1f1 hyp2f1 hyperu i0 i0e i1 i1e inverse_gaps irfft it2i0k0 it2j0y0 it2struve0
itairy iti0k0 itj0y0 itmodstruve0 itstruve0 iv ive j0 j1 jv jve k0 k0e k1 k1e kei keip kelvin ker kerp kn kolmogi
kolmogorov kolmogorov_derivative kv kve largest_entries last_write lcm ldexp lexsort log_ndtr log_wright_bessel logm
logm_frechet lpmv lpmv_angle lstsq mathieu_a mathieu_b mathieu_cem mathieu_modcem1 mathieu_modcem2 mathieu_modsem1
mathieu_modsem2 mathieu_sem merged modfresnelm modfresnelp modstruve nbdtr nbdtrc nbdtri nbdtrik nbdtrin ndtri
ndtri_exp noncentral_density nrdtrimn nrdtrisd obl_ang1 obl_ang1_cv obl_cv obl_rad1 obl_rad1_cv owens_t
partition_order pbdv pbvv pbwa pdtr pdtrc pdtri pdtrik permutation_matrix pinv poch polar_factor polygamma powm1
pro_ang1 pro_ang1_cv pro_cv pro_rad1 pro_rad1_cv quantile_plan reciprocal_moment recurrence resolved rfft rgamma
rgamma_slope roots row_order rq_signs shichi sici sindg smirnov smirnov_derivative smirnovi spence sqrtm sqrtm_frechet
stdtr stdtridf stdtrit struve sylvester tandg tklmbda turns voigt_profile weighted_rank wofz wright_bessel wrightomega
y0 y1 yn yv yve zetac
""".split()


def test_these_ops_have_no_form_and_are_run_by_eval() -> None:
    assert {name for name, op in OPS.items() if isinstance(op.lower, HostCall)} == set(HOSTED)
