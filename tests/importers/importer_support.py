# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Folders as hospitals export them, with planted identifiers, made from the phantom."""

from __future__ import annotations

import functools
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pydicom
from highdicom.seg import Segmentation, SegmentDescription
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from monai_ich.data import Manifest, read_manifest
from monai_ich.importers import Card, DicomRequest, ImportResult
from monai_ich.importers.balance_sheet import FATES
from monai_ich.phantom import PhantomSpec, make_patient
from monai_ich.phantom.render import PhantomPatient
from monai_ich.phantom.study_files import write_mask, write_slice
from monai_ich.reading import read_slices

SPEC = PhantomSpec(seed=3, slices_per_study=4, matrix=64)
SLICES = SPEC.slices_per_study or 0
CARD = Card("Test", "Made for a test.", "CC0-1.0")
PLANTED = {
    "PatientName": "Yamada^Tarō",
    "PatientID": "MRN-0471193",
    "PatientBirthDate": "19570314",
    "AccessionNumber": "ACC2291847",
}


@functools.cache
def bleeding_patient(hospital: int) -> PhantomPatient:
    """The first patient of a phantom hospital who has a haematoma."""
    return next(patient for number in range(60) if (patient := make_patient(SPEC, hospital, number)).truth.ich)


@functools.cache
def rendered_slices(hospital: int) -> tuple[Any, ...]:
    """HU and mask of that patient's slices."""
    patient = bleeding_patient(hospital)
    return tuple(patient.render(index) for index in range(patient.scan.count))


def write_study(
    folder: Path,
    patient: PhantomPatient,
    change: Callable[[Dataset, int], None] | None = None,
    shuffled: bool = False,
) -> tuple[list[Path], list[Any]]:
    """Writes a series; returns its files in the order of the phantom, and what was rendered."""
    folder.mkdir(parents=True, exist_ok=True)
    rendered = list(rendered_slices(patient.truth.hospital))
    paths = [write_slice(folder, patient, index, one.hu) for index, one in enumerate(rendered)]
    if change is not None:
        for index, path in enumerate(paths):
            edit(path, lambda data, index=index: change(data, index))
    if shuffled:
        names = [folder / f"file{number}" for number in range(len(paths))]
        random.Random(1).shuffle(names)
        paths = [path.rename(name) for path, name in zip(paths, names, strict=True)]
    return paths, rendered


def edit(path: Path, change: Callable[[Dataset], None]) -> None:
    """Changes attributes of a DICOM file in place."""
    data = pydicom.dcmread(path)
    change(data)
    data.save_as(path, enforce_file_format=True)


def plant(data: Dataset, _: int = 0) -> None:
    """Writes the planted identifiers into a data set."""
    for keyword, value in PLANTED.items():
        setattr(data, keyword, value)


def turned(data: Dataset, _: int = 0) -> None:
    """Stores columns from left to right and rows from back to front: the same picture in the patient."""
    stored = data.pixel_array[::-1, ::-1]
    orientation = np.array(data.ImageOrientationPatient, float)
    far = orientation[:3] * (data.Columns - 1) * data.PixelSpacing[1]
    far = far + orientation[3:] * (data.Rows - 1) * data.PixelSpacing[0]
    data.ImagePositionPatient = [f"{v:.6f}" for v in np.array(data.ImagePositionPatient, float) + far]
    data.ImageOrientationPatient = [f"{v:.6f}" for v in -orientation]
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.set_pixel_data(np.ascontiguousarray(stored), "MONOCHROME2", data.BitsStored, generate_instance_uid=False)


def write_seg(
    path: Path, images: list[Path], segments: dict[str, list[np.ndarray]], kind: str = "BINARY", **settings: Any
) -> None:
    """An independent writer's DICOM SEG; it leaves out the frames without blood.

    Args:
        path: the file.
        images: the slices that it refers to.
        segments: label -> one (rows, columns) array for each of them; probabilities where `kind` is FRACTIONAL.
        kind: Segmentation Type.
        settings: further arguments of highdicom.
    """
    descriptions = [
        SegmentDescription(
            segment_number=number,
            segment_label=label.partition("#")[0],  # what follows a # tells segments of one label apart
            segmented_property_category=codes.SCT.MorphologicallyAbnormalStructure,
            segmented_property_type=codes.SCT.Hemorrhage,
            algorithm_type="MANUAL",
        )
        for number, label in enumerate(segments, start=1)
    ]
    values = np.stack([np.stack(masks) for masks in segments.values()], axis=-1)  # (N, rows, columns, segments)
    segmentation = Segmentation(
        source_images=[pydicom.dcmread(image) for image in images],
        pixel_array=values.astype(np.float32) if kind == "FRACTIONAL" else values.astype(np.uint8),
        segmentation_type=kind,
        segment_descriptions=descriptions,
        series_instance_uid=generate_uid(),
        series_number=9,
        sop_instance_uid=generate_uid(),
        instance_number=1,
        manufacturer="test",
        manufacturer_model_name="test",
        software_versions="1",
        device_serial_number="1",
        **settings,
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    segmentation.save_as(path)


def write_nifti_mask(path: Path, patient: PhantomPatient, rendered: list[Any]) -> None:
    """The study's masks as its hospital writes them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_mask(path, patient, [one.mask for one in rendered])


def request(folder: Path, **changes: Any) -> DicomRequest:
    """A request in one process, with everything below `folder`."""
    settings: dict[str, Any] = {
        "source": folder / "export",
        "manifest": folder / "manifests" / "mine.csv",
        "output": folder / "out",
        "card": CARD,
        "key_file": folder / "secret" / "key",
        "hospital": "1",
        "workers": 1,
        "files": "link",
    }
    return DicomRequest(**(settings | changes))


def files_by_fate(result: ImportResult) -> dict[str, int]:
    """How many files were used, refused and passed over; the total is checked against them."""
    files = result.balance[result.balance["what"] == "files"].groupby("fate")["count"].sum()
    counts = {fate: int(files.get(fate, 0)) for fate in FATES}
    assert int(files["total"]) == sum(counts.values())
    return counts


def files_by_kind(result: ImportResult, fate: str) -> dict[str, int]:
    """Kind -> how many files of one fate."""
    table = result.balance[(result.balance["what"] == "files") & (result.balance["fate"] == fate)]
    return dict(zip(table["kind"], map(int, table["count"]), strict=True))


def count_files(*roots: Path, skip: Path) -> int:
    """An independent count: every folder once, whatever links lead to it; a link to nothing counts as a file."""
    seen, total, waiting = {os.path.realpath(skip)}, 0, [str(root) for root in roots]
    while waiting:
        folder = waiting.pop()
        if os.path.realpath(folder) in seen:
            continue
        seen.add(os.path.realpath(folder))
        for name in os.listdir(folder):
            path = os.path.join(folder, name)
            if os.path.isdir(path):
                waiting.append(path)
            else:
                total += 1
    return total


def read(path: Path) -> Manifest:
    """The imported manifest with every check that holds before splits are assigned."""
    return read_manifest(path, markers=(), required_splits=())


def stored_pixels(manifest: Manifest) -> list[tuple[np.ndarray, np.ndarray | None]]:
    """(HU, mask) of each row, as training reads them."""
    pairs = []
    for row in manifest.frame.itertuples():
        index = None if pd.isna(row.image_slice) else [int(row.image_slice)]
        image = read_slices(manifest.dataset_dir / row.image, index).pixels[0]
        mask = None
        if row.mask:
            labels = [int(number) for number in getattr(row, "mask_labels", "").split()]
            mask = read_slices(manifest.dataset_dir / row.mask, [int(row.mask_slice)], "mask", 0, labels).pixels[0]
        pairs.append((image, mask))
    return pairs


def written_files(*folders: Path) -> list[Path]:
    """All files below the folders."""
    return sorted(path for folder in folders for path in folder.rglob("*") if path.is_file())
