"""Ours against JAX and PyTorch, where they are installed: same samples, and the table of conventions."""

import zlib
from pathlib import Path

import numpy as np
import pytest

import wengert.numpy as wnp
from wengert.core.op import Sample
from wengert.verify.oracles.peers import Row, cross_check, totals
from wengert.verify.oracles.peers.comparison import compare, difference
from wengert.verify.oracles.peers.conventions import measured
from wengert.verify.oracles.peers.conventions_table import TABLE
from wengert.verify.oracles.peers.crosscheck import load, row
from wengert.verify.oracles.peers.explained import EXPLAINED
from wengert.verify.oracles.peers.items import Item, items
from wengert.verify.oracles.peers.peer import Missing
from wengert.verify.oracles.peers.report import markdown, summary, table
from wengert.verify.oracles.peers.situations import SITUATIONS
from wengert.verify.oracles.peers.transplant import transplant

DOCS = Path(__file__).parents[2] / "docs" / "conventions.md"
PART = 24  # JAX compiles each sample: a part of the names here, all of them in `cross_check`


def peer(label):
    pytest.importorskip(label, reason="peer")
    return load(label)


# ── the same samples ──────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def torch_rows():
    peer("torch")
    return cross_check(peers=["torch"], samples=2, single=True)


def test_every_name_that_torch_has_agrees_or_differs_for_a_reason(torch_rows):
    assert [f"{r.name}: {r.reason}" for r in torch_rows if r.status == "FAILS"] == []
    counts = totals(torch_rows).by_peer["torch"]
    assert counts["agrees"] > 600
    assert all(r.reason for r in torch_rows if r.status == "no counterpart")


def test_explained_differences_with_torch_are_still_there(torch_rows):
    different = {r.name for r in torch_rows if r.status == "differs, explained"}
    assert different == {name for label, name in EXPLAINED if label == "torch"}


def test_a_part_of_the_names_that_jax_has():
    peer("jax")
    rows = cross_check(peers=["jax"], wanted=lambda name: zlib.crc32(name.encode()) % PART == 0)
    assert [f"{r.name}: {r.reason}" for r in rows if r.status == "FAILS"] == []
    assert totals(rows).by_peer["jax"]["agrees"] > 10


@pytest.mark.parametrize("name", [name for label, name in EXPLAINED if label == "jax"])
def test_explained_differences_with_jax_are_still_there(name):
    jax = peer("jax")
    for (kind, found), tried in items(name).items():
        if found == name and row(kind, name, tried, jax).status == "differs, explained":
            return
    pytest.fail(f"{name} agrees with JAX now: its line in EXPLAINED is stale")


# ── a comparison that can fail ────────────────────────────────────────────────


def item(ours, theirs, complex=True):
    return Item("made", "name", Sample((3,)), lambda x: [ours(wnp, x)], lambda x: [ours(np, x)], lambda p: lambda x: [theirs(p.numpy, x)], complex)  # fmt: skip


@pytest.mark.parametrize("label", ["jax", "torch"])
@pytest.mark.parametrize("dtype", ["float64", "complex128", "float32"])
def test_equal_functions_agree_in_every_kind(label, dtype):
    outcome = compare(item(lambda np, x: np.sin(x) * x, lambda np, x: np.sin(x) * x), peer(label), dtype)
    assert set(outcome.errors) == {"value", "jvp", "vjp", "hvp"} and not outcome.failures


@pytest.mark.parametrize("label", ["jax", "torch"])
def test_conjugates_are_told_apart(label):
    """|z|² and its like have the same tangents whatever the convention; their cotangents must be translated."""
    fun = lambda np, x: np.real(np.conj(x) * x * (1 + 2j))
    assert not compare(item(fun, fun), peer(label), "complex128").failures
    other = lambda np, x: np.real(x * x * (1 + 2j))
    assert set(compare(item(fun, other), peer(label), "complex128").failures) == {"value", "jvp", "vjp", "hvp"}


@pytest.mark.parametrize("label", ["jax", "torch"])
def test_the_reference_says_who_is_right(label):
    """A function of equal values and half the slope."""
    p = peer(label)
    if label == "jax":
        detached = p.jax.lax.stop_gradient
    else:
        detached = lambda x: p.numpy.asarray(x.tensor.detach())
    wrong = lambda np, x: np.sin(x) / 2 + np.sin(detached(x)) / 2
    outcome = compare(item(lambda np, x: np.sin(x), wrong, complex=False), p, "float64")
    assert set(outcome.failures) == {"jvp", "vjp", "hvp"}
    assert outcome.verdict == "ours"


def test_differences_are_infinite_where_shapes_or_non_finite_elements_differ():
    one = np.ones(3)
    assert difference([one], [one]) == 0
    assert difference([one], [one, one]) == difference([one], [np.ones(2)]) == np.inf
    assert difference([np.array([np.nan, 1])], [np.array([np.nan, 1])]) == 0
    assert difference([np.array([np.inf])], [np.array([-np.inf])]) == np.inf
    assert difference([np.array([1.0, 4.0])], [np.array([1.0, 2.0])]) == 1.0


def test_transplants_lead_to_the_peers_namespaces():
    from wengert.verify import examples

    class Spy:
        def __getattr__(self, name):
            raise Missing(name)

    class Peers:
        numpy = special = linalg = nn = Spy()

    by_name = {e.name: e for e in examples.load()}
    for name, want in {"special.erf": "erf", "nn.gelu": "gelu", "scipy.linalg.expm": "expm"}.items():
        with pytest.raises(Missing, match=want):
            transplant(by_name[name].fun, Peers())(Spy(), np.ones(3))


def test_a_peer_that_is_not_installed_is_a_row(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "jax", None)
    (only,) = cross_check("sin", peers=["jax"])
    assert only.status == "no counterpart" and "not installed" in only.reason


def test_totals_and_table():
    rows = [
        Row("sin", "op", "jax", "agrees", {"value": 1e-16}, samples=1),
        Row("sin", "op", "torch", "FAILS", {"value": 1.0}, samples=1, reason="off"),
        Row("airy", "op", "jax", reason="jax has no airy"),
    ]
    found = totals(rows)
    assert (found.names, found.with_any, found.with_none) == (2, 1, 1)
    assert table(rows).row_count == 2 and table(rows, absent=True).row_count == 3
    assert "1 FAILS" in summary(rows)


# ── conventions ───────────────────────────────────────────────────────────────


def test_every_situation_is_in_the_table_and_nothing_else():
    assert {s.key for s in SITUATIONS} == set(TABLE)


@pytest.mark.parametrize("situation", SITUATIONS, ids=lambda s: s.key)
def test_ours_is_as_the_table_says(situation):
    assert measured(situation) == TABLE[situation.key][0]


@pytest.mark.parametrize("label, column", [("jax", 1), ("torch", 2)])
def test_peers_are_as_the_table_says(label, column):
    p = peer(label)
    wrong = {}
    for situation in SITUATIONS:
        got, want = measured(situation, p), TABLE[situation.key][column]
        if got != want:
            wrong[situation.key] = (got, want)
    assert wrong == {}


def test_each_difference_has_a_reason_and_nothing_else():
    for key, (*values, why) in TABLE.items():
        assert bool(why) == (len({v for v in values if v != "-"}) > 1), key


def test_the_page_shows_the_table():
    assert markdown() in DOCS.read_text(), (
        "docs/conventions.md is stale: put wengert.verify.oracles.peers.report.markdown() there"
    )
