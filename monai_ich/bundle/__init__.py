# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""What MONAI's config language lacks: checked settings, a run's own directory, and readable failures."""

from monai_ich.bundle.config_checks import check_config
from monai_ich.bundle.evaluation import Evaluation, evaluate, test_datasets
from monai_ich.bundle.prediction import StudySlices, predict, predict_with_run
from monai_ich.bundle.run_directory import RunDirectory, open_run_directory
from monai_ich.bundle.stages import named_segmentation, segmentation_checkpoint
from monai_ich.bundle.training import prepare, train
from monai_ich.bundle.workflow import effective_config, start

__all__ = [
    "Evaluation",
    "RunDirectory",
    "StudySlices",
    "check_config",
    "effective_config",
    "evaluate",
    "named_segmentation",
    "open_run_directory",
    "predict",
    "predict_with_run",
    "prepare",
    "segmentation_checkpoint",
    "start",
    "test_datasets",
    "train",
]
