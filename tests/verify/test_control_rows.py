"""Programs of control flow as rows of the matrix."""

from contextlib import contextmanager

import numpy as np
import pytest

from wengert.core.op import OPS
from wengert.verify import rules
from wengert.verify.call import NARROW, Call, dtypes_of
from wengert.verify.catalog import family, load_rows
from wengert.verify.control.constructs import CONSTRUCTS
from wengert.verify.control.rows import PREFIX, Row, rows
from wengert.verify.matrix.execution import op_record
from wengert.verify.mutants.hunting import injected
from wengert.verify.mutants.wrong import CHANGES, first_example

CASES = [
    pytest.param(row, dtype, id=f"{row.construct.name}-{dtype}")
    for row in rows().values()
    for dtype in dtypes_of(row, row.samples[0])
]


def test_the_matrix_has_every_program_and_no_row_for_an_op_of_programs():
    found = load_rows()
    assert {name for name in found if family(found[name]) == "control flow"} == {PREFIX + name for name in CONSTRUCTS}
    assert not {"scan", "while_loop", "while_pullback", "switch", "call"} & set(found)
    assert {"scan", "while_loop", "while_pullback", "switch", "call"} <= set(OPS)


@pytest.mark.parametrize("row, dtype", CASES)
def test_rules(row, dtype):
    with np.errstate(all="ignore"):
        call = Call(row, row.samples[0], dtype)
        for which in (*rules.MODES, "shape"):
            rules.check_call(call, which)
        narrow = Call(row, row.samples[0], NARROW[dtype])
        for which in ("forward", "reverse", "vmap", "jit"):
            rules.check_call(narrow, which)


def test_a_row_of_loops_is_loops_and_no_unrolled_text():
    row = Row(CONSTRUCTS["scan in a scan"])
    call = Call(row, row.samples[0])
    call.all_outs(*call.primals)
    (program,) = row._staged.values()
    assert [e.op.name for e in program.equations()] == ["scan"]
    inner = next(iter(program.equations())).params["body"]
    assert "scan" in {e.op.name for e in inner.equations()}


def test_a_record_has_all_modes():
    record = op_record(PREFIX + "linear scan", quick=True)
    status = {mode: record["cells"][f"{mode}|float64|contiguous"]["status"] for mode in rules.MODES}
    assert set(status.values()) == {"pass"}
    assert record["cells"]["reverse|float64|empty"]["status"] == "pass"


# ── wrong rules ───────────────────────────────────────────────────────────────

USERS = {  # op → a program in which its rules have an effect, and the checks that read its vjp, and its jvp
    "scan": ("linear scan", "reverse", "forward"),
    "while_loop": ("while loop", "reverse", "forward"),
    "while_pullback": ("while loop", "reverse over reverse", "forward over reverse"),
    "switch": ("cond", "reverse", "forward"),
    "call": ("recursion", "reverse", "forward"),
}
SCALAR = ("call", "jvp", "wrong axis")  # has no axis
KINDS = ("sign", "factor two", "wrong axis", "dropped")


def changed_first(found, kind, given):
    """The first of several derivatives, wrong."""
    k = max((i for i, d in enumerate(found) if d is not None), key=lambda i: np.size(found[i]), default=None)
    if k is None:
        return found
    wrong = found[k] * 0 if kind == "dropped" else CHANGES[kind](found[k], given)
    return tuple(wrong if i == k else d for i, d in enumerate(found))


def mistaken(op, rule, kind):
    if rule == "batch":
        return {"batch": first_example(op.batch)}
    if rule == "jvp" and op.both is not None:

        def both(*args, **params):
            outs, dots = right(*args, **params)
            return outs, changed_first(dots, kind, None)

        right = op.both
        return {"both": both}
    right_rule = getattr(op, rule)
    return {rule: lambda *args, **params: changed_first(right_rule(*args, **params), kind, None)}


@contextmanager
def mistake(op, changed):
    """As `mutants.hunting.injected`, of the tangents' rule `both` too."""
    before = op.both
    op.both = changed.pop("both", before)
    try:
        with injected(op, changed):
            yield
    finally:
        op.both = before


@pytest.mark.parametrize(
    "name, rule, kind",
    [
        *(
            (name, rule, kind)
            for name in USERS
            for rule in ("vjp", "jvp")
            for kind in KINDS
            if (name, rule, kind) != SCALAR
        ),
        *((name, "batch", "one example for all") for name in USERS if name != "while_pullback"),
    ],
)
def test_wrong_rules_are_caught(name, rule, kind):
    user, of_vjp, of_jvp = USERS[name]
    which = {"vjp": of_vjp, "jvp": of_jvp, "batch": "vmap"}[rule]
    fresh = Row(CONSTRUCTS[user])  # whose Programs remember nothing of a wrong rule, nor others of these
    op = OPS[name]
    with mistake(op, mistaken(op, rule, kind)), np.errstate(all="ignore"), pytest.raises(AssertionError):
        rules.check_call(Call(fresh, fresh.samples[0]), which)
    right = Row(CONSTRUCTS[user])
    with np.errstate(all="ignore"):
        rules.check_call(Call(right, right.samples[0]), which)
