# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""The accuracy of the worst class and of the worst group, which decide on the best epoch of a robust run."""

from __future__ import annotations

import math

import numpy as np

from monai_ich.data import SliceDataset
from monai_ich.metrics import PredictionTable


def worst_group_accuracy(
    labels: np.ndarray, probabilities: np.ndarray, groups: np.ndarray, threshold: float = 0.5
) -> float:
    """The accuracy in the group where it is lowest.

    Args:
        labels: (n,), 0 or 1, NaN = unknown.
        probabilities: (n,).
        groups: int64 (n,); slices of a negative group, and those of unknown label, are left out.
        threshold: the probability from which a slice is positive.

    Returns:
        From 0 to 1; NaN where no slice is left.

    >>> float(worst_group_accuracy(np.array([0, 1, 1]), np.array([0.2, 0.9, 0.1]), np.array([0, 1, 1])))
    0.5
    """
    right = (probabilities >= threshold) == (labels == 1)
    known = (groups >= 0) & ~np.isnan(labels)
    return min((float(right[known & (groups == group)].mean()) for group in np.unique(groups[known])), default=math.nan)


def worst_accuracies(table: PredictionTable, dataset: SliceDataset, threshold: float) -> dict[str, float]:
    """`worst_class_acc`, and `worst_group_acc` where the data set has groups; nothing without one marker.

    Args:
        table: predictions of the data set.
        dataset: of whose slices the groups are.
        threshold: the probability from which a slice is positive.
    """
    if len(table.markers) != 1:
        return {}
    labels, probabilities = table.labels()[:, 0], table.probabilities()[:, 0]
    classes = np.nan_to_num(labels, nan=-1).astype(np.int64)
    result = {"worst_class_acc": worst_group_accuracy(labels, probabilities, classes, threshold)}
    if dataset.groups is not None:
        groups = dataset.groups[table.frame["index"].to_numpy()]
        result["worst_group_acc"] = worst_group_accuracy(labels, probabilities, groups, threshold)
    return result
