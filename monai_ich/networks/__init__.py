# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Encoders that return a pyramid, heads that read it, networks made of them, and pretrained weights."""

from monai_ich.networks.attention import FusedWindowAttention
from monai_ich.networks.builders import mtl_swin_unet, swin_encoder
from monai_ich.networks.cnn_builders import efficientnet_encoder, resnet_classifier, resnet_encoder, unet_segmenter
from monai_ich.networks.efficientnet import EfficientNetPyramid
from monai_ich.networks.heads import ClassificationHead, PatchExpanding, SwinDecoder
from monai_ich.networks.joint import JointEncoder, load_segmentation_encoder
from monai_ich.networks.joint_builders import joint_learning, joint_swin
from monai_ich.networks.layouts.family import EncoderWeights, WeightFamily
from monai_ich.networks.multitask_net import HeadOutput, MultiTaskNet
from monai_ich.networks.pretrained import KNOWN_WEIGHTS, LoadReceipt, load_pretrained_encoder
from monai_ich.networks.primary_output import PrimaryOutput
from monai_ich.networks.resnet import ResNetPyramid
from monai_ich.networks.sizes import SWIN_SIZES, SwinSize
from monai_ich.networks.swin import SKIPS, ShiftedWindowBlock, SwinEncoder, SwinStage
from monai_ich.networks.trained_weights import load_weights
from monai_ich.networks.unet import PyramidUNetDecoder, UNetPyramid
from monai_ich.networks.wavelet import HaarDecomposition, WaveletPyramid

__all__ = [
    "KNOWN_WEIGHTS",
    "SKIPS",
    "SWIN_SIZES",
    "ClassificationHead",
    "EfficientNetPyramid",
    "EncoderWeights",
    "FusedWindowAttention",
    "HaarDecomposition",
    "HeadOutput",
    "JointEncoder",
    "LoadReceipt",
    "MultiTaskNet",
    "PatchExpanding",
    "PrimaryOutput",
    "PyramidUNetDecoder",
    "ResNetPyramid",
    "ShiftedWindowBlock",
    "SwinDecoder",
    "SwinEncoder",
    "SwinSize",
    "SwinStage",
    "UNetPyramid",
    "WaveletPyramid",
    "WeightFamily",
    "efficientnet_encoder",
    "joint_learning",
    "joint_swin",
    "load_pretrained_encoder",
    "load_segmentation_encoder",
    "load_weights",
    "mtl_swin_unet",
    "resnet_classifier",
    "resnet_encoder",
    "swin_encoder",
    "unet_segmenter",
]
