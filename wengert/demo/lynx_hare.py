"""Fit a Lotka–Volterra model to a century-old record of hares and lynxes.

Data    Pelts delivered to the Hudson's Bay Company, thousands a year, 1900–1920 (`lynx_hare.csv`, source in its first line).
Model   dh/dt = (α − β l) h,  dl/dt = (δ h − γ) l, integrated by the classical Runge–Kutta method in a plain loop.
Fit     Least squares of the logarithms, over the logarithms of (α, β, γ, δ, h₀, l₀), by L-BFGS with our gradient.
Source  Volterra (1926); the data and the log-normal errors as in Carpenter's case study for Stan (2018).
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import numpy as np

import wengert.api as wg

NAMES = ("α", "β", "γ", "δ", "h₀", "l₀")
START = np.log([0.5, 0.03, 0.8, 0.03, 30.0, 5.0])
SUBSTEPS = 5  # Runge–Kutta steps a year


def load() -> tuple[np.ndarray, np.ndarray]:
    """Years, and (hare, lynx) counts in thousands, shape (21, 2)."""
    with resources.files("wengert.demo").joinpath("lynx_hare.csv").open() as file:
        rows = np.genfromtxt((line for line in file if not line.startswith("#")), delimiter=",", skip_header=1)
    return rows[:, 0], rows[:, 1:]


# ── the user's program: plain NumPy, written as if there were no wengert ──────


def rates(state, theta):
    hare, lynx = state
    alpha, beta, gamma, delta = theta
    return np.array([(alpha - beta * lynx) * hare, (delta * hare - gamma) * lynx])


def simulate(p, years):
    """Populations at the start of each year."""
    theta, state = np.exp(p[:4]), np.exp(p[4:])
    path = np.zeros((len(years), 2))
    path[0] = state
    for i in range(1, len(years)):
        h = (years[i] - years[i - 1]) / SUBSTEPS
        for _ in range(SUBSTEPS):
            k1 = rates(state, theta)
            k2 = rates(state + h / 2 * k1, theta)
            k3 = rates(state + h / 2 * k2, theta)
            k4 = rates(state + h * k3, theta)
            state = state + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        path[i] = state
    return path


def loss(p, years, counts):
    return np.mean((np.log(simulate(p, years)) - np.log(counts)) ** 2)


# ── the fit ───────────────────────────────────────────────────────────────────


@dataclass
class Fit:
    """Fitted parameters and how the gradient compares with central differences."""

    parameters: dict[str, float]
    loss: float
    start_loss: float
    evaluations: int
    gradient: np.ndarray
    differences: np.ndarray
    p: np.ndarray

    @property
    def gradient_error(self) -> float:
        """Largest deviation from the differences, relative to the largest component."""
        return float(np.abs(self.gradient - self.differences).max() / np.abs(self.differences).max())


def fit(tick: Callable[[], None] = lambda: None) -> Fit:
    """Run the fit; `tick` is called after every evaluation of loss and gradient."""
    from scipy.optimize import minimize

    years, counts = load()
    value_and_grad = wg.value_and_grad(wg.adopt(sys.modules[__name__]).loss)  # this module counts as the user's
    evaluations = 0

    def objective(p: np.ndarray) -> tuple[float, np.ndarray]:
        nonlocal evaluations
        evaluations += 1
        value, gradient = value_and_grad(p, years, counts)
        tick()
        return float(value), gradient

    gradient = value_and_grad(START, years, counts)[1]
    h = 1e-6
    steps = h * np.eye(len(START))
    differences = np.array([(loss(START + e, years, counts) - loss(START - e, years, counts)) / (2 * h) for e in steps])
    found = minimize(objective, START, jac=True, method="L-BFGS-B", options={"maxiter": 200})
    return Fit(
        parameters=dict(zip(NAMES, np.exp(found.x).tolist(), strict=True)),
        loss=float(found.fun),
        start_loss=float(loss(START, years, counts)),
        evaluations=evaluations,
        gradient=gradient,
        differences=differences,
        p=found.x,
    )


def plot(result: Fit, path: Path) -> Path:
    """Draw counts and fitted populations; needs the extra `demo`."""
    from wengert.demo.extras import matplotlib_figure

    years, counts = load()
    fine = np.linspace(years[0], years[-1], 20 * len(years))
    curve = simulate(result.p, fine)
    figure, axes = matplotlib_figure(figsize=(9, 4.5))
    for k, (name, color) in enumerate((("hare", "#b5651d"), ("lynx", "#2f6690"))):
        axes.plot(years, counts[:, k], "o", color=color, label=f"{name}, pelts delivered")
        axes.plot(fine, curve[:, k], color=color, lw=1.8, label=f"{name}, model")
    axes.set(
        xlabel="year",
        ylabel="thousands",
        title="Lynx and hare, Hudson's Bay Company 1900–1920, and a Lotka–Volterra fit",
    )
    axes.set_xticks(years[::4])
    axes.legend(frameon=False, ncols=4, loc="upper center", bbox_to_anchor=(0.5, -0.13))
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    figure.tight_layout()
    figure.savefig(path, dpi=150)
    return path
