"""Contractions as library kernels, against NumPy."""

import numpy as np
import pytest

from wengert.core.aval import Aval
from wengert.lowering.library import EMITTERS, contraction, subnormals
from wengert.ops.contract import contract, matmul

DTYPES = [np.float32, np.float64]


def close(got, want, x, y, inner):
    scale = np.finfo(want.dtype).eps * 4 * max(1, inner)
    bound = scale * np.max(np.abs(x), initial=0) * np.max(np.abs(y), initial=0)
    assert got.shape == want.shape and got.dtype == want.dtype
    np.testing.assert_allclose(got, want, rtol=scale, atol=bound + 1e-300)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("op", [contract, matmul], ids=lambda op: op.name)
def test_samples(emitted, op, dtype):
    rng = np.random.default_rng(0)
    for sample in op.samples:
        arrays = sample.build(rng, dtype)
        got = emitted(op, *arrays, **sample.params)
        assert got is not None, sample
        close(got, np.asarray(op.eval(*arrays, **sample.params)), *arrays, 8)


SHAPES = [
    ((1, 1), (1, 1)), ((3, 3), (3, 3)), ((5, 7), (7, 9)), ((64, 64), (64, 64)), ((33, 65), (65, 70)),
    ((100, 3), (3, 200)), ((2, 300), (300, 2)), ((300,), (300,)), ((4, 300), (300,)), ((200, 300), (300,)),
    ((300,), (300, 200)), ((50, 4, 4), (50, 4, 4)), ((7, 1, 9, 5), (3, 5, 11)), ((6, 30, 31), (31, 33)),
    ((1, 60, 60), (5, 60, 60)), ((5, 60, 60), (5, 60, 60)), ((17, 64), (64, 1)), ((1, 64), (64, 130)),
    ((60, 60), (4, 60, 60)), ((5, 60, 60), (60,)), ((40,), (3, 40, 50)), ((130, 20), (20, 100)), ((3, 5), (5, 100)), ((130, 140), (140, 150)), ((350, 340), (340, 330)),
    ((5, 6000), (6000, 200)), ((2, 150, 140), (2, 140, 90)),
]  # fmt: skip


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("a", "b"), SHAPES)
def test_matmul_shapes(emitted, a, b, dtype):
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=a).astype(dtype), rng.normal(size=b).astype(dtype)
    close(emitted(matmul, x, y), np.asarray(x @ y), x, y, a[-1])


@pytest.mark.parametrize("n", [3, 6, 20, 64])
def test_operands_that_are_views(emitted, n):
    rng = np.random.default_rng(2)
    big = rng.normal(size=(2 * n, 3 * n, 2))
    views = [
        big[:n, :n, 0], big[:n, :n, 1].T, big[::2, : 2 * n : 2, 0], big[n - 1 :: -1, :n, 0], big[:n, n - 1 :: -1, 1],
        np.ascontiguousarray(big[:n, :n, 0]), np.asfortranarray(big[:n, :n, 1]),
        np.broadcast_to(rng.normal(size=(1, n)), (n, n)), np.broadcast_to(rng.normal(size=(n, 1)), (n, n)),
        np.broadcast_to(rng.normal(size=(1, 1)), (n, n)), np.ascontiguousarray(big[:, :, 0])[:n, 1 : n + 1],
    ]  # fmt: skip
    for x in views:
        for y in views[:: 1 if n < 20 else 3]:
            close(emitted(matmul, x, y), x @ y, x, y, n)


def test_random_subscripts(emitted):
    rng = np.random.default_rng(3)
    for trial in range(150):
        where = rng.choice(["xyo", "xo", "yo", "xy"], size=rng.integers(1, 7))
        names = dict(zip("abcdefg", where))
        sizes = {i: int(rng.choice([0, 1, 2, 3, 5, 17], p=[0.02, 0.1, 0.25, 0.3, 0.3, 0.03])) for i in names}
        a, b, c = ("".join(rng.permutation([i for i, w in names.items() if place in w])) for place in "xyo")
        x, y = (rng.normal(size=[sizes[i] for i in rng.permutation(list(s))]) for s in (a, b))
        x, y = rng.normal(size=[sizes[i] for i in a]), rng.normal(size=[sizes[i] for i in b])
        if trial % 2:  # stored in another order
            x, y = x.copy("F"), (np.flip(y.copy("F")) if y.ndim else y)
        subscripts = f"{a},{b}->{c}"
        got = emitted(contract, x, y, subscripts=subscripts)
        close(got, np.asarray(np.einsum(subscripts, x, y)), x, y, 3**5)


@pytest.mark.parametrize(
    ("subscripts", "a", "b"),
    [
        ("bij,jik->kb", (2, 30, 40), (40, 30, 50)),
        ("ijb,jkb->ikb", (10, 12, 30), (12, 14, 30)),
        ("ijb,jkb->ikb", (50, 60, 3), (60, 45, 3)),
        ("nchw,oc->nohw", (3, 16, 9, 9), (20, 16)),
        ("abij,cdij->acbd", (6, 7, 5, 8), (8, 5, 5, 8)),
        ("ik,jk->ji", (90, 80), (70, 80)),
        ("iak,kja->ij", (40, 5, 30), (30, 50, 5)),
        ("bi,bi->b", (20, 300), (20, 300)),
        ("ib,ib->b", (300, 20), (300, 20)),
        ("i,j->ij", (30,), (40,)),
        ("i,j->ji", (30,), (40,)),
        ("ij,i->ij", (30, 20), (30,)),
        ("ij,kj->ik", (300, 3), (200, 3)),
        ("ji,jk->ik", (3, 300), (3, 200)),
        ("ijk,jkl->il", (30, 50, 40), (50, 40, 20)),
        ("ikj,jlk->il", (30, 50, 40), (40, 20, 50)),
    ],
)
def test_subscripts(emitted, subscripts, a, b):
    rng = np.random.default_rng(4)
    x, y = rng.normal(size=a), rng.normal(size=b)
    close(emitted(contract, x, y, subscripts=subscripts), np.einsum(subscripts, x, y), x, y, 2000)


@pytest.mark.parametrize("n", [1, 2, 3, 5, 64])
@pytest.mark.parametrize("strong", [None, (True, False), (False, True), (True, True)])
def test_infinities_and_nans(emitted, n, strong):
    rng = np.random.default_rng(5)
    for op, params in ((matmul, {}), (contract, {"subscripts": "ij,jk->ik"}), (contract, {"subscripts": "ij,jk->ki"}),
                       (contract, {"subscripts": "ij,ij->ij"}), (contract, {"subscripts": "ij,ij->"})):  # fmt: skip
        x, y = rng.normal(size=(2, n, n))
        for v in (x, y):
            v[rng.random(v.shape) < 0.5] = 0
            spots = rng.random(v.shape) < 1 / n
            v[spots] = rng.choice([np.inf, -np.inf, np.nan], spots.sum())
        if strong is not None:
            params = {**params, "strong": strong}
        with np.errstate(invalid="ignore"):
            want = op.eval(x, y, **params)
        np.testing.assert_allclose(emitted(op, x, y, **params), want, rtol=1e-12)


def test_what_is_declined(emitted):
    x, y = np.ones((3, 3)), np.ones((3, 3), np.float32)
    assert emitted(matmul, x, y) is None
    assert emitted(matmul, x + 0j, x + 0j) is None


def test_work_is_counted():
    from wengert.lowering.library.contraction import SMALL

    assert set(EMITTERS) >= {"contract", "matmul"} and SMALL > 0


def test_many_long_axes_are_served():
    """What counts is the loops that there are, not the lengths of all arrays' axes multiplied."""
    x, y, out = (Aval(s, np.dtype(float)) for s in ((100, 64, 64), (1000, 100, 64), (1000, 100, 64)))
    assert EMITTERS["contract"].supports([x, y], [out], {"subscripts": "kij,nkj->nki"})
    huge = Aval((2**31,), np.dtype(float))
    assert not EMITTERS["contract"].supports([huge, huge], [Aval((), np.dtype(float))], {"subscripts": "i,i->"})


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("subscripts", ["ij,jk->ik", "ji,jk->ik", "ij,kj->ik", "ij,jk->ki"])
@pytest.mark.parametrize("which", [0, 1])
def test_subnormal_numbers(emitted, monkeypatch, subscripts, which, dtype):
    """Operands that hold subnormal numbers are multiplied as others are, whatever else is in them."""
    monkeypatch.setattr(contraction, "SMALL", 0)
    monkeypatch.setattr(subnormals, "WORTH", 0)
    monkeypatch.setattr(subnormals, "BLOCK", 1 << 15)  # several blocks, the last a shorter one
    rng, tiny = np.random.default_rng(6), np.finfo(dtype).smallest_normal
    sizes = {"i": 110, "j": 90, "k": 101}
    operands = [rng.normal(size=[sizes[i] for i in names]).astype(dtype) for names in subscripts[:5].split(",")]
    weights = operands[which]
    weights[rng.random(weights.shape) < 0.3] = 0
    weights[rng.random(weights.shape) < 0.4] *= tiny * dtype(0.01)
    x, y = operands
    with np.errstate(under="ignore"):
        close(emitted(contract, x, y, subscripts=subscripts), np.einsum(subscripts, x, y, optimize=True), x, y, 90)
        # numbers that are all small keep their digits
        weights[:] = rng.uniform(1, 2, size=weights.shape) * (tiny / 8)
        got, want = emitted(contract, x, y, subscripts=subscripts), np.einsum(subscripts, x, y, optimize=True)
    assert np.max(np.abs(got - want)) <= 1000 * np.finfo(dtype).smallest_subnormal + 1e-5 * np.max(np.abs(want))
    # what overflows on the way up, and what is not finite
    weights.reshape(-1)[::3] = np.finfo(dtype).max / 1e6
    weights.reshape(-1)[7], weights.reshape(-1)[-1] = np.inf, np.nan
    with np.errstate(all="ignore"):
        got, want = emitted(contract, x, y, subscripts=subscripts), np.einsum(subscripts, x, y, optimize=True)
    np.testing.assert_array_equal(np.isfinite(got), np.isfinite(want))
    fine = np.isfinite(want)
    np.testing.assert_allclose(got[fine], want[fine], rtol=1e-3, atol=float(np.max(np.abs(want[fine]))) * 1e-4)
