# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""ResNet checkpoints: torchvision's keys, which are also timm's, MONAI's and MedicalNet's, and Hugging Face's."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

import torch
from torch import Tensor

from monai_ich.networks.layouts.family import EncoderWeights, WeightFamily

_TORCHVISION_KEY = re.compile(r"(conv1|bn1|layer[1-4])\..+")
_SHORTCUT, _SHORTCUT_NORM = "downsample.0", "downsample.1"
# With batch normalisation's eps of .00001.
_NORM_WITHOUT_EFFECT = MappingProxyType({"weight": 1.0, "bias": 0.0, "running_mean": 0.0, "running_var": 1 - 1e-5})
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
    notes = [_sum_over_depth(weights), _fold_shortcut_biases(weights), _add_plain_shortcuts(weights)]
    weights.note = "; ".join(note for note in notes if note)
    return weights


def _sum_over_depth(weights: EncoderWeights) -> str:
    """Makes kernels (O, I, D, H, W) those of images: what they answer to a volume that is the same in every slice."""
    deep = [key for key, tensor in weights.tensors.items() if tensor.ndim == 5]
    for key in deep:
        weights.tensors[key] = weights.tensors[key].sum(dim=2)
    if not deep:
        return ""
    return (
        f"{len(deep)} kernels of a network for volumes summed over depth, the first of their three axes; if that "
        "network dilates its last stages instead of striding, as MedicalNet's do, they see coarser maps here"
    )


def _fold_shortcut_biases(weights: EncoderWeights) -> str:
    """Takes the bias of a shortcut's convolution, which we have none of, into the normalisation after it: exact."""
    folded = 0
    for key in [key for key in weights.tensors if key.endswith(f".{_SHORTCUT}.bias")]:
        mean = key.replace(f"{_SHORTCUT}.bias", f"{_SHORTCUT_NORM}.running_mean")
        if mean in weights.tensors:
            weights.put(mean, weights.tensors[mean] - weights.tensors.pop(key), mean, *weights.sources.pop(key))
            folded += 1
    return f"{folded} biases of shortcuts taken into the running means after them" if folded else ""


def _add_plain_shortcuts(weights: EncoderWeights) -> str:
    """Writes shortcuts without parameters (type A of arXiv 1512.03385) as the convolutions that give the same numbers.

    Type A takes every second pixel and appends channels of zeros. So does a 1 x 1 kernel that is the identity with rows
    of zeros, before a normalisation that changes nothing.
    """
    tensors = weights.tensors
    if any(_SHORTCUT in key for key in tensors):
        return ""
    added = 0
    for stage in range(1, 5):
        block = f"layer{stage}.0"
        first, last = (tensors.get(f"{block}.conv{number}.weight") for number in (1, 3))
        last = tensors.get(f"{block}.conv2.weight") if last is None else last
        if first is None or last is None or (stage == 1 and first.shape[1] == last.shape[0]):
            continue
        channels = last.shape[0]
        weights.put(f"{block}.{_SHORTCUT}.weight", torch.eye(channels, first.shape[1])[:, :, None, None])
        for name, value in _NORM_WITHOUT_EFFECT.items():
            weights.put(f"{block}.{_SHORTCUT_NORM}.{name}", torch.full((channels,), value))
        added += 1
    return f"{added} shortcuts without parameters (type A) written as convolutions that do the same" if added else ""


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
    layouts="torchvision, timm, MONAI, MedicalNet or Hugging Face",
    converters=MappingProxyType(
        {
            "layer1.0.conv1.weight": _from_torchvision,
            "embedder.embedder.convolution.weight": _from_hugging_face,
        }
    ),
    input_kernel="conv1.weight",
)
