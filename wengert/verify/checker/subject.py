"""The function under check, as one of flat lists of arrays: plain for references, traced for derivatives.

A *level* is such a function with the point where it is checked: the user's function is level 1, and each of its
derivatives along a fixed direction is a level 2.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from wengert.api import jvp, vjp
from wengert.core.aval import is_inexact
from wengert.core.config import config
from wengert.core.errors import DTypeError
from wengert.core.tree import flatten, unflatten
from wengert.trace.adopt import adopt
from wengert.transforms.entry import adopted
from wengert.transforms.gradients import positions

Arrays = list[Any]


def dtype_of(x: Any) -> np.dtype | None:
    """The dtype of an array or number; None for anything else."""
    if hasattr(x, "dtype"):
        return x.dtype
    return np.dtype(type(x)) if isinstance(x, (bool, int, float, complex)) else None


def element(name: str, index: tuple[int, ...]) -> str:
    """`x[3]`, `w[0, 2]`, or the bare name of a scalar."""
    return f"{name}[{', '.join(map(str, index))}]" if index else name


class Subject:
    """A user's function of pytrees as a function of its differentiable leaves, which returns its inexact leaves.

    `names` are those of the leaves as the user would write them; `outputs` those of the results, once it has run.
    `calls` counts plain evaluations.
    """

    def __init__(self, fun: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any], argnums: Any) -> None:
        self.fun, self.traced_fun = fun, adopt(fun)
        self.title = getattr(fun, "__qualname__", getattr(fun, "__name__", type(fun).__name__)).rpartition("<locals>.")[
            2
        ]
        self.base, self.tree = flatten((tuple(args), kwargs))
        ready = (tuple(adopted(args)), dict(zip(kwargs, adopted(tuple(kwargs.values())), strict=True)))
        self.traced_base = flatten(ready)[0]
        allowed = range(len(args)) if argnums is None else positions(argnums, args)
        paths = self.tree.paths()
        self.chosen = [
            i for i, path in enumerate(paths) if path[0] == 0 and path[1] in allowed and _is_float(self.base[i])
        ]
        if not self.chosen:
            kinds = ", ".join(sorted({str(dtype_of(x) or type(x).__name__) for x in self.base})) or "no argument at all"
            raise DTypeError(
                f"check_grads of {self.title}", got=kinds, want="a float or complex argument to differentiate",
                fix="pass x.astype(float), or 2.0 for 2; name the arguments with argnums",
            )  # fmt: skip
        heads = _parameters(fun, len(args))
        self.heads = heads
        self.names = [self._name(paths[i]) for i in self.chosen]
        self.leaves = [np.array(self.base[i])[()] for i in self.chosen]
        self.outputs: list[str] = []
        self.left_out: list[str] = []
        self.kept: list[int] = []
        self.mutated: list[str] = []
        self.calls = 0

    def _name(self, path: tuple[Any, ...]) -> str:
        """What the user calls a leaf of (args, kwargs)."""
        head = self.heads[path[1]] if path[0] == 0 else str(path[1])
        return head + "".join(f"[{k!r}]" for k in path[2:])

    def plain(self, *leaves: Any) -> Arrays:
        """The user's own function on ndarrays. Arguments are copies where it writes into them."""
        self.calls += 1
        base = [x.copy() if isinstance(x, np.ndarray) else x for x in self.base] if self.mutated else self.base
        return self._run(self.fun, base, leaves)

    def traced(self, *leaves: Any) -> Arrays:
        """The adopted function, for transforms to run."""
        base = self.traced_base
        if self.mutated:
            base = [x.copy() if isinstance(x, np.ndarray) else x for x in base]
        return self._run(self.traced_fun, base, leaves)

    def first(self) -> Arrays:
        """`plain` at the point, which settles what the outputs are and whether arguments are written into."""
        self.calls += 1
        given = [x.copy() if isinstance(x, np.ndarray) else x for x in self.base]
        filled, names = list(given), [self._name(path) for path in self.tree.paths()]
        args, kwargs = unflatten(self.tree, filled)
        out = self.fun(*args, **kwargs)
        for now, before, name in zip(given, self.base, names, strict=True):
            if isinstance(now, np.ndarray) and not same(now, before):
                self.mutated.append(name)
        outs, tree = flatten(out)
        for i, (path, leaf) in enumerate(zip(tree.paths(), outs, strict=True)):
            name = "".join(f"[{k!r}]" for k in path) or "output"
            if _is_float(leaf):
                self.kept.append(i)
                self.outputs.append(name if name == "output" else f"output{name}")
            else:
                self.left_out.append(f"{name} ({dtype_of(leaf) or type(leaf).__name__})")
        if not self.kept:
            raise DTypeError(
                f"check_grads of {self.title}", got=f"a result of {', '.join(self.left_out) or 'nothing'}",
                want="a function that returns a float or complex array, or a pytree with one",
                fix="return what is to be differentiated; astype(int), comparisons and None have no derivative",
            )  # fmt: skip
        return [np.asarray(outs[i])[()] for i in self.kept]

    def _run(self, fun: Callable[..., Any], base: Sequence[Any], leaves: Sequence[Any]) -> Arrays:
        filled = list(base)
        for i, leaf in zip(self.chosen, leaves, strict=True):
            filled[i] = leaf.copy() if type(leaf) is np.ndarray and self.mutated else leaf
        args, kwargs = unflatten(self.tree, filled)
        outs = flatten(fun(*args, **kwargs))[0]
        if self.kept and len(outs) <= self.kept[-1]:
            raise ValueError("the structure of the result varies with the arguments' values")
        return [outs[i] if hasattr(outs[i], "dtype") else np.asarray(outs[i])[()] for i in self.kept]


def _is_float(x: Any) -> bool:
    dtype = dtype_of(x)
    return dtype is not None and is_inexact(dtype)


def _parameters(fun: Callable[..., Any], n: int) -> list[str]:
    """The names of the first `n` positional parameters, as far as the signature tells."""
    try:
        parameters = inspect.signature(fun).parameters.values()
    except (TypeError, ValueError):
        return [f"argument {i}" for i in range(n)]
    names: list[str] = []
    for p in parameters:
        if p.kind is p.VAR_POSITIONAL:
            names += [f"{p.name}[{i}]" for i in range(n - len(names))]
        elif p.kind is not p.KEYWORD_ONLY and p.kind is not p.VAR_KEYWORD:
            names.append(p.name)
    return (names + [f"argument {i}" for i in range(len(names), n)])[:n]


def same(a: Any, b: Any) -> bool:
    """Whether two arrays are equal bit for bit, but for the payload of NaNs."""
    a, b = np.asarray(a), np.asarray(b)
    return a.shape == b.shape and a.dtype == b.dtype and bool(np.array_equal(a, b, equal_nan=a.dtype.kind in "fc"))


# ── the pairing of cotangents and tangents ────────────────────────────────────


def pair(us: Sequence[Any], vs: Sequence[Any]) -> float:
    """⟨u, v⟩ in the user's complex convention: Re Σ ū·v, or Re Σ u·v under "jax"."""
    total = 0.0
    for u, v in zip(us, vs, strict=True):
        u = np.conj(u) if config.complex_convention == "steepest" else np.asarray(u)
        total += float(np.sum(u * np.asarray(v), dtype=np.result_type(u, v, np.float64)).real)
    return total


def weight(us: Sequence[Any], vs: Sequence[Any]) -> float:
    """Σ |u|·|v|, what rounding in `pair` is relative to."""
    return float(sum(np.sum(np.abs(u) * np.abs(v), dtype=np.float64) for u, v in zip(us, vs, strict=True)))


# ── levels ────────────────────────────────────────────────────────────────────


@dataclass
class Level:
    """One function, at one point.

    `plain` gives arrays for arrays, for references to differentiate numerically; `traced` is for transforms. `path` says
    how the user's function was derived, innermost first.
    """

    plain: Callable[..., Arrays]
    traced: Callable[..., Arrays]
    leaves: Arrays
    names: list[str]
    outputs: list[str]
    centre: Arrays
    path: tuple[str, ...] = ()
    counts: list[int] = field(default_factory=lambda: [0])  # derivative evaluations, shared with its derivatives

    @property
    def order(self) -> int:
        return len(self.path) + 1

    def title(self, mode: str) -> str:
        """`forward over reverse`, say, for a derivative of this level."""
        return " over ".join((mode, *reversed(self.path)))

    def forward(self, leaves: Sequence[Any], tangents: Sequence[Any]) -> tuple[Arrays, Arrays]:
        """Values and tangents of the outputs."""
        self.counts[0] += 1
        with np.errstate(all="ignore"):
            outs, dots = jvp(self.traced, leaves, tangents, adopt=False)
        return [np.asarray(o) for o in outs], [np.asarray(d) for d in dots]

    def reverse(self, leaves: Sequence[Any]) -> tuple[Arrays, Callable[[Sequence[Any]], Arrays]]:
        """Values of the outputs, and the pullback."""
        self.counts[0] += 1
        with np.errstate(all="ignore"):
            outs, pullback = vjp(self.traced, *leaves, adopt=False)
        cast = [np.asarray(o).dtype for o in outs]

        def pull(cts: Sequence[Any]) -> Arrays:
            with np.errstate(all="ignore"):
                return [
                    np.asarray(g)
                    for g in pullback([np.asarray(c).astype(d)[()] for c, d in zip(cts, cast, strict=True)])
                ]

        return [np.asarray(o) for o in outs], pull

    def derived(self, mode: str, tangents: Sequence[Any], cotangents: Sequence[Any]) -> Level:
        """The derivative of this level in `mode` along a fixed direction, as a level of its own."""
        inner = self.traced

        def along(*leaves: Any) -> Arrays:
            return list(jvp(inner, leaves, [like(t, x) for t, x in zip(tangents, leaves, strict=True)], adopt=False)[1])

        def back(*leaves: Any) -> Arrays:
            outs, pullback = vjp(inner, *leaves, adopt=False)
            return list(pullback([like(c, o) for c, o in zip(cotangents, outs, strict=True)]))

        traced = along if mode == "forward" else back

        def plain(*leaves: Any) -> Arrays:
            self.counts[0] += 1
            # The steepest convention conjugates, which no complex step along real arguments gets through.
            widened = any(
                np.iscomplexobj(a) and not np.iscomplexobj(b) for a, b in zip(leaves, self.leaves, strict=True)
            )
            with (
                np.errstate(all="ignore"),
                config.override(complex_convention="jax" if widened else config.complex_convention),
            ):
                return [np.asarray(o) for o in traced(*leaves)]

        names = self.outputs if mode == "forward" else self.names
        label = "tangent of {}" if mode == "forward" else "gradient for {}"
        return Level(
            plain, traced, self.leaves, self.names, [label.format(n) for n in names], plain(*self.leaves),
            (*self.path, mode), self.counts,
        )  # fmt: skip


def like(v: Any, x: Any) -> Any:
    """A direction in the dtype of what it goes along with."""
    return np.asarray(v).astype(np.result_type(x.dtype, v) if np.iscomplexobj(v) and x.dtype.kind != "c" else x.dtype)[
        ()
    ]
