# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Floor 4: what a command does, from the first check to the last line printed."""

from monai_ich.apps.audit.gate import refuse_findings
from monai_ich.apps.evaluation import Evaluation, evaluate, test_datasets
from monai_ich.apps.prediction import StudySlices, predict, predict_with_run
from monai_ich.apps.sharing.command import export_run
from monai_ich.apps.sharing.exported import PrimaryOutput, predict_from_state_dict
from monai_ich.apps.stages import named_segmentation, segmentation_checkpoint
from monai_ich.apps.training import ensure_phantom, prepare, train

__all__ = [
    "Evaluation",
    "PrimaryOutput",
    "StudySlices",
    "ensure_phantom",
    "evaluate",
    "export_run",
    "named_segmentation",
    "predict",
    "predict_from_state_dict",
    "predict_with_run",
    "prepare",
    "refuse_findings",
    "segmentation_checkpoint",
    "test_datasets",
    "train",
]
