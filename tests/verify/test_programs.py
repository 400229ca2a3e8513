"""Random programs: what is generated, what the checks of a program catch, and how one is shrunk."""

import ast
import dataclasses
import gc
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest

from wengert import nn
from wengert.core.op import OPS
from wengert.core.tensor import raw
from wengert.verify.generate.choices import RandomChoices
from wengert.verify.generate.programs import Program, algebra, arrays, elementwise, nesting, program, writes
from wengert.verify.generate.programs.scope import Scope, Story
from wengert.verify.generate.programs.slots import Slots
from wengert.verify.programs import CHECKS, check_function, check_program
from wengert.verify.shrinking import shrink

WITHOUT_PEER = [c for c in CHECKS if c != "peer"]
X = np.array([0.3, -1.2, 2.1])


def made(seed, **options):
    return program(RandomChoices(seed), **options)


# ── the generator ─────────────────────────────────────────────────────────────


@pytest.mark.parametrize("seed", range(30))
def test_numpy_runs_it_and_its_arguments_stay(seed):
    p = made(seed)
    args = p.fresh_args()
    with np.errstate(all="ignore"):
        value = p.f(*args)
    assert np.isrealobj(value) and np.ndim(value) == 0 and np.isfinite(value)
    for a, b in zip(args, p.args, strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_same_choices_give_the_same_program():
    gc.collect()
    gc.disable()  # a collection in the middle has been seen to change what is written next
    try:
        one, other = made(3), made(3)
    finally:
        gc.enable()
    assert one.source == other.source
    assert all(np.array_equal(a, b) for a, b in zip(one.args, other.args, strict=True))
    assert made(4).source != one.source


def test_a_script_runs_on_its_own(tmp_path):
    p = next(p for p in map(made, range(100)) if {"wg", "special"} <= p.names)
    script = tmp_path / "program.py"
    script.write_text(p.script("print(repr(float(f(*args))))\n"))
    done = subprocess.run([sys.executable, "-W", "ignore", script], capture_output=True, text=True, check=True)
    with np.errstate(all="ignore"):
        assert float(done.stdout) == pytest.approx(float(p.f(*p.fresh_args())), rel=1e-12)


def test_programs_are_varied():
    """Of 150 programs, each kind of thing is in several."""
    sources = [made(seed).source for seed in range(150)]
    wanted = """[...] keepdims=True .T for def lambda out= .at( .fill( copyto .flat np.linalg. np.fft. einsum special. nn. 1j np.float32
        sort cumsum concatenate pad wg.grad wg.vmap wg.jvp wg.vjp wg.checkpoint GradientTape custom_vjp custom_jvp linearize hvp
        jac stop_gradient [::-1] np.array([ where= if math.""".split()
    counts = Counter({w: sum(w in s for s in sources) for w in wanted})
    assert min(counts.values()) >= 2, counts
    lengths = [len(ast.parse(s).body[0].body) for s in sources]
    assert max(lengths) > 30 and min(lengths) < 12


def test_float32_has_a_twin_in_double_precision():
    p = next(p for p in map(made, range(300)) if "float32" in p.traits and "np.float32" in p.source)
    wide = p.double()
    assert "float32" not in wide.source and all(a.dtype.itemsize >= 8 for a in wide.args)
    with np.errstate(all="ignore"):
        assert wide.f(*wide.fresh_args()) == pytest.approx(p.f(*p.fresh_args()), rel=1e-2, abs=1e-2)


TABLES = {
    f"{module.__name__.rpartition('.')[2]}.{name}": table
    for module in (elementwise, arrays, algebra, writes, nesting)
    for name, table in vars(module).items()
    if name.isupper() and isinstance(table, tuple) and all(isinstance(t, str) for t in table)
}


def filled(template, s, x):
    """`template` on value `x` of a scope, with all that it may ask for besides."""
    v = s[x]
    m, n = v.shape[-2:] if v.ndim > 1 else (1, 1)
    more = {"z": x, "e": f"{x}[{', '.join('0' * v.ndim)}]" if v.ndim else x, "v": "v99", "k": s.weights(v.shape)}
    more |= {"far": x, "tall": x if m >= n else f"{x}.T", "longer": max(m, n), "a": "spd", "m": m}
    more |= {"kernel": f"np.ones((2, {m}, 1))", "transposed": f"np.ones(({m}, 2, 2))", "g": "scalar", "h": "same"}
    slots = Slots(s, x, **more)
    return slots.fill(template.replace("{w}", "{y}") if v.dtype.kind == "f" else template)


@pytest.mark.parametrize("name", TABLES)
def test_every_template_works_somewhere(name):
    """NumPy runs each line of each table on some shape: none is there in vain."""
    shapes = [(), (3,), (2, 3), (3, 2), (3, 3), (2, 3, 2), (1, 2), (2, 1)]
    for template in TABLES[name]:
        tried = []
        for seed in range(40):
            choices = RandomChoices(seed)
            shape = shapes[seed % len(shapes)]
            x = np.asarray(choices.normal(shape))
            if "COMPLEX" in name and name != "elementwise.COMPLEX":
                x = x + 1j * choices.normal(shape)
            s = Scope(choices, {"x": x}, story=Story(frozenset(("special", "neural"))))
            s.env["spd"] = np.eye(shape[-2]) * 2.0 + 0.3 if len(shape) > 1 else np.eye(1)
            s.env["scalar"], s.env["same"] = lambda a: np.mean(np.sin(a)), np.sin
            s.run("x1 = x * 1.0", ["x1"])
            try:
                statement = filled(template, s, "x1")
            except (IndexError, ValueError):  # a slot that this shape does not have
                continue
            binds = ["v99"] if "v99" in statement else []
            if binds or "writes" in name or "\n" in statement:
                good = s.run(statement, binds)
            else:
                good = s.bind(statement) is not None
            tried.append(statement)
            if good:
                break
        else:
            pytest.fail(f"{template!r} never works: {tried[:3]}")


# ── the checks ────────────────────────────────────────────────────────────────


def statuses(outcomes):
    return {o.check: o.status for o in outcomes}


def planted(monkeypatch, name, **rules):
    """Put wrong rules into an op."""
    op = OPS[name]
    for rule, wrong in rules.items():
        for field in (rule, {"vjp": "pullback", "jvp": "pushforward", "batch": "batched"}[rule]):
            monkeypatch.setattr(op, field, wrong)


def sines(x):
    return np.sum(np.arctan(x * x))


def test_a_right_program_passes_everything():
    assert set(statuses(check_function(sines, [X], checks=WITHOUT_PEER)).values()) == {"pass"}


def test_jax_agrees():
    pytest.importorskip("jax", reason="a peer to compare with")
    assert statuses(check_function(sines, [X], checks=["peer"])) == {"peer": "pass"}


def test_a_wrong_pullback_is_caught_by_forward_mode(monkeypatch):
    planted(monkeypatch, "arctan", vjp=lambda ct, ins, xs, out: (ct,))
    found = statuses(check_function(sines, [X], checks=WITHOUT_PEER))
    assert found["modes"] == found["first"] == "mismatch"


def test_rules_that_agree_on_a_wrong_slope_are_caught_by_differences(monkeypatch):
    planted(monkeypatch, "arctan", vjp=lambda ct, ins, xs, out: (2.0 * ct,), jvp=lambda xs, dxs, out: 2.0 * dxs[0])
    found = statuses(check_function(sines, [X], checks=WITHOUT_PEER))
    assert found["modes"] == "pass" and found["first"] == "mismatch"


def test_a_wrong_second_derivative_is_caught(monkeypatch):
    def slope(x):
        return 1 / (1 + raw(x) ** 2)  # right, and a constant

    planted(
        monkeypatch,
        "arctan",
        vjp=lambda ct, ins, xs, out: (ct * slope(xs[0]),),
        jvp=lambda xs, dxs, out: dxs[0] * slope(xs[0]),
    )
    found = statuses(check_function(sines, [X], checks=["modes", "first", "second"]))
    assert found == {"modes": "pass", "first": "pass", "second": "mismatch"}


def test_a_wrong_batching_rule_is_caught(monkeypatch):
    planted(monkeypatch, "arctan", batch=lambda xs, batched, size: OPS["arctan"](xs[0][::-1]))
    found = statuses(check_function(sines, [X], checks=["value", "modes", "first", "vmap"]))
    assert found == {"value": "pass", "modes": "pass", "first": "pass", "vmap": "mismatch"}


def test_jax_catches_a_wrong_slope(monkeypatch):
    pytest.importorskip("jax", reason="a peer to compare with")
    planted(monkeypatch, "arctan", vjp=lambda ct, ins, xs, out: (ct,))
    assert statuses(check_function(sines, [X], checks=["peer"])) == {"peer": "mismatch"}


def test_a_written_argument_is_caught(monkeypatch):
    def spoils(x):
        out = np.arctan(x)
        x[...] = 0.5
        return out

    monkeypatch.setattr(OPS["arctan"], "eval", spoils)
    (outcome,) = check_function(arctans, [X], checks=["value"])
    assert outcome.status == "mismatch" and ("was written" in outcome.detail or "read-only" in outcome.detail)


def arctans(x):
    return np.sum(np.arctan(x))


def test_an_exception_is_a_mismatch_unless_it_is_explained():
    def f(x):
        return np.sum(x) + float(x[0])

    (outcome,) = check_function(f, [X], checks=["first"])
    assert outcome.status == "mismatch" and outcome.detail.startswith("raises ConcretizationError")


def test_a_failed_transform_within_a_program_is_a_mismatch():
    p = dataclasses.replace(made(0), failures=(("v1 = wg.grad(f)(x)", "TypeError: no"),))
    assert check_program(p, [])[0].status == "mismatch"


def kinked(x):
    return np.sum(nn.relu(x - 0.5))


def steep(x):
    return np.sum(np.sqrt(x - 0.5))


@pytest.mark.parametrize("f", [kinked, steep])
def test_where_differences_cannot_decide_nothing_is_said(f):
    (outcome,) = check_function(f, [np.array([0.5, 0.7])], checks=["first"])
    assert outcome.status == "undecided", outcome


def test_branches_have_no_vmap():
    p = next(p for p in map(made, range(200)) if "branches on values" in p.traits)
    (outcome,) = check_program(p, ["vmap"])
    assert outcome.status == "inapplicable"


def test_single_precision_is_measured_by_its_own_standard():
    def f(x):
        return np.sum(np.sin(x.astype(np.float32)) ** 2)

    assert set(statuses(check_function(f, [X], checks=WITHOUT_PEER, traits=["float32"])).values()) == {"pass"}


# ── shrinking ─────────────────────────────────────────────────────────────────


def test_shrinks_to_what_matters():
    plain = (made(seed, only=frozenset()) for seed in range(300))
    p = next(p for p in plain if "np.linalg.solve(" in p.source and len(p.source) > 1500)
    small = shrink(p, lambda q: "np.linalg.solve(" in q.source, seconds=60.0)
    assert len(small.source.splitlines()) <= 5, small.source
    assert np.isfinite(small.f(*small.fresh_args()))


def test_shrinks_a_wrong_derivative(monkeypatch):
    planted(monkeypatch, "tanh", vjp=lambda ct, ins, xs, out: (ct,))
    p = next(p for p in map(made, range(50)) if check_program(p, ["modes"])[-1].status == "mismatch")
    small = shrink(p, lambda q: check_program(q, ["modes"])[-1].status == "mismatch", seconds=60.0)
    assert "tanh" in small.source or "hypot" in small.source or "sigmoid" in small.source or len(small.source) < 300
    assert len(small.source) < len(p.source) / 3
    assert check_program(small, ["modes"])[-1].status == "mismatch"


def test_what_does_not_shrink_stays():
    p = Program("def f(x):\n    return x\n", (np.array(1.0),))
    assert shrink(p, lambda q: True, seconds=5.0).source == p.source


def test_loops_that_count_are_never_taken_apart():
    p = Program(
        "def f(x):\n    n = 0\n    while n < 3:\n        n += 1\n        x = np.sin(x)\n    return x\n",
        (np.array(1.0),),
    )
    assert "while" in shrink(p, lambda q: "while" in q.source, seconds=10.0).source
