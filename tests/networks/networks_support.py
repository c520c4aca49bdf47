# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""What the tests of networks share."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

State = dict[str, Tensor]


def count(module: nn.Module) -> int:
    """Number of parameters."""
    return sum(parameter.numel() for parameter in module.parameters())


def standardised(image: Tensor) -> Tensor:
    """Images in [0, 1] as networks with ImageNet's weights expect them, in grey: averages of the published figures."""
    mean = round((0.485 + 0.456 + 0.406) / 3, 3)
    deviation = round((0.229 + 0.224 + 0.225) / 3, 3)
    return (image - mean) / deviation


def randomise(module: nn.Module) -> None:
    """Random parameters and running statistics, such that maps stay of a size through a deep network."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in module.parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            fan_in = parameter[0].numel() if parameter.ndim > 1 else 0
            parameter.copy_(noise / fan_in**0.5 if fan_in else 1.0 + 0.2 * noise)
        for name, buffer in module.named_buffers():
            if name.endswith("running_mean"):
                buffer.copy_(0.2 * torch.randn(buffer.shape, generator=generator))
            elif name.endswith("running_var"):
                buffer.copy_(0.5 + torch.rand(buffer.shape, generator=generator))


def save(path: Path, content: object) -> Path:
    """Saves a checkpoint and returns its path."""
    torch.save(content, path)
    return path
