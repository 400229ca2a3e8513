"""The array API's functions inside gradients on arrays of unusual shapes: 0-d, empty, of size 1, broadcast.

A part of what the official suite does with `tests/array_api/run.py`, without the suite: values are NumPy's, in shape and dtype
too, and every pullback and tangent has the shape and dtype of what it belongs to (`tests/array_api/connected.py`).
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

import wengert
import wengert.numpy as wnp
from wengert.core.op import OPS
from wengert.core.tensor import raw
from wengert.transforms.forward import Jvp

spec = importlib.util.spec_from_file_location("connected", Path(__file__).parents[1] / "array_api" / "connected.py")
connected = importlib.util.module_from_spec(spec)
spec.loader.exec_module(connected)

DTYPES = ["float32", "float64", "complex64", "complex128"]
SHAPES = [(), (0,), (1,), (3,), (1, 1), (2, 0), (0, 3), (1, 3), (2, 1, 3), (1, 0, 2)]
PAIRS = [
    ((), ()),
    ((), (3,)),
    ((0,), ()),
    ((1,), (0,)),
    ((2, 1), (1, 3)),
    ((1, 1), (2, 0)),
    ((3,), (2, 1, 1)),
    ((2, 0, 1), (1, 3)),
    ((1, 1, 1), (1,)),
]
STACKS = [(0, 0), (1, 1), (2, 2), (0, 2, 2), (2, 0, 0), (1, 2, 2), (2, 1, 1, 1)]
RECTANGLES = [(0, 2), (2, 0), (1, 3), (3, 1), (0, 3, 2), (2, 0, 3), (1, 1, 1)]

REAL = "acos acosh asin atanh atan2 hypot logaddexp max maximum min minimum remainder copysign cbrt sort clip".split()
UNARY = """abs acos acosh asin asinh atan atanh conj cos cosh exp expm1 imag log log10 log1p log2 negative positive
real reciprocal sign sin sinh sqrt square tan tanh""".split()
BINARY = "add atan2 copysign divide hypot logaddexp maximum minimum multiply pow remainder subtract".split()
REDUCTIONS = "sum prod mean std var max min".split()
FFT = "fft ifft rfft irfft hfft ihfft".split()

CALLS = {}  # name → (call, shapes of its arguments)


def cases(name, call, shapes):
    CALLS[name] = (call, [s if s and isinstance(s[0], tuple) else (s,) for s in shapes])


for _f in UNARY:
    cases(_f, lambda xp, x, f=_f: getattr(xp, f)(x), SHAPES)
for _f in BINARY:
    cases(_f, lambda xp, x, y, f=_f: getattr(xp, f)(x, y), PAIRS)
    cases(f"{_f} with a number", lambda xp, x, f=_f: getattr(xp, f)(x, 0.5), SHAPES)
for _f in REDUCTIONS:
    cases(_f, lambda xp, x, f=_f: getattr(xp, f)(x), SHAPES)
    cases(f"{_f} keepdims", lambda xp, x, f=_f: getattr(xp, f)(x, keepdims=True), SHAPES)
    cases(f"{_f} of the last axis", lambda xp, x, f=_f: getattr(xp, f)(x, axis=-1), SHAPES)
    cases(f"{_f} of no axis", lambda xp, x, f=_f: getattr(xp, f)(x, axis=()), SHAPES)
    cases(f"{_f} of all axes", lambda xp, x, f=_f: getattr(xp, f)(x, axis=tuple(range(x.ndim))), SHAPES)
for _f in ("cumulative_sum", "cumulative_prod"):
    cases(_f, lambda xp, x, f=_f: getattr(xp, f)(x, axis=-1), SHAPES[1:])
    cases(f"{_f} from the start", lambda xp, x, f=_f: getattr(xp, f)(x, axis=0, include_initial=True), SHAPES[1:])
cases("where", lambda xp, x, y: xp.where(abs(x) > abs(y), x, y), PAIRS)
cases("where with a number", lambda xp, x: xp.where(abs(x) > 0.5, x, 0.0), SHAPES)
cases("clip", lambda xp, x, y: xp.clip(x, min=y), PAIRS)
cases("sort", lambda xp, x: xp.sort(x), SHAPES)
cases("diff", lambda xp, x: xp.diff(x), SHAPES)
cases("reshape", lambda xp, x: xp.reshape(x, (x.size,)), SHAPES)
cases("flip", lambda xp, x: xp.flip(x), SHAPES)
cases("roll", lambda xp, x: xp.roll(x, 2), SHAPES)
cases("roll of an axis", lambda xp, x: xp.roll(x, -1, axis=0), SHAPES[1:])
cases("expand_dims", lambda xp, x: xp.expand_dims(x, axis=-1), SHAPES)
cases("squeeze", lambda xp, x: xp.squeeze(x), SHAPES)
cases("permute_dims", lambda xp, x: xp.permute_dims(x, tuple(range(x.ndim))[::-1]), SHAPES)
cases("broadcast_to", lambda xp, x: xp.broadcast_to(x, (2, *x.shape)), SHAPES)
cases("concat", lambda xp, x: xp.concat([x, x], axis=None), SHAPES)
cases("concat of an axis", lambda xp, x: xp.concat([x, x, x], axis=-1), SHAPES)
cases("stack", lambda xp, x: xp.stack([x, x], axis=-1), SHAPES)
cases("tile", lambda xp, x: xp.tile(x, (2, 1)), SHAPES)
cases("tile to nothing", lambda xp, x: xp.tile(x, 0), SHAPES)
cases("repeat", lambda xp, x: xp.repeat(x, 2), SHAPES)
cases("repeat of an axis", lambda xp, x: xp.repeat(x, 2, axis=0), SHAPES)
cases("unstack", lambda xp, x: xp.unstack(x), SHAPES)
cases("meshgrid", lambda xp, x, y: xp.meshgrid(x, y), [((), ()), ((0,), (2,)), ((1,), (3,)), ((1,), ())])
cases("broadcast_arrays", lambda xp, x, y: xp.broadcast_arrays(x, y), PAIRS)
cases("take", lambda xp, x: xp.take(x, np.array([], int), axis=0), SHAPES)
cases("take one", lambda xp, x: xp.take(x, np.array([0]), axis=-1), SHAPES)
cases("tril", lambda xp, x: xp.tril(x), STACKS + RECTANGLES)
cases("triu", lambda xp, x: xp.triu(x, k=1), STACKS + RECTANGLES)
cases("x[...]", lambda xp, x: x[...], SHAPES)
cases("x[None]", lambda xp, x: x[None], SHAPES)
cases("x[()]", lambda xp, x: x[()], SHAPES)
cases("x[mask]", lambda xp, x: x[abs(x) > 0.5], SHAPES)
cases("x[0]", lambda xp, x: x[0], SHAPES)
cases("x[:0]", lambda xp, x: x[:0], SHAPES)
cases("x[::-2]", lambda xp, x: x[::-2], SHAPES)
cases("full", lambda xp, x: xp.full((2, 0, 1), x), [()])
cases("linspace", lambda xp, x, y: xp.linspace(x, y, 0), [((), ())])
cases("linspace of one", lambda xp, x, y: xp.linspace(x, y, 1), [((), ())])
MATRICES = [
    ((0, 2), (2, 3)),
    ((2, 0), (0, 3)),
    ((1, 1), (1, 1)),
    ((2, 3), (3,)),
    ((0,), (0, 2)),
    ((3,), (3,)),
    ((0,), (0,)),
]
cases(
    "matmul",
    lambda xp, x, y: xp.matmul(x, y),
    [*MATRICES, ((2, 1, 3), (1, 3, 2)), ((0, 2, 3), (3, 1)), ((1, 2, 0), (3, 0, 2))],
)
cases("tensordot", lambda xp, x, y: xp.tensordot(x, y, axes=1), MATRICES)
cases("tensordot of no axes", lambda xp, x, y: xp.tensordot(x, y, axes=0), PAIRS)
cases(
    "vecdot",
    lambda xp, x, y: xp.vecdot(x, y),
    [((3,), (3,)), ((0,), (0,)), ((2, 0), (2, 0)), ((1, 3), (2, 3)), ((0, 3), (3,))],
)
for _f in ("det", "inv", "eigvalsh", "trace", "diagonal", "matrix_transpose", "cholesky"):
    cases(f"linalg.{_f}", lambda xp, x, f=_f: getattr(xp.linalg, f)(hermitian(x)), STACKS)
cases("linalg.slogdet", lambda xp, x: xp.linalg.slogdet(hermitian(x)).logabsdet, STACKS)
cases("linalg.eigh", lambda xp, x: xp.linalg.eigh(hermitian(x)).eigenvalues, STACKS)
cases("linalg.matrix_power", lambda xp, x: xp.linalg.matrix_power(hermitian(x), 3), STACKS)
cases("linalg.matrix_power zero", lambda xp, x: x + xp.linalg.matrix_power(hermitian(x), 0), STACKS)
cases(
    "linalg.solve",
    lambda xp, x, y: xp.linalg.solve(hermitian(x), y),
    [((0, 0), (0, 2)), ((2, 2), (2, 0)), ((1, 1), (1,)), ((0, 2, 2), (2, 1)), ((2, 2), (3, 2, 1))],
)
for _f in ("qr", "pinv", "svdvals", "matrix_norm"):
    cases(f"linalg.{_f}", lambda xp, x, f=_f: getattr(xp.linalg, f)(x), RECTANGLES)
cases("linalg.svd", lambda xp, x: xp.linalg.svd(x, full_matrices=False), RECTANGLES)
cases("linalg.vector_norm", lambda xp, x: xp.linalg.vector_norm(x), SHAPES)
cases("linalg.vector_norm of order 3", lambda xp, x: xp.linalg.vector_norm(x, axis=-1, ord=3, keepdims=True), SHAPES)
cases("linalg.outer", lambda xp, x, y: xp.linalg.outer(x, y), [((0,), (2,)), ((1,), (1,)), ((3,), (0,))])
cases("linalg.cross", lambda xp, x, y: xp.linalg.cross(x, y), [((3,), (3,)), ((0, 3), (0, 3)), ((2, 1, 3), (1, 3))])
for _f in FFT:
    cases(f"fft.{_f}", lambda xp, x, f=_f: getattr(xp.fft, f)(x, n=2 if f[-4:] in ("rfft", "hfft") else 1), SHAPES)
    cases(f"fft.{_f} of an axis", lambda xp, x, f=_f: getattr(xp.fft, f)(x, axis=0), SHAPES)
for _f in ("fftn", "ifftn"):
    cases(f"fft.{_f}", lambda xp, x, f=_f: getattr(xp.fft, f)(x), SHAPES)


def hermitian(x):
    """A positive definite matrix with distinct eigenvalues, that depends on `x`."""
    n = x.shape[-1]
    step = np.diag(np.arange(4.0, 4.0 + n)).astype(x.dtype)
    return 0.1 * (x + np.conj(np.swapaxes(x, -1, -2))) + step


def arrays_of(out):
    if isinstance(out, (list, tuple)):
        return [a for o in out for a in arrays_of(o)]
    return [np.asarray(raw(out))]


def drawn(shape, dtype, seed):
    rng = np.random.default_rng(seed)
    x = rng.uniform(0.2, 0.9, shape)
    x = x + 1j * rng.uniform(0.2, 0.9, shape) if np.dtype(dtype).kind == "c" else x
    return np.asarray(x).astype(dtype)


def outcome(call, xp, arrays):
    """The arrays of a result, or the type of NumPy's refusal."""
    try:
        with np.errstate(all="ignore"):
            return arrays_of(call(xp, *arrays))
    except (ValueError, TypeError, IndexError, np.linalg.LinAlgError) as error:
        return type(error)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("mode", ["grad", "jvp"])
@pytest.mark.parametrize("name", CALLS)
def test_unusual_shapes_inside_a_derivative(name, mode, monkeypatch):
    monkeypatch.setattr(Jvp, "apply", connected.checked(Jvp.apply))
    call, every = CALLS[name]
    real_only = name.split(" ")[0] in REAL
    for shapes in every:
        for dtype in DTYPES[:2] if real_only or "rfft" in name[:9] or "ihfft" in name else DTYPES:
            arrays = [drawn(s, dtype, i) + (name == "acosh") for i, s in enumerate(shapes)]
            want = outcome(call, np, arrays)

            def body(arrays=arrays, want=want, at=(shapes, dtype)):
                got = outcome(call, connected.namespace, connected.connected(arrays))
                if not isinstance(want, list):
                    assert isinstance(got, type) and issubclass(got, want), (
                        f"{at}: NumPy raises {want}, this gives {got}"
                    )
                    return
                assert isinstance(got, list), f"{at}: {got}, and NumPy gives {want}"
                for g, w in zip(got, want, strict=True):
                    np.testing.assert_allclose(
                        g, w, rtol=1e-4 if at[1] in ("float32", "complex64") else 1e-10, atol=1e-6
                    )
                    assert (g.shape, g.dtype) == (w.shape, w.dtype), at

            connected.RUNS[mode](body)


# ── axis=0 and axis=-1 of an array without axes ───────────────────────────────

AXES = (0, -1, 1, -2, (), (0,), np.int64(0))
ALONG = {
    **{
        name: getattr(np, name)
        for name in """sum prod max min mean std var any all argmax argmin cumsum cumprod nansum nanprod nanmax nanmin
        nanmean nanstd nanvar nancumsum nancumprod nanargmax nanargmin ptp median average sort argsort flip squeeze
        count_nonzero expand_dims""".split()
    },
    "repeat": lambda x, axis: np.repeat(x, 2, axis=axis),
    "take": lambda x, axis: np.take(x, np.array([0]), axis=axis),
    "roll": lambda x, axis: np.roll(x, 1, axis=axis),
    "argpartition": lambda x, axis: np.argpartition(x, 0, axis=axis),
    "partition": lambda x, axis: np.partition(x, 0, axis=axis),
    "add.reduce": np.add.reduce,
    "maximum.reduce": np.maximum.reduce,
    "hypot.reduce": np.hypot.reduce,
    "sum with an initial value": lambda x, axis: np.sum(x, axis=axis, initial=1.0),
    "max with an initial value": lambda x, axis: np.max(x, axis=axis, initial=0.1),
    "max keepdims": lambda x, axis: np.max(x, axis=axis, keepdims=True),
    "method sum": lambda x, axis: x.sum(axis=axis),
    "method cumsum": lambda x, axis: x.cumsum(axis=axis),
    "method argsort": lambda x, axis: x.argsort(axis=axis),
}


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("x", [np.float64(0.7), np.array(0.7)], ids=["scalar", "0-d"])
@pytest.mark.parametrize("name", ALONG)
def test_axes_of_an_array_without_axes_are_numpys(name, x):
    for axis in AXES:

        def call(_, x, axis=axis):
            return ALONG[name](x, axis=axis)

        want = outcome(call, np, [x])
        (got,) = inside_a_gradient(call, x)
        if isinstance(want, list):
            assert isinstance(got, list), f"axis={axis}: {got}, and NumPy gives {want}"
            np.testing.assert_allclose(got[0], want[0], rtol=1e-14)
            assert got[0].shape == want[0].shape
        else:
            assert isinstance(got, type), f"axis={axis}: {got}, and NumPy raises {want}"


def inside_a_gradient(call, x):
    seen = []
    wengert.vjp(lambda x: seen.append(outcome(call, wnp, [x])) or x * 1.0, x, adopt=False)
    return seen


def test_reductions_of_an_array_without_axes_have_derivatives():
    functions = {
        "sum": lambda x: np.sum(x * x, axis=0),
        "max": lambda x: np.max(x * x, axis=-1),
        "reduce": lambda x: np.add.reduce(x * x),
        "cumsum": lambda x: np.cumsum(x * x, axis=0)[0],
        "repeat": lambda x: np.repeat(x, 2, axis=0).sum() * x / 2,
        "nanmean": lambda x: np.nanmean(x * x, axis=0),
        "squeeze": lambda x: np.squeeze(x * x, axis=-1),
    }
    for name, f in functions.items():
        for x in (0.7, np.array(0.7)):
            assert wengert.grad(f)(x) == pytest.approx(1.4), name
            assert wengert.jvp(f, (x,), (1.0,))[1] == pytest.approx(1.4), name


# ── factors without derivative ────────────────────────────────────────────────


@pytest.mark.parametrize("x", [np.zeros((3, 2)), np.zeros((2, 2, 2)), np.zeros((1, 1))], ids=["tall", "stack", "one"])
def test_factors_of_a_matrix_without_full_rank_say_that_they_have_no_derivative(x):
    def f(a):
        return np.linalg.qr(a).R.sum()

    for derivative in (lambda: wengert.grad(f)(x), lambda: wengert.jvp(f, (x,), (np.ones_like(x),))):
        with pytest.raises(np.linalg.LinAlgError, match=r"qr: no derivative .* without full rank"):
            derivative()


# ── the checks notice ─────────────────────────────────────────────────────────

WRONG = {
    "a shape": lambda ct: np.zeros((2, 2)),
    "a dtype": lambda ct: ct.astype(np.float32),
    "a number": lambda ct: 1.0,
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_cotangent_that_does_not_fit_is_noticed(wrong, monkeypatch):
    monkeypatch.setattr(OPS["sin"], "pullback", lambda ct, ins, xs, out: (WRONG[wrong](ct),))
    for mode in connected.RUNS:
        monkeypatch.setattr(Jvp, "apply", connected.checked(Jvp.apply))
        with pytest.raises(AssertionError, match="cotangent of sin"):
            connected.RUNS[mode](lambda: wnp.sin(connected.namespace.ones(3)))


def test_a_tangent_that_does_not_fit_is_noticed(monkeypatch):
    monkeypatch.setattr(Jvp, "apply", connected.checked(Jvp.apply))
    monkeypatch.setattr(OPS["sin"], "pushforward", lambda xs, dxs, out: np.ones((3, 1)))
    with pytest.raises(AssertionError, match="tangent of sin"):
        connected.in_pushforward(lambda: wnp.sin(connected.namespace.ones(3)))


def test_modes_that_disagree_are_noticed(monkeypatch):
    monkeypatch.setattr(Jvp, "apply", connected.checked(Jvp.apply))
    monkeypatch.setattr(OPS["sin"], "pullback", lambda ct, ins, xs, out: (-ct * np.cos(1.0),))
    with pytest.raises(AssertionError, match="sin: ⟨u, Jv⟩"):
        connected.in_pushforward(lambda: wnp.sin(connected.namespace.ones(3)))


def test_what_the_suite_makes_is_recorded():
    connected.counts.clear()
    connected.in_gradient(lambda: wnp.sort(wnp.exp(connected.namespace.linspace(0.0, 1.0, 3))))
    assert connected.counts["grad exp"] == 1
    assert type(connected.connected(np.ones(2))) is np.ndarray  # no derivative runs
