# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""The losses of an epoch: each task's mean over the items that count, over all steps and processes."""

from __future__ import annotations

import math

import torch

from monai_ich.engines import gathered
from monai_ich.losses import MultiTaskLoss


class EpochMeans:
    """Adds up the parts of a loss step by step, each weighed by the items that it is a mean over.

    A step without any mask says nothing about the segmentation, and a smaller last batch says less than the others.
    """

    def __init__(self, loss: MultiTaskLoss) -> None:
        """Takes the loss, of which `weights`, `components` and `counts` are read."""
        self.loss = loss
        self.steps: list[torch.Tensor] = []  # (1 + T, 2) each: the whole loss and 1, then each task's mean and count

    def clear(self) -> None:
        """Begins a new epoch."""
        self.steps.clear()

    def record(self, total: torch.Tensor) -> None:
        """Keeps the parts of the loss's last call, whose value was `total`; a GPU is not waited for."""
        loss = self.loss
        parts = [torch.stack([loss.components[task], loss.counts[task]]) for task in loss.weights]
        self.steps.append(torch.stack([torch.stack([total.detach(), torch.ones_like(total)]), *parts]))

    def compute(self) -> tuple[dict[str, float], dict[str, float]]:
        """Averages over the steps since `clear`, and over processes; every process must come here.

        Returns:
            First, the means: `loss_<task>` of each task, NaN if nothing counted, and `loss`, the weighted sum of those
            that are defined (NaN if none is). Second, those of `loss` and `loss_<task>` that were not finite in some
            step, by what they add up to: the network has diverged.
        """
        weights = self.loss.weights
        steps = torch.stack(self.steps).cpu().double() if self.steps else torch.zeros(0, 1 + len(weights), 2)
        # what is not finite stays so when it counts 0 times
        own = torch.stack([steps.prod(dim=2), steps[..., 1]], dim=2).sum(dim=0)  # (1 + T, 2)
        sums = torch.tensor(gathered(own.tolist()), dtype=torch.double).sum(dim=0).tolist()
        names = ["loss", *(f"loss_{task}" for task in weights)]
        means = {name: value / count if count else math.nan for name, (value, count) in zip(names, sums, strict=True)}
        counted = [
            weights[task] * means[f"loss_{task}"] for task, (_, count) in zip(weights, sums[1:], strict=True) if count
        ]
        means["loss"] = sum(counted) if counted else math.nan
        return means, {name: value for name, (value, _) in zip(names, sums, strict=True) if not math.isfinite(value)}
