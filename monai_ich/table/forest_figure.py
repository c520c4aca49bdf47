# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Forest plots: a mean and its interval for every row, one panel a metric."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

ROW_HEIGHT_IN, PANEL_WIDTH_IN = 0.32, 2.6
POINT_COLOUR, REFERENCE_COLOUR, PAPER_COLOUR = "#0072B2", "#D55E00", "0.45"  # Okabe and Ito; greys for others' figures


def forest_figure(
    panels: Mapping[str, Mapping[str, tuple[float, float, float]]],
    rows: Sequence[str],
    references: Mapping[str, str] | None = None,
    others: Mapping[str, Mapping[str, float]] | None = None,
    title: str = "",
) -> Figure:
    """Draws a panel a metric, side by side, with one line a row: a dot at the mean, a bar over the interval.

    A dashed line stands at the mean of the panel's reference row, so that an interval can be read against it.

    Args:
        panels: {heading: {row: (mean, low, high)}}; a row without an entry, or with a NaN mean, leaves its line empty.
        rows: from top to bottom.
        references: {heading: row}.
        others: {heading: {row: figure}}, drawn as open diamonds: what a publication reports.
        title: above all.

    Raises:
        ValueError: there is no panel or no row.
    """
    if not panels or not rows:
        raise ValueError(f"expected at least one panel and one row, got {len(panels)} and {len(rows)}")
    longest = max(len(row) for row in rows)
    width = PANEL_WIDTH_IN * len(panels) + 0.08 * longest
    figure = Figure(figsize=(width, ROW_HEIGHT_IN * len(rows) + 1.3), layout="constrained")
    grid = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for axes, (heading, estimates) in zip(grid, panels.items(), strict=True):
        _panel(axes, heading, estimates, rows, (references or {}).get(heading), (others or {}).get(heading, {}))
    grid[0].set_yticks(range(len(rows)), rows)
    grid[0].invert_yaxis()
    if others:
        figure.supxlabel("dot and bar: mean and interval; open diamond: as published", fontsize=8)
    figure.suptitle(title)
    return figure


def _panel(
    axes: Axes,
    heading: str,
    estimates: Mapping[str, tuple[float, float, float]],
    rows: Sequence[str],
    reference: str | None,
    others: Mapping[str, float],
) -> None:
    axes.set_title(heading, fontsize=10)
    axes.grid(axis="x", color="0.9")
    axes.set_axisbelow(True)
    for height, row in enumerate(rows):
        mean, low, high = estimates.get(row, (math.nan,) * 3)
        if row in others:
            axes.plot([others[row]], [height], "D", markersize=5, markerfacecolor="none", color=PAPER_COLOUR)
        if math.isnan(mean):
            continue
        colour = REFERENCE_COLOUR if row == reference else POINT_COLOUR
        axes.hlines(height, low, high, color=colour, linewidth=1.8)
        axes.plot([mean], [height], "o", color=colour, markersize=5)
    if reference is not None and reference in estimates and not math.isnan(estimates[reference][0]):
        axes.axvline(estimates[reference][0], color=REFERENCE_COLOUR, linestyle="--", linewidth=0.9)
