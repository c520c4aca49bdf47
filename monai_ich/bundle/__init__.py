# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Floor 4: a run: its directory, training, evaluation and stages."""

from monai_ich.bundle.evaluation import Evaluation, evaluate, test_datasets
from monai_ich.bundle.last_layer import LastLayerRetraining, open_retrained_run, retrain_last_layer
from monai_ich.bundle.run_directory import open_run_directory
from monai_ich.bundle.saved_runs import predict_with_run
from monai_ich.bundle.stages import segmentation_checkpoint
from monai_ich.bundle.training import prepare, train
from monai_ich.config import start  # the configs of runs of before version 0.1.0 begin with it
from monai_ich.utils.run_files import RunDirectory

__all__ = [
    "Evaluation",
    "LastLayerRetraining",
    "RunDirectory",
    "evaluate",
    "open_retrained_run",
    "open_run_directory",
    "predict_with_run",
    "prepare",
    "retrain_last_layer",
    "segmentation_checkpoint",
    "start",
    "test_datasets",
    "train",
]
