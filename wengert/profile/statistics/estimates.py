"""What samples of time say: medians with confidence intervals, ratios, and whether two things differ.

Times are skewed, have outliers on one side, and neighbours in a run resemble each other. So: medians; a bootstrap of blocks of
neighbours, whose intervals do not pretend that samples are independent; a test of ranks; an effect size that counts pairs.

Source  Künsch (1989) for the bootstrap of blocks; Mann & Whitney (1947); Cliff (1993) for the effect size; White (1997) for the
        end of the warm-up, MSER.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

RESAMPLES = 2000
CONFIDENCE = 0.95
DROP = 0.05  # relative: what is less slow than that at the beginning has no warm-up
Verdict = Literal["faster", "slower", "same", "undecided"]


@dataclass(frozen=True)
class Estimate:
    """A value and its confidence interval."""

    value: float
    low: float
    high: float

    @property
    def spread(self) -> float:
        """Half the interval's width, relative to the value."""
        return (self.high - self.low) / 2 / self.value if self.value else 0.0


@dataclass(frozen=True)
class Comparison:
    """One thing against another.

    ratio : time of this over time of the other; below 1 is faster
    p : of the Mann–Whitney test that neither tends to be larger (two-sided)
    effect : Cliff's δ, from -1 (every sample is below every one of the other) to 1
    """

    ratio: Estimate
    p: float
    effect: float
    verdict: Verdict


def steady_from(times: np.ndarray) -> int:
    """The sample from which on times no longer drift: the cut, in the first half, that makes the mean of the rest surest (MSER).

    Outliers are drawn in to the upper fence first: a late hiccup is no warm-up.
    """
    n = len(times)
    if n < 8:
        return 0
    x = np.minimum(np.log(np.maximum(times, 1e-12)), np.log(max(_fence(times), 1e-12)))
    left = np.arange(n, 0, -1)
    sums, squares = np.cumsum(x[::-1])[::-1], np.cumsum((x * x)[::-1])[::-1]
    error = (squares - sums * sums / left) / left**2
    cut = int(np.argmin(error[: n // 2]))
    # A warm-up is slower than what comes after it, and cutting it makes the rest a good deal surer; else it is noise that was cut.
    slower = cut and np.mean(x[:cut]) > np.mean(x[cut:]) + DROP
    return cut if slower and error[cut] < 0.5 * error[0] else 0


def outliers(times: np.ndarray) -> int:
    """How many samples lie above Tukey's outer fence."""
    return int(np.count_nonzero(times > _fence(times)))


def _fence(times: np.ndarray) -> float:
    low, high = np.percentile(times, [25, 75])
    return high + 3 * (high - low)


def median(times: np.ndarray, rng: np.random.Generator) -> Estimate:
    """The median, with a bootstrapped interval."""
    return _bootstrapped(len(times), lambda rows: np.median(times[rows], axis=1), float(np.median(times)), rng)


def paired_ratio(ours: np.ndarray, theirs: np.ndarray, rng: np.random.Generator) -> Estimate:
    """The median over rounds of ours / theirs, which what slowed a whole round down does not touch."""
    ratios = ours / theirs
    return _bootstrapped(len(ratios), lambda rows: np.median(ratios[rows], axis=1), float(np.median(ratios)), rng)


def unpaired_ratio(ours: np.ndarray, theirs: np.ndarray, rng: np.random.Generator) -> Estimate:
    """The ratio of medians of samples that were taken apart."""
    a = np.median(ours[_blocks(len(ours), rng)], axis=1)
    b = np.median(theirs[_blocks(len(theirs), rng)], axis=1)
    return _interval(float(np.median(ours) / np.median(theirs)), a / b)


def compare(
    ours: np.ndarray, theirs: np.ndarray, rng: np.random.Generator, *, paired: bool, threshold: float = 0.02
) -> Comparison:
    """Ours against theirs. Differences below `threshold` count as none."""
    from scipy.stats import mannwhitneyu

    ratio = (paired_ratio if paired else unpaired_ratio)(ours, theirs, rng)
    u, p = mannwhitneyu(ours, theirs, alternative="two-sided")
    effect = 2 * float(u) / (len(ours) * len(theirs)) - 1
    return Comparison(ratio, float(p), effect, verdict(ratio, float(p), threshold))


def verdict(ratio: Estimate, p: float, threshold: float) -> Verdict:
    """What an interval of ratios says: it must lie on one side of 1, and the medians be further apart than `threshold`."""
    if ratio.high < 1 / (1 + threshold) or (ratio.high < 1 and ratio.value < 1 / (1 + threshold) and p < 0.01):
        return "faster"
    if ratio.low > 1 + threshold or (ratio.low > 1 and ratio.value > 1 + threshold and p < 0.01):
        return "slower"
    if ratio.low > 1 / (1 + threshold) and ratio.high < 1 + threshold:
        return "same"
    return "undecided"


def _bootstrapped(
    n: int, statistic: Callable[[np.ndarray], np.ndarray], value: float, rng: np.random.Generator
) -> Estimate:
    return _interval(value, statistic(_blocks(n, rng)))


def _blocks(n: int, rng: np.random.Generator) -> np.ndarray:
    """Indices of resamples, (RESAMPLES, n), made of blocks of n^⅓ neighbours (the last and the first are neighbours too)."""
    length = max(1, round(n ** (1 / 3)))
    starts = rng.integers(0, n, (RESAMPLES, -(-n // length)))
    return ((starts[:, :, None] + np.arange(length)) % n).reshape(RESAMPLES, -1)[:, :n]


def _interval(value: float, resampled: np.ndarray) -> Estimate:
    tail = 50 * (1 - CONFIDENCE)
    low, high = np.percentile(resampled, [tail, 100 - tail])
    return Estimate(value, float(low), float(high))
