# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""What is explained is left as it was, batches and gradients do not matter, and what cannot be explained is refused."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from activation_networks import Convolutions
from torch import Tensor, nn

from monai_ich.gradcam import activation_maps
from monai_ich.gradcam.class_activation import LayerGradients
from monai_ich.networks import HeadOutput, MultiTaskNet, UNetPyramid
from monai_ich.utils.errors import ConfigurationError


def hooks_of(network: nn.Module) -> list[object]:
    kinds = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    return [hook for module in network.modules() for kind in kinds for hook in getattr(module, kind).values()]


@pytest.fixture(params=["good", "failing"])
def used(request: pytest.FixtureRequest, swin: MultiTaskNet) -> Iterator[MultiTaskNet]:
    """A network with parts in both modes and gradients of its own, that was explained, with success or not."""
    swin.train()
    swin.encoder.layers[0].eval()
    for parameter in swin.parameters():
        parameter.grad = torch.full_like(parameter, 7.0)
    frozen = swin.encoder.patch_embed.requires_grad_(False)
    layer = "network.encoder.norm" if request.param == "good" else "network.heads.cls.linear"
    head = HeadOutput(swin, "cls")
    if request.param == "good":
        activation_maps(head, torch.rand(1, 1, 32, 32), layer=layer, class_index=1)
    else:
        with pytest.raises(ConfigurationError, match=r"gives \(1, 2\), expected a map"):
            activation_maps(head, torch.rand(1, 1, 32, 32), layer=layer, class_index=1)
    yield swin
    frozen.requires_grad_(True)
    swin.zero_grad()
    swin.eval()


def test_the_network_is_left_as_it_was(used: MultiTaskNet) -> None:
    assert hooks_of(used) == []
    assert used.training
    assert used.encoder.layers[1].blocks[0].training
    assert not any(module.training for module in used.encoder.layers[0].modules())
    assert all((parameter.grad == 7.0).all() for parameter in used.parameters())
    trained = [name for name, parameter in used.named_parameters() if not parameter.requires_grad]
    assert all(name.startswith("encoder.patch_embed") for name in trained)


def test_maps_are_those_of_evaluation_mode_and_the_same_again(convolutions: Convolutions, images: Tensor) -> None:
    convolutions.train()
    first, second = (activation_maps(convolutions, images, layer="second", class_index=0) for _ in range(2))
    convolutions.eval()
    third = activation_maps(convolutions, images, layer="second", class_index=0)
    assert torch.equal(first.maps, second.maps)
    assert torch.equal(first.maps, third.maps)
    assert torch.equal(first.output, third.output)


def test_slices_of_a_batch_do_not_influence_one_another(swin: MultiTaskNet) -> None:
    image = torch.rand(3, 1, 32, 64)
    head = HeadOutput(swin, "cls")
    for method in ("gradcam", "gradcam++"):
        together, *alone = (
            activation_maps(head, part, layer="network.encoder.norm", class_index=1, method=method).maps
            for part in (image, *image.split(1))
        )
        torch.testing.assert_close(together, torch.cat(alone), rtol=1e-4, atol=1e-6)


def test_maps_can_be_made_without_gradients_enabled_and_carry_none(convolutions: Convolutions, images: Tensor) -> None:
    with torch.no_grad():
        quiet = activation_maps(convolutions, images, layer="second", class_index=0)
    loud = activation_maps(convolutions, images, layer="second", class_index=0)
    assert torch.equal(quiet.maps, loud.maps)
    assert not any(tensor.requires_grad for tensor in (loud.maps, loud.cells, loud.output))


def test_what_cannot_be_explained_is_refused_with_the_reason(swin: MultiTaskNet) -> None:
    head, image = HeadOutput(swin, "cls"), torch.rand(2, 1, 32, 32)

    def refused(layer: str, message: str, **settings: str) -> None:
        with pytest.raises(ConfigurationError, match=message):
            activation_maps(head, image, layer=layer, class_index=1, **settings)

    refused("network.encoder.nrm", "Did you mean 'network.encoder.norm'")
    refused("", "expected the name of a module")
    refused("network.encoder.norm", r"method: expected one of.*Did you mean 'gradcam'", method="gradcm")
    refused("network.encoder.layers.0", "gives tuple, expected a map")
    refused("network.encoder.layers.0.blocks.0.attn", "runs 0 times")
    assert hooks_of(head) == []


@pytest.mark.parametrize("frozen", [False, True])
def test_a_layer_that_the_score_does_not_depend_on_is_refused(frozen: bool) -> None:
    torch.manual_seed(0)
    encoder = UNetPyramid((4, 8)).requires_grad_(not frozen)
    network = nn.Sequential(encoder)

    class First(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encoder = encoder

        def forward(self, x: Tensor) -> Tensor:
            return self.encoder(x)[0].mean(dim=(2, 3))

    with pytest.raises(ConfigurationError, match="does not depend on encoder"):
        activation_maps(First(), torch.rand(1, 1, 16, 16), layer="encoder", class_index=0)
    assert hooks_of(network) == []


def test_gradients_begin_at_the_layer(convolutions: Convolutions, images: Tensor) -> None:
    """So a frozen layer is as good as any, and its input is not differentiated."""
    convolutions.requires_grad_(False)
    images.requires_grad_(True)
    _, (activation,), (gradient,) = LayerGradients(convolutions, "first")(images, class_idx=0)
    assert activation.shape == gradient.shape == (3, 4, 12, 20)
    assert gradient.abs().sum() > 0
    assert images.grad is None
