# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Pretrained encoders: four layouts of one model, what does not fit, mirroring, and the receipt."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from monai.networks.nets.swin_unetr import SwinTransformer
from networks_support import State, save, standardised
from safetensors.torch import save_file
from swin_layouts import SHAPE, build, hugging_face, official, parameters, random_state, timm

from monai_ich.networks import MultiTaskNet, SwinDecoder, load_pretrained_encoder
from monai_ich.networks.layouts.swin_layouts import resample_bias_table


@pytest.fixture(scope="module")
def source() -> State:
    return random_state()


@pytest.mark.parametrize(
    ("layout", "content"),
    [
        ("official", lambda state: {"model": official(state), "epoch": 299}),
        ("timm", timm),
        ("hugging_face", hugging_face),
        ("monai", lambda state: {"state_dict": {f"encoder.{key}": value for key, value in state.items()}}),
    ],
)
def test_every_layout_of_one_model_gives_the_same_encoder(layout: str, content, source: State, tmp_path: Path) -> None:
    encoder = build()
    receipt = load_pretrained_encoder(encoder, save(tmp_path / "weights.pth", content(source)), minimum_fraction=1.0)
    assert receipt.layout == layout
    assert (receipt.fraction, receipt.missing, receipt.mismatched, receipt.interpolated) == (1.0, (), (), ())
    assert all("head" in key or "classifier" in key for key in receipt.left_out)
    assert len(receipt.left_out) == (0 if layout == "monai" else 2)
    for name, value in parameters(encoder).items():
        assert torch.equal(value, source[name]), name


def test_safetensors_and_the_layout_of_monais_own_network(tmp_path: Path) -> None:
    settings = {"window_size": (4, 4), "patch_size": (4, 4), "depths": (2, 2, 4, 2), "patch_norm": True, **SHAPE}
    theirs = SwinTransformer(3, spatial_dims=2, **settings).eval()
    state = {f"swinViT.{key}": value.contiguous() for key, value in theirs.state_dict().items()}
    save_file(state, tmp_path / "w.safetensors")
    encoder = build().eval()
    receipt = load_pretrained_encoder(encoder, tmp_path / "w.safetensors")
    assert (receipt.layout, receipt.missing) == ("monai", ("norm.weight", "norm.bias"))
    image = torch.rand(1, 3, 128, 128)
    theirs.layers3[0].downsample = None  # MONAI returns what comes after patch merging, ours what comes before
    with torch.inference_mode():
        expected = theirs.patch_embed(standardised(image))
        for stage in (theirs.layers1, theirs.layers2, theirs.layers3):
            expected = stage[0](expected)
        torch.testing.assert_close(encoder(image)[2], expected, rtol=1e-4, atol=1e-4)


def test_shallower_network_takes_the_first_blocks_of_each_stage(source: State, tmp_path: Path) -> None:
    encoder = build(depths=(2, 2, 2, 2))
    receipt = load_pretrained_encoder(encoder, save(tmp_path / "w.pth", official(source)), minimum_fraction=1.0)
    for name, value in parameters(encoder).items():
        assert torch.equal(value, source[name]), name
    blocks = {re.match(r"layers\.2\.blocks\.\d", key)[0] for key in receipt.left_out if not key.startswith("head.")}
    assert blocks == {"layers.2.blocks.2", "layers.2.blocks.3"}
    assert "left out (head.weight" in receipt.summary()


def test_three_channels_are_summed_into_one(source: State, tmp_path: Path) -> None:
    grey, colour = build(in_channels=1).eval(), build().eval()
    weights = save(tmp_path / "w.pth", timm(source))
    receipt = load_pretrained_encoder(grey, weights)
    load_pretrained_encoder(colour, weights)
    assert receipt.adapted == ("patch_embed.proj.weight",)
    torch.testing.assert_close(grey.patch_embed.proj.weight[:, 0], source["patch_embed.proj.weight"].sum(1))
    image = torch.rand(1, 1, 64, 64)
    with torch.inference_mode():
        torch.testing.assert_close(grey(image)[0], colour(image)[0], rtol=1e-3, atol=1e-3)


def test_one_channel_is_spread_over_three(source: State, tmp_path: Path) -> None:
    state = {**source, "patch_embed.proj.weight": source["patch_embed.proj.weight"][:, :1]}
    encoder = build()
    load_pretrained_encoder(encoder, save(tmp_path / "w.pth", state))
    expected = state["patch_embed.proj.weight"].expand(-1, 3, -1, -1) / 3
    torch.testing.assert_close(encoder.patch_embed.proj.weight.detach(), expected)


def cubic(distance: float) -> float:
    """Cubic convolution with a = -0.75 (Keys 1981), the kernel that `bicubic` names in PyTorch."""
    d, a = abs(distance), -0.75
    if d <= 1:
        return (a + 2) * d**3 - (a + 3) * d**2 + 1
    return a * d**3 - 5 * a * d**2 + 8 * a * d - 4 * a if d < 2 else 0.0


def test_bias_table_of_another_window_is_resampled_bicubically(source: State, tmp_path: Path) -> None:
    encoder = build(window_size=3)  # from windows of 4: tables of 7 x 7 become 5 x 5
    receipt = load_pretrained_encoder(encoder, save(tmp_path / "w.pth", official(source)))
    assert len(receipt.interpolated) == 10
    assert "10 bias tables resampled" in receipt.summary()
    key = "layers.1.blocks.1.attn.relative_position_bias_table"
    old = source[key].view(7, 7, 2).double()
    matrix = torch.zeros(5, 7, dtype=torch.double)
    for new_at in range(5):
        centre = (new_at + 0.5) * 7 / 5 - 0.5
        for tap in range(int(centre // 1) - 1, int(centre // 1) + 3):
            matrix[new_at, min(max(tap, 0), 6)] += cubic(centre - tap)
    expected = torch.einsum("iy,jx,yxh->ijh", matrix, matrix, old).reshape(25, 2).float()
    torch.testing.assert_close(encoder.get_parameter(key).detach(), expected, rtol=1e-4, atol=1e-4)
    assert resample_bias_table(torch.full((169, 3), 2.0), 49).shape == (49, 3)


def with_decoders() -> MultiTaskNet:
    depths = (2, 2, 4, 2)
    heads = {task: SwinDecoder(1, depths=depths, window_size=4, **SHAPE) for task in ("seg", "rec")}
    return MultiTaskNet(build(), heads)


def test_encoder_stages_are_mirrored_into_every_decoder(source: State, tmp_path: Path) -> None:
    network = with_decoders()
    receipt = load_pretrained_encoder(network, save(tmp_path / "w.pth", official(source)))
    stages = {f"heads.{task}.stages.{level}" for task in ("seg", "rec") for level in range(3)}
    assert {key[: key.index(".blocks")] for key in receipt.mirrored} == stages
    assert len(receipt.mirrored) == 2 * (2 + 2 + 4) * 13  # 13 parameters a block
    for key in receipt.mirrored:
        level, rest = re.match(r"heads\.\w+\.stages\.(\d)\.(.+)", key).groups()
        assert torch.equal(network.get_parameter(key), source[f"layers.{level}.{rest}"]), key


def test_mirroring_can_be_switched_off(source: State, tmp_path: Path) -> None:
    network = with_decoders()
    before = parameters(network.heads)
    receipt = load_pretrained_encoder(network, save(tmp_path / "w.pth", official(source)), mirror=False)
    assert receipt.mirrored == ()
    assert all(torch.equal(value, before[name]) for name, value in parameters(network.heads).items())


def test_the_fraction_is_of_parameters_and_can_be_lowered(source: State, tmp_path: Path) -> None:
    network = build()
    state = {key: value for key, value in source.items() if not key.startswith("layers.3.")}
    lost = sum(source[key].numel() for key in source.keys() - state.keys())
    receipt = load_pretrained_encoder(network, save(tmp_path / "w.pth", state), minimum_fraction=0.1)
    assert receipt.fraction == pytest.approx(1 - lost / sum(value.numel() for value in source.values()))
    assert set(receipt.missing) == source.keys() - state.keys()
