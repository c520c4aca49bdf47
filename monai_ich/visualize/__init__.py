# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Floor 2: figures of results, drawn without a display and without pyplot, and the one place that saves a figure."""

from monai_ich.visualize.figure_files import figure_bytes, save_figure
from monai_ich.visualize.score_figures import (
    COLOURS,
    ScoredSlices,
    confusion_figure,
    precision_recall_figure,
    roc_figure,
)
from monai_ich.visualize.slice_figures import MASK_COLOUR, note, panel_figure, show_slice

__all__ = [
    "COLOURS",
    "MASK_COLOUR",
    "ScoredSlices",
    "confusion_figure",
    "figure_bytes",
    "note",
    "panel_figure",
    "precision_recall_figure",
    "roc_figure",
    "save_figure",
    "show_slice",
]
