"""A drop-in `scipy.special`: the same names, differentiable in every real parameter that has a closed form.

Importing this module registers SciPy's ufuncs, so that `scipy.special.gammaln(tensor)` arrives here by NumPy's
dispatch. `NAMES` lists what becomes of every public name: differentiable (and in which arguments), constant
(with the reason) or refused (with a remedy).

Shapes  SciPy's: ufuncs broadcast.
Errors  NotDifferentiable, naming the function, the argument, the reason and a remedy.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.special as sp

from wengert.core.errors import NotDifferentiable
from wengert.core.op import Constant, Op, Refuse
from wengert.core.source import describe, here
from wengert.core.tensor import Tensor, carries
from wengert.core.tree import leaves
from wengert.numpy.registry import UFUNCS, Entry, values
from wengert.numpy.ufunc import Ufunc
from wengert.ops.special import ARGUMENTS, COMPOSED, SPECIAL, original
from wengert.scipy.special_functions import FUNCTIONS

_FAMILIES = (
    "elementary",
    "error",
    "gamma",
    "incomplete",
    "bessel",
    "elliptic",
    "hypergeometric",
    "integral",
    "distribution",
)
for _family in _FAMILIES:
    importlib.import_module(f"wengert.ops.special_{_family}")

NAMES: dict[str, Entry] = {}  #: public name → how it is served

# ── what is refused, and why ──────────────────────────────────────────────────

_CUSTOM = "give the derivative with wengert.custom_jvp or wengert.custom_vjp, or cut it with wengert.stop_gradient"
_NONCENTRAL = "derivatives of non-central F and t distributions have no closed form in these parameters"
_DF = "the derivative in the degrees of freedom of a non-central χ² has no closed form"
_RADIAL = "SciPy's values of this function and of its derivative disagree, so neither can be differentiated"
_LISTS = "it returns functions of all degrees at once, by a recurrence outside NumPy"

_Reasons = dict[str, tuple[str, str]]


def _all(names: str, reason: str, remedy: str) -> _Reasons:
    return dict.fromkeys(names.split(), (reason, remedy))


_NO_RULE = ("no derivative rule is written", _CUSTOM)
_REFUSED: _Reasons = {
    **_all("ncfdtr ncfdtri ncfdtridfd ncfdtridfn ncfdtrinc", _NONCENTRAL, _CUSTOM),
    **_all("nctdtr nctdtridf nctdtrinc nctdtrit", _NONCENTRAL, _CUSTOM),
    **_all("chndtridf", _DF, _CUSTOM),
    **_all("obl_rad2 obl_rad2_cv pro_rad2 pro_rad2_cv", _RADIAL, _CUSTOM),
    **_all(
        "lqmn lqn riccati_jn riccati_yn lmbda pbdn_seq pbdv_seq pbvv_seq"
        " legendre_p_all assoc_legendre_p_all sph_legendre_p_all sph_harm_y_all",
        _LISTS,
        "call the function of one degree (eval_legendre, lpmv, sph_harm_y, spherical_jn, pbdv) for each",
    ),
    **_all("legendre_p", "no derivative rule is written", "use eval_legendre(n, x)"),
    **_all("assoc_legendre_p sph_legendre_p", "no derivative rule is written", "use lpmv(m, n, x)"),
    **_all("factorial2 factorialk", "they live on integers", "use gamma"),
    **_all("ellip_harm ellip_harm_2 ellip_normal", "ellipsoidal harmonics have no rule written", _CUSTOM),
    **_all("obl_cv_seq pro_cv_seq", "the characteristic value has no closed form in c", _CUSTOM),
    **_all("mathieu_even_coef mathieu_odd_coef", "Fourier coefficients have no closed form in q", _CUSTOM),
}

# ── what is constant, and why ─────────────────────────────────────────────────

_POLYNOMIALS = (
    "chebyc chebys chebyt chebyu gegenbauer genlaguerre hermite hermitenorm jacobi laguerre legendre"
    " sh_chebyt sh_chebyu sh_jacobi sh_legendre"
)
_SETTINGS = "errstate geterr seterr test SpecialFunctionError SpecialFunctionWarning"
_CONSTANT: dict[str, str] = {
    **dict.fromkeys(("bernoulli", "euler", "stirling2"), "a function of integers"),
    **dict.fromkeys(_SETTINGS.split(), "about the module"),
    **dict.fromkeys(_POLYNOMIALS.split(), "a polynomial object of given degree"),
}
_NODES = "nodes and zeros of given degree"

# Functions of SciPy's that are written in its ufuncs, and so dispatch by themselves.
_THROUGH = "zeta lambertw jvp yvp ivp kvp h1vp h2vp sinc assoc_laguerre"


def _refusing(name: str, function: Any, reason: str, remedy: str) -> Callable[..., Any]:
    """`function`, raising NotDifferentiable if an argument is, or holds, a Tensor."""

    @functools.wraps(function, updated=())
    def refused(*args: Any, **kwargs: Any) -> Any:
        if any(type(leaf) is Tensor for leaf in leaves((args, kwargs))):
            raise NotDifferentiable(f"scipy.special.{name}: {reason}", fix=remedy, at=describe(here(2)))
        return function(*args, **kwargs)

    return refused


def _constant(name: str, function: Any) -> Callable[..., Any]:
    """`function` on the values of Tensors of integers; a parameter that carries a derivative is refused."""

    @functools.wraps(function, updated=())
    def on_values(*args: Any, **kwargs: Any) -> Any:
        if any(carries(leaf) for leaf in leaves((args, kwargs))):
            raise NotDifferentiable(
                f"scipy.special.{name}: no derivative rule in its real parameters", fix=_CUSTOM, at=describe(here(2))
            )
        return function(*values(args), **values(kwargs))

    return on_values


# ── ufuncs ────────────────────────────────────────────────────────────────────


def _argument_notes(name: str) -> tuple[str, str, bool]:
    """In which arguments a ufunc is differentiable, why not in the others, and whether in any."""
    rows = ARGUMENTS.get(name, {})
    good = [a for a, why in rows.items() if why is None]
    bad = {a: why for a, why in rows.items() if why is not None}
    notes = [f"{a}: {why.reason}" for a, why in bad.items()]
    remedies = dict.fromkeys(why.remedy for why in bad.values() if isinstance(why, Refuse))
    differentiable = f"in {', '.join(good)}" if bad and good else ""
    return "; ".join(filter(None, [differentiable, *notes])), "; ".join(remedies), bool(good) or not rows


def _serve_ufunc(name: str, ufunc: np.ufunc) -> None:
    op = SPECIAL.get(name) or COMPOSED.get(name)
    if op is None:
        if not name.startswith("_"):
            _refuse_ufunc(name, ufunc, *_REFUSED.get(name, _NO_RULE))
        return
    made = Ufunc(ufunc, op)
    UFUNCS[ufunc] = made
    if isinstance(op, Op) and op.constant:
        _enter(name, "constant", made, op.vjp.reason)  # type: ignore[union-attr]
        return
    reason, remedy, any_argument = _argument_notes(name)
    if not any_argument and not any(isinstance(w, Constant) for w in ARGUMENTS[name].values()):
        _enter(name, "refused", made, reason, remedy)
    else:
        _enter(name, "differentiable", made, reason, remedy)


def _refuse_ufunc(name: str, ufunc: np.ufunc, reason: str, remedy: str) -> None:
    made = Ufunc(ufunc, _refusing(name, ufunc, reason, remedy))
    UFUNCS[ufunc] = made
    _enter(name, "refused", made, reason, remedy)


def _enter(name: str, status: Any, function: Any, reason: str = "", remedy: str = "") -> None:
    if not name.startswith("_"):
        NAMES[name] = Entry(f"special.{name}", status, function, reason, remedy)


def _serve_all() -> None:
    for name in {*SPECIAL, *COMPOSED}:
        ufunc = original(name)
        if ufunc is not None and name.startswith("_"):
            _serve_ufunc(name, ufunc)
    for name in sorted(dir(sp)):
        found = getattr(sp, name)
        if name.startswith("_") or not callable(found):
            continue
        inner = getattr(found, "__wrapped__", None)  # with SCIPY_ARRAY_API=1, functions stand before the ufuncs
        if isinstance(inner, np.ufunc):
            found = inner
        if isinstance(found, np.ufunc):
            _serve_ufunc(name, found)
        elif name in FUNCTIONS:
            _enter(name, "differentiable", FUNCTIONS[name])
        elif name in _THROUGH.split():
            _enter(name, "differentiable", getattr(sp._basic, name, found))
        elif name in _CONSTANT:
            _enter(name, "constant", found if isinstance(found, type) else _constant(name, found), _CONSTANT[name])
        elif name.endswith("_zeros") or "roots" in name:
            _enter(name, "constant", _constant(name, found), _NODES)
        else:
            reason = _REFUSED.get(name, _NO_RULE)
            _enter(name, "refused", _refusing(name, found, *reason), *reason)


_serve_all()


def __getattr__(name: str) -> Any:
    entry = NAMES.get(name)
    return getattr(sp, name) if entry is None else entry.function


def __dir__() -> list[str]:
    return sorted({*dir(sp), *NAMES})
