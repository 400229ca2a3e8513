"""Points where derivatives are a matter of convention: kinks, ties, zeros, boundaries, infinities, degenerate matrices.

A situation is a function of a peer's namespaces and arrays. What is looked at is the cotangent of each array for a cotangent
of ones, or of 1, 2, 3, … where the output is an array.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

INF, NAN = np.inf, np.nan


@dataclass(frozen=True)
class Situation:
    """`call(p, *arrays)`; `p` has the namespaces `numpy`, `special`, `linalg`, `nn`. `second` asks for the derivative of the
    cotangent in the direction of ones."""

    name: str
    point: str
    call: Callable[..., Any]
    args: Sequence[np.ndarray]
    second: bool = False

    @property
    def key(self) -> str:
        return f"{self.name}: {self.point}"


SITUATIONS: list[Situation] = []


def at(name: str, point: str, call: Callable[..., Any], *args: Any, second: bool = False) -> None:
    arrays = [np.asarray(a, complex if np.iscomplexobj(a) else float) for a in args]
    SITUATIONS.append(Situation(name, point, call, arrays, second))


def each(names: str, point: str, *args: Any, space: str = "numpy", second: bool = False) -> None:
    """Several functions at one point."""
    for name in names.split():
        at(name, point, lambda p, *xs, n=name: getattr(getattr(p, space), n)(*xs), *args, second=second)


# ── kinks ─────────────────────────────────────────────────────────────────────

each("abs sign", "x = 0", 0.0)
each("abs", "z = 0", 0j)
at("sign", "z = 3 + 4i", lambda p, z: p.numpy.sign(z), 3 + 4j)
each("floor round", "x = 1", 1.0)
each("relu leaky_relu elu selu softshrink hardshrink", "x = 0", 0.0, space="nn")
each("relu6", "x = 6", 6.0, space="nn")
each("hardtanh", "x = 1", 1.0, space="nn")
each("hardsigmoid hardswish", "x = 3", 3.0, space="nn")
at("hardshrink", "x = ½, the width", lambda p, x: p.nn.hardshrink(x), 0.5)
at("softshrink", "x = ½, the width", lambda p, x: p.nn.softshrink(x), 0.5)
at("l1_loss", "x = target", lambda p, x, y: p.nn.l1_loss(x, y), [1.0], [1.0])
at("huber_loss", "|x - target| = delta, second derivative", lambda p, x: p.nn.huber_loss(x, x * 0), [1.0], second=True)
at("heaviside", "x = 0", lambda p, x: p.numpy.heaviside(x, x * 0 + 0.5), 0.0)
at("copysign", "x = 0", lambda p, x: p.numpy.copysign(x, p.numpy.cos(x)), 0.0)
at("clip", "x at the lower bound", lambda p, x: p.numpy.clip(x, 1.0, 2.0), 1.0)
at("clip", "x at the upper bound", lambda p, x: p.numpy.clip(x, 1.0, 2.0), 2.0)
at("clip", "x = lower = upper", lambda p, x, a, b: p.numpy.clip(x, a, b), 1.0, 1.0, 1.0)
at("clip", "x is NaN", lambda p, x: p.numpy.clip(x, 1.0, 2.0), NAN)
at("interp", "x at a knot", lambda p, x: p.numpy.interp(x, p.numpy.asarray(np.array([0.0, 1.0, 2.0])),
                                                        p.numpy.asarray(np.array([0.0, 1.0, 5.0]))), 1.0)  # fmt: skip

# ── ties ──────────────────────────────────────────────────────────────────────

each("maximum minimum fmax", "x = y", 1.0, 1.0)
each("maximum", "x is NaN", NAN, 1.0)
each("fmax", "x is NaN", NAN, 1.0)
each("max min", "two of three tie", [1.0, 2.0, 2.0])
each("max min", "all tie", [1.0, 1.0, 1.0])
each("sort", "two of three tie", [2.0, 1.0, 1.0])
each("median", "odd, ties", [2.0, 1.0, 1.0])
each("median", "even, middle elements tie", [1.0, 2.0, 2.0, 3.0])
each("nanmax", "two of three tie", [1.0, 2.0, 2.0])
each("ptp", "ties", [1.0, 1.0, 2.0])
at("max_pool1d", "ties in the window", lambda p, x: p.nn.max_pool1d(x, 3), [[1.0, 1.0, 1.0]])
at("x[i] = v", "i = [0, 0]", lambda p, x, v: _written(p, x, v), [1.0, 2.0], [5.0, 7.0])
at("x[i]", "i = [0, 0]", lambda p, x: x[np.array([0, 0])], [1.0, 2.0])


def _written(p: Any, x: Any, v: Any) -> Any:
    if hasattr(x, "at"):
        return x.at[np.array([0, 0])].set(v)
    y = p.numpy.copy(x)
    y[[0, 0]] = v
    return y


# ── roots, powers, logarithms ─────────────────────────────────────────────────

each("sqrt cbrt", "x = 0", 0.0)
each("sqrt", "x = -1", -1.0)
each("log", "x = 0", 0.0)
each("log1p", "x = -1", -1.0)
each("arcsin arccos arctanh arccosh", "x = 1", 1.0)
each("power", "x = 0, y = 0", 0.0, 0.0)
each("power", "x = 0, y = 1", 0.0, 1.0)
each("power", "x = 0, y = 2", 0.0, 2.0)
each("power", "x = 0, y = ½", 0.0, 0.5)
each("power", "x = 0, y = -1", 0.0, -1.0)
each("power", "x = -2, y = 2", -2.0, 2.0)
at("x ** 2", "x = 0, second derivative", lambda p, x: x**2, 0.0, second=True)
at("power", "x = 0, y = 2, second derivative", lambda p, x, y: p.numpy.power(x, y), 0.0, 2.0, second=True)
each("hypot arctan2", "x = y = 0", 0.0, 0.0)
each("hypot", "x = ∞, y = 1", INF, 1.0)
each("copysign", "x = ∞, y = 1", INF, 1.0)
each("log arccosh", "x = -2", -2.0)
each("cbrt", "x = -8", -8.0)
each("cbrt", "x = 0, second derivative", 0.0, second=True)
each("i0", "x = 0, second derivative", 0.0, second=True)
each("sinc", "x = 0, second derivative", 0.0, second=True)
each("angle", "z = 0", 0j)
each("angle", "x = -1", -1.0)
each("xlogy", "x = y = 0", 0.0, 0.0, space="special")
each("xlogy", "x = 0, y = 1", 0.0, 1.0, space="special")
each("entr", "x = 0", 0.0, space="special")
each("rel_entr", "x = y = 0", 0.0, 0.0, space="special")
each("rel_entr kl_div", "x = 0, y = 1", 0.0, 1.0, space="special")
each("rel_entr", "x = 1, y = 0", 1.0, 0.0, space="special")
each("logit", "p = 0", 0.0, space="special")
each("logit", "p = 2", 2.0, space="special")
each("i1", "x = 0, second derivative", 0.0, space="special", second=True)
each("log_ndtr", "x = -800, second derivative", -800.0, space="special", second=True)
each("ndtri erfinv", "p = 0", 0.0, space="special")
each("erfinv", "x = 1", 1.0, space="special")
each("gammaln", "x = -1", -1.0, space="special")
each("i0e i1e", "x = 0", 0.0, space="special")

# ── branches that are not selected ────────────────────────────────────────────

at("where(x > 0, √x, 0)", "x = 0", lambda p, x: p.numpy.where(x > 0, p.numpy.sqrt(x), 0 * x), 0.0)
at("where(x > 0, log x, 0)", "x = -1", lambda p, x: p.numpy.where(x > 0, p.numpy.log(x), 0 * x), -1.0)
at("where(x ≠ 0, 1/x, 0)", "x = 0", lambda p, x: p.numpy.where(x != 0, 1 / x, 0 * x), 0.0)
at("maximum(√x, 1)", "x = 0", lambda p, x: p.numpy.maximum(p.numpy.sqrt(x), 1.0 + 0 * x), 0.0)
at("clip(1/x, 0, 1)", "x = 0", lambda p, x: p.numpy.clip(1 / x, 0.0, 1.0), 0.0)
at("0 · √x", "x = 0", lambda p, x: 0.0 * p.numpy.sqrt(x), 0.0)
each("nan_to_num", "x is NaN", NAN)
each("nansum", "an element is NaN", [1.0, NAN])

# ── reductions ────────────────────────────────────────────────────────────────

each("prod", "one zero", [2.0, 0.0, 3.0])
each("prod", "two zeros", [2.0, 0.0, 0.0])
each("cumprod", "a zero", [2.0, 0.0, 3.0])
each("std", "equal elements", [1.0, 1.0, 1.0])
each("var", "equal elements", [1.0, 1.0, 1.0])
each("logaddexp", "x = y = -∞", -INF, -INF)
each("logaddexp", "x = y = ∞", INF, INF)
each("logaddexp", "x = ∞, y = 1", INF, 1.0)
at("logsumexp", "all -∞", lambda p, x: p.special.logsumexp(x), [-INF, -INF])
at("logsumexp", "one ∞", lambda p, x: p.special.logsumexp(x), [INF, 0.0])
at("softmax", "all -∞", lambda p, x: p.nn.softmax(x), [-INF, -INF])
each("tanh", "x = ∞", INF)
each("sigmoid softplus silu", "x = ∞", INF, space="nn")
each("silu softplus gelu mish", "x = -∞", -INF, space="nn")
each("remainder fmod", "x = 4, y = 2", 4.0, 2.0)
each("remainder", "x = 1, y = ∞", 1.0, INF)
at("mean", "of nothing", lambda p, x: p.numpy.mean(x), np.zeros(0))
at("prod", "of nothing", lambda p, x: p.numpy.prod(x), np.zeros(0))
at("max", "of nothing", lambda p, x: p.numpy.max(x), np.zeros(0))

# ── norms and matrices ────────────────────────────────────────────────────────

for _order in (2, 1, INF, 3, 0):
    at("linalg.norm", f"ord={_order}, x = 0", lambda p, x, o=_order: p.numpy.linalg.norm(x, o), [0.0, 0.0])
at("linalg.norm", "ord=inf, ties", lambda p, x: p.numpy.linalg.norm(x, INF), [1.0, -1.0])
at("linalg.norm", "ord=2, x = 0, second derivative", lambda p, x: p.numpy.linalg.norm(x), [0.0, 0.0], second=True)
at("linalg.norm", "ord=2, A = 1", lambda p, x: p.numpy.linalg.norm(x, 2), np.eye(2))
at("linalg.norm", "ord='nuc', A = diag(1, 0)", lambda p, x: p.numpy.linalg.norm(x, "nuc"), np.diag([1.0, 0.0]))
at("cosine_similarity", "a vector is 0", lambda p, x, y: p.nn.cosine_similarity(x, y), [[0.0, 0.0]], [[1.0, 0.0]])
at("normalize", "x = 0", lambda p, x: p.nn.normalize(x), [[0.0, 0.0]])
at("linalg.det", "rank n - 1", lambda p, a: p.numpy.linalg.det(a), np.diag([2.0, 0.0]))
at("linalg.det", "rank n - 2", lambda p, a: p.numpy.linalg.det(a), np.diag([3.0, 0.0, 0.0]))
at(
    "linalg.det",
    "rank n - 2, second derivative",
    lambda p, a: p.numpy.linalg.det(a),
    np.diag([3.0, 0.0, 0.0]),
    second=True,
)
at("linalg.slogdet", "singular", lambda p, a: p.numpy.linalg.slogdet(a)[1], np.diag([2.0, 0.0]))
at("linalg.inv", "singular", lambda p, a: p.numpy.linalg.inv(a), np.diag([2.0, 0.0]))
at("linalg.cholesky", "of the unit matrix", lambda p, a: p.numpy.linalg.cholesky(a), np.eye(2))
at("linalg.cholesky", "singular", lambda p, a: p.numpy.linalg.cholesky(a), np.diag([1.0, 0.0]))
at("linalg.eigvalsh", "A = 1, Σλ²", lambda p, a: p.numpy.sum(p.numpy.linalg.eigvalsh(a) ** 2), np.eye(2))
at("linalg.eigvalsh", "A = [[1, 1], [0, 3]], of which one triangle is read",
   lambda p, a: p.numpy.sum(p.numpy.linalg.eigvalsh(a)), [[1.0, 1.0], [0.0, 3.0]])  # fmt: skip
at("linalg.eigh", "A = 1, through V", lambda p, a: _rebuilt(p, a), np.eye(2))
at("linalg.svd", "A = 1, Σσ²", lambda p, a: p.numpy.sum(p.numpy.linalg.svd(a, compute_uv=False) ** 2), np.eye(2))
at("linalg.svd", "A = 1, through U", lambda p, a: p.numpy.linalg.svd(a)[0], np.eye(2))
at("linalg.eigvals", "Jordan block, Σλ²", lambda p, a: p.numpy.real(p.numpy.sum(p.numpy.linalg.eigvals(a) ** 2)),
   [[1.0, 1.0], [0.0, 1.0]])  # fmt: skip
at("linalg.qr", "dependent columns, Q", lambda p, a: p.numpy.linalg.qr(a)[0], [[1.0, 2.0], [2.0, 4.0]])
at("linalg.pinv", "rank 1 of 2", lambda p, a: p.numpy.linalg.pinv(a), np.diag([2.0, 0.0]))
at("linalg.expm", "nilpotent", lambda p, a: p.linalg.expm(a), [[0.0, 1.0], [0.0, 0.0]])
at("linalg.sqrtm", "A = diag(0, 1)", lambda p, a: p.linalg.sqrtm(a), np.diag([0.0, 1.0]))


def _rebuilt(p: Any, a: Any) -> Any:
    w, v = p.numpy.linalg.eigh(a)
    return (v * p.numpy.exp(w)) @ p.numpy.swapaxes(v, -1, -2)


# ── complex numbers ───────────────────────────────────────────────────────────

at("gradient of |z|²", "z = 3 + 4i", lambda p, z: p.numpy.real(z * p.numpy.conj(z)), 3 + 4j)
at("gradient of Re z²", "z = 3 + 4i", lambda p, z: p.numpy.real(z * z), 3 + 4j)
at("abs", "z = 3 + 4i", lambda p, z: p.numpy.abs(z), 3 + 4j)
each("sqrt", "z = 0", 0j)
each("log", "z = 0", 0j)
