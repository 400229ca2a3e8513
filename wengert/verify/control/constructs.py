"""Programs of control flow, each a function `(L, np, *arrays) → tuple of arrays`.

`L` has the functions of control flow: `wengert.api`, `plain`, or `jax.lax`; `np` is NumPy's namespace, or JAX's. Every
program has a few trips, small arrays, and derivatives of all orders at a generic point.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

A, H, X = (3, 3), (3,), (6, 3)  # more trips than are written out, where a program does not take fewer


@dataclass(frozen=True)
class Construct:
    """`shapes` are those of the arguments. `peer` says that JAX runs it too, `complex` that it takes complex numbers, `own`
    that it uses what only wengert has, or what has no counterpart in Python's loops."""

    name: str
    f: Callable[..., tuple[Any, ...]]
    shapes: tuple[tuple[int, ...], ...]
    peer: bool = True
    complex: bool = False


CONSTRUCTS: dict[str, Construct] = {}


def construct(*shapes: tuple[int, ...], peer: bool = True, complex: bool = False) -> Callable[[Any], Any]:
    def add(f: Callable[..., Any]) -> Callable[..., Any]:
        name = f.__name__.replace("_", " ")
        CONSTRUCTS[name] = Construct(name, f, shapes, peer, complex)
        return f

    return add


# ── loops over elements ───────────────────────────────────────────────────────


@construct(A, H, X)
def scan(L: Any, np: Any, a: Any, h: Any, xs: Any) -> tuple[Any, ...]:
    def step(carry: Any, x: Any) -> Any:
        h, n = carry
        h = np.tanh(0.4 * (a @ h) + x * n)
        return (h, n + 0.1 * x[0] * h[1]), (h * 2, n * h[1])

    (h, n), (ys, zs) = L.scan(step, (h, 0.5), xs)
    return h, n, ys, zs


@construct(A, H, X, complex=True)
def reverse_scan(L: Any, np: Any, a: Any, h: Any, xs: Any) -> tuple[Any, ...]:
    return L.scan(lambda c, x: (0.3 * np.sin(0.3 * (a @ c)) + x, c * x), h, xs, reverse=True)


@construct(A, H, X, complex=True)
def linear_scan(L: Any, np: Any, a: Any, h: Any, xs: Any) -> tuple[Any, ...]:
    return L.scan(lambda c, x: (0.5 * (a @ c) + x, c), h, xs)


@construct(H, X, complex=True)
def scan_of_no_carry(L: Any, np: Any, h: Any, xs: Any) -> tuple[Any, ...]:
    return (L.scan(lambda _, x: (None, np.sin(x * h).sum() * x), None, xs)[1],)


@construct(H, complex=True)
def scan_of_no_arrays(L: Any, np: Any, h: Any) -> tuple[Any, ...]:
    return L.scan(lambda c, _: (np.sin(0.3 * c) * h, c[0]), h, None, length=5)


@construct(H, H, X)
def scan_of_passengers(L: Any, np: Any, g: Any, h: Any, xs: Any) -> tuple[Any, ...]:
    def step(carry: Any, x: Any) -> Any:
        a, b, still, _ = carry
        return (b * x, a + still, still, x), (still, 1.0, a)

    (a, b, still, last), (ys, ones, zs) = L.scan(step, (g, h, g * h, h), xs)
    return a, b, still, last, ys, ones[:, None] * h, zs


class Pair(NamedTuple):
    left: Any
    right: Any


@construct(H, X)
def scan_of_trees(L: Any, np: Any, h: Any, xs: Any) -> tuple[Any, ...]:
    def step(carry: Any, x: Any) -> Any:
        pair = carry["pair"]
        new = Pair(np.sin(pair.left) * x["a"], (pair.right[0] * 0.5 + x["b"][0], None))
        return {"pair": new, "count": carry["count"] + 1}, [new.left * carry["count"], {"s": new.right[0]}]

    init = {"pair": Pair(h, (h[0] * 2, None)), "count": 0}
    last, (ys, more) = L.scan(step, init, {"a": xs, "b": (xs[:, 1], None)})
    return last["pair"].left, last["pair"].right[0], ys, more["s"]


@construct(H, (5, 3), complex=True)
def map_in_blocks(L: Any, np: Any, h: Any, xs: Any) -> tuple[Any, ...]:
    return (L.map(lambda x: np.sin(x * h) * x.sum(), xs, batch_size=2),)


@construct((5, 2, 2), (5, 2), complex=True)
def associative_scan(L: Any, np: Any, ms: Any, vs: Any) -> tuple[Any, ...]:
    def combine(first: Any, second: Any) -> Any:
        (m, v), (n, w) = first, second
        return n @ m, (n @ v[..., None])[..., 0] + w

    return L.associative_scan(combine, (ms, vs))


# ── loops that count, or do not know their end ────────────────────────────────


@construct(A, H, X)
def fori_loop(L: Any, np: Any, a: Any, h: Any, xs: Any) -> tuple[Any, ...]:
    return (L.fori_loop(0, 6, lambda i, c: np.sin(c) + xs[i] * a[0, 0] / (i + 1) + 0.1 * i, h),)


@construct(A, H)
def while_loop(L: Any, np: Any, a: Any, h: Any) -> tuple[Any, ...]:
    def going(s: Any) -> Any:
        return (s[0] ** 2).sum() > 0.05

    def step(s: Any) -> Any:
        return np.sin(0.4 * (a @ s[0])) * 0.8, s[1] + s[0] * s[1] * a[1], s[2] + 1

    return L.while_loop(going, step, (h, h * 2, 0))[:2]


@construct((), H)
def while_bounded_by_a_value(L: Any, np: Any, bound: Any, h: Any) -> tuple[Any, ...]:
    last = L.while_loop(lambda s: s[1] < 2 + bound * 0, lambda s: (np.cos(s[0]) * bound, s[1] + 1), (h, 0))
    return (last[0],)


@construct((), complex=True)
def while_to_a_fixed_point(L: Any, np: Any, x: Any) -> tuple[Any, ...]:
    def newton(s: Any) -> Any:
        y, n = s
        return y - (y**3 + 2 * y - x) / (3 * y**2 + 2), n + 1

    return (L.while_loop(lambda s: s[1] < 6, newton, (x * 0.3, 0))[0],)


@construct(H, X)
def fori_loop_to_a_value(L: Any, np: Any, h: Any, xs: Any) -> tuple[Any, ...]:
    count = (xs.sum() * 0 + 3 > 0).astype(int) + 2
    return (L.fori_loop(0, count, lambda i, c: np.sin(c) * xs[i] + i, h),)


@construct(H, X)
def loops_of_no_trips(L: Any, np: Any, h: Any, xs: Any) -> tuple[Any, ...]:
    one = L.fori_loop(2, 2, lambda i, c: np.sin(c) * xs[0], h)
    two, _ = L.while_loop(lambda s: s[1] < 0, lambda s: (s[0] * xs[1], s[1] + 1), (h * h, 0))
    return one, two * xs[2]


# ── branches ──────────────────────────────────────────────────────────────────


@construct(H, X)
def cond(L: Any, np: Any, h: Any, xs: Any) -> tuple[Any, ...]:
    return L.cond(h.sum() > 0.1, lambda h, x: (np.sin(h) * xs[1], x), lambda h, x: (h * h, x * xs[2]), h, xs[0])


@construct(H, (), complex=True)
def cond_of_a_constant(L: Any, np: Any, h: Any, s: Any) -> tuple[Any, ...]:
    return (L.cond((abs(s) ** 2).real > 4, lambda h: h * 0 + 1.0, lambda h: np.exp(0.3 * h) * s, h),)


@construct(A, H, X)
def switch_in_a_scan(L: Any, np: Any, a: Any, h: Any, xs: Any) -> tuple[Any, ...]:
    def step(carry: Any, x: Any) -> Any:
        n, h = carry
        branches = [lambda h: np.sin(h) * x, lambda h: a @ h, lambda h: h**2 * 0.5 + x]
        h = L.switch(n % 4, branches, h)
        return (n + 1, h), h

    (_, h), ys = L.scan(step, (0, h), xs)
    return h, ys


# ── nests ─────────────────────────────────────────────────────────────────────


@construct(A, H, X)
def scan_in_a_scan(L: Any, np: Any, a: Any, h: Any, xs: Any) -> tuple[Any, ...]:
    def outer(c: Any, x: Any) -> Any:
        d, ys = L.scan(lambda d, row: (np.sin(d * row) + x, d * c), c, a)
        return d * 0.5, (ys * x).sum(0)

    return L.scan(outer, h, xs)


@construct(A, H, X)
def while_in_a_scan_in_a_while(L: Any, np: Any, a: Any, h: Any, xs: Any) -> tuple[Any, ...]:
    def inner(d: Any, x: Any) -> Any:
        return L.while_loop(lambda s: s[0] < 2, lambda s: (s[0] + 1, np.sin(s[1] * x) + a[1]), (0, d))[1]

    def step(s: Any) -> Any:
        d, ys = L.scan(lambda d, x: (inner(d, x), d * x), s[1], xs[:2])
        return s[0] + 1, d + 0.1 * ys.sum(0)

    return (L.while_loop(lambda s: s[0] < 2, step, (0, h))[1],)


@construct(A, H, X)
def all_in_one(L: Any, np: Any, a: Any, h: Any, xs: Any) -> tuple[Any, ...]:
    def step(c: Any, x: Any) -> Any:
        d = L.fori_loop(0, 2, lambda i, d: np.sin(d * x[i] + a[0]), c)
        d = L.cond(d[0] > 0.2, lambda d: d * a[1, 1] * x, lambda d: np.exp(0.3 * d), d)
        _, d = L.while_loop(lambda s: s[0] < 2, lambda s: (s[0] + 1, s[1] * np.cos(s[1] * a[2, 0])), (0, d))
        return d, d.sum()

    return L.scan(step, h, xs[:3])


@construct(A, H, X)
def scan_in_a_branch(L: Any, np: Any, a: Any, h: Any, xs: Any) -> tuple[Any, ...]:
    def run(h: Any) -> Any:
        return L.scan(lambda c, x: (np.sin(c) + a @ x, c.sum()), h, xs)

    return L.cond(h[0] * 0 < 1, run, lambda h: (h, h[0] + xs[:, 0]), h)


# ── what JAX does not have ────────────────────────────────────────────────────


@construct(H, X, peer=False)
def writes_in_a_body(L: Any, np: Any, h: Any, xs: Any) -> tuple[Any, ...]:
    def step(i: Any, carry: Any) -> Any:
        out, acc = carry
        out[i] = np.sin(xs[i]) * acc
        acc *= 0.5
        acc[0] += out[i, 1]
        return out, acc

    return L.fori_loop(0, 4, step, (xs * h[0] * 0, h + xs[0]))


@construct(H, peer=False)
def recursion(L: Any, np: Any, h: Any) -> tuple[Any, ...]:
    def total(x: Any) -> Any:
        if x.shape[0] == 1:
            return np.sin(x[0])
        half = x.shape[0] // 2
        return L.call(total, x[:half]) * 0.5 + L.call(total, x[half:]) * h[0]

    return (L.call(total, np.concatenate([h, h * h])),)
