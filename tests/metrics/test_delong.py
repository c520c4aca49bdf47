# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""DeLong's test against pairs counted one by one, Obuchowski's formula written out, and simulated nulls."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm
from sklearn.metrics import roc_auc_score

from monai_ich.metrics import (
    auc_covariance,
    compare_aucs,
    hanley_mcneil_variance,
    minimum_detectable_auc_difference,
    resample_counts,
    structural_components,
    weighted_auc,
)


def pairs(truth: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """psi (m, n): 1 where the positive outscores the negative, 1/2 where they tie."""
    positive, negative = scores[truth][:, None], scores[~truth][None]
    return (positive > negative) + 0.5 * (positive == negative)


def written_out(truth: np.ndarray, networks: np.ndarray, clusters: np.ndarray) -> np.ndarray:
    """Obuchowski (1997), sum by sum, over patients in a plain loop."""
    k, m, n = len(networks), truth.sum(), (~truth).sum()
    kernels = [pairs(truth, scores) for scores in networks]
    aucs = [kernel.mean() for kernel in kernels]
    s10, s01, s11 = (np.zeros((k, k)) for _ in range(3))
    ids = np.unique(clusters)
    i10, i01 = (len(np.unique(clusters[chosen])) for chosen in (truth, ~truth))
    for patient in ids:
        mine = [
            (
                sum(kernels[r][i].mean() - aucs[r] for i in np.flatnonzero(clusters[truth] == patient)),
                sum(kernels[r][:, j].mean() - aucs[r] for j in np.flatnonzero(clusters[~truth] == patient)),
            )
            for r in range(k)
        ]
        for r in range(k):
            for t in range(k):
                s10[r, t] += mine[r][0] * mine[t][0] * i10 / ((i10 - 1) * m)
                s01[r, t] += mine[r][1] * mine[t][1] * i01 / ((i01 - 1) * n)
                s11[r, t] += mine[r][0] * mine[t][1] * len(ids) / (len(ids) - 1)
    return s10 / m + s01 / n + (s11 + s11.T) / (m * n)


def data(seed: int, n: int, ties: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = rng.random(n) < 0.4
    truth[:4] = (True, True, False, False)
    scores = rng.random((3, n))
    clusters = rng.integers(0, 5, n)
    clusters[:4] = (0, 1, 0, 1)
    return truth, scores.round(1) if ties else scores, clusters


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), n=st.integers(6, 40), ties=st.booleans())
def test_components_and_covariances_equal_the_pairwise_sums(seed: int, n: int, ties: bool) -> None:
    truth, scores, clusters = data(seed, n, ties)
    v10, v01 = structural_components(truth, scores)
    for row in range(3):
        assert v10[row] == pytest.approx(pairs(truth, scores[row]).mean(axis=1))
        assert v01[row] == pytest.approx(pairs(truth, scores[row]).mean(axis=0))
    aucs, covariance = auc_covariance(truth, scores)
    assert aucs == pytest.approx([roc_auc_score(truth, row) for row in scores])
    delong = np.cov(v10) / truth.sum() + np.cov(v01) / (~truth).sum()  # DeLong et al. (1988), equation 5
    assert covariance == pytest.approx(delong)
    assert auc_covariance(truth, scores, clusters)[1] == pytest.approx(written_out(truth, scores, clusters))
    assert auc_covariance(truth, scores, np.arange(n))[1] == pytest.approx(delong), "one slice a patient"


def test_runs_count_as_their_mean_auc() -> None:
    rng = np.random.default_rng(1)
    truth = rng.random(80) < 0.3
    runs = rng.normal(truth, 1.0, (3, 80))
    aucs, covariance = auc_covariance(truth, [runs, runs[0], runs[1], runs[2]])
    assert aucs[0] == pytest.approx(aucs[1:].mean())
    assert covariance[0, 0] == pytest.approx(covariance[1:, 1:].mean()), "variance of a mean of three"
    result = compare_aucs(truth, runs, runs[:2])
    assert result.difference == pytest.approx(aucs[1:].mean() - aucs[1:3].mean())


def simulate(rng: np.random.Generator, patients: int, within: float) -> tuple[np.ndarray, ...]:
    """Two equally good networks that err on a patient as a whole, each on its own; 5 slices a patient."""
    clusters = np.repeat(np.arange(patients), 5)
    truth = rng.random(len(clusters)) < 0.3
    error = within * rng.normal(size=(2, patients))[:, clusters] + rng.normal(size=(2, len(clusters)))
    return truth, truth + error, clusters


def test_the_null_is_rejected_as_often_as_promised_and_too_often_without_patients() -> None:
    rng = np.random.default_rng(2)
    p_values = []
    for _ in range(400):
        truth, scores, clusters = simulate(rng, 40, within=1.5)
        p_values.append([compare_aucs(truth, *scores, c).p_value for c in (clusters, None)])
    clustered, independent = (np.array(p_values) < 0.05).mean(axis=0)
    assert 0.02 < clustered < 0.09
    assert independent > clustered
    singles = []
    for _ in range(400):
        truth, scores, _ = simulate(rng, 40, within=0.0)
        singles.append(compare_aucs(truth, *scores).p_value)
    assert 0.02 < (np.array(singles) < 0.05).mean() < 0.09


def test_the_standard_error_is_the_patient_bootstrap_s() -> None:
    truth, scores, clusters = simulate(np.random.default_rng(3), 150, within=1.5)
    counts = resample_counts(150, 1500, np.random.default_rng(4))[:, clusters]
    replicates = weighted_auc(truth, scores[0], counts) - weighted_auc(truth, scores[1], counts)
    result = compare_aucs(truth, *scores, clusters)
    assert result.standard_error == pytest.approx(replicates.std(ddof=1), rel=0.08)
    assert (result.low + result.high) / 2 == pytest.approx(result.difference)
    assert result.high - result.low == pytest.approx(2 * 1.959964 * result.standard_error)


def test_what_cannot_be_estimated_is_nan_and_the_same_ranking_is_no_difference() -> None:
    truth = np.array([1, 0, 0, 0])
    assert math.isnan(compare_aucs(truth, np.array([0.9, 0.1, 0.2, 0.3]), np.array([0.1, 0.2, 0.3, 0.4])).p_value)
    truth, scores, clusters = data(0, 30, ties=False)
    same = compare_aucs(truth, scores[0], scores[0] ** 2, clusters)
    assert (same.difference, same.p_value) == (0.0, 1.0)
    one_patient = np.where(truth, 7, clusters)
    assert math.isnan(compare_aucs(truth, scores[0], scores[1], one_patient).p_value)
    perfect, reversed_ = truth.astype(float), 1.0 - truth
    assert math.isnan(compare_aucs(truth, perfect, reversed_, clusters).p_value)


def test_hanley_and_mcneil_s_variance_against_simulation() -> None:
    """Their formula is exact for exponential scores, with A = rate / (1 + rate)."""
    rng = np.random.default_rng(5)
    truth = np.repeat([True, False], (21, 158))
    aucs = []
    for _ in range(600):
        scores = np.where(truth, rng.exponential(4.0, 179), rng.exponential(1.0, 179))
        aucs.append(roc_auc_score(truth, scores))
    assert np.mean(aucs) == pytest.approx(0.8, abs=0.01)
    assert np.std(aucs) == pytest.approx(hanley_mcneil_variance(0.8, 21, 158) ** 0.5, rel=0.1)


def test_the_detectable_difference_is_found_in_four_of_five_test_sets() -> None:
    """Two binormal networks that differ by it, correlated as assumed: the test finds it about as often as stated."""
    rng = np.random.default_rng(6)
    truth = np.repeat([True, False], (40, 160))
    middle, found, correlations = 0.85, [], []
    smallest = minimum_detectable_auc_difference(middle, 40, 160, correlation=0.5)
    shifts = [norm.ppf(middle + half * smallest) * math.sqrt(2) for half in (0.5, -0.5)]
    for _ in range(300):
        common = rng.normal(size=200) * math.sqrt(0.55)
        scores = [common + rng.normal(size=200) * math.sqrt(0.45) + shift * truth for shift in shifts]
        covariance = auc_covariance(truth, scores)[1]
        correlations.append(covariance[0, 1] / math.sqrt(covariance[0, 0] * covariance[1, 1]))
        found.append(compare_aucs(truth, *scores).p_value < 0.05)
    assert np.mean(correlations) == pytest.approx(0.5, abs=0.06)
    assert 0.7 < np.mean(found) < 0.93


def test_fewer_positives_detect_less_and_patients_make_it_worse() -> None:
    few, many = (minimum_detectable_auc_difference(0.95, m, 160) for m in (5, 40))
    assert few > 2 * many
    inflated = minimum_detectable_auc_difference(0.95, 40, 160, design_effect=4.0)
    assert inflated == pytest.approx(2 * many)
    assert minimum_detectable_auc_difference(1.0, 5, 160) > 0.05, "a perfect AUC of 5 positives proves little"
    assert math.isnan(minimum_detectable_auc_difference(0.9, 0, 10))
