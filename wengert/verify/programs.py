"""Check the derivatives of a program (a function of NumPy with arguments), as a user would take them.

value    values under every transform are the plain ones; arguments are left as they were
modes    reverse mode against forward mode: jvp, linearize
first    the gradient against differences of the values
second   Hessian-vector products: forward over reverse, reverse over reverse, against each other, their
         symmetry, and against differences of the gradient
vmap     values and gradients of many examples against a loop over them
tape     pullbacks called twice, persistent tapes and checkpoints against `grad`
jit      compiled against eager, under several transforms (`compilation`)
peer     value, gradient and Hessian-vector product against JAX running the same text, where it can

A check returns, or raises AssertionError (a mismatch), Undecided (nothing can be said, and why) or Inapplicable.
Any other exception is a mismatch too, unless EXPLAINED has a reason for it: plain NumPy runs the program.
"""

from __future__ import annotations

import importlib
import inspect
import re
import textwrap
import types
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

import wengert.api as wg
from wengert.verify.compilation import Refused, check_jit
from wengert.verify.generate.programs import Program
from wengert.verify.trial import Inapplicable, Run, Undecided, check_slope, distance, dot, draw, known, weight

CHECKS = ("value", "modes", "first", "second", "vmap", "tape", "jit", "peer")

# Refusals that are documented: (exception, pattern of its message, reason).
EXPLAINED = (
    (
        "NotDifferentiable",
        "third derivatives in the parameters are not known",
        "no third derivatives of betainc in a and b",
    ),
    (
        "TapeError",
        "checkpoint: got a function that gave another result when it ran again",
        "a checkpointed function closes over a constant array that is written to afterwards",
    ),
)


@dataclass(frozen=True)
class Outcome:
    """`status` is "pass", "mismatch", "undecided", "refused" (a documented refusal) or "inapplicable"."""

    check: str
    status: str
    detail: str = ""


def check_program(program: Program, checks: Sequence[str] = CHECKS) -> list[Outcome]:
    """Run the checks; one outcome each, and one for each transform that failed while the program was written."""
    outcomes = [_failed(text, error) for text, error in program.failures]
    run = Run(program)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        for check in checks:
            outcomes.append(_outcome(check, run))
    return outcomes


def check_function(
    f: Callable[..., Any], args: Sequence[Any], *, checks: Sequence[str] = CHECKS, traits: Sequence[str] = ()
) -> list[Outcome]:
    """The same for a function of yours, whose source is at hand: a real scalar of some arrays."""
    source = textwrap.dedent(inspect.getsource(f)).replace(f"def {f.__name__}(", "def f(", 1)
    return check_program(Program(source, tuple(map(np.asarray, args)), frozenset(traits)), checks)


def _outcome(check: str, run: Run) -> Outcome:
    try:
        RUN[check](run)
    except AssertionError as error:
        return Outcome(check, "mismatch", str(error))
    except Undecided as why:
        return Outcome(check, "undecided", str(why))
    except Inapplicable as why:
        return Outcome(check, "inapplicable", str(why))
    except Refused as why:
        return Outcome(check, "refused", f"not staged: {why}")
    except Exception as error:  # whatever it is, NumPy does not raise it
        return _judged(check, f"{type(error).__name__}: {error}")
    return Outcome(check, "pass")


def _failed(text: str, error: str) -> Outcome:
    found = _judged("text", error)
    return Outcome(found.check, found.status, f"{found.detail}\n{text}")


def _judged(check: str, error: str) -> Outcome:
    for name, pattern, reason in EXPLAINED:
        if error.startswith(f"{name}:") and re.search(pattern, error):
            return Outcome(check, "refused", reason)
    return Outcome(check, "mismatch", f"raises {error}")


# ── the checks ────────────────────────────────────────────────────────────────


def check_value(run: Run) -> None:
    def plain(*args: Any) -> list[Any]:
        return [run.f(*args)]

    frozen = run.args
    for a in frozen:
        a.flags.writeable = False
    for given in (run.args, frozen):
        before = [(a.copy(), a.flags.writeable) for a in given]
        value, gradient = wg.value_and_grad(run.f, argnums=run.argnums)(*given)
        run.close("value under grad", [value], plain)
        run.close("value under jvp", [wg.jvp(run.f, given, run.v)[0]], plain)
        for a, (content, writeable), g in zip(given, before, gradient, strict=True):
            assert np.array_equal(a, content), f"an argument was written: {content} became {a}"
            assert a.flags.writeable == writeable, "the writeable flag of an argument was changed"
            assert np.shape(g) == a.shape, f"gradient of shape {np.shape(g)} for an argument of shape {a.shape}"
            assert g.dtype == a.dtype, f"gradient of dtype {g.dtype} for an argument of dtype {a.dtype}"


def check_modes(run: Run) -> None:
    gradient = run.gradient(*run.args)
    known(gradient, "gradient")
    whole = weight(gradient, run.v)

    def forward(*args: Any) -> list[Any]:
        return [wg.jvp(run.f, args, run.v)[1], whole]

    run.close("reverse mode against forward mode", [dot(gradient, run.v), whole], forward)
    run.close("linearize against jvp", [wg.linearize(run.f, *run.args)[1](*run.v), whole], forward)


def check_first(run: Run) -> None:
    gradient = run.gradient(*run.args)
    known(gradient, "gradient")
    if run.single:
        wide = run.double()
        check_first(wide)
        run.close("gradient in single against double precision", wide.gradient(*wide.args), run.gradient, 1e-2)
        return
    size = known(gradient, "gradient")
    # the size goes along as a slope that is known, since one slope alone may cancel to nothing
    check_slope("gradient", [dot(gradient, run.v), size], lambda *a: [run.f(*a), size * _along(run, a)], run)


def _along(run: Run, args: Sequence[Any]) -> float:
    """How far `args` are along v: a function of slope one."""
    moved = [np.asarray(b) - a for a, b in zip(run.program.args, args, strict=True)]
    return dot(moved, run.v) / dot(run.v, run.v)


def check_second(run: Run) -> None:
    product = run.product(*run.args)
    known(product, "Hessian-vector product")

    def slope(*args: Any) -> Any:
        gradient = wg.grad(run.f, argnums=run.argnums)(*args)
        return sum(np.sum(np.real(np.conj(v) * g)) for g, v in zip(gradient, run.v, strict=True))

    reverse = wg.grad(slope, argnums=run.argnums)(*run.args)
    run.close("reverse over reverse against forward over reverse", reverse, run.product)
    whole = weight(product, run.w)
    other = run.hessian_times(run.w, run.args)
    run.close("symmetry of the Hessian", [dot(other, run.v), whole], lambda *a: [dot(run.product(*a), run.w), whole])
    if run.single:
        wide = run.double()
        check_second(wide)
        run.close("Hessian in single against double precision", wide.product(*wide.args), run.product, 1e-2)
    else:
        check_slope("Hessian-vector product", product, run.gradient, run)


def check_vmap(run: Run) -> None:
    if "branches on values" in run.program.traits:
        raise Inapplicable("a branch on a value differs between examples")
    size = 3
    # What is made of shared arguments alone is a plain array, into which examples' values cannot be written.
    shared = 0.0 if "writes" in run.program.traits else 0.25
    axes = [None if run.rng.random() < shared else int(run.rng.integers(a.ndim + 1)) for a in run.program.args]
    axes[0] = axes[0] or 0
    noise = [np.asarray(0.3 * draw(run.rng, np.empty((size, *a.shape), a.dtype)), a.dtype) for a in run.program.args]

    def examples(args: Sequence[Any]) -> list[list[Any]]:
        return [[a if k is None else a + n[b] for a, n, k in zip(args, noise, axes, strict=True)] for b in range(size)]

    def stacked(args: Sequence[Any]) -> list[Any]:
        rows = zip(*examples(args), strict=True)
        return [row[0] if k is None else np.stack(row, axis=k) for row, k in zip(rows, axes, strict=True)]

    def loop(fun: Callable[..., Sequence[Any]]) -> Callable[..., list[Any]]:
        return lambda *args: [np.stack(o) for o in zip(*(fun(*row) for row in examples(args)), strict=True)]

    many = stacked(run.args)
    known([g for row in examples(run.args) for g in run.gradient(*row)], "gradient")
    run.close("vmap against a loop", [wg.vmap(run.f, axes)(*many)], loop(lambda *a: [run.f(*a)]))
    gradients = wg.vmap(wg.grad(run.f, argnums=run.argnums), axes)(*many)
    run.close("vmap of grad against a loop", gradients, loop(run.gradient))
    both = tuple(i for i, k in enumerate(axes) if k is not None)
    mapped = wg.grad(lambda *a: np.sum(wg.vmap(run.f, axes)(*a)), argnums=both)(*many)
    each = [np.moveaxis(g, axes[i] or 0, 0) for g, i in zip(mapped, both, strict=True)]
    run.close("grad of vmap against a loop", each, loop(lambda *a: [run.gradient(*a)[i] for i in both]))
    pushed = wg.vmap(lambda *a: wg.jvp(run.f, a, run.v)[1], axes)(*many)
    run.close("vmap of jvp against a loop", [pushed], loop(lambda *a: [wg.jvp(run.f, a, run.v)[1]]))
    again = wg.vmap(wg.grad(wg.checkpoint(run.f), argnums=run.argnums), axes)(*many)
    run.close("vmap of grad of a checkpoint against a loop", again, loop(run.gradient))


def check_tape(run: Run) -> None:
    known(run.gradient(*run.args), "gradient")
    _, pull = wg.vjp(run.f, *run.args)
    run.close("pullback, twice the cotangent", [np.asarray(g) / 2 for g in pull(2.0)], run.gradient)
    run.close("pullback, called again", pull(1.0), run.gradient)
    adopted = wg.adopt(run.f)
    with wg.GradientTape(persistent=True) as tape:
        xs = tape.watch(run.args)
        z = adopted(*xs)
    for time in ("once", "again"):
        run.close(f"persistent tape, asked {time}", tape.gradient(z, xs, unconnected="zero"), run.gradient)
    run.close("checkpoint", wg.grad(wg.checkpoint(run.f), argnums=run.argnums)(*run.args), run.gradient)
    if all(a.dtype.kind == "f" for a in run.program.args):
        _check_jacobians(run)


def _check_jacobians(run: Run) -> None:
    """Of all arguments as one vector: whole Jacobians, by rows and by columns."""
    shapes = [a.shape for a in run.program.args]
    ends = np.cumsum([0, *(a.size for a in run.program.args)])
    adopted = wg.adopt(run.f)

    def joined(vector: Any) -> Any:
        return adopted(*(vector[i:j].reshape(s) for i, j, s in zip(ends, ends[1:], shapes, strict=False)))

    def gradient(*args: Any) -> list[Any]:
        return [np.concatenate([g.ravel() for g in run.gradient(*args)])]

    vector = np.concatenate([a.ravel() for a in run.args])
    run.close("jacfwd", [wg.jacfwd(joined)(vector)], gradient)
    run.close("jacrev", [wg.jacrev(joined)(vector)], gradient)


def check_peer(run: Run) -> None:
    if run.program.names - {"np"}:
        raise Inapplicable("it uses more than NumPy")
    try:
        jax = importlib.import_module("jax")
    except ImportError:
        raise Inapplicable("JAX is not installed") from None
    jax.config.update("jax_enable_x64", True)
    theirs = run.program.compiled({"np": Lists(jax.numpy)})
    try:
        value = theirs(*map(jax.numpy.asarray, run.args))
    except Exception as error:  # it lacks a function, or refuses a write
        raise Inapplicable(f"JAX does not run it: {type(error).__name__}") from None
    if distance([value], [run.f(*run.args)])[0] > run.rtol:
        raise Inapplicable("JAX computes another value")
    slopes = jax.grad(theirs, argnums=run.argnums)
    _against(run, "gradient", run.gradient, [np.conj(g) for g in slopes(*run.args)], lambda *a: [run.f(*a)])
    if all(a.dtype.kind == "f" for a in run.program.args):
        product = jax.jvp(lambda *a: slopes(*a), tuple(run.args), tuple(run.v))[1]
        _against(run, "Hessian-vector product", run.product, [np.asarray(p) for p in product], run.gradient)


class Lists:
    """A namespace whose functions take lists of numbers as arrays, which JAX's do not by themselves."""

    def __init__(self, namespace: Any) -> None:
        self._namespace = namespace

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._namespace, name)
        if isinstance(found, types.ModuleType):
            return Lists(found)
        if not callable(found) or isinstance(found, type) or hasattr(found, "reduce"):
            return found
        return lambda *args, **kwargs: found(*map(self._converted, args), **kwargs)

    def _converted(self, arg: Any) -> Any:
        if not isinstance(arg, list):
            return arg
        if all(isinstance(a, int | float) for a in arg):
            return np.array(arg)
        return [self._converted(a) for a in arg]


def _against(
    run: Run, what: str, fun: Callable[..., Sequence[Any]], theirs: Sequence[Any], below: Callable[..., Sequence[Any]]
) -> None:
    """Ours and the peer's; where they differ, differences of `below` decide who is right."""
    try:
        run.close(f"{what} against JAX's", theirs, fun)
    except AssertionError as gap:
        ours = fun(*run.args)
        known(theirs, f"{what} of JAX")
        if what == "gradient":
            off = [g - h for g, h in zip(ours, theirs, strict=True)]
            run.v = [o / np.sqrt(dot(off, off)) for o in off]
            ours = [dot(ours, run.v)]
        try:
            check_slope(what, ours, below, run)
        except AssertionError:
            raise gap from None
        raise Inapplicable(f"JAX has another {what}; differences agree with ours") from None


RUN: dict[str, Callable[[Run], None]] = {
    "value": check_value,
    "modes": check_modes,
    "first": check_first,
    "second": check_second,
    "vmap": check_vmap,
    "tape": check_tape,
    "jit": check_jit,
    "peer": check_peer,
}
