"""Other forms of a program whose loops stack what they read on the way back: cut in segments, of which the stacks are made again.

Each form cuts all pairs of loops with large stacks one step further than the form before. See `passes/control/segments.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from wengert.core.sizes import shown
from wengert.graph.program import Program
from wengert.passes.budget.costs import whole
from wengert.passes.control.segments import How, Pair, segmented, sites

LARGE = 1 / 64  # of all memory, from which on a stack is worth cutting


def forms(program: Program, peak: int) -> Iterator[tuple[Program, float, list[str]]]:
    """Forms of a program that is to take less than `peak` bytes, given as it is before the passes over loops: each with the
    seconds that it costs, by the model, and what was done, in words."""
    pairs = [pair for pair in sites(program) if pair.bytes >= LARGE * peak]
    ladder = {_name(program, pair): pair.options() for pair in pairs}
    for step in range(max(map(len, ladder.values()), default=0)):
        form, extra, notes = program, 0.0, []
        for name, options in ladder.items():
            pair = next((p for p in sites(form) if _name(form, p) == name), None)
            if pair is None or not options:
                continue
            how = options[min(step, len(options) - 1)].how
            extra += _seconds(form, pair, how)
            notes.append(_told(pair, how))
            form = segmented(form, pair, how)
        yield form, extra, notes


def _row(program: Program, pair: Pair) -> Any:
    """The equation of the pair's first loop."""
    for number, name, k in pair.path:
        value = program.eqns[number][3][name]
        program = value[k] if type(value) is tuple else value
    return program.eqns[pair.forward]


def _name(program: Program, pair: Pair) -> Any:
    """What a pair is known by when others have been cut."""
    return tuple(map(id, _row(program, pair)[2])), pair.length


def _seconds(program: Program, pair: Pair, how: How) -> float:
    """Seconds of the evaluations that are made again."""
    runs, at = 1, program
    for number, name, k in pair.path:
        params = at.eqns[number][3]
        runs *= params.get("length", 1)
        at = params[name][k] if type(params[name]) is tuple else params[name]
    return runs * whole(at.eqns[pair.forward]) * len(how.lengths) * (1 - how.left / pair.length)


def _told(pair: Pair, how: How) -> str:
    levels = " × ".join(map(str, how.lengths))
    left = f", {how.left} of them as before" if how.left else ""
    return f"a loop of {pair.length} trips keeps {shown(pair.taken(how))} of {shown(pair.bytes)}: segments of {levels}{left}"
