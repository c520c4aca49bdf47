# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""A file that does not fit is refused with what is different: one sentence for each kind of difference."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from networks_support import State, save
from swin_layouts import build, random_state
from torch import nn

from monai_ich.networks import ResNetPyramid, load_pretrained_encoder
from monai_ich.utils.errors import PretrainedWeightsError

PLANES = (4, 8, 12, 16)


def resnet(block: str = "basic", layers: tuple[int, ...] = (1, 1, 2, 1), width: int = 1) -> ResNetPyramid:
    return ResNetPyramid(block, layers, [width * plane for plane in PLANES])


def with_kernel(*shape: int) -> State:
    return {**resnet().state_dict(), "conv1.weight": torch.zeros(shape)}


def swin_for_volumes() -> State:
    state = random_state()
    return {**state, "patch_embed.proj.weight": state["patch_embed.proj.weight"][..., None].expand(-1, -1, -1, -1, 4)}


@pytest.mark.parametrize(
    ("content", "network", "sentence"),
    [
        (
            lambda: with_kernel(4, 3, 3, 3),
            resnet,
            "conv1.weight is (4, 3, 3, 3) in the file and (4, 3, 7, 7) in the network: another kernel size;",
        ),
        (
            lambda: with_kernel(4, 4, 7, 7),
            resnet,
            "conv1.weight is (4, 4, 7, 7) in the file and (4, 3, 7, 7) in the network: other input channels;",
        ),
        (
            lambda: with_kernel(4, 3, 7),
            resnet,
            "conv1.weight is (4, 3, 7) in the file and (4, 3, 7, 7) in the network: one axis more in the network;",
        ),
        (
            swin_for_volumes,
            build,
            "(12, 3, 4, 4, 4) in the file and (12, 3, 4, 4) in the network: one axis more in the file, as in networks",
        ),
        (
            lambda: resnet(layers=(1, 1, 1, 1)).state_dict(),
            lambda: resnet(layers=(1, 1, 3, 1)),
            "blocks of layer3: 1 in the file and 3 in the network: another depth;",
        ),
        (
            lambda: resnet(layers=(1, 2, 1, 1)).state_dict(),
            lambda: resnet(layers=(1, 1, 3, 1)),
            "blocks of layer2, layer3: 2, 1 in the file and 1, 3 in the network: another depth;",
        ),
        (
            lambda: resnet(width=2).state_dict(),
            resnet,
            "conv1.weight is (8, 3, 7, 7) in the file and (4, 3, 7, 7) in the network: another width (and so of ",
        ),
        (
            lambda: resnet().state_dict(),
            lambda: resnet("bottleneck"),
            "block 0 of layer1 in the file lacks bn3, conv3, downsample.0, downsample.1: another kind of block;",
        ),
        (
            lambda: resnet("bottleneck").state_dict(),
            resnet,
            "block 0 of layer1 in the file has bn3, conv3, downsample.0, downsample.1, which the network has not: an",
        ),
    ],
)
def test_the_refusal_says_what_is_different(
    content: Callable[[], State], network: Callable[[], nn.Module], sentence: str, tmp_path: Path
) -> None:
    with pytest.raises(PretrainedWeightsError) as caught:
        load_pretrained_encoder(network(), save(tmp_path / "w.pth", content()))
    assert sentence in str(caught.value)


def test_what_fits_has_no_differences(tmp_path: Path) -> None:
    receipt = load_pretrained_encoder(resnet(), save(tmp_path / "w.pth", resnet().state_dict()))
    assert receipt.differences == ()
    assert "in the network" not in receipt.summary()
