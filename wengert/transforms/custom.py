"""Rules of the user's own: `custom_vjp` and `custom_jvp`.

Each call becomes one equation of a *function op*, whose static parameter holds the user's
functions on flat lists. The op is transparent: outer traces differentiate what the rule
itself computes, so higher orders work. Either kind serves both modes: a vjp rule is linear in
its cotangent, and its transpose is the jvp; and the other way round.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from wengert.core.aval import INEXACT
from wengert.core.errors import WengertError
from wengert.core.op import Op
from wengert.core.source import describe, here
from wengert.core.tensor import Array, Tensor, held
from wengert.core.tree import flatten, leaves, unflatten
from wengert.graph.program import Var, Vars
from wengert.ops.basis import all_batched, reduce_sum
from wengert.transforms.batch import batch_flat
from wengert.transforms.entry import FlatFunction, outward
from wengert.transforms.gradients import like
from wengert.transforms.reverse import vjp_flat, zeros

Flat = Callable[..., Sequence[Array]]


def _shape(*avals: Any, rule: Any) -> Any:
    raise WengertError(
        "custom rule", got="a staged call", want="an eager one: its output shapes are known by running it"
    )


def _is_leaf_array(x: Any) -> bool:
    return type(x) is Tensor or isinstance(x, (np.ndarray, np.generic, float, complex))


def lent(x: Any) -> Any:
    """`x` for the user's rule to read: the tape and other rules hold it too, so a write raises, or stays in a cell of its own."""
    if type(x) is np.ndarray:
        x = x.view()
        x.flags.writeable = False
        return x
    return held(x)


def _batched_function(fun: Flat, batched: Sequence[bool], size: int) -> Flat:
    """`fun` on batched operands, all of whose outputs come out batched."""

    def run(*xs: Array) -> list[Array]:
        outs, flags = batch_flat(fun, xs, batched, size)
        return all_batched(outs, flags, size)

    return run


# ── a rule by its vjp ─────────────────────────────────────────────────────────


class VjpRule:
    """`forward(*xs) → outs + residuals`, `backward(residuals, cts) → one cotangent per x`.

    `count()` is the number of outs, known once `forward` has run.
    """

    def __init__(self, forward: Flat, backward: Callable[..., Sequence[Array]], count: Callable[[], int]) -> None:
        self.forward, self.backward, self.count = forward, backward, count

    def batch(self, batched: Sequence[bool], size: int) -> VjpRule:
        def backward(residuals: Sequence[Array], cts: Sequence[Array]) -> list[Array]:
            k = len(residuals)
            found = _batched_function(lambda *a: self.backward(a[:k], a[k:]), [True] * (k + len(cts)), size)(
                *residuals, *cts
            )
            return [ct if b else reduce_sum(ct, axes=(0,)) for ct, b in zip(found, batched, strict=True)]

        return VjpRule(_batched_function(self.forward, batched, size), backward, self.count)


def _forward_eval(*xs: Array, rule: VjpRule) -> tuple[Array, ...]:
    return tuple(rule.forward(*xs))


def _filled(cts: Sequence[Array | None], outs: Sequence[Array]) -> list[Array]:
    return [np.zeros(o.shape, o.dtype)[()] if ct is None else ct for ct, o in zip(cts, outs, strict=True)]


def _vjp_rule_vjp(
    ct: Sequence[Array | None], ins: Vars, xs: Sequence[Array], out: Sequence[Array], *, rule: VjpRule
) -> Any:
    n = rule.count()
    found = rule.backward(out[n:], _filled(ct[:n], out[:n]))
    return tuple(None if var is None else c for var, c in zip(ins, found, strict=True))


def _vjp_rule_jvp(xs: Sequence[Array], dxs: Sequence[Array | None], out: Sequence[Array], *, rule: VjpRule) -> Any:
    """The transpose of the user's pullback, which is linear in its cotangents."""
    n = rule.count()
    outs, residuals = out[:n], out[n:]
    cts = [np.zeros(o.shape, o.dtype)[()] for o in outs]
    _, transposed, _ = vjp_flat(lambda *cts: rule.backward(residuals, cts), cts, "jvp of a custom_vjp function")
    return (*transposed(list(dxs)), *(None,) * len(residuals))


def _vjp_rule_batch(xs: Sequence[Array], batched: Sequence[bool], size: int, *, rule: VjpRule) -> Any:
    new = rule.batch(batched, size)
    return custom_vjp_call(*xs, rule=new)


custom_vjp_call = Op(
    name="custom_vjp_call",
    accepts=INEXACT,
    shape=_shape,
    eval=_forward_eval,
    jvp=_vjp_rule_jvp,
    vjp=_vjp_rule_vjp,
    saves=("out",),
    batch=_vjp_rule_batch,
    multi=True,
    transparent=True,
    samples=(),
    note="a user's function with a user's pullback",
)


class custom_vjp:
    """A function with a pullback of the user's own.

        @wg.custom_vjp
        def f(x, y): ...
        f.defvjp(fwd, bwd)

    `fwd(*args) → (out, residuals)` runs when `f` is differentiated; `bwd(residuals, ct) → (ct_x, ct_y)`
    gives one cotangent per argument, in the argument's structure, or None for zero. Cotangents follow the
    user's complex convention (see `wengert.config`). `nondiff_argnums` are passed to `fwd` in place, and to
    `bwd` first; they may be anything. Forward mode, vmap and higher orders follow from the two functions.

    `bwd` must be linear in `ct`. Every differentiated value must be an argument: one that the functions close over raises.
    """

    def __init__(self, fun: Callable[..., Any], nondiff_argnums: Sequence[int] = ()) -> None:
        functools.update_wrapper(self, fun)
        self.fun, self.nondiff = fun, tuple(nondiff_argnums)
        self.fwd: Callable[..., Any] | None = None
        self.bwd: Callable[..., Any] | None = None

    def defvjp(self, fwd: Callable[..., Any], bwd: Callable[..., Any]) -> None:
        """Set the two halves of the rule."""
        self.fwd, self.bwd = fwd, bwd

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if kwargs:
            args = _bound(self.fun, args, kwargs)
        diff = [i for i in range(len(args)) if i not in self.nondiff]
        if not any(type(x) is Tensor for x in leaves([args[i] for i in diff])):
            return self.fun(*args)
        if self.fwd is None or self.bwd is None:
            raise WengertError(
                f"custom_vjp function {name_of(self)}", got="no rule", want="f.defvjp(fwd, bwd)", at=describe(here(2))
            )
        fwd, bwd = self.fwd, self.bwd
        static = [args[i] for i in self.nondiff]
        flat = FlatFunction(fwd, args, {}, diff, has_aux=True)
        arrays, xs = _set_aside(flat)

        def forward(*xs: Array) -> list[Array]:
            filled = list(flat.leaves)
            for i, x in zip(arrays, xs, strict=True):
                filled[i] = lent(x)
            values = flat(*filled)
            hidden.clear()
            hidden.extend(None if _is_leaf_array(v) else v for v in values[flat.n_out :])
            return [held(v) if hasattr(v, "dtype") else np.asarray(v)[()] for v in values if _is_leaf_array(v)]

        hidden: list[Any] = []  # residuals that are no arrays

        def backward(residuals: Sequence[Array], cts: Sequence[Array]) -> list[Array]:
            given = map(lent, residuals)
            res = unflatten(flat.aux_tree, [next(given) if h is None else h for h in hidden])
            found = bwd(*static, res, flat.pack_out([lent(outward(c)) for c in cts]))
            return [outward(lent(c)) for c in _cotangents(found, flat, arrays)]

        rule = VjpRule(forward, backward, lambda: flat.n_out)
        outs = custom_vjp_call(*xs, rule=rule)
        return flat.pack_out(outs[: flat.n_out])


def name_of(function: object) -> str:
    """The user's name for a wrapped function."""
    return getattr(function, "__name__", type(function).__name__)


def _set_aside(flat: FlatFunction) -> tuple[list[int], list[Array]]:
    """The array leaves of `flat` and their positions, with avals left in their place: the equation that
    records the call holds `flat`, and a tape must not hold its own Tensors."""
    arrays = [i for i, x in enumerate(flat.leaves) if _is_leaf_array(x)]
    xs = [flat.leaves[i] for i in arrays]
    for i, x in zip(arrays, xs, strict=True):
        flat.leaves[i] = Var(x.shape, x.dtype) if hasattr(x, "dtype") else Var((), np.dtype(type(x)))
    flat.args = [None if i in flat.argnums else a for i, a in enumerate(flat.args)]
    return arrays, xs


def _bound(fun: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, ...]:
    import inspect

    bound = inspect.signature(fun).bind(*args, **kwargs)
    bound.apply_defaults()
    return bound.args


def _cotangents(found: Any, flat: FlatFunction, arrays: Sequence[int]) -> list[Array]:
    """What the user's bwd returned, as one cotangent per differentiable leaf, checked."""
    if not isinstance(found, (tuple, list)) or len(found) != len(flat.argnums):
        raise WengertError(
            "custom_vjp bwd",
            got=f"{type(found).__name__}" + (f" of {len(found)}" if isinstance(found, (tuple, list)) else ""),
            want=f"a tuple of {len(flat.argnums)} cotangents, one per argument",
            fix="return (ct_x,) for one argument",
        )
    cts: list[Any] = []
    for ct, arg in zip(found, flat.pack_in(flat.leaves), strict=True):
        arg_leaves, tree = flatten(arg)
        if ct is None:
            cts += [None] * len(arg_leaves)
            continue
        ct_leaves, ct_tree = flatten(ct)
        if ct_tree != tree:
            raise WengertError(
                "custom_vjp bwd", got=f"a cotangent of structure {ct_tree}", want=f"that of its argument, {tree}"
            )
        cts += ct_leaves
    return [zeros(flat.leaves[i]) if cts[i] is None else like(cts[i], flat.leaves[i]) for i in arrays]


def _as_array(x: Any) -> Any:
    return x if hasattr(x, "dtype") else np.asarray(x)


# ── a rule by its jvp ─────────────────────────────────────────────────────────


class JvpRule:
    """`function(*xs) → outs`, `push(xs, dxs) → tangents of outs`."""

    def __init__(self, function: Flat, push: Callable[..., Sequence[Array]]) -> None:
        self.function, self.push = function, push

    def batch(self, batched: Sequence[bool], size: int) -> JvpRule:
        n = len(batched)

        def push(xs: Sequence[Array], dxs: Sequence[Array]) -> Sequence[Array]:
            both = _batched_function(lambda *a: self.push(a[:n], a[n:]), [*batched, *batched], size)
            return both(*xs, *dxs)

        return JvpRule(_batched_function(self.function, batched, size), push)


def _push_rule(xs: Sequence[Array], dxs: Sequence[Array | None], out: Sequence[Array], *, rule: JvpRule) -> Any:
    return tuple(rule.push(xs, _filled(dxs, [_as_array(x) for x in xs])))


def _push_transposed(
    ct: Sequence[Array | None], ins: Vars, xs: Sequence[Array], out: Sequence[Array], *, rule: JvpRule
) -> Any:
    """The transpose of the user's jvp rule, which is linear in its tangents."""
    wanted = [i for i, var in enumerate(ins) if var is not None]

    def push(*some: Array) -> Sequence[Array]:
        dxs = [np.zeros(_as_array(x).shape, _as_array(x).dtype)[()] for x in xs]
        for i, d in zip(wanted, some, strict=True):
            dxs[i] = d
        return rule.push(xs, dxs)

    _, transposed, _ = vjp_flat(push, [zeros(ins[i]) for i in wanted], "vjp of a custom_jvp function")
    found = dict(zip(wanted, transposed(list(ct)), strict=True))
    return tuple(found.get(i) for i in range(len(ins)))


custom_jvp_call = Op(
    name="custom_jvp_call",
    accepts=INEXACT,
    shape=_shape,
    eval=lambda *xs, rule: tuple(rule.function(*xs)),
    jvp=_push_rule,
    vjp=_push_transposed,
    saves=(slice(None),),
    batch=lambda xs, batched, size, *, rule: custom_jvp_call(*xs, rule=rule.batch(batched, size)),
    multi=True,
    transparent=True,
    samples=(),
    note="a user's function with a user's tangent rule",
)


class custom_jvp:
    """A function with a tangent rule of the user's own.

        @wg.custom_jvp
        def f(x, y): ...

        @f.defjvp
        def _(primals, tangents):
            ...
            return out, tangent

    Reverse mode is the transpose of the rule, which must be linear in `tangents`. `nondiff_argnums` come first
    in the rule's arguments. `f.defjvps(dx_rule, dy_rule)` takes one `rule(tangent, out, *primals)` per argument instead.
    """

    def __init__(self, fun: Callable[..., Any], nondiff_argnums: Sequence[int] = ()) -> None:
        functools.update_wrapper(self, fun)
        self.fun, self.nondiff = fun, tuple(nondiff_argnums)
        self.rule: Callable[..., Any] | None = None

    def defjvp(self, rule: Callable[..., Any]) -> Callable[..., Any]:
        """Set the rule `rule(primals, tangents) → (out, tangent)`; usable as a decorator."""
        self.rule = rule
        return rule

    def defjvps(self, *rules: Callable[..., Any] | None) -> None:
        """One rule per argument, whose results add up; None for an argument without influence."""

        def rule(primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[Any, Any]:
            out = self.fun(*primals)
            terms = [r(t, out, *primals) for r, t in zip(rules, tangents, strict=True) if r is not None]
            return out, functools.reduce(lambda a, b: a + b, terms)

        self.rule = rule

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if kwargs:
            args = _bound(self.fun, args, kwargs)
        diff = [i for i in range(len(args)) if i not in self.nondiff]
        if not any(type(x) is Tensor for x in leaves([args[i] for i in diff])):
            return self.fun(*args)
        if self.rule is None:
            raise WengertError(
                f"custom_jvp function {name_of(self)}", got="no rule", want="f.defjvp(rule)", at=describe(here(2))
            )
        rule, static = self.rule, [args[i] for i in self.nondiff]
        flat = FlatFunction(self.fun, args, {}, diff)
        arrays, xs = _set_aside(flat)

        def fill(xs: Sequence[Array], rest: Sequence[Any]) -> list[Any]:
            filled = list(rest)
            for i, x in zip(arrays, xs, strict=True):
                filled[i] = lent(x)
            return filled

        def function(*xs: Array) -> list[Array]:
            return [held(v) if hasattr(v, "dtype") else np.asarray(v)[()] for v in flat(*fill(xs, flat.leaves))]

        def push(xs: Sequence[Array], dxs: Sequence[Array]) -> list[Array]:
            primals, tangents = flat.pack_in(fill(xs, flat.leaves)), flat.pack_in(fill(dxs, [None] * len(flat.leaves)))
            out, dout = rule(*static, primals, tangents)
            outs, tree = flatten(out)
            douts, dtree = flatten(dout)
            if tree != dtree:
                raise WengertError(
                    "custom_jvp rule", got=f"a tangent of structure {dtree}", want=f"that of the output, {tree}"
                )
            return [like(d, _as_array(o)) for o, d in zip(outs, douts, strict=True)]

        outs = custom_jvp_call(*xs, rule=JvpRule(function, push))
        return flat.pack_out(outs)
