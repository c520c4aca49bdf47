# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Painting analytic 3-D shapes onto one slice, with soft edges that stand for the slice's thickness."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from monai_ich.phantom.grids import Array, PlaneGrid, Vector, Window, rotation


@dataclass(frozen=True)
class Ellipsoid:
    """An ellipsoid in the head frame: centre and semi-axes in mm, turned by angles in radians."""

    centre_mm: tuple[float, float, float]
    axes_mm: tuple[float, float, float]
    angles: tuple[float, float, float] = (0.0, 0.0, 0.0)  # pitch, roll, yaw

    @property
    def whitening(self) -> Vector:
        """(3, 3) matrix that maps the centred ellipsoid to the unit ball."""
        return (rotation(*self.angles) / np.asarray(self.axes_mm)).T

    def distance(self, x: Array, y: Array, z: Array, normal: Vector | None = None) -> tuple[Array, Array]:
        """Signed distance in mm to first order (negative inside), and how steeply it changes along `normal` (0..1)."""
        matrix = self.whitening.astype(np.float32)
        d = (x - np.float32(self.centre_mm[0]), y - np.float32(self.centre_mm[1]), z - np.float32(self.centre_mm[2]))
        v = [row[0] * d[0] + row[1] * d[1] + row[2] * d[2] for row in matrix]
        q = np.sqrt(v[0] * v[0] + v[1] * v[1] + v[2] * v[2])
        g = [matrix[0, a] * v[0] + matrix[1, a] * v[1] + matrix[2, a] * v[2] for a in range(3)]
        size = np.sqrt(g[0] * g[0] + g[1] * g[1] + g[2] * g[2])
        along = np.zeros_like(q) if normal is None else sum(np.float32(n) * a for n, a in zip(normal, g, strict=True))
        # Both q and the gradient vanish at the centre; the two small terms make their ratio the mean axis there.
        tiny = np.float32(1e-3)
        distance = (q + tiny) * (q - 1) / (size + tiny / np.float32(np.mean(self.axes_mm)))
        return distance, np.abs(along) / (size + np.float32(1e-6))


class Canvas:
    """One slice being painted: HU values on a plane, and the (warped) anatomical coordinates of its points.

    Attributes:
        grid: the slice's plane in the head frame.
        x, y, z: anatomical coordinates (H, W) after the patient's asymmetry and the clot's mass effect.
        hu: float32 (H, W).
    """

    def __init__(
        self, grid: PlaneGrid, thickness_mm: float, x: Array, y: Array, z: Array, slack_mm: float = 6.0
    ) -> None:
        """`slack_mm`: how far anatomy may be displaced from the grid's own coordinates; windows are grown by it."""
        self.grid, self.thickness_mm, self.slack_mm = grid, thickness_mm, slack_mm
        self.x, self.y, self.z = x, y, z
        self.hu: Array = np.full(grid.shape, -1000, dtype=np.float32)

    def blend(self, alpha: Array, value_hu: Array | float, window: Window | None = None) -> None:
        """Moves HU values towards `value_hu` by the share `alpha` (0..1)."""
        target = self.hu if window is None else self.hu[window]
        target += alpha * (value_hu - target)

    def ellipsoid(self, shape: Ellipsoid, value_hu: float, edge_mm: float = 1.0, within: Array | None = None) -> None:
        """Paints an ellipsoid; its rim is as wide as the slice's thickness makes it. `within` (H, W) limits it."""
        reach = max(shape.axes_mm) + self.thickness_mm / 2 + self.slack_mm
        window = self.grid.window(np.asarray(shape.centre_mm), reach)
        if window is None:
            return
        distance, slope = shape.distance(self.x[window], self.y[window], self.z[window], self.grid.normal)
        alpha = coverage(distance, edge_mm + self.thickness_mm * slope)
        if within is not None:
            alpha *= within[window]
        self.blend(alpha, value_hu, window)


def coverage(distance_mm: Array, width_mm: Array | float) -> Array:
    """Share of a slice that a shape covers (0..1): 1 where the signed distance is below -width/2, 0 above +width/2."""
    return np.clip(0.5 - distance_mm / width_mm, 0, 1)


def mirrored(shape: Ellipsoid) -> tuple[Ellipsoid, Ellipsoid]:
    """The shape and its mirror image on the other side of the head."""
    (x, y, z), (pitch, roll, yaw) = shape.centre_mm, shape.angles
    return shape, Ellipsoid((-x, y, z), shape.axes_mm, (pitch, -roll, -yaw))
