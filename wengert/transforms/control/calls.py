"""`call`: a function as one body of compiled code, whoever calls it."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Hashable
from typing import Any

from wengert.core.tensor import active
from wengert.core.tree import flatten, unflatten
from wengert.trace.stage import Stage
from wengert.transforms.call import call as call_op
from wengert.transforms.control.functions import Body, adopted, leaf, own, staging
from wengert.transforms.entry import entry

_bodies: weakref.WeakKeyDictionary[Stage, dict[Any, Body]] = weakref.WeakKeyDictionary()  # by the outermost staging: it
# reads what functions close over once, and the next one anew


@entry
def call(fun: Callable[..., Any], *args: Any) -> Any:
    """`fun(*args)`; within a staged function, a call that stays one.

    Parameters
    ----------
    fun : a function of pytrees of arrays. It is staged once for arguments of the same structure, shapes and dtypes, and compiled
        once: its code is shared by all such calls, of itself too (with smaller arguments), so that code grows with the number of
        signatures, not with the tree of calls.
    args : pytrees of arrays and numbers

    A function that is made anew for each call is staged for each.
    Outside of staged functions this is the call itself, on copies: what `fun` writes into its arguments is its own affair.
    """
    if not staging():
        return own(adopted(fun)(*own(args)))
    leaves, tree = flatten(args)
    pairs = [leaf(x, f"leaf {i} of the arguments of call") for i, x in enumerate(leaves)]
    avals = tuple(aval for _, aval in pairs)
    outermost = next(t for t in active() if type(t) is Stage)
    known = _bodies.setdefault(outermost, {})
    key = (fun if isinstance(fun, Hashable) else id(fun), tree, avals)
    body = known.get(key)
    if body is None:
        body = Body(lambda given: fun(*given), (tree,), (avals,))
        if not body.captured and not body.program.written_out:
            known[key] = body
    outs = call_op(*body.captured, *(x for x, _ in pairs), program=body.program, shared=True)
    return unflatten(body.tree, outs)
