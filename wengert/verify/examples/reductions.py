"""Sums and averages."""

from wengert.verify.examples import example

example("sum", lambda np, x: np.sum(x), (3, 4), complex=True)
example("sum", lambda np, x: np.sum(x, axis=-1, keepdims=True), (3, 4), complex=True)
example("mean", lambda np, x: np.mean(x, axis=0), (3, 4), complex=True)
