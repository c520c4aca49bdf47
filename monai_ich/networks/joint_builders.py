# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""The joint rows by the names of their sizes: stage 2 of a system whose stage 1 is a segmentation run."""

from __future__ import annotations

import logging
from pathlib import Path

from torch import nn

from monai_ich.networks.builders import check_num_markers, classification_head, swin_encoder
from monai_ich.networks.cnn_builders import PLAIN, build_unet_encoder, efficientnet_encoder
from monai_ich.networks.joint import JointEncoder, load_segmentation_encoder
from monai_ich.networks.multitask_net import MultiTaskNet
from monai_ich.networks.pretrained import load_pretrained_encoder
from monai_ich.networks.sizes import SWIN_SIZES, WAVELET_SIZES, look_up_size
from monai_ich.networks.wavelet import WaveletPyramid
from monai_ich.utils.errors import ConfigurationError, FaultList, did_you_mean
from monai_ich.utils.keys import Task

logger = logging.getLogger(__name__)

CLASSIFIERS = ("efficientnet", "wavelet")


def joint_swin(
    size: str = "default",
    num_markers: int = 1,
    segmentation_checkpoint: str | Path | None = None,
    pretrained: str | Path | None = None,
    segmentation_size: str | None = None,
    window_size: int | None = None,
    drop_path_rate: float | None = None,
    standardise_pooled: bool | None = None,
) -> MultiTaskNet:
    """Builds Joint-SwinTransformer: the frozen encoder of a Swin-Unet beside a trainable Swin encoder.

    Args:
        size: `demo`, `default`, `tiny` or `base`.
        num_markers: 1 gives two logits (cross entropy), more give one logit a marker.
        segmentation_checkpoint: models/best.pt of the Swin-Unet's run. None or empty leaves the frozen encoder at its
            initial weights: for loading a checkpoint of the whole, not for training.
        pretrained: a weights file or name for the trainable encoder, see `load_pretrained_encoder`; None or empty
            for none.
        segmentation_size: the Swin-Unet's size, where it is another.
        window_size: side of an attention window of both encoders, in tokens; None keeps what the sizes say.
        drop_path_rate: stochastic depth of the trainable encoder's last block; None as above.
        standardise_pooled: see `ClassificationHead`; None as above.

    Returns:
        A network from (B, 1, H, W), H and W multiples of 32, to {"cls": (B, K)}.

    Raises:
        ConfigurationError: a size is unknown, or `num_markers` is no positive number.
        PretrainedWeightsError: the checkpoint or the weights cannot be had, or do not fit.
    """
    faults = FaultList("The network cannot be built as asked")
    check_num_markers(faults, num_markers)
    faults.raise_if_any(ConfigurationError)
    frozen = swin_encoder(size if segmentation_size is None else segmentation_size, window_size)
    trainable = swin_encoder(size, window_size, drop_path_rate=drop_path_rate)
    standardise = SWIN_SIZES[size].standardise_pooled if standardise_pooled is None else standardise_pooled
    return _join(frozen, trainable, num_markers, segmentation_checkpoint, pretrained, standardise)


def joint_learning(
    size: str = "default",
    num_markers: int = 1,
    segmentation_checkpoint: str | Path | None = None,
    pretrained: str | Path | None = None,
    classifier: str = "efficientnet",
    convention: str | None = None,
    standardise_pooled: bool | None = None,
    unet_encoder: str = PLAIN,
) -> MultiTaskNet:
    """Builds Joint-Learning (the paper's [7]): the frozen encoder of a U-Net beside a trainable EfficientNet-b3.

    Args:
        size: `demo` or `default`.
        num_markers: 1 gives two logits (cross entropy), more give one logit a marker.
        segmentation_checkpoint: models/best.pt of the U-Net's run. None or empty leaves the frozen encoder at its
            initial weights: for loading a checkpoint of the whole, not for training.
        pretrained: a weights file or name for the EfficientNet, see `load_pretrained_encoder`; None or empty for
            none. There are none for the Wavelet CNN.
        classifier: `efficientnet`, or `wavelet` for the Wavelet CNN that [7] also tries.
        convention: of the EfficientNet, see `EfficientNetPyramid`; None keeps what the size says.
        standardise_pooled: see `ClassificationHead`; None standardises at `demo` only.
        unet_encoder: that of the U-Net's run, see `unet_segmenter`.

    Returns:
        A network from (B, 1, H, W), H and W multiples of 32, to {"cls": (B, K)}.

    Raises:
        ConfigurationError: an argument is unknown, or does not go with the others.
        PretrainedWeightsError: the checkpoint or the weights cannot be had, or do not fit.
    """
    _check_joint_learning(num_markers, pretrained, classifier, convention)
    frozen = build_unet_encoder(size, unet_encoder)
    trainable: nn.Module
    if classifier == "wavelet":
        trainable = WaveletPyramid(look_up_size(size, WAVELET_SIZES))
    else:
        trainable = efficientnet_encoder(size, convention)
    standardise = size == "demo" if standardise_pooled is None else standardise_pooled
    return _join(frozen, trainable, num_markers, segmentation_checkpoint, pretrained, standardise)


def _check_joint_learning(
    num_markers: int, pretrained: str | Path | None, classifier: str, convention: str | None
) -> None:
    faults = FaultList("The network cannot be built as asked")
    check_num_markers(faults, num_markers)
    if classifier not in CLASSIFIERS:
        faults.add(
            f"classifier is one of {list(CLASSIFIERS)}, but {classifier!r} came.{did_you_mean(classifier, CLASSIFIERS)}"
        )
    if classifier == "wavelet" and pretrained:
        faults.add(f"there are no published weights for the Wavelet CNN, but pretrained is {str(pretrained)!r}")
    if classifier == "wavelet" and convention is not None:
        faults.add(f"convention is for EfficientNet only, but {convention!r} came with the Wavelet CNN")
    faults.raise_if_any(ConfigurationError)


def _join(
    frozen: nn.Module,
    trainable: nn.Module,
    num_markers: int,
    segmentation_checkpoint: str | Path | None,
    pretrained: str | Path | None,
    standardise: bool,
) -> MultiTaskNet:
    if segmentation_checkpoint:
        load_segmentation_encoder(frozen, segmentation_checkpoint)
    if pretrained:
        logger.info(load_pretrained_encoder(trainable, pretrained).summary())
    encoder = JointEncoder(frozen, trainable)
    return MultiTaskNet(encoder, {Task.CLS: classification_head(encoder.channels[-1], num_markers, standardise)})
