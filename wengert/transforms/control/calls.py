"""`call`: a function as one body of compiled code, whoever calls it."""

from __future__ import annotations

import weakref
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from wengert.core.tree import flatten, unflatten
from wengert.transforms.call import call as call_op
from wengert.transforms.control.functions import Body, adopted, leaf, own, staging
from wengert.transforms.entry import entry

KEPT = 256  # signatures of one function
_bodies: weakref.WeakKeyDictionary[Callable[..., Any], OrderedDict[Any, Body]] = weakref.WeakKeyDictionary()


@entry
def call(fun: Callable[..., Any], *args: Any) -> Any:
    """`fun(*args)`; within a staged function, a call that stays one.

    Parameters
    ----------
    fun : a function of pytrees of arrays. It is staged once for arguments of the same structure, shapes and dtypes, and compiled
        once: its code is shared by all such calls, of itself too (with smaller arguments), so that code grows with the number of
        signatures, not with the tree of calls.
    args : pytrees of arrays and numbers

    What `fun` closes over must not change between calls. A function that is made anew for each call is staged for each.
    Outside of staged functions this is the call itself, on copies: what `fun` writes into its arguments is its own affair.
    """
    if not staging():
        return adopted(fun)(*own(args))
    leaves, tree = flatten(args)
    pairs = [leaf(x, f"leaf {i} of the arguments of call") for i, x in enumerate(leaves)]
    avals = tuple(aval for _, aval in pairs)
    try:
        known = _bodies.setdefault(fun, OrderedDict())
    except TypeError:  # an object that cannot be a key
        known = OrderedDict()
    body = known.get((tree, avals))
    if body is None:
        body = Body(lambda given: fun(*given), (tree,), (avals,))
        if not body.captured and not body.program.written_out:
            known[tree, avals] = body
            if len(known) > KEPT:
                known.popitem(last=False)
    outs = call_op(*body.captured, *(x for x, _ in pairs), program=body.program, shared=True)
    return unflatten(body.tree, outs)
