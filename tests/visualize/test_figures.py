# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Figures: what they show, read back from the drawn objects, and that they can be saved without a display."""

from __future__ import annotations

import io
import sys
import warnings

import numpy as np
import pytest
from matplotlib.collections import PathCollection
from matplotlib.contour import QuadContourSet
from matplotlib.figure import Figure

from monai_ich.audit.audit_figures import balance_figure, pairs_figure
from monai_ich.visualize import confusion_figure, panel_figure, precision_recall_figure, roc_figure

LABELS = np.array([0, 0, 1, 1, np.nan])
SCORES = np.array([0.1, 0.6, 0.4, 0.9, 0.5])


def saved(figure: Figure) -> bytes:
    stream = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure.savefig(stream, format="png", dpi=40)
    return stream.getvalue()


def legend_texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.axes[0].get_legend().get_texts()]


def contours(figure: Figure, row: int, column: int, columns: int) -> int:
    children = figure.axes[row * columns + column].get_children()
    return sum(isinstance(child, QuadContourSet | PathCollection) for child in children)


def test_roc_of_two_test_sets() -> None:
    figure = roc_figure({"hospitals 1-4": (LABELS, SCORES), "hospitals 5-11": (np.array([0, 1]), np.array([0.2, 0.7]))})
    assert legend_texts(figure) == [
        "hospitals 1-4: AUC 0.750 (2 of 4 positive)",
        "hospitals 5-11: AUC 1.000 (1 of 2 positive)",
    ]
    curve = figure.axes[0].lines[1]
    np.testing.assert_allclose(np.trapezoid(curve.get_ydata(), curve.get_xdata()), 0.75)
    assert saved(figure).startswith(b"\x89PNG")


def test_precision_recall_shows_average_precision_and_prevalence() -> None:
    figure = precision_recall_figure({"A": (LABELS, SCORES)})
    # thresholds .9, .6, .4: precision 1 at recall 1/2, then 2/3 at recall 1
    assert legend_texts(figure) == [f"A: AP {0.5 * 1 + 0.5 * 2 / 3:.3f} (2 of 4 positive)"]
    assert figure.axes[0].lines[1].get_ydata()[0] == 0.5
    assert saved(figure)


def test_a_set_of_one_class_has_no_curve_and_says_so() -> None:
    negatives = {"B": (np.zeros(3), np.array([0.1, 0.2, 0.3]))}
    assert legend_texts(roc_figure(negatives)) == ["B: AUC undefined (0 of 3 positive)"]
    assert legend_texts(precision_recall_figure(negatives)) == ["B: AP undefined (0 of 3 positive)"]
    assert len(roc_figure(negatives).axes[0].lines[1].get_xdata()) == 0


def test_confusion_counts_of_two_test_sets() -> None:
    labels, scores = np.array([0, 0, 0, 1, 1, np.nan]), np.array([0.1, 0.2, 0.5, 0.9, 0.3, 0.9])
    figure = confusion_figure({"A": (labels, scores), "B": (np.zeros(2), np.zeros(2))}, marker="hypodensity")
    first, second = figure.axes
    assert [text.get_text() for text in first.texts] == ["2\n67%", "1\n33%", "1\n50%", "1\n50%"]
    assert [text.get_text() for text in second.texts] == ["2\n100%", "0\n0%", "0\n0%", "0\n0%"]
    assert (first.get_title(), second.get_title()) == ("A", "B")
    assert [label.get_text() for label in first.get_xticklabels()] == ["no hypodensity", "hypodensity"]
    assert saved(figure)


def slices() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    images = np.random.default_rng(0).random((3, 1, 16, 16))
    masks = np.zeros((3, 1, 16, 16), dtype=np.uint8)
    masks[0, 0, 4:9, 5:12] = 1
    return images, masks, np.array([True, True, False])


def test_panel_shows_outlines_only_where_there_is_something() -> None:
    images, masks, has_mask = slices()
    figure = panel_figure(images, masks, has_mask, masks * 0.9, images, titles=["a", "b", "c"])
    assert len(figure.axes) == 12
    assert [axes.get_title() for axes in figure.axes[:4]] == ["image", "mask", "prediction", "reconstruction"]
    assert [figure.axes[4 * row].get_ylabel() for row in range(3)] == ["a", "b", "c"]
    assert [contours(figure, row, 1, 4) for row in range(3)] == [1, 0, 0]
    assert [contours(figure, row, 2, 4) for row in range(3)] == [2, 0, 0]
    assert figure.axes[5].texts[0].get_text() == "no blood"
    assert figure.axes[9].texts[0].get_text() == "not annotated"
    assert saved(figure)


def test_panel_of_one_slice_with_the_heads_in_use() -> None:
    images, masks, has_mask = slices()
    figure = panel_figure(images[:1, 0], masks[:1, 0], has_mask[:1])
    assert [axes.get_title() for axes in figure.axes] == ["image", "mask"]
    assert saved(figure)
    figure = panel_figure(images, masks, has_mask, reconstructions=images)
    assert [axes.get_title() for axes in figure.axes[:3]] == ["image", "mask", "reconstruction"]


def test_panel_without_truth() -> None:
    images, masks, _ = slices()
    figure = panel_figure(images, seg_probabilities=masks)
    assert [axes.get_title() for axes in figure.axes[:2]] == ["image", "prediction"]
    assert [contours(figure, row, 1, 2) for row in range(3)] == [1, 0, 0]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["prediction"]
    assert saved(figure)
    assert panel_figure(images).legends == []


def test_panel_refuses_other_shapes() -> None:
    images, masks, has_mask = slices()
    with pytest.raises(ValueError, match=r"arrays of shape \(3, 16, 16\), got \(3, 8, 16\)"):
        panel_figure(images, masks[:, :, :8], has_mask)
    with pytest.raises(ValueError, match="at least one slice"):
        panel_figure(images[:0], masks[:0], has_mask[:0])


def test_pyplot_keeps_no_figure() -> None:
    roc_figure({"A": (LABELS, SCORES)})
    pyplot = sys.modules.get("matplotlib.pyplot")
    assert pyplot is None or pyplot.get_fignums() == []


def test_pairs_and_their_difference_are_drawn() -> None:
    one, other = np.zeros((8, 8)), np.eye(8)
    figure = pairs_figure([(one, other), (one, one)], [("a (train)", "b (test)"), ("c", "d")])
    assert [axes.get_title() for axes in figure.axes] == ["a (train)", "b (test)", "difference", "c", "d", "difference"]
    difference = figure.axes[2].images[0].get_array()
    assert np.array_equal(np.asarray(difference), -np.eye(8))
    with pytest.raises(ValueError, match="at least one pair"):
        pairs_figure([], [])


def test_bars_are_the_shares_of_each_hospital_and_split() -> None:
    figure = balance_figure([("A", "train", 10, 4), ("B", "train", 5, 5), ("B", "test", 4, 1)], "hypodensity")
    axes = figure.axes[0]
    assert [patch.get_height() for patch in axes.patches] == [0.4, 1.0, 0.25]
    assert [text.get_text() for text in axes.texts] == ["10", "5", "4"]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["A", "B"]
    with pytest.raises(ValueError, match="at least one hospital"):
        balance_figure([], "hypodensity")
