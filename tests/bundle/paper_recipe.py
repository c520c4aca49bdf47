# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""The paper's recipe as literal values: every row of Table 1, and every first stage, under paper.json.

Copied by hand from the paper (sections 3 and 4.2), from the publications that it names, and from docs/fidelity.md where
the paper is silent. Nothing here is read from a config. tests/bundle/test_paper_recipe.py says what a name stands for.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch

STAGE_1 = ", first stage"

# What every row has, unless its own lines say otherwise. A name that the test does not read from a built part is the
# name of a setting, and its value is what the merged config gives.
EVERY_ROW: dict[str, Any] = {
    "markers": ["hypodensity"],
    "window": [40, 80],
    "image_size": 224,
    "lr": 0.01,
    "max_epochs": 600,
    "threshold": 0.5,
    "precision": "float32",
    "computes_in": torch.float32,
    "skips": "inputs",
    "loss::ignore_empty": True,
    "loss::dice_over": "image",
    "loss::robust": "none",
    "loss::group_dro_step": 0.01,
    "loss::group_dro_adjustment": 0,
    "data::attributes": [],
    "data::attribute_bins": {},
    "train::balance": "none",
    "train::balance_by": "draw",
    "train::mixing": "none",
    "train::seg_slices": "masked",
    "train::drop_last": False,
    "train::dataset::only_with_blood": False,
    "train::warmup_iterations": 0,
    "train::max_gradient_norm": 0,
    "train::classifier_lr_factor": 1,
    "train::statistics_batches": 0,
    "validate::interval": 1,
    "validate::best_by": "val_auc",
    "hu_bounds": (0.0, 80.0),
    "resizing": (224, ("area", "nearest-exact")),
    "augmentation": [("RandRightAngleFlipd", 0.5), ("RandSmallRotationd", 0.5)],
    "augmented": {("image", "mask")},
    "rotation_deg": 20,
    "rotation_modes": ("bilinear", "nearest"),
    "shuffle": True,
    "drop_last": False,
    "optimizer": "SGD",
    "momentum": {0.9},
    "dampening": {0},
    "nesterov": {False},
    "weight_decay": {1e-4},
    "schedule": {"power": 0.9, "warmup": 0},
    "gradient_limit": 0,
    "refreshed_batches": 0,
    "loss": {"cls": 1.0},
    "loss_markers": 1,
    "ce_weight": 0.4,
    "dice_weight": 0.6,
    "ignore_empty": True,
    "dice_over": "image",
    "dice": {"background": True, "squares": False, "whole_batch": False},
    "scoring": {"validation": 0.5, "test": 0.5},
    "loaded": {},
    "mirrored": False,
    "frozen_encoder": {},
    "frozen_parameters": 0,
    "decoders": {},
    "classifier": {},
}

# The smallest and the largest deviation of the weights of the linear layers.
LIKE_OFFICIAL_SWIN = (pytest.approx(0.02, rel=0.05), pytest.approx(0.02, rel=0.05))
SWIN = {
    "kind": "SwinEncoder",
    "in_channels": 3,
    "embed_dim": 96,
    "patch": (4, 4),
    "depths": (2, 2, 2, 2),
    "heads": (3, 6, 12, 24),
    "windows": {(7, 7)},
    "mlp_ratios": {4.0},
    "drop_path": (0.0, 0.2),
    "deviations": LIKE_OFFICIAL_SWIN,
}
SWIN_TINY = {**SWIN, "depths": (2, 2, 6, 2)}
U_NET = {"kind": "UNetPyramid", "in_channels": 1, "channels": (64, 128, 256, 512, 1024)}
RESNET152 = {"kind": "ResNetPyramid", "in_channels": 3, "channels": (256, 512, 1024, 2048), "depths": (3, 8, 36, 3)}
EFFICIENTNET_B3 = {
    "kind": "EfficientNetPyramid",
    "in_channels": 3,
    "channels": (24, 32, 48, 136, 1536),
    "depths": (2, 3, 3, 5, 5, 6, 2),
    "convention": "tensorflow",
    "drop_path": (0.0, pytest.approx(0.2 * 25 / 26)),
}


def decoder(channels: int, stage_3: int = 2) -> dict[str, Any]:
    """Swin-Unet's: it mirrors stages 1 to 3; the mirror of stage 4 is a bare patch expansion."""
    return {
        "kind": "SwinDecoder",
        "out_channels": channels,
        "embed_dim": 96,
        "depths": (2, 2, stage_3),
        "heads": (3, 6, 12),
        "windows": {(7, 7)},
        "mlp_ratios": {4.0},
        # The rates of the encoder's stages 1 to 3, which are six of eight blocks, or ten of twelve.
        "drop_path": (0.0, pytest.approx(0.2 * 5 / 7 if stage_3 == 2 else 0.2 * 9 / 11, abs=1e-5)),
        "deviations": LIKE_OFFICIAL_SWIN,
        "skips": "inputs",
        "projection_limit": pytest.approx(96**-0.5, rel=0.03),  # a Conv2d's default: uniform in +-1 / sqrt(96)
    }


def classifier(width: int) -> dict[str, Any]:
    return {"width": width, "outputs": 2, "standardised": False, "deviation": pytest.approx(0.02, rel=0.1)}


SEG, REC = {"seg": decoder(2)}, {"rec": decoder(1)}
SWIN_T, B3 = "swin_tiny_patch4_window7_224", "tf_efficientnet_b3"

# fmt: off
CLASSIFY = {"tasks": ["cls"], "batch_size": 64, "pretrained": SWIN_T, "loaded": {"encoder": SWIN_T}}
SEGMENT = {
    "tasks": ["seg"], "batch_size": 32, "max_epochs": 200, "validate::best_by": "val_iou", "loss": {"seg": 1.0},
    "train::dataset::only_with_blood": True,
}
JOINT = {"tasks": ["cls"], "batch_size": 128, "lr": 0.004, "classifier": classifier(1536)}
MTL = {**CLASSIFY, "mirrored": True, "encoder": SWIN, "classifier": classifier(768)}
PLAIN_UNET = {
    **SEGMENT, "pretrained": "", "unet_encoder": "plain", "encoder": U_NET, "parameters": 31_106_242,
    "decoders": {"seg": {"kind": "PyramidUNetDecoder", "out_channels": 2, "levels": 4}},
}
SWIN_UNET = {
    **SEGMENT, "pretrained": SWIN_T, "loaded": {"encoder": SWIN_T}, "mirrored": True,
    "encoder": SWIN, "decoders": SEG, "parameters": 27_168_228,
}
TABLE: dict[str, dict[str, Any]] = {
    "U-Net": PLAIN_UNET,
    "Swin-Unet": SWIN_UNET,
    "ResNet152": {
        **CLASSIFY, "batch_size": 128, "pretrained": "resnet152", "loaded": {"encoder": "resnet152"},
        "encoder": RESNET152, "classifier": classifier(2048), "parameters": 58_147_906,
    },
    "Swin Transformer": {
        **CLASSIFY, "encoder": SWIN, "classifier": classifier(768), "parameters": 20_414_924,
    },
    "SwinTransformer-tiny": {
        **CLASSIFY, "encoder": SWIN_TINY, "classifier": classifier(768), "parameters": 27_520_892,
    },
    "Joint-Learning": {
        **JOINT, "pretrained": B3, "loaded": {"encoder.frozen": "first stage", "encoder.trainable": B3},
        "unet_encoder": "plain", "segmentation_pretrained": "",
        "encoder": EFFICIENTNET_B3, "frozen_encoder": U_NET, "classifier": classifier(2560),
        "parameters": 29_547_370, "frozen_parameters": 18_846_016,
    },
    "Joint-Learning" + STAGE_1: PLAIN_UNET,
    "Joint-SwinTransformer": {
        **JOINT, "pretrained": SWIN_T, "loaded": {"encoder.frozen": "first stage", "encoder.trainable": SWIN_T},
        "encoder": SWIN, "frozen_encoder": SWIN, "parameters": 40_829_846, "frozen_parameters": 20_413_386,
    },
    "Joint-SwinTransformer" + STAGE_1: SWIN_UNET,
    "Joint-SwinTransformer-tiny": {
        **JOINT, "pretrained": SWIN_T, "loaded": {"encoder.frozen": "first stage", "encoder.trainable": SWIN_T},
        "encoder": SWIN_TINY, "frozen_encoder": SWIN_TINY, "parameters": 55_041_782, "frozen_parameters": 27_519_354,
    },
    "Joint-SwinTransformer-tiny" + STAGE_1: {
        **SWIN_UNET, "encoder": SWIN_TINY, "decoders": {"seg": decoder(2, 6)}, "parameters": 41_380_164,
    },
    "MTL-Swin-Unet (cls+rec)": {
        **MTL, "tasks": ["cls", "rec"], "loss": {"cls": 0.4, "rec": 0.6}, "decoders": REC, "parameters": 27_169_670,
    },
    "MTL-Swin-Unet (cls+seg)": {
        **MTL, "tasks": ["cls", "seg"], "loss": {"cls": 0.4, "seg": 0.6}, "decoders": SEG, "parameters": 27_169_766,
    },
    "MTL-Swin-Unet (cls+seg+rec)": {
        **MTL, "tasks": ["cls", "seg", "rec"], "loss": {"cls": 0.3, "seg": 0.4, "rec": 0.4},
        "decoders": {**SEG, **REC}, "parameters": 33_924_512,
    },
    "MTL-Swin-Unet-tiny (cls+seg+rec)": {
        **MTL, "tasks": ["cls", "seg", "rec"], "batch_size": 32, "loss": {"cls": 0.3, "seg": 0.4, "rec": 0.4},
        "encoder": SWIN_TINY, "decoders": {"seg": decoder(2, 6), "rec": decoder(1, 6)}, "parameters": 55_242_416,
    },
}
# fmt: on
