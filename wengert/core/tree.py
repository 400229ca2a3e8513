"""Pytrees: any nesting of tuples, lists, dicts, named tuples, dataclasses registered with optree, and `None`.

`None` is an empty subtree, as in JAX. Everything else is a leaf.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import optree
from optree import PyTreeSpec as TreeDef

__all__ = ["TreeDef", "flatten", "leaves", "map_tree", "prefix_leaves", "register", "unflatten"]

NAMESPACE = "wengert"


def flatten(tree: Any) -> tuple[list[Any], TreeDef]:
    """Leaves in a fixed order, and the structure that puts them back."""
    return optree.tree_flatten(tree, namespace=NAMESPACE)


def unflatten(treedef: TreeDef, leaves: Any) -> Any:
    """The inverse of `flatten`."""
    return optree.tree_unflatten(treedef, leaves)


def leaves(tree: Any) -> list[Any]:
    """The leaves alone."""
    return optree.tree_leaves(tree, namespace=NAMESPACE)


def map_tree(fun: Callable[..., Any], tree: Any, *rest: Any) -> Any:
    """`fun` on corresponding leaves of trees with one structure."""
    return optree.tree_map(fun, tree, *rest, namespace=NAMESPACE)


def prefix_leaves(prefix: Any, tree: Any) -> list[Any]:
    """`prefix`'s values, each repeated for every leaf of `tree` below it; `None` in `prefix` counts as a value."""
    flat: list[Any] = []
    optree.tree_map_(
        lambda value, subtree: flat.extend([value] * len(leaves(subtree))),
        prefix,
        tree,
        none_is_leaf=True,
        namespace=NAMESPACE,
    )
    return flat


def register(cls: type, flatten_node: Callable[..., Any], unflatten_node: Callable[..., Any]) -> type:
    """Make instances of `cls` pytree nodes; `flatten_node` gives (children, metadata)."""
    optree.register_pytree_node(cls, flatten_node, unflatten_node, namespace=NAMESPACE)
    return cls
