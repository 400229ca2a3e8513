"""Products over shared axes: notation, keywords, strong zeros, peers."""

import numpy as np
import pytest

import wengert
import wengert.numpy as wnp
from wengert.core.errors import ShapeError
from wengert.core.op import OPS
from wengert.ops.contract import contract
from wengert.transforms.reverse import record, vjp_flat

RNG = np.random.default_rng(0)


def gradients(fun, *primals):
    """Gradients of the sum of the output."""
    outs, pullback, _ = vjp_flat(lambda *xs: [fun(*xs)], primals)
    return pullback([np.ones(np.shape(outs[0]), outs[0].dtype)])


# ── core dimensions ───────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "name, x, y",
    [
        ("vecdot", (3,), (1,)),
        ("vecdot", (0,), (1,)),
        ("vecdot", (2, 3), (2, 1)),
        ("linalg.vecdot", (1,), (3,)),
        ("matvec", (2, 3), (1,)),
        ("matvec", (3,), (3,)),
        ("vecmat", (1,), (3, 2)),
        ("vecmat", (3,), (3,)),
    ],
)
def test_axes_that_are_summed_do_not_broadcast(name, x, y):
    function = np.linalg.vecdot if name == "linalg.vecdot" else getattr(np, name, None)
    if function is None:
        pytest.skip("newer than this NumPy")
    with pytest.raises(ValueError):
        function(np.ones(x), np.ones(y))
    with pytest.raises(ValueError, match=r"elements to sum|enough dimensions"):
        gradients(function, np.ones(x), np.ones(y))


# ── matmul ────────────────────────────────────────────────────────────────────


def test_pullback_computes_wanted_cotangents_only(monkeypatch):
    calls = []
    matmul = OPS["matmul"]
    monkeypatch.setattr(matmul, "eval", lambda x, y, **k: calls.append(k) or np.matmul(x, y))
    w = RNG.normal(size=(4, 2))
    gradients(lambda w: np.matmul(np.ones((3, 4)), w), w)
    assert sum(map(bool, calls)) == 1  # `strong`: one of the two possible products back


def test_stack_of_matrices_shares_a_weight():
    x, w = RNG.normal(size=(5, 3, 4)), RNG.normal(size=(4, 2))
    dx, dw = gradients(lambda x, w: x @ w, x, w)
    np.testing.assert_allclose(dw, x.sum((0, 1))[:, None] * np.ones(2))
    np.testing.assert_allclose(dx, np.broadcast_to(w.sum(1), x.shape))


@pytest.mark.parametrize("bad", [np.inf, np.nan])
def test_masked_row_with_infinity_leaves_the_weights_gradient_finite(bad):
    x = RNG.normal(size=(3, 4))
    x[1] = bad
    w, keep = RNG.normal(size=(4, 2)), np.array([[True], [False], [True]])
    with np.errstate(invalid="ignore"):
        (dw,) = gradients(lambda w: np.where(keep, x @ w, 0.0).sum(), w)
    np.testing.assert_allclose(dw, x[[0, 2]].sum(0)[:, None] * np.ones(2))


def test_zeros_of_a_strong_operand_annihilate_and_nothing_else_does():
    x = np.array([[0.0, 1.0], [2.0, 0.0]])
    y = np.array([[np.inf, 1.0], [1.0, np.nan]])
    with np.errstate(invalid="ignore"):
        got = contract(x, y, subscripts="ij,jk->ik", strong=(True, False))
        plain = contract(x, y, subscripts="ij,jk->ik")
    np.testing.assert_array_equal(got, [[1.0, np.nan], [np.inf, 2.0]])
    np.testing.assert_array_equal(np.isnan(plain), [[True, True], [False, True]])


def test_matmul_keywords():
    x, y = RNG.normal(size=(2, 3, 4)), RNG.normal(size=(2, 5, 4))
    grad = wengert.grad(lambda x: np.matmul(x, y, axes=[(1, 2), (2, 1), (0, 1)]).sum())(x)
    assert grad.shape == x.shape
    out = wnp.matmul(x.astype("f4"), y.swapaxes(1, 2).astype("f4"), dtype="f8")
    assert out.dtype == np.float64


def test_in_place_and_reflected_operator():
    w = RNG.normal(size=(3, 3))

    def fun(x):
        y = x * 1.0
        y @= w
        return (w @ y).sum()

    np.testing.assert_allclose(wengert.grad(fun)(w), np.outer(w.sum(0), w.sum(1)))


def test_float32_stays_float32():
    x, y = RNG.normal(size=(2, 3, 3)).astype("f4")
    for fun in (np.matmul, np.dot, np.outer, np.inner, np.kron, lambda x, y: np.einsum("ij,ij->i", x, y)):
        assert {g.dtype for g in gradients(fun, x, y)} == {np.dtype("f4")}


# ── einsum ────────────────────────────────────────────────────────────────────

NOTATION = [
    ("ij,jk", [(3, 4), (4, 2)]),
    ("ba,b", [(3, 4), (3,)]),
    (" i j , j -> i ", [(3, 4), (4,)]),
    ("...i,...i", [(2, 1, 3), (4, 3)]),
    ("i...j,...->j...i", [(2, 3, 4, 5), (4,)]),
    ("...,...", [(2, 3), (3,)]),
    ("ii->i", [(3, 3)]),
    ("iii", [(3, 3, 3)]),
    ("iijj->ji", [(2, 2, 3, 3)]),
    ("ii,jj->ij", [(2, 2), (3, 3)]),
    ("iij,jkk->ik", [(2, 2, 3), (3, 4, 4)]),
    ("ij->", [(2, 3)]),
    (",ij->ji", [(), (2, 3)]),
    ("ij,ij->", [(1, 3), (2, 3)]),
    ("i,i->i", [(1,), (3,)]),
    ("ij,jk,kl->il", [(2, 3), (1, 4), (4, 1)]),
    ("ij,jk,ik->", [(2, 3), (3, 4), (2, 4)]),
    ("a,b,c,d->dcba", [(2,), (3,), (2,), (1,)]),
    ("ij,kj->ik", [(0, 3), (2, 3)]),
    ("ij,jk->ik", [(2, 0), (0, 3)]),
    ("i,j,i,j->", [(3,), (2,), (3,), (2,)]),
]


@pytest.mark.parametrize("subscripts, shapes", NOTATION)
@pytest.mark.parametrize("optimize", [False, True, "optimal", ("greedy", 1000)])
def test_einsum_values_and_gradients(subscripts, shapes, optimize):
    xs = [RNG.normal(size=s) for s in shapes]
    outs, pullback, _ = vjp_flat(lambda *xs: [np.einsum(subscripts, *xs, optimize=optimize)], xs)
    want = np.einsum(subscripts, *xs)
    np.testing.assert_allclose(outs[0], want, atol=1e-13)
    ct = RNG.normal(size=want.shape)
    for i, back in enumerate(pullback([ct])):  # einsum is linear in each operand
        v = RNG.normal(size=xs[i].shape)
        moved = np.einsum(subscripts, *xs[:i], v, *xs[i + 1 :])
        np.testing.assert_allclose(np.sum(back * v), np.sum(ct * moved), atol=1e-12)


@pytest.mark.parametrize(
    "subscripts, shapes",
    [
        ("ij,jk->ik", [(3, 4), (3, 2)]),
        ("ij->ik", [(3, 4)]),
        ("ij->ii", [(3, 3)]),
        ("ijk", [(3, 4)]),
        ("ii", [(2, 3)]),
        ("i...->i", [(2, 3)]),
        ("i,j", [(3,)]),
    ],
)
def test_einsum_rejects_what_numpy_rejects(subscripts, shapes):
    xs = [np.ones(s) for s in shapes]
    with pytest.raises(ValueError):
        np.einsum(subscripts, *xs)
    with pytest.raises(ValueError):
        gradients(lambda *xs: np.einsum(subscripts, *xs), *xs)


def test_einsum_of_three_contracts_pairs():
    """The cost is that of NumPy's path, not of the loop over all names at once."""
    n = 60
    xs = [RNG.normal(size=(n, n)) for _ in range(4)]
    gradients(lambda *xs: np.einsum("ij,jk,kl,lm->im", *xs), *xs)  # 60**5 loop steps would take seconds each
    _, tape = record(lambda *xs: [np.einsum("ij,jk,kl,lm->im", *xs)], xs)
    assert [e.op.name for e in tape.program.equations()] == ["contract"] * 3


def test_out_and_dtype():
    def fun(x):
        out = wnp.multiply(x[:, :2], 0.0)
        np.einsum("ij,jk->ik", x, np.ones((3, 2)), out=out)
        return out.sum()

    np.testing.assert_allclose(wengert.grad(fun)(np.ones((2, 3))), 2.0 * np.ones((2, 3)))
    assert gradients(lambda x: np.einsum("ij->i", x, dtype="f8"), np.ones((2, 3), "f4"))[0].dtype == np.float32


# ── shapes that do not fit ────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "call",
    [
        lambda x: np.tensordot(x, x, axes=([0], [1])),
        lambda x: np.tensordot(x, x, axes=3),
        lambda x: np.dot(x, x),
        lambda x: np.inner(x, x.T),
        lambda x: np.vecdot(x, x[:, :1].sum()),
        lambda x: np.linalg.outer(x, x),
        lambda x: np.linalg.multi_dot([x]),
    ],
)
def test_errors_are_value_errors_as_in_numpy(call):
    with pytest.raises(ValueError):
        gradients(call, np.ones((2, 3)))


def test_contract_says_what_does_not_fit():
    from wengert.core.aval import aval_of

    with pytest.raises(ShapeError, match="one name per axis"):
        contract.shape(aval_of(np.ones(3)), aval_of(np.ones(4)), subscripts="i,i->")


# ── peers ─────────────────────────────────────────────────────────────────────


def test_complex_gradients_against_jax():
    """JAX's cotangents pair without a conjugate, as ours do inside the library."""
    jax = pytest.importorskip("jax", reason="peer")
    jax.config.update("jax_enable_x64", True)
    jnp = jax.numpy
    x, y = (RNG.normal(size=(2, 3, 3)) + 1j * RNG.normal(size=(2, 3, 3)) for _ in range(2))
    for ours, peer in [
        (lambda x, y: np.vdot(x, y), lambda x, y: jnp.vdot(x, y)),
        (lambda x, y: np.vecdot(x, y), lambda x, y: jnp.vecdot(x, y)),
        (lambda x, y: np.einsum("aij,bjk->ik", x, y), lambda x, y: jnp.einsum("aij,bjk->ik", x, y)),
        (lambda x, y: np.tensordot(x, y, [[1, 0], [2, 0]]), lambda x, y: jnp.tensordot(x, y, [[1, 0], [2, 0]])),
        (lambda x, y: np.kron(x, y), lambda x, y: jnp.kron(x, y)),
    ]:
        outs, pullback, _ = vjp_flat(lambda x, y, f=ours: [f(x, y)], [x, y])
        ct = np.asarray(RNG.normal(size=np.shape(outs[0])) + 1j)
        for a, b in zip(pullback([ct]), jax.vjp(peer, x, y)[1](jnp.asarray(ct)), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-12)
