# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Heads on an encoder's pyramid: a Swin-Unet decoder for dense tasks, a linear layer for classes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, distributed, nn

from monai_ich.networks.swin import SwinStage, drop_path_rates, init_swin_weights
from monai_ich.utils.errors import ConfigurationError


class PatchExpanding(nn.Module):
    """Patch expanding of Swin-Unet (arXiv 2105.05537, section 3.5): a linear layer that makes the pixels of a patch.

    Twice the sides with half the channels is `PatchExpanding(dim, dim // 2, 2)`, and the last expansion to full
    resolution `PatchExpanding(dim, dim, 4)`.
    """

    def __init__(self, dim: int, out_dim: int, factor: int) -> None:
        """
        Args:
            dim: channels of the input.
            out_dim: channels of the output.
            factor: how many times longer the sides become.
        """
        super().__init__()
        self.factor = factor
        self.expand = nn.Linear(dim, factor * factor * out_dim, bias=False)
        self.norm = nn.LayerNorm(out_dim)

    def forward(self, x: Tensor) -> Tensor:
        """(B, h, w, C) to (B, h, w, factor**2, out_dim): the new pixels, row-major, still grouped by patch."""
        pixels = self.expand(x).unflatten(-1, (self.factor * self.factor, -1))
        return self.norm(pixels)


def ungroup(pixels: Tensor, factor: int) -> Tensor:
    """Puts pixels grouped by patch in their places: (B, h, w, factor**2, C) to (B, h * factor, w * factor, C).

    >>> ungroup(torch.arange(8).view(1, 1, 2, 4, 1), 2)[0, :, :, 0]
    tensor([[0, 1, 4, 5],
            [2, 3, 6, 7]])
    """
    height, width, channels = pixels.shape[1], pixels.shape[2], pixels.shape[-1]
    pixels = pixels.unflatten(3, (factor, factor)).transpose(2, 3)  # (B, h, factor, w, factor, C)
    return pixels.reshape(-1, height * factor, width * factor, channels)


class SwinDecoder(nn.Module):
    """Decoder of Swin-Unet (arXiv 2105.05537): from an encoder's pyramid to a map of the input's size.

    Each level: patch expanding, the encoder's map of that resolution beside it, a linear layer from the doubled
    channels back, Swin blocks. The encoder's last stage is mirrored by the bare expansion. `stages[i]` mirrors
    encoder stage i, so their block keys agree and an encoder's weights can be copied.

    With an encoder whose `skips` are `inputs`, the whole network computes the numbers of the public Swin-Unet.

    >>> decoder = SwinDecoder(2, embed_dim=12, depths=(1, 1), num_heads=(1, 1), window_size=4)
    >>> tuple(decoder([torch.zeros(3, 12, 8, 8), torch.zeros(3, 24, 4, 4)]).shape)
    (3, 2, 32, 32)
    """

    def __init__(
        self,
        out_channels: int,
        embed_dim: int = 96,
        depths: Sequence[int] = (2, 2, 2, 2),
        num_heads: Sequence[int] = (3, 6, 12, 24),
        window_size: int = 7,
        patch_size: int = 4,
        drop_path_rate: float = 0.2,
        init_std: float | None = 0.02,
    ) -> None:
        """
        Args:
            out_channels: channels of the map, e.g. classes of a segmentation.
            embed_dim: that of the encoder.
            depths: those of the encoder.
            num_heads: those of the encoder.
            window_size: that of the encoder.
            patch_size: that of the encoder.
            drop_path_rate: that of the encoder.
            init_std: that of the encoder. None also initialises the last projection so; else it has a convolution's
                initialisation, uniform within 1 / sqrt(embed_dim).
        """
        super().__init__()
        rates = drop_path_rates(drop_path_rate, depths)
        dims = [embed_dim * 2**level for level in range(len(depths) - 1)]
        self.expansions = nn.ModuleList(PatchExpanding(2 * dim, dim, 2) for dim in dims)
        self.reductions = nn.ModuleList(nn.Linear(2 * dim, dim) for dim in dims)
        self.stages = nn.ModuleList(
            SwinStage(dim, num_heads[level], window_size, rates[level]) for level, dim in enumerate(dims)
        )
        self.norm = nn.LayerNorm(embed_dim)
        self.last_expansion = PatchExpanding(embed_dim, embed_dim, patch_size)
        self.projection = nn.Linear(embed_dim, out_channels, bias=False)
        init_swin_weights(self, init_std)
        if init_std is not None:  # the public Swin-Unet's is a 1 x 1 convolution, which keeps PyTorch's initialisation
            nn.init.kaiming_uniform_(self.projection.weight, a=math.sqrt(5))

    def forward(self, pyramid: Sequence[Tensor]) -> Tensor:
        """Decodes a pyramid.

        Args:
            pyramid: one map (B, C_i, H_i, W_i) a stage, the first stage first.

        Returns:
            (B, out_channels, H, W), H = patch_size * H_1; not activated.
        """
        *skips, x = (level.permute(0, 2, 3, 1) for level in pyramid)
        for level in reversed(range(len(skips))):
            x = ungroup(self.expansions[level](x), 2)
            x = self.reductions[level](torch.cat([x, skips[level]], dim=-1))
            x, _ = self.stages[level](x)
        # Norm and projection see one pixel at a time: done before the pixels move, only the few output channels do.
        pixels = self.projection(self.last_expansion(self.norm(x)))  # (B, h, w, patch_size**2, out_channels)
        return ungroup(pixels, self.last_expansion.factor).permute(0, 3, 1, 2).contiguous()


class ClassificationHead(nn.Module):
    """Global average pooling of a pyramid's last level, then one linear layer (the paper, section 3.1.1).

    >>> tuple(ClassificationHead(8, 2)([torch.zeros(3, 4, 6, 6), torch.zeros(3, 8, 3, 3)]).shape)
    (3, 2)
    """

    def __init__(self, in_channels: int, num_outputs: int, standardise: bool = False) -> None:
        """
        Args:
            in_channels: channels of the pyramid's last level.
            num_outputs: logits; 2 for one marker (cross entropy), else the number of markers.
            standardise: bring each pooled channel to mean 0 and variance 1 over the batch first; after training it is
                a part of the linear layer. The paper's head, whose encoder comes from ImageNet, has none. From random
                weights the pooled channels of different images are nearly alike, and a linear layer does not learn
                in minutes what separates them (docs/phantom_results.md).
        """
        super().__init__()
        self.norm = GlobalBatchNorm(in_channels, affine=False) if standardise else nn.Identity()
        self.linear = nn.Linear(in_channels, num_outputs)
        init_swin_weights(self.linear)

    def forward(self, pyramid: Sequence[Tensor]) -> Tensor:
        """Maps (B, C_i, H_i, W_i), the first stage first, to logits (B, num_outputs)."""
        # Images differ by less than bfloat16 resolves around the mean that their pooled channels have in common.
        return self.linear(self.norm(pyramid[-1].mean(dim=(2, 3), dtype=torch.float32)))


class _GatherBatch(torch.autograd.Function):
    """Every process's (B, C) as one (ranks * B, C); the gradient of a process's part is the sum over all processes."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        parts = [torch.empty_like(x) for _ in range(distributed.get_world_size())]
        distributed.all_gather(parts, x.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        total = gradients[0].contiguous()
        distributed.all_reduce(total)
        return total.chunk(distributed.get_world_size())[distributed.get_rank()]


class GlobalBatchNorm(nn.BatchNorm1d):
    """Batch normalisation of (B, C) over the batch of all processes, on CPUs too, where SyncBatchNorm does not run."""

    def forward(self, x: Tensor) -> Tensor:
        """Returns this process's part of the normalised global batch.

        Raises:
            ConfigurationError: in training, when the global batch holds a single image.
        """
        several = distributed.is_initialized() and distributed.get_world_size() > 1
        if self.training and len(x) == 1 and not several:
            raise ConfigurationError(
                "The classifier standardises its input over the batch and expects two images or more, but one came: "
                "raise --batch_size, or set --network_def::standardise_pooled False."
            )
        with torch.autocast(x.device.type, enabled=False):
            x = x.float()
            if not (self.training and several):
                return super().forward(x)
            return super().forward(_GatherBatch.apply(x)).chunk(distributed.get_world_size())[distributed.get_rank()]
