# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Where the head lies in the scanner and which planes are imaged: the geometry that DICOM and NIfTI must agree on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from monai_ich.phantom.grids import PlaneGrid, Vector, rotation
from monai_ich.phantom.head import Z_BASE_MM, Z_VERTEX_MM
from monai_ich.phantom.hospitals import Hospital


@dataclass(frozen=True)
class Pose:
    """Head on the table: p_scanner = rotation @ p_head + shift_mm, with the field of view's centre at x = y = 0."""

    pitch: float
    roll: float
    yaw: float
    shift_mm: Vector

    @classmethod
    def draw(cls, site: Hospital, rng: np.random.Generator) -> Pose:
        pitch, roll, yaw = (float(a) for a in np.deg2rad(rng.normal(0, site.pose_sd_deg)))
        return cls(pitch, roll, yaw, np.append(rng.normal(0, [3.0, 3.0]), 0.0))

    @property
    def matrix(self) -> Vector:
        return rotation(self.pitch, self.roll, self.yaw)

    @property
    def gravity(self) -> Vector:
        """The direction in the head frame in which blood settles: the scanner's +y, as patients lie supine."""
        down: Vector = self.matrix.T @ np.array([0.0, 1.0, 0.0])
        return down

    def to_scanner(self, point_mm: Vector) -> Vector:
        moved: Vector = self.matrix @ point_mm + self.shift_mm
        return moved


@dataclass(frozen=True)
class Scan:
    """The planes of one study, in the DICOM patient system (LPS, mm).

    Slice k is centred at `first_mm + k * step_mm`. A tilted gantry turns the planes about x while the table still moves
    along z, so the stack is sheared, as in a real sequential head CT.

    Attributes:
        matrix: rows and columns.
        pixel_mm: spacing of rows and of columns.
        thickness_mm: slice thickness.
        tilt: gantry tilt in radians; positive has the front of the head higher.
        first_mm: centre of slice 0 (instance 1), relative to the isocentre.
        step_mm: from one slice centre to the next.
        count: number of slices.
        table_mm: the isocentre in the patient system; it sets absolute positions and nothing else.
    """

    matrix: int
    pixel_mm: float
    thickness_mm: float
    tilt: float
    first_mm: Vector
    step_mm: Vector
    count: int
    table_mm: Vector

    @property
    def row_cosines(self) -> Vector:
        """Direction in which the column index grows: the first three of Image Orientation (0020,0037)."""
        return np.array([1.0, 0.0, 0.0])

    @property
    def column_cosines(self) -> Vector:
        """Direction in which the row index grows: the last three of Image Orientation (0020,0037)."""
        return np.array([0.0, np.cos(self.tilt), -np.sin(self.tilt)])

    @property
    def normal(self) -> Vector:
        return np.cross(self.row_cosines, self.column_cosines)

    @property
    def spacing_mm(self) -> float:
        """Spacing Between Slices (0018,0088), which is measured along the normal."""
        return abs(float(self.step_mm @ self.normal))

    def centre_mm(self, index: int) -> Vector:
        """Centre of a slice, relative to the isocentre."""
        return self.first_mm + index * self.step_mm

    def position_mm(self, index: int) -> Vector:
        """Image Position (0020,0032): the centre of a slice's first pixel."""
        half = (self.matrix - 1) / 2 * self.pixel_mm
        return self.table_mm + self.centre_mm(index) - half * (self.row_cosines + self.column_cosines)

    def affine_ras(self) -> Vector:
        """(4, 4) NIfTI affine for an array indexed (column, row, slice)."""
        affine = np.eye(4)
        affine[:3, 0] = self.row_cosines * self.pixel_mm
        affine[:3, 1] = self.column_cosines * self.pixel_mm
        affine[:3, 2] = self.step_mm
        affine[:3, 3] = self.position_mm(0)
        return np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine

    def half_grid(self, index: int, pose: Pose) -> PlaneGrid:
        """Every second pixel of a slice, in the head frame: coarse pixel i sits between fine pixels 2i and 2i + 1."""
        back = pose.matrix.T
        half = (self.matrix / 2 - 1) * self.pixel_mm
        corner = self.centre_mm(index) - half * (self.row_cosines + self.column_cosines)
        row_step, col_step = 2 * self.pixel_mm * self.column_cosines, 2 * self.pixel_mm * self.row_cosines
        size = self.matrix // 2
        return PlaneGrid(back @ (corner - pose.shift_mm), back @ row_step, back @ col_step, (size, size))


def draw_scan(
    site: Hospital,
    pose: Pose,
    target_mm: Vector | None,
    slices: int | None,
    matrix: int,
    rng: np.random.Generator,
) -> Scan:
    """Draws a study's planes.

    Args:
        site: the hospital, which sets thickness, field of view and tilt.
        pose: the head on the table.
        target_mm: what to image (the clot's centre, head frame); None for a slab anywhere between base and vertex.
        slices: contiguous slices; None covers the whole head.
        matrix: rows and columns.
        rng: the patient's scan stream.
    """
    thickness = float(rng.choice(site.slice_mm))
    tilt = float(np.deg2rad(rng.uniform(*site.gantry_tilt_deg)))
    fov, place, table = rng.uniform(*site.fov_mm), rng.random(), rng.uniform([-3, -12, -300], [3, 12, 900])
    count = slices or int((Z_VERTEX_MM - Z_BASE_MM) // thickness) + 1
    highest = Z_VERTEX_MM - (count - 1) * thickness
    if slices is None or target_mm is None:
        low = Z_BASE_MM + (place * max(0.0, highest - Z_BASE_MM) if slices else 0.0)
    else:
        p = pose.to_scanner(target_mm)
        level = p[2] + p[1] * np.tan(tilt)  # where the plane through the clot's centre meets the axis
        low = level - thickness * ((count - 1) / 2 + (place - 0.5) * count / 2)
        low = float(np.clip(low, Z_BASE_MM - 8, max(highest, Z_BASE_MM)))
    step = thickness if site.feet_first else -thickness
    first = low if site.feet_first else low + (count - 1) * thickness
    return Scan(
        matrix, round(fov / matrix, 6), thickness, tilt, np.array([0.0, 0.0, first]), np.array([0.0, 0.0, step]), count,
        np.round(table, 1),
    )  # fmt: skip
