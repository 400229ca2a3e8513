"""SciPy's and scikit-learn's functions on Tensors, through the array API standard.

Run as a script by `tests/numpy/test_array_api_users.py`, in a process of its own: SciPy reads SCIPY_ARRAY_API once, when
it is imported. Prints one JSON object: name → "right" (the gradient is that of finite differences), "wrong", or
"raises", and why. Nothing is adopted: the libraries see Tensors, and find `wengert.numpy` by themselves.
"""

from __future__ import annotations

import importlib
import json
import sys
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

import wengert
import wengert.numpy as wnp

warnings.simplefilter("ignore")

RNG = np.random.default_rng(0)
V = RNG.uniform(0.2, 0.9, 8)
M = RNG.uniform(0.2, 0.9, (6, 3))
S = M.T @ M + np.eye(3)
LABELS = np.array([0, 1, 0, 1, 0, 1])
OUTCOMES = np.array([0, 1, 0, 1, 1, 0, 1, 0])


def lib(path: str) -> Any:
    """A function or class by its dotted name below `scipy` or `sklearn`."""
    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(module), name)


def one(path: str, *args: Any, at: str = "", **options: Any) -> Callable[[Any], Any]:
    """`x ↦ path(x, *args, **options)`, or that attribute of it."""
    return lambda x: getattr(lib(path)(x, *args, **options), at) if at else lib(path)(x, *args, **options)


SCIPY: dict[str, tuple[Callable[[Any], Any], np.ndarray]] = {
    "special.logsumexp": (one("scipy.special.logsumexp", axis=0), M),
    "special.softmax": (one("scipy.special.softmax", axis=1), M),
    "special.log_softmax": (one("scipy.special.log_softmax", axis=1), M),
    "special.expit": (one("scipy.special.expit"), V),
    "special.gammaln": (one("scipy.special.gammaln"), V),
    "special.erf": (one("scipy.special.erf"), V),
    "special.entr": (one("scipy.special.entr"), V),
    "special.xlogy": (lambda x: lib("scipy.special.xlogy")(x, x + 1.0), V),
    "special.betaln": (lambda x: lib("scipy.special.betaln")(x, 1.5), V),
    "special.zeta": (lambda x: lib("scipy.special.zeta")(x + 2.0, x), V),
    "stats.zscore": (one("scipy.stats.zscore"), V),
    "stats.zmap": (lambda x: lib("scipy.stats.zmap")(x, x**2), V),
    "stats.gzscore": (one("scipy.stats.gzscore"), V),
    "stats.skew": (one("scipy.stats.skew"), V),
    "stats.kurtosis": (one("scipy.stats.kurtosis"), V),
    "stats.moment": (one("scipy.stats.moment", 3), V),
    "stats.gmean": (one("scipy.stats.gmean"), V),
    "stats.hmean": (one("scipy.stats.hmean"), V),
    "stats.pmean": (one("scipy.stats.pmean", 2.5), V),
    "stats.sem": (one("scipy.stats.sem"), V),
    "stats.kstat": (one("scipy.stats.kstat", 3), V),
    "stats.circmean": (one("scipy.stats.circmean"), V),
    "stats.circvar": (one("scipy.stats.circvar"), V),
    "stats.entropy": (one("scipy.stats.entropy"), V),
    "stats.differential_entropy": (one("scipy.stats.differential_entropy"), V),
    "stats.boxcox_llf": (lambda x: lib("scipy.stats.boxcox_llf")(0.5, x), V),
    "stats.tvar": (one("scipy.stats.tvar", (0.0, 1.0)), V),
    "stats.trim_mean": (one("scipy.stats.trim_mean", 0.2), V),
    "stats.iqr": (one("scipy.stats.iqr"), V),
    "stats.quantile": (one("scipy.stats.quantile", 0.3), V),
    "stats.describe": (one("scipy.stats.describe", at="variance"), V),
    "stats.directional_stats": (one("scipy.stats.directional_stats", at="mean_direction"), M),
    "stats.ttest_1samp": (one("scipy.stats.ttest_1samp", 0.5, at="pvalue"), V),
    "stats.ttest_ind": (lambda x: lib("scipy.stats.ttest_ind")(x, x**2).pvalue, V),
    "stats.ttest_rel": (lambda x: lib("scipy.stats.ttest_rel")(x, x**2).statistic, V),
    "stats.f_oneway": (lambda x: lib("scipy.stats.f_oneway")(x, x**2).statistic, V),
    "stats.bartlett": (lambda x: lib("scipy.stats.bartlett")(x, x**2).statistic, V),
    "stats.jarque_bera": (one("scipy.stats.jarque_bera", at="statistic"), V),
    "stats.skewtest": (one("scipy.stats.skewtest", at="pvalue"), V),
    "stats.kurtosistest": (one("scipy.stats.kurtosistest", at="statistic"), V),
    "stats.variation": (one("scipy.stats.variation"), V),
    "stats.lmoment": (one("scipy.stats.lmoment"), V),
    "stats.pearsonr": (lambda x: lib("scipy.stats.pearsonr")(x, x**2).statistic, V),
    "stats.chisquare": (lambda x: lib("scipy.stats.chisquare")(x, x[::-1]).statistic, V),
    "stats.combine_pvalues": (one("scipy.stats.combine_pvalues", at="statistic"), V),
    "stats.norm.logpdf": (lambda x: lib("scipy.stats.norm").logpdf(x), V),
    "signal.fftconvolve": (lambda x: lib("scipy.signal.fftconvolve")(x, x), V),
    "signal.oaconvolve": (lambda x: lib("scipy.signal.oaconvolve")(x, x), V),
    "signal.hilbert": (lambda x: abs(lib("scipy.signal.hilbert")(x)), V),
    "signal.resample": (one("scipy.signal.resample", 5), V),
    "signal.freqz": (lambda x: abs(lib("scipy.signal.freqz")(x, worN=5)[1]), V),
    "signal.convolve": (lambda x: lib("scipy.signal.convolve")(x, x, method="direct"), V),
    "signal.detrend": (one("scipy.signal.detrend"), V),
    "signal.welch": (lambda x: lib("scipy.signal.welch")(x, nperseg=4)[1], V),
    "signal.savgol_filter": (one("scipy.signal.savgol_filter", 5, 2), V),
    "fft.fft": (lambda x: abs(lib("scipy.fft.fft")(x)), V),
    "fft.rfftn": (lambda x: abs(lib("scipy.fft.rfftn")(x)), M),
    "fft.hfft": (one("scipy.fft.hfft"), V),
    "fft.irfft": (one("scipy.fft.irfft"), V),
    "fft.fht": (one("scipy.fft.fht", 0.1, 0.5), V),
    "fft.fftshift": (one("scipy.fft.fftshift"), V),
    "fft.dct": (one("scipy.fft.dct"), V),
    "cluster.vq.whiten": (one("scipy.cluster.vq.whiten"), M),
    "cluster.vq.vq": (lambda x: lib("scipy.cluster.vq.vq")(x, x[:2] ** 2)[1], M),
    "cluster.hierarchy.linkage": (one("scipy.cluster.hierarchy.linkage"), M),
    "integrate.trapezoid": (one("scipy.integrate.trapezoid"), V),
    "integrate.cumulative_trapezoid": (one("scipy.integrate.cumulative_trapezoid"), V),
    "integrate.cumulative_simpson": (one("scipy.integrate.cumulative_simpson", dx=0.5), V),
    "integrate.simpson": (one("scipy.integrate.simpson"), V),
    "integrate.cubature": (
        lambda x: lib("scipy.integrate.cubature")(lambda t: t[:, 0] ** 2, 0.0 * x[:1], x[:1]).estimate,
        V,
    ),
    "integrate.tanhsinh": (
        lambda x: lib("scipy.integrate.tanhsinh")(lambda t: t**2, 0.0 * x[0], x[0]).integral,
        V,
    ),
    "differentiate.derivative": (lambda x: lib("scipy.differentiate.derivative")(lambda t: t**3, x).df, V),
    "optimize.rosen": (one("scipy.optimize.rosen"), V),
    "constants.convert_temperature": (one("scipy.constants.convert_temperature", "C", "F"), V),
    "spatial.transform.Rotation": (
        lambda x: lib("scipy.spatial.transform.Rotation").from_rotvec(x[:3]).as_matrix(),
        V,
    ),
    "spatial.distance.cdist": (lambda x: lib("scipy.spatial.distance.cdist")(x, x**2), M),
    "ndimage.gaussian_filter": (one("scipy.ndimage.gaussian_filter", 1.0), V),
    "interpolate.CubicSpline": (lambda x: lib("scipy.interpolate.CubicSpline")(np.arange(8.0), x)(2.5), V),
    "linalg.det": (one("scipy.linalg.det"), S),
}


def fitted(path: str, *targets: Any, then: str, **options: Any) -> Callable[[Any], Any]:
    """An estimator fitted to x (and targets): its attribute, or its method of x."""

    def run(x: Any) -> Any:
        estimator = lib(path)(**options).fit(x, *targets)
        found = getattr(estimator, then)
        return found(x) if callable(found) else found

    return run


def ridge(x: Any) -> Any:
    return lib("sklearn.linear_model.Ridge")(solver="svd").fit(x, x[:, 0] ** 2).coef_


def elements(name: str) -> Callable[[Any], Any]:
    """A metric per output: without `multioutput`, scikit-learn makes a Python float of it."""
    return lambda x: lib(f"sklearn.metrics.{name}")(x, x**2, multioutput="raw_values")


SKLEARN: dict[str, tuple[Callable[[Any], Any], np.ndarray]] = {
    "metrics.mean_squared_error": (elements("mean_squared_error"), M),
    "metrics.r2_score": (elements("r2_score"), M),
    "metrics.mean_squared_error as a float": (lambda x: lib("sklearn.metrics.mean_squared_error")(x, x**2), V),
    "metrics.log_loss as a float": (lambda x: lib("sklearn.metrics.log_loss")(OUTCOMES, x), V),
    "metrics.pairwise.rbf_kernel": (one("sklearn.metrics.pairwise.rbf_kernel"), M),
    "metrics.pairwise.linear_kernel": (one("sklearn.metrics.pairwise.linear_kernel"), M),
    "metrics.pairwise.polynomial_kernel": (one("sklearn.metrics.pairwise.polynomial_kernel"), M),
    "metrics.pairwise.cosine_similarity": (one("sklearn.metrics.pairwise.cosine_similarity"), M),
    "metrics.pairwise.euclidean_distances": (
        lambda x: lib("sklearn.metrics.pairwise.euclidean_distances")(x, x**2),
        M,
    ),
    "preprocessing.StandardScaler": (fitted("sklearn.preprocessing.StandardScaler", then="transform"), M),
    "preprocessing.MinMaxScaler": (fitted("sklearn.preprocessing.MinMaxScaler", then="transform"), M),
    "preprocessing.MaxAbsScaler": (fitted("sklearn.preprocessing.MaxAbsScaler", then="transform"), M),
    "preprocessing.normalize": (one("sklearn.preprocessing.normalize"), M),
    "preprocessing.PolynomialFeatures": (fitted("sklearn.preprocessing.PolynomialFeatures", then="transform"), M),
    "decomposition.PCA": (
        fitted("sklearn.decomposition.PCA", then="explained_variance_", n_components=2, svd_solver="full"),
        M,
    ),
    "linear_model.Ridge": (ridge, M),
    "linear_model.LinearRegression": (fitted("sklearn.linear_model.LinearRegression", V[:6], then="coef_"), M),
    "covariance.ledoit_wolf": (lambda x: lib("sklearn.covariance.ledoit_wolf")(x)[0], M),
    "discriminant_analysis.LinearDiscriminantAnalysis": (
        fitted("sklearn.discriminant_analysis.LinearDiscriminantAnalysis", LABELS, then="coef_"),
        M,
    ),
}


def scalar(fun: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """A weighted sum of what `fun` gives, so that no element's gradient hides behind another's."""

    def total(x: Any) -> Any:
        out = wnp.asarray(fun(x))
        return wnp.sum(out * wnp.cos(1.0 + wnp.arange(out.size)).reshape(out.shape))

    return total


def differences(fun: Callable[[Any], Any], x: np.ndarray, h: float = 1e-6) -> np.ndarray:
    """The gradient by central differences, on plain arrays."""
    slopes = np.zeros_like(x)
    for i in np.ndindex(x.shape):
        step = np.zeros_like(x)
        step[i] = h
        slopes[i] = (fun(x + step) - fun(x - step)) / (2 * h)
    return slopes


def verdict(fun: Callable[[Any], Any], x: np.ndarray) -> str:
    total = scalar(fun)
    try:
        got = wengert.grad(total, adopt=False)(x)
    except Exception as error:
        return f"raises {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
    want = differences(total, x)
    return "right" if np.allclose(got, want, rtol=1e-5, atol=1e-5) else f"wrong: {got} and not {want}"


def main(library: str) -> None:
    if library == "sklearn":
        importlib.import_module("sklearn").set_config(array_api_dispatch=True)
    table = SCIPY if library == "scipy" else SKLEARN
    print(json.dumps({name: verdict(fun, x) for name, (fun, x) in table.items()}))


if __name__ == "__main__":
    main(sys.argv[1])
