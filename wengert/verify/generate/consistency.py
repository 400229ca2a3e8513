"""What must hold of any legal call, whatever its values.

    shape       the shape rule says what `eval` gives
    dual        ⟨u, Jv⟩ = ⟨Jᵀu, v⟩ where both are finite; and neither is finite alone
    layout      the memory layout of the operands changes nothing
    writing     operands and cotangents are left as they were
    vmap        a batch that holds these values gives what a loop gives
    precision   the derivative in a narrow dtype is that in double precision, as far as conditioning allows

Smooth calls are measured against references, in every mode (`wengert.verify.measure`).
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from wengert.core.aval import is_inexact
from wengert.core.errors import NotDifferentiable
from wengert.core.op import Refuse
from wengert.transforms.batch import batch_flat
from wengert.transforms.forward import jvp_flat
from wengert.transforms.reverse import vjp_flat
from wengert.verify import rules
from wengert.verify.call import Call
from wengert.verify.closeness import alike, dot, present, size, wide
from wengert.verify.generate.arrays import Laid, limits
from wengert.verify.generate.calls import Generated, Values, rebuilt
from wengert.verify.generate.legal import whole
from wengert.verify.measure import MODES

Outcome = dict[str, str]  # check → "" where it passed, or why it decided nothing

# Rounding inside a rule, relative to the largest element or to the sum of absolute terms. What the conditioning of a call
# adds is measured.
TOLERANCE = {"float64": 2e-9, "float32": 2e-4, "float16": 5e-2, "bfloat16": 2e-1}


def underflow(dtype: np.dtype) -> float:
    """The size below which products inside a rule may have lost their digits, or themselves."""
    info = limits(dtype)
    return float(info.tiny) / (1 if dtype == np.float16 else float(info.eps))


def extreme(call: Generated, exponents: bool = False) -> bool:
    """Whether products of two operands (or exponentials of one) may leave the range of the call's dtype, or results do."""
    tiny, most = float(limits(call.dtype).tiny), float(limits(call.dtype).max)

    def outside(arrays: Sequence[Any], low: float, high: float) -> bool:
        sizes = [np.abs(wide(a)) for a in arrays]
        return any(bool(np.any((s > 0) & ~((s >= low) & (s <= high)) & ~np.isnan(s))) for s in sizes)

    finite = [np.where(np.isfinite(wide(p)), wide(p), 0) for p in call.primals]
    return outside(finite, 4 * tiny**0.5, np.log(most) if exponents else most**0.5 / 4) or outside(
        call.wide(*call.wide.primals), tiny, most
    )


def tolerance(dtype: np.dtype) -> float:
    """Of computations in `dtype`, real or complex."""
    return TOLERANCE[np.finfo(dtype).dtype.name if dtype.kind in "fc" else dtype.name]


# Ops whose values are less accurate than differences need: their derivatives are held against mpmath elsewhere.
BLUNT = {"itairy": "SciPy stops summing its series at terms of 1e-5 (specfun's ITAIRY)"}
BOUND = "at the ends of the probabilities SciPy returns the bound of its search, which depends on the dtype"
SEARCHED = {"stdtridf": BOUND, "fdtridfd": BOUND}


def check(
    name: str,
    *args: Any,
    params: dict[str, Any] | None = None,
    diff: tuple[int, ...],
    base: int,
    dtype: str,
    values: Values,
) -> Outcome:
    """Run all checks of one call of the op `name`, written out as `Generated.code` does."""
    return check_call(rebuilt(name, *args, params=params, diff=diff, base=base, dtype=dtype, values=values))


def check_call(call: Generated) -> Outcome:
    """Every check that applies. Raises AssertionError with the call as a program; returns what was decided."""
    found: Outcome = {}
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            rules.check_shape(call)
            found["shape"] = ""
            found["vmap"] = _vmap(call)
            if call.op.constant or not call.diff or not all(is_inexact(np.asarray(p).dtype) for p in call.primals):
                return found
            _first_order(call, found)
            if call.op.name in BLUNT or undetermined(call):
                found["forward"] = BLUNT.get(
                    call.op.name, "a basis of a null space of more than one dimension is LAPACK's choice"
                )
            elif call.values == "smooth" and _finite(
                call(*call.primals)
            ):  # narrow dtypes have been compared with their wide twins
                for mode in MODES:
                    if mode not in ("jit", "vmap"):
                        found[mode] = _measured(call.wide, mode)
    except Exception as error:
        if refusal(error):
            return found | {"refused": f"{type(error).__name__}: {error}".splitlines()[0]}
        raise AssertionError(f"{type(error).__name__}: {error}\n\n{call.code()}") from error
    return found


def refusal(error: Exception) -> bool:
    """Whether a rule refuses by saying so: it has no derivative there, or NumPy and SciPy do not compute it in that dtype."""
    if isinstance(error, NotDifferentiable | np.linalg.LinAlgError | np.exceptions.DTypePromotionError):
        return True
    return any(w in str(error) for w in ("is unsupported in linalg", "must not contain infs or NaNs"))


def undetermined(call: Generated) -> bool:
    """Whether the full factors of a matrix have a freedom that their derivative does not follow."""
    free = call.sample.params.get("full") or call.sample.params.get("complete")
    return bool(free) and abs(call.args[0].shape[-1] - call.args[0].shape[-2]) > 1


def _measured(call: Call, mode: str) -> str:
    try:
        rules.check_call(call, mode)
    except rules.Undecided as undecided:
        return str(undecided)
    return ""


# ── first order ───────────────────────────────────────────────────────────────


def _first_order(call: Generated, found: Outcome) -> None:
    before = [np.array(a, copy=True) for a in call.args]
    vs, us = call.tangents(), call.cotangents()
    kept = [np.array(u, copy=True) for u in us]
    dots, back = _derivatives(call, vs, us)
    for what, held, now in [("operand", before, call.args), ("cotangent", kept, us)]:
        for i, (a, b) in enumerate(zip(held, now, strict=True)):
            if a.tobytes() != np.asarray(b).tobytes():
                raise call.fail("writing", f"{what} {i} was {a} and is {b}")
    found["writing"] = ""
    found["dual"] = _dual(call, vs, us, dots, back)
    found["layout"] = _layout(call, vs, us, dots, back)
    if call.dtype.itemsize < np.dtype(np.complex128 if call.dtype.kind == "c" else np.float64).itemsize:
        found["precision"] = _narrow(call, vs, us, dots, back)


def _derivatives(call: Call, vs: Sequence[Any], us: Sequence[Any]) -> tuple[list[np.ndarray], list[np.ndarray]]:
    outs, dots = jvp_flat(call, call.primals, vs)
    dots = present(dots, outs)
    alike(call, "tangent", dots, outs)
    back = present(vjp_flat(call, call.primals)[1](us), call.primals)
    alike(call, "cotangent", back, call.primals)
    return dots, back


def _finite(arrays: Sequence[Any]) -> bool:
    return all(bool(np.isfinite(wide(a)).all()) for a in arrays)


def _dual(call: Generated, vs: Sequence[Any], us: Sequence[Any], dots: Sequence[Any], back: Sequence[Any]) -> str:
    if not (_finite(dots) and _finite(back)):
        outs = call(*call.primals)
        if whole(call.op) and not _finite(outs):
            return "matrices: one element that is not finite reaches all the others"
        if not ((call.dtype.itemsize <= 2 or whole(call.op)) and extreme(call)) and not _near_overflow(
            [*dots, *back, *outs, *call.primals], call.dtype
        ):
            heard = _silenced(us, outs)  # the tangent of an output that is not finite may be anything
            _, answer = _derivatives(call, vs, heard)
            left = _finite([np.where(np.isfinite(wide(o)), wide(d), 0) for d, o in zip(dots, outs, strict=True)])
            if left != _finite(answer):
                raise call.fail("dual", f"tangents {dots} and cotangents {answer}: one side alone is finite")
        us, vs = _silenced(us, dots), _silenced(vs, back)
        dots, back = _derivatives(call, vs, us)
        if not (_finite(dots) and _finite(back)):
            return "derivatives that are not finite reach all the others"
    rtol = tolerance(call.dtype)
    lhs, rhs = dot(us, dots), dot(back, vs)
    scale = max(size(us, dots), size(back, vs))
    if not np.isfinite(scale):
        return "the pairing overflows"
    eps = float(limits(call.dtype).eps)
    smallest = underflow(call.dtype)
    if call.values == "smooth":  # values of the size of 1, so that sums that cancel leave a rest of the size of eps
        smallest += (
            16 * eps * size(us, [np.ones(np.shape(u)) for u in us]) * size(vs, [np.ones(np.shape(v)) for v in vs])
        )
    if abs(lhs - rhs) > rtol * scale + smallest:
        allowed = 64 * eps * _moved_pairing(call, us, vs)
        if not abs(lhs - rhs) <= allowed:
            raise call.fail(
                "dual", f"⟨u,Jv⟩ = {lhs:.17g}, ⟨Jᵀu,v⟩ = {rhs:.17g}, of size {scale:.3g}; {allowed:.3g} allowed"
            )
    return ""


def _near_overflow(arrays: Sequence[Any], dtype: np.dtype) -> bool:
    """Whether a finite element is so large that its partners overflow (in sums, or times a direction)."""
    most = float(limits(dtype).max) * float(limits(dtype).eps)
    return any(bool(np.any(np.abs(wide(a)[np.isfinite(wide(a))]) > most)) for a in arrays)


def _silenced(directions: Sequence[Any], met: Sequence[Any]) -> list[Any]:
    """Directions with zeros where what they meet is not finite."""
    return [
        np.where(np.isfinite(wide(m)), np.asarray(d), np.zeros((), np.asarray(d).dtype)).astype(np.asarray(d).dtype)[()]
        for d, m in zip(directions, met, strict=True)
    ]


def _moved_pairing(call: Generated, us: Sequence[Any], vs: Sequence[Any]) -> float:
    """How far ⟨u,Jv⟩ and ⟨Jᵀu,v⟩ move, relative to a small relative change of the operands: their conditioning."""
    rng, eps = np.random.default_rng(0), float(limits(call.dtype).eps)
    worst = 0.0
    still = moved_twin(call, 0.0, rng)  # in the memory layout of those that move
    here = [dot(us, d) if k == 0 else dot(d, vs) for k, d in enumerate(_derivatives(still, vs, us))]
    for step in (eps, 8 * eps, eps**0.75):
        moved = moved_twin(call, step, rng)
        there = [dot(us, d) if k == 0 else dot(d, vs) for k, d in enumerate(_derivatives(moved, vs, us))]
        worst = max(worst, *(abs(a - b) / step for a, b in zip(here, there, strict=True)))
    return worst


def moved_twin(call: Call, step: float, rng: np.random.Generator) -> Call:
    """The call with each differentiable operand changed by up to `step`, relative: element by element, or to the largest
    element of a matrix, as algorithms of linear algebra do."""
    other = call.twin()
    other.args = list(call.args)
    for i in call.diff:
        a = np.asarray(call.args[i])
        unit = np.abs(wide(a))
        if whole(call.op) and a.size:
            unit = np.broadcast_to(np.max(unit, axis=(-2, -1)[: a.ndim], keepdims=True), a.shape)
        other.args[i] = (wide(a) + unit * (step * rng.uniform(-1, 1, a.shape))).astype(a.dtype)[()]
    return other


# ── layout and precision ──────────────────────────────────────────────────────


def _layout(call: Generated, vs: Sequence[Any], us: Sequence[Any], dots: Sequence[Any], back: Sequence[Any]) -> str:
    if all(not isinstance(a, Laid) or a.layout == "contiguous" for a in call.laid):
        return ""
    plain = call.twin()
    plain.args = [np.ascontiguousarray(a).reshape(a.shape)[()] if isinstance(a, np.ndarray) else a for a in call.args]
    dots2, back2 = _derivatives(plain, vs, us)
    return _compared(call, "layout", [*dots, *back], [*dots2, *back2], 16.0, vs, us)


def _narrow(call: Generated, vs: Sequence[Any], us: Sequence[Any], dots: Sequence[Any], back: Sequence[Any]) -> str:
    whole = call.wide
    wide_vs = [wide(v)[()] for v in vs]
    wide_us = [wide(u)[()] for u in us]
    if call.op.name in SEARCHED and call.values == "edge":
        return SEARCHED[call.op.name]
    for narrow, value in zip(call(*call.primals), whole(*whole.primals), strict=True):
        narrow, value = wide(narrow), wide(value)
        sure = np.isfinite(narrow) & np.isfinite(value)
        if np.any(np.abs(narrow[sure] - value[sure]) > np.max(np.abs(value[sure]), initial=0.0)):
            return "the values themselves differ between the dtypes (SciPy's, on a branch cut or past the end of precision)"
    try:
        dots2, back2 = _derivatives(whole, wide_vs, wide_us)
    except np.linalg.LinAlgError as error:
        return f"in double precision: {error}"
    return _compared(call, "precision", [*dots, *back], [*dots2, *back2], 64.0, vs, us)


def _compared(
    call: Generated,
    what: str,
    got: Sequence[Any],
    want: Sequence[Any],
    ulps: float,
    vs: Sequence[Any],
    us: Sequence[Any],
) -> str:
    """Elementwise, relative to each array's largest element, and to how far it moves with the operands."""
    rtol = tolerance(call.dtype)
    info = limits(call.dtype)
    left_out = ""
    moves: list[np.ndarray] | None = None
    for k, (g, w) in enumerate(zip(got, want, strict=True)):
        g, w = wide(g), wide(w)
        sure = np.isfinite(g) & np.isfinite(w) & (np.abs(w) < float(info.max) * float(info.eps))
        odd = ~sure & ~((np.isnan(g) & np.isnan(w)) | (g == w))
        if odd.any() and what == "precision" and extreme(call, exponents=True):
            return f"the range of {call.dtype} ends within the rule"
        if odd.any() and not _near_overflow([w], call.dtype) and not _near_overflow(call.primals, call.dtype):
            raise call.fail(what, f"got {g}, want {w}")
        left_out = left_out or ("values that are not finite" if odd.any() else "")
        if not sure.any():
            continue
        scale = float(np.max(np.abs(w[sure])))
        floor = underflow(call.dtype)
        if what == "precision":  # sums that cancel
            floor += (
                (16 if call.dtype.itemsize <= 2 or whole(call.op) else 4)
                * float(info.eps)
                * max(float(np.max(np.abs(wide(d)), initial=0.0)) for d in (*vs, *us))
            )
        off = np.abs(np.where(sure, g, 0) - np.where(sure, w, 0))
        if np.all(off <= rtol * scale + floor):
            continue
        if what == "precision" and extreme(call):
            return f"the range of {call.dtype} ends within the rule"
        moves = moves or _moves(call, vs, us)
        if what == "precision" and call.dtype.itemsize <= 2:
            floor = floor + 8 * _noise(call, vs, us)[k]
        if not np.all(off <= ulps * float(info.eps) * moves[k] + rtol * scale + floor):
            raise call.fail(what, f"got {g}, want {w}; conditioning allows {ulps * float(info.eps) * moves[k]}")
    return left_out


def _noise(call: Generated, vs: Sequence[Any], us: Sequence[Any]) -> list[np.ndarray]:
    """How far the derivatives in a half dtype scatter when the operands move by their last digits: of two digits, rounding
    within a rule may leave none. Wider dtypes are not excused so."""
    rng = np.random.default_rng(2)
    here = [a for side in _derivatives(moved_twin(call, 0.0, rng), vs, us) for a in side]
    worst = [np.zeros(np.shape(a)) for a in here]
    for _ in range(4):
        moved = moved_twin(call, 2 * float(limits(call.dtype).eps), rng)
        there = [a for side in _derivatives(moved, vs, us) for a in side]
        worst = [np.fmax(w, np.abs(wide(a) - wide(b))) for w, a, b in zip(worst, here, there, strict=True)]
    return [np.full(w.shape, np.max(w, initial=0.0)) for w in worst]


def _moves(call: Generated, vs: Sequence[Any], us: Sequence[Any]) -> list[np.ndarray]:
    """How far each derivative moves with its operands, in units of their relative change."""
    rng, step = np.random.default_rng(1), float(limits(call.dtype).eps)
    wider = call.wide
    wide_vs, wide_us = [wide(v)[()] for v in vs], [wide(u)[()] for u in us]
    still = moved_twin(wider, 0.0, rng)  # in the memory layout of those that move
    here = [a for side in _derivatives(still, wide_vs, wide_us) for a in side]
    worst = [np.zeros(np.shape(a)) for a in here]
    for _ in range(4):
        there = _derivatives(moved_twin(wider, step, rng), wide_vs, wide_us)
        for k, (a, b) in enumerate(zip(here, (a for side in there for a in side), strict=True)):
            change = np.abs(wide(a) - wide(b)) / step
            worst[k] = np.maximum(worst[k], np.where(np.isnan(change), np.inf, change))
    if whole(call.op):  # errors of an inverse are relative to its largest element
        return [np.full(w.shape, np.max(w, initial=0.0)) for w in worst]
    return worst


# ── vmap ──────────────────────────────────────────────────────────────────────


def _vmap(call: Generated) -> str:
    """These values with others of the domain, as a batch: all operands, and each alone."""
    if isinstance(call.op.batch, Refuse):
        return f"refused: {call.op.batch.reason}"
    n, fresh = len(call.args), call.sample.build(np.random.default_rng(7), call.dtype)
    arrays = [i for i in range(n) if isinstance(call.args[i], (np.ndarray, np.generic))]

    def fun(*args: Any) -> list[Any]:
        out = call.op(*args, **call.sample.params)
        return list(out) if call.op.multi else [out]

    for chosen in dict.fromkeys([tuple(arrays), *((i,) for i in arrays)]):
        pairs = {
            i: [call.args[i], fresh[i] if isinstance(call.sample.args[i], tuple) else call.args[i]] for i in chosen
        }
        batch = [np.stack([np.asarray(p) for p in pairs[i]]) if i in pairs else a for i, a in enumerate(call.args)]
        outs, flags = batch_flat(fun, batch, [i in pairs for i in range(n)], 2)
        loop = [fun(*(pairs[i][b] if i in pairs else a for i, a in enumerate(call.args))) for b in range(2)]
        for k, (out, flag) in enumerate(zip(outs, flags, strict=True)):
            got = np.asarray(out if flag else np.stack([out] * 2))
            want = np.stack([np.asarray(row[k]) for row in loop])
            alike(call, f"batch over inputs {chosen}", [got], [want])
            _same(call, f"batch over inputs {chosen}", got, want)
    return ""


# Where elements tie, these may name them in any order.
UNSTABLE = {"argsort", "argpartition", "partition_order", "quantile_plan"}
UNSORTED = {"searchsorted", "bin_index", "bracket"}  # edges are not put back in order, and NumPy then finds any place


def _same(call: Generated, what: str, got: np.ndarray, want: np.ndarray) -> None:
    if not is_inexact(want.dtype):
        if call.op.name in UNSTABLE | UNSORTED and call.values == "edge":
            return
        if not np.array_equal(got, want):
            raise call.fail(what, f"got {got}, a loop gives {want}")
        return
    g, w = wide(got), wide(want)
    rtol = tolerance(call.dtype)
    both = np.isfinite(g) & np.isfinite(w)
    with np.errstate(all="ignore"):
        close = np.abs(np.where(both, g - w, 0)) <= rtol * np.max(np.abs(w[both]), initial=0.0) + underflow(call.dtype)
    alike = (g == w) | (np.isnan(g) & np.isnan(w))
    if want.dtype.kind == "c":  # infinity and NaN in one number, whichever part they are in
        alike = ~np.isfinite(g) & ~np.isfinite(w)
    if not np.all(np.where(both, close, alike)) and not _near_overflow([g, w], call.dtype):
        raise call.fail(what, f"got {got}, a loop gives {want}")
