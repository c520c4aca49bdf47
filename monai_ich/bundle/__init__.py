# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Floor 4: a run: its directory, training, evaluation and stages. Configs find what they start with here, too."""

from monai_ich.bundle.evaluation import Evaluation, evaluate, test_datasets
from monai_ich.bundle.run_directory import RunDirectory, open_run_directory
from monai_ich.bundle.run_prediction import predict_with_run
from monai_ich.bundle.stages import named_segmentation, segmentation_checkpoint
from monai_ich.bundle.training import prepare, train
from monai_ich.config import check_config, effective_config, start
from monai_ich.prediction import StudySlices, predict

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
