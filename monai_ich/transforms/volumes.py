# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Reads NIfTI volumes, and the other volume formats that ITK knows, as stored array plus affine."""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path
from typing import cast

import itk
import nibabel as nib
import numpy as np
from monai.data import ITKReader

from monai_ich.utils.errors import ImageReadError, cut

NIFTI_SUFFIXES = (".nii", ".nii.gz")
ITK_SUFFIXES = (".nrrd", ".nhdr", ".mha", ".mhd")

# What nibabel, gzip and ITK raise on a damaged file.
_READ_ERRORS = (
    OSError,
    EOFError,
    ValueError,
    TypeError,
    ArithmeticError,
    LookupError,
    MemoryError,
    RuntimeError,
    struct.error,
    zlib.error,
    nib.filebasedimages.ImageFileError,
    nib.spatialimages.HeaderDataError,
    nib.spatialimages.HeaderTypeError,
    nib.wrapstruct.WrapStructError,
)
# Deflate packs at most 1032 bytes into one.
_MOST_PACKED = 1032


def is_volume(path: Path) -> bool:
    """True when the name says NIfTI, NRRD or MetaImage; everything else is tried as DICOM."""
    return path.name.lower().endswith(NIFTI_SUFFIXES + ITK_SUFFIXES)


def read_volume(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """The stored array (A,B[,C][,1...]) with its scaling applied, and its (4,4) affine to RAS mm.

    Raises:
        ImageReadError: when the file cannot be decoded, has no geometry, holds colours, or has a fourth axis.
    """
    reader = _read_nifti if path.name.lower().endswith(NIFTI_SUFFIXES) else _read_with_itk
    try:
        array, affine = reader(path)
    except _READ_ERRORS as error:
        raise ImageReadError(
            f"{path}: cannot be decoded ({cut(str(error))}); the file is damaged or not what its name says. "
            "Copy it again from its source."
        ) from error
    if (
        array.ndim < 2
        or 0 in array.shape
        or any(size != 1 for size in array.shape[3:])
        or array.dtype.kind not in "biuf"
    ):
        raise ImageReadError(
            f"{path}: expected one grey value a voxel in 2 or 3 dimensions, got shape {array.shape} of {array.dtype}. "
            "Export one time point, without colours."
        )
    return array, affine


def _read_nifti(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Raises ImageReadError when neither sform nor qform is set: readers then disagree about left and right."""
    image = _unpack_nifti(path) if path.suffix.lower() == ".gz" else cast(nib.Nifti1Image, nib.load(path))
    if int(image.header["sform_code"]) == 0 and int(image.header["qform_code"]) == 0:
        raise ImageReadError(
            f"{path}: neither sform nor qform is set, so left and right cannot be told apart. "
            "Set the affine, for instance with nibabel's image.set_sform(affine, code=1)."
        )
    held = path.stat().st_size * (_MOST_PACKED if path.suffix.lower() == ".gz" else 1)
    needed = math.prod(map(int, image.shape)) * image.get_data_dtype().itemsize
    if needed > held:
        raise ImageReadError(
            f"{path}: cannot be decoded: its header gives {image.shape} voxels, {needed} bytes, more than the file can "
            "hold. Copy it again from its source."
        )
    return np.asanyarray(image.dataobj), np.asarray(image.affine, dtype=float)


def _unpack_nifti(path: Path) -> nib.Nifti1Image:
    """Unpacks the whole of a .nii.gz at once, which checks its CRC; nibabel stops before it and misses damage."""
    content = gzip.decompress(path.read_bytes())
    is_nifti2 = struct.unpack("<i", content[:4])[0] in (540, int.from_bytes((540).to_bytes(4, "big"), "little"))
    return (nib.Nifti2Image if is_nifti2 else nib.Nifti1Image).from_bytes(content)


def _refuse_oversized(path: Path) -> None:
    """Raises ImageReadError when an .mha or .nrrd gives more bytes than it can hold: ITK would allocate them first."""
    if path.suffix.lower() not in (".mha", ".nrrd"):
        return  # the others only point to their data
    header = itk.ImageIOFactory.CreateImageIO(str(path), itk.CommonEnums.IOFileMode_ReadMode)
    if header is None:
        raise ImageReadError(f"{path}: cannot be decoded: is not what its name says. Copy it again from its source.")
    header.SetFileName(str(path))
    header.ReadImageInformation()
    shape = [header.GetDimensions(axis) for axis in range(header.GetNumberOfDimensions())]
    needed = math.prod(shape) * header.GetComponentSize() * header.GetNumberOfComponents()
    if needed > path.stat().st_size * _MOST_PACKED:
        raise ImageReadError(
            f"{path}: cannot be decoded: its header gives {shape} voxels, {needed} bytes, more than the file can hold. "
            "Copy it again from its source; a file whose data lie elsewhere is named .mhd or .nhdr."
        )


def _read_with_itk(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """A 2-D image has a (3,3) affine: it is placed at z = 0, one mm thick."""
    _refuse_oversized(path)
    reader = ITKReader(channel_dim="no_channel")
    array, meta = reader.get_data(reader.read(path))
    small = np.asarray(meta["affine"], dtype=float)
    axes = small.shape[0] - 1
    affine = np.eye(4)
    affine[:axes, :axes] = small[:axes, :axes]
    affine[:axes, 3] = small[:axes, axes]
    return np.asarray(array), affine
