# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""ResNet checkpoints: torchvision's keys, which are also timm's and MONAI's, and Hugging Face's."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

from torch import Tensor

from monai_ich.networks.layouts.family import EncoderWeights, WeightFamily

_TORCHVISION_KEY = re.compile(r"(conv1|bn1|layer[1-4])\..+")
_HUGGING_FACE_KEY = re.compile(
    r"encoder\.stages\.(?P<stage>\d+)\.layers\.(?P<block>\d+)\."
    r"(?:layer\.(?P<conv>\d+)|shortcut)\.(?P<part>convolution|normalization)\.(?P<parameter>.+)"
)
_HUGGING_FACE_STEM = MappingProxyType(
    {"embedder.embedder.convolution": "conv1", "embedder.embedder.normalization": "bn1"}
)


def _from_torchvision(state: Mapping[str, Tensor]) -> EncoderWeights:
    weights = EncoderWeights("torchvision")
    for key, tensor in state.items():
        if _TORCHVISION_KEY.fullmatch(key):
            weights.put(key, tensor, key)
    return weights


def _from_hugging_face(state: Mapping[str, Tensor]) -> EncoderWeights:
    weights = EncoderWeights("hugging_face")
    for key, tensor in state.items():
        if renamed := _rename_hugging_face(key):
            weights.put(renamed, tensor, key)
    return weights


def _rename_hugging_face(key: str) -> str | None:
    match = _HUGGING_FACE_KEY.fullmatch(key)
    if match is None:
        module, _, parameter = key.rpartition(".")
        stem = _HUGGING_FACE_STEM.get(module)
        return stem and f"{stem}.{parameter}"
    convolution = match["part"] == "convolution"
    if match["conv"] is None:
        module = "downsample.0" if convolution else "downsample.1"
    else:
        module = f"{'conv' if convolution else 'bn'}{int(match['conv']) + 1}"
    return f"layer{int(match['stage']) + 1}.{match['block']}.{module}.{match['parameter']}"


RESNET = WeightFamily(
    name="ResNet",
    layouts="torchvision, timm, MONAI or Hugging Face",
    converters=MappingProxyType(
        {
            "layer1.0.conv1.weight": _from_torchvision,
            "embedder.embedder.convolution.weight": _from_hugging_face,
        }
    ),
    input_kernel="conv1.weight",
)
