"""The order of equations, and the memory that it takes.

The order given is that of the user's program and of the sweep behind it, which is good as a rule. Where another one
needs less memory at its peak, it is taken: list scheduling, which runs next whatever frees most and allocates least.

Source  Sethi & Ullman (1970) for trees; for graphs the problem is NP-complete (Sethi 1975), and this is a heuristic.
"""

from __future__ import annotations

import heapq
import math
from typing import Any

from wengert.core.form import Barrier, Move, Reshape
from wengert.graph.program import Literal, Program, Var
from wengert.passes.rewriter import Notes

SMALL = 1 << 23  # bytes of peak up to which no other order is looked for


def schedule(program: Program, notes: Notes | None = None) -> Program:
    """`program` in an order of no larger peak. Cost: about 5 µs an equation; nothing for small arrays."""
    if _all_bytes(program) <= SMALL or (peak := peak_bytes(program)) <= SMALL:
        return program
    other = Program(program.ins, _ordered(program), program.outs)
    found = peak_bytes(other)
    if found >= 0.99 * peak:
        return program
    if notes is not None:
        notes[f"reordered: peak {_shown(peak)} → {_shown(found)}"] += 1
    return other


def peak_bytes(program: Program) -> int:
    """Bytes of all arrays that exist at once, at most, if equations are run one by one and arrays freed when nobody needs
    them any more. Inputs and outputs count from beginning and to the end; movements share their operand's memory."""
    homes = _homes(program)
    left = _readers(program, homes)
    now = sum(_bytes(v) for v in program.ins)
    peak = now
    for op, ins, outs, *_ in program.eqns:
        made = {homes[v] for v in (outs if op.multi else (outs,)) if v is not None and homes[v] is v}
        now += sum(map(_bytes, made))
        peak = max(peak, now)
        for home in {homes[a] for a in ins if type(a) is not Literal}:
            left[home] -= 1
            if not left[home]:
                now -= _bytes(home)
        now -= sum(_bytes(v) for v in made if not left.get(v))
    return peak


def _all_bytes(program: Program) -> int:
    total = sum(map(_bytes, program.ins))
    for op, _, outs, *_ in program.eqns:
        total += sum(map(_bytes, outs)) if op.multi else _bytes(outs)
    return total


def _bytes(var: Var) -> int:
    return math.prod(var.shape) * var.dtype.itemsize


def _homes(program: Program) -> dict[Any, Any]:
    """For each variable the one in whose memory it lies."""
    homes: dict[Any, Any] = {v: v for v in program.ins}
    for op, ins, outs, *_ in program.eqns:
        if op.multi:
            homes.update((v, v) for v in outs)
        elif ins and type(ins[0]) is not Literal and _moves(op, ins):
            homes[outs] = homes[ins[0]]
        else:
            homes[outs] = outs
    return homes


def _moves(op: Any, ins: Any) -> bool:
    return type(op.lower) in (Move, Reshape, Barrier) or (op.name == "index" and len(ins) == 1)


def _readers(program: Program, homes: dict[Any, Any]) -> dict[Any, int]:
    """How many equations read each piece of memory; one more for those that are never freed."""
    left: dict[Any, int] = dict.fromkeys(program.ins, 1)
    for row in program.eqns:
        for home in {homes[a] for a in row[1] if type(a) is not Literal}:
            left[home] = left.get(home, 0) + 1
    for atom in program.outs:
        if type(atom) is not Literal:
            left[homes[atom]] = left.get(homes[atom], 0) + 1
    return left


def _ordered(program: Program) -> list[Any]:
    """The equations by list scheduling; of equals, the first in the order given."""
    eqns = program.eqns
    homes = _homes(program)
    left = _readers(program, homes)
    maker: dict[Any, int] = {}
    readers: dict[Any, list[int]] = {}  # equations by the variable that they read
    lodgers: dict[Any, list[int]] = {}  # and by its memory
    waiting = [0] * len(eqns)
    for i, (op, ins, outs, *_) in enumerate(eqns):
        read = {a for a in ins if type(a) is not Literal}
        waiting[i] = sum(a in maker for a in read)
        for a in read:
            readers.setdefault(a, []).append(i)
            lodgers.setdefault(homes[a], []).append(i)
        maker.update((v, i) for v in (outs if op.multi else (outs,)) if v is not None)

    def balance(i: int) -> int:
        op, ins, outs, *_ = eqns[i]
        made = sum(_bytes(v) for v in (outs if op.multi else (outs,)) if v is not None and homes[v] is v)
        return made - sum(_bytes(h) for h in {homes[a] for a in ins if type(a) is not Literal} if left[h] == 1)

    done = [False] * len(eqns)
    ready = [(balance(i), i) for i, n in enumerate(waiting) if not n]
    heapq.heapify(ready)
    order = []
    while ready:
        _, i = heapq.heappop(ready)
        if done[i]:
            continue
        done[i] = True
        op, ins, outs, *_ = eqns[i]
        order.append(eqns[i])
        for home in {homes[a] for a in ins if type(a) is not Literal}:
            left[home] -= 1
            if left[home] == 1:  # whoever reads it last will free it
                for j in lodgers[home]:
                    if not done[j] and not waiting[j]:
                        heapq.heappush(ready, (balance(j), j))
        for v in outs if op.multi else (outs,):
            for j in readers.get(v, ()):
                waiting[j] -= 1
                if not waiting[j]:
                    heapq.heappush(ready, (balance(j), j))
    return order


def _shown(n: int) -> str:
    return f"{n / 2**20:.1f} MiB"
