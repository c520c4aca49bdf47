# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""CT slices as a reader expects them, with the patient's sides, and a panel of slices and what was predicted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

MASK_COLOUR, PREDICTION_COLOUR = "#56B4E9", "#E69F00"  # both bright enough on a CT's greys
# Text that is legible also over bone.
_ON_SLICE: dict[str, Any] = {"color": "white", "bbox": {"facecolor": "black", "edgecolor": "none", "pad": 1.5}}


def show_slice(axes: Axes, image: np.ndarray) -> None:
    """Draws a slice (H, W) in [0, 1] without ticks, with R and L in the corners on the patient's sides.

    Columns run from the patient's right to his left, as in every slice that `monai_ich.reading` gives: the reader looks
    from the feet.
    """
    axes.imshow(image, cmap="gray", vmin=0, vmax=1)
    axes.set(xticks=[], yticks=[])
    for x, side, inwards in ((0.03, "R", "left"), (0.97, "L", "right")):
        axes.text(x, 0.97, side, **_ON_SLICE, fontsize=7, transform=axes.transAxes, va="top", ha=inwards)


def note(axes: Axes, text: str) -> None:
    """Writes a few words over the foot of a slice."""
    axes.text(0.5, 0.04, text, **_ON_SLICE, fontsize=8, transform=axes.transAxes, ha="center")


def panel_figure(
    images: np.ndarray,
    masks: np.ndarray | None = None,
    has_mask: Sequence[bool] | np.ndarray | None = None,
    seg_probabilities: np.ndarray | None = None,
    reconstructions: np.ndarray | None = None,
    titles: Sequence[str] | None = None,
    heading: str = "",
) -> Figure:
    """Slices in rows: image, mask, prediction and reconstruction side by side, outlines in colours of their own.

    Args:
        images: (N, H, W) or (N, 1, H, W), in [0, 1]; oriented as in `show_slice`.
        masks: the same shape, 1 = haematoma; None where the truth is not known.
        has_mask: bool (N,), whether the slice was annotated; None = all were.
        seg_probabilities: the same shape as `images`, of haematoma; None without a segmentation.
        reconstructions: the same shape as `images`; None without a reconstruction.
        titles: (N,) what each slice is, on its left.
        heading: above all, such as the marker and the window.

    Raises:
        ValueError: there is no slice, or the shapes differ.
    """
    annotated = np.ones(len(images), dtype=bool) if has_mask is None else np.asarray(has_mask, dtype=bool)
    given = {"image": images, "mask": masks, "prediction": seg_probabilities, "reconstruction": reconstructions}
    planes = {name: _planes(arrays, images) for name, arrays in given.items() if arrays is not None}
    figure = Figure(figsize=(2.1 * len(planes) + 0.3, 2.1 * len(images) + 0.8), layout="constrained")
    grid = figure.subplots(len(images), len(planes), squeeze=False)
    for number, row in enumerate(grid):
        truth = planes["mask"][number] * annotated[number] if "mask" in planes else None
        for axes, name in zip(row, planes, strict=True):
            show_slice(axes, planes[name if name == "reconstruction" else "image"][number])
            if number == 0:
                axes.set_title(name, fontsize=10)
            if name == "mask":
                missing = "no blood" if annotated[number] else "not annotated"
                if not _outline(axes, planes[name][number] * annotated[number], MASK_COLOUR, "-"):
                    note(axes, missing)
            elif name == "prediction":
                if truth is not None:
                    _outline(axes, truth, MASK_COLOUR, "--")
                if not _outline(axes, planes[name][number], PREDICTION_COLOUR, "-"):
                    note(axes, "none predicted")
        if titles is not None:
            row[0].set_ylabel(titles[number], fontsize=8)
    if heading:
        figure.suptitle(heading, fontsize=10)
    _panel_legend(figure, planes)
    return figure


def _panel_legend(figure: Figure, planes: Mapping[str, np.ndarray]) -> None:
    colours = {"mask": MASK_COLOUR, "prediction": PREDICTION_COLOUR}
    handles = [Line2D([], [], color=colour, label=name) for name, colour in colours.items() if name in planes]
    if handles:
        figure.legend(handles=handles, loc="outside lower center", ncols=2, fontsize=8, frameon=False)


def _outline(axes: Axes, plane: np.ndarray, colour: str, style: str) -> bool:
    """Draws the border of what is above 0.5; returns whether there is any."""
    inside = plane > 0.5
    if inside.any() and not inside.all():  # matplotlib warns when there is nothing to outline
        axes.contour(plane, levels=[0.5], colors=colour, linestyles=style, linewidths=1.2)
    return bool(inside.any())


def _planes(arrays: np.ndarray, like: np.ndarray) -> np.ndarray:
    planes = np.asarray(arrays, dtype=float)
    planes = planes[:, 0] if planes.ndim == 4 else planes
    size = (len(like), *np.shape(like)[-2:])
    if planes.shape != size or not len(planes):
        raise ValueError(f"expected at least one slice and arrays of shape {size}, got {planes.shape}")
    return planes
