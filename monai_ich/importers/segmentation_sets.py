# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Imports the two public sets of volumes with masks and no table: INSTANCE 2022 and BHSD."""

from __future__ import annotations

from pathlib import Path

from monai_ich.importers.assembly import Card, ImportResult
from monai_ich.importers.progress import Refusal
from monai_ich.importers.volume_items import ANY, SUBTYPES, PublicRequest, VolumeItem, import_volumes

_BHSD_CLASSES = {
    1: SUBTYPES["epidural"],
    2: SUBTYPES["intraparenchymal"],
    3: SUBTYPES["intraventricular"],
    4: SUBTYPES["subarachnoid"],
    5: SUBTYPES["subdural"],
}


def import_instance(request: PublicRequest) -> ImportResult:
    """Imports `train_2/data` and `train_2/label`: 100 volumes with haemorrhage as one class.

    Raises:
        ConfigurationError: the folder is not the data set.
    """
    root = request.source.resolve()
    request.refuse_without_source(root / "train_2" / "data")
    items, refused = _pairs(root, root / "train_2" / "data", root / "train_2" / "label", {})
    card = Card("INSTANCE 2022", "100 head CTs with intracranial haemorrhage and its mask.", "by agreement")
    return import_volumes(request, items, card, "instance", (ANY,), refused=refused)


def import_bhsd(request: PublicRequest) -> ImportResult:
    """Imports `label_192/images` and `label_192/ground truths`: masks of five types of haemorrhage.

    Raises:
        ConfigurationError: the folder is not the data set.
    """
    root = request.source.resolve()
    request.refuse_without_source(root / "label_192" / "images")
    folder = root / "label_192"
    items, refused = _pairs(root, folder / "images", folder / "ground truths", _BHSD_CLASSES)
    card = Card("BHSD", "192 head CTs with masks of five types of intracranial haemorrhage.", "as published with BHSD")
    return import_volumes(request, items, card, "bhsd", (ANY, *SUBTYPES.values()), refused=refused)


def _pairs(root: Path, images: Path, masks: Path, classes: dict[int, str]) -> tuple[list[VolumeItem], list[Refusal]]:
    """Image and mask of one name; an image without a mask is imported as not annotated, and reported."""
    items, refused = [], []
    for image in sorted(images.glob("*.nii*")):
        mask = masks / image.name
        if not mask.exists():
            shown = mask.relative_to(root).as_posix()
            refused.append(Refusal(shown, 1, "there is no such mask", "Unpack the archive again."))
        patient = image.name.partition(".")[0]
        items.append(VolumeItem(root, image, mask if mask.exists() else None, patient, classes))
    return items, refused
