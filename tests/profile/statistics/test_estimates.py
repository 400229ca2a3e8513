"""Estimates against samples whose distribution is known, and against SciPy."""

import numpy as np
import pytest

from wengert.profile.statistics.estimates import (
    Estimate,
    compare,
    median,
    outliers,
    paired_ratio,
    steady_from,
    unpaired_ratio,
    verdict,
)


def times(rng, n=200, middle=1e-3, scatter=0.05):
    """Skewed, as times are."""
    return middle * np.exp(scatter * np.abs(rng.normal(size=n)))


def test_the_interval_covers_the_median_as_often_as_it_says():
    hits = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        found = median(np.exp(rng.normal(size=120)), rng)
        hits += found.low <= 1.0 <= found.high
    assert 85 <= hits <= 100


def test_neighbours_that_resemble_each_other_widen_the_interval():
    """An interval that took samples for independent would be several times too narrow."""
    rng = np.random.default_rng(0)
    independent = np.exp(0.1 * rng.normal(size=400))
    drift = np.repeat(0.1 * rng.normal(size=100), 4)
    assert median(np.exp(drift), rng).spread > 1.3 * median(independent, rng).spread


def test_paired_ratios_do_not_see_what_slows_whole_rounds_down():
    rng = np.random.default_rng(1)
    load = np.exp(0.5 * rng.normal(size=300))
    a, b = times(rng, 300, 1.1e-3) * load, times(rng, 300) * load
    paired = paired_ratio(a, b, rng)
    assert paired.low <= 1.1 <= paired.high
    assert paired.spread < 0.2 * unpaired_ratio(a, b, rng).spread


@pytest.mark.parametrize(("factor", "expected"), [(1.2, "slower"), (1 / 1.2, "faster"), (1.0, "same")])
def test_verdicts(factor, expected):
    rng = np.random.default_rng(2)
    found = compare(factor * times(rng), times(rng), rng, paired=False, threshold=0.03)
    assert found.verdict == expected
    assert np.sign(found.effect) == np.sign(round(factor - 1, 1)) or expected == "same"


def test_effect_and_p_are_those_of_the_definition():
    rng = np.random.default_rng(3)
    a, b = times(rng, 40, 1.01e-3), times(rng, 50)
    found = compare(a, b, rng, paired=False)
    pairs = np.sign(a[:, None] - b[None, :])
    assert found.effect == pytest.approx(pairs.mean())
    assert 0 < found.p < 1


def test_too_little_to_tell_is_undecided():
    assert verdict(Estimate(1.1, 0.9, 1.4), 0.3, 0.02) == "undecided"


def test_warm_up_is_found_and_noise_is_not():
    rng = np.random.default_rng(4)
    steady = times(rng, 100)
    assert steady_from(steady) == 0
    assert 15 <= steady_from(np.concatenate([times(rng, 20, 2e-3), steady])) <= 30
    assert steady_from(np.concatenate([steady[:50], [0.1], steady[50:]])) == 0  # a hiccup is no warm-up
    assert steady_from(np.concatenate([steady, times(rng, 100, 2e-3)])) == 0  # nor is what becomes slower


def test_outliers_are_counted():
    rng = np.random.default_rng(5)
    assert outliers(np.concatenate([times(rng, 100, scatter=0.01), [0.1, 0.2]])) == 2
