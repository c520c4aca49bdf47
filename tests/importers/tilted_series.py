# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""A tilted series, a haematoma with a formula in the patient, and the grids that programs make of them."""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
from importer_support import request
from pydicom.uid import generate_uid
from support import head_slice

from monai_ich.importers import ImportResult, import_dicom
from monai_ich.phantom import PhantomSpec, make_patient
from monai_ich.phantom.study_files import write_slice

SLICES = 14  # enough for a slice step that is 2 % short to be a quarter of a slice off
HOSPITAL = 2  # tilts its gantry, stores rows from front to back
LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


@functools.cache
def series_bytes() -> tuple[tuple[str, bytes], ...]:
    """The DICOM files of one tilted series; what its pixels show does not matter."""
    patient = make_patient(PhantomSpec(seed=3, slices_per_study=SLICES, matrix=128), HOSPITAL, 0)
    with tempfile.TemporaryDirectory() as folder:
        paths = [write_slice(Path(folder), patient, n, head_slice(128).astype(np.int16)) for n in range(SLICES)]
        return tuple((path.name, path.read_bytes()) for path in paths)


class Tilted:
    """A tilted series on disk, its geometry by its headers, and the haematoma's formula."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "export").mkdir()
        for name, content in series_bytes():
            (folder / "export" / name).write_bytes(content)
        headers = [pydicom.dcmread(path) for path in sorted((folder / "export").iterdir())]
        headers.sort(key=lambda header: header.ImagePositionPatient[2])
        self.patient_id = headers[0].PatientID
        positions = np.array([header.ImagePositionPatient for header in headers], float)
        cosines = np.array(headers[0].ImageOrientationPatient, float)
        self.spacing = float(headers[0].PixelSpacing[0])
        self.size = (headers[0].Columns, headers[0].Rows, SLICES)
        self.across, self.down = cosines[:3], cosines[3:]
        self.normal = np.cross(self.across, self.down)
        self.step = (positions[-1] - positions[0]) / (SLICES - 1)  # along the table
        self.affine = self.ras(self.across * self.spacing, self.down * self.spacing, self.step, positions[0])
        self.tilt = np.degrees(np.arccos(abs(self.normal[2])))
        self.centre = (LPS_TO_RAS @ self.affine @ [*(np.array(self.size) - 1) / 2, 1])[:3]  # LPS mm

    @staticmethod
    def ras(*columns_lps: np.ndarray) -> np.ndarray:
        return LPS_TO_RAS @ np.vstack([np.column_stack(columns_lps), [0, 0, 0, 1]])

    def blood(self, affine: np.ndarray, shape: tuple[int, ...], moved_mm: tuple[float, ...] = (0, 0, 0)) -> np.ndarray:
        """1 where a voxel's centre lies in a haematoma of two balls, which has no symmetry."""
        index = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1)
        place = index @ affine[:3, :3].T + affine[:3, 3]  # RAS
        centre = (self.centre + moved_mm) * [-1, -1, 1]
        large = np.linalg.norm(place - centre - [14, 6, 3], axis=-1) < 21
        small = np.linalg.norm(place - centre - [-12, -16, 12], axis=-1) < 11
        return (large | small).astype(np.uint8)

    def truth(self) -> np.ndarray:
        """(N, rows, columns) on the slices themselves."""
        return self.blood(self.affine, self.size).transpose(2, 1, 0)

    def add_mask(self, values: np.ndarray, affine: np.ndarray, name: str = "") -> None:
        (self.folder / "masks").mkdir(exist_ok=True)
        image = nib.Nifti1Image(values, affine)
        nib.save(image, self.folder / "masks" / f"{name or self.patient_id}.nii.gz")

    def add_series(self, moved_mm: tuple[float, float, float], slices: int, **attributes: str) -> np.ndarray:
        """Another series of the patient, with other attributes; returns its affine."""
        (self.folder / "export" / "more").mkdir()
        uid = generate_uid()
        for path in sorted((self.folder / "export").glob("*.dcm"))[:slices]:
            data = pydicom.dcmread(path)
            data.SeriesInstanceUID, data.SOPInstanceUID = uid, generate_uid()
            data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID
            data.ImagePositionPatient = [f"{v:.6f}" for v in np.array(data.ImagePositionPatient, float) + moved_mm]
            for keyword, value in attributes.items():
                setattr(data, keyword, value)
            data.save_as(self.folder / "export" / "more" / path.name)
        affine = self.affine.copy()
        affine[:3, 3] += np.array(moved_mm) * [-1, -1, 1]
        return affine

    def imported(self) -> ImportResult:
        return import_dicom(request(self.folder, masks=self.folder / "masks"))

    # grids that programs make of the series

    def unsheared(self) -> tuple[np.ndarray, tuple[int, ...]]:
        """dcm2niix's `_Tilt`: the slices' planes, stacked along their normal, with rows added for what was moved."""
        sign = np.sign(self.normal @ self.step)
        column = self.normal * sign * abs(self.normal @ self.step)
        moved = (self.step - column) * (SLICES - 1) @ self.down / self.spacing  # rows from first to last slice
        more = int(np.ceil(abs(moved)))
        first = LPS_TO_RAS @ self.affine @ [0, min(0, np.floor(moved)), 0, 1]
        affine = self.ras(self.across * self.spacing, self.down * self.spacing, column, first[:3])
        return affine, (self.size[0], self.size[1] + more, SLICES)

    def isotropic(self, mm: float = 2.0) -> tuple[np.ndarray, tuple[int, ...]]:
        """Axes of the patient, as a program that reorients to RAS gives it: the box around the series."""
        corners = np.array([*np.ndindex(2, 2, 2)]) * (np.array(self.size) - 1)
        places = corners @ self.affine[:3, :3].T + self.affine[:3, 3]
        low, high = places.min(axis=0), places.max(axis=0)
        affine = np.diag([mm, mm, mm, 1.0])
        affine[:3, 3] = low + 0.3
        return affine, tuple(int(n) for n in np.ceil((high - low) / mm) + 1)

    def finer_and_cropped(self) -> tuple[np.ndarray, tuple[int, ...]]:
        """The slices' planes, 0.6 times the pixel, and only the middle of the picture."""
        affine = self.affine @ np.diag([0.6, 0.6, 1, 1])
        affine[:3, 3] = (self.affine @ [16.3, 15.1, 0, 1])[:3]
        return affine, (160, 162, SLICES)
