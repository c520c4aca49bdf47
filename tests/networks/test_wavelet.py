# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""The Haar decomposition against PyWavelets and by hand, and the structure of the Wavelet CNN against its figure."""

from __future__ import annotations

import numpy as np
import pytest
import pywt
import torch
from torch import nn

from monai_ich.networks import HaarDecomposition, WaveletPyramid
from monai_ich.utils.errors import ConfigurationError


def test_sub_bands_are_those_of_pywavelets() -> None:
    image = torch.rand(2, 1, 32, 48, generator=torch.Generator().manual_seed(0))
    bands = HaarDecomposition(4)(image)
    for sample in range(2):
        approximation = image[sample, 0].double().numpy()
        for level, got in enumerate(bands, start=1):
            approximation, (horizontal, vertical, diagonal) = pywt.dwt2(approximation, "haar")
            expected = np.stack([approximation, vertical, horizontal, diagonal]) / 2**level
            np.testing.assert_allclose(got[sample].numpy(), expected, atol=1e-6)


def test_sub_bands_by_hand() -> None:
    image = torch.tensor([[1.0, 2.0, 0.0, 0.0], [3.0, 6.0, 0.0, 8.0], [4.0, 4.0, 1.0, 1.0], [4.0, 4.0, 5.0, 5.0]])
    first, second = HaarDecomposition(2)(image[None, None])
    assert first[0, 0].tolist() == [[3.0, 2.0], [4.0, 3.0]]  # (1+2+3+6)/4, 8/4; 16/4, (1+1+5+5)/4
    assert first[0, 1].tolist() == [[-1.0, -2.0], [0.0, 0.0]]  # left minus right
    assert first[0, 2].tolist() == [[-1.5, -2.0], [0.0, -2.0]]  # upper minus lower
    assert first[0, 3].tolist() == [[0.5, 2.0], [0.0, 0.0]]
    assert second[0, :, 0, 0].tolist() == [3.0, 0.5, -0.5, 0.0]  # of [[3, 2], [4, 3]]


def test_the_filters_are_fixed_and_exact_under_autocast() -> None:
    decomposition = HaarDecomposition(2)
    assert list(decomposition.parameters()) == []
    assert decomposition.state_dict() == {}
    image = torch.rand(1, 1, 16, 16)
    with torch.autocast("cpu", torch.bfloat16):
        rough = decomposition(image)
    assert all(torch.equal(a, b) for a, b in zip(rough, decomposition(image), strict=True))


def test_the_network_is_that_of_the_figure() -> None:
    with torch.device("meta"):
        encoder = WaveletPyramid()

    def convolutions(module: nn.Module) -> list[tuple[int, int, int, int]]:
        return [
            (m.in_channels, m.out_channels, m.kernel_size[0], m.stride[0])
            for m in module.modules()
            if isinstance(m, nn.Conv2d)
        ]

    assert [convolutions(stage) for stage in encoder.stages] == [
        [(4, 64, 3, 1), (64, 64, 3, 2)],
        [(256, 128, 3, 1), (128, 128, 3, 2)],  # 64 of the stage, 64 of its shortcut, 64 and 64 of the sub-bands
        [(512, 256, 3, 1), (256, 256, 3, 2)],
        [(1024, 512, 3, 1), (512, 512, 3, 2)],
    ]
    assert [convolutions(branch) for branch in encoder.branches] == [
        [(4, 64, 3, 1)],
        [(4, 64, 3, 1), (64, 128, 3, 1)],
        [(4, 64, 3, 1), (64, 128, 3, 1), (128, 256, 3, 1)],
    ]
    assert convolutions(encoder.shortcuts) == [(4, 64, 1, 2), (256, 128, 1, 2), (512, 256, 1, 2), (1024, 512, 1, 2)]
    assert convolutions(encoder.branch_shortcuts) == [(4, 64, 1, 1), (4, 128, 1, 1), (4, 256, 1, 1)]
    assert encoder.channels == (256, 512, 1024, 1024)


def test_every_level_of_detail_reaches_the_last_map() -> None:
    torch.manual_seed(0)
    encoder = WaveletPyramid((2, 4, 8, 16)).eval()
    image = torch.rand(1, 1, 64, 64)
    with torch.inference_mode():
        base = encoder(image)[-1]
        for side in (1, 2, 4, 8):  # a pattern that is a pure detail of one level
            rows = torch.arange(64) // side
            pattern = ((rows[:, None] + rows[None, :]) % 2) * 2.0 - 1.0
            assert not torch.allclose(encoder(image + pattern)[-1], base, atol=1e-3)


def test_one_channel_and_sides_of_32() -> None:
    encoder = WaveletPyramid((2, 4, 8, 16))
    assert encoder.stride == 32
    with pytest.raises(ConfigurationError, match=r"expects images of shape \(B, 1, H, W\)"):
        encoder(torch.zeros(1, 3, 64, 64))
    with pytest.raises(ConfigurationError, match="multiples of 32"):
        encoder(torch.zeros(1, 1, 64, 48))
