"""Every error this library raises on purpose.

    WengertError
    ├── ShapeError (ValueError)           operands that do not fit together
    ├── DTypeError (TypeError)            a dtype that an op or a transform cannot take
    ├── NotDifferentiable (TypeError)     the op, its stated reason, the user's line
    ├── TracerLeak                        a Tensor used after its trace has ended
    ├── ConcretizationError (TypeError)   a value was asked for that a trace does not have, or must not give away
    ├── Unconnected                       a gradient asked for something the result does not depend on
    ├── TapeError                         a tape used against its protocol (spent, still recording, …)
    ├── NonFinite (FloatingPointError)    the first op that made a NaN (`debug_nans`), or an infinity
    ├── BudgetError (MemoryError)         a memory budget that nothing can obey: the smallest one that can be
    ├── LeakError (AssertionError)        memory that is still held, and should not be; who keeps it
    ├── CompileError (RuntimeError)       generated code that LLVM refuses, or cannot link: a bug of this library
    ├── MissingExtra (ImportError)        an optional dependency is not installed
    └── MissingPackage (ImportError)      a package that was named is not installed

Each message says what was got, what is wanted, and the fix; the user's own line
follows when one is known.
"""

from __future__ import annotations

__all__ = [
    "BudgetError",
    "CompileError",
    "ConcretizationError",
    "DTypeError",
    "LeakError",
    "MissingExtra",
    "MissingPackage",
    "NonFinite",
    "NotDifferentiable",
    "ShapeError",
    "TapeError",
    "TracerLeak",
    "Unconnected",
    "WengertError",
]


class WengertError(Exception):
    """Base of the tree above.

    `what` names the op or function that refuses. The keyword parts are joined in
    a fixed order, so that every message reads the same way.
    """

    def __init__(self, what: str, *, got: str = "", want: str = "", fix: str = "", at: object = None) -> None:
        lines = [f"{what}: got {got}" if got else what]
        if want:
            lines.append(f"  want: {want}")
        if fix:
            lines.append(f"  fix:  {fix}")
        if at is not None and str(at):
            lines.append(f"  at:   {at}")
        super().__init__("\n".join(lines))
        self.at = at

    def located(self, at: object) -> WengertError:
        """The same error, with the user's line where it had none."""
        if not self.at and at is not None and str(at):
            self.at = at
            self.args = (f"{self.args[0]}\n  at:   {at}", *self.args[1:])
        return self


class ShapeError(WengertError, ValueError):
    """Operands whose shapes, or a static parameter that, cannot be used together."""


class DTypeError(WengertError, TypeError):
    """A dtype that an op or a transform cannot take."""


class NotDifferentiable(WengertError, TypeError):
    """A derivative was asked of something that has none, or whose rule is refused for a stated reason."""


class TracerLeak(WengertError):
    """A Tensor outlived the trace that made it, or crossed into another thread's trace."""


class ConcretizationError(WengertError, TypeError):
    """A plain number or ndarray was asked of a Tensor whose derivative would be lost, or whose value is unknown."""


class Unconnected(WengertError):
    """The result does not depend on the source."""


class TapeError(WengertError, RuntimeError):
    """A tape used against its protocol."""


class NonFinite(WengertError, FloatingPointError):
    """The first NaN (`config.debug_nans`), or the first NaN or infinity (`detect_anomaly`)."""


class BudgetError(WengertError, MemoryError):
    """A memory budget that no way of computing obeys.

    smallest : the smallest budget in bytes that is known to be possible, or None
    """

    def __init__(self, what: str, *, smallest: int | None = None, **parts: object) -> None:
        super().__init__(what, **parts)  # pyright: ignore[reportArgumentType]
        self.smallest = smallest


class LeakError(WengertError, AssertionError):
    """`profile.assert_no_leaks`: something is alive that was not before."""


class CompileError(WengertError, RuntimeError):
    """Generated code that LLVM refuses, or that cannot be linked: a bug of this library."""


class MissingExtra(WengertError, ImportError):
    """An optional dependency is missing; the message names the extra to install."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(
            f"{purpose} needs the package {package!r}, which is not installed",
            fix=f"pip install 'wengert[{extra}]'",
        )


class MissingPackage(WengertError, ImportError):
    """A package whose sources were to be read is not installed."""

    def __init__(self, package: str) -> None:
        super().__init__(f"package {package!r} is not installed", fix=f"pip install {package}, or leave it out")
