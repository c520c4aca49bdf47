# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""The rows ResNet152 and U-Net, and the encoder of Joint-Learning, by the names of their sizes."""

from __future__ import annotations

import logging
from dataclasses import asdict
from pathlib import Path

from monai_ich.networks.builders import SEG_CLASSES, check_num_markers, classification_head
from monai_ich.networks.efficientnet import EfficientNetPyramid
from monai_ich.networks.multitask_net import MultiTaskNet
from monai_ich.networks.pretrained import load_pretrained_encoder
from monai_ich.networks.resnet import ResNetPyramid
from monai_ich.networks.sizes import EFFICIENTNET_SIZES, RESNET_SIZES, UNET_SIZES, look_up_size
from monai_ich.networks.unet import PyramidUNetDecoder, UNetPyramid
from monai_ich.utils.errors import ConfigurationError, FaultList
from monai_ich.utils.keys import Task

logger = logging.getLogger(__name__)


def resnet_encoder(size: str = "default") -> ResNetPyramid:
    """Builds a ResNet encoder of a named size: `default` is ResNet152.

    Raises:
        ConfigurationError: the size is unknown.
    """
    spec = look_up_size(size, RESNET_SIZES)
    return ResNetPyramid(spec.block, spec.layers, spec.planes, spec.in_channels)


def efficientnet_encoder(size: str = "default", convention: str | None = None) -> EfficientNetPyramid:
    """Builds an EfficientNet encoder of a named size: `default` is b3; a convention of None is the size's.

    Raises:
        ConfigurationError: the size or the convention is unknown.
    """
    spec = asdict(look_up_size(size, EFFICIENTNET_SIZES))
    if convention is not None:
        spec["convention"] = convention
    return EfficientNetPyramid(**spec)


def resnet_classifier(
    size: str = "default",
    num_markers: int = 1,
    pretrained: str | Path | None = None,
    standardise_pooled: bool | None = None,
) -> MultiTaskNet:
    """Builds the row ResNet152 (the paper's [15], arXiv 1512.03385): classification only.

    Args:
        size: `demo` or `default`.
        num_markers: 1 gives two logits (cross entropy), more give one logit a marker.
        pretrained: a weights file or name for the encoder, see `load_pretrained_encoder`; None or empty for none.
        standardise_pooled: see `ClassificationHead`; None keeps what the size says.

    Returns:
        A network from (B, 1, H, W), H and W multiples of 32, to {"cls": (B, K)}.

    Raises:
        ConfigurationError: the size is unknown, or `num_markers` is no positive number.
        PretrainedWeightsError: the weights cannot be had, or fit less than expected.
    """
    faults = FaultList("The network cannot be built as asked")
    check_num_markers(faults, num_markers)
    faults.raise_if_any(ConfigurationError)
    encoder = resnet_encoder(size)
    standardise = RESNET_SIZES[size].standardise_pooled if standardise_pooled is None else standardise_pooled
    network = MultiTaskNet(encoder, {Task.CLS: classification_head(encoder.channels[-1], num_markers, standardise)})
    if pretrained:
        logger.info(load_pretrained_encoder(network, pretrained).summary())
    return network


def unet_segmenter(size: str = "default") -> MultiTaskNet:
    """Builds the row U-Net (the paper's [8], arXiv 1505.04597): segmentation only, from random weights.

    Args:
        size: `demo` or `default`.

    Returns:
        A network from (B, 1, H, W), H and W multiples of 16, to {"seg": (B, 2, H, W)}.

    Raises:
        ConfigurationError: the size is unknown.
    """
    channels = look_up_size(size, UNET_SIZES)
    return MultiTaskNet(UNetPyramid(channels), {Task.SEG: PyramidUNetDecoder(SEG_CLASSES, channels)})
