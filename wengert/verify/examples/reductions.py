"""Sums, products, extrema, moments, running and NaN-skipping variants."""

import numpy

from wengert.verify.examples import example

MASK = numpy.array([[True, False, True, True], [True, True, False, True], [False, True, True, True]])
HOLES = numpy.where(MASK, 0.0, numpy.nan)  # x + HOLES has a NaN in every row, and none in one column
ZEROS = MASK.astype(float)  # x * ZEROS has a zero in every row
TWO_ZEROS = numpy.array([[1.0, 0.0, 0.0, 1.0], [0.0, 1.0, 1.0, 1.0], [0.0, 0.0, 0.0, 1.0]])

# ── sums, products ────────────────────────────────────────────────────────────

example("sum", lambda np, x: np.sum(x), (3, 4), complex=True)
example("sum", lambda np, x: np.sum(x, axis=-1, keepdims=True), (3, 4), complex=True)
example("sum", lambda np, x: np.sum(x, axis=(2, 0)), (2, 3, 4), complex=True)
example("sum", lambda np, x: np.sum(x, axis=0, initial=1.5, where=MASK), (3, 4), complex=True)
example("sum", lambda np, x: np.sum(x + HOLES, axis=1, where=MASK), (3, 4))
example("sum", lambda np, x: np.sum(x, axis=0, dtype=np.float32), (3, 4), order=0, diff=())
example("sum", lambda np, x: np.sum(x, dtype=complex), (3, 4))
example("ndarray.sum", lambda np, x: x.sum(1), (3, 4), complex=True)
example("prod", lambda np, x: np.prod(x), (4,), complex=True)
example("prod", lambda np, x: np.prod(x, axis=(0, 2)), (2, 3, 2), complex=True)
example("prod", lambda np, x: np.prod(x, axis=1, keepdims=True, initial=2.0, where=MASK), (3, 4), complex=True)
example("prod", lambda np, x: np.prod(x * ZEROS, axis=1), (3, 4), complex=True)
example("prod", lambda np, x: np.prod(x * TWO_ZEROS, axis=1), (3, 4), complex=True)
example("ndarray.prod", lambda np, x: x.prod(axis=0), (3, 4))
example("nansum", lambda np, x: np.nansum(x + HOLES), (3, 4), complex=True)
example("nansum", lambda np, x: np.nansum(x + HOLES, axis=1, keepdims=True), (3, 4))
example("nanprod", lambda np, x: np.nanprod(x + HOLES, axis=0), (3, 4), complex=True)

# ── running ───────────────────────────────────────────────────────────────────

example("cumsum", lambda np, x: np.cumsum(x), (3, 4), complex=True)
example("cumsum", lambda np, x: np.cumsum(x, axis=-2), (3, 4), complex=True)
example("ndarray.cumsum", lambda np, x: x.cumsum(1), (3, 4))
example("cumprod", lambda np, x: np.cumprod(x), (2, 3), complex=True)
example("cumprod", lambda np, x: np.cumprod(x, axis=0), (4, 2), complex=True)
example("cumprod", lambda np, x: np.cumprod(x * TWO_ZEROS, axis=1), (3, 4))
example("ndarray.cumprod", lambda np, x: x.cumprod(0), (3, 4))
example("nancumsum", lambda np, x: np.nancumsum(x + HOLES, axis=1), (3, 4), complex=True)
example("nancumprod", lambda np, x: np.nancumprod(x + HOLES, axis=0), (3, 4), complex=True)
if hasattr(numpy, "cumulative_sum"):
    example("cumulative_sum", lambda np, x: np.cumulative_sum(x), (4,), complex=True)
    example("cumulative_sum", lambda np, x: np.cumulative_sum(x, axis=1, include_initial=True), (3, 4), complex=True)
    example("cumulative_prod", lambda np, x: np.cumulative_prod(x, axis=0, include_initial=True), (3, 4), complex=True)
    example("cumulative_prod", lambda np, x: np.cumulative_prod(x), (4,), complex=True)

# ── extrema ───────────────────────────────────────────────────────────────────

for _name in ("max", "amax", "min", "amin"):
    example(_name, lambda np, x, f=_name: getattr(np, f)(x), (3, 4), complex=True)
for _name in ("max", "min"):
    example(_name, lambda np, x, f=_name: getattr(np, f)(x, axis=(0, -1)), (2, 3, 4), complex=True)
    example(
        _name, lambda np, x, f=_name: getattr(np, f)(x + HOLES, axis=1, keepdims=True, initial=0.1, where=MASK), (3, 4)
    )
    example(_name, lambda np, x, f=_name: getattr(np, f)(x, axis=0, initial=0.1), (0, 4))
    example(f"ndarray.{_name}", lambda np, x, f=_name: getattr(x, f)(1), (3, 4))
for _name in ("nanmax", "nanmin"):
    example(_name, lambda np, x, f=_name: getattr(np, f)(x + HOLES), (3, 4))
    example(_name, lambda np, x, f=_name: getattr(np, f)(x + HOLES, axis=1, keepdims=True), (3, 4))
    example(_name, lambda np, x, f=_name: getattr(np, f)(x + HOLES, axis=0, initial=0.3), (3, 4))
example("ptp", lambda np, x: np.ptp(x), (3, 4))
example("ptp", lambda np, x: np.ptp(x, axis=1, keepdims=True), (3, 4))

# ── means, variances ──────────────────────────────────────────────────────────

example("mean", lambda np, x: np.mean(x), (3, 4), complex=True)
example("mean", lambda np, x: np.mean(x, axis=0), (3, 4), complex=True)
example("mean", lambda np, x: np.mean(x, axis=(0, -1), keepdims=True), (2, 3, 4), complex=True)
example("mean", lambda np, x: np.mean(x + HOLES, axis=1, where=MASK), (3, 4), complex=True)
example("mean", lambda np, x: np.mean(x, dtype=complex), (3,))
example("ndarray.mean", lambda np, x: x.mean(0), (3, 4), complex=True)
example("nanmean", lambda np, x: np.nanmean(x + HOLES), (3, 4), complex=True)
example("nanmean", lambda np, x: np.nanmean(x + HOLES, axis=1, keepdims=True), (3, 4))
for _name in ("var", "std"):
    example(_name, lambda np, x, f=_name: getattr(np, f)(x), (3, 4), complex=True)
    example(_name, lambda np, x, f=_name: getattr(np, f)(x, axis=1, ddof=1, keepdims=True), (3, 4), complex=True)
    example(_name, lambda np, x, f=_name: getattr(np, f)(x, axis=(0, 2), correction=1.5), (2, 3, 4), complex=True)
    example(_name, lambda np, x, f=_name: getattr(np, f)(x + HOLES, axis=1, where=MASK), (3, 4), complex=True)
    example(
        _name,
        lambda np, x, m, f=_name: getattr(np, f)(x, axis=1, mean=m, ddof=1),
        (3, 4),
        (3, 1),
        complex=True,
    )
    example(f"ndarray.{_name}", lambda np, x, f=_name: getattr(x, f)(0), (3, 4))
for _name in ("nanvar", "nanstd"):
    example(_name, lambda np, x, f=_name: getattr(np, f)(x + HOLES), (3, 4), complex=True)
    example(_name, lambda np, x, f=_name: getattr(np, f)(x + HOLES, axis=1, ddof=1, keepdims=True), (3, 4))
    example(_name, lambda np, x, f=_name: getattr(np, f)(x + HOLES, axis=1, correction=1), (4, 3, 4))

# ── constants ─────────────────────────────────────────────────────────────────

example("any", lambda np, x: np.any(x, axis=1), (3, 4), complex=True)
example("any", lambda np, x: np.any(x, where=MASK, keepdims=True), (3, 4))
example("all", lambda np, x: np.all(x), (3, 4), complex=True)
example("all", lambda np, x: np.all(x * ZEROS, axis=0), (3, 4))
example("count_nonzero", lambda np, x: np.count_nonzero(x * ZEROS, axis=(0, 1)), (3, 4), complex=True)
example("count_nonzero", lambda np, x: np.count_nonzero(x * ZEROS, axis=1, keepdims=True), (3, 4))
for _name in ("argmax", "argmin"):
    example(_name, lambda np, x, f=_name: getattr(np, f)(x), (3, 4), complex=True)
    example(_name, lambda np, x, f=_name: getattr(np, f)(x, axis=-1, keepdims=True), (3, 4))
    example(f"ndarray.{_name}", lambda np, x, f=_name: getattr(x, f)(0), (3, 4))
for _name in ("nanargmax", "nanargmin"):
    example(_name, lambda np, x, f=_name: getattr(np, f)(x + HOLES), (3, 4))
    example(_name, lambda np, x, f=_name: getattr(np, f)(x + HOLES, axis=1, keepdims=True), (3, 4))
