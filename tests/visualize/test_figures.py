# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Figures: what they show, read back from the drawn objects, and that they can be saved without a display."""

from __future__ import annotations

import io
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from matplotlib.collections import PathCollection
from matplotlib.contour import QuadContourSet
from matplotlib.figure import Figure
from matplotlib.image import imread

import monai_ich
from monai_ich.audit.audit_figures import balance_figure, pairs_figure
from monai_ich.visualize import (
    ScoredSlices,
    confusion_figure,
    panel_figure,
    precision_recall_figure,
    roc_figure,
    save_figure,
    show_slice,
)

PACKAGE = Path(monai_ich.__file__).parent


def scored(truth: list[int], scores: list[float], auc: tuple[float, float, float] = (0.75, 0.5, 1.0)) -> ScoredSlices:
    """Two slices a patient."""
    return ScoredSlices(np.array(truth, dtype=bool), np.array(scores), np.arange(len(truth)) // 2, auc)


FOUR = scored([0, 0, 1, 1], [0.1, 0.6, 0.4, 0.9])
NAN = float("nan")


def saved(figure: Figure) -> bytes:
    stream = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure.savefig(stream, format="png", dpi=40)
    return stream.getvalue()


def legend_texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.axes[0].get_legend().get_texts()]


def operating_points(figure: Figure) -> list[tuple[float, float]]:
    dots = [line for line in figure.axes[0].lines if line.get_marker() == "o" and len(line.get_xdata())]
    return [(line.get_xdata()[0], line.get_ydata()[0]) for line in dots]


def contours(figure: Figure, row: int, column: int, columns: int) -> int:
    children = figure.axes[row * columns + column].get_children()
    return sum(isinstance(child, QuadContourSet | PathCollection) for child in children)


def test_roc_of_two_test_sets() -> None:
    figure = roc_figure({"A": FOUR, "B": scored([0, 1], [0.2, 0.7], (1.0, 1.0, 1.0))}, "hypodensity", 0.5)
    assert figure.axes[0].get_title() == "hypodensity: ROC"
    assert legend_texts(figure) == [
        "A\nAUC 0.750 (95% CI 0.500-1.000)\n4 slices, 2 positive, 2 patients",
        "B\nAUC 1.000 (95% CI 1.000-1.000)\n2 slices, 1 positive, 1 patient",
        "threshold 0.5",
    ]
    curve = figure.axes[0].lines[1]
    np.testing.assert_allclose(np.trapezoid(curve.get_ydata(), curve.get_xdata()), 0.75)
    assert operating_points(figure) == [(0.5, 0.5), (0.0, 1.0)]


@pytest.mark.parametrize(("threshold", "point"), [(0.4, (0.5, 1.0)), (0.41, (0.5, 0.5)), (0.61, (0.0, 0.5))])
def test_the_operating_point_lies_on_the_curve_from_the_threshold_on(threshold: float, point: tuple) -> None:
    figure = roc_figure({"A": FOUR}, "hypodensity", threshold)
    assert operating_points(figure) == [point]
    curve = figure.axes[0].lines[1]
    assert point in set(zip(curve.get_xdata(), curve.get_ydata(), strict=True))


def test_precision_recall_shows_average_precision_prevalence_and_operating_point() -> None:
    figure = precision_recall_figure({"A": FOUR}, "hypodensity", 0.4)
    # thresholds .9, .6, .4: precision 1 at recall 1/2, then 2/3 at recall 1
    average = f"AP {0.5 * 1 + 0.5 * 2 / 3:.3f}"
    assert legend_texts(figure)[0] == (
        f"A\n{average}, AUC 0.750 (95% CI 0.500-1.000)\n4 slices, 2 positive, 2 patients"
    )
    assert figure.axes[0].lines[1].get_ydata()[0] == 0.5
    assert operating_points(figure) == [(1.0, pytest.approx(2 / 3))]
    assert operating_points(precision_recall_figure({"A": FOUR}, "hypodensity", 0.95)) == [], "nothing is positive"


def test_a_set_of_one_class_has_no_curve_and_says_so() -> None:
    negatives = {"B": scored([0, 0, 0], [0.1, 0.2, 0.3], (NAN, NAN, NAN))}
    roc, curve = (draw(negatives, "blend_sign", 0.5) for draw in (roc_figure, precision_recall_figure))
    assert legend_texts(roc)[0] == "B\nAUC undefined\n3 slices, 0 positive, 2 patients"
    assert legend_texts(curve)[0] == "B\nAP undefined, AUC undefined\n3 slices, 0 positive, 2 patients"
    assert len(roc.axes[0].lines[1].get_xdata()) == 0
    assert operating_points(roc) == operating_points(curve) == []


def test_confusion_counts_of_two_test_sets() -> None:
    first = scored([0, 0, 0, 1, 1], [0.1, 0.2, 0.5, 0.9, 0.3], (5 / 6, 0.5, 1.0))
    figure = confusion_figure({"A": first, "B": scored([0, 0], [0, 0])}, "hypodensity", 0.5)
    left, right = figure.axes
    assert [text.get_text() for text in left.texts] == ["2\n67%", "1\n33%", "1\n50%", "1\n50%"]
    assert [text.get_text() for text in right.texts] == ["2\n100%", "0\n0%", "0\n0%", "0\n0%"]
    assert left.get_title() == "A\n5 slices, 2 positive, 3 patients\nAUC 0.833 (95% CI 0.500-1.000)"
    assert right.get_title() == "B\n2 slices, 0 positive, 1 patient\nAUC undefined"
    assert left.get_xlabel() == "predicted (threshold 0.5)"
    assert [label.get_text() for label in left.get_xticklabels()] == ["no hypodensity", "hypodensity"]


def test_a_figure_is_saved_as_png_and_as_pdf_with_vectors_and_fonts(tmp_path: Path) -> None:
    figure = roc_figure({"A": FOUR}, "hypodensity", 0.5)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        path = save_figure(figure, tmp_path / "new" / "roc.png")
    assert imread(path).shape[:2] == (780, 750)
    pdf = path.with_suffix(".pdf").read_bytes()
    assert b"/FontFile2" in pdf, "TrueType fonts are embedded"
    assert b"/Type3" not in pdf
    assert b"/Subtype /Image" not in pdf, "curves and text are vectors"
    assert b"/CreationDate" not in pdf, "the same figure gives the same bytes"
    with pytest.raises(ValueError, match=r"ends in \.png"):
        save_figure(figure, tmp_path / "roc.pdf")


def test_figures_become_bytes_in_one_place() -> None:
    savers = {file for file in PACKAGE.rglob("*.py") if ".savefig(" in file.read_text(encoding="utf-8")}
    assert savers == {PACKAGE / "visualize/figure_files.py"}


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
    notes = [[text.get_text() for text in axes.texts] for axes in figure.axes]
    assert notes[:4] == [["R", "L"]] * 4
    assert (notes[5], notes[9]) == (["R", "L", "no blood"], ["R", "L", "not annotated"])
    assert notes[6] == notes[10] == ["R", "L", "none predicted"]
    assert saved(figure)


def test_panel_of_one_slice_with_the_heads_in_use() -> None:
    images, masks, has_mask = slices()
    figure = panel_figure(images[:1, 0], masks[:1, 0], has_mask[:1])
    assert [axes.get_title() for axes in figure.axes] == ["image", "mask"]
    assert saved(figure)
    figure = panel_figure(images, masks, has_mask, reconstructions=images)
    assert [axes.get_title() for axes in figure.axes[:3]] == ["image", "mask", "reconstruction"]


def test_the_patient_s_right_is_on_the_image_s_left() -> None:
    axes = Figure().add_subplot()
    show_slice(axes, np.zeros((4, 4)))
    sides = {text.get_text(): text.get_position()[0] for text in axes.texts}
    assert sides["R"] < 0.5 < sides["L"]
    assert not axes.xaxis.get_inverted()


def test_panel_without_truth() -> None:
    images, masks, _ = slices()
    figure = panel_figure(images, seg_probabilities=masks, heading="hypodensity; window 0 to 80 HU")
    assert figure.get_suptitle() == "hypodensity; window 0 to 80 HU"
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
    roc_figure({"A": FOUR}, "hypodensity", 0.5)
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
