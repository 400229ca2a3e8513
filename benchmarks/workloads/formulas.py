"""Elementwise formulas: the prototype's function, large and tiny, and Black–Scholes."""

from __future__ import annotations

import numpy as np
from scipy.special import ndtr

from workloads.case import BOTH, Bar, Problem, jax, jnp, torch, workload


def formula(x, a, b):
    return np.sum(np.tanh(a * x + b) * np.exp(-(x**2)) + np.log1p(np.exp(x)))


def jax_formula(x, a, b):
    return jnp.sum(jnp.tanh(a * x + b) * jnp.exp(-(x**2)) + jnp.log1p(jnp.exp(x)))


def torch_formula(x, a, b):
    return torch.sum(torch.tanh(a * x + b) * torch.exp(-(x**2)) + torch.log1p(torch.exp(x)))


def formula_by_hand(x, a, b):
    t, g, e = np.tanh(a * x + b), np.exp(-(x * x)), np.exp(x)
    u = (1 - t * t) * g
    return np.sum(t * g + np.log1p(e)), (a * u - 2 * x * t * g + e / (1 + e), np.sum(x * u), np.sum(u))


def formula_bar(dtype: str, n: int) -> Bar:
    if dtype == "float32":
        return Bar(jax=1.5, native=1.0)
    return Bar(jax=4.0 if n >= 10_000_000 else 2.0, native=1.0)


@workload(
    "fused formula",
    group="formula",
    sizes=[(10_000,), (100_000,), (1_000_000,), (10_000_000,)],
    small=(17,),
    dtypes=BOTH,
    bar=formula_bar,
    label=lambda n: f"n = {n:.0e}".replace("e+0", "e"),
    quick=lambda n: n <= 1_000_000,
)
def prototype(dtype: str, n: int) -> Problem:
    x = np.random.default_rng(0).normal(size=n).astype(dtype)
    args = (x, x.dtype.type(0.7), x.dtype.type(0.1))
    return Problem(args, formula, jax_formula, torch_formula, wrt=(0, 1, 2), by_hand=formula_by_hand)


def tiny(x):
    return np.sum(np.tanh(0.7 * x + 0.1) * np.exp(-(x**2)) + np.log1p(np.exp(x)))


def jax_tiny(x):
    return jnp.sum(jnp.tanh(0.7 * x + 0.1) * jnp.exp(-(x**2)) + jnp.log1p(jnp.exp(x)))


def torch_tiny(x):
    return torch.sum(torch.tanh(0.7 * x + 0.1) * torch.exp(-(x**2)) + torch.log1p(torch.exp(x)))


@workload(
    "tiny formula of x,",
    group="tiny",
    sizes=[(16,)],
    small=(16,),
    bar=Bar(jax=8.0, microseconds=1.5),
    label=lambda n: f"n = {n}",
)
def tiny_inputs(dtype: str, n: int) -> Problem:
    return Problem((np.random.default_rng(0).normal(size=n).astype(dtype),), tiny, jax_tiny, torch_tiny)


@workload(
    "tiny formula of x, a, b,", group="tiny", sizes=[(16,)], small=(5,), bar=Bar(jax=8.0), label=lambda n: f"n = {n}"
)
def tiny_three(dtype: str, n: int) -> Problem:
    return prototype(dtype, n)


# ── Black–Scholes ─────────────────────────────────────────────────────────────


def portfolio(spot, volatility, maturity, rate, strike):
    """The price of a portfolio of calls; its gradient holds every delta, vega and theta, and the portfolio's rho."""
    spread = volatility * np.sqrt(maturity)
    d1 = (np.log(spot / strike) + (rate + 0.5 * volatility**2) * maturity) / spread
    return np.sum(spot * ndtr(d1) - strike * np.exp(-rate * maturity) * ndtr(d1 - spread))


def jax_portfolio(spot, volatility, maturity, rate, strike):
    ndtr = jax.scipy.special.ndtr
    spread = volatility * jnp.sqrt(maturity)
    d1 = (jnp.log(spot / strike) + (rate + 0.5 * volatility**2) * maturity) / spread
    return jnp.sum(spot * ndtr(d1) - strike * jnp.exp(-rate * maturity) * ndtr(d1 - spread))


def torch_portfolio(spot, volatility, maturity, rate, strike):
    ndtr = torch.special.ndtr
    spread = volatility * torch.sqrt(maturity)
    d1 = (torch.log(spot / strike) + (rate + 0.5 * volatility**2) * maturity) / spread
    return torch.sum(spot * ndtr(d1) - strike * torch.exp(-rate * maturity) * ndtr(d1 - spread))


@workload("Black–Scholes greeks", sizes=[(1_000_000,)], small=(11,), label=lambda n: f"{n:,} options")
def black_scholes(dtype: str, n: int) -> Problem:
    rng = np.random.default_rng(0)
    spot, strike = rng.uniform(50, 150, (2, n)).astype(dtype)
    args = (
        spot,
        rng.uniform(0.1, 0.5, n).astype(dtype),
        rng.uniform(0.1, 2, n).astype(dtype),
        spot.dtype.type(0.03),
        strike,
    )
    return Problem(args, portfolio, jax_portfolio, torch_portfolio, wrt=(0, 1, 2, 3))
