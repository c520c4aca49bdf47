# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""The worst class's and the worst group's accuracy, against scikit-learn."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import accuracy_score, recall_score

from monai_ich.handlers.worst_groups import worst_accuracies
from monai_ich.metrics import PredictionTable, worst_group_accuracy

GENERATOR = np.random.default_rng(0)
LABELS = GENERATOR.integers(2, size=300).astype(float)
PROBABILITIES = GENERATOR.random(300)
GROUPS = GENERATOR.integers(-1, 4, size=300)


@pytest.mark.parametrize("threshold", [0.3, 0.5])
def test_it_is_the_least_of_the_groups_accuracies(threshold: float) -> None:
    frame = pd.DataFrame(
        {"label": LABELS, "predicted": np.greater_equal(PROBABILITIES, threshold).astype(float), "group": GROUPS}
    )
    of_groups = [rows for group, rows in frame.groupby("group") if group != -1]
    expected = min(accuracy_score(rows["label"], rows["predicted"]) for rows in of_groups)
    assert len(of_groups) == 4
    assert worst_group_accuracy(LABELS, PROBABILITIES, GROUPS, threshold) == pytest.approx(expected)


def test_a_probability_at_the_threshold_is_positive() -> None:
    assert worst_group_accuracy(np.array([1.0, 0.0]), np.array([0.5, 0.4999]), np.array([0, 0]), 0.5) == 1


def test_unknown_groups_and_labels_are_left_out() -> None:
    labels, groups = np.array([1.0, 1, math.nan, 0]), np.array([0, -1, 0, 1])
    assert worst_group_accuracy(labels, np.array([0.9, 0.1, 0.1, 0.2]), groups) == 1
    assert math.isnan(worst_group_accuracy(labels[2:3], np.array([0.5]), groups[2:3]))


def _table(**markers: tuple[np.ndarray, np.ndarray]) -> PredictionTable:
    order = np.arange(300)[::-1]  # rows of the data set, in another order
    columns: dict[str, Any] = {"index": order}
    for name, (label, probability) in markers.items():
        columns |= {f"label_{name}": label[order], f"probability_{name}": probability[order]}
    return PredictionTable(pd.DataFrame(columns))


def test_the_groups_are_those_of_the_data_set_s_rows() -> None:
    dataset: Any = SimpleNamespace(groups=GROUPS)
    found = worst_accuracies(_table(hypodensity=(LABELS, PROBABILITIES)), dataset, 0.5)
    predicted = np.greater_equal(PROBABILITIES, 0.5)
    recalls = [recall_score(LABELS, predicted, pos_label=value) for value in (0, 1)]
    assert found == {
        "worst_class_acc": pytest.approx(min(recalls)),
        "worst_group_acc": worst_group_accuracy(LABELS, PROBABILITIES, GROUPS),
    }
    ungrouped: Any = SimpleNamespace(groups=None)
    assert list(worst_accuracies(_table(hypodensity=(LABELS, PROBABILITIES)), ungrouped, 0.5)) == ["worst_class_acc"]
    both = _table(hypodensity=(LABELS, PROBABILITIES), blend_sign=(LABELS, PROBABILITIES))
    assert worst_accuracies(both, dataset, 0.5) == {}
