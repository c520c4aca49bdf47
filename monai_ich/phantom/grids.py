# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Sampling grids and smooth random fields, both defined in millimetres in the head's own frame."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]  # float32; numpy's stubs cannot follow that through arithmetic with floats
Vector: TypeAlias = NDArray[np.float64]
Window: TypeAlias = tuple[slice, slice]


class PlaneGrid:
    """A regular grid of points on a plane: point (r, c) lies at `origin + r * row_step + c * col_step` (mm).

    Attributes:
        x, y, z: float32 (H, W), the points' coordinates in the head frame (LPS: left, posterior, superior).
        normal: unit normal of the plane.
    """

    def __init__(self, origin: Vector, row_step: Vector, col_step: Vector, shape: tuple[int, int]) -> None:
        self.origin, self.row_step, self.col_step, self.shape = origin, row_step, col_step, shape
        rows = np.arange(shape[0], dtype=np.float32)[:, None]
        cols = np.arange(shape[1], dtype=np.float32)[None, :]
        self.x, self.y, self.z = (
            np.float32(origin[a]) + rows * np.float32(row_step[a]) + cols * np.float32(col_step[a]) for a in range(3)
        )
        cross = np.cross(col_step, row_step)
        self.normal: Vector = cross / np.linalg.norm(cross)

    @property
    def pixel_mm(self) -> float:
        """Distance between neighbouring rows."""
        return float(np.linalg.norm(self.row_step))

    def window(self, centre_mm: Vector, radius_mm: float) -> Window | None:
        """Rows and columns that hold the plane's cut through a ball, or None when the plane misses it."""
        delta = np.asarray(centre_mm, dtype=np.float64) - self.origin
        if abs(float(delta @ self.normal)) >= radius_mm:
            return None
        spans = []
        for step, size in zip((self.row_step, self.col_step), self.shape, strict=True):
            length = float(np.linalg.norm(step))
            middle, reach = float(delta @ step) / length**2, radius_mm / length
            low, high = max(0, int(np.floor(middle - reach))), min(size, int(np.ceil(middle + reach)) + 1)
            if low >= high:
                return None
            spans.append(slice(low, high))
        return spans[0], spans[1]

    def crop(self, window: Window) -> PlaneGrid:
        """The same plane, restricted to a window."""
        rows, cols = window
        origin = self.origin + rows.start * self.row_step + cols.start * self.col_step
        return PlaneGrid(origin, self.row_step, self.col_step, (rows.stop - rows.start, cols.stop - cols.start))


def shifted(window: Window, origin: Window) -> Window:
    """A window of a crop, as a window of what was cropped; `origin` is the crop's own window."""
    rows, cols = (slice(w.start + o.start, w.stop + o.start) for w, o in zip(window, origin, strict=True))
    return rows, cols


class PointCloud:
    """Scattered points in the head frame, for measuring a shape in 3-D before any slice is drawn."""

    def __init__(self, x: Array, y: Array, z: Array) -> None:
        self.x, self.y, self.z = x, y, z

    @classmethod
    def cube(cls, centre_mm: Vector, half_mm: float, count: int) -> PointCloud:
        """`count`**3 cell centres that fill a cube."""
        steps = ((np.arange(count) + 0.5) / count * 2 - 1) * half_mm
        x, y, z = (a.ravel().astype(np.float32) for a in np.meshgrid(*(steps + c for c in centre_mm), indexing="ij"))
        return cls(x, y, z)


Grid: TypeAlias = PlaneGrid | PointCloud


@dataclass(frozen=True)
class WaveField:
    """A smooth random field of unit variance: a sum of plane waves, so it is a function of (x, y, z) everywhere.

    On a `PlaneGrid` every wave separates into a row factor and a column factor, which makes the sum one matrix product.
    """

    vectors: Array  # (K, 3) rad/mm
    phases: Array  # (K,)

    @classmethod
    def draw(cls, rng: np.random.Generator, wavelength_mm: tuple[float, float], count: int) -> WaveField:
        """Waves of random direction and phase, with wavelengths uniform in a range."""
        direction = rng.standard_normal((count, 3))
        direction /= np.linalg.norm(direction, axis=1, keepdims=True)
        vectors = direction * (2 * np.pi / rng.uniform(*wavelength_mm, (count, 1)))
        return cls(vectors.astype(np.float32), rng.uniform(0, 2 * np.pi, count).astype(np.float32))

    def at(self, x: Array, y: Array, z: Array) -> Array:
        """Values at arbitrary points (any shape)."""
        points = np.stack([x.ravel(), y.ravel(), z.ravel()]).astype(np.float32)
        waves = self.vectors @ points
        waves += self.phases[:, None]
        np.cos(waves, out=waves)
        return (waves.sum(axis=0) * np.float32(np.sqrt(2 / len(self.phases)))).reshape(x.shape)

    def on(self, grid: Grid, thickness_mm: float = 0.0) -> Array:
        """Values on a grid: (H, W) for a plane, (N,) for a cloud.

        `thickness_mm` averages over a slice of that thickness about the plane: waves along its normal fade.
        """
        if isinstance(grid, PointCloud):
            return self.at(grid.x, grid.y, grid.z)
        base = self.vectors @ grid.origin + self.phases
        rows = np.outer(np.arange(grid.shape[0]), self.vectors @ grid.row_step) + base
        cols = np.outer(self.vectors @ grid.col_step, np.arange(grid.shape[1]))
        # The mean of cos(p + k s) over |s| <= t / 2 is cos(p) sin(k t / 2) / (k t / 2); numpy's sinc has pi in it.
        fade = np.sinc(self.vectors @ grid.normal * (thickness_mm / (2 * np.pi)))
        left = np.concatenate([fade * np.cos(rows), -fade * np.sin(rows)], axis=1).astype(np.float32)
        right = np.concatenate([np.cos(cols), np.sin(cols)], axis=0).astype(np.float32)
        return (left @ right) * np.float32(np.sqrt(2 / len(self.phases)))


def rotation(pitch: float = 0.0, roll: float = 0.0, yaw: float = 0.0) -> Vector:
    """Rotation matrix (3, 3) from angles in radians about x (pitch), y (roll), then z (yaw)."""
    cx, sx, cy, sy, cz, sz = np.cos(pitch), np.sin(pitch), np.cos(roll), np.sin(roll), np.cos(yaw), np.sin(yaw)
    about_x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    return about_z @ about_y @ about_x


def smoothstep(value: Array) -> Array:
    """0 below 0, 1 above 1, smooth between."""
    t = np.clip(value, 0, 1)
    return t * t * (3 - 2 * t)


def upsample_twice(half: Array) -> Array:
    """Linear interpolation (H, W) -> (2H, 2W) with pixel centres kept: fine pixel 2i lies 1/4 pixel before coarse i."""
    return _upsample_rows(np.ascontiguousarray(_upsample_rows(half).T)).T


def _upsample_rows(half: Array) -> Array:
    fine = np.empty((2 * half.shape[0], half.shape[1]), dtype=half.dtype)
    near, quarter = 0.75 * half, 0.25 * half
    np.add(near[1:], quarter[:-1], out=fine[2::2])
    np.add(near[:-1], quarter[1:], out=fine[1:-1:2])
    fine[0], fine[-1] = half[0], half[-1]
    return fine
