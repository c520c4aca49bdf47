# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Slices in one orientation, and the way back to the orientation of the file they came from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import nibabel as nib
import numpy as np

from monai_ich.reading.slice_places import SlicePlaces
from monai_ich.utils.errors import ImageReadError

# Axes of RAS space, in nibabel's numbering.
_LEFT_RIGHT, _BACK_FRONT, _FOOT_HEAD = 0, 1, 2


@dataclass(frozen=True)
class Reorientation:
    """How a stored 3-D array becomes canonical slices: a permutation and up to two flips, which can be undone exactly.

    Attributes:
        axes: the stored axes that become (slice, row, column).
        flip_rows: the stored row axis runs towards the front, so it is reversed to run anterior -> posterior.
        flip_columns: the stored column axis runs towards the right, so it is reversed to run right -> left.
    """

    axes: tuple[int, int, int]
    flip_rows: bool
    flip_columns: bool

    def apply(self, stored: np.ndarray) -> np.ndarray:
        """Stored array (A,B,C) -> canonical slices (N,H,W), a view; slices keep their stored order."""
        slices = stored.transpose(self.axes)
        return slices[:, :: -1 if self.flip_rows else 1, :: -1 if self.flip_columns else 1]

    def undo(self, slices: np.ndarray) -> np.ndarray:
        """Canonical slices (N,H,W) -> stored array (A,B,C), a view; the inverse of `apply`."""
        unflipped = slices[:, :: -1 if self.flip_rows else 1, :: -1 if self.flip_columns else 1]
        return unflipped.transpose(tuple(np.argsort(self.axes)))

    def canonical_affine(self, stored_affine: np.ndarray, stored_shape: Sequence[int]) -> np.ndarray:
        """The (4,4) affine of the canonical array: index order (slice, row, column, 1) -> RAS mm."""
        to_stored = np.zeros((4, 4))
        to_stored[3, 3] = 1.0
        for canonical_axis, (axis, flip) in enumerate(
            zip(self.axes, (False, self.flip_rows, self.flip_columns), strict=True)
        ):
            to_stored[axis, canonical_axis] = -1.0 if flip else 1.0
            to_stored[axis, 3] = stored_shape[axis] - 1 if flip else 0.0
        return stored_affine @ to_stored


def find_reorientation(affine_ras_mm: np.ndarray, source: Path) -> Reorientation:
    """The reorientation of a stored array whose (4,4) affine maps (a, b, c, 1) -> RAS mm.

    An oblique or sheared (gantry-tilted) array is taken by its nearest axes; nothing is interpolated.

    Raises:
        ImageReadError: when the affine is not finite or is degenerate, so that no orientation follows from it.
    """
    finite = bool(np.isfinite(affine_ras_mm).all())
    usable = finite and abs(np.linalg.det(affine_ras_mm[:3, :3])) >= 1e-9
    orientation = nib.orientations.io_orientation(affine_ras_mm) if usable else np.full((3, 2), np.nan)
    if np.isnan(orientation).any():  # nibabel finds no patient axis for an array axis that is all but degenerate
        raise ImageReadError(
            source,
            f"its affine is degenerate ({affine_ras_mm.tolist()}), so left and right cannot be told apart; "
            "expected a voxel-to-patient matrix",
            "Export the file again with its geometry.",
        )
    stored_axis = {int(ras): axis for axis, (ras, _) in enumerate(orientation)}
    direction = {int(ras): sign for ras, sign in orientation}
    return Reorientation(
        axes=(stored_axis[_FOOT_HEAD], stored_axis[_BACK_FRONT], stored_axis[_LEFT_RIGHT]),
        flip_rows=bool(direction[_BACK_FRONT] > 0),
        flip_columns=bool(direction[_LEFT_RIGHT] > 0),
    )


@dataclass(frozen=True, eq=False, kw_only=True)
class SliceGeometry:
    """Axial slices in canonical orientation (rows anterior -> posterior, columns right -> left), without their pixels.

    Attributes:
        slice_index: for each of the N slices, its 0-based index along the stored head-foot axis (frame number of a
            multi-frame DICOM, position in the sorted series of a folder).
        paths: the file of each slice.
        reorientation: how the stored array became canonical.
        source_shape: shape of the stored array (2-D, 3-D, or with trailing axes of length 1); a DICOM counts as
            stored (columns, rows, slices), as NIfTI would hold it.
        source_affine_ras_mm: (4,4), stored index order (a, b, c, 1) -> RAS mm. Of slices that are not on one even
            grid (`places.is_even`), its in-plane axes and its first slice are right, and the others are not.
        places: where each slice lies.
        notes: what the reader had to mend or to assume, in words.
    """

    slice_index: tuple[int, ...]
    paths: tuple[Path, ...]
    reorientation: Reorientation
    source_shape: tuple[int, ...]
    source_affine_ras_mm: np.ndarray
    places: SlicePlaces
    notes: tuple[str, ...] = ()

    @property
    def shape_rc(self) -> tuple[int, int]:
        """Rows and columns of each slice in canonical orientation."""
        stored = volume_shape(self.source_shape)
        return stored[self.reorientation.axes[1]], stored[self.reorientation.axes[2]]

    @property
    def affine_ras_mm(self) -> np.ndarray:
        """(4,4), canonical index order (source slice index, row, column, 1) -> RAS mm; see `source_affine_ras_mm`."""
        return self.reorientation.canonical_affine(self.source_affine_ras_mm, volume_shape(self.source_shape))

    @property
    def spacing_mm_rc(self) -> tuple[float, float]:
        """Distance between rows and between columns, mm."""
        steps = np.linalg.norm(self.affine_ras_mm[:3, 1:3], axis=0)
        return float(steps[0]), float(steps[1])

    @property
    def slice_step_mm(self) -> float:
        """Distance between neighbouring slices along the patient's slice direction, mm; a mean where it varies."""
        return float(np.linalg.norm(self.affine_ras_mm[:3, 0]))

    def take(self, numbers: Sequence[int]) -> Self:
        """Some of the slices, by their positions here; a position may come twice."""
        chosen = list(numbers)
        return replace(
            self,
            slice_index=tuple(self.slice_index[number] for number in chosen),
            paths=tuple(self.paths[number] for number in chosen),
            places=self.places.take(chosen),
        )

    def centres_ras_mm(self) -> np.ndarray:
        """(N,3) RAS mm of each slice's own centre."""
        rows, columns = self.shape_rc
        in_plane = self.affine_ras_mm[:3, 1:3] @ [(rows - 1) / 2, (columns - 1) / 2]
        return np.asarray(self.places.first_pixel_ras_mm + in_plane)


@dataclass(frozen=True, eq=False, kw_only=True)
class SliceStack(SliceGeometry):
    """Slices with their geometry.

    Attributes:
        pixels: (N,H,W); float32 HU for an image, uint8 {0,1} for a mask.
    """

    pixels: np.ndarray

    def take(self, numbers: Sequence[int]) -> Self:
        chosen = list(numbers)
        one = len(chosen) == 1
        return replace(
            super().take(chosen), pixels=self.pixels[chosen[0] : chosen[0] + 1] if one else self.pixels[chosen]
        )


def volume_shape(source_shape: Sequence[int]) -> tuple[int, int, int]:
    """A stored shape as 3-D: a 2-D array counts as one slice, trailing axes of length 1 are dropped.

    >>> volume_shape((512, 512)), volume_shape((512, 512, 30, 1))
    ((512, 512, 1), (512, 512, 30))
    """
    first, second, *rest = source_shape
    return first, second, rest[0] if rest else 1


def select_slices(indices: Sequence[int] | None, total: int, source: Path) -> tuple[int, ...]:
    """All of `total` slices, or the `indices` asked for.

    Raises:
        ImageReadError: when an index is outside the file.
    """
    if indices is None:
        return tuple(range(total))
    outside = sorted({int(i) for i in indices if not 0 <= int(i) < total})
    if outside:
        raise ImageReadError(
            source,
            f"slice {', '.join(map(str, outside))} was asked for, but the file holds slices 0 to {total - 1} "
            "(counted from 0)",
            "Correct the slice index; a table that counts from 1 is off by one.",
        )
    return tuple(int(i) for i in indices)
