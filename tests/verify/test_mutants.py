"""The test of the checks: wrong rules are caught, right ones are not, and a blind check is found out."""

import pytest

from wengert.core.op import OPS
from wengert.verify import rules
from wengert.verify.catalog import load_ops
from wengert.verify.mutants.edited import slips
from wengert.verify.mutants.hunting import caught, injected, of_op
from wengert.verify.mutants.wrong import mistakes

load_ops()
SOME = (
    "mul",
    "exp",
    "reduce_max",
    "where",
    "contract",
    "index_put",
    "cumprod",
    "solve",
    "softmax",
    "abs",
    "gammaln",
    "conv",
    "fft",
)


@pytest.mark.parametrize("name", SOME)
def test_all_mutants_are_caught(name):
    found = of_op(name, most=None)
    assert len(found) > 15
    assert [m for m in found if not m.equivalent and m.caught is None] == []
    assert sum(m.caught is not None for m in found) > len(found) / 2


@pytest.mark.parametrize("name", SOME)
def test_right_rules_are_not_caught(name):
    op = OPS[name]
    assert caught(op, {"vjp": op.vjp, "jvp": op.jvp, "batch": op.batch}, seed=0) is None


def test_blind_checks_let_mutants_live(monkeypatch):
    monkeypatch.setattr(rules, "check_call", lambda call, which: None)
    monkeypatch.setattr("wengert.verify.mutants.hunting.check_call", lambda call: {})
    survivors = [m for m in of_op("mul", most=None) if not m.equivalent and m.caught is None]
    assert len(survivors) > 20


def test_rules_are_put_back():
    op = OPS["matmul"] if "matmul" in OPS else OPS["contract"]
    before = (op.vjp, op.pullback, op.jvp, op.overwrite, op.accumulate, op.plain, op.saves)
    with pytest.raises(ZeroDivisionError), injected(op, {"vjp": None, "saves": ()}):
        raise ZeroDivisionError
    assert (op.vjp, op.pullback, op.jvp, op.overwrite, op.accumulate, op.plain, op.saves) == before


def test_kinds_and_edits():
    kinds = {kind for kind, _, _ in mistakes(OPS["mul"])}
    assert kinds >= {"sign", "factor two", "wrong axis", "dropped term", "conjugate", "identity", "stale residual"}
    assert kinds >= {"wrong broadcast reduction", "one example for all", "undeclared residual"}
    assert any(where == "vjp: scale: first left out" for _, where, _ in slips(OPS["reduce_prod"]))
    (both,) = [changed for _, where, changed in slips(OPS["log1p"]) if where == "partials[0]: add → sub"]
    assert set(both) == {"vjp", "jvp"}  # a slope of which both modes are made
