# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Means over the global batch: right also when the processes hold different numbers of items that count."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import distributed

SMOOTH = 1e-5  # added to both sums, as MONAI's DiceLoss does: an empty prediction of nothing is right

RankSum = Callable[[torch.Tensor], tuple[torch.Tensor, int]]


def sum_over_ranks(count: torch.Tensor) -> tuple[torch.Tensor, int]:
    """Sums a number over all processes.

    Returns:
        The sum, and the number of processes; the number itself and 1 where there is one process.
    """
    if not (distributed.is_available() and distributed.is_initialized()):
        return count, 1
    total = count.clone()
    distributed.all_reduce(total)
    return total, distributed.get_world_size()


def global_mean(
    values: torch.Tensor, counts: torch.Tensor, rank_sum: RankSum = sum_over_ranks
) -> tuple[torch.Tensor, torch.Tensor]:
    r"""The mean of the values that count, over all processes, such that averaged gradients are exact.

    With N items that count over R processes, each process returns :math:`\frac{R}{N} \sum_i v_i` over its own: DDP
    averages gradients over the processes, which makes it the gradient of the mean over N, the one that a single process
    would have. A plain mean on each process would weigh an image more where fewer of its batch are annotated.

    Args:
        values: any shape, finite.
        counts: bool, the same shape: which of the values count.
        rank_sum: sums over processes. Called only where gradients are recorded: validation need not run the same
            number of batches on every process, and would wait forever.

    Returns:
        The mean, a scalar; 0, with a gradient path of zeros, when nothing counts. And N, a scalar: over all processes
        where gradients are recorded, over this one elsewhere.
    """
    weights = counts.to(values.dtype)
    total, ranks = weights.sum(), 1
    if torch.is_grad_enabled():
        total, ranks = rank_sum(total)
    return (values * weights).sum() * ranks / total.clamp(min=1), total


def global_ratio(
    numerators: torch.Tensor, denominators: torch.Tensor, counts: torch.Tensor, rank_sum: RankSum = sum_over_ranks
) -> torch.Tensor:
    r"""The ratio of two sums over the items that count, over all processes, such that averaged gradients are exact.

    With sums N and D over R processes, each process returns N / D, with the gradient
    :math:`\frac{R}{D} (dn - \frac{N}{D} dd)` of its own sums n and d, which DDP averages over the processes.

    Args:
        numerators: (B,), finite.
        denominators: (B,), at least 0.
        counts: bool (B,), which of them count.
        rank_sum: sums over processes, where gradients are recorded (see `global_mean`).

    Returns:
        A scalar; 1 where both sums are 0.
    """
    weights = counts.to(numerators.dtype)
    own = torch.stack([(numerators * weights).sum(), (denominators * weights).sum()])
    sums, ranks = own.detach(), 1
    if torch.is_grad_enabled():
        sums, ranks = rank_sum(sums)
    numerator, denominator = sums + SMOOTH
    ratio = numerator / denominator
    change = own - own.detach()  # 0, but for its gradient
    return ratio + ranks * (change[0] - ratio * change[1]) / denominator
