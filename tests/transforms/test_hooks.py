"""Hooks on gradients: when they are called, with what, and what becomes of what they return. PyTorch is the oracle."""

import gc
import weakref

import numpy as np
import pytest

import wengert as wg
from wengert.transforms.checkpoint import offload

X = np.array([0.3, 1.1, -0.7])


def torch_():
    return pytest.importorskip("torch")


def programs(xp):
    """Programs of one input, which register hooks through `hook(tensor, fn)`; of NumPy's and of PyTorch's functions alike."""

    def several_uses(x, hook, seen):
        y = xp.sin(x)
        hook(y, lambda g: seen.append(("y", g)))
        return (y * y).sum() + (y * x).sum() + y[0]

    def replaced(x, hook, seen):
        y = xp.exp(x)
        hook(y, lambda g: g * 2.0)
        hook(y, lambda g: seen.append(("y", g)))
        z = y * x
        hook(z, lambda g: g + 1.0)
        hook(x, lambda g: seen.append(("x", g)))
        return (z * z).sum()

    def several_hooks_in_order(x, hook, seen):
        for k in range(3):
            hook(x, lambda g, k=k: (seen.append((k, g)), g * (k + 2.0))[1])
        return (x * x * x).sum()

    def late(x, hook, seen):
        y = xp.tanh(x)
        z = (y * y).sum() + (x * y).sum()
        hook(y, lambda g: (seen.append(("late", g)), g * 3.0)[1])
        hook(z, lambda g: (seen.append(("z", g)), g * 0.5)[1])
        return z

    def removed(x, hook, seen):
        kept = hook(x, lambda g: g * 5.0)
        gone = hook(x, lambda g: g * 7.0)
        gone.remove()
        gone.remove()
        assert kept is not gone
        return (x * x).sum()

    def unreached(x, hook, seen):
        y = xp.sin(x)
        hook(y, lambda g: seen.append(("never", g)))
        return (x * x).sum()

    def with_values(x, hook, seen):
        y = xp.sin(x)
        hook(y, lambda g: g * y)
        return (y * y).sum()

    return [several_uses, replaced, several_hooks_in_order, late, removed, unreached, with_values]


NUMBERS = range(7)


def ours(f, seen):
    return lambda x: f(x, lambda t, fn: t.register_hook(fn), seen)


@pytest.mark.parametrize("number", NUMBERS)
def test_as_in_torch(number):
    torch = torch_()
    theirs, seen, told = programs(torch)[number], [], []
    t = torch.tensor(X, requires_grad=True)
    theirs(t, lambda x, fn: x.register_hook(fn), told).backward()
    found = wg.grad(ours(programs(np)[number], seen))(X)
    np.testing.assert_allclose(found, t.grad.numpy(), rtol=1e-13)
    assert sorted(str(name) for name, _ in seen) == sorted(str(name) for name, _ in told)
    for name, g in told:
        assert any(n == name and np.allclose(h, g.detach().numpy(), rtol=1e-13) for n, h in seen)


@pytest.mark.parametrize("number", NUMBERS)
def test_a_tape_and_vjp_give_the_same(number):
    f = programs(np)[number]
    expected = wg.grad(ours(f, []))(X)
    with wg.GradientTape(persistent=True) as tape:
        x = tape.watch(X)
        out = ours(f, [])(x)
    for _ in range(2):
        np.testing.assert_array_equal(tape.gradient(out, x), expected)
    _, pull = wg.vjp(ours(f, []), X)
    for _ in range(2):
        np.testing.assert_array_equal(pull(1.0)[0], expected)


@pytest.mark.parametrize("number", NUMBERS)
def test_staged(number):
    def f(x):
        return programs(np)[number](x, lambda t, fn: t.register_hook(fn), [])

    expected = wg.grad(f)(X)
    compiled = wg.jit(wg.grad(f))
    for _ in range(2):
        np.testing.assert_allclose(compiled(X), expected, rtol=1e-13)


@pytest.mark.parametrize("number", NUMBERS)
def test_of_each_example(number):
    def f(x):
        return programs(np)[number](x, lambda t, fn: t.register_hook(fn), [])

    xs = np.stack([X, 2 * X, X - 1])
    np.testing.assert_allclose(wg.vmap(wg.grad(f))(xs), np.stack([wg.grad(f)(x) for x in xs]), rtol=1e-13)


def test_replacements_are_differentiated():
    torch = torch_()

    def scaled(x):
        y = np.sin(x)
        y.register_hook(lambda g: g * g * x)
        return (y * y).sum()

    # y = sin x has the gradient 2 sin x, replaced by 4 sin² x · x; times cos x
    def by_hand(x):
        return 4 * np.sin(x) ** 2 * x * np.cos(x)

    np.testing.assert_allclose(wg.grad(scaled)(X), by_hand(X), rtol=1e-13)
    for outer in (wg.jacfwd, wg.jacrev):
        np.testing.assert_allclose(outer(wg.grad(scaled))(X), outer(by_hand)(X), rtol=1e-12, atol=1e-12)
    t = torch.tensor(X, requires_grad=True)
    y = torch.sin(t)
    y.register_hook(lambda g: g * g * t)
    (g,) = torch.autograd.grad((y * y).sum(), t, create_graph=True)
    np.testing.assert_allclose(g.detach().numpy(), by_hand(X), rtol=1e-13)


def test_each_contribution():
    calls = []

    def f(x):
        x.register_hook(lambda c, total: calls.append((c.copy(), total.copy())), each=True)
        return (2 * x).sum() + (x * x).sum() + (3 * x).sum()

    found = wg.grad(f)(X)
    assert len(calls) == 4  # of x * x two
    np.testing.assert_allclose(sum(c for c, _ in calls), found)
    np.testing.assert_allclose(calls[-1][1], found)
    np.testing.assert_allclose([t for _, t in calls], np.cumsum([c for c, _ in calls], axis=0))


def test_each_contribution_of_indexing_in_place():
    totals = []

    def f(x):
        x.register_hook(lambda c, total: totals.append(total.copy()), each=True)
        return sum((x[i] * x[i] for i in range(3)), 0.0)

    np.testing.assert_allclose(wg.grad(f)(X), 2 * X)
    assert len(totals) == 6
    np.testing.assert_allclose(totals[-1], 2 * X)


def test_the_event_tells_of_contributions():
    told = []
    with wg.events.listening(
        accumulated=lambda var, contribution, total: told.append((var.shape, contribution, total))
    ):
        wg.grad(lambda x: (x * x).sum())(X)
    ((shape, contribution, total),) = told
    assert shape == (3,)
    np.testing.assert_allclose(total, 2 * X)
    np.testing.assert_allclose(contribution, X)


def test_what_hooks_are_given_cannot_be_written():
    def f(x):
        x.register_hook(lambda g: g.__setitem__(0, 5.0))
        return (x * x).sum()

    with pytest.raises(ValueError, match="read-only"):
        wg.grad(f)(X)


def test_a_kept_gradient_stays():
    kept = []

    def f(x):
        y = x * 1.0
        y.register_hook(lambda g: kept.append(g))
        return (np.sin(y) * y).sum() + y.sum()

    x = np.linspace(0, 1, 50_000)
    wg.grad(f)(x)
    np.testing.assert_allclose(kept[0], np.cos(x) * x + np.sin(x) + 1)


@pytest.mark.parametrize(
    ("given", "error"),
    [
        (lambda g: g[:2], wg.errors.ShapeError),
        (lambda g: 1.0, wg.errors.ShapeError),
        (lambda g: g.astype(np.float32), wg.errors.DTypeError),
        (lambda g: "no", wg.errors.DTypeError),
    ],
)
@pytest.mark.parametrize("function", [False, True])
def test_replacements_are_checked(given, error, function):
    def f(x):
        if function:
            return (wg.gradient_hook(x, given) ** 2).sum()
        x.register_hook(given)
        return (x * x).sum()

    with pytest.raises(error, match=r"test_hooks\.py"):
        wg.grad(f)(X)


def test_complex_gradients_in_the_users_convention():
    torch = torch_()
    z, seen = X + 1j * X[::-1], []

    def f(z):
        w = z * (1 + 2j)
        w.register_hook(lambda g: (seen.append(g), g * 1j)[1])
        return (w * np.conj(w)).real.sum()

    t = torch.tensor(z, requires_grad=True)
    w = t * (1 + 2j)
    told = []
    w.register_hook(lambda g: (told.append(g), g * 1j)[1])
    (w * w.conj()).real.sum().backward()
    np.testing.assert_allclose(wg.grad(f)(z), t.grad.numpy())
    np.testing.assert_allclose(seen[0], told[0].numpy())
    np.testing.assert_allclose(wg.grad(lambda z: (abs(wg.gradient_hook(z, lambda g: g * 1j)) ** 2).sum())(z), 2j * z)


def test_the_hook_belongs_to_the_value():
    torch = torch_()

    def run(x, hook):
        y = x * 2.0
        hook(y, lambda g: g * 10.0)
        y[0] = 7.0
        return (y * y).sum()

    t = torch.tensor(X, requires_grad=True)
    run(t, lambda y, fn: y.register_hook(fn)).backward()
    np.testing.assert_allclose(wg.grad(lambda x: run(x, lambda y, fn: y.register_hook(fn)))(X), t.grad.numpy())


def test_intermediate_sources_are_given_as_hooks_leave_them():
    torch = torch_()
    with wg.GradientTape() as tape:
        x = tape.watch(X)
        y = np.sin(x)
        y.register_hook(lambda g: g * 3.0)
        z = (y * y).sum()
    gy, gx = tape.gradient(z, [y, x])
    t = torch.tensor(X, requires_grad=True)
    u = torch.sin(t)
    u.register_hook(lambda g: g * 3.0)
    u.retain_grad()
    (u * u).sum().backward()
    np.testing.assert_allclose(gy, u.grad.numpy())
    np.testing.assert_allclose(gx, t.grad.numpy())


def test_refusals():
    with pytest.raises(wg.errors.TapeError, match="a constant"):
        wg.grad(lambda x: (wg.numpy.zeros(3).register_hook(print), x.sum())[1])(X)
    with pytest.raises(wg.errors.TapeError, match="gradient_hook"):
        wg.jvp(lambda x: (x.register_hook(print), x)[1], (X,), (X,))
    with pytest.raises(wg.errors.TapeError, match="gradient_hook"):
        wg.vmap(lambda x: (x.register_hook(print), x)[1])(X)
    with pytest.raises(wg.errors.TapeError, match="gradient_hook"):
        wg.jit(lambda x: (x.register_hook(print), x)[1])(X)
    kept = []
    wg.grad(lambda x: (kept.append(x), x.sum())[1])(X)
    with pytest.raises(wg.errors.TracerLeak):
        kept[0].register_hook(print)


def test_in_a_checkpointed_function():
    seen = []

    def block(x):
        y = np.sin(x)
        y.register_hook(lambda g: (seen.append(g), g * 2.0)[1])
        x.register_hook(lambda g: g + 1.0)
        return y * y

    found = wg.grad(lambda x: wg.checkpoint(block)(x).sum())(X)
    assert len(seen) == 1
    np.testing.assert_allclose(found, wg.grad(lambda x: block(x).sum())(X))

    def outside(x):
        return wg.checkpoint(lambda: (x.register_hook(print), np.sin(x))[1])().sum()

    with pytest.raises(wg.errors.TapeError, match="from outside"):
        wg.grad(outside)(X)


def test_a_gradient_within_a_checkpoint_has_its_hooks_in_both_runs():
    def inner(x):
        x.register_hook(lambda g: g * 3.0)
        return (x**3).sum()

    def block(x):
        return wg.grad(inner)(x)

    np.testing.assert_allclose(wg.grad(lambda x: wg.checkpoint(block)(x).sum())(X), 18 * X)
    np.testing.assert_allclose(wg.grad(lambda x: block(x).sum())(X), 18 * X)


# ── gradient_hook ─────────────────────────────────────────────────────────────


def clip(g):
    return np.clip(g, -1.0, 1.0)


def clipped(x):
    return (wg.gradient_hook(np.sin(x), clip) * 3 * x).sum() + np.sin(x).sum()


def clipped_by_hand(x):
    return np.clip(3 * x, -1, 1) * np.cos(x) + 3 * np.sin(x) + np.cos(x)


MODES = {
    "eager": wg.grad(clipped),
    "jit of grad": wg.jit(wg.grad(clipped)),
    "grad of jit": wg.grad(wg.jit(clipped)),
    "of checkpoint": wg.grad(wg.checkpoint(clipped)),
    "in vmap": lambda x: wg.grad(
        lambda x: wg.vmap(lambda a: wg.gradient_hook(np.sin(a), clip) * 3 * a)(x).sum() + np.sin(x).sum()
    )(x),
    "jit of vmap": wg.jit(
        wg.grad(lambda x: wg.vmap(lambda a: wg.gradient_hook(np.sin(a), clip) * 3 * a)(x).sum() + np.sin(x).sum())
    ),
}


@pytest.mark.parametrize("mode", MODES)
def test_gradient_hook_in_every_mode(mode):
    np.testing.assert_allclose(MODES[mode](X), clipped_by_hand(X), rtol=1e-13)


def test_gradient_hook_concerns_one_use():
    def f(x):
        y = wg.gradient_hook(x, lambda g: 0.0 * g)
        return (y * x).sum()

    np.testing.assert_allclose(wg.grad(f)(X), X)


def test_gradient_hook_of_scan():
    def f(x):
        def step(c, a):
            c = wg.gradient_hook(c, lambda g: g * 0.5) * a
            return c, c

        out, _ = wg.scan(step, x[0], x[1:])
        return out

    expected = np.array([0.25 * X[1] * X[2], 0.5 * X[0] * X[2], X[0] * X[1]])
    np.testing.assert_allclose(wg.grad(f)(X), expected)
    np.testing.assert_allclose(wg.jit(wg.grad(f))(X), expected)


def test_gradient_hook_of_the_second_order():
    torch = torch_()
    found = wg.grad(lambda x: wg.grad(lambda x: (wg.gradient_hook(x, lambda g: g * g) ** 2).sum())(x).sum())(X)
    t = torch.tensor(X, requires_grad=True)
    u = t * 1.0
    u.register_hook(lambda g: g * g)
    (g,) = torch.autograd.grad((u**2).sum(), t, create_graph=True)
    np.testing.assert_allclose(found, torch.autograd.grad(g.sum(), t)[0].numpy(), rtol=1e-12)
    np.testing.assert_array_equal(wg.jvp(lambda x: wg.gradient_hook(x, clip) * 2, (X,), (X,))[1], 2 * X)
    assert wg.gradient_hook(X, clip) is X
    assert wg.gradient_hook(3, clip) == 3


def test_hooks_leave_no_garbage():
    def f(x):
        y = np.sin(x)
        y.register_hook(lambda g: g * y)  # a circle: the tape, the hook, the Tensor
        return (y * y).sum()

    gc.collect()
    gc.disable()
    try:
        big = np.ones(1000)
        wg.grad(f)(big)
        ref = weakref.ref(big)
        del big
        assert ref() is None
    finally:
        gc.enable()


# ── what tapes keep, in every mode ────────────────────────────────────────────


def network(w):
    h = np.tanh(np.outer(X, w))
    return (h @ w * np.sin(h @ w)).sum()


W = np.array([0.5, -1.0, 2.0])
ORDERS = {
    "grad": lambda f: wg.grad(f),
    "grad of grad": lambda f: wg.grad(lambda w: (wg.grad(f)(w) ** 2).sum()),
    "hvp": lambda f: lambda w: wg.hvp(f, (w,), (X,)),
    "reverse over forward": lambda f: wg.grad(lambda w: wg.jvp(f, (w,), (X,))[1]),
    "hessian": wg.hessian,
    "jacrev of jacrev": lambda f: wg.jacrev(wg.jacrev(f)),
    "vmap": lambda f: lambda w: wg.vmap(wg.grad(f))(np.stack([w, 2 * w])),
    "per example": lambda f: wg.grad(lambda w: wg.vmap(f)(np.stack([w, 2 * w])).sum()),
    "checkpoint": lambda f: wg.grad(wg.checkpoint(f)),
    "third order": lambda f: wg.grad(lambda w: (wg.grad(lambda w: (wg.grad(f)(w) ** 2).sum())(w) ** 2).sum()),
    "grad of jit": lambda f: wg.grad(wg.jit(f)),
    "jit of grad": lambda f: wg.jit(wg.grad(f)),
}


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("hooks", ["copies", "disk", "zlib"])
def test_saved_tensors_in_every_mode(order, hooks, tmp_path, monkeypatch):
    run = ORDERS[order](network)
    expected = run(W)
    monkeypatch.setattr(offload, "LEAST", 1)
    blocks = {
        "copies": lambda: wg.saved_tensors_hooks(lambda a: (a.shape, a.dtype, a.tobytes()), remade),
        "disk": lambda: wg.save_on_disk(least=1),
        "zlib": lambda: wg.save_on_disk(tmp_path, least=1, compress="zlib"),
    }
    with blocks[hooks]():
        found = run(W)
    np.testing.assert_allclose(found, expected, rtol=1e-13)
    assert not list(tmp_path.iterdir())


def remade(kept):
    shape, dtype, data = kept
    return np.frombuffer(data, dtype).reshape(shape)


def test_as_many_arrays_as_torch_saves():
    torch = torch_()
    ours_, theirs = [], []

    def f(w, tanh):
        h = tanh(w * w)
        return (h * h).sum()

    with wg.saved_tensors_hooks(lambda a: (ours_.append(a.copy()), a)[1], lambda a: a):
        wg.grad(lambda w: f(w, np.tanh))(W)
    t = torch.tensor(W, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(
        lambda a: (theirs.append(a.detach().numpy().copy()), a)[1], lambda a: a
    ):
        f(t, torch.tanh)

    def distinct(arrays):
        return {a.tobytes() for a in arrays if a.size > 1}

    assert distinct(ours_) == distinct(theirs)
    assert len(ours_) == len(distinct(ours_))  # each once


def test_custom_rules_and_lossy_hooks():
    @wg.custom_vjp
    def f(x):
        return np.sin(x)

    f.defvjp(lambda x: (np.sin(x), x), lambda x, ct: (ct * np.cos(x),))
    seen = []
    with wg.saved_tensors_hooks(lambda a: (seen.append(1), a.astype(np.float16))[1], lambda a: a.astype(float)):
        found = wg.grad(lambda x: f(x).sum())(X)
    assert seen
    np.testing.assert_allclose(found, np.cos(X.astype(np.float16).astype(float)))
    assert not np.array_equal(found, np.cos(X))


def test_events_tell_of_packing():
    told = []
    with (
        wg.events.listening(
            packed=lambda row, kept, packed: told.append(("packed", row and row[0].name, np.shape(kept))),
            unpacked=lambda row, packed, kept: told.append(("unpacked", row and row[0].name, np.shape(kept))),
        ),
        wg.saved_tensors_hooks(lambda a: a.copy(), lambda a: a),
    ):
        wg.grad(lambda x: np.exp(x).sum())(X)
    assert told == [("packed", "exp", (3,)), ("unpacked", "exp", (3,))]
