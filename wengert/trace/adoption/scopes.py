"""`Scope`: the globals of a user's module as adopted code sees them.

LOAD_GLOBAL is fast on exact dicts only, so there is one plain dict per module, filled with the
names that adopted code reads, replaced where they must be. It is the namespace of a module
object, the Scope, which stands for the module itself in `import helpers; helpers.f(x)`.

Reads   The dict is brought up to date by each outermost `adopt`.
Writes  A global that adopted code assigns reaches the real module when the function that assigns it
        returns, or (from a generator, or a closure that outlives it) when the trace ends.
"""

from __future__ import annotations

import builtins
import sys
import types
import weakref
from collections.abc import Callable, Iterable
from typing import Any

from wengert.core.tensor import Trace, active, when_ended
from wengert.trace.adoption.counterparts import original_of

MISSING: Any = type("Missing", (), {"__repr__": lambda self: "<missing>"})()
SCOPE = "__wengert_scope__"  #: the key under which a scope's dict holds its scope

Adopt = Callable[[Any], Any]


class Scope(types.ModuleType):
    """The adopted counterpart of a module, or of any dict that is some function's globals. Its own names are such as no module
    has, since it stands for one.

    Attributes
    ----------
    wengert_real : the user's dict
    wengert_module : the user's module object, if there is one
    wengert_written : name → (adopted value, real value) when they last agreed, for globals that adopted code assigns
    wengert_kept : name → adopted function of the module's top level, held here since nothing else may
    """

    __slots__ = ("wengert_adopt", "wengert_kept", "wengert_module", "wengert_real", "wengert_written")

    def __init__(self, real: dict[str, Any], module: types.ModuleType | None, adopt: Adopt) -> None:
        name = real.get("__name__")
        super().__init__(name if isinstance(name, str) else "__main__")
        put = types.ModuleType.__setattr__
        put(self, "wengert_real", real)
        put(self, "wengert_module", module)
        put(self, "wengert_written", {})
        put(self, "wengert_kept", {})
        put(self, "wengert_adopt", adopt)
        shadow = vars(self)
        shadow.update((k, v) for k, v in real.items() if k.startswith("__") and k.endswith("__"))
        shadow["__builtins__"] = _builtins(adopt)
        shadow[SCOPE] = self

    def wengert_put(self, name: str, value: Any) -> None:
        """Bind a global for adopted code; MISSING unbinds."""
        shadow = vars(self)
        if value is MISSING:
            shadow.pop(name, None)
        elif shadow.get(name, MISSING) is not value:
            shadow[name] = value

    def wengert_watch(self, names: Iterable[str]) -> None:
        """Carry assignments to these globals over to the user's module."""
        for name in names:
            if name not in self.wengert_written:
                self.wengert_written[name] = (MISSING, MISSING)
                vars(self).pop(name, None)
                self.wengert_sync((name,))
        _writing.add(self)

    def wengert_sync(self, names: Iterable[str]) -> None:
        """Carry over what was assigned since these globals last agreed, on either side; adopted code's side first."""
        shadow, real, written = vars(self), self.wengert_real, self.wengert_written
        for name in names:
            ours, theirs = shadow.get(name, MISSING), real.get(name, MISSING)
            our_last, their_last = written[name]
            if ours is not our_last:
                theirs = MISSING if ours is MISSING else original_of(ours)
                if theirs is MISSING:
                    real.pop(name, None)
                else:
                    real[name] = theirs
            elif theirs is not their_last:
                ours = MISSING if theirs is MISSING else self.wengert_adopt(theirs)
                self.wengert_put(name, ours)
            written[name] = (ours, theirs)

    def __getattr__(self, name: str) -> Any:
        if name == SCOPE or (name.startswith("__") and name.endswith("__") and name not in self.wengert_real):
            raise AttributeError(name)
        try:
            value = self.wengert_real[name]
        except KeyError:
            if self.wengert_module is None:
                raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}") from None
            value = getattr(self.wengert_module, name)
        return self.wengert_adopt(value)

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        self.wengert_real[name] = original_of(value)
        if name in self.wengert_written:
            self.wengert_written[name] = (value, self.wengert_real[name])

    def __delattr__(self, name: str) -> None:
        vars(self).pop(name, None)
        del self.wengert_real[name]

    def __dir__(self) -> list[str]:
        return dir(self.wengert_module) if self.wengert_module is not None else list(self.wengert_real)


# ── finding scopes ────────────────────────────────────────────────────────────

_modules: dict[int, Scope] = {}  # of modules that are loaded: they live as long as the process
_others: weakref.WeakValueDictionary[int, Scope] = weakref.WeakValueDictionary()  # namespaces of `exec`, doctests
_writing: weakref.WeakSet[Scope] = weakref.WeakSet()


def scope_of(real: dict[str, Any], adopt: Adopt) -> Scope:
    """The one scope of these globals."""
    key = id(real)
    scope = _modules.get(key) or _others.get(key)
    if scope is not None and scope.wengert_real is real:
        return scope
    module = sys.modules.get(real.get("__name__", ""))
    if module is not None and vars(module) is not real:
        module = None
    scope = Scope(real, module, adopt)
    (_others if module is None else _modules)[key] = scope
    return scope


def is_adopted(function: types.FunctionType) -> bool:
    """Whether `function` already runs in a scope: it was adopted, or defined by adopted code."""
    return SCOPE in function.__globals__


# ── imports inside functions ──────────────────────────────────────────────────

_namespaces: dict[Adopt, dict[str, Any]] = {}


def _builtins(adopt: Adopt) -> dict[str, Any]:
    """Python's builtins, with an `import` statement that hands out adopted modules."""
    found = _namespaces.get(adopt)
    if found is None:

        def __import__(name: str, globals: Any = None, locals: Any = None, fromlist: Any = (), level: int = 0) -> Any:
            return adopt(builtins.__import__(name, globals, locals, fromlist, level))

        found = _namespaces[adopt] = {**vars(builtins), "__import__": __import__}
    return found


def _ended(trace: Trace) -> None:
    if _writing and not active():
        for scope in list(_writing):
            scope.wengert_sync(tuple(scope.wengert_written))


when_ended(_ended)
