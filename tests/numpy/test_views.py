"""In-place writes and views: Tensors see each other's writes exactly where ndarrays do."""

import operator

import numpy as np
import pytest

import wengert as wg
import wengert.numpy as wnp
from wengert.core.errors import NotDifferentiable
from wengert.core.tensor import Tensor, constant, is_scalar
from wengert.transforms.batch import batch_flat
from wengert.transforms.forward import jvp_flat
from wengert.transforms.reverse import vjp_flat
from wengert.verify.call import random_like
from wengert.verify.closeness import dot
from wengert.verify.reference import differences

# ── random programs ───────────────────────────────────────────────────────────


class Program:
    """A random program of views and writes. What it does depends on its seed and on shapes alone.

    Run on ndarrays it is NumPy's answer, run on Tensors ours. `heap` holds its variables, some of them
    names of one array, many of them views of others.
    """

    def __init__(self, seed, steps=14, masks=True):
        self.seed, self.steps, self.masks = seed, steps, masks

    def __call__(self, x, y):
        self.rng = np.random.default_rng(self.seed)
        self.heap = [x * 1.0, y * 1.0]
        self.refused = []
        for _ in range(self.steps):
            kind = self.rng.choice(["view", "view", "write", "write", "name", "new"])
            getattr(self, kind)()
        return [v * 1.0 for v in self.heap]

    def pick(self):
        return int(self.rng.integers(len(self.heap)))

    def name(self):
        self.heap.append(self.heap[self.pick()])

    def new(self):
        v = self.heap[self.pick()]
        made = [
            lambda: np.sin(v),
            lambda: v.copy(),
            lambda: v.copy("F"),
            lambda: np.copy(v),
            lambda: v.flatten(),
            lambda: v.astype(v.dtype),
            lambda: np.asfortranarray(v) if isinstance(v, np.ndarray) else wnp.asfortranarray(v),
            lambda: np.ascontiguousarray(v) if isinstance(v, (np.ndarray, np.generic)) else wnp.ascontiguousarray(v),
            lambda: np.concatenate([np.ravel(v), np.ravel(self.heap[0])[:2]]),
            lambda: np.tile(v, 1),
            lambda: np.roll(v, 1),
            lambda: np.zeros_like(v),
            lambda: np.stack([v, v])[0],
        ]
        self.heap.append(made[self.rng.integers(len(made))]())

    def view(self):
        v, rng = self.heap[self.pick()], self.rng
        n = v.ndim
        axes = [int(i) for i in rng.permutation(n)]
        views = [
            lambda: v[...],
            lambda: v.T,
            lambda: np.transpose(v, axes),
            lambda: np.ravel(v, order=rng.choice(["C", "F", "K", "A"])),
            lambda: v.reshape(-1),
            lambda: np.reshape(v, (-1, 2) if v.size % 2 == 0 else (1, -1), order=rng.choice(["C", "F", "A"])),
            lambda: np.flip(v),
            lambda: np.expand_dims(v, 0),
            lambda: np.squeeze(v),
            lambda: np.atleast_2d(v),
            lambda: np.broadcast_to(v, (2, *v.shape)),
            lambda: v[None, ..., None],
            lambda: v.real,
        ]
        if v.dtype.kind == "c":
            views += [lambda: v.real, lambda: v.imag, lambda: v.imag]
        if n:
            i = int(rng.integers(n))
            start, step = int(rng.integers(0, 2)), int(rng.choice([1, 1, 2, -1]))
            key = (slice(None),) * i + (slice(start, None, step) if step > 0 else slice(None, None, step),)
            views += [
                lambda: v[key],
                lambda: v[key],
                lambda: v[..., : max(1, v.shape[-1] - 1)],
                lambda: v[tuple([slice(None)] * i + [int(rng.integers(v.shape[i]))])] if v.size else v[...],
                lambda: np.split(v, [1], axis=i)[1],
                lambda: np.array_split(v, 2, axis=i)[0],
                lambda: np.moveaxis(v, i, 0),
            ]
        if n > 1:
            views += [lambda: np.diagonal(v), lambda: np.swapaxes(v, 0, -1), lambda: np.rot90(v), lambda: v.mT]
        self.heap.append(views[rng.integers(len(views))]())

    def value(self, v):
        """Something that broadcasts to v."""
        rng = self.rng
        other = self.heap[self.pick()]
        match rng.integers(4):
            case 0:
                return float(rng.normal())
            case 1:
                return rng.normal(size=v.shape)
            case 2 if other.shape == v.shape:
                return other
            case _:
                return np.sum(other) * 0.25

    def write(self):
        k, rng = self.pick(), self.rng
        v = self.heap[k]
        value = self.value(v)
        if v.dtype.kind != "c" and value is not v:
            value = value.real
        kind = rng.integers(9)
        try:
            if kind == 0:
                self.heap[k] = operator.iadd(v, value)
            elif kind == 1:
                self.heap[k] = operator.imul(v, 0.5)
            elif v.shape == () and not _is_array(v):
                pass  # a NumPy scalar cannot be written
            elif kind == 2:
                v[...] = value
            elif kind == 3:
                np.add(v, value, out=v)
            elif kind == 4 and v.ndim:
                v[:1] += 0.5
            elif kind == 5 and v.size:
                v.flat[0] = 0.75
            elif kind == 6 and v.ndim and v.shape[0]:
                v[[0]] = v[[-1]] * 0.5
            elif kind == 7 and value is not v:  # NumPy lets a read-only array be copied to itself
                np.copyto(v, value)
            elif kind == 8 and v.ndim and self.masks:
                v[v.real > 0.5] = 0.25
        except ValueError as error:
            assert "read-only" in str(error)
            self.refused.append(k)


def _is_array(v):
    return isinstance(v, np.ndarray) or (isinstance(v, Tensor) and not is_scalar(v))


def layout(v):
    """What decides where NumPy makes views: contiguity."""
    return v.flags.c_contiguous, v.flags.f_contiguous


START = [((3, 4), (4,)), ((2, 2, 3), (2, 3)), ((4,), ()), ((4, 2), (2, 4))]
SEEDS = range(120)


@pytest.mark.parametrize("dtype", [float, complex])
@pytest.mark.parametrize("seed", SEEDS)
def test_random_programs_agree_with_numpy(seed, dtype):
    rng = np.random.default_rng(1000 + seed)
    primals = [random_like(rng, np.zeros(s, dtype)) for s in START[seed % len(START)]]
    tangents = [random_like(rng, p) for p in primals]
    theirs = Program(seed)
    want = theirs(*primals)
    facts = (
        theirs.refused,
        [layout(np.asarray(v)) for v in theirs.heap],
        [[bool(np.shares_memory(v, w)) for w in theirs.heap] for v in theirs.heap],
    )
    ours = Program(seed)

    def run(*args):
        out = ours(*args)
        assert ours.refused == facts[0]
        assert [v.shape for v in ours.heap] == [v.shape for v in theirs.heap]
        assert [layout(np.asarray(wg.core.tensor.raw(v))) for v in ours.heap] == facts[1]
        assert [[bool(wnp.shares_memory(v, w)) for w in ours.heap] for v in ours.heap] == facts[2]
        return out

    slopes = differences(lambda t: theirs(*(p + t * v for p, v in zip(primals, tangents, strict=True))), 1e-4).value
    values, dots = jvp_flat(run, primals, tangents)
    for got, w in zip(values, want, strict=True):
        np.testing.assert_allclose(got, w, rtol=1e-12, atol=1e-14)
    dots = [np.zeros_like(s) if d is None else d for d, s in zip(dots, slopes, strict=True)]
    for got, w in zip(dots, slopes, strict=True):
        np.testing.assert_allclose(got, w, rtol=1e-6, atol=1e-7)
    values, pullback, _ = vjp_flat(run, primals)
    for got, w in zip(values, want, strict=True):
        np.testing.assert_allclose(got, w, rtol=1e-12, atol=1e-14)
    us = [random_like(rng, np.asarray(w)) for w in want]
    np.testing.assert_allclose(dot(pullback(us), tangents), dot(us, dots), rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("seed", range(60))
def test_random_programs_under_vmap(seed):
    rng = np.random.default_rng(2000 + seed)
    size = 3
    args = [rng.normal(size=(size, *s)) for s in START[seed % len(START)]]
    want = [Program(seed, masks=False)(*(np.asarray(a[b]) for a in args)) for b in range(size)]
    flags = [True, bool(seed % 2) or args[1].ndim == 1]
    if not flags[1]:
        want = [Program(seed, masks=False)(np.asarray(args[0][b]), np.asarray(args[1][0])) for b in range(size)]
    outs, batched = batch_flat(
        Program(seed, masks=False),
        [a if f else constant(a[0]) for a, f in zip(args, flags, strict=True)],
        flags,
        size,
    )
    for k, (out, is_batched) in enumerate(zip(outs, batched, strict=True)):
        got = np.asarray(out) if is_batched else np.stack([np.asarray(out)] * size)
        np.testing.assert_allclose(got, np.stack([row[k] for row in want]), rtol=1e-12, atol=1e-14)


# ── single rules, by name ─────────────────────────────────────────────────────


def both(fun, *args):
    """`fun` on copies of the arrays, and on Tensors that stand for them: results and tangents along ones."""
    want = fun(*(a.copy() for a in args))
    got, dots = jvp_flat(lambda *xs: fun(*(x.copy() for x in xs)), args, [np.ones_like(a) for a in args])
    for g, w in zip(got, want, strict=True):
        np.testing.assert_array_equal(g, w)
    return dots


def test_a_stale_view_as_out_reaches_its_base():
    def fun(x):
        v = x[:2]
        x[0] = 5.0
        np.add(v, 1.0, out=v)
        return [x, v]

    dx, _ = both(fun, np.arange(3.0))
    np.testing.assert_array_equal(dx, [0, 1, 1])


def test_ravel_of_a_transposed_array_is_a_copy():
    def fun(x):
        np.ravel(x)[0] = 7.0
        np.ravel(x.T)[1] = 9.0
        x.T.copy().reshape(-1)[2] = 9.0
        return [x]

    both(fun, np.arange(6.0).reshape(2, 3))


def test_ravel_of_the_copy_of_a_transposed_array_is_a_view():
    def fun(x):
        y = x.T.copy()
        y.ravel()[1] = 9.0
        return [x, y]

    both(fun, np.arange(6.0).reshape(2, 3))


def test_augmented_assignment_to_a_slice_of_a_slice():
    def fun(x):
        x[1:][::2] += x[0]
        x[:, 1:][0] *= 3.0
        return [x]

    both(fun, np.arange(12.0).reshape(4, 3))


def test_a_refused_write_changes_nothing():
    def fun(x):
        wide = np.broadcast_to(x, (2, 3))
        row = wide[0]
        with pytest.raises(ValueError, match="read-only"):
            row[0] = 9.0
        with pytest.raises(ValueError, match="read-only"):
            np.diagonal(np.stack([x, x]))[0] = 9.0
        x[1] = 8.0  # the views see it
        return [x, wide, row]

    both(fun, np.arange(3.0))


def test_writes_to_parts_of_complex_numbers_do_no_arithmetic():
    def fun(z):
        z.real[0] = 1.0
        z.imag[1] = 1.0
        z.imag[2:] *= 0.5
        return [z]

    z = np.array([complex(np.inf, 2.0), complex(1e300, np.inf), complex(np.nan, 4.0)])
    (dz,) = both(fun, z)
    np.testing.assert_array_equal(dz, [0, 1, 1])


def test_overlapping_views():
    def fun(x):
        x[1:] = x[:-1]
        x[:-1] += x[1:]
        return [x]

    both(fun, np.arange(5.0))


def test_writes_of_a_nested_trace_stay_there():
    def inner(y):
        z = y * 1.0
        z[0] = y[1] * y[1]
        return [np.sum(z)]

    def gradient(x):
        return vjp_flat(inner, [x])[1]([1.0])

    values, dots = jvp_flat(gradient, [np.array([2.0, 3.0, 4.0])], [np.ones(3)])
    np.testing.assert_array_equal(values[0], [0, 7, 1])
    np.testing.assert_array_equal(dots[0], [0, 2, 0])


def test_view_shares_the_cell():
    def write(x):
        y = x * 1
        y.view()[0] = 3.0 * x[1]
        z = y + 1j * y
        z.view(float)[-1] = x[0]  # the last imaginary part
        y.view(complex)[0] = x[2] * (1 + 1j)
        return np.sum(z.real * z.imag) + np.sum(y * y)

    x = np.array([1.0, 2.0, 3.0, 4.0])
    # z = [3x₁, x₁, x₂, x₃], twice, but for the last imaginary part: x₀; y = [x₂, x₂, x₂, x₃]
    want = [x[3], 18 * x[1] + 2 * x[1], 2 * x[2] + 6 * x[2], x[0] + 2 * x[3]]
    np.testing.assert_allclose(wg.grad(write)(x), want)


def test_view_refuses_what_numpy_refuses():
    for bad in (lambda x: x[:, ::2].view(complex), lambda x: x[:, :3].view(complex), lambda x: x[0, 0].view(complex)):
        with pytest.raises(ValueError):
            bad(np.ones((2, 4)))
        with pytest.raises(ValueError):
            wg.grad(lambda x, bad=bad: np.sum(bad(x).real))(np.ones((2, 4)))


@pytest.mark.parametrize("dtype", [np.float32, np.int64, "V8", "f8,f8"])
def test_view_of_bits_is_refused(dtype):
    with pytest.raises(NotDifferentiable, match="bits of a float64"):
        wg.grad(lambda x: x.view(dtype).sum())(np.ones(4))
    with pytest.raises(NotDifferentiable, match="subclass"):
        wg.grad(lambda x: x.view(np.matrix).sum())(np.ones(4))


@pytest.mark.parametrize("subscripts", ["ij->ji", "ij", "ji", "i...->...i", "...j->j..."])
def test_einsum_of_one_operand_that_sums_nothing_is_a_view(subscripts):
    def f(x):
        y = x * 1.0
        z = np.einsum(subscripts, y)
        y[0, 1] = 7.0
        z[1] *= x[0, 0]
        return np.sum(y * z.reshape(y.shape) + 0.1 * y)

    x = np.arange(1.0, 7.0).reshape(2, 3)
    value, slope = wg.jvp(f, (x,), (np.ones((2, 3)),))
    assert value == f(x)
    np.testing.assert_allclose(slope, (f(x + 1e-6) - f(x - 1e-6)) / 2e-6, rtol=1e-6)


@pytest.mark.parametrize("subscripts", ["iji->ij", "iji->ji", "iij", "iii->i"])
def test_a_diagonal_by_einsum_is_a_view(subscripts):
    def f(x):
        y = x * 1.0
        z = np.einsum(subscripts, y)
        y[1, 1, 1] = 5.0
        z[1] *= x[0, 0, 0]
        z += 0.5
        return np.sum(y * np.arange(8.0).reshape(2, 2, 2)) + np.sum(z * z)

    x = np.arange(1.0, 9.0).reshape(2, 2, 2)
    value, slope = wg.jvp(f, (x,), (np.ones((2, 2, 2)),))
    assert value == f(x)
    np.testing.assert_allclose(slope, (f(x + 1e-6) - f(x - 1e-6)) / 2e-6, rtol=1e-6)
    np.testing.assert_allclose(np.sum(wg.grad(f)(x)), slope)
    many = np.stack([x, np.sin(x)])
    np.testing.assert_allclose(wg.vmap(f)(many), [f(x) for x in many])


def test_reduce_of_one_element_starts_from_the_identity():
    x = np.array([[-0.7, 1.0]])
    value, slope = wg.jvp(lambda x: np.hypot.reduce(x, axis=0), (x,), (np.ones((1, 2)),))
    np.testing.assert_array_equal(value, np.hypot.reduce(x, axis=0))
    np.testing.assert_array_equal(slope, [-1.0, 1.0])


def test_keepdims_of_a_constant_s_total_can_be_written():
    def f(x):
        total = np.sum(np.ones((2, 2)), keepdims=True)
        total[0, 0] *= x
        return total[0, 0]

    assert wg.grad(f)(3.0) == 4.0


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("order", "CF")
@pytest.mark.parametrize(
    "scan", [np.logaddexp.accumulate, np.hypot.accumulate, lambda x, axis: np.multiply.reduceat(x, [0, 1], axis=axis)]
)
def test_scans_lie_in_memory_as_their_operand(scan, axis, order):
    def f(x):
        y = scan(np.array(x, order=order), axis=axis)
        y.reshape(-1)[1] = 0.0
        y.T.reshape(-1)[2] = 0.0
        return np.sum(y * y)

    x = np.arange(1.0, 7.0).reshape(2, 3)
    assert wg.jvp(f, (x,), (x,))[0] == pytest.approx(f(x), rel=1e-12)


def test_arrays_made_of_constant_numbers_can_be_written():
    def f(x):
        made = np.cross(np.zeros(3), [0.3, 0.5, 1.0])
        made[0] = x
        edges = np.poly(np.ones(2))
        edges[1] *= x
        return made[0] * edges[1]

    assert wg.grad(f)(3.0) == -12.0


@pytest.mark.parametrize("seed", range(40))
def test_einsum_lies_in_memory_as_numpys(seed):
    rng = np.random.default_rng(seed)
    dims = dict(zip("abcd", (2, 3, 4, 5), strict=True))
    one, other = (rng.permutation([*"abcd"])[: rng.integers(1, 4)] for _ in range(2))
    names = sorted({*one, *other})
    out = rng.permutation(names)[: rng.integers(min(2, len(names)), len(names) + 1)]
    subscripts = f"{''.join(one)},{''.join(other)}->{''.join(out)}"
    x, y = (np.asarray(rng.normal(size=[dims[n] for n in term]), order=rng.choice([*"CF"])) for term in (one, other))
    found = []

    def f(x):
        found.append(wg.stop_gradient(np.einsum(subscripts, x, y)))
        return np.sum(x)

    wg.grad(f)(x)
    assert np.asarray(found[0]).strides == np.einsum(subscripts, x, y).strides, subscripts
