# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Floor 2: figures of results, and Grad-CAM."""

from monai_ich.visualize.result_figures import confusion_figure, panel_figure, precision_recall_figure, roc_figure

__all__ = ["confusion_figure", "panel_figure", "precision_recall_figure", "roc_figure"]
