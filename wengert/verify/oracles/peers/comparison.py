"""One sample, one dtype, one peer: values and three kinds of derivative side by side, and who is right if they differ.

The judge is `reference.directional`: differences (or a complex step) of the function's values, which neither of the two
has had a hand in. It is asked only where the two disagree.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from wengert.core.errors import WengertError
from wengert.transforms.forward import jvp_flat
from wengert.transforms.reverse import vjp_flat
from wengert.verify import reference
from wengert.verify.oracles.peers.items import Item
from wengert.verify.oracles.peers.peer import Derived, Function, Missing, Peer

KINDS = ("value", "jvp", "vjp", "hvp")

# Relative to the largest element: what two correct implementations may differ by.
LIMITS = {"float64": (1e-10, 1e-8), "complex128": (1e-10, 1e-8), "float32": (2e-4, 2e-3), "complex64": (2e-4, 2e-3)}
FLOOR = 1e-3  # below this, a difference is not relative to the size of the array but to this


@dataclass
class Outcome:
    """`errors` per kind that was compared; `missing` says why nothing was, `partly` why a kind was not."""

    dtype: str
    errors: dict[str, float] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    missing: str = ""
    partly: str = ""
    verdict: str = ""  # who is right, by the judge: "ours", "theirs", "neither", "undecided"

    @property
    def compared(self) -> bool:
        return bool(self.errors)


def inexact(x: Any) -> bool:
    return np.asarray(x).dtype.kind in "fc"


def compare(item: Item, peer: Peer, dtype: str) -> Outcome:
    """Both sides of one sample."""
    found = Outcome(dtype)
    arrays = item.arrays(dtype)
    primals = [np.asarray(arrays[i]) for i in item.sample.diff]
    if any(not inexact(p) for p in primals):
        primals, item = [], _without_derivatives(item)
    rng = np.random.default_rng(7)
    tangents = [_random(rng, p) for p in primals]
    mine = item.on_primals(item.ours, arrays)
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            outs = [np.asarray(o) for o in mine(*primals)]
            cotangents = [_random(rng, o) for o in outs if inexact(o)]
            ours = derive(mine, primals, tangents, cotangents)
        except (WengertError, np.linalg.LinAlgError) as error:
            found.missing = f"we refuse: {str(error).splitlines()[0]}"
            return found
        constants = [a if i in item.sample.diff or not _is_array(a) else peer.array(a) for i, a in enumerate(arrays)]
        try:
            theirs = peer.derive(item.on_primals(item.theirs(peer), constants), primals, tangents, cotangents)
        except Missing as error:
            found.missing = str(error)
            return found
        except Exception as error:
            found.missing = f"raises {type(error).__name__}: {(str(error).strip() or '?').splitlines()[0][:120]}"
            return found
    found.partly = theirs.why
    limits = LIMITS[dtype]
    for kind in KINDS:
        a, b = getattr(ours, kind), getattr(theirs, kind)
        if a is None or b is None:
            continue
        error = difference(a, b)
        found.errors[kind] = error
        if not error <= limits[kind != "value"]:
            found.failures[kind] = f"off by {error:.2g}: ours {_show(a)}, theirs {_show(b)}"
    if found.failures and "value" not in found.failures:
        plain = item.on_primals(item.plain, arrays)
        found.verdict = judge(plain, mine, primals, tangents, cotangents, ours, theirs)
    return found


def _without_derivatives(item: Item) -> Item:
    import copy

    item = copy.copy(item)
    item.sample = copy.copy(item.sample)
    item.sample.diff = ()
    return item


def _is_array(x: Any) -> bool:
    return isinstance(x, np.ndarray | np.generic)


def _random(rng: np.random.Generator, x: Any) -> Any:
    x = np.asarray(x)
    v = rng.normal(size=x.shape)
    if x.dtype.kind == "c":
        v = v + 1j * rng.normal(size=x.shape)
    return np.asarray(v).astype(x.dtype)[()]


def derive(fun: Function, primals: Sequence[Any], tangents: Sequence[Any], cotangents: Sequence[Any]) -> Derived:
    """Our own value, jvp, vjp and derivative of the vjp."""

    def smooth(*ps: Any) -> list[Any]:
        return [o for o in fun(*ps) if o.dtype.kind in "fc"]

    found = Derived([np.asarray(o) for o in fun(*primals)])
    if not primals or not cotangents:
        return found
    outs, dots = jvp_flat(smooth, primals, tangents)
    found.jvp = [_filled(d, o) for d, o in zip(dots, outs, strict=True)]

    def gradient(*ps: Any) -> Sequence[Any]:
        return vjp_flat(smooth, ps)[1](cotangents)

    grads, slopes = jvp_flat(gradient, primals, tangents)
    found.vjp = [np.asarray(g) for g in grads]
    found.hvp = [_filled(d, g) for d, g in zip(slopes, grads, strict=True)]
    return found


def _filled(tangent: Any, like: Any) -> np.ndarray:
    return np.zeros(np.shape(like), np.asarray(like).dtype) if tangent is None else np.asarray(tangent)


def difference(a: Sequence[np.ndarray], b: Sequence[np.ndarray]) -> float:
    """The largest difference, relative to the largest element of its array; infinite where shapes or non-finites differ."""
    if len(a) != len(b):
        return np.inf
    worst = 0.0
    for x, y in zip(a, b, strict=True):
        if x.shape != y.shape:
            return np.inf
        if x.size == 0:
            continue
        x, y = _number(x), _number(y)
        fine = np.isfinite(x) & np.isfinite(y)
        with np.errstate(all="ignore"):
            same = fine | (x == y) | (np.isnan(x) & np.isnan(y))
        if not np.all(same):
            return np.inf
        if np.any(fine):
            scale = max(float(np.max(np.abs(y[fine]))), FLOOR)
            worst = max(worst, float(np.max(np.abs(x[fine] - y[fine]))) / scale)
    return worst


def _number(x: np.ndarray) -> np.ndarray:
    return x.astype(np.complex128 if x.dtype.kind == "c" else np.float64)


def _show(xs: Sequence[np.ndarray]) -> str:
    if len(xs) == 0:
        return "nothing"
    text = np.array2string(np.asarray(xs[0]).ravel()[:4], precision=6, separator=", ")
    shapes = ", ".join(str(x.shape) for x in xs)
    return f"{text} {shapes}"


def judge(
    plain: Function,
    ours_fun: Function,
    primals: Sequence[Any],
    tangents: Sequence[Any],
    cotangents: Sequence[Any],
    ours: Derived,
    theirs: Derived,
) -> str:
    """Whose jvp, vjp (along the tangents) and hvp (of our gradient's values) the reference confirms."""

    def smooth(fun: Function) -> Function:
        return lambda *ps: [np.asarray(o) for o in fun(*ps) if inexact(o)]

    def gradient(*ps: Any) -> list[Any]:
        return [np.asarray(g) for g in vjp_flat(smooth_ours, ps)[1](cotangents)]

    def smooth_ours(*ps: Any) -> list[Any]:
        return [o for o in ours_fun(*ps) if o.dtype.kind in "fc"]

    try:
        slope = reference.directional(smooth(plain), primals, tangents)
        pairing = float(sum(np.sum(u * v).real for u, v in zip(cotangents, slope.value, strict=True)))
        curve = reference.directional(gradient, primals, tangents, method="differences")
    except Exception as error:
        return f"undecided ({type(error).__name__})"

    def right(side: Derived) -> bool:
        checks = []
        if side.jvp is not None:
            checks.append(difference(side.jvp, slope.value) <= 1e-6 + 8 * slope.resolution())
        if side.vjp is not None:
            got = float(sum(np.sum(g * t).real for g, t in zip(side.vjp, tangents, strict=True)))
            checks.append(abs(got - pairing) <= (1e-6 + 8 * slope.resolution()) * (1 + abs(pairing)))
        if side.hvp is not None and checks and all(checks):
            checks.append(difference(side.hvp, curve.value) <= 1e-5 + 8 * curve.resolution())
        return all(checks)

    mine, other = right(ours), right(theirs)
    return {(True, False): "ours", (False, True): "theirs", (True, True): "both", (False, False): "neither"}[
        mine, other
    ]
