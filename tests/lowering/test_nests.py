"""Loop nests: how many a program becomes, and that they compute what NumPy does for shapes of every kind."""

import itertools

import numpy as np
import pytest

import wengert as wg
from wengert.lowering import nest
from wengert.lowering.lower import lower
from wengert.passes.pipeline import optimise
from wengert.runtime import engine

RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def draws():
    """The same values in a test whichever ran before."""
    RNG.bit_generator.state = np.random.default_rng(1).bit_generator.state


def optimised(fun, *args):
    with wg.config.override(debug_passes=True):
        return optimise(wg.trace(fun, *args))[0]


def kernels(fun, *args):
    return lower(optimised(fun, *args)).kernels


def compiled(fun, *args):
    """Results as NumPy computes them in eager mode, and from machine code."""
    with wg.config.override(disk_cache=False):
        executable = engine.compile(optimised(fun, *args), tier="fast")
    got = executable(*args)
    want = fun(*args)
    return got, [np.asarray(o) for o in flat(want)], executable


def check(fun, *args, hosts=0, rtol=None):
    """Machine code gives what NumPy gives: shapes, dtypes and values."""
    got, want, executable = compiled(fun, *args)
    assert len(executable.lowered.host_calls) == hosts, executable.lowered.host_calls
    for g, w in zip(got, want, strict=True):
        assert (g.shape, g.dtype) == (w.shape, w.dtype)
        if w.dtype.kind in "fc":
            limit = rtol or 64 * np.finfo(w.dtype).eps
            np.testing.assert_allclose(g, w, rtol=limit, atol=limit * np.max(np.abs(w), initial=0))
        else:
            np.testing.assert_array_equal(g, w)
    return executable


def normal(*shape, dtype=float):
    return RNG.normal(size=shape).astype(dtype)


def flat(result):
    return result if isinstance(result, (tuple, list)) else [result]


# ── what is fused ─────────────────────────────────────────────────────────────


def softmax(x):
    e = np.exp(x - np.max(x, axis=-1, keepdims=True))
    return e / np.sum(e, axis=-1, keepdims=True)


def entropy(x):
    return -np.mean(np.log(softmax(x))[:, 0])


def layer_norm(x, scale, shift):
    centred = x - np.mean(x, axis=-1, keepdims=True)
    return centred / np.sqrt(np.mean(centred**2, axis=-1, keepdims=True) + 1e-5) * scale + shift


def elementwise(x, y):
    return np.sum(np.tanh(x * y) + np.exp(-x))


LOSSES = {
    # name: function, arguments, kernels of value and gradient at most
    "elementwise and a sum": (elementwise, (normal(64, 48), normal(64, 48)), 1),
    "softmax cross-entropy": (entropy, (normal(40, 10),), 3),
    "layer norm": (lambda x, g, b: np.sum(np.tanh(layer_norm(x, g, b))), (normal(30, 16), normal(16), normal(16)), 2),
    "logistic": (lambda w, x, y: np.mean(np.logaddexp(0.0, -y * (x @ w))), (normal(5), normal(60, 5), normal(60)), 5),
}


@pytest.mark.parametrize("name", LOSSES)
def test_value_and_gradient_take_few_kernels(name):
    fun, args, most = LOSSES[name]
    both = wg.value_and_grad(fun, argnums=tuple(range(len(args))))
    executable = check(lambda *a: (r := both(*a))[0:1] + r[1], *args)
    assert len(executable.lowered.kernels) <= most, wg.jit(both).explain(*args)


ONE = {
    "reshapes": (lambda x: np.exp(x.reshape(8, -1)) * np.arange(24.0).reshape(2, 12).reshape(8, 3), (normal(4, 6),)),
    "transposes": (lambda x: (np.exp(x.T) + 1).T, (normal(4, 6),)),
    "broadcasts": (lambda x, y: np.exp(x[:, None] - y[None, :]) / (1 + y), (normal(5), normal(7))),
    "slices": (lambda x: x[1:] * x[:-1] + x[::2][:1], (normal(9),)),
    "flips": (lambda x: np.flip(x) * x[::-1] - x, (normal(9),)),
    "a gather and a product": (lambda x, y, i: np.sum(x[i] * y), (normal(5), normal(20), RNG.integers(0, 5, 20))),
    "a gather, a product and a scatter": (
        lambda x, y, i: wg.grad(lambda x: np.sum(x[i] * np.sin(y)))(x), (normal(5), normal(20), RNG.integers(0, 5, 20)),
    ),
    "a chain of sums of rows": (lambda x: np.sum(np.exp(x), axis=1) + np.max(x, axis=1), (normal(6, 8),)),
    "where": (lambda x: np.where(x > 0, np.sqrt(np.abs(x)), x**2).sum(), (normal(6, 8),)),
    "variance": (lambda x: np.var(x, axis=1), (normal(6, 8),)),
}  # fmt: skip


@pytest.mark.parametrize("name", ONE)
def test_one_kernel(name):
    fun, args = ONE[name]
    assert len(check(fun, *args).lowered.kernels) == 1, wg.jit(fun).explain(*args)


def test_explain_says_what_was_fused_and_what_was_not():
    told = wg.jit(lambda x: np.sum(np.exp(x) + 2)).explain(normal(3, 4))
    assert "1 kernel, 0 host calls" in told and "exp" in told
    told = wg.jit(lambda x: np.linalg.eigvalsh(x + x.T)).explain(normal(3, 3))
    assert "host calls: run by NumPy or SciPy" in told and "eig" in told


# ── values, for shapes of every kind ──────────────────────────────────────────

SHAPES = [
    (),
    (0,),
    (1,),
    (7,),
    (33,),
    (0, 3),
    (3, 0),
    (1, 1),
    (5, 1),
    (1, 5),
    (3, 17),
    (2, 3, 5),
    (4, 1, 9),
    (2, 0, 3),
    (130,),
    (33, 130),
]
DTYPES = ["float64", "float32", "int64", "int32", "uint8", "bool"]


def drawn(shape, dtype):
    if dtype == "bool":
        return RNG.normal(size=shape) > 0
    if np.dtype(dtype).kind in "iu":
        return RNG.integers(1, 9, size=shape).astype(dtype)
    return np.asarray(RNG.normal(size=shape)).astype(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_elementwise(shape, dtype):
    x, y = drawn(shape, dtype), drawn(shape, dtype)

    def fun(x, y):
        outs = [x + y, np.where(x > y, x, y), x == y, np.maximum(x, y)]
        return [*outs, x * y - y, np.abs(x), -x] if x.dtype.kind == "f" else outs

    check(fun, x, y)


@pytest.mark.parametrize("shape", [(0,), (1,), (33,), (2, 0), (3, 17), (5, 1), (33, 130)], ids=str)
@pytest.mark.parametrize("dtype", ["float64", "float32", "int64", "bool"])
def test_reductions_of_shapes(shape, dtype):
    x = drawn(shape, dtype)

    def fun(x):
        outs = [np.sum(x, axis=-1), np.any(x > 0), np.all(x > 0, axis=0), np.count_nonzero(x), np.sum(x)]
        if x.size:
            outs += [np.max(x), np.min(x, axis=0), np.argmax(x, axis=-1), np.mean(x, axis=0)]
        return outs

    check(fun, x, rtol=1e-4 if dtype == "float32" else 1e-12)


FOUR = normal(2, 3, 4, 5)
SUBSETS = [s for n in range(5) for s in itertools.combinations(range(4), n)]


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("axes", SUBSETS, ids=str)
def test_reductions_over_all_subsets_of_axes(axes, keepdims):
    def fun(x):
        how = {"axis": axes, "keepdims": keepdims}
        return np.sum(x, **how), np.max(x, **how), np.prod(x, **how), np.mean(np.exp(x), **how), np.any(x > 1, **how)

    check(fun, FOUR)
    check(fun, FOUR.transpose(2, 0, 3, 1))


@pytest.mark.parametrize("dtype", ["float64", "float32", "int64"])
@pytest.mark.parametrize("name", ["cumsum", "cumprod", "cummax"])
def test_scans(name, dtype):
    scan = {"cumsum": np.cumsum, "cumprod": np.cumprod, "cummax": np.maximum.accumulate}[name]
    for shape, axis in [((33,), 0), ((3, 17), 0), ((3, 17), 1), ((2, 3, 5), 1), ((0, 3), 1), ((1, 4), 0)]:
        x = drawn(shape, dtype)
        check(
            lambda x, axis=axis: (scan(x, axis=axis), scan(x[::-1] * 2, axis=axis)),
            x,
            rtol=1e-4 if dtype == "float32" else 1e-12,
        )


LAYOUTS = {
    "transposed": lambda x: x.T,
    "sliced": lambda x: x[::2, 1::3],
    "reversed": lambda x: x[::-1, ::-1],
    "broadcast": lambda x: np.broadcast_to(x[:1], x.shape),
    "of other byte alignment": lambda x: (
        np.frombuffer(b"\0" + x.tobytes(), np.uint8)[1:].view(x.dtype).reshape(x.shape)
    ),
    "read-only": lambda x: (y := x.copy(), y.setflags(write=False))[0],
    "Fortran": np.asfortranarray,
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_layouts_of_operands(layout, dtype):
    x = LAYOUTS[layout](normal(9, 14, dtype=dtype))
    check(lambda x: (np.exp(x) * x, np.sum(x, axis=0), x @ x.T, x.T + 1), x, rtol=1e-4 if dtype == "float32" else 1e-12)


MOVES = {
    "concatenate": lambda x, y: np.concatenate([x, y * 2, x[:1]], axis=0),
    "concatenate, then reduce": lambda x, y: np.sum(np.concatenate([x, np.exp(y)], axis=1), axis=1),
    "stack": lambda x, y: np.stack([x, y, x * y], axis=1),
    "pad": lambda x, y: np.pad(x, ((1, 2), (0, 3))) * 2,
    "pad with values": lambda x, y: np.pad(x * y, 1, constant_values=-7.0),
    "roll": lambda x, y: np.roll(x, 2, axis=1) - y,
    "tile": lambda x, y: np.tile(x, (2, 3)),
    "repeat": lambda x, y: np.repeat(x + y, 3, axis=0),
    "take": lambda x, y: np.take(x, [2, 0, 2], axis=0) * y[:3],
    "diagonal": lambda x, y: np.diagonal(x * y, offset=1),
    "triangle": lambda x, y: np.tril(x) + np.triu(y, 1),
    "split": lambda x, y: [a * 2 for a in np.split(x, [1, 3], axis=1)],
    "outer": lambda x, y: np.outer(x[0], y[0]),
    "meshgrid": lambda x, y: np.meshgrid(x[0], y[:, 0])[0] * 2,
    "diff": lambda x, y: np.diff(x, axis=1, n=2),
    "swapped": lambda x, y: np.moveaxis((x * y)[None], 0, -1),
    "index of both": lambda x, y: x[[0, 2], [1, 1]] + y[1, [0, 3]],
}


@pytest.mark.parametrize("name", MOVES)
@pytest.mark.parametrize("extents", [(4, 5), (33, 17)], ids=str)
def test_movement(name, extents):
    x, y = normal(*extents), normal(*extents)
    fun = MOVES[name]
    check(fun, x, y)
    both = wg.grad(lambda *a: sum(np.sum(np.sin(o)) for o in flat(fun(*a))), argnums=(0, 1))
    check(wg.adopt(both), x, y, rtol=1e-11)


def overlapping(x):
    y = x.copy()
    y[1:] = y[:-1] * 0.5
    y[2:5] += x[:3]
    y[::-1][:2] *= 3
    return y


def interleaved(x):
    y = np.zeros(len(x) + 3)
    y[1:-2] = x
    y[::2] -= 1
    y[0] = x[-1]
    y *= 2
    return y, np.sum(y**2)


def row_by_row(x):
    y = np.empty((4, len(x)))
    for i in range(4):
        y[i] = x if i == 0 else np.sin(y[i - 1]) + i
    return y


def through_a_view(x):
    y = np.tile(x, (3, 1))
    middle = y[1]
    middle += 1.0
    y.T[0] = 7.0
    return y, middle * 2


def masked(x):
    y = x * 2
    y[x > 0] = -1.0
    y[[0, 2]] = x[[2, 0]]
    return y


WRITES = (overlapping, interleaved, row_by_row, through_a_view, masked)


@pytest.mark.parametrize("fun", WRITES, ids=lambda f: f.__name__)
@pytest.mark.parametrize("extent", [7, 40])
def test_writes_in_place(fun, extent):
    x = normal(extent)
    check(fun, x)
    gradient = wg.grad(lambda x: sum(np.sum(np.cos(o)) for o in flat(fun(x))))
    check(gradient, x, rtol=1e-11)  # the cosine of a sum of squares: rounding grows with the sum


def test_an_argument_that_is_written_is_written():
    def fun(x):
        x[1:] += x[:-1]
        return np.sum(x)

    x, y = np.arange(6.0), np.arange(6.0)
    assert wg.jit(fun)(x) == fun(y)
    np.testing.assert_array_equal(x, y)


# ── chunks ────────────────────────────────────────────────────────────────────

CHUNKED = {
    "a sum": lambda x: np.sum(np.exp(x)),
    "sums of rows and of columns": lambda x: (np.sum(x * 2, axis=0), np.sum(x * 2, axis=1), np.max(x)),
    "elementwise": lambda x: np.tanh(x) * x,
    "softmax": softmax,
    "columns": lambda x: softmax(x.T).T,
    "argmax": lambda x: (np.argmax(x, axis=0), np.argmin(x, axis=1), np.argmax(x)),
    "scatter": lambda x: np.add.at(z := np.zeros(5), np.arange(x.size).reshape(x.shape) % 5, x) or z,
    "cumulative": lambda x: np.cumsum(x, axis=1) + np.cumsum(x, axis=0),
    "value and gradient": lambda x: wg.value_and_grad(entropy)(x),
    "any and all": lambda x: (np.any(x > 3), np.all(x < 9, axis=1)),
    "product of matrices": lambda x: np.tanh(x @ x.T),
}


@pytest.fixture
def threads():
    before = wg.get_threads()
    yield
    wg.set_threads(before)


@pytest.mark.parametrize("name", CHUNKED)
@pytest.mark.parametrize("shape", [(37, 19), (1, 700), (700, 1)], ids=str)
def test_results_do_not_depend_on_who_runs_which_chunk(name, shape, monkeypatch, threads):
    monkeypatch.setattr(nest, "WORK", 1)
    x = normal(*shape)
    executable = check(CHUNKED[name], x)
    assert executable.lowered.chunks > 1 or name == "product of matrices" or 1 in shape
    found = {}
    for n in (1, 2, 4):
        wg.set_threads(n)
        found[n] = [[o.tobytes() for o in executable(x)] for _ in range(3)]
    assert found[1][0] == found[1][1] == found[2][0] == found[2][1] == found[2][2] == found[4][0] == found[4][2]


def test_chunks_of_one_signature_join_in_one_order(monkeypatch, threads):
    """Partial sums of numbers of very different size: any other order would give another result."""
    monkeypatch.setattr(nest, "WORK", 1)
    x = np.ldexp(RNG.normal(size=4001), RNG.integers(-40, 40, 4001))
    executable = engine.compile(optimised(lambda x: (np.sum(x), np.sum(x * x)), x), tier="fast")
    assert executable.lowered.chunks > 8
    sums = set()
    for n in (1, 2, 4, 3):
        wg.set_threads(n)
        sums |= {tuple(o.tobytes() for o in executable(x)) for _ in range(5)}
    assert len(sums) == 1


# ── short rows ────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n", [1, 2, 3, 5, 7, 8, 10, 13, 15, 16, 20, 31])
def test_rows_that_do_not_fill_vectors(n, dtype):
    """Loops that are written out, and loops around short ones, in nests with and without reductions."""

    def softmax(x, w):
        e = np.exp(x - x.max(1, keepdims=True))
        p = e / e.sum(1, keepdims=True)
        scaled = w[:, :, None] * p[:, None, :]
        return p, np.log(e.sum(1)), scaled, scaled.sum(0), (scaled**2).sum(2)

    check(softmax, normal(150, n, dtype=dtype), normal(150, 3, dtype=dtype))


def test_rows_without_elements():
    check(lambda x, w: np.exp(x * w[:, None] - w[:, None]).sum(1), normal(2, 0), normal(2))


def test_short_rows_of_vector_math_are_written_out():
    """No remainder of each row is left to scalar code."""
    x = normal(1000, 5)
    text = lower(optimised(lambda x: np.exp(x - x.max(1, keepdims=True)), x)).text
    assert text.count("call double @wg.exp.d") == 5
    text = lower(optimised(lambda x: np.exp(x - x.max(1, keepdims=True)), normal(1000, 16))).text
    assert text.count("call double @wg.exp.d") == 1


def test_many_sums_are_several_nests():
    """Each has as many accumulators as registers hold, and what the next goes on from is kept."""

    def powers(t, c):
        found = []
        for _ in range(40):
            t = t * c
            found.append(t.sum())
        return tuple(found)

    t, c = normal(500), np.full(500, 0.9)
    check(powers, t, c)
    assert 4 <= len(kernels(powers, t, c)) <= 8


@pytest.mark.parametrize("n", [2, 3, 4, 6])
def test_what_lies_side_by_side_is_the_inner_loop_however_short(n):
    """Strided reads and writes cost more than short loops, which LLVM unrolls."""
    w, y = normal(1000), normal(1000, n)
    check(lambda w, y: (w[:, None] * y - y[0]) * y + w[:, None], w, y)
    text = lower(optimised(lambda w, y: (w[:, None] * y - y[0]) * y + w[:, None], w, y)).text
    assert text.index(f", {n}\n  br i1") < text.index(", 1000\n  br i1")  # the inner loop ends first
