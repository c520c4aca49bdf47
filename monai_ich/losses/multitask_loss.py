# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""The weighted sum of the tasks' losses, and the paper's weights by name."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import nn

from monai_ich.losses.group_losses import group_loss
from monai_ich.losses.reduction import RankSum, sum_over_ranks
from monai_ich.losses.task_losses import ClassificationLoss, ReconstructionLoss, SegmentationLoss
from monai_ich.utils.errors import ConfigurationError, FaultList, did_you_mean
from monai_ich.utils.keys import Key, Task

# Section 3.1.2 of the paper; the weights of the three tasks are as printed, though they sum to 1.1.
PAPER_WEIGHTS = {
    (Task.CLS, Task.SEG, Task.REC): (0.3, 0.4, 0.4),
    (Task.CLS, Task.SEG): (0.4, 0.6),
    (Task.CLS, Task.REC): (0.4, 0.6),
    (Task.CLS,): (1.0,),
    (Task.SEG,): (1.0,),
    (Task.REC,): (1.0,),
}


def paper_weights(tasks: Iterable[str]) -> dict[str, float]:
    """The paper's loss weights for a set of tasks, in any order (section 3.1.2); a single task weighs 1.

    >>> paper_weights(["seg", "cls"])
    {'cls': 0.4, 'seg': 0.6}

    Raises:
        ConfigurationError: a task is unknown, or the paper gives no weights for the set.
    """
    names = list(tasks)
    _check_tasks(names, "tasks")
    for combination, weights in PAPER_WEIGHTS.items():
        if set(combination) == set(names):
            return {task.value: weight for task, weight in zip(combination, weights, strict=True)}
    given = "; ".join("+".join(combination) for combination in PAPER_WEIGHTS)
    raise ConfigurationError(
        f"the paper gives no weights for tasks {'+'.join(names) or '(none)'}, only for {given}; state weights yourself"
    )


class MultiTaskLoss(nn.Module):
    r"""Weighted sum of the losses of the heads in use (paper, equation 5).

    .. math:: L = w_{cls} L_{cls} + w_{seg} L_{seg} + w_{rec} L_{rec}

    Attributes:
        components: the tasks' unweighted losses of the last call, detached, for logging. With several processes their
            mean over processes is the loss of the global batch.
        counts: the numbers of items that these are means over: known labels (entries, for several markers), images that
            take part in the segmentation, images. Of all processes in training, of this one in validation.
    """

    def __init__(
        self,
        weights: Mapping[str, float],
        num_markers: int = 1,
        ce_weight: float = 0.4,
        dice_weight: float = 0.6,
        ignore_empty: bool = True,
        dice_over: str = "image",
        rank_sum: RankSum = sum_over_ranks,
        robust: str = "none",
        group_counts: Sequence[int] | None = None,
        group_dro_step: float = 0.01,
        group_dro_adjustment: float = 0.0,
    ) -> None:
        """Takes the weights of the tasks, and the options of their losses.

        Args:
            weights: of each task, `cls`, `seg` or `rec`; those of the network's heads, all of them and no other.
            num_markers: see `ClassificationLoss`.
            ce_weight: see `SegmentationLoss`.
            dice_weight: see `SegmentationLoss`.
            ignore_empty: see `SegmentationLoss`.
            dice_over: see `SegmentationLoss`.
            rank_sum: sums over processes (see `global_mean`).
            robust: how the classification weighs groups in training, `reweighting` or `group_dro`; `none`: not at all.
            group_counts: how many slices of training each group has (see `SliceGroups.counts`); None: no groups.
            group_dro_step: see `GroupDRO`.
            group_dro_adjustment: see `GroupDRO`.

        Raises:
            ConfigurationError: no task, an unknown task, a weight that is not a number of at least 0, or an option that
                is none.
        """
        super().__init__()
        _check_tasks(list(weights), "weights")
        _check_weights(weights)
        self.weights = {Task(task).value: float(weight) for task, weight in weights.items()}
        group_mean = group_loss(robust, group_counts, group_dro_step, group_dro_adjustment, rank_sum)
        self.classification = ClassificationLoss(num_markers, rank_sum, group_mean)
        self.segmentation = SegmentationLoss(ce_weight, dice_weight, ignore_empty, dice_over, rank_sum)
        self.reconstruction = ReconstructionLoss(rank_sum)
        self.components: dict[str, torch.Tensor] = {}
        self.counts: dict[str, torch.Tensor] = {}

    def forward(self, pred: Mapping[str, torch.Tensor], target: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Returns the weighted sum of the heads' losses.

        Args:
            pred: the network's output: `cls` (B, K), `seg` (B, 2, H, W), `rec` (B, 1, H, W), those in use.
            target: `label`, `mask` and `has_mask`, `image`, those that the heads need; `group` for a robust loss.

        Returns:
            A scalar, float32.

        Raises:
            ConfigurationError: the heads are not those that have weights.
        """
        self._check_heads(pred)
        losses = {task: self._task_loss(task, pred[task], target) for task in self.weights}
        self.components = {task: loss.detach() for task, loss in losses.items()}
        return torch.stack([self.weights[task] * loss for task, loss in losses.items()]).sum()

    def _task_loss(self, task: str, output: torch.Tensor, target: Mapping[str, torch.Tensor]) -> torch.Tensor:
        of_task: ClassificationLoss | SegmentationLoss | ReconstructionLoss
        if task == Task.CLS:
            of_task, targets = self.classification, [target[Key.LABEL], target.get(Key.GROUP)]
        elif task == Task.SEG:
            of_task, targets = self.segmentation, [target[Key.MASK], target[Key.HAS_MASK]]
        else:
            of_task, targets = self.reconstruction, [target[Key.IMAGE]]
        loss = of_task(output, *targets)
        self.counts[task] = of_task.count
        return loss

    def _check_heads(self, pred: Mapping[str, torch.Tensor]) -> None:
        if pred.keys() == self.weights.keys():
            return
        faults = FaultList("the loss weights do not fit the network's heads:")
        for head in (head for head in pred if head not in self.weights):
            faults.add(f"head {head!r} has no weight; add weights.{head}, or build the network without it")
        for task in (task for task in self.weights if task not in pred):
            faults.add(f"weight {task!r} has no head; remove it, or add {task!r} to the network's tasks")
        faults.raise_if_any(ConfigurationError)


def _check_tasks(names: list[str], what: str) -> None:
    options = [task.value for task in Task]
    faults = FaultList(f"{what} must name tasks out of {', '.join(options)}:")
    if not names:
        faults.add("none is named; expected at least one")
    for name in (name for name in names if name not in options):
        faults.add(f"{name!r} is not a task.{did_you_mean(str(name), options)}")
    faults.raise_if_any(ConfigurationError)


def _check_weights(weights: Mapping[str, float]) -> None:
    faults = FaultList("loss weights cannot be used:")
    for task, weight in weights.items():
        is_number = isinstance(weight, int | float) and not isinstance(weight, bool)
        if not (is_number and math.isfinite(weight) and weight >= 0):
            faults.add(f"weight of {str(task)!r} is {weight!r}; expected a number of at least 0")
    faults.raise_if_any(ConfigurationError)
