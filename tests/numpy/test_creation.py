"""Creation of arrays: cells under a trace, ndarrays without one; and loud errors where NumPy would lose a derivative."""

import numpy as np
import pytest

import wengert.numpy as wnp
from wengert.core.errors import NotDifferentiable, WengertError
from wengert.core.tensor import CONSTANTS, Tensor, active
from wengert.transforms.batch import batch_flat
from wengert.transforms.forward import jvp_flat
from wengert.transforms.reverse import vjp_flat


def traced(fun, *primals):
    """The results of `fun` under a trace, as they are there."""
    seen = []

    def run(*xs):
        seen.append(fun(*xs))
        return []

    jvp_flat(run, primals, [np.ones_like(p) for p in primals])
    return seen[0]


def gradient(fun, *primals):
    values, pullback, _ = vjp_flat(lambda *xs: [fun(*xs)], primals)
    return pullback([np.ones_like(values[0])])


X = np.array([1.0, 2.0, 3.0])

MAKERS = {
    "zeros": lambda: wnp.zeros((2, 3)),
    "ones": lambda: wnp.ones(3, dtype="float32", order="F"),
    "empty": lambda: wnp.empty((2, 0)),
    "full": lambda: wnp.full((2, 2), 1.5),
    "eye": lambda: wnp.eye(3, k=1),
    "identity": lambda: wnp.identity(2),
    "tri": lambda: wnp.tri(2, 3),
    "array": lambda: wnp.array([[1.0, 2.0], [3.0, 4.0]]),
    "array of array": lambda: wnp.array(X, ndmin=2),
    "asarray of list": lambda: wnp.asarray([1.0, 2]),
    "arange": lambda: wnp.arange(0.0, 1.0, 0.25),
    "arange keywords": lambda: wnp.arange(start=1, stop=3, step=0.5),
    "linspace": lambda: wnp.linspace(0, 1, 5),
    "logspace": lambda: wnp.logspace(0, 1, 5),
    "geomspace": lambda: wnp.geomspace(1, 2, 5),
    "zeros_like": lambda: wnp.zeros_like(X),
    "ones_like": lambda: wnp.ones_like(X, shape=(2,)),
    "full_like": lambda: wnp.full_like(X, 2),
    "copy": lambda: wnp.copy(X),
    "fromiter": lambda: wnp.fromiter([1.0, 2.0], float),
}


@pytest.mark.parametrize("name", MAKERS)
def test_without_a_trace_they_are_numpys(name):
    assert not active()
    assert type(MAKERS[name]()) is np.ndarray


@pytest.mark.parametrize("name", MAKERS)
def test_under_a_trace_floats_are_cells_that_depend_on_nothing(name):
    cell = traced(lambda x: MAKERS[name](), X)
    assert type(cell) is Tensor
    assert cell._trace is CONSTANTS
    want = MAKERS[name]()
    assert (cell.shape, cell.dtype) == (want.shape, want.dtype)
    np.testing.assert_array_equal(np.asarray(cell), want)


@pytest.mark.parametrize(
    "make",
    [
        lambda: wnp.zeros(3, int),
        lambda: wnp.ones(3, bool),
        lambda: wnp.arange(3),
        lambda: wnp.array([1, 2]),
        lambda: wnp.full(3, 7),
        lambda: wnp.eye(2, dtype=int),
        lambda: wnp.indices((2, 2)),
        lambda: wnp.zeros_like(np.arange(3)),
    ],
)
def test_integers_and_booleans_are_ndarrays(make):
    assert type(traced(lambda x: make(), X)) is np.ndarray


def test_identities():
    def fun(x):
        plain = np.arange(3.0)
        assert wnp.asarray(plain) is plain
        assert wnp.asanyarray(plain) is plain
        assert wnp.asarray(x) is x
        assert wnp.array(x, copy=None) is x
        assert wnp.array(x) is not x
        copy = wnp.array(plain)
        copy[0] = 7.0
        assert plain[0] == 0.0
        other = wnp.array(x)
        other[0] = 7.0
        assert float(np.sum(x > 6)) == 0
        return x

    traced(fun, X)


def test_a_loop_that_fills_an_array():
    def fun(x):
        out = wnp.zeros(3)
        for i in range(3):
            out[i] = x[i] ** 2 if i == 0 else out[i - 1] * x[i]
        return np.sum(out)

    (g,) = gradient(fun, X)
    np.testing.assert_allclose(g, [2 + 4 + 12, 1 + 3, 2])


def test_a_loop_that_fills_an_array_under_vmap():
    def fun(x):
        out = wnp.zeros((2, 2))
        out[0] = x
        out[1, 0] = x[0] * x[1]
        return [out]

    xs = np.arange(6.0).reshape(3, 2)
    ((got,), _) = batch_flat(fun, [xs], [True], 3)
    np.testing.assert_array_equal(got, [[x, [x[0] * x[1], 0]] for x in xs])


def test_a_swap_under_vmap_and_without():
    def fun(x):
        y = x * 1.0
        first = y[0]
        y[0] = y[1]
        y[1] = first
        total = y[0]
        again = total
        total += 10.0
        return [y, total, again]

    xs = np.arange(6.0).reshape(3, 2)
    (got, total, again), _ = batch_flat(fun, [xs], [True], 3)
    np.testing.assert_array_equal(got, xs[:, ::-1])
    np.testing.assert_array_equal(total, xs[:, 1] + 10)
    np.testing.assert_array_equal(again, xs[:, 1])
    values, _ = jvp_flat(fun, [xs[0]], [xs[0]])
    np.testing.assert_array_equal(values[0], xs[0, ::-1])


def test_accumulators_without_axes():
    def fun(x):
        total = wnp.array(0.0)
        same = total
        for v in x:
            total += v * v
        return [total, same]

    (a, b), (da, db) = jvp_flat(fun, [X], [np.ones(3)])
    assert a == b == 14.0
    assert da == db == 12.0
    (a, b), _ = batch_flat(fun, [np.stack([X, 2 * X])], [True], 2)
    np.testing.assert_array_equal([a, b], [[14, 56], [14, 56]])


def test_dtypes_of_lists():
    f32 = np.float32(1.5)
    for make in (
        lambda np, x: np.array([x, 1.0]),
        lambda np, x: np.array([x, 1]),
        lambda np, x: np.array([x, x]),
        lambda np, x: np.array([x, 1j]),
        lambda np, x: np.asarray([[x], [2]]),
        lambda np, x: np.array([x, x], dtype="float64"),
    ):
        assert traced(lambda x, make=make: make(wnp, x), f32).dtype == make(np, f32).dtype


def test_integer_dtype_cuts_the_derivative():
    out = traced(lambda x: wnp.array([x[0], x[1]], dtype=int), np.array([1.7, -2.3]))
    assert type(out) is np.ndarray
    np.testing.assert_array_equal(out, [1, -2])


def test_no_copy_where_a_copy_is_needed():
    with pytest.raises(ValueError, match="copy"):
        traced(lambda x: wnp.array([x, x], copy=False), X)


def test_ragged_lists_raise():
    with pytest.raises(ValueError, match="shape"):
        traced(lambda x: wnp.array([x, x[:2]]), X)


def test_linspace_ends_exactly():
    values, _ = jvp_flat(lambda a, b: [np.linspace(a, b, 11)], [np.float64(0.1), np.float64(0.7)], [np.float64(1)] * 2)
    np.testing.assert_array_equal(values[0], np.linspace(0.1, 0.7, 11))


def test_linspace_in_jax():
    jax = pytest.importorskip("jax", reason="compares gradients with JAX's")
    jax.config.update("jax_enable_x64", True)
    w = np.random.default_rng(0).normal(size=(5, 2))

    def loss(xp, a, b):
        return xp.sum(xp.linspace(a, b, 5) ** 2 * w)

    a, b = np.array([1.0, 2.0]), np.array([3.0, -1.0])
    want = jax.grad(lambda a, b: loss(jax.numpy, a, b), argnums=(0, 1))(a, b)
    for g, e in zip(gradient(lambda a, b: loss(np, a, b), a, b), want, strict=True):
        np.testing.assert_allclose(g, e, rtol=1e-12)


def test_geomspace_refuses_zero():
    with pytest.raises(ValueError, match="zero"):
        traced(lambda x: np.geomspace(x, 1.0), np.float64(0.0))


def test_grids_refuse_traced_bounds():
    with pytest.raises(WengertError, match="float"):
        traced(lambda x: wnp.mgrid[0 : x[0] : 3j], X)


def test_memory_is_not_handed_out():
    with pytest.raises(NotDifferentiable, match="another library"):
        traced(lambda x: np.from_dlpack(x), X)


def test_from_dlpack_of_a_tensor_shares_its_cell():
    def f(x):
        x = x * 1.0
        same, copy = wnp.from_dlpack(x), wnp.from_dlpack(x, copy=True)
        same[0] = 2.0
        return x * copy

    values, pullback, _ = vjp_flat(lambda x: [f(x)], [X])
    np.testing.assert_array_equal(values[0], [2.0, 4.0, 9.0])
    np.testing.assert_array_equal(pullback([np.ones(3)])[0], [2.0, 4.0, 6.0])
    with pytest.raises(ValueError, match="cpu"):
        traced(lambda x: wnp.from_dlpack(x, device="cuda"), X)


# ── NumPy's own functions, not adopted ────────────────────────────────────────

SILENT = {
    "list": lambda t: np.array([t[0], t[1]]),
    "nested": lambda t: np.array([[t[0], 1.0], [2.0, t[1]]]),
    "mixed": lambda t: np.array([1.0, t[0]]),
    "rows": lambda t: np.array([t, t]),
    "itself": lambda t: np.array(t),
    "object": lambda t: np.array([t[0], t[1]], dtype=object),
    "object of itself": lambda t: np.array(t, dtype=object),
    "float": lambda t: np.array([t[0]], dtype=float),
    "int": lambda t: np.array([t[0]], dtype=int),
    "text": lambda t: np.array([t[0]], dtype="S5"),
    "record": lambda t: np.array([(t[0], 1)], dtype=[("a", float), ("b", int)]),
    "asarray": lambda t: np.asarray([t]),
    "ragged": lambda t: np.array([t, t[0]], dtype=object),
    "full": lambda t: np.full(3, t[0]),
    "element": lambda t: np.zeros(3).__setitem__(0, t[0]),
    "slice": lambda t: np.zeros(3).__setitem__(slice(None), t),
    "slice of list": lambda t: np.zeros(3).__setitem__(slice(None), [t[0], t[1], t[2]]),
    "fromiter": lambda t: np.fromiter([t[0], t[1]], dtype=float),
    "arange": lambda t: np.arange(t[0], t[1]),
    "fill": lambda t: np.zeros(3).fill(t[0]),
    "in place": lambda t: np.zeros(3).__iadd__(t),
    "copyto": lambda t: np.copyto(np.zeros(3), t),
    "fill_diagonal": lambda t: np.fill_diagonal(np.zeros((3, 3)), t),
    "put": lambda t: np.zeros(3).put([0], t[0]),
    "out": lambda t: np.concatenate([t, t], out=np.zeros(6)),
    "masked": lambda t: np.ma.array([t[0], t[1]]),
    "matrix": lambda t: np.matrix([[t[0], t[1]]]),
    "scalar": lambda t: np.float64(t[0]),
    "memory": lambda t: memoryview(t),
    "buffer": lambda t: np.frombuffer(t),
}


@pytest.mark.filterwarnings("ignore:the matrix subclass")
@pytest.mark.parametrize("form", SILENT)
@pytest.mark.parametrize("mode", ["reverse", "forward", "vmap"])
def test_what_numpy_would_do_silently_raises(form, mode):
    def fun(t):
        SILENT[form](t)
        return [t]

    with pytest.raises((WengertError, ValueError, TypeError)) as caught:
        if mode == "reverse":
            vjp_flat(fun, [X])
        elif mode == "forward":
            jvp_flat(fun, [X], [X])
        else:
            batch_flat(fun, [np.stack([X, X])], [True], 2)
    error, chain = caught.value, []
    while error is not None:
        chain.append(error)
        error = error.__cause__ or error.__context__
    # NumPy replaces some errors by its own; ours, with the remedy, is then its cause.
    assert any(isinstance(e, WengertError) for e in chain) or form in ("memory", "buffer"), chain
