"""What would be compiled for a Program, up to the plan of its memory. No machine code is made."""

from __future__ import annotations

from collections import Counter

from wengert.graph.program import Program
from wengert.lowering.lowered import HostReference, Kernel, Lowered
from wengert.profile.footprint.prediction.temporaries import nbytes_of, temporaries


def lowered(program: Program, donated: frozenset[int] = frozenset()) -> Lowered:
    """What would be compiled for a staged program."""
    from wengert.lowering.lower import lower

    return lower(_optimised(program), donated=donated)


def _optimised(program: Program) -> Program:
    from wengert.lowering.straight import STRAIGHT
    from wengert.passes.control.speculation import speculation
    from wengert.passes.pipeline import optimise
    from wengert.transforms.control.rows import together

    optimised, _ = optimise(program)
    batched = together(optimised, STRAIGHT["scan"].supports)
    if batched is not optimised:
        optimised, _ = optimise(batched)
    return speculation(optimised, Counter())


def passing(program: Program) -> int:
    """What a call of a program takes beyond its arguments and results, while it runs."""
    found = program.derived.get("passing")
    if found is None:
        plan = lowered(program)
        found = program.derived["passing"] = plan.workspace + max(host_bytes(plan), default=0)
    return found


# ── host calls ────────────────────────────────────────────────────────────────


def host_bytes(plan: Lowered) -> list[int]:
    """For each step what NumPy makes in it: the results of ops that are run by `eval`, and what these take in passing."""
    own = [_is_host(kernel) for kernel in plan.kernels]
    calls = list(plan.host_calls)
    split = len(calls) - sum(own)  # those of bodies come first
    inner = max((_bytes(call) for call in calls[:split]), default=0)
    mine = iter(calls[split:])
    return [
        _bytes(next(mine)) if host else inner if any(map(_is_host, kernel.within())) else 0
        for host, kernel in zip(own, plan.kernels, strict=True)
    ]


def _is_host(kernel: Kernel) -> bool:
    return kernel.note.startswith("host call")


def _bytes(call: HostReference) -> int:
    return sum(map(nbytes_of, call.outs)) + temporaries(call.op, call.ins, call.outs, call.params)
