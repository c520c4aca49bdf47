# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Encoders that return a pyramid, heads that read it, networks made of them, and pretrained weights."""

from __future__ import annotations

from monai_ich.networks.attention import FusedWindowAttention
from monai_ich.networks.builders import SWIN_SIZES, SwinSize, mtl_swin_unet, swin_encoder
from monai_ich.networks.heads import ClassificationHead, PatchExpanding, SwinDecoder
from monai_ich.networks.multitask import HeadOutput, MultiTaskNet
from monai_ich.networks.pretrained import KNOWN_WEIGHTS, LoadReceipt, load_pretrained_encoder
from monai_ich.networks.swin import ShiftedWindowBlock, SwinEncoder, SwinStage

__all__ = [
    "KNOWN_WEIGHTS",
    "SWIN_SIZES",
    "ClassificationHead",
    "FusedWindowAttention",
    "HeadOutput",
    "LoadReceipt",
    "MultiTaskNet",
    "PatchExpanding",
    "ShiftedWindowBlock",
    "SwinDecoder",
    "SwinEncoder",
    "SwinSize",
    "SwinStage",
    "load_pretrained_encoder",
    "mtl_swin_unet",
    "swin_encoder",
]
