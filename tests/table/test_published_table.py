# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""What the footnotes say of the paper's figures, computed from the figures themselves."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import linprog

from monai_ich.table.published_table import FOOTNOTES, PAPER_TABLE_1

A, B = "test_hospitals_1_4", "test_hospitals_5_11"
CONTRADICTORY = ("MTL-Swin-Unet (cls+seg)", B, "precision")
N, POSITIVES = 179, 21
# Each run's figure may have been rounded to three digits before the mean was, by half a digit each.
ROUNDING = 0.001 + 1e-9
CELLS = {
    (row, test_set): {metric: figures[test_set, metric] for metric in ("acc", "precision", "recall", "f1")}
    for row, figures in PAPER_TABLE_1.items()
    for test_set in (A, B)
    if (test_set, "acc") in figures
}


def _figures(found: np.ndarray, false_alarms: np.ndarray, positives: int = POSITIVES) -> dict[str, np.ndarray]:
    """Accuracy, precision, recall and F1 by the counts of true and false positives."""
    missed, rest = positives - found, N - positives - false_alarms
    f1, f1_negative = (2 * right / (2 * right + missed + false_alarms) for right in (found, rest))
    return {
        "acc": (found + rest) / N,
        "precision": found / np.maximum(found + false_alarms, 1e-9),
        "recall": found / positives,
        "binary f1": f1,
        "f1": (f1 + f1_negative) / 2,
    }


def _pooled(cell: dict[str, float], positives: int = POSITIVES) -> dict[str, float]:
    """The figures that follow from accuracy and recall, as if the runs were one."""
    found = positives * cell["recall"]
    false_alarms = N - positives - (N * cell["acc"] - found)
    return {name: float(value) for name, value in _figures(*np.array([found, false_alarms]), positives).items()}


def _precision_range(cell: dict[str, float]) -> tuple[float, float]:
    """The lowest and the highest mean precision of any number of runs that have the means of the cell's other figures.

    A linear program over the shares of runs with each possible pair of counts: no outcome of the runs is left out.
    """
    found, false_alarms = (grid.ravel() for grid in np.meshgrid(np.arange(POSITIVES + 1), np.arange(N - POSITIVES + 1)))
    figures = _figures(found, false_alarms)
    others = ("acc", "recall", "f1")
    limits = np.array([[figures[name], -figures[name]] for name in others]).reshape(6, -1)
    bounds = [bound for name in others for bound in (cell[name] + ROUNDING, ROUNDING - cell[name])]
    low, high = (
        linprog(sign * figures["precision"], limits, bounds, np.ones((1, len(found))), [1.0]).fun for sign in (1, -1)
    )
    return low, -high


def test_all_twenty_cells_of_ten_classifiers_are_there() -> None:
    assert len(CELLS) == 20


def test_every_recall_is_a_multiple_of_1_over_105_and_of_no_other_number_as_small() -> None:
    recalls = [cell["recall"] for cell in CELLS.values()]
    fitting = [n for n in range(1, 200) if all(abs(round(n * r) / n - r) <= ROUNDING for r in recalls)]
    assert fitting == [105]
    # to the printed digits all but one: 85 of 105 is .810
    assert [r for r in recalls if f"{round(105 * r) / 105:.3f}" != f"{r:.3f}"] == [0.809]


def test_21_positives_fit_the_precisions_and_no_other_number_does() -> None:
    def typical(positives: int) -> float:
        return float(
            np.median([abs(_pooled(cell, positives)["precision"] - cell["precision"]) for cell in CELLS.values()])
        )

    distances = {positives: typical(positives) for positives in range(10, 40)}
    assert min(distances, key=lambda positives: distances[positives]) == POSITIVES
    assert distances[21] < 0.003
    assert min(distances[20], distances[22]) > 0.01


def test_f1_is_macro() -> None:
    for place, cell in CELLS.items():
        pooled = _pooled(cell)
        assert pooled["f1"] == pytest.approx(cell["f1"], abs=0.005), place
        assert abs(pooled["binary f1"] - cell["f1"]) > 0.05, place


def test_one_precision_contradicts_the_figures_beside_it_whatever_the_runs_were() -> None:
    ranges = {place: _precision_range(cell) for place, cell in CELLS.items()}
    impossible = [
        (*place, "precision")
        for place, (low, high) in ranges.items()
        if not low - ROUNDING <= CELLS[place]["precision"] <= high + ROUNDING
    ]
    assert impossible == [CONTRADICTORY]
    apart = {place: abs(_pooled(cell)["precision"] - cell["precision"]) for place, cell in CELLS.items()}
    largest = sorted(apart, key=lambda place: apart[place], reverse=True)[:3]
    assert largest == [CONTRADICTORY[:2], ("ResNet152", B), ("Joint-Learning", B)]
    assert [f"{_pooled(CELLS[place])['precision']:.3f}" for place in largest] == ["0.274", "0.134", "0.214"]
    assert sorted(apart.values())[-4] < 0.005, "the others are explained by the mean of ratios alone"
    assert f"{ranges[CONTRADICTORY[:2]][0]:.3f}" == "0.271"
    assert f"{_pooled(CELLS[CONTRADICTORY[:2]])['precision']:.3f}" == "0.274"
    assert CELLS[CONTRADICTORY[:2]] == {"acc": 0.757, "precision": 0.256, "recall": 0.648, "f1": 0.617}


def test_the_footnote_marks_exactly_that_cell_and_says_these_figures() -> None:
    marked = {note.mark: note for note in FOOTNOTES if note.mark}
    assert marked.keys() == {"a", "b"}
    assert marked["b"].places == {CONTRADICTORY}
    for figure in (".757", ".648", ".617", ".274", ".271"):
        assert figure in marked["b"].text
    assert marked["a"].places == {
        (row, A, "iou")
        for row in ("U-Net", "Swin-Unet", *(f"MTL-Swin-Unet{end}" for end in (" (cls+seg)", " (cls+seg+rec)")))
    } | {("MTL-Swin-Unet-tiny (cls+seg+rec)", A, "iou")}
