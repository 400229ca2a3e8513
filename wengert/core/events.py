"""What happens, told to whoever listens: one list of listeners for each kind of event.

A place where something happens asks `if events.recorded:` and, if anyone is there, calls them all. With nobody there that is a
test of an empty list, some nanoseconds.

Listeners are called in the thread in which it happens, in the order in which they came, and must not raise but on purpose: what
a listener raises leaves the op, the sweep or the call that it listens to. They see arrays, not copies, and must not write.
A listener that keeps an array keeps its memory; `weakref.ref(array)` does not.

    with listening(recorded=note, cotangent=note_backward):
        ...
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

Listeners = list[Callable[..., Any]]

#: (tape, var, value): a tape was given an array to follow
watched: Listeners = []
#: (tape, row, out): an op has been recorded; `row` has the fields of `graph.Eqn`, `out` is its value (a tuple with `op.multi`)
recorded: Listeners = []
#: (op, args, out, began, ended, source): an op on Tensors of a tape has been run; times of `time.perf_counter`. While anyone
#: listens, tapes take the longer way through `Tape.apply`; a tape that runs already does not notice
executed: Listeners = []
#: (op, args, source): the same is about to be run; told only while someone listens to `executed` too
executing: Listeners = []
#: (op, source, args, out): an op was interpreted without being recorded: a plain `jvp`, the first run of a checkpoint
evaluated: Listeners = []
#: (row, kept, packed): what a row kept was put away, by a hook or to disk; (row, packed, kept): it was fetched again
packed: Listeners = []
unpacked: Listeners = []
#: (row, ct, cts, began, ended): the pullback of an equation was run: its cotangent, and those of its operands
cotangent: Listeners = []
#: (row, ct): the same is about to be run; told only while someone listens to `cotangent` too
pulling: Listeners = []
#: (var, contribution, total): a further contribution was added to the cotangent of a variable; it is None where it was added
#: in place, without being made
accumulated: Listeners = []
#: (program, began, ended): a whole sweep, op by op or compiled
swept: Listeners = []
#: (executable, program): machine code was made, or found on disk; `executable.seconds` has what its stages took
compiled: Listeners = []
#: (name, stage, began, ended): a stage of making a compiled program: "trace", "passes", "lower", "llvm" or "cached", "load"
built: Listeners = []
#: (executable, operands): the same as `ran` is about to happen; told only while someone listens to `ran` too
running: Listeners = []
#: (executable, operands, results, began, ended): a compiled program was run. While anyone listens, calls take the way through Python
ran: Listeners = []
#: (nbytes, address, what): memory was taken, and given back. Told while a memory profiler is on, when it reads its log: `what` is
#: "numpy", "workspace", "block" (a large result of a compiled program) or "stack" (what a compiled loop keeps)
allocated: Listeners = []
freed: Listeners = []

KINDS: dict[str, Listeners] = {
    "watched": watched,
    "recorded": recorded,
    "executed": executed,
    "executing": executing,
    "evaluated": evaluated,
    "packed": packed,
    "unpacked": unpacked,
    "cotangent": cotangent,
    "pulling": pulling,
    "accumulated": accumulated,
    "swept": swept,
    "compiled": compiled,
    "built": built,
    "ran": ran,
    "running": running,
    "allocated": allocated,
    "freed": freed,
}
_when_changed: list[Callable[[], None]] = []


def when_changed(function: Callable[[], None]) -> None:
    """Call `function()` whenever listeners come or go: for whoever takes another way while somebody listens."""
    _when_changed.append(function)


def subscribe(kind: str, listener: Callable[..., Any]) -> Callable[[], None]:
    """Have `listener` called at each event of `kind`; returns what ends that. It may be subscribed more than once."""
    listeners = KINDS.get(kind)
    if listeners is None:
        raise ValueError(f"no kind of event is called {kind!r}; there are {', '.join(KINDS)}")
    listeners.append(listener)
    ended = False
    _changed()

    def end() -> None:
        nonlocal ended
        if not ended:
            ended = True
            for i in range(len(listeners) - 1, -1, -1):
                if listeners[i] is listener:
                    del listeners[i]
                    break
            _changed()

    return end


@contextlib.contextmanager
def listening(**listeners: Callable[..., Any]) -> Iterator[None]:
    """Subscribe for the length of a `with` block: `listening(recorded=f, swept=g)`."""
    with contextlib.ExitStack() as stack:
        for kind, listener in listeners.items():
            stack.callback(subscribe(kind, listener))
        yield


def tell(listeners: Listeners, *what: Any) -> None:
    """Call all of `listeners`; one that ends its subscription meanwhile does no harm."""
    for listener in tuple(listeners):
        listener(*what)


def _changed() -> None:
    for function in _when_changed:
        function()
