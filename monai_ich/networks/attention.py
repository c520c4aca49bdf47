# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Window attention of Swin on PyTorch's fused kernel, trainable, with the state-dict keys of MONAI's."""

from __future__ import annotations

import math

import torch
from monai.networks.nets.swin_unetr import WindowAttention
from torch import Tensor
from torch.nn import functional as F

# Added to the score of a pair of tokens that a cyclic shift made neighbours. Swin's own -100 makes exp(-100), a
# denormal float32, and CPUs multiply denormals up to ten times slower; this one becomes an exact zero.
MASKED_SCORE = -1e4

_SHIFT_MASKS: dict[tuple[int, int, int, int, torch.device], Tensor] = {}


def fitted_window(height: int, width: int, window: int, shift: int) -> tuple[int, int]:
    """Window and shift that suit a feature map, by the rule of the official Swin classifier.

    A map no larger than the window (in either direction) is cut by its own shorter side, and is not shifted.

    >>> fitted_window(14, 14, window=7, shift=3), fitted_window(7, 7, 7, 3), fitted_window(4, 8, 7, 3)
    ((7, 3), (7, 0), (4, 0))
    """
    shorter = min(height, width)
    return (shorter, 0) if shorter <= window else (window, shift)


def shift_mask(height: int, width: int, window: int, shift: int, device: torch.device) -> Tensor:
    """Mask of the shifted windows, built once per geometry and device.

    Args:
        height: rows of the padded feature map, a multiple of `window`.
        width: columns of the padded feature map, a multiple of `window`.
        window: side of a window, in tokens.
        shift: cyclic shift, in tokens, 0 < shift < window.
        device: where the mask is used.

    Returns:
        float32 (windows, window**2, window**2): 0 within a region, `MASKED_SCORE` across regions. Windows are in
        row-major order. Source: Swin Transformer (arXiv 2103.14030), section 3.2, "efficient batch computation".
    """
    if torch.compiler.is_compiling() or torch.jit.is_tracing():  # the same graph whether or not it ran before
        return _build_shift_mask(height, width, window, shift, device)
    key = (height, width, window, shift, device)
    mask = _SHIFT_MASKS.get(key)
    if mask is None:
        # A tensor made under inference_mode could not serve a later training step.
        with torch.inference_mode(False), torch.no_grad():
            mask = _build_shift_mask(height, width, window, shift, device)
        if type(mask) is Tensor:  # a FakeTensor (export) must not outlive its mode
            _SHIFT_MASKS[key] = mask
    return mask


def _build_shift_mask(height: int, width: int, window: int, shift: int, device: torch.device) -> Tensor:
    regions = [_regions(side, window, shift, device) for side in (height, width)]
    region = regions[0][:, None] * 3 + regions[1][None, :]  # (height, width)
    region = region.view(height // window, window, width // window, window).permute(0, 2, 1, 3)
    region = region.reshape(-1, window * window)  # (windows, window**2)
    return (region[:, None, :] != region[:, :, None]).float() * MASKED_SCORE


def _regions(side: int, window: int, shift: int, device: torch.device) -> Tensor:
    """Region (0, 1, 2) of each position along one axis of the rolled map; positions of one region were neighbours."""
    position = torch.arange(side, device=device)
    return (position >= side - window).int() + (position >= side - shift).int()


class FusedWindowAttention(WindowAttention):
    """MONAI's `WindowAttention` in 2-D through `scaled_dot_product_attention`, in training as in inference.

    Same parameters, keys and numbers. It differs in two places: windows smaller than the one it was built for read
    the relative position bias at their true offsets (MONAI cuts a corner of the index, which is right in 1-D only),
    and `forward_map` attends over a whole feature map, so that tokens are copied once, not at each regrouping.
    """

    relative_position_index: Tensor

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Attends within windows; the contract of MONAI's class.

        Args:
            x: (B * windows, n, C) with n = window**2 for any window up to that of the constructor.
            mask: (windows, n, n), added to the scores; None adds nothing.

        Returns:
            (B * windows, n, C).
        """
        count, tokens, channels = x.shape
        bias = self._bias(math.isqrt(int(tokens)), mask)  # (heads or windows * heads, n, n)
        qkv = self.qkv(x).view(count, tokens, 3, self.num_heads, -1).permute(2, 0, 3, 1, 4)
        out = self._attend(qkv.reshape(3, -1, bias.shape[0], tokens, channels // self.num_heads), bias)
        out = out.reshape(count, self.num_heads, tokens, -1).transpose(1, 2).reshape(count, tokens, channels)
        return self.proj_drop(self.proj(out))

    def forward_map(self, x: Tensor, window: int, mask: Tensor | None = None) -> Tensor:
        """Attends within the windows of a feature map.

        Args:
            x: (B, H, W, C), H and W multiples of `window`, already rolled where windows are shifted.
            window: side of a window, in tokens, at most that of the constructor.
            mask: (windows, window**2, window**2), added to the scores; None adds nothing.

        Returns:
            (B, H, W, C).
        """
        height, width, channels = (int(side) for side in x.shape[1:])
        rows, columns, heads, tokens = height // window, width // window, self.num_heads, window * window
        depth = channels // heads
        bias = self._bias(window, mask)
        qkv = self.qkv(x).view(-1, rows, window, columns, window, 3, heads, depth)
        qkv = qkv.permute(5, 0, 1, 3, 6, 2, 4, 7)  # (3, B, rows, columns, heads, window, window, depth)
        out = self._attend(qkv.reshape(3, -1, bias.shape[0], tokens, depth), bias)
        out = out.reshape(-1, rows, columns, heads, window, window, depth).permute(0, 1, 4, 2, 5, 3, 6)
        return self.proj_drop(self.proj(out.reshape(-1, height, width, channels)))

    def _bias(self, window: int, mask: Tensor | None) -> Tensor:
        """Relative position bias (heads, n, n), or with a mask (windows * heads, n, n): windows fold into heads."""
        index = self.relative_position_index
        full_window = int(self.window_size[0])
        if window != full_window:
            steps = torch.arange(window, device=index.device)
            corner = (steps[:, None] * full_window + steps).flatten()  # tokens of the top left window x window
            index = index[corner][:, corner]
        tokens = window * window
        bias = self.relative_position_bias_table[index.flatten()].view(tokens, tokens, -1).permute(2, 0, 1)
        return bias if mask is None else (bias + mask.unsqueeze(1)).flatten(0, 1)

    def _attend(self, qkv: Tensor, bias: Tensor) -> Tensor:
        """(3, groups, heads, n, depth) and (heads, n, n) to (groups, heads, n, depth)."""
        query, key, value = qkv.unbind(0)
        bias, dropout = bias.unsqueeze(0), self.attn_drop.p if self.training else 0.0
        if bias.requires_grad and not bias.is_cuda:
            # No fused CPU kernel differentiates the bias, and the fallback of the call below scales query and key in
            # a pass each and guards against rows that are masked altogether, which a window does not have.
            scores = (query * self.scale) @ key.transpose(-2, -1) + bias
            return self.attn_drop(scores.softmax(-1)).to(value.dtype) @ value
        return F.scaled_dot_product_attention(query, key, value, bias.to(query.dtype), dropout, scale=self.scale)
