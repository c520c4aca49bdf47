# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Floor 2: figures of results, and Grad-CAM."""

from monai_ich.visualize.audit import balance_figure, pairs_figure
from monai_ich.visualize.figures import confusion_figure, panel_figure, precision_recall_figure, roc_figure
from monai_ich.visualize.gradcam import METHOD_TITLES, METHODS, ActivationMaps, activation_maps
from monai_ich.visualize.heat import HeatSlices, heat_figure
from monai_ich.visualize.intervals import forest_figure

__all__ = [
    "METHODS",
    "METHOD_TITLES",
    "ActivationMaps",
    "HeatSlices",
    "activation_maps",
    "balance_figure",
    "confusion_figure",
    "forest_figure",
    "heat_figure",
    "pairs_figure",
    "panel_figure",
    "precision_recall_figure",
    "roc_figure",
]
