"""`associative_scan`: running combinations by an associative function, in a logarithmic number of calls."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from wengert.core.errors import ShapeError
from wengert.core.source import describe, here
from wengert.core.tensor import Array
from wengert.core.tree import flatten, unflatten
from wengert.ops.basis import reshape
from wengert.ops.index import index
from wengert.ops.shape import concatenate, flip, stack
from wengert.transforms.control.functions import adopted
from wengert.transforms.entry import entry


@entry
def associative_scan(fn: Callable[[Any, Any], Any], elems: Any, reverse: bool = False, axis: int = 0) -> Any:
    """Running combinations `e₀, fn(e₀, e₁), fn(fn(e₀, e₁), e₂), …` along an axis.

    Parameters
    ----------
    fn : associative, `fn(a, b) → c` on pytrees like `elems`; it is called on many pairs at once, stacked along `axis`, and must
        treat them apart from each other
    elems : a pytree of arrays with the same number of elements along `axis`
    reverse : begin with the last element: `eₙ, fn(eₙ, eₙ₋₁), …`, kept in the order of `elems`

    Returns
    -------
    A pytree like `elems`.

    Cost: about 2 n combinations in 2 log₂ n calls of `fn`. Rounding differs from that of a loop, since `fn` associates otherwise.
    Source: Blelloch (1990), "Prefix sums and their applications".
    """
    leaves, tree = flatten(elems)
    sizes = {x.shape[axis] for x in leaves if -len(x.shape) <= axis < len(x.shape)}
    if len(sizes) != 1 or any(not -len(x.shape) <= axis < len(x.shape) for x in leaves):
        raise ShapeError(
            "associative_scan", got=f"arrays of shapes {[tuple(x.shape) for x in leaves]}",
            want=f"the same number of elements along axis {axis} of all of them", at=describe(here(2)),
        )  # fmt: skip
    axes = [axis % len(x.shape) for x in leaves]
    run = adopted(fn)

    def combine(first: list[Array], second: list[Array]) -> list[Array]:
        return flatten(run(unflatten(tree, first), unflatten(tree, second)))[0]

    def sliced(xs: list[Array], *span: int | None) -> list[Array]:
        return [index(x, spec=(*(slice(None),) * k, slice(*span))) for x, k in zip(xs, axes, strict=True)]

    def running(xs: list[Array], n: int) -> list[Array]:
        if n < 2:
            return xs
        odd = running(combine(sliced(xs, 0, n - n % 2, 2), sliced(xs, 1, None, 2)), n // 2)
        later = combine(sliced(odd, 0, n // 2 - (n + 1) % 2), sliced(xs, 2, None, 2)) if n > 2 else []
        even = [
            concatenate(x, y, axis=k, sizes=(1, y.shape[k])) for x, y, k in zip(sliced(xs, 0, 1), later, axes, strict=True)
        ] if later else sliced(xs, 0, 1)  # fmt: skip
        return [_woven(e, o, k) for e, o, k in zip(even, odd, axes, strict=True)]

    if reverse:
        leaves = [flip(x, axes=(k,)) for x, k in zip(leaves, axes, strict=True)]
    found = running(leaves, next(iter(sizes)))
    if reverse:
        found = [flip(x, axes=(k,)) for x, k in zip(found, axes, strict=True)]
    return unflatten(tree, found)


def _woven(even: Array, odd: Array, axis: int) -> Array:
    """Elements by turns; the first of `even`, which may have one more."""
    n, m = even.shape[axis], odd.shape[axis]
    head = index(even, spec=(*(slice(None),) * axis, slice(0, m)))
    pairs = stack(head, odd, axis=axis + 1)
    woven = reshape(pairs, shape=(*even.shape[:axis], 2 * m, *even.shape[axis + 1 :]))
    if n == m:
        return woven
    tail = index(even, spec=(*(slice(None),) * axis, slice(m, n)))
    return concatenate(woven, tail, axis=axis, sizes=(2 * m, 1))
