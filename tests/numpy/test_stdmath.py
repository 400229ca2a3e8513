"""Python's math and cmath on Tensors: every function, by enumeration."""

import cmath
import math

import numpy as np
import pytest

from wengert.numpy import stdcmath, stdmath
from wengert.transforms.batch import batch_flat
from wengert.transforms.forward import jvp_flat
from wengert.transforms.reverse import vjp_flat
from wengert.verify.reference import differences

# Every differentiable function of math, at points inside its domain.
CALLS = {
    "acos": [(0.3,)],
    "acosh": [(1.7,)],
    "asin": [(-0.4,)],
    "asinh": [(0.8,)],
    "atan": [(0.8,)],
    "atan2": [(0.8, -1.2), (-0.3, 0.5)],
    "atanh": [(0.4,)],
    "cbrt": [(2.3,), (-2.3,)],
    "copysign": [(1.3, -0.5), (-2.0, 3.0)],
    "cos": [(0.7,)],
    "cosh": [(0.7,)],
    "degrees": [(0.7,)],
    "erf": [(0.7,)],
    "erfc": [(0.7,)],
    "exp": [(0.7,)],
    "exp2": [(0.7,)],
    "expm1": [(1e-9,), (0.7,)],
    "fabs": [(-0.7,)],
    "fma": [(1.5, 2.5, -3.7)],
    "fmod": [(7.3, 2.1), (-7.3, 2.1)],
    "frexp": [(7.3,), (-0.1,)],
    "gamma": [(3.7,), (-0.5,)],
    "hypot": [(3.0, 4.0), (1.0, 2.0, 3.0), (-1.3,)],
    "ldexp": [(1.3, 4)],
    "lgamma": [(3.7,), (-0.5,)],
    "log": [(2.3,), (2.3, 1.7), (2.3, 10)],
    "log10": [(2.3,)],
    "log1p": [(0.3,)],
    "log2": [(2.3,)],
    "modf": [(2.3,), (-2.3,)],
    "nextafter": [(1.5, 2.0)],
    "pow": [(2.3, 1.7), (-2.0, 3)],
    "radians": [(33.0,)],
    "remainder": [(7.3, 2.1), (6.5, -2.1)],
    "sin": [(0.7,)],
    "sinh": [(0.7,)],
    "sqrt": [(2.3,)],
    "tan": [(0.7,)],
    "tanh": [(0.7,)],
}
ITERABLES = {
    "dist": [([1.0, 2.0, 3.0], [0.5, -1.0, 2.0])],
    "fsum": [([0.1] * 10,), ([1e16, 1.0, -1e16],)],
    "prod": [([1.5, -2.0, 3.0],)],
    "sumprod": [([1.0, 2.0, 3.0], [0.5, -1.0, 2.0])],
}
CONSTANT = {
    "ceil": (2.3,),
    "floor": (-2.3,),
    "trunc": (-2.3,),
    "isclose": (1.0, 1.0 + 1e-12),
    "isfinite": (2.3,),
    "isinf": (math.inf,),
    "isnan": (math.nan,),
    "ulp": (2.3,),
    "comb": (7, 3),
    "factorial": (5,),
    "gcd": (12, 18),
    "isqrt": (17,),
    "lcm": (4, 6),
    "perm": (7, 3),
    "isnormal": (2.3,),
    "issubnormal": (2.3,),
    "signbit": (-2.3,),
}
NOT_INTEGERS = ("comb", "factorial", "gcd", "isqrt", "lcm", "perm")
PUBLIC = [n for n in dir(math) if not n.startswith("_") and callable(getattr(math, n))]
PRESENT = [(n, args) for n, rows in CALLS.items() if hasattr(math, n) for args in rows]


def outputs(function, args):
    out = function(*args)
    return list(out) if isinstance(out, tuple) else [out]


def test_every_function_is_served():
    known = {*CALLS, *ITERABLES, *CONSTANT}
    assert set(PUBLIC) <= known, f"new in math: {set(PUBLIC) - known}"
    for name in PUBLIC:
        assert getattr(stdmath, name) is stdmath.FUNCTIONS[name]
        assert getattr(stdmath, name).__name__ == name


def test_constants_are_maths():
    for name in ("pi", "e", "tau", "inf"):
        assert getattr(stdmath, name) == getattr(math, name)
    assert math.isnan(stdmath.nan)
    assert set(dir(math)) <= set(dir(stdmath))
    with pytest.raises(AttributeError):
        _ = stdmath.nothing


@pytest.mark.parametrize("name, args", PRESENT)
def test_differentiable(name, args):
    """Values are math's, and derivatives those of math's differences, in both modes; integers stay constant."""
    ours, theirs = getattr(stdmath, name), getattr(math, name)
    spots = [i for i, a in enumerate(args) if isinstance(a, float)]
    primals = [np.float64(args[i]) for i in spots]

    def full(floats):
        new = list(args)
        for i, x in zip(spots, floats, strict=True):
            new[i] = x
        return new

    weights = [0.7, -1.3, 0.4][: len(spots)]
    plain = outputs(theirs, args)
    values, dots = jvp_flat(lambda *xs: outputs(ours, full(xs)), primals, [np.float64(w) for w in weights])
    assert [float(v) for v in values] == pytest.approx([float(p) for p in plain], rel=4e-16, abs=1e-300)
    if name == "nextafter":
        want = [weights[0]]
    else:
        moved = differences(
            lambda t: [
                np.float64(o) for o in outputs(theirs, full([p + t * w for p, w in zip(primals, weights, strict=True)]))
            ]
        ).value
        want = [float(m) for m in moved]
    got = [0.0 if d is None else float(d) for d in dots]
    assert got == pytest.approx(want, rel=1e-7, abs=1e-8)
    _, pullback, _ = vjp_flat(lambda *xs: outputs(ours, full(xs))[:1], primals)
    back = pullback([np.float64(1.0)])
    assert sum(float(b) * w for b, w in zip(back, weights, strict=True)) == pytest.approx(got[0], rel=1e-12)


@pytest.mark.parametrize(
    "name, args", [(n, a) for n, rows in ITERABLES.items() if hasattr(math, n) for a in rows], ids=lambda v: str(v)[:20]
)
def test_iterables(name, args):
    ours, theirs = getattr(stdmath, name), getattr(math, name)
    arrays = [np.array(a) for a in args]
    steps = [np.linspace(0.3, -0.8, len(a)) for a in args]
    values, dots = jvp_flat(lambda *xs: [ours(*xs)], arrays, steps)  # the Tensor itself is the iterable
    assert float(values[0]) == theirs(*args)
    if name == "fsum":
        assert float(dots[0]) == pytest.approx(sum(steps[0]), rel=1e-14)
    else:
        want = differences(
            lambda t: [np.float64(theirs(*(a + t * s for a, s in zip(arrays, steps, strict=True))))]
        ).value
        assert float(dots[0]) == pytest.approx(float(want[0]), rel=1e-7)
    lazily, _ = jvp_flat(lambda *xs: [ours(*map(iter, xs))], arrays, steps)
    assert float(lazily[0]) == theirs(*args)


@pytest.mark.parametrize("name", [n for n in CONSTANT if hasattr(math, n)])
def test_constant(name):
    """Results of the types and values of math's; integer functions refuse floats, as math does."""
    ours, theirs, args = getattr(stdmath, name), getattr(math, name), CONSTANT[name]
    assert ours(*args) == theirs(*args)
    seen = []

    def fun(*xs):
        if name in NOT_INTEGERS:
            with pytest.raises(TypeError):
                ours(*xs)
            seen.append(theirs(*args))
        else:
            seen.append(ours(*xs))
        return [xs[0]]

    jvp_flat(fun, [np.float64(a) for a in args], [np.float64(1.0) for _ in args])
    assert seen == [theirs(*args)]
    assert type(seen[0]) is type(theirs(*args))


@pytest.mark.parametrize(
    "name, args, error",
    [
        ("sqrt", (-1.0,), ValueError),
        ("log", (0.0,), ValueError),
        ("log", (2.0, 1.0), ZeroDivisionError),
        ("acos", (2.0,), ValueError),
        ("gamma", (-3.0,), ValueError),
        ("lgamma", (0.0,), ValueError),
        ("pow", (0.0, -1.0), ValueError),
        ("pow", (-1.0, 0.5), ValueError),
        ("fmod", (1.0, 0.0), ValueError),
        ("remainder", (1.0, 0.0), ValueError),
        ("sin", (math.inf,), ValueError),
        ("exp", (1000.0,), OverflowError),
        ("cosh", (1000.0,), OverflowError),
        ("ldexp", (1.0,), TypeError),
    ],
)
def test_errors_are_maths(name, args, error):
    with pytest.raises(error):
        getattr(math, name)(*args)
    with pytest.raises(error):
        jvp_flat(
            lambda *xs: [getattr(stdmath, name)(*xs)], [np.float64(a) for a in args], [np.float64(1.0)] * len(args)
        )


def test_arrays_are_refused_and_single_elements_taken():
    with pytest.raises(TypeError, match="length-1"):
        jvp_flat(lambda x: [stdmath.sin(x)], [np.array([1.0, 2.0])], [np.ones(2)])
    values, dots = jvp_flat(lambda x: [stdmath.sin(x)], [np.array([1.0])], [np.ones(1)])
    assert values[0].shape == dots[0].shape == ()
    with pytest.raises(TypeError, match="real"):
        jvp_flat(lambda x: [stdmath.sin(x)], [np.complex128(1j)], [np.complex128(1.0)])


def test_single_precision_is_computed_in_double():
    values, pullback, _ = vjp_flat(lambda x: [stdmath.sin(x)], [np.float32(0.5)])
    assert values[0].dtype == np.float64 and float(values[0]) == pytest.approx(math.sin(0.5), rel=1e-15)
    assert pullback([np.float64(1.0)])[0].dtype == np.float32


@pytest.mark.parametrize("name", ["sin", "floor", "isnan", "modf", "frexp", "hypot", "remainder", "lgamma", "fsum"])
def test_under_vmap(name):
    x = np.array([0.3, 1.7, 2.6])
    ours, theirs = getattr(stdmath, name), getattr(math, name)
    call = {"hypot": lambda f, v: f(v, 2.0), "remainder": lambda f, v: f(v, 2.0), "fsum": lambda f, v: f([v, 1.0])}.get(
        name, lambda f, v: f(v)
    )
    outs, flags = batch_flat(lambda v: outputs(lambda w: call(ours, w), (v,)), [x], [True], 3)
    want = np.array([outputs(lambda w: call(theirs, w), (v,)) for v in x.tolist()], float).T
    assert all(flags)
    np.testing.assert_allclose(np.array(outs, float), want, rtol=1e-14)


def test_second_order():
    def slope(x):
        return jvp_flat(lambda y: [stdmath.exp(y) * stdmath.sin(y)], [x], [np.float64(1.0)])[1]

    _, second = jvp_flat(slope, [np.float64(0.7)], [np.float64(1.0)])
    assert float(second[0]) == pytest.approx(2 * math.exp(0.7) * math.cos(0.7), rel=1e-14)


def test_plain_numbers_get_maths_own():
    assert stdmath.sin(0.3) == math.sin(0.3)
    assert type(stdmath.floor(2.5)) is int
    assert stdmath.factorial(20) == math.factorial(20)
    assert stdmath.log(10**400) == math.log(10**400)
    assert stdmath.fsum(x for x in (0.1,) * 10) == 1.0
    assert stdmath.prod([2, 3], start=4) == 24


# ── cmath ─────────────────────────────────────────────────────────────────────

CPUBLIC = [n for n in dir(cmath) if not n.startswith("_") and callable(getattr(cmath, n))]
CTESTS = ("isclose", "isfinite", "isinf", "isnan")


def test_every_function_of_cmath_is_served():
    assert set(CPUBLIC) == set(stdcmath.FUNCTIONS)
    assert stdcmath.pi == cmath.pi and stdcmath.infj == cmath.infj


@pytest.mark.parametrize("name", [n for n in CPUBLIC if n not in (*CTESTS, "rect")])
@pytest.mark.parametrize("z", [0.4 + 0.3j, -1.2 + 0.7j, 0.6 - 1.1j])
def test_cmath(name, z):
    ours, theirs = getattr(stdcmath, name), getattr(cmath, name)
    primal, step = np.complex128(z), np.complex128(0.3 - 0.8j)
    values, dots = jvp_flat(lambda z: outputs(ours, (z,)), [primal], [step])
    assert [complex(v) for v in values] == pytest.approx(outputs(theirs, (z,)), rel=1e-14)
    want = differences(lambda t: [np.asarray(o) for o in outputs(theirs, (z + t * 1j * (0.3 - 0.8j) / 1j,))]).value
    np.testing.assert_allclose(np.array(dots, complex), np.array(want, complex), rtol=1e-8)


def test_cmath_rect_and_tests():
    values, dots = jvp_flat(
        lambda r, p: [stdcmath.rect(r, p)], [np.float64(2.0), np.float64(0.4)], [np.float64(1.0)] * 2
    )
    assert complex(values[0]) == pytest.approx(cmath.rect(2.0, 0.4))
    assert complex(dots[0]) == pytest.approx(cmath.rect(1.0, 0.4) * (1 + 2j))
    for name in CTESTS:
        args = (1j, 1j) if name == "isclose" else (complex("nan"),)
        assert getattr(stdcmath, name)(*args) == getattr(cmath, name)(*args)
    with pytest.raises(ValueError, match="domain"):
        jvp_flat(lambda z: [stdcmath.log(z)], [np.complex128(0.0)], [np.complex128(1.0)])
    assert stdcmath.sqrt(-1) == 1j
