# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""How small a difference of AUC a test set can show at all, from its number of positives."""

from __future__ import annotations

import math

import numpy as np
from scipy.stats import norm


def hanley_mcneil_variance(auc: float, n_positive: int, n_negative: int) -> float:
    """Variance of an AUC of independent slices (Hanley and McNeil, Radiology 143, 1982).

    `[A (1 - A) + (m - 1) (Q1 - A^2) + (n - 1) (Q2 - A^2)] / (m n)` with `Q1 = A / (2 - A)`, `Q2 = 2 A^2 / (1 + A)`.

    >>> round(hanley_mcneil_variance(0.893, 51, 58) ** 0.5, 4)
    0.0325
    """
    q1, q2 = auc / (2 - auc), 2 * auc**2 / (1 + auc)
    spread = auc * (1 - auc) + (n_positive - 1) * (q1 - auc**2) + (n_negative - 1) * (q2 - auc**2)
    return spread / (n_positive * n_negative)


def minimum_detectable_auc_difference(
    auc: float,
    n_positive: int,
    n_negative: int,
    *,
    correlation: float = 0.5,
    design_effect: float = 1.0,
    averaging: float = 1.0,
    alpha: float = 0.05,
    power: float = 0.8,
) -> float:
    """The smallest difference of two AUCs on the same slices that a test finds with probability `power`.

    `(z_(1 - alpha / 2) + z_power) sqrt(2 (1 - r) deff avg Var(A))`: the variance of one AUC (`hanley_mcneil_variance`),
    inflated by the design effect of slices that share patients (Obuchowski, Biometrics 53, 1997), lessened by averaging
    over runs, and the correlation r of two AUCs on one test set (Hanley and McNeil, Radiology 148, 1983).

    Args:
        auc: around which the difference lies. At 1 the formula's variance is 0, however few positives there are;
            so it is taken to be at most `1 - 1 / (2 m)`, half a positive slice short of perfect.
        n_positive: slices, m.
        n_negative: slices.
        correlation: of the two AUCs.
        design_effect: variance with patients drawn over variance with slices drawn.
        averaging: variance of the mean AUC over runs over that of a single run's.
        alpha: the test's two-sided level.
        power: the probability of finding it.

    Returns:
        In AUC, at most 1 (a larger one cannot exist); NaN without both classes.
    """
    if n_positive == 0 or n_negative == 0 or math.isnan(auc):
        return math.nan
    bounded = min(max(auc, 1 - auc), 1 - 1 / (2 * n_positive))
    variance = design_effect * averaging * hanley_mcneil_variance(bounded, n_positive, n_negative)
    needed = norm.ppf(1 - alpha / 2) + norm.ppf(power)  # standard errors
    return min(1.0, float(needed * math.sqrt(2 * (1 - correlation) * variance)))


def median_ratio(variances: np.ndarray, others: np.ndarray) -> float:
    """The median over K networks of one variance over another, both (K,); 1 where there is nothing to divide."""
    ratios = [one / other for one, other in zip(variances, others, strict=True) if other > 0 and one >= 0]
    return float(np.median(ratios)) if ratios else 1.0


def median_correlation(covariance: np.ndarray, default: float = 0.5) -> float:
    """The median correlation between different networks' AUCs, within 0 and 0.95; `default` where there is none.

    Args:
        covariance: (K, K).
        default: for one network, or AUCs without variance.
    """
    spread = np.sqrt(np.diag(covariance).clip(min=0))
    pairs = [
        covariance[i, j] / (spread[i] * spread[j])
        for i in range(len(spread))
        for j in range(i)
        if spread[i] > 0 and spread[j] > 0
    ]
    return float(np.clip(np.median(pairs), 0.0, 0.95)) if pairs else default
