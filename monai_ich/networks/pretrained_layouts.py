# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Tells the key layouts of Swin checkpoints apart and renames them to those of `SwinEncoder`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import torch
from torch import Tensor

from monai_ich.utils.errors import PretrainedWeightsError

_SWIN_STEM = "patch_embed.proj.weight"
_HUGGING_FACE_STEM = "embeddings.patch_embeddings.projection.weight"

# Functions of the geometry, not weights: stored by some versions, never needed.
_DERIVED = re.compile(r"(^|\.)(relative_position_index|attn_mask)$")
# Official and timm: `layers.0.`; MONAI's SwinTransformer: `layers1.0.`.
_SWIN_KEY = re.compile(r"layers(?:\.(?P<index>\d+)|(?P<number>[1-9])\.0)\.(?P<part>blocks|downsample)\.(?P<rest>.+)")
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


@dataclass
class EncoderWeights:
    """Tensors under the keys of `SwinEncoder`.

    Attributes:
        layout: `official`, `timm`, `monai` or `hugging_face`.
        tensors: the encoder's key to the tensor.
        sources: the encoder's key to the file's keys that it was made of.
        unknown: the file's other keys (classifier heads, decoders); derived buffers are not listed.
    """

    layout: str
    tensors: dict[str, Tensor] = field(default_factory=dict)
    sources: dict[str, tuple[str, ...]] = field(default_factory=dict)
    unknown: list[str] = field(default_factory=list)


def to_encoder_weights(state: Mapping[str, Tensor]) -> EncoderWeights:
    """Detects the layout by its keys, and renames.

    Raises:
        PretrainedWeightsError: the layout is unknown, or the file holds more than one Swin encoder.
    """
    prefix, stem = _find_stem(state)
    own = {key.removeprefix(prefix): key for key in state if key.startswith(prefix) and not _DERIVED.search(key)}
    convert = _from_hugging_face if stem == _HUGGING_FACE_STEM else _from_swin
    weights = convert(state, own)
    used = {source for sources in weights.sources.values() for source in sources}
    weights.unknown = [key for key in state if key not in used and not _DERIVED.search(key)]
    return weights


def _find_stem(state: Mapping[str, Tensor]) -> tuple[str, str]:
    """The prefix before a Swin encoder's keys, and the key of its patch embedding after it."""
    found = [
        (key.removesuffix(stem), stem)
        for key in state
        for stem in (_SWIN_STEM, _HUGGING_FACE_STEM)
        if key == stem or key.endswith("." + stem)
    ]
    if len(found) == 1:
        return found[0]
    came = f"{len(found)} of them came ({[prefix for prefix, _ in found]})" if found else f"{list(state)[:4]} came"
    raise PretrainedWeightsError(
        f"Expected the keys of one Swin encoder (official, timm, MONAI or Hugging Face layout: {_SWIN_STEM!r} or "
        f"{_HUGGING_FACE_STEM!r} after any prefix), but {came}: give a Swin checkpoint."
    )


def _from_swin(state: Mapping[str, Tensor], own: Mapping[str, str]) -> EncoderWeights:
    """Official, timm's and MONAI's layouts, which differ in the place of patch merging and the names of the MLP."""
    parsed = {key: match for key in own if (match := _SWIN_KEY.fullmatch(key))}
    stages = {_stage(match) for match in parsed.values()}
    merging = {_stage(match) for match in parsed.values() if match["part"] == "downsample"}
    # timm puts patch merging at the head of the next stage, everyone else at the end of its own.
    shift = 1 if merging and 0 not in merging and max(merging) == max(stages) else 0
    layout = "timm" if shift else "monai" if any(".mlp.linear1." in key for key in own) else "official"
    weights = EncoderWeights(layout)
    for key, source in own.items():
        if key in parsed:
            match = parsed[key]
            stage = _stage(match) - (shift if match["part"] == "downsample" else 0)
            rest = match["rest"].replace("mlp.fc", "mlp.linear")
            key = f"layers.{stage}.{match['part']}.{rest}"
        elif not key.startswith(("patch_embed.", "norm.")):
            continue
        weights.tensors[key], weights.sources[key] = state[source], (source,)
    return weights


def _stage(match: re.Match[str]) -> int:
    return int(match["index"]) if match["index"] else int(match["number"]) - 1


def _from_hugging_face(state: Mapping[str, Tensor], own: Mapping[str, str]) -> EncoderWeights:
    weights = EncoderWeights("hugging_face")
    thirds: dict[str, dict[str, str]] = {}  # the key of qkv to the file's keys of "q", "k" and "v"
    for key, source in own.items():
        block = _HUGGING_FACE_KEY.fullmatch(key)
        qkv = _HUGGING_FACE_QKV.fullmatch(block["rest"]) if block else None
        if block and qkv:
            stem = f"layers.{block['index']}.blocks.{block['block']}.attn.qkv.{qkv['rest']}"
            thirds.setdefault(stem, {})[(qkv["file"] or qkv["memory"])[0]] = source
        elif renamed := _rename_hugging_face(key, block):
            weights.tensors[renamed], weights.sources[renamed] = state[source], (source,)
    for key, sources in thirds.items():
        if set(sources) == set("qkv"):
            weights.sources[key] = tuple(sources[third] for third in "qkv")
            weights.tensors[key] = torch.cat([state[source] for source in weights.sources[key]])
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
