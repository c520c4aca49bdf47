# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Floor 2: figures of results."""

from monai_ich.visualize.audit import balance_figure, pairs_figure
from monai_ich.visualize.figures import confusion_figure, panel_figure, precision_recall_figure, roc_figure
from monai_ich.visualize.intervals import forest_figure

__all__ = [
    "balance_figure",
    "confusion_figure",
    "forest_figure",
    "pairs_figure",
    "panel_figure",
    "precision_recall_figure",
    "roc_figure",
]
