"""Random programs of NumPy: views, writes in place, indexing, reductions, and transforms within them.

A program is a function of a seed. Its choices depend on shapes alone, so that it does the same on
ndarrays, on Tensors, and on JAX's arrays. Reverse mode is held against forward mode (to rounding), against
finite differences, and against JAX; second order and vmap against what they are made of.

Run more of them with `WENGERT_SEEDS=5000 pytest tests/transforms/test_random_programs.py`.
"""

from __future__ import annotations

import os

import numpy as np
import pytest

import wengert as wg

SEEDS = int(os.environ.get("WENGERT_SEEDS", "48"))
FIRST = int(os.environ.get("WENGERT_FIRST_SEED", "0"))


# ── the machine ───────────────────────────────────────────────────────────────


class Machine:
    """A pool of arrays, and instructions that add to it or write into it."""

    def __init__(self, seed, pool, steps, *, xp=np, writes=True, transforms=True, depth=0, closed=()):
        self.rng = np.random.default_rng(seed)
        self.pool, self.steps, self.xp, self.depth = list(pool), steps, xp, depth
        self.closed = list(closed)
        self.writes, self.transforms = writes, transforms and depth < 2

    def any(self, ndim=0):
        """A value of the pool, or one that the program closes over."""
        found = [v for v in self.pool + self.closed if np.ndim(v) >= ndim]
        return found[self.rng.integers(len(found))] if found else None

    def own(self, ndim=1):
        found = [v for v in self.pool if np.ndim(v) >= ndim]
        return found[self.rng.integers(len(found))] if found else None

    def run(self):
        kinds = (
            ["unary"] * 4
            + ["binary"] * 5
            + ["reduce"] * 3
            + ["move"] * 4
            + ["index"] * 4
            + ["join", "contract", "select", "scan"]
        )
        kinds += ["write"] * 6 * self.writes + ["transform"] * 2 * self.transforms
        for _ in range(self.steps):
            kind = kinds[self.rng.integers(len(kinds))]
            new = getattr(self, kind)()
            if new is not None and np.size(new) <= 60 and np.ndim(new) <= 4:
                self.pool.append(new)
        total = 0.0
        for i, v in enumerate(self.pool):
            total = total + self.xp.sum(self.xp.sin(v * 0.7 + 0.1 * i)) / (1 + np.size(v))
        return total

    def pick(self, *choices):
        return choices[self.rng.integers(len(choices))]

    # ── pure instructions ──

    def unary(self):
        xp, x = self.xp, self.any()
        return self.pick(
            lambda: xp.sin(x),
            lambda: xp.tanh(x) * 1.5,
            lambda: xp.exp(-x * x),
            lambda: xp.sqrt(x * x + 0.5),
            lambda: -x,
            lambda: 0.5 * x + 1,
            lambda: 1.0 / (1.5 + x**2),
            lambda: xp.abs(x + 0.123),
            lambda: xp.log1p(x * x),
            lambda: xp.arctan(x) ** 3,
            lambda: 2.0 - x,
            lambda: xp.cos(x).copy(),
        )()

    def binary(self):
        xp, x = self.xp, self.any()
        same = [v for v in self.pool + self.closed if fits(np.shape(v), np.shape(x))]
        y = same[self.rng.integers(len(same))] if same else 0.7
        if self.rng.random() < 0.15:
            y = self.rng.normal(size=np.shape(x))
        return self.pick(
            lambda: x + y,
            lambda: x - y,
            lambda: xp.tanh(x * y),
            lambda: x / (1.5 + y * y),
            lambda: xp.maximum(x, y),
            lambda: xp.hypot(x, y + 3.0),
            lambda: xp.where(x > y, x, 0.5 * y),
            lambda: xp.arctan2(x, y * y + 1.0),
            lambda: xp.logaddexp(x, y),
            lambda: xp.minimum(x, 0.3) * y,
        )()

    def reduce(self):
        xp, x = self.xp, self.any()
        n = np.ndim(x)
        axis = self.pick(None, *range(-n, n), *([tuple(range(n))] if n > 1 else []))
        keep = bool(self.rng.integers(2))
        return self.pick(
            lambda: xp.sum(x, axis=axis, keepdims=keep) * 0.5,
            lambda: xp.mean(x, axis=axis, keepdims=keep),
            lambda: xp.max(x, axis=axis, keepdims=keep, initial=-9.0),
            lambda: xp.min(x, axis=axis) if np.size(x) else x * 1.0,
            lambda: xp.tanh(xp.prod(x, axis=axis if not isinstance(axis, tuple) else None)),
            lambda: xp.sqrt(xp.var(x, axis=axis) + 0.3),
            lambda: xp.sum(x * x, axis=axis) ** 0.5 if n else x,
        )()

    def move(self):
        xp, x = self.xp, self.any()
        n = np.ndim(x)
        order = tuple(int(i) for i in self.rng.permutation(n))
        k = int(self.rng.integers(n + 1))
        moved = self.pick(
            lambda: xp.transpose(x, order),
            lambda: x.T if n else x * 1.0,
            lambda: xp.reshape(x, (-1,)),
            lambda: xp.reshape(x, (*np.shape(x)[::-1],)),
            lambda: xp.expand_dims(x, k),
            lambda: xp.ravel(x),
            lambda: xp.broadcast_to(x, (2, *np.shape(x))) * 1.0,
            lambda: xp.flip(x, axis=0) if n else x + 0.0,
            lambda: xp.roll(x, 1),
            lambda: xp.squeeze(x),
            lambda: xp.swapaxes(x, 0, -1) if n > 1 else x * 2.0,
            lambda: xp.moveaxis(x, 0, -1) if n > 1 else x + 2.0,
            lambda: xp.repeat(x, 2, axis=0) if n else x - 1.0,
            lambda: xp.tile(x, 2),
            lambda: xp.pad(x, 1) if n == 1 else x * 1.0,
            lambda: xp.atleast_2d(x),
        )
        return moved()

    def key(self, shape, basic):
        """A random key for an array of `shape`, and whether each element is named once."""
        entries = []
        n = len(shape)
        if not basic:
            form = self.rng.integers(3)
            if form == 0:
                return self.rng.integers(2, size=shape).astype(bool)
            axis = int(self.rng.integers(n))
            index = self.rng.integers(-shape[axis], shape[axis], size=self.pick((2,), (3,), (2, 2)))
            if form == 1 or n == 1:
                return (slice(None),) * axis + (index,)
            other = int(self.rng.integers(n - 1))
            entries = [slice(None)] * n
            entries[axis] = index
            entries[other if other != axis else n - 1] = self.pick(0, slice(0, 1), -1)
            return tuple(entries)
        for d in shape[: self.rng.integers(1, n + 1)]:
            start = int(self.rng.integers(d))
            entries.append(
                self.pick(
                    start, slice(None), slice(start, None), slice(None, None, -1), slice(None, None, 2), start - d
                )
            )
        if self.rng.random() < 0.2:
            entries.insert(int(self.rng.integers(len(entries) + 1)), None)
        if self.rng.random() < 0.2:
            entries.append(Ellipsis)
        return tuple(entries) if len(entries) > 1 or self.rng.random() < 0.5 else entries[0]

    def index(self):
        x = self.any(1)
        return None if x is None or 0 in np.shape(x) else x[self.key(np.shape(x), self.rng.random() < 0.7)]

    def join(self):
        xp, x = self.xp, self.any()
        same = [v for v in self.pool + self.closed if np.shape(v) == np.shape(x)]
        y = same[self.rng.integers(len(same))]
        axis = int(self.rng.integers(np.ndim(x) + 1))
        if np.ndim(x) and self.rng.random() < 0.5:
            return xp.concatenate([x, y * 0.5], axis=axis % np.ndim(x))
        return xp.stack([y, x], axis=axis)

    def contract(self):
        xp, x = self.xp, self.any(1)
        if x is None or 0 in np.shape(x):
            return None
        d = np.shape(x)[-1]
        a = self.rng.normal(size=(d, 2))
        return self.pick(
            lambda: xp.tanh(x @ a),
            lambda: xp.tanh(xp.einsum("...i,...i->...", x, x)),
            lambda: xp.tanh(xp.dot(x, a)),
            lambda: xp.tanh(xp.matmul(x, xp.swapaxes(x, -1, -2)) if np.ndim(x) > 1 else xp.outer(x, x)),
            lambda: xp.tanh(xp.tensordot(x, x, axes=([-1], [-1]))) if np.ndim(x) < 3 else None,
        )()

    def select(self):
        xp, x = self.xp, self.any(1)
        if x is None or 0 in np.shape(x):
            return None
        return self.pick(
            lambda: xp.sort(x, axis=-1),
            lambda: xp.take(x, np.array([0, 0]), axis=0),
            lambda: xp.clip(x, -0.6, 0.9),
            lambda: xp.where(self.rng.integers(2, size=np.shape(x)) > 0, x, 0.2),
            lambda: xp.take_along_axis(x, xp.argsort(x, axis=0), axis=0),
            lambda: xp.linalg.norm(x + 2.0),
            lambda: xp.diff(x, axis=-1) if np.shape(x)[-1] > 1 else x * 1.0,
        )()

    def scan(self):
        xp, x = self.xp, self.any(1)
        return (
            None
            if x is None
            else self.pick(lambda: xp.cumsum(x, axis=-1) * 0.5, lambda: xp.tanh(xp.cumprod(x, axis=0)))()
        )

    # ── writes ──

    def write(self):
        x = self.own()
        if x is None or 0 in np.shape(x):
            return None
        if self.rng.random() < 0.3:
            x = x.copy()
            self.pool.append(x)
        if not writeable(x) or any(np.shares_memory(x, c) for c in self.closed):
            return None  # a write to what the transform closes over would come out of it, which is refused
        basic = self.rng.random() < 0.7
        key = self.key(np.shape(x), basic)
        part = np.shape(np.empty(np.shape(x))[key])
        plain = type(x) is np.ndarray  # under an inner vmap: examples' values do not go into an array of all
        same = [v for v in self.pool + self.closed if goes_into(np.shape(v), part)] if self.rng.random() < 0.8 else []
        same = [0.4 if plain and type(v) is wg.Tensor else v for v in same]
        value = same[self.rng.integers(len(same))] if same else 0.4
        axis = int(self.rng.integers(np.ndim(x)))
        xp = self.xp

        def augmented():
            x[key] += value * 0.5

        def scaled():
            x[key] *= 0.3

        def through_view():
            v = x[key]
            if np.ndim(v) and basic:
                v -= 0.1
                v[...] = v * 0.9

        def through_transpose():
            t = x.T
            t[...] = t + 0.25
            t[0] = t[-1] * 0.5

        def whole():
            nonlocal x
            x *= 0.7
            x += 0.1

        def assign():
            x[key] = value

        def swap():
            tmp = x[0].copy() if np.ndim(x) > 1 else x[0]
            x[0] = x[-1]
            x[-1] = tmp

        def rows():
            for i in range(np.shape(x)[0]):
                x[i] = xp.sin(x[i]) + (x[i - 1] if i else 0.0) * 0.5

        def out():
            xp.add(x, 0.2, out=x)
            xp.multiply(x, xp.cos(x), out=x)

        def flat():
            x.flat[0] = x.flat[-1] * 0.5

        def overlapping():
            n = np.shape(x)[axis]
            if n > 1:
                lead = (slice(None),) * axis
                x[(*lead, slice(1, None))] = x[(*lead, slice(None, -1))]

        def filled():
            x.fill(0.3)

        def copyto():
            xp.copyto(x, x * 0.8 + 0.1)

        self.pick(
            assign,
            assign,
            assign,
            augmented,
            augmented,
            scaled,
            through_view,
            through_transpose,
            whole,
            swap,
            rows,
            out,
            flat,
            overlapping,
            filled,
            copyto,
        )()
        return x[key] if basic and self.rng.random() < 0.5 else None

    # ── transforms within the program ──

    def inner(self, closes=True):
        """A scalar function of one array, which may close over the pool."""
        seed, steps = int(self.rng.integers(1 << 30)), int(self.rng.integers(1, 5))
        closed = [v for v in self.pool if self.rng.random() < 0.3] if closes else []
        writes, depth, transforms = self.writes, self.depth + 1, self.transforms

        def f(x):
            pool = [x * 1.0]
            return Machine(seed, pool, steps, writes=writes, depth=depth, closed=closed, transforms=transforms).run()

        return f

    def transform(self):
        x = self.any(1)
        if x is None or 0 in np.shape(x) or np.size(x) > 12:
            return None
        f = self.inner()
        which = self.pick(
            "grad",
            "checkpoint",
            "vmap",
            "jvp",
            "vjp",
            "tape",
            "custom_vjp",
            "custom_jvp",
            "linearize",
            "hvp",
            "jacobian",
            "vmap grad",
            "nested checkpoint",
        )
        v = self.rng.normal(size=np.shape(x))
        match which:
            case "grad":
                return wg.grad(f)(x)
            case "checkpoint":
                return wg.checkpoint(lambda x: (f(x), x * 2.0))(x)[self.rng.integers(2)]
            case "vmap":
                return wg.vmap(f)(x)
            case "jvp":
                return wg.jvp(f, (x,), (v,))[1]
            case "vjp":
                out, pull = wg.vjp(lambda x: x * f(x), x)
                ct = xp_like(out, v)
                return pull(ct)[0] + (pull(out)[0] if self.rng.random() < 0.5 else 0.0)
            case "tape":
                with wg.GradientTape() as tape:
                    y = tape.watch(x)
                    z = f(y) * f(y * 0.5)
                return tape.gradient(z, y)
            case "custom_vjp":
                g = wg.custom_vjp(lambda x: np.sin(x) * x)
                g.defvjp(lambda x: (np.sin(x) * x, x), lambda x, ct: (ct * (np.sin(x) + x * np.cos(x)),))
                return g(x)
            case "custom_jvp":
                g = wg.custom_jvp(lambda x: np.sin(x) * x)
                g.defjvp(
                    lambda primals, tangents: (
                        np.sin(primals[0]) * primals[0],
                        tangents[0] * (np.sin(primals[0]) + primals[0] * np.cos(primals[0])),
                    )
                )
                return wg.vmap(g)(x)
            case "linearize":
                return wg.linearize(f, x)[1](v)
            case "hvp" if self.depth == 0:
                return wg.hvp(f, (x,), (v,))
            case "jacobian" if self.depth == 0:
                return wg.jacobian(lambda x: x * f(x))(x) if np.ndim(x) == 1 else None
            case "vmap grad":
                return wg.vmap(wg.grad(f))(x)
            case "nested checkpoint":
                return wg.checkpoint(lambda x: wg.checkpoint(f)(x * 0.5) + f(x))(x)
        return None


def fits(shape, target):
    try:
        return np.prod(np.broadcast_shapes(shape, target)) <= 60
    except ValueError:
        return False


def goes_into(shape, target):
    try:
        return np.broadcast_shapes(shape, target) == target
    except ValueError:
        return False


def writeable(x):
    return type(x) is wg.Tensor or x.flags.writeable


def xp_like(out, v):
    return out * 0.0 + v


def program(seed, **options):
    rng = np.random.default_rng([seed, 1])
    steps = int(rng.integers(4, 25))
    shapes = [tuple(int(d) for d in rng.integers(1, 4, size=rng.integers(1, 4))) for _ in range(2)]
    args = [rng.normal(size=s) for s in shapes]

    def f(x, y):
        with np.errstate(all="ignore"):
            return Machine(seed, [x * 1.0, y * 1.0], steps, **options).run()

    return f, args


# ── checks ────────────────────────────────────────────────────────────────────


def directional(f, args, dots, h):
    up = f(*[a + h * d for a, d in zip(args, dots, strict=True)])
    down = f(*[a - h * d for a, d in zip(args, dots, strict=True)])
    return float(up - down) / (2 * h)


def check_slope(f, args, dots, slope):
    """Against finite differences; where two steps disagree (a kink is near), nothing is said."""
    coarse, fine = directional(f, args, dots, 1e-4), directional(f, args, dots, 1e-5)
    if abs(coarse - fine) < 1e-5 * (1 + abs(fine)):
        np.testing.assert_allclose(slope, fine, rtol=2e-4, atol=2e-4)


@pytest.mark.parametrize("seed", range(FIRST, FIRST + SEEDS))
def test_first_order(seed):
    f, args = program(seed)
    rng = np.random.default_rng([seed, 2])
    dots = [rng.normal(size=a.shape) for a in args]
    before = [a.copy() for a in args]
    plain = f(*args)
    if not np.isfinite(plain):
        return  # a mean of nothing
    value, gradient = wg.value_and_grad(f, argnums=(0, 1))(*args)
    np.testing.assert_allclose(value, plain, rtol=1e-12)
    slope = sum(np.sum(g * d) for g, d in zip(gradient, dots, strict=True))
    out, tangent = wg.jvp(f, args, dots)
    np.testing.assert_allclose(out, plain, rtol=1e-12)
    if not np.isfinite(slope):
        return  # a norm at zero
    np.testing.assert_allclose(tangent, slope, rtol=1e-8, atol=1e-8)
    check_slope(f, args, dots, slope)
    for a, b, g in zip(args, before, gradient, strict=True):
        np.testing.assert_array_equal(a, b)
        assert g.shape == a.shape
        assert a.flags.writeable


@pytest.mark.parametrize("seed", range(FIRST, FIRST + SEEDS // 3))
def test_second_order(seed):
    f, args = program(seed)
    rng = np.random.default_rng([seed, 3])
    v, w = ([rng.normal(size=a.shape) for a in args] for _ in range(2))

    def slope(*args):
        gradient = wg.grad(f, argnums=(0, 1))(*args)
        return sum(np.sum(g * d) for g, d in zip(gradient, v, strict=True))

    reverse = wg.grad(slope, argnums=(0, 1))(*args)
    forward = wg.hvp(f, tuple(args), tuple(v))
    if not all(np.isfinite(r).all() for r in reverse):
        return
    for r, q in zip(reverse, forward, strict=True):
        np.testing.assert_allclose(r, q, rtol=1e-7, atol=1e-7)
    check_slope(slope, args, w, sum(np.sum(r * d) for r, d in zip(reverse, w, strict=True)))


@pytest.mark.parametrize("seed", range(FIRST, FIRST + SEEDS // 3))
def test_vmap(seed):
    f, args = program(seed)
    rng = np.random.default_rng([seed, 4])
    many = [a + 0.3 * rng.normal(size=(3, *a.shape)) for a in args]
    each = [f(*row) for row in zip(*many, strict=True)]
    np.testing.assert_allclose(wg.vmap(f)(*many), each, rtol=1e-10, atol=1e-12)
    one, two = wg.vmap(wg.grad(f, argnums=(0, 1)))(*many)
    for i, row in enumerate(zip(*many, strict=True)):
        g, h = wg.grad(f, argnums=(0, 1))(*row)
        np.testing.assert_allclose(one[i], g, rtol=1e-8, atol=1e-10)
        np.testing.assert_allclose(two[i], h, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("seed", range(FIRST, FIRST + SEEDS // 3))
def test_pullbacks_tapes_and_checkpoints_agree_with_grad(seed):
    f, args = program(seed)
    want = wg.grad(f, argnums=(0, 1))(*args)
    _, pull = wg.vjp(f, *args)
    pull(2.0)
    with wg.GradientTape(persistent=True) as tape:
        xs = tape.watch(list(args))
        z = f(*xs)
    tape.gradient(z, xs)
    for found in (
        pull(1.0),
        tape.gradient(z, xs, unconnected="zero"),
        wg.grad(wg.checkpoint(f), argnums=(0, 1))(*args),
    ):
        for g, w in zip(found, want, strict=True):
            np.testing.assert_allclose(g, w, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("seed", range(FIRST, FIRST + max(5, SEEDS // 12)))
def test_against_jax(seed):
    jax = pytest.importorskip("jax", reason="a peer to compare with")
    jax.config.update("jax_enable_x64", True)
    f, args = program(seed, writes=False, transforms=False)
    g, _ = program(seed, writes=False, transforms=False, xp=jax.numpy)
    for ours, theirs in zip(wg.grad(f, argnums=(0, 1))(*args), jax.grad(g, argnums=(0, 1))(*args), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-9)
