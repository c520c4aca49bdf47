# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""The EfficientNet encoder against Hugging Face, MONAI and torchvision's arithmetic; five layouts of its weights."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from efficientnet_layouts import Shapes, timm_shapes, torchvision_forward, torchvision_shapes
from monai.networks.nets import EfficientNetBN
from networks_support import State, count, randomise, save, standardised
from torch import nn
from transformers import EfficientNetConfig, EfficientNetForImageClassification, EfficientNetModel

from monai_ich.networks import EfficientNetPyramid, efficientnet_encoder, load_pretrained_encoder
from monai_ich.networks.layouts.efficientnet_layouts import EFFICIENTNET, canonical_key
from monai_ich.utils.errors import ConfigurationError, PretrainedWeightsError

SMALL = {"width": 0.5, "depth": 0.5}
# The hub's config of google/efficientnet-b3: the blocks of stride 2 that see odd sides at 300 pixels pad evenly.
B3 = EfficientNetConfig(
    width_coefficient=1.2, depth_coefficient=1.4, hidden_dim=1536, depthwise_padding=[5, 18], num_labels=1000
)


def random_state(shapes: Shapes) -> State:
    generator = torch.Generator().manual_seed(0)
    state = {}
    for key, shape in shapes.items():
        noise = torch.randn(shape, generator=generator)
        fan_in = noise[0].numel() if noise.ndim == 4 else 0
        state[key] = noise / fan_in**0.5 if fan_in else 1.0 + 0.2 * noise.clamp(-2, 2)
    return state


def test_b3_has_the_published_number_of_parameters() -> None:
    with torch.device("meta"):
        encoder = efficientnet_encoder("default")
        assert count(encoder) + count(nn.Linear(1536, 1000)) == 12_233_232  # torchvision's efficientnet_b3
    assert (encoder.channels, encoder.in_channels) == ((24, 32, 48, 136, 1536), 3)
    assert encoder.convention == "tensorflow"


def test_every_key_and_shape_of_b3_in_every_layout() -> None:
    with torch.device("meta"):
        ours = efficientnet_encoder("default").state_dict()
        monai = EfficientNetBN("efficientnet-b3", pretrained=False).state_dict()
        states = {
            "hugging_face": EfficientNetForImageClassification(B3).state_dict(),
            "monai": monai,
            "lukemelas": {canonical_key(key): value for key, value in monai.items()},
            "timm": {key: torch.empty(shape) for key, shape in timm_shapes(1.2, 1.4).items()},
            "torchvision": {key: torch.empty(shape) for key, shape in torchvision_shapes(1.2, 1.4).items()},
        }
    expected = {
        canonical_key(key): value.shape for key, value in ours.items() if not key.endswith("num_batches_tracked")
    }
    for layout, state in states.items():
        weights = EFFICIENTNET.convert(state)
        assert weights.layout == layout
        assert {key: value.shape for key, value in weights.tensors.items()} == expected, layout
        assert len(weights.unknown) == 2, "the classifier's weight and bias"


@pytest.mark.parametrize("through_file", [True, False])
def test_numbers_are_those_of_hugging_face(through_file: bool, tmp_path: Path) -> None:
    config = EfficientNetConfig(
        width_coefficient=0.5, depth_coefficient=0.5, hidden_dim=640, depthwise_padding=[2, 7]
    )  # at half the depth, the blocks that are 5 and 18 in b3
    theirs = EfficientNetModel(config).eval()
    randomise(theirs)
    weights = tmp_path / "model.safetensors"
    if through_file:
        theirs.save_pretrained(tmp_path)
    else:
        weights = save(tmp_path / "weights.pt", theirs.state_dict())
    ours = EfficientNetPyramid(**SMALL).eval()
    receipt = load_pretrained_encoder(ours, weights, minimum_fraction=1.0)
    assert (receipt.layout, receipt.missing, receipt.left_out) == ("hugging_face", (), ())
    image = torch.rand(2, 3, 64, 96)
    with torch.inference_mode():
        expected = theirs(standardised(image), output_hidden_states=True)
        got = ours(image)
    torch.testing.assert_close(got[-1], expected.last_hidden_state, rtol=1e-4, atol=1e-4)
    ends = [0, 1, 2, 6]  # blocks of depth one half: 1, 1, 1, 2, 2, 2, 1
    for level, block in zip(got[:-1], ends, strict=True):
        torch.testing.assert_close(level, expected.hidden_states[block + 1], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("layout", ["monai", "lukemelas"])
def test_numbers_are_those_of_monais_classifier(layout: str, tmp_path: Path) -> None:
    theirs = EfficientNetBN("efficientnet-b0", pretrained=False, num_classes=5).eval()
    randomise(theirs)
    rename = canonical_key if layout == "lukemelas" else str
    state = {rename(key): value for key, value in theirs.state_dict().items()}
    ours = EfficientNetPyramid(1.0, 1.0, image_size=224).eval()
    receipt = load_pretrained_encoder(ours, save(tmp_path / "w.pth", state), minimum_fraction=1.0)
    assert (receipt.layout, receipt.left_out) == (layout, ("_fc.weight", "_fc.bias"))
    image = torch.rand(2, 3, 64, 64)
    with torch.inference_mode():
        expected = theirs(standardised(image))
        torch.testing.assert_close(theirs._fc(ours(image)[-1].mean(dim=(2, 3))), expected, rtol=1e-4, atol=1e-4)


def test_the_convention_of_torchvision_gives_torchvisions_numbers(tmp_path: Path) -> None:
    state = random_state(torchvision_shapes(0.5, 0.5))
    ours = EfficientNetPyramid(**SMALL, convention="torchvision").eval()
    receipt = load_pretrained_encoder(ours, save(tmp_path / "w.pth", state), minimum_fraction=1.0)
    assert (receipt.layout, receipt.left_out) == ("torchvision", ("classifier.1.weight", "classifier.1.bias"))
    image = torch.rand(2, 3, 64, 96)
    with torch.inference_mode():
        expected = torchvision_forward(state, image, 0.5, 0.5)
        torch.testing.assert_close(ours(image)[-1], expected, rtol=1e-4, atol=1e-4)


def test_timms_names_are_torchvisions_in_the_same_order(tmp_path: Path) -> None:
    """Both publishers name the tensors in the order of computation, so a state can be renamed place by place."""
    timm, torchvision = timm_shapes(0.5, 0.5), torchvision_shapes(0.5, 0.5)
    assert list(timm.values()) == list(torchvision.values())
    state = random_state(timm)
    renamed = dict(zip(torchvision, state.values(), strict=True))
    one, other = (EfficientNetPyramid(**SMALL, convention="torchvision") for _ in range(2))
    receipt = load_pretrained_encoder(one, save(tmp_path / "timm.pth", {"model": state}), minimum_fraction=1.0)
    load_pretrained_encoder(other, save(tmp_path / "torchvision.pth", renamed), minimum_fraction=1.0)
    assert receipt.layout == "timm"
    assert "set `convention` accordingly" in receipt.summary()
    for key, value in one.state_dict().items():
        assert torch.equal(value, other.state_dict()[key]), key


def test_timm_loads_in_the_convention_of_its_tf_networks_too(tmp_path: Path) -> None:
    encoder = EfficientNetPyramid(**SMALL)
    weights = save(tmp_path / "timm.pth", random_state(timm_shapes(0.5, 0.5)))
    assert load_pretrained_encoder(encoder, weights).fraction == 1.0


@pytest.mark.parametrize(("layout", "wrong"), [("torchvision", "tensorflow"), ("hugging_face", "torchvision")])
def test_weights_of_the_other_convention_are_refused(layout: str, wrong: str, tmp_path: Path) -> None:
    if layout == "torchvision":
        state = random_state(torchvision_shapes(0.5, 0.5))
    else:
        state = EfficientNetModel(EfficientNetConfig(width_coefficient=0.5, depth_coefficient=0.5, hidden_dim=640))
        state = state.state_dict()
    encoder = EfficientNetPyramid(**SMALL, convention=wrong)
    before = {key: value.clone() for key, value in encoder.state_dict().items()}
    with pytest.raises(PretrainedWeightsError, match=rf"'{layout}'.*convention='{wrong}'.*set `convention`"):
        load_pretrained_encoder(encoder, save(tmp_path / "w.pth", state))
    assert all(torch.equal(value, before[key]) for key, value in encoder.state_dict().items())


def test_the_conventions_differ_in_padding_and_normalisation_only() -> None:
    tensorflow, torchvision = EfficientNetPyramid(), EfficientNetPyramid(convention="torchvision")
    assert tensorflow.state_dict().keys() == torchvision.state_dict().keys()

    def paddings(encoder: EfficientNetPyramid) -> list[tuple[int, ...]]:
        named = {name: m for name, m in encoder.named_modules() if isinstance(m, nn.ConstantPad2d | nn.ZeroPad2d)}
        return [tuple(m.padding) for name, m in named.items() if re.search(r"stem|depthwise", name)]

    strided = {0, 3, 6, 9, 19}  # stem, and the first blocks of four stacks, after 2 + 3 + 3 + 5 + 5 blocks
    for index, (one, other) in enumerate(zip(paddings(tensorflow), paddings(torchvision), strict=True)):
        assert len(set(other)) == 1
        assert (one == other) or index in strided
    assert paddings(tensorflow)[0] == (0, 1, 0, 1)
    assert paddings(torchvision)[0] == (1, 1, 1, 1)


def test_three_channels_are_summed_into_one(tmp_path: Path) -> None:
    weights = save(tmp_path / "w.pth", random_state(timm_shapes(0.5, 0.5)))
    grey, colour = EfficientNetPyramid(**SMALL, in_channels=1).eval(), EfficientNetPyramid(**SMALL).eval()
    assert load_pretrained_encoder(grey, weights).adapted == ("_conv_stem.weight",)
    load_pretrained_encoder(colour, weights)
    image = torch.rand(1, 1, 64, 64)
    with torch.inference_mode():
        torch.testing.assert_close(grey(image)[-1], colour(image)[-1], rtol=1e-3, atol=1e-3)


def test_unknown_convention_gets_a_suggestion() -> None:
    with pytest.raises(ConfigurationError, match="Did you mean 'torchvision'"):
        EfficientNetPyramid(convention="torchvison")


def test_another_size_is_refused(tmp_path: Path) -> None:
    weights = save(tmp_path / "b0.pth", random_state(torchvision_shapes(1.0, 1.0)))
    with pytest.raises(PretrainedWeightsError, match="at least 90%"):
        load_pretrained_encoder(EfficientNetPyramid(**SMALL, convention="torchvision"), weights)
