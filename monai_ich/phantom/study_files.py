# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Writes a study as a hospital has it: a CT Image Storage series, and a NIfTI mask where somebody annotated."""

from __future__ import annotations

import gzip
from pathlib import Path

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian, generate_uid

from monai_ich.phantom.detector import PADDING_STORED
from monai_ich.phantom.render import PhantomPatient
from monai_ich.phantom.spec import TRANSFER_SYNTAXES

_IMPLEMENTATION = generate_uid(entropy_srcs=["monai_ich", "phantom", "implementation"])
_STUDY_DATE = "20260101"  # a phantom was scanned on no day; one fixed date keeps the bytes the same


def write_slice(folder: Path, patient: PhantomPatient, index: int, hu: NDArray[np.int16]) -> Path:
    """Writes one slice, `IM<instance>.dcm`, and returns its path.

    Args:
        folder: the study's folder, which exists.
        patient: whose slice it is.
        index: the slice, from 0; its Instance Number (0020,0013) is one more.
        hu: int16 (rows, columns), from `PhantomPatient.render`.
    """
    data = slice_header(patient, index)
    stored = hu - patient.truth.site.intercept_hu
    # BitsStored below 16 must hold every stored value, or a reader that masks the high bits would wrap them.
    kind = np.int16 if patient.truth.site.signed else np.uint16
    pixels = np.ascontiguousarray(stored.astype(kind))
    syntax = TRANSFER_SYNTAXES[patient.spec.transfer_syntax]
    data.set_pixel_data(pixels, "MONOCHROME2", data.BitsStored, generate_instance_uid=False)
    if syntax != ExplicitVRLittleEndian:
        data.compress(syntax, pixels, generate_instance_uid=False)
    path = folder / f"IM{index + 1:04d}.dcm"
    data.save_as(path, enforce_file_format=True)
    return path


def slice_header(patient: PhantomPatient, index: int) -> Dataset:
    """A slice's DICOM attributes, all but the pixel data."""
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.MediaStorageSOPClassUID = CTImageStorage
    data.file_meta.MediaStorageSOPInstanceUID = uid_of(patient, "instance", index)
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.file_meta.ImplementationClassUID = _IMPLEMENTATION
    data.SOPClassUID = CTImageStorage
    data.SOPInstanceUID = uid_of(patient, "instance", index)
    _add_patient_and_study(data, patient)
    _add_equipment(data, patient)
    _add_geometry(data, patient, index)
    _add_pixel_description(data, patient)
    return data


def uid_of(patient: PhantomPatient, kind: str, index: int = 0) -> UID:
    """A UID that depends on nothing but the seed, the patient, the study and what it names."""
    truth = patient.truth
    sources = [str(patient.spec.seed), str(truth.hospital), str(truth.number), kind, str(index)]
    if truth.study > 1:
        sources.append(f"study {truth.study}")
    return generate_uid(entropy_srcs=["monai_ich phantom", *sources])


def _add_patient_and_study(data: Dataset, patient: PhantomPatient) -> None:
    truth = patient.truth
    data.SpecificCharacterSet = "ISO_IR 192"
    data.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    data.StudyDate = data.SeriesDate = data.AcquisitionDate = data.ContentDate = _STUDY_DATE
    data.StudyTime = data.SeriesTime = data.AcquisitionTime = data.ContentTime = "120000"
    data.AccessionNumber = ""
    data.ReferringPhysicianName = ""
    data.StudyDescription = "Procedural head CT phantom"
    data.SeriesDescription = f"HEAD {truth.kernel}"
    data.PatientName = f"PHANTOM^{truth.hospital:02d} {truth.number:04d}"
    data.PatientID = truth.patient_id
    data.PatientBirthDate = ""
    data.PatientSex = "O"
    data.PatientIdentityRemoved = "YES"
    data.DeidentificationMethod = "Procedural phantom, no patient"
    data.StudyInstanceUID = uid_of(patient, "study")
    data.SeriesInstanceUID = uid_of(patient, "series")
    data.StudyID = str(truth.study)
    data.SeriesNumber = 2
    data.AcquisitionNumber = 1


def _add_equipment(data: Dataset, patient: PhantomPatient) -> None:
    site, scan = patient.truth.site, patient.scan
    data.Modality = "CT"
    data.Manufacturer = site.manufacturer
    data.ManufacturerModelName = site.model
    data.InstitutionName = f"Phantom hospital {site.number}"
    data.BodyPartExamined = "HEAD"
    data.KVP = site.kvp
    data.ConvolutionKernel = patient.truth.kernel
    data.GantryDetectorTilt = round(float(np.rad2deg(scan.tilt)), 4)
    data.ReconstructionDiameter = round(scan.pixel_mm * scan.matrix, 4)
    data.RotationDirection = "CW"


def _add_geometry(data: Dataset, patient: PhantomPatient, index: int) -> None:
    scan = patient.scan
    data.PatientPosition = "HFS"
    data.FrameOfReferenceUID = uid_of(patient, "frame")
    data.PositionReferenceIndicator = ""
    data.InstanceNumber = index + 1
    data.ImagePositionPatient = [_decimal(v) for v in scan.position_mm(index)]
    data.ImageOrientationPatient = [_decimal(v) for v in (*scan.row_cosines, *scan.column_cosines)]
    data.SliceLocation = _decimal(scan.position_mm(index)[2])
    data.SliceThickness = _decimal(scan.thickness_mm)
    data.SpacingBetweenSlices = _decimal(scan.spacing_mm)
    data.PixelSpacing = [_decimal(scan.pixel_mm)] * 2


def _add_pixel_description(data: Dataset, patient: PhantomPatient) -> None:
    site, size = patient.truth.site, patient.scan.matrix
    data.Rows = data.Columns = size
    data.SamplesPerPixel = 1
    data.PhotometricInterpretation = "MONOCHROME2"
    data.BitsAllocated = 16
    data.BitsStored = site.bits_stored
    data.HighBit = site.bits_stored - 1
    data.PixelRepresentation = int(site.signed)
    if site.background == "padded":
        data.PixelPaddingValue = PADDING_STORED
    data.WindowCenter, data.WindowWidth = 40, 80
    data.RescaleIntercept, data.RescaleSlope, data.RescaleType = site.intercept_hu, 1, "HU"


def _decimal(value: float) -> float:
    """Rounded so that its decimal string fits the 16 bytes of VR DS."""
    return round(float(value), 6) + 0.0


def write_mask(path: Path, patient: PhantomPatient, masks: list[NDArray[np.uint8]]) -> None:
    """Writes a study's masks as one NIfTI volume whose affine lands on the DICOM voxels.

    Args:
        path: ends in `.nii.gz`.
        patient: whose study it is.
        masks: one (rows, columns) array a slice, in instance order; slices lie along the last axis of the file.
    """
    volume, affine = np.stack(masks, axis=-1).transpose(1, 0, 2), patient.scan.affine_ras()
    if patient.truth.site.mask_axes == "flipped":
        affine = affine @ np.array([[1, 0, 0, 0], [0, -1, 0, volume.shape[1] - 1], [0, 0, 1, 0], [0, 0, 0, 1.0]])
        volume = volume[:, ::-1]
    image = nib.Nifti1Image(np.ascontiguousarray(volume), affine)
    image.set_sform(affine, code=1)
    image.set_qform(affine, code=0)  # a sheared (tilted gantry) stack has no exact qform, so none is claimed
    image.header.set_xyzt_units("mm")
    path.write_bytes(gzip.compress(image.to_bytes(), compresslevel=3, mtime=0))  # no time stamp: same seed, same bytes
