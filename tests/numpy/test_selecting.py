"""Selection by index, condition and value: what the generated examples cannot show."""

import numpy as np
import pytest

import wengert.numpy as wnp
from wengert.core.errors import ConcretizationError, DTypeError, NotDifferentiable
from wengert.core.tensor import Tensor
from wengert.transforms.batch import batch_flat
from wengert.transforms.forward import jvp_flat
from wengert.transforms.reverse import vjp_flat


def gradients(fun, *primals):
    """Gradients of a sum of all outputs."""
    primals = [np.asarray(p, float) for p in primals]
    outs, pullback, _ = vjp_flat(lambda *xs: [fun(*xs)], primals)
    return pullback([np.ones(outs[0].shape)])


X = np.array([[0.5, -1.0, 2.0], [3.0, 0.0, -2.5]])

# ── by index ──────────────────────────────────────────────────────────────────


def test_an_element_taken_twice_adds_up():
    (g,) = gradients(lambda x: np.take(x, [1, 1, 0]), [1.0, 2.0, 3.0])
    np.testing.assert_array_equal(g, [1, 2, 0])


def test_an_element_put_twice_keeps_the_last_write():
    def fun(x, v):
        y = x * 1 + 0 * np.sum(v)
        np.put(y, [2, 0, 2], v)
        return y

    gx, gv = gradients(fun, [1.0, 2.0, 3.0], [4.0, 5.0, 6.0])
    np.testing.assert_array_equal(gx, [0, 1, 0])
    np.testing.assert_array_equal(gv, [0, 1, 1])


def test_putmask_repeats_its_values():
    def fun(v):
        y = np.zeros(5) * v[0]
        np.putmask(y, [True, True, False, True, True], v)
        return y * np.arange(5)

    (g,) = gradients(fun, [1.0, 2.0])
    np.testing.assert_array_equal(g, [0 + 4, 1 + 3])


def test_writing_a_derivative_into_an_ndarray_raises_and_leaves_it_alone():
    target = np.zeros(3)
    for write in (
        lambda v: np.put(target, [0], v),
        lambda v: np.putmask(target, [True, False, True], v),
        lambda v: np.place(target, [True, False, True], v),
        lambda v: np.put_along_axis(target, np.array([0]), v, 0),
    ):
        with pytest.raises(ConcretizationError, match="ndarray to write into"):
            vjp_flat(lambda v, write=write: [write(v)], [np.array([1.0])])
    np.testing.assert_array_equal(target, 0)


def test_complex_values_do_not_go_into_a_real_array():
    def fun(x):
        np.put(x, [0], np.array([1j]))
        return [x]

    with pytest.raises(DTypeError, match="complex"):
        vjp_flat(fun, [np.ones(3)])


def test_a_write_is_seen_through_a_view():
    def fun(x):
        y = x * 1
        row = y[1]
        np.put(y, [3], 7.0)
        return row * 2

    (g,) = gradients(fun, X)
    np.testing.assert_array_equal(g, [[0, 0, 0], [0, 2, 2]])


@pytest.mark.parametrize("mode", ["raise", "wrap", "clip"])
def test_take_out_of_bounds(mode):
    if mode == "raise":
        with pytest.raises(IndexError):
            gradients(lambda x: np.take(x, [3]), np.ones(3))
    else:
        (g,) = gradients(lambda x: np.take(x, [3, -4], mode=mode), np.ones(3))
        np.testing.assert_array_equal(g, [1, 0, 1])


def test_take_writes_out():
    def fun(x):
        out = x[:2] * 0
        np.take(x, [2, 1], out=out)
        return out

    (g,) = gradients(fun, np.arange(3.0))
    np.testing.assert_array_equal(g, [0, 1, 1])


def test_float_indices_as_numpy_takes_them():
    for i in (np.array([1.0]), [1j]):
        with pytest.raises(TypeError):
            np.take(np.ones(3), i)
        with pytest.raises(TypeError):
            gradients(lambda x, i=i: np.take(x, i), np.ones(3))
    (g,) = gradients(lambda x: np.take(x, [1.7]), np.ones(3))
    assert np.take(np.arange(3), [1.7]) == [1]
    np.testing.assert_array_equal(g, [0, 1, 0])


def test_batched_indices_and_batched_array():
    x, i = np.random.default_rng(0).normal(size=(3, 4)), np.array([[0, 3], [1, 1], [2, 0]])
    outs, flags = batch_flat(lambda x, i: [np.take(x, i)], [x, i], [True, True], 3)
    assert flags == [True]
    np.testing.assert_array_equal(outs[0], np.take_along_axis(x, i, 1))


# ── by condition ──────────────────────────────────────────────────────────────


def test_the_branch_not_selected_gives_a_strong_zero():
    x = np.array([-1.0, 0.0, 4.0])
    for fun in (
        lambda x: np.where(np.array([False, False, True]), np.sqrt(x), 0.0),
        lambda x: np.select([np.array([False, False, True])], [np.sqrt(x)], 1.0),
        lambda x: np.choose([0, 0, 1], [np.zeros(3), np.sqrt(x)]),
    ):
        with np.errstate(all="ignore"):
            (g,) = gradients(fun, x)
            _, (d,) = jvp_flat(lambda x, fun=fun: [fun(x)], [x], [np.ones(3)])
        np.testing.assert_array_equal(g, [0, 0, 0.25])
        np.testing.assert_array_equal(d, [0, 0, 0.25])


@pytest.mark.parametrize("condition", [True, 0, 2.5, np.nan, [1, 0, 0], np.array([0.0, 1.0, 2.0]), 1j])
def test_where_takes_any_condition(condition):
    x = np.array([1.0, 2.0, 3.0])
    outs, pullback, _ = vjp_flat(lambda x: [np.where(condition, x, -x)], [x])
    np.testing.assert_array_equal(outs[0], np.where(condition, x, -x))
    np.testing.assert_array_equal(pullback([np.ones(3)])[0], np.where(condition, np.ones(3), -np.ones(3)))


def test_where_keeps_python_scalars_weak():
    x = np.ones(3, np.float32)
    outs, _, _ = vjp_flat(lambda x: [np.where([True, False, True], x, 2.0)], [x])
    assert outs[0].dtype == np.float32


def test_where_of_a_condition_alone_is_nonzero():
    seen = []
    vjp_flat(lambda x: [x * (seen.append(np.where(x)) or 1.0)], [X])
    for got, want in zip(seen[0], np.where(X), strict=True):
        assert type(got) is np.ndarray
        np.testing.assert_array_equal(got, want)
    with pytest.raises(ValueError, match="both or neither"):
        gradients(lambda x: np.where(x, x), X)


def test_shapes_that_depend_on_values_raise_under_vmap():
    for fun in (np.nonzero, np.flatnonzero, np.argwhere, lambda x: np.extract(x, x), lambda x: np.union1d(x, x)):
        with pytest.raises(ConcretizationError, match="vmap"):
            batch_flat(lambda x, fun=fun: [fun(x)], [X], [True], 2)


def test_piecewise_later_conditions_win_and_pieces_see_their_elements_only():
    sizes = []

    def piece(v):
        sizes.append(v.shape)
        return v * 2

    (g,) = gradients(lambda x: np.piecewise(x, [x > 0, x > 1], [piece, lambda v: v * 5]), [-1.0, 0.5, 2.0])
    np.testing.assert_array_equal(g, [0, 2, 5])
    assert sizes == [(2,)]


def test_piecewise_functions_may_close_over_a_tensor():
    x = np.array([-1.0, 0.5, 2.0])
    (g,) = gradients(lambda k: wnp.piecewise(x, [x > 0], [lambda v: v * k, 1.0]), 3.0)
    assert g == 2.5


def test_piecewise_under_vmap_is_safe_outside_the_domain():
    x = np.array([[-1.0, 4.0], [9.0, -4.0]])

    def fun(x):
        return [np.piecewise(x, [x > 0], [np.sqrt, lambda v: v * v])]

    def derivative(x):
        return vjp_flat(fun, [x])[1]([np.ones(2)])

    with np.errstate(all="ignore"):
        outs, _ = batch_flat(derivative, [x], [True], 2)
    np.testing.assert_allclose(outs[0], [[-2, 0.25], [1 / 6, -8]])


def test_piecewise_on_integers_would_cut_the_derivative_off():
    with pytest.raises(NotDifferentiable, match="int"):
        gradients(lambda k: wnp.piecewise(np.array([1, 2]), [np.array([True, False])], [k, 0]), 3.0)


def test_choose_refuses_numbers_outside_as_numpy_does():
    for i in (2, -1):
        with pytest.raises((ValueError, IndexError)):
            np.choose([i], [[1.0], [2.0]])
        with pytest.raises((ValueError, IndexError)):
            gradients(lambda x, i=i: np.choose([i], [x, x]), [1.0])


def test_select_wants_booleans():
    with pytest.raises(TypeError, match="boolean"):
        gradients(lambda x: np.select([np.array([1, 0])], [x]), [1.0, 2.0])


# ── indices ───────────────────────────────────────────────────────────────────


def test_indices_of_a_tensor_are_plain_integers_also_under_vmap():
    square = np.ones((3, 3))
    seen = []
    batch_flat(
        lambda x: [x * (seen.append((np.tril_indices_from(x), np.diag_indices_from(x))) or 1.0)],
        [np.stack([square] * 2)],
        [True],
        2,
    )
    for got, want in zip(seen[0], (np.tril_indices_from(square), np.diag_indices_from(square)), strict=True):
        np.testing.assert_array_equal(got, want)


def test_isin_is_constant():
    seen = []
    vjp_flat(lambda x: [x * (seen.append(np.isin(x, [1.0, 3.0])) or 1.0)], [np.array([1.0, 2.0, 3.0])])
    np.testing.assert_array_equal(seen[0], [True, False, True])


# ── sets ──────────────────────────────────────────────────────────────────────

SETS = {
    "intersect1d": lambda np, x, y: np.intersect1d(x, y),
    "union1d": lambda np, x, y: np.union1d(x, y),
    "setdiff1d": lambda np, x, y: np.setdiff1d(x, y),
    "setxor1d": lambda np, x, y: np.setxor1d(x, y),
}


@pytest.mark.parametrize("name", SETS)
def test_set_functions_with_ties(name):
    x, y = np.array([3.0, 1.0, 3.0, 2.0]), np.array([2.0, 5.0, 3.0])
    outs, pullback, _ = vjp_flat(lambda x, y: [SETS[name](np, x, y)], [x, y])
    want = SETS[name](np, x, y)
    np.testing.assert_array_equal(outs[0], want)
    gx, gy = pullback([want])  # each result's cotangent goes to one element of that value
    where = {float(v): 0.0 for v in want}
    for values, g in ((x, gx), (y, gy)):
        for v, c in zip(values, g, strict=True):
            if c:
                where[float(v)] += c
    assert where == {float(v): float(v) for v in want}


def test_intersect1d_returns_indices():
    x, y = np.array([3.0, 1.0, 3.0, 2.0]), np.array([2.0, 5.0, 3.0])
    seen = []
    vjp_flat(lambda x: [seen.append(np.intersect1d(x, y, return_indices=True)) or seen[0][0]], [x])
    want = np.intersect1d(x, y, return_indices=True)
    for got, w in zip(seen[0][1:], want[1:], strict=True):
        np.testing.assert_array_equal(got, w)


# ── functions of elements and rows ────────────────────────────────────────────


def test_vectorize_branches_in_python():
    f = wnp.vectorize(lambda a: a * a if a > 0 else -a)
    (g,) = gradients(f, X)
    np.testing.assert_array_equal(g, np.where(X > 0, 2 * X, -1.0))
    np.testing.assert_array_equal(f(X), np.vectorize(lambda a: a * a if a > 0 else -a)(X))


def test_vectorize_whose_first_result_is_an_integer_raises():
    with pytest.raises(NotDifferentiable, match="otypes"):
        gradients(wnp.vectorize(lambda a: 0 if a < 1 else a), [0.0, 2.0])
    (g,) = gradients(wnp.vectorize(lambda a: 0 if a < 1 else a, otypes=[float]), [0.0, 2.0])
    np.testing.assert_array_equal(g, [0, 1])


def test_vectorize_as_decorator_and_by_keyword():
    @wnp.vectorize(otypes=[float])
    def f(a, k=2.0):
        return a * k

    (g,) = gradients(lambda x: f(x, k=x), [1.0, 3.0])
    np.testing.assert_array_equal(g, [2, 6])


def test_vectorize_refuses_signatures_on_tensors():
    f = wnp.vectorize(lambda v: v.sum(), signature="(n)->()")
    assert f(X).shape == (2,)
    with pytest.raises(NotDifferentiable, match="vmap"):
        gradients(f, X)


def test_numpys_own_vectorize_raises_on_a_tensor():
    with pytest.raises((ConcretizationError, NotDifferentiable)):
        gradients(np.vectorize(lambda a: a * a), X)


def test_ndenumerate_hands_out_tensors():
    def fun(x):
        total = 0.0
        for (i, j), v in wnp.ndenumerate(x):
            assert type(v) is Tensor
            total = total + (i + 10 * j) * v
        return total

    (g,) = gradients(fun, X)
    np.testing.assert_array_equal(g, np.arange(2)[:, None] + 10 * np.arange(3))
    assert dict(wnp.ndenumerate(X)) == dict(np.ndenumerate(X))


def test_apply_along_axis_with_results_of_two_axes():
    def fun(np, x):
        return np.apply_along_axis(lambda v: np.where([[True], [False]], v, -v), 0, x)

    outs, _, _ = vjp_flat(lambda x: [fun(np, x)], [X])
    np.testing.assert_array_equal(outs[0], fun(np, X))
    with pytest.raises(ValueError, match="iteration dimensions"):
        gradients(lambda x: np.apply_along_axis(np.sum, 0, x), np.ones((2, 0)))
