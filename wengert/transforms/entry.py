"""What every public transform does at its door: adopt the user's function, fold tracebacks, keep conventions."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np

from wengert.core.config import config
from wengert.core.source import fold
from wengert.core.tensor import Array, Tensor, active
from wengert.core.tree import flatten, unflatten
from wengert.ops.basis import conj
from wengert.trace.adopt import adopt as adopt_function

F = TypeVar("F", bound=Callable[..., Any])

# What NumPy says of an array that it will not, or cannot, write, and what that means here.
NOTES = {
    "read-only": "wengert: a running gradient needs this array's value for its backward pass, so it is read-only until"
    " then. Make a new array (a = a + 1, a = a.copy()), or mutate it before it is first used.",
    "setting an array element with a sequence": "wengert: a Tensor was written into a plain ndarray, where its derivative"
    " would be lost. Make the array inside the differentiated function (np.zeros(n), np.array(t)), so that it can hold Tensors.",
}


def entry(function: F) -> F:
    """Decorator: an error leaves the outermost transform with the user's frames alone in its traceback."""

    @functools.wraps(function)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except BaseException as error:
            if isinstance(error, ValueError) and not getattr(error, "__notes__", None):
                for text, note in NOTES.items():
                    if text in str(error):
                        error.add_note(note)
            if not active() and not config.full_traceback:
                fold(error)
            raise

    return wrapped  # type: ignore[return-value]


PLAIN = frozenset({np.ndarray, Tensor, float, int, bool, complex, str, bytes, type(None), np.float64, np.float32})


def adopted(args: Sequence[Any]) -> list[Any]:
    """Arguments, with those that are objects of the user's (models, callables) adopted."""
    return [a if type(a) in PLAIN or is_data(a) else adopt_function(a) for a in args]


def is_data(tree: Any) -> bool:
    """Whether a nesting of lists, tuples and dicts holds arrays and numbers alone: a third of what adoption takes to see."""
    kind = type(tree)
    if kind is dict:
        tree = tree.values()
    elif kind is not list and kind is not tuple:
        return False
    others = {*map(type, tree)} - PLAIN
    return not others or (others <= CONTAINERS and all(type(t) in PLAIN or is_data(t) for t in tree))


CONTAINERS = frozenset({list, tuple, dict})
LEAF, NONE = flatten(0)[1], flatten(None)[1]  # the structures of most outputs, and of no aux


def outward(ct: Array) -> Array:
    """A cotangent of the library's pairing (no conjugate) in the user's complex convention, and back."""
    return conj(ct) if ct.dtype.kind == "c" and config.complex_convention == "steepest" else ct


class FlatFunction:
    """A function of pytrees as one of flat lists, in some of its arguments; remembers the output's structure.

    Parameters
    ----------
    argnums : the positions whose leaves become the flat arguments; the others are constants
    has_aux : `fun` returns (out, aux); aux leaves follow those of `out`, so that every trace brings them out too
    adopt : bind the `np`, `scipy` and `math` of `fun`, and of objects of the user's among the arguments, to ours
    """

    def __init__(
        self,
        fun: Callable[..., Any],
        args: Sequence[Any],
        kwargs: dict[str, Any],
        argnums: Sequence[int],
        has_aux: bool = False,
        adopt: bool = False,
    ) -> None:
        if adopt:
            fun, args = adopt_function(fun), adopted(args)
            kwargs = dict(zip(kwargs, adopted(tuple(kwargs.values())), strict=True)) if kwargs else kwargs
        self.fun, self.args, self.kwargs = fun, args, kwargs
        self.argnums, self.has_aux = argnums, has_aux
        self.out_tree: Any = None  # a TreeDef once the function has run
        self.aux_tree: Any = None
        self.n_out = 0
        self.leaves, self.in_tree = flatten(tuple(args[i] for i in argnums))

    def __call__(self, *leaves: Array) -> list[Array]:
        args = list(self.args)
        for i, arg in zip(self.argnums, unflatten(self.in_tree, leaves), strict=True):
            args[i] = arg
        out, aux = self.fun(*args, **self.kwargs), None
        if self.has_aux:
            if not (isinstance(out, (tuple, list)) and len(out) == 2):
                raise TypeError(
                    f"has_aux=True wants the function to return a pair (out, aux); got {type(out).__name__}"
                )
            out, aux = out
        flat, self.out_tree = ([out], LEAF) if type(out) is Tensor else flatten(out)
        self.n_out = len(flat)
        if aux is None:
            self.aux_tree = NONE
            return flat
        aux_leaves, self.aux_tree = flatten(aux)
        return flat + aux_leaves

    def pack_in(self, leaves: Sequence[Any]) -> tuple[Any, ...]:
        """Leaves in the structure of the chosen arguments."""
        return unflatten(self.in_tree, leaves)

    def pack_out(self, leaves: Sequence[Any]) -> Any:
        """Leaves in the structure of the output."""
        return leaves[0] if self.out_tree is LEAF else unflatten(self.out_tree, leaves[: self.n_out])

    def pack_aux(self, leaves: Sequence[Any]) -> Any:
        """Leaves in the structure of aux."""
        return unflatten(self.aux_tree, leaves[self.n_out :])
