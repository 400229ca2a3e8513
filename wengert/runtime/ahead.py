"""Compiling ahead of time: a function staged for given avals (`LoweredFunction`), and compiled for them (`AheadOfTime`)."""

from __future__ import annotations

from typing import Any, NoReturn

from wengert.core.errors import CompileError, DTypeError
from wengert.core.source import describe, here
from wengert.core.tensor import Tensor
from wengert.core.tree import flatten
from wengert.graph.program import Program
from wengert.runtime.interpreted import Interpreted
from wengert.runtime.signature import Signature, typed

STAGES = ("program", "optimized", "llvm", "asm")


class LoweredFunction:
    """A jitted function staged for one signature: what it does, as text and in numbers; `compile()` makes it callable.

    program : the Program, before any pass
    """

    def __init__(self, owner: Any, signature: Signature) -> None:
        self._owner, self._signature = owner, signature  # a JitFunction
        self.program: Program = owner.staged(signature).program

    def __repr__(self) -> str:
        return f"<{self._owner!r}, staged: {len(self.program.eqns)} equations>"

    def executable(self) -> Any:
        """The machine code of the flat program, or CompileError."""
        found = self._owner.compiled(self._signature).executable
        if isinstance(found, Interpreted):
            raise CompileError(
                f"jit of {self._owner.parameters.name}",
                got="a function that is run op by op",
                want="machine code",
                fix="set wengert.config.compile = True; with wengert.config.debug_passes what goes wrong is raised",
                at=describe(here(2)),
            )
        return found

    def as_text(self, stage: str = "optimized") -> str:
        """The function as text.

        stage : "program", as it was recorded; "optimized", after all passes; "llvm", what is given to LLVM; "asm", machine code
        """
        if stage == "program":
            return str(self.program)
        if stage not in STAGES:
            raise ValueError(f"stage {stage!r}: want one of {', '.join(map(repr, STAGES))}")
        found = self.executable()
        if stage == "optimized":
            return str(found.lowered.program)
        return found.llvm() if stage == "llvm" else found.asm

    def cost_analysis(self) -> dict[str, float]:
        """What a call costs: "flops" (in additions; a division counts about ten, a function 20 to 60), "bytes" that its kernels
        read and write, and the numbers of "kernels" and "host_calls"."""
        lowered = self.executable().lowered
        return {
            "flops": float(lowered.flops),
            "bytes": float(sum(k.bytes for k in lowered.kernels)),
            "kernels": len(lowered.kernels),
            "host_calls": len(lowered.host_calls),
        }

    def memory_analysis(self) -> dict[str, int]:
        """Bytes of the "arguments", of the "results", of "constants", of the "workspace" that a call uses while it runs, and of
        machine "code"; "peak" is what a call needs beyond its arguments."""
        found = self.executable()
        lowered = found.lowered
        total = lowered.peak
        return {
            "arguments": sum(map(_nbytes, lowered.ins)),
            "results": total - lowered.workspace,
            "constants": sum(c.nbytes for c in lowered.constants),
            "workspace": lowered.workspace,
            "code": found.nbytes,
            "peak": total,
        }

    def compile(self) -> AheadOfTime:
        """The function, compiled for arguments of this structure and these shapes, dtypes and static values."""
        return AheadOfTime(self)


def _nbytes(aval: Any) -> int:
    return aval.size * aval.dtype.itemsize


class AheadOfTime:
    """A jitted function compiled for one signature. It is called as the function is, static arguments included; arguments of
    another signature raise TypeError. Within `grad`, `vmap` and other transforms use the jitted function itself."""

    def __init__(self, lowered: LoweredFunction) -> None:
        self.lowered = lowered
        self._owner, self._signature = lowered._owner, lowered._signature
        self._compiled = self._owner.compiled(self._signature)
        site = self._owner.site(self._signature.tree, self._signature.statics)
        self._site = site
        self._entry = self._compiled.entry(self._slow) or self._slow
        self._direct = (self._compiled.entry(self._general) or self._general) if site.flat else self._general

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._structured(args, kwargs) if kwargs else self._direct(*args)

    def _general(self, *args: Any) -> Any:
        return self._structured(args, {})

    def _structured(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        statics, args, kwargs = self._owner.parameters.split(args, kwargs)
        leaves, tree = flatten((args, kwargs))
        want = self._signature
        if tree != want.tree or typed(statics) != typed(want.statics):
            self._refuse(Signature(tree, want.avals, statics))
        return self._slow(*leaves) if self._site.flat else self._entry(*leaves)

    def _slow(self, *leaves: Any) -> Any:
        if any(type(x) is Tensor for x in leaves):
            raise DTypeError(
                repr(self._owner), got="a Tensor, for code compiled ahead of time", want="arrays",
                fix="within a transform call the jitted function itself", at=describe(here(2)),
            )  # fmt: skip
        found = [self._owner.admitted(self._site, i, x) for i, x in enumerate(leaves)]
        given = Signature(self._signature.tree, tuple([aval for _, aval in found]), self._signature.statics)
        if given.avals != self._signature.avals:
            self._refuse(given)
        return self._compiled.run([value for value, _ in found])

    def _refuse(self, given: Signature) -> NoReturn:
        raise DTypeError(
            f"{self._owner!r}, compiled ahead of time",
            got=f"arguments of another signature: {self._owner.parameters.difference(self._signature, given)}",
            want="arguments as those that it was lowered for",
            fix="lower and compile it for these, or call the jitted function",
            at=describe(here(3)),
        )

    def as_text(self, stage: str = "optimized") -> str:
        """See `LoweredFunction.as_text`."""
        return self.lowered.as_text(stage)

    def cost_analysis(self) -> dict[str, float]:
        """See `LoweredFunction.cost_analysis`."""
        return self.lowered.cost_analysis()

    def memory_analysis(self) -> dict[str, int]:
        """See `LoweredFunction.memory_analysis`."""
        return self.lowered.memory_analysis()
