# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""The forest plot shows the numbers it is given, row by row."""

from __future__ import annotations

import math

import pytest

from monai_ich.table.forest_figure import forest_figure

ROWS = ["first", "second", "third"]
PANELS = {
    "A auc": {"first": (0.8, 0.7, 0.9), "third": (0.6, 0.5, 0.7)},
    "B auc": {"second": (math.nan, math.nan, math.nan), "third": (0.5, 0.4, 0.6)},
}


def test_dots_bars_and_the_reference_stand_where_the_numbers_are() -> None:
    figure = forest_figure(PANELS, ROWS, {"A auc": "first"}, {"B auc": {"third": 0.55}}, "title")
    first, second = figure.axes
    assert [label.get_text() for label in first.get_yticklabels()] == ROWS
    assert first.get_ylim()[0] > first.get_ylim()[1], "the first row on top"
    bars = [collection.get_segments()[0].tolist() for collection in first.collections]
    assert bars == [[[0.7, 0], [0.9, 0]], [[0.5, 2], [0.7, 2]]]
    lines = [(list(line.get_xdata()), list(line.get_ydata()), line.get_marker()) for line in first.lines]
    assert ([0.8], [0], "o") in lines
    assert ([0.6], [2], "o") in lines
    assert [x for x, _, marker in lines if marker == "None"] == [[0.8, 0.8]], "the reference's mean"
    assert [(line.get_xdata()[0], line.get_marker()) for line in second.lines] == [(0.55, "D"), (0.5, "o")]
    assert first.get_title() == "A auc"


def test_nothing_to_draw_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one panel and one row, got 0 and 3"):
        forest_figure({}, ROWS)
