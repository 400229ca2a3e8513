"""What each mode of differentiation gives for one call, measured against a reference: a number, not just a verdict.

    forward                jvp against the reference, elementwise
    reverse                ⟨Jᵀu, v⟩ against ⟨u, reference⟩, then for each subset of inputs and each output alone
    forward over reverse   jvp of the pullback against the reference of the pullback
    reverse over reverse   its transpose, projected
    vmap                   every combination of batched inputs against a stacked loop
    jvp of vmap            against the stacked references of the examples
    checkpoint             the pullback of a checkpointed call, as reverse
    jit                    see `compiled`

How errors are measured, and what is allowed: see `closeness`.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from wengert.core.op import Refuse
from wengert.core.tensor import Array
from wengert.transforms.batch import batch_flat
from wengert.transforms.checkpoint import checkpoint
from wengert.transforms.forward import jvp_flat
from wengert.transforms.reverse import vjp_flat
from wengert.verify.call import Call
from wengert.verify.closeness import Comparison, Measurement, alike, at_values, precision, present, weighed
from wengert.verify.compiled import compiled
from wengert.verify.reference import directional

MODES = (
    "forward",
    "reverse",
    "forward over reverse",
    "reverse over reverse",
    "vmap",
    "jvp of vmap",
    "jit",
    "checkpoint",
)


# ── the modes ─────────────────────────────────────────────────────────────────


def forward(call: Call) -> Measurement:
    outs, dots = jvp_flat(call, call.primals, call.tangents())
    dots = present(dots, outs)
    alike(call, "tangent", dots, outs)
    ref = call.reference()
    found = Comparison(call, ref.method)
    found.arrays("jvp", *at_values(outs, dots, ref.value, ref.error, call.sensitivity(1)))
    return found.worst


def _pulled(call: Call, fun: Callable[..., Any], what: str) -> tuple[Comparison, list[np.ndarray]]:
    """Record `fun`, and hold its pullback of random cotangents against the reference."""
    us = call.cotangents()
    back = vjp_flat(fun, call.primals)[1](us)
    alike(call, "cotangent", back, call.primals)
    ref = call.reference()
    found = Comparison(call, ref.method)
    values, errors, moves = at_values(call(*call.primals), ref.value, ref.error, call.sensitivity(1))
    found.pairing(what, (back, call.tangents()), (us, values), weighed(us, errors), weighed(us, moves))
    return found, back


def reverse(call: Call) -> Measurement:
    found, _ = _pulled(call, call, "⟨Jᵀu,v⟩ against ⟨u,reference⟩")
    us, n = call.cotangents(), len(call.primals)
    conditioning = weighed(us, call.sensitivity(1))
    for wanted in [tuple(range(n))] + ([(i,) for i in range(min(n, 4))] if n > 1 else []):

        def fun(*some: Array, wanted: tuple[int, ...] = wanted) -> list[Array]:
            full = list(call.primals)
            for i, s in zip(wanted, some, strict=True):
                full[i] = s
            return call(*full)

        primals = [call.primals[i] for i in wanted]
        vs = [call.tangents()[i] for i in wanted]
        outs, dots = jvp_flat(fun, primals, vs)
        (dots,) = at_values(outs, present(dots, outs))
        part = vjp_flat(fun, primals)[1]
        back = part(us)
        alike(call, "cotangent", back, primals)
        found.pairing(f"⟨u,Jv⟩ = ⟨Jᵀu,v⟩ for inputs {wanted}", (back, vs), (us, dots), 0.0, conditioning)
        for k in range(len(us) if len(us) > 1 else 0):  # each output alone: pullbacks must take None for the others
            alone = part([u if j == k else None for j, u in enumerate(us)])
            found.pairing(f"output {k} alone", (alone, vs), ([us[k]], [dots[k]]), 0.0, conditioning)
    return found.worst


def _singular(call: Call) -> bool:
    """Whether an output has no finite value, so that a second derivative of the whole says nothing."""
    return any(map(np.size, call.primals)) and not all(np.isfinite(o).all() for o in call(*call.primals))


def forward_over_reverse(call: Call) -> Measurement:
    if _singular(call):
        return Measurement(0.0, np.inf, "an output is not finite", np.inf)
    outs, dots = jvp_flat(call.gradient, call.primals, call.tangents(1))
    dots = present(dots, outs)
    alike(call, "tangent of the pullback", dots, outs)
    ref = call.second_reference()
    found = Comparison(call, ref.method)
    found.arrays("jvp of vjp", dots, ref.value, ref.error, call.sensitivity(2))
    return found.worst


def reverse_over_reverse(call: Call) -> Measurement:
    if _singular(call):
        return Measurement(0.0, np.inf, "an output is not finite", np.inf)
    ws = call.tangents(2)
    back = vjp_flat(call.gradient, call.primals)[1](ws)
    alike(call, "cotangent of the pullback", back, call.primals)
    ref = call.second_reference()
    found = Comparison(call, ref.method)
    allowed = weighed(ws, ref.error), weighed(ws, call.sensitivity(2))
    found.pairing("vjp of vjp", (back, call.tangents(1)), (ws, ref.value), *allowed)
    return found.worst


def vmap(call: Call) -> Measurement:
    n, count = len(call.args), 3
    arrays = [i for i in range(n) if isinstance(call.args[i], (np.ndarray, np.generic))]
    combos: list[tuple[int, ...]] = [(i,) for i in arrays] + [tuple(arrays)]
    if 1 < len(arrays) <= 3:
        combos += list(itertools.combinations(arrays, 2))
    found = Comparison(call, "a loop")
    for chosen in dict.fromkeys(combos):
        batches = {i: examples(call, i, count) for i in chosen}

        def fun(*args: Array) -> list[Array]:
            out = call.op(*args, **call.sample.params)
            return list(out) if call.op.multi else [out]

        args = [np.stack(batches[i]) if i in batches else a for i, a in enumerate(call.args)]
        outs, flags = batch_flat(fun, args, [i in batches for i in range(n)], count)
        loop = [fun(*(batches[i][b] if i in batches else a for i, a in enumerate(call.args))) for b in range(count)]
        want = [np.stack([np.asarray(row[k]) for row in loop]) for k in range(len(outs))]
        outs = [o if f else np.stack([o] * count) for o, f in zip(outs, flags, strict=True)]
        alike(call, f"batch over inputs {chosen}", outs, want)
        for o, w in zip(outs, want, strict=True):
            _same(found, f"batch over inputs {chosen} against a loop", o, w)
    return found.worst


def _same(found: Comparison, what: str, got: Any, want: Any) -> None:
    """Equality up to rounding, with NaN where NaN is wanted; exactly for integers and booleans."""
    got, want = np.asarray(got), np.asarray(want)
    if want.dtype.kind not in "fc":
        np.testing.assert_array_equal(got, want, err_msg=f"{found.call.op.name} {found.call.sample!r}: {what}")
        return
    rest = np.isfinite(want)
    np.testing.assert_array_equal(got[~rest], want[~rest], err_msg=f"{found.call.op.name}: {what}")
    if rest.any():
        g, w = got[rest], want[rest]
        found.arrays(what, [g], [w], [np.zeros(w.shape)], None)


def examples(call: Call, i: int, count: int) -> list[Array]:
    """`count` legal values for input i: new draws of a random input, permutations of a given array."""
    if isinstance(call.sample.args[i], tuple):
        dtype = np.asarray(call.args[i]).dtype
        return [call.sample.build(np.random.default_rng(100 + b), dtype)[i] for b in range(count)]
    given = np.asarray(call.args[i])
    return [np.roll(given, b) for b in range(count)]


def jvp_of_vmap(call: Call) -> Measurement:
    """All differentiable inputs batched, two examples; tangents against the references of each."""
    second = _second_example(call)
    pairs = [(a, b) for a, b in zip(call.primals, second, strict=True)]
    dots = [(u, v) for u, v in zip(call.tangents(), call.tangents(3), strict=True)]

    def batched(*primals: Array) -> list[Array]:
        outs, flags = batch_flat(lambda *p: call(*p), primals, [True] * len(primals), 2)
        assert all(flags), f"{call.op.name}: an output does not depend on the batched inputs"
        return outs

    outs, found = jvp_flat(batched, [np.stack(p) for p in pairs], [np.stack(d) for d in dots])
    found = present(found, outs)
    alike(call, "tangent of the batch", found, outs)

    def reference() -> Any:
        wide = call.wide
        return directional(wide, [call.widened(s, wide.dtype) for s in second], wide.tangents(3))

    first, other = call.reference(), call.once("reference of the second example", reference)
    result = Comparison(call, first.method)
    want = [np.stack(p) for p in zip(first.value, other.value, strict=True)]
    bounds = [np.stack(p) for p in zip(first.error, other.error, strict=True)]
    moves = [np.stack([m, m]) for m in call.sensitivity(1)]
    result.arrays("jvp of vmap", *at_values(outs, found, want, bounds, moves))
    return result.worst


def _second_example(call: Call) -> list[Array]:
    def draw() -> list[Array]:
        drawn = call.sample.build(np.random.default_rng([call.seed, 5]), call.dtype)
        narrow = {np.dtype(np.float64): np.float32, np.dtype(np.complex128): np.complex64}
        return [np.asarray(drawn[i]).astype(narrow.get(call.dtype, call.dtype)) for i in call.diff]

    return [np.asarray(d).astype(call.dtype)[()] for d in call.once("second example", draw)]


def checkpointed(call: Call) -> Measurement:
    fun = checkpoint(lambda *primals: tuple(call(*primals)), adopt=False)
    found, back = _pulled(call, lambda *p: list(fun(*p)), "checkpoint against the reference")
    plain = vjp_flat(call, call.primals)[1](call.cotangents())
    for a, b in zip(back, plain, strict=True):
        slack = 64 * precision(call.dtype)[2] * np.max(np.abs(b), initial=0)  # BLAS may sum in another order next time
        if not np.all((np.abs(a - b) <= slack) | (np.isnan(a) & np.isnan(b)) | (a == b)):
            raise call.fail("checkpoint changes the gradient", f"{a}, without it {b}")
    return found.worst


def constant(call: Call) -> Measurement:
    """A piecewise constant op: its slope at a generic point is zero."""
    if not call(*call.primals):
        return Measurement(0.0, np.inf, "no inexact output")
    ref = call.reference()
    found = Comparison(call, ref.method)
    found.arrays(
        "a slope where the op says constant", [np.zeros_like(v) for v in ref.value], ref.value, ref.error, None
    )
    return found.worst


MEASURES: dict[str, Callable[[Call], Measurement]] = {
    "forward": forward,
    "reverse": reverse,
    "forward over reverse": forward_over_reverse,
    "reverse over reverse": reverse_over_reverse,
    "vmap": vmap,
    "jvp of vmap": jvp_of_vmap,
    "jit": compiled,
    "checkpoint": checkpointed,
}
SECOND = ("forward over reverse", "reverse over reverse")


@dataclass(frozen=True)
class NoCall:
    """There is nothing to measure: `status` is "refused", "constant" or "absent"; and why."""

    status: str
    reason: str


def applies(call: Call, mode: str) -> NoCall | None:
    """Why a mode cannot be measured on a call; None if it can."""
    op = call.op
    if mode == "jit":
        return None
    if mode in ("vmap", "jvp of vmap") and isinstance(op.batch, Refuse):
        return NoCall("refused", op.batch.reason)
    if mode == "vmap":
        return None
    if op.constant or not call.diff:
        return NoCall("constant", getattr(op.vjp, "reason", "no operand is differentiable"))
    for rule, modes in (
        ("jvp", ("forward", "jvp of vmap", "forward over reverse")),
        ("vjp", ("reverse", "checkpoint", *SECOND)),
    ):
        refusal = getattr(op, rule)
        if mode in modes and isinstance(refusal, Refuse):
            return NoCall("refused", refusal.reason)
    if mode in SECOND and call.sample.order < 2:
        return NoCall("refused", "the sample lies where second differences cannot resolve the derivative")
    return None
