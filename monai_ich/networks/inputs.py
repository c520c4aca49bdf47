# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""What every encoder does to its input: check the shape, repeat grey to the channels of the first layer."""

from __future__ import annotations

from torch import Tensor

from monai_ich.utils.errors import ConfigurationError


def prepare_images(x: Tensor, in_channels: int, stride: int) -> Tensor:
    """Checks a batch of images and repeats its one channel, as public Swin-Unet does.

    Values are passed on as they are, in [0, 1]: they are not brought to ImageNet's mean and deviation, for pretrained
    weights neither. Fine-tuning adapts the first layers, and every encoder is treated alike.

    Args:
        x: (B, 1, H, W), or (B, in_channels, H, W); H and W multiples of `stride`.
        in_channels: channels of the encoder's first layer.
        stride: what the sides must be multiples of, in pixels.

    Returns:
        (B, in_channels, H, W).

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
    return x if x.shape[1] == in_channels else x.expand(-1, in_channels, -1, -1)


def _round_up(side: int, multiple: int) -> int:
    return max(1, -(-side // multiple)) * multiple
