# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Floor 2: metrics as pure functions over arrays, and the table of predictions that they are computed from."""

from monai_ich.metrics.classification import CLASSIFICATION_METRICS, classification_metrics, multilabel_metrics
from monai_ich.metrics.segmentation import segmentation_counts, segmentation_metrics
from monai_ich.metrics.table import PredictionTable

__all__ = [
    "CLASSIFICATION_METRICS",
    "PredictionTable",
    "classification_metrics",
    "multilabel_metrics",
    "segmentation_counts",
    "segmentation_metrics",
]
