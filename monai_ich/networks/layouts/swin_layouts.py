# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Swin checkpoints: official, timm's, MONAI's, Hugging Face's and Swin-Unet's keys to those of our networks."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

import torch
from torch import Tensor
from torch.nn import functional as F

from monai_ich.networks.inputs import GREY_DEVIATION, GREY_MEAN
from monai_ich.networks.layouts.family import EncoderWeights, WeightFamily

# Official and timm: `layers.0.`; MONAI's SwinTransformer: `layers1.0.`.
_SWIN_KEY = re.compile(r"layers(?:\.(?P<index>\d+)|(?P<number>[1-9])\.0)\.(?P<part>blocks|downsample)\.(?P<rest>.+)")
_SWIN_UNET_STAGE = re.compile(r"layers_up\.(?P<index>\d+)\.(?P<rest>.+)")
_SWIN_UNET_REDUCTION = re.compile(r"concat_back_dim\.(?P<index>\d+)\.(?P<rest>.+)")
_HUGGING_FACE_KEY = re.compile(r"encoder\.layers\.(?P<index>\d+)\.blocks\.(?P<block>\d+)\.(?P<rest>.+)")

_HUGGING_FACE_PLAIN = MappingProxyType(
    {
        "embeddings.patch_embeddings.projection.": "patch_embed.proj.",
        "embeddings.norm.": "patch_embed.norm.",
        "layernorm.": "norm.",
    }
)
# transformers writes the first name of each pair to files; the second is its name in memory since version 5.
_HUGGING_FACE_BLOCK = MappingProxyType(
    {
        "layernorm_before": "norm1",
        "layernorm_after": "norm2",
        "attention.output.dense": "attn.proj",
        "attention.o_proj": "attn.proj",
        "attention.self": "attn",
        "attention.relative_position_bias": "attn",
        "intermediate.dense": "mlp.linear1",
        "mlp.fc1": "mlp.linear1",
        "output.dense": "mlp.linear2",
        "mlp.fc2": "mlp.linear2",
    }
)
_HUGGING_FACE_QKV = re.compile(r"attention\.(?:self\.(?P<file>query|key|value)|(?P<memory>[qkv])_proj)\.(?P<rest>.+)")


def _from_swin(state: Mapping[str, Tensor]) -> EncoderWeights:
    """Official, timm's and MONAI's layouts, which differ in the place of patch merging and the names of the MLP."""
    parsed = {key: match for key in state if (match := _SWIN_KEY.fullmatch(key))}
    stages = {_stage(match) for match in parsed.values()}
    merging = {_stage(match) for match in parsed.values() if match["part"] == "downsample"}
    # timm puts patch merging at the head of the next stage, everyone else at the end of its own.
    shift = 1 if merging and 0 not in merging and max(merging) == max(stages) else 0
    layout = "timm" if shift else "monai" if any(".mlp.linear1." in key for key in state) else "official"
    weights = EncoderWeights(layout)
    for source, tensor in state.items():
        if source in parsed:
            match = parsed[source]
            stage = _stage(match) - (shift if match["part"] == "downsample" else 0)
            rest = match["rest"].replace("mlp.fc", "mlp.linear")
            weights.put(f"layers.{stage}.{match['part']}.{rest}", tensor, source)
        elif source.startswith(("patch_embed.", "norm.")):
            weights.put(source, tensor, source)
    if any(key.startswith("layers_up.") for key in state):
        _complete_swin_unet(weights, state)
    return weights


def _complete_swin_unet(weights: EncoderWeights, state: Mapping[str, Tensor]) -> None:
    """Adds the decoder of the public Swin-Unet, and fits its patch embedding to a standardised image.

    That network takes values in [0, 1] as they are. Ours takes off `GREY_MEAN` and divides by `GREY_DEVIATION`. As no
    pixel is padded, another kernel and bias give the same tokens.
    """
    weights.layout = "swin_unet"
    kernel = weights.tensors["patch_embed.proj.weight"]
    bias = weights.tensors.get("patch_embed.proj.bias", torch.zeros(len(kernel)))
    weights.tensors["patch_embed.proj.weight"] = kernel * GREY_DEVIATION
    weights.tensors["patch_embed.proj.bias"] = bias + GREY_MEAN * kernel.sum(dim=(1, 2, 3))
    weights.note = (
        "the file's network takes images in [0, 1] as they are, so its patch embedding was changed: the standardised "
        "image gives the same numbers"
    )
    weights.decoder = EncoderWeights(weights.layout, presupposes={"skips": "inputs"})
    last = max(int(match["index"]) for key in state if (match := _SWIN_UNET_STAGE.fullmatch(key)))
    for source, tensor in state.items():
        if key := _swin_unet_decoder_key(source, last):
            weights.decoder.put(key, tensor.flatten(1) if source == "output.weight" else tensor, source)


def _swin_unet_decoder_key(key: str, last: int) -> str | None:
    """The key in `SwinDecoder`. The file counts its stages from the bottleneck on, `SwinDecoder` from the top."""
    if match := _SWIN_UNET_REDUCTION.fullmatch(key):
        return f"reductions.{last - int(match['index'])}.{match['rest']}"
    if match := _SWIN_UNET_STAGE.fullmatch(key):
        level, rest = last - int(match["index"]), match["rest"].replace("mlp.fc", "mlp.linear")
        # the mirror of the bottleneck is a bare expansion; each later stage ends in the expansion to the level above
        return (
            f"stages.{level}.{rest}"
            if rest.startswith("blocks.")
            else (f"expansions.{level - 1}.{rest.removeprefix('upsample.')}")
        )
    for start, renamed in (("norm_up.", "norm."), ("up.", "last_expansion."), ("output.", "projection.")):
        if key.startswith(start):
            return renamed + key.removeprefix(start)
    return None


def _stage(match: re.Match[str]) -> int:
    return int(match["index"]) if match["index"] else int(match["number"]) - 1


def _from_hugging_face(state: Mapping[str, Tensor]) -> EncoderWeights:
    weights = EncoderWeights("hugging_face")
    thirds: dict[str, dict[str, str]] = {}  # the key of qkv to the file's keys of "q", "k" and "v"
    for key, tensor in state.items():
        block = _HUGGING_FACE_KEY.fullmatch(key)
        qkv = _HUGGING_FACE_QKV.fullmatch(block["rest"]) if block else None
        if block and qkv:
            stem = f"layers.{block['index']}.blocks.{block['block']}.attn.qkv.{qkv['rest']}"
            thirds.setdefault(stem, {})[(qkv["file"] or qkv["memory"])[0]] = key
        elif renamed := _rename_hugging_face(key, block):
            weights.put(renamed, tensor, key)
    for key, sources in thirds.items():
        if set(sources) == set("qkv"):
            ordered = [sources[third] for third in "qkv"]
            weights.put(key, torch.cat([state[source] for source in ordered]), *ordered)
    return weights


def _rename_hugging_face(key: str, block: re.Match[str] | None) -> str | None:
    if block:
        module, _, parameter = block["rest"].rpartition(".")
        renamed = _HUGGING_FACE_BLOCK.get(module)
        return renamed and f"layers.{block['index']}.blocks.{block['block']}.{renamed}.{parameter}"
    for start, renamed in _HUGGING_FACE_PLAIN.items():
        if key.startswith(start):
            return renamed + key.removeprefix(start)
    return key.removeprefix("encoder.") if ".downsample." in key else None


def resample_bias_table(table: Tensor, length: int) -> Tensor:
    """Resamples a relative position bias table ((2w-1)**2, heads) to (`length`, heads), bicubic, as official Swin."""
    old, new = round(table.shape[0] ** 0.5), round(length**0.5)
    grid = table.float().T.reshape(1, -1, old, old)
    grid = F.interpolate(grid, size=(new, new), mode="bicubic", align_corners=False)
    return grid.reshape(-1, length).T


def _to_other_window(key: str, tensor: Tensor, target: Tensor) -> Tensor | None:
    if key.endswith("relative_position_bias_table") and tensor.shape[1:] == target.shape[1:]:
        return resample_bias_table(tensor, target.shape[0])
    return None


SWIN = WeightFamily(
    name="Swin",
    layouts="official, timm, MONAI, Hugging Face or Swin-Unet",
    converters=MappingProxyType(
        {
            "patch_embed.proj.weight": _from_swin,
            "embeddings.patch_embeddings.projection.weight": _from_hugging_face,
        }
    ),
    input_kernel="patch_embed.proj.weight",
    resample=_to_other_window,
)
