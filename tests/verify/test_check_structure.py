"""Identities that need no reference: each is provoked by breaking the one thing it guards."""

import numpy as np
import pytest

import wengert as wg
import wengert.api as api
from wengert.core.op import OPS
from wengert.verify import check_grads

X = np.array([0.3, -1.2, 0.7])


def kinds(report):
    return {f.kind for f in report.findings if f.level == "wrong"}


def scaled(rule, factor):
    def wrong(*args, **params):
        found = rule(*args, **params)
        return tuple(None if f is None else f * factor for f in found) if isinstance(found, tuple) else found * factor

    return wrong


def test_all_hold_for_a_right_function():
    names = {p.name: p for p in check_grads(lambda x: np.sin(x) * x.sum(), X).properties}
    assert set(names) >= {
        "values unchanged", "forward = reverse", "pullback linear", "pushforward linear", "vmap = loop", "checkpoint = plain",
        "Hessian symmetric",
    }  # fmt: skip
    assert all(p.status == "right" and p.error < 1e-13 for p in names.values())


def test_batching_rule_that_is_wrong(monkeypatch):
    monkeypatch.setattr(OPS["sin"], "batched", scaled(OPS["sin"].batched, 2.0))
    report = check_grads(lambda x: np.sum(np.sin(x)), X, raise_exception=False)
    assert kinds(report) == {"vmap"}
    assert {c.status for c in report.comparisons if c.order == 1} == {"right"}


def test_vmap_that_is_refused_is_a_note():
    report = check_grads(lambda x: np.sin(x) if x[0] > 0 else np.cos(x), X)
    (left,) = [p for p in report.properties if p.name == "vmap = loop"]
    assert report and left.status == "left out" and "Concretization" in left.note
    assert "left out: vmap = loop" in str(report)


def test_checkpoint_that_differs(monkeypatch):
    plain = api.checkpoint
    monkeypatch.setattr(api, "checkpoint", lambda fun, **k: plain(lambda *a: [2.0 * o for o in fun(*a)], **k))
    assert kinds(check_grads(lambda x: np.sum(np.sin(x)), X, raise_exception=False)) == {"checkpoint"}


@pytest.mark.parametrize("factor, found", [(1.0, set()), (1.0 + 1e-6, {"jit"})])
def test_jit_where_there_is_one(monkeypatch, factor, found):
    monkeypatch.setattr(api, "jit", lambda fun: lambda *a: [factor * o for o in fun(*a)], raising=False)
    report = check_grads(lambda x: np.sum(np.sin(x)), X, raise_exception=False)
    assert kinds(report) == found
    assert any(p.name == "jit = eager" for p in report.properties)


def test_adjoint_is_judged_without_the_reference(monkeypatch):
    """Within the tolerance that the user gave, but not transposes of each other."""
    monkeypatch.setattr(OPS["sin"], "pullback", scaled(OPS["sin"].pullback, 1 + 1e-5))
    report = check_grads(lambda x: np.sum(np.sin(x) * x), X, rtol=1e-3, order=1, raise_exception=False)
    assert kinds(report) == {"adjoint"}
    assert {c.status for c in report.comparisons} == {"right"}


def test_single_precision_is_allowed_its_rounding():
    rng = np.random.default_rng(0)
    w, x = (rng.normal(size=s).astype(np.float32) for s in ((30, 20), (20,)))
    report = check_grads(lambda w, x: np.sum(np.tanh(w @ x) ** 2), w, x)
    assert report and not [p for p in report.properties if p.status != "right"]


def test_modes_alone():
    for modes in (("fwd",), ("rev",)):
        report = check_grads(lambda x: np.sum(np.sin(x) * x), X, modes=modes)
        assert report and any(p.name == "Hessian symmetric" for p in report.properties)


def test_the_caller_keeps_his_arrays():
    x, data = X.copy(), np.ones(3)
    check_grads(lambda x, data: np.sum(np.sin(x) * data), x, data)
    x += 1.0  # neither changed nor left write-protected
    data += 1.0
    np.testing.assert_array_equal(x, X + 1)
    assert wg.config.complex_convention == "steepest"
