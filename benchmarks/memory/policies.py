"""JAX's ways to save memory: `jax.checkpoint` on blocks of several sizes, with each of its stock policies; in a Python loop over the
blocks, and in `lax.scan` over stacked parameters, which is where XLA for CPUs really computes again."""

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
            if network.block is not None and len(network.args[0]) % parts == 0:
                yield _peer(network, f"{policy}, {parts} at a time, scan", wrap, parts, stacked=True)


def _peer(network: Network, name: str, wrap: Any, parts: int, stacked: bool = False) -> Peer:
    import jax

    args = jax.tree.map(jax.numpy.asarray, network.args)
    if stacked:
        params = jax.tree.map(lambda *xs: jax.numpy.stack(xs).reshape(-1, parts, *xs[0].shape), *args[0])
        loss, args = _scanned(network, wrap, parts), (params, *args[1:])
    else:
        loss = network.make(jax.numpy, jax.lax.scan, wrap, parts)
    compiled = jax.jit(jax.grad(loss)).lower(*args).compile()
    memory: Any = compiled.memory_analysis()
    nbytes = memory.temp_size_in_bytes + memory.output_size_in_bytes
    return Peer(name, nbytes, lambda: jax.block_until_ready(compiled(*args)))


def _scanned(network: Network, wrap: Any, parts: int) -> Callable[..., Any]:
    """The loss as a scan over stacked blocks, `parts` of them a trip."""
    import jax

    assert network.block is not None
    block = network.block(jax.numpy)

    def several(params: Any, x: Any) -> Any:
        for i in range(parts):
            x = block(jax.tree.map(lambda p, i=i: p[i], params), x)
        return x

    trip = wrap(several)
    return lambda params, x: (jax.lax.scan(lambda x, p: (trip(p, x), None), x, params)[0] ** 2).mean()
