# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Means of a loss that give small groups their weight: reweighting, and group DRO.

A slice of unknown group has the weight that it has in an ordinary mean. Both are for training, where gradients are
recorded, and exact over several processes (see `global_mean`).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from monai_ich.losses.reduction import RankSum, global_mean, sum_over_ranks
from monai_ich.utils.errors import ConfigurationError, FaultList, did_you_mean
from monai_ich.utils.keys import ROBUST_LOSSES


class GroupReweighting(nn.Module):
    """The mean of the losses, each times N / (G n_g): in an epoch every one of the G groups has the same weight."""

    def __init__(self, group_counts: Sequence[int], rank_sum: RankSum = sum_over_ranks) -> None:
        """
        Args:
            group_counts: n_g, how many slices of training are in each of the G groups; N is their sum.
            rank_sum: sums over processes (see `global_mean`).
        """
        super().__init__()
        counts = torch.tensor(group_counts, dtype=torch.float64)
        self.weights = (counts.sum() / (len(counts) * counts)).float()
        self.rank_sum = rank_sum

    def forward(
        self, values: torch.Tensor, counts: torch.Tensor, groups: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Returns the weighted mean of the losses that count, and their number, over all processes.

        Args:
            values: (B,), finite.
            counts: bool (B,), which of them count.
            groups: int64 (B,), from 0 to G - 1; negative = unknown.
        """
        weights = self.weights.to(values.device)[groups.clamp(min=0)]
        return global_mean(values * torch.where(groups >= 0, weights, 1.0), counts, self.rank_sum)


class GroupDRO(nn.Module):
    r"""Group distributionally robust optimisation (Sagawa et al., arXiv 1911.08731, algorithm 1).

    With :math:`L_g` the mean loss of group g in the batch, 0 where it has none,

    .. math::
        q_g \leftarrow \frac{q_g e^{\eta (L_g + C / \sqrt{n_g})}}{\sum_h q_h e^{\eta (L_h + C / \sqrt{n_h})}}, \quad
        L = \sum_g q_g L_g

    Attributes:
        q: float64 (G,), the weights of the groups, from 1 / G on. It is a part of the state, and has to be kept in a
            checkpoint for a run to go on as it would have.
    """

    q: torch.Tensor

    def __init__(
        self,
        group_counts: Sequence[int],
        step: float = 0.01,
        adjustment: float = 0.0,
        rank_sum: RankSum = sum_over_ranks,
    ) -> None:
        r"""
        Args:
            group_counts: n_g, how many slices of training are in each of the G groups.
            step: :math:`\eta`; with 0 the loss is the mean of the groups' means.
            adjustment: C, for small groups, on which a network generalises less well.
            rank_sum: sums over processes (see `global_mean`).
        """
        super().__init__()
        counts = torch.tensor(group_counts, dtype=torch.float64)
        self.register_buffer("q", torch.full_like(counts, 1 / len(counts)))
        self.adjustments = adjustment / counts.sqrt()
        self.step = step
        self.rank_sum = rank_sum

    def forward(
        self, values: torch.Tensor, counts: torch.Tensor, groups: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        r"""Changes q by the losses of the batch, and returns the robust loss.

        The k slices of known group among the N that count have the weight k / N, and those of unknown group their
        own: :math:`\frac kN \sum_g q_g L_g + \frac1N \sum_{unknown} l_i`.

        Args:
            values: (B,), finite.
            counts: bool (B,), which of them count.
            groups: int64 (B,), from 0 to G - 1; negative = unknown.

        Returns:
            The loss of this process, whose mean over processes is that of the global batch; and N over all processes.
        """
        self.q = self.q.to(values.device)
        numbers = torch.arange(-1, len(self.q), device=values.device)  # -1: of unknown group
        member = ((groups.clamp(min=-1) == numbers[:, None]) & counts).to(values.dtype)  # (1 + G, B)
        sums, sizes = member @ values, member.sum(dim=1)
        totals, ranks = self.rank_sum(torch.stack([sums.detach(), sizes]))
        means = totals[0, 1:] / totals[1, 1:].clamp(min=1)  # (G,), of all processes
        q = self.q * torch.exp(self.step * (means.double() + self.adjustments.to(values.device)))
        self.q = q / q.sum()
        total = totals[1].sum()
        known = totals[1, 1:].sum() / total.clamp(min=1)
        robust = (self.q.to(values.dtype) * sums[1:] / totals[1, 1:].clamp(min=1)).sum()
        return ranks * (known * robust + sums[0] / total.clamp(min=1)), total


def group_loss(
    robust: str,
    group_counts: Sequence[int] | None = None,
    step: float = 0.01,
    adjustment: float = 0.0,
    rank_sum: RankSum = sum_over_ranks,
) -> GroupReweighting | GroupDRO | None:
    """Builds the mean of a robust loss by its name.

    Args:
        robust: `reweighting`, `group_dro`, or `none`.
        group_counts: see `GroupDRO`; None where there are no groups.
        step: of group DRO, at least 0.
        adjustment: of group DRO, at least 0.
        rank_sum: sums over processes (see `global_mean`).

    Returns:
        The mean; None for `none`.

    Raises:
        ConfigurationError: the name is unknown, there are no groups, a group is empty, or a number is negative.
    """
    faults = FaultList("the robust loss cannot be built:")
    if robust not in ROBUST_LOSSES:
        faults.add(f"robust is one of {list(ROBUST_LOSSES)}, got {robust!r}.{did_you_mean(str(robust), ROBUST_LOSSES)}")
    elif robust != "none" and not group_counts:
        faults.add(f"robust is {robust!r}, but training has no groups; name data::attributes")
    elif robust != "none" and min(group_counts or ()) < 1:
        faults.add(f"expected at least one slice of every group in training, got {list(group_counts or ())}")
    for name, value in (("group_dro_step", step), ("group_dro_adjustment", adjustment)):
        if not value >= 0:
            faults.add(f"{name}: expected a number of at least 0, got {value!r}")
    faults.raise_if_any(ConfigurationError)
    if robust == "none" or group_counts is None:
        return None
    if robust == "reweighting":
        return GroupReweighting(group_counts, rank_sum)
    return GroupDRO(group_counts, step, adjustment, rank_sum)
