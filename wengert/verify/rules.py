"""Check every rule of an op on one sample, against oracles that are independent of the rule.

    shape      `shape` against what `eval` returns
    forward    `jvp` against Richardson-extrapolated central differences
    reverse    ⟨u, Jv⟩ = ⟨Jᵀu, v⟩, for each wanted subset of inputs
    second     forward over reverse against differences of the pullback; reverse over reverse against that
    batch      every combination of batched inputs against a stacked loop
    residuals  the pullback reads what `saves` declares, all of it, and nothing else

Each check raises AssertionError with the op, the sample and the numbers.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from wengert.core.aval import COMPLEX, Aval, aval_of, is_inexact
from wengert.core.errors import WengertError
from wengert.core.op import Op, Refuse, Sample
from wengert.core.tensor import Array
from wengert.transforms.batch import batch_flat
from wengert.transforms.forward import jvp_flat
from wengert.transforms.reverse import vjp_flat

CHECKS = ("shape", "forward", "reverse", "second", "batch", "residuals")


def dtypes_of(op: Op, sample: Sample) -> list[str]:
    """The dtypes to run a sample in: double precision, and complex where both admit it."""
    return ["float64", "complex128"] if COMPLEX in op.accepts and not sample.real_only else ["float64"]


def dot(us: Sequence[Array], vs: Sequence[Array]) -> float:
    """Re Σ u·v, the pairing of cotangents with tangents."""
    return float(sum(np.sum(np.asarray(u) * np.asarray(v)).real for u, v in zip(us, vs, strict=True)))


def directional(fun: Callable[[float], Sequence[Array]], step: float = 1e-3) -> list[np.ndarray]:
    """d/dt fun(t) at 0: central differences at h, h/2, h/4, extrapolated to order 6."""
    rows = []
    for k in range(3):
        h = step / 2**k
        rows.append([(np.asarray(a) - np.asarray(b)) / (2 * h) for a, b in zip(fun(h), fun(-h), strict=True)])
    once = [[(4 * b - a) / 3 for a, b in zip(rows[i], rows[i + 1], strict=True)] for i in (0, 1)]
    return [(16 * b - a) / 15 for a, b in zip(*once, strict=True)]


def random_like(rng: np.random.Generator, x: Array) -> Array:
    """A standard normal array of the shape and dtype of `x`."""
    v = rng.normal(size=x.shape)
    if x.dtype.kind == "c":
        v = v + 1j * rng.normal(size=x.shape)
    return np.asarray(v).astype(x.dtype)[()]


class Call:
    """One op on one sample in one dtype, as a function of its differentiable inputs alone."""

    def __init__(self, op: Op, sample: Sample, dtype: str = "float64", seed: int = 0) -> None:
        self.op, self.sample = op, sample
        self.rng = np.random.default_rng(seed)
        self.args = sample.build(self.rng, dtype)
        self.diff = sample.diff
        self.primals = [self.args[i] for i in self.diff]

    def all_outs(self, *primals: Array) -> list[Array]:
        args = list(self.args)
        for i, p in zip(self.diff, primals, strict=True):
            args[i] = p
        out = self.op(*args, **self.sample.params)
        return list(out) if self.op.multi else [out]

    def __call__(self, *primals: Array) -> list[Array]:
        """The inexact outputs."""
        return [
            o
            for o in self.all_outs(*primals)
            if is_inexact(np.asarray(o).dtype if not hasattr(o, "dtype") else o.dtype)
        ]

    def fail(self, what: str, error: AssertionError) -> AssertionError:
        return AssertionError(f"{self.op.name} {self.sample!r} {what}: {error}")

    def close(self, what: str, got: Any, want: Any, rtol: float, atol: float) -> None:
        try:
            for g, w in zip(got, want, strict=True):
                np.testing.assert_allclose(np.asarray(g), np.asarray(w), rtol=rtol, atol=atol)
        except AssertionError as error:
            raise self.fail(what, error) from None


def check_shape(call: Call) -> None:
    outs = call.all_outs(*call.primals)
    avals = call.op.shape(*map(aval_of, call.args), **call.sample.params)
    avals = avals if call.op.multi else [avals]
    assert len(avals) == len(outs), f"{call.op.name}: {len(avals)} avals for {len(outs)} outputs"
    for aval, out in zip(avals, outs, strict=True):
        got = Aval(np.shape(out), np.asarray(out).dtype)
        if aval != got:
            raise call.fail("shape rule", AssertionError(f"says {aval}, eval gives {got}"))


def check_rejects(op: Op, sample: Sample) -> None:
    """The shape rule refuses what `rejects` lists."""
    args = sample.build(np.random.default_rng(0))
    try:
        op.shape(*map(aval_of, args), **sample.params)
    except WengertError as error:
        assert sample.raises is None or isinstance(error, sample.raises), f"{op.name} raises {type(error).__name__}"
        return
    raise AssertionError(f"{op.name} accepts {sample!r}, which it should reject")


def check_forward(call: Call) -> None:
    vs = [random_like(call.rng, p) for p in call.primals]
    outs, dots = jvp_flat(call, call.primals, vs)
    want = directional(lambda t: call(*(p + t * v for p, v in zip(call.primals, vs, strict=True))))
    dots = [np.zeros_like(w) if d is None else d for d, w in zip(dots, want, strict=True)]
    for d, o in zip(dots, outs, strict=True):
        if (np.shape(d), np.asarray(d).dtype) != (np.shape(o), np.asarray(o).dtype):
            raise call.fail(
                "tangent",
                AssertionError(f"{np.asarray(d).dtype}{np.shape(d)} for output {np.asarray(o).dtype}{np.shape(o)}"),
            )
    call.close("jvp against finite differences", dots, want, 1e-6, 1e-8)


def check_reverse(call: Call) -> None:
    n = len(call.primals)
    subsets = [tuple(range(n))] + ([(i,) for i in range(min(n, 4))] if n > 1 else [])
    for wanted in subsets:

        def fun(*some: Array, wanted: tuple[int, ...] = wanted) -> list[Array]:
            full = list(call.primals)
            for i, s in zip(wanted, some, strict=True):
                full[i] = s
            return call(*full)

        primals = [call.primals[i] for i in wanted]
        vs = [random_like(call.rng, p) for p in primals]
        outs, dots = jvp_flat(fun, primals, vs)
        us = [random_like(call.rng, np.asarray(o)) for o in outs]
        _, pullback, _ = vjp_flat(fun, primals)
        back = pullback(us)
        for p, b in zip(primals, back, strict=True):
            if (np.shape(p), np.asarray(p).dtype) != (np.shape(b), np.asarray(b).dtype):
                raise call.fail(
                    "cotangent",
                    AssertionError(f"{np.asarray(b).dtype}{np.shape(b)} for input {np.asarray(p).dtype}{np.shape(p)}"),
                )
        left = dot(us, [np.zeros_like(u) if d is None else d for u, d in zip(us, dots, strict=True)])
        call.close(f"⟨u,Jv⟩ = ⟨Jᵀu,v⟩ for inputs {wanted}", [dot(back, vs)], [left], 1e-9, 1e-11)
        for k in range(len(us) if len(us) > 1 else 0):  # each output alone: pullbacks must take None for the others
            alone = pullback([u if j == k else None for j, u in enumerate(us)])
            left = 0.0 if dots[k] is None else dot([us[k]], [dots[k]])
            call.close(f"output {k} alone", [dot(alone, vs)], [left], 1e-9, 1e-11)


def check_second(call: Call) -> None:
    if call.sample.order < 2:
        return
    us = [random_like(call.rng, np.asarray(o)) for o in call(*call.primals)]

    def gradient(*primals: Array) -> list[Array]:
        return vjp_flat(call, primals)[1](us)

    vs = [random_like(call.rng, p) for p in call.primals]
    outs, dots = jvp_flat(gradient, call.primals, vs)
    want = directional(lambda t: gradient(*(p + t * v for p, v in zip(call.primals, vs, strict=True))))
    dots = [np.zeros_like(w) if d is None else d for d, w in zip(dots, want, strict=True)]
    call.close("forward over reverse", dots, want, 1e-5, 1e-7)
    ws = [random_like(call.rng, np.asarray(o)) for o in outs]
    back = vjp_flat(gradient, call.primals)[1](ws)
    call.close("reverse over reverse", [dot(back, vs)], [dot(ws, want)], 1e-5, 1e-6)


def check_batch(call: Call) -> None:
    if isinstance(call.op.batch, Refuse):
        return
    n, size = len(call.args), 3
    arrays = [i for i in range(n) if isinstance(call.args[i], (np.ndarray, np.generic))]
    combos: list[tuple[int, ...]] = [(i,) for i in arrays] + [tuple(arrays)]
    if 1 < len(arrays) <= 3:
        combos += list(itertools.combinations(arrays, 2))
    for chosen in dict.fromkeys(combos):
        batches = {i: _examples(call, i, size) for i in chosen}

        def fun(*args: Array) -> list[Array]:
            out = call.op(*args, **call.sample.params)
            return list(out) if call.op.multi else [out]

        args = [np.stack(batches[i]) if i in batches else a for i, a in enumerate(call.args)]
        outs, flags = batch_flat(fun, args, [i in batches for i in range(n)], size)
        loop = [fun(*(batches[i][b] if i in batches else a for i, a in enumerate(call.args))) for b in range(size)]
        want = [np.stack([np.asarray(row[k]) for row in loop]) for k in range(len(outs))]
        outs = [o if f else np.stack([o] * size) for o, f in zip(outs, flags, strict=True)]
        for o, w in zip(outs, want, strict=True):
            if o.dtype != w.dtype:
                raise call.fail("batch", AssertionError(f"dtype {o.dtype}, a loop gives {w.dtype}"))
        call.close(f"batch over inputs {chosen} against a loop", outs, want, 1e-9, 1e-11)


def _examples(call: Call, i: int, size: int) -> list[Array]:
    """`size` legal values for input i: new draws of a random input, permutations of a given array."""
    if isinstance(call.sample.args[i], tuple):
        dtype = np.asarray(call.args[i]).dtype
        return [call.sample.build(np.random.default_rng(100 + b), dtype)[i] for b in range(size)]
    given = np.asarray(call.args[i])
    return [np.roll(given, b) for b in range(size)]


class _Spy(list):
    """Saved operands that note which of them the pullback reads."""

    def __init__(self, values: Sequence[Array]) -> None:
        super().__init__(values)
        self.read: set[int] = set()

    def __getitem__(self, i: Any) -> Any:
        self.read |= set(range(len(self))[i]) if isinstance(i, slice) else {range(len(self))[i]}
        return super().__getitem__(i)

    def __iter__(self) -> Any:
        self.read |= set(range(len(self)))
        return super().__iter__()


def check_residuals(call: Call) -> None:
    """What a pullback reads is what the op declares for the wanted inputs."""
    from wengert.graph.program import Var

    op, outs = call.op, call.all_outs(*call.primals)
    if not callable(op.vjp) or not call.diff:
        return
    n = len(call.args)
    for chosen in [call.diff, *([(i,) for i in call.diff] if len(call.diff) > 1 else [])]:
        mask = sum(1 << i for i in chosen)
        ins = [Var(np.shape(a), np.asarray(a).dtype) if i in chosen else None for i, a in enumerate(call.args)]
        drop, _, saves_out = op.dropped(mask, n)
        xs = _Spy([None if i in drop else a for i, a in enumerate(call.args)])
        cts = [random_like(call.rng, np.asarray(o)) if is_inexact(np.asarray(o).dtype) else None for o in outs]
        out = (tuple(outs) if op.multi else outs[0]) if saves_out else None
        op.vjp(cts if op.multi else cts[0], ins, xs, out, **call.sample.params)
        declared = set(range(n)) - set(drop)
        if not declared <= xs.read:
            raise AssertionError(
                f"{op.name}: saves inputs {declared} for {chosen}, and never reads {declared - xs.read}"
            )


def check(op: Op, sample: Sample, which: str, dtype: str = "float64") -> None:
    """Run one check; constant ops have no derivative to check."""
    if which in ("forward", "reverse", "second", "residuals") and (op.constant or not sample.diff):
        return
    globals()[f"check_{which}"](Call(op, sample, dtype))
