"""`Op`: everything the system will ever know of one operation, in one record.

Arrays are positional, static metadata is keyword-only. Rules call ops, never NumPy,
so that one text serves every trace, at any depth. A missing field fails at import;
a refusal carries its reason.

Rule signatures (`xs` arrays, `n` inputs, `m` outputs when `multi`)

    eval(*xs, **params)              → ndarray, or a tuple of m
    shape(*avals, **params)          → Aval, or a tuple of m; raises ShapeError
    jvp(xs, dxs, out, **params)      → tangent(s); an entry of `dxs` is None where the input is
                                       constant, and at least one is not
    vjp(ct, ins, xs, out, **params)  → n cotangents; None where `ins[i]` is None (not wanted)
    batch(xs, batched, size, **params) → out(s) with the batch axis first; `batched[i]` says which
                                       inputs carry it, always as axis 0
    put(x, y, **params)              → x with the part that this view op shows replaced by y

In `vjp`, `xs[i]` is input i's value if `saves` declares it, `out` the output's if declared;
`ins[i]` is the input's `Var` (shape, dtype), or None for a constant.
With `multi`, `ct` is a list whose entries are None where an output is unused.

Cotangents are paired with tangents by Re(Σ ct·t), without a conjugate, so a pullback
is the plain transpose of the derivative. The user's complex convention is applied
once, where a gradient leaves the library.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import CodeType
from typing import Any

import numpy as np

from wengert.core.aval import Kind
from wengert.core.errors import NotDifferentiable
from wengert.core.form import BY_EVAL
from wengert.core.tensor import Array, Tensor, Trace

OPS: dict[str, Op] = {}

Rule = Callable[..., Any]


@dataclass(frozen=True)
class Constant:
    """In place of a derivative rule: the result is piecewise constant, so the derivative is zero; and why.

    `cut` says that the values do vary, and that what is made of them does not: a shift that cancels.
    """

    reason: str
    cut: bool = False


@dataclass(frozen=True)
class Refuse:
    """In place of a rule: there is none, for this reason; and what to do instead."""

    reason: str
    remedy: str = ""


class Sample:
    """One legal call of an op, from which every generated test is made.

    `args` are shapes, or ready arrays where the values matter (indices, a mask).
    `domain` says where random values come from: an interval, or a function
    `(rng, shape) → float64 array` (say, of positive definite matrices), or a tuple of
    these with one entry per argument. `diff` lists the arguments that may be differentiated
    (default: all given as shapes). `real_only` marks a sample on which complex values make no sense.
    `order` bounds the order of derivatives that finite differences can resolve there.
    `raises` makes it a `rejects` sample.
    """

    def __init__(
        self,
        *args: Any,
        domain: Any = (-2.0, 2.0),
        diff: Sequence[int] | None = None,
        real_only: bool = False,
        order: int = 2,
        raises: type[Exception] | None = None,
        **params: Any,
    ) -> None:
        self.args = args
        self.domain = domain
        self.real_only = real_only
        self.order = order
        self.raises = raises
        self.params = params
        shapes = [i for i, a in enumerate(args) if isinstance(a, tuple)]
        self.diff = tuple(shapes if diff is None else diff)

    def build(self, rng: np.random.Generator, dtype: Any = np.float64) -> list[Any]:
        """Arrays for one call: shapes filled with random values of `dtype`, the rest as given."""
        dtype = np.dtype(dtype)
        built = []
        for i, arg in enumerate(self.args):
            if not isinstance(arg, tuple):
                built.append(arg)
                continue
            domain = self.domain
            if isinstance(domain, tuple) and domain and (callable(domain[0]) or isinstance(domain[0], tuple)):
                domain = domain[i]
            value = _draw(rng, arg, domain)
            if dtype.kind == "c" and value.dtype.kind != "c":
                value = value + 1j * _draw(rng, arg, domain)
            if dtype.kind != "c" and value.dtype.kind == "c":
                value = np.real(value)
            built.append(np.asarray(value).astype(dtype)[()])
        return built

    def __repr__(self) -> str:
        shown = ", ".join(str(a) if isinstance(a, tuple) else type(a).__name__ for a in self.args)
        params = "".join(f", {k}={v!r}" for k, v in self.params.items())
        return f"({shown}{params})"


def named(function: Any, name: str) -> Any:
    """`function`, called `name` where profilers and tracebacks look, if it had no name that tells anything."""
    code = getattr(function, "__code__", None)
    if isinstance(code, CodeType) and code.co_name in ANONYMOUS:
        function.__code__ = code.replace(co_name=name, co_qualname=name)
    return function


ANONYMOUS = frozenset({"<lambda>", "method", "rule", "vjp", "jvp", "eval", "evaluate", "pullback", "pushforward"})


def _draw(rng: np.random.Generator, shape: tuple[int, ...], domain: Any) -> np.ndarray:
    if callable(domain):
        return np.asarray(domain(rng, shape))
    low, high = domain
    return rng.uniform(low, high, size=shape)


Residual = int | slice | str
Saves = Sequence[Residual] | Mapping[int, Sequence[Residual]]


@dataclass(eq=False, kw_only=True, slots=True)
class Op:
    """See the module's docstring for the rules' signatures.

    lower
        What the op is to the compiler: a form of `core/form.py`.
    saves
        Residuals: input numbers, slices of them (variadic ops), "out". A mapping gives them per
        wanted input: `{0: (1,), 1: (0,)}` saves x₁ only if x₀'s cotangent is wanted.
    put
        For view ops: how a write to the view reaches its base.
    note
        The subgradient taken at kinks and boundaries, where there are any.
    source
        Paper or book that a non-obvious rule comes from.
    overwrite
        As `vjp`, but may write into `ct`, an ndarray that nobody else holds.
    accumulate
        `accumulate(into, ct, xs, **params)` adds the cotangent of operand 0 into an ndarray that nobody
        else holds, where making and adding a whole array would cost more.
    exact
        Operands that are compared for equality: their last bits matter, so they are never computed a second time, when compiled
        code might round otherwise.
    both
        `both(xs, dxs, **params) → (out, tangents)`: the result and its tangent at once, where they share their work.
    transparent
        `eval` is itself written in ops (a user's function with a custom rule): outer traces see
        what it does, not the op.
    """

    name: str
    accepts: Kind
    shape: Rule
    eval: Rule
    jvp: Rule | Constant | Refuse
    vjp: Rule | Constant | Refuse
    saves: Saves
    batch: Rule | Refuse
    samples: tuple[Sample, ...]
    lower: Any = BY_EVAL
    multi: bool = False
    put: Rule | None = None
    rejects: tuple[Sample, ...] = ()
    note: str = ""
    source: str = ""
    overwrite: Rule | None = None
    accumulate: Rule | None = None
    both: Rule | None = None
    exact: Sequence[int] = ()
    transparent: bool = False
    constant: bool = field(init=False)
    pullback: Rule = field(init=False, repr=False)  # `vjp`, or what raises in its place
    pushforward: Rule = field(init=False, repr=False)  # `jvp`, likewise
    batched: Rule = field(init=False, repr=False)  # `batch`, likewise
    plain: bool = field(init=False)  # one output, and no rule that works in place
    _dropped: dict[tuple[int, int], tuple[tuple[int, ...], tuple[int, ...], bool]] = field(
        init=False, default_factory=dict, repr=False
    )

    def __post_init__(self) -> None:
        if self.name in OPS:
            raise ValueError(f"two ops are named {self.name!r}")
        for rule in ("eval", "vjp", "jvp"):
            named(getattr(self, rule), f"{self.name}.{rule}")
        self.constant = isinstance(self.vjp, Constant)
        self.pullback = self._checked("vjp")
        self.pushforward = self._checked("jvp")
        self.batched = self._checked("batch")
        self.plain = not (self.multi or self.overwrite or self.accumulate)
        OPS[self.name] = self

    def __call__(self, *args: Array, **params: Any) -> Any:
        innermost: Trace | None = None
        for a in args:
            if type(a) is Tensor:
                if a._view is not None:
                    a._sync()
                trace = a._trace
                if trace is not innermost and (innermost is None or trace.level > innermost.level):
                    innermost = trace
        if innermost is not None:
            return innermost.apply(self, args, params)
        return self.eval(*args, **params) if params else self.eval(*args)

    def _checked(self, which: str) -> Rule:
        """The rule named `which`, or in its place what raises NotDifferentiable with the stated reason."""
        rule = getattr(self, which)

        def refused(*args: Any, **params: Any) -> Any:
            raise NotDifferentiable(f"{self.name} has no {which} rule: {rule.reason}", fix=getattr(rule, "remedy", ""))

        return rule if callable(rule) else refused

    def dropped(self, mask: int, n: int) -> tuple[tuple[int, ...], tuple[int, ...], bool]:
        """For `n` inputs of which those in bit mask `mask` are wanted: the inputs whose values
        the pullback does not need, the constant ones that it does, and whether it needs the output."""
        known = self._dropped.get((mask, n))
        if known is None:
            saves = self.saves
            if isinstance(saves, Mapping):
                declared = [s for i in range(n) if mask >> i & 1 for s in saves.get(i, ())]
            else:
                declared = list(saves)
            needed: set[int | str] = set()
            for s in declared:
                needed |= set(range(n)[s]) if isinstance(s, slice) else {s}
            drop = tuple(i for i in range(n) if i not in needed)
            captured = tuple(i for i in range(n) if i in needed and not mask >> i & 1)
            known = self._dropped[mask, n] = (drop, captured, "out" in needed)
        return known

    def __repr__(self) -> str:
        return f"<op {self.name}>"
