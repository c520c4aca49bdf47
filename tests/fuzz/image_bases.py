# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Small valid files of every kind that the loader reads, to be mutated."""

from __future__ import annotations

from pathlib import Path

import itk
import nibabel as nib
import numpy as np
import pydicom
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as DicomSequence
from pydicom.uid import EnhancedCTImageStorage, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from monai_ich.phantom import PhantomSpec, generate_phantom

COMPRESSED = {"j2k": "1.2.840.10008.1.2.4.90", "rle": "1.2.840.10008.1.2.5"}
SYNTAXES = ("explicit_vr_little_endian", "jpeg_ls_lossless")


def phantom_series(folder: Path, syntax: str, slices: int = 3) -> list[Path]:
    """The slices of one small phantom study."""
    spec = PhantomSpec(studies=(8,) + (1,) * 10, slices_per_study=slices, matrix=32, transfer_syntax=syntax)
    generate_phantom(folder / syntax, folder / f"{syntax}.csv", spec, workers=1)
    return sorted(sorted((folder / syntax).rglob("*.dcm"))[0].parent.glob("*.dcm"))


def write_bases(folder: Path) -> list[Path]:
    """DICOM in eight encodings, pydicom's own CT slices, a multi-frame CT, NIfTI in five forms, NRRD, MetaImage."""
    folder.mkdir(parents=True, exist_ok=True)
    slices = [phantom_series(folder, syntax)[0] for syntax in SYNTAXES]
    native = pydicom.dcmread(slices[0])
    bases = [_copy(path, folder / f"phantom{number}.dcm") for number, path in enumerate(slices)]
    for name, syntax in COMPRESSED.items():
        changed = pydicom.dcmread(slices[0])
        changed.compress(syntax)
        changed.save_as(folder / f"{name}.dcm")
        bases.append(folder / f"{name}.dcm")
    native.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    native.save_as(folder / "implicit.dcm", implicit_vr=True, little_endian=True)
    bases += [folder / "implicit.dcm", _multi_frame(slices[0], folder / "multi.dcm")]
    for name in ("CT_small.dcm", "J2K_pixelrep_mismatch.dcm"):
        bases.append(_copy(Path(str(get_testdata_file(name))), folder / name))
    return bases + _volumes(folder)


def _copy(source: Path, target: Path) -> Path:
    target.write_bytes(source.read_bytes())
    return target


def _multi_frame(source: Path, path: Path) -> Path:
    data = pydicom.dcmread(source)
    data.SOPClassUID = data.file_meta.MediaStorageSOPClassUID = EnhancedCTImageStorage
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    frames = []
    for number in range(3):
        frame, place = Dataset(), Dataset()
        place.ImagePositionPatient = [0.0, 0.0, 5.0 * number]
        frame.PlanePositionSequence = DicomSequence([place])
        frames.append(frame)
    data.NumberOfFrames, data.PerFrameFunctionalGroupsSequence = 3, DicomSequence(frames)
    data.PixelData = data.PixelData * 3
    data.save_as(path)
    return path


def _volumes(folder: Path) -> list[Path]:
    hu = np.random.default_rng(0).integers(-1000, 1500, (9, 8, 4), dtype=np.int16)
    affine = np.array([[-0.5, 0, 0, 3.0], [0, -0.6, 0.1, 4.0], [0, 0, 5.0, -7.0], [0, 0, 0, 1]])
    scaled = nib.Nifti1Image(hu.astype(np.float32) / 4, affine)
    scaled.set_data_dtype(np.int16)
    images = {
        "int16.nii": nib.Nifti1Image(hu, affine),
        "int16.nii.gz": nib.Nifti1Image(hu, affine),
        "scaled.nii.gz": scaled,
        "nifti2.nii": nib.Nifti2Image(hu.astype(np.float64), affine),
        "flat.nii.gz": nib.Nifti1Image((hu[..., 0] > 0).astype(np.uint8), affine),
    }
    for name, image in images.items():
        nib.save(image, folder / name)
    volume = itk.image_from_array(np.ascontiguousarray(hu.T))
    volume.SetSpacing([0.5, 0.6, 5.0])
    for name in ("v.mha", "v.nrrd"):
        itk.imwrite(volume, str(folder / name), compression=name == "v.nrrd")
    detached = [_detached(folder / name, volume) for name in ("raw.mhd", "packed.nhdr")]
    return [*(folder / name for name in (*images, "v.mha", "v.nrrd")), *detached]


def _detached(header: Path, volume: itk.Image) -> Path:
    """A header that names its data file by the whole path, so that a mutated copy elsewhere finds it."""
    itk.imwrite(volume, str(header), compression=header.suffix == ".nhdr")
    (data,) = (path for path in header.parent.glob(f"{header.stem}.*") if path != header)
    header.write_text(header.read_text().replace(data.name, str(data)))
    return header
