# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""The Swin encoder against Hugging Face's independent implementation, and its own contract."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from networks_support import standardised
from torch import Tensor, nn
from transformers import SwinConfig, SwinModel
from transformers.models.swin.modeling_swin import SwinStage as HuggingFaceStage

from monai_ich.networks import SwinEncoder, SwinStage, load_pretrained_encoder, mtl_swin_unet, swin_encoder
from monai_ich.utils.errors import ConfigurationError

DEPTHS = {"default": [2, 2, 2, 2], "tiny": [2, 2, 6, 2]}


def randomise(module: nn.Module) -> None:
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            parameter.copy_(noise * 0.04 + (1.0 if "norm" in name and name.endswith("weight") else 0.0))


def build_pair(size: str, folder: Path) -> tuple[SwinModel, SwinEncoder]:
    """Hugging Face's model with random weights, and ours with the same: through files, in both of its namings."""
    theirs = SwinModel(SwinConfig(depths=DEPTHS[size], drop_path_rate=0.0), add_pooling_layer=False).eval()
    randomise(theirs)
    if size == "tiny":
        theirs.save_pretrained(folder)
        weights = folder / "model.safetensors"
    else:
        weights = folder / "weights.pt"
        torch.save(theirs.state_dict(), weights)
    ours = swin_encoder(size)
    receipt = load_pretrained_encoder(ours, weights, minimum_fraction=1.0)
    assert (receipt.layout, receipt.missing, receipt.left_out) == ("hugging_face", (), ())
    return theirs, ours.eval()


def reference_pyramid(model: SwinModel, image: Tensor) -> list[Tensor]:
    maps: list[Tensor] = []
    hooks = [
        block.register_forward_hook(lambda _, __, out: maps.append(out[0]))
        for block in (layer.blocks[-1] for layer in model.encoder.layers)
    ]
    model(image)
    for hook in hooks:
        hook.remove()
    maps[-1] = model.layernorm(maps[-1])
    height, width = (side // 4 for side in image.shape[2:])
    return [
        level.transpose(1, 2).unflatten(2, (height // 2**stage, width // 2**stage)) for stage, level in enumerate(maps)
    ]


@pytest.mark.parametrize("size", ["default", "tiny"])
def test_encoder_has_the_numbers_of_hugging_face(size: str, tmp_path: Path) -> None:
    theirs, ours = build_pair(size, tmp_path)
    # 224: no padding, stage 4 is one unshifted window. 256: every stage is padded to windows of 7. 224 x 448: stage 4
    # is as low as the window, and is therefore not shifted along its width either.
    sides = [(224, 224), (256, 256), (224, 448)] if size == "default" else [(224, 224)]
    for height, width in sides:
        image = torch.randn(1, 3, height, width, generator=torch.Generator().manual_seed(height))
        with torch.inference_mode():
            # Hugging Face's layers keep a window once fitted, so each size gets a fresh copy.
            expected, got = reference_pyramid(copy.deepcopy(theirs), standardised(image)), ours(image)
        assert len(got) == 4
        assert expected[-1].std() > 0.1  # the comparison is not one of zeros
        for level, (one, other) in enumerate(zip(got, expected, strict=True)):
            torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4, msg=lambda m, at=level: f"level {at}: {m}")


@pytest.mark.parametrize(("height", "width"), [(4, 4), (4, 8)])
def test_map_smaller_than_the_window_agrees_with_a_window_of_its_size(height: int, width: int) -> None:
    # Official Swin and Hugging Face build such a stage with the smaller window from the start, and its smaller bias
    # table: the centre of ours.
    side = min(height, width)
    config = SwinConfig(embed_dim=12, window_size=side)
    theirs = HuggingFaceStage(config, 12, (height, width), 2, 3, [0.0, 0.0], None).eval()
    ours = SwinStage(12, 3, window_size=7, drop_path=(0.0, 0.0))
    randomise(ours)
    for mine, block in zip(ours.blocks, theirs.blocks, strict=True):
        table = mine.attn.relative_position_bias_table.data.view(13, 13, 3)
        centre = table[7 - side : 6 + side, 7 - side : 6 + side].reshape(-1, 3)
        block.attention.relative_position_bias.relative_position_bias_table.data = centre
        parts = zip("qkv", mine.attn.qkv.weight.chunk(3), mine.attn.qkv.bias.chunk(3), strict=True)
        for name, weight, bias in parts:
            linear = getattr(block.attention, f"{name}_proj")
            linear.weight.data, linear.bias.data = weight.data, bias.data
        modules = [
            (block.attention.o_proj, mine.attn.proj),
            (block.layernorm_before, mine.norm1),
            (block.layernorm_after, mine.norm2),
            (block.mlp.fc1, mine.mlp.linear1),
            (block.mlp.fc2, mine.mlp.linear2),
        ]
        for target, source in modules:
            target.load_state_dict(source.state_dict())
    x = torch.randn(2, height, width, 12)
    expected = theirs(x.flatten(1, 2), (height, width))[0].unflatten(1, (height, width))
    torch.testing.assert_close(ours(x)[0], expected, rtol=1e-4, atol=1e-4)


def test_swin_t_with_1000_classes_has_the_published_number_of_parameters() -> None:
    with torch.device("meta"):
        encoder, classifier = swin_encoder("tiny"), nn.Linear(768, 1000)
    count = sum(p.numel() for module in (encoder, classifier) for p in module.parameters())
    assert count == 28_288_354  # official Swin-T: "28M", 28.29 M in its model hub


def small(**changes: object) -> SwinEncoder:
    settings = {"in_channels": 1, "embed_dim": 12, "depths": (2, 2, 2, 2), "num_heads": (1, 2, 2, 4), "window_size": 4}
    return SwinEncoder(**{**settings, **changes})


def test_pyramid_runs_from_a_quarter_to_a_thirty_second() -> None:
    encoder = small().eval()
    got = encoder(torch.rand(2, 1, 96, 64))
    assert [tuple(level.shape) for level in got] == [(2, 12, 24, 16), (2, 24, 12, 8), (2, 48, 6, 4), (2, 96, 3, 2)]
    assert encoder.channels == (12, 24, 48, 96)
    assert encoder.stride == 32
    # Only the last level is normalised: its mean over channels is 0 and its variance 1.
    torch.testing.assert_close(got[-1].mean(1), torch.zeros(2, 3, 2), rtol=0, atol=1e-5)
    torch.testing.assert_close(got[-1].var(1, correction=0), torch.ones(2, 3, 2), rtol=0, atol=0.05)


def test_greyscale_is_repeated_to_the_channels_of_the_network() -> None:
    encoder, image = small(in_channels=3).eval(), torch.rand(1, 1, 64, 64)
    for one, other in zip(encoder(image), encoder(image.repeat(1, 3, 1, 1)), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        ((1, 1, 100, 100), ["multiples of 32", "100 x 100", "128 x 128"]),
        ((1, 1, 64, 48), ["64 x 48", "64 x 64"]),
        ((1, 1, 0, 32), ["0 x 32", "32 x 32"]),
        ((1, 2, 64, 64), ["(B, 1, H, W)", "(1, 2, 64, 64)", "in_channels"]),
        ((64, 64), ["(64, 64)", "channel axis"]),
    ],
)
def test_unfit_image_is_refused_with_the_remedy(shape: tuple[int, ...], words: list[str]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        small()(torch.zeros(shape))
    assert all(word in str(caught.value) for word in words), caught.value


def test_weights_start_as_official_swin_does() -> None:
    encoder = small()
    linear = encoder.layers[3].blocks[0].mlp.linear1
    assert 0.018 < linear.weight.std().item() < 0.022
    assert linear.bias.abs().max() == 0
    assert encoder.norm.weight.unique().tolist() == [1.0]
    assert encoder.layers[0].blocks[0].attn.relative_position_bias_table.std() > 0.01


def test_the_demo_starts_from_weights_that_keep_the_variance() -> None:
    torch.manual_seed(0)
    network = mtl_swin_unet("demo")
    linears = [module for module in network.modules() if isinstance(module, nn.Linear) and module.weight.numel() > 4000]
    assert len(linears) > 50
    for linear in linears:
        assert linear.weight.std().item() * linear.in_features**0.5 == pytest.approx(1, abs=0.1)
    with torch.inference_mode():
        first, *_ = network.encoder(torch.rand(2, 1, 128, 128))
    assert 0.5 < first.std().item() < 4  # the residual stream neither dies away nor explodes


def test_stochastic_depth_grows_through_the_encoder() -> None:
    rates = [getattr(b.drop_path, "drop_prob", 0.0) for layer in small(drop_path_rate=0.7).layers for b in layer.blocks]
    assert rates == pytest.approx([0.1 * block for block in range(8)])
