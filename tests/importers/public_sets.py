# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Miniatures of the public sets in their published layouts, with their known traps."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
from importer_support import bleeding_patient, edit, write_study
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

SUBTYPES = ("epidural", "intraparenchymal", "intraventricular", "subarachnoid", "subdural")


def save(path: Path, array: np.ndarray, affine: np.ndarray, qform_only: bool = False) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = nib.Nifti1Image(array, affine)
    if qform_only:
        image.set_qform(affine, code=1)
        image.set_sform(None, code=0)
    nib.save(image, path)


LPS = np.diag([-0.45, -0.45, 5.0, 1.0])


def volume(generator: np.random.Generator, slices: int) -> np.ndarray:
    """(columns, rows, slices) HU, no two slices alike."""
    return generator.integers(-100, 100, (16, 12, slices)).astype(np.int16)


PHYSIONET_COLUMNS = (
    "PatientNumber,SliceNumber,Intraventricular,Intraparenchymal,Subarachnoid,Epidural,Subdural,No_Hemorrhage,"
    "Fracture_Yes_No"
)


def physionet(root: Path) -> dict[str, np.ndarray]:
    """Two patients; patient 49 bleeds into slice 2 of 4, counted from 1, and has no row for slice 4."""
    generator = np.random.default_rng(0)
    hu = {"049": volume(generator, 4), "051": volume(generator, 3)}
    masks = {name: np.zeros(array.shape, np.uint8) for name, array in hu.items()}
    masks["049"][3:6, 4:8, 1] = 255
    for name, array in hu.items():
        save(root / "ct_scans" / f"{name}.nii", array, LPS)
        save(root / "masks" / f"{name}.nii", masks[name], LPS)
    rows = ["49,1,0,0,0,0,0,1,0", "49,2,0,1,0,0,0,0,1", "49,3,0,0,0,0,0,1,0", "49,3,0,0,0,0,0,1,0"]
    rows += [f"51,{n},0,0,0,0,0,1,0" for n in (1, 2, 3)]
    (root / "hemorrhage_diagnosis_raw_ct.csv").write_text("\n".join([PHYSIONET_COLUMNS, *rows]) + "\n")
    return hu


def jpeg(root: Path) -> tuple[np.ndarray, np.ndarray]:
    """The older release: slices 9 and 10 of a patient, whose names sort otherwise than numbers.

    JPEG leaves grey values around the edges of the mask. Returns the grey values of slice 9, and the mask of slice 10.
    """
    brain = root / "Patients_CT" / "049" / "brain"
    brain.mkdir(parents=True)
    smooth = np.add.outer(np.arange(32), np.arange(24)).astype(np.uint8) * 4
    for number, grey in ((9, smooth), (10, smooth[::-1])):
        Image.fromarray(grey).save(brain / f"{number}.jpg", quality=95)
    drawn = np.zeros((32, 24), np.uint8)
    drawn[8:16, 8:16] = 255
    Image.fromarray(drawn).save(brain / "10_HGE_Seg.jpg", quality=60)
    rows = ["49,9,0,0,0,0,0,1,0", "49,10,0,1,0,0,0,0,0"]
    (root / "hemorrhage_diagnosis.csv").write_text("\n".join([PHYSIONET_COLUMNS, *rows]))
    return smooth, drawn


def bhsd(root: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A space in the folder's name, qform only and oblique, uint16 classes. Returns HU, classes and affine."""
    turn = np.eye(4)
    turn[1:3, 1:3] = [[0.97, -0.24], [0.24, 0.97]]
    classes = np.zeros((16, 12, 4), np.uint16)
    classes[2:4, 2:4, 1], classes[5:7, 5:7, 1], classes[5:7, 5:7, 2] = 2, 3, 5
    hu = volume(np.random.default_rng(1), 4)
    folder = root / "label_192"
    save(folder / "images" / "ID_1_ID_2.nii.gz", hu, turn @ LPS, qform_only=True)
    save(folder / "ground truths" / "ID_1_ID_2.nii.gz", classes, turn @ LPS, qform_only=True)
    return hu, classes, turn @ LPS


def instance(root: Path) -> None:
    """Case 001 has affines that agree only after rounding; image and mask of case 002 do not lie together."""
    mask = np.zeros((16, 12, 3), np.uint8)
    mask[4:8, 4:8, 2] = 1
    nearly, generator = LPS + 1e-5, np.random.default_rng(2)
    for name, affine in (("001", nearly), ("002", LPS + np.diag([0, 0, 5.0, 0]))):
        save(root / "train_2" / "data" / f"{name}.nii.gz", volume(generator, 3), LPS)
        save(root / "train_2" / "label" / f"{name}.nii.gz", mask, affine)


def published(data: Dataset, name: str, study: str, patient: str = "ID_p1") -> None:
    """Headers as RSNA published them: pseudonyms in place of UIDs, no image type, native pixels."""
    data.PatientID, data.StudyInstanceUID, data.SeriesInstanceUID = patient, study, f"{study}s"
    data.SOPInstanceUID = data.file_meta.MediaStorageSOPInstanceUID = name
    del data.ImageType
    data.decompress()


def rsna(root: Path) -> tuple[list[str], list[Any]]:
    """One study of four slices: wrapped 12-bit values, and one file with short pixel data."""
    names = ["ID_00000000a", "ID_00000000b", "ID_6431af929", "ID_a64d5deed"]
    paths, rendered = write_study(root / "stage_2_train", bleeding_patient(1))
    for path, name in zip(paths, names, strict=True):
        edit(path, lambda data, name=name: published(data, name, "ID_study1"))
        path.rename(path.with_name(f"{name}.dcm"))

    def wrap(data: Dataset) -> None:
        hu = np.maximum(data.pixel_array.astype(np.int32) + int(data.RescaleIntercept), -1000)
        data.RescaleIntercept, data.PixelRepresentation, data.BitsStored, data.HighBit = 0, 0, 12, 11
        data.set_pixel_data((hu % 4096).astype(np.uint16), "MONOCHROME2", 12, generate_instance_uid=False)

    def shorten(data: Dataset) -> None:
        data.PixelData = data.PixelData[:-200]

    edit(root / "stage_2_train" / "ID_00000000b.dcm", wrap)
    edit(root / "stage_2_train" / "ID_6431af929.dcm", shorten)
    kinds = ("any", *SUBTYPES)
    rows = [f"{name}_{kind},{int(number == 1 and kind in ('any', 'subdural'))}" for number, name in enumerate(names)
            for kind in kinds]  # fmt: skip
    rows += [f"ID_a64d5deed_{kind},0" for kind in kinds]  # there twice, as in the release
    (root / "stage_2_train.csv").write_text("\n".join(["ID,Label", *rows]) + "\n")
    return names, rendered


def in_series(name: str) -> Callable[[Dataset, int], None]:
    uid, study = generate_uid(), generate_uid()

    def change(data: Dataset, _: int) -> None:
        data.SeriesInstanceUID, data.StudyInstanceUID, data.SeriesDescription = uid, study, name
        data.SOPInstanceUID = data.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        data.PatientID = data.PatientName = "CQ500"

    return change


def cq500(root: Path) -> None:
    """Case 0: thin and thick plain series, bone and contrast. Case 310: no name says plain. Case 7: contrast only."""
    series = {
        ("CQ500-CT-0", "CQ500CT0 CQ500CT0"): ("CT PLAIN THIN", "CT Plain", "CT BONE", "CT POST CONTRAST"),
        ("CQ500-CT-310", "CQ500CT310 CQ500CT310"): ("CT 5mm", "CT H60 BONE"),
        ("CQ500-CT-7", "CQ500CT7 CQ500CT7"): ("CT POST CONTRAST",),
    }
    for (case, inner), names in series.items():
        for name in names:
            folder = root / case / inner / "Unknown Study" / name
            paths, _ = write_study(folder, bleeding_patient(1), change=in_series(name))
            if name == "CT Plain":
                paths[-1].unlink()
    findings = "ICH IPH IVH SDH EDH SAH BleedLocation-Left BleedLocation-Right ChronicBleed Fracture CalvarialFracture"
    findings += " OtherFracture MassEffect MidlineShift"
    columns = [f"{reader}:{finding}" for reader in ("R1", "R2", "R3") for finding in findings.split()]
    table = pd.DataFrame(0, index=range(3), columns=columns)
    table.insert(0, "name", ["CQ500-CT-0", "CQ500-CT-310", "CQ500-CT-7"])
    table.insert(1, "Category", "B1")
    table.loc[0, ["R1:ICH", "R3:ICH", "R2:SDH"]] = 1  # two of three see blood, one of three a subdural
    table.loc[1, ["R1:SAH", "R2:SAH", "R3:SAH"]] = 1
    table.to_csv(root / "reads.csv", index=False)
