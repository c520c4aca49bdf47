# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Activation maps against a planted place: an artificial network's, and a trained one's."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from monai_ich.gradcam import activation_maps
from monai_ich.networks import ClassificationHead, HeadOutput, MultiTaskNet, SwinEncoder, UNetPyramid


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
