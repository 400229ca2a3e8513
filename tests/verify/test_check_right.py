"""Right derivatives pass, on programs of the size and kind that people have; and the cost stays as promised."""

import json
import warnings

import numpy as np
import pytest
import scipy.special as sp
from scipy.linalg import hilbert

import wengert as wg
from wengert.verify import GradientCheckWarning, check_grads

rng = np.random.default_rng(3)


def ode(p, y0, data):
    y, total, h = y0, 0.0, 0.1

    def rhs(y):
        return np.array([p[0] * y[0] - p[1] * y[0] * y[1], p[2] * y[0] * y[1] - p[3] * y[1]])

    for target in data:
        k1 = rhs(y)
        k2 = rhs(y + h / 2 * k1)
        k3 = rhs(y + h / 2 * k2)
        k4 = rhs(y + h * k3)
        y = y + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        total = total + np.sum((np.log(y) - target) ** 2)
    return total


def gaussian_process(theta, x, y):
    d = ((x[:, None] - x[None]) ** 2).sum(-1)
    k = np.exp(theta[0]) * np.exp(-0.5 * d / np.exp(theta[1]) ** 2) + np.exp(theta[2]) * np.eye(len(x))
    lower = np.linalg.cholesky(k)
    return 0.5 * y @ np.linalg.solve(k, y) + np.log(np.diag(lower)).sum()


def softmax_regression(w, b, x, y):
    z = x @ w + b
    z = z - z.max(1, keepdims=True)
    return -np.mean(np.sum(y * (z - np.log(np.exp(z).sum(1, keepdims=True))), 1))


def spectrum(z):
    return np.sum(np.abs(np.fft.fft(z)) ** 4) / len(z) ** 3


def filled(x):
    y = np.zeros((4, 4))
    for i in range(4):
        y[i] = x * i
        y[i, i] += x[i] ** 2
    y[1:3] *= 2
    return y.sum(0) @ x


def model(params, t, *, shift=0.0):
    return {"fit": params["a"] * np.exp(-params["b"][0] * t) + shift, "n": len(t)}


CASES = {
    "ODE by a Runge–Kutta loop": (ode, (np.array([1.0, 0.5, 0.3, 0.8]), np.array([1.0, 2.0]), rng.normal(size=(8, 2)))),
    "Gaussian process": (gaussian_process, (np.array([0.0, 0.3, -2.0]), rng.normal(size=(12, 2)), rng.normal(size=12))),
    "softmax in float32": (
        softmax_regression,
        (rng.normal(size=(6, 3)).astype("f4"), np.zeros(3, "f4"), rng.normal(size=(20, 6)).astype("f4"), np.eye(3, dtype="f4")[rng.integers(0, 3, 20)]),
    ),
    "complex spectrum": (spectrum, (rng.normal(size=8) + 1j * rng.normal(size=8),)),
    "holomorphic": (lambda z: np.exp(z) * z**2, (rng.normal(size=3) + 1j * rng.normal(size=3),)),
    "real to complex": (lambda x: np.fft.rfft(x * x), (rng.normal(size=8),)),
    "quantiles": (lambda x: np.quantile(x, [0.1, 0.5, 0.73]) + np.sort(x)[:3], (rng.normal(size=31),)),
    "special functions": (lambda a, x: np.sum(sp.gammaln(a) * sp.erf(x) + sp.jv(1, x)), (rng.uniform(1, 3, 5), rng.normal(size=5))),
    "writes in place": (filled, (rng.normal(size=4),)),
    "dictionaries": (model, ({"a": 1.5, "b": [np.float64(0.5)]}, np.linspace(0, 2, 5))),
    "interpolation between knots": (lambda x: np.interp(x, np.arange(5.0), np.array([0.0, 1, 4, 9, 16])) ** 2, (np.array([0.5, 2.2, 3.3]),)),
    "norm": (np.linalg.norm, (rng.normal(size=4),)),
    "parameters of very different sizes": (lambda p: np.log(p[0]) * p[1] + p[2] / p[1], (np.array([1e-6, 1e6, 3.0]),)),
    "half precision": (lambda x: np.tanh(x) ** 3, (rng.normal(size=20).astype("f2"),)),
    "no dependence on one argument": (lambda x, y: np.sin(x), (rng.normal(size=3), rng.normal(size=2))),
    "a constant": (lambda x: np.zeros(3) + 0 * x, (rng.normal(size=3),)),
    "an ill-conditioned solve": (lambda a: np.linalg.solve(hilbert(8), a), (rng.normal(size=8),)),
    "sums of many": (lambda x: np.log(np.sum(np.exp(3 * x))), (rng.normal(size=20_000),)),
    "very small": (lambda x: np.sum(x**2) * 1e-200, (rng.normal(size=3) * 1e-50,)),
    "very large": (lambda x: np.sqrt(np.sum(x**2)), (rng.normal(size=3) * 1e100,)),
    "eigenvalues": (lambda a: np.linalg.eigvalsh(a + a.T), (rng.normal(size=(5, 5)),)),
    "empty": (lambda x: np.sum(x**2), (np.zeros((0, 3)),)),
    "a branch and a loop that stops": (lambda a: newton(a), (7.3,)),
}  # fmt: skip


def newton(a):
    x = 1.0
    for _ in range(100):
        new = x - (x**3 - a) / (3 * x**2)
        if abs(new - x) < 1e-5:
            return new
        x = new
    return x


@pytest.mark.parametrize("name", CASES)
def test_right(name):
    fun, args = CASES[name]
    with warnings.catch_warnings():
        warnings.simplefilter("error", GradientCheckWarning)
        report = check_grads(fun, *args)
    assert report and report.verdict == "right"
    assert {(c.order, c.mode) for c in report.comparisons} == {
        (1, "forward"), (1, "reverse"), (2, "forward over forward"), (2, "reverse over forward"),
        (2, "forward over reverse"), (2, "reverse over reverse"),
    }  # fmt: skip
    assert len(str(report).splitlines()) <= 9 + 3 * ("left out: jit" in str(report)), (
        "a report with nothing to say is short"
    )
    assert json.loads(json.dumps(report.to_dict()))["verdict"] == "right"


def test_sharp_where_the_function_allows_it():
    report = check_grads(lambda x: np.sum(np.sin(x) * np.exp(x)), rng.normal(size=6))
    assert {c.reference for c in report.comparisons} == {"complex step"}
    assert max(c.error for c in report.comparisons) < 1e-13
    assert max(c.resolution for c in report.comparisons) < 1e-11


def test_cost_does_not_grow_with_the_sizes():
    counts = []
    for n in (10, 100_000):
        calls = []

        def f(x, calls=calls):
            calls.append(1)
            return np.tanh(x) * x.mean()

        report = check_grads(f, np.random.default_rng(0).normal(size=n))
        assert report
        assert report.evaluations <= 30 and report.derivatives <= 100
        counts.append(len(calls))
    assert counts[1] <= 1.1 * counts[0]


def test_third_order_takes_every_combination():
    report = check_grads(lambda x: np.sum(np.sin(x) * x), np.array([0.3, -1.2]), order=3)
    assert report
    assert len([c for c in report.comparisons if c.order == 3]) == 8
    assert "reverse over forward over reverse" in {c.mode for c in report.comparisons}


def test_modes_and_argnums():
    report = check_grads(lambda x, y: np.sum(x * y), np.ones(2), np.ones(2), argnums=1, modes=("rev",), order=1)
    assert [c.mode for c in report.comparisons] == ["reverse"]
    assert report.arguments == "y: float64[2]"
    assert not any(p.name == "forward = reverse" for p in report.properties)


def test_keyword_arguments_are_constants():
    report = check_grads(model, {"a": 1.5, "b": [0.5]}, np.linspace(0, 2, 5), shift=3.0)
    assert report and report.arguments == "params['a']: float64[], params['b'][0]: float64[], t: float64[5]"
    assert any(f.kind == "left out" and "'n'" in f.message for f in report.findings), "the integer output is named"


@pytest.mark.parametrize("convention", ["steepest", "jax"])
def test_complex_conventions(convention):
    z = rng.normal(size=3) + 1j * rng.normal(size=3)
    with wg.config.override(complex_convention=convention):
        assert check_grads(lambda z: np.abs(z) ** 3 * np.conj(z), z)


@pytest.mark.parametrize("method", ["differences", "complex step", "extended", "mpmath"])
def test_methods(method):
    report = check_grads(lambda x: np.sum(np.sin(x) * np.exp(x)), np.array([0.3, -1.2]), method=method)
    assert report and method.split()[0] in report.comparisons[0].reference


def test_rng_and_eps():
    f, x = (lambda x: np.sum(np.sin(x))), np.array([0.3, -1.2])
    one, two = (check_grads(f, x, rng=np.random.default_rng(5), eps=1e-3, method="differences") for _ in range(2))
    assert [c.error for c in one.comparisons] == [c.error for c in two.comparisons]


def test_tolerances_of_the_user():
    wrong = wg.custom_vjp(lambda x: np.sum(x**2))
    wrong.defvjp(lambda x: (np.sum(x**2), x), lambda x, ct: (ct * 2.001 * x,))
    assert check_grads(wrong, np.array([1.0, 2.0]), order=1, raise_exception=False).verdict == "wrong"
    assert check_grads(wrong, np.array([1.0, 2.0]), order=1, rtol=1e-2).verdict == "right"
    assert check_grads(wrong, np.array([1.0, 2.0]), order=1, rtol=0.0, atol=1e-2).verdict == "right"


@pytest.mark.parametrize(
    "call, text",
    [
        (lambda: check_grads(lambda x: x, np.arange(3)), "want: a float or complex argument"),
        (lambda: check_grads(lambda x: None, np.ones(3)), "returns a float"),
        (lambda: check_grads(lambda x: x > 0, np.ones(3)), "bool"),
        (lambda: check_grads(lambda x: x, np.ones(3), modes=("sideways",)), "sideways"),
        (lambda: check_grads(lambda x: x, np.ones(3), method="guess"), "complex step"),
        (lambda: check_grads(lambda x: x, np.ones(3), order=0), "order=0"),
        (lambda: check_grads(np.abs, np.ones(3), method="complex step"), "not analytic"),
    ],
)
def test_usage_errors(call, text):
    with pytest.raises((wg.errors.WengertError, ValueError), match=text):
        call()


@pytest.mark.parametrize("seed", range(8))
def test_kinks_close_by_are_not_mistaken_for_mistakes(seed):
    """Two of 200 numbers are always so close that the first steps change their order."""
    x = np.random.default_rng(seed).normal(size=200)
    assert check_grads(lambda x: np.sort(x) @ np.arange(200.0), x, rng=seed)
