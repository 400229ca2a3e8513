"""Hypothesis strategies for numerical code: arrays in all memory layouts, shapes that broadcast, calls of every op, programs.

They test this library; and they test yours. A function of your own, checked at points that hypothesis chooses and shrinks:

    from hypothesis import given
    import wengert as wg
    from wengert.verify import strategies as wst

    @given(wst.arrays("float64", shape=wst.shapes(min_side=1), low=0.1, high=3.0))
    def test_entropy(p):
        wg.verify.check_grads(lambda p: -np.sum(p * np.log(p)), p)

Two operands that broadcast:

    @given(wst.broadcastable(2).flatmap(lambda shapes: st.tuples(*(wst.arrays(shape=s) for s in shapes))))
    def test_distance(xy):
        wg.verify.check_grads(my_distance, *xy)

Needs hypothesis: `pip install 'wengert[verify]'`. A failing test prints arrays as code that rebuilds values and layout.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import numpy as np

from wengert.core.errors import MissingExtra, WengertError
from wengert.verify.generate.arrays import KINDS, Laid, hardened, layouts_of
from wengert.verify.generate.choices import Choices, DrawnChoices

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

    from wengert.verify.generate.calls import Generated
    from wengert.verify.generate.programs import Program

__all__ = ["arrays", "broadcastable", "op_calls", "programs", "shapes"]

T = TypeVar("T")
Shape = tuple[int, ...]


def shapes(*, min_dims: int = 0, max_dims: int = 3, min_side: int = 0, max_side: int = 4) -> SearchStrategy[Shape]:
    """Shapes of arrays, 0-d and empty ones included; shrinks to few and short axes.

    @given(shapes(min_dims=2, max_dims=2, min_side=1))
    def test_any_matrix(shape): ...
    """
    return _drawn(
        lambda choices: tuple(choices.integer(min_side, max_side) for _ in range(choices.integer(min_dims, max_dims)))
    )


def broadcastable(
    n: int = 2, *, max_dims: int = 3, min_side: int = 0, max_side: int = 4
) -> SearchStrategy[tuple[Shape, ...]]:
    """`n` shapes that broadcast together: of one shape, some lack leading axes, some have axes of length one.

    @given(broadcastable(3))
    def test_where(shapes):
        np.broadcast_shapes(*shapes)  # does not raise
    """

    def make(choices: Choices) -> tuple[Shape, ...]:
        whole = tuple(choices.integer(min_side, max_side) for _ in range(choices.integer(0, max_dims)))
        made = []
        for _ in range(n):
            lost = choices.integer(0, len(whole)) if choices.chance(0.4) else 0
            made.append(tuple(1 if choices.chance(0.2) else d for d in whole[lost:]))
        return tuple(made)

    return _drawn(make)


def arrays(
    dtype: Any = "float64",
    shape: Shape | SearchStrategy[Shape] | None = None,
    *,
    low: float = -2.0,
    high: float = 2.0,
    values: Literal["smooth", "edge", "any"] = "smooth",
    layouts: bool = True,
) -> SearchStrategy[Any]:
    """Arrays of floats or complex numbers.

    Parameters
    ----------
    dtype : an inexact dtype, or a strategy for them
    shape : a shape, or a strategy for shapes; by default any of `shapes()`
    low, high : where values lie (real and imaginary parts alike)
    values : "smooth" for random values; "edge" with elements that are hard: repeated, 0.0 and −0.0, whole, the bounds
        themselves, a few ulp from where functions have branch points, tiny, huge, infinite; "any" for either
    layouts : also Fortran order, negative and wide strides, repeats without memory, unaligned data; for 0-d, scalars
        and arrays. The last two of these are read-only.

        @given(arrays("complex128", shape=(3, 3), values="any"))
        def test_my_norm(a): ...
    """

    def make(choices: Choices, draw: Callable[[Any], Any]) -> Any:
        kind = np.dtype(draw(dtype) if hasattr(dtype, "example") else dtype)
        if kind.kind not in "fc":
            raise ValueError(f"arrays: got {kind}, which carries no derivative\n  want: a float or complex dtype")
        if not isinstance(shape, tuple):
            size = draw(shapes() if shape is None else shape)
        else:
            size = shape
        x = choices.uniform(low, high, size)
        if kind.kind == "c":
            x = x + 1j * choices.uniform(low, high, size)
        x = np.asarray(x).astype(kind)
        if values == "edge" or (values == "any" and choices.chance(0.5)):
            x = hardened(x, choices.pick(KINDS), (low, high), choices)
        laid = Laid(np.ascontiguousarray(x).reshape(size))
        if layouts and not size:
            laid.scalar = choices.chance(0.5)
        elif layouts and choices.chance(0.5) and (known := layouts_of(laid.values)):
            laid.layout = choices.pick(known)
        _note(laid.code())
        return laid.build()

    return _composed(make)


def op_calls(
    name: str | None = None, *, dtype: str | None = None, values: Literal["smooth", "edge"] | None = None
) -> SearchStrategy[Generated]:
    """Legal calls of the op `name`, or of any op. The representation of a call is a program that checks it again.

    @given(op_calls("sort", values="edge"))
    def test_sort(call):
        check_call(call)  # of wengert.verify.generate.consistency
    """
    from wengert.verify.catalog import load_ops
    from wengert.verify.generate.calls import call, generable

    ops = load_ops()
    if name is not None and name not in generable():
        raise WengertError(
            f"op_calls({name!r})",
            got="an op without samples" if name in ops else "no name of an op",
            want="one of those in wengert.verify.generate.calls.generable()",
        )
    return _drawn(lambda choices: call(ops[name or choices.pick(generable())], choices, dtype, values))


def programs() -> SearchStrategy[Program]:
    """Random programs of NumPy, of 5 to 40 statements: text of a function, and arguments for it.

    @given(programs())
    def test_program(program):
        exec(program.source)
    """
    from wengert.verify.generate.programs import program

    return _drawn(program)


# ── on hypothesis ─────────────────────────────────────────────────────────────


def _hypothesis() -> Any:
    try:
        import hypothesis
        import hypothesis.strategies
    except ImportError as error:
        raise MissingExtra("hypothesis", "verify", "wengert.verify.strategies") from error
    return hypothesis


def _composed(make: Callable[[Choices, Callable[[Any], Any]], T]) -> SearchStrategy[T]:
    """The strategy of what a generator makes of drawn choices."""

    def drawn(draw: Callable[[Any], Any]) -> T:
        return make(DrawnChoices(draw), draw)

    return _hypothesis().strategies.composite(drawn)()


def _drawn(make: Callable[[Choices], T]) -> SearchStrategy[T]:
    return _composed(lambda choices, draw: make(choices))


def _note(text: str) -> None:
    hypothesis = _hypothesis()
    if hypothesis.currently_in_test_context():
        hypothesis.note(text)
