# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Brings a mask volume onto the slices of a series by its place in the patient: copied, resampled, or refused.

Copied, where every pixel is a voxel of the mask but for a permutation and flips of the axes. Resampled by nearest
neighbour, where the mask has a grid of its own and nothing speaks against its place. Refused otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from monai_ich.importers.mask_grids import (
    GRID_TOLERANCE,
    OUTSIDE,
    MaskVolume,
    PlacedMasks,
    grown_to,
    read_mask_volume,
    slice_step_mm,
)
from monai_ich.reading.dicom_frames import Frame
from monai_ich.reading.slice_reading import frames_affine
from monai_ich.utils.errors import ImageReadError

# A mask on a grid of its own was made from the whole series. One that has less than these shares of it belongs to
# another series, or has lost its place in the patient.
LEAST_SLICES = 0.5
LEAST_AREA = 0.5
LEAST_HAEMATOMA = 0.9


def masks_of_volume(
    path: Path, frames: Sequence[Frame], exact_only: bool = False, chosen: Sequence[str] = ()
) -> PlacedMasks:
    """The masks that a volume holds for the slices of a series; None for slices that it does not reach.

    Args:
        path: the file.
        frames: the slices.
        exact_only: refuse what would have to be resampled, as the file may belong to another frame of reference.
        chosen: names or numbers of the labels that are blood.

    Raises:
        ImageReadError: the file holds no mask, lies nowhere near the series, or its place in it is doubtful.
    """
    volume = read_mask_volume(path, chosen)
    if not any(volume.reached_share(frame) > 0 if volume.is_cropped else volume.reaches(frame) for frame in frames):
        raise ImageReadError(
            path,
            f"lies on none of the {len(frames)} slices of the series that it is named after",
            "Check that it was drawn on this series, and that the tool kept the position in the patient.",
        )
    notes: tuple[str, ...] = ()
    if not _is_exact(volume, frames) and (mended := _with_step_of(volume, frames)) is not None:
        volume = mended
        notes = ("the mask's slice step, too short by the cosine of the gantry tilt, was put right",)
    if volume.is_cropped:
        if not _is_exact(volume, frames):
            _refuse_own_size(volume, frames)
        _refuse_outside(volume, frames)
        volume = grown_to(volume, frames)
    sampled = [volume.sample(frame) for frame in frames]
    is_resampled = not _is_exact(volume, frames)
    if is_resampled:
        if exact_only:
            raise ImageReadError(
                path,
                "has another grid than the series, and by its name it may belong to several that share no frame "
                "of reference",
                "Name it after the Series Instance UID of the one that it was drawn on.",
            )
        if not volume.is_cropped:
            _refuse_own_size(volume, frames)
        _refuse_small_overlap(volume, frames, sampled)
        _refuse_lost_haematoma(volume, frames, sampled)
    _refuse_between_slices(volume, frames, sampled)
    masks = [
        (values == 1).astype(np.uint8) if volume.reaches(frame) else None
        for values, frame in zip(sampled, frames, strict=True)
    ]
    return PlacedMasks(masks, is_resampled, notes)


def _is_exact(volume: MaskVolume, frames: Sequence[Frame]) -> bool:
    """Whether every slice that the volume touches has its own voxels there."""
    return all(volume.has_pixels_of(frame) or volume.reached_share(frame) == 0 for frame in frames)


def _with_step_of(volume: MaskVolume, frames: Sequence[Frame]) -> MaskVolume | None:
    """The volume with the series' own slice step, where it has the fault of dcm2niix's sheared volumes; else None.

    Of a tilted series dcm2niix writes two volumes: the slices as they are, and un-sheared ones (`_Tilt`). The step of
    the former runs along the table, as it should, but is only as long as the slices' distance along their normal. Some
    ten slices on, its affine is more than a quarter of a slice off, although slice by slice the pixels are the same.
    """
    affine, uneven = frames_affine(frames)
    size = np.array([frames[0].shape_rc[1], frames[0].shape_rc[0], len(frames)])
    step_mm = float(np.linalg.norm(affine[:3, 2]))
    if uneven or len(frames) < 2:
        return None
    short = slice_step_mm(frames) / step_mm
    corners = np.array([*np.ndindex(2, 2, 2)]).T * (np.array(volume.values.shape)[:, None] - 1)
    corners = np.vstack([corners, np.ones(8)])  # (4,8)
    for kept in (0, len(frames) - 1):  # the slice whose position is right
        shortened = affine.copy()
        shortened[:3, 2] *= short
        shortened[:3, 3] += affine[:3, 2] * (1 - short) * kept
        way = np.linalg.inv(shortened) @ volume.affine_ras_mm  # voxel (a, b, c, 1) -> (column, row, slice, 1)
        index = np.rint(way) @ corners
        fills = (index[:3].min(axis=1) == 0).all() and (index[:3].max(axis=1) == size - 1).all()
        if fills and np.abs(np.rint(way[:3, :3])).sum() == 3 and np.abs(way @ corners - index).max() <= GRID_TOLERANCE:
            return replace(volume, affine_ras_mm=affine @ np.rint(way))
    return None


def _refuse_own_size(volume: MaskVolume, frames: Sequence[Frame]) -> None:
    """Raises ImageReadError when the mask has the series' size: its voxels are the series', and its affine errs."""
    rows, columns = frames[0].shape_rc
    if sorted(volume.values.shape) == sorted((columns, rows, len(frames))):
        worst = max(volume.offset_voxels(frame) for frame in frames)
        off = f"up to {worst:.2f} voxels off" if np.isfinite(worst) else "another step, direction or extent"
        raise ImageReadError(
            volume.path,
            f"has as many voxels as the series, but they do not lie on its pixels ({off}), so its affine was "
            "changed, and whether its content moved too is unknown; ITK drops the shear of a tilted series",
            "Give the mask the affine of the volume that it was drawn on, for instance with nibabel.",
        )


def _refuse_small_overlap(volume: MaskVolume, frames: Sequence[Frame], sampled: Sequence[np.ndarray]) -> None:
    """Raises ImageReadError when a mask on a grid of its own holds too little of the series."""
    areas = [
        float((values != OUTSIDE).mean())
        for values, frame in zip(sampled, frames, strict=True)
        if volume.reaches(frame)
    ]
    if len(areas) < LEAST_SLICES * len(frames) or min(areas) < LEAST_AREA:
        raise ImageReadError(
            volume.path,
            f"has another grid than the series and overlaps it too little: it reaches {len(areas)} of "
            f"{len(frames)} slices, and of one of them {min(areas):.0%} of the pixels",
            "Check that it was drawn on this series, and that the tool kept the position in the patient.",
        )


def _refuse_lost_haematoma(volume: MaskVolume, frames: Sequence[Frame], sampled: Sequence[np.ndarray]) -> None:
    """Raises ImageReadError when part of the haematoma lies where the series has no slice, or ends within one."""
    cut = [
        number
        for number, (values, frame) in enumerate(zip(sampled, frames, strict=True))
        if (values == 1).any() and not volume.reaches(frame)
    ]
    if cut:
        raise ImageReadError(
            volume.path,
            f"ends within {len(cut)} slices of the series that its haematoma is in, so the rest of it is unknown",
            "Export the mask with the whole of the series.",
        )
    _refuse_outside(volume, frames)


def _refuse_outside(volume: MaskVolume, frames: Sequence[Frame]) -> None:
    """Raises ImageReadError when too much of the haematoma lies outside the series."""
    inside = _is_inside(volume, frames)
    if len(inside) and inside.mean() < LEAST_HAEMATOMA:
        raise ImageReadError(
            volume.path,
            f"{1 - inside.mean():.0%} of its haematoma lies outside the slices of the series",
            "Check that it was drawn on this series, and that the tool kept the position in the patient.",
        )


def _refuse_between_slices(volume: MaskVolume, frames: Sequence[Frame], sampled: Sequence[np.ndarray]) -> None:
    """Raises ImageReadError when slices would be called free of blood only because they miss all of the haematoma."""
    if not any((values == 1).any() for values in sampled) and _is_inside(volume, frames).any():
        raise ImageReadError(
            volume.path,
            "its haematoma lies between the slices of the series, and on none of them",
            "Draw it on the slices themselves, or take the thinner series that it was drawn on.",
        )


def _is_inside(volume: MaskVolume, frames: Sequence[Frame]) -> np.ndarray:
    """bool (n,): of each voxel of the haematoma, whether it lies within the box of the series' pixels."""
    voxels = np.argwhere(volume.values)
    affine, _ = frames_affine(frames)
    size = np.array([frames[0].shape_rc[1], frames[0].shape_rc[0], len(frames)])
    way = np.linalg.inv(affine) @ volume.affine_ras_mm
    index = voxels @ way[:3, :3].T + way[:3, 3]  # (n,3): column, row, slice
    return ((index >= -0.5) & (index <= size - 0.5)).all(axis=1)
