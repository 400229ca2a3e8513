"""Shapes, joining, padding: views where NumPy makes views, NumPy's errors, and what examples cannot show."""

import importlib

import numpy as np
import pytest

import wengert.numpy as wnp
from wengert.core.errors import NotDifferentiable
from wengert.core.tensor import Tensor, raw
from wengert.core.tree import leaves
from wengert.numpy.registry import NAMES as TABLE
from wengert.ops.shape import pad_constant
from wengert.transforms.forward import jvp_flat
from wengert.transforms.reverse import record, vjp_flat
from wengert.verify import examples, names

FAMILIES = ("shaping", "creation", "methods", "selecting")
for _family in FAMILIES:
    importlib.import_module(f"wengert.verify.examples.{_family}")
EXAMPLES = [e for e in examples.EXAMPLES if e.fun.__module__.rpartition(".")[2] in FAMILIES and e.sample.diff]


def gradient(fun, *primals):
    """The cotangents of a scalar function."""
    values, pullback, _ = vjp_flat(lambda *xs: [fun(*xs)], primals)
    return pullback([np.ones_like(values[0])])


def facts(outs, args):
    """What NumPy's user can see of results beyond their values: dtype, array or scalar, memory order, sharing."""
    bottoms = [raw(o) for o in outs]
    return [
        (
            np.asarray(b).dtype,
            isinstance(b, np.ndarray),
            (b.flags.c_contiguous, b.flags.f_contiguous) if isinstance(b, np.ndarray) and b.size else None,
            [bool(wnp.shares_memory(o, a)) for a in args],
        )
        for o, b in zip(outs, bottoms, strict=True)
    ]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("e", [pytest.param(e, id=f"{e.name}-{i}") for i, e in enumerate(EXAMPLES)])
def test_results_are_views_scalars_and_dtypes_as_numpys(e, dtype):
    call = names.call(e, np, dtype)
    primals = [np.array(p) if np.ndim(p) else p for p in call.primals]

    def run(*some):
        args = list(call.args)
        for i, s in zip(call.diff, some, strict=True):
            args[i] = s
        return leaves(e.fun(np, *args))

    want = facts(run(*primals), primals)
    seen = []

    def traced(*xs):
        outs = run(*xs)
        seen.append(facts(outs, xs))
        return [o for o in outs if isinstance(o, Tensor)]

    jvp_flat(traced, primals, [np.ones_like(p) for p in primals])
    assert seen == [want]


X = np.arange(12.0).reshape(3, 4)


@pytest.mark.parametrize(
    "fun",
    [
        lambda x: np.reshape(x, (5, -1)),
        lambda x: np.reshape(x, (5, 2)),
        lambda x: np.reshape(x.T, -1, copy=False),
        lambda x: np.squeeze(x, 0),
        lambda x: np.expand_dims(x, (0, 0)),
        lambda x: np.transpose(x, (0, 0)),
        lambda x: np.transpose(x, (0,)),
        lambda x: np.swapaxes(x, 0, 2),
        lambda x: np.moveaxis(x, [0, 1], [0]),
        lambda x: np.moveaxis(x, [0, 0], [0, 1]),
        lambda x: np.flip(x, 2),
        lambda x: np.rot90(x[0]),
        lambda x: np.rot90(x, axes=(0, 0)),
        lambda x: np.roll(x, (1, 2), (0, 1, 0)),
        lambda x: np.broadcast_to(x, (3, 5)),
        lambda x: np.broadcast_arrays(x, np.ones(3)),
        lambda x: np.diag(np.stack([x, x])),
        lambda x: np.diagonal(x[0]),
        lambda x: np.diagonal(x, 0, 1, 1),
        lambda x: np.concatenate([]),
        lambda x: np.concatenate([x, 1.0]),
        lambda x: np.concatenate([x, x[0]]),
        lambda x: np.concatenate([x, x], axis=2),
        lambda x: np.concatenate([x, x], dtype=int, casting="safe"),
        lambda x: np.stack([x, x[0]]),
        lambda x: np.stack([x, x], axis=3),
        lambda x: np.block([[x], x]),
        lambda x: np.block([x, []]),
        lambda x: np.split(x, 5),
        lambda x: np.array_split(x, 0),
        lambda x: np.hsplit(x[0, 0], 1),
        lambda x: np.vsplit(x[0], 1),
        lambda x: np.dsplit(x, 1),
        lambda x: np.repeat(x, [1, 2], axis=0),
        lambda x: np.repeat(x, -1),
        lambda x: np.resize(x, (-1, 2)),
        lambda x: np.delete(x, 7, axis=0),
        lambda x: np.insert(x, 7, 0, axis=0),
        lambda x: np.insert(x, [0, 1], [1, 2, 3]),
        lambda x: np.pad(x, -1),
        lambda x: np.pad(x, 1.5),
        lambda x: np.pad(x, 1, "nonsense"),
        lambda x: np.pad(x, 1, "edge", constant_values=1),
        lambda x: np.pad(x[:0], 1, "edge"),
        lambda x: np.pad(x, ((1, 1), (1, 1), (1, 1))),
        lambda x: np.pad(x, 1, "maximum", stat_length=0),
        lambda x: np.trim_zeros(x[0], "x"),
        lambda x: np.lib.stride_tricks.sliding_window_view(x, (2, 5)),
        lambda x: np.lib.stride_tricks.sliding_window_view(x, 2),
        lambda x: np.fill_diagonal(x[0], 1),
        lambda x: np.copyto(x, 1j * np.ones(4)),
        lambda x: np.copyto(x, np.ones(3)),
    ],
)
def test_raises_where_numpy_raises(fun):
    with pytest.raises(Exception) as theirs:
        fun(X.copy())
    kinds = tuple(k for k in (ValueError, TypeError, IndexError) if isinstance(theirs.value, k))
    with pytest.raises(kinds):
        jvp_flat(lambda x: leaves(fun(x)), [X], [np.ones_like(X)])


def test_pad_maximum_shares_the_cotangent_of_a_tie():
    (g,) = gradient(lambda x: np.sum(np.pad(x, (2, 0), "maximum")), np.array([1.0, 3.0, 3.0]))
    np.testing.assert_allclose(g, [1.0, 2.0, 2.0])


def test_pad_keeps_infinities_out_of_the_gradient_of_the_rest():
    x = np.array([1.0, np.inf, 2.0])
    (g,) = gradient(lambda x: np.sum(np.pad(x, 1, constant_values=np.nan)[np.array([1, 3])]), x)
    np.testing.assert_allclose(g, [1.0, 0.0, 1.0])


def test_pad_width_by_axis():
    widths = {-1: (1, 2)}
    want = np.pad(X, ((0, 0), (1, 2)))
    values, _ = jvp_flat(lambda x: [np.pad(x, widths)], [X], [X])
    np.testing.assert_array_equal(values[0], want)


def test_windows_cannot_be_written():
    with pytest.raises(NotDifferentiable, match="writeable"):
        jvp_flat(lambda x: [np.lib.stride_tricks.sliding_window_view(x, 2, axis=0, writeable=True)], [X], [X])


def test_strides_are_refused_with_a_remedy():
    as_strided = TABLE["lib.stride_tricks.as_strided"].function
    with pytest.raises(NotDifferentiable, match="sliding_window_view"):
        jvp_flat(lambda x: [as_strided(x, (2, 2), (8, 8))], [X], [X])


def test_a_split_records_one_operation():
    _, tape = record(lambda x: np.split(x, 4), [np.arange(8.0)])
    assert [eqn.op.name for eqn in tape.program.equations()] == ["split"]


def test_pieces_that_nothing_uses_get_zeros():
    (g,) = gradient(lambda x: np.sum(np.split(x, 4)[2] ** 2), np.arange(8.0))
    np.testing.assert_allclose(g, [0, 0, 0, 0, 8, 10, 0, 0])


def test_windows_of_a_long_signal_against_a_convolution():
    x, w = np.random.default_rng(0).normal(size=200), np.random.default_rng(1).normal(size=7)
    (g,) = gradient(lambda x: np.sum((np.lib.stride_tricks.sliding_window_view(x, 7) * w).sum(-1) ** 2), x)
    y = np.convolve(x, w[::-1], "valid")
    np.testing.assert_allclose(g, np.convolve(2 * y, w, "full"), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("mode", ["edge", "reflect", "symmetric", "wrap"])
def test_pads_agree_with_jax(mode):
    jax = pytest.importorskip("jax", reason="compares the pullback of pads with JAX's")
    jax.config.update("jax_enable_x64", True)
    x = np.random.default_rng(0).normal(size=(3, 4))
    weight = np.random.default_rng(1).normal(size=(10, 13))

    def loss(xp, x):
        return xp.sum(xp.pad(x, ((3, 4), (5, 4)), mode=mode) * weight)

    (g,) = gradient(lambda x: loss(np, x), x)
    np.testing.assert_allclose(g, jax.grad(lambda x: loss(jax.numpy, x))(x), rtol=1e-12)


def test_pad_constant_is_affine():
    values, dots = jvp_flat(lambda x: [pad_constant(x, widths=((1, 0), (0, 1)), value=5.0)], [X], [np.ones_like(X)])
    np.testing.assert_array_equal(values[0], np.pad(X, ((1, 0), (0, 1)), constant_values=5.0))
    np.testing.assert_array_equal(dots[0], np.pad(np.ones_like(X), ((1, 0), (0, 1))))
