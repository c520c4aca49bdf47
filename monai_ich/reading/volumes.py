# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Reads NIfTI volumes, and the other volume formats that ITK knows, as stored array plus affine."""

from __future__ import annotations

import contextlib
import gzip
import io
import itertools
import math
import struct
import tempfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO, cast

import itk
import nibabel as nib
import numpy as np
from monai.data import ITKReader

from monai_ich.reading.size_limits import refuse_too_many_voxels
from monai_ich.reading.voxel_files import MOST_PACKED, voxel_file
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
_MOST_APART_MM = 1.0  # a quaternion in float32 is exact to some hundredths of a millimetre
_LEAST_SHEAR = 1e-3  # cosine of the angle between two axes
_MM_PER_UNIT = {0: 1.0, 1: 1000.0, 2: 1.0, 3: 0.001}  # none, metre, millimetre, micron
_NIFTI1_BYTES, _NIFTI2_BYTES = 348, 540
# Stored values that no unsigned type of 8 or 16 bits holds.
_SIGNED = (itk.CommonEnums.IOComponent_CHAR, itk.CommonEnums.IOComponent_SHORT)
# What a NIfTI file may hold beside its header and voxels: extensions before them, padding after them.
_MOST_BESIDE_VOXELS = 1 << 24
# What is unpacked beyond this goes to a temporary file, in blocks.
_MOST_IN_MEMORY, _BLOCK = 1 << 26, 1 << 20


def is_volume(path: Path) -> bool:
    """True when the name says NIfTI, NRRD or MetaImage; everything else is tried as DICOM."""
    return path.name.lower().endswith(NIFTI_SUFFIXES + ITK_SUFFIXES)


@dataclass(frozen=True, eq=False)
class StoredVolume:
    """A volume file whose header was read.

    Attributes:
        path: the file.
        shape: of the stored array `(A,B[,C][,1...])`.
        affine_ras_mm: (4,4), stored index order (a, b, c, 1) -> RAS mm.
        values: the stored array with its scaling applied; an array, or nibabel's proxy of one, which reads what is
            asked for.
    """

    path: Path
    shape: tuple[int, ...]
    affine_ras_mm: np.ndarray
    values: Any

    def loaded(self) -> StoredVolume:
        """The same with all voxels in memory.

        Raises:
            ImageReadError: they cannot be decoded.
        """
        with _decoding(self.path):
            return replace(self, values=np.asanyarray(self.values))

    def part(self, axis: int, start: int, stop: int) -> np.ndarray:
        """The voxels from `start` to `stop` of one of three axes, (A,B,C) otherwise.

        A part along the last axis lies in one piece of the file. For others, take it of the `loaded` volume.

        Raises:
            ImageReadError: they cannot be decoded.
        """
        with _decoding(self.path):
            if len(self.shape) > 2 and axis == 2:
                return np.asanyarray(self.values[:, :, start:stop]).reshape((*self.shape[:2], stop - start))
            whole = np.asanyarray(self.values).reshape((*self.shape, 1)[:3])
            return whole[(slice(None),) * axis + (slice(start, stop),)]


@contextlib.contextmanager
def _decoding(path: Path) -> Iterator[None]:
    """Turns what the libraries raise on a damaged file into ImageReadError."""
    try:
        yield
    except _READ_ERRORS as error:
        raise ImageReadError(
            path,
            f"cannot be decoded ({cut(str(error))}); the file is damaged or not what its name says",
            "Copy it again from its source.",
        ) from error


def read_volume(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """The stored array `(A,B[,C][,1...])` with its scaling applied, and its (4,4) affine to RAS mm.

    Raises:
        ImageReadError: when the file cannot be decoded, has no geometry, holds colours, or has a fourth axis.
    """
    volume = open_volume(path).loaded()
    return volume.values, volume.affine_ras_mm


def open_volume(path: Path) -> StoredVolume:
    """Reads the header of a volume file; the voxels of NIfTI are read later, those of other formats at once.

    Raises:
        ImageReadError: see `read_volume`; the voxels of an unpacked NIfTI are found to be damaged when they are read.
    """
    is_nifti = path.name.lower().endswith(NIFTI_SUFFIXES)
    with _decoding(path):
        values, affine = (_read_nifti if is_nifti else _read_with_itk)(path)
    shape = tuple(values.shape)
    # a proxy's type is that of the file; scaling makes real numbers of it
    if len(shape) < 2 or 0 in shape or any(size != 1 for size in shape[3:]) or values.dtype.kind not in "biuf":
        raise ImageReadError(
            path,
            f"expected one grey value a voxel in 2 or 3 dimensions, got shape {shape} of {values.dtype}",
            "Export one time point, without colours.",
        )
    return StoredVolume(path, shape, affine, values)


def _read_nifti(path: Path) -> tuple[Any, np.ndarray]:
    """Raises ImageReadError when sform and qform leave it open where the head lies: neither is set, or they differ."""
    image = _open_nifti(path)
    if int(image.header["sform_code"]) == 0 and int(image.header["qform_code"]) == 0:
        raise ImageReadError(
            path,
            "neither sform nor qform is set, so left and right cannot be told apart",
            "Set the affine, for instance with nibabel's image.set_sform(affine, code=1).",
        )
    affine = np.array(image.affine, dtype=float)
    affine[:3] *= _mm_per_unit(image, path)
    _refuse_two_places(image, path)
    return image.dataobj, affine


def _refuse_two_places(image: nib.Nifti1Image, path: Path) -> None:
    """Raises ImageReadError when sform and qform put a corner of the volume at two places.

    A qform cannot hold the shear of a tilted gantry. Where the sform has one, only the first slice is compared, and to
    which side the others lie.
    """
    if int(image.header["sform_code"]) == 0 or int(image.header["qform_code"]) == 0:
        return
    sform, qform = image.get_sform(), image.get_qform()
    last = [size - 1 for size in (*image.shape[:3], 1, 1, 1)[:3]]
    axes = sform[:3, :3] / np.linalg.norm(sform[:3, :3], axis=0)
    is_sheared = bool(np.abs(axes.T @ axes - np.eye(3)).max() > _LEAST_SHEAR)
    corners = np.array([(*corner, 1) for corner in itertools.product(*[(0, end) for end in last])], dtype=float)
    if is_sheared:
        corners[:, 2] = 0
    apart_mm = float(np.linalg.norm((corners @ (sform - qform).T)[:, :3], axis=1).max()) * _mm_per_unit(image, path)
    turned = float(sform[:3, 2] @ qform[:3, 2]) <= 0
    if not (apart_mm <= _MOST_APART_MM) or turned:
        raise ImageReadError(
            path,
            f"its sform and its qform put the volume at two places, {apart_mm:.1f} mm apart"
            + (", and its slices in opposite order" if turned else ""),
            "Find out which one is right, and set both to it with nibabel's image.set_sform and image.set_qform.",
        )


def _mm_per_unit(image: nib.Nifti1Image, path: Path) -> float:
    """Millimetres for one unit of length of the header; a header that names none means millimetres.

    Raises:
        ImageReadError: the unit is none of NIfTI's.
    """
    code = int(image.header["xyzt_units"]) & 7  # the lower three bits are the unit of length, the others that of time
    if code not in _MM_PER_UNIT:
        raise ImageReadError(
            path,
            f"its header gives the unit of length as number {code}, which NIfTI does not have",
            "Correct it, for instance with nibabel's image.header.set_xyzt_units('mm').",
        )
    return _MM_PER_UNIT[code]


def _open_nifti(path: Path) -> nib.Nifti1Image:
    """Reads the header first, and refuses it before anything of the size that it gives is asked for.

    The whole of a .nii.gz is unpacked at once, which checks its CRC; nibabel stops before it and misses damage. A large
    one is unpacked into a temporary file, so that it takes no memory.
    """
    is_packed = path.suffix.lower() == ".gz"
    with path.open("rb") as file, gzip.GzipFile(fileobj=file) if is_packed else file as stream:
        start = stream.read(_NIFTI2_BYTES)
        is_nifti2 = struct.unpack("<i", start[:4])[0] in (540, int.from_bytes((540).to_bytes(4, "big"), "little"))
        kind = nib.Nifti2Image if is_nifti2 else nib.Nifti1Image
        header = kind.header_class(start[: _NIFTI2_BYTES if is_nifti2 else _NIFTI1_BYTES], check=False)
        needed = _refuse_lying_nifti(header, path, MOST_PACKED if is_packed else 1)
        if not is_packed:
            return cast(nib.Nifti1Image, nib.load(path))
        stream.seek(0)
        content = _unpack(cast(BinaryIO, stream), needed, path)
    return cast(
        nib.Nifti1Image, kind.from_file_map(kind.make_file_map({"image": cast(io.IOBase, content)}), mmap=False)
    )


def _refuse_lying_nifti(header: nib.Nifti1Header, path: Path, packed: int) -> int:
    """How many bytes, unpacked, the header gives the file; raises ImageReadError when it cannot hold them."""
    shape, offset = header.get_data_shape(), header.get_data_offset()
    refuse_too_many_voxels(shape, path)
    needed = max(offset, 0) + math.prod(map(int, shape)) * header.get_data_dtype().itemsize
    if needed > path.stat().st_size * packed or offset > _MOST_BESIDE_VOXELS:
        raise ImageReadError(
            path,
            f"cannot be decoded: its header gives {shape} voxels, {needed} bytes in all, more than the file can hold",
            "Copy it again from its source.",
        )
    return needed


def _unpack(stream: BinaryIO, count: int, path: Path) -> tempfile.SpooledTemporaryFile[bytes]:
    """Unpacks `count` bytes, and lets go what a writer may have padded; raises ImageReadError for more than that."""
    content = tempfile.SpooledTemporaryFile[bytes](_MOST_IN_MEMORY)
    missing = max(count, 0)
    while missing and (block := stream.read(min(missing, _BLOCK))):
        content.write(block)
        missing -= len(block)
    if len(stream.read(_MOST_BESIDE_VOXELS + 1)) > _MOST_BESIDE_VOXELS:
        raise ImageReadError(
            path,
            f"cannot be decoded: it unpacks to far more than the {count} bytes that its header gives",
            "Copy it again from its source.",
        )
    if missing:
        raise EOFError(f"it unpacks to {count - missing} bytes, and its header gives {count}")
    content.seek(0)
    return content


def _refuse_lying_header(path: Path) -> None:
    """Raises ImageReadError when an NRRD or MetaImage gives a size that its data have not: ITK would allocate it."""
    voxels = voxel_file(path)
    header = itk.ImageIOFactory.CreateImageIO(str(path), itk.CommonEnums.IOFileMode_ReadMode)
    if header is None:
        raise ImageReadError(path, "cannot be decoded: is not what its name says", "Copy it again from its source.")
    header.SetFileName(str(path))
    header.ReadImageInformation()
    shape = [header.GetDimensions(axis) for axis in range(header.GetNumberOfDimensions())]
    refuse_too_many_voxels(shape, path)
    voxels.refuse_other_size(math.prod(shape) * header.GetComponentSize() * header.GetNumberOfComponents(), shape, path)


def _read_with_itk(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """A 2-D image has a (3,3) affine: it is placed at z = 0, one mm thick."""
    _refuse_lying_header(path)
    reader = ITKReader(channel_dim="no_channel")
    array, meta = reader.get_data(reader.read(path))
    small = np.asarray(meta["affine"], dtype=float)
    axes = small.shape[0] - 1
    affine = np.eye(4)
    affine[:axes, :axes] = small[:axes, :axes]
    affine[:axes, 3] = small[:axes, axes]
    return np.asarray(array), affine


def read_layers(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """An NRRD of one or several values a voxel: `(L,A,B,C)`, layer by layer, and its (4,4) affine to RAS mm.

    `read_volume` refuses more than one value a voxel; segmentations keep overlapping segments in such layers.

    Raises:
        ImageReadError: it cannot be decoded, or has not three axes in space.
    """
    try:
        _refuse_lying_header(path)
        header = itk.ImageIOFactory.CreateImageIO(str(path), itk.CommonEnums.IOFileMode_ReadMode)
        header.SetFileName(str(path))
        header.ReadImageInformation()
        layers, axes = header.GetNumberOfComponents(), header.GetNumberOfDimensions()
        if axes != 3:
            raise ImageReadError(path, f"has {axes} axes in space; expected 3", "Export it as one volume.")
        refuse_too_many_voxels([layers, *(header.GetDimensions(axis) for axis in range(axes))], path)
        kind = {1: itk.UC, 2: itk.US}.get(header.GetComponentSize(), itk.F)
        kind = itk.F if header.GetComponentType() in _SIGNED else kind
        reader = itk.ImageFileReader[itk.VectorImage[kind, 3]].New(FileName=str(path))
        reader.Update()
        image = reader.GetOutput()
        stored = np.array(itk.array_view_from_image(image))
    except _READ_ERRORS as error:
        raise ImageReadError(
            path,
            f"cannot be decoded ({cut(str(error))}); the file is damaged or not what its name says",
            "Copy it again from its source.",
        ) from error
    affine = np.eye(4)
    affine[:3, :3] = np.asarray(image.GetDirection()) * np.asarray(image.GetSpacing())
    affine[:3, 3] = np.asarray(image.GetOrigin())
    return stored.reshape(*stored.shape[:3], -1).transpose(3, 2, 1, 0), np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine
