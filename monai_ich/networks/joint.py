# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Two encoders on one image: a frozen one that has learnt to segment, and a trainable one."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor, nn

from monai_ich.networks.encoder_origins import ORIGINS, set_segmentation_origin
from monai_ich.networks.pretrained_files import read_file, tensors_of
from monai_ich.networks.trained_weights import add_weight_faults
from monai_ich.utils.errors import FaultList, PretrainedWeightsError

_ENCODER, _SEGMENTATION_HEAD = "encoder.", "heads.seg."


class PyramidEncoder(Protocol):
    """What an encoder has besides being a module: see docs/architecture.md."""

    channels: tuple[int, ...]
    stride: int


class JointEncoder(nn.Module):
    """Stage 2 of the joint systems (the paper's Joint-Learning and Joint-SwinTransformer).

    The frozen encoder is out of training altogether: no gradient, no weight decay (its parameters do not require
    gradients), no running statistics and no stochastic depth (it stays in evaluation mode under `train()`). Both are
    in `state_dict`.

    Attributes:
        channels: one level, the sum of both encoders' last ones.
        stride: the input's sides must be multiples of it.

    >>> from monai_ich.networks.unet import UNetPyramid
    >>> encoder = JointEncoder(UNetPyramid((4, 8)), UNetPyramid((4, 8, 16)))
    >>> [tuple(level.shape) for level in encoder(torch.zeros(2, 1, 32, 64))], encoder.channels
    ([(2, 24, 1, 1)], (24,))
    """

    def __init__(self, frozen: nn.Module, trainable: nn.Module) -> None:
        """
        Args:
            frozen: an encoder with the weights of a segmentation run.
            trainable: an encoder of any kind.
        """
        super().__init__()
        self.frozen = frozen.requires_grad_(False)
        self.trainable = trainable
        parts: tuple[PyramidEncoder, PyramidEncoder] = (frozen, trainable)  # type: ignore[assignment]
        self.channels = (sum(part.channels[-1] for part in parts),)
        self.stride = math.lcm(*(part.stride for part in parts))
        self.train(self.training)

    def train(self, mode: bool = True) -> JointEncoder:
        """Sets the mode of the trainable encoder; the frozen one stays in evaluation mode."""
        super().train(mode)
        self.frozen.eval()
        return self

    def forward(self, x: Tensor) -> list[Tensor]:
        """Encodes a batch of images.

        Args:
            x: (B, 1, H, W); H and W multiples of `stride`.

        Returns:
            One map (B, C, 1, 1): the pooled last level of the frozen encoder, then that of the trainable one.

        Raises:
            ConfigurationError: the input's channels or sides do not fit.
        """
        # Nothing in it requires a gradient, so no graph is recorded; `no_grad` would keep Grad-CAM from beginning one.
        given = self.frozen(x.detach())[-1].mean(dim=(2, 3), keepdim=True, dtype=torch.float32)
        learnt = self.trainable(x)[-1].mean(dim=(2, 3), keepdim=True, dtype=torch.float32)
        return [torch.cat([given, learnt], dim=1)]


def load_segmentation_encoder(encoder: nn.Module, path: str | Path) -> None:
    """Fills an encoder with that of a segmentation run; it is left as it was when that fails.

    Args:
        encoder: of the same kind and size as the run's.
        path: the run's `models/best.pt`, or another checkpoint of a network with `encoder` and a `seg` head.

    Raises:
        PretrainedWeightsError: the file is missing or unreadable, segments nothing, or its encoder does not fit.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise PretrainedWeightsError(
            f"Expected the checkpoint of a segmentation run, but there is no file {path}: train the segmentation "
            "network first, and give its models/best.pt."
        )
    content = read_file(path)
    state = tensors_of(content, path)
    saved = {key.removeprefix(_ENCODER): tensor for key, tensor in state.items() if key.startswith(_ENCODER)}
    faults = FaultList(
        f"{path} does not hold the encoder that is to be frozen here. Name a run of the segmentation network that "
        "belongs to this row, in the same size:",
        most=5,
    )
    if not any(key.startswith(_SEGMENTATION_HEAD) for key in state):
        faults.add("it has no segmentation head, so its encoder has not learnt to segment")
    add_weight_faults(faults, "encoder", encoder.state_dict(), saved)
    faults.raise_if_any(PretrainedWeightsError)
    encoder.load_state_dict(saved)
    set_segmentation_origin(encoder, content.get(ORIGINS) if isinstance(content, dict) else None)
