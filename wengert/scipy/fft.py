"""`scipy.fft`, differentiable: SciPy's names, arguments and defaults over the ops of `numpy.fft`, and cosine and sine transforms.

On plain arrays every function is SciPy's own. `overwrite_x`, `workers` and backends change no values and are ignored. Functions
without a rule raise NotDifferentiable on Tensors.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from numbers import Number
from typing import Any

import numpy as np
import scipy.fft as _scipy

from wengert.core.errors import NotDifferentiable
from wengert.core.source import describe, here
from wengert.core.tensor import Array
from wengert.numpy import fft as _np
from wengert.numpy.arrays import astype, axis_of, has_tensor
from wengert.numpy.fft import fitted, inexact, lengths_axes, normed
from wengert.numpy.registry import Entry, values
from wengert.ops.basis import conj, scale
from wengert.ops.dct import INVERSE, at_ends
from wengert.ops.dct import dct as dct_op
from wengert.ops.dct import dst as dst_op
from wengert.ops.fft import SWAPPED
from wengert.scipy.serving import serving

NAMES: dict[str, Entry] = {}  #: public name → how it is served
serves = serving(_scipy, NAMES)

CONSTANT = {
    **dict.fromkeys(("next_fast_len", "prev_fast_len"), "a function of integers"),
    **dict.fromkeys(
        "set_backend skip_backend set_global_backend register_backend set_workers get_workers".split(),
        "a setting of SciPy's",
    ),
}
_CUSTOM = "give the derivative with wengert.custom_jvp or wengert.custom_vjp, or cut it with wengert.stop_gradient"
_HANKEL = ("no derivative rule is written for logarithmic Hankel transforms", _CUSTOM)
REFUSED = {"fht": _HANKEL, "ifht": _HANKEL, "fhtoffset": _HANKEL}


def _no_plan(plan: Any) -> None:
    if plan is not None:
        raise NotImplementedError("Passing a precomputed plan is not yet supported by scipy.fft functions")


def _operand(x: Any) -> Array:
    """`x` in a precision that SciPy computes in."""
    x = inexact(x)
    return astype(x, np.float32) if x.dtype == np.float16 else x


# ── Fourier ───────────────────────────────────────────────────────────────────


def _one_axis(name: str) -> None:
    """Serve a transform along one axis, which has NumPy's arguments."""
    transform = getattr(_np, name)

    def function(
        x: Any, n: Any = None, axis: int = -1, norm: Any = None, overwrite_x: bool = False, workers: Any = None,
        *, plan: Any = None,
    ) -> Array:  # fmt: skip
        _no_plan(plan)
        return transform(_operand(x), n, axis, norm)

    function.__name__ = function.__qualname__ = name
    serves(function)


def _each(s: Any) -> Any:
    return (s,) if isinstance(s, (Number, np.integer)) else s


def _distinct(x: Array, axes: Any) -> Any:
    """`axes`, which SciPy wants to be different ones."""
    axes = _each(axes)
    if axes is not None and len({axis_of(a, x.ndim) for a in axes}) != len(axes):
        raise ValueError("all axes must be unique")
    return axes


def _several_axes(name: str, transform: Callable[..., Array]) -> None:
    """Serve a transform over several axes."""
    default = (-2, -1) if name.endswith("2") else None

    def function(
        x: Any, s: Any = None, axes: Any = default, norm: Any = None, overwrite_x: bool = False, workers: Any = None,
        *, plan: Any = None,
    ) -> Array:  # fmt: skip
        _no_plan(plan)
        x = _operand(x)
        return transform(x, _each(s), _distinct(x, axes), norm)

    function.__name__ = function.__qualname__ = name
    serves(function)


def _hfftn(x: Array, s: Any, axes: Any, norm: Any) -> Array:
    return _np.irfftn(conj(x), s, axes, SWAPPED[normed(norm)])


def _ihfftn(x: Array, s: Any, axes: Any, norm: Any) -> Array:
    return conj(_np.rfftn(x, s, axes, SWAPPED[normed(norm)]))


for _name in ("fft", "ifft", "rfft", "irfft", "hfft", "ihfft"):
    _one_axis(_name)
for _name in ("fftn", "ifftn", "rfftn", "irfftn"):
    _several_axes(_name, getattr(_np, _name))
    _several_axes(_name[:-1] + "2", getattr(_np, _name))
for _name, _transform in (("hfftn", _hfftn), ("ihfftn", _ihfftn)):
    _several_axes(_name, _transform)
    _several_axes(_name[:-1] + "2", _transform)


@serves
def fftfreq(n: int, d: Any = 1.0, *, xp: Any = None, device: Any = None) -> Array:
    """`scipy.fft.fftfreq`: differentiable in the sample spacing."""
    return _np.fftfreq(n, d, device=device)


@serves
def rfftfreq(n: int, d: Any = 1.0, *, xp: Any = None, device: Any = None) -> Array:
    """`scipy.fft.rfftfreq`: differentiable in the sample spacing."""
    return _np.rfftfreq(n, d, device=device)


@serves
def fftshift(x: Any, axes: Any = None) -> Array:
    """`scipy.fft.fftshift`."""
    return _np.fftshift(x, axes)


@serves
def ifftshift(x: Any, axes: Any = None) -> Array:
    """`scipy.fft.ifftshift`."""
    return _np.ifftshift(x, axes)


# ── cosine and sine ───────────────────────────────────────────────────────────


def _period(name: str, type: int, n: int) -> int:
    """The length of the Fourier transform that a transform of n points is part of."""
    return 2 * (n + (type == 1) * (-1 if name == "dct" else 1))


def _orthogonal(name: str, type: int, x: Array, axes: tuple[int, ...], before: bool) -> Array:
    """The weights at the ends that make a transform orthogonal: on the operand (`before`) or on the result."""
    root = math.sqrt(2)
    if name == "dct":
        first, last = {1: (root, root), 2: (1 / root, 1), 3: (root, 1)}.get(type, (1, 1))
    else:
        first, last = {2: (1, 1 / root), 3: (1, root)}.get(type, (1, 1))
    if before and type in (1, 3):
        pass
    elif not before and type == 1:
        first, last = 1 / first, 1 / last
    elif before or type == 3:
        return x
    return x if (first, last) == (1, 1) else scale(x, at_ends(x, axes, first, last))


@functools.cache
def _complex_ignores_it() -> bool:
    """Whether this SciPy overlooks `orthogonalize` where the operand is complex."""
    with_it = _scipy.dct(np.ones(2, complex), orthogonalize=True)
    return bool(with_it[0] == _scipy.dct(np.ones(2), orthogonalize=False)[0])


def _trigonometric(
    name: str, x: Array, type: int, lengths: Any, axes: Any, norm: Any, orthogonalize: bool | None, inverse: bool
) -> Array:
    """A cosine ("dct") or sine ("dst") transform with SciPy's options."""
    if type not in INVERSE:
        raise ValueError(f"invalid transform type {type}")
    norm = normed(norm)
    for n, axis in zip(lengths, axes, strict=True):
        x = fitted(x, axis, n)
    if not axes:
        return x
    axes = tuple(sorted(axes))
    if orthogonalize is None or (x.dtype.kind == "c" and _complex_ignores_it()):
        orthogonalize = norm == "ortho"
    type = INVERSE[type] if inverse else type
    x = _orthogonal(name, type, x, axes, before=True) if orthogonalize else x
    out = (dct_op if name == "dct" else dst_op)(x, type=type, axes=axes)
    out = _orthogonal(name, type, out, axes, before=False) if orthogonalize else out
    if norm == ("forward" if inverse else "backward"):
        return out
    factor = 1 / math.prod(_period(name, type, x.shape[a]) for a in axes)
    return scale(out, math.sqrt(factor) if norm == "ortho" else factor)


def _serve_trigonometric(name: str, inverse: bool) -> None:
    """Serve `dct`, `dctn`, `idct`, `idctn` and the same for sines."""

    def one(
        x: Any, type: int = 2, n: Any = None, axis: int = -1, norm: Any = None, overwrite_x: bool = False,
        workers: Any = None, orthogonalize: bool | None = None,
    ) -> Array:  # fmt: skip
        x = _operand(x)
        axis = axis_of(axis, x.ndim)
        return _trigonometric(name, x, type, [x.shape[axis] if n is None else n], [axis], norm, orthogonalize, inverse)

    def several(
        x: Any, type: int = 2, s: Any = None, axes: Any = None, norm: Any = None, overwrite_x: bool = False,
        workers: Any = None, *, orthogonalize: bool | None = None,
    ) -> Array:  # fmt: skip
        x = _operand(x)
        lengths, axes = lengths_axes(x, _each(s), _distinct(x, axes))
        return _trigonometric(name, x, type, lengths, axes, norm, orthogonalize, inverse)

    for function, suffix in ((one, ""), (several, "n")):
        function.__name__ = function.__qualname__ = f"{'i' if inverse else ''}{name}{suffix}"
        serves(function)


for _name in ("dct", "dst"):
    for _inverse in (False, True):
        _serve_trigonometric(_name, _inverse)

# ── the rest ──────────────────────────────────────────────────────────────────


def _entered(name: str, original: Any) -> Entry:
    reason, remedy = REFUSED.get(name, ("no derivative rule is written", _CUSTOM))

    @functools.wraps(original, updated=())
    def function(*args: Any, **kwargs: Any) -> Any:
        if not has_tensor(args) and not has_tensor(tuple(kwargs.values())):
            return original(*args, **kwargs)
        if name in CONSTANT:
            return original(*values(args), **values(kwargs))
        raise NotDifferentiable(f"scipy.fft.{name}: {reason}", fix=remedy, at=describe(here(2)))

    if name in CONSTANT:
        return Entry(f"fft.{name}", "constant", function, CONSTANT[name])
    return Entry(f"fft.{name}", "refused", function, reason, remedy)


for _name in _scipy.__all__:
    _original = getattr(_scipy, _name)
    if _name not in NAMES and callable(_original):
        NAMES[_name] = _entered(_name, _original)


def __getattr__(name: str) -> Any:
    entry = NAMES.get(name)
    return getattr(_scipy, name) if entry is None else entry.function


def __dir__() -> list[str]:
    return sorted({*dir(_scipy), "NAMES"})
