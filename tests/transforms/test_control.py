"""Every program of `verify.control.constructs`, in every mode: eagerly, and staged, against Python's loops unrolled."""

import types
import warnings

import numpy as np
import pytest

import wengert as wg
from wengert.verify.control import plain
from wengert.verify.control.constructs import CONSTRUCTS

EXAMPLES = 3


def made(name, L):
    f = CONSTRUCTS[name].f
    return lambda *args: f(L, np, *args)


def arguments(name, lead=(), dtype=np.float64):
    rng = np.random.default_rng(len(name))
    drawn = [np.asarray(rng.normal(size=(*lead, *shape)) * 0.6 + 0.2) for shape in CONSTRUCTS[name].shapes]
    return [np.asarray(a, dtype) for a in drawn]


def scalar(f):
    """A real number on which each element of each result has its own effect."""

    def total(*args):
        outs = f(*args)
        return sum(
            np.sum(np.sin(o * np.cos(np.arange(float(o.size)).reshape(o.shape) + k))) for k, o in enumerate(outs)
        )

    return total


def tangents(args):
    return [np.cos(np.arange(float(a.size)).reshape(a.shape) + k) for k, a in enumerate(args)]


def every(args):
    return tuple(range(len(args)))


def fixed_but(f, args, k):
    """`f` of argument k alone."""
    return lambda x: f(*(x if i == k else a for i, a in enumerate(args)))


def joined(f, args):
    """`f` of all arguments as one vector."""
    sizes = np.cumsum([a.size for a in args])[:-1]
    return lambda v: f(*(p.reshape(a.shape) for p, a in zip(np.split(v, sizes), args, strict=True)))


def vector(args):
    return np.concatenate([a.ravel() for a in args])


def pulled(f):
    def run(*args):
        outs, pull = wg.vjp(f, *args)
        return pull(tuple(np.cos(o * 0 + k) for k, o in enumerate(outs)))

    return run


def third(f):
    def along(*args):
        return wg.jvp(lambda *b: wg.jvp(f, b, tangents(b))[1], args, tangents(args))[1]

    return lambda *args: wg.grad(along, every(args))(*args)


def forward_over_reverse(f):
    def run(*args):
        found = wg.hvp(f, args, tuple(tangents(args)))
        return found if len(args) > 1 else (found,)

    return run


def reverse_twice(f):
    def slope(*args):
        return sum(np.sum(g * t) for g, t in zip(wg.grad(f, every(args))(*args), tangents(args), strict=True))

    return lambda *args: wg.grad(slope, every(args))(*args)


def taped(f):
    def run(*args):
        with wg.GradientTape() as tape:
            xs = tape.watch(args)
            z = f(*xs)
        return tape.gradient(z, xs, unconnected="zero")

    return run


# mode → (a function → the function whose results are compared)
MODES = {
    "value": lambda f: f,
    "jvp": lambda f: lambda *args: wg.jvp(f, args, tangents(args)),
    "vjp": pulled,
    "grad": lambda f: lambda *args: wg.grad(scalar(f), every(args))(*args),
    "grad of one": lambda f: lambda *args: wg.grad(scalar(f), len(args) - 1)(*args),
    "linearize": lambda f: lambda *args: wg.linearize(f, *args)[1](*tangents(args)),
    "tape": lambda f: taped(scalar(f)),
    "checkpoint": lambda f: lambda *args: wg.grad(scalar(wg.checkpoint(f)), every(args))(*args),
    "forward over reverse": lambda f: forward_over_reverse(scalar(f)),
    "reverse over reverse": lambda f: reverse_twice(scalar(f)),
    "reverse over forward": lambda f: (
        lambda *args: wg.grad(lambda *b: wg.jvp(scalar(f), b, tangents(b))[1], every(args))(*args)
    ),
    "third order": lambda f: third(scalar(f)),
    "jacrev": lambda f: lambda *args: wg.jacrev(joined(f, args))(vector(args)),
    "jacfwd": lambda f: lambda *args: wg.jacfwd(joined(f, args))(vector(args)),
}
BATCHED = {
    "vmap": lambda f, axes: wg.vmap(f, axes),
    "vmap of grad": lambda f, axes: wg.vmap(lambda *args: wg.grad(scalar(f), every(args))(*args), axes),
    "grad of vmap": lambda f, axes: lambda *args: wg.grad(scalar(wg.vmap(f, axes)), every(args))(*args),
    "jvp of vmap": lambda f, axes: lambda *args: wg.jvp(wg.vmap(f, axes), args, tangents(args)),
    "vmap of hvp": lambda f, axes: wg.vmap(forward_over_reverse(scalar(f)), axes),
    "hvp of vmap": lambda f, axes: forward_over_reverse(scalar(wg.vmap(f, axes))),
}


def stacked(f, axes):
    """vmap by a loop over the examples."""

    def run(*args):
        rows = [f(*(a if k is None else a[b] for a, k in zip(args, axes, strict=True))) for b in range(EXAMPLES)]
        return tuple(np.stack(column) for column in zip(*rows, strict=True))

    return run


LOOPS = {
    "vmap": stacked,
    "vmap of grad": lambda f, axes: stacked(MODES["grad"](f), axes),
    "grad of vmap": lambda f, axes: MODES["grad"](stacked(f, axes)),
    "jvp of vmap": lambda f, axes: MODES["jvp"](stacked(f, axes)),
    "vmap of hvp": lambda f, axes: stacked(MODES["forward over reverse"](f), axes),
    "hvp of vmap": lambda f, axes: MODES["forward over reverse"](stacked(f, axes)),
}


def leaves(out):
    if isinstance(out, (tuple, list)):
        return [x for o in out for x in leaves(o)]
    return [np.asarray(out)]


def agree(got, want, what, tol=1e-9):
    got, want = leaves(got), leaves(want)
    assert len(got) == len(want), what
    for k, (g, w) in enumerate(zip(got, want, strict=True)):
        assert g.shape == w.shape and g.dtype == w.dtype, f"{what}, {k}: {g.dtype}{g.shape}, want {w.dtype}{w.shape}"
        np.testing.assert_allclose(
            g, w, rtol=tol, atol=tol * (1 + np.max(np.abs(w), initial=0)), err_msg=f"{what}, {k}"
        )


def staged(fun, compiled=False):
    """`fun`, staged and optimised; run op by op, so that it is the rules that are tested, or compiled."""

    def run(*args):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with wg.config.override(compile=compiled, disk_cache=False):
                return wg.jit(fun)(*args)

    return run


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", CONSTRUCTS)
def test_modes(name, mode):
    args, transform = arguments(name), MODES[mode]
    want = transform(wg.adopt(made(name, plain)))(*args)
    ours = made(name, wg)
    agree(transform(ours)(*args), want, "eager")
    agree(staged(transform(ours))(*args), want, "staged")
    if mode not in ("value", "checkpoint", "tape"):
        agree(transform(staged(ours))(*args), want, "of jit")


AXES = {
    "all": lambda n: (0,) * n,
    "the first": lambda n: (0,) + (None,) * (n - 1),
    "the last": lambda n: (None,) * (n - 1) + (0,),
}


@pytest.mark.parametrize("which", AXES)
@pytest.mark.parametrize("mode", BATCHED)
@pytest.mark.parametrize("name", CONSTRUCTS)
def test_batches(name, mode, which):
    axes = AXES[which](len(CONSTRUCTS[name].shapes))
    if which != "all" and len(axes) == 1:
        pytest.skip("one argument")
    many = arguments(name, lead=(EXAMPLES,))
    args = [m if k == 0 else a for m, a, k in zip(many, arguments(name), axes, strict=True)]
    want = LOOPS[mode](wg.adopt(made(name, plain)), axes)(*args)
    transform = BATCHED[mode](made(name, wg), axes)
    agree(transform(*args), want, "eager")
    agree(staged(transform)(*args), want, "staged")


@pytest.mark.parametrize("mode", ["forward over reverse", "third order", "vmap of grad"])
@pytest.mark.parametrize("name", CONSTRUCTS)
def test_compiled(name, mode):
    """What the matrix does not compile."""
    args = arguments(name)
    transform = MODES[mode](made(name, wg)) if mode in MODES else None
    if transform is None:
        args = arguments(name, lead=(EXAMPLES,))
        transform = BATCHED[mode](made(name, wg), (0,) * len(args))
    agree(staged(transform, compiled=True)(*args), transform(*args), "compiled")


@pytest.mark.parametrize("name", [name for name, c in CONSTRUCTS.items() if c.peer])
def test_the_same_text_in_jax(name):
    jax = pytest.importorskip("jax")
    jax.config.update("jax_enable_x64", True)
    args = arguments(name)

    def theirs(*args):
        lax = types.SimpleNamespace(**vars(jax.lax), call=None)
        return CONSTRUCTS[name].f(lax, jax.numpy, *map(jax.numpy.asarray, args))

    def total(f, np):
        return lambda *args: sum(
            np.sum(np.sin(o * np.cos(np.arange(float(o.size)).reshape(o.shape) + k))) for k, o in enumerate(f(*args))
        )

    ours = made(name, wg)
    value, dots = jax.jvp(theirs, args, tangents(args))
    agree(staged(ours)(*args), value, "value")
    agree(staged(lambda *args: wg.jvp(ours, args, tangents(args))[1])(*args), dots, "jvp")
    # by columns, since a loop that does not know its end has no reverse mode there
    gradient = jax.jacfwd(total(theirs, jax.numpy), every(args))(*args)
    agree(staged(wg.grad(scalar(ours), every(args)))(*args), gradient, "grad")
