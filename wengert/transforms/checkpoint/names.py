"""`name`: a label on a value, for policies and reports."""

from __future__ import annotations

from typing import Any

from wengert.core.errors import WengertError
from wengert.core.source import describe, here
from wengert.core.tensor import Tensor, view
from wengert.core.tree import map_tree
from wengert.ops.name import name as name_op


def name(tree: Any, label: str) -> Any:
    """`tree`, whose arrays have a label from here on: `wg.policies.names(label)` keeps them, and reports show it.

    Parameters
    ----------
    tree : an array, or a pytree of arrays
    label : any text that does not begin with a space

    Returns
    -------
    The same. It computes nothing, may stand anywhere, and means nothing where no checkpoint or report looks for it.
    """
    if not isinstance(label, str) or not label or label.startswith(" "):
        raise WengertError("name", got=f"{label!r}", want='a label: wg.name(x, "attn")', at=describe(here(2)))
    return map_tree(lambda x: view(name_op, x, label=label) if type(x) is Tensor else x, tree)
