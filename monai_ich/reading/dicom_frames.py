# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Reads CT frames from DICOM files: which files are fit, where each frame lies, and its values in HU."""

from __future__ import annotations

import contextlib
import io
import math
import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import Dataset
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.pixels import pixel_array

from monai_ich.reading.acquisition_notes import Acquisition
from monai_ich.reading.codestream import refuse_other_size
from monai_ich.reading.decoders import choose_decoder
from monai_ich.reading.deflated import refuse_inflation
from monai_ich.reading.dicom_lengths import refuse_cut_fragments, refuse_other_length, refuse_shifted_bits
from monai_ich.reading.functional_groups import find_attribute, parametric_units
from monai_ich.reading.rle_lengths import refuse_rle_inflation
from monai_ich.reading.scan_mark import ScanMark
from monai_ich.reading.size_limits import refuse_too_many_voxels
from monai_ich.reading.wrapped_values import may_be_wrapped, unwrapped
from monai_ich.utils.errors import ImageReadError, cut

LOWEST_HU = -1024.0
_HIGHEST_PADDING_HU = 3071.0

# What pydicom and its decoder plug-ins raise on damaged files, missing elements and unknown transfer syntaxes.
DECODE_ERRORS = (
    OSError,
    EOFError,
    ValueError,
    ArithmeticError,
    LookupError,
    MemoryError,
    AttributeError,
    TypeError,
    RuntimeError,
    struct.error,
    zlib.error,
    BytesLengthException,
)
_RESCALE_TYPES = ("", "HU", "HU_MOD", "US")

# More than any scanner makes. A header that says more lies, and is refused before memory is asked for.
_MOST_PIXELS = 1 << 26
_MOST_FRAMES = 20_000
# Direction cosines are written with a few digits only.
_COSINE_TOLERANCE = 0.01


@dataclass(frozen=True, eq=False)
class Frame:
    """One frame's place in the patient and its way to HU.

    Attributes:
        path, number: the file, and the frame's 0-based number in it.
        shape_rc: rows, columns.
        position_lps_mm: (3,) centre of the first pixel, Image Position (0020,0032).
        row_direction, column_direction: (3,) LPS directions in which the column index, and the row index, grows;
            Image Orientation (0020,0037).
        spacing_mm_rc: distance between rows and between columns, Pixel Spacing (0028,0030).
        thickness_mm: Slice Thickness (0018,0050); NaN where it is missing, empty or 0.
        slope, intercept: Rescale (0028,1053), (0028,1052); 1 and 0 for a mask.
        acquisition: how the slice was made.
        mark: in which scan of its series.
    """

    path: Path
    number: int
    shape_rc: tuple[int, int]
    position_lps_mm: np.ndarray
    row_direction: np.ndarray
    column_direction: np.ndarray
    spacing_mm_rc: tuple[float, float]
    thickness_mm: float
    slope: float
    intercept: float
    acquisition: Acquisition
    mark: ScanMark

    @property
    def normal(self) -> np.ndarray:
        """(3,) LPS unit vector across the slice."""
        return np.cross(self.row_direction, self.column_direction)

    @property
    def depth_mm(self) -> float:
        """The thickness, or 1 mm where it is unknown: for affines, which need a depth, and not for measurements."""
        return 1.0 if math.isnan(self.thickness_mm) else self.thickness_mm


@contextlib.contextmanager
def damage_refused(path: Path, fault: str, remedy: str) -> Iterator[None]:
    """Turns what pydicom raises on damaged attributes or pixels, often only when they are used, into ImageReadError.

    Args:
        path: of the file.
        fault: what is wrong with it; what the library says is added.
        remedy: what to do.
    """
    try:
        yield
    except DECODE_ERRORS as error:
        raise ImageReadError(path, f"{fault} ({cut(str(error) or type(error).__name__)})", remedy) from error


class _BoundedReader(io.BufferedReader):
    """Asks for no more than the file holds: a length in a damaged header may say 4 GiB, and reading would take them."""

    def read(self, size: int | None = -1) -> bytes:
        if size is not None and size > io.DEFAULT_BUFFER_SIZE:
            position = self.tell()
            size = min(size, max(self.seek(0, io.SEEK_END) - position, 0))
            self.seek(position)
        return super().read(size)


def _parse(path: Path, pixels: bool) -> Dataset:
    with _BoundedReader(io.FileIO(str(path))) as file:
        refuse_inflation(file, path)
        try:
            return pydicom.dcmread(file, stop_before_pixels=not pixels)
        except InvalidDicomError:
            file.seek(0)
            return pydicom.dcmread(file, stop_before_pixels=not pixels, force=True)


def open_dicom(path: Path, pixels: bool = True) -> Dataset:
    """Parses a DICOM file, also one without preamble.

    Raises:
        ImageReadError: when the file is no DICOM, or is cut short within its header.
    """
    with damage_refused(path, "cannot be parsed as DICOM", "Copy the file again from its source."):
        dataset = _parse(path, pixels)
        # a DICOMDIR, which every CD has, names its class in the file meta information alone
        if dataset.file_meta.get("MediaStorageSOPClassUID") == pydicom.uid.MediaStorageDirectoryStorage:
            dataset.SOPClassUID = pydicom.uid.MediaStorageDirectoryStorage
        if "SOPClassUID" not in dataset and "MediaStorageSOPClassUID" in dataset.file_meta:
            # pydicom gives an empty data set when the file ends within an element
            raise ImageReadError(
                path, "is cut short or damaged within its data set", "Copy the file again from its source."
            )
        return _known_encoding(dataset, path)


def _known_encoding(dataset: Dataset, path: Path) -> Dataset:
    if "SOPClassUID" not in dataset:
        raise ImageReadError(
            path,
            "is not a DICOM file, and its name is not that of a volume; expected DICOM, .nii, .nii.gz, .nrrd, .nhdr, "
            ".mha or .mhd",
        )
    if "TransferSyntaxUID" not in dataset.file_meta:
        # A bare data set has no file meta information; pydicom found out how it is encoded, but decodes only by UID.
        implicit, little = dataset.original_encoding
        explicit = pydicom.uid.ExplicitVRLittleEndian if little else pydicom.uid.ExplicitVRBigEndian
        dataset.file_meta.TransferSyntaxUID = pydicom.uid.ImplicitVRLittleEndian if implicit else explicit
    return dataset


def refuse_unless_ct(dataset: Dataset, path: Path) -> None:
    """Raises ImageReadError for all but CT slices in HU: other modalities, localizers, colours, maps."""
    modality = dataset.get("Modality", "")
    if modality != "CT":
        raise ImageReadError(
            path, f"expected Modality CT, got {cut(str(modality or 'none'))}", "Take the file out of the list."
        )
    if "LOCALIZER" in (dataset.get("ImageType") or ()):
        raise ImageReadError(path, "is a localizer (scout view), not an axial slice", "Take it out of the list.")
    photometric = dataset.get("PhotometricInterpretation", "")
    if photometric != "MONOCHROME2":
        # Programs disagree whether MONOCHROME1 values are HU or inverted HU: refused rather than guessed.
        raise ImageReadError(
            path,
            f"expected PhotometricInterpretation MONOCHROME2, got {cut(str(photometric or 'none'))}; whether "
            "its values are HU cannot be known",
            "Export the original CT slice.",
        )
    with damage_refused(path, "what its values measure is malformed", "Export the original CT slice."):
        units = parametric_units(dataset)
    if units:
        raise ImageReadError(
            path, f"is a map computed from CT, in {cut(', '.join(units))} and not in HU", "Take it out of the list."
        )


def describe_frames(dataset: Dataset, path: Path, kind: str) -> list[Frame]:
    """The frames of one file, in stored order; `kind` "image" asks for a CT with rescale, "mask" does not.

    Raises:
        ImageReadError: when the file is no CT, or an attribute that HU or geometry need is missing or malformed.
    """
    with damage_refused(path, "an attribute that describes the image is malformed", "Export the original CT slice."):
        if kind == "image":
            refuse_unless_ct(dataset, path)
        count = int(dataset.get("NumberOfFrames") or 1)
        rows, columns = int(dataset.get("Rows") or 0), int(dataset.get("Columns") or 0)
        if min(count, rows, columns) < 1 or rows * columns > _MOST_PIXELS or count > _MOST_FRAMES:
            raise ImageReadError(
                path,
                f"its header gives {count} frames of {rows} rows x {columns} columns, which no CT has",
                "Copy the file again from its source.",
            )
        refuse_too_many_voxels((count, rows, columns), path)
        acquisition = Acquisition.of(dataset, path) if kind == "image" else Acquisition()
        return [_describe_frame(dataset, path, number, kind, acquisition) for number in range(count)]


def _describe_frame(dataset: Dataset, path: Path, number: int, kind: str, acquisition: Acquisition) -> Frame:
    def required(keyword: str, why: str, remedy: str) -> object:
        value = find_attribute(dataset, number, keyword)
        if value is None:
            raise ImageReadError(path, f"{keyword} is missing; {why}", remedy)
        return value

    no_geometry = "without it the orientation is unknown", "Export the original slice, with its geometry."
    orientation = np.array(required("ImageOrientationPatient", *no_geometry), dtype=float)
    spacing = np.array(required("PixelSpacing", *no_geometry), dtype=float)
    position = np.array(required("ImagePositionPatient", *no_geometry), dtype=float)
    slope, intercept = 1.0, 0.0
    if kind == "image":
        no_rescale = "without it the values are not HU", "Export the original CT slice, not a secondary capture."
        slope = float(required("RescaleSlope", *no_rescale))  # type: ignore[arg-type]
        intercept = float(required("RescaleIntercept", *no_rescale))  # type: ignore[arg-type]
        rescale_type = str(find_attribute(dataset, number, "RescaleType") or "")
        if rescale_type not in _RESCALE_TYPES:
            raise ImageReadError(path, f"RescaleType is {rescale_type!r}, expected HU", "Export the CT numbers.")
    if orientation.shape != (6,) or spacing.shape != (2,) or position.shape != (3,) or not (spacing > 0).all():
        raise ImageReadError(path, "ImageOrientation, PixelSpacing or ImagePosition has the wrong number of values")
    stated = float(find_attribute(dataset, number, "SliceThickness") or 0)  # type: ignore[arg-type]
    numbers = (*orientation, *spacing, *position, slope, intercept, stated)
    if not np.isfinite(numbers).all() or slope == 0 or stated < 0:
        raise ImageReadError(
            path,
            f"a geometry or rescale attribute is not a usable number (slope {slope}, intercept {intercept}, "
            f"thickness {stated} mm, position {position.tolist()})",
            "Export the original CT slice.",
        )
    row_direction, column_direction = orientation[:3], orientation[3:]
    products = (row_direction @ row_direction, column_direction @ column_direction, row_direction @ column_direction)
    if not np.allclose(products, (1, 1, 0), atol=_COSINE_TOLERANCE):
        raise ImageReadError(
            path,
            f"ImageOrientationPatient {orientation.tolist()} is not a pair of unit vectors at a right angle",
            "Export the original slice, with its geometry.",
        )
    return Frame(
        path=path,
        number=number,
        shape_rc=(int(dataset.Rows), int(dataset.Columns)),
        position_lps_mm=position,
        row_direction=row_direction,
        column_direction=column_direction,
        spacing_mm_rc=(float(spacing[0]), float(spacing[1])),
        thickness_mm=stated or math.nan,
        slope=slope,
        intercept=intercept,
        acquisition=acquisition,
        mark=ScanMark.of(dataset, number),
    )


def decode_frames(dataset: Dataset, path: Path, numbers: Sequence[int]) -> np.ndarray:
    """Stored values (N,H,W) of the frames asked for, in the file's own integer type.

    Raises:
        ImageReadError: when the pixel data are missing, cut short, damaged, or in colours, or no decoder is installed.
    """
    damaged = (
        "its pixel data cannot be decoded",
        "They are missing, cut short, damaged or of a kind that no decoder here knows, so copy the file again, or "
        "export it as Explicit VR Little Endian (uncompressed).",
    )
    with damage_refused(path, *damaged):
        count = int(dataset.get("NumberOfFrames") or 1)
        refuse_cut_fragments(dataset, path)
        refuse_shifted_bits(dataset, path)
        refuse_other_length(dataset, path, count)
        refuse_other_size(dataset, path, count)
        refuse_rle_inflation(dataset, path, count)
        plugin = choose_decoder(dataset.file_meta.TransferSyntaxUID, path)
        if count == 1:
            stored = pixel_array(dataset, decoding_plugin=plugin)[None]
        elif list(numbers) == list(range(count)):
            stored = pixel_array(dataset, decoding_plugin=plugin)
        else:
            stored = np.stack([pixel_array(dataset, index=number, decoding_plugin=plugin) for number in numbers])
    if stored.ndim != 3:
        raise ImageReadError(path, f"expected grey slices, got pixel data of shape {stored.shape}")
    return stored if count > 1 else np.repeat(stored, len(numbers), axis=0) if len(numbers) > 1 else stored


def to_hu(stored: np.ndarray, frame: Frame, dataset: Dataset, offset_hu: float = 0.0) -> np.ndarray:
    """Stored values (H,W) -> float32 HU: rescaled, plus an offset, with padding and all below -1024 HU set to -1024.

    Pixels of Pixel Padding Value (0028,0120) above the range of CT numbers become -1024 too. A padding value *within*
    that range is left alone: real tissue may have the same value.

    Raises:
        ImageReadError: values may be metal or wrapped around, and nothing tells which, see `unwrapped`.
    """
    if may_be_wrapped(dataset, frame.slope, frame.intercept):
        stored = unwrapped(stored, frame.path)
    hu = stored.astype(np.float32)
    if frame.slope != 1.0:
        hu *= np.float32(frame.slope)
    if frame.intercept + offset_hu != 0.0:
        hu += np.float32(frame.intercept + offset_hu)
    padding = dataset.get("PixelPaddingValue")
    if isinstance(padding, int) and padding * frame.slope + frame.intercept + offset_hu > _HIGHEST_PADDING_HU:
        hu[stored == padding] = LOWEST_HU
    return np.maximum(hu, np.float32(LOWEST_HU), out=hu)
