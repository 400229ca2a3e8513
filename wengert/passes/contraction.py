"""Contractions: transposes of operands and results become orders of axes, constant factors move to the smaller side,
and chains of matrix products are multiplied in the cheapest order.

Another order of products rounds differently, as other orders of sums do, and where the matrices hold infinities or NaNs
these may spread to other elements; so it is taken only where it saves at least half of the work.

Source  Cormen et al., Introduction to Algorithms, ch. 14.2, for the order of a chain.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from wengert.graph.program import Literal, Program, Var
from wengert.ops.basis import transpose
from wengert.ops.contract import LABELS, contract, matmul, places
from wengert.ops.elementwise import mul
from wengert.passes.rewriter import Atom, Notes, Rewriter, aval, is_real, is_scalar, shape
from wengert.passes.rules.table import Table

Ins = Sequence[Any]
Params = dict[str, Any]
WORTH = 10_000  # multiplications saved from which a chain is reordered
DEEP, LONG = 6, 10  # how deep chains are followed, and how many factors are put in order


def contraction(program: Program, notes: Notes | None = None) -> Program:
    """`program` with its contractions simplified. Cost: linear; at most some 0.1 ms for a chain of products."""
    if not any(row[0] is matmul or row[0] is contract for row in program.eqns):
        return program
    return Rewriter(_RULES, notes).run(program)


# ── transposes ────────────────────────────────────────────────────────────────


def named(ins: Ins, out: Var, params: Params) -> tuple[str, str, str] | None:
    """The names of axes of both operands and the result; None for a matmul whose stacks broadcast."""
    if "subscripts" in params:
        return places(params["subscripts"])
    x, y = shape(ins[0]), shape(ins[1])
    if len(x) == 1 or len(y) == 1:
        batch = LABELS[3 : 3 + max(len(x), len(y), 2) - 2]
        one, other = ("b", f"{batch}bc") if len(x) == 1 else (f"{batch}ab", "b")
        if len(x) == len(y):
            return "b", "b", ""
        return one, other, f"{batch}c" if len(x) == 1 else f"{batch}a"
    if x[:-2] != y[:-2]:
        return None
    batch = LABELS[3 : 3 + len(x) - 2]
    return f"{batch}ab", f"{batch}bc", f"{batch}ac"


def _of_transposes(r: Rewriter, ins: Ins, out: Var, params: Params) -> Atom | None:
    rows = [r.producer(a, transpose) for a in ins]
    if rows == [None, None] or (names := named(ins, out, params)) is None:
        return None
    operands, labels = [], []
    for atom, row, name in zip(ins, rows, names[:2], strict=True):
        if row is not None:
            name = "".join(n for _, n in sorted(zip(row[3]["axes"], name, strict=True)))
        operands.append(atom if row is None else row[1][0])
        labels.append(name)
    return _contracted(r, operands, (labels[0], labels[1], names[2]), params)


def _transposed(r: Rewriter, ins: Ins, out: Var, params: Params) -> Atom | None:
    row = r.producer(ins[0], contract) or r.producer(ins[0], matmul)
    if row is None or r.is_shared(ins[0]) or (names := named(row[1], row[2], row[3])) is None:
        return None
    return _contracted(r, row[1], (names[0], names[1], "".join(names[2][a] for a in params["axes"])), row[3])


def _contracted(r: Rewriter, operands: Ins, names: tuple[str, str, str], params: Params) -> Atom:
    strong = {"strong": params["strong"]} if params.get("strong") is not None else {}
    return r.emit(contract, *operands, subscripts=f"{names[0]},{names[1]}->{names[2]}", **strong)


# ── constant factors ──────────────────────────────────────────────────────────


def _of_multiples(r: Rewriter, ins: Ins, out: Var, params: Params) -> Atom | None:
    """c·x @ y → c · (x @ y), or x @ c·y, where the result or y is smaller than x; c is of moderate size, so that nothing
    else overflows."""
    if not is_real(out.dtype):
        return None
    op = contract if "subscripts" in params else matmul
    for i in (0, 1):
        row, other = r.producer(ins[i], mul), ins[1 - i]
        if row is None or r.is_shared(ins[i]) or min(out.aval.size, aval(other).size) >= ins[i].aval.size:
            continue
        for x, c in (row[1], row[1][::-1]):
            if is_scalar(c) and type(x) is not Literal and x.dtype == out.dtype and 1e-6 < abs(c.value) < 1e6:
                if out.aval.size <= aval(other).size:
                    return r.emit(mul, r.emit(op, *(x if j == i else a for j, a in enumerate(ins)), **params), c)
                if aval(other).dtype == out.dtype:
                    scaled = r.emit(mul, other, c)
                    return r.emit(op, *(x if j == i else scaled for j in (0, 1)), **params)
    return None


# ── chains ────────────────────────────────────────────────────────────────────


def _chain(r: Rewriter, ins: Ins, out: Var, params: Params) -> Atom | None:
    if params.get("strong") is not None:
        return None
    tree = _tree(r, ins[0], DEEP), _tree(r, ins[1], DEEP)
    factors = _leaves(tree)
    if not 3 <= len(factors) <= LONG or any(aval(f).dtype != out.dtype for f in factors):
        return None
    shapes = [shape(f) for f in factors]
    if any(len(s) != 2 for s in shapes[:-1]) or len(shapes[-1]) not in (1, 2):
        return None
    dims = [*(s[0] for s in shapes), shapes[-1][1] if len(shapes[-1]) == 2 else 1]
    if len(set(dims)) == 1:
        return None
    now, _, _ = _cost(tree)
    cost, split = _best_order(dims)
    if now - cost < max(WORTH, now / 2):
        return None
    return _multiplied(r, factors, split, 0, len(factors) - 1)


def _tree(r: Rewriter, atom: Any, depth: int) -> Any:
    """A product that is read once as a pair of its operands' trees; or else the atom itself."""
    row = r.producer(atom, matmul) if depth else None
    if row is None or row[3].get("strong") is not None or r.is_shared(atom) or len(shape(row[1][0])) != 2:
        return atom
    return _tree(r, row[1][0], depth - 1), _tree(r, row[1][1], depth - 1)


def _leaves(tree: Any) -> list[Any]:
    return _leaves(tree[0]) + _leaves(tree[1]) if isinstance(tree, tuple) else [tree]


def _cost(tree: Any) -> tuple[int, int, int]:
    """Multiplications of a product as it stands; its rows and columns."""
    if not isinstance(tree, tuple):
        of = shape(tree)
        return 0, of[0], of[1] if len(of) == 2 else 1
    (a, rows, depth), (b, _, columns) = _cost(tree[0]), _cost(tree[1])
    return a + b + rows * depth * columns, rows, columns


def _best_order(dims: Sequence[int]) -> tuple[int, dict[tuple[int, int], int]]:
    """The least number of multiplications for matrices of dims[i] × dims[i + 1], and where each range of them is split."""
    n = len(dims) - 1
    cost = {(i, i): 0 for i in range(n)}
    split: dict[tuple[int, int], int] = {}
    for length in range(1, n):
        for i in range(n - length):
            j = i + length
            ways = {k: cost[i, k] + cost[k + 1, j] + dims[i] * dims[k + 1] * dims[j + 1] for k in range(i, j)}
            split[i, j] = min(ways, key=lambda k: ways[k])
            cost[i, j] = ways[split[i, j]]
    return cost[0, n - 1], split


def _multiplied(r: Rewriter, factors: Sequence[Any], split: dict[tuple[int, int], int], i: int, j: int) -> Atom:
    if i == j:
        return factors[i]
    k = split[i, j]
    return r.emit(matmul, _multiplied(r, factors, split, i, k), _multiplied(r, factors, split, k + 1, j))


_RULES = Table()
for _op in (contract, matmul):
    _RULES.own[_op] = [
        ("transposes taken into contractions", _of_transposes),
        ("constant factors moved to the smaller side", _of_multiples),
    ]
_RULES.own[matmul].insert(0, ("chains of products reordered", _chain))
_RULES.own[transpose] = [("transposes taken into contractions", _transposed)]
