"""When two programs are the same: a digest of ops, parameters, literals' bytes and avals, whatever the variables' names.

Parameters without content of their own (a Python function) enter by their identity: the digest then holds
within this process alone, and the program has no fingerprint.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import numpy as np

from wengert.graph.atoms import Literal, Var

MARKERS: dict[str, Any] = {}  # objects that stand for themselves in parameters, by name

_PLAIN = (str, bytes, bool, int, type(None), type(Ellipsis), np.dtype)


def digest(program: Any) -> tuple[str, bool]:
    """sha256 in hexadecimal, and whether it is the same in every process."""
    sha = hashlib.sha256()
    stable = _feed_program(sha.update, program)
    return sha.hexdigest(), stable


def _feed_program(feed: Callable[[bytes], None], program: Any) -> bool:
    numbers: dict[Any, int] = {}
    stable = True

    def define(var: Any) -> None:
        if var is None:
            feed(b"-")
            return
        numbers[var] = len(numbers)
        feed(f"{var.shape}{var.dtype.str}{var.dtype.name}{'w' if var.weak else ''};".encode())

    def use(atom: Any) -> None:
        nonlocal stable
        if isinstance(atom, Var):
            feed(b"v%d," % numbers[atom])
        elif type(atom) is Literal:
            feed(b"l")
            stable &= _feed(feed, atom.value)
        else:
            feed(b"-")

    feed(b"program(")
    for var in program.ins:
        define(var)
    for op, ins, outs, params, *_ in program.eqns:
        feed(f"\n{op.name}(".encode())
        for atom in ins:
            use(atom)
        for name in sorted(params):
            feed(f" {name}=".encode())
            stable &= _feed(feed, params[name])
        feed(b")->")
        for var in outs if op.multi else (outs,):
            define(var)
    feed(b"\nreturn ")
    for atom in program.outs:
        use(atom)
    feed(b")")
    return stable


def _feed(feed: Callable[[bytes], None], value: Any) -> bool:
    """One parameter or literal; False if it has no stable content."""
    kind = type(value)
    if kind is float or kind is complex:  # by their bits, since NaNs have signs
        feed(b"%s:%s;" % (kind.__name__.encode(), np.asarray(value).tobytes()))
        return True
    if kind in _PLAIN or isinstance(value, np.dtype):
        feed(f"{kind.__name__}:{value!r};".encode())
        return True
    if kind is tuple or kind is list:
        feed(f"{kind.__name__}[{len(value)}".encode())
        stable = _feed_all(feed, value)
        feed(b"]")
        return stable
    if kind is slice:
        feed(b"slice")
        return _feed_all(feed, (value.start, value.stop, value.step))
    if kind is dict:
        feed(b"dict[%d" % len(value))
        return _feed_all(feed, [x for item in value.items() for x in item])
    if isinstance(value, np.generic) or (kind is np.ndarray and value.dtype.kind != "O"):
        array = np.ascontiguousarray(value)
        feed(
            f"{'array' if kind is np.ndarray else 'scalar'}:{value.dtype.str}{value.dtype.name}{value.shape}:".encode()
        )
        feed(hashlib.sha256(array.reshape(-1).view(np.uint8).data if array.size else b"").digest())
        return True
    if hasattr(value, "eqns"):  # by its own digest, which is made once: programs may share programs, level by level
        name, stable = value._digest()
        feed(f"program:{name};".encode())
        return stable
    for name, marker in MARKERS.items():
        if value is marker:
            feed(f"marker:{name};".encode())
            return True
    feed(f"object:{kind.__qualname__}:{id(value)};".encode())
    return False


def _feed_all(feed: Callable[[bytes], None], values: Any) -> bool:
    stable = True
    for value in values:
        stable &= _feed(feed, value)
    return stable
