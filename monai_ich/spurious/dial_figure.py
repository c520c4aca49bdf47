# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Figures against the dial: one line a method, with bands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure

PANEL_IN = (4.2, 3.6)
_MARKERS = "osD^vPX*<>hp"

# {method: [(dial, value, low, high)]}
Lines = Mapping[str, Sequence[tuple[float, float, float, float]]]


def dial_figure(panels: Mapping[str, Lines], methods: Sequence[str], levels: Mapping[str, float], title: str) -> Figure:
    """Draws a panel a measure, side by side; a method has one colour and marker in all of them.

    Args:
        panels: {heading: lines}. A method without points is left out of its panel.
        methods: in the legend's order.
        levels: {heading: what no effect, or chance, would give}, drawn as a dashed line.
        title: above all.

    Raises:
        ValueError: there is no panel.
    """
    if not panels:
        raise ValueError("expected at least one panel, got none")
    width, height = PANEL_IN
    figure = Figure(figsize=(width * len(panels), height + 0.16 * len(methods)), layout="constrained")
    grid = figure.subplots(1, len(panels), squeeze=False)[0]
    colours = colormaps["tab10" if len(methods) <= 10 else "tab20"].colors  # type: ignore[attr-defined]
    for axes, (heading, lines) in zip(grid, panels.items(), strict=True):
        for number, method in enumerate(methods):
            points = np.array(sorted(lines.get(method, ())), dtype=float).reshape(-1, 4)
            dials, values, low, high = points.T
            colour = colours[number % len(colours)]
            axes.fill_between(dials, low, high, color=colour, alpha=0.12, linewidth=0)
            axes.plot(dials, values, marker=_MARKERS[number % len(_MARKERS)], color=colour, label=method)
        if heading in levels:
            axes.axhline(levels[heading], color="0.5", linestyle="--", linewidth=0.9)
        axes.set_title(heading, fontsize=10)
        axes.set_xlabel("dial in training")
        axes.grid(color="0.92")
        axes.set_axisbelow(True)
    handles, labels = grid[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=min(4, max(1, len(methods))), frameon=False)
    figure.suptitle(title)
    return figure
