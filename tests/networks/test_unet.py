# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""The U-Net, cut in two, is MONAI's BasicUNet; with a ResNet as its encoder it is MONAI's FlexibleUNet."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from monai.networks.nets import BasicUNet, FlexibleUNet
from networks_support import State, count, randomise, save, standardised

from monai_ich.networks import (
    KNOWN_WEIGHTS,
    PyramidUNetDecoder,
    ResNetPyramid,
    UNetPyramid,
    load_pretrained_encoder,
    unet_segmenter,
)
from monai_ich.networks.cnn_builders import UNET_ENCODERS
from monai_ich.utils.errors import ConfigurationError, PretrainedWeightsError


def from_basic_unet(state: State) -> State:
    """BasicUNet's keys to those of `unet_segmenter`."""
    renamed = {}
    for key, value in state.items():
        module, _, rest = key.partition(".")
        kind, _, number = module.partition("_")
        if kind == "conv":
            renamed[f"encoder.first.{rest}"] = value
        elif kind == "down":
            renamed[f"encoder.downs.{int(number) - 1}.{rest}"] = value
        elif kind == "upcat":
            renamed[f"heads.seg.ups.{int(number) - 1}.{rest}"] = value
        else:
            renamed[f"heads.seg.projection.{rest}"] = value
    return renamed


def test_numbers_are_those_of_basic_unet() -> None:
    theirs = BasicUNet(2, 1, 2, (16, 32, 64, 96, 128, 16), act=("relu", {"inplace": True}), norm="batch", bias=False)
    randomise(theirs)
    ours = unet_segmenter("demo")
    ours.load_state_dict(from_basic_unet(theirs.state_dict()))
    image = torch.rand(2, 1, 64, 96)
    torch.testing.assert_close(ours(image)["seg"], theirs(standardised(image)), rtol=1e-4, atol=1e-4)
    with torch.inference_mode():  # after a batch, with the running statistics that it moved
        torch.testing.assert_close(ours.eval()(image)["seg"], theirs.eval()(standardised(image)), rtol=1e-4, atol=1e-4)


def test_default_is_the_published_size() -> None:
    with torch.device("meta"):
        network = unet_segmenter()
        basic = BasicUNet(2, 1, 2, (64, 128, 256, 512, 1024, 64), norm="batch", bias=False)
    assert count(network) == count(basic)
    assert network.encoder.channels == (64, 128, 256, 512, 1024)


def test_the_decoder_uses_every_level() -> None:
    torch.manual_seed(0)
    decoder = PyramidUNetDecoder(2, (4, 8, 16)).eval()
    pyramid = [torch.rand(1, 4, 16, 16), torch.rand(1, 8, 8, 8), torch.rand(1, 16, 4, 4)]
    with torch.inference_mode():
        out = decoder(pyramid)
        for level in range(3):
            changed = [maps * 2 + 1 if at == level else maps for at, maps in enumerate(pyramid)]
            assert not torch.allclose(decoder(changed), out, atol=1e-4)


def test_sides_must_halve_evenly() -> None:
    assert UNetPyramid((4, 8, 16)).stride == 4
    with pytest.raises(ConfigurationError, match="multiples of 4 pixels, but 32 x 34 came"):
        UNetPyramid((4, 8, 16))(torch.zeros(1, 1, 32, 34))


def test_with_a_resnet_numbers_are_those_of_flexible_unet(tmp_path: Path) -> None:
    """MONAI's ResNet34 has shortcuts without parameters, so this is also the test that they are carried over."""
    theirs = FlexibleUNet(3, 2, "resnet34", spatial_dims=2).eval()
    randomise(theirs)
    ours = unet_segmenter("default", "resnet34").eval()
    encoder = save(tmp_path / "encoder.pt", theirs.encoder.state_dict())
    assert load_pretrained_encoder(ours, encoder, minimum_fraction=1.0).missing == ()
    ours.heads["seg"][0].load_state_dict(theirs.decoder.state_dict())
    ours.heads["seg"][1].load_state_dict(theirs.segmentation_head.state_dict())
    image = torch.rand(1, 3, 64, 96)
    with torch.inference_mode():
        torch.testing.assert_close(ours(image)["seg"], theirs(standardised(image)), rtol=1e-3, atol=1e-3)


def test_resnet50_is_that_of_flexible_unet_key_by_key() -> None:
    with torch.device("meta"):
        theirs, ours = FlexibleUNet(3, 2, "resnet50", spatial_dims=2), unet_segmenter("default", "resnet50")
    parts = {"encoder": "encoder", "decoder": "heads.seg.0", "segmentation_head": "heads.seg.1"}
    expected = {
        f"{own}.{key}": value.shape
        for part, own in parts.items()
        for key, value in getattr(theirs, part).state_dict().items()
    }
    assert {key: value.shape for key, value in ours.state_dict().items()} == expected


def test_the_stem_is_one_more_level_and_changes_no_other() -> None:
    torch.manual_seed(0)
    plain = ResNetPyramid("basic", (1, 1, 1, 1), (4, 8, 12, 16)).eval()
    stem = ResNetPyramid("basic", (1, 1, 1, 1), (4, 8, 12, 16), stem_level=True).eval()
    stem.load_state_dict(plain.state_dict())
    image = torch.rand(1, 3, 64, 96)
    with torch.inference_mode():
        levels = stem(image)
        assert torch.equal(levels[0], plain.bn1(plain.conv1(standardised(image))).relu())
        assert all(torch.equal(one, other) for one, other in zip(levels[1:], plain(image), strict=True))
    assert stem.channels == (4, *plain.channels) == tuple(level.shape[1] for level in levels)


def test_every_encoder_but_the_plain_one_has_imagenet_weights_of_its_name() -> None:
    assert UNET_ENCODERS == ("plain", "resnet34", "resnet50")
    assert {name: KNOWN_WEIGHTS[name] for name in UNET_ENCODERS[1:]} == {
        "resnet34": "hf://timm/resnet34.tv_in1k/model.safetensors",
        "resnet50": "hf://timm/resnet50.tv_in1k/model.safetensors",
    }


def test_what_does_not_go_together_is_refused_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigurationError, match=r"pretrained is 'w.pth': leave it out, or set unet_encoder to .*resnet"
    ):
        unet_segmenter("demo", pretrained="w.pth")
    with pytest.raises(
        ConfigurationError, match=r"one of \['plain', 'resnet34', 'resnet50'\].*Did you mean 'resnet34'"
    ):
        unet_segmenter("demo", "resnet43")
    weights = save(tmp_path / "w.pth", unet_segmenter("demo", "resnet50").encoder.state_dict())
    with pytest.raises(PretrainedWeightsError, match="another kind of block"):
        unet_segmenter("demo", "resnet34", weights)
