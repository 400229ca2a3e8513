"""Programs as values: text, equality, fingerprints, bytes, gradients, and what a legal one is."""

import pickle
import subprocess
import sys

import numpy as np
import pytest

import wengert as wg
from wengert.core.aval import Aval
from wengert.core.errors import DTypeError, WengertError
from wengert.core.op import OPS
from wengert.core.tensor import CONSTANTS, Tensor
from wengert.graph.program import Eqn, Literal, Program, Var
from wengert.graph.spec import IllegalProgram, check
from wengert.ops.elementwise import mul, sin
from wengert.trace.stage import infer, stage
from wengert.transforms.call import call
from wengert.transforms.control.switch import switch

X = np.array([0.3, -1.2, 2.0])
A = np.array([[1.0, 2.0, 0.5], [0.0, -1.0, 2.0]])


def model(x, a, *, scale=2.0):
    table = np.array([1.0, 0.5, 0.25])
    h = np.tanh(a @ x) * scale
    picked = x[np.array([0, 2, 0])] * table
    return {"loss": np.sum(h**2) + np.max(picked), "hidden": h[::-1], "count": np.sum(x > 0)}


def loss(x, a):
    return np.sum(np.tanh(a @ x) ** 2) * np.exp(x[0])


# ── values ────────────────────────────────────────────────────────────────────


def test_text():
    program = wg.trace(lambda x: np.sum(np.sin(x) * 2.0, axis=0), wg.ShapeDtype((3, 2), np.float32))
    lines = [line.split("  #")[0] for line in str(program).splitlines()]
    assert lines == [
        "program(v0:float32[3,2])",
        "  v1:float32[3,2] = sin(v0)",
        "  v2:float32[3,2] = mul(v1, 2.0)",
        "  v3:float32[2] = reduce_sum(v2) axes=(0,)",
        "  return v3",
    ]


def test_arguments_by_shape_alone():
    by_shape = wg.trace(model, wg.ShapeDtype(3), wg.ShapeDtype((2, 3)))
    assert by_shape == wg.trace(model, X, A)
    out = by_shape.run(X, A)
    np.testing.assert_allclose(out[1], model(X, A)["hidden"])  # leaves of a dict come in the order of its keys


def test_equality_is_of_what_is_done():
    one = wg.trace(model, X, A)
    assert one == wg.trace(model, X + 1, A) and hash(one) == hash(wg.trace(model, X, A))
    others = [
        wg.trace(model, X, A, scale=3.0),
        wg.trace(lambda x, a: model(x, a) | {"count": np.sum(x >= 0)}, X, A),
        wg.trace(model, X.astype(np.float32), A.astype(np.float32)),
        wg.trace(lambda x, a: model(x, a)["loss"], X, A),
    ]
    assert all(other != one and other.fingerprint() != one.fingerprint() for other in others)


@pytest.mark.parametrize("pair", [(0.0, -0.0), (1, 1.0), (1, True), (1.0, np.float32(1)), (2.0, np.float64(2))])
def test_constants_that_only_look_alike(pair):
    one, other = (wg.trace(lambda x, c=c: x * c, X) for c in pair)
    assert one != other


def test_literals_count_by_their_bytes():
    one, other = (wg.trace(lambda x, t=t: x * t, X) for t in (np.array([1.0, 2, 3]), np.array([1.0, 2, 3.5])))
    assert one != other
    assert one == wg.trace(lambda x: x * np.array([1.0, 2, 3]), X)


SCRIPT = """
import numpy as np, wengert as wg
print(wg.trace(wg.grad(lambda x: np.sum(np.sin(x) * np.arange(3.0) ** 2)), np.ones(3)).fingerprint())
"""


def test_fingerprints_are_the_same_in_every_process():
    here = wg.trace(wg.grad(lambda x: np.sum(np.sin(x) * np.arange(3.0) ** 2)), np.ones(3)).fingerprint()
    there = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True).stdout.strip()
    assert here == there and len(here) == 64


def test_a_function_among_the_parameters_has_no_fingerprint():
    var = Var((3,), np.dtype(float))
    out = Var((3,), np.dtype(float))
    program = Program([var], [Eqn(OPS["sin"], [var], out, {"fun": len}, (), None, None, 0)], [out])
    assert program.fingerprint() is None
    assert program == Program([var], program.eqns, [out])
    with pytest.raises(WengertError, match="parameter fun of sin"):
        program.to_bytes()


# ── bytes ─────────────────────────────────────────────────────────────────────


def everything(x, a, n):
    half = a.astype(np.float16)
    z = x + 1j
    return (
        np.where(x > 0, x, np.inf),
        half[:, None, ..., ::-1],
        np.einsum("ij,j->i", a, x),
        z * np.array([1j, 2.0, -0.0]),
        np.cumsum(n) + n,
        x[n],
        np.sort(x),
        np.pad(a, 1, constant_values=np.nan),
    )


def test_bytes_and_back():
    n = np.array([2, 0, 1], np.int32)
    program = wg.trace(everything, X, A, n)
    again = Program.from_bytes(program.to_bytes())
    assert again == program and str(again) == "\n".join(line.split("  #")[0] for line in str(program).splitlines())
    check(again, infer=infer)
    for got, want in zip(again.run(X, A, n), everything(X, A, n), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-14)
        assert got.dtype == want.dtype


def test_bytes_of_programs_within():
    program = wg.trace(wg.grad(wg.jit(loss, inline=False)), X, A)
    assert any(isinstance(eqn.params.get("program"), Program) for eqn in program.equations())
    again = Program.from_bytes(program.to_bytes())
    np.testing.assert_allclose(again.run(X, A)[0], wg.grad(loss)(X, A))


def test_pickle():
    program = wg.trace(loss, X, A)
    assert pickle.loads(pickle.dumps(program)) == program


def test_programs_shared_level_by_level_cost_once():
    """A program of ten calls of a program of ten calls …, twelve levels deep: 10¹² calls, and a few lines."""
    program, _ = stage(lambda x: [sin(x)], [Aval((3,), np.dtype(float))])
    for _ in range(12):
        inner = program

        def run(x, inner=inner):
            for _ in range(10):
                (x,) = call(x, program=inner)
            return [x]

        program, _ = stage(run, [Aval((3,), np.dtype(float))])
    data = program.to_bytes()
    assert len(data) < 100_000 and Program.from_bytes(data) == program
    assert str(program).count("where program") == 12


def test_bytes_and_text_of_branches():
    branches = tuple(
        stage(lambda x, c=c: [mul(sin(x), c)], [Aval((3,), np.dtype(float))])[0] for c in (1.0, np.arange(3.0))
    )
    program, _ = stage(
        lambda i, x: list(switch(i, x, branches=branches)), [Aval((), np.dtype(int)), Aval((3,), np.dtype(float))]
    )
    back = Program.from_bytes(program.to_bytes())
    assert back == program and back.fingerprint() == program.fingerprint()
    np.testing.assert_array_equal(back.run(1, np.ones(3))[0], np.sin(1.0) * np.arange(3.0))
    other, _ = stage(
        lambda i, x: list(switch(i, x, branches=branches[::-1])), [Aval((), np.dtype(int)), Aval((3,), np.dtype(float))]
    )
    assert other != program
    assert "branches=(‹program 0›, ‹program 1›)" in str(program)


@pytest.mark.parametrize(
    "damage",
    [lambda b: b"x" + b[1:], lambda b: b[:40], lambda b: b[:-5], lambda b: b"", lambda b: b[:26] + b"}" + b[27:]],
)
def test_damaged_bytes_are_refused(damage):
    data = wg.trace(lambda x: x * np.array([1.0, 2.0, 3.0]), X).to_bytes()
    with pytest.raises(WengertError, match="from_bytes"):
        Program.from_bytes(damage(data))


def test_bytes_of_an_unknown_op():
    data = wg.trace(np.sin, X).to_bytes().replace(b'"sin"', b'"sim"')
    with pytest.raises(WengertError, match="'sim'"):
        Program.from_bytes(data)


def test_bytes_hold_no_pickle():
    data = wg.trace(lambda x: x * np.array([1.0, 2.0, 3.0]), X).to_bytes()
    evil = data.replace(b"'<f8'", b"'|O' ")
    with pytest.raises(WengertError):
        Program.from_bytes(evil)


# ── derivatives ───────────────────────────────────────────────────────────────


def numeric(fun, args, i, h=1e-6):
    out = np.zeros(np.shape(args[i]))
    for at in np.ndindex(out.shape):
        up, down = [np.array(a) for a in args], [np.array(a) for a in args]
        up[i][at] += h
        down[i][at] -= h
        out[at] = (fun(*up) - fun(*down)) / (2 * h)
    return out


def test_gradient_of_a_scalar():
    program = wg.trace(loss, X, A).gradient()
    check(program, infer=infer)
    assert len(program.ins) == 2
    for i, got in enumerate(program.run(X, A)):
        np.testing.assert_allclose(got, numeric(loss, [X, A], i), rtol=1e-7, atol=1e-8)


def test_gradient_of_some():
    program = wg.trace(model, X, A)  # outputs: count, hidden, loss
    only = program.gradient(outputs=2, inputs=1)
    assert len(only.ins) == 2 and len(only.outs) == 1
    np.testing.assert_allclose(
        only.run(X, A)[0], numeric(lambda x, a: model(x, a)["loss"], [X, A], 1), rtol=1e-6, atol=1e-8
    )
    assert "index" not in [eqn.op.name for eqn in only.equations()]  # the part of `picked` is left out
    both = program.gradient()
    assert len(both.ins) == 4
    ct = np.array([0.5, -2.0])
    weighed = lambda x, a: model(x, a)["loss"] * 3 + model(x, a)["hidden"] @ ct
    for i, got in enumerate(both.run(X, A, ct, np.float64(3))):
        np.testing.assert_allclose(got, numeric(weighed, [X, A], i), rtol=1e-6, atol=1e-8)


def test_gradients_of_gradients():
    second = wg.trace(loss, X, A).gradient(inputs=0).gradient(inputs=0)
    got = second.run(X, A, np.array([1.0, 0.0, 0.0]))[0]
    first = wg.trace(loss, X, A).gradient(inputs=0)
    np.testing.assert_allclose(got, numeric(lambda x, a: first.run(x, a)[0][0], [X, A], 0), rtol=1e-6)


def test_gradient_of_complex_functions_is_the_users():
    z = X + 1j * X[::-1]
    fun = lambda z: np.sum(np.abs(np.exp(z) * z) ** 2)
    (got,) = wg.trace(fun, z).gradient().run(z)
    real = numeric(lambda x: fun(x + 1j * z.imag), [z.real], 0)
    imag = numeric(lambda y: fun(z.real + 1j * y), [z.imag], 0)
    np.testing.assert_allclose(got, real + 1j * imag, rtol=1e-7)


def test_pushforward():
    program = wg.trace(loss, X, A).pushforward(inputs=0)
    value, tangent = program.run(X, A, np.array([1.0, 0.0, 2.0]))
    np.testing.assert_allclose(value, loss(X, A))
    np.testing.assert_allclose(tangent, numeric(loss, [X, A], 0) @ [1.0, 0.0, 2.0], rtol=1e-7)


def test_derivatives_of_integers_are_refused():
    program = wg.trace(lambda x, n: x[n], X, np.array([1, 2]))
    with pytest.raises(DTypeError, match="input 1"):
        program.gradient(inputs=1)
    with pytest.raises(ValueError, match="input 5"):
        program.gradient(inputs=5)


# ── legality ──────────────────────────────────────────────────────────────────


def legal():
    x, y = Var((3,), np.dtype(float)), Var((), np.dtype(float))
    return Program([x], [Eqn(OPS["reduce_sum"], [x], y, {"axes": (0,)}, (), None, None, 0)], [y])


def with_eqn(program, **changes):
    program.eqns[0] = program.eqns[0]._replace(**changes)
    return program


ILLEGAL = {
    "Var or a Literal": lambda p: with_eqn(p, ins=[None]),
    "made once": lambda p: Program(p.ins * 2, p.eqns, p.outs),
    "before use": lambda p: with_eqn(p, ins=[Var((3,), np.dtype(float))]),
    "shape rule": lambda p: with_eqn(p, outs=Var((2,), np.dtype(float))),
    "as the op's": lambda p: with_eqn(p, outs=Var((), np.dtype(np.float32))),
    "ndarray or a number": lambda p: with_eqn(p, ins=[Literal(Tensor(X, None, CONSTANTS))]),
    "static parameters": lambda p: with_eqn(p, params={"axes": (Tensor(X, None, CONSTANTS),)}),
    "a Var": lambda p: with_eqn(p, outs=None),
    "definition": lambda p: Program(p.ins, [], p.outs),
    "tuple of int": lambda p: Program([Var([3], np.dtype(float))], [], []),
}


def test_a_legal_program():
    check(legal())


@pytest.mark.parametrize("want", ILLEGAL)
def test_illegal_programs_are_named(want):
    with pytest.raises(IllegalProgram, match=want) as caught:
        check(ILLEGAL[want](legal()), after="the pass")
    assert "after the pass" in str(caught.value) and "program(" in str(caught.value)


def test_nans_of_either_sign_are_different_literals():
    x = np.ones(2)
    assert wg.trace(lambda x: np.copysign(x, np.nan), x) != wg.trace(lambda x: np.copysign(x, -np.nan), x)
