"""Rows: `vmap` of a small function, while it is staged, as a `scan` without carries whose trips may run together.

Compiled, such a scan is one loop over the examples with the whole function in registers, where batched ops would be as many
passes over arrays of small vectors. Whether the compiler has that loop for a body is known once it is optimised; `together`
makes batched ops of those that it has not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from wengert.core.aval import Aval
from wengert.core.form import Control, HostCall
from wengert.core.op import OPS
from wengert.core.tensor import Array, Tensor
from wengert.graph.program import Literal, Program, Var
from wengert.ops.basis import add, reduce_sum
from wengert.ops.index import ARRAY
from wengert.trace.stage import stage
from wengert.transforms.control.bodies import batched_body, reached
from wengert.transforms.control.functions import leaf
from wengert.transforms.control.scan import scan

TOGETHER = 0  # the `unroll` of a scan whose trips may run as one batch
FEWEST = 16  # examples
WIDEST = 36  # elements of a value that is worth a register each
LONGEST = 1000  # elements in all that one example computes
INDEXED = frozenset({"index"})


def in_rows(
    fun: Callable[..., list[Array]], xs: Sequence[Array], flags: Sequence[bool], size: int
) -> list[Array] | None:
    """`fun` on `size` examples, which the operands in `flags` have along axis 0; None if it is no small function.

    The results have the examples along axis 0.
    """
    if size < FEWEST or not any(flags):
        return None
    try:
        given = [leaf(x, "") for x in xs]
        avals = [Aval(a.shape[1:], a.dtype) if flag else a for (_, a), flag in zip(given, flags, strict=True)]
        program, captured = stage(fun, avals, keeps=True)
    except Exception:  # whatever is wrong will be told by the batch itself
        return None
    program = program.pruned()
    n = len(avals)
    mask = [*flags, *(False for _ in captured)]
    if program.written_out or not small(program, mask) or not all(reached(program, mask, derivatives=False)):
        return None
    order = [*range(n, len(program.ins)), *(i for i in range(n) if not flags[i]), *(i for i in range(n) if flags[i])]
    operands: list[Any] = [*(x for x, _ in given), *captured]
    body = Program([program.ins[i] for i in order], program.eqns, program.outs)
    consts = len(order) - sum(flags)
    return list(
        scan(
            *(operands[i] for i in order), body=body, consts=consts, carries=0, length=size, reverse=False,
            unroll=TOGETHER,
        )
    )  # fmt: skip


def small(program: Program, mask: Sequence[bool]) -> bool:
    """Whether a body is worth a loop of its own: little work, on small arrays, and not on scalars alone (of which batched
    ops make as good a loop). Arrays that all examples share may be large if they are indexed."""
    large = {v for v, m in zip(program.ins, mask, strict=True) if not m and v.aval.size > WIDEST}
    if any(v.aval.size > WIDEST for v, m in zip(program.ins, mask, strict=True) if m):
        return False
    work, vectors = 0, False
    for row in program.eqns:
        op, ins, outs, params = row[:4]
        if type(op.lower) is Control:
            inner = [p for p in params.values() if isinstance(p, Program)]
            inner += list(params.get("branches", ()))
            if not all(small_values(p) for p in inner):
                return False
            vectors = True
            work += sum(_work(p) for p in inner)
            continue
        if _by_eval(op, ins, params):
            return False
        if any(isinstance(a, Var) and a in large for a in ins[op.name in INDEXED :]):
            return False
        made = outs if op.multi else (outs,)
        if any(v.aval.size > WIDEST for v in made):
            return False
        work += sum(v.aval.size for v in made)
        vectors |= any(v.aval.size > 1 for v in made)
    return vectors and work <= LONGEST


def small_values(program: Program) -> bool:
    return all(v.aval.size <= WIDEST for row in program.eqns for v in (row[2] if row[0].multi else (row[2],)))


def _work(program: Program) -> int:
    return sum(v.aval.size for row in program.eqns for v in (row[2] if row[0].multi else (row[2],)))


def _by_eval(op: Any, ins: Sequence[Any], params: dict[str, Any]) -> bool:
    form = op.lower
    if callable(form):
        try:
            form = form(tuple(a.aval for a in ins), params)
        except Exception:
            return True
    return isinstance(form, HostCall) or (isinstance(form, tuple) and any(isinstance(f, HostCall) for f in form))


# ── as batched ops ────────────────────────────────────────────────────────────


Serves = Callable[[Sequence[Aval], Sequence[Aval], dict[str, Any]], bool]


def together(program: Program, serves: Serves) -> Program:
    """`program` with the rows that the compiler does not serve as batched ops, within its loops and branches too."""
    if not any(map(_asks, _rows_within(program))):
        return program
    changed = False

    def run(*xs: Array) -> list[Array]:
        nonlocal changed
        env: dict[Any, Any] = dict(zip(program.ins, xs, strict=True))
        trace: Any = next((x._trace for x in xs if type(x) is Tensor), None)
        for eqn in program.equations():
            if trace is not None:
                trace.where = eqn.source
            args = [a.value if type(a) is Literal else env[a] for a in eqn.ins]
            rows = _asks(eqn) and not serves([a.aval for a in eqn.ins if a], [v.aval for v in eqn.outs], eqn.params)
            found = _batched(args, **eqn.params) if rows else None
            changed |= found is not None
            if found is None:
                params = {name: _within(value, serves) for name, value in eqn.params.items()}
                changed |= any(params[name] is not value for name, value in eqn.params.items())
                found = eqn.op(*args, **params)
            env.update(zip(eqn.outs, found, strict=True) if eqn.op.multi else [(eqn.outs, found)])
        if trace is not None:
            trace.where = None
        return [a.value if type(a) is Literal else env[a] for a in program.outs]

    new, _ = stage(run, [v.aval for v in program.ins], keeps=True)
    return new if changed else program


def _within(value: Any, serves: Serves) -> Any:
    """A parameter with its programs changed so."""
    if isinstance(value, Program):
        return together(value, serves)
    if isinstance(value, tuple) and any(isinstance(v, Program) for v in value):
        new = tuple(together(v, serves) for v in value)
        return value if all(a is b for a, b in zip(new, value, strict=True)) else new
    return value


def _rows_within(program: Program) -> Iterator[Any]:
    """The equations of a program and of those within it."""
    for row in program.eqns:
        yield row
        for value in row[3].values() if type(row[0].lower) is Control else ():
            for inner in value if isinstance(value, tuple) else (value,):
                if isinstance(inner, Program):
                    yield from _rows_within(inner)


def _asks(row: Any) -> bool:
    return row[0] is OPS["scan"] and row[3]["unroll"] == TOGETHER


def _batched(
    operands: Sequence[Array], *, body: Program, consts: int, carries: int, length: int, **_: Any
) -> list[Array] | None:
    """A scan as one batch; None if a trip depends on the one before, other than by adding to a sum, or loops for as long
    as its own values say."""
    if any(row[0].name in ("while_loop", "while_pullback") for row in _rows_within(body)):
        return None
    sums = body.ins[consts : consts + carries]
    terms = [_term(body, var, atom) for var, atom in zip(sums, body.outs, strict=False)]
    if any(t is None for t in terms) or length == 0:
        return None
    added = [_scattered(body, t) for t in terms]
    parts = [[t] if row is None else list(row[1]) for t, row in zip(terms, added, strict=True)]
    outs = [*(a for part in parts for a in part), *body.outs[carries:]]
    trip = Program([*body.ins[:consts], *body.ins[consts + carries :]], body.eqns, outs).pruned()
    if any(v in sums for row in trip.eqns for v in row[1] if isinstance(v, Var)) or any(o in sums for o in outs):
        return None
    flags = tuple(i >= consts for i in range(len(trip.ins)))
    batch = batched_body(trip, flags, (True,) * len(outs), length)
    found = iter(batch.run(*operands[:consts], *operands[consts + carries :]))
    totals = []
    for start, part, row in zip(operands[consts:], parts, added, strict=False):
        given = [next(found) for _ in part]
        total = reduce_sum(given[0], axes=(0,)) if row is None else row[0](*given, **row[3])
        totals.append(add(start, total))
    return [*totals, *found]


def _scattered(body: Program, term: Any) -> Any:
    """The equation of a term that adds to places: of all examples together it adds to the places of each."""
    for row in body.eqns:
        if row[2] is term and row[0].name == "scatter_add":
            spec = row[3]["spec"]
            arrays = len(row[1]) - 1
            first = spec[:arrays] if type(spec) is tuple else (spec,)
            return row if arrays and all(s is ARRAY for s in first) and not row[3]["unique"] else None
    return None


def _term(body: Program, carry: Any, out: Any) -> Any:
    """What a trip adds to a carry that is a sum."""
    for row in body.eqns:
        if row[2] is out and row[0] is add:
            x, y = row[1]
            if (x is carry) != (y is carry):
                return y if x is carry else x
    return None
