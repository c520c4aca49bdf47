# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""The rows ResNet152 and U-Net, and the encoders of Joint-Learning, by the names of their sizes."""

from __future__ import annotations

import logging
from dataclasses import asdict
from pathlib import Path

from monai.networks.nets.flexible_unet import SegmentationHead, UNetDecoder
from torch import nn

from monai_ich.networks.builders import SEG_CLASSES, check_num_markers, classification_head
from monai_ich.networks.efficientnet import EfficientNetPyramid
from monai_ich.networks.multitask_net import MultiTaskNet
from monai_ich.networks.pretrained import load_pretrained_encoder
from monai_ich.networks.resnet import ResNetPyramid
from monai_ich.networks.sizes import (
    EFFICIENTNET_SIZES,
    RESNET_SIZES,
    UNET_DECODER_SIZES,
    UNET_RESNETS,
    UNET_SIZES,
    look_up_size,
)
from monai_ich.networks.unet import PyramidUNetDecoder, UNetPyramid
from monai_ich.utils.errors import ConfigurationError, FaultList, did_you_mean
from monai_ich.utils.keys import Task

logger = logging.getLogger(__name__)

PLAIN = "plain"
UNET_ENCODERS = (PLAIN, *UNET_RESNETS)


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


def build_unet_encoder(size: str = "default", unet_encoder: str = PLAIN) -> UNetPyramid | ResNetPyramid:
    """Builds the encoder of the row U-Net, which Joint-Learning freezes: see `unet_segmenter` for the arguments.

    Raises:
        ConfigurationError: the size or the encoder is unknown.
    """
    if unet_encoder not in UNET_ENCODERS:
        raise ConfigurationError(
            f"unet_encoder is one of {list(UNET_ENCODERS)}, but {unet_encoder!r} came."
            f"{did_you_mean(str(unet_encoder), UNET_ENCODERS)}"
        )
    if unet_encoder == PLAIN:
        return UNetPyramid(look_up_size(size, UNET_SIZES))
    spec = look_up_size(size, UNET_RESNETS[unet_encoder])
    return ResNetPyramid(spec.block, spec.layers, spec.planes, spec.in_channels, stem_level=True)


def unet_segmenter(
    size: str = "default", unet_encoder: str = PLAIN, pretrained: str | Path | None = None
) -> MultiTaskNet:
    """Builds the row U-Net: segmentation only.

    Args:
        size: `demo` or `default`.
        unet_encoder: `plain`, that of the paper's [8] (arXiv 1505.04597), for which nobody publishes weights; or
            `resnet34` or `resnet50`, which begin from ImageNet as the paper's encoders do (section 4.2). At `demo`
            these are small networks of their kind, which published weights do not fit.
        pretrained: a weights file or name for a ResNet encoder, see `load_pretrained_encoder`; None or empty for none.

    Returns:
        A network from (B, 1, H, W), H and W multiples of 16 (of 32 with a ResNet), to {"seg": (B, 2, H, W)}.

    Raises:
        ConfigurationError: the size or the encoder is unknown, or a plain U-Net is given weights.
        PretrainedWeightsError: the weights cannot be had, or fit less than expected.
    """
    encoder = build_unet_encoder(size, unet_encoder)
    if isinstance(encoder, UNetPyramid):
        if pretrained:
            raise ConfigurationError(
                f"There are no published weights for the plain U-Net, but pretrained is {str(pretrained)!r}: leave it "
                f"out, or set unet_encoder to one that has some ({', '.join(UNET_RESNETS)})."
            )
        return MultiTaskNet(encoder, {Task.SEG: PyramidUNetDecoder(SEG_CLASSES, encoder.channels)})
    network = MultiTaskNet(encoder, {Task.SEG: _flexible_decoder(encoder, UNET_DECODER_SIZES[size])})
    if pretrained:
        logger.info(load_pretrained_encoder(network, pretrained).summary())
    return network


def _flexible_decoder(encoder: ResNetPyramid, channels: tuple[int, ...]) -> nn.Sequential:
    """The decoder of MONAI's FlexibleUNet, which doubles the sides once more than the encoder has levels."""
    decoder = UNetDecoder(
        spatial_dims=2,
        encoder_channels=(encoder.in_channels, *encoder.channels),
        decoder_channels=channels,
        act=("relu", {"inplace": True}),
        norm=("batch", {"eps": 1e-3, "momentum": 0.1}),
        dropout=0.0,
        bias=False,
        upsample="nontrainable",
        pre_conv="default",
        interp_mode="nearest",
        align_corners=None,
        is_pad=False,  # for odd sides, which do not occur
    )
    return nn.Sequential(decoder, SegmentationHead(2, channels[-1], SEG_CLASSES, kernel_size=3))
