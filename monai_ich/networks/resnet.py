# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""MONAI's ResNet in 2-D as an encoder that returns a pyramid."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from monai.networks.nets import ResNet
from torch import Tensor

from monai_ich.networks.inputs import prepare_images
from monai_ich.networks.layouts import WeightFamily
from monai_ich.networks.layouts.resnet_layouts import RESNET

EXPANSION = {"basic": 1, "bottleneck": 4}  # channels that a block puts out, per plane


class ResNetPyramid(ResNet):
    """ResNet (arXiv 1512.03385), built as torchvision's: same keys and numbers.

    As there, the 3 x 3 convolution of a bottleneck takes the stride, and shortcuts have no bias. MONAI's own
    `ResNetFeatures` knows the named depths only, and ResNet34 without convolutions in its shortcuts.

    Attributes:
        in_channels: channels of the first layer; a one-channel image is repeated to it.
        channels: channels of each level of the pyramid.
        stride: the input's sides must be multiples of it.

    >>> import torch
    >>> encoder = ResNetPyramid("basic", layers=(1, 1, 1, 1), planes=(8, 16, 32, 64))
    >>> [tuple(level.shape) for level in encoder(torch.zeros(2, 1, 64, 96))]
    [(2, 8, 16, 24), (2, 16, 8, 12), (2, 32, 4, 6), (2, 64, 2, 3)]
    """

    weight_family: ClassVar[WeightFamily] = RESNET

    def __init__(
        self,
        block: str = "bottleneck",
        layers: Sequence[int] = (3, 8, 36, 3),
        planes: Sequence[int] = (64, 128, 256, 512),
        in_channels: int = 3,
        stem_level: bool = False,
    ) -> None:
        """
        Args:
            block: `basic` or `bottleneck`.
            layers: blocks of each of the four stages.
            planes: channels inside the blocks of each stage; a bottleneck puts out four times as many.
            in_channels: channels of the first layer.
            stem_level: put the stem's map before pooling at the pyramid's head, as a decoder needs it.
        """
        super().__init__(
            block,
            list(layers),
            list(planes),
            spatial_dims=2,
            n_input_channels=in_channels,
            conv1_t_stride=2,
            feed_forward=False,
            bias_downsample=False,
        )
        self.in_channels = in_channels
        self.stem_level = stem_level
        self.channels = (*planes[: int(stem_level)], *(plane * EXPANSION[block] for plane in planes))
        self.stride = 32

    def forward(self, x: Tensor) -> list[Tensor]:  # type: ignore[override]
        """Encodes a batch of images.

        Args:
            x: (B, 1, H, W), or (B, in_channels, H, W); H and W multiples of `stride`.

        Returns:
            What each of the four stages puts out, (B, C_i, H_i, W_i), sides H/4, H/8, H/16, H/32; before them the
            stem's map of sides H/2, with `stem_level`.

        Raises:
            ConfigurationError: the input's channels or sides do not fit.
        """
        x = prepare_images(x, self.in_channels, self.stride)
        x = self.act(self.bn1(self.conv1(x)))  # (B, planes[0], H/2, W/2)
        maps = [x] if self.stem_level else []
        x = self.maxpool(x)
        for stage in (self.layer1, self.layer2, self.layer3, self.layer4):
            x = stage(x)
            maps.append(x)
        return maps
