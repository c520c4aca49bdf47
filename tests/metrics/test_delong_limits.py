# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""What a comparison of AUCs returns where there is nothing to test, and where there is only just enough."""

from __future__ import annotations

import math

import numpy as np
import pytest

from monai_ich.metrics import auc_covariance, classification_metrics, compare_aucs, structural_components

TRUTH = np.array([0, 0, 1, 1])
RIGHT, WRONG = np.array([0.1, 0.2, 0.8, 0.9]), np.array([0.9, 0.8, 0.2, 0.1])
CLOSE = np.array([0.1, 0.5, 0.4, 0.9])  # three of four pairs


def test_two_rankings_that_no_slice_disturbs_differ_by_what_they_differ() -> None:
    same = compare_aucs(TRUTH, RIGHT, RIGHT + 5)
    assert (same.difference, same.standard_error, same.p_value, same.low, same.high) == (0.0, 0.0, 1.0, 0.0, 0.0)
    apart = compare_aucs(TRUTH, RIGHT, WRONG)
    assert (apart.difference, apart.standard_error, apart.low, apart.high) == (1.0, 0.0, 1.0, 1.0)
    assert math.isnan(apart.p_value)


@pytest.mark.parametrize(("positives", "tested"), [(1, False), (2, True), (4, True), (5, False)])
def test_two_slices_of_either_class_are_needed(positives: int, tested: bool) -> None:
    truth = np.arange(6) < positives
    rng = np.random.default_rng(0)
    result = compare_aucs(truth, rng.random(6), rng.random(6))
    assert not math.isnan(result.difference)
    numbers = (result.standard_error, result.p_value, result.low, result.high)
    assert [isinstance(number, float) and math.isnan(number) for number in numbers] == [not tested] * 4


def test_an_interval_is_the_normal_one_of_its_level() -> None:
    narrow, wide = (compare_aucs(TRUTH, RIGHT, CLOSE, level=level) for level in (0.5, 0.95))
    assert narrow.difference == wide.difference == 0.25
    assert wide.high - wide.difference == pytest.approx(1.959964 * wide.standard_error)
    assert narrow.difference - narrow.low == pytest.approx(0.6744898 * narrow.standard_error)
    assert compare_aucs(TRUTH, RIGHT, CLOSE) == wide, "0.95 if not given"


def test_components_of_runs_are_the_shares_of_pairs_won() -> None:
    scores = np.stack([RIGHT, WRONG, CLOSE, np.zeros(4)])
    pairs = scores[:, 2:, None] - scores[:, None, :2]  # (runs, positives, negatives)
    won = (pairs > 0) + 0.5 * (pairs == 0)
    v10, v01 = structural_components(TRUTH, scores)
    np.testing.assert_allclose(v10, won.mean(axis=2))
    np.testing.assert_allclose(v01, won.mean(axis=1))


def test_the_covariance_of_one_network_is_delong_s_by_hand() -> None:
    aucs, covariance = auc_covariance(TRUTH, [CLOSE])
    # V10 is 1/2 and 1, V01 is 1 and 1/2: both have the variance 1/8, over 2 slices each
    assert (aucs.tolist(), covariance.tolist()) == ([0.75], [[pytest.approx(1 / 8)]])


def test_no_slice_gives_no_metric_and_counts_of_zero() -> None:
    nothing = classification_metrics(np.array([]), np.array([]))
    assert (nothing.pop("n"), nothing.pop("n_positive")) == (0, 0)
    assert set(nothing) == {"acc", "precision", "recall", "f1", "auc"}
    assert all(math.isnan(value) for value in nothing.values())


@pytest.mark.parametrize("label", [0, 1])
def test_one_class_has_no_auc_and_no_warning(label: int, recwarn: pytest.WarningsRecorder) -> None:
    assert math.isnan(classification_metrics(np.full(3, label), np.array([0.1, 0.6, 0.9]))["auc"])
    assert not recwarn.list
