"""JAX's ways to save memory: `jax.checkpoint` on blocks of several sizes, with each of its stock policies."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from networks import Network

POLICIES = ("nothing_saveable", "dots_saveable", "dots_with_no_batch_dims_saveable")


@dataclass
class Peer:
    """A compiled gradient; `nbytes` are its temporaries and results, as XLA plans them."""

    name: str
    nbytes: int
    call: Callable[[], Any]


def peers(network: Network, quick: bool) -> Iterator[Peer]:
    """The network's gradient in JAX, as it is and under each policy."""
    import jax

    yield _peer(network, "no checkpoint", None, 1)
    for parts in network.parts[:: 2 if quick else 1]:
        for policy in POLICIES[: 2 if quick else None]:
            chosen = getattr(jax.checkpoint_policies, policy)

            def wrap(fun: Callable[..., Any], chosen: Any = chosen) -> Callable[..., Any]:
                return jax.checkpoint(fun, policy=chosen)

            yield _peer(network, f"{policy}, {parts} at a time", wrap, parts)


def _peer(network: Network, name: str, wrap: Any, parts: int) -> Peer:
    import jax

    loss = network.make(jax.numpy, jax.lax.scan, wrap, parts)
    args = jax.tree.map(jax.numpy.asarray, network.args)
    compiled = jax.jit(jax.grad(loss)).lower(*args).compile()
    memory: Any = compiled.memory_analysis()
    nbytes = memory.temp_size_in_bytes + memory.output_size_in_bytes
    return Peer(name, nbytes, lambda: jax.block_until_ready(compiled(*args)))
