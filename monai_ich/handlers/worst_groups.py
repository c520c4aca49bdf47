# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""The accuracy of the worst class and of the worst group, which decide on the best epoch of a robust run."""

from __future__ import annotations

import numpy as np

from monai_ich.data import SliceDataset
from monai_ich.metrics import PredictionTable, worst_group_accuracy


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
