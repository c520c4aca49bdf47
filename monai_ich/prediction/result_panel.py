# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""The panel of slices that both the evaluation of a test set and the prediction of a study draw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from matplotlib.figure import Figure

from monai_ich.transforms import shown_window_hu
from monai_ich.utils.keys import Task
from monai_ich.utils.probabilities import haematoma_probability
from monai_ich.visualize import panel_figure

PANEL_SLICES = 6


def result_panel(
    images: torch.Tensor,
    outputs: Mapping[str, torch.Tensor],
    titles: Sequence[str],
    markers: Sequence[str],
    preprocessing: Any,
    name: str = "",
    **truth: Any,
) -> Figure:
    """Draws slices and what a network's heads put out for them.

    Args:
        images: (N, 1, H, W), in [0, 1].
        outputs: of the network for these slices, on any device.
        titles: (N,).
        markers: of the classifier; named above the panel, with the HU window.
        preprocessing: what made the images: its window is named.
        name: of the test set, to be named too.
        truth: `masks` and `has_mask` of `panel_figure`, where they are known.
    """
    window = shown_window_hu(preprocessing)
    parts = [name, ", ".join(markers), "window {:g} to {:g} HU".format(*window) if window else ""]
    return panel_figure(
        images.numpy(),
        seg_probabilities=haematoma_probability(outputs[Task.SEG]).cpu().numpy() if Task.SEG in outputs else None,
        reconstructions=outputs[Task.REC].cpu().numpy() if Task.REC in outputs else None,
        titles=titles,
        heading="; ".join(part for part in parts if part),
        **truth,
    )
