# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""The patient bootstrap against plain loops over copied rows, scikit-learn's metrics and scipy's bootstrap."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics as sklearn_metrics

from monai_ich.metrics import (
    bootstrap_p_value,
    classification_metrics,
    holm_correction,
    percentile_interval,
    resample_counts,
    weighted_auc,
    weighted_classification_metrics,
    weighted_iou,
)


def slices(seed: int, n: int = 60, patients: int = 15, ties: bool = False) -> tuple[np.ndarray, ...]:
    """Labels (N,), scores of two runs (2, N) and the patients' codes (N,) of a test set."""
    rng = np.random.default_rng(seed)
    codes = np.concatenate([np.arange(patients), rng.integers(0, patients, n - patients)])
    labels = rng.random(n) < 0.3
    scores = np.clip(rng.normal(0.4 + 0.2 * labels, 0.2, (2, n)), 0, 1)
    return labels, scores.round(1) if ties else scores, codes


def by_scikit_learn(labels: np.ndarray, scores: np.ndarray, threshold: float = 0.5) -> dict[str, float]:
    called = scores >= threshold
    both = len(np.unique(labels)) == 2
    return {
        "acc": sklearn_metrics.accuracy_score(labels, called),
        "precision": sklearn_metrics.precision_score(labels, called, zero_division=0),
        "recall": sklearn_metrics.recall_score(labels, called) if labels.any() else math.nan,
        "f1": sklearn_metrics.f1_score(labels, called, average="macro", labels=[0, 1], zero_division=0),
        "auc": sklearn_metrics.roc_auc_score(labels, scores) if both else math.nan,
    }


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), n=st.integers(12, 40), ties=st.booleans())
def test_weights_equal_copied_rows(seed: int, n: int, ties: bool) -> None:
    labels, scores, codes = slices(seed, n, patients=6, ties=ties)
    counts = resample_counts(6, 8, np.random.default_rng(seed))
    ours = weighted_classification_metrics(labels, scores, counts[:, codes])
    for resample, count in enumerate(counts):
        drawn = np.concatenate([np.flatnonzero(codes == p) for p in range(6) for _ in range(count[p])])
        for run in range(2):
            theirs = by_scikit_learn(labels[drawn], scores[run][drawn])
            got = {name: values[resample, run] for name, values in ours.items()}
            assert got == pytest.approx(theirs, nan_ok=True)


def test_unit_weights_give_the_plain_metrics() -> None:
    labels, scores, codes = slices(3)
    ours = weighted_classification_metrics(labels, scores, np.ones((1, len(codes))), threshold=0.6)
    for run in range(2):
        plain = classification_metrics(labels, scores[run], threshold=0.6)
        assert {name: values[0, run] for name, values in ours.items()} == pytest.approx({n: plain[n] for n in ours})


def test_iou_of_weighted_slices_is_the_jaccard_score_of_copied_ones() -> None:
    rng = np.random.default_rng(0)
    predicted, mask = rng.random((2, 5, 6, 6)) > 0.5, rng.random((5, 6, 6)) > 0.6
    counts = np.array([[1, 1, 1, 1, 1], [0, 3, 0, 2, 0], [0, 0, 0, 0, 0]])
    ours = weighted_iou((predicted & mask).sum(axis=(2, 3)), (predicted | mask).sum(axis=(2, 3)), counts)
    for resample in (0, 1):
        drawn = np.repeat(np.arange(5), counts[resample])
        for run in range(2):
            theirs = sklearn_metrics.jaccard_score(mask[drawn].ravel(), predicted[run][drawn].ravel())
            assert ours[resample, run] == pytest.approx(theirs)
    assert np.isnan(ours[2]).all()


def test_a_patient_is_drawn_with_all_slices_and_as_often_as_chance_says() -> None:
    counts = resample_counts(20, 4000, np.random.default_rng(1))
    assert (counts.sum(axis=1) == 20).all()
    share = [(counts == k).mean() for k in range(4)]
    assert share == pytest.approx(stats.binom.pmf(range(4), 20, 1 / 20), abs=0.01)


@pytest.mark.parametrize("metric", ["acc", "f1", "auc"])
def test_an_interval_of_single_slices_equals_scipy_s(metric: str) -> None:
    """With one slice a patient the bootstrap is the ordinary one."""
    labels, scores, _ = slices(11, n=120, patients=120)
    counts = resample_counts(120, 4000, np.random.default_rng(2))
    ours = percentile_interval(weighted_classification_metrics(labels, scores[:1], counts)[metric][:, 0])

    def statistic(picked: np.ndarray, axis: int) -> np.ndarray:
        weights = np.apply_along_axis(np.bincount, axis, picked.astype(int), minlength=120)
        return weighted_classification_metrics(labels, scores[:1], np.atleast_2d(weights))[metric][:, 0]

    theirs = stats.bootstrap(
        (np.arange(120),), statistic, n_resamples=4000, method="percentile", rng=np.random.default_rng(3)
    ).confidence_interval
    assert ours[:2] == pytest.approx(theirs, abs=0.012)  # both intervals' own Monte Carlo error
    assert ours[2] == 0


def test_an_interval_over_patients_is_wider_where_slices_of_a_patient_agree() -> None:
    rng = np.random.default_rng(5)
    codes = np.repeat(np.arange(20), 8)
    labels = np.repeat(rng.random(20) < 0.4, 8)
    scores = (np.repeat(rng.normal(0.5, 0.2, 20), 8) + 0.2 * labels)[None]
    clustered = resample_counts(20, 1000, rng)[:, codes]
    single = resample_counts(160, 1000, rng)
    widths = []
    for counts in (clustered, single):
        low, high, _ = percentile_interval(weighted_auc(labels, scores[0], counts))
        widths.append(high - low)
    assert widths[0] > 2 * widths[1]


def test_resamples_of_one_class_are_left_out_and_counted() -> None:
    labels = np.array([1, 0, 0, 0])
    counts = resample_counts(4, 1000, np.random.default_rng(0))
    replicates = weighted_auc(labels, np.array([0.6, 0.1, 0.7, 0.2]), counts)
    low, high, degenerate = percentile_interval(replicates)
    one_class = (counts[:, 0] == 0) | (counts[:, 0] == 4)
    assert degenerate == one_class.sum() > 200
    assert 0 <= low <= high <= 1
    assert percentile_interval(np.full(5, math.nan))[2] == 5
    assert math.isnan(percentile_interval(np.full(5, math.nan))[0])


def test_p_value_agrees_with_the_interval_s_inversion() -> None:
    rng = np.random.default_rng(4)
    for shift in (0.0, 0.5, 1.5, 2.5):
        differences = rng.normal(shift, 1, 20_000)
        assert bootstrap_p_value(differences) == pytest.approx(2 * stats.norm.sf(shift), abs=0.015)
        for level in (0.5, 0.8, 0.95):
            low, high, _ = percentile_interval(differences, level)
            assert (bootstrap_p_value(differences) < 1 - level) == (low > 0 or high < 0)
    assert bootstrap_p_value(np.full(999, 0.1)) == 0.002
    assert math.isnan(bootstrap_p_value(np.array([math.nan])))


def test_holm_by_hand() -> None:
    # sorted .005 .01 .03 .04: x4 = .02, x3 = .03, x2 = .06, x1 = .04 raised to .06
    assert holm_correction([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm_correction([0.7, 0.9]).tolist() == [1.0, 1.0]
    assert len(holm_correction([])) == 0
