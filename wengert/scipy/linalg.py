"""`scipy.linalg`, differentiable: SciPy's names, arguments and defaults over the ops of `numpy.linalg`.

On plain arrays every function is SciPy's own. Functions without a rule raise NotDifferentiable
on Tensors. `overwrite_*`, `check_finite`, `lwork` and LAPACK drivers change no values and are ignored.
Arguments of which SciPy reads one triangle are treated as `wengert.numpy.linalg` treats them.
"""

from __future__ import annotations

import functools
from typing import Any

import scipy.linalg as _scipy

from wengert.core.errors import NotDifferentiable
from wengert.core.source import describe, here
from wengert.numpy.arrays import has_tensor
from wengert.numpy.registry import Entry, values
from wengert.scipy.bands import *  # noqa: F403
from wengert.scipy.factorizations import *  # noqa: F403
from wengert.scipy.matrix_functions import *  # noqa: F403
from wengert.scipy.serving import NAMES

REFUSED = {
    "null_space": ("a basis of a null space is not unique", "use svd, or a projector that is: I - pinv(A) @ A"),
    "orth": ("a basis of a range is not unique", "use qr, or the projector A @ pinv(A)"),
    "schur": ("no rule is known", "use eig or eigh"),
    "hessenberg": ("no rule is known", "use qr"),
    "ldl": ("no rule is known", "use cholesky or eigh"),
    "funm": ("no rule is known for an arbitrary function", "use expm, logm, sqrtm, or eig"),
    "eigh_tridiagonal": ("no rule is known for its vectors", "use eigvalsh_tridiagonal, or eigh of the dense matrix"),
    "eig_banded": ("no rule is known for its vectors", "use eigvals_banded, or eigh of the dense matrix"),
}


CONSTANT = {
    **dict.fromkeys("dft hadamard helmert hilbert invhilbert invpascal pascal".split(), "a function of integers"),
    "bandwidth": "a count of diagonals",
    "ishermitian": "a boolean",
    "issymmetric": "a boolean",
}


def _entered(name: str, original: Any) -> Any:
    """A function without a rule: NotDifferentiable on Tensors."""
    reason, fix = REFUSED.get(
        name, ("no rule is known", "compose it from the names in wengert.scipy.linalg.NAMES, or use wengert.custom_vjp")
    )

    @functools.wraps(original)
    def function(*args: Any, **kwargs: Any) -> Any:
        if not has_tensor(args) and not has_tensor(tuple(kwargs.values())):
            return original(*args, **kwargs)
        if name in CONSTANT:
            return original(*values(args), **values(kwargs))
        raise NotDifferentiable(f"scipy.linalg.{name}: {reason}", fix=fix, at=describe(here(2)))

    status = "constant" if name in CONSTANT else "refused"
    return Entry(f"linalg.{name}", status, function, CONSTANT.get(name, reason), "" if name in CONSTANT else fix)


for _name in _scipy.__all__:
    _original = getattr(_scipy, _name)
    if _name not in NAMES and callable(_original) and not isinstance(_original, type):
        NAMES[_name] = _entered(_name, _original)


def __getattr__(name: str) -> Any:
    entry = NAMES.get(name)
    return getattr(_scipy, name) if entry is None else entry.function


def __dir__() -> list[str]:
    return sorted({*dir(_scipy), "NAMES"})
