# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""What MONAI's trainers and evaluators need to handle several tasks, and several processes."""

from monai_ich.engines.autocast import AutocastInferer
from monai_ich.engines.batches import prepare_multitask_batch
from monai_ich.engines.distributed import (
    gathered,
    init_distributed,
    on_all_processes,
    per_process_batch_size,
    process_device,
    rank,
    wait_for_all,
    world_size,
)
from monai_ich.engines.schedules import LR_FACTOR, parameter_groups, poly_learning_rate

__all__ = [
    "LR_FACTOR",
    "AutocastInferer",
    "gathered",
    "init_distributed",
    "on_all_processes",
    "parameter_groups",
    "per_process_batch_size",
    "poly_learning_rate",
    "prepare_multitask_batch",
    "process_device",
    "rank",
    "wait_for_all",
    "world_size",
]
