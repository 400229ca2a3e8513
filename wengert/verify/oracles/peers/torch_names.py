"""NumPy's, SciPy's and our names in PyTorch, where its own names, arguments or defaults differ.

A name that is missing here, in `torch._numpy`, or in `torch.special`/`torch.linalg` has no counterpart.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from wengert.verify.oracles.peers.peer import Missing, Names
from wengert.verify.oracles.peers.torch_nn import functional


def namespaces(torch: Any) -> tuple[Names, Names, Names, Names]:
    """`numpy`, `special`, `linalg`, `nn`."""
    tnp = torch._numpy
    into = functools.partial(_tensors, torch)

    def wrapped(fun: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            out = fun(*map(into, args), **{k: into(v) for k, v in kwargs.items()})
            return _wrapped(torch, out)

        return call

    def table(entries: dict[str, Any]) -> dict[str, Any]:
        return {name: wrapped(fun) for name, fun in entries.items()}

    linalg = Names("torch.linalg", table(_numpy_linalg(torch)), tnp.linalg)
    numpy = Names("torch", table(_numpy(torch)) | {"linalg": linalg, "fft": Names("torch.fft", {}, tnp.fft)}, tnp)
    special = Names("torch.special", table(_special(torch)))
    scipy = Names("torch.linalg", table(_scipy_linalg(torch)))
    nn = Names("torch.nn.functional", table(functional(torch)))
    return numpy, special, scipy, nn


def _tensors(torch: Any, x: Any) -> Any:
    """Tensors of wrapped arrays, of ndarrays, and inside lists of them."""
    if hasattr(x, "tensor"):
        return x.tensor
    if isinstance(x, np.ndarray | np.generic):
        return torch.tensor(np.asarray(x))
    if isinstance(x, list | tuple) and not hasattr(x, "_fields"):
        return type(x)(_tensors(torch, v) for v in x)
    return x


def _wrapped(torch: Any, x: Any) -> Any:
    if isinstance(x, torch.Tensor):
        return torch._numpy.asarray(x)
    if isinstance(x, list | tuple):
        return [_wrapped(torch, v) for v in x]
    return x


def _axes(axis: Any) -> Any:
    return axis


def _numpy(torch: Any) -> dict[str, Any]:
    t = torch

    def nan(fun: Any, empty: Any) -> Any:
        """A reduction that skips NaN, from one that does not."""

        def call(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
            filled = t.where(t.isnan(x), t.full_like(x, empty), x)
            return fun(filled, tuple(range(x.ndim)) if axis is None else axis, keepdim=keepdims)

        return call

    def nanmedian(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
        return t.nanquantile(x, 0.5, dim=axis, keepdim=keepdims)

    def cumulative(fun: Any) -> Any:
        def call(x: Any, axis: int | None = None) -> Any:
            return fun(x.reshape(-1), 0) if axis is None else fun(x, axis)

        return call

    def median(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
        return t.quantile(x, 0.5, dim=axis, keepdim=keepdims)

    def quantile(x: Any, q: Any, axis: Any = None, method: str = "linear", keepdims: bool = False) -> Any:
        return t.quantile(x, t.as_tensor(q, dtype=x.dtype), axis, keepdims, interpolation=method)

    def nanquantile(x: Any, q: Any, axis: Any = None, method: str = "linear", keepdims: bool = False) -> Any:
        return t.nanquantile(x, t.as_tensor(q, dtype=x.dtype), axis, keepdims, interpolation=method)

    def sort(x: Any, axis: int | None = -1, descending: bool = False, stable: bool = False, kind: Any = None) -> Any:
        x, axis = (x.reshape(-1), 0) if axis is None else (x, axis)
        return t.sort(x, dim=axis, descending=descending, stable=True)[0]

    def trapezoid(y: Any, x: Any = None, dx: float = 1.0, axis: int = -1) -> Any:
        return t.trapezoid(y, dx=dx, dim=axis) if x is None else t.trapezoid(y, x, dim=axis)

    def digitize(x: Any, bins: Any, right: bool = False) -> Any:
        return t.bucketize(x, bins, right=not right)

    def std(fun: Any) -> Any:
        def call(x: Any, axis: Any = None, ddof: int = 0, keepdims: bool = False) -> Any:
            return fun(x, dim=axis, correction=ddof, keepdim=keepdims)

        return call

    def cov(x: Any, bias: bool = False, ddof: Any = None, fweights: Any = None, aweights: Any = None) -> Any:
        correction = (0 if bias else 1) if ddof is None else ddof
        return t.cov(x, correction=correction, fweights=fweights, aweights=aweights)

    def convolve(x: Any, y: Any, mode: str = "full") -> Any:
        n, k = len(x), len(y)
        full = t.nn.functional.conv1d(x[None, None], y.flip(0)[None, None], padding=k - 1)[0, 0]
        size, least = max(n, k), min(n, k)
        start = {"full": 0, "same": (least - 1) // 2, "valid": least - 1}[mode]
        return full[start : len(full) - start] if mode == "valid" else full[start : start + size] if start else full

    entries: dict[str, Any] = {
        "acos": t.acos, "acosh": t.acosh, "asin": t.asin, "asinh": t.asinh, "atan": t.atan, "atan2": t.atan2,
        "atanh": t.atanh, "pow": t.pow, "bitwise_invert": t.bitwise_not, "bitwise_left_shift": t.bitwise_left_shift,
        "bitwise_right_shift": t.bitwise_right_shift, "concat": lambda xs, axis=0: t.concat(xs, dim=axis),
        "matrix_transpose": lambda x: x.mT, "permute_dims": lambda x, axes: t.permute(x, axes),
        "unstack": lambda x, axis=0: t.unbind(x, axis), "vecdot": lambda x, y, axis=-1: t.linalg.vecdot(x, y, dim=axis),
        "sort": sort, "median": median, "quantile": quantile, "nanquantile": nanquantile, "nanmedian": nanmedian,
        "percentile": lambda x, q, **k: quantile(x, t.as_tensor(q, dtype=x.dtype) / 100, **k),
        "nanpercentile": lambda x, q, **k: nanquantile(x, t.as_tensor(q, dtype=x.dtype) / 100, **k),
        "nansum": lambda x, axis=None, keepdims=False: t.nansum(x, axis, keepdim=keepdims),
        "nanmean": lambda x, axis=None, keepdims=False: t.nanmean(x, axis, keepdim=keepdims),
        "nanmax": nan(t.amax, -np.inf), "nanmin": nan(t.amin, np.inf), "trapezoid": trapezoid, "digitize": digitize,
        "cumulative_sum": cumulative(t.cumsum), "cumulative_prod": cumulative(t.cumprod),
        "std": std(t.std), "var": std(t.var), "cov": cov, "corrcoef": lambda x: t.corrcoef(x),
        "i0": t.special.i0, "sinc": t.special.sinc, "nextafter": t.nextafter, "frexp": t.frexp,
        "logaddexp": t.logaddexp, "logaddexp2": t.logaddexp2, "heaviside": t.heaviside, "hypot": t.hypot,
        "fmax": t.fmax, "fmin": t.fmin, "copysign": t.copysign, "vander": lambda x, N=None, increasing=False: t.vander(
            x, N, increasing=increasing), "unique": lambda x: t.unique(x), "unique_values": lambda x: t.unique(x),
        "gradient": lambda x, *spacing, axis=None: t.gradient(x, **({} if axis is None else {"dim": axis})),
        "convolve": convolve, "real": lambda x: x.real if x.is_complex() else x,
        "ediff1d": lambda x: t.diff(x.reshape(-1)), "nan_to_num": lambda x, copy=True, nan=0.0, posinf=None, neginf=None:
            t.nan_to_num(x, nan, posinf, neginf),
        "block_diag": t.block_diag, "lexsort": None, "renorm": t.renorm, "float_power": t.float_power,
        "cross": lambda a, b, axis=-1: t.linalg.cross(a, b, dim=axis), "kron": t.kron, "isin": t.isin,
        "signbit": t.signbit, "rot90": lambda x, k=1, axes=(0, 1): t.rot90(x, k, axes),
        "unravel_index": t.unravel_index, "cummax": lambda x, axis: t.cummax(x, axis)[0],
        "cummin": lambda x, axis: t.cummin(x, axis)[0],
    }  # fmt: skip
    return {name: fun for name, fun in entries.items() if fun is not None}


def _numpy_linalg(torch: Any) -> dict[str, Any]:
    la = torch.linalg

    def vector_norm(x: Any, axis: Any = None, keepdims: bool = False, ord: Any = 2) -> Any:
        return la.vector_norm(x, ord, axis, keepdims)

    def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
        return la.norm(x, ord, axis, keepdims)

    def slogdet(a: Any) -> Any:
        return tuple(la.slogdet(a))

    def svd(a: Any, full_matrices: bool = True, compute_uv: bool = True) -> Any:
        return tuple(la.svd(a, full_matrices)) if compute_uv else la.svdvals(a)

    def qr(a: Any, mode: str = "reduced") -> Any:
        return la.qr(a, mode)[1] if mode == "r" else tuple(la.qr(a, mode))

    return {
        "cross": lambda a, b, axis=-1: la.cross(a, b, dim=axis), "vecdot": lambda a, b, axis=-1: la.vecdot(a, b, dim=axis),
        "diagonal": lambda a, offset=0: la.diagonal(a, offset=offset), "matmul": la.matmul,
        "matrix_norm": lambda x, keepdims=False, ord="fro": la.matrix_norm(x, ord, keepdim=keepdims),
        "vector_norm": vector_norm, "norm": norm, "matrix_transpose": lambda x: x.mT, "outer": torch.outer,
        "svdvals": la.svdvals, "tensordot": lambda a, b, axes=2: torch.tensordot(a, b, dims=axes),
        "trace": lambda x, offset=0: la.diagonal(x, offset=offset).sum(-1), "slogdet": slogdet, "svd": svd, "qr": qr,
        "multi_dot": la.multi_dot, "cond": lambda a, p=None: la.cond(a, p), "solve": la.solve, "inv": la.inv,
        "cholesky": lambda a, upper=False: la.cholesky(a, upper=upper), "eigh": lambda a, UPLO="L": la.eigh(a, UPLO),
        "eigvalsh": lambda a, UPLO="L": la.eigvalsh(a, UPLO), "eig": la.eig, "eigvals": la.eigvals, "det": la.det,
        "matrix_power": la.matrix_power, "pinv": lambda a, hermitian=False: la.pinv(a, hermitian=hermitian),
        "tensorsolve": lambda a, b, axes=None: la.tensorsolve(a, b, axes), "tensorinv": lambda a, ind=2: la.tensorinv(a, ind),
    }  # fmt: skip


def _scipy_linalg(torch: Any) -> dict[str, Any]:
    la = torch.linalg

    def triangular(a: Any, b: Any, trans: Any = 0, lower: bool = False, unit_diagonal: bool = False) -> Any:
        if trans in (1, "T"):
            a, lower = a.mT, not lower
        rhs = b[:, None] if b.ndim == 1 else b
        out = la.solve_triangular(a, rhs, upper=not lower, unitriangular=unit_diagonal)
        return out[:, 0] if b.ndim == 1 else out

    def solve(a: Any, b: Any, assume_a: str = "gen", transposed: bool = False) -> Any:
        return la.solve(a.mT if transposed else a, b)

    def lu(a: Any, permute_l: bool = False) -> Any:
        p, low, up = la.lu(a)
        return (p @ low, up) if permute_l else (p, low, up)

    def cho_solve(factor: Any, b: Any) -> Any:
        return torch.cholesky_solve(b, factor[0], upper=not factor[1])

    def lstsq(a: Any, b: Any) -> Any:
        return (la.lstsq(a, b[:, None]).solution[:, 0],) if b.ndim == 1 else (la.lstsq(a, b).solution,)

    def qr(a: Any, mode: str = "full") -> Any:
        return tuple(la.qr(a, {"full": "complete", "economic": "reduced", "r": "r"}[mode]))

    def lu_solve(factor: Any, b: Any) -> Any:
        return la.lu_solve(*factor, b[:, None])[:, 0] if b.ndim == 1 else la.lu_solve(*factor, b)

    return {
        "solve": solve, "inv": la.inv, "det": la.det, "pinv": la.pinv, "svdvals": la.svdvals, "expm": la.matrix_exp,
        "pinvh": lambda a: la.pinv(a, hermitian=True), "cholesky": lambda a, lower=False: la.cholesky(a, upper=not lower),
        "cho_factor": lambda a, lower=False: (la.cholesky(a, upper=not lower), lower), "cho_solve": cho_solve,
        "lu": lu, "lu_factor": lambda a: (la.lu_factor(a)[0], la.lu_factor(a)[1]), "lu_solve": lu_solve,
        "solve_triangular": triangular, "lstsq": lstsq, "qr": qr, "block_diag": torch.block_diag,
        "svd": lambda a, full_matrices=True: tuple(la.svd(a, full_matrices)), "eigh": lambda a: tuple(la.eigh(a)),
        "eigvalsh": la.eigvalsh, "eig": lambda a: tuple(la.eig(a)), "eigvals": la.eigvals,
        "norm": lambda a, ord=None: la.norm(a, ord),
    }  # fmt: skip


def _special(torch: Any) -> dict[str, Any]:
    sp = torch.special

    def polynomial(fun: Any) -> Any:
        def call(n: Any, x: Any) -> Any:
            if bool(torch.any(n != torch.round(n))):
                raise Missing("torch.special takes polynomials of whole degrees")
            return fun(x, n)

        return call

    def polygamma(n: Any, x: Any) -> Any:
        if np.size(n) != 1:
            raise Missing("torch.special.polygamma takes one order")
        return sp.polygamma(int(n), x)

    def softmax(x: Any, axis: Any = None) -> Any:
        if not isinstance(axis, int):
            raise Missing("torch.special.softmax takes one axis")
        return sp.softmax(x, axis)

    def log_softmax(x: Any, axis: Any = None) -> Any:
        if not isinstance(axis, int):
            raise Missing("torch.special.log_softmax takes one axis")
        return sp.log_softmax(x, axis)

    def logsumexp(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
        return sp.logsumexp(x, tuple(range(x.ndim)) if axis is None else axis, keepdims)

    same = """digamma psi entr erf erfc erfcx erfinv exp2 expit expm1 gammainc gammaincc gammaln i0 i0e i1 i1e log1p log_ndtr
    logit multigammaln ndtr ndtri round sinc xlog1py xlogy zeta""".split()
    return {name: getattr(sp, name) for name in same} | {
        "j0": sp.bessel_j0, "j1": sp.bessel_j1, "y0": sp.bessel_y0, "y1": sp.bessel_y1, "k0": sp.modified_bessel_k0,
        "k1": sp.modified_bessel_k1, "k0e": sp.scaled_modified_bessel_k0, "k1e": sp.scaled_modified_bessel_k1,
        "log_expit": torch.nn.functional.logsigmoid, "softplus": torch.nn.functional.softplus,
        "polygamma": polygamma, "softmax": softmax, "log_softmax": log_softmax, "logsumexp": logsumexp,
        "eval_chebyt": polynomial(sp.chebyshev_polynomial_t), "eval_chebyu": polynomial(sp.chebyshev_polynomial_u),
        "eval_sh_chebyt": polynomial(sp.shifted_chebyshev_polynomial_t),
        "eval_sh_chebyu": polynomial(sp.shifted_chebyshev_polynomial_u),
        "eval_hermite": polynomial(sp.hermite_polynomial_h), "eval_hermitenorm": polynomial(sp.hermite_polynomial_he),
        "eval_laguerre": polynomial(sp.laguerre_polynomial_l), "eval_legendre": polynomial(sp.legendre_polynomial_p),
        "loggamma": torch.lgamma, "gamma": lambda x: torch.exp(torch.lgamma(x)),
        "spherical_jn": lambda n, x: sp.spherical_bessel_j0(x) if n == 0 else _none("spherical_jn of order above 0"),
    }  # fmt: skip


def _none(what: str) -> Any:
    raise Missing(f"torch.special has no {what}")
