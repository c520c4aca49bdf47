# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""HiResCAM keeps what speaks for a class and drops what speaks against it, position by position."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from monai_ich.gradcam import activation_maps


class _Weighed(nn.Module):
    """A layer that passes its input on, and a score that weighs each position by a known factor."""

    def __init__(self, factors: Tensor) -> None:
        super().__init__()
        self.layer, self.factors = nn.Identity(), factors

    def forward(self, x: Tensor) -> Tensor:
        return (self.layer(x) * self.factors).sum(dim=(1, 2, 3))[:, None]


def test_what_speaks_against_the_class_is_zero_and_what_speaks_for_it_is_kept() -> None:
    image = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])
    factors = torch.tensor([[-1.0, 0.5], [0.0, 2.0]])
    favour, against = (
        activation_maps(_Weighed(factors), image, layer="layer", class_index=0, method="hirescam", sign=sign).cells
        for sign in (1, -1)
    )
    assert favour.tolist() == [[[0.0, 1.0], [0.0, 8.0]]]
    assert against.tolist() == [[[1.0, 0.0], [0.0, 0.0]]]
