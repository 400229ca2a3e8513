"""From names as they are written to the public names they stand for, and what wengert makes of each.

`numpy.core.fromnumeric.sum`, `numpy.sum` and `xp.sum` are one name. Objects are compared by identity where they can be, so that a
private module's function counts for the public one; a private function that is public nowhere is internal to its package.
"""

from __future__ import annotations

import importlib
import inspect
import io
import sys
import types
import warnings
from collections import Counter, OrderedDict, defaultdict, deque
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

from wengert.numpy.registry import NAMES, theirs
from wengert.verify import api
from wengert.verify.gaps.scan import STAR, XP

SPACES = tuple(
    (
        "numpy numpy.linalg numpy.fft numpy.random numpy.polynomial numpy.polynomial.polynomial numpy.polynomial.chebyshev"
        " numpy.polynomial.hermite numpy.polynomial.hermite_e numpy.polynomial.laguerre numpy.polynomial.legendre"
        " numpy.polynomial.polyutils numpy.ma numpy.ma.extras numpy.ma.mrecords numpy.char numpy.strings numpy.rec numpy.testing"
        " numpy.typing numpy.lib numpy.lib.stride_tricks numpy.lib.recfunctions numpy.lib.scimath numpy.lib.format"
        " numpy.lib.npyio numpy.lib.array_utils numpy.lib.introspect numpy.lib.mixins numpy.lib.user_array numpy.emath"
        " numpy.ctypeslib numpy.exceptions numpy.dtypes numpy.f2py numpy.version numpy.matlib"
        " scipy scipy.special scipy.linalg scipy.linalg.blas scipy.linalg.lapack scipy.linalg.interpolative scipy.fft scipy.fftpack"
        " scipy.integrate scipy.interpolate scipy.optimize scipy.signal scipy.signal.windows scipy.sparse"
        " scipy.sparse.linalg scipy.sparse.csgraph scipy.stats scipy.stats.mstats scipy.stats.qmc scipy.stats.contingency"
        " scipy.stats.sampling scipy.spatial scipy.spatial.distance scipy.spatial.transform scipy.ndimage scipy.differentiate"
        " scipy.cluster scipy.cluster.vq scipy.cluster.hierarchy scipy.constants scipy.datasets scipy.io scipy.io.arff"
        " scipy.io.wavfile scipy.io.matlab scipy.odr"
    ).split()
)

SERVED = frozenset({"numpy", "numpy.linalg", "numpy.fft", "scipy.special", "scipy.linalg", "scipy.fft"})

# Types of which real code has many, besides arrays: a method that one of them has says little about its receiver.
_COMMON: tuple[type, ...] = (
    *(
        str,
        bytes,
        bytearray,
        memoryview,
        list,
        tuple,
        dict,
        set,
        frozenset,
        int,
        float,
        complex,
        bool,
        range,
        slice,
        object,
    ),
    *(
        io.TextIOWrapper,
        io.BytesIO,
        io.StringIO,
        deque,
        defaultdict,
        Counter,
        OrderedDict,
        datetime,
        Decimal,
        Fraction,
        Path,
    ),
    *(types.SimpleNamespace, types.FunctionType),
)
_COMMON_SCIENTIFIC = {
    "scipy.sparse": ("csr_array", "csr_matrix", "coo_array", "lil_array"),
    "scipy.stats": ("rv_continuous", "rv_discrete", "gaussian_kde"),
    "scipy.spatial.transform": ("Rotation",),
    "scipy.signal": ("lti", "dlti"),
    "numpy.random": ("Generator", "RandomState"),
}


def module(space: str) -> types.ModuleType | None:
    """The public module of that name; None if the installed version has none."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            found = importlib.import_module(space)
        except ImportError:
            root, _, rest = space.partition(".")
            found = getattr(importlib.import_module(root), rest, None) if rest else None
    return found if isinstance(found, types.ModuleType) else None


@dataclass(frozen=True)
class Name:
    """A public name. `found` is the object of the installed package."""

    name: str
    space: str
    found: Any


@cache
def _public() -> tuple[dict[int, Name], dict[str, types.ModuleType]]:
    """Public names by the identity of their object, and the public modules."""
    by_object: dict[int, Name] = {}
    modules: dict[str, types.ModuleType] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for space in SPACES:
            where = module(space)
            if where is None:
                continue
            modules[space] = where
            for name in getattr(where, "__all__", None) or api.public(where):
                found = _look(where, name)
                if isinstance(found, types.ModuleType) or not (callable(found) or f"{space}.{name}" in _standings()[0]):
                    continue
                # Of several names for one object (abs, absolute), the one that the object says itself.
                if id(found) not in by_object or (
                    getattr(found, "__name__", "") == name and by_object[id(found)].space == space
                ):
                    by_object[id(found)] = Name(f"{space}.{name}", space, found)
    return by_object, modules


@dataclass(frozen=True)
class NoName:
    """What a dotted name stands for if it is no public callable, in words."""

    why: str


MODULE = NoName("a module, passed on or looked into")
VALUE = NoName("a number, a dtype or another object that is not called")
INTERNAL = NoName("a private function of the package's own")
NOT_STANDARD = NoName("an attribute of an array namespace that the standard does not have")
UNBOUND = NoName("bound by no import, in a file with a star import")


def canonical(dotted: str) -> Name | NoName:
    """The public name behind a dotted one, in whichever module of the package it was found."""
    modules_starred, star, rest_of_it = dotted.partition(STAR)
    if star:
        tried = [canonical(f"{space}.{rest_of_it}") for space in modules_starred.split("|")]
        return next((t for t in tried if t not in (INTERNAL, UNBOUND)), UNBOUND)
    parts = dotted.split(".")
    if parts[0] == XP:
        return _standard(parts[1:])
    by_object, modules = _public()
    where, rest = _module_of(parts, modules)
    if where is None:
        return INTERNAL
    if not rest:
        return MODULE
    found = _look(where, rest[0])
    if isinstance(found, types.ModuleType):
        return MODULE
    known = by_object.get(id(found)) or (_same_name(rest[0], parts, modules) if callable(found) else None)
    if known is None:
        return INTERNAL if found is _MISSING or callable(found) else VALUE
    return _method(known, rest[1]) if len(rest) > 1 else known


_MISSING: Any = object()


def _look(where: Any, name: str) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return getattr(where, name, _MISSING)
        except Exception:  # deprecated attributes raise what they like
            return _MISSING


def _module_of(parts: list[str], modules: dict[str, types.ModuleType]) -> tuple[types.ModuleType | None, list[str]]:
    """The innermost loaded module along the name, and what follows it. Nothing private is imported."""
    where = modules.get(parts[0])
    at = 1
    while where is not None and at < len(parts):
        deeper = modules.get(".".join(parts[: at + 1])) or sys.modules.get(".".join(parts[: at + 1]))
        found = _look(where, parts[at])
        if deeper is None or (
            found is not deeper and not isinstance(found, types.ModuleType) and found is not _MISSING
        ):
            deeper = found
        if not isinstance(deeper, types.ModuleType):
            break
        where, at = deeper, at + 1
    return where, parts[at:]


def _same_name(name: str, parts: list[str], modules: dict[str, types.ModuleType]) -> Name | None:
    """The public name next to a private one that is wrapped: scipy.fft._basic.fft is called for scipy.fft.fft."""
    for depth in (2, 1):
        space = ".".join(parts[:depth])
        if space in modules and not name.startswith("_") and callable(found := _look(modules[space], name)):
            return _public()[0].get(id(found))
    return None


def _method(known: Name, attribute: str) -> Name:
    """`scipy.stats.norm.cdf`: the method of a distribution is a name of its own; those of ufuncs and types are not."""
    found = known.found
    if known.space == "scipy.stats" and not isinstance(found, type) and not inspect.isroutine(found):
        method = _look(found, attribute)
        if inspect.ismethod(method):
            return Name(f"{known.name}.{attribute}", known.space, method)
    return known


def _standard(parts: list[str]) -> Name | NoName:
    """A name of the array API standard, as NumPy has it."""
    if not parts:
        return MODULE
    dotted = ".".join(parts[:2]) if parts[0] in ("linalg", "fft") else parts[0]
    if dotted in ("linalg", "fft"):
        return MODULE
    found = theirs(dotted)
    if dotted not in _standard_names():
        return NOT_STANDARD if found is None or (callable(found) and not isinstance(found, type)) else VALUE
    space = ".".join(("numpy", *dotted.split(".")[:-1]))
    return _public()[0].get(id(found)) or Name(f"numpy.{dotted}", space, found)


@cache
def _standard_names() -> frozenset[str]:
    return frozenset(name for group in api.ARRAY_API.values() for name in group.split())


# ── what becomes of a name ────────────────────────────────────────────────────


@dataclass(frozen=True)
class Standing:
    """What wengert makes of a name: differentiable, constant, refused, blank, or unserved."""

    status: str
    reason: str = ""
    remedy: str = ""


@cache
def _standings() -> tuple[dict[str, Standing], dict[int, Standing]]:
    """By full dotted name, and by the identity of NumPy's and SciPy's objects."""
    by_name: dict[str, Standing] = {}
    by_object: dict[int, Standing] = {}
    for row in api.rows():
        if row.space == "array API":
            continue
        full = row.name if row.space in ("ndarray",) or row.space.startswith("scipy") else f"numpy.{row.name}"
        by_name[full] = Standing(row.status, row.reason, row.remedy)
    for name, entry in NAMES.items():
        standing = Standing(entry.status, entry.reason, entry.remedy)
        by_name.setdefault(f"numpy.{name}", standing)
        if theirs(name) is not None:
            by_object[id(theirs(name))] = standing
    return by_name, by_object


def standing(name: Name) -> Standing:
    """What becomes of a public name."""
    by_name, by_object = _standings()
    known = by_name.get(name.name) or by_object.get(id(name.found))
    return known or Standing("unserved", f"wengert has no names of {name.space}" if name.space not in SERVED else "")


def method_standing(method: str) -> Standing:
    """What becomes of a method of ndarray."""
    return _standings()[0].get(f"ndarray.{method}") or Standing("blank")


@cache
def _common_attributes() -> dict[str, str]:
    """Attribute → a type that has it and is common besides ndarray."""
    kinds: list[type] = list(_COMMON)
    for space, wanted in _COMMON_SCIENTIFIC.items():
        where = module(space)
        kinds += [found for name in wanted if isinstance(found := _look(where, name), type)]
    return {attribute: kind.__name__ for kind in reversed(kinds) for attribute in dir(kind)}


def method_kind(method: str) -> str:
    """A common type other than ndarray that has a method of this name; empty if it tells an array."""
    return _common_attributes().get(method, "")
