# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Floor 2: the paper's losses (equations 1 to 5), exact for partly annotated batches and over several processes."""

from monai_ich.losses.group_losses import GroupDRO, GroupReweighting, group_loss
from monai_ich.losses.multitask_loss import PAPER_WEIGHTS, MultiTaskLoss, paper_weights
from monai_ich.losses.reduction import global_mean, global_ratio, sum_over_ranks
from monai_ich.losses.task_losses import ClassificationLoss, ReconstructionLoss, SegmentationLoss

__all__ = [
    "PAPER_WEIGHTS",
    "ClassificationLoss",
    "GroupDRO",
    "GroupReweighting",
    "MultiTaskLoss",
    "ReconstructionLoss",
    "SegmentationLoss",
    "global_mean",
    "global_ratio",
    "group_loss",
    "paper_weights",
    "sum_over_ranks",
]
