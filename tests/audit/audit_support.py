# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""A small phantom split by patients, and ways to plant faults in it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pydicom
from pydicom.uid import ExplicitVRLittleEndian, generate_uid
from scipy import ndimage
from sklearn.model_selection import StratifiedGroupKFold
from support import strict_json

from monai_ich.audit.manifest_audit import AuditRequest, audit_manifest
from monai_ich.data import read_manifest, write_manifest
from monai_ich.phantom import PhantomSpec, generate_phantom

STUDIES = (14, 4, 4, 4, 1, 1, 1, 1, 1, 1, 1)
CARD: dict[str, Any] = {
    "name": "phantom",
    "description": "by patients",
    "licence": "Apache-2.0",
    "window_hu": (40, 80),
}


def make_phantom(folder: Path, slices_per_study: int = 6) -> Path:
    """Writes a phantom of 33 patients, 64 x 64, and returns its manifest, split by the paper's protocol."""
    spec = PhantomSpec(
        studies=STUDIES,
        slices_per_study=slices_per_study,
        matrix=64,
        transfer_syntax="explicit_vr_little_endian",
    )
    return generate_phantom(folder / "data", folder / "paper.csv", spec, workers=1)


def split_by_patients(frame: pd.DataFrame) -> pd.DataFrame:
    """A quarter of the patients to the test set, a quarter to validation."""
    folds = StratifiedGroupKFold(4, shuffle=True, random_state=0)
    parts = [rows for _, rows in folds.split(frame, frame["hypodensity"], groups=frame["patient_id"])]
    split = pd.Series("train", index=frame.index)
    split.iloc[parts[0]], split.iloc[parts[1]] = "test_patients", "val"
    return frame.assign(split=split)


class Planted:
    """A copy of the clean data set, to be spoilt and audited.

    Attributes:
        frame: the manifest's rows, to be changed before `audit`.
        data: the folder of its files.
        path: where the manifest is written.
    """

    def __init__(self, clean: Path, folder: Path, protocol: str = "patient") -> None:
        manifest = read_manifest(clean)
        shutil.copytree(manifest.dataset_dir, folder / "data")
        self.frame, self.data, self.path = manifest.frame.copy(), folder / "data", folder / "planted.csv"
        self.protocol = protocol
        self.cache = folder / "cache"

    def row(self, split: str, annotated: bool = False, **values: Any) -> int:
        """The first row of a split, with a mask if asked for, whose columns have these values."""
        rows = self.frame[(self.frame["split"] == split) & ((self.frame["mask"] != "") | (not annotated))]
        for column, value in values.items():
            rows = rows[rows[column] == value]
        return int(rows.index[0])

    def write(self) -> Path:
        return write_manifest(self.frame, self.path, dataset_dir=self.data, protocol={"name": self.protocol}, **CARD)

    def audit(self, **options: Any) -> tuple[int, dict[str, Any]]:
        """Writes the manifest and audits it; returns the status and the JSON report."""
        self.write()
        status = audit_manifest(
            AuditRequest(self.path, **{"cache_dir": self.cache, "workers": 1, "pictures": False, **options})
        )
        return status, strict_json(self.path.with_suffix(".audit.json"))

    def page(self) -> str:
        return self.path.with_suffix(".audit.html").read_text()

    def change_header(self, row: int, **attributes: Any) -> None:
        path = self.data / self.frame.loc[row, "image"]
        data = pydicom.dcmread(path)
        for keyword, value in attributes.items():
            setattr(data, keyword, value)
        data.save_as(path)

    def change_pixels(self, row: int, rows: slice, columns: slice, hu: float) -> None:
        """Sets a part of a slice to a value in HU."""
        path = self.data / self.frame.loc[row, "image"]
        data = pydicom.dcmread(path)
        stored = data.pixel_array.copy()
        stored[rows, columns] = round((hu - float(data.RescaleIntercept)) / float(data.RescaleSlope))
        data.PixelData = stored.tobytes()
        data.save_as(path)

    def re_export(self, row: int, change: Callable[[Any], Any], **columns: Any) -> int:
        """Adds a copy of a slice as another export would make it: other UIDs and name, pixels changed a bit."""
        source = pydicom.dcmread(self.data / self.frame.loc[row, "image"])
        stored = change(source.pixel_array).astype(source.pixel_array.dtype)
        source.Rows, source.Columns = stored.shape
        source.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        source.PixelData = stored.tobytes()
        for keyword in ("SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID"):
            setattr(source, keyword, generate_uid())
        source.file_meta.MediaStorageSOPInstanceUID = source.SOPInstanceUID
        name = f"export/{columns['key']}.dcm"
        (self.data / "export").mkdir(exist_ok=True)
        source.save_as(self.data / name)
        new = {**self.frame.loc[row].to_dict(), "image": name, "mask": "", "mask_slice": pd.NA, **columns}
        self.frame = pd.concat([self.frame, pd.DataFrame([new])], ignore_index=True)
        return len(self.frame) - 1


def findings(report: dict[str, Any], check: str, *severities: str) -> list[dict[str, Any]]:
    """The findings of a check, of these severities or of any."""
    return [f for f in report["findings"] if f["check"] == check and (f["severity"] in severities or not severities)]


def _brain(stored: np.ndarray) -> np.ndarray:
    return (stored > 1024) & (stored < 1024 + 80)  # as HU + 1024


def other_detail(pixels: np.ndarray) -> np.ndarray:
    """The same head with other noise in its brain."""
    brain = _brain(pixels)
    smooth = ndimage.gaussian_filter(np.where(brain, pixels, pixels[brain].mean()), 1.0)
    noisy = smooth + np.random.default_rng(0).normal(0, 6, pixels.shape)
    return np.where(brain, noisy.clip(1025, 1103), pixels)


def other_fine_detail(pixels: np.ndarray) -> np.ndarray:
    """Twice the matrix; what was one pixel of brain differs in itself, and has the same mean."""
    signs = np.random.default_rng(0).choice([-1, 1], pixels.shape) * _brain(pixels)
    return np.kron(pixels, np.ones((2, 2))) + 15 * np.kron(signs, np.array([[1, -1], [-1, 1]]))
