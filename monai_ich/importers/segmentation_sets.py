# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Imports the two public sets of volumes with masks and no table: INSTANCE 2022 and BHSD."""

from __future__ import annotations

from pathlib import Path

from monai_ich.importers.assembly import Card, ImportResult
from monai_ich.importers.item_records import Refusal
from monai_ich.importers.volume_items import PublicRequest, VolumeItem, import_volumes, masks_alone
from monai_ich.reading.file_tree import files_in
from monai_ich.utils.keys import ANY_HAEMORRHAGE, HAEMORRHAGE_TYPES

_INSTANCE = Card(
    "INSTANCE 2022",
    "100 head CTs with intracranial haemorrhage and its mask (arXiv 2301.03281).",
    "by signed agreement with the organisers; see https://instance.grand-challenge.org/Participation/",
)
# The set's two pages disagree: its repository says CC BY-NC-ND 4.0, the page that it is downloaded from says MIT.
_BHSD = Card(
    "BHSD",
    "192 head CTs with masks of five types of intracranial haemorrhage (doi 10.1007/978-3-031-45673-2_15).",
    "CC BY-NC-ND 4.0 by https://github.com/White65534/BHSD, MIT by its download page; ask its authors before sharing",
)
_BHSD_CLASSES = {
    1: HAEMORRHAGE_TYPES["epidural"],
    2: HAEMORRHAGE_TYPES["intraparenchymal"],
    3: HAEMORRHAGE_TYPES["intraventricular"],
    4: HAEMORRHAGE_TYPES["subarachnoid"],
    5: HAEMORRHAGE_TYPES["subdural"],
}


def import_instance(request: PublicRequest) -> ImportResult:
    """Imports `train_2/data` and `train_2/label`: 100 volumes with haemorrhage as one class.

    Raises:
        ConfigurationError: the folder is not the data set.
    """
    root = request.source.resolve()
    request.refuse_without_source(root / "train_2" / "data")
    items, refused = _pairs(root, root / "train_2" / "data", root / "train_2" / "label", {})
    alone = masks_alone(root / "train_2" / "label", items)
    return import_volumes(request, items, _INSTANCE, "instance", (ANY_HAEMORRHAGE,), refused=refused, alone=alone)


def import_bhsd(request: PublicRequest) -> ImportResult:
    """Imports `label_192/images` and `label_192/ground truths`: masks of five types of haemorrhage.

    Raises:
        ConfigurationError: the folder is not the data set.
    """
    root = request.source.resolve()
    request.refuse_without_source(root / "label_192" / "images")
    folder = root / "label_192"
    items, refused = _pairs(root, folder / "images", folder / "ground truths", _BHSD_CLASSES)
    labels = (ANY_HAEMORRHAGE, *_BHSD_CLASSES.values())
    alone = masks_alone(folder / "ground truths", items)
    return import_volumes(request, items, _BHSD, "bhsd", labels, refused=refused, alone=alone)


def _pairs(root: Path, images: Path, masks: Path, classes: dict[int, str]) -> tuple[list[VolumeItem], list[Refusal]]:
    """Image and mask of one name; an image without a mask is imported as not annotated, and reported."""
    items, refused = [], []
    for image in files_in(images, "*.nii*"):
        mask = masks / image.name
        if not mask.exists():
            shown = mask.relative_to(root).as_posix()
            refused.append(Refusal(shown, 1, "there is no such mask", "Unpack the archive again."))
        patient = image.name.partition(".")[0]
        items.append(VolumeItem(root, image, mask if mask.exists() else None, patient, classes))
    return items, refused
