# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Floor 2: metrics as pure functions over arrays, the table of predictions, and comparisons with intervals."""

from monai_ich.metrics.aligned import AlignedPredictions, align_predictions
from monai_ich.metrics.classification import CLASSIFICATION_METRICS, classification_metrics, multilabel_metrics
from monai_ich.metrics.comparison import (
    COMPARED_METRICS,
    Difference,
    Estimate,
    PatientBootstrap,
    gap_between,
    group_metric,
    paired_for_gap,
)
from monai_ich.metrics.delong import AUCDifference, auc_covariance, compare_aucs, structural_components
from monai_ich.metrics.detectable import hanley_mcneil_variance, minimum_detectable_auc_difference
from monai_ich.metrics.group_metrics import (
    BLEEDING_AUC,
    FEWEST_PATIENTS,
    GROUP_METRICS,
    AttributeGroups,
    best_threshold,
    bleeding_auc,
    expected_calibration_error,
    worst_group_accuracy,
)
from monai_ich.metrics.pair_metrics import PAIR_METRICS, counterfactual_pairs, pair_effects
from monai_ich.metrics.prediction_table import PredictionTable
from monai_ich.metrics.resampling import (
    bootstrap_p_value,
    holm_correction,
    percentile_interval,
    resample_counts,
    weighted_auc,
    weighted_classification_metrics,
    weighted_iou,
)
from monai_ich.metrics.segmentation import segmentation_counts, segmentation_metrics

__all__ = [
    "BLEEDING_AUC",
    "CLASSIFICATION_METRICS",
    "COMPARED_METRICS",
    "FEWEST_PATIENTS",
    "GROUP_METRICS",
    "PAIR_METRICS",
    "AUCDifference",
    "AlignedPredictions",
    "AttributeGroups",
    "Difference",
    "Estimate",
    "PatientBootstrap",
    "PredictionTable",
    "align_predictions",
    "auc_covariance",
    "best_threshold",
    "bleeding_auc",
    "bootstrap_p_value",
    "classification_metrics",
    "compare_aucs",
    "counterfactual_pairs",
    "expected_calibration_error",
    "gap_between",
    "group_metric",
    "hanley_mcneil_variance",
    "holm_correction",
    "minimum_detectable_auc_difference",
    "multilabel_metrics",
    "pair_effects",
    "paired_for_gap",
    "percentile_interval",
    "resample_counts",
    "segmentation_counts",
    "segmentation_metrics",
    "structural_components",
    "weighted_auc",
    "weighted_classification_metrics",
    "weighted_iou",
    "worst_group_accuracy",
]
