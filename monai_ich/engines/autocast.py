# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Runs a network in the fastest precision that its device computes well."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from monai.inferers import Inferer


def resolve_precision(precision: str, device: torch.device) -> torch.dtype:
    """Returns the data type to compute in.

    Args:
        precision: `float32`, `bfloat16`, or `auto`: bfloat16 on a GPU that has it, on a CPU with AMX tiles and on an
            AMD CPU with AVX-512 bfloat16, float32 elsewhere. An Intel CPU with AVX-512 bfloat16 alone multiplies these
            small matrices at half the speed of float32, an AMD one at twice (measured: docs/performance.md). The rule
            looks at the processor, not at the clock, so that one machine always computes the same.
        device: where the network is.

    Raises:
        ValueError: for any other `precision`.
    """
    if precision == "auto":
        if device.type == "cuda":
            native = torch.cuda.is_bf16_supported(including_emulation=False)
        else:
            has = torch.cpu.get_capabilities()
            native = bool(has.get("amx_bf16") or (has.get("avx512_bf16") and "AMD" in has.get("cpu_name", "")))
        return torch.bfloat16 if native else torch.float32
    if precision in ("float32", "bfloat16"):
        return torch.float32 if precision == "float32" else torch.bfloat16
    raise ValueError(f"expected precision to be auto, float32 or bfloat16, got {precision!r}")


class AutocastInferer(Inferer):
    """Applies the network under autocast and returns its outputs in float32.

    MONAI's engines autocast on CUDA only; a CPU gains as much. It stands in the inferer so that training, validation
    and inference share it, and the losses, outside of it, are computed in float32.
    """

    def __init__(self, precision: str, device: torch.device) -> None:
        """Takes `precision` as in `resolve_precision` and the device of the network."""
        self.device_type = device.type
        self.dtype = resolve_precision(precision, device)

    def __call__(
        self, inputs: torch.Tensor, network: Callable[..., Any], *args: Any, **kwargs: Any
    ) -> dict[str, torch.Tensor]:
        """Returns the network's heads for `inputs` (B, 1, H, W), each in float32."""
        with torch.autocast(self.device_type, self.dtype, enabled=self.dtype is not torch.float32):
            outputs = network(inputs, *args, **kwargs)
        return {head: output.float() for head, output in outputs.items()}
