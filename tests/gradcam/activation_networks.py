# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""A small network of convolutions, whose maps can be worked out by hand."""

from __future__ import annotations

import torch
from torch import Tensor, nn


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
