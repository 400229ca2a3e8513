"""Each kind of mistake, put in on purpose, is recognised for what it is; and so is each kind of point without a derivative."""

import numpy as np
import pytest

import wengert as wg
from wengert.core.op import OPS
from wengert.verify import GradientCheckError, check_grads

X = np.random.default_rng(1).uniform(0.3, 1.7, 4) * np.array([1, -1, 1, -1])
A = np.random.default_rng(2).normal(size=(4, 4))


def ruled(fun, bwd):
    """`fun` with a pullback of our own, right or wrong: bwd(ct, *args) gives one cotangent or a tuple of them."""
    made = wg.custom_vjp(fun)

    def back(args, ct):
        found = bwd(ct, *args)
        return found if isinstance(found, tuple) else (found,)

    made.defvjp(lambda *args: (fun(*args), args), back)
    return made


def pushed(fun, jvp):
    """`fun` with a tangent rule of our own: jvp(x, v)."""
    made = wg.custom_jvp(fun)
    made.defjvp(lambda primals, tangents: (fun(*primals), jvp(*primals, *tangents)))
    return made


def report_of(fun, *args, **options):
    return check_grads(fun, *args, raise_exception=False, **options)


def of_kind(report, kind):
    found = [f for f in report.findings if f.kind == kind]
    assert found, f"no finding of kind {kind}:\n{report}"
    return found[0]


# ── wrong rules ───────────────────────────────────────────────────────────────

WRONG = {
    "sign": (ruled(np.sin, lambda ct, x: -ct * np.cos(x)), (X,), "sign", "−1 times"),
    "sign of a tangent": (pushed(np.sin, lambda x, v: -v * np.cos(x)), (X,), "sign", "−1 times"),
    "half": (ruled(lambda x: np.sum(x**2), lambda ct, x: ct * x), (X,), "factor", "½ times"),
    "twice": (ruled(lambda x: np.sum(x**2) / 2, lambda ct, x: 2 * ct * x), (X,), "factor", "2 times"),
    "half by stop_gradient": (lambda x: np.sum(x * wg.stop_gradient(x)), (X,), "factor", "½ times"),
    "sum for mean": (ruled(lambda x: np.mean(x**2), lambda ct, x: 2 * ct * x), (np.outer(X, X[:3]),), "factor", "12 (the number of elements of x"),
    "mean for sum": (
        ruled(lambda x: np.sum(x**2, axis=0), lambda ct, x: ct * 2 * x / 4), (np.outer(X, X[:3]),), "factor", "1/4 (the length of axis 0 of x",
    ),
    "two thirds": (lambda x: np.sum(x**2 * np.abs(wg.stop_gradient(x))), (X,), "factor", "2/3 times"),
    "transposed": (ruled(lambda x: np.trace(A @ x), lambda ct, x: ct * A), (A + 1,), "permuted", "axes permuted, (1, 0)"),
    "transposed, within a program": (
        lambda a, b: ruled(lambda x: np.trace(A @ x @ x), lambda ct, x: ct * (A @ x + x @ A))(a) * np.sum(np.sin(b)), (A + 1, X), "permuted", "by a, is",
    ),
    "transposed tangent": (
        pushed(lambda x, y: np.outer(x, y), lambda x, y, v, w: np.outer(v, y) + np.outer(w, x)), (X, X + 2), "permuted", "along output by y",
    ),
    "flipped": (ruled(lambda x: np.cumsum(x) @ X, lambda ct, x: ct * np.cumsum(X)), (X,), "mismatch", "no pattern"),
    "in reverse order": (ruled(lambda x: x[::-1] @ X**3, lambda ct, x: ct * X**3), (X,), "permuted", "in reverse order along axis 0"),
    "shifted": (ruled(lambda x: np.roll(x, 1) @ X**3, lambda ct, x: ct * X**3), (X,), "permuted", "shifted by 1"),
    "argument ignored": (ruled(lambda x, y: x * np.exp(y), lambda ct, x, y: (ct * np.exp(y), None)), (X, X), "dropped", "zero for all of y"),
    "argument cut off": (lambda x, y: np.sum(x * wg.stop_gradient(y)), (X, X), "dropped", "zero for all of y"),
    "some elements ignored": (lambda x: np.sum(x[:2] ** 2) + wg.stop_gradient(np.sum(x[2:] ** 2)), (X,), "dropped", "exactly zero for 2 of 4"),
    "product rule": (ruled(lambda x: x * np.exp(x), lambda ct, x: ct * np.exp(x)), (X,), "missing term", "1 × output, element by element"),
    "product rule, tangent": (pushed(lambda x: x * np.exp(x), lambda x, v: v * np.exp(x)), (X,), "missing term", "1 × output"),
    "product rule, other factor": (ruled(lambda x: x * np.tanh(x), lambda ct, x: ct * x * (1 - np.tanh(x) ** 2)), (X,), "missing term", "1 × output/x"),
    "a power": (ruled(lambda x: np.exp(x) + x**3, lambda ct, x: ct * np.exp(x)), (X,), "missing term", "3 × x²"),
    "a constant": (ruled(lambda x: np.sum(x**2) + 5 * np.sum(x), lambda ct, x: ct * 2 * x), (X,), "missing term", "5 × 1"),
    "another argument's part": (
        ruled(lambda x, y: np.sum(np.sin(x) * np.exp(y) + y * x**3), lambda ct, x, y: (ct * (np.cos(x) * np.exp(y) + 3 * y * x**2), ct * x**3)),
        (X, X**2), "mismatch", "no pattern",
    ),
    "the derivative by another argument": (
        ruled(lambda x, y: np.sum(np.sin(x + y) + x**2), lambda ct, x, y: (ct * 2 * x, ct * np.cos(x + y))), (X, X**2), "missing term", "1 × the derivative by y",
    ),
    "conjugate of a gradient": (ruled(lambda z: np.sum(np.abs(z) ** 2), lambda ct, z: 2 * ct * np.conj(z)), (X + 1j * X[::-1],), "conjugate", "of the argument"),
    "conjugate of a factor": (ruled(lambda z: z**3, lambda ct, z: ct * 3 * z**2), (X + 1j * X[::-1],), "conjugate", "holomorphic"),
    "one element": (ruled(lambda x: x * x, lambda ct, x: ct * 2 * x * np.array([1, 1, 1.001, 1])), (X,), "mismatch", "1.001 times the reference"),
    "overflow": (ruled(lambda x: np.logaddexp(0, x), lambda ct, x: ct * np.exp(x) / (1 + np.exp(x))), (np.array([1.0, 800.0, 2.0]),), "not finite", "NaN"),
    "no pattern": (ruled(np.tanh, lambda ct, x: ct * (1 - np.tanh(x))), (X,), "mismatch", "no pattern"),
    "not linear": (ruled(lambda x: 2 * x, lambda ct, x: np.clip(2 * ct, -0.5, 0.5)), (X,), "not linear", "pullback linear does not hold"),
    "not linear, tangent": (pushed(lambda x: 2 * x, lambda x, v: 2 * v * np.abs(v)), (X,), "not linear", "linear does not hold"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_wrong_rule_is_named(name):
    fun, args, kind, words = WRONG[name]
    report = report_of(fun, *args)
    assert report.verdict == "wrong" and not report
    finding = of_kind(report, kind)
    assert finding.level == "wrong" and words in finding.message, finding.message
    assert finding.advice
    assert kind in str(report)
    with pytest.raises(GradientCheckError):
        check_grads(fun, *args)


def test_worst_elements_first_with_their_numbers():
    fun = ruled(lambda x: np.sum(np.exp(x)), lambda ct, x: ct * np.exp(x) * (1 + np.array([0, 1e-3, 0.5, 1e-2])))
    finding = of_kind(report_of(fun, X, order=1), "mismatch")
    assert [e.input for e in finding.entries] == ["x[2]", "x[3]", "x[1]"]
    worst = finding.entries[0]
    np.testing.assert_allclose([worst.ours, worst.reference], [1.5 * np.exp(X[2]), np.exp(X[2])], rtol=1e-12)
    assert worst.error < 1e-12
    assert finding.numbers["wrong"] == 3 and finding.numbers["of"] == 4
    np.testing.assert_allclose(
        finding.numbers["mean signed error"], np.mean(np.exp(X[1:]) * [1e-3, 0.5, 1e-2]), rtol=1e-6
    )


def test_bias_is_said():
    fun = ruled(lambda x: np.sum(np.exp(x)), lambda ct, x: ct * (np.exp(x) + np.array([0.1, 0.3, 0.2, 0.1])))
    finding = of_kind(report_of(fun, X, order=1), "mismatch")
    assert "all of one sign, a bias" in finding.message


@pytest.mark.parametrize(
    "which, kind, other", [("pullback", "reverse only", "forward"), ("pushforward", "forward only", "reverse")]
)
def test_one_mode_only(monkeypatch, which, kind, other):
    rule = getattr(OPS["sin"], which)
    monkeypatch.setattr(OPS["sin"], which, lambda *a, **k: _scaled(rule(*a, **k), 3.0))
    report = report_of(lambda x: np.sum(np.sin(x) * x), X, order=1)
    assert f"{other} mode is right here" in of_kind(report, kind).message
    assert {c.mode: c.status for c in report.comparisons} == {other: "right", kind.split()[0]: "wrong"}


def _scaled(found, factor):
    return tuple(None if f is None else f * factor for f in found) if isinstance(found, tuple) else found * factor


def test_second_order_only():
    def back(ct, x):
        s = wg.stop_gradient(1 / (1 + np.exp(-x)))
        return ct * (s + x * s * (1 - s))

    report = report_of(ruled(lambda x: x / (1 + np.exp(-x)), back), X)
    assert "order 1 are right, those of order 2 are wrong" in of_kind(report, "second order only").message
    assert {c.status for c in report.comparisons if c.order == 1} == {"right"}
    assert {c.status for c in report.comparisons if c.order == 2} == {"wrong"}
    assert report_of(ruled(lambda x: x / (1 + np.exp(-x)), back), X, order=1)


def test_not_symmetric():
    """A first derivative that is right, and whose own derivative is not that of any function."""
    fun = ruled(lambda x, y: x * y, lambda ct, x, y: (ct * y, ct * wg.stop_gradient(x)))
    report = report_of(fun, 0.3, 1.4)
    assert of_kind(report, "not symmetric").level == "wrong"
    of_kind(report, "second order only")


# ── large arguments ───────────────────────────────────────────────────────────


def test_one_wrong_element_of_100000_is_found():
    n, k = 100_000, 54_321
    wrong = np.ones(n)
    wrong[k] = 1.5
    x = np.random.default_rng(0).normal(size=n)
    report = report_of(ruled(lambda x: np.sum(np.sin(x)), lambda ct, x: ct * np.cos(x) * wrong), x, order=1)
    finding = of_kind(report, "mismatch")
    assert finding.entries[0].input == f"x[{k}]" and "1.5 times" in finding.message
    assert "of 100000 elements of the arguments were looked at" in finding.message, "the cap is stated"
    assert report.evaluations < 400


def test_one_wrong_element_of_a_large_output_is_found():
    n, k = 20_000, 12_345
    wrong = np.ones(n)
    wrong[k] = 1.5
    report = report_of(ruled(np.sin, lambda ct, x: ct * np.cos(x) * wrong), np.linspace(0.1, 1, n), order=1)
    inputs = {(e.output, e.input) for e in of_kind(report, "mismatch").entries}
    assert (f"output[{k}]", f"x[{k}]") in inputs


def test_a_dense_mistake_in_a_large_argument_is_sampled():
    x = np.random.default_rng(0).normal(size=50_000)
    report = report_of(ruled(lambda x: np.sum(np.sin(x)), lambda ct, x: 2 * ct * np.cos(x)), x, order=1)
    assert "2 times the reference" in of_kind(report, "factor").message
    assert "128 of 50000" in of_kind(report, "factor").message


# ── points ────────────────────────────────────────────────────────────────────

POINTS = {
    "kink": (lambda x: np.sum(np.maximum(x, 0.0) * np.arange(1, 4)), np.array([-1.0, 0.0, 1.0]), "ours lies between them"),
    "kink of opposite signs": (lambda x: np.maximum(x[0], 0.0) - np.maximum(x[1], 0.0), np.zeros(2), "ours lies between them"),
    "ties": (lambda x: np.max(x) ** 2, np.array([1.0, 2.0, 2.0]), "ours lies between them"),
    "knot": (lambda x: np.sum(np.interp(x, np.arange(4.0), np.array([0.0, 1, 4, 9]))), np.array([0.5, 2.0]), "x[1] (= 2)"),
    "norm at zero": (np.linalg.norm, np.zeros(3), "2 more elements"),
    "complex modulus at zero": (lambda z: np.sum(np.abs(z)), np.array([0j, 1 + 1j]), "ours lies between them"),
    "discontinuity": (lambda x: np.sum(np.floor(x) * x), np.array([2.0, 1.3]), "jumps at this point along x[0] (= 2)"),
    "vertical": (lambda x: np.sum(np.sqrt(x)), np.array([0.0, 1.0]), "h^−0.5"),
    "vertical on both sides": (lambda x: np.sum(np.cbrt(x)), np.array([0.0, 1.0]), "h^−0.67"),
    "edge": (lambda x: np.sum(x**1.5), np.array([0.0, 1.0]), "edge of the domain"),
    "kink of the derivative": (lambda x: np.sum(np.maximum(x, 0.0) ** 2), np.array([-1.0, 0.0, 1.0]), "the first derivative has a kink"),
}  # fmt: skip
KINDS = {"discontinuity": "discontinuity", "vertical": "vertical", "vertical on both sides": "vertical", "edge": "edge"}


@pytest.mark.parametrize("name", POINTS)
def test_points_without_a_derivative_are_undecided(name):
    fun, x, words = POINTS[name]
    report = report_of(fun, x)
    assert report.verdict == "undecided", str(report)
    finding = of_kind(report, KINDS.get(name, "kink"))
    assert words in finding.message, finding.message


def test_both_one_sided_slopes_are_shown():
    report = report_of(lambda x: np.sum(np.maximum(x, 0.0) * np.array([1.0, 2.0])), np.array([1.0, 0.0]), order=1)
    (entry,) = of_kind(report, "kink").entries
    assert entry.input == "x[1]"
    np.testing.assert_allclose([entry.left, entry.right], [0.0, 2.0], atol=1e-9)
    assert "left slope" in str(report)


def test_a_derivative_outside_of_the_one_sided_slopes_is_wrong():
    fun = ruled(lambda x: np.sum(np.abs(x)), lambda ct, x: ct * np.where(x > 0, 1.0, np.where(x < 0, -1.0, 5.0)))
    report = report_of(fun, np.array([0.0, 1.0, -2.0]), order=1)
    finding = of_kind(report, "kink")
    assert finding.level == "wrong" and "not between" in finding.message
    assert check_grads(fun, np.array([0.1, 1.0, -2.0]), order=1)


def test_nan_at_a_kink_is_wrong():
    fun = ruled(lambda x: np.sqrt(np.sum(x**2)), lambda ct, x: ct * x / np.sqrt(np.sum(x**2)))
    finding = of_kind(report_of(fun, np.zeros(2), order=1, modes=("rev",)), "kink")
    assert finding.level == "wrong" and "nan" in finding.message


def test_a_wrong_rule_is_seen_beside_a_kink():
    fun = ruled(lambda x: np.sum(np.abs(x)), lambda ct, x: ct * np.sign(x) * np.array([1.0, 1.0, 3.0]))
    report = report_of(fun, np.array([0.0, 1.0, -2.0]), order=1)
    assert report.verdict == "wrong"
    assert of_kind(report, "kink").level == "undecided"
    assert [e.input for e in of_kind(report, "factor").entries] == ["x[2]"]


def test_a_kink_close_by_is_none():
    assert check_grads(lambda x: np.sum(np.abs(x)), np.array([1e-7, -1e-5, 1.0]), order=1)


# ── the reference, the dtype, the function ────────────────────────────────────


def test_noise_in_the_function_is_the_references_fault():
    """An integral by a rule whose nodes depend on the value: noise of 1e-4, in a way that looks deterministic."""

    def fun(x):
        return np.sum(x**2) + 1e-2 * np.sin(1e9 * np.sum(wg.stop_gradient(x)))

    report = report_of(fun, X, order=1)
    assert report.verdict == "undecided", str(report)
    assert "too noisy" in of_kind(report, "ill-conditioned").message


def test_amplified_rounding_is_not_called_wrong():
    def fun(x):  # the variance as a difference of large numbers
        return np.log(np.mean(x**2) - np.mean(x) ** 2)

    x = 3e6 + np.random.default_rng(0).normal(size=20)
    report = report_of(fun, x, order=1)
    assert report.verdict == "undecided", str(report)
    of_kind(report, "ill-conditioned")


def test_change_lost_to_rounding():
    report = report_of(lambda x: np.sum((x + 1e12) - 1e12), np.array([0.3, 0.7]), order=1)
    assert report.verdict == "undecided", str(report)
    assert "lost to rounding" in of_kind(report, "ill-conditioned").message


def test_straight_through():
    report = report_of(ruled(lambda x: np.sum(np.round(x)), lambda ct, x: ct * np.ones(4)), X, order=1)
    assert "straight-through" in of_kind(report, "no dependence").advice


def test_dtype_too_low():
    def fun(x):
        return np.log(np.mean(x**2) - np.mean(x) ** 2)

    x = (1000 + np.random.default_rng(0).normal(size=100)).astype(np.float32)
    report = report_of(fun, x)
    assert report.verdict == "undecided", str(report)
    finding = of_kind(report, "dtype")
    assert "float32 is too low" in finding.message and "float64" in finding.advice
    numbers = finding.numbers
    assert numbers["in float64"] < 1e-6 < 1e-4 < numbers["error"]
    assert 1e-2 * numbers["expected"] < numbers["error"] < 1e2 * numbers["expected"]


def test_a_wrong_rule_in_float32_is_wrong_all_the_same():
    fun = ruled(lambda x: np.sum(x**2), lambda ct, x: ct * np.float32(2.002) * x)
    report = report_of(fun, X.astype(np.float32), order=1)
    assert report.verdict == "wrong"
    assert "1.001 times" in of_kind(report, "factor").message


def test_nondeterministic():
    rng = np.random.default_rng(0)
    report = report_of(lambda x: np.sum(x * rng.normal(size=4)), X)
    finding = of_kind(report, "nondeterministic")
    assert report.verdict == "undecided" and "seed" in finding.advice
    assert not report.comparisons


def test_mutation_of_an_argument():
    def fun(x, data):
        x -= x.mean()
        data[0] = 7.0
        return np.sum(x**3) * data[0]

    x, data = X.copy(), np.ones(2)
    with pytest.warns(wg.verify.GradientCheckWarning, match="writes into its arguments: x, data"):
        report = check_grads(fun, x, data, argnums=0)
    assert report.verdict == "right", "the derivative itself is right"
    assert np.array_equal(x, X) and np.array_equal(data, np.ones(2)), "the check leaves the caller's arrays alone"


def test_other_values_under_a_transform():
    report = report_of(lambda x: np.sum(2 * x) if type(x) is np.ndarray else np.sum(3 * x), X)
    finding = of_kind(report, "values")
    assert report.verdict == "wrong" and "isinstance" in finding.advice


def test_a_refusal_raises_with_the_way_out():
    def fun(x):
        return np.frompyfunc(lambda v: 2 * v, 1, 1)(x).sum()

    with pytest.raises(Exception) as caught:
        check_grads(fun, X)
    assert any("while checking order 1" in note for note in caught.value.__notes__)
    report = report_of(fun, X)
    assert report.verdict == "undecided" and of_kind(report, "refused").message


def test_late_digits_are_left_to_the_user():
    """An approximation to nine digits: no mistake, and not right either; with a tolerance of the user's it is one or the other."""
    fun = ruled(lambda x: np.sum(np.exp(x)), lambda ct, x: ct * np.exp(x) * (1 + 1e-9 * np.arange(1, 5)))
    report = report_of(fun, X, order=1)
    assert report.verdict == "undecided" and of_kind(report, "inaccurate").numbers["wrong"] == 4
    assert report_of(fun, X, order=1, rtol=1e-12).verdict == "wrong"
    assert report_of(fun, X, order=1, rtol=1e-7).verdict == "right"


def test_small_elements_are_no_late_digits():
    """A wrong derivative by an element of no weight: its error is small beside the others', not beside itself."""
    fun = ruled(lambda x: np.sum(x * np.array([1e6, 1e6, 1.0, 1e6])), lambda ct, x: ct * np.array([1e6, 1e6, 2.0, 1e6]))
    report = report_of(fun, X, order=1)
    assert report.verdict in ("wrong", "undecided")
