"""jit: results against NumPy, compositions, signatures, errors."""

import logging
import pickle
import threading

import numpy as np
import pytest

import wengert as wg
from wengert.core.errors import ConcretizationError, DTypeError
from wengert.core.tree import leaves

X = np.array([0.3, -1.2, 2.0, 0.7])
A = np.array([[1.0, 2.0, 0.5, -1.0], [0.0, -1.0, 2.0, 0.3], [1.5, 0.2, 0.1, 0.4], [0.3, -0.7, 1.1, 2.0]])


@pytest.fixture(params=[True, False], ids=["compiled", "interpreted"])
def either(request):
    with wg.config.override(compile=request.param, debug_passes=True):
        yield


def same(got, want, rtol=1e-10):
    for g, w in zip(leaves(got), leaves(want), strict=True):
        np.testing.assert_allclose(g, w, rtol=rtol, atol=1e-12)
        assert np.shape(g) == np.shape(w) and np.asarray(g).dtype == np.asarray(w).dtype
        assert isinstance(g, np.ndarray) == isinstance(w, np.ndarray)


def loss(x, a):
    h = np.tanh(a @ x)
    return np.sum(h**2) * np.exp(-x[0])


def pytree(params, n, *, k=2.0, rest=None):
    return {
        "sum": np.sum(params["w"] * params["b"][0]) * k,
        "next": n + 1,
        "sign": params["w"] > 0,
        "empty": np.zeros((0, 3)) * k,
        "none": rest,
        "pair": (params["w"][::-1], [params["b"][0].T]),
    }


PARAMS = {"w": X, "b": [X * 2]}


def written(x):
    out = np.zeros((3, x.shape[0]))
    out[0] = x
    out[1, ::2] += x[::2] ** 2
    out[2] -= out[0]
    return out, out[2].sum()


# ── values ────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("fun", "args"),
    [
        (loss, (X, A)),
        (pytree, (PARAMS, np.arange(3))),
        (written, (X,)),
        (lambda x: x, (X,)),
        (lambda x: (x, x, np.sin(x)), (X,)),
        (lambda x: (), (X,)),
        (lambda x: None, (X,)),
        (lambda: np.arange(3.0), ()),
        (lambda x: 2.5, (X,)),
        (lambda x: np.float32(2.5) * x, (X.astype(np.float32),)),
        (lambda z: (z * 1j, np.abs(z)), (X + 1j,)),
        (lambda n: (n // 2, n / 2, n > 1, np.cumsum(n)), (np.arange(5, dtype=np.int32),)),
        (lambda b: (~b, b & b[::-1], np.where(b, 1, 2.0)), (X > 0,)),
        (lambda x: (np.sum(x), np.max(x, axis=0), x.mean()), (A,)),
        (lambda x: np.sum(x, axis=1), (np.zeros((3, 0)),)),
        (lambda x: np.linalg.solve(x + 4 * np.eye(4), x), (A,)),
        (lambda x: np.sort(x)[::-1], (X,)),
        (lambda x: x.astype(np.float32) * 2, (np.float64(3),)),
        (lambda x: x.T.copy().reshape(-1), (A[::2, ::-1],)),
        (lambda x, y: (x * y, x + 1), (2.0, 3)),
        (lambda s, x: s * x, (3, X.astype(np.float32))),
    ],
)
def test_results_are_numpys(either, fun, args):
    compiled = wg.jit(fun)
    for _ in range(3):
        same(compiled(*args), fun(*args))


def test_keywords_and_structures(either):
    compiled = wg.jit(pytree)
    same(compiled(PARAMS, np.arange(3), k=3.0), pytree(PARAMS, np.arange(3), k=3.0))
    same(compiled(PARAMS, n=np.arange(3), rest=(X, None)), pytree(PARAMS, n=np.arange(3), rest=(X, None)))
    same(compiled(PARAMS, 4), pytree(PARAMS, 4))


def test_any_layout_and_dtype_of_arguments(either):
    compiled = wg.jit(lambda x: x * 2 + np.arange(4))
    big = np.arange(64.0).reshape(8, 8)
    for x in (
        big[::2, :4],
        big.T[:4, :4],
        np.asfortranarray(big[:4, :4]),
        X,
        X.astype(np.float32),
        np.arange(4),
        X[:, None],
    ):
        same(compiled(x), x * 2 + np.arange(4))


def test_results_share_memory_with_nothing(either):
    constant = np.arange(4.0)
    compiled = wg.jit(lambda x: (x, x.T, constant, constant[::-1], x + 1))
    for _ in range(2):
        out = compiled(X)
        for i, one in enumerate(out):
            assert not np.shares_memory(one, X) and one.flags.writeable
            assert not any(np.shares_memory(one, other) for other in out[i + 1 :])
            one[:] = np.nan
    assert np.isfinite(X).all() and np.isfinite(constant).all()


def test_arguments_are_written_as_by_the_function(either):
    def step(x, rate, table):
        x -= rate * np.sin(x)
        table["n"][0] += 1
        return np.sum(x)

    mine, theirs = ({"x": X.copy(), "n": np.zeros(2, int)} for _ in range(2))
    compiled = wg.jit(step)
    for _ in range(3):
        got = compiled(mine["x"], 0.1, mine)
        want = step(theirs["x"], 0.1, theirs)
        np.testing.assert_allclose(got, want)
        np.testing.assert_allclose(mine["x"], theirs["x"])
        np.testing.assert_array_equal(mine["n"], theirs["n"])


def test_scalars_are_not_written_and_arrays_without_axes_are(either):
    def fun(x):
        y = x
        x += 1.0
        return y * 10.0, x

    compiled = wg.jit(fun)
    same(compiled(np.float64(3)), (np.float64(30), np.float64(4)))
    same(compiled(3.0), (30.0, 4.0))
    mine = np.array(3.0)
    assert [float(v) for v in compiled(mine)] == [40.0, 4.0]
    assert mine == 4.0
    same(compiled(np.float64(3)), (np.float64(30), np.float64(4)))


def test_written_arguments_that_overlap():
    def shift(a, b):
        a += 1.0
        return b * 2

    compiled = wg.jit(shift)
    mine, theirs = X.copy(), X.copy()
    same(compiled(mine[1:], mine[:-1]), shift(theirs[1:], theirs[:-1]))
    same(compiled(mine, mine), shift(theirs, theirs))
    np.testing.assert_array_equal(mine, theirs)


@pytest.mark.parametrize("dtype", [np.int8, np.float32, ">f8", np.float16, np.longdouble])
def test_positions_as_arguments(either, dtype):
    def fun(x, i):
        y = x.copy()
        y[i] = 3
        y[i] += 1
        return x[i] * 2, y, np.ldexp(x[0].astype(np.float32), i // 50)

    x = np.arange(-100, 101).astype(dtype)
    for i in (150, np.int64(5), np.array([3, 190])):
        for got, want in zip(wg.jit(fun)(x, i), fun(x, i), strict=True):
            np.testing.assert_array_equal(got, want)
            assert got.dtype == want.dtype.newbyteorder("=")


def test_donated_arguments():
    compiled = wg.jit(lambda x, y: (x * 2 + y, y), donate_argnums=0)
    same(compiled(X.copy(), X), (X * 3, X))


@pytest.mark.parametrize("n", [3, 90])
@pytest.mark.parametrize("donated", [1, (0, 1)])
def test_donated_arguments_in_the_same_memory(n, donated):
    def fun(x, y):
        return x + 2 * y.T, y - x[::-1]

    compiled = wg.jit(fun, donate_argnums=donated)
    whole = np.random.default_rng(0).normal(size=(n + 1, n))
    compiled(whole[:-1].copy(), whole[1:].copy())  # the entry that takes over what it is given
    for view in (lambda a: (a[:-1], a[:-1]), lambda a: (a[:-1], a[1:]), lambda a: (a[1:], a[:-1])):
        x, y = view(whole.copy())
        same(compiled(x, y), fun(*view(whole)))


def test_methods_and_decorators():
    class Model:
        def __init__(self, scale):
            self.scale = scale

        @wg.jit(static_argnums=0)
        def predict(self, x):
            return x * self.scale

    one, two = Model(2.0), Model(3.0)
    same(one.predict(X), X * 2.0)
    same(two.predict(X), X * 3.0)


def test_functions_are_read_once():
    calls = []

    @wg.jit
    def fun(x):
        calls.append(x.shape)
        return x * 2

    for _ in range(3):
        fun(X)
        fun(A)
    assert calls == [(4,), (4, 4)]


def test_pickle():
    again = pickle.loads(pickle.dumps(wg.jit(loss, static_argnames=())))
    same(again(X, A), loss(X, A))


# ── compositions ──────────────────────────────────────────────────────────────

B = np.stack([X, X[::-1], X * 0.5])
COMPOSED = {
    "grad of jit": lambda j: wg.grad(j(loss))(X, A),
    "both arguments": lambda j: wg.grad(j(loss), (0, 1))(X, A),
    "jit of grad": lambda j: j(wg.grad(loss))(X, A),
    "jit of grad of jit": lambda j: j(wg.grad(j(loss)))(X, A),
    "hessian of jit": lambda j: wg.hessian(j(loss))(X, A),
    "jit of hessian": lambda j: j(wg.hessian(loss))(X, A),
    "grad of grad of jit": lambda j: wg.grad(lambda x: np.sum(wg.grad(j(loss))(x, A) ** 2))(X),
    "three times": lambda j: wg.jvp(lambda x: wg.hessian(j(loss))(x, A), (X,), (X,))[1],
    "forward over reverse": lambda j: wg.jacfwd(wg.grad(j(loss)))(X, A),
    "jvp of jit": lambda j: wg.jvp(j(loss), (X, A), (X, A)),
    "jit of jvp": lambda j: j(lambda x: wg.jvp(loss, (x, A), (x, A)))(X),
    "hvp of jit": lambda j: wg.hvp(j(loss), (X, A), (X, A)),
    "vmap of jit": lambda j: wg.vmap(j(loss), (0, None))(B, A),
    "vmap of jit of grad": lambda j: wg.vmap(j(wg.grad(loss)), (0, None))(B, A),
    "jit of vmap of grad": lambda j: j(wg.vmap(wg.grad(loss), (0, None)))(B, A),
    "jit of vmap of jit": lambda j: j(wg.vmap(j(loss), (0, None)))(B, A),
    "vmap of grad of jit": lambda j: wg.vmap(wg.grad(j(loss)), (0, None))(B, A),
    "grad of vmap of jit": lambda j: wg.grad(lambda b: np.sum(wg.vmap(j(loss), (0, None))(b, A)))(B),
    "per example": lambda j: wg.per_example_grad(j(lambda a, x: loss(x, a)))(A, B),
    "jacobian of jit": lambda j: wg.jacobian(j(lambda x: written(x)[0]))(X),
    "vjp of jit": lambda j: wg.vjp(j(lambda x: np.sin(x) * x), X)[1](X),
    "linearize of jit": lambda j: wg.linearize(j(loss), X, A)[1](X, A),
    "checkpoint of jit": lambda j: wg.grad(lambda x: np.sum(wg.checkpoint(j(lambda y: np.sin(y) * y))(x)))(X),
    "jit of checkpoint": lambda j: j(wg.grad(lambda x: np.sum(wg.checkpoint(lambda y: np.sin(y) * y)(x))))(X),
    "structures": lambda j: wg.grad(lambda p: j(pytree)(p, np.arange(3), k=3.0)["sum"])(PARAMS),
    "aux": lambda j: wg.value_and_grad(lambda p: (j(pytree)(p, np.arange(3))["sum"], j(pytree)(p, 2)), has_aux=True)(
        PARAMS
    ),
    "complex": lambda j: wg.grad(j(lambda z: np.sum(np.abs(z * np.exp(z)) ** 2)))(X + 1j),
    "integers beside": lambda j: wg.grad(j(lambda x, n: np.sum(x[n] ** 2)))(X, np.array([1, 1, 3])),
    "several results": lambda j: wg.grad(lambda x: np.sum(np.multiply(*j(lambda y: (np.sin(y), np.cos(y)))(x))))(X),
    "a result unused": lambda j: wg.grad(lambda x: np.sum(j(lambda y: (np.sin(y), np.sort(y)))(x)[0]))(X),
    "an argument passed through": lambda j: wg.grad(lambda x: np.sum(j(lambda y: (y, y * 2))(x)[0] * x))(X),
    "no dependence": lambda j: wg.grad(lambda x: np.sum(j(lambda y: np.ones(4))(x)) + x[0])(X),
    "written": lambda j: wg.grad(lambda x: j(written)(x)[0][1].sum())(X),
    "no elements": lambda j: wg.grad(lambda x: np.sum(j(lambda y: y * 2)(x)))(np.zeros((0, 3))),
    "closes over a Tensor": lambda j: wg.grad(lambda w: j(lambda x: np.sum(x * w))(X) ** 2)(X),
    "python number": lambda j: wg.grad(j(lambda s, x: np.sum(s * x)))(2.0, X),
}


@pytest.mark.parametrize("what", COMPOSED)
@pytest.mark.parametrize("inline", [True, False], ids=["inline", "call"])
def test_compositions(what, inline):
    want = COMPOSED[what](lambda f: f)
    with wg.config.override(debug_passes=True):
        same(COMPOSED[what](lambda f: wg.jit(f, inline=inline)), want, rtol=1e-9)


@wg.custom_vjp
def tenfold(x):
    return x * 2


tenfold.defvjp(lambda x: (x * 2, None), lambda _, ct: (10 * ct,))


@wg.custom_jvp
def sevenfold(x):
    return x * 2


@sevenfold.defjvp
def _(primals, tangents):
    return primals[0] * 2, tangents[0] * 7.0


def without(x):
    with wg.no_grad():
        a = np.sin(x)
        with wg.enable_grad():
            b = x * 3.0
    return a * x + b


CUT = {
    "custom_vjp": (tenfold, np.full(4, 10.0)),
    "custom_jvp": (sevenfold, np.full(4, 7.0)),
    "stop_gradient": (lambda x: wg.stop_gradient(x) * x + wg.stop_gradient({"a": np.sin(x)})["a"], X),
    "no_grad": (without, np.sin(X) + 3.0),
    "checkpoint": (lambda x: wg.checkpoint(lambda y: np.sin(y) * y)(x), np.sin(X) + X * np.cos(X)),
}


@pytest.mark.parametrize("inline", [True, False], ids=["inline", "call"])
@pytest.mark.parametrize("what", CUT)
def test_what_the_user_says_of_derivatives_holds_within_jit(what, inline):
    fun, slope = CUT[what]
    j = wg.jit(fun, inline=inline)
    same(j(X), fun(X))
    loss = lambda x: np.sum(j(x))
    same(wg.grad(loss)(X), slope)
    same(wg.jit(wg.grad(loss))(X), slope)
    same(wg.grad(wg.jit(loss))(X), slope)
    same(wg.jvp(j, (X,), (np.ones(4),))[1], slope)
    same(wg.grad(lambda b: np.sum(wg.vmap(j)(b)))(B[:, None] * 0 + X), np.broadcast_to(slope, (3, 1, 4)).copy())
    same(
        wg.grad(lambda x: np.sum(wg.grad(loss)(x) * x))(X),
        wg.grad(lambda x: np.sum(wg.grad(lambda y: np.sum(fun(y)))(x) * x))(X),
    )


def test_programs_do_not_forget_rules_silently():
    program = wg.trace(lambda x: np.sum(tenfold(x)), X)
    for p in (program, wg.Program.from_bytes(program.to_bytes()), program.pruned()):
        with pytest.raises(wg.errors.NotDifferentiable, match="custom rules"):
            p.gradient()
        with pytest.raises(wg.errors.NotDifferentiable, match="custom rules"):
            p.pushforward()
    same(wg.trace(wg.grad(lambda x: np.sum(tenfold(x))), X).run(X)[0], np.full(4, 10.0))


def test_a_tape_around():
    with wg.GradientTape() as tape:
        x = tape.watch(X)
        y = wg.jit(loss)(x, A) * 2
    same(tape.gradient(y, x), 2 * wg.grad(loss)(X, A))


def test_the_backward_half_repeats_nothing_of_the_forward_half():
    @wg.jit
    def f(x):
        return np.sum(np.exp(np.sin(x)))

    def count(trace):
        names = [eqn.op.name for eqn in trace.equations()]
        inner = [count(eqn.params["program"]) for eqn in trace.equations() if eqn.op.name == "call"]
        return {
            k: sum(n.get(k, 0) for n in [*inner, {name: names.count(name) for name in names}]) for k in ("exp", "sin")
        }

    f.inline = False
    assert count(wg.trace(wg.grad(f), X)) == {"exp": 1, "sin": 1}


def test_gradients_of_jax():
    jax = pytest.importorskip("jax")
    jax.config.update("jax_enable_x64", True)
    jnp = jax.numpy

    def theirs(x, a):
        h = jnp.tanh(a @ x)
        return jnp.sum(h**2) * jnp.exp(-x[0])

    np.testing.assert_allclose(wg.jit(wg.grad(loss))(X, A), jax.grad(theirs)(X, A), rtol=1e-10)
    np.testing.assert_allclose(wg.hessian(wg.jit(loss))(X, A), jax.hessian(theirs)(X, A), rtol=1e-9, atol=1e-12)


# ── signatures ────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint8", "int64", "float32", "complex64"])
@pytest.mark.parametrize("power", [2, 1.0, 2.0, 0.5, -1.0, np.float64(2), np.float64(-1), np.float32(0.5), np.int64(2)])
def test_powers_have_numpys_dtypes(dtype, power):
    x = np.array([1, 1, 1] if dtype == "bool" else [1, 20, 100], dtype)
    got, want = wg.jit(lambda x: x**power)(x), x**power
    assert got.dtype == want.dtype
    np.testing.assert_allclose(got, want, rtol=1e-6)


def test_integers_to_negative_powers_are_refused():
    with pytest.raises(ValueError, match="negative integer powers"):
        wg.jit(lambda x: x**-1)(np.arange(1, 4))


def test_static_arguments():
    traced = []

    @wg.jit(static_argnames=("n", "kind"))
    def power(x, n, kind="sum"):
        traced.append((n, kind))
        out = x**n if n > 1 else x
        return np.sum(out) if kind == "sum" else out

    same(power(X, 2), np.sum(X**2))
    same(power(X, n=2), np.sum(X**2))
    same(power(X, 3, kind="all"), X**3)
    same(power(X, 2), np.sum(X**2))
    same(power(X, True), np.sum(X))
    same(power(X, 1), np.sum(X))
    assert traced == [(2, "sum"), (2, "sum"), (3, "all"), (True, "sum"), (1, "sum")]
    same(wg.grad(power)(X, 2), 2 * X)


@pytest.mark.parametrize("values", [(1, 1.0, True), (0.0, -0.0), (np.float32(0.0), np.float32(-0.0)), (0j, -0j)])
@pytest.mark.parametrize("wrap", [lambda v: v, lambda v: (v,), lambda v: frozenset([(v, None)])])
def test_static_arguments_that_are_equal(values, wrap):
    def fun(x, k):
        while isinstance(k, (tuple, frozenset)):
            k = next(iter(k))
        return x * k

    compiled = wg.jit(fun, static_argnums=1)
    for value in values:
        got, want = compiled(np.arange(3, dtype=np.int8), wrap(value)), np.arange(3, dtype=np.int8) * value
        assert (got.dtype, got.tobytes()) == (want.dtype, want.tobytes())


def test_static_arguments_must_be_hashable():
    with pytest.raises(DTypeError, match="static argument 1 \\('n'\\): got a list"):
        wg.jit(lambda x, n: x, static_argnums=1)(X, [1])


def test_static_arguments_must_exist():
    with pytest.raises(ValueError, match="no such parameters"):
        wg.jit(lambda x: x, static_argnames="n")
    with pytest.raises(ValueError, match="1 positional"):
        wg.jit(lambda x: x, static_argnums=3)


def test_arguments_that_are_no_arrays():
    with pytest.raises(DTypeError, match=r"argument 1 \('mode'\)"):
        wg.jit(lambda x, mode: x)(X, "fast")
    with pytest.raises(DTypeError, match="argument options"):
        wg.jit(lambda x, **kw: x)(X, options=object())
    with pytest.raises(DTypeError, match="object"):
        wg.jit(lambda x: x)(np.array([None, 1]))


def test_many_signatures_in_turn():
    compiled = wg.jit(lambda x, y=1.0: x * y)
    args = [(np.full(n, 2.0, dtype),) for n in range(1, 8) for dtype in (np.float32, np.float64)]
    args += [(X, X), (2.0,), (2,), (X, 3), (np.float64(2), X)]
    for _ in range(3):
        for a in args:
            same(compiled(*a), a[0] * (a[1] if len(a) > 1 else 1.0))


def test_recompilations_are_logged(caplog):
    compiled = wg.jit(lambda x, n: x * n, static_argnums=1)
    with wg.config.override(log_compiles=True), caplog.at_level(logging.WARNING, "wengert"):
        compiled(X, 2)
        compiled(X, 2)
        compiled(X.astype(np.float32), 2)
        compiled(X, 3)
        compiled(X[:2], 3)
    told = [record.getMessage() for record in caplog.records]
    assert len(told) == 4
    assert "first call" in told[0] and "test_jit.py" in told[0]
    assert "argument 0 ('x') changed from float64[4] to float32[4]" in told[1]
    assert "static argument 1 ('n') changed from 2 to 3" in told[2]
    assert "from float64[4] to float64[2]" in told[3]


def test_settings_that_change_results():
    compiled = wg.jit(wg.grad(lambda z: np.sum(np.abs(z) ** 2)))
    z = X + 1j
    same(compiled(z), 2 * z)
    with wg.config.override(complex_convention="jax"):
        same(compiled(z), 2 * z.conj())
    same(compiled(z), 2 * z)


def test_concurrent_first_calls():
    traced = []

    @wg.jit
    def fun(x):
        traced.append(1)
        return np.sum(np.sin(x) * inner(x))

    inner = wg.jit(lambda x: np.cos(x))
    results, barrier = [], threading.Barrier(8)

    def call(k):
        barrier.wait()
        results.append(inner(X) if k % 2 else fun(X))

    threads = [threading.Thread(target=call, args=(k,)) for k in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(60)
    assert len(results) == 8 and len(traced) == 1


# ── errors ────────────────────────────────────────────────────────────────────


def test_branches_are_refused_at_the_users_line():
    def relu(x):
        if x[0] > 0:
            return x
        return 0 * x

    with pytest.raises(ConcretizationError, match=r"in relu: if x\[0\] > 0:") as caught:
        wg.jit(relu)(X)
    frames = caught.traceback
    assert frames[-1].name == "relu"  # the library's frames are folded away


def test_errors_of_the_function_itself(either):
    def wrong(x):
        return x @ np.ones(7)

    with pytest.raises(ValueError, match="matmul"):
        wg.jit(wrong)(X)


def test_errors_of_calls_at_run_time(either):
    solve = wg.jit(lambda a, b: np.linalg.solve(a, b))
    same(solve(A, X), np.linalg.solve(A, X))
    with pytest.raises(np.linalg.LinAlgError):
        solve(np.zeros((4, 4)), X)
    same(solve(A, X), np.linalg.solve(A, X))


def test_debug_nans():
    def fun(x):
        y = x - 1.0
        return np.sum(np.log(y))

    compiled = wg.jit(fun)
    assert np.isnan(compiled(np.zeros(3)))
    with wg.config.override(debug_nans=True):
        for call in (compiled, wg.jit(wg.grad(fun)), wg.grad(compiled)):
            with pytest.raises(wg.errors.NonFinite, match=r"log: .*\n.*\n.*\n.*np\.log\(y\)"):
                call(np.zeros(3))
    assert np.isnan(compiled(np.zeros(3)))


def test_a_program_that_cannot_be_compiled_is_run_by_numpy(monkeypatch, caplog):
    import wengert.runtime.engine as engine

    def broken(*args, **kwargs):
        raise RuntimeError("no machine")

    monkeypatch.setattr(engine, "compile", broken)
    with caplog.at_level(logging.WARNING, "wengert"):
        same(wg.jit(loss)(X, A), loss(X, A))
    assert "no machine" in caplog.text


# ── ahead of time ─────────────────────────────────────────────────────────────


def test_ahead_of_time():
    lowered = wg.jit(loss).lower(wg.ShapeDtype(4), wg.ShapeDtype((4, 4)))
    assert "tanh" in lowered.as_text("program")
    assert "define" in lowered.as_text("llvm") and "return" in lowered.as_text()
    assert len(lowered.as_text("asm")) > 100
    assert lowered.cost_analysis()["flops"] > 16 and lowered.cost_analysis()["kernels"] >= 1
    memory = lowered.memory_analysis()
    assert memory["arguments"] == 8 * 20 and memory["results"] == 8 and memory["code"] > 0
    compiled = lowered.compile()
    for _ in range(2):
        same(compiled(X, A), loss(X, A))
    same(compiled(X[::-1], A.T), loss(X[::-1], A.T))
    for wrong in ((X[:2], A[:, :2]), (X.astype(np.float32), A), (X,), ({"x": X}, A)):
        with pytest.raises(DTypeError, match="another signature"):
            compiled(*wrong)
    with pytest.raises(ValueError, match="'optimized'"):
        lowered.as_text("wasm")


def test_ahead_of_time_with_structures_and_static_arguments():
    fun = wg.jit(lambda p, n, *, k: {"out": p["w"] ** n * k}, static_argnums=1)
    compiled = fun.lower({"w": wg.ShapeDtype(4)}, 3, k=wg.ShapeDtype((), float, weak=True)).compile()
    same(compiled({"w": X}, 3, k=2.0), {"out": X**3 * 2.0})
    with pytest.raises(DTypeError, match="changed from 3 to 2"):
        compiled({"w": X}, 2, k=2.0)


def test_explain():
    text = wg.jit(lambda x: np.sum(np.sin(x) ** 2) + np.linalg.det(x)).explain(A)
    assert "operations recorded" in text and "kernels" in text and "sin" in text and "compiled in" in text
