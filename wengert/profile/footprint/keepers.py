"""Who keeps an object alive, in words: from a global, a local variable or a suspended function down to it.

The search asks the garbage collector for referrers, level by level, and stops at the first thing that lives by itself. It is
bounded: LEVELS deep, and BREADTH objects a level. Frames and containers of this module's own are left out.
"""

from __future__ import annotations

import contextlib
import gc
import inspect
import sys
import types
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from wengert.core.sizes import shown
from wengert.core.source import describe
from wengert.core.tensor import Tensor
from wengert.graph.program import Program
from wengert.runtime.engine import Executable
from wengert.runtime.jit import JitFunction
from wengert.trace.tape import Tape
from wengert.transforms.gradient_tape import GradientTape

LEVELS, BREADTH = 30, 2000
OWN = __file__
PACKAGES = ("wengert", "numpy", "scipy", "_pytest", "pytest", "pluggy")
CACHES = (JitFunction, Executable)
PLAIN = (list, tuple, dict, set, frozenset)


@dataclass
class Keeper:
    """How an object is reached.

    words : "global `history` of train, element 3 → Tensor → tape begun at train.py:12"
    root : "global", "local", "frame", "class" or "" where none was found within bounds
    cache : it is kept by a cache of wengert's or of another package, for the next call
    objects : what lies on the way, from the root down
    fix : what would let go of it
    """

    words: str
    root: str
    cache: bool
    objects: Sequence[Any]
    fix: str
    name: str = ""


def running(skip: Iterable[str] = ()) -> list[types.FrameType]:
    """The frames that run now, in all threads, without this library's profiler."""
    found: list[types.FrameType] = []
    for frame in sys._current_frames().values():
        at: types.FrameType | None = frame
        while at is not None:
            if at.f_code.co_filename != OWN and at.f_code.co_filename not in skip:
                found.append(at)
            at = at.f_back
    return found


def locals_of(frame: types.FrameType) -> dict[str, Any]:
    """Its local variables; nothing is left behind that holds them."""
    values = dict(frame.f_locals)
    if sys.version_info < (3, 13) and frame.f_code.co_flags & inspect.CO_OPTIMIZED:
        frame.f_locals.clear()  # a copy, which the frame would keep
    return values


def within_reach(frames: Iterable[dict[str, Any]]) -> Iterator[Any]:
    """The arrays, and the tuples and dicts that the garbage collector does not look at, that anything it knows or a local variable
    refers to; arrays as often as something refers to them.

    The collector stops to look at tuples and dicts in which nothing can refer back.
    """
    things = gc.get_objects()
    met: set[int] = set()
    arrays = {np.ndarray}
    while more := {kind for known in arrays for kind in known.__subclasses__()} - arrays:
        arrays |= more
    kinds = arrays | {tuple, dict}
    for start in range(0, len(things) + 1000, 1000):
        found = gc.get_referents(*things[start : start + 1000])
        if start >= len(things):
            found = [value for values in frames for value in values.values()]
        stack = [x for x in found if type(x) in kinds]
        while stack:
            x = stack.pop()
            if type(x) is tuple or type(x) is dict:
                if gc.is_tracked(x) or not x or id(x) in met:
                    continue
                met.add(id(x))
                for y in (
                    x.values() if type(x) is dict else x
                ):  # no new lists: tracemalloc is on, and takes note of each
                    if type(y) in kinds:
                        stack.append(y)
            yield x


class Search:
    """Finds keepers; `frames` are those whose local variables count, `ignored` files those that do not."""

    def __init__(self, ignored: Sequence[str] = ()) -> None:
        self.ignored = {OWN, *ignored}
        modules = reversed(list(sys.modules.items()))  # of several names, the first
        self.modules = {id(vars(m)): name for name, m in modules if isinstance(m, types.ModuleType)}
        self.own: set[int] = {id(self.modules), id(self.ignored), id(self.__dict__), id(self)}

    def keeper(self, target: Any) -> Keeper:
        """The shortest way to `target`."""
        frames = [(f, locals_of(f)) for f in running(self.ignored) if id(f.f_locals) not in self.modules]
        hide = {id(frames), *(id(pair) for pair in frames), *(id(values) for _, values in frames)}
        below: dict[int, Any] = {id(target): None}  # the next one on the way down, by id
        level: list[Any] = [target]
        kept: list[Any] = [target]  # so that ids stay theirs
        hide |= {id(below), id(level), id(kept), id(hide)}
        for _ in range(LEVELS):
            ids = {id(x): x for x in level}
            hide.add(id(ids))
            for frame, values in frames:
                for name, value in values.items():
                    if id(value) in ids:
                        return self._told("local", [value, *self._down(value, below)], frame=frame, name=name)
            above: list[Any] = []
            hide.add(id(above))
            referrers = gc.get_referrers(*level)
            if not any(id(x) not in hide and id(x) not in self.own and not self._mine(x) for x in referrers):
                reach = within_reach([values for _, values in frames])
                referrers = [x for x in reach if type(x) in (tuple, dict) and _holds(x, ids)]
            hide.add(id(referrers))
            for other in referrers:
                if id(other) in below or id(other) in hide or id(other) in self.own or self._mine(other):
                    continue
                child = next((ids[id(x)] for x in gc.get_referents(other) if id(x) in ids), None)
                if child is None:
                    continue
                below[id(other)] = child
                kept.append(other)
                if id(other) in self.modules or isinstance(other, types.ModuleType):
                    return self._told("global", [other, *self._down(other, below)])
                if isinstance(other, types.FrameType):
                    above.insert(0, other)
                elif len(above) < BREADTH:
                    above.append(other)
            if not above:
                break
            level = above
        return self._told("", self._longest(target, below, kept))

    def _mine(self, x: Any) -> bool:
        return isinstance(x, types.FrameType) and x.f_code.co_filename in self.ignored

    @staticmethod
    def _down(x: Any, below: dict[int, Any]) -> list[Any]:
        found = []
        while (x := below[id(x)]) is not None:
            found.append(x)
        return found

    def _longest(self, target: Any, below: dict[int, Any], kept: list[Any]) -> list[Any]:
        return [kept[-1], *self._down(kept[-1], below)] if len(kept) > 1 else [target]

    # ── in words ──────────────────────────────────────────────────────────────

    def _told(self, root: str, path: list[Any], frame: types.FrameType | None = None, name: str = "") -> Keeper:
        first = ""
        objects = path
        if root == "local" and frame is not None:
            first = f"local variable `{name}` of {_place(frame)}"
        elif root == "global":
            space = path[0] if isinstance(path[0], dict) else vars(path[0])
            module = self.modules.get(id(space), "?")
            name = next((k for k, v in space.items() if v is path[1]), "?")
            first = f"global `{name}` of module {module}"
            objects = path[1:]
            if module.partition(".")[0] in PACKAGES:
                return Keeper(f"{first}{self._rest(objects)}", root, True, objects, "", name)
        cache = any(isinstance(x, CACHES) for x in objects)
        words = (first + self._rest(objects)) if first else self._rest(objects, bare=True)
        return Keeper(words or "nobody that could be found", root, cache, objects, _fix(root, objects, words), name)

    def _rest(self, objects: Sequence[Any], bare: bool = False) -> str:
        """From the first object down: how each holds the next. Of what is within a tape, only the last is told."""
        first = _named(objects[0])
        text = first if bare else (f" ({first})" if first and len(objects) > 1 else "")
        within = isinstance(objects[0], Tape)
        parent = objects[0]
        for child in objects[1:]:
            if within:
                if child is objects[-1]:
                    text += f" → {_named(child)}"
            elif type(child) is dict and child is getattr(parent, "__dict__", None):
                continue  # the next one is an attribute
            else:
                text += _label(parent, child) + (f" → {what}" if (what := _named(child)) else "")
            within = within or isinstance(child, Tape)
            parent = child
        return text


def _holds(container: Any, ids: dict[int, Any]) -> bool:
    return any(id(x) in ids for x in gc.get_referents(container))


def _label(parent: Any, child: Any) -> str:
    """Where in `parent` the next object is; empty where that says nothing to a reader."""
    if isinstance(parent, (Program, Tape, Tensor, types.TracebackType, types.CellType)):
        return ""
    if isinstance(parent, types.FrameType):
        return _entry(", local `{}`", locals_of(parent), child)
    if isinstance(parent, types.FunctionType):
        cells = zip(parent.__code__.co_freevars, parent.__closure__ or (), strict=False)
        for name, cell in cells:
            if cell is child or (child is parent.__closure__ and len(child) == 1):
                return f", closed-over `{name}`"
        return _entry(", attribute `{}`", parent.__dict__, child)
    if isinstance(parent, dict):
        return _entry(", entry {!r}", parent, child)
    if isinstance(parent, list):
        return next((f", element {i}" for i, x in enumerate(parent) if x is child), "")
    if isinstance(parent, PLAIN):
        return ""
    return _entry(", attribute `{}`", dict(_attributes(parent)), child)


def _entry(form: str, values: dict[Any, Any], child: Any) -> str:
    for key, value in values.items():
        if value is child:
            return form.format(key if isinstance(key, (str, int, float)) else type(key).__name__)
    return ""


def _attributes(x: Any) -> Iterator[tuple[str, Any]]:
    yield from getattr(x, "__dict__", {}).items()
    for cls in type(x).__mro__:
        slots = cls.__dict__.get("__slots__", ())
        for slot in (slots,) if isinstance(slots, str) else slots:
            with contextlib.suppress(AttributeError):
                yield slot, object.__getattribute__(x, slot)


def _named(x: Any) -> str:
    """An object as a reader knows it; empty for what is only on the way."""
    if isinstance(x, Tape):
        return told_of_tape(x)
    if isinstance(x, (Program, types.CellType)) or type(x) is tuple:
        return ""
    if isinstance(x, Tensor):
        return f"Tensor of the {told_of_tape(x._trace)}" if isinstance(x._trace, Tape) else "Tensor"
    if isinstance(x, types.FrameType):
        return f"frame of {_place(x)}"
    if isinstance(x, types.TracebackType):
        return "traceback"
    if isinstance(x, BaseException):
        return f"{type(x).__name__} exception"
    if isinstance(x, types.FunctionType):
        return f"function {x.__qualname__}"
    if isinstance(x, types.GeneratorType):
        return f"suspended generator {x.__qualname__}"
    if isinstance(x, type):
        return f"class {x.__qualname__}"
    if isinstance(x, PLAIN):
        return f"{type(x).__name__} of {len(x)}"
    if isinstance(x, np.ndarray):
        return f"{x.dtype} array of shape {x.shape}"
    return type(x).__name__


def told_of_tape(tape: Tape) -> str:
    """A tape by the line of its first op, and what it holds."""
    rows = tape.program.eqns
    if not len(rows):
        return "tape of a gradient that has been taken"
    try:
        held = shown(tape.program.residual_bytes())
    except Exception:
        held = "?"
    source = next(((row[6], row[7]) for row in rows if row[6] is not None), None)
    where = describe(source).partition(": ")[0].rpartition("/")[2] if source else "?"
    return f"tape of the gradient begun at {where} ({len(rows)} ops, {held} of residuals)"


def _place(frame: types.FrameType) -> str:
    return f"{frame.f_code.co_qualname} ({frame.f_code.co_filename.rpartition('/')[2]}:{frame.f_lineno})"


def _fix(root: str, objects: Sequence[Any], words: str) -> str:
    """What lets go of it, by the first thing on the way that people keep without meaning to."""
    for x in objects:
        if isinstance(x, (BaseException, types.TracebackType)):
            return "keep str(error), or error.with_traceback(None): an exception's traceback holds every local variable"
        if isinstance(x, GradientTape):
            return "tape.reset(), or let go of the GradientTape, once its gradients are taken"
        if isinstance(x, Tensor):
            return "keep a plain value, float(wengert.stop_gradient(x)) say: a Tensor holds its tape"
        if isinstance(x, types.FunctionType) and "closed-over" in words:
            return "pass the array to the function as an argument, or let go of the function, which closes over it"
    if root == "local":
        return "del it before the block ends, or make it in a function that returns"
    return "take it out of there when the step is done, or keep a number or a copy of the part that is needed"
