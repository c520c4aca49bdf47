# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""The loss of each task, computed in float32 and averaged over the items that have a target for it.

Each loss keeps in `count` how many items its last call averaged, a scalar (see `global_mean`).
"""

from __future__ import annotations

import torch
from monai.losses import DiceLoss
from torch import nn
from torch.nn import functional

from monai_ich.losses.group_losses import GroupDRO, GroupReweighting
from monai_ich.losses.reduction import RankSum, global_mean, global_ratio, sum_over_ranks
from monai_ich.utils.errors import ConfigurationError, did_you_mean
from monai_ich.utils.keys import DICE_OVER


class SegmentationLoss(nn.Module):
    r"""Cross entropy and soft Dice of the haematoma, over the images that have a mask (paper, equations 1 to 3).

    .. math::
        L_{ce}(p, q) = -\sum_i p_i \log q_i, \quad
        L_{dice} = 1 - \frac{2 \sum p_i q_i}{\sum (p_i + q_i)}, \quad
        L_{seg} = 0.4 L_{ce} + 0.6 L_{dice}

    with p the mask and q the probability; the cross entropy is the mean over an image's pixels. Dice is of one image
    (unless `dice_over` says otherwise) and of the haematoma alone, without squares, as equation 2 is printed. (The
    public code of Swin-Unet, arXiv 2105.05537, squares p and q in the denominator, sums over the whole batch, and
    averages over all classes, the background among them.)
    """

    def __init__(
        self,
        ce_weight: float = 0.4,
        dice_weight: float = 0.6,
        ignore_empty: bool = True,
        dice_over: str = "image",
        rank_sum: RankSum = sum_over_ranks,
    ) -> None:
        """Takes the weights of the two parts and which images take part.

        Args:
            ce_weight: of the cross entropy.
            dice_weight: of the Dice loss.
            ignore_empty: annotated slices without blood take no part, as in the paper, whose masks are of haematomas.
                False trains on them too. Their own Dice loss is near 1, almost without a gradient, until every pixel is
                background. So it takes `dice_over="batch"` for the network to learn that they hold no blood.
            dice_over: what the sums of the Dice loss run over: each `image` (equation 2), or all images of the `batch`
                that take part, those of other processes included.
            rank_sum: sums over processes (see `global_mean`).

        Raises:
            ConfigurationError: `dice_over` is neither.
        """
        super().__init__()
        self.ce_weight, self.dice_weight = ce_weight, dice_weight
        self.ignore_empty = ignore_empty
        self.rank_sum = rank_sum
        if dice_over not in DICE_OVER:
            raise ConfigurationError(
                f"dice_over is one of {list(DICE_OVER)}, got {dice_over!r}.{did_you_mean(str(dice_over), DICE_OVER)}"
            )
        self.dice_over = dice_over
        self.dice = DiceLoss(reduction="none")

    def forward(self, logits: torch.Tensor, mask: torch.Tensor, has_mask: torch.Tensor) -> torch.Tensor:
        """Returns the mean loss of the images that take part.

        Args:
            logits: (B, 2, H, W), background and haematoma.
            mask: (B, 1, H, W), 0 or 1; anything of these where `has_mask` is False.
            has_mask: bool (B,), whether the image was annotated.

        Returns:
            A scalar, 0 with gradients of zero when no image takes part.

        Raises:
            ValueError: the shapes do not fit.
        """
        expected = (logits.shape[0], 1, *logits.shape[2:])
        if logits.shape[1] != 2 or tuple(mask.shape) != expected:
            raise ValueError(
                f"expected logits (B, 2, H, W) and a mask {expected} of the same size, "
                f"got {tuple(logits.shape)} and {tuple(mask.shape)}"
            )
        counts = has_mask.bool()
        if self.ignore_empty:
            counts = counts & mask.flatten(1).any(dim=1)
        with torch.autocast(logits.device.type, enabled=False):
            target = mask.float()
            log_q = functional.log_softmax(logits.float(), dim=1)  # (B, 2, H, W)
            # written out instead of nll_loss, whose 2-D kernel is not deterministic on GPUs
            pixel_ce = -(target * log_q[:, 1:] + (1 - target) * log_q[:, :1])  # (B, 1, H, W)
            ce = pixel_ce.flatten(1).mean(dim=1)  # (B,)
            q = log_q[:, 1:].exp()
            if self.dice_over == "batch":
                mean_ce, self.count = global_mean(ce, counts, self.rank_sum)
                both, either = 2 * (target * q).flatten(1).sum(dim=1), (target + q).flatten(1).sum(dim=1)  # (B,)
                dice = 1 - global_ratio(both, either, counts, self.rank_sum)
                return self.ce_weight * mean_ce + self.dice_weight * dice
            dice = self.dice(q, target).flatten()  # (B,)
            loss, self.count = global_mean(self.ce_weight * ce + self.dice_weight * dice, counts, self.rank_sum)
        return loss


class ClassificationLoss(nn.Module):
    """Cross entropy for one marker, binary cross entropy of each for several; unknown labels take no part.

    The values are averaged, or, with `group_mean` and where gradients are recorded, weighed by their groups. So a
    validation loss is the ordinary mean with every training loss, and leaves the state of group DRO as it is.
    """

    def __init__(
        self,
        num_markers: int = 1,
        rank_sum: RankSum = sum_over_ranks,
        group_mean: GroupReweighting | GroupDRO | None = None,
    ) -> None:
        """Takes the number of markers, and how values are averaged.

        Args:
            num_markers: 1 for two classes with softmax, more for one sigmoid each.
            rank_sum: sums over processes (see `global_mean`).
            group_mean: of one marker; None: the ordinary mean.

        Raises:
            ValueError: fewer than one marker, or several with `group_mean`.
        """
        super().__init__()
        if num_markers < 1:
            raise ValueError(f"expected at least one marker, got num_markers={num_markers}")
        if num_markers > 1 and group_mean is not None:
            raise ValueError(f"groups are of one marker, got num_markers={num_markers}; choose one marker")
        self.group_mean = group_mean
        self.num_markers = num_markers
        self.rank_sum = rank_sum

    def forward(self, logits: torch.Tensor, label: torch.Tensor, group: torch.Tensor | None = None) -> torch.Tensor:
        """Returns the mean loss of the images that take part.

        Args:
            logits: (B, 2) for one marker, (B, K) for K markers.
            label: int64 (B,) for one marker, 0 or 1, negative = unknown; float (B, K) for several, NaN = unknown.
            group: int64 (B,), negative = unknown; needed with `group_mean`, where gradients are recorded.

        Returns:
            A scalar, 0 with gradients of zero when no label is known.

        Raises:
            ValueError: the shapes do not fit, or the groups are missing.
        """
        columns = 2 if self.num_markers == 1 else self.num_markers
        label_shape = logits.shape[:1] if self.num_markers == 1 else logits.shape
        if logits.ndim != 2 or logits.shape[1] != columns or label.shape != label_shape:
            wanted = "(B,)" if self.num_markers == 1 else f"(B, {columns})"
            raise ValueError(
                f"{self.num_markers} marker(s): expected logits (B, {columns}) and labels {wanted}, "
                f"got {tuple(logits.shape)} and {tuple(label.shape)}"
            )
        with torch.autocast(logits.device.type, enabled=False):
            if self.num_markers == 1:
                known = label >= 0
                values = functional.cross_entropy(logits.float(), label.long().clamp(min=0), reduction="none")
            else:
                known = ~label.isnan()
                target = label.float().nan_to_num(0.0)
                values = functional.binary_cross_entropy_with_logits(logits.float(), target, reduction="none")
            if self.group_mean is None or not torch.is_grad_enabled():
                loss, self.count = global_mean(values, known, self.rank_sum)
            elif group is None:
                raise ValueError("a loss of groups expects the group of every image, but the batch has no groups")
            else:
                loss, self.count = self.group_mean(values, known, group)
        return loss


class ReconstructionLoss(nn.Module):
    r"""Mean squared error against the input image, :math:`L_{rec} = \frac1n \sum (p_i - q_i)^2` (paper, equation 4)."""

    def __init__(self, rank_sum: RankSum = sum_over_ranks) -> None:
        """`rank_sum` sums over processes (see `global_mean`)."""
        super().__init__()
        self.rank_sum = rank_sum

    def forward(self, reconstruction: torch.Tensor, image: torch.Tensor) -> torch.Tensor:
        """Returns the mean loss of the images.

        Args:
            reconstruction: (B, 1, H, W).
            image: (B, 1, H, W), the network's input.

        Returns:
            A scalar.

        Raises:
            ValueError: the shapes differ.
        """
        if reconstruction.shape != image.shape:
            raise ValueError(f"expected the image's shape {tuple(image.shape)}, got {tuple(reconstruction.shape)}")
        with torch.autocast(reconstruction.device.type, enabled=False):
            values = (reconstruction.float() - image.float()).square().flatten(1).mean(dim=1)  # (B,)
            everything = torch.ones_like(values, dtype=torch.bool)
            loss, self.count = global_mean(values, everything, self.rank_sum)
        return loss
