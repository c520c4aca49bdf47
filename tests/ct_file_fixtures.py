# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Writes the same head-like object as DICOM and NIfTI, in any orientation."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import nibabel as nib
import numpy as np
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence as DicomSequence
from pydicom.uid import CTImageStorage, EnhancedCTImageStorage, ExplicitVRLittleEndian, generate_uid

SPACING_RC = (0.6, 0.5)
SLICE_STEP = 5.0
ORIGIN_LPS = np.array([-10.0, -20.0, 30.0])


def make_object(slices: int = 4, rows: int = 24, columns: int = 20) -> tuple[np.ndarray, np.ndarray]:
    """HU (N,H,W) without two equal pixels, so that every flip and transposition shows; and an F as mask."""
    hu = np.arange(slices * rows * columns, dtype=np.int16).reshape(slices, rows, columns) - 900
    mask = np.zeros_like(hu, dtype=np.uint8)
    mask[:, 3:20, 4:7] = mask[:, 3:6, 4:15] = mask[:, 10:12, 4:11] = 1
    mask[0, 20:, 15:] = 1
    return hu, mask


def world_ras(index_nrc: np.ndarray) -> np.ndarray:
    """RAS mm of canonical indices (slice, row, column), by hand."""
    n, r, c = index_nrc
    lps = ORIGIN_LPS + np.array([c * SPACING_RC[1], r * SPACING_RC[0], n * SLICE_STEP])
    return lps * [-1, -1, 1]


@pytest.fixture
def ct_object() -> SimpleNamespace:
    hu, mask = make_object()
    return SimpleNamespace(hu=hu, mask=mask, world_ras=world_ras)


@pytest.fixture
def write_nifti() -> Callable[..., Path]:
    def write(path: Path, canonical: np.ndarray, axcodes: str = "LPS") -> Path:
        affine = np.eye(4)
        affine[:3] = np.diag([-1, -1, 1]) @ np.column_stack(
            [[SPACING_RC[1], 0, 0], [0, SPACING_RC[0], 0], [0, 0, SLICE_STEP], ORIGIN_LPS]
        )
        image = nib.Nifti1Image(canonical.transpose(2, 1, 0), affine)
        change = nib.orientations.ornt_transform(
            nib.orientations.axcodes2ornt("LPS"), nib.orientations.axcodes2ornt(axcodes)
        )
        nib.save(image.as_reoriented(change), path)
        return path

    return write


def _common(sop_class: str, rows: int, columns: int) -> Dataset:
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID = sop_class
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    dataset.SeriesInstanceUID, dataset.StudyInstanceUID = "1.2.3", "1.2"
    dataset.Modality, dataset.SeriesNumber = "CT", 2
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    dataset.Rows, dataset.Columns, dataset.SamplesPerPixel = rows, columns, 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 16, 15
    return dataset


def _set_pixels(dataset: Dataset, stored: np.ndarray) -> None:
    dataset.PixelRepresentation = int(stored.dtype.kind == "i")
    dataset.PixelData = np.ascontiguousarray(stored).tobytes()


@pytest.fixture
def write_dicom() -> Callable[..., Path]:
    """Writes one slice; `change` edits the data set before it is saved."""

    def write(
        path: Path,
        stored: np.ndarray,
        position: tuple[float, float, float] = (0.0, 0.0, 0.0),
        orientation: tuple[float, ...] = (1, 0, 0, 0, 1, 0),
        slope: float = 1.0,
        intercept: float = 0.0,
        spacing: tuple[float, float] = SPACING_RC,
        change: Callable[[Dataset], None] | None = None,
    ) -> Path:
        dataset = _common(CTImageStorage, *stored.shape)
        dataset.ImagePositionPatient, dataset.ImageOrientationPatient = list(position), list(orientation)
        dataset.PixelSpacing, dataset.SliceThickness = list(spacing), SLICE_STEP
        dataset.RescaleSlope, dataset.RescaleIntercept = slope, intercept
        _set_pixels(dataset, stored)
        if change:
            change(dataset)
        dataset.save_as(path, enforce_file_format=True)
        return path

    return write


@pytest.fixture
def write_enhanced() -> Callable[..., Path]:
    """Writes an enhanced multi-frame CT; one rescale for all frames, or one each."""

    def write(path: Path, stored: np.ndarray, positions: list[np.ndarray], rescale: list[tuple[float, float]]) -> Path:
        dataset = _common(EnhancedCTImageStorage, *stored.shape[1:])
        dataset.NumberOfFrames = len(stored)
        shared = Dataset()
        shared.PlaneOrientationSequence = DicomSequence([Dataset()])
        shared.PlaneOrientationSequence[0].ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        shared.PixelMeasuresSequence = DicomSequence([Dataset()])
        shared.PixelMeasuresSequence[0].PixelSpacing = list(SPACING_RC)
        shared.PixelMeasuresSequence[0].SliceThickness = SLICE_STEP
        frames = []
        for number, position in enumerate(positions):
            frame = Dataset()
            frame.PlanePositionSequence = DicomSequence([Dataset()])
            frame.PlanePositionSequence[0].ImagePositionPatient = list(map(float, position))
            if len(rescale) > 1:
                frame.PixelValueTransformationSequence = DicomSequence([_rescale(*rescale[number])])
            frames.append(frame)
        if len(rescale) == 1:
            shared.PixelValueTransformationSequence = DicomSequence([_rescale(*rescale[0])])
        dataset.SharedFunctionalGroupsSequence = DicomSequence([shared])
        dataset.PerFrameFunctionalGroupsSequence = DicomSequence(frames)
        _set_pixels(dataset, stored)
        dataset.save_as(path, enforce_file_format=True)
        return path

    return write


def _rescale(slope: float, intercept: float) -> Dataset:
    values = Dataset()
    values.RescaleSlope, values.RescaleIntercept, values.RescaleType = slope, intercept, "HU"
    return values


@pytest.fixture
def write_series(write_dicom: Callable[..., Path]) -> Callable[..., list[Path]]:
    """Writes the slices of a canonical object, names and instance numbers in an order that says nothing."""

    def write(folder: Path, hu: np.ndarray, shear: float = 0.0) -> list[Path]:
        folder.mkdir(parents=True, exist_ok=True)
        paths = []
        for n, stored in enumerate(hu):
            position = ORIGIN_LPS + np.array([0, n * shear, n * SLICE_STEP])
            paths.append(write_dicom(folder / f"{(n * 7 + 3) % 10}.dcm", stored, tuple(position)))
        return paths

    return write
