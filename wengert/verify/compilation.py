"""A random program compiled, against the same program run eagerly: values, gradients, and a few more transforms around `jit`.

Each program is compiled with its gradient, with the passes checked after every step; and, in another order for each
program, in some of these ways, so that all of them are tried over many programs at a bounded cost.
"""

from __future__ import annotations

import re
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import wengert.api as wg
from wengert.core.config import config
from wengert.core.errors import ConcretizationError, DTypeError
from wengert.passes.dce import dce
from wengert.runtime import engine
from wengert.verify.trial import Run, Undecided, distance, shown

MORE = 2  # ways for each program, besides value and gradient
EXAMPLES = 3


# Functions whose results are real or complex as the values have it; staged, they are complex.
VALUED = re.compile(r"\b(logm|sqrtm|fractional_matrix_power|emath)\b")


class Refused(Exception):
    """The program cannot be staged, as is documented: it asks for a value."""


def check_jit(run: Run, more: int = MORE) -> None:
    """Values and gradients from machine code; and `more` of WAYS."""
    rng = np.random.default_rng(zlib.crc32(run.program.source.encode()))
    branches = "branches on values" in run.program.traits  # which may differ between examples
    order = [w for i in rng.permutation(len(WAYS)) if not ((w := WAYS[i]) is batched and branches)][:more]
    with config.override(debug_passes=True, disk_cache=False, tiered="always"):
        for way in (value_and_gradient, *order):
            try:
                way(run)
            except ConcretizationError as error:
                raise Refused(str(error).splitlines()[0].partition(": got ")[0]) from None
            except DTypeError as error:
                if "complex" not in str(error) or not (found := VALUED.search(run.program.source)):
                    raise
                raise Refused(
                    f"{found[1]} gives complex numbers whatever the values, which another function does not take"
                ) from None


def agree(run: Run, what: str, got: Sequence[Any], fun: Callable[..., Sequence[Any]]) -> None:
    """The same shapes, dtypes, and places of non-finite values as eagerly, and equal to rounding."""
    try:
        want = [np.asarray(o) for o in fun(*run.args)]
    except ConcretizationError as error:
        raise AssertionError(f"{what} works, and eager evaluation raises {error}") from None
    for g, w in zip(map(np.asarray, got), want, strict=True):
        if g.dtype.kind == "c" and w.dtype.kind == "f" and (found := VALUED.search(run.program.source)):
            raise Refused(f"{found[1]} gives complex numbers whatever the values")
        if (g.shape, g.dtype) != (w.shape, w.dtype):
            raise AssertionError(f"{what}: {g.dtype}{list(g.shape)}, eagerly {w.dtype}{list(w.shape)}")
    if not all(np.isfinite(w).all() for w in want) and distance(got, want)[0] == np.inf:
        raise Undecided(f"{what}: not finite\n  got  {shown(got)}\n  want {shown(want)}")
    run.close(what, got, fun)


# ── ways to compile a program ─────────────────────────────────────────────────


def value_and_gradient(run: Run) -> None:
    both = wg.value_and_grad(run.f, argnums=run.argnums)
    fast = wg.jit(both)

    def flat(result: Any) -> list[Any]:
        return [result[0], *result[1]]

    args = run.args
    agree(run, "jit of value_and_grad", flat(fast(*args)), lambda *a: flat(both(*a)))
    for a, b in zip(args, run.args, strict=True):
        assert np.array_equal(a, b), f"jit: an argument was written: {b} became {a}"
    agree(run, "jit of value_and_grad, called again", flat(fast(*run.args)), lambda *a: flat(both(*a)))


def value(run: Run) -> None:
    agree(run, "jit", [wg.jit(run.f)(*run.args)], lambda *a: [run.f(*a)])


def gradient_outside(run: Run) -> None:
    agree(run, "grad of jit", wg.grad(wg.jit(run.f), argnums=run.argnums)(*run.args), run.gradient)


def forward(run: Run) -> None:
    def pushed(*args: Any) -> list[Any]:
        return list(wg.jvp(run.f, args, run.v))

    agree(run, "jit of jvp", wg.jit(pushed)(*run.args), pushed)
    agree(run, "jvp of jit", list(wg.jvp(wg.jit(run.f), run.args, run.v)), pushed)


def second(run: Run) -> None:
    def product(*args: Any) -> Any:
        return wg.hvp(run.f, args, tuple(run.v))

    got = wg.jit(product)(*run.args)
    agree(run, "jit of hvp", list(got) if len(run.argnums) > 1 else [got], run.product)


def checkpointed(run: Run) -> None:
    gradient = wg.jit(wg.grad(wg.checkpoint(run.f), argnums=run.argnums))
    agree(run, "jit of grad of checkpoint", gradient(*run.args), run.gradient)


def called(run: Run) -> None:
    """One jitted function that calls another, which is not taken into it."""
    inner, adopted = wg.jit(run.f, inline=False), wg.adopt(run.f)

    def twice(*args: Any) -> Any:
        return inner(*args) + 0.5 * inner(*[0.9 * a for a in args])

    def plain(*args: Any) -> Any:
        return adopted(*args) + 0.5 * adopted(*[0.9 * a for a in args])

    agree(run, "a jitted function within another", [wg.jit(twice)(*run.args)], lambda *a: [plain(*a)])
    many = list(wg.grad(wg.jit(twice), argnums=run.argnums)(*run.args))
    agree(
        run,
        "grad of one jitted function within another",
        many,
        lambda *a: list(wg.grad(plain, argnums=run.argnums)(*a)),
    )


def batched(run: Run) -> None:
    axes, many = _examples(run)
    mapped = wg.vmap(run.f, axes)
    want = np.asarray(mapped(*many(run.args)))
    gradients = wg.vmap(wg.grad(run.f, argnums=run.argnums), axes)

    def eager(*args: Any) -> list[Any]:
        return [mapped(*many(args)), *gradients(*many(args))]

    if not np.isfinite(want).all():
        raise Undecided("the values of examples are not finite")
    got = [wg.jit(mapped)(*many(run.args)), *wg.jit(gradients)(*many(run.args))]
    agree(run, "jit of vmap, and of vmap of grad", got, eager)
    inside = wg.vmap(wg.jit(wg.value_and_grad(run.f, argnums=run.argnums)), axes)(*many(run.args))
    agree(run, "vmap of jit", [inside[0], *inside[1]], eager)


def _examples(run: Run) -> tuple[list[int], Callable[[Sequence[Any]], list[np.ndarray]]]:
    axes = [int(run.rng.integers(a.ndim + 1)) for a in run.program.args]
    factors = 1 + 0.1 * np.arange(EXAMPLES)
    return axes, lambda args: [
        np.stack([np.asarray(a * f, a.dtype) for f in factors], axis=k) for a, k in zip(args, axes, strict=True)
    ]


def unoptimised(run: Run) -> None:
    """Without passes, but for that which drops what nobody reads: lowering takes that for granted."""
    both = wg.value_and_grad(run.f, argnums=run.argnums)
    got = engine.compile(dce(wg.trace(both, *run.args), Counter()), tier="fast")(*run.args)
    agree(run, "compiled without passes", got, lambda *a: [(r := both(*a))[0], *r[1]])


def interpreted(run: Run) -> None:
    """Staged and optimised, and run op by op."""
    both = wg.value_and_grad(run.f, argnums=run.argnums)
    with config.override(compile=False):
        found = wg.jit(both)(*run.args)
    agree(run, "staged, run op by op", [found[0], *found[1]], lambda *a: [(r := both(*a))[0], *r[1]])


WAYS: tuple[Callable[[Run], None], ...] = (
    value, gradient_outside, forward, second, checkpointed, called, batched, unoptimised, interpreted,
)  # fmt: skip
