# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""ResNets for volumes in a network for slices: its answers are MONAI's 3-D ResNet's to a volume of equal slices."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from monai.networks.nets import ResNet
from networks_support import State, randomise, save, standardised

from monai_ich.networks import ResNetPyramid, load_pretrained_encoder

PLANES = (4, 8, 12, 16)
# The slices that a unit of the last stage sees: 195 here, fewer than those between the middle and the padded ends.
DEPTH = 256


def volume_resnet(block: str, shortcut_type: str, bias: bool) -> ResNet:
    """MONAI's, one block a stage, with random weights and statistics."""
    kwargs = {"shortcut_type": shortcut_type, "bias_downsample": bias, "feed_forward": False}
    network = ResNet(block, [1, 1, 1, 1], list(PLANES), 3, n_input_channels=1, conv1_t_stride=2, **kwargs)
    randomise(network)
    return network.eval()


@pytest.mark.parametrize("block", ["basic", "bottleneck"])
@pytest.mark.parametrize(("shortcut_type", "bias"), [("B", False), ("B", True), ("A", False)])
def test_answers_are_those_to_a_volume_of_equal_slices(
    block: str, shortcut_type: str, bias: bool, tmp_path: Path
) -> None:
    theirs = volume_resnet(block, shortcut_type, bias)
    state = {f"module.{key}": value for key, value in theirs.state_dict().items()}
    ours = ResNetPyramid(block, (1, 1, 1, 1), PLANES, in_channels=1).eval()
    weights = save(tmp_path / "resnet.pth", {"state_dict": state})
    receipt = load_pretrained_encoder(ours, weights, minimum_fraction=1.0)
    assert (receipt.left_out, receipt.missing, receipt.differences) == ((), (), ())
    kernels = sum(value.ndim == 5 for value in state.values())
    assert f"{kernels} kernels of a network for volumes summed over depth" in receipt.summary()
    shortcuts = 4 if block == "bottleneck" else 3
    assert (f"{shortcuts} biases of shortcuts taken into" in receipt.note) == bias
    assert (f"{shortcuts} shortcuts without parameters" in receipt.note) == (shortcut_type == "A")
    image = torch.rand(1, 1, 64, 64)
    with torch.inference_mode():
        volume = standardised(image)[:, :, None].expand(-1, -1, DEPTH, -1, -1)
        expected = theirs.maxpool(theirs.act(theirs.bn1(theirs.conv1(volume))))
        for stage, level in zip((theirs.layer1, theirs.layer2, theirs.layer3, theirs.layer4), ours(image), strict=True):
            expected = stage(expected)
            torch.testing.assert_close(level, expected[:, :, expected.shape[2] // 2], rtol=1e-4, atol=1e-4)


def test_an_inflated_network_comes_back_to_the_bit(tmp_path: Path) -> None:
    source = ResNetPyramid("basic", (1, 2, 1, 1), PLANES)
    randomise(source)
    depth = 4  # a power of two: dividing and summing are exact
    inflated: State = {
        key: value[:, :, None].expand(-1, -1, depth, -1, -1) / depth if value.ndim == 4 else value
        for key, value in source.state_dict().items()
    }
    encoder = ResNetPyramid("basic", (1, 2, 1, 1), PLANES)
    load_pretrained_encoder(encoder, save(tmp_path / "inflated.pth", inflated), minimum_fraction=1.0)
    for key, value in source.state_dict().items():
        if not key.endswith("num_batches_tracked"):
            assert torch.equal(encoder.state_dict()[key], value), key
