"""NumPy's ufuncs on Tensors: every name served, options, methods, and what is refused."""

import copy
import warnings

import numpy as np
import pytest

import wengert.numpy as wnp
from wengert.core.errors import ConcretizationError, DTypeError, NotDifferentiable
from wengert.core.tensor import Tensor
from wengert.numpy.registry import NAMES, UFUNCS
from wengert.transforms.batch import batch_flat
from wengert.transforms.forward import jvp_flat
from wengert.transforms.reverse import vjp_flat
from wengert.verify import examples

CONTRACTIONS = {"matmul", "vecdot", "matvec", "vecmat"}  # of linear algebra
ALL = {name: u for name, u in vars(np).items() if isinstance(u, np.ufunc) and u.__name__ not in CONTRACTIONS}
X = np.array([0.5, 1.5, 2.5])


def gradient(f, *xs):
    """Of the sum of f's result, by every argument."""
    outs, pullback, _ = vjp_flat(lambda *a: [f(*a)], xs)
    return pullback([np.ones(outs[0].shape)])


def vmapped(f, *xs):
    """f on each row of its arguments."""
    outs, _ = batch_flat(lambda *a: [f(*a)], xs, [True] * len(xs), len(xs[0]))
    return outs[0]


# ── the table ─────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", ALL)
def test_every_ufunc_is_entered_under_every_name(name):
    entry = NAMES[name]
    assert entry.function is UFUNCS[ALL[name]] is getattr(wnp, name)
    assert entry.status == "differentiable" or entry.reason
    assert entry.status == NAMES[ALL[name].__name__].status


def test_every_ufunc_that_runs_has_examples():
    shown = {e.name for e in examples.load()}
    assert {name for name in ALL if NAMES[name].status != "refused"} <= shown


def test_isnat_is_refused_with_a_remedy():
    with pytest.raises(NotDifferentiable, match=r"dates[^$]*isnan"):
        gradient(lambda x: np.isnat(x), X)
    assert wnp.isnat(np.datetime64("NaT"))


def test_ufuncs_have_numpy_attributes():
    assert (wnp.add.nin, wnp.add.nout, wnp.add.identity, wnp.add.__name__) == (2, 1, 0, "add")
    assert copy.copy(wnp.exp)(0.0) == 1
    with pytest.raises(AttributeError):
        _ = wnp.exp.nonsense


def test_plain_arrays_get_numpys_own_results():
    a = np.arange(4)
    assert wnp.add(a, 1).dtype == np.add(a, 1).dtype
    assert wnp.add.reduce(a) == 6
    assert wnp.frexp(8.0) == np.frexp(8.0)
    out = np.zeros(4)
    assert wnp.sqrt(a, out=out) is out


# ── options ───────────────────────────────────────────────────────────────────


def test_where_leaves_what_it_masks_out_of_value_derivative_and_warnings():
    def f(x, y):
        return np.divide(x, y, out=x * 10, where=y != 0)

    x, y = np.array([1.0, 2.0]), np.array([4.0, 0.0])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        value, _, _ = vjp_flat(lambda *a: [f(*a)], [x, y])
        dx, dy = gradient(f, x, y)
    np.testing.assert_array_equal(value[0], [0.25, 20])
    np.testing.assert_array_equal(dx, [0.25, 10])
    np.testing.assert_array_equal(dy, [-1 / 16, 0])


def test_where_without_out_gives_zeros():
    outs, _, _ = vjp_flat(lambda x: [np.exp(x, out=None, where=np.array([True, False, True]))], [X])
    np.testing.assert_array_equal(outs[0], np.exp(X) * [1, 0, 1])


def test_where_may_be_batched():
    def f(x):
        return np.sqrt(x, out=x * 0, where=x > 1)

    rows = np.stack([X, X[::-1]])
    np.testing.assert_array_equal(vmapped(f, rows), [np.sqrt(r) * (r > 1) for r in rows])


def test_out_of_two_results():
    def f(x):
        fraction, whole = x * 0, x * 0
        result = np.modf(x, out=(fraction, whole))
        assert result[0] is fraction and result[1] is whole
        return fraction + whole

    np.testing.assert_array_equal(gradient(f, X)[0], [1, 1, 1])
    np.testing.assert_array_equal(vjp_flat(lambda x: [f(x)], [X])[0][0], X)


def test_dtype_computes_in_that_dtype():
    narrow = X.astype("float32")
    outs, pullback, _ = vjp_flat(lambda x: [np.exp(x, dtype="float64")], [narrow])
    np.testing.assert_array_equal(outs[0], np.exp(narrow, dtype="float64"))
    assert pullback([np.ones(3)])[0].dtype == narrow.dtype
    outs, _, _ = vjp_flat(lambda x: [np.add(x, 1, dtype="float32")], [X])
    assert outs[0].dtype == "float32"


def test_casting_rules_are_numpys():
    with pytest.raises(TypeError, match="same_kind"):
        gradient(lambda x: np.add(x, 1j, dtype="float64"), X)
    with pytest.raises(DTypeError, match="complex128 result for out= of dtype float64"):
        gradient(lambda x: np.multiply(x, 1j, out=x * 1), X)
    with pytest.raises(TypeError):
        gradient(lambda x: np.add(x, x, dtype="float32", casting="safe"), X)


def test_out_into_an_ndarray_raises():
    with pytest.raises(ConcretizationError, match="out="):
        gradient(lambda x: np.exp(x, out=np.zeros(3)), X)


def test_an_unknown_option_is_a_type_error():
    with pytest.raises(TypeError, match="axes"):
        gradient(lambda x: wnp.exp(x, axes=[0]), X)


def test_lists_of_tensors_are_arrays():
    (dx,) = gradient(lambda x: wnp.add([x[0], 2.0, x[1]], 1), X)
    np.testing.assert_array_equal(dx, [1, 1, 0])


def test_complex_numbers_on_the_left_of_a_scalar():
    for f in (lambda x: 1j * x, lambda x: 1j + x, lambda x: 1j - x, lambda x: np.multiply(1j, x), lambda x: 3j / x):
        (outs, pullback, _), want = vjp_flat(lambda x, f=f: [f(x)], [np.float64(2.0)]), f(np.float64(2.0))
        assert outs[0] == want and outs[0].dtype == complex
        assert pullback([np.complex128(1)])[0].dtype == float


# ── booleans and integers under vmap ──────────────────────────────────────────


def test_masks_of_batched_tensors_combine():
    rows = np.array([[-1.0, 0.5, 2.0], [3.0, 0.0, -2.0]])

    def f(x):
        return ((x > 0) & ~(x >= 2) | (x == 2) ^ (x < -1)) * x

    np.testing.assert_array_equal(vmapped(f, rows), f(rows))
    np.testing.assert_array_equal(vmapped(lambda x: (x > 0) + 0, rows), rows > 0)
    assert vmapped(lambda x: np.logical_not(x), rows).dtype == bool


def test_integers_of_batched_tensors_compute():
    rows = np.array([[3, 5, 12], [8, 1, 7]])

    def f(n):
        return (n % 3 << 1) + (n // 2) - (n & 5) + np.gcd(n, 6) + np.add.reduce(n) + np.maximum.accumulate(n)[::-1]

    np.testing.assert_array_equal(vmapped(f, rows), [f(r) for r in rows])
    assert vmapped(f, rows).dtype == rows.dtype


# ── methods ───────────────────────────────────────────────────────────────────


def test_reductions_of_small_integers_widen_as_numpys():
    rows = np.array([[200, 100, 3], [7, 8, 9]], "uint8")
    for u, method in ((np.add, "reduce"), (np.multiply, "accumulate"), (np.add, "reduceat"), (np.maximum, "reduce")):
        rest = ([0, 2],) if method == "reduceat" else ()
        got = vmapped(lambda n, u=u, method=method, rest=rest: getattr(u, method)(n, *rest), rows)
        want = np.stack([getattr(u, method)(r, *rest) for r in rows])
        np.testing.assert_array_equal(got, want)
        assert got.dtype == want.dtype


def test_reductions_that_numpy_refuses():
    with pytest.raises(ValueError, match="not reorderable"):
        gradient(lambda x: np.subtract.reduce(x, axis=(0, 1)), np.ones((2, 2)))
    with pytest.raises(ValueError, match="initial"):
        gradient(lambda x: np.maximum.reduce(x, where=X > 1), X)
    with pytest.raises(ValueError, match="zero-size"):
        gradient(lambda x: np.maximum.reduce(x[:0]), X)
    with pytest.raises(IndexError, match="out-of-bounds"):
        gradient(lambda x: np.add.reduceat(x, [3]), X)
    with pytest.raises(TypeError, match="scalar"):
        gradient(lambda x: np.add.accumulate(x[0]), X)
    with pytest.raises(NotDifferentiable, match="two operands"):
        gradient(lambda x: wnp.exp.reduce(x), X)


def test_reductions_of_nothing():
    outs, _, _ = vjp_flat(lambda x: [np.add.reduce(x[:0]), np.maximum.reduce(x[:0], initial=4.0)], [X])
    assert outs == [0, 4]


def test_ties_in_reductions():
    (dx,) = gradient(lambda x: np.maximum.reduce(x), np.array([1.0, 3.0, 3.0]))
    np.testing.assert_array_equal(dx, [0, 0.5, 0.5])


def test_masked_reductions_keep_nan_out():
    x = np.array([1.0, np.nan, 3.0])
    for u in (np.add, np.multiply, np.hypot, np.logaddexp):
        got = gradient(lambda x, u=u: u.reduce(x, where=~np.isnan(X * np.array([1, np.nan, 1]))), x)[0]
        assert got[1] == 0 and np.isfinite(got).all()


def test_at_counts_every_mention():
    where = np.array([0, 2, 0, 0])
    b = np.array([2.0, 3.0, 5.0, 7.0])

    def f(x, b, u):
        y = x + 0 * b[0]
        u.at(y, where, b)
        return y

    for u in (np.add, np.subtract, np.multiply, np.divide):
        want = X.copy()
        u.at(want, where, b)
        np.testing.assert_allclose(vjp_flat(lambda x, b, u=u: [f(x, b, u)], [X, b])[0][0], want, rtol=1e-15)
    _, db = gradient(lambda x, b: f(x, b, np.multiply), X, b)
    np.testing.assert_allclose(db, [0.5 * 35, 2.5, 0.5 * 14, 0.5 * 10])


def test_at_writes_through_a_view():
    def f(x):
        y = np.stack([x, x])
        np.add.at(y[0], [1, 1], x[:2])
        return y

    np.testing.assert_array_equal(gradient(f, X)[0], [3, 3, 2])


def test_at_of_batched_indices():
    rows, where = np.ones((2, 3)), np.array([[0, 0], [2, 1]])

    def f(x, i):
        y = x * 1
        np.add.at(y, i, 5.0)
        return y

    np.testing.assert_array_equal(vmapped(f, rows, where), [[11, 1, 1], [1, 6, 6]])


def test_at_refuses_what_would_be_lost():
    with pytest.raises(ConcretizationError, match=r"add\.at"):
        gradient(lambda x: np.add.at(np.zeros(3), [0], x[0]), X)
    with pytest.raises(DTypeError, match="complex128"):
        gradient(lambda x: np.add.at(x * 1, [0], 1j), X)


# ── functions beside the ufuncs ───────────────────────────────────────────────


def test_clip_takes_numpys_arguments_and_no_others():
    with pytest.raises((TypeError, ValueError)):
        gradient(lambda x: np.clip(x, 0, 1, min=0), X)
    narrow = X.astype("float32")
    assert vjp_flat(lambda x: [np.clip(x, 0, 1)], [narrow])[0][0].dtype == "float32"
    (da,) = gradient(lambda a: X.clip(a, 2.0), np.float64(1.0))
    assert da == 1
    np.testing.assert_array_equal(gradient(lambda x: np.clip(x, None, None), X)[0], [1, 1, 1])


def test_clip_in_place():
    def f(x):
        y = x * 2
        assert np.clip(y, 0, 2, out=y) is y
        return y

    np.testing.assert_array_equal(gradient(f, X)[0], [2, 0, 0])


def test_nan_to_num_cuts_what_it_replaces():
    def f(x, nan):
        return np.nan_to_num(x * np.array([1.0, np.nan, np.inf]), nan=nan, posinf=7.0)

    dx, dnan = gradient(f, X, np.float64(3.0))
    np.testing.assert_array_equal(dx, [1, 0, 0])
    assert dnan == 1


def test_real_and_imag_are_views():
    def f(z):
        w = z * 1
        np.real(w)[...] = 3.0
        return np.imag(w) + np.real(w)

    np.testing.assert_array_equal(gradient(f, X + 1j)[0], [-1j] * 3)


def test_real_if_close_needs_values():
    with pytest.raises(ConcretizationError):
        vmapped(lambda z: np.real_if_close(z), np.ones((2, 3), complex))


def test_constant_functions_on_tensors_are_numpys():
    def f(x):
        assert np.allclose(x, x + 1e-12) is True
        assert not np.array_equal(x, x + 1)
        assert np.isclose(x, X).all()
        np.testing.assert_array_equal(np.asarray(np.round(x)), np.round(X))  # asarray: it carries nothing to lose
        assert not np.iscomplexobj(x)
        return x

    gradient(f, X)


# ── against JAX ───────────────────────────────────────────────────────────────


def test_degenerate_points_agree_with_jax():
    jax = pytest.importorskip("jax", reason="a peer to compare subgradients with")
    jax.config.update("jax_enable_x64", True)
    jnp = jax.numpy
    cases = [
        (lambda np, x, y: np.maximum(x, y), (1.0, 1.0)),
        (lambda np, x, y: np.minimum(x, y), (-2.0, -2.0)),
        (lambda np, x, y: np.logaddexp(x, y), (-np.inf, 2.0)),
        (lambda np, x, y: np.logaddexp2(x, y), (900.0, -900.0)),
        (lambda np, x, y: np.remainder(x, y), (-7.5, 2.0)),
        (lambda np, x, y: np.fmod(x, y), (-7.5, 2.0)),
        (lambda np, x, y: np.power(x, y), (0.0, 2.0)),
        (lambda np, x, y: np.sinc(x) * y, (0.0, 1.0)),
        (lambda np, x, y: np.where(x > 0, np.sqrt(np.where(x > 0, x, 1)), 0) * y, (0.0, 1.0)),
        (lambda np, x, y: np.clip(x, 0.0, y), (0.5, 1.0)),
        (lambda np, x, y: np.arctan2(x, y), (0.0, -1.0)),
    ]
    for i, (f, xs) in enumerate(cases):
        xs = [np.float64(x) for x in xs]
        want = jax.grad(lambda *a, f=f: f(jnp, *a), argnums=(0, 1))(*xs)
        np.testing.assert_allclose(gradient(lambda *a, f=f: f(np, *a), *xs), want, rtol=1e-12, err_msg=str(i))


def test_tensors_come_back_as_tensors():
    seen = []

    def f(x):
        seen.append(np.exp(x))
        return x

    jvp_flat(lambda x: [f(x)], [X], [X])
    assert type(seen[0]) is Tensor


# ── reductions and scans of a single element ──────────────────────────────────

METHODS = {
    "reduce": lambda u, x: u.reduce(x),
    "reduce the last axis": lambda u, x: u.reduce(x, axis=-1),
    "reduce no axis": lambda u, x: u.reduce(x, axis=()),
    "reduce from a start": lambda u, x: u.reduce(x, initial=1.0),
    "accumulate": lambda u, x: u.accumulate(x),
    "reduceat": lambda u, x: u.reduceat(x, [0] * x.shape[0]),
}
ONES = [np.array(-0.7), np.array([-0.7]), np.array([[-0.7]]), np.array([-0.7, 0.3, 0.0])]
BINARY = """add multiply subtract divide power maximum fmin logaddexp hypot arctan2 logical_and logical_or logical_xor
copysign greater equal""".split()


def result(method, u, x):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return METHODS[method](u, x)
        except (TypeError, ValueError, IndexError) as error:
            return error


@pytest.mark.parametrize("x", ONES, ids=lambda x: str(x.shape))
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", BINARY)
def test_folding_few_elements_gives_numpys_values(name, method, x):
    u = getattr(np, name)
    want, seen = result(method, u, x), []
    vjp_flat(lambda x: seen.append(result(method, u, x)) or [x], [x])
    if isinstance(want, Exception):
        assert isinstance(seen[0], (TypeError, ValueError, IndexError)), want
        return
    got = seen[0]._value if type(seen[0]) is Tensor else seen[0]
    np.testing.assert_allclose(got, want, rtol=1e-14)
    assert (np.shape(got), got.dtype) == (np.shape(want), want.dtype)


def test_hypot_of_one_element():
    assert gradient(lambda x: np.hypot.reduce(x), np.array([-2.0])) == [-1.0]
    assert gradient(lambda x: np.hypot.reduce(x), np.array(-2.0)) == [-1.0]
    assert gradient(lambda x: np.hypot.reduceat(x, [0]), np.array([-2.0])) == [1.0]
