"""Backward passes that come again are compiled: their values stay, and whatever is not the same again is swept."""

import gc
import threading
import weakref

import numpy as np
import pytest

import wengert as wg
from wengert.core.config import config
from wengert.runtime import backward, forms
from wengert.verify.generate.choices import RandomChoices
from wengert.verify.generate.programs import program

N = 12  # calls after which a tape that comes again is compiled, in these tests


@pytest.fixture(autouse=True)
def eager(monkeypatch, tmp_path):
    """Compile as soon as a form has been seen twice, whether that pays or not."""
    monkeypatch.setattr(config, "cache_dir", str(tmp_path))
    monkeypatch.setattr(config, "compiled_backward", True)
    monkeypatch.setattr(backward, "LOOK", 2)
    monkeypatch.setattr(backward, "_cost", lambda length: 0.0)
    monkeypatch.setattr(backward, "GAIN", float("inf"))
    backward.forget()
    yield
    backward.forget()


@pytest.fixture
def runs(monkeypatch):
    """The compiled sweeps that have run, one entry for each."""
    found = []
    real = backward._run

    def run(known, operands, n):
        outs = real(known, operands, n)
        if outs is not None and known in [k for site in backward.remembered() for k in site.forms]:
            found.append(known)
        return outs

    monkeypatch.setattr(backward, "_run", run)
    return found


def swept(f, *args, **kwargs):
    """`f` without compiled sweeps."""
    with config.override(compiled_backward=False):
        return f(*args, **kwargs)


def formula(x, y):
    z = np.tanh(x * y + 0.3) * np.exp(-(x**2))
    return np.sum(z @ y.T) + np.mean(np.log1p(np.exp(y)))


def arguments(seed, n=5):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, 4)), rng.normal(size=(n, 4))


def same(got, want):
    for x, y in zip(got, want, strict=True):
        assert type(x) is type(y) and x.dtype == y.dtype and x.shape == y.shape
        np.testing.assert_allclose(x, y, rtol=1e-11, atol=1e-13)


def test_values(runs):
    g = wg.grad(formula, (0, 1))
    for seed in range(N):
        args = arguments(seed)
        same(g(*args), swept(g, *args))
    assert runs


def test_off(runs):
    config.compiled_backward = False
    g = wg.grad(formula, (0, 1))
    for _ in range(N):
        g(*arguments(0))
    assert not runs and not backward.remembered()


def test_results_are_the_callers_own(runs):
    """They may be written, share memory with nothing, and are not reused."""
    x = np.ones(6)
    g = wg.grad(lambda x, y: np.sum(np.exp(x) * y + x), (0, 1))
    for _ in range(N):
        a, b = g(x, x)
        c, _ = g(x, x)
        for result in (a, b):
            assert result.flags.writeable and not np.shares_memory(result, x)
        assert not np.shares_memory(a, c) and not np.shares_memory(a, b)
        a[:] = 7.0
        np.testing.assert_allclose(c, np.e + 1)
    assert runs


@pytest.mark.parametrize("seed", range(40))
def test_random_programs(seed, runs):
    made = program(RandomChoices(seed), longest=15)
    f, rng = made.f, np.random.default_rng(seed)
    g = wg.grad(f, tuple(range(len(made.args))))
    single = "float32" in made.traits
    for again in range(6):
        args = made.fresh_args()
        if again:
            args = [np.asarray(a + 0.05 * rng.normal(size=a.shape), a.dtype) for a in args]
        with np.errstate(all="ignore"):
            try:
                want = swept(g, *args)
            except (ValueError, np.linalg.LinAlgError, wg.errors.WengertError):
                with pytest.raises((ValueError, np.linalg.LinAlgError, wg.errors.WengertError)):
                    g(*args)
                continue
            for x, y in zip(g(*args), want, strict=True):
                scale = np.abs(y[np.isfinite(y)]).max(initial=0.0)
                np.testing.assert_allclose(x, y, rtol=1e-3 if single else 1e-8, atol=scale * (1e-4 if single else 1e-9))


# ── what is not the same again ────────────────────────────────────────────────


def test_branches(runs):
    """The same length, from the same last line; each branch has its own sweep."""

    def f(x):
        for i in range(4):
            x = np.sin(x) if x[i] > 0 else np.cos(x)
        return np.sum(x * x)

    g = wg.grad(f)
    rng = np.random.default_rng(0)
    for _ in range(80):
        x = rng.normal(size=4)
        same([g(x)], [swept(g, x)])
    assert runs


@pytest.mark.parametrize(
    "vary",
    [
        lambda x, k: np.sum(np.exp(x) * x) if k else np.sum(x * np.exp(x) * 1.0),
        lambda x, k: np.sum((x * x).sum(axis=k) ** 2),
        lambda x, k: np.sum(np.sin(x) * x + (x if k else x * 1.0)),
        lambda x, k: np.sum(np.exp(x[k]) * x),
        lambda x, k: np.sum(np.exp(x.astype([np.float64, np.float32][k])) * 2.0),
        lambda x, k: np.sum(np.exp(x) ** [2, 3][k]),
        lambda x, k: np.sum(np.exp(x) * [1.5, -1.5][k] * x),
        lambda x, k: np.sum(np.exp(x) * [1, 1.0][k] * x),
        lambda x, k: np.sum(np.exp(x) * [0.0, -0.0][k] * x),
        lambda x, k: np.sum(np.exp(x) * [True, 1][k] * x),
        lambda x, k: np.sum(np.exp(x) * [np.array(2.0), np.float64(3.0)][k] * x),
        lambda x, k: np.sum(np.exp(x) * [np.ones(3), np.ones((3, 1))][k] * x),
        lambda x, k: np.sum(np.roll(np.exp(x) * x, [1, 2][k]) * np.arange(3.0)),
        lambda x, k: np.sum(np.exp(x) * x) if k else np.prod(np.exp(x) * x),
    ],
)
def test_variations(vary, runs):
    """Ops, operands, parameters and numbers that change between calls from one line."""
    x = np.random.default_rng(3).normal(size=(3, 3))

    def f(x, k):
        return vary(x, k)

    g = wg.grad(f)
    for k in (0, 0, 0, 0, 1, 0, 1, 1, 1, 1, 0, 1, 0, 0, 1) * 3:
        same([g(x, k)], [swept(g, x, k)])
    assert runs


def test_constants_that_were_the_same_array(runs):
    a, b = np.arange(3.0), np.arange(3.0) + 2

    def f(x, a, b):
        return np.sum(np.sin(x * a) * b)

    g = wg.grad(f)
    for k in range(3 * N):
        args = (np.ones(3), a, a if k < N else b)
        same([g(*args)], [swept(g, *args)])
    assert runs


def test_numbers_become_operands(runs):
    g = wg.grad(lambda x, t: np.sum(np.exp(x * t) * t))
    x = np.ones(3)
    for k in range(40):
        same([g(x, 0.1 * k)], [swept(g, x, 0.1 * k)])
    assert runs and any(known.operands.free for known in runs)


def test_layouts(runs):
    """Residuals that are not contiguous, transposed, read-only, or broadcast."""
    rng = np.random.default_rng(0)
    w = rng.normal(size=(4, 6))
    layouts = [w, np.asfortranarray(w), rng.normal(size=(8, 6))[::2], np.broadcast_to(rng.normal(size=6), (4, 6))]
    g = wg.grad(lambda x, w: np.sum(np.tanh(x @ w.T) * (x @ w.T)))
    x = rng.normal(size=(3, 6))
    for k in range(40):
        w = layouts[k % 4] if k > 20 else layouts[k // 6]
        same([g(x, w)], [swept(g, x, w)])
        same([g(np.asfortranarray(x), w)], [swept(g, x, w)])
    assert runs


def test_dtypes(runs):
    g = wg.grad(lambda x: np.sum(np.exp(x) * x))
    for k in range(40):
        x = np.linspace(0, 1, 4, dtype=[np.float64, np.float32, np.complex128][k % 3 if k > 10 else 0])
        if x.dtype.kind == "c":
            h = wg.grad(lambda x: np.abs(np.sum(np.exp(x) * x)))
            np.testing.assert_allclose(h(x), swept(h, x))
        else:
            got, want = g(x), swept(g, x)
            assert got.dtype == want.dtype == x.dtype
            np.testing.assert_allclose(got, want, rtol=1e-6)
    assert runs


def test_wanted_and_seeds(runs):
    """Other arguments, other outputs."""
    args = arguments(0)
    for k in range(30):
        g = wg.grad(formula, [(0, 1), 0, 1, (1, 0)][k % 4])
        got, want = g(*args), swept(g, *args)
        same(*((got, want) if isinstance(got, tuple) else ([got], [want])))
    _, pull = wg.vjp(lambda x: (np.sin(x) * x, np.cos(x) * x), np.ones(3))
    for k in range(N):
        ct = (np.full(3, 1.0 + k), np.full(3, float(k % 2)))
        same(pull(ct), swept(pull, ct))
    assert runs


def test_unconnected(runs):
    for _ in range(N):
        with wg.GradientTape() as tape:
            x, y = tape.watch(np.ones(3)), tape.watch(np.ones(2))
            z = np.sum(np.exp(x) * x + 1.0)
        gx, gy = tape.gradient(z, [x, y])
        assert gy is None
        np.testing.assert_allclose(gx, 2 * np.e)
    assert runs


# ── other transforms ──────────────────────────────────────────────────────────


def test_higher_orders():
    def f(x):
        return np.sum(np.exp(x) * np.sin(x))

    x, v = np.linspace(0, 1, 3), np.ones(3)
    want = 2 * np.exp(x) * np.cos(x)
    for _ in range(N):
        np.testing.assert_allclose(wg.grad(lambda x: np.sum(wg.grad(f)(x)))(x), want, rtol=1e-12)
        np.testing.assert_allclose(wg.hvp(f, (x,), (v,)), want, rtol=1e-12)
        np.testing.assert_allclose(np.diag(wg.jacobian(wg.grad(f))(x)), want, rtol=1e-12)
        np.testing.assert_allclose(wg.vmap(wg.grad(f))(np.stack([x, x]))[1], np.exp(x) * (np.sin(x) + np.cos(x)))


def test_persistent_tapes(runs):
    x = np.linspace(0, 1, 4)
    for _ in range(N):
        with wg.GradientTape(persistent=True) as tape:
            t = tape.watch(x)
            y = np.exp(t) * t
            z = np.sum(y * y)
        first, again = tape.gradient(z, t), tape.gradient(z, t)
        np.testing.assert_allclose(first, 2 * np.exp(x) ** 2 * x * (x + 1))
        np.testing.assert_array_equal(first, again)
        np.testing.assert_allclose(tape.gradient(z, y), 2 * np.exp(x) * x)
    assert runs


def test_a_tape_is_spent():
    for _ in range(N):
        with wg.GradientTape() as tape:
            t = tape.watch(np.ones(3))
            z = np.sum(np.exp(t) * t)
        tape.gradient(z, t)
        with pytest.raises(wg.errors.TapeError):
            tape.gradient(z, t)


def test_functions_of_the_users(runs):
    """Rules and checkpoints of the user's are run each time."""
    factor = [1.0]

    @wg.custom_vjp
    def twice(x):
        return 2 * x

    twice.defvjp(lambda x: (2 * x, None), lambda residual, ct: (factor[0] * ct,))

    g = wg.grad(lambda x: np.sum(np.sin(twice(np.exp(x)) * x)))
    for k in range(N):
        factor[0] = float(k)
        same([g(np.ones(2))], [swept(g, np.ones(2))])
    assert not runs


def test_another_rule(runs, monkeypatch):
    """A rule that has been replaced is not served from the code made of the former."""
    from wengert.core.op import OPS

    g = wg.grad(lambda x: np.sum(np.sinh(x) * x))
    x = np.ones(3)
    for _ in range(N):
        right = g(x)
    assert runs
    monkeypatch.setattr(OPS["sinh"], "pullback", lambda ct, ins, xs, out: (3 * ct,))
    np.testing.assert_allclose(g(x), 3 * x + np.sinh(x))
    monkeypatch.undo()
    np.testing.assert_allclose(right, np.cosh(x) * x + np.sinh(x))


def test_arrays_stay_protected(runs):
    x, w = np.ones(3), np.arange(3.0)
    for _ in range(N):
        with wg.GradientTape() as tape:
            t = tape.watch(x)
            z = np.sum(np.exp(t) * w * t)
        with pytest.raises(ValueError, match="read-only"):
            w[0] = 5.0
        tape.gradient(z, t)
        del tape, t, z
        w[0] += 0.0
    assert runs


def test_errors_name_the_line():
    g = wg.grad(lambda x: np.sum(np.linalg.inv(x) @ np.exp(x)))
    for _ in range(N):
        g(np.eye(2))
    with pytest.raises(np.linalg.LinAlgError):
        g(np.zeros((2, 2)))


def test_debug_nans():
    def f(u):
        x = u * 1.5
        return np.sum(np.sqrt(x) - 2 * np.sqrt(x))  # slopes ∞ - 2·∞

    g = wg.grad(f)
    with np.errstate(all="ignore"):
        for _ in range(N):
            assert np.isnan(g(np.zeros(3))).all()
        with config.override(debug_nans=True), pytest.raises(wg.errors.NonFinite):
            g(np.zeros(3))


# ── keeping house ─────────────────────────────────────────────────────────────


def test_nothing_of_the_tape_is_kept(runs):
    g = wg.grad(lambda x: np.sum(np.exp(x) * x))
    seen = []
    for _ in range(N):
        x = np.ones(1000)
        seen.append(weakref.ref(x))
        g(x)
        del x
    gc.collect()
    assert runs and not any(ref() is not None for ref in seen)


def test_memory_is_bounded():
    x = np.ones(4)

    def f(x, n):
        for _ in range(n):
            x = np.sin(x)
        return np.sum(x)

    g = wg.grad(f)
    for n in range(3, 2 * backward.SITES):
        g(x, n)
    assert len(backward.remembered()) <= backward.SITES
    for k in range(40):
        g(np.ones(k + 1), 3)
    assert all(len(site.forms) <= backward.FORMS for site in backward.remembered())


def test_long_forms_are_few(monkeypatch):
    monkeypatch.setattr(backward, "EQUATIONS", 500)

    def f(x, n):
        for _ in range(n):
            x = np.sin(x)
        return np.sum(x)

    g = wg.grad(f)
    for n in range(60, 120):
        for _ in range(5):
            g(np.ones(2), n)
        assert sum(k.form.length for site in backward.remembered() for k in site.forms) <= 500 + n + 1


def test_a_rare_form_does_not_stop_the_usual_one(runs, monkeypatch):
    g = wg.grad(lambda x: np.sum(np.exp(x) * x * x))
    for _ in range(N):
        g(np.ones(3))
    monkeypatch.setattr(backward, "_cost", lambda length: 1e9)
    before = len(runs)
    for k in range(200):
        g(np.ones(3) if k % 10 else np.ones(4))
    assert len(runs) - before > 100


def test_what_is_never_the_same_is_left_alone(monkeypatch):
    """Forms are looked at less and less often."""
    monkeypatch.setattr(backward, "_cost", lambda length: 0.1)
    looked = []
    real = forms.form_of
    monkeypatch.setattr(backward, "form_of", lambda *args: looked.append(1) or real(*args))
    g = wg.grad(lambda x: np.sum(np.exp(x) * x))
    for k in range(600):
        g(np.ones(k + 1))
    assert 1 <= len(looked) < 15


def test_compiled_when_it_would_have_paid(runs, monkeypatch):
    """Never before, and never for a form that has not come again."""
    monkeypatch.setattr(backward, "_cost", lambda length: 60 * backward._saving(length, 0))
    g = wg.grad(lambda x: np.sum(np.exp(x) * x * x))
    done = []
    for _ in range(100):
        g(np.ones(3))
        done.append(len(runs))
    assert done[60] == 0 and done[80] > 0


def test_kept_only_where_it_wins(runs, monkeypatch):
    monkeypatch.setattr(backward, "GAIN", 0.0)
    g = wg.grad(formula, (0, 1))
    for seed in range(3 * N):
        args = arguments(seed)
        for x, y in zip(g(*args), swept(g, *args), strict=True):
            np.testing.assert_array_equal(x, y)
    assert not runs and any(known.tried for site in backward.remembered() for known in site.forms)


def test_what_does_not_agree_is_not_kept(runs, monkeypatch):
    real = backward._compiled
    monkeypatch.setattr(
        backward,
        "_compiled",
        lambda *args: (lambda entry: lambda *xs: tuple(1.01 * y for y in entry(*xs)))(real(*args)),
    )
    g = wg.grad(formula, (0, 1))
    for seed in range(N):
        same(g(*arguments(seed)), swept(g, *arguments(seed)))
    assert not runs


def test_threads(runs):
    g = wg.grad(formula, (0, 1))
    wants = {n: swept(g, *arguments(n, n)) for n in range(2, 8)}
    wrong = []

    def work():
        for k in range(60):
            n = 2 + k % 6 if k > 20 else 2
            try:
                same(g(*arguments(n, n)), wants[n])
            except Exception as error:
                wrong.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong and runs


@pytest.mark.parametrize(
    ("x", "y"),
    [(1, 1.0), (1, True), (0.0, -0.0), ((1,), [1]), ((1, 2), (1, 2.0)), (np.dtype("f8"), np.dtype("f4")),
     (slice(1), slice(1.0)), (None, False), ({"a": 1}, {"a": True}), ("a", "b"), ((0, (1,)), (0, (True,)))],
)  # fmt: skip
def test_tokens(x, y):
    assert forms.token(x) == forms.token(x) and forms.token(x) != forms.token(y)


def test_several_results(runs):
    """Ops of several results, of which some are used, and some have no derivative."""

    def f(x, k):
        a = x @ x.T + 3 * np.eye(3)
        w, v = np.linalg.eigh(a)
        q, r = np.linalg.qr(a)
        parts = np.split(x, 3)
        return np.sum(w * np.abs(v)) * np.linalg.slogdet(a)[1] + np.sum(np.abs([q, r][k])) + np.sum(parts[k] * parts[1])

    g = wg.grad(f)
    rng = np.random.default_rng(0)
    for k in (0, 0, 0, 0, 0, 1, 1, 1, 0, 1, 1, 0, 1) * 2:
        x = rng.normal(size=(3, 3))
        np.testing.assert_allclose(g(x, k), swept(g, x, k), rtol=1e-8, atol=1e-10)
    assert runs
