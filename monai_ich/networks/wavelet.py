# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Wavelet CNN: a Haar decomposition of the image whose sub-bands join a stack of convolutions at each scale."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from monai.networks.blocks import Convolution
from torch import Tensor, nn
from torch.nn import functional as F

from monai_ich.networks.inputs import prepare_images

SUB_BANDS = 4
# Rows: mean, difference of the columns, of the rows, of both. Scaled so that the mean of a 2 x 2 patch stays a mean: a
# [0, 1] image has a [0, 1] approximation at every level, where the orthonormal filters (twice these) double it.
_HAAR = (
    ((0.25, 0.25), (0.25, 0.25)),
    ((0.25, -0.25), (0.25, -0.25)),
    ((0.25, 0.25), (-0.25, -0.25)),
    ((0.25, -0.25), (-0.25, 0.25)),
)


class HaarDecomposition(nn.Module):
    """Multiresolution analysis of a one-channel image with Haar wavelets, as fixed convolutions of stride 2.

    Level t + 1 decomposes the approximation of level t (arXiv 1805.08620, equation 7). Sub-bands in order: the
    approximation, and the details between columns, between rows and across diagonals. At level t they are the
    orthonormal coefficients (cA, cV, cH, cD) divided by 2**t.

    >>> level = HaarDecomposition(1)(torch.tensor([[[[1.0, 3.0], [5.0, 7.0]]]]))[0]
    >>> level.flatten().tolist()
    [4.0, -1.0, -2.0, 0.0]
    """

    filters: Tensor

    def __init__(self, levels: int = 4) -> None:
        """`levels` is how often the image is halved."""
        super().__init__()
        self.levels = levels
        self.register_buffer("filters", torch.tensor(_HAAR).unsqueeze(1), persistent=False)  # (4, 1, 2, 2)

    def forward(self, x: Tensor) -> list[Tensor]:
        """(B, 1, H, W), H and W multiples of 2**levels, to float32 (B, 4, H/2**t, W/2**t) for t = 1 to `levels`."""
        bands = []
        # Details are small differences of large numbers: half precision would leave little of them.
        with torch.autocast(x.device.type, enabled=False):
            x = x.float()
            for _ in range(self.levels):
                bands.append(F.conv2d(x, self.filters, stride=2))
                x = bands[-1][:, :1]
        return bands


def _conv(in_channels: int, out_channels: int, stride: int = 1) -> Convolution:
    """3 x 3 convolution, batch normalisation, ReLU."""
    return Convolution(2, in_channels, out_channels, stride, 3, adn_ordering="NA", act="relu", norm="batch", bias=False)


def _projection(in_channels: int, out_channels: int, stride: int = 1) -> Convolution:
    """Projection shortcut of ResNet: 1 x 1 convolution and batch normalisation."""
    return Convolution(2, in_channels, out_channels, stride, 1, adn_ordering="N", norm="batch", bias=False)


class WaveletPyramid(nn.Module):
    """Wavelet CNN with 4-level decomposition (Fujieda et al., arXiv 1805.08620, figure 1) up to its average pooling.

    Stage t convolves twice, the second time with stride 2. What it puts out is concatenated with a projection
    shortcut of its input, with the sub-bands of level t + 1 after t convolutions, and with a projection shortcut of
    those sub-bands. From the figure: sub-bands are signed; the paper's released Caffe layers (of its earlier version,
    arXiv 1707.07394) take absolute differences, which is no convolution.

    There are no published weights to start from.

    Attributes:
        in_channels: 1, the channels that are decomposed.
        channels: channels of each level of the pyramid.
        stride: the input's sides must be multiples of it.

    >>> encoder = WaveletPyramid(widths=(4, 8, 16, 32))
    >>> [tuple(level.shape) for level in encoder(torch.zeros(2, 1, 64, 96))]
    [(2, 16, 16, 24), (2, 32, 8, 12), (2, 64, 4, 6), (2, 64, 2, 3)]
    """

    def __init__(self, widths: Sequence[int] = (64, 128, 256, 512)) -> None:
        """`widths` are the channels of each stage's convolutions; there are as many levels of decomposition."""
        super().__init__()
        self.in_channels = 1
        self.stride = 2 ** (len(widths) + 1)
        self.decomposition = HaarDecomposition(len(widths))
        self.stages, self.shortcuts = nn.ModuleList(), nn.ModuleList()
        self.branches, self.branch_shortcuts = nn.ModuleList(), nn.ModuleList()
        channels = [SUB_BANDS]
        for stage, width in enumerate(widths):
            incoming = channels[-1]
            self.stages.append(nn.Sequential(_conv(incoming, width), _conv(width, width, stride=2)))
            self.shortcuts.append(_projection(incoming, width, stride=2))
            if stage + 1 < len(widths):
                steps = [SUB_BANDS, *widths[: stage + 1]]
                self.branches.append(nn.Sequential(*(_conv(before, after) for before, after in pairwise(steps))))
                self.branch_shortcuts.append(_projection(SUB_BANDS, width))
                channels.append(4 * width)
            else:
                channels.append(2 * width)
        self.channels = tuple(channels[1:])
        self.apply(_init_for_relu)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Encodes a batch of images.

        Args:
            x: (B, 1, H, W); H and W multiples of `stride`.

        Returns:
            One map (B, C_i, H_i, W_i) a stage, sides H/4, H/8, H/16, H/32.

        Raises:
            ConfigurationError: the input's channels or sides do not fit.
        """
        first, *others = self.decomposition(prepare_images(x, self.in_channels, self.stride))
        maps = [first]
        for stage, (convolutions, shortcut) in enumerate(zip(self.stages, self.shortcuts, strict=True)):
            parts = [convolutions(maps[-1]), shortcut(maps[-1])]
            if stage < len(others):
                parts += [self.branches[stage](others[stage]), self.branch_shortcuts[stage](others[stage])]
            maps.append(torch.cat(parts, dim=1))
        return maps[1:]


def _init_for_relu(module: nn.Module) -> None:
    """The paper's initialisation, section 4.1: He et al., arXiv 1502.01852."""
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
