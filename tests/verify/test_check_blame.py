"""The op whose rule is wrong is named, with the user's line; and where every rule is right, that is said."""

import numpy as np
import pytest

import wengert as wg
from wengert.core.op import OPS
from wengert.verify import check_grads
from wengert.verify.checker.blame import TIMES

W, B, DATA = (np.random.default_rng(k).normal(size=s) for k, s in enumerate([(3, 2), (2,), (5, 3)]))


def softplus(backward):
    made = wg.custom_vjp(lambda x: np.logaddexp(0, x))
    made.defvjp(lambda x: (np.logaddexp(0, x), x), backward)
    return made


def network(activation):
    def loss(w, b):
        h = np.tanh(DATA @ w)
        z = activation(h + b)
        return np.mean(z**2) + np.linalg.norm(w)

    return loss


def findings(fun, *args, **options):
    report = check_grads(fun, *args, order=1, raise_exception=False, **options)
    assert report.verdict == "wrong"
    return report, {f.kind: f for f in report.findings}


def test_custom_rule_among_right_ones():
    wrong = softplus(lambda x, ct: (ct * (1 - np.exp(-x)),))
    report, found = findings(network(wrong), W, B)
    message = found["wrong rule"].message
    assert "pullback (vjp) of a custom_vjp function" in message
    assert "in loss: z = activation(h + b)" in message, "the user's own line"
    assert len(found["wrong rule"].numbers["suspects"]) == 1, "tanh, matmul, norm are not accused"
    assert report.findings[0].kind == "wrong rule", "it comes first"


@pytest.mark.parametrize("which, rule", [("pullback", "pullback (vjp)"), ("pushforward", "tangent rule (jvp)")])
def test_op_of_the_library(monkeypatch, which, rule):
    right = getattr(OPS["tanh"], which)

    def scaled(*args, **params):
        found = right(*args, **params)
        return tuple(None if f is None else 1.01 * f for f in found) if isinstance(found, tuple) else 1.01 * found

    monkeypatch.setattr(OPS["tanh"], which, scaled)
    _, found = findings(network(softplus(lambda x, ct: (ct / (1 + np.exp(-x)),))), W, B)
    assert f"{rule} of the op tanh, off by 0.01" in found["wrong rule"].message
    assert "h = np.tanh(DATA @ w)" in found["wrong rule"].message
    assert f"{'reverse' if which == 'pullback' else 'forward'} only" in found


def test_a_cut_is_between_the_rules():
    _, found = findings(lambda w: np.sum(np.tanh(w) * wg.stop_gradient(np.tanh(w))), W)
    assert "wrong rule" not in found
    assert "has right rules" in found["between the rules"].message


def test_a_loop_is_looked_at_a_few_times():
    wrong = softplus(lambda x, ct: (ct * (1 - np.exp(-x)),))

    def fun(x):
        for _ in range(50):
            x = wrong(x)
        return x

    _, found = findings(fun, np.array([0.3, 0.9]))
    assert found["wrong rule"].numbers["looked"] == TIMES
    assert "47 more calls were not looked at" in found["wrong rule"].message


def test_a_right_function_is_not_searched(monkeypatch):
    from wengert.verify.checker import check

    monkeypatch.setattr(check, "blame", lambda *a: pytest.fail("nothing to look for"))
    assert check_grads(network(softplus(lambda x, ct: (ct / (1 + np.exp(-x)),))), W, B)
