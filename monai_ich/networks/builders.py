# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""MTL-Swin-Unet, Swin-Unet and Swin Transformer by the names of their sizes."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from torch import nn

from monai_ich.networks.heads import ClassificationHead, SwinDecoder
from monai_ich.networks.multitask_net import MultiTaskNet
from monai_ich.networks.pretrained import load_pretrained_encoder
from monai_ich.networks.sizes import SWIN_SIZES, look_up_size
from monai_ich.networks.swin import SwinEncoder
from monai_ich.utils.errors import ConfigurationError, FaultList, did_you_mean
from monai_ich.utils.keys import Task

logger = logging.getLogger(__name__)

SEG_CLASSES = 2  # background, haematoma
REC_CHANNELS = 1  # the windowed slice itself


def swin_encoder(
    size: str = "default",
    window_size: int | None = None,
    in_channels: int | None = None,
    drop_path_rate: float | None = None,
    skips: str = "outputs",
) -> SwinEncoder:
    """Builds an encoder of a named size; an argument left at None keeps what the size says.

    Raises:
        ConfigurationError: the size or `skips` is unknown.
    """
    spec = look_up_size(size, SWIN_SIZES)
    return SwinEncoder(
        in_channels=spec.in_channels if in_channels is None else in_channels,
        embed_dim=spec.embed_dim,
        depths=spec.depths,
        num_heads=spec.num_heads,
        window_size=spec.window_size if window_size is None else window_size,
        drop_path_rate=spec.drop_path_rate if drop_path_rate is None else drop_path_rate,
        init_std=spec.init_std,
        skips=skips,
    )


def mtl_swin_unet(
    size: str = "default",
    tasks: Sequence[str] = ("cls", "seg", "rec"),
    num_markers: int = 1,
    window_size: int | None = None,
    in_channels: int | None = None,
    drop_path_rate: float | None = None,
    standardise_pooled: bool | None = None,
    pretrained: str | Path | None = None,
    mirror: bool = True,
    skips: str = "outputs",
) -> MultiTaskNet:
    """Builds MTL-Swin-Unet (paper, section 3.1): a shared Swin encoder, a linear classifier, a decoder a dense task.

    Args:
        size: `demo`, `default`, `tiny` or `base`.
        tasks: the heads to build, out of `cls`, `seg`, `rec`.
        num_markers: 1 gives two logits (cross entropy), more give one logit a marker.
        window_size: side of an attention window, in tokens; None keeps what the size says.
        in_channels: channels of the patch embedding, to which the one-channel input is repeated; None as above.
        drop_path_rate: stochastic depth of the last block; None as above.
        standardise_pooled: see `ClassificationHead`; None as above.
        pretrained: a weights file or name for the encoder, see `load_pretrained_encoder`; the receipt is logged.
        mirror: copy the pretrained encoder stages into the decoders too.
        skips: what the decoders get of each encoder stage: its `outputs` or its `inputs`, see `SwinEncoder`.

    Returns:
        A network from (B, 1, H, W), H and W multiples of 32, to a dict with the heads in `tasks`.

    Raises:
        ConfigurationError: the size, a task or `skips` is unknown, or `num_markers` is no positive number.
        PretrainedWeightsError: the weights cannot be had, or fit less than expected.
    """
    tasks = _check_tasks(tasks, num_markers)
    encoder = swin_encoder(size, window_size, in_channels, drop_path_rate, skips)
    standardise = SWIN_SIZES[size].standardise_pooled if standardise_pooled is None else standardise_pooled
    network = MultiTaskNet(encoder, {task: _build_head(task, encoder, num_markers, standardise) for task in tasks})
    if pretrained is not None:
        logger.info(load_pretrained_encoder(network, pretrained, mirror=mirror).summary())
    return network


def _build_head(task: str, encoder: SwinEncoder, num_markers: int, standardise: bool) -> nn.Module:
    if task == Task.CLS:
        return classification_head(encoder.channels[-1], num_markers, standardise)
    return SwinDecoder(
        out_channels=SEG_CLASSES if task == Task.SEG else REC_CHANNELS,
        embed_dim=encoder.channels[0],
        depths=encoder.depths,
        num_heads=encoder.num_heads,
        window_size=encoder.window_size,
        patch_size=encoder.patch_size,
        drop_path_rate=encoder.drop_path_rate,
        init_std=encoder.init_std,
    )


def classification_head(in_channels: int, num_markers: int, standardise: bool) -> ClassificationHead:
    """Two logits for one marker (cross entropy), else one logit a marker."""
    return ClassificationHead(in_channels, 2 if num_markers == 1 else num_markers, standardise)


def check_num_markers(faults: FaultList, num_markers: int) -> None:
    """Adds a fault unless `num_markers` is a positive whole number."""
    if isinstance(num_markers, bool) or not isinstance(num_markers, int) or num_markers < 1:
        faults.add(f"num_markers is a whole number from 1 on, but {num_markers!r} came")


def _check_tasks(tasks: Sequence[str], num_markers: int) -> tuple[str, ...]:
    known = [str(task) for task in Task]
    faults = FaultList("The network cannot be built as asked")
    if isinstance(tasks, str):
        faults.add(f"tasks is a list out of {known}, but the text {tasks!r} came: write for example ['cls', 'seg']")
        tasks = ()
    elif not tasks:
        faults.add(f"tasks is empty: name at least one of {known}")
    elif len(set(tasks)) < len(tasks):
        faults.add(f"tasks names a task twice: {list(tasks)}")
    for task in tasks:
        if task not in known:
            faults.add(f"tasks holds {task!r}, expected one of {known}.{did_you_mean(str(task), known)}")
    check_num_markers(faults, num_markers)
    faults.raise_if_any(ConfigurationError)
    return tuple(str(task) for task in tasks)
