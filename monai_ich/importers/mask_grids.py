# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Brings a mask onto the slices of a series by their place in the patient, or refuses it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset

from monai_ich.importers.pictures import read_array, read_picture
from monai_ich.transforms.dicom_frames import Frame, decode_frames, describe_frames, open_dicom
from monai_ich.transforms.reading import as_mask, frames_affine
from monai_ich.transforms.volumes import read_volume
from monai_ich.utils.errors import ImageReadError

# How far a pixel may lie from a voxel of its mask, in voxels: affines agree only after rounding, and not at all when
# mask and image have different grids.
GRID_TOLERANCE = 0.25

Masks = list[np.ndarray | None]  # one uint8 (rows, columns) a slice, as stored; None where nobody annotated


def masks_of_volume(path: Path, frames: Sequence[Frame]) -> Masks:
    """The masks that a volume holds for the slices of a series; None for slices above and below it.

    Raises:
        ImageReadError: the file holds no mask, lies on another grid, or nowhere near the series.
    """
    array, affine = read_volume(path)
    mask = as_mask(array.reshape((*array.shape, 1)[:3] if array.ndim == 2 else array.shape[:3]), path)
    found = [_on_slice(mask, affine, frame, path) for frame in frames]
    if all(slice_mask is None for slice_mask in found):
        raise ImageReadError(
            f"{path}: lies on none of the {len(frames)} slices of the series that it is named after. "
            "Check that it was drawn on this series, and that the tool kept the position in the patient."
        )
    return found


def _on_slice(mask: np.ndarray, affine: np.ndarray, frame: Frame, path: Path) -> np.ndarray | None:
    """Samples a mask volume (A,B,C) at the pixels of a slice -> (rows, columns), or None when the slice is outside.

    Both are linear in the pixel's row and column, so three corners tell whether every pixel meets a voxel.
    """
    rows, columns = frame.shape_rc
    pixel_to_voxel = np.linalg.inv(affine) @ frames_affine([frame])[0]  # (column, row, 0, 1) -> voxel
    corners = np.array([[0, 0], [columns - 1, 0], [0, rows - 1], [columns - 1, rows - 1]])
    voxels = (pixel_to_voxel @ np.column_stack([corners, np.zeros(4), np.ones(4)]).T)[:3]  # (3,4)
    across = int(np.argmin(np.ptp(voxels, axis=1)))  # the mask's axis that stays the same within the slice
    depth = np.rint(voxels[across])
    if (depth < 0).any() or (depth >= mask.shape[across]).any():
        return None
    off = np.abs(voxels - np.rint(voxels)).max()
    beyond = (np.rint(voxels) < 0).any() or (np.rint(voxels) >= np.array(mask.shape)[:, None]).any()
    if off > GRID_TOLERANCE or beyond or np.ptp(depth):
        raise ImageReadError(
            f"{path}: its voxels do not lie on the pixels of the series (they are up to {off:.2f} voxels off, or end "
            "within a slice). Draw the mask on this series, or resample it onto the series' grid by nearest neighbour."
        )
    column_index, row_index = np.meshgrid(np.arange(columns), np.arange(rows))
    index = pixel_to_voxel[:3, 0, None, None] * column_index + pixel_to_voxel[:3, 1, None, None] * row_index
    a, b, c = np.rint(index + pixel_to_voxel[:3, 3, None, None]).astype(int)
    return np.ascontiguousarray(mask[a, b, c])


def masks_of_segmentation(path: Path, frames: Sequence[Frame], instances: Sequence[str], segment: str) -> Masks:
    """The masks of a DICOM Segmentation (PS3.3 A.51) for the slices of a series.

    A frame without blood may be left out of the file, so every slice that the file refers to is annotated.

    Args:
        path: the file, binary or fractional (from half its maximum up counts).
        frames: the slices.
        instances: SOP Instance UID of each slice.
        segment: Segment Label (0062,0005) to take; empty when the file has but one segment.

    Raises:
        ImageReadError: several segments and none chosen, or a frame that lies on no slice.
    """
    dataset = open_dicom(path)
    wanted = _segment_number(dataset, path, segment)
    described = describe_frames(dataset, path, "mask")
    chosen = [frame for frame in described if _segment_of(dataset, frame.number) == wanted]
    stored = decode_frames(dataset, path, [frame.number for frame in chosen]) if chosen else np.zeros((0, 1, 1))
    threshold = 0.5 * float(dataset.get("MaximumFractionalValue") or 1)
    referenced = _referenced_instances(dataset)
    masks: Masks = [
        np.zeros(frame.shape_rc, np.uint8) if not referenced or uid in referenced else None
        for frame, uid in zip(frames, instances, strict=True)
    ]
    for frame, values in zip(chosen, stored, strict=True):
        _place(masks, frames, frame, (values >= threshold).astype(np.uint8))
    return masks


def _place(masks: Masks, frames: Sequence[Frame], source: Frame, values: np.ndarray) -> None:
    """Adds one frame of a segmentation to the slice that it lies on."""
    step_mm = _slice_step_mm(frames)
    affine, _ = frames_affine([replace(source, thickness_mm=step_mm)])
    for number, frame in enumerate(frames):
        distance_mm = abs(float((frame.position_lps_mm - source.position_lps_mm) @ source.normal))
        if distance_mm > GRID_TOLERANCE * step_mm:
            continue
        found = _on_slice(values.T[..., None], affine, frame, source.path)
        if found is not None:
            before = masks[number]
            masks[number] = found if before is None else np.maximum(before, found)
            return
    raise ImageReadError(
        f"{source.path}: frame {source.number} lies on no slice of the series that it refers to. "
        "Check that the segmentation was drawn on this series."
    )


def _slice_step_mm(frames: Sequence[Frame]) -> float:
    if len(frames) < 2:
        return frames[0].thickness_mm
    along = np.array([float(frame.position_lps_mm @ frames[0].normal) for frame in frames])
    return float(np.median(np.abs(np.diff(along))))


def _segment_number(dataset: Dataset, path: Path, label: str) -> int:
    segments = {
        str(segment.get("SegmentLabel", "")): int(segment.SegmentNumber)
        for segment in dataset.get("SegmentSequence") or ()
    }
    if not label and len(segments) == 1:
        return next(iter(segments.values()))
    if label in segments:
        return segments[label]
    what = f"no segment {label!r}" if label else f"{len(segments)} segments"
    raise ImageReadError(
        f"{path}: holds {what}; it has {', '.join(map(repr, segments)) or 'none'}. Choose one by its label: --segment."
    )


def _segment_of(dataset: Dataset, number: int) -> int:
    for groups in (
        dataset.PerFrameFunctionalGroupsSequence[number : number + 1],
        dataset.SharedFunctionalGroupsSequence[:1],
    ):
        for group in groups:
            if "SegmentIdentificationSequence" in group:
                return int(group.SegmentIdentificationSequence[0].ReferencedSegmentNumber)
    return 1


def _referenced_instances(dataset: Dataset) -> set[str]:
    """SOP Instance UIDs of the images that were segmented; empty when the file does not say."""
    return {
        str(instance.ReferencedSOPInstanceUID)
        for series in dataset.get("ReferencedSeriesSequence") or ()
        for instance in series.get("ReferencedInstanceSequence") or ()
    }


def mask_of_picture(path: Path, frame: Frame) -> np.ndarray:
    """The mask of one slice from a PNG or NPY file with the slice's own rows and columns.

    Raises:
        ImageReadError: it cannot be read, has another size, or holds no mask.
    """
    values = read_array(path) if path.suffix.lower() == ".npy" else read_picture(path)
    if values.shape != frame.shape_rc:
        raise ImageReadError(
            f"{path}: has shape {values.shape}, its slice {frame.shape_rc}. Export the mask in grey values and in the "
            "slice's own rows and columns."
        )
    return as_mask(values, path)
