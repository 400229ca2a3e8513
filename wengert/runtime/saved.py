"""`saved_residuals`: what a backward pass keeps, why, and who made it; eager, or of compiled programs after all passes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from wengert.core.aval import is_inexact
from wengert.core.errors import WengertError
from wengert.core.sizes import shown
from wengert.core.source import describe, here, lineno
from wengert.core.tensor import Tensor
from wengert.core.tree import flatten, unflatten
from wengert.graph.decisions import results_of
from wengert.graph.program import Literal as Constant
from wengert.graph.program import Program, Var
from wengert.graph.residuals import Residual, residuals_of
from wengert.passes.pipeline import optimise
from wengert.trace.admission import inexact
from wengert.trace.adopt import adopt as adopt_function
from wengert.transforms.checkpoint import checkpoint
from wengert.transforms.checkpoint.policies import Value
from wengert.transforms.derived import differentiable, split
from wengert.transforms.entry import entry
from wengert.transforms.residuals import KEPT
from wengert.transforms.reverse import record
from wengert.transforms.staging import trace


@dataclass
class SavedResiduals:
    """What one backward pass keeps. `str()` is a table, the largest first; each buffer stands in it once.

    rows : of `Residual`, with nbytes, shape, dtype, kind, op, line, name, readers and why
    mode : "eager" or "jit"
    """

    rows: list[Residual]
    mode: str

    @property
    def total(self) -> int:
        """Bytes of all of it; of an eager tape the `residual_bytes` of its program."""
        return sum(row.nbytes for row in self.rows)

    @property
    def beyond_arguments(self) -> int:
        """Bytes of what is no argument, and so is there for the backward pass alone."""
        return sum(row.nbytes for row in self.rows if row.kind != "argument")

    def __iter__(self) -> Iterator[Residual]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __str__(self) -> str:
        lines = [
            f"{len(self.rows)} residuals, {shown(self.total)} ({shown(self.beyond_arguments)} beyond the arguments), {self.mode}"
        ]
        if self.rows:
            table = [("bytes", "array", "what", "made at", "why")]
            table += [
                (shown(r.nbytes), f"{r.dtype}{list(r.shape)}", _what(r), _at(r.source), _why(r)) for r in self.rows
            ]
            widths = [max(len(row[i]) for row in table) for i in range(4)]
            for row in table:
                cells = [row[0].rjust(widths[0]), *(row[i].ljust(widths[i]) for i in (1, 2, 3)), row[4]]
                lines.append("  ".join(cells).rstrip())
        return "\n".join(lines)

    __repr__ = __str__


def _what(row: Residual) -> str:
    what = row.kind if row.op is None else f"{row.op}, kept" if row.kind == "kept" else row.op
    return f"{what} {row.name!r}" if row.name else what


def _at(source: Any) -> str:
    return "" if source is None or source[0] is None else f"{_file(source)}:{lineno(source)}"


def _file(source: Any) -> str:
    return source[0].co_filename.replace("\\", "/").rpartition("/")[2]


def _why(row: Residual) -> str:
    lines = dict.fromkeys(at for _, source in row.readers if (at := _at(source)))
    return row.why + (f" at {', '.join(list(lines)[:3])}" if lines else "")


@entry
def saved_residuals(
    fun: Callable[..., Any],
    *args: Any,
    mode: Literal["eager", "jit"] = "eager",
    policy: Callable[[Value], bool] | None = None,
    **kwargs: Any,
) -> SavedResiduals:
    """What the backward pass of `fun` keeps: sizes, lines, and reasons.

    Parameters
    ----------
    fun : a function of pytrees of arrays, whose derivative is taken in all that are floats or complex
    args, kwargs : what it is called with
    mode : "eager": what a tape holds after the call; "jit": what the compiled forward program hands to the compiled
        backward one, after all passes
    policy : as if `fun` were `wg.checkpoint(fun, policy=policy)`

    Returns
    -------
    SavedResiduals: print it, or read `.rows` and `.total`. What is on disk (`policies.offload`) takes no memory, and is not
    in it.

    Cost: one forward run ("eager"); staging and the passes ("jit").
    """
    if mode not in ("eager", "jit"):
        raise WengertError("saved_residuals", got=f"mode={mode!r}", want='"eager" or "jit"', at=describe(here(2)))
    if policy is not None:
        fun = checkpoint(fun, policy=policy)
    if mode == "jit":
        return SavedResiduals(_compiled(trace(fun, *args, **kwargs)), mode)
    leaves, tree = flatten((args, kwargs))
    places = [i for i, x in enumerate(leaves) if _is_inexact(x)]
    run = adopt_function(fun)

    def flat(*cells: Tensor) -> list[Any]:
        given = list(leaves)
        for i, cell in zip(places, cells, strict=True):
            given[i] = cell
        positional, named = unflatten(tree, given)
        return flatten(run(*positional, **named))[0]

    _, tape = record(flat, [inexact(leaves[i], "saved_residuals") for i in places])
    try:
        return SavedResiduals(residuals_of(tape.program), mode)
    finally:
        tape.close("saved_residuals")
        tape.program.eqns.clear()
        tape.guard.release()


def _is_inexact(x: Any) -> bool:
    return isinstance(x, float | complex) or (hasattr(x, "dtype") and is_inexact(x.dtype))


# ── compiled ──────────────────────────────────────────────────────────────────


def _compiled(program: Program) -> list[Residual]:
    """What the backward half of `program`, split and optimised, takes of the forward one."""
    both = split(program, differentiable(program))
    names = _names(both.forward)
    forward, backward = optimise(both.forward)[0], optimise(both.backward.program)[0]
    of = {var: row for row in forward.eqns for var in results_of(row)}
    found: dict[Any, Residual] = {}
    for var, (where, number) in zip(backward.ins, both.backward.sources, strict=False):
        readers = _readers(backward, var)
        if not readers and var not in backward.outs:
            continue  # the passes have found that it is not needed
        atom = forward.ins[number] if where == "in" else forward.outs[number]
        if atom not in found:
            found[atom] = _residual(atom, of.get(atom), forward)
            found[atom].name = names.get((where, number))
        found[atom].readers += [r for r in readers if r not in found[atom].readers]
    return sorted(found.values(), key=lambda r: -r.nbytes)


def _residual(atom: Any, row: Any, forward: Program) -> Residual:
    aval = atom.aval
    size = (aval.shape, aval.dtype)
    if type(atom) is Constant:
        return Residual(aval.size * aval.dtype.itemsize, *size, "constant")
    nbytes = aval.size * aval.dtype.itemsize
    if row is None:
        return Residual(nbytes, *size, "argument")
    return Residual(nbytes, *size, "result", row[0].name, None if row[6] is None else (row[6], row[7]))


def _readers(program: Program, var: Var) -> list[tuple[str, Any]]:
    found: dict[Any, None] = {}
    for op, ins, _, _, _, _, code, lasti in program.eqns:
        if any(a is var for a in ins):
            found[(op.name, None if code is None else (code, lasti))] = None
    return list(found)


def _names(forward: Program) -> dict[tuple[str, int], str]:
    """The user's names of inputs and results, by where they stand."""
    named: dict[Any, str] = {}
    for op, ins, out, params, *_ in forward.eqns:
        if op.name == "name" and params["label"] != KEPT:
            named[ins[0]] = named[out] = params["label"]
    atoms: list[tuple[str, Sequence[Any]]] = [("in", forward.ins), ("out", forward.outs)]
    return {(where, i): named[a] for where, some in atoms for i, a in enumerate(some) if a in named}
