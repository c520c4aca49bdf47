# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""A Swin encoder made of MONAI's 2-D blocks; it returns the pyramid that heads and decoders are built on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

import torch
from monai.networks.blocks import PatchEmbed
from monai.networks.nets.swin_unetr import PatchMergingV2, SwinTransformerBlock
from torch import Tensor, nn
from torch.nn import functional as F

from monai_ich.networks.attention import FusedWindowAttention, fitted_window, shift_mask
from monai_ich.networks.inputs import prepare_images
from monai_ich.networks.layouts import WeightFamily
from monai_ich.networks.layouts.swin_layouts import SWIN
from monai_ich.utils.errors import ConfigurationError, did_you_mean

# Which map of a stage goes into the pyramid: what it takes in (as the public Swin-Unet's skips) or what it puts out.
SKIPS = ("outputs", "inputs")


class ShiftedWindowBlock(SwinTransformerBlock):
    """MONAI's `SwinTransformerBlock` in 2-D with `FusedWindowAttention`; the same keys and numbers.

    Maps that are no multiple of the window are padded with zeros at the right and bottom, after the first norm, and
    the padding is attended to: as in the official detector, in Hugging Face's Swin and in MONAI.
    """

    attn: FusedWindowAttention

    def __init__(self, dim: int, num_heads: int, window_size: int, shift_size: int, drop_path: float = 0.0) -> None:
        """
        Args:
            dim: channels.
            num_heads: attention heads.
            window_size: side of a window, in tokens.
            shift_size: cyclic shift of the windows, in tokens; 0 for none.
            drop_path: stochastic depth, the probability that a sample skips this block.
        """
        window = (window_size, window_size)
        super().__init__(dim, num_heads, window, (shift_size, shift_size), qkv_bias=True, drop_path=drop_path)
        self.attn = FusedWindowAttention(dim, num_heads, window, qkv_bias=True)

    def forward(self, x: Tensor, mask_matrix: Tensor | None = None) -> Tensor:
        """(B, H, W, C) to the same shape; `mask_matrix` is MONAI's argument and is not read."""
        return super().forward(x, mask_matrix)

    def forward_part1(self, x: Tensor, mask_matrix: Tensor | None = None) -> Tensor:
        height, width = int(x.shape[1]), int(x.shape[2])
        window, shift = fitted_window(height, width, self.window_size[0], self.shift_size[0])
        x = self.norm1(x)
        pad_bottom, pad_right = -height % window, -width % window
        if pad_bottom or pad_right:
            x = F.pad(x, (0, 0, 0, pad_right, 0, pad_bottom))
        if shift:
            mask = shift_mask(height + pad_bottom, width + pad_right, window, shift, x.device)
            x = torch.roll(x, shifts=(-shift, -shift), dims=(1, 2))
            x = self.attn.forward_map(x, window, mask)
            x = torch.roll(x, shifts=(shift, shift), dims=(1, 2))
        else:
            x = self.attn.forward_map(x, window)
        return x[:, :height, :width]


class SwinStage(nn.Module):
    """Blocks with plain and shifted windows by turns, and patch merging after them; keys of MONAI's `BasicLayer`.

    Channels stay last from end to end: MONAI's layer turns its input and output round, and rebuilds the mask.
    """

    def __init__(
        self, dim: int, num_heads: int, window_size: int, drop_path: Sequence[float], merge: bool = False
    ) -> None:
        """
        Args:
            dim: channels.
            num_heads: attention heads.
            window_size: side of a window, in tokens.
            drop_path: stochastic depth of each block; its length is the stage's depth.
            merge: end in patch merging, which halves the sides and doubles the channels.
        """
        super().__init__()
        self.blocks = nn.ModuleList(
            ShiftedWindowBlock(dim, num_heads, window_size, (index % 2) * (window_size // 2), rate)
            for index, rate in enumerate(drop_path)
        )
        self.downsample = PatchMergingV2(dim, spatial_dims=2) if merge else None

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Runs the blocks.

        Args:
            x: (B, H, W, C).

        Returns:
            The stage's output (B, H, W, C), and the next stage's input: (B, H/2, W/2, 2C), or the same tensor.
        """
        for block in self.blocks:
            x = block(x)
        return x, x if self.downsample is None else self.downsample(x)


def drop_path_rates(rate: float, depths: Sequence[int]) -> list[list[float]]:
    """Stochastic depth of each block of each stage: it grows linearly from 0 to `rate` through the encoder.

    >>> drop_path_rates(0.3, (2, 2))
    [[0.0, 0.1], [0.2, 0.3]]
    """
    blocks = sum(depths)
    rates = [round(rate * index / max(blocks - 1, 1), 6) for index in range(blocks)]
    starts = [sum(depths[:stage]) for stage in range(len(depths))]
    return [rates[start : start + depth] for start, depth in zip(starts, depths, strict=True)]


class SwinEncoder(nn.Module):
    """Swin Transformer (arXiv 2103.14030) that returns a pyramid of feature maps.

    For `torch.compile` use `dynamic=False`: windows and padding depend on the sides, which must be plain numbers.

    Attributes:
        in_channels: channels of the patch embedding; a one-channel image is repeated to it.
        channels: channels of each level of the pyramid.
        stride: the input's sides must be multiples of it (32 for four stages and patches of 4).

    >>> encoder = SwinEncoder(in_channels=1, embed_dim=12, depths=(1, 1, 1, 1), num_heads=(1, 1, 2, 2), window_size=4)
    >>> [tuple(level.shape) for level in encoder(torch.zeros(2, 1, 64, 96))]
    [(2, 12, 16, 24), (2, 24, 8, 12), (2, 48, 4, 6), (2, 96, 2, 3)]
    """

    weight_family: ClassVar[WeightFamily] = SWIN

    def __init__(
        self,
        in_channels: int = 3,
        embed_dim: int = 96,
        depths: Sequence[int] = (2, 2, 2, 2),
        num_heads: Sequence[int] = (3, 6, 12, 24),
        window_size: int = 7,
        patch_size: int = 4,
        drop_path_rate: float = 0.2,
        init_std: float | None = 0.02,
        skips: str = "outputs",
    ) -> None:
        """
        Args:
            in_channels: channels of the patch embedding.
            embed_dim: channels of the first stage; each further stage doubles them.
            depths: blocks of each stage.
            num_heads: attention heads of each stage.
            window_size: side of an attention window, in tokens.
            patch_size: side of a patch, in pixels.
            drop_path_rate: stochastic depth of the last block.
            init_std: see `init_swin_weights`.
            skips: what the pyramid holds of every stage but the last, whose output it always holds. `outputs`: the
                maps before patch merging. `inputs`: the maps that the stages take in, so that the first level is the
                bare patch embedding. The public Swin-Unet has `inputs`. Both have the same sides and channels.

        Raises:
            ConfigurationError: `skips` is neither.
        """
        super().__init__()
        if skips not in SKIPS:
            raise ConfigurationError(f"skips is one of {list(SKIPS)}, got {skips!r}.{did_you_mean(str(skips), SKIPS)}")
        self.skips = skips
        self.in_channels = in_channels
        self.depths, self.num_heads, self.window_size = tuple(depths), tuple(num_heads), window_size
        self.patch_size, self.drop_path_rate, self.init_std = patch_size, drop_path_rate, init_std
        self.channels = tuple(embed_dim * 2**stage for stage in range(len(depths)))
        self.stride = patch_size * 2 ** (len(depths) - 1)
        self.patch_embed = PatchEmbed(patch_size, in_channels, embed_dim, nn.LayerNorm, spatial_dims=2)
        self.layers = nn.ModuleList(
            SwinStage(dim, heads, window_size, rates, merge=dim != self.channels[-1])
            for dim, heads, rates in zip(self.channels, num_heads, drop_path_rates(drop_path_rate, depths), strict=True)
        )
        self.norm = nn.LayerNorm(self.channels[-1])
        init_swin_weights(self, init_std)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Encodes a batch of images.

        Args:
            x: (B, 1, H, W), or (B, in_channels, H, W); H and W multiples of `stride`.

        Returns:
            One map (B, C_i, H_i, W_i) a stage, the first stage first: what the stage puts out before patch merging, or
            what it takes in (see `skips`). The last one is the last stage's output after the final LayerNorm. Sides are
            H/4, H/8, H/16, H/32.

        Raises:
            ConfigurationError: the input's channels or sides do not fit.
        """
        x = prepare_images(x, self.in_channels, self.stride)
        following = self.patch_embed(x).permute(0, 2, 3, 1)  # (B, H/4, W/4, C)
        maps = []
        for stage in self.layers:
            taken, (out, following) = following, stage(following)
            maps.append(taken if self.skips == "inputs" else out)
        maps[-1] = self.norm(out)
        return [level.permute(0, 3, 1, 2) for level in maps]


def init_swin_weights(network: nn.Module, std: float | None = 0.02) -> None:
    """Initialises linear layers and norms, in place: truncated normal weights, biases of zero, norms to identity.

    Convolutions keep PyTorch's default, and bias tables the truncated normal that MONAI gives them.

    Args:
        network: its modules are initialised, itself included.
        std: deviation of the weights. The official Swin's .02 keeps the variance through layers of some thousand
            inputs; a network of few channels begins with it as little more than its patch embedding. None takes
            1 / sqrt(inputs) of each layer (LeCun et al., Efficient BackProp, 1998), for training from random weights.
    """
    for module in network.modules():
        if isinstance(module, nn.Linear):
            nn.init.trunc_normal_(module.weight, std=1 / math.sqrt(module.in_features) if std is None else std)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.LayerNorm):
            nn.init.ones_(module.weight)
            nn.init.zeros_(module.bias)
