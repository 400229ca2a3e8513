"""Strong zeros of matrix products, wherever the infinities and NaNs of the other operand are."""

import numpy as np
import pytest

from wengert.ops.contract import contract, matmul
from wengert.ops.scan import cumprod
from wengert.transforms.reverse import vjp_flat

RNG = np.random.default_rng(5)


def reference(ct, w):
    """Σ ct·w in which a zero of `ct` annihilates, whatever it meets."""
    terms = np.where(ct[:, :, None] == 0, 0.0, ct[:, :, None] * w[None])
    return terms.sum(1)


@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan])
@pytest.mark.parametrize("place", [(i, j) for i in range(3) for j in range(4)])
@pytest.mark.filterwarnings("ignore:invalid value")
def test_zero_cotangents_annihilate_what_is_not_finite(bad, place):
    ct, w = RNG.normal(size=(2, 3)), RNG.normal(size=(3, 4))
    w[place] = bad
    for zeros in ([(0, place[0])], [(0, place[0]), (1, place[0])], [(1, place[0])], []):
        c = ct.copy()
        for at in zeros:
            c[at] = 0.0
        want = reference(c, w)
        np.testing.assert_allclose(matmul(c, w, strong=(True, False)), want)
        np.testing.assert_allclose(matmul(w.T, c.T, strong=(False, True)), want.T)
        np.testing.assert_allclose(contract(c, w, subscripts="ij,jk->ik", strong=(True, False)), want)


def test_finite_products_that_overflow_stay_infinite():
    with np.errstate(over="ignore"):
        out = matmul(np.array([[1e200, 0.0]]), np.array([[1e200], [3.0]]), strong=(True, False))
    assert out[0, 0] == np.inf


def test_running_products_that_nobody_asked_for():
    x = np.array([2.0, np.inf, 3.0])
    with np.errstate(all="ignore"):
        (back,) = vjp_flat(lambda x: [cumprod(x, axis=0)], [x])[1]([np.array([1.0, 0.0, 0.0])])
    np.testing.assert_array_equal(back, [1.0, 0.0, 0.0])
