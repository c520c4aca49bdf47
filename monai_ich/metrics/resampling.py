# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""The bootstrap over patients: resamples as weights, metrics of weighted slices, intervals and p-values."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np


def resample_counts(n_patients: int, resamples: int, rng: np.random.Generator) -> np.ndarray:
    """Draws patients with replacement: int (R, P), how often each of P patients is in each of R resamples.

    A slice's weight in a resample is its patient's count: the same as repeating all its rows, without copying any.
    """
    return rng.multinomial(n_patients, np.full(n_patients, 1 / n_patients), size=resamples)


def weighted_classification_metrics(
    truth: np.ndarray, scores: np.ndarray, weights: np.ndarray, threshold: float = 0.5
) -> dict[str, np.ndarray]:
    """`classification_metrics` of many resamples at once.

    >>> metrics = weighted_classification_metrics(np.array([0, 1, 1]), np.array([[.1, .9, .2]]), np.array([[1, 1, 2]]))
    >>> metrics["recall"].round(3)
    array([[0.333]])

    Args:
        truth: (N,) 0 or 1.
        scores: (S, N) probabilities of S runs for the same slices.
        weights: (R, N) how often each slice is in each resample.
        threshold: a slice is called positive from this probability on.

    Returns:
        `acc`, `precision`, `recall`, `f1` (macro), `auc`, each (R, S), defined as in `classification_metrics`: NaN are
        `recall` without a positive, `auc` without both classes, and everything without a slice.
    """
    weights, positive = np.asarray(weights, dtype=float), np.asarray(truth).astype(bool)
    called = np.asarray(scores) >= threshold
    true_positive = weights @ (called & positive).T.astype(float)  # (R, S), as all below
    false_positive = weights @ (called & ~positive).T.astype(float)
    n_positive = (weights @ positive.astype(float))[:, None]
    n = weights.sum(axis=1)[:, None]
    false_negative = n_positive - true_positive
    true_negative = n - n_positive - false_positive
    wrong = false_positive + false_negative
    f1_positive = ratio(2 * true_positive, 2 * true_positive + wrong, 0.0)
    f1_negative = ratio(2 * true_negative, 2 * true_negative + wrong, 0.0)
    metrics = {
        "acc": ratio(true_positive + true_negative, n),
        "precision": ratio(true_positive, true_positive + false_positive, 0.0),
        "recall": ratio(true_positive, n_positive),
        "f1": (f1_positive + f1_negative) / 2,
        "auc": np.stack([weighted_auc(positive, run, weights) for run in np.asarray(scores)], axis=1),
    }
    return {name: np.where(n > 0, values, math.nan) for name, values in metrics.items()}


def weighted_auc(truth: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """AUC of weighted slices: the weighted share of pairs in which the positive slice scores higher; a tie is half.

    Args:
        truth: (N,) 0 or 1.
        scores: (N,).
        weights: (R, N).

    Returns:
        (R,), NaN where a class has no weight.
    """
    positive, weights = np.asarray(truth).astype(bool), np.asarray(weights, dtype=float)
    negatives = np.sort(scores[~positive])
    order = np.argsort(scores[~positive], kind="stable")
    w_positive, w_negative = weights[:, positive], weights[:, ~positive]
    below = np.concatenate([np.zeros((len(weights), 1)), w_negative[:, order].cumsum(axis=1)], axis=1)  # (R, n_neg + 1)
    left, right = (np.searchsorted(negatives, scores[positive], side) for side in ("left", "right"))
    won = (w_positive * (below[:, left] + below[:, right])).sum(axis=1) / 2
    return ratio(won, w_positive.sum(axis=1) * below[:, -1])


def weighted_iou(intersections: np.ndarray, unions: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Pooled IoU of weighted slices.

    Args:
        intersections: (S, N) pixels of S runs, of the slices with blood.
        unions: (S, N) pixels.
        weights: (R, N).

    Returns:
        (R, S), NaN where no slice has any weight.
    """
    weights = np.asarray(weights, dtype=float)
    return ratio(weights @ np.asarray(intersections, float).T, weights @ np.asarray(unions, float).T)


def percentile_interval(replicates: np.ndarray, level: float = 0.95) -> tuple[float, float, int]:
    """The percentile bootstrap's interval.

    Args:
        replicates: (R,) a metric of each resample, NaN where the resample leaves it undefined.
        level: the share of replicates inside.

    Returns:
        Lower and upper end (NaN when every resample is degenerate), and the number of degenerate resamples left out.
    """
    defined = replicates[~np.isnan(replicates)]
    degenerate = len(replicates) - len(defined)
    if len(defined) == 0:
        return math.nan, math.nan, degenerate
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high), degenerate


def bootstrap_p_value(differences: np.ndarray) -> float:
    """Two-sided p-value of "no difference", by inverting the percentile interval.

    Twice the smaller of the shares of resamples at or beyond zero on either side, the observed sample counted as one:
    it falls below 1 - level when the interval leaves zero out. R resamples give no p below 2 / (R + 1).

    >>> bootstrap_p_value(np.array([0.1, 0.2, 0.3] * 333))
    0.002
    >>> bootstrap_p_value(np.zeros(999))
    1.0

    Args:
        differences: (R,) of paired resamples, NaN where undefined.

    Returns:
        In (0, 1]; NaN when every resample is degenerate.
    """
    defined = differences[~np.isnan(differences)]
    if len(defined) == 0:
        return math.nan
    tail = min(int((defined <= 0).sum()), int((defined >= 0).sum()))
    return min(1.0, 2 * (tail + 1) / (len(defined) + 1))


def holm_correction(p_values: Sequence[float] | np.ndarray) -> np.ndarray:
    """Holm's step-down correction (1979): the chance of any false finding in the family stays below the level.

    >>> holm_correction([0.01, 0.04, 0.03, float("nan")])
    array([0.03, 0.06, 0.06,  nan])

    Args:
        p_values: (K,) of one family; NaN for what was not tested, which does not count.

    Returns:
        (K,) corrected, in the same order.
    """
    p = np.asarray(p_values, dtype=float)
    tested = np.flatnonzero(~np.isnan(p))
    order = tested[np.argsort(p[tested], kind="stable")]
    steps = p[order] * np.arange(len(order), 0, -1)
    corrected = np.full(len(p), math.nan)
    corrected[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return corrected


def ratio(part: np.ndarray, whole: np.ndarray, empty: float = math.nan) -> np.ndarray:
    """`part / whole`, and `empty` where the whole is 0; the whole is broadcast to the part's shape."""
    whole = np.broadcast_to(whole, np.shape(part))
    return np.divide(part, whole, out=np.full(np.shape(part), empty, dtype=float), where=whole > 0)
