# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""MONAI's BasicUNet in 2-D, cut where the skips are: an encoder that returns a pyramid, a decoder that reads it.

Of MONAI's two U-Nets this is the published one (arXiv 1505.04597: two convolutions a level, max pooling, transposed
convolutions), and its parts can be used one by one. `UNet` nests each level inside the one above, with the skip within,
so its encoder cannot be run, frozen or saved alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from monai.networks.nets.basic_unet import Down, TwoConv, UpCat
from torch import Tensor, nn

from monai_ich.networks.inputs import prepare_images

# Batch normalisation instead of BasicUNet's instance normalisation, which takes from every slice the very brightness
# that tells a slice with blood from one without; the frozen encoder's pooled maps are to hold that for the classifier.
_ACT = ("relu", {"inplace": True})
_NORM = "batch"


class UNetPyramid(nn.Module):
    """The contracting path of U-Net.

    Attributes:
        in_channels: channels of the first layer; a one-channel image is repeated to it.
        channels: channels of each level of the pyramid.
        stride: the input's sides must be multiples of it.

    >>> import torch
    >>> encoder = UNetPyramid(channels=(4, 8, 16))
    >>> [tuple(level.shape) for level in encoder(torch.zeros(2, 1, 32, 64))]
    [(2, 4, 32, 64), (2, 8, 16, 32), (2, 16, 8, 16)]
    """

    def __init__(self, channels: Sequence[int] = (64, 128, 256, 512, 1024), in_channels: int = 1) -> None:
        """
        Args:
            channels: channels of each level.
            in_channels: channels of the first layer.
        """
        super().__init__()
        self.in_channels = in_channels
        self.channels = tuple(channels)
        self.stride = 2 ** (len(channels) - 1)
        self.first = TwoConv(2, in_channels, self.channels[0], _ACT, _NORM, bias=False)
        self.downs = nn.ModuleList(
            Down(2, upper, lower, _ACT, _NORM, bias=False) for upper, lower in pairwise(self.channels)
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        """Encodes a batch of images.

        Args:
            x: (B, 1, H, W), or (B, in_channels, H, W); H and W multiples of `stride`.

        Returns:
            One map (B, C_i, H_i, W_i) a level, sides H, H/2, H/4, ...

        Raises:
            ConfigurationError: the input's channels or sides do not fit.
        """
        maps = [self.first(prepare_images(x, self.in_channels, self.stride))]
        for down in self.downs:
            maps.append(down(maps[-1]))
        return maps


class PyramidUNetDecoder(nn.Module):
    """The expanding path of U-Net, from a pyramid to a map of the input's size.

    >>> import torch
    >>> decoder = PyramidUNetDecoder(2, channels=(4, 8, 16))
    >>> tuple(decoder([torch.zeros(3, 4, 32, 32), torch.zeros(3, 8, 16, 16), torch.zeros(3, 16, 8, 8)]).shape)
    (3, 2, 32, 32)
    """

    def __init__(self, out_channels: int, channels: Sequence[int] = (64, 128, 256, 512, 1024)) -> None:
        """
        Args:
            out_channels: channels of the map, e.g. classes of a segmentation.
            channels: those of the encoder.
        """
        super().__init__()
        # From the top level, where BasicUNet does not halve the channels. is_pad is for odd sides, which do not occur.
        self.ups = nn.ModuleList(
            UpCat(2, lower, upper, upper, _ACT, _NORM, bias=False, halves=level > 0, is_pad=False)
            for level, (upper, lower) in enumerate(pairwise(channels))
        )
        self.projection = nn.Conv2d(channels[0], out_channels, kernel_size=1)

    def forward(self, pyramid: Sequence[Tensor]) -> Tensor:
        """Decodes a pyramid: one map (B, C_i, H_i, W_i) a level, the first the input's size, to (B, out, H, W)."""
        *skips, x = pyramid
        for up, skip in zip(reversed(self.ups), reversed(skips), strict=True):
            x = up(x, skip)
        return self.projection(x)
