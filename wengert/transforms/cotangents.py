"""The cotangents of a sweep that somebody looks into: hooks on variables, rows that are put away.

A sweep keeps its cotangents in a dict. Where a program has hooks, or its rows are no plain list, the dict is of the class below,
which calls hooks as contributions come in and as totals leave. So a sweep without either pays nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from wengert.core.errors import DTypeError, ShapeError
from wengert.core.source import Source, describe
from wengert.core.tensor import Array, Tensor, held, paused, raw
from wengert.graph.program import Program, Var
from wengert.transforms.entry import outward


class Hooks:
    """The hooks on one variable, in the order in which they came."""

    __slots__ = ("each", "tape", "total")

    def __init__(self, tape: Any) -> None:
        self.tape = tape  # a weak reference
        self.total: dict[int, tuple[Callable[[Any], Any], Source | None]] = {}  # called with the complete cotangent
        self.each: dict[
            int, tuple[Callable[[Any, Any], Any], Source | None]
        ] = {}  # with each contribution, and the sum so far


class Cotangents(dict[Any, Array]):
    """Cotangents by Var. `pop` gives complete ones, as hooks leave them."""

    __slots__ = ("check", "hooks", "kept", "told")

    def __init__(self, program: Program, rows: Any) -> None:
        super().__init__()
        self.hooks: dict[Var, Hooks] = program.hooks or {}
        self.told: set[Var] = set()  # variables whose hooks for totals have been called
        self.check: Callable[[], None] | None = None  # whether the sweep can be done at all
        self.kept: Callable[[Array], None] | None = None  # told of every cotangent that is kept here
        if type(rows) is not list:
            rows.begin(self)
            self.kept = getattr(rows, "hold", None)
            self.check = getattr(rows, "check", None)

    def begin(self) -> None:
        """All cotangents to start with are there."""
        if self.check is not None:
            self.check()

    def __setitem__(self, var: Var, ct: Array) -> None:
        if var in self.hooks and var not in self:
            self.contributed(var, ct, ct)
        super().__setitem__(var, ct)
        if self.kept is not None:
            self.kept(ct)

    def pop(self, var: Any, default: Any = None) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        ct = super().pop(var, default)
        if ct is not None and var in self.hooks:
            ct = self._complete(var, ct)
        return ct

    def counts(self, var: Var) -> bool:
        """Whether each contribution to the cotangent of `var` is wanted by itself."""
        return var in self.hooks and bool(self.hooks[var].each)

    def contributed(self, var: Var, ct: Array, total: Array) -> None:
        """Tell of a contribution, and of the sum with it."""
        for fn, _ in tuple(self.hooks[var].each.values()):
            with _asleep(self.hooks[var].tape()):
                fn(outward(shown(ct)), outward(shown(total)))

    def finish(self) -> None:
        """The sweep is over: the cotangents of what no equation has made are complete too."""
        for var in self.hooks:
            if var in self and var not in self.told:
                super().__setitem__(var, self._complete(var, self[var]))

    def _complete(self, var: Var, ct: Array) -> Array:
        self.told.add(var)
        for fn, source in tuple(self.hooks[var].total.values()):
            with _asleep(self.hooks[var].tape()) as tape:
                ct = replaced(fn, ct, var, source, tape)
        return ct


class _asleep:
    """A tape looks away while a hook runs: to the gradient that is being computed, its values are constants."""

    __slots__ = ("mode", "tape")

    def __init__(self, tape: Any) -> None:
        self.tape = tape

    def __enter__(self) -> Any:
        if self.tape is not None:
            self.mode, self.tape.mode = self.tape.mode, paused
        return self.tape

    def __exit__(self, *exc: object) -> None:
        if self.tape is not None:
            self.tape.mode = self.mode


def shown(ct: Array) -> Array:
    """A cotangent for the user to read: a view that cannot be written, or a cell of its own."""
    if type(ct) is np.ndarray:
        ct = ct.view()
        ct.flags.writeable = False
        return ct
    return held(ct)


def replaced(fn: Callable[[Any], Any], ct: Array, var: Any, source: Source | None, tape: Any = None) -> Array:
    """What a user's hook makes of a cotangent of `var`: another one of its shape and dtype, or itself for None.

    The hook sees, and gives, gradients in the user's complex convention.
    """
    found = fn(outward(shown(ct)))
    if found is None:
        return ct
    if tape is not None:
        while type(found) is Tensor and tape.owns(found):
            found = found._value
    if type(found) is Tensor and found._trace.level == 0:
        found = raw(found)
    if not hasattr(found, "shape"):
        found = np.asarray(found)[()] if isinstance(found, (bool, int, float, complex)) else found
    if not hasattr(found, "dtype"):
        raise DTypeError(
            "gradient hook",
            got=f"{type(found).__name__} from the hook",
            want=f"None, or a gradient in the place of the given one: {var.dtype}{list(var.shape)}",
            at=describe(source),
        )
    if tuple(found.shape) != tuple(var.shape):
        raise ShapeError(
            "gradient hook",
            got=f"a replacement of shape {tuple(found.shape)}",
            want=f"that of the gradient, {tuple(var.shape)}",
            fix="numpy.broadcast_to(g, shape), or return None to leave the gradient as it is",
            at=describe(source),
        )
    if found.dtype != var.dtype:
        raise DTypeError(
            "gradient hook",
            got=f"a replacement of dtype {found.dtype}",
            want=f"that of the gradient, {var.dtype}",
            fix=f"return g.astype(numpy.{var.dtype})",
            at=describe(source),
        )
    return outward(held(found))
