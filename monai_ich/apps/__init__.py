# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Floor 4: what a command does, from the first check to the last line printed."""

from monai_ich.apps.evaluation import Evaluation, evaluate, test_datasets
from monai_ich.apps.prediction import StudySlices, predict, predict_with_run
from monai_ich.apps.training import ensure_phantom, prepare, train

__all__ = [
    "Evaluation",
    "StudySlices",
    "ensure_phantom",
    "evaluate",
    "predict",
    "predict_with_run",
    "prepare",
    "test_datasets",
    "train",
]
