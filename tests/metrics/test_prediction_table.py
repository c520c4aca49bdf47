# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""The table of predictions: from batches to metrics, and through a CSV without losing a bit."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import jaccard_score, roc_auc_score

from monai_ich.metrics import PredictionTable
from monai_ich.utils.errors import MonaiIchError

SLICES = {
    "key": [f"k{i}" for i in range(6)],
    "patient_id": ["007", "007", "NA", "NA", "x", "y"],  # ids that a reader could take for a number or a gap
    "study_id": [f"s{i}" for i in range(6)],
    "hospital": ["1", "1", "2", "2", "10", "11"],
}


def batch(order: list[int]) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    generator = torch.Generator().manual_seed(5)
    output = {
        "cls": torch.randn(6, 2, generator=generator),
        "seg": torch.randn(6, 2, 4, 4, generator=generator),
        "rec": torch.randn(6, 1, 4, 4, generator=generator),
    }
    target = {
        "index": torch.arange(6),
        "label": torch.tensor([0, 1, 0, 1, 1, -1]),
        "mask": (torch.rand(6, 1, 4, 4, generator=generator) > 0.5).to(torch.uint8),
        "has_mask": torch.tensor([True, True, True, True, False, False]),
    }
    chosen = {name: value[order] for name, value in target.items()}
    texts = {name: [values[i] for i in order] for name, values in SLICES.items()}
    return chosen | texts, {name: value[order] for name, value in output.items()}


def table(orders: list[list[int]], markers: tuple[str, ...] = ("hypodensity",)) -> PredictionTable:
    return PredictionTable.concatenate([PredictionTable.from_batch(*batch(o), markers) for o in orders])


def test_rows_and_metrics_of_one_marker() -> None:
    target, output = batch(list(range(6)))
    predictions = table([[0, 1, 2, 3, 4, 5]])
    assert predictions.markers == ("hypodensity",)
    assert predictions.frame["key"].tolist() == SLICES["key"]
    assert predictions.frame["hospital"].tolist() == SLICES["hospital"]
    probability = torch.softmax(output["cls"], 1)[:, 1].numpy()
    np.testing.assert_allclose(predictions.frame["probability_hypodensity"], probability, rtol=1e-6)
    metrics = predictions.metrics()
    assert metrics["auc"] == pytest.approx(roc_auc_score(target["label"][:5], probability[:5]))
    assert (metrics["n"], metrics["n_positive"], metrics["n_annotated"]) == (5, 3, 4)
    predicted = output["seg"].argmax(1)[:4].flatten().numpy()
    mask = target["mask"][:4].flatten().numpy()
    assert metrics["iou_all_slices"] == pytest.approx(jaccard_score(mask, predicted))
    assert metrics["iou_macro"] == pytest.approx(jaccard_score(mask, predicted, average="macro")), "all show blood"


def test_slices_that_nobody_annotated_have_no_counts() -> None:
    frame = table([[0, 1, 2, 3, 4, 5]]).frame
    assert frame["has_mask"].tolist() == [True] * 4 + [False] * 2
    for name in ("seg_intersection", "seg_union", "seg_area"):
        assert frame[name].isna().tolist() == [False] * 4 + [True] * 2
    assert frame["seg_pred_area"].notna().all()
    assert frame["seg_pixels"].tolist() == [16] * 6
    assert pd.isna(frame["label_hypodensity"].iloc[5])


def test_order_and_repeated_slices_change_nothing() -> None:
    whole = table([[0, 1, 2, 3, 4, 5]])
    shared = table([[4, 2, 0], [5, 3, 1], [0, 4]])
    pd.testing.assert_frame_equal(shared.frame, whole.frame)


def test_csv_round_trip_to_the_last_bit(tmp_path: Path) -> None:
    predictions = table([[0, 1, 2, 3, 4, 5]])
    path = predictions.to_csv(tmp_path / "predictions" / "test.csv")
    again = PredictionTable.from_csv(path)
    pd.testing.assert_frame_equal(again.frame, predictions.frame, check_exact=True)
    assert again.metrics() == predictions.metrics()
    assert again.to_csv(tmp_path / "again.csv").read_bytes() == path.read_bytes()


def test_a_table_of_before_without_the_slices_sizes_is_read(tmp_path: Path) -> None:
    predictions = table([[0, 1, 2, 3, 4, 5]])
    before = PredictionTable(predictions.frame.drop(columns="seg_pixels"))
    again = PredictionTable.from_csv(before.to_csv(tmp_path / "before.csv"))
    pd.testing.assert_frame_equal(again.frame, before.frame)
    now, then = predictions.metrics(), again.metrics()
    assert math.isnan(then.pop("iou_macro"))
    assert 0 < now.pop("iou_macro") < 1
    assert then == now


def test_attributes_and_pairs_go_through_a_csv_as_texts(tmp_path: Path) -> None:
    target, output = batch([0, 1, 2, 3, 4, 5])
    described = {"attribute_kernel": ["1.0", "NA", "", "soft", "soft", "soft"], "pair_id": ["a", "a", "", "", "", ""]}
    predictions = PredictionTable.from_batch(target | described, output, ["hypodensity"])
    again = PredictionTable.from_csv(predictions.to_csv(tmp_path / "described.csv"))
    pd.testing.assert_frame_equal(again.frame, predictions.frame, check_exact=True)
    assert {name: again.frame[name].tolist() for name in described} == described


def test_blood_goes_through_a_csv_and_unknown_stays_unknown(tmp_path: Path) -> None:
    target, output = batch([0, 1, 2, 3, 4, 5])
    predictions = PredictionTable.from_batch(
        target | {"has_blood": torch.tensor([1, 0, -1, 1, 0, 0])}, output, ["hypodensity"]
    )
    again = PredictionTable.from_csv(predictions.to_csv(tmp_path / "blood.csv"))
    pd.testing.assert_frame_equal(again.frame, predictions.frame, check_exact=True)
    assert again.frame["has_blood"].tolist() == [1, 0, pd.NA, 1, 0, 0]
    blood = again.shows_blood()
    assert blood is not None
    assert blood.tolist() == [True, False, False, True, False, False]


def test_several_markers() -> None:
    target, output = batch(list(range(6)))
    nan = math.nan
    target["label"] = torch.tensor([[0.0, nan], [1, nan], [nan, nan], [1, nan], [0, nan], [1, nan]])
    predictions = PredictionTable.from_batch(target, output, ("hypodensity", "blend_sign"))
    probability = torch.sigmoid(output["cls"]).numpy()
    np.testing.assert_allclose(predictions.probabilities(), probability, rtol=1e-6)
    metrics = predictions.metrics()
    known = [0, 1, 3, 4, 5]
    expected = roc_auc_score(target["label"][known, 0], probability[known, 0])
    assert metrics["auc"] == metrics["auc_hypodensity"] == pytest.approx(expected)
    assert math.isnan(metrics["auc_blend_sign"])


def test_a_table_holds_only_the_heads_in_use(tmp_path: Path) -> None:
    target, output = batch(list(range(6)))
    segmentation = PredictionTable.from_batch(target, {"seg": output["seg"]}, ("hypodensity",))
    assert segmentation.markers == ()
    definitions = {"iou", "iou_per_image", "iou_macro", "iou_all_slices", "iou_per_image_all_slices"}
    assert set(segmentation.metrics()) == {"n", *definitions, "false_alarms", "n_annotated"}
    classifier = PredictionTable.from_batch(target, {"cls": output["cls"]}, ("hypodensity",))
    assert not classifier.has_segmentation
    assert "iou" not in PredictionTable.from_csv(classifier.to_csv(tmp_path / "c.csv")).metrics()


def test_another_csv_is_refused(tmp_path: Path) -> None:
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    with pytest.raises(MonaiIchError, match="is not a table of predictions: it has no column index, key"):
        PredictionTable.from_csv(tmp_path / "other.csv")
