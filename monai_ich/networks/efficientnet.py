# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""MONAI's EfficientNet in 2-D as an encoder that returns a pyramid."""

from __future__ import annotations

from typing import ClassVar

from monai.networks.nets.efficientnet import EfficientNet
from torch import Tensor, nn

from monai_ich.networks.inputs import prepare_images
from monai_ich.networks.layouts import WeightFamily
from monai_ich.networks.layouts.efficientnet_layouts import EFFICIENTNET, TENSORFLOW, TORCHVISION
from monai_ich.utils.errors import ConfigurationError, did_you_mean

# Table 1 of the paper (b0): repeats, kernel, stride, expansion, channels in and out, squeeze ratio.
BLOCKS = (
    "r1_k3_s11_e1_i32_o16_se0.25",
    "r2_k3_s22_e6_i16_o24_se0.25",
    "r2_k5_s22_e6_i24_o40_se0.25",
    "r3_k3_s22_e6_i40_o80_se0.25",
    "r3_k5_s11_e6_i80_o112_se0.25",
    "r4_k5_s22_e6_i112_o192_se0.25",
    "r1_k3_s11_e6_i192_o320_se0.25",
)
NORMS = {TENSORFLOW: {"eps": 1e-3, "momentum": 0.01}, TORCHVISION: {"eps": 1e-5, "momentum": 0.1}}


class EfficientNetPyramid(EfficientNet):
    """EfficientNet (arXiv 1905.11946) up to the last 1 x 1 convolution, which is what the classifier pools.

    Published weights come from two conventions, which give other numbers from the same tensors:

    - `tensorflow`: convolutions of stride 2 pad as TensorFlow does at the network's own image size (300 pixels for
      b3), and normalisation has eps .001. So do MONAI, Hugging Face and lukemelas. timm's `tf_` networks fit the
      padding to the image at hand instead: at sides that are multiples of 32, two layers of b3 see their input one
      pixel further right and down than here.
    - `torchvision`: all pad by half the kernel on every side, eps .00001. So does timm's `efficientnet_b3`.

    Attributes:
        convention: `tensorflow` or `torchvision`.
        in_channels: channels of the first layer; a one-channel image is repeated to it.
        channels: channels of each level of the pyramid.
        stride: the input's sides must be multiples of it.

    >>> import torch
    >>> encoder = EfficientNetPyramid(width=0.5, depth=0.5).eval()
    >>> [tuple(level.shape) for level in encoder(torch.zeros(2, 1, 64, 96))]
    [(2, 8, 32, 48), (2, 16, 16, 24), (2, 24, 8, 12), (2, 56, 4, 6), (2, 640, 2, 3)]
    """

    weight_family: ClassVar[WeightFamily] = EFFICIENTNET

    def __init__(
        self,
        width: float = 1.2,
        depth: float = 1.4,
        image_size: int = 300,
        in_channels: int = 3,
        drop_connect_rate: float = 0.2,
        convention: str = TENSORFLOW,
    ) -> None:
        """
        Args:
            width: times the channels of b0; the defaults are those of b3.
            depth: times the repeats of b0.
            image_size: side in pixels for which the convention `tensorflow` computes its padding.
            in_channels: channels of the first layer.
            drop_connect_rate: stochastic depth of the last block.
            convention: see the class.

        Raises:
            ConfigurationError: the convention is unknown.
        """
        if convention not in NORMS:
            raise ConfigurationError(
                f"The convention of an EfficientNet is one of {list(NORMS)}, but {convention!r} came."
                f"{did_you_mean(str(convention), NORMS)}"
            )
        super().__init__(
            list(BLOCKS),
            spatial_dims=2,
            in_channels=in_channels,
            num_classes=1,
            width_coefficient=width,
            depth_coefficient=depth,
            image_size=image_size,
            norm=("batch", NORMS[convention]),
            drop_connect_rate=drop_connect_rate,
        )
        # The classifier's parts: what is not used must not be trained, nor be waited for by several processes.
        del self._fc, self._dropout, self._avg_pooling
        if convention == TORCHVISION:
            self._pad_symmetrically()
        self.convention = convention
        self.stride = 32
        # Ends of stages: the stacks before a stride, and the last, whose map goes on into the last convolution.
        self._stage_ends = [stack - 1 for stack in self.extract_stacks[:-1]]
        inner = [self._blocks_args[stack].output_filters for stack in self._stage_ends]
        self.channels = (*inner, self._conv_head.out_channels)

    def _pad_symmetrically(self) -> None:
        for module in self.modules():
            for name, child in list(module.named_children()):
                if name.endswith("_padding") and isinstance(child, nn.ConstantPad2d):
                    convolution = getattr(module, name.removesuffix("_padding"))
                    setattr(module, name, nn.ZeroPad2d(convolution.kernel_size[0] // 2))

    def forward(self, x: Tensor) -> list[Tensor]:
        """Encodes a batch of images.

        Args:
            x: (B, 1, H, W), or (B, in_channels, H, W); H and W multiples of `stride`.

        Returns:
            Five maps (B, C_i, H_i, W_i), sides H/2, H/4, H/8, H/16, H/32; the last after the last convolution.

        Raises:
            ConfigurationError: the input's channels or sides do not fit.
        """
        x = prepare_images(x, self.in_channels, self.stride)
        x = self._swish(self._bn0(self._conv_stem(self._conv_stem_padding(x))))
        maps = []
        for index, stack in enumerate(self._blocks):
            x = stack(x)
            if index in self._stage_ends:
                maps.append(x)
        maps.append(self._swish(self._bn1(self._conv_head(self._conv_head_padding(x)))))
        return maps
