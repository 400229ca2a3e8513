"""Contractions term by term, and small matrices by the library's kernels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from wengert.core.aval import Aval
from wengert.core.form import Unsupported
from wengert.lowering.emission import Operand, row_major
from wengert.lowering.library import EMITTERS
from wengert.lowering.library.contraction import Contraction
from wengert.lowering.straight.cells import Cells, Constant, Held, Memory, address, cells, limited, loaded, object_array
from wengert.lowering.straight.indexing import spilled
from wengert.lowering.straight.reductions import tree
from wengert.lowering.straight.writer import Inner, Writer
from wengert.lowering.text import Value

MATRIX = 256  # elements of an operand in memory, each of which is in one product
PACKED = 32  # products, of which LLVM makes vectors
CHAIN = 4  # products that are added up one after the other


def contracted(
    w: Writer,
    name: str,
    ins: Sequence[Held],
    avals: Sequence[Aval],
    params: dict[str, Any],
    shape: tuple[int, ...],
    dtype: np.dtype,
) -> Held:
    """A sum of products over shared axes."""
    emitter = EMITTERS[name]
    assert isinstance(emitter, Contraction)
    if avals[0].dtype != dtype or avals[1].dtype != dtype or dtype.kind != "f":
        raise Unsupported("a contraction of these dtypes")
    of_x, of_y, of_out = emitter.labels(avals, params)
    sizes: dict[str, int] = {}
    for labels, dims in ((of_x, ins[0].shape), (of_y, ins[1].shape)):
        for label, n in zip(labels, dims, strict=True):
            sizes[label] = n if sizes.get(label, 1) == 1 else sizes[label]
    inner = [c for c in sizes if c not in of_out]
    limited(shape)
    w.packed = w.packed or math.prod(sizes.values()) >= PACKED
    w.limit(math.prod(shape) * math.prod(sizes[c] for c in inner))
    x, y = (_elements(w, v) for v in ins)
    strong = params.get("strong") or (False, False)
    out = []
    for at in np.ndindex(shape):
        where = dict(zip(of_out, at, strict=True))
        terms = []
        for k in np.ndindex(tuple(sizes[c] for c in inner)):
            where.update(zip(inner, k, strict=True))
            terms.append((_element(x, of_x, where), _element(y, of_y, where)))
        out.append(_sum(w, terms, strong, dtype))
    return Cells(object_array(shape, out), dtype)


def _elements(w: Writer, x: Held) -> np.ndarray:
    if isinstance(x, Constant) and x.array.size <= MATRIX:
        return object_array(x.shape, [w.b.const(v, x.dtype) for v in x.array.ravel().tolist()])
    return loaded(w.b, x, MATRIX) if isinstance(x, Memory) else cells(w.b, x)


def _element(x: np.ndarray, labels: str, where: dict[str, int]) -> Value:
    return x[tuple(0 if n == 1 else where[c] for c, n in zip(labels, x.shape, strict=True))]


def _sum(w: Writer, terms: Sequence[tuple[Value, Value]], strong: tuple[bool, bool], dtype: np.dtype) -> Value:
    """Σ x·y; where a strong operand is zero, so is the product."""
    b, zero = w.b, w.b.const(0, dtype)
    if not terms:
        return zero
    if strong[0] or strong[1]:
        kept = []
        for x, y in terms:
            y_new = b.select(b.compare("eq", x, zero), zero, y) if strong[0] else y
            x_new = b.select(b.compare("eq", y, zero), zero, x) if strong[1] else x
            kept.append((x_new, y_new))
        terms = kept
    chains = min(-(-len(terms) // CHAIN), 4)
    totals: list[Value | None] = [None] * chains
    for i, (x, y) in enumerate(terms):
        product, before = b.mul(x, y), totals[i % chains]
        totals[i % chains] = product if before is None else b.add(before, product)
    return tree(b, "add", [t for t in totals if t is not None])


def by_kernel(
    w: Writer, name: str, ins: Sequence[Held], avals: Sequence[Aval], params: dict[str, Any], outs: Sequence[Aval]
) -> list[Held]:
    """A library kernel on small arrays, which pass through memory."""
    emitter = EMITTERS.get(name)
    if emitter is None or not emitter.supports(avals, outs, params):
        raise Unsupported(f"no kernel {name!r} for this call")
    for a in (*avals, *outs):
        limited(a.shape)
    operands = []
    for x in ins:
        m = spilled(w, x)
        operands.append(Operand(address(w.b, m, 0), m.shape, row_major(m.shape), m.dtype))
    results = [w.array(a.shape, a.dtype) for a in outs]
    inner = Inner(w)
    emitter.emit(inner, operands, [Operand(m.pointer, m.shape, m.strides, m.dtype) for m in results], params)
    inner.close()
    found = [loaded(w.b, m) for m in results]
    if name == "cholesky":  # what LLVM would find out too, and then store in a way of its own: see `Writer.veiled`
        above = np.triu_indices(outs[0].shape[-1], 1)
        found[0][(..., *above)] = w.b.const(0, outs[0].dtype)
    return [Cells(values, a.dtype) for values, a in zip(found, outs, strict=True)]
