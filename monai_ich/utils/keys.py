# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""The names that a sample, a network's output and a manifest share."""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import StrEnum

from monai_ich.utils.errors import did_you_mean


class Task(StrEnum):
    """A head of a multi-task network, and the key of its output and of its loss."""

    CLS = "cls"
    SEG = "seg"
    REC = "rec"


# What the sums of the Dice loss run over: each image, as in the paper, or all images of a step.
DICE_OVER = ("image", "batch")

# What has the same number of slices in an epoch, and how; which classification loss groups have; what images are mixed.
BALANCES = ("none", "class", "group")
BALANCE_BY = ("draw", "subsample")
ROBUST_LOSSES = ("none", "reweighting", "group_dro")
MIXINGS = ("none", "selecmix_by_attributes")


class Key(StrEnum):
    """Keys of a sample and of a batch."""

    IMAGE = "image"  # float32 (1, H, W), windowed to [0, 1]
    MASK = "mask"  # uint8 (1, H, W), 1 = haematoma
    HAS_BLOOD = "has_blood"  # int64 scalar: 1 a mask or a label shows blood, 0 an annotated slice without, -1 unknown
    HAS_MASK = "has_mask"  # bool, False where nobody annotated the slice
    LABEL = "label"  # int64 scalar for one marker, float32 (K,) with NaN = unknown for several
    KEY = "key"  # the manifest's row key
    INDEX = "index"  # the row's position in its dataset
    PATIENT_ID = "patient_id"
    STUDY_ID = "study_id"
    HOSPITAL = "hospital"
    GROUP = "group"  # int64 scalar, number of the sample's group (marker x attributes), -1 where it is unknown


class Split(StrEnum):
    """The splits of the paper's protocol (section 4.1.2). Any name that begins with `test` is a test set."""

    TRAIN = "train"
    VAL = "val"
    TEST_A = "test_hospitals_1_4"
    TEST_B = "test_hospitals_5_11"


# The four non-contrast CT markers of the paper (section 4.1.1), in the manifest's column order.
MARKERS = ("hypodensity", "margin_irregularity", "blend_sign", "fluid_level")

# One vocabulary for all public sets, so that a network trained on one can be tested on another.
ANY_HAEMORRHAGE = "label_any_haemorrhage"
HAEMORRHAGE_TYPES = {
    "epidural": "label_epidural",
    "intraparenchymal": "label_intraparenchymal",
    "intraventricular": "label_intraventricular",
    "subarachnoid": "label_subarachnoid",
    "subdural": "label_subdural",
}

# What a label may be called, for messages.
LABEL_NAMES = f"{', '.join(MARKERS)} or label_<name> in lower case"


def is_label(name: str) -> bool:
    """Whether a column may hold labels: one of the four markers, or `label_<name>` in lower case.

    This is the one place that says what a label is. Whatever is offered for one of the four markers is offered for
    every label.

    >>> is_label("hypodensity"), is_label("label_subdural"), is_label("subdural")
    (True, True, False)
    """
    return name in MARKERS or re.fullmatch(r"label_[a-z0-9_]+", name) is not None


def labels_among(columns: Iterable[str]) -> list[str]:
    """The labels that a table holds: the four markers in their order, then the others as they stand.

    >>> labels_among(["key", "label_subdural", "hypodensity"])
    ['hypodensity', 'label_subdural']
    """
    held = dict.fromkeys(filter(is_label, columns))
    return [*(name for name in MARKERS if name in held), *(name for name in held if name not in MARKERS)]


ATTRIBUTE = "attribute_"

# Optional: the two slices of a counterfactual pair, which differ in one attribute alone, share it.
PAIR_ID = "pair_id"


# Optional: how to read a slice's files. `ValueRule.parse` says what the first may state; the second holds the numbers
# that mean haemorrhage in the mask, with blanks between them.
IMAGE_VALUES = "image_values"
MASK_LABELS = "mask_labels"


def is_attribute(name: str) -> bool:
    """Whether a column may hold an attribute, `attribute_<name>` in lower case: text, empty where it is unknown.

    An attribute is what may go with a marker without being one: the scanner, the kernel, the clot's volume.

    >>> is_attribute("attribute_kernel"), is_attribute("kernel")
    (True, False)
    """
    return re.fullmatch(ATTRIBUTE + r"[a-z0-9_]+", name) is not None


def attributes_among(columns: Iterable[str]) -> list[str]:
    """The attribute columns of a table, as they stand.

    >>> attributes_among(["key", "attribute_kernel", "hypodensity"])
    ['attribute_kernel']
    """
    return list(dict.fromkeys(filter(is_attribute, columns)))


def descriptions_among(columns: Iterable[str]) -> list[str]:
    """The optional text columns of a table: attributes, then pairs, then how its files are to be read.

    >>> descriptions_among(["key", "pair_id", "attribute_kernel"])
    ['attribute_kernel', 'pair_id']
    """
    columns = list(columns)
    return [*attributes_among(columns), *(name for name in (PAIR_ID, IMAGE_VALUES, MASK_LABELS) if name in columns)]


def haemorrhage_labels(columns: Iterable[str]) -> list[str]:
    """Those of a table's labels that say, where they are 1, that the slice shows blood.

    >>> haemorrhage_labels(["key", "label_fracture", "label_subdural", "hypodensity"])
    ['hypodensity', 'label_subdural']
    """
    of_blood = {*MARKERS, ANY_HAEMORRHAGE, *HAEMORRHAGE_TYPES.values()}
    return [name for name in labels_among(columns) if name in of_blood]


def unknown_label(name: str, columns: Iterable[str]) -> str:
    """What to say of a label that a table does not hold; "" where it does.

    >>> unknown_label("label_subdurl", ["key", "label_subdural"])
    "marker 'label_subdurl' is unknown; the labels of the table are label_subdural. Did you mean 'label_subdural'?"
    """
    known = labels_among(columns)
    if name in known:
        return ""
    listed = f"the labels of the table are {', '.join(known)}" if known else f"expected {LABEL_NAMES}"
    return f"marker {name!r} is unknown; {listed}.{did_you_mean(name, known)}"


# Brain window (level, width) in HU: 0..80 HU becomes 0..1.
BRAIN_WINDOW_HU = (40.0, 80.0)
