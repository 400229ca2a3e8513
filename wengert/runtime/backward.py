"""Eager backward passes as compiled code: the sweep of a tape whose like was swept before.

Programs that run eagerly mostly repeat themselves: the tape of one step of training is that of the next, with other
elements in its arrays. Where a sweep has come often enough for compiling to pay, it is staged, with the residuals and
the cotangents of the outputs for operands, and compiled; later tapes that agree with it in everything but the elements
of these arrays are served by the compiled function.

What a tape must agree in is its *form* (`forms.py`): all that a sweep reads, but for arrays. It is compared in full
before each such call, at 0.3 µs an equation where a sweep takes 0.9; a tape is looked at only if others of its length,
from the same lines, came before.

Served are tapes at the outermost level alone: with another trace running, the sweep is what is being recorded. Anything
unusual (Tensors among residuals, complex numbers, functions among parameters, rules that cannot be staged) is left to
the sweep. So is what the compiled function does not do sooner, and equally well, on the first operands it meets.
"""

from __future__ import annotations

import os
import sys
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Any

import numpy as np

from wengert.core.config import config, when_set
from wengert.core.events import ran
from wengert.core.source import Source
from wengert.core.tensor import Array, active
from wengert.graph.program import Program, Var
from wengert.runtime.forms import Form, Operands, Unfit, form_of
from wengert.trace.stage import stage
from wengert.transforms.reverse import SERVERS, walk

Seeds = Sequence[tuple[Var, Array]]
Wanted = Sequence[Var | None]

SHORTEST, LONGEST = 3, 4000  # equations
LARGEST = 1 << 26  # bytes of operands: a sweep lets each go when it has been used, a compiled one holds them to its end
SITES, FORMS = 128, 4  # how many sites are remembered, and forms of each
EQUATIONS = 100_000  # of all forms that are remembered, at some 250 bytes each
LOOK = 8  # the sighting at which a tape's form is looked at for the first time
NEVER = 1 << 62

# What compiling costs, and what it saves in a sweep, in seconds, as far as that can be told from a form; the figures are
# from benchmarks/backward.py. A form is compiled when it would have saved by now what compiling costs.
STARTING = 0.3  # LLVM itself, which the first compilation of a process loads
COMPILING, COMPILING_EQUATION = 0.03, 6e-4
SAVED_EQUATION, SAVED_BYTE, SERVING = 5e-7, 1.5e-10, 3e-6
GAIN, MARGIN = 0.9, 5e-6  # a compiled sweep is kept if it takes this part of the sweep's time, less so many seconds


class Known:
    """A form, and what has become of it."""

    __slots__ = ("due", "entry", "form", "operands", "reached", "tried")

    def __init__(self, form: Form, operands: Operands, due: int) -> None:
        self.form, self.operands = form, operands
        self.due = due  # the sighting of its site from which on it is to be compiled
        self.tried = False
        self.entry: Callable[..., Any] | None = None  # the compiled sweep, once it has been tried and does well
        self.reached: tuple[int, ...] = ()  # the wanted variables to which it gives cotangents


class Site:
    """The tapes of one length whose first and last equations are of the same lines."""

    __slots__ = ("forms", "keep", "misses", "next", "seen")

    def __init__(self, keep: Any) -> None:
        self.keep = keep  # the code objects, by whose ids the site is known
        self.seen, self.next = 0, LOOK  # sightings; and the one at which to look at the form again
        self.misses = 0
        self.forms: list[Known] = []

    @property
    def serves(self) -> bool:
        """Whether anything was compiled for it."""
        return any(known.entry for known in self.forms)


_sites: OrderedDict[Any, Site] = OrderedDict()
_compiling = threading.Lock()


def serve(program: Program, seeds: Seeds, wanted: Wanted, consume: bool) -> list[Array | None] | None:
    """What `sweep` gives; None if it is to do so itself."""
    eqns = program.eqns
    n = len(eqns)
    if not SHORTEST <= n <= LONGEST or active():
        return None
    first, last = eqns[0], eqns[-1]
    key = n, id(first[6]), first[7], id(last[6]), last[7]
    site = _sites.get(key)
    if site is None:
        _add(key, Site((first[6], last[6])))
        return None
    site.seen += 1
    if site.seen < site.next or not config.compile:
        return None
    try:
        found = _served(site, program, seeds, wanted)
    except Unfit:
        if site.serves:
            _wait(site)
        else:
            site.forms, site.next = [], NEVER
        return None
    if found is not None and consume:
        eqns.clear()
    return found


def _add(key: Any, site: Site) -> None:
    """Remember a site, in the place of those that have compiled nothing, or of the one added first."""
    while len(_sites) >= SITES and _dropped():
        pass
    _sites[key] = site


def _dropped() -> bool:
    """Forget sites: those that serve nothing, but for the latest; if there are none, the oldest."""
    try:
        idle = [key for key, site in list(_sites.items())[:-8] if not site.serves]
        for key in idle or list(_sites)[:1]:
            _sites.pop(key, None)
        return True
    except RuntimeError:  # another thread is at it
        return False


def _full() -> bool:
    try:
        return sum(known.form.length for site in _sites.values() for known in site.forms) > EQUATIONS
    except RuntimeError:
        return False


def _served(site: Site, program: Program, seeds: Seeds, wanted: Wanted) -> list[Array | None] | None:
    form, values = form_of(program, seeds, wanted)
    like: Operands | None = None
    for known in site.forms:
        if known.form != form:
            continue
        operands = known.operands.take(values)
        if operands is not None:
            return _result(site, known, operands, program, seeds, wanted)
        like = known.operands.varied(form, values)  # the same but for numbers: these must become operands
        if not known.tried:
            new = Known(form, like, known.due)  # another thread may be compiling for the former
            site.forms = [new if k is known else k for k in site.forms]
            _wait(site)
            return None
    _missed(site, form, like or Operands.of(form, values), values)
    return None


def _result(
    site: Site, known: Known, operands: list[Any], program: Program, seeds: Seeds, wanted: Wanted
) -> list[Array | None] | None:
    if known.entry is not None:
        if known is not site.forms[0]:
            site.forms = [known, *(k for k in site.forms if k is not known)]
        found = _run(known, operands, len(wanted))
        if found is None:
            _wait(site)
        else:
            site.misses = 0
        return found
    if known.tried:
        _wait(site)
    elif site.seen < known.due:
        site.next = site.seen + 1 if site.serves else min(known.due, site.seen + max(1, site.seen >> 1))
    else:
        site.next = site.seen + 1
        _try(known, operands, program, seeds, wanted)
    return None


def _wait(site: Site) -> None:
    """Look again later, and less and less often; but soon where there is something to serve."""
    site.misses += 1
    site.next = site.seen + (1 << min(site.misses, 4 if site.serves else 12))


def _missed(site: Site, form: Form, operands: Operands, values: list[Any]) -> None:
    """A form that is not known: it may come again."""
    form.check()
    nbytes = operands.nbytes(values)
    if nbytes > LARGEST:
        raise Unfit("too many bytes")
    while _full() and _dropped():
        pass
    due = site.seen + int(_cost(form.length) / _saving(form.length, nbytes))
    site.forms = [k for k in site.forms if k.entry][: FORMS - 1] + [k for k in site.forms if not k.entry]
    site.forms = [*site.forms[: FORMS - 1], Known(form, operands, due)]
    _wait(site)
    site.next = min(site.next, due)


def _cost(length: int) -> float:
    started = "llvmlite.binding" in sys.modules
    return COMPILING + COMPILING_EQUATION * length + (0.0 if started else STARTING)


def _saving(length: int, nbytes: int) -> float:
    saved = SAVED_EQUATION * length
    return max(saved - SERVING, 0.4 * saved) + SAVED_BYTE * nbytes


def _run(known: Known, operands: list[Any], n: int) -> list[Array | None] | None:
    """The compiled sweep's cotangents."""
    try:
        outs = known.entry(*operands)  # type: ignore[misc]
        if outs is None:
            compact = known.operands.compact(operands)
            outs = None if compact is None else known.entry(*compact)  # type: ignore[misc]
    except Exception:  # the sweep raises it at the user's line
        return None
    if outs is None:
        return None
    found: list[Array | None] = [None] * n
    for i, out in zip(known.reached, outs, strict=True):
        found[i] = out
    return found


# ── compiling ─────────────────────────────────────────────────────────────────


def _try(known: Known, operands: list[Any], program: Program, seeds: Seeds, wanted: Wanted) -> None:
    """Compile the sweep of `program`, and keep that if it does well on these very operands."""
    if not _compiling.acquire(blocking=False):
        return
    try:
        entry = _compiled(known, operands, program, seeds, wanted)
        if _does_well(known, entry, program, seeds, wanted):
            known.entry = entry
    except Exception as error:
        _log(f"a backward pass of {known.form.length} operations is not compiled: {type(error).__name__}: {error}")
    finally:
        known.tried = True
        _compiling.release()


def _compiled(known: Known, operands: list[Any], program: Program, seeds: Seeds, wanted: Wanted) -> Callable[..., Any]:
    from wengert.passes.pipeline import optimise
    from wengert.runtime.engine import compile

    chosen = known.operands
    reached: list[int] = []

    def run(*cells: Any) -> list[Array]:
        copy, given = chosen.placed(program, seeds, cells)
        found = walk(copy, given, wanted)
        reached.extend(i for i, ct in enumerate(found) if ct is not None)
        return [ct for ct in found if ct is not None]

    staged, captured = stage(run, chosen.avals(operands))
    if captured or not reached or any(atom.aval.weak for atom in staged.outs):
        raise Unfit("a sweep of other than arrays")
    for i, atom in zip(reached, staged.outs, strict=True):
        var: Any = wanted[i]
        if atom.aval.shape != var.shape or atom.aval.dtype != var.dtype:
            raise Unfit("a cotangent of another shape or dtype than its variable")
    optimised, _ = optimise(staged)
    executable = compile(optimised, name="backward")
    if executable.unsupported:
        raise Unfit(executable.unsupported)
    known.reached = tuple(reached)
    _log(f"compiled a backward pass of {known.form.length} operations", known.form.source)

    def refused(*operands: Any) -> tuple[Any, ...] | None:
        """Where somebody listens, entries refuse all; otherwise None, since this one does not take such operands."""
        return tuple([out if out.ndim else out[()] for out in executable(*operands)]) if ran else None

    return executable.entry(refused, "tuple")


def _does_well(known: Known, entry: Callable[..., Any], program: Program, seeds: Seeds, wanted: Wanted) -> bool:
    """Whether the compiled sweep gives what the sweep gives, and sooner."""
    trial = Known(known.form, known.operands, 0)
    trial.entry, trial.reached = entry, known.reached
    best = [float("inf")] * 2
    swept = compiled = None
    for _ in range(3):
        start = perf_counter()
        swept = walk(program, seeds, wanted)
        middle = perf_counter()
        form, values = form_of(program, seeds, wanted)
        operands = known.operands.take(values)
        compiled = _run(trial, operands, len(wanted)) if form == known.form and operands is not None else None
        if compiled is None:
            return False
        best = [min(best[0], middle - start), min(best[1], perf_counter() - middle)]
    return best[1] < GAIN * best[0] - MARGIN and all(map(_agree, swept or (), compiled or ()))


def _agree(x: Any, y: Any) -> bool:
    if x is None or y is None:
        return x is y
    x, y = np.asarray(x), np.asarray(y)
    if x.shape != y.shape or x.dtype != y.dtype:
        return False
    with np.errstate(all="ignore"):
        scale = np.abs(x[np.isfinite(x)]).max(initial=0.0)
    tolerance = float(np.finfo(x.dtype).eps) ** (2 / 3)
    return bool(np.allclose(y, x, rtol=tolerance, atol=tolerance * float(scale), equal_nan=True))


def _log(message: str, source: Source | None = None) -> None:
    if config.log_compiles:
        import logging

        from wengert.core.source import describe

        logging.getLogger("wengert").warning("%s%s", message, f"\n  at: {describe(source)}" if source else "")


def remembered() -> list[Site]:
    """The sites of tapes swept so far, of which `forms` tells what was compiled."""
    return list(_sites.values())


def forget() -> None:
    """Let go of all compiled sweeps."""
    _sites.clear()


def _set(name: str) -> None:
    if name in ("compile", "tiered"):
        forget()


def _forked() -> None:
    global _compiling
    _compiling = threading.Lock()


when_set(_set)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
SERVERS.append(serve)
