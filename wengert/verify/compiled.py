"""What compiled code gives for one call of an op: its values, and its pullback, as one program.

Values and cotangents are held against those that the op gives when it is run, and the cotangents against the reference too,
where the op's derivative has one. The same machine code is then given NaN, infinities and signed zeros, and must make of
them what the op makes of them.

Values drawn in memory of other strides go through the same machine code: arrays of one shape share it.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from wengert.core.aval import is_inexact
from wengert.core.config import config
from wengert.core.errors import ConcretizationError
from wengert.core.form import Control
from wengert.core.op import Refuse
from wengert.core.tensor import Array
from wengert.lowering.lower import lower
from wengert.passes.pipeline import optimise
from wengert.runtime import engine
from wengert.transforms.reverse import vjp_flat
from wengert.transforms.staging import trace
from wengert.verify.call import Call
from wengert.verify.closeness import Comparison, Measurement, alike, at_values, precision, weighed

ROUNDING = 256  # units in the last place of the largest element, by which compiled and eager results may differ
LOUD = ("lstsq", "merged")  # LAPACK writes to the terminal when it is given NaN
POISON = (np.nan, np.inf, -np.inf, -0.0)


class Unstaged(Exception):
    """The op needs values to say what shape its results have; it is documented not to be staged."""


def compiled(call: Call) -> Measurement:
    """The measure of the mode "jit"."""
    code = _code(call)
    cotangents = call.cotangents() if code.pulls else []
    ins = [call.args[i] for i in code.inputs]
    values, back = code(ins, cotangents)
    want_values, want_back = code.eager(ins, cotangents)
    found = Comparison(call, "eager")
    _agree(found, code, "value", values, want_values, ins, cotangents, 0)
    if code.pulls:
        _agree(found, code, "pullback", back, want_back, ins, cotangents, 1)
        alike(call, "cotangent", back, call.primals)
        _against_reference(found, back)
    _poisoned(found, code)
    found.worst.how, found.worst.why = code.how()
    return found.worst


def _against_reference(found: Comparison, back: Sequence[Array]) -> None:
    call = found.call
    us, ref = call.cotangents(), call.reference()
    values, errors, moves = at_values(call(*call.primals), ref.value, ref.error, call.sensitivity(1))
    allowed = weighed(us, errors), weighed(us, moves)
    found.pairing("compiled ⟨Jᵀu,v⟩ against ⟨u,reference⟩", (back, call.tangents()), (us, values), *allowed)
    found.worst.oracle = f"eager, {ref.method}"


class Code:
    """Machine code for an op and its pullback. `inputs` are the operands that it is given; the others are constants."""

    def __init__(self, call: Call) -> None:
        self.op, self.params, self.diff = call.op, call.sample.params, call.diff
        self.args = list(call.args)
        self.inputs = [
            i for i, a in enumerate(call.args) if isinstance(a, (np.ndarray, np.generic, int, float, complex))
        ]
        op = call.op
        self.pulls = bool(call.diff) and not op.constant and not isinstance(op.vjp, Refuse)
        ins = [call.args[i] for i in self.inputs]
        cotangents = call.cotangents() if self.pulls else []
        self.split = len(ins)
        self.values = len(call.all_outs(*call.primals))
        try:
            program = trace(lambda *flat: self._outs(flat), *ins, *cotangents, adopt=False)
        except ConcretizationError as error:
            raise Unstaged(str(error).splitlines()[0]) from None
        lowered = lower(optimise(program)[0])
        loops = any(k.flops for k in lowered.kernels) and any(np.size(a) > 1 for a in ins)
        with config.override(disk_cache=False):  # and quickly, where there is nothing to vectorise
            self.executable = engine.compile(lowered, tier="fast" if loops else "first", name=op.name)

    def __call__(self, ins: Sequence[Any], cotangents: Sequence[Any]) -> tuple[list[Array], list[Array]]:
        outs = self.executable(*ins, *cotangents)
        return outs[: self.values], outs[self.values :]

    def eager(self, ins: Sequence[Any], cotangents: Sequence[Any]) -> tuple[list[Array], list[Array]]:
        """The same by the op's own rules."""
        outs = self._outs([*ins, *cotangents])
        return outs[: self.values], outs[self.values :]

    def _outs(self, flat: Sequence[Any]) -> list[Array]:
        """Values and pulled back cotangents: the function that is compiled."""
        args = list(self.args)
        for i, x in zip(self.inputs, flat[: self.split], strict=True):
            args[i] = x
        outs = self._run(args)
        if not self.pulls:
            return outs

        def fun(*primals: Array) -> list[Array]:
            for i, p in zip(self.diff, primals, strict=True):
                args[i] = p
            return [o for o in self._run(args) if is_inexact(o.dtype if hasattr(o, "dtype") else np.asarray(o).dtype)]

        back = vjp_flat(fun, [args[i] for i in self.diff])[1](list(flat[self.split :]))
        return [*outs, *back]

    def _run(self, args: Sequence[Any]) -> list[Array]:
        out = self.op(*args, **self.params)
        return list(out) if self.op.multi else [out]

    def how(self) -> tuple[str, str]:
        """Whether the op itself is machine code ("native"), or a call of NumPy from it ("host"), or its pullback is in part
        ("partly"); and what runs by host calls, and why."""
        hosts = self.executable.lowered.host_calls
        why = "; ".join(dict.fromkeys(f"{h.op.name}: {h.reason}" for h in hosts))
        if not hosts:
            return "native", ""
        own = any(h.op is self.op or type(h.op.lower) is Control for h in hosts)
        return ("host" if own else "partly"), why


def _code(call: Call) -> Code:
    """The call's machine code, shared by twins of its shapes and dtypes."""
    key = (
        "compiled",
        tuple((np.shape(a), str(np.asarray(a).dtype), isinstance(a, np.generic | np.ndarray)) for a in call.args),
    )
    return call.once(key, lambda: Code(call))


# ── agreement with eager ──────────────────────────────────────────────────────


def _agree(
    found: Comparison, code: Code, what: str, got: Sequence[Any], want: Sequence[Any], ins: Sequence[Any],
    cotangents: Sequence[Any], part: int,
) -> None:  # fmt: skip
    """Equal to rounding; non-finite where eager is; exactly equal where the result is of integers or booleans."""
    for k, (g, w) in enumerate(zip(got, want, strict=True)):
        g, w = np.asarray(g), np.asarray(w)
        if (g.shape, g.dtype) != (w.shape, w.dtype):
            raise found.call.fail(f"compiled {what}", f"{g.dtype}{g.shape} where eager gives {w.dtype}{w.shape}")
        if w.dtype.kind not in "fc":
            if not np.array_equal(g, w):
                raise found.call.fail(f"compiled {what}", f"got {g}, eager gives {w}")
            continue
        fine = np.isfinite(w)
        # Which of NaN and infinity a complex product of infinities has depends on the strides of the operands, in NumPy too.
        same = w.dtype.kind == "c" or np.array_equal(g[~fine], w[~fine], equal_nan=True)
        if not same or not np.array_equal(np.isfinite(g), fine):
            raise found.call.fail(f"compiled {what}", f"got {g}, eager gives {w}")
        if not fine.any():
            continue
        _, floor, eps = precision(found.call.dtype, g.dtype)
        scale = float(np.max(np.abs(w[fine]))) + floor
        error, limit = float(np.max(np.abs(g[fine] - w[fine]))) / scale, ROUNDING * eps
        if error > limit:
            limit = max(limit, 64 * _noise(code, ins, cotangents, eps, part, k, w) / scale)
        found.note(f"compiled {what}", error, limit, 0.0, lambda g=g, w=w: f"got {g}, eager gives {w}")


def _noise(
    code: Code, ins: Sequence[Any], cotangents: Sequence[Any], eps: float, part: int, k: int, want: np.ndarray
) -> float:
    """How far eager results move when the operands' last digits change: what rounding alone may cost."""
    rng, worst = np.random.default_rng(0), 0.0
    for _ in range(3):
        moved = [shaken(a, eps, rng) if i in code.diff else a for i, a in zip(code.inputs, ins, strict=True)]
        there = np.asarray(code.eager(moved, cotangents)[part][k])
        off = np.abs(there - want)
        worst = max(worst, float(np.max(off[np.isfinite(off)], initial=0.0)))
    return worst


def shaken(a: Any, eps: float, rng: np.random.Generator) -> Any:
    """`a`, changed by ±eps relatively."""
    a = np.asarray(a)
    return (a * (1 + eps * rng.choice([-1.0, 1.0], a.shape))).astype(a.dtype)[()]


def _poisoned(found: Comparison, code: Code) -> None:
    """NaN, infinities and a signed zero among the operands."""
    call = found.call
    if not call.diff or not any(np.size(p) for p in call.primals) or call.op.name in LOUD:
        return
    ins = [poisoned(call.args[i], n) if i in call.diff else call.args[i] for n, i in enumerate(code.inputs)]
    cotangents = call.cotangents() if code.pulls else []
    want, words = _tried(lambda: code.eager(ins, cotangents))
    got, other = _tried(lambda: code(ins, cotangents))
    if words and not other and _unknown(got):
        return  # LAPACK's iterations give up on NaN, and say so; where compiled code needs none, the result is NaN
    if words or other:
        if words != other:
            raise call.fail(
                "compiled, for NaN and infinities", f"raises {other or 'nothing'}, eager {words or 'nothing'}"
            )
        return
    if call.op.name == "slogdet":  # the sign of what is not a number is arbitrary
        got, want = ([got[0][1:], got[1]], [want[0][1:], want[1]])
    _agree(found, code, "value for NaN and infinities", got[0], want[0], ins, cotangents, 0)
    if code.pulls:
        _agree(found, code, "pullback for NaN and infinities", got[1], want[1], ins, cotangents, 1)


def _unknown(results: Sequence[Sequence[Any]]) -> bool:
    """Whether a result is not finite."""
    arrays = [np.asarray(o) for part in results for o in part]
    return not all(np.isfinite(o).all() for o in arrays if o.dtype.kind in "fc")


def poisoned(a: Any, shift: int) -> Any:
    """`a` with a non-finite number, or −0, in every third place."""
    a = np.array(a)
    flat = a.reshape(-1)
    for n, i in enumerate(range(shift % 2, flat.size, 3)):
        flat[i] = POISON[(n + shift) % len(POISON)]
    return a[()]


def _tried(run: Callable[[], Any]) -> tuple[Any, str]:
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            return run(), ""
        except Exception as error:
            return None, type(error).__name__
