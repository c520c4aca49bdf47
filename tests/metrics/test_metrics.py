# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Metrics against scikit-learn and against values worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sklearn_metrics

from monai_ich.metrics import classification_metrics, multilabel_metrics, segmentation_counts, segmentation_metrics


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), n=st.integers(4, 60), threshold=st.floats(0.05, 0.95), ties=st.booleans())
def test_equal_to_scikit_learn(seed: int, n: int, threshold: float, ties: bool) -> None:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, n)
    labels[:2] = (0, 1)
    scores = rng.random(n).round(1 if ties else 12)
    called = scores >= threshold
    ours = classification_metrics(labels, scores, threshold)
    options = {"zero_division": 0}
    assert ours["acc"] == pytest.approx(sklearn_metrics.accuracy_score(labels, called))
    assert ours["precision"] == pytest.approx(sklearn_metrics.precision_score(labels, called, **options))
    assert ours["recall"] == pytest.approx(sklearn_metrics.recall_score(labels, called, **options))
    macro = sklearn_metrics.f1_score(labels, called, average="macro", labels=[0, 1], **options)
    assert ours["f1"] == pytest.approx(macro)
    pairs = scores[labels == 1][:, None] - scores[labels == 0][None, :]  # AUC by its definition
    assert ours["auc"] == pytest.approx(((pairs > 0) + 0.5 * (pairs == 0)).mean())
    assert (ours["n"], ours["n_positive"]) == (n, labels.sum())


def test_f1_is_macro_as_in_table_1() -> None:
    # 179 slices, 21 positive; 17 found, 4 missed, 4 false alarms: close to the Swin Transformer's row
    labels = np.array([1] * 21 + [0] * 158)
    scores = np.array([0.9] * 17 + [0.1] * 4 + [0.9] * 4 + [0.1] * 154)
    ours = classification_metrics(labels, scores)
    assert ours["precision"] == pytest.approx(17 / 21)
    assert ours["f1"] == pytest.approx((34 / 42 + 308 / 316) / 2)


def test_one_class_leaves_auc_undefined() -> None:
    negatives = classification_metrics(np.zeros(3), np.array([0.1, 0.2, 0.9]))
    assert math.isnan(negatives["auc"])
    assert math.isnan(negatives["recall"])
    assert negatives["acc"] == pytest.approx(2 / 3)
    positives = classification_metrics(np.ones(2), np.array([0.1, 0.9]))
    assert math.isnan(positives["auc"])
    assert positives["recall"] == 0.5
    nothing = classification_metrics(np.array([np.nan, -1]), np.array([0.1, 0.9]))
    assert nothing["n"] == 0
    assert math.isnan(nothing["acc"])


def test_unknown_labels_are_left_out() -> None:
    labels, scores = np.array([0, 1, np.nan, 1, -1]), np.array([0.2, 0.7, 0.9, 0.4, np.nan])
    assert classification_metrics(labels, scores) == classification_metrics(labels[[0, 1, 3]], scores[[0, 1, 3]])


def test_values_that_cannot_be_used_are_refused() -> None:
    with pytest.raises(ValueError, match="1 probabilities are NaN; the network has diverged"):
        classification_metrics(np.array([0, 1]), np.array([0.1, np.nan]))
    with pytest.raises(ValueError, match=r"expected labels 0, 1 or unknown, got \[2.0\]"):
        classification_metrics(np.array([0, 2]), np.array([0.1, 0.2]))
    with pytest.raises(ValueError, match=r"got \(2,\) and \(3,\)"):
        classification_metrics(np.array([0, 1]), np.zeros(3))
    with pytest.raises(ValueError, match=r"expected labels and probabilities \(N, 3\)"):
        multilabel_metrics(np.zeros((4, 2)), np.zeros((4, 2)), ["a", "b", "c"])


def test_several_markers_and_their_mean() -> None:
    labels = np.array([[0, 1, np.nan], [1, np.nan, np.nan], [1, 0, np.nan], [0, 1, np.nan], [np.nan] * 3])
    scores = np.random.default_rng(0).random((5, 3))
    ours = multilabel_metrics(labels, scores, ["a", "b", "c"])
    first = classification_metrics(labels[:4, 0], scores[:4, 0])
    second = classification_metrics(labels[[0, 2, 3], 1], scores[[0, 2, 3], 1])
    for metric in ("acc", "precision", "recall", "f1", "auc"):
        assert ours[f"{metric}_a"] == first[metric]
        assert ours[f"{metric}_b"] == second[metric]
        assert math.isnan(ours[f"{metric}_c"])
        assert ours[metric] == pytest.approx((first[metric] + second[metric]) / 2)
    assert (ours["n"], ours["n_positive"], ours["n_c"], ours["n_positive_b"]) == (4, 4, 0, 2)


def test_segmentation_counts_by_hand() -> None:
    mask = np.array([[[1, 1], [0, 0]], [[0, 0], [0, 0]]])
    predicted = np.array([[[1, 0], [1, 0]], [[0, 1], [0, 0]]], dtype=bool)
    counts = segmentation_counts(predicted[:, None], mask[:, None])
    assert {name: values.tolist() for name, values in counts.items()} == {
        "seg_intersection": [1, 0],
        "seg_union": [3, 1],
        "seg_pred_area": [2, 1],
        "seg_area": [2, 0],
        "seg_pixels": [4, 4],
    }
    with pytest.raises(ValueError, match="expected two masks"):
        segmentation_counts(predicted, mask[:1])


def test_iou_equals_scikit_learn_over_all_pixels() -> None:
    rng = np.random.default_rng(1)
    predicted, mask = rng.random((5, 8, 8)) > 0.6, rng.random((5, 8, 8)) > 0.7
    mask[3:] = False
    counts = segmentation_counts(predicted, mask)
    columns = [counts[name] for name in ("seg_intersection", "seg_union", "seg_area", "seg_pixels")]
    ours = segmentation_metrics(*columns)
    assert ours["iou_all_slices"] == pytest.approx(sklearn_metrics.jaccard_score(mask.ravel(), predicted.ravel()))
    with_blood = sklearn_metrics.jaccard_score(mask[:3].ravel(), predicted[:3].ravel())
    assert ours["iou"] == pytest.approx(with_blood), "slices 3 and 4 show no blood"
    macro = sklearn_metrics.jaccard_score(mask[:3].ravel(), predicted[:3].ravel(), average="macro")
    assert ours["iou_macro"] == pytest.approx(macro)
    assert math.isnan(segmentation_metrics(*columns[:3])["iou_macro"]), "tables of version 0.1 have no slice's size"
    each = [sklearn_metrics.jaccard_score(m.ravel(), p.ravel()) for m, p in zip(mask, predicted, strict=True)]
    assert ours["iou_per_image"] == pytest.approx(np.mean(each[:3]))
    assert ours["iou_per_image_all_slices"] == pytest.approx(np.mean(each))
    assert len({round(ours[name], 4) for name in ours if name.startswith("iou")}) == 5, "no two definitions agree here"
    assert ours["false_alarms"] == predicted[3:].any(axis=(1, 2)).mean() == 1.0
    assert ours["n_annotated"] == 5


def test_an_empty_slice_counts_one_when_nothing_is_predicted_and_nothing_with_a_false_positive() -> None:
    # an exact slice, an empty one left empty, an empty one with a pixel; slices of 10 pixels
    ours = segmentation_metrics(np.array([4, 0, 0]), np.array([4, 0, 1]), np.array([4, 0, 0]), np.full(3, 10))
    assert ours["iou_per_image_all_slices"] == pytest.approx(2 / 3)
    assert (ours["iou"], ours["iou_per_image"], ours["iou_macro"]) == (1.0, 1.0, 1.0)
    assert ours["iou_all_slices"] == pytest.approx(4 / 5)
    two = segmentation_metrics(np.array([1, 2]), np.array([2, 8]), np.array([1, 8]), np.array([10, 20]))
    assert two["iou"] == pytest.approx(3 / 10)
    assert two["iou_per_image"] == pytest.approx((1 / 2 + 1 / 4) / 2)
    assert two["iou_macro"] == pytest.approx((3 / 10 + (8 + 12) / (9 + 18)) / 2)


def test_iou_without_any_pixel_is_undefined() -> None:
    zeros = np.zeros(3)
    ours = segmentation_metrics(zeros, zeros, zeros)
    assert math.isnan(ours["iou"])
    assert math.isnan(ours["iou_all_slices"])
    assert math.isnan(ours["iou_per_image"])
    assert (ours["false_alarms"], ours["iou_per_image_all_slices"]) == (0, 1)
    nothing = segmentation_metrics(*[np.zeros(0)] * 4)
    assert all(math.isnan(value) for name, value in nothing.items() if name != "n_annotated")
    full = segmentation_metrics(*[np.array([4])] * 4)
    assert (full["iou"], math.isnan(full["iou_macro"])) == (1.0, True), "there is no background"
