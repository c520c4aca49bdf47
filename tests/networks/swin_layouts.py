# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""The published namings of a Swin encoder by their rules, independent of the loader, and an encoder that they fit."""

from __future__ import annotations

import re

import torch
from networks_support import State

from monai_ich.networks import SwinEncoder

SHAPE = {"embed_dim": 12, "num_heads": (1, 2, 2, 4)}


def build(**changes: object) -> SwinEncoder:
    settings = {"in_channels": 3, "depths": (2, 2, 4, 2), "window_size": 4, **SHAPE}
    return SwinEncoder(**{**settings, **changes})


def parameters(encoder: torch.nn.Module) -> State:
    return {name: parameter.detach().clone() for name, parameter in encoder.named_parameters()}


def official(state: State) -> State:
    renamed = {key.replace("mlp.linear", "mlp.fc"): value for key, value in state.items()}
    extra = {"head.weight": torch.zeros(1000, 96), "head.bias": torch.zeros(1000)}
    derived = {
        "layers.0.blocks.0.attn.relative_position_index": torch.zeros(16, 16, dtype=torch.long),
        "layers.0.blocks.1.attn_mask": torch.zeros(4, 16, 16),
    }
    return {**renamed, **extra, **derived}


def timm(state: State) -> State:
    def move(key: str) -> str:
        found = re.match(r"layers\.(\d)\.downsample\.(.+)", key)
        return f"layers.{int(found[1]) + 1}.downsample.{found[2]}" if found else key

    renamed = {move(key).replace("mlp.linear", "mlp.fc"): value for key, value in state.items()}
    return {**renamed, "head.fc.weight": torch.zeros(1000, 96), "head.fc.bias": torch.zeros(1000)}


def hugging_face(state: State, prefix: str = "swin.") -> State:
    names = {
        "patch_embed.proj": "embeddings.patch_embeddings.projection",
        "patch_embed.norm": "embeddings.norm",
        "norm1": "layernorm_before",
        "norm2": "layernorm_after",
        "attn.proj": "attention.output.dense",
        "attn.relative_position_bias_table": "attention.self.relative_position_bias_table",
        "mlp.linear1": "intermediate.dense",
        "mlp.linear2": "output.dense",
    }
    result: State = {"classifier.weight": torch.zeros(1000, 96), "classifier.bias": torch.zeros(1000)}
    for key, value in state.items():
        if "attn.qkv" in key:
            for name, third in zip(("query", "key", "value"), value.chunk(3), strict=True):
                result[f"{prefix}encoder.{key.replace('attn.qkv', f'attention.self.{name}')}"] = third.clone()
            continue
        new = f"layernorm.{key[5:]}" if key.startswith("norm.") else key
        for ours, theirs in names.items():
            if not key.startswith("norm."):
                new = new.replace(ours, theirs)
        result[prefix + ("encoder." if new.startswith("layers.") else "") + new] = value
    return result


def random_state() -> State:
    """Weights of the whole encoder, each entry known."""
    generator = torch.Generator().manual_seed(0)
    return {name: torch.randn(value.shape, generator=generator) for name, value in parameters(build()).items()}
