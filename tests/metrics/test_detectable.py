# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""The detectable difference equals its formula, worked out here with the standard library alone."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
import pytest

from monai_ich.metrics import hanley_mcneil_variance, minimum_detectable_auc_difference
from monai_ich.metrics.detectable import median_correlation, median_ratio


def _hanley_mcneil_1982(auc: float, positives: int, negatives: int) -> float:
    """Their equation 2, in their order of terms."""
    q1, q2 = auc / (2 - auc), 2 * auc * auc / (1 + auc)
    numerator = auc * (1 - auc) + (positives - 1) * (q1 - auc * auc) + (negatives - 1) * (q2 - auc * auc)
    return numerator / (positives * negatives)


def test_the_variance_is_the_formula_s_with_the_classes_told_apart() -> None:
    assert hanley_mcneil_variance(0.9, 10, 40) == pytest.approx(_hanley_mcneil_1982(0.9, 10, 40), rel=1e-12)
    assert hanley_mcneil_variance(0.9, 40, 10) == pytest.approx(_hanley_mcneil_1982(0.9, 40, 10), rel=1e-12)
    assert hanley_mcneil_variance(0.9, 10, 40) != pytest.approx(hanley_mcneil_variance(0.9, 40, 10), rel=0.01)
    # one slice of each class: a single pair, which is right or wrong
    assert hanley_mcneil_variance(0.8, 1, 1) == pytest.approx(0.8 * 0.2)


def _expected(variance: float, r: float = 0.5, alpha: float = 0.05, power: float = 0.8) -> float:
    z = NormalDist().inv_cdf
    return (z(1 - alpha / 2) + z(power)) * math.sqrt(2 * (1 - r) * variance)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"correlation": 0.0},
        {"correlation": 0.8},
        {"alpha": 0.01},
        {"power": 0.9},
        {"alpha": 0.2, "power": 0.6, "correlation": 0.3},
    ],
)
def test_the_difference_is_the_formula_s(settings: dict[str, float]) -> None:
    names = {"correlation": "r"}
    variance = _hanley_mcneil_1982(0.85, 30, 90)
    expected = _expected(variance, **{names.get(name, name): value for name, value in settings.items()})
    assert minimum_detectable_auc_difference(0.85, 30, 90, **settings) == pytest.approx(expected, rel=1e-9)


def test_factors_of_the_variance_act_by_their_square_root() -> None:
    plain = minimum_detectable_auc_difference(0.85, 30, 90)
    assert minimum_detectable_auc_difference(0.85, 30, 90, design_effect=1.44) == pytest.approx(1.2 * plain)
    assert minimum_detectable_auc_difference(0.85, 30, 90, averaging=0.49) == pytest.approx(0.7 * plain)
    both = minimum_detectable_auc_difference(0.85, 30, 90, design_effect=4.0, averaging=0.25)
    assert both == pytest.approx(plain)


def test_an_auc_is_bounded_half_a_positive_short_of_perfect_and_mirrored_below_a_half() -> None:
    at_bound = _expected(_hanley_mcneil_1982(1 - 1 / 20, 10, 50))
    assert minimum_detectable_auc_difference(1.0, 10, 50) == pytest.approx(at_bound)
    assert minimum_detectable_auc_difference(0.96, 10, 50) == pytest.approx(at_bound)
    assert minimum_detectable_auc_difference(0.94, 10, 50) == pytest.approx(
        _expected(_hanley_mcneil_1982(0.94, 10, 50))
    )
    assert minimum_detectable_auc_difference(0.2, 10, 50) == minimum_detectable_auc_difference(0.8, 10, 50)
    # one positive: the bound is a half, where no AUC lies below it
    assert minimum_detectable_auc_difference(0.9, 1, 400) == pytest.approx(_expected(_hanley_mcneil_1982(0.5, 1, 400)))


def test_no_difference_is_above_one_and_none_is_without_both_classes() -> None:
    assert minimum_detectable_auc_difference(0.5, 1, 1, correlation=0.0) == 1.0
    assert minimum_detectable_auc_difference(0.5, 2, 2, correlation=0.0, design_effect=0.1) < 1.0
    for positives, negatives in ((0, 5), (5, 0), (0, 0)):
        assert math.isnan(minimum_detectable_auc_difference(0.8, positives, negatives))
    assert math.isnan(minimum_detectable_auc_difference(math.nan, 5, 5))
    assert minimum_detectable_auc_difference(0.8, 1, 1) > 0


def test_the_median_ratio_leaves_out_what_cannot_be_divided() -> None:
    assert median_ratio(np.array([2.0, 6.0, 9.0]), np.array([1.0, 2.0, 1.0])) == 3.0
    assert median_ratio(np.array([2.0, 6.0]), np.array([0.0, 2.0])) == 3.0
    assert median_ratio(np.array([-1.0, 6.0]), np.array([1.0, 2.0])) == 3.0
    assert median_ratio(np.array([0.0, 0.5]), np.array([1.0, 1.0])) == 0.25
    assert median_ratio(np.array([2.0]), np.array([math.nan])) == 1.0
    assert median_ratio(np.array([]), np.array([])) == 1.0


def test_the_median_correlation_is_numpy_s_within_its_bounds() -> None:
    covariance = np.cov(np.random.default_rng(0).normal(size=(3, 40)) + np.random.default_rng(1).normal(size=40))
    pairs = np.corrcoef(np.random.default_rng(0).normal(size=(3, 40)) + np.random.default_rng(1).normal(size=40))
    assert median_correlation(covariance) == pytest.approx(np.median(pairs[np.tril_indices(3, -1)]))
    assert median_correlation(np.array([[4.0, 7.9], [7.9, 16.0]])) == 0.95
    assert median_correlation(np.array([[4.0, 7.5], [7.5, 16.0]])) == 7.5 / 8
    assert median_correlation(np.array([[4.0, -1.0], [-1.0, 16.0]])) == 0.0
    assert median_correlation(np.array([[4.0, 0.4], [0.4, 16.0]])) == 0.05
    # a network without variance correlates with none
    assert median_correlation(np.array([[0.0, 0.0], [0.0, 1.0]]), default=0.3) == 0.3
    assert median_correlation(np.array([[1.0]])) == 0.5
    mixed = np.array([[0.0, 0.0, 0.0], [0.0, 1.0, 0.2], [0.0, 0.2, 1.0]])
    assert median_correlation(mixed) == pytest.approx(0.2)
