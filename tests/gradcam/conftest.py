# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Networks and images that the tests of activation maps share."""

from __future__ import annotations

import pytest
import torch
from activation_networks import Convolutions
from torch import Tensor, nn

from monai_ich.networks import ClassificationHead, MultiTaskNet, SwinEncoder


@pytest.fixture
def convolutions() -> Convolutions:
    torch.manual_seed(0)
    return Convolutions()


@pytest.fixture
def images() -> Tensor:
    return torch.rand(3, 1, 12, 20, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def swin() -> MultiTaskNet:
    torch.manual_seed(0)
    encoder = SwinEncoder(in_channels=1, embed_dim=8, depths=(2, 2), num_heads=(1, 2), window_size=4)
    nn.init.normal_(encoder.norm.weight, 1, 0.5)
    nn.init.normal_(encoder.norm.bias, 0, 0.5)
    return MultiTaskNet(encoder, {"cls": ClassificationHead(16, 2)}).eval()
