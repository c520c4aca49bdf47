# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Activation maps against their definitions worked out by hand with autograd, and against MONAI's."""

from __future__ import annotations

import pytest
import torch
from activation_networks import Convolutions
from monai.visualize import GradCAM, GradCAMpp
from torch import Tensor, nn
from torch.nn import functional as F

from monai_ich.gradcam import activation_maps
from monai_ich.networks import HeadOutput, MultiTaskNet


def by_definition(activations: Tensor, score: Tensor) -> Tensor:
    """The paper's equations 1 and 2 for activations (B, C, h, w) in the graph of a score, in plain loops."""
    gradient = torch.autograd.grad(score, activations)[0]
    maps = []
    for a, g in zip(activations.detach(), gradient, strict=True):
        total = torch.zeros(a.shape[1:])
        for channel in range(len(a)):
            total += g[channel].sum() / g[channel].numel() * a[channel]
        maps.append(torch.where(total > 0, total, torch.zeros(())))
    return torch.stack(maps)


def test_a_convolution_s_map_is_the_definition_s(convolutions: Convolutions, images: Tensor) -> None:
    hidden = torch.tanh(convolutions.first(images))
    features = convolutions.second(hidden)
    logits = convolutions.linear(F.relu(features).mean(dim=(2, 3)))
    for class_index in range(3):
        expected = by_definition(features, logits[:, class_index].sum())
        features = convolutions.second(hidden.detach())
        logits = convolutions.linear(F.relu(features).mean(dim=(2, 3)))
        got = activation_maps(convolutions, images, layer="second", class_index=class_index)
        torch.testing.assert_close(got.cells, expected)
        large = F.interpolate(expected[:, None], size=(12, 20), mode="bilinear", align_corners=False)[:, 0]
        torch.testing.assert_close(got.maps, large)
        torch.testing.assert_close(got.output, logits)
    assert expected.max() > 0


def test_hirescam_weighs_each_position_by_its_own_gradient(convolutions: Convolutions, images: Tensor) -> None:
    features = convolutions.second(torch.tanh(convolutions.first(images)))
    place = torch.linspace(0, 1, features.shape[-1])
    # reads one channel on the left and another on the right
    score = -(features[:, 0] * (1 - place) - features[:, 1] * place).sum()
    (gradient,) = torch.autograd.grad(score, features)
    products = [sum(g[c] * a[c] for c in range(len(a))) for a, g in zip(features.detach(), gradient, strict=True)]
    network = Readout(convolutions, place)
    got = activation_maps(network, images, layer="convolutions.second", class_index=0, method="hirescam").cells
    torch.testing.assert_close(got, torch.stack(products).clamp(min=0))
    assert got.max() > 0
    assert not torch.allclose(got, activation_maps(network, images, layer="convolutions.second", class_index=0).cells)


class Readout(nn.Module):
    """Reads the second layer's first two channels, weighed by the column."""

    def __init__(self, convolutions: Convolutions, place: Tensor) -> None:
        super().__init__()
        self.convolutions, self.place = convolutions, place

    def forward(self, x: Tensor) -> Tensor:
        maps = self.convolutions.second(torch.tanh(self.convolutions.first(x)))
        return -(maps[:, 0] * (1 - self.place) - maps[:, 1] * self.place).sum(dim=(1, 2))[:, None]


def test_the_negated_score_gives_what_speaks_against(convolutions: Convolutions, images: Tensor) -> None:
    features = convolutions.second(torch.tanh(convolutions.first(images)))
    score = -convolutions.linear(F.relu(features).mean(dim=(2, 3)))[:, 2].sum()
    got = activation_maps(convolutions, images, layer="second", class_index=2, sign=-1)
    torch.testing.assert_close(got.cells, by_definition(features, score))
    assert got.cells.max() > 0


def test_what_two_logits_share_does_not_count(convolutions: Convolutions, images: Tensor) -> None:
    features = convolutions.second(torch.tanh(convolutions.first(images)))
    logits = convolutions.linear(F.relu(features).mean(dim=(2, 3)))
    expected = by_definition(features, (logits[:, 1] - logits[:, 0]).sum())
    got = activation_maps(convolutions, images, layer="second", class_index=1, minus=0)
    torch.testing.assert_close(got.cells, expected)
    with torch.no_grad():
        convolutions.linear.weight[:2] += torch.rand(6)  # to both: the probabilities stay
    again = activation_maps(convolutions, images, layer="second", class_index=1, minus=0)
    torch.testing.assert_close(again.cells, got.cells, rtol=1e-4, atol=1e-6)
    assert got.cells.max() > 0


@pytest.mark.parametrize(("method", "reference"), [("gradcam", GradCAM), ("gradcam++", GradCAMpp)])
def test_maps_are_monai_s_up_to_a_factor(
    convolutions: Convolutions, images: Tensor, method: str, reference: type[GradCAM]
) -> None:
    """Slice by slice: in a batch, MONAI's Grad-CAM++ multiplies columns by other slices' scores."""
    got = activation_maps(convolutions, images, layer="second", class_index=1, method=method).cells
    for image, cells in zip(images, got, strict=True):
        theirs = reference(Convolutions_copy(convolutions), "second").compute_map(image[None], class_idx=1)[0, 0]
        assert theirs.max() > 0
        torch.testing.assert_close(cells / cells.max(), theirs.detach() / theirs.max())


def Convolutions_copy(network: Convolutions) -> Convolutions:  # noqa: N802
    """MONAI's hooks stay on the network for ever."""
    copy = Convolutions()
    copy.load_state_dict(network.state_dict())
    copy.relu.inplace = False
    return copy.eval()


def swin_by_hand(swin: MultiTaskNet, image: Tensor, stop: str) -> tuple[Tensor, Tensor]:
    """Runs the encoder block by block; returns the map of `stop` with channels first, and the logits."""
    encoder, kept = swin.encoder, {}
    x = encoder.patch_embed((image - 0.449) / 0.226).permute(0, 2, 3, 1)
    for stage, layer in enumerate(encoder.layers):
        for number, block in enumerate(layer.blocks):
            x = block(x)
            x = kept[f"layers.{stage}.blocks.{number}"] = x.permute(0, 3, 1, 2).contiguous()
            x = x.permute(0, 2, 3, 1)
        x = layer.downsample(x) if layer.downsample is not None else x
    x = kept["norm"] = encoder.norm(x).permute(0, 3, 1, 2).contiguous()
    return kept[stop], swin.heads["cls"].linear(x.mean(dim=(2, 3)))


@pytest.mark.parametrize("layer", ["norm", "layers.1.blocks.1", "layers.0.blocks.0"])
def test_a_swin_layer_s_map_is_the_definition_s(swin: MultiTaskNet, layer: str) -> None:
    image = torch.rand(2, 1, 32, 64, generator=torch.Generator().manual_seed(2))  # maps 8 x 16, then 4 x 8
    activations, logits = swin_by_hand(swin, image, layer)
    expected = by_definition(activations, logits[:, 1].sum())
    got = activation_maps(HeadOutput(swin, "cls"), image, layer=f"network.encoder.{layer}", class_index=1)
    assert got.cells.shape == ((2, 8, 16) if "layers.0" in layer else (2, 4, 8))
    torch.testing.assert_close(got.cells, expected, rtol=1e-4, atol=1e-7)
    assert got.cells.max() > 0


def test_an_encoder_stands_for_its_last_map(swin: MultiTaskNet) -> None:
    image = torch.rand(2, 1, 32, 64)
    head = HeadOutput(swin, "cls")
    whole, norm = (
        activation_maps(head, image, layer=f"network.{layer}", class_index=1).cells
        for layer in ("encoder", "encoder.norm")
    )
    torch.testing.assert_close(whole, norm)


def test_after_the_norm_the_signed_map_s_mean_is_the_logit(swin: MultiTaskNet) -> None:
    """What makes it the default: the classifier's own sum, position by position; both signs put together again."""
    image = torch.rand(2, 1, 32, 64)
    head = HeadOutput(swin, "cls")
    favour, against = (
        activation_maps(head, image, layer="network.encoder.norm", class_index=1, sign=sign) for sign in (1, -1)
    )
    cells = favour.cells.shape[1] * favour.cells.shape[2]
    mean_of_sums = (favour.cells - against.cells).sum(dim=(1, 2))  # gradients are 1 / cells each
    torch.testing.assert_close(mean_of_sums, favour.output[:, 1] - swin.heads["cls"].linear.bias[1])
    assert cells == 32


def test_before_the_norm_the_evidence_is_what_the_norm_removes(swin: MultiTaskNet) -> None:
    """A LayerNorm's gradient is orthogonal to its input: on a map of one position nothing of the logit is left."""
    image = torch.rand(4, 1, 8, 8, generator=torch.Generator().manual_seed(3))
    head = HeadOutput(swin, "cls")
    before, after = (
        torch.maximum(
            *(
                activation_maps(head, image, layer=f"network.encoder.{layer}", class_index=1, sign=sign).cells
                for sign in (1, -1)
            )
        )
        for layer in ("layers.1.blocks.1", "norm")
    )
    assert after.shape == (4, 1, 1)
    assert (before < 1e-2 * after).all()  # what is left is the norm's epsilon beside small variances
