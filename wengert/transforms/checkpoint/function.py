"""`checkpoint`: a function whose intermediate values are computed again in the backward pass, and which of them are not.

Where values are known, the function runs again, as Python, on a tape of its own (`recording.py`); where a program is being staged
it is a call of a Program (`staged.py`). Traces that run within the innermost tape become part of the function.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from wengert.core.errors import WengertError
from wengert.core.sizes import bytes_of
from wengert.core.source import describe, here
from wengert.core.tensor import Array, Tensor, Trace, active, staged
from wengert.core.tree import flatten, unflatten
from wengert.trace.adopt import adopt as adopt_function
from wengert.trace.stage import Stage
from wengert.trace.tape import ReplayableTape, Tape, apply_watched
from wengert.transforms.batch import Batch
from wengert.transforms.checkpoint.policies import Value, everything, nothing, policy_of
from wengert.transforms.checkpoint.randomness import Draws
from wengert.transforms.checkpoint.recording import Flat, Rule, Scratch, record
from wengert.transforms.checkpoint.staged import staged_call
from wengert.transforms.checkpoint.surroundings import Surroundings, reopened
from wengert.transforms.forward import Jvp

RECORDING = (None, apply_watched)  # the modes of a tape that records


def checkpoint(
    fun: Callable[..., Any],
    *,
    policy: Callable[[Value], bool] | None = None,
    budget: int | str | None = None,
    adopt: bool = True,
) -> Callable[..., Any]:
    """`fun`, whose intermediate values are computed again in the backward pass instead of being kept.

    Parameters
    ----------
    fun : takes and returns any pytrees; may close over differentiated values. It must give the same result when it runs
        again, and must not write into arrays from outside. Random numbers come again: see below.
    policy : what is kept all the same: one of `wengert.policies` (default: `nothing`), or `f(value) -> bool`
    budget : bytes that may be kept ("64 MiB"), of what is dearest to compute again; instead of a policy
    adopt : run `fun` with its own `np`, `math` and `scipy` bound to wengert's

    Returns
    -------
    callable with `fun`'s signature. It nests, and composes with every transform; in compiled programs too, values are computed
    again when their pullbacks are reached, and not before.

    Memory: the inputs of `fun` and what the policy keeps; during its own backward pass its residuals. Cost: its forward
    evaluation again, but for what is kept. Forward mode and plain calls cost nothing extra.

    Random numbers: generators that `fun` is given or can reach (NumPy's, Python's, the global states too) are set back for the
    second run, and left as they were. Of nested checkpoints the outer policy says what is kept until the outer function
    runs again, the inner one what is kept of that run. Within a compiled program an inner checkpoint is one value to the
    outer policy.

    Raises
    ------
    TapeError : `fun` writes into an array from outside, or gives another result when it runs again.

    Source: Griewank & Walther (2008), ch. 12; Chen et al. (2016) for neural networks.
    """
    rule = _rule(policy, budget)

    @functools.wraps(fun)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        traces = active()
        if not traces:
            return fun(*args, **kwargs)
        run = adopt_function(fun) if adopt else fun
        leaves, in_tree = flatten((args, kwargs))
        stages = type(traces[-1]) is Stage or any(map(staged, leaves))
        if not stages and not any(isinstance(t, Tape) for t in traces):
            return run(*args, **kwargs)
        out_tree: Any = None

        def flat(*leaves: Array) -> list[Array]:
            nonlocal out_tree
            positional, keywords = unflatten(in_tree, leaves)
            outs, out_tree = flatten(run(*positional, **keywords))
            return outs

        if stages:
            outs = staged_call(flat, leaves, rule)
            return unflatten(out_tree, outs)
        draws = Draws(fun, args, kwargs)

        def drawing(*leaves: Array) -> list[Array]:
            with draws.replayed():
                return flat(*leaves)

        outs = beneath(drawing, leaves, traces, rule)
        return unflatten(out_tree, outs)

    return wrapped


def _rule(policy: Any, budget: int | str | None) -> Rule:
    if budget is None:
        return Rule(None if policy is None or policy is nothing else policy_of(policy))
    if policy is not None:
        raise WengertError(
            "checkpoint",
            got="a policy and a budget",
            want="one of them: a budget is itself a policy, which keeps what is dearest to compute again",
            at=describe(here(3)),
        )
    return Rule(everything, bytes_of(budget))


def beneath(fun: Flat, args: Sequence[Any], traces: Sequence[Trace], rule: Rule) -> list[Any]:
    """`fun(*args)` checkpointed on the innermost tape; traces within it become part of `fun`."""
    if not traces:
        return fun(*args)
    *outer, top = traces
    if isinstance(top, Tape) and type(top) is not ReplayableTape:
        return record(top, fun, args, rule) if top.mode in RECORDING else fun(*args)
    if type(top) in (Scratch, ReplayableTape, Stage):
        # Within the first run of another checkpoint, which decides alone what is kept until it runs again; or recorded to run
        # again as a whole; or staged, while the tape that is to save memory is outside and sees one call.
        return fun(*args)
    if type(top) is Batch:
        return _batched(top, fun, args, outer, rule)
    if type(top) is Jvp:
        return _dual(top, fun, args, outer, rule)
    raise WengertError("checkpoint", got=f"a {type(top).__name__} trace", want="tapes, jvp and vmap")


def _batched(top: Batch, fun: Flat, args: Sequence[Any], outer: Sequence[Trace], rule: Rule) -> list[Any]:
    flags = [top.owns(a) for a in args]
    batched_out: list[bool] = []
    cells = Surroundings()

    def batched(*values: Array) -> list[Array]:
        with reopened(top), cells.seen(top):
            outs = fun(*(Tensor(v, None, top) if f else v for v, f in zip(values, flags, strict=True)))
            batched_out[:] = [top.owns(o) for o in outs]
            return [top.lower(o) for o in outs]

    outs = beneath(batched, [top.lower(a) for a in args], outer, rule)
    return [Tensor(o, None, top) if f else o for o, f in zip(outs, batched_out, strict=True)]


def _dual(top: Jvp, fun: Flat, args: Sequence[Any], outer: Sequence[Trace], rule: Rule) -> list[Any]:
    has_dot = [top.owns(a) for a in args]
    out_dot: list[bool] = []
    cells = Surroundings()

    def dual(*values: Array) -> list[Array]:
        given = iter(values)
        with reopened(top), cells.seen(top):
            outs = fun(*(Tensor(next(given), next(given), top) if d else next(given) for d in has_dot))
            out_dot[:] = [top.owns(o) for o in outs]
            return [
                v for o, d in zip(outs, out_dot, strict=True) for v in ((o._value, o._node) if d else (top.lower(o),))
            ]

    values = [v for a, d in zip(args, has_dot, strict=True) for v in ((a._value, a._node) if d else (top.lower(a),))]
    found = iter(beneath(dual, values, outer, rule))
    return [Tensor(next(found), next(found), top) if d else next(found) for d in out_dot]
