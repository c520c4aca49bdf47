# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Adapters between ignite engines and the rest: metrics, checkpoints, MLflow and progress."""

from monai_ich.handlers.checkpoints import Checkpoints
from monai_ich.handlers.iteration import DivergedError, EpochLosses, EpochSeed, GradientNormLimit, PolyLearningRate
from monai_ich.handlers.mlflow import MLflowTracker, MLflowTraining
from monai_ich.handlers.predictions import PredictionMetrics
from monai_ich.handlers.progress import TrainingProgress
from monai_ich.handlers.running_statistics import RunningStatisticsRefresh

__all__ = [
    "Checkpoints",
    "DivergedError",
    "EpochLosses",
    "EpochSeed",
    "GradientNormLimit",
    "MLflowTracker",
    "MLflowTraining",
    "PolyLearningRate",
    "PredictionMetrics",
    "RunningStatisticsRefresh",
    "TrainingProgress",
]
