# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Floor 4: a run, from its config to its results: settings, checks, directory, training, evaluation, prediction."""

from monai_ich.bundle.config_checks import check_config
from monai_ich.bundle.evaluation import Evaluation, evaluate, test_datasets
from monai_ich.bundle.prediction import StudySlices, predict, predict_with_run
from monai_ich.bundle.run_directory import open_run_directory
from monai_ich.bundle.stages import segmentation_checkpoint
from monai_ich.bundle.training import prepare, train
from monai_ich.bundle.workflow import config_folder, effective_config, name_of_row, shown_settings, start
from monai_ich.utils.run_files import RunDirectory

__all__ = [
    "Evaluation",
    "RunDirectory",
    "StudySlices",
    "check_config",
    "config_folder",
    "effective_config",
    "evaluate",
    "name_of_row",
    "open_run_directory",
    "predict",
    "predict_with_run",
    "prepare",
    "segmentation_checkpoint",
    "shown_settings",
    "start",
    "test_datasets",
    "train",
]
