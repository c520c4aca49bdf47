# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Metrics and tables of predictions at their limits: one pixel, one slice, a tie, an identifier of digits."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from monai_ich.metrics import (
    PredictionTable,
    classification_metrics,
    multilabel_metrics,
    percentile_interval,
    segmentation_metrics,
    weighted_classification_metrics,
)

LABELS = np.array([[0, 1], [1, 0], [1, 1], [0, 0], [np.nan, 0]])
SCORES = np.array([[0.3, 0.7], [0.6, 0.2], [0.4, 0.9], [0.6, 0.1], [0.5, 0.3]])
MARKERS = ["hypodensity", "blend_sign"]


def test_a_probability_at_the_threshold_is_positive() -> None:
    labels, scores = np.array([1, 0]), np.array([0.5, math.nextafter(0.5, 0)])
    assert classification_metrics(labels, scores)["acc"] == 1.0
    assert classification_metrics(labels, scores, math.nextafter(0.5, 1))["recall"] == 0.0


def test_each_marker_is_called_by_the_threshold_given() -> None:
    ours = multilabel_metrics(LABELS, SCORES, MARKERS, 0.35)
    for column, marker in enumerate(MARKERS):
        alone = classification_metrics(LABELS[:, column], SCORES[:, column], 0.35)
        assert {name: ours[f"{name}_{marker}"] for name in alone} == alone
    assert ours["recall_hypodensity"] == 1.0
    assert multilabel_metrics(LABELS, SCORES, MARKERS)["recall_hypodensity"] == 0.5


def test_a_slice_known_to_be_negative_is_counted() -> None:
    ours = multilabel_metrics(np.array([[0, 0], [np.nan, 0], [-1, np.nan]]), np.full((3, 2), 0.1), MARKERS)
    assert (ours["n"], ours["n_positive"]) == (2, 0)
    assert math.isnan(ours["auc"]), "defined for no marker"


@pytest.mark.parametrize(
    ("labels", "scores", "markers"),
    [
        (np.zeros((4, 2)), np.zeros((4, 3)), MARKERS),
        (np.zeros((4, 2)), np.zeros((5, 2)), MARKERS),
        (np.zeros((4, 2)), np.zeros((4, 2)), ["hypodensity"]),
        (np.zeros((4, 2, 1)), np.zeros((4, 2, 1)), MARKERS),
    ],
)
def test_arrays_of_another_shape_are_refused(labels: np.ndarray, scores: np.ndarray, markers: list[str]) -> None:
    with pytest.raises(ValueError, match=rf"expected labels and probabilities \(N, {len(markers)}\)"):
        multilabel_metrics(labels, scores, markers)


def test_one_pixel_is_blood() -> None:
    ours = segmentation_metrics(np.array([1, 0]), np.array([2, 2]), np.array([1, 0]), np.array([5, 5]))
    assert ours == {
        "iou": 0.5,
        "iou_per_image": 0.5,
        "iou_macro": 0.625,  # background: 3 of 4
        "iou_all_slices": 0.25,
        "iou_per_image_all_slices": 0.25,
        "false_alarms": 1.0,
        "n_annotated": 2,
    }
    one = segmentation_metrics(np.array([1]), np.array([1]), np.array([1]))
    assert (one["iou"], one["iou_all_slices"]) == (1.0, 1.0)
    assert math.isnan(one["false_alarms"]), "no slice is without blood"


def test_nothing_predicted_and_nothing_true_has_no_iou_and_warns_of_nothing(recwarn: pytest.WarningsRecorder) -> None:
    assert math.isnan(segmentation_metrics(np.zeros(2), np.zeros(2), np.zeros(2), np.ones(2))["iou_all_slices"])
    assert not recwarn.list


@pytest.mark.parametrize("level", [0.5, 0.8, 0.95])
def test_an_interval_leaves_the_same_share_out_at_both_ends(level: float) -> None:
    low, high, degenerate = percentile_interval(np.append(np.linspace(0, 1, 401), math.nan), level)
    assert (low, high) == (pytest.approx((1 - level) / 2), pytest.approx((1 + level) / 2))
    assert degenerate == 1


def test_the_weighted_metrics_are_the_plain_ones_where_each_slice_weighs_one() -> None:
    truth, scores = np.array([1, 1, 0, 0, 0]), np.array([[0.5, 0.4, 0.5, 0.1, 0.2], [0.9, 0.6, 0.7, 0.3, 0.3]])
    for threshold in (0.35, 0.5, 0.65):
        ours = weighted_classification_metrics(truth, scores, np.ones((1, 5)), threshold)
        for run, of_run in enumerate(scores):
            plain = classification_metrics(truth, of_run, threshold)
            assert {name: values[0, run] for name, values in ours.items()} == pytest.approx(
                {name: plain[name] for name in ours}
            )


def _table(patients: list[str], logits: torch.Tensor, mask: torch.Tensor) -> PredictionTable:
    texts = {"patient_id": patients, "study_id": patients, "hospital": ["01"] * len(patients)}
    batch = {
        **texts,
        "key": [f"00{number}" for number in range(len(patients))],
        "index": torch.arange(len(patients)),
        "label": torch.tensor([1, 0])[: len(patients)],
        "mask": mask,
        "has_mask": torch.ones(len(patients), dtype=torch.bool),
    }
    return PredictionTable.from_batch(batch, {"cls": torch.zeros(len(patients), 2), "seg": logits}, ("hypodensity",))


def test_two_equal_logits_predict_no_blood() -> None:
    """A network that says nothing, as one with zero weights, must not paint the whole slice."""
    logits = torch.zeros(1, 2, 2, 2)
    logits[0, 1, 0, 0] = 1e-6
    frame = _table(["1"], logits, torch.ones(1, 1, 2, 2, dtype=torch.uint8)).frame
    assert (frame["seg_pred_area"].item(), frame["seg_intersection"].item(), frame["seg_union"].item()) == (1, 1, 4)


def test_identifiers_of_digits_stay_text(tmp_path: Path) -> None:
    table = _table(["007", "0010"], torch.zeros(2, 2, 2, 2), torch.zeros(2, 1, 2, 2))
    again = PredictionTable.from_csv(table.to_csv(tmp_path / "new" / "folders" / "table.csv"))
    pd.testing.assert_frame_equal(again.frame, table.frame)
    assert again.frame["patient_id"].tolist() == ["007", "0010"]
    assert again.frame["key"].tolist() == ["000", "001"]
    assert again.frame["hospital"].tolist() == ["01", "01"]
    assert (tmp_path / "new" / "folders" / "table.csv").read_text().startswith("index,key,patient_id,study_id,hospital")


def test_counts_are_whole_numbers_and_labels_may_be_missing() -> None:
    frame = _table(["1", "2"], torch.zeros(2, 2, 2, 2), torch.zeros(2, 1, 2, 2)).frame
    whole = [name for name in frame if name.startswith(("seg_", "label_"))]
    assert len(whole) == 6
    assert {str(frame[name].dtype) for name in whole} == {"Int64"}
    assert (frame["has_mask"].dtype, frame["probability_hypodensity"].dtype) == (bool, np.float64)


def test_a_table_s_metrics_use_the_threshold_given_and_keep_the_count() -> None:
    table = _table(["1", "2"], torch.zeros(2, 2, 2, 2), torch.zeros(2, 1, 2, 2))  # both probabilities are a half
    assert table.metrics(0.5)["recall"] == 1.0
    assert table.metrics(0.51)["recall"] == 0.0
    frame = table.frame.assign(label_blend_sign=[1, 0], probability_blend_sign=[0.5, 0.5])
    assert PredictionTable(frame).metrics(0.51)["recall"] == 0.0
    assert PredictionTable(frame).metrics(0.5)["recall"] == 1.0
