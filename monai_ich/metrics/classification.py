# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Classification metrics of one marker or several, as in Table 1 of the paper."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from sklearn.metrics import roc_auc_score

CLASSIFICATION_METRICS = ("acc", "precision", "recall", "f1", "auc")


def classification_metrics(labels: np.ndarray, probabilities: np.ndarray, threshold: float = 0.5) -> dict[str, float]:
    """Metrics of one marker, named by field.

    >>> metrics = classification_metrics(np.array([0, 0, 1, 1]), np.array([0.1, 0.6, 0.4, 0.9]))
    >>> metrics["acc"], metrics["auc"]
    (0.5, 0.75)

    Args:
        labels: (N,) 0, 1, or unknown (NaN or negative), which is left out.
        probabilities: (N,) of the marker.
        threshold: a slice is called positive from this probability on.

    Returns:
        `acc`; `precision` and `recall` of the positive class; `f1`, the mean of both classes' F1 (macro; inferred from
        Table 1, where the positive class's alone does not fit the precision and recall beside it); `auc`; `n` and
        `n_positive`. What is not defined is NaN: `auc` and `recall` without both classes or without positives, and
        everything without slices. `precision` is 0 when nothing is called positive, and F1 of a class with no slice,
        predicted or true, is 0, as in scikit-learn with `zero_division=0`.

    Raises:
        ValueError: the shapes differ, a label is not 0, 1 or unknown, or a probability of a known label is NaN.
    """
    truth, scores = _known(np.asarray(labels), np.asarray(probabilities))
    n, n_positive = len(truth), int(truth.sum())
    if n == 0:
        return dict.fromkeys(CLASSIFICATION_METRICS, math.nan) | {"n": 0, "n_positive": 0}
    called = scores >= threshold
    true_positive = int((called & truth).sum())
    false_positive = int((called & ~truth).sum())
    false_negative = n_positive - true_positive
    true_negative = n - true_positive - false_positive - false_negative
    both = 0 < n_positive < n
    return {
        "acc": (true_positive + true_negative) / n,
        "precision": _ratio(true_positive, true_positive + false_positive),
        "recall": true_positive / n_positive if n_positive else math.nan,
        "f1": (
            _ratio(2 * true_positive, 2 * true_positive + false_positive + false_negative)
            + _ratio(2 * true_negative, 2 * true_negative + false_positive + false_negative)
        )
        / 2,
        "auc": float(roc_auc_score(truth, scores)) if both else math.nan,
        "n": n,
        "n_positive": n_positive,
    }


def multilabel_metrics(
    labels: np.ndarray, probabilities: np.ndarray, markers: Sequence[str], threshold: float = 0.5
) -> dict[str, float]:
    """Metrics of several markers, and their means.

    Args:
        labels: (N, K) 0, 1, or unknown (NaN or negative).
        probabilities: (N, K).
        markers: K names.
        threshold: see `classification_metrics`.

    Returns:
        Each of `classification_metrics` as `<metric>_<marker>`, over the slices where that marker is known, and
        `<metric>`, its mean over the markers for which it is defined (NaN if for none). `n` counts the slices with any
        known marker, `n_positive` those with any marker.

    Raises:
        ValueError: see `classification_metrics`.
    """
    labels, probabilities = np.asarray(labels, dtype=float), np.asarray(probabilities)
    if labels.shape != probabilities.shape or labels.ndim != 2 or labels.shape[1] != len(markers):
        raise ValueError(
            f"expected labels and probabilities (N, {len(markers)}), got {labels.shape} and {probabilities.shape}"
        )
    each = {
        marker: classification_metrics(labels[:, column], probabilities[:, column], threshold)
        for column, marker in enumerate(markers)
    }
    result: dict[str, float] = {}
    for metric in CLASSIFICATION_METRICS:
        defined = [values[metric] for values in each.values() if not math.isnan(values[metric])]
        result[metric] = float(np.mean(defined)) if defined else math.nan
    known = labels >= 0  # False for NaN
    result |= {"n": int(known.any(axis=1).sum()), "n_positive": int((labels == 1).any(axis=1).sum())}
    return result | {f"{metric}_{marker}": value for marker, values in each.items() for metric, value in values.items()}


def _known(labels: np.ndarray, probabilities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if labels.shape != probabilities.shape or labels.ndim != 1:
        raise ValueError(f"expected labels and probabilities (N,), got {labels.shape} and {probabilities.shape}")
    labels = labels.astype(float)
    known = labels >= 0  # False for NaN
    truth, scores = labels[known], probabilities[known].astype(float)
    if not np.isin(truth, (0, 1)).all():
        raise ValueError(f"expected labels 0, 1 or unknown, got {np.setdiff1d(truth, (0, 1))[:5].tolist()}")
    if np.isnan(scores).any():
        raise ValueError(f"{int(np.isnan(scores).sum())} probabilities are NaN; the network has diverged")
    return truth == 1, scores


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else 0.0
