"""What is compared: every op on its samples, and every served name on its examples, as plain functions of arrays."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

import wengert.numpy as wnp
from wengert.core.aval import COMPLEX
from wengert.core.op import Op, Sample
from wengert.core.tree import leaves
from wengert.verify import examples
from wengert.verify.catalog import load_ops
from wengert.verify.oracles.peers.ops import counterpart, hermitian, settled
from wengert.verify.oracles.peers.peer import Function, Peer
from wengert.verify.oracles.peers.transplant import transplant


@dataclass
class Item:
    """One sample of a name. `ours` takes all arrays, `plain` is the same on ndarrays with NumPy or SciPy where it can be.

    `theirs(peer)` gives the peer's function, or raises Missing.
    """

    name: str
    kind: str  # "op" or "name"
    sample: Sample
    ours: Function
    plain: Function
    theirs: Callable[[Peer], Function]
    complex: bool

    def arrays(self, dtype: str) -> list[Any]:
        """The sample's arrays; the seed is the name's own."""
        return self.sample.build(np.random.default_rng(zlib.crc32(self.name.encode())), dtype)

    def on_primals(self, fun: Function, arrays: Sequence[Any]) -> Function:
        """`fun` as a function of the differentiable arrays alone."""

        def call(*primals: Any) -> Sequence[Any]:
            full = list(arrays)
            for i, p in zip(self.sample.diff, primals, strict=True):
                full[i] = p
            return fun(*full)

        return call


def items(match: str = "") -> dict[tuple[str, str], list[Item]]:
    """All samples by (kind, name); names that contain `match`."""
    found: dict[tuple[str, str], list[Item]] = {}
    for item in (*_ops(), *_names()):
        if match in item.name:
            found.setdefault((item.kind, item.name), []).append(item)
    return found


def _flat(out: Any) -> list[Any]:
    return [o if hasattr(o, "dtype") else np.asarray(o)[()] for o in leaves(out)]


def _ops() -> Iterator[Item]:
    for name, op in load_ops().items():
        for sample in op.samples:
            yield _of_op(name, op, sample)


def _of_op(name: str, op: Op, sample: Sample) -> Item:
    def ours(*xs: Any) -> list[Any]:
        out = op(*hermitian(op, wnp, xs), **sample.params)
        return _flat(settled(op, wnp, tuple(out) if op.multi else out))

    def theirs(peer: Peer) -> Function:
        fun = counterpart(op, peer)
        return lambda *xs: _flat(settled(op, peer.numpy, fun(*hermitian(op, peer.numpy, xs), **sample.params)))

    return Item(name, "op", sample, ours, ours, theirs, COMPLEX in op.accepts and not sample.real_only)


def _names() -> Iterator[Item]:
    for example in examples.load():
        yield _of_example(example)


def _of_example(example: examples.Example) -> Item:
    def run(namespace: Any) -> Function:
        return lambda *xs: _flat(example.fun(namespace, *xs))

    def theirs(peer: Peer) -> Function:
        fun = transplant(example.fun, peer)
        return lambda *xs: _flat(fun(peer.numpy, *xs))

    return Item(example.name, "name", example.sample, run(wnp), run(np), theirs, example.complex)
