# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Grad-CAM against the definition worked out by hand with autograd, and against a planted place."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from monai.visualize import GradCAM, GradCAMpp
from torch import Tensor, nn
from torch.nn import functional as F

from monai_ich.networks import ClassificationHead, HeadOutput, MultiTaskNet, SwinEncoder, UNetPyramid
from monai_ich.utils.errors import ConfigurationError
from monai_ich.visualize import activation_maps
from monai_ich.visualize.gradcam import LayerGradients


class Convolutions(nn.Module):
    """Two convolutions, the second of stride 2 with an in-place ReLU after it, pooling, a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 4, 3, padding=1)
        self.second = nn.Conv2d(4, 6, 3, stride=2, padding=1)
        self.relu = nn.ReLU(inplace=True)
        self.dropout = nn.Dropout(0.5)
        self.linear = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.second(torch.tanh(self.first(x))))
        return self.linear(self.dropout(x.mean(dim=(2, 3))))


@pytest.fixture
def convolutions() -> Convolutions:
    torch.manual_seed(0)
    return Convolutions()


@pytest.fixture
def images() -> Tensor:
    return torch.rand(3, 1, 12, 20, generator=torch.Generator().manual_seed(1))


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


@pytest.fixture(scope="module")
def swin() -> MultiTaskNet:
    torch.manual_seed(0)
    encoder = SwinEncoder(in_channels=1, embed_dim=8, depths=(2, 2), num_heads=(1, 2), window_size=4)
    nn.init.normal_(encoder.norm.weight, 1, 0.5)
    nn.init.normal_(encoder.norm.bias, 0, 0.5)
    return MultiTaskNet(encoder, {"cls": ClassificationHead(16, 2)}).eval()


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


class Corner(nn.Module):
    """Its class is the brightness of one known place: of 4 x 4 patches' means, the one in row 0, column 2."""

    def __init__(self, channels_last: bool) -> None:
        super().__init__()
        self.patches = nn.Conv2d(1, 2, 4, stride=4, bias=False)
        nn.init.constant_(self.patches.weight, 1 / 16)
        self.norm = nn.Linear(2, 2, bias=False) if channels_last else nn.Identity()
        if channels_last:
            nn.init.eye_(self.norm.weight)
        self.channels_last = channels_last
        self.register_buffer("place", torch.zeros(4, 6))
        self.place[0, 4] = 1.0

    def forward(self, x: Tensor) -> Tensor:
        features = self.patches(x)
        if self.channels_last:
            features = self.norm(features.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        else:
            features = self.norm(features)
        return (features * self.place).sum(dim=(2, 3))


@pytest.mark.parametrize("channels_last", [False, True])
def test_a_planted_bright_place_is_found_and_not_its_mirror_images(channels_last: bool) -> None:
    image = torch.full((1, 1, 16, 24), 0.1)
    image[..., 0:4, 16:20] = 1.0  # row 0, column 4 of 4 x 6 patches: no flip and no transposition leaves it in place
    found = activation_maps(Corner(channels_last), image, layer="norm", class_index=1).maps[0]
    row, column = divmod(int(found.argmax()), 24)
    assert 0 <= row < 4
    assert 16 <= column < 20


@pytest.mark.parametrize("kind", ["unet", "swin"])
def test_a_trained_network_s_map_peaks_at_the_square_that_makes_the_class(kind: str) -> None:
    """Squares of either of two textures anywhere; the class is whether one of them is bright. Asymmetric images."""
    torch.manual_seed(0)
    encoder = (
        UNetPyramid((8, 16, 16))
        if kind == "unet"
        else SwinEncoder(1, embed_dim=16, depths=(1, 1), num_heads=(1, 1), window_size=4, drop_path_rate=0.0)
    )
    network = MultiTaskNet(encoder, {"cls": ClassificationHead(encoder.channels[-1], 2, standardise=True)})
    optimizer = torch.optim.AdamW(network.parameters(), 3e-3)
    for _ in range(60):
        image, label, _ = squares(16)
        loss = F.cross_entropy(network(image)["cls"], label)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    image, label, corners = squares(24)
    found = activation_maps(HeadOutput(network, "cls"), image, layer="network.encoder", class_index=1)
    positive = label == 1
    assert (found.output.argmax(1) == label).float().mean() > 0.9
    peaks = found.maps.flatten(1).argmax(1)
    hits = [
        top - 4 <= int(peak) // 64 < top + 12 and left - 4 <= int(peak) % 64 < left + 12
        for peak, (top, left) in zip(peaks[positive], corners[positive].tolist(), strict=True)
    ]
    assert sum(hits) >= 0.9 * len(hits)


def squares(count: int) -> tuple[Tensor, Tensor, Tensor]:
    """Images 32 x 64 of noise with a square of 8 pixels: bright in the second half, dark in the first."""
    image = 0.4 + 0.1 * torch.rand(count, 1, 32, 64)
    label = (torch.arange(count) >= count // 2).long()
    corners = torch.stack([torch.randint(0, 25, (count,)), torch.randint(0, 57, (count,))], dim=1)
    for number, (top, left) in enumerate(corners.tolist()):
        image[number, 0, top : top + 8, left : left + 8] = 1.0 if label[number] else 0.0
    return image, label, corners


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
