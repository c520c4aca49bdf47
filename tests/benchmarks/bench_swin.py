# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Time of a training step of the Swin encoder against the same encoder made of MONAI's own layers.

    OMP_NUM_THREADS=2 python tests/benchmarks/bench_swin.py

Both run by turns in one process, so that a busy machine slows both; read the ratios, not the milliseconds. Measured on
2 cores of a Xeon with avx512_bf16 and without AMX, (16, 1, 128, 128), embed_dim 48, medians of 15, in ms a step:

    window 4: bf16 285 -> 273 (1.04x), float32 232 -> 200 (1.16x)
    window 7: bf16 402 -> 373 (1.08x), float32 422 -> 280 (1.51x)

What remains is matrix products (62% of the step in bf16; on that machine they are slower in bf16 than in float32). The
largest single gain is the masked score: Swin's -100 makes denormals in float32, see `attention.MASKED_SCORE`.
"""

from __future__ import annotations

import argparse
import statistics
import time

import torch
from monai.networks.blocks import PatchEmbed
from monai.networks.nets.swin_unetr import BasicLayer, PatchMergingV2
from rich.console import Console
from torch import Tensor, nn

from monai_ich.networks import SwinEncoder


class MonaiLayersEncoder(nn.Module):
    """The same parameters under the same keys, in MONAI's own layers and attention."""

    def __init__(self, embed_dim: int, window: int, drop_path: float) -> None:
        super().__init__()
        self.patch_embed = PatchEmbed(4, 1, embed_dim, nn.LayerNorm, spatial_dims=2)
        merging = [PatchMergingV2, PatchMergingV2, PatchMergingV2, None]
        self.layers = nn.ModuleList(
            BasicLayer(
                embed_dim * 2**stage,
                depth=2,
                num_heads=3 * 2**stage,
                window_size=(window, window),
                drop_path=[drop_path, drop_path],
                qkv_bias=True,
                downsample=downsample,
            )
            for stage, downsample in enumerate(merging)
        )
        self.norm = nn.LayerNorm(embed_dim * 8)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patch_embed(x)
        for layer in self.layers:
            x = layer(x)
        return self.norm(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


def step_seconds(network: nn.Module, image: Tensor, bf16: bool) -> float:
    start = time.perf_counter()
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        out = network(image)
    last = out[-1] if isinstance(out, list) else out
    last.float().square().mean().backward()
    network.zero_grad()
    return time.perf_counter() - start


def compare(window: int, bf16: bool, repeats: int, batch: int, side: int) -> tuple[float, float]:
    """Median seconds of MONAI's layers and of ours."""
    torch.manual_seed(0)
    ours = SwinEncoder(1, embed_dim=48, window_size=window, drop_path_rate=0.1)
    theirs = MonaiLayersEncoder(48, window, drop_path=0.05)
    theirs.load_state_dict(ours.state_dict(), strict=True)
    image = torch.rand(batch, 1, side, side)
    pairs = [[step_seconds(network, image, bf16) for network in (theirs, ours)] for _ in range(repeats + 3)][3:]
    theirs_s, ours_s = (statistics.median(times) for times in zip(*pairs, strict=True))
    return theirs_s, ours_s


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--side", type=int, default=128)
    arguments = parser.parse_args()
    console = Console()
    for window in (4, 7):
        for bf16 in (True, False):
            theirs_s, ours_s = compare(window, bf16, arguments.repeats, arguments.batch, arguments.side)
            console.print(
                f"window {window}, {'bf16' if bf16 else 'float32'}: MONAI {theirs_s * 1e3:.0f} ms, "
                f"ours {ours_s * 1e3:.0f} ms, {theirs_s / ours_s:.2f}x"
            )


if __name__ == "__main__":
    main()
