"""The API table: no blank row, evidence for what is differentiable, reasons and remedies for the rest."""

import numpy as np
import pytest

import wengert.numpy as wnp
from wengert.core.errors import NotDifferentiable
from wengert.core.tensor import Tensor
from wengert.numpy.registry import NAMES
from wengert.transforms.reverse import vjp_flat
from wengert.verify import api

ROWS = api.rows()

# Refused names whose call takes no Tensor: what raises is their result, applied to one.
INDIRECT = {"frompyfunc": lambda f, x: f(lambda a: a, 1, 1)(x)}


def ids(row):
    return f"{row.space}:{row.name}"


def test_no_name_is_blank():
    assert api.blank() == []


@pytest.mark.parametrize("row", [r for r in ROWS if r.status == "differentiable"], ids=ids)
def test_a_differentiable_name_has_executed_examples(row):
    assert row.examples > 0, f"{row.name} is said to be differentiable; no example in wengert/verify/examples shows it"


@pytest.mark.parametrize("row", [r for r in ROWS if r.status in ("constant", "refused")], ids=ids)
def test_the_others_say_why(row):
    assert row.reason
    if row.status == "refused":
        assert row.remedy


def calls(name):
    """Ways to call a refused function with a Tensor, until one fits its arguments."""
    function = NAMES[name].function
    if name in INDIRECT:
        return [lambda x: INDIRECT[name](function, x)]
    return [lambda x: function(x), lambda x: function("unused", x), lambda x: function(x, x), lambda x: function([x])]


@pytest.mark.parametrize("name", sorted(n for n, e in NAMES.items() if e.status == "refused"))
def test_a_refused_function_raises_on_a_tensor(name):
    raised = []
    for call in calls(name):
        for x in (np.ones(3), np.ones((2, 2))):
            try:
                vjp_flat(lambda x, call=call: [call(x)], [x])
            except NotDifferentiable as error:
                raised.append(error)
            except Exception:
                continue  # not a legal call
    assert raised, f"numpy.{name} does not refuse a Tensor"
    if NAMES[name].reason and name not in INDIRECT:
        assert any(NAMES[name].reason in str(e) for e in raised)


@pytest.mark.parametrize("row", [r for r in ROWS if r.space == "ndarray" and r.status == "refused"], ids=ids)
def test_a_refused_method_raises_on_a_tensor(row):
    def use(x):
        found = getattr(x, row.name.removeprefix("ndarray."))
        return [found(1)]

    with pytest.raises(NotDifferentiable, match=r"wengert\.|numpy\."):
        vjp_flat(use, [np.ones(3)])


@pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")
def test_a_refused_function_still_takes_plain_arrays(tmp_path):
    wnp.save(tmp_path / "x.npy", np.ones(3))
    assert np.load(tmp_path / "x.npy").tolist() == [1, 1, 1]
    assert [int(v) for v in wnp.nditer(np.arange(3))] == [0, 1, 2]
    assert isinstance(wnp.matrix([[1]]), np.matrix)


def test_every_name_of_the_standard_is_in_the_namespace():
    for group in api.ARRAY_API.values():
        for name in group.split():
            found = wnp
            for part in name.split("."):
                found = getattr(found, part)
            assert callable(found)


def test_a_tensor_has_the_standards_attributes():
    missing = [name for name in api.ARRAY_OBJECT if not hasattr(Tensor, name)]
    assert missing == []


def test_answers_about_types_work_on_tensors():
    seen = []

    def fun(x):
        seen.append(
            (
                np.result_type(x, np.float64),
                np.iscomplexobj(x),
                wnp.isscalar(x),
                np.common_type(x, np.ones(2)),
                np.shares_memory(x, x[1:]),
                np.shares_memory(x, x * 1),
                np.array_str(x),
            )
        )
        return [x]

    vjp_flat(fun, [np.ones(3, np.float32)])
    assert seen[0] == (np.float64, False, False, np.float64, True, False, "[1. 1. 1.]")
