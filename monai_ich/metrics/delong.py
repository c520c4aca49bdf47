# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""DeLong's test for AUCs of the same slices, for independent slices and for slices clustered in patients."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import norm, rankdata


@dataclass(frozen=True)
class AUCDifference:
    """A paired comparison of two AUCs.

    Attributes:
        difference: first minus second.
        standard_error: of the difference; 0 where no resampling of the slices could change it, NaN where there is too
            little to estimate it from.
        p_value: two-sided, of "no difference", by the normal approximation.
        low: lower end of the normal interval.
        high: its upper end.
    """

    difference: float
    standard_error: float
    p_value: float
    low: float
    high: float


def structural_components(truth: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """DeLong's structural components by midranks (Sun and Xu, IEEE Signal Processing Letters 21(11), 2014).

    V10 of a positive slice is the share of negatives that it outscores, V01 of a negative the share of positives that
    outscore it, ties half: `V10_i = (T(all) - T(positives))_i / n`, `V01_j = 1 - (T(all) - T(negatives))_j / m` with
    the midranks T, in O(N log N) instead of all pairs. The mean of either is the AUC.

    Args:
        truth: (N,) 0 or 1, m positives and n negatives.
        scores: (..., N).

    Returns:
        V10 (..., m) and V01 (..., n), in the order of the slices.
    """
    positive, scores = np.asarray(truth).astype(bool), np.asarray(scores, dtype=float)
    ranks = rankdata(scores, axis=-1)
    m, n = int(positive.sum()), int((~positive).sum())
    v10 = (ranks[..., positive] - rankdata(scores[..., positive], axis=-1)) / n
    v01 = 1 - (ranks[..., ~positive] - rankdata(scores[..., ~positive], axis=-1)) / m
    return v10, v01


def auc_covariance(
    truth: np.ndarray, networks: Sequence[np.ndarray], clusters: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """AUCs of K networks on the same slices, and their covariance.

    Several runs of a network count as their mean AUC: that is a mean of U-statistics and so one itself, whose
    components are the means over the runs. The covariance is that of drawing other slices (or patients) for these very
    runs; what another seed would change is not in it.

    Args:
        truth: (N,) 0 or 1.
        networks: K arrays of scores, (N,), or (S, N) of S runs; S may differ.
        clusters: (N,) the patient of each slice: the covariance of Obuchowski (Biometrics 53, 1997), in which whole
            patients are drawn. None: DeLong et al. (Biometrics 44, 1988), which takes slices for independent and makes
            standard errors too small where a patient has several.

    Returns:
        AUCs (K,), and their covariance (K, K), NaN where a class has fewer than two slices (two patients).
    """
    v10, v01 = _mean_components(truth, networks)
    return v10.mean(axis=1), component_covariance(v10, v01, truth, clusters)


def _mean_components(truth: np.ndarray, networks: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """V10 (K, m) and V01 (K, n), averaged over each network's runs."""
    parts = [structural_components(truth, np.atleast_2d(scores)) for scores in networks]
    return np.stack([v10.mean(axis=0) for v10, _ in parts]), np.stack([v01.mean(axis=0) for _, v01 in parts])


def component_covariance(
    v10: np.ndarray, v01: np.ndarray, truth: np.ndarray, clusters: np.ndarray | None = None
) -> np.ndarray:
    """Covariance of AUCs from their structural components, see `auc_covariance`.

    With the sums of a patient's deviations `D10_i = sum_j (V10_ij - AUC)`, `D01_i = sum_j (V01_ij - AUC)`, I10 patients
    with a positive slice, I01 with a negative one and I in all, Obuchowski's covariance is
    `I10 / (I10 - 1) D10 D10' / m^2 + I01 / (I01 - 1) D01 D01' / n^2 + I / (I - 1) (D10 D01' + D01 D10') / (m n)`.
    With one slice a patient the last term vanishes and the rest is DeLong's.

    Args:
        v10: (K, m).
        v01: (K, n).
        truth: (N,) 0 or 1, m positives and n negatives.
        clusters: (N,), or None.
    """
    positive = np.asarray(truth).astype(bool)
    k, m, n = len(v10), v10.shape[1], v01.shape[1]
    if clusters is None:
        clusters = np.arange(len(positive))
    _, codes = np.unique(clusters, return_inverse=True)
    total = int(codes.max()) + 1
    i10, i01 = len(np.unique(codes[positive])), len(np.unique(codes[~positive]))
    if i10 < 2 or i01 < 2:
        return np.full((k, k), math.nan)
    d10, d01 = np.zeros((total, k)), np.zeros((total, k))
    np.add.at(d10, codes[positive], (v10 - v10.mean(axis=1, keepdims=True)).T)
    np.add.at(d01, codes[~positive], (v01 - v01.mean(axis=1, keepdims=True)).T)
    cross = d10.T @ d01
    return (
        i10 / (i10 - 1) * (d10.T @ d10) / m**2
        + i01 / (i01 - 1) * (d01.T @ d01) / n**2
        + total / (total - 1) * (cross + cross.T) / (m * n)
    )


def compare_aucs(
    truth: np.ndarray,
    first: np.ndarray,
    second: np.ndarray,
    clusters: np.ndarray | None = None,
    level: float = 0.95,
) -> AUCDifference:
    """Tests whether two networks have the same AUC, on the same slices.

    >>> truth = np.array([0, 0, 0, 1, 1, 1])
    >>> result = compare_aucs(truth, np.array([.1, .2, .6, .5, .8, .9]), np.array([.1, .7, .6, .5, .8, .4]))
    >>> round(result.difference, 3), round(result.p_value, 3)
    (0.333, 0.221)

    Args:
        truth: (N,) 0 or 1.
        first: (N,) scores, or (S, N) of S runs, whose mean AUC is compared.
        second: the same for the other network; the number of runs may differ.
        clusters: (N,) the patient of each slice; None takes slices for independent. See `auc_covariance`.
        level: of the interval.
    """
    aucs, covariance = auc_covariance(truth, [first, second], clusters)
    difference = float(aucs[0] - aucs[1])
    # rounding may leave a variance of nothing slightly below zero
    variance = max(float(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]), 0.0)
    if math.isnan(covariance[0, 0]):
        return AUCDifference(difference, *[math.nan] * 4)
    error = math.sqrt(variance)
    if error < 1e-12:  # the same ranking, or two that no slice disturbs: nothing to test unless the AUCs are equal
        same = abs(difference) < 1e-12
        return AUCDifference(difference, 0.0, 1.0 if same else math.nan, difference, difference)
    half = float(norm.ppf((1 + level) / 2)) * error
    p_value = float(2 * norm.sf(abs(difference) / error))
    return AUCDifference(difference, error, p_value, difference - half, difference + half)
