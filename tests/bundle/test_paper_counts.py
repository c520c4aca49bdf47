# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""The numbers of parameters in tests/bundle/paper_recipe.py, by arithmetic from the papers and published counts."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from paper_recipe import TABLE


def _swin_blocks(depths: tuple[int, ...], embed_dim: int, heads: tuple[int, ...]) -> int:
    """Two norms, qkv with bias, projection, (2 x 7 - 1)^2 biases a head, and an MLP of four times the channels."""
    dims = [embed_dim * 2**stage for stage in range(len(depths))]
    each = [
        4 * d + (3 * d * d + 3 * d) + (d * d + d) + 13 * 13 * h + (8 * d * d + 5 * d)
        for d, h in zip(dims, heads, strict=True)
    ]
    return sum(depth * one for depth, one in zip(depths, each, strict=True))


def _swin_encoder_count(depths: tuple[int, ...], embed_dim: int = 96) -> int:
    embedding = 4 * 4 * 3 * embed_dim + embed_dim + 2 * embed_dim
    merging = sum(4 * d * 2 * d + 2 * 4 * d for d in (embed_dim, 2 * embed_dim, 4 * embed_dim))
    return embedding + _swin_blocks(depths, embed_dim, (3, 6, 12, 24)) + merging + 2 * 8 * embed_dim


def _swin_decoder_count(depths: tuple[int, ...], channels: int, embed_dim: int = 96) -> int:
    dims = (embed_dim, 2 * embed_dim, 4 * embed_dim)
    expansions = sum(2 * d * 4 * d + 2 * d for d in dims)
    reductions = sum(2 * d * d + d for d in dims)
    last = 2 * embed_dim + embed_dim * 16 * embed_dim + 2 * embed_dim + embed_dim * channels
    return expansions + reductions + _swin_blocks(depths, embed_dim, (3, 6, 12)) + last


def _two_convolutions(before: int, after: int) -> int:
    """3 x 3 without bias, each followed by a normalisation."""
    return 9 * before * after + 2 * after + 9 * after * after + 2 * after


def _unet_encoder_count() -> int:
    channels = (1, 64, 128, 256, 512, 1024)
    return sum(_two_convolutions(before, after) for before, after in pairwise(channels))


def _unet_decoder_count(classes: int) -> int:
    """Transposed convolutions halve the channels, but for the last: MONAI's BasicUNet keeps 128 there."""
    levels = ((1024, 512, 512), (512, 256, 256), (256, 128, 128), (128, 128, 64))  # below, brought up, beside
    return (
        64 * classes
        + classes
        + sum(4 * below * up + up + _two_convolutions(up + beside, beside) for below, up, beside in levels)
    )


def _count(values: dict[str, Any]) -> tuple[int, int]:
    """The parameters of a row of the literal table, and the frozen ones, by arithmetic from its other values."""
    published = {"ResNetPyramid": 60_192_808 - (2048 + 1) * 1000, "EfficientNetPyramid": 12_233_232 - (1536 + 1) * 1000}

    def encoder(part: dict[str, Any]) -> int:
        if part["kind"] == "SwinEncoder":
            return _swin_encoder_count(part["depths"])
        return _unet_encoder_count() if part["kind"] == "UNetPyramid" else published[part["kind"]]

    frozen = encoder(values["frozen_encoder"]) if "frozen_encoder" in values else 0
    total = frozen + encoder(values["encoder"])
    for part in values.get("decoders", {}).values():
        swin = part["kind"] == "SwinDecoder"
        channels = part["out_channels"]
        total += _swin_decoder_count(part["depths"], channels) if swin else _unet_decoder_count(channels)
    if "classifier" in values:
        total += (values["classifier"]["width"] + 1) * 2
    return total, frozen


def test_the_literal_counts_of_parameters_are_those_of_arithmetic_and_of_publications() -> None:
    """Published: Swin-T, ResNet152 and EfficientNet-b3 with 1000 classes; Swin-Unet with 9, 27.17 M."""
    assert _swin_encoder_count((2, 2, 6, 2)) + (768 + 1) * 1000 == 28_288_354
    assert round((_swin_encoder_count((2, 2, 2, 2)) + _swin_decoder_count((2, 2, 2), 9)) / 1e6, 2) == 27.17
    for row, values in TABLE.items():
        assert _count(values) == (values["parameters"], values.get("frozen_parameters", 0)), row
