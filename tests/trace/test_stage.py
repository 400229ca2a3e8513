"""Staging: what is recorded, how views and writes come out, what is refused."""

import numpy as np
import pytest

import wengert as wg
from wengert.core.abstract import Abstract, k_strides
from wengert.core.aval import Aval, aval_of
from wengert.core.errors import ConcretizationError, DTypeError, TracerLeak
from wengert.core.op import OPS
from wengert.graph.spec import check
from wengert.trace.stage import infer, stage

F = np.dtype(float)
X = np.array([[0.3, -1.2, 2.0], [0.7, 0.1, -0.4]])


def run(fun, *args):
    """`fun` staged for the arguments, and its program run on them with NumPy."""
    program = wg.trace(fun, *args)
    check(program, infer=infer)
    return program.run(*args)


def ops(program):
    return [eqn.op.name for eqn in program.equations()]


# ── avals ─────────────────────────────────────────────────────────────────────

CALLS = [
    (op, number, dtype)
    for op in list(OPS.values())
    for number in range(len(op.samples))
    for dtype in ("float64", "float32", "complex128", "int32", "bool")
]


def concrete_call(op, number, dtype):
    """Arguments of a sample in a dtype, and what `eval` gives; None where NumPy refuses them."""
    sample = op.samples[number]
    inexact = dtype if dtype[0] in "fc" else "float64"
    try:
        args = sample.build(np.random.default_rng(0), inexact)
        if inexact != dtype:
            given = zip(args, sample.args, strict=True)
            args = [np.asarray(2 * a).astype(dtype)[()] if isinstance(s, tuple) else a for a, s in given]
        with np.errstate(all="ignore"):
            out = op.eval(*args, **sample.params)
    except Exception:
        return None
    return args, out if op.multi else (out,)


@pytest.mark.parametrize("dtype", ["float64", "float32", "complex128", "int32"])
def test_what_every_op_gives_is_known_beforehand(dtype):
    wrong = []
    for op, number, of in CALLS:
        if of != dtype or (made := concrete_call(op, number, dtype)) is None:
            continue
        args, outs = made
        found = infer(op, [aval_of(a) for a in args], op.samples[number].params)
        found = found if op.multi else (found,)
        for aval, out in zip(found, outs, strict=True):
            if tuple(aval.shape) != np.shape(out) or aval.dtype != np.asarray(out).dtype:
                wrong.append(f"{op.name}: {aval}, NumPy gives {np.asarray(out).dtype}{list(np.shape(out))}")
    assert not wrong, "\n".join(wrong)


def test_roots_of_a_batch():
    p = np.array([[1.0, -3.0, 2.0], [2.0, 0.0, -8.0]])
    (got,) = run(wg.vmap(lambda c: np.sort(np.roots(c).real)), p)
    np.testing.assert_allclose(got, [[1, 2], [-2, 2]], atol=1e-12)


@pytest.mark.parametrize(
    "fun",
    [
        lambda i: i + 1,
        lambda i: i / 2,
        lambda i: np.sum(i * i),
        lambda i: np.mean(i),
        lambda i: np.exp(i),
        lambda i: i // 2 + i % 3,
        lambda i: i**2,
        lambda i: np.where(i > 1, i, -i),
        lambda i: np.cumsum(i)[::-1],
        lambda i: i @ i,
        lambda i: np.float32(2) * i,
        lambda i: i > 2,
        lambda i: np.arange(10.0)[i],
        lambda i: np.arange(10.0)[i[0]],
        lambda i: np.linspace(0, 1, 10)[i] * i,
        lambda i: ~(i == 3),
        lambda i: np.bitwise_and(i, 1) << 2,
        lambda i: np.clip(i, 1, 2).astype(np.float32),
    ],
)
@pytest.mark.parametrize("dtype", [np.int64, np.int8, np.uint16])
def test_integers(fun, dtype):
    i = np.array([3, 0, 2, 3], dtype)
    want = fun(i)
    (got,) = run(fun, i)
    assert np.asarray(got).dtype == np.asarray(want).dtype
    np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize(
    "partner", [np.float32(3), np.arange(3, dtype=np.float32), np.arange(3, dtype=np.int8), 2, 2.5, np.arange(3) > 1]
)
@pytest.mark.parametrize("number", [3, 2.5, True, 1j])
def test_python_numbers_adapt(partner, number):
    def fun(x, s):
        return x * s + s

    want = fun(partner, number)
    (got,) = run(fun, partner, number)
    np.testing.assert_allclose(got, want, rtol=1e-6)
    if not isinstance(want, (int, float, complex)):
        assert got.dtype == want.dtype


def test_weak_numbers_stay_weak_among_themselves():
    program = wg.trace(lambda x, a, b: x * (a * b + 1), np.ones(3, np.float32), 2.0, 3)
    assert program.outs[0].aval == Aval((3,), np.dtype(np.float32))


# ── what is recorded ──────────────────────────────────────────────────────────


def test_the_users_lines_forward_and_backward():
    def loss(x):
        y = np.tanh(x)
        return np.sum(y * x)

    first = loss.__code__.co_firstlineno
    from wengert.core.source import lineno

    program = wg.trace(wg.grad(loss), X)
    lines = {eqn.op.name: lineno(eqn.source) - first for eqn in program.equations()}
    assert lines["tanh"] == 1
    assert lines["square"] == 1  # of tanh's pullback
    assert lines["reduce_sum"] == 2


def test_what_depends_on_no_input_is_computed_at_once():
    program = wg.trace(lambda x: x * np.exp(np.arange(3.0)).sum(), X)
    assert ops(program) == ["mul"]


def test_captured_arrays_are_as_they_were():
    weights = np.array([1.0, 2.0, 3.0])
    program = wg.trace(lambda x: x * weights, X)
    weights[:] = 0
    np.testing.assert_array_equal(program.run(X)[0], X * [1.0, 2.0, 3.0])


def test_an_array_that_changes_while_it_is_staged():
    weights = np.array([1.0, 2.0, 3.0])

    def fun(x):
        a = x * weights
        weights[0] = 10.0
        return a + x * weights

    program = wg.trace(fun, X)
    np.testing.assert_array_equal(program.run(X)[0], X * [1.0, 2.0, 3.0] + X * [10.0, 2.0, 3.0])


def test_uniform_arrays_take_no_memory():
    program = wg.trace(wg.grad(lambda x: np.sum(x)), np.ones(100_000))
    held = [a.value for eqn in program.equations() for a in eqn.ins if hasattr(a, "value")]
    assert sum(np.asarray(v).nbytes for v in held) < 100


def test_nothing_is_evaluated(monkeypatch):
    called = []
    exp = OPS["exp"]
    monkeypatch.setattr(exp, "eval", lambda x: called.append(x))
    wg.trace(lambda x: np.exp(x), X)
    assert not called


# ── views and writes ──────────────────────────────────────────────────────────


def through_reshape(x):
    y = x.copy()
    y.reshape(-1)[0] = 5.0
    return y


def through_a_copying_reshape(x):
    y = x.T * 2.0  # laid out as x.T
    y.reshape(-1)[0] = 5.0
    return y


def through_a_transposed_reshape(x):
    y = x.T * 2.0
    y.T.reshape(-1)[1] = 5.0
    return y


def through_ravel_of_fortran(x):
    y = np.asfortranarray(x * 1.0)
    y.ravel()[2] = 7.0
    y.ravel("K")[3] = 9.0
    return y


def through_nested_views(x):
    y = x + 0.0
    a = y[1:]
    b = a[:, ::-1]
    b[0, 0] = -3.0
    y[1, 2] += 10.0
    return y, a, b


def augmented(x):
    y = x.copy()
    y += 1.0
    y[0] *= 3.0
    y[:, 1] -= y[:, 2]
    return y


def a_loop(x):
    out = np.zeros(x.shape[1])
    for j in range(x.shape[1]):
        for i in range(len(x)):
            out[j] += x[i, j] ** (j + 1)
    return out


def through_a_diagonal_and_parts(x):
    m = np.zeros((3, 3))
    m[:2] = x
    np.fill_diagonal(m, 1.5)
    z = m + 1j * m.T
    z.real[0] = 4.0
    z.imag += 1.0
    return m, z


def given_out(x):
    y = np.empty_like(x)
    np.multiply(x, 2.0, out=y)
    np.add(y, x, out=y, where=x > 0)
    return y


def masked(x):
    y = x.copy()
    y[y < 0] *= 0.5
    y[x > 1] = 9.0
    y[x[:, 0] > 0.5] = x[0]
    big = x > 0.2
    y[big] = np.log(x[big]) - y[big]
    return y, np.sum(x[big] ** 2), x[big].mean()


WRITES = [
    through_reshape,
    through_a_copying_reshape,
    through_a_transposed_reshape,
    through_ravel_of_fortran,
    through_nested_views,
    augmented,
    a_loop,
    through_a_diagonal_and_parts,
    given_out,
    masked,
]


@pytest.mark.parametrize("fun", WRITES, ids=lambda f: f.__name__)
def test_writes_come_out_as_numpys(fun):
    want = fun(X.copy())
    want = want if isinstance(want, tuple) else (want,)
    for got, w in zip(run(fun, X), want, strict=True):
        np.testing.assert_allclose(got, w, rtol=1e-13)


@pytest.mark.parametrize("fun", WRITES, ids=lambda f: f.__name__)
def test_gradients_of_writes(fun):
    def loss(x):
        out = fun(x)
        out = out if isinstance(out, tuple) else (out,)
        return sum(np.sum(np.sin(np.real(o)) + np.imag(o) ** 2) for o in out)

    (got,) = run(wg.grad(loss), X)
    h = 1e-6
    slope = np.zeros_like(X)
    for at in np.ndindex(X.shape):
        up, down = X.copy(), X.copy()
        up[at] += h
        down[at] -= h
        slope[at] = (loss(up) - loss(down)) / (2 * h)
    np.testing.assert_allclose(got, slope, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("orders", [("C", "F"), ("F", "F"), ("F", "C"), ("C", "C")])
def test_layouts_are_numpys(orders):
    a = np.zeros((2, 3, 4), order=orders[0])
    b = np.zeros((3, 4), order=orders[1])
    for x, y in (
        (a, b),
        (a.transpose(2, 0, 1), a.transpose(2, 0, 1)),
        (a[:, ::-1], b[:, None].transpose(0, 2, 1)[:, :, 0]),
    ):
        want = (x + y).strides
        found = k_strides((x + y).shape, 8, [(x.shape, x.strides), (y.shape, y.strides)])
        assert (want if found is None else found) == want


def test_a_prototype_is_laid_out_as_told():
    like = np.zeros((4, 5, 6))[::-1, :, ::2].transpose(2, 0, 1)
    found = Abstract(like.shape, like.dtype, like.strides).prototype()
    assert found.strides == like.strides
    assert not found.any()


# ── what has no value ─────────────────────────────────────────────────────────


def branch(x):
    return x if x[0, 0] > 0 else -x


def loop(x):
    while np.sum(x) > 1:
        x = x / 2
    return x


def convert(x):
    return np.ones(3) * float(x[0, 0])


def count(n):
    return [n for _ in range(n)]


def counted(x, n=3):
    for i in range(np.sum(x > 0)):
        x = x + i
    return x


def extremum(x):
    return max(x[0, 0], x[0, 1])


def elements(x):
    return np.unique(x)


def mask(x):
    return x[x > 0]


def places(x):
    return np.nonzero(x)[0]


@pytest.mark.parametrize(
    ("fun", "way_out"),
    [
        (branch, "wengert.cond"),
        (loop, "wengert.while_loop"),
        (counted, "wengert.fori_loop"),
        (extremum, "numpy.maximum"),
        (convert, "x.astype"),
        (elements, "numpy.where"),
        (places, "numpy.where"),
    ],
    ids=lambda f: getattr(f, "__name__", ""),
)
def test_values_are_refused_with_the_users_line_and_a_way_out(fun, way_out):
    with pytest.raises(ConcretizationError) as caught:
        wg.trace(fun, X)
    text = str(caught.value)
    assert f"in {fun.__name__}: " in text and "test_stage.py" in text
    assert way_out in text


@pytest.mark.parametrize(
    "wrap", [wg.grad, wg.jacobian, lambda f: lambda x: wg.vmap(f)(x)], ids=["grad", "jacobian", "vmap"]
)
def test_values_are_refused_under_other_transforms_too(wrap):
    def fun(x):
        if np.sum(x) > 0:
            return np.sum(x)
        return np.sum(-x)

    with pytest.raises(ConcretizationError, match=r"if np\.sum"):
        wg.trace(wrap(fun), X)


def test_selections_stay_within():
    for fun in (mask, lambda x: len(x[x > 0]), lambda x: x[x > 0] + x[x > 1], lambda x: np.sort(x[x > 0])):
        with pytest.raises(ConcretizationError, match=r"numpy\.where"):
            wg.trace(fun, X)


def test_integers_are_refused_as_sizes():
    with pytest.raises(ConcretizationError, match="static_argnums"):
        wg.trace(count, 3)


def test_stop_gradient_does_not_make_values_known():
    with pytest.raises(ConcretizationError):
        wg.trace(lambda x: wg.stop_gradient(x)[0, 0].item() > 0 or 1.0, X)


def test_what_is_known_is_given():
    def fun(x):
        assert x.shape == (2, 3) and x.ndim == 2 and len(x) == 2 and x.size == 6 and x.dtype == F
        assert x.nbytes == 48 and x.strides == (24, 8) and x.flags.c_contiguous and not x.T.flags.c_contiguous
        rows = [row.sum() for row in x]
        a, b = x
        return np.stack(rows) + a.sum() + b[0]

    np.testing.assert_allclose(run(fun, X)[0], X.sum(1) + X[0].sum() + X[1, 0])


@pytest.mark.parametrize("other", [X, X + 1e-9, X[0], X + np.nan, X[:, :2]])
def test_comparisons_of_whole_arrays(other):
    y = np.where(X > 1, np.nan, X)
    for fun in (
        lambda x: np.array_equal(x, other),
        lambda x: np.array_equiv(x, other),
        lambda x: np.array_equal(np.where(x > 1, np.nan, x), y, equal_nan=True),
        lambda x: np.allclose(x, other if other.shape != (2, 2) else 0.0, equal_nan=True),
    ):
        assert bool(run(fun, X)[0]) is bool(fun(X))


def test_printing_shows_the_aval(capsys):
    wg.trace(lambda x: print(x, f"{x}", repr(x)) or x, X)
    assert capsys.readouterr().out.count("float64[2, 3]") == 3


def test_a_tensor_that_outlives_its_program():
    kept = []
    wg.trace(lambda x: kept.append(x) or x, X)
    with pytest.raises(TracerLeak, match="staged function"):
        kept[0] + 1


def test_results_must_be_arrays():
    with pytest.raises(DTypeError, match="str"):
        wg.trace(lambda x: "no", X)


def test_programs_do_not_close_over_running_transforms():
    with pytest.raises(TracerLeak, match="closes over"):
        wg.grad(lambda w: np.sum(wg.trace(lambda x: x * w, X).run(X)[0]))(X)


# ── rules of the user's own, checkpoints, tapes ───────────────────────────────


def test_custom_rules_are_seen():
    @wg.custom_vjp
    def clipped(x):
        return np.exp(x)

    clipped.defvjp(lambda x: (np.exp(x), x), lambda x, ct: (np.clip(ct, -1, 1) * np.cos(x),))
    loss = lambda x: np.sum(clipped(x) * 3.0)
    np.testing.assert_allclose(run(loss, X)[0], 3 * np.exp(X).sum())
    np.testing.assert_allclose(run(wg.grad(loss), X)[0], np.cos(X))

    @wg.custom_jvp
    def strange(x):
        return np.sin(x)

    @strange.defjvp
    def _(primals, tangents):
        return np.sin(primals[0]), tangents[0] * 10.0

    np.testing.assert_allclose(run(wg.grad(lambda x: np.sum(strange(x))), X)[0], np.full_like(X, 10.0))
    np.testing.assert_allclose(run(lambda x: wg.jvp(strange, (x,), (x,))[1], X)[0], 10 * X)


def test_checkpoints_are_seen():
    loss = lambda x: np.sum(wg.checkpoint(lambda y: np.tanh(np.sin(y)) * y)(x) ** 2)
    inner = np.tanh(np.sin(X))
    slope = 2 * inner * X * (inner + X * np.cos(X) / np.cosh(np.sin(X)) ** 2)
    np.testing.assert_allclose(run(wg.grad(loss), X)[0], slope)


def test_a_tape_within():
    def fun(x):
        with wg.GradientTape() as tape:
            y = tape.watch(x)
            z = np.sum(y**3)
        return tape.gradient(z, y)

    np.testing.assert_allclose(run(fun, X)[0], 3 * X**2)


def test_cuts():
    def fun(x):
        with wg.no_grad():
            a = x * 3.0
        return np.sum(a * x + wg.stop_gradient(x) * x)

    np.testing.assert_allclose(run(wg.grad(fun), X)[0], 4 * X)


def test_nested_programs():
    program, captured = stage(lambda x: [wg.trace(lambda y: np.sin(y), X).run(x)[0]], [Aval((2, 3), F)])
    assert not captured
    np.testing.assert_allclose(program.run(X)[0], np.sin(X))
