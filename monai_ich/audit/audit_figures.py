# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Figures of an audit: suspicious pairs of slices, and a marker's share in hospitals and splits."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from monai_ich.visualize import COLOURS


def pairs_figure(pairs: Sequence[tuple[np.ndarray, np.ndarray]], titles: Sequence[tuple[str, str]]) -> Figure:
    """Draws pairs of slices side by side, a row each, with their difference in the third column.

    Args:
        pairs: (P,) of two slices (H, W) in [0, 1].
        titles: (P,) what the two are.

    Raises:
        ValueError: there is no pair.
    """
    if not pairs:
        raise ValueError("expected at least one pair of slices, got none")
    figure = Figure(figsize=(8.4, 2.9 * len(pairs)), layout="constrained")
    grid = figure.subplots(len(pairs), 3, squeeze=False)
    for axes, (first, second), names in zip(grid, pairs, titles, strict=True):
        for place, picture, name in zip(axes, (first, second), names, strict=False):
            place.imshow(picture, cmap="gray", vmin=0, vmax=1)
            place.set_title(name, fontsize=7)
        axes[2].imshow(first - second, cmap="RdBu", vmin=-0.5, vmax=0.5)
        axes[2].set_title("difference", fontsize=7)
        for place in axes:
            place.set(xticks=[], yticks=[])
    return figure


def balance_figure(shares: Sequence[tuple[str, str, int, int]], marker: str) -> Figure:
    """Draws the share of positive slices of every hospital within every split, as groups of bars.

    Args:
        shares: (hospital, split, slices, positive slices).
        marker: what a positive slice shows.

    Raises:
        ValueError: there are no shares.
    """
    if not shares:
        raise ValueError("expected at least one hospital, got none")
    hospitals = list(dict.fromkeys(hospital for hospital, *_ in shares))
    splits = list(dict.fromkeys(split for _, split, *_ in shares))
    figure = Figure(figsize=(max(5.0, 0.6 * len(hospitals) * len(splits) ** 0.5 + 1.5), 3.4), layout="constrained")
    axes = figure.add_subplot()
    width = 0.8 / len(splits)
    for number, split in enumerate(splits):
        of_split = [(hospitals.index(h), positive / n, n) for h, s, n, positive in shares if s == split and n]
        places = [place + (number - (len(splits) - 1) / 2) * width for place, *_ in of_split]
        bars = axes.bar(
            places, [share for _, share, _ in of_split], width, color=COLOURS[number % len(COLOURS)], label=split
        )
        axes.bar_label(bars, [str(count) for *_, count in of_split], fontsize=6)
    axes.set_xticks(range(len(hospitals)), hospitals)
    axes.set(xlabel="hospital", ylabel=f"share of {marker} slices", ylim=(0, 1.08))
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside upper center", ncols=min(len(splits), 4), fontsize=8, frameon=False)
    return figure
