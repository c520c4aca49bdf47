# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Reads axial CT slices and masks, from DICOM or volume files, into one canonical orientation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Literal

import numpy as np
from pydicom.dataset import Dataset

from monai_ich.reading.acquisition_notes import acquisition_notes
from monai_ich.reading.acquisition_runs import same_grid
from monai_ich.reading.dicom_frames import (
    LOWEST_HU,
    Frame,
    damage_refused,
    decode_frames,
    describe_frames,
    open_dicom,
    to_hu,
)
from monai_ich.reading.geometry import (
    Reorientation,
    SliceGeometry,
    SliceStack,
    find_reorientation,
    select_slices,
    volume_shape,
)
from monai_ich.reading.slice_places import SlicePlaces, slice_normal
from monai_ich.reading.volumes import is_volume, read_volume
from monai_ich.utils.errors import ImageReadError, cut

Kind = Literal["image", "mask"]

# DICOM patient coordinates are LPS; everything here is RAS.
_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0])

# Frames are evenly spaced when no position is further than this from a straight, even line, mm.
EVEN_SPACING_TOLERANCE_MM = 0.1


def read_slices(
    path: Path,
    indices: Sequence[int] | None = None,
    kind: Kind = "image",
    offset_hu: float = 0.0,
    labels: Sequence[int] = (),
) -> SliceStack:
    """Reads slices of one file: a DICOM slice, an enhanced multi-frame CT, NIfTI (2-D or 3-D), NRRD or MetaImage.

    Args:
        path: the file.
        indices: 0-based slice indices along the stored head-foot axis (the last axis of practically every NIfTI
            volume), or frame numbers of a multi-frame DICOM; None for all. The result keeps their order.
        kind: "image" gives float32 HU, "mask" gives uint8, 1 = haematoma.
        offset_hu: added to an image's values; -1024 for HU + 1024.
        labels: the numbers that mean haematoma in a mask; empty: 1 or 255, and any other number is refused.

    Raises:
        ImageReadError: naming the file and the remedy, when it is missing, damaged, not a CT in HU, not axial, of
            unknown orientation, or has no such slice.
    """
    path = Path(path)
    if not path.is_file():
        raise ImageReadError(path, "no such file", "Correct the path, or the dataset_dir that it is relative to.")
    if is_volume(path):
        return _read_volume_slices(path, indices, kind, offset_hu, labels)
    dataset = open_dicom(path)
    frames = describe_frames(dataset, path, kind)
    numbers = select_slices(indices, len(frames), path)
    values = decode_to_values(dataset, [frames[n] for n in numbers], kind, offset_hu, labels)
    return stack_frames(frames, numbers, values)


def decode_to_values(
    dataset: Dataset, frames: Sequence[Frame], kind: Kind, offset_hu: float = 0.0, labels: Sequence[int] = ()
) -> np.ndarray:
    """(N,H,W) HU or mask values of frames of one DICOM file, rows and columns as stored; see `read_slices`."""
    path = frames[0].path
    stored = decode_frames(dataset, path, [frame.number for frame in frames])
    if kind == "mask":
        return as_mask(stored, path, labels)
    with damage_refused(path, "its pixel padding or bits are malformed", "Export the original CT slice."):
        return np.stack(
            [to_hu(values, frame, dataset, offset_hu) for values, frame in zip(stored, frames, strict=True)]
        )


def stack_frames(frames: Sequence[Frame], numbers: Sequence[int], values: np.ndarray) -> SliceStack:
    """Builds the stack of a file's (or a sorted series') frames.

    Args:
        frames: all frames of the volume, in slice order.
        numbers: which of them `values` holds.
        values: (N,H,W) with rows and columns as stored.

    Raises:
        ImageReadError: when the slices are not axial, or differ among themselves in orientation, spacing or size.
    """
    return with_pixels(frames_geometry(frames, numbers), values)


def with_pixels(geometry: SliceGeometry, values: np.ndarray) -> SliceStack:
    """The stack of slices whose values (N,H,W) have rows and columns as DICOM stores them."""
    stored = values.transpose(2, 1, 0)  # (columns, rows, slices), as NIfTI would hold it
    return stack_of(geometry, np.ascontiguousarray(geometry.reorientation.apply(stored)))


def stack_of(geometry: SliceGeometry, pixels: np.ndarray) -> SliceStack:
    """The stack of slices whose pixels (N,H,W) are in canonical orientation."""
    return SliceStack(pixels=pixels, **{field.name: getattr(geometry, field.name) for field in fields(geometry)})


def frames_geometry(frames: Sequence[Frame], numbers: Sequence[int]) -> SliceGeometry:
    """The geometry of the frames `numbers` out of all `frames` of a volume, in slice order.

    Raises:
        ImageReadError: when the slices are not axial, or differ among themselves in orientation, spacing or size.
    """
    first = frames[0]
    refuse_unless_axial(first)
    refuse_unless_alike(frames)
    affine, notes = frames_affine(frames)
    reorientation = find_reorientation(affine, first.path)
    source_shape = (first.shape_rc[1], first.shape_rc[0], len(frames))
    canonical = reorientation.canonical_affine(affine, source_shape)
    places = _places(frames, affine, canonical, is_even=not notes)
    return SliceGeometry(
        slice_index=tuple(numbers),
        paths=tuple(frames[n].path for n in numbers),
        reorientation=reorientation,
        source_shape=source_shape,
        source_affine_ras_mm=affine,
        places=places.take(numbers),
        notes=(*notes, *acquisition_notes([frame.acquisition for frame in frames])),
    )


def _places(frames: Sequence[Frame], affine: np.ndarray, canonical: np.ndarray, is_even: bool) -> SlicePlaces:
    """Each frame at its own position; a single one has its thickness for extent, and several the even step."""
    positions = np.array([frame.position_lps_mm for frame in frames]) @ _LPS_TO_RAS
    first_pixels = positions + canonical[:3, 3] - affine[:3, 3]  # what the reversal of rows and columns moves
    thickness_mm = [frame.thickness_mm for frame in frames]
    # two slices always lie on a line; whether they are neighbours is known by their thickness alone
    if is_even and len(frames) > 2:
        return replace(SlicePlaces.even(canonical, thickness_mm), first_pixel_ras_mm=first_pixels)
    places = SlicePlaces.single(first_pixels, slice_normal(canonical), thickness_mm)
    return replace(places, is_even=is_even)


def frames_affine(frames: Sequence[Frame]) -> tuple[np.ndarray, tuple[str, ...]]:
    """The (4,4) affine of (column, row, slice, 1) -> RAS mm, and a note when it does not hold for every slice.

    The slice direction of several frames comes from their positions, which a tilted gantry shears against the
    slice normal; of a single one it is the normal (DICOM PS3.3 C.7.6.2.1.1), as long as the slice is thick.
    """
    first, last = frames[0], frames[-1]
    if len(frames) > 1:
        step = (last.position_lps_mm - first.position_lps_mm) / (len(frames) - 1)
    else:
        step = first.normal * first.depth_mm
    lps = np.column_stack(
        [
            first.row_direction * first.spacing_mm_rc[1],
            first.column_direction * first.spacing_mm_rc[0],
            step,
            first.position_lps_mm,
        ]
    )
    affine = np.eye(4)
    affine[:3] = _LPS_TO_RAS @ lps
    positions = np.array([frame.position_lps_mm for frame in frames])
    line = first.position_lps_mm + np.arange(len(frames))[:, None] * step
    worst_mm = float(np.abs(positions - line).max())
    if worst_mm <= EVEN_SPACING_TOLERANCE_MM:
        return affine, ()
    along_mm = float(np.abs((positions - line) @ first.normal).max())
    how = "evenly spaced" if along_mm > EVEN_SPACING_TOLERANCE_MM else "in one straight line"
    return affine, (f"slices are not {how}: one affine for all would be off by up to {worst_mm:.1f} mm",)


def is_axial(frame: Frame) -> bool:
    """True when the slice normal is nearer to head-foot than to any other axis; no gantry tilts that far."""
    return int(np.argmax(np.abs(frame.normal))) == 2


def refuse_unless_axial(frame: Frame) -> None:
    """Raises ImageReadError for coronal and sagittal slices."""
    if not is_axial(frame):
        plane = ("sagittal", "coronal")[int(np.argmax(np.abs(frame.normal)))]
        raise ImageReadError(
            frame.path,
            f"is a {plane} slice (ImageOrientationPatient "
            f"{[*frame.row_direction.round(3).tolist(), *frame.column_direction.round(3).tolist()]}); "
            "expected axial slices, a tilted gantry included",
            "Take the axial series of the study.",
        )


def refuse_unless_alike(frames: Sequence[Frame]) -> None:
    """Raises ImageReadError when a frame differs from the first in matrix size, orientation or pixel spacing."""
    first = frames[0]
    for frame in frames[1:]:
        if not same_grid(first, frame):
            raise ImageReadError(
                frame.path,
                f"its frame {frame.number} and {first.path} differ in size, orientation or pixel spacing, so they are "
                "not slices of one volume",
                "Separate them.",
            )


def _read_volume_slices(
    path: Path, indices: Sequence[int] | None, kind: Kind, offset_hu: float, labels: Sequence[int]
) -> SliceStack:
    array, affine = read_volume(path)
    reorientation = find_reorientation(affine, path)
    slices = reorientation.apply(array.reshape(volume_shape(array.shape)))
    numbers = select_slices(indices, len(slices), path)
    geometry = volume_geometry(reorientation, array.shape, affine, path).take(numbers)
    return stack_of(geometry, volume_values(slices[list(numbers)], path, kind, offset_hu, labels))


def volume_values(
    slices: np.ndarray, path: Path, kind: Kind = "image", offset_hu: float = 0.0, labels: Sequence[int] = ()
) -> np.ndarray:
    """(N,H,W) HU or mask values of canonical slices of a volume file; see `read_slices`."""
    return as_mask(slices, path, labels) if kind == "mask" else _as_hu(slices, path, offset_hu)


def volume_geometry(
    reorientation: Reorientation, shape: tuple[int, ...], affine_ras_mm: np.ndarray, path: Path
) -> SliceGeometry:
    """The geometry of all slices of a volume file; a 2-D image has no thickness, whatever its affine says."""
    canonical = reorientation.canonical_affine(affine_ras_mm, volume_shape(shape))
    count = volume_shape(shape)[reorientation.axes[0]]
    is_known = len(shape) > 2
    thickness_mm = abs(float(canonical[:3, 0] @ slice_normal(canonical))) if is_known else np.nan
    return SliceGeometry(
        slice_index=tuple(range(count)),
        paths=(path,) * count,
        reorientation=reorientation,
        source_shape=shape,
        source_affine_ras_mm=affine_ras_mm,
        places=SlicePlaces.even(canonical, [thickness_mm] * count, is_known),
    )


def _as_hu(values: np.ndarray, path: Path, offset_hu: float) -> np.ndarray:
    hu = np.array(values, dtype=np.float32, order="C")
    hu += np.float32(offset_hu)
    if not np.isfinite(hu).all():
        raise ImageReadError(path, "holds values that are not numbers (NaN or infinite); expected HU", "Replace them.")
    return np.maximum(hu, np.float32(LOWEST_HU), out=hu)


def as_mask(values: np.ndarray, path: Path, labels: Sequence[int] = ()) -> np.ndarray:
    """uint8, 1 = haematoma: where a value is one of `labels`; without labels, where it is 1 (or 255) beside 0 alone.

    Raises:
        ImageReadError: fractions or negative values show that the file is no mask; or no labels are given, and the mask
            holds other numbers than 1 or 255, or both of them.
    """
    if values.dtype.kind in "if":
        lowest = values.min(initial=0)
        fractional = values.dtype.kind == "f" and not np.allclose(values, np.rint(values), atol=1e-3)
        if lowest < 0 or fractional or not np.isfinite(values).all():
            raise ImageReadError(
                path,
                f"expected a mask with whole labels from 0 up, got values from {lowest} to {values.max()}",
                "Check that image and mask are not exchanged, and threshold probabilities first.",
            )
    whole = np.rint(values).astype(np.int64) if values.dtype.kind == "f" else values
    if not len(labels):
        refuse_several_labels(whole, path)
        return np.ascontiguousarray(whole != 0).view(np.uint8)
    return np.ascontiguousarray(np.isin(whole, labels)).view(np.uint8)


def refuse_several_labels(values: np.ndarray, path: Path) -> None:
    """Raises ImageReadError, with the counts, unless all whole numbers above 0 are 1, or all of them are 255."""
    inside = values[values != 0]
    if not inside.size or ((first := inside[0]) in (1, 255) and (inside == first).all()):
        return
    numbers, counts = np.unique(inside, return_counts=True)
    held = ", ".join(f"{number} ({count} pixels)" for number, count in zip(numbers, counts, strict=True))
    raise ImageReadError(
        path,
        f"expected a mask of 0 and 1 (or 0 and 255), got the labels {cut(held)}",
        "Say which labels are haemorrhage: --mask-labels in an import, the column mask_labels in a manifest, as '1 4'.",
    )
