# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""What the names of sizes stand for, a table for each kind of network: `demo`, `default` (the paper's), and Swin's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TypeVar

from monai_ich.networks.layouts.efficientnet_layouts import TENSORFLOW, TORCHVISION
from monai_ich.utils.errors import ConfigurationError, did_you_mean

Size = TypeVar("Size")


@dataclass(frozen=True)
class SwinSize:
    """What a named size stands for; see `SwinEncoder` for the fields."""

    embed_dim: int = 96
    depths: tuple[int, ...] = (2, 2, 2, 2)
    num_heads: tuple[int, ...] = (3, 6, 12, 24)
    window_size: int = 7
    in_channels: int = 3
    drop_path_rate: float = 0.2
    init_std: float | None = 0.02
    standardise_pooled: bool = False


# The paper, section 4.2: "unless stated, stage 3 has 2 blocks and C = 96". `demo` is not the paper's, in any of these
# tables: it trains on a CPU in minutes. Its window of 4 divides the maps of a 128 x 128 image (32, 16, 8, 4) without
# padding. It begins from random weights, the paper's from ImageNet's: hence an initialisation of its own.
_SWIN_DEMO = SwinSize(
    embed_dim=32,
    num_heads=(2, 4, 8, 16),
    window_size=4,
    in_channels=1,
    drop_path_rate=0.0,
    init_std=None,
    standardise_pooled=True,
)
SWIN_SIZES: Mapping[str, SwinSize] = MappingProxyType(
    {
        "demo": _SWIN_DEMO,
        "demo-tiny": replace(_SWIN_DEMO, depths=(2, 2, 6, 2)),
        "default": SwinSize(),
        "tiny": SwinSize(depths=(2, 2, 6, 2)),
        "base": SwinSize(embed_dim=128, depths=(2, 2, 18, 2), num_heads=(4, 8, 16, 32)),
    }
)


@dataclass(frozen=True)
class ResNetSize:
    """What a named size stands for; see `ResNetPyramid` for the fields. The defaults are ResNet152."""

    block: str = "bottleneck"
    layers: tuple[int, ...] = (3, 8, 36, 3)
    planes: tuple[int, ...] = (64, 128, 256, 512)
    in_channels: int = 3
    standardise_pooled: bool = False


RESNET_SIZES: Mapping[str, ResNetSize] = MappingProxyType(
    {
        "demo": ResNetSize("basic", (1, 1, 1, 1), (32, 64, 128, 256), in_channels=1, standardise_pooled=True),
        "default": ResNetSize(),
    }
)

# Channels of each level; the default's are those of U-Net's paper (arXiv 1505.04597, figure 1).
UNET_SIZES: Mapping[str, tuple[int, ...]] = MappingProxyType(
    {"demo": (16, 32, 64, 96, 128), "default": (64, 128, 256, 512, 1024)}
)


# The ResNets that may take the place of U-Net's encoder, for each its sizes. `demo` has the name's kind of block only.
UNET_RESNETS: Mapping[str, Mapping[str, ResNetSize]] = MappingProxyType(
    {
        "resnet34": {"demo": RESNET_SIZES["demo"], "default": ResNetSize("basic", (3, 4, 6, 3))},
        "resnet50": {
            "demo": ResNetSize("bottleneck", (1, 1, 1, 1), (16, 32, 48, 64), in_channels=1),
            "default": ResNetSize("bottleneck", (3, 4, 6, 3)),
        },
    }
)
# Channels of the levels of their decoder, the coarsest first; the default's are those of MONAI's FlexibleUNet.
UNET_DECODER_SIZES: Mapping[str, tuple[int, ...]] = MappingProxyType(
    {"demo": (128, 64, 32, 16, 16), "default": (256, 128, 64, 32, 16)}
)


@dataclass(frozen=True)
class EfficientNetSize:
    """What a named size stands for; see `EfficientNetPyramid` for the fields. The defaults are b3."""

    width: float = 1.2
    depth: float = 1.4
    image_size: int = 300
    in_channels: int = 3
    drop_connect_rate: float = 0.2
    convention: str = TENSORFLOW


# From random weights, in few steps, running statistics must follow faster than in the TensorFlow convention.
EFFICIENTNET_SIZES: Mapping[str, EfficientNetSize] = MappingProxyType(
    {
        "demo": EfficientNetSize(0.5, 0.5, 128, in_channels=1, drop_connect_rate=0.0, convention=TORCHVISION),
        "default": EfficientNetSize(),
    }
)

# Channels of each stage; the default's are those of figure 1 of arXiv 1805.08620.
WAVELET_SIZES: Mapping[str, tuple[int, ...]] = MappingProxyType(
    {"demo": (16, 32, 64, 128), "default": (64, 128, 256, 512)}
)


def look_up_size(size: str, sizes: Mapping[str, Size]) -> Size:
    """Returns what the name stands for.

    Raises:
        ConfigurationError: the name is unknown.
    """
    if size not in sizes:
        raise ConfigurationError(
            f"The network's size is one of {list(sizes)}, but {size!r} came.{did_you_mean(str(size), sizes)}"
        )
    return sizes[size]
