# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""The fused window attention against MONAI's own: same keys, same numbers, same gradients."""

from __future__ import annotations

import pytest
import torch
from monai.networks.nets.swin_unetr import BasicLayer, PatchMergingV2, WindowAttention, compute_mask
from torch import Tensor, nn

from monai_ich.networks import attention
from monai_ich.networks.attention import FusedWindowAttention, fitted_window, shift_mask
from monai_ich.networks.swin import SwinStage

CPU = torch.device("cpu")


def randomise(module: nn.Module, seed: int = 0) -> nn.Module:
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.3)
    return module


def gradients(module: nn.Module, x: Tensor, *args: Tensor | None) -> tuple[Tensor, dict[str, Tensor]]:
    x = x.clone().requires_grad_()
    module.zero_grad()
    out = module(x, *args)
    out = out[1] if isinstance(out, tuple) else out
    weights = torch.linspace(-1, 1, out.numel()).view_as(out)
    (out * weights).sum().backward()
    grads = {name: p.grad.clone() for name, p in module.named_parameters() if p.grad is not None}
    return out.detach(), {"input": x.grad, **grads}


def assert_same(one: tuple[Tensor, dict[str, Tensor]], other: tuple[Tensor, dict[str, Tensor]]) -> None:
    torch.testing.assert_close(one[0], other[0], rtol=1e-4, atol=1e-4)
    assert one[1].keys() == other[1].keys()
    for name, grad in one[1].items():
        torch.testing.assert_close(grad, other[1][name], rtol=1e-4, atol=1e-3, msg=lambda m, n=name: f"{n}: {m}")


@pytest.fixture
def pair() -> tuple[WindowAttention, FusedWindowAttention]:
    theirs = randomise(WindowAttention(12, num_heads=3, window_size=(4, 4), qkv_bias=True))
    ours = FusedWindowAttention(12, num_heads=3, window_size=(4, 4), qkv_bias=True)
    ours.load_state_dict(theirs.state_dict(), strict=True)
    return theirs, ours


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("frozen_table", [False, True])
def test_windows_have_the_numbers_and_gradients_of_monai(pair, masked: bool, frozen_table: bool) -> None:
    # A frozen table takes the fused kernel with gradients, as a GPU does; a trainable one its CPU equivalent.
    for module in pair:
        module.relative_position_bias_table.requires_grad_(not frozen_table)
    x = torch.randn(2 * 6, 16, 12, generator=torch.Generator().manual_seed(1))
    mask = compute_mask([8, 12], (4, 4), (2, 2), CPU) if masked else None
    assert_same(gradients(pair[1], x, mask), gradients(pair[0], x, mask))


def test_inference_has_the_numbers_of_training(pair) -> None:
    x, mask = torch.randn(12, 16, 12), shift_mask(8, 12, 4, 2, CPU)
    trained = pair[1](x, mask).detach()
    with torch.inference_mode():
        torch.testing.assert_close(pair[1](x, mask), trained, rtol=1e-5, atol=1e-5)


def test_map_is_attended_window_by_window(pair) -> None:
    x = torch.randn(2, 8, 12, 12)
    windows = x.view(2, 2, 4, 3, 4, 12).permute(0, 1, 3, 2, 4, 5).reshape(12, 16, 12)
    by_window = pair[1](windows).view(2, 2, 3, 4, 4, 12).permute(0, 1, 3, 2, 4, 5).reshape(2, 8, 12, 12)
    torch.testing.assert_close(pair[1].forward_map(x, 4), by_window)


def test_a_smaller_window_reads_the_bias_at_its_true_offsets() -> None:
    module = FusedWindowAttention(4, num_heads=1, window_size=(3, 3))
    table = torch.arange(25.0)  # the entry of offset (dy, dx) is 5 * (dy + 2) + (dx + 2)
    with torch.no_grad():
        module.relative_position_bias_table.copy_(table[:, None])
    tokens = [(0, 0), (0, 1), (1, 0), (1, 1)]
    expected = [[5.0 * (a[0] - b[0] + 2) + (a[1] - b[1] + 2) for b in tokens] for a in tokens]
    assert module._bias(2, None)[0].tolist() == expected


def test_mask_separates_what_the_roll_brought_together() -> None:
    height, width, window, shift = 8, 12, 4, 1
    mask = shift_mask(height, width, window, shift, CPU)
    # Before the roll, token (y, x) stood at (y + shift, x + shift) modulo the size: only pairs that were near may meet.
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    origin = torch.stack([(y + shift) % height, (x + shift) % width], -1)
    origin = origin.view(2, 4, 3, 4, 2).permute(0, 2, 1, 3, 4).reshape(6, 16, 2)
    near = ((origin[:, :, None] - origin[:, None]).abs() < window).all(-1)
    assert torch.equal(mask == 0, near)
    theirs = compute_mask([height, width], (window, window), (shift, shift), CPU)
    assert torch.equal(mask == 0, theirs == 0)


def test_masked_score_is_an_exact_zero_not_a_denormal() -> None:
    assert torch.tensor([0.0, attention.MASKED_SCORE]).softmax(0)[1].item() == 0.0


def test_mask_is_built_once_and_serves_training_after_inference() -> None:
    attention._SHIFT_MASKS.clear()
    with torch.inference_mode():
        first = shift_mask(8, 8, 4, 2, CPU)
    assert shift_mask(8, 8, 4, 2, CPU) is first
    assert not first.is_inference()
    assert shift_mask(8, 12, 4, 2, CPU) is not first


def test_fitted_window_follows_the_shorter_side() -> None:
    assert [fitted_window(h, w, 7, 3) for h, w in [(8, 8), (7, 14), (4, 8), (14, 3)]] == [
        (7, 3),
        (7, 0),
        (4, 0),
        (3, 0),
    ]


@pytest.mark.parametrize(("height", "width"), [(8, 8), (6, 9), (4, 4)], ids=["divides", "padded", "equals_window"])
def test_stage_has_the_keys_numbers_and_gradients_of_monai(height: int, width: int) -> None:
    theirs = BasicLayer(12, 2, 3, (4, 4), drop_path=[0.0, 0.0], qkv_bias=True, downsample=PatchMergingV2)
    ours = SwinStage(12, 3, 4, drop_path=(0.0, 0.0), merge=True)
    ours.load_state_dict(randomise(theirs, seed=2).state_dict(), strict=True)
    x = torch.randn(2, height, width, 12, generator=torch.Generator().manual_seed(3))
    out, grads = gradients(theirs, x.permute(0, 3, 1, 2))
    out, grads["input"] = out.permute(0, 2, 3, 1), grads["input"].permute(0, 2, 3, 1)
    weights = torch.linspace(-1, 1, out.numel()).view(2, 24, *out.shape[1:3])  # the order MONAI's layout was weighed in
    x = x.clone().requires_grad_()
    got = ours(x)[1]
    (got.permute(0, 3, 1, 2) * weights).sum().backward()
    assert_same((got.detach(), {"input": x.grad, **{n: p.grad for n, p in ours.named_parameters()}}), (out, grads))
