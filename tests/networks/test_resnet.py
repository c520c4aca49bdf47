# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""The ResNet encoder against Hugging Face's independent implementation, and its published weights' layouts."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from networks_support import State, count, randomise, save, standardised
from torch import nn
from transformers import ResNetConfig, ResNetForImageClassification, ResNetModel

from monai_ich.networks import ResNetPyramid, load_pretrained_encoder, resnet_classifier, resnet_encoder
from monai_ich.networks.layouts.resnet_layouts import RESNET
from monai_ich.utils.errors import PretrainedWeightsError

SMALL = {"layers": (1, 2, 3, 1), "planes": (4, 8, 16, 24)}


def torchvision_shapes(layers: tuple[int, ...], planes: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
    """Keys and shapes of a bottleneck ResNet as torchvision and timm publish it, by the rule of its naming."""

    def norm(name: str, channels: int) -> dict[str, tuple[int, ...]]:
        parameters = {f"{name}.{part}": (channels,) for part in ("weight", "bias", "running_mean", "running_var")}
        return {**parameters, f"{name}.num_batches_tracked": ()}

    shapes = {"conv1.weight": (planes[0], 3, 7, 7), **norm("bn1", planes[0])}
    incoming = planes[0]
    for stage, (blocks, width) in enumerate(zip(layers, planes, strict=True), start=1):
        for block in range(blocks):
            name = f"layer{stage}.{block}"
            for index, (out, into, side) in enumerate(
                [(width, incoming, 1), (width, width, 3), (4 * width, width, 1)], start=1
            ):
                shapes[f"{name}.conv{index}.weight"] = (out, into, side, side)
                shapes |= norm(f"{name}.bn{index}", out)
            if block == 0:
                shapes[f"{name}.downsample.0.weight"] = (4 * width, incoming, 1, 1)
                shapes |= norm(f"{name}.downsample.1", 4 * width)
            incoming = 4 * width
    return {**shapes, "fc.weight": (1000, incoming), "fc.bias": (1000,)}


def torchvision_state() -> State:
    generator = torch.Generator().manual_seed(0)
    return {
        key: torch.rand(shape, generator=generator) + 0.5
        for key, shape in torchvision_shapes(SMALL["layers"], SMALL["planes"]).items()
    }


def test_resnet152_has_the_published_number_of_parameters() -> None:
    with torch.device("meta"):
        encoder = resnet_encoder("default")
        assert count(encoder) + count(nn.Linear(2048, 1000)) == 60_192_808  # torchvision's resnet152
    assert encoder.channels == (256, 512, 1024, 2048)
    assert encoder.in_channels == 3


@pytest.mark.parametrize("through_file", [True, False])
def test_numbers_are_those_of_hugging_face(through_file: bool, tmp_path: Path) -> None:
    config = ResNetConfig(embedding_size=4, hidden_sizes=[16, 32, 64, 96], depths=list(SMALL["layers"]))
    theirs = ResNetModel(config).eval()
    randomise(theirs)
    weights = tmp_path / "model.safetensors"
    if through_file:
        theirs.save_pretrained(tmp_path)
    else:
        weights = save(tmp_path / "weights.pt", theirs.state_dict())
    ours = ResNetPyramid(**SMALL).eval()
    receipt = load_pretrained_encoder(ours, weights, minimum_fraction=1.0)
    assert (receipt.layout, receipt.missing, receipt.left_out) == ("hugging_face", (), ())
    image = torch.rand(2, 3, 64, 96)
    with torch.inference_mode():
        expected = theirs(standardised(image), output_hidden_states=True).hidden_states[1:]
        for level, reference in zip(ours(image), expected, strict=True):
            torch.testing.assert_close(level, reference, rtol=1e-4, atol=1e-4)


def test_every_key_and_shape_of_resnet152_in_every_layout() -> None:
    with torch.device("meta"):
        ours = resnet_encoder("default").state_dict()
        config = ResNetConfig(depths=[3, 8, 36, 3], num_labels=1000)
        hugging_face = ResNetForImageClassification(config).state_dict()
        shapes = torchvision_shapes((3, 8, 36, 3), (64, 128, 256, 512))
        torchvision = {key: torch.empty(shape) for key, shape in shapes.items()}
    expected = {key: value.shape for key, value in ours.items() if not key.endswith("num_batches_tracked")}
    for state, head in ((hugging_face, "classifier.1"), (torchvision, "fc")):
        weights = RESNET.convert(state)
        assert {key: value.shape for key, value in weights.tensors.items()} == expected
        assert weights.unknown == [f"{head}.weight", f"{head}.bias"]


def test_torchvisions_weights_and_statistics_are_loaded(tmp_path: Path) -> None:
    state = torchvision_state()
    encoder = ResNetPyramid(**SMALL)
    receipt = load_pretrained_encoder(encoder, save(tmp_path / "resnet.pth", {"state_dict": state}))
    assert (receipt.layout, receipt.fraction, receipt.left_out) == ("torchvision", 1.0, ("fc.weight", "fc.bias"))
    assert "layer3.2.bn1.running_var" in receipt.loaded
    for key, value in encoder.state_dict().items():
        if not key.endswith("num_batches_tracked"):
            assert torch.equal(value, state[key]), key


def test_one_channel_sees_grey_as_three_do(tmp_path: Path) -> None:
    weights = save(tmp_path / "w.pth", torchvision_state())
    grey, colour = ResNetPyramid(**SMALL, in_channels=1).eval(), ResNetPyramid(**SMALL).eval()
    assert load_pretrained_encoder(grey, weights).adapted == ("conv1.weight",)
    load_pretrained_encoder(colour, weights)
    image = torch.rand(1, 1, 64, 64)
    with torch.inference_mode():
        torch.testing.assert_close(grey(image)[0], colour(image)[0], rtol=1e-3, atol=1e-3)


def without_statistics(state: State) -> State:
    return {key: value for key, value in state.items() if "running" not in key}


def with_deep_stem(state: State) -> State:
    """As the variants of timm whose names end in d: three small convolutions first."""
    rest = {key: value for key, value in state.items() if key != "conv1.weight"}
    return {"conv1.0.weight": torch.zeros(2, 3, 3, 3), **rest}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (without_statistics, ["bn1 without its running_mean", "with its buffers"]),
        (with_deep_stem, ["first layer does not fit conv1.weight", "another variant of ResNet"]),
        (lambda state: {k: v for k, v in state.items() if "layer3" not in k}, ["at least 90%", "not filled (layer3"]),
        (lambda state: {"features.0.0.weight": torch.zeros(1)}, ["give a ResNet checkpoint", "features.0.0.weight"]),
    ],
)
def test_what_does_not_fit_is_refused_and_changes_nothing(change, words: list[str], tmp_path: Path) -> None:
    encoder = ResNetPyramid(**SMALL)
    before = {key: value.clone() for key, value in encoder.state_dict().items()}
    with pytest.raises(PretrainedWeightsError) as caught:
        load_pretrained_encoder(encoder, save(tmp_path / "w.pth", change(torchvision_state())))
    assert all(word in str(caught.value) for word in words), caught.value
    assert all(torch.equal(value, before[key]) for key, value in encoder.state_dict().items())


def test_the_classifier_takes_the_weights_of_its_encoder(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    torch.manual_seed(0)
    source = resnet_classifier("demo")
    caplog.set_level("INFO")
    network = resnet_classifier("demo", pretrained=save(tmp_path / "w.pth", source.state_dict()))
    assert "100.0% of the weights" in caplog.text
    for key, value in network.encoder.state_dict().items():
        assert torch.equal(value, source.encoder.state_dict()[key]), key
