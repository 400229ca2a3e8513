"""Put wrong rules into ops, one at a time, run the checks, and count how many are caught.

A mutant that gives the right rule's results to rounding, on every sample and on generated calls, is no mistake: it is set
aside as equivalent, and counted. Of the rest all must be caught.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from multiprocessing import get_context
from typing import Any

import numpy as np
from rich.console import Group, RenderableType
from rich.table import Table

from wengert.core.aval import is_inexact
from wengert.core.op import Op, Rule
from wengert.graph.program import Var
from wengert.verify import rules
from wengert.verify.call import Call, dtypes_of, random_like
from wengert.verify.catalog import load_ops
from wengert.verify.generate.calls import Generated, call
from wengert.verify.generate.choices import RandomChoices
from wengert.verify.generate.consistency import check_call
from wengert.verify.mutants.edited import slips
from wengert.verify.mutants.wrong import mistakes
from wengert.verify.workers import available, single_threaded

PER_OP = 8  # mutants of each op and seed
GENERATED = 12  # generated calls on which equivalence is judged, and a last chance to catch

ORDER = {
    "vjp": ("reverse", "checkpoint", "reverse over reverse", "forward over reverse", "residuals"),
    "jvp": ("forward", "jvp of vmap", "reverse", "forward over reverse"),
    "batch": ("vmap", "jvp of vmap"),
    "saves": ("residuals", "reverse"),
}


@dataclasses.dataclass
class Mutant:
    """One wrong rule: `caught` by the check named, or None if it survived; `equivalent` if it is not wrong at all."""

    op: str
    kind: str
    where: str
    caught: str | None = None
    equivalent: bool = False


@contextmanager
def injected(op: Op, changed: dict[str, Rule]) -> Iterator[None]:
    """`op` with other rules; the in-place variants of its pullback are set aside with it."""
    fields = (
        "jvp",
        "vjp",
        "batch",
        "saves",
        "pushforward",
        "pullback",
        "batched",
        "overwrite",
        "accumulate",
        "plain",
        "lower",
    )
    before = {name: getattr(op, name) for name in fields}
    cached = {"jvp": "pushforward", "vjp": "pullback", "batch": "batched"}
    try:
        op._dropped.clear()  # what follows from `saves`
        for name, rule in changed.items():
            setattr(op, name, rule)
            if name in cached:
                setattr(op, cached[name], rule)
        if "vjp" in changed:
            op.overwrite = op.accumulate = None
            op.plain = not op.multi
        yield
    finally:
        op._dropped.clear()
        for name, value in before.items():
            setattr(op, name, value)


# ── is it wrong at all? ───────────────────────────────────────────────────────


def results(rule: Rule, which: str, run: Call) -> Iterator[Any]:
    """What a rule gives on a call, for each selection of operands that a user may make."""
    op, args, params = run.op, run.args, run.sample.params
    outs = run.all_outs(*run.primals)
    out = tuple(outs) if op.multi else outs[0]
    rng = np.random.default_rng(7)
    chosen = [run.diff, *([(i,) for i in run.diff] if len(run.diff) > 1 else [])]
    if which == "vjp":
        cts = [random_like(rng, np.asarray(o)) if is_inexact(np.asarray(o).dtype) else None for o in outs]
        alone = [[c if j == k else None for j, c in enumerate(cts)] for k in range(len(cts))] if len(cts) > 1 else []
        for wanted, some in itertools.product(chosen, [cts, *(a for a in alone if any(c is not None for c in a))]):
            ins = [Var(np.shape(a), np.asarray(a).dtype) if i in wanted else None for i, a in enumerate(args)]
            yield rule(some if op.multi else some[0], ins, list(args), out, **params)
    elif which == "jvp":
        dots = {i: random_like(rng, np.asarray(args[i])) for i in run.diff}
        for wanted in chosen:
            yield rule(list(args), [dots[i] if i in wanted else None for i in range(len(args))], out, **params)
    else:
        arrays = [i for i, a in enumerate(args) if isinstance(a, (np.ndarray, np.generic))]
        for wanted in [tuple(arrays), *((i,) for i in arrays)]:
            rows = [np.stack([a, np.roll(a, 1)]) if i in wanted else a for i, a in enumerate(args)]
            yield rule(rows, [i in wanted for i in range(len(args))], 2, **params)


def differs(rule: Rule, right: Rule, which: str, run: Call) -> bool:
    """Whether two rules give different results on a call; a wrong rule that raises differs."""
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if not all(np.isfinite(o).all() for o in run(*run.primals)):
            return False  # without a value there is no derivative to get wrong
        try:
            wanted = list(results(right, which, run))
        except Exception:  # where the right rule has no result nothing can differ from it
            return False
        try:
            return not all(map(_same, results(rule, which, run), wanted))
        except Exception:
            return True


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)):
        return len(a) == len(b) and all(map(_same, a, b))
    if a is None or b is None:
        return a is b
    a, b = np.asarray(a), np.asarray(b)
    if a.shape != b.shape or a.dtype != b.dtype:
        return False
    if b.dtype.kind not in "fc":
        return bool(np.array_equal(a, b))
    fine = np.isfinite(b)
    scale = np.max(np.abs(b), initial=0, where=fine)
    if not np.array_equal(np.isfinite(a), fine):
        return False
    return bool(np.all(np.abs(a[fine] - b[fine]) <= 1e4 * np.finfo(b.dtype).eps * scale))


# ── the hunt ──────────────────────────────────────────────────────────────────


def sampled(op: Op) -> list[Call]:
    return [Call(op, s, dtype) for s in op.samples if s.diff for dtype in dtypes_of(op, s)]


def generated(op: Op, seed: int) -> list[Generated]:
    return [_one(op, seed, k) for k in range(GENERATED)]


def _one(op: Op, seed: int, k: int) -> Generated:
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return call(op, RandomChoices(np.random.default_rng([seed, k])), values="smooth")


def caught(op: Op, changed: dict[str, Any], seed: int) -> str | None:
    """The first check that notices, and does not complain of the right rules; or None."""
    order = dict.fromkeys([m for which in changed for m in ORDER[which]])
    order |= dict.fromkeys(rules.CHECKS)
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for make in _runs(op):
            for which in order:
                if _complains(op, changed, make, which) and not _complains(op, {}, make, which):
                    return which
        for k in range(GENERATED):
            again = functools.partial(_one, op, seed, k)
            if _complains(op, changed, again, "") and not _complains(op, {}, again, ""):
                return "generated calls"
    return None


def _runs(op: Op) -> list[Callable[[], Call]]:
    """Makers of fresh calls, which remember nothing of a wrong rule."""
    pairs = [(s, dtype) for s in op.samples if s.diff for dtype in dtypes_of(op, s)]
    return [lambda s=s, dtype=dtype: Call(op, s, dtype) for s, dtype in pairs]


def _complains(op: Op, changed: dict[str, Any], make: Callable[[], Call], which: str) -> bool:
    run = make()
    with injected(op, changed):
        try:
            if isinstance(run, Generated):
                check_call(run)
            else:
                rules.check_call(run, which)
        except rules.Undecided:
            return False
        except Exception:  # whatever a check raises is a mistake noticed
            return True
    return False


def of_op(name: str, seed: int = 0, most: int | None = PER_OP) -> list[Mutant]:
    """The fate of up to `most` mutants of one op, drawn at random among its mistakes and edits."""
    op = load_ops()[name]
    rng = np.random.default_rng([seed, *name.encode()])
    pools = [list(mistakes(op)), list(slips(op))]
    chosen = []
    for pool in pools:
        half = len(pool) if most is None else min(len(pool), most // 2)
        chosen += [pool[i] for i in sorted(rng.permutation(len(pool))[:half])]
    found, calls = [], None
    for kind, where, changed in chosen:
        calls = calls or [*sampled(op), *generated(op, seed)]
        wrong = "saves" in changed or any(
            differs(rule, getattr(op, w), w, run) for w, rule in changed.items() for run in calls
        )
        mutant = Mutant(name, kind, where, equivalent=not wrong)
        if wrong:
            mutant.caught = caught(op, changed, seed)
        found.append(mutant)
    return found


def hunt(
    match: str = "",
    seeds: Sequence[int] = (0,),
    most: int | None = PER_OP,
    jobs: int | None = None,
    progress: Callable[[int, int, str], None] = lambda *a: None,
) -> dict[str, Any]:
    """Hunt mutants of every differentiable op whose name contains `match`; data for the matrix's "mutants".

    most
        Mutants of each op and seed; None for all.
    """
    names = [n for n, op in load_ops().items() if match in n and not op.constant and any(s.diff for s in op.samples)]
    tasks = [(name, seed, most) for seed in seeds for name in names]
    found: list[Mutant] = []
    with ProcessPoolExecutor(jobs or available(), mp_context=get_context("spawn"), initializer=single_threaded) as pool:
        waiting = {pool.submit(of_op, *task): task for task in tasks}
        for k, done in enumerate(as_completed(waiting), 1):
            found += done.result()
            progress(k, len(tasks), waiting[done][0])
    found.sort(key=lambda m: (m.op, m.kind, m.where))
    wrong = [m for m in found if not m.equivalent]
    kinds: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for m in wrong:
        kinds[m.kind][0] += m.caught is not None
        kinds[m.kind][1] += 1
    return {
        "seeds": len(seeds),
        "ops": len(names),
        "tried": len(wrong),
        "caught": sum(m.caught is not None for m in wrong),
        "equivalent": len(found) - len(wrong),
        "kinds": dict(sorted(kinds.items())),
        "by": dict(Counter(m.caught for m in wrong if m.caught).most_common()),
        "survivors": [{"op": m.op, "kind": m.kind, "where": m.where, "why": ""} for m in wrong if m.caught is None],
    }


def terminal(data: dict[str, Any]) -> RenderableType:
    """Tables of what `hunt` returns."""
    kinds = Table("mistake", "caught", "of")
    for kind, (got, of) in data["kinds"].items():
        kinds.add_row(kind, f"[{'green' if got == of else 'bold red'}]{got}[/]", str(of))
    kinds.add_row("all", str(data["caught"]), str(data["tried"]), style="bold")
    parts: list[RenderableType] = [kinds]
    if data["survivors"]:
        left = Table("op", "mistake", "where", title="survivors")
        for s in data["survivors"]:
            left.add_row(s["op"], s["kind"], s["where"])
        parts.append(left)
    by = ", ".join(f"{which} {n}" for which, n in data["by"].items())
    parts.append(
        f"{data['ops']} ops; caught first by: {by}. {data['equivalent']} edits change no result, and do not count."
    )
    return Group(*parts)
