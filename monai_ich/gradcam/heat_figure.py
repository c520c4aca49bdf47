# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Heat maps over slices, as in the paper's Figure 4."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from monai_ich.visualize import MASK_COLOUR, note, show_slice

# Evenly perceived and told apart in every common form of colour blindness; unlike `inferno` it does not end in the
# white of bone.
HEAT_MAP = "plasma"
MOST_OPAQUE = 0.65
SIDE_IN = 2.0
TITLE_WIDTH_IN = 5.2


@dataclass(frozen=True, eq=False)
class HeatSlices:
    """Slices to be drawn side by side.

    Attributes:
        heading: what they have in common.
        images: (N, H, W), in [0, 1].
        maps: (N, H, W), not negative; each is drawn relative to its own maximum.
        titles: (N,).
        masks: (N, H, W), outlined where they hold anything; None where the truth is not known.
    """

    heading: str
    images: np.ndarray
    maps: np.ndarray
    titles: Sequence[str]
    masks: np.ndarray | None = None


def heat_figure(groups: Sequence[HeatSlices], title: str = "") -> Figure:
    """Two lines a group: the slices as they are, and under them the same with their heat maps, and a colour bar.

    Colour and opacity grow with the heat, so that the CT shows through where a map is cold.

    Args:
        groups: from top to bottom.
        title: above all.

    Raises:
        ValueError: there is no slice, or shapes or numbers of slices differ within a group.
    """
    for group in groups:
        _check(group)
    if not groups:
        raise ValueError("expected at least one group of slices, got none")
    columns = max(len(group.images) for group in groups)
    size = (max(SIDE_IN * columns + 1.1, TITLE_WIDTH_IN), (2 * SIDE_IN + 0.35) * len(groups) + 0.6)
    figure = Figure(figsize=size, layout="constrained")
    grid = figure.subplots(2 * len(groups), columns, squeeze=False)
    for axes in grid.flat:
        axes.set(xticks=[], yticks=[])  # also where a group has fewer slices than another
        axes.set_frame_on(False)
    for number, group in enumerate(groups):
        _draw_group(group, grid[2 * number], grid[2 * number + 1])
    scale = ScalarMappable(Normalize(0, 1), HEAT_MAP)
    bar = figure.colorbar(scale, ax=list(grid.flat), shrink=min(1.0, 1.2 / len(groups)), pad=0.01)
    bar.set_label("heat, relative to the slice's maximum", fontsize=8)
    if any(group.masks is not None and np.any(group.masks) for group in groups):
        handle = Line2D([], [], color=MASK_COLOUR, label="annotated haematoma")
        figure.legend(handles=[handle], loc="outside lower center", fontsize=8, frameon=False)
    figure.suptitle(title, fontsize=10)
    return figure


def _check(group: HeatSlices) -> None:
    shape = np.shape(group.images)
    given = {"maps": np.shape(group.maps)} | ({} if group.masks is None else {"masks": np.shape(group.masks)})
    wrong = [f"{name} {other}" for name, other in given.items() if other != shape]
    if len(shape) != 3 or not shape[0] or wrong or len(group.titles) != shape[0]:
        raise ValueError(
            f"{group.heading}: expected at least one slice and equal shapes (N, H, W), got images {shape}, "
            f"{len(group.titles)} titles{''.join(', ' + text for text in wrong)}"
        )


def _draw_group(group: HeatSlices, plain: Sequence[Axes], heated: Sequence[Axes]) -> None:
    plain[0].set_ylabel(group.heading, fontsize=8)
    heated[0].set_ylabel("heat", fontsize=8)
    for number, image in enumerate(group.images):
        plain[number].set_title(group.titles[number], fontsize=7)
        for axes in (plain[number], heated[number]):
            show_slice(axes, image)
        _draw_heat(heated[number], group.maps[number])
        if group.masks is not None and np.any(group.masks[number]):
            for axes in (plain[number], heated[number]):
                axes.contour(group.masks[number], levels=[0.5], colors=MASK_COLOUR, linewidths=1.0)


def _draw_heat(axes: Axes, heat: np.ndarray) -> None:
    highest = float(heat.max())
    if highest <= 0:
        note(axes, "nothing in favour")
        return
    relative = heat / highest
    axes.imshow(relative, cmap=HEAT_MAP, vmin=0, vmax=1, alpha=MOST_OPAQUE * relative)
