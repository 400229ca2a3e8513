"""What computing takes, in bytes: one op, one pullback; and a whole backward pass at the least.

Temporaries are estimated, from above: in multiples of the largest array that an op, or its pullback, reads or gives. The multiples
are measured, over the ops of networks (tests/trace/test_budget.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from wengert.core.aval import aval_of
from wengert.core.op import Op
from wengert.core.tensor import Tensor, raw
from wengert.graph.atoms import Away, Var
from wengert.graph.program import Program

OF_AN_OP, OF_A_PULLBACK = 2.0, 2.0
OF_SOME = dict.fromkeys("pow pow_log softmax log_softmax cumprod gelu gelu_tanh reduce_prod".split(), 3.0)
OF_SOME |= dict.fromkeys(
    "add sub neg mul scale reshape transpose broadcast_to index reduce_sum reduce_mean matmul concatenate stack".split(),
    1.0,
)
EXPANDED = 64  # how many values are looked at for what is there already
NEAR = 16  # how many values are looked at for what operands have in common
MARGIN = 1024  # bytes, for small arrays on the side
IN_ONE = frozenset(  # ops without temporaries
    "add sub mul div neg exp log tanh sin cos sqrt square abs maximum minimum reshape transpose broadcast_to index matmul"
    " reduce_sum scale positive".split()
)


def is_repeatable(op: Op, params: dict[str, Any]) -> bool:
    """Whether running the op again gives the same bits, and nothing else happens."""
    if op.transparent or op.name == "checkpoint_call":
        return False
    return not any(
        isinstance(p, Program) or (callable(p) and not isinstance(p, type | np.ufunc)) for p in params.values()
    )


def need_of_op(op: Op, values: Sequence[Any], params: dict[str, Any]) -> int:
    """Bytes that a call takes: its results, and its temporaries."""
    sizes = [_size(v) for v in values]
    try:
        avals = op.shape(*map(aval_of, values), **params)
        made = [_of_aval(a) for a in (avals if op.multi else (avals,))]
    except Exception:  # an op without a shape rule, or operands that it will refuse itself
        made = [max(sizes, default=0)]
    nested = max(
        [raw(v).nbytes for v in values if type(v) is Tensor], default=0
    )  # of an outer trace: larger than they show
    largest = max([*sizes, *made, nested])
    if op.name in IN_ONE:
        dtypes = {v.dtype for v in values if isinstance(v, np.ndarray)}
        return sum(made) + nested + (largest if len(dtypes) > 1 else 0)  # one of them is cast
    return sum(made) + nested + int(OF_AN_OP * largest)


def need_of_pullback(row: Any, cts: Any = None) -> int:
    """Bytes that the pullback of a row takes: cotangents and temporaries. `cts`: what is there, if that may be batched."""
    op, ins, vars_ = row[:3]
    found = [_of_aval(v) for v in ins if v is not None]
    outs = [v for v in (vars_ if op.multi else (vars_,)) if v is not None]
    largest = max([*found, *map(_of_aval, outs)], default=0)
    most = largest + largest // 16 + MARGIN
    return (sum(found) + int(OF_SOME.get(op.name, OF_A_PULLBACK) * most)) * max(
        [_examples(v, cts) for v in outs], default=1
    )


def _examples(var: Var, cts: Any) -> int:
    """How many cotangents of `var` are carried at once."""
    ct = None if cts is None else cts.get(var)
    if type(ct) is not Tensor:
        return 1
    return -(-raw(ct).nbytes // max(_of_aval(var), 1))


def _size(value: Any) -> int:
    return value.nbytes if isinstance(value, np.ndarray) else 0


def _of_aval(aval: Any) -> int:
    n = aval.dtype.itemsize
    for d in aval.shape:
        n *= d
    return n


class _Costs:
    """Bytes that it takes to have values: what is held anyway costs nothing."""

    def __init__(self, tape: Any, is_free: Any, sharing: bool) -> None:
        self.sharing = sharing  # whether what several operands are made from counts as there meanwhile
        self.fixed = tape.ledger.used  # what cannot be let go
        self.sizes: dict[int, int] = {}
        self.making: dict[int, int] = {}
        for s in tape.stored.values():
            movable = s.again and s.nbytes > 0 and (s.value() is None or (s.array is not None and is_free(s)))
            if movable and s.array is not None:
                self.fixed -= s.nbytes
            self.sizes[id(s)] = s.nbytes if movable else 0
            if s.base is not None:
                self.sizes[id(s)] = self.sizes.get(id(s.base), 0)
            self.making[id(s)] = self._making(s) if movable or s.base is not None else 0

    def _making(self, s: Any) -> int:
        """The most that is held at one time while `s` is made from arguments: operands are made one after the other."""
        return self._given(s, frozenset(), [EXPANDED])

    def _given(self, s: Any, held: frozenset[int], left: list[int]) -> int:
        """The same while values `held` (by id) are there. It looks some way back for these, then takes what is known."""
        peak, before = 0, 0
        operands = [o for o in s.producer.operands if isinstance(o, Away)]
        for o in self._shared(operands) if self.sharing and len(operands) > 1 else ():
            if id(o) not in held:
                peak = max(peak, before + self.making.get(id(o), 0))
                before += self.sizes[id(o)]
                held |= {id(o)}
        for o in operands:
            key = id(o)
            if key in held:
                continue
            left[0] -= 1
            alone = not held or left[0] < 0 or not self.making.get(key)
            peak = max(peak, before + (self.making.get(key, 0) if alone else self._given(o, held, left)))
            before += self.sizes.get(key, 0)
            held |= {key}
        return max(peak, before + (0 if s.base is not None else s.producer.need))

    def _shared(self, operands: Sequence[Any]) -> list[Any]:
        """Values that rows read, and that more than one of the operands are made from: made once, they stay meanwhile."""
        times: dict[int, list[Any]] = {}
        for operand in operands:
            seen, todo = set(), [operand]
            while todo and len(seen) < NEAR:
                o = todo.pop()
                if id(o) in seen:
                    continue
                seen.add(id(o))
                if o.readers and o.base is None and self.sizes.get(id(o)):
                    times.setdefault(id(o), []).append(o)
                elif o.producer is not None:
                    todo += [below for below in o.producer.operands if isinstance(below, Away)]
        return [found[0] for found in times.values() if len(found) > 1]

    def reading(self, row: Any) -> tuple[int, int]:
        """The most that is held while what a row reads is made; and what it is."""
        peak, before, held = 0, 0, frozenset()
        _, _, _, _, xs, out, _, _ = row
        for s in {id(s): s for s in (*xs, *(out if type(out) is tuple else (out,))) if isinstance(s, Away)}.values():
            if self.making.get(id(s)):
                peak = max(peak, before + (self._given(s, held, [EXPANDED]) if held else self.making[id(s)]))
            before += self.sizes.get(id(s), 0)
            held |= {id(s)}
        return peak, before


def smallest(tape: Any, rows: Sequence[Any], cts: Any, is_free: Any) -> int:
    """The smallest budget with which the sweep that starts with `cts` can be done, by going through it with sizes alone.

    Both ways of counting what operands have in common are bounds from above; neither is always the lower one.
    """
    return min(_smallest(_Costs(tape, is_free, sharing), rows, cts) for sharing in (False, True))


def _smallest(costs: _Costs, rows: Sequence[Any], cts: Any) -> int:
    live = {var: (0 if var not in cts else raw(cts[var]).nbytes) for var in cts}
    total, least = 0, 0  # the seeds are counted among what is there
    examples = max([_examples(var, cts) for var in cts], default=1)
    for row in reversed(rows):
        op, ins, vars_ = row[:3]
        outs = [v for v in (vars_ if op.multi else (vars_,)) if v in live]
        if not outs:
            continue
        peak, held = costs.reading(row)
        least = max(least, total + peak, total + held + need_of_pullback(row) * examples)
        for v in outs:
            total -= live.pop(v) if v not in cts else live.pop(v) * 0
        for v in ins:
            if v is not None and v not in live:
                live[v] = _of_aval(v) * examples
                total += live[v]
    return costs.fixed + least
