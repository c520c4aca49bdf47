# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Precision is chosen by the hardware, and outputs come back in float32."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from monai_ich.inferers import AutocastInferer, autocast
from monai_ich.inferers.autocast import resolve_precision

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
    ("vendor", "capabilities", "dtype"),
    [
        ("GenuineIntel", {"amx_bf16": True}, torch.bfloat16),
        ("GenuineIntel", {"avx512_bf16": True, "amx_bf16": False}, torch.float32),
        ("AuthenticAMD", {"avx512_bf16": True, "amx_bf16": False}, torch.bfloat16),
        ("AuthenticAMD", {"avx512_bf16": False}, torch.float32),
        ("", {"avx512_bf16": True}, torch.float32),
        ("", {}, torch.float32),
    ],
)
def test_auto_follows_the_processor(
    monkeypatch: pytest.MonkeyPatch, vendor: str, capabilities: dict[str, bool], dtype: torch.dtype
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    monkeypatch.setattr(autocast, "cpu_vendor", lambda: vendor)
    assert resolve_precision("auto", CPU) is dtype


@pytest.mark.skipif(not Path("/proc/cpuinfo").is_file(), reason="another system")
def test_the_vendor_is_the_one_that_the_system_tells() -> None:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    told = next((line.split(":")[1].strip() for line in lines if line.startswith("vendor_id")), "")
    assert autocast.cpu_vendor() == (told if told in ("AuthenticAMD", "GenuineIntel") else "")


def test_another_precision_is_refused() -> None:
    with pytest.raises(ValueError, match="auto, float32 or bfloat16, got 'fp8'"):
        resolve_precision("fp8", CPU)
