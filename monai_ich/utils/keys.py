# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""The names that a sample, a network's output and a manifest share."""

from __future__ import annotations

import re
from enum import StrEnum


class Task(StrEnum):
    """A head of a multi-task network, and the key of its output and of its loss."""

    CLS = "cls"
    SEG = "seg"
    REC = "rec"


class Key(StrEnum):
    """Keys of a sample and of a batch."""

    IMAGE = "image"  # float32 (1, H, W), windowed to [0, 1]
    MASK = "mask"  # uint8 (1, H, W), 1 = haematoma
    HAS_MASK = "has_mask"  # bool, False where nobody annotated the slice
    LABEL = "label"  # int64 scalar for one marker, float32 (K,) with NaN = unknown for several
    KEY = "key"  # the manifest's row key
    INDEX = "index"  # the row's position in its dataset
    PATIENT_ID = "patient_id"
    STUDY_ID = "study_id"
    HOSPITAL = "hospital"


class Split(StrEnum):
    """The splits of the paper's protocol (section 4.1.2). Any name that begins with `test` is a test set."""

    TRAIN = "train"
    VAL = "val"
    TEST_A = "test_hospitals_1_4"
    TEST_B = "test_hospitals_5_11"


# The four non-contrast CT markers of the paper (section 4.1.1), in the manifest's column order.
MARKERS = ("hypodensity", "margin_irregularity", "blend_sign", "fluid_level")

# Columns of a manifest that hold further labels to train on, such as `label_subdural`.
LABEL_PREFIX = "label_"


def is_label(name: str) -> bool:
    """Whether a column may hold labels: one of the four markers, or `label_<name>` in lower case.

    >>> is_label("hypodensity"), is_label("label_subdural"), is_label("subdural")
    (True, True, False)
    """
    return name in MARKERS or re.fullmatch(rf"{LABEL_PREFIX}[a-z0-9_]+", name) is not None


# Brain window (level, width) in HU: 0..80 HU becomes 0..1.
BRAIN_WINDOW_HU = (40.0, 80.0)
