# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Imports PhysioNet CT-ICH: release 1.3.1 (NIfTI), and the older layout of windowed JPEG files."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np

from monai_ich.importers.assembly import Card, ImportResult
from monai_ich.importers.item_records import Refusal
from monai_ich.importers.pictures import read_picture
from monai_ich.importers.public_tables import REMEDY, read_public_table, whole_numbers
from monai_ich.importers.volume_items import PublicRequest, VolumeItem, import_volumes, masks_alone
from monai_ich.reading.file_tree import files_in
from monai_ich.reading.hounsfield import ANY_VALUES
from monai_ich.utils.errors import ConfigurationError, ImageReadError
from monai_ich.utils.files import replaced
from monai_ich.utils.keys import ANY_HAEMORRHAGE, HAEMORRHAGE_TYPES

HOSPITAL = "physionet-ct-ich"
# The columns of hemorrhage_diagnosis*.csv.
_COLUMNS = {name.capitalize(): label for name, label in HAEMORRHAGE_TYPES.items()}
_COLUMNS["Fracture_Yes_No"] = "label_fracture"
LABELS = (ANY_HAEMORRHAGE, *_COLUMNS.values())
_NIFTI = Card(
    "PhysioNet CT-ICH",
    "75 head CTs, 5 mm slices, with masks and the type of haemorrhage of each slice (doi 10.13026/4nae-zg36).",
    "PhysioNet Restricted Health Data License 1.5.0; see https://physionet.org/content/ct-ich/1.3.1/",
)
# Before access was restricted, its authors published it under another licence (doi 10.3390/data5010014).
_JPEG = Card(
    "PhysioNet CT-ICH (JPEG release)",
    "Head CTs with masks and the type of haemorrhage of each slice (doi 10.13026/w8q8-ky94).",
    "CC BY 4.0; see https://physionet.org/content/ct-ich/1.2.0/",
)

# The older release shows a brain window of level 40, width 120 HU as grey values 0..255.
_WINDOW_LOW_HU, _WINDOW_WIDTH_HU = -20.0, 120.0
_JPEG_MASK_THRESHOLD = 128
# Far more patients, and slices of one, than there are.
_MOST_NUMBER = 9999
# Pixel spacing was not published with the JPEG files; 0.45 mm is usual for a head, slices are 5 mm.
_NOMINAL_SPACING_MM = (0.45, 0.45, 5.0)


def import_physionet(request: PublicRequest) -> ImportResult:
    """Imports `ct_scans` and `masks`, or, in the older layout, `Patients_CT`.

    SliceNumber counts from 1 on the volume's last axis. Slices without a row keep unknown labels.

    Raises:
        ConfigurationError: the folder is not the data set, or its table is not as published.
    """
    source = request.source.resolve()
    old = source / "Patients_CT"
    request.refuse_without_source(old if old.exists() else source / "ct_scans")
    found = _table_file(source)
    table = _read_table(found)
    if old.exists():
        return _import_jpeg(request, old, table, found)
    refused, items = [], []
    for image in files_in(source / "ct_scans", "*.nii*"):
        patient = image.name.partition(".")[0]
        mask = source / "masks" / image.name
        if not mask.exists():
            refused.append(Refusal(f"masks/{image.name}", 1, "there is no such mask", "Unpack the archive again."))
        items.append(VolumeItem(source, image, mask if mask.exists() else None, patient, {}, table.get(patient, {})))
    return import_volumes(
        request, items, _NIFTI, HOSPITAL, LABELS, _unlabelled(items), refused,
        tables=[found], rows=_rows(table), alone=masks_alone(source / "masks", items),
    )  # fmt: skip


def _rows(table: dict[str, dict[int, dict[str, int]]]) -> dict[str, int]:
    return {patient: len(slices) for patient, slices in table.items()}


def _unlabelled(items: list[VolumeItem]) -> list[str]:
    missing = [item.patient for item in items if not item.slice_labels]
    return [f"the table has no labels of {', '.join(missing)}"] if missing else []


def _table_file(source: Path) -> Path:
    """Raises ConfigurationError when the table is not there."""
    found = files_in(source, "hemorrhage_diagnosis*.csv")
    if not found:
        raise ConfigurationError(f"{source} holds no hemorrhage_diagnosis*.csv; copy it from the release.")
    return found[0]


def _read_table(path: Path) -> dict[str, dict[int, dict[str, int]]]:
    """patient "049" -> slice number from 0 -> labels."""
    numbers, labels = ("PatientNumber", "SliceNumber"), ("No_Hemorrhage", *_COLUMNS)
    frame = read_public_table(path, (*numbers, *labels))
    frame = whole_numbers(frame, numbers, path, _MOST_NUMBER).join(whole_numbers(frame, labels, path, 1))
    twice = frame.duplicated(["PatientNumber", "SliceNumber"])
    if twice.any() or (frame["SliceNumber"] < 1).any():
        raise ConfigurationError(
            f"{path.name}: {int(twice.sum())} slices have contradicting rows, and "
            f"{int((frame['SliceNumber'] < 1).sum())} have a number below 1; SliceNumber counts from 1. "
            f"{REMEDY}"
        )
    table: dict[str, dict[int, dict[str, int]]] = {}
    for row in frame.to_dict("records"):
        of_slice = {label: row[column] for column, label in _COLUMNS.items()}
        of_slice[ANY_HAEMORRHAGE] = 1 - row["No_Hemorrhage"]
        table.setdefault(f"{row['PatientNumber']:03d}", {})[row["SliceNumber"] - 1] = of_slice
    return table


def _import_jpeg(
    request: PublicRequest, folder: Path, table: dict[str, dict[int, dict[str, int]]], found: Path
) -> ImportResult:
    """Turns the brain windows back into HU from -20 to 100, as NIfTI volumes in the output folder."""
    output = request.output.resolve()
    items, alone = [], []
    for case in sorted(path.parent for path in folder.glob("*/brain") if path.is_dir()):
        numbers = _slice_numbers(case / "brain")
        of_case = table.get(case.name, {})
        labels = {place: of_case[number - 1] for place, number in enumerate(numbers) if number - 1 in of_case}
        image, mask = (output / kind / f"{case.name}.nii.gz" for kind in ("volumes", "masks"))
        drawn = files_in(case / "brain", "*_HGE_Seg.jpg")
        of_slices = [path for path in drawn if path.name in {f"{number}_HGE_Seg.jpg" for number in numbers}]
        alone += [path for path in drawn if path not in of_slices]
        pictures = [case / "brain" / f"{number}.jpg" for number in numbers]
        items.append(VolumeItem(output, image, mask, case.name, {}, labels, (*pictures, *of_slices), ANY_VALUES))
    notes = [
        "This release holds windowed pictures: values are HU only from -20 to 100, and JPEG has changed them.",
        "It has no geometry: orientation is taken as displayed, pixel spacing as 0.45 mm, slices as 5 mm.",
        *_unlabelled(items),
    ]
    card = replace(_JPEG, description=" ".join([_JPEG.description, *notes[:2]]))
    return import_volumes(
        request, items, card, HOSPITAL, LABELS, notes,
        convert=lambda item: _convert(folder, item), tables=[found], rows=_rows(table), alone=alone,
    )  # fmt: skip


def _slice_numbers(folder: Path) -> list[int]:
    return sorted(int(path.stem) for path in files_in(folder, "*.jpg") if re.fullmatch(r"\d+", path.stem))


def _convert(folder: Path, item: VolumeItem) -> None:
    """Writes the case's volume and mask; a slice without a mask file holds no blood.

    Raises:
        ImageReadError: a picture cannot be read, or they differ in size.
    """
    brain = folder / item.patient / "brain"
    images: list[np.ndarray] = []
    masks: list[np.ndarray] = []
    for number in _slice_numbers(brain):
        grey = read_picture(brain / f"{number}.jpg", "L").astype(np.float32)
        drawn = brain / f"{number}_HGE_Seg.jpg"
        mask = read_picture(drawn, "L") if drawn.exists() else np.zeros(grey.shape, np.uint8)
        if len({grey.shape, mask.shape, *(image.shape for image in images[:1])}) > 1:
            raise ImageReadError(
                brain / f"{number}.jpg",
                f"slice {grey.shape}, its mask {mask.shape} and the first slice differ in size",
                "Unpack the archive again.",
            )
        images.append(np.rint(grey / 255 * _WINDOW_WIDTH_HU + _WINDOW_LOW_HU).astype(np.int16))
        masks.append((mask > _JPEG_MASK_THRESHOLD).astype(np.uint8))
    if not images:
        raise ImageReadError(brain, "holds no <number>.jpg", "Unpack the archive again.")
    affine = np.diag([-_NOMINAL_SPACING_MM[0], -_NOMINAL_SPACING_MM[1], _NOMINAL_SPACING_MM[2], 1.0])
    for path, slices in ((item.image, images), (item.mask, masks)):
        assert path is not None
        with replaced(path) as partial:
            nib.save(nib.Nifti1Image(np.stack(slices).transpose(2, 1, 0), affine), partial)
