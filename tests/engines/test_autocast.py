# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Precision is chosen by the hardware, and outputs come back in float32."""

from __future__ import annotations

import pytest
import torch

from monai_ich.engines import AutocastInferer
from monai_ich.engines.autocast import resolve_precision

CPU = torch.device("cpu")


class _Net(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(8, 2)
        self.seen: torch.dtype | None = None

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        y = self.layer(x)
        self.seen = y.dtype
        return {"cls": y}


@pytest.mark.parametrize(("precision", "dtype"), [("float32", torch.float32), ("bfloat16", torch.bfloat16)])
def test_the_network_computes_in_the_precision_asked_for(precision: str, dtype: torch.dtype) -> None:
    network, x = _Net(), torch.rand(3, 8)
    outputs = AutocastInferer(precision, CPU)(x, network)
    assert network.seen is dtype
    assert outputs["cls"].dtype is torch.float32
    torch.testing.assert_close(outputs["cls"], network.layer(x), atol=2e-2, rtol=2e-2)


@pytest.mark.parametrize(
    ("capabilities", "dtype"),
    [
        ({"amx_bf16": True, "cpu_name": "Intel(R) Xeon(R)"}, torch.bfloat16),
        ({"avx512_bf16": True, "amx_bf16": False, "cpu_name": "Intel(R) Xeon(R)"}, torch.float32),
        ({"avx512_bf16": True, "amx_bf16": False, "cpu_name": "AMD EPYC"}, torch.bfloat16),
        ({"avx512_bf16": False, "cpu_name": "AMD EPYC"}, torch.float32),
        ({"avx512_bf16": True}, torch.float32),
        ({}, torch.float32),
    ],
)
def test_auto_follows_the_processor(
    monkeypatch: pytest.MonkeyPatch, capabilities: dict[str, bool | str], dtype: torch.dtype
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    assert resolve_precision("auto", CPU) is dtype


def test_another_precision_is_refused() -> None:
    with pytest.raises(ValueError, match="auto, float32 or bfloat16, got 'fp8'"):
        resolve_precision("fp8", CPU)
