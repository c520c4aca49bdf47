# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""What every encoder does to its input: check the shape, repeat grey to the first layer's channels, standardise."""

from __future__ import annotations

from torch import Tensor

from monai_ich.utils.errors import ConfigurationError

# Mean and deviation of ImageNet's grey values in [0, 1] (averages of the three colours'), as pretrained weights expect.
# Under the brain window of 40/80 HU the mean is 36 HU, grey matter, so networks from random weights are served as well.
GREY_MEAN, GREY_DEVIATION = 0.449, 0.226


def prepare_images(x: Tensor, in_channels: int, stride: int) -> Tensor:
    """Checks a batch of images, repeats its one channel, as public Swin-Unet does, and standardises the values.

    From values in [0, 1] a Swin learns slowly: its patch embedding ends in a LayerNorm, which leaves little difference
    between patches that are all of one sign (docs/phantom_results.md).

    Args:
        x: (B, 1, H, W), or (B, in_channels, H, W), in [0, 1]; H and W multiples of `stride`.
        in_channels: channels of the encoder's first layer.
        stride: what the sides must be multiples of, in pixels.

    Returns:
        (B, in_channels, H, W), less `GREY_MEAN`, by `GREY_DEVIATION`.

    Raises:
        ConfigurationError: the channels or sides do not fit.
    """
    if x.ndim != 4 or x.shape[1] not in (1, in_channels):
        expected = "(B, 1, H, W)" if in_channels == 1 else f"(B, 1, H, W) or (B, {in_channels}, H, W)"
        raise ConfigurationError(
            f"The encoder expects images of shape {expected}, but {tuple(x.shape)} came: "
            "add a channel axis to the image, or set `in_channels` of the network."
        )
    height, width = x.shape[2:]
    if height % stride or width % stride or not height or not width:
        raise ConfigurationError(
            f"The encoder expects image sides that are multiples of {stride} pixels, but {height} x {width} "
            f"came: resize or pad, for example to {_round_up(height, stride)} x {_round_up(width, stride)}."
        )
    x = (x - GREY_MEAN) / GREY_DEVIATION
    return x if x.shape[1] == in_channels else x.expand(-1, in_channels, -1, -1)


def _round_up(side: int, multiple: int) -> int:
    return max(1, -(-side // multiple)) * multiple
