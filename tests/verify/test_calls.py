"""Generated calls: legal, repeatable, printed as code that runs; and the checks that hold of all of them."""

from __future__ import annotations

import zlib

import numpy as np
import pytest

from wengert.verify.catalog import load_ops
from wengert.verify.generate.arrays import LAYOUTS, Laid, literal
from wengert.verify.generate.calls import call, generable
from wengert.verify.generate.choices import RandomChoices
from wengert.verify.generate.consistency import check, check_call
from wengert.verify.generate.legal import evaluated, refused
from wengert.verify.generate.variants import has, variant

OPS = load_ops()
NAMES = generable()
# Evaluations of these cost milliseconds, and second derivatives take hundreds.
SLOW = {"logm_frechet", "expm_frechet", "sqrtm_frechet"}


def make(name: str, seed: int, dtype: str | None = None, values=None):
    return call(OPS[name], RandomChoices(zlib.crc32(name.encode()) + seed), dtype, values)


# ── every op ──────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", NAMES)
def test_edge(name):
    for seed in range(3):
        check_call(make(name, seed, values="edge"))


@pytest.mark.parametrize("name", [n for n in NAMES if n not in SLOW])
def test_smooth(name):
    check_call(make(name, 100, "float64", "smooth"))


@pytest.mark.parametrize("layout", ["empty", "0-d"])
def test_variants(layout):
    reasons = {}
    for name in NAMES:
        for sample in OPS[name].samples[:2]:
            rng = np.random.default_rng(0)
            found = variant(OPS[name], sample, layout, rng)
            if isinstance(found, str):
                reasons[name] = found
                continue
            assert has(found, layout)
            assert not refused(OPS[name], found.args, found.params)
            arrays = found.build(np.random.default_rng(1))
            assert not isinstance(evaluated(OPS[name], arrays, found.params), str)
    if layout == "empty":
        assert not [n for n in reasons if any(s.diff for s in OPS[n].samples)]
    else:
        assert reasons["solve"].startswith("solve: got float64[]; want: square matrices")
        assert "sin" not in reasons and "reduce_sum" not in reasons and "reshape" not in reasons


# ── what is generated ─────────────────────────────────────────────────────────


def test_same_choices_same_call():
    for name in NAMES[::25]:
        assert make(name, 7).code() == make(name, 7).code()


def test_variety():
    """Over a few hundred calls, everything that is promised occurs."""
    calls = [
        make(name, seed)
        for name in ("add", "reduce_max", "index", "contract", "sort_values")
        if name in NAMES
        for seed in range(120)
    ]
    arrays = [laid for k in calls for laid in k.laid if isinstance(laid, Laid)]
    assert {laid.layout for laid in arrays} == set(LAYOUTS)
    assert {laid.values.ndim for laid in arrays} >= {0, 1, 2, 3}
    assert any(laid.values.size == 0 for laid in arrays)
    assert {laid.scalar for laid in arrays if laid.values.ndim == 0} == {True, False}
    assert {k.dtype.name for k in calls} >= {"float16", "float32", "float64", "complex64", "complex128"}
    assert {k.values for k in calls} == {"smooth", "edge"}
    floats = np.concatenate(
        [np.real(laid.values).astype(float).ravel() for laid in arrays if laid.values.dtype.kind in "fc"]
    )
    assert (
        np.any(np.isinf(floats))
        and np.any((floats == 0) & np.signbit(floats))
        and np.any(np.abs(floats[floats != 0]) < 1e-300)
    )
    subscripts = {k.sample.params["subscripts"] for k in calls if k.op.name == "contract"}
    assert len(subscripts) > 30
    specs = [k.sample.params["spec"] for k in calls if k.op.name == "index"]
    assert len({str(s) for s in specs}) > 30


# ── code ──────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", NAMES[::12])
def test_code_rebuilds_the_call(name):
    made = make(name, 3)
    seen = {}

    def spy(op, *args, **rest):
        seen.update(op=op, args=args, **rest)

    text = repr(made).replace("from wengert.verify.generate.consistency import check\n", "")
    exec(text, {"check": spy})
    assert seen["op"] == name
    assert seen.get("params", {}).keys() == made.sample.params.keys()
    for a, b in zip(seen["args"], made.args, strict=True):
        assert type(a) is type(b)
        if isinstance(a, np.ndarray):
            assert a.tobytes() == b.tobytes() and (a.dtype, a.shape, a.strides) == (b.dtype, b.shape, b.strides)
    check(name, *seen["args"], **{k: v for k, v in seen.items() if k not in ("op", "args")})


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts(layout):
    x = np.array([[1.0, -0.0], [1.0, -0.0]])
    laid = Laid(x, layout).build()
    assert laid.tobytes() == x.tobytes()
    again = eval(Laid(x, layout).code(), {"np": np})
    assert again.tobytes() == x.tobytes() and again.strides == laid.strides


@pytest.mark.parametrize(
    "x",
    [
        np.array([0.1, -0.0, np.nan, -np.inf, 5e-324]),
        np.array([complex(-0.0, 1), complex(np.inf, -0.0), 1.5 - 2j, 1j], np.complex64),
        np.array([[True], [False]]),
        np.zeros((0, 3), np.float32),
        np.array(7, np.int64),
    ],
)
def test_literals_are_exact(x):
    again = eval(literal(x), {"np": np})
    assert (again.dtype, again.shape) == (x.dtype, x.shape)
    assert again.tobytes() == x.tobytes()


# ── wrong rules are caught ────────────────────────────────────────────────────


def wrong(monkeypatch, name, **rules):
    for which, rule in rules.items():
        monkeypatch.setattr(OPS[name], which, rule)


@pytest.mark.parametrize("values", ["smooth", "edge"])
def test_a_wrong_pullback_is_caught(monkeypatch, values):
    right = OPS["tanh"].pullback
    wrong(monkeypatch, "tanh", pullback=lambda ct, *rest, **p: right(-ct, *rest, **p))
    caught = 0
    for seed in range(12):
        made = make("tanh", seed, "float64", values)
        if made.args[0].size and np.any(np.abs(made.args[0]) < 5):
            with pytest.raises(AssertionError, match=r"(?s)dual.*check\("):
                check_call(made)
            caught += 1
    assert caught > 4


def test_a_rule_that_reads_memory_order_is_caught(monkeypatch):
    right = OPS["exp"].pushforward

    def rule(xs, dxs, out, **params):
        dot = right(xs, dxs, out, **params)
        return dot if getattr(xs[0], "flags", dot.flags).c_contiguous else 2 * dot

    wrong(monkeypatch, "exp", pushforward=rule)
    messages = []
    for seed in range(40):
        made = make("exp", seed, "float64", "edge")
        try:
            check_call(made)
        except AssertionError as error:
            assert not made.args[0].flags.c_contiguous
            messages.append(str(error))
    assert messages


def test_a_rule_that_writes_is_caught(monkeypatch):
    right = OPS["square"].pullback

    def rule(ct, *rest, **params):
        if isinstance(ct, np.ndarray) and ct.ndim:
            ct *= 1.5
        return right(ct, *rest, **params)

    wrong(monkeypatch, "square", pullback=rule)
    with pytest.raises(AssertionError, match=r"writing|dual|read-only"):
        for seed in range(10):
            check_call(make("square", seed, "float64", "smooth"))


def test_a_derivative_without_partner_is_caught(monkeypatch):
    """Infinite forward, zero in reverse: one side alone is finite."""
    right = OPS["sqrt"].pullback

    def rule(ct, *rest, **params):
        (back,) = right(ct, *rest, **params)
        return (np.where(np.isfinite(back), back, 0.0)[()],)

    wrong(monkeypatch, "sqrt", pullback=rule)
    with pytest.raises(AssertionError, match="one side alone is finite"):
        check("sqrt", np.array([0.0, 1.0]), diff=(0,), base=0, dtype="float64", values="edge")
