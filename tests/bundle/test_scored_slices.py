# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""From a table of predictions to the figures of an evaluation, also where labels are missing."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from monai_ich.bundle.evaluation import _panel_title, _scored
from monai_ich.metrics import PredictionTable
from monai_ich.visualize import confusion_figure, figure_bytes, precision_recall_figure, roc_figure


def table(labels: list[float]) -> PredictionTable:
    """Slices of three a patient, with probabilities that rise with the index."""
    n = len(labels)
    frame = {
        "index": np.arange(n),
        "key": [f"k{i:02}" for i in range(n)],
        "patient_id": [f"p{i // 3}" for i in range(n)],
        "label_blend_sign": pd.array(labels, dtype="Int64"),
        "probability_blend_sign": np.linspace(0.1, 0.9, n),
    }
    return PredictionTable(pd.DataFrame(frame))


def test_slices_of_unknown_label_are_left_out_and_the_auc_has_its_interval() -> None:
    scored = _scored("test_a", table([0, 1, 0, None, 0, 1, 1, None, 1, 0, 1, 1]), "blend_sign")
    known = [0, 1, 2, 4, 5, 6, 8, 9, 10, 11]
    assert scored.counts == "10 slices, 6 positive, 4 patients"
    np.testing.assert_allclose(scored.probabilities, np.linspace(0.1, 0.9, 12)[known])
    value, low, high = scored.auc
    assert value == pytest.approx(roc_auc_score(scored.truth, scored.probabilities))
    assert 0 <= low < value < high <= 1


@pytest.mark.parametrize("labels", [[None] * 4, [0] * 4, [1] * 4], ids=["unknown", "negative", "positive"])
def test_a_test_set_without_both_classes_is_drawn_too(labels: list[float]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scored = _scored("test_a", table(labels), "blend_sign")
        assert scored.auc_text == "AUC undefined"
        assert math.isnan(scored.auc[0])
        for draw in (roc_figure, precision_recall_figure, confusion_figure):
            assert figure_bytes(draw({"test_a": scored}, "blend_sign", 0.5), dpi=30)


def test_a_slice_s_title_tells_probability_and_truth() -> None:
    rows = table([1, 0, None]).frame.to_dict("records")
    assert [_panel_title(row, ["blend_sign"]) for row in rows] == [
        "k00\np = 0.10, truth: yes",
        "k01\np = 0.50, truth: no",
        "k02\np = 0.90, truth: unknown",
    ]
    assert _panel_title(rows[0], []) == "k00"
