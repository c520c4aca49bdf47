# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""EfficientNet checkpoints: torchvision's, timm's, Hugging Face's, lukemelas's and MONAI's keys.

The converters' names are lukemelas's, in which blocks are numbered through the whole network: MONAI's are the same
with the stack before the block. Which convention a file was trained in (see `EfficientNetPyramid`) is told by its
layout where the publisher has only one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType

from torch import Tensor

from monai_ich.networks.layouts.family import EncoderWeights, WeightFamily

TENSORFLOW, TORCHVISION = "tensorflow", "torchvision"

_OWN_KEY = re.compile(r"(?:_conv_stem|_bn0|_blocks|_conv_head|_bn1)\..+")
_MONAI_BLOCK = re.compile(r"_blocks\.\d+\.(\d+\._.+)")
_TIMM_BLOCK = re.compile(r"blocks\.(?P<stack>\d+)\.(?P<block>\d+)\.(?P<module>.+)\.(?P<parameter>\w+)")
_TORCHVISION_BLOCK = re.compile(
    r"features\.(?P<stack>\d+)\.(?P<block>\d+)\.block\.(?P<module>\d+\.\w+)\.(?P<parameter>\w+)"
)
_HUGGING_FACE_BLOCK = re.compile(r"encoder\.blocks\.(?P<block>\d+)\.(?P<module>.+)\.(?P<parameter>\w+)")

_TIMM_PLAIN = MappingProxyType({"conv_stem": "_conv_stem", "bn1": "_bn0", "conv_head": "_conv_head", "bn2": "_bn1"})
_TIMM_SQUEEZE = {"se.conv_reduce": "_se_reduce", "se.conv_expand": "_se_expand"}
_TIMM_SEPARABLE = MappingProxyType(  # a block without expansion
    {"conv_dw": "_depthwise_conv", "bn1": "_bn1", "conv_pw": "_project_conv", "bn2": "_bn2", **_TIMM_SQUEEZE}
)
_TIMM_INVERTED = MappingProxyType(
    {
        "conv_pw": "_expand_conv",
        "bn1": "_bn0",
        "conv_dw": "_depthwise_conv",
        "bn2": "_bn1",
        "conv_pwl": "_project_conv",
        "bn3": "_bn2",
        **_TIMM_SQUEEZE,
    }
)
_TORCHVISION_MODULES = (  # in the order of `block`; without expansion the first is left out
    {"0": "_expand_conv", "1": "_bn0"},
    {"0": "_depthwise_conv", "1": "_bn1"},
    {"fc1": "_se_reduce", "fc2": "_se_expand"},
    {"0": "_project_conv", "1": "_bn2"},
)
_HUGGING_FACE_PLAIN = MappingProxyType(
    {
        "embeddings.convolution": "_conv_stem",
        "embeddings.batchnorm": "_bn0",
        "encoder.top_conv": "_conv_head",
        "encoder.top_bn": "_bn1",
    }
)
_HUGGING_FACE_MODULES = MappingProxyType(
    {
        "expansion.expand_conv": "_expand_conv",
        "expansion.expand_bn": "_bn0",
        "depthwise_conv.depthwise_conv": "_depthwise_conv",
        "depthwise_conv.depthwise_norm": "_bn1",
        "squeeze_excite.reduce": "_se_reduce",
        "squeeze_excite.expand": "_se_expand",
        "projection.project_conv": "_project_conv",
        "projection.project_bn": "_bn2",
    }
)


def _number_blocks(matches: Iterable[re.Match[str]]) -> dict[tuple[int, int], int]:
    """(stack, block in the stack) to the block's number in the whole network."""
    places = sorted({(int(match["stack"]), int(match["block"])) for match in matches})
    return {place: number for number, place in enumerate(places)}


def _rename(
    weights: EncoderWeights,
    state: Mapping[str, Tensor],
    plain: Mapping[str, str],
    block_of: Callable[[str], tuple[int, str | None, str] | None],
) -> EncoderWeights:
    """Enters what `plain` (module to module) or `block_of` (key to block number, module, parameter) can rename."""
    for key, tensor in state.items():
        module, _, parameter = key.rpartition(".")
        if module in plain:
            weights.put(f"{plain[module]}.{parameter}", tensor, key)
        elif (block := block_of(key)) and block[1]:
            weights.put(f"_blocks.{block[0]}.{block[1]}.{block[2]}", tensor, key)
    return weights


def _from_timm(state: Mapping[str, Tensor]) -> EncoderWeights:
    matches = {key: match for key in state if (match := _TIMM_BLOCK.fullmatch(key))}
    numbers = _number_blocks(matches.values())
    inverted = {(m["stack"], m["block"]) for m in matches.values() if m["module"] == "conv_pwl"}

    def block_of(key: str) -> tuple[int, str | None, str] | None:
        if (match := matches.get(key)) is None:
            return None
        modules = _TIMM_INVERTED if (match["stack"], match["block"]) in inverted else _TIMM_SEPARABLE
        number = numbers[int(match["stack"]), int(match["block"])]
        return number, modules.get(match["module"]), match["parameter"]

    note = (
        "timm's `tf_efficientnet` and `efficientnet` share these keys: the first were trained in the convention "
        f"{TENSORFLOW!r} (see there for their padding), the second in {TORCHVISION!r}; set `convention` accordingly"
    )
    return _rename(EncoderWeights("timm", note=note), state, _TIMM_PLAIN, block_of)


def _from_torchvision(state: Mapping[str, Tensor]) -> EncoderWeights:
    matches = {key: match for key in state if (match := _TORCHVISION_BLOCK.fullmatch(key))}
    numbers = _number_blocks(matches.values())
    expanded = {(m["stack"], m["block"]) for m in matches.values() if m["module"].startswith("3.")}
    head = max(numbers, default=(0, 0))[0] + 1
    plain = {
        "features.0.0": "_conv_stem",
        "features.0.1": "_bn0",
        f"features.{head}.0": "_conv_head",
        f"features.{head}.1": "_bn1",
    }

    def block_of(key: str) -> tuple[int, str | None, str] | None:
        if (match := matches.get(key)) is None:
            return None
        part, _, module = match["module"].partition(".")
        index = int(part) + (0 if (match["stack"], match["block"]) in expanded else 1)
        number = numbers[int(match["stack"]), int(match["block"])]
        known = index < len(_TORCHVISION_MODULES)
        return number, _TORCHVISION_MODULES[index].get(module) if known else None, match["parameter"]

    return _rename(EncoderWeights("torchvision", presupposes={"convention": TORCHVISION}), state, plain, block_of)


def _from_hugging_face(state: Mapping[str, Tensor]) -> EncoderWeights:
    def block_of(key: str) -> tuple[int, str | None, str] | None:
        match = _HUGGING_FACE_BLOCK.fullmatch(key)
        return match and (int(match["block"]), _HUGGING_FACE_MODULES.get(match["module"]), match["parameter"])

    weights = EncoderWeights("hugging_face", presupposes={"convention": TENSORFLOW})
    return _rename(weights, state, _HUGGING_FACE_PLAIN, block_of)


def _from_own(state: Mapping[str, Tensor]) -> EncoderWeights:
    """lukemelas's and MONAI's layouts."""
    monai = any(_MONAI_BLOCK.fullmatch(key) for key in state)
    weights = EncoderWeights("monai" if monai else "lukemelas")
    if not monai:  # a network of this project has MONAI's keys in either convention
        weights.presupposes["convention"] = TENSORFLOW
    for key, tensor in state.items():
        if _OWN_KEY.fullmatch(key):
            weights.put(canonical_key(key), tensor, key)
    return weights


def canonical_key(key: str) -> str:
    """A key of MONAI's EfficientNet without the stack.

    >>> canonical_key("_blocks.2.5._bn1.weight"), canonical_key("_blocks.5._bn1.weight"), canonical_key("_bn1.weight")
    ('_blocks.5._bn1.weight', '_blocks.5._bn1.weight', '_bn1.weight')
    """
    match = _MONAI_BLOCK.fullmatch(key)
    return f"_blocks.{match[1]}" if match else key


EFFICIENTNET = WeightFamily(
    name="EfficientNet",
    layouts="torchvision, timm, Hugging Face, lukemelas or MONAI",
    converters=MappingProxyType(
        {
            "features.0.0.weight": _from_torchvision,
            "conv_stem.weight": _from_timm,
            "embeddings.convolution.weight": _from_hugging_face,
            "_conv_stem.weight": _from_own,
        }
    ),
    input_kernel="_conv_stem.weight",
    canonical=canonical_key,
)
