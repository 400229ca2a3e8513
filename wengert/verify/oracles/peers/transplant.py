"""An example of ours, run by a peer: its function is built anew with references to NumPy, SciPy and `wengert.nn`
leading to the peer's namespaces.

Only functions that are written in `verify/examples` are rebuilt; what they call is replaced by identity.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Callable
from typing import Any

import numpy as np

from wengert.verify.oracles.peers.peer import Missing, Peer

OWN = "wengert.verify.examples"


def transplant(fun: Callable[..., Any], peer: Peer) -> Callable[..., Any]:
    """`fun` with everything it refers to replaced by the peer's counterparts."""
    return _Surgery(peer).function(fun)


class _Lazy:
    """A name of a peer's namespace, looked up when it is called: defaults are replaced before they are needed."""

    def __init__(self, namespace: Any, name: str) -> None:
        self.namespace, self.name = namespace, name

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return getattr(self.namespace, self.name)(*args, **kwargs)

    def __getattr__(self, attribute: str) -> Any:
        if attribute.startswith("__"):
            raise AttributeError(attribute)
        found = getattr(getattr(self.namespace, self.name), attribute, None)
        if found is None:
            raise Missing(f"{self.name} of the peer has no .{attribute}")
        return found


def _served() -> dict[int, tuple[str, str]]:
    """Namespace and name of each function that an example may hold."""
    import scipy.linalg
    import scipy.special

    import wengert.scipy.linalg
    import wengert.scipy.special
    from wengert import nn

    found: dict[int, tuple[str, str]] = {}
    for space, module in (
        ("special", scipy.special),
        ("special", wengert.scipy.special),
        ("linalg", scipy.linalg),
        ("linalg", wengert.scipy.linalg),
        ("nn", nn),
    ):
        for name in dir(module):
            value = getattr(module, name)
            if not name.startswith("_") and callable(value):
                found.setdefault(id(value), (space, name))
    return found


SERVED: dict[int, tuple[str, str]] = {}


class _Surgery:
    def __init__(self, peer: Peer) -> None:
        import scipy.linalg
        import scipy.special

        from wengert import nn

        if not SERVED:
            SERVED.update(_served())
        self.peer = peer
        spaces = types.SimpleNamespace(special=peer.special, linalg=peer.linalg)
        self.modules = {
            id(scipy): spaces,
            id(scipy.special): peer.special,
            id(scipy.linalg): peer.linalg,
            id(nn): peer.nn,
            id(sys.modules["wengert"]): types.SimpleNamespace(scipy=spaces, nn=peer.nn),
        }
        # Choices between SciPy and ours, and detours for NumPy's scalars, have no meaning for a peer.
        self.helpers = {
            "ours": lambda np, *xs: np,
            "special.ours": lambda np: peer.special,
            "scipy_linalg.la": lambda np, *xs: peer.linalg,
            "methods.array": lambda x: x,
        }
        self.known: dict[int, Any] = {}

    def function(self, fun: Any) -> Any:
        if id(fun) in self.known:
            return self.known[id(fun)]
        code = fun.__code__
        globals_: dict[str, Any] = {"__builtins__": __builtins__}
        cells = tuple(types.CellType() for _ in fun.__closure__ or ())
        made = types.FunctionType(code, globals_, fun.__name__, None, cells)
        self.known[id(fun)] = made
        for name in _names(code):
            if name in fun.__globals__:
                globals_[name] = self.value(name, fun.__globals__[name])
        for cell, old, name in zip(cells, fun.__closure__ or (), code.co_freevars, strict=True):
            cell.cell_contents = self.value(name, old.cell_contents)
        made.__defaults__ = None if fun.__defaults__ is None else tuple(self.value("", v) for v in fun.__defaults__)
        if fun.__kwdefaults__:
            made.__kwdefaults__ = {k: self.value(k, v) for k, v in fun.__kwdefaults__.items()}
        return made

    def value(self, name: str, value: Any) -> Any:
        if isinstance(value, types.ModuleType):
            return self.modules.get(id(value), value)
        if isinstance(value, types.FunctionType) and value.__module__.startswith(OWN):
            module = value.__module__.rpartition(".")[2]
            return self.helpers.get(f"{module}.{name}") or self.helpers.get(name) or self.function(value)
        if id(value) in SERVED:
            space, name = SERVED[id(value)]
            return _Lazy(getattr(self.peer, space), name)
        if isinstance(value, np.ndarray) and value.dtype.kind in "biufc":
            return self.peer.array(value)
        return value


def _names(code: types.CodeType) -> set[str]:
    """Names that a function or one inside it may look up in its globals."""
    found = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            found |= _names(constant)
    return found
