# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""The head's envelope: cavity, skull, scalp and skull base as continuous functions of (x, y, z) in mm.

The origin is mid-line at the level of the third ventricle; x runs to the patient's left, y backwards, z upwards.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from monai_ich.phantom.canvas import Canvas, Ellipsoid, coverage, mirrored
from monai_ich.phantom.grids import Array, Grid, PlaneGrid, WaveField, Window, smoothstep

Z_BASE_MM, Z_VERTEX_MM = -48.0, 74.0  # lowest and highest slice centre worth imaging
_FACE_DOWN_MM = 120.0  # the skin's outline narrows more slowly downwards than the cavity's
_BASE_TOP_MM = 2.0  # nothing of the skull base reaches higher
_INNER_TABLE_MM, _OUTER_TABLE_MM = 1.4, 2.0  # compact bone on either side of the diploe
_DIPLOE_HU = 520.0


@dataclass(frozen=True)
class Head:
    """One patient's envelope.

    Attributes:
        half_mm: cavity half-width, half-length, height above and depth below the origin.
        skull_mm, scalp_mm: thickness of the vault and of the scalp.
        egg: how much wider the back of the cavity is than its front.
        sway: low-frequency fields that make the head asymmetric (three displacements).
        fine: a short-wavelength field for diploe, air cells and muscle.
        sinus_mm: height of the frontal sinus; the patient has none below 4 mm.
        table_hu: density of the skull's outer and inner table.
    """

    half_mm: tuple[float, float, float, float]
    skull_mm: float
    scalp_mm: float
    egg: float
    sway: tuple[WaveField, WaveField, WaveField]
    sway_mm: float
    fine: WaveField
    sinus_mm: float
    table_hu: float

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Head:
        """Draws an adult head."""
        size = rng.normal(1, 0.03)
        half = tuple(float(v) for v in size * np.array([68, 84, 78, 66]) * rng.normal(1, [0.03, 0.025, 0.02, 0.02]))
        return cls(
            half_mm=(half[0], half[1], half[2], half[3]),
            skull_mm=float(rng.uniform(5.0, 7.5)),
            scalp_mm=float(rng.uniform(3.5, 7.0)),
            egg=float(rng.uniform(0.05, 0.13)),
            sway=tuple(WaveField.draw(rng, (70, 160), 8) for _ in range(3)),  # type: ignore[arg-type]
            sway_mm=float(rng.uniform(0.8, 1.8)),
            fine=WaveField.draw(rng, (5, 11), 40),
            sinus_mm=float(rng.uniform(0, 14)),
            table_hu=float(rng.uniform(1680, 1820)),
        )

    def warp(self, grid: Grid) -> tuple[Array, Array, Array]:
        """Coordinates of the grid's points in the symmetric head."""
        amount = np.float32(self.sway_mm)
        return (
            grid.x + amount * self.sway[0].on(grid),
            grid.y + amount * self.sway[1].on(grid),
            grid.z + amount * self.sway[2].on(grid),
        )

    def window(self, grid: PlaneGrid, margin_mm: float = 5.0) -> Window | None:
        """Rows and columns that hold the head, or None when the plane passes it by. Found on every sixth point."""
        coarse = PlaneGrid(
            grid.origin, 6 * grid.row_step, 6 * grid.col_step, (-(-grid.shape[0] // 6), -(-grid.shape[1] // 6))
        )
        found = self.outline(coarse.x, coarse.y, coarse.z) < margin_mm
        spans = []
        for axis, size in ((1, grid.shape[0]), (0, grid.shape[1])):
            hits = np.flatnonzero(found.any(axis=axis))
            if not len(hits):
                return None
            spans.append(slice(max(0, 6 * int(hits[0]) - 6), min(size, 6 * int(hits[-1]) + 7)))
        return spans[0], spans[1]

    def vault_depth(self, x: Array, y: Array, z: Array) -> Array:
        """Depth in mm below the inner table of the vault (negative outside), measured towards the origin."""
        return self._depth(x, y, z, self.half_mm[3])

    def outline(self, x: Array, y: Array, z: Array) -> Array:
        """Rough distance in mm from the skin (negative inside the head)."""
        return -self._depth(x, y, z, _FACE_DOWN_MM) - self.skull_mm - self.scalp_mm

    def _depth(self, x: Array, y: Array, z: Array, down_mm: float) -> Array:
        width, length, up, _ = self.half_mm
        u = x / (width * (1 + self.egg * np.clip((y + 10) / length, -1, 0.6)))
        v = y / length
        w = np.square(z / np.where(z > 0, np.float32(up), np.float32(down_mm)))
        r = np.sqrt(u * u + v * v + w * (0.55 + 0.45 * w)) + np.float32(1e-4)
        return np.sqrt(x * x + y * y + z * z) * (1 / r - 1)

    def floor_height(self, x: Array, y: Array) -> tuple[Array, Array]:
        """Height of the skull base's inner surface in mm, and the thickness of the bone beneath it."""
        a = np.abs(x)
        wing, ridge = -24 - 0.12 * a, 9 + 0.38 * a  # sphenoid wing and petrous ridge, as y over |x|
        roof = np.exp(-np.square((a - 27) / 13) - np.square((y + 52) / 24))  # of the orbit
        anterior = -23 + 13 * roof
        middle = -19 - 20 * smoothstep((a - 12) / 10)
        posterior = -62 + 0.006 * (x * x + np.square(y - 45))
        to_middle, to_posterior = smoothstep((y - wing + 3) / 6), smoothstep((y - ridge + 4) / 10)
        height = anterior + to_middle * (middle - anterior)
        height += to_posterior * (posterior - height)
        petrous = np.exp(-np.square((y - ridge) / 7)) * smoothstep((a - 8) / 6)
        crest = np.exp(-np.square((y - wing) / 3))
        return height + 15 * petrous + 2 * crest, 3.5 + 16 * petrous + 3 * crest

    def clearance(self, x: Array, y: Array, z: Array) -> Array:
        """Rough distance in mm from the nearest wall of the cavity, vault or base (negative outside)."""
        return np.minimum(self.vault_depth(x, y, z), np.float32(0.5) * (z - self.floor_height(x, y)[0]))

    def paint(self, canvas: Canvas) -> Array:
        """Paints everything outside the brain; returns the depth (mm) below the cavity's wall, negative outside."""
        x, y, z = canvas.x, canvas.y, canvas.z
        vault = self.vault_depth(x, y, z)
        outline = self.outline(x, y, z)
        fine = self.fine.on(canvas.grid)
        self._paint_scalp(canvas, outline, fine)
        depth = vault
        if float(z.min()) < _BASE_TOP_MM:
            depth = self._paint_base(canvas, vault, fine)
        self._paint_vault(canvas, vault, fine)
        self._paint_frontal_sinus(canvas)
        return depth

    def _paint_vault(self, canvas: Canvas, vault: Array, fine: Array) -> None:
        """Outer table, diploe, inner table and sutures. Computed only where the bone is."""
        near = (vault < 4) & (vault > -2 * self.skull_mm)
        x, y, z = canvas.x[near], canvas.y[near], canvas.z[near]
        height, grain = -vault[near], fine[near]  # above the inner surface
        uneven = (x - canvas.grid.x[near]) / np.float32(self.sway_mm)  # the head's first field, for nothing
        bone = self.skull_mm * (1 + 0.10 * uneven + 0.02 * grain - 0.20 * np.cos(2 * np.arctan2(y, x)))
        steep = canvas.thickness_mm * np.abs(z) / np.sqrt(x * x + y * y + z * z + 1)  # rim of a sloping vault
        shell = coverage(height - bone, 1 + steep) * coverage(-height, 1 + steep)
        table = np.maximum(coverage(height - _INNER_TABLE_MM, 1.2), coverage(bone - height - _OUTER_TABLE_MM, 1.2))
        value = _DIPLOE_HU + 90 * grain + table * (self.table_hu - _DIPLOE_HU - 50 * grain)
        hu = canvas.hu[near]
        hu += shell * (value * (1 - 0.35 * _sutures(x, y, z, grain)) - hu)
        canvas.hu[near] = hu

    def _paint_scalp(self, canvas: Canvas, outline: Array, fine: Array) -> None:
        canvas.blend(coverage(outline, 1.2), 34 + 3 * fine)
        fat = coverage(outline + 1.6, 1.0)
        canvas.blend(fat, -88 + 5 * fine)
        # Temporalis and, low down, neck muscle lie between the fat and the bone.
        lateral = smoothstep((np.abs(canvas.x) - 38) / 14) * smoothstep((30 - canvas.z) / 20)
        lateral *= smoothstep((18 - np.abs(canvas.y + 18)) / 22)
        low = smoothstep((-12 - canvas.z) / 25)
        flesh = np.maximum(lateral, low) * coverage(outline + 3.2, 1.0) * (0.92 + 0.08 * fine).clip(0.7, 1)
        canvas.blend(flesh, 54 + 5 * fine)

    def _paint_frontal_sinus(self, canvas: Canvas) -> None:
        front = -self.half_mm[1] - self.skull_mm / 2
        if self.sinus_mm > 4:
            for half in mirrored(Ellipsoid((8, front + 0.6, -6), (9, 1.8, self.sinus_mm))):
                canvas.ellipsoid(half, -900)

    def _paint_base(self, canvas: Canvas, vault: Array, fine: Array) -> Array:
        """Skull base, face and air spaces below the floor; returns the depth of the whole cavity."""
        x, y, z = canvas.x, canvas.y, canvas.z
        height, thick = self.floor_height(x, y)
        rise = np.gradient(height, canvas.grid.pixel_mm)
        gap = (z - height) / np.sqrt(1 + rise[0] ** 2 + rise[1] ** 2)
        inside = coverage(-vault, 1.0)
        canvas.blend(inside * coverage(gap, 1.0), 50 + 6 * fine)
        self._paint_face(canvas, fine, inside * coverage(gap, 1.0))
        cortex = coverage(-gap - _INNER_TABLE_MM, 1.2)
        bone = 620 + 170 * fine + cortex * (0.8 * self.table_hu - 620 - 120 * fine)
        canvas.blend(inside * coverage(gap, 1.2) * coverage(-gap - thick, 1.2), bone)
        below = inside * coverage(gap + 2, 1.0)
        septa = smoothstep((np.abs(fine) - 0.16) / 0.25)  # thin walls of bone between the air cells
        for cells in mirrored(Ellipsoid((51, 30, -34), (12, 15, 16))):
            canvas.ellipsoid(cells, -820, within=below * septa)
        for capsule in mirrored(Ellipsoid((36, 23, -29), (6, 3.2, 5), (0, 0, 0.5))):  # densest bone of the body
            canvas.ellipsoid(capsule, 1.12 * self.table_hu, edge_mm=1.5, within=below)
        return np.minimum(vault, gap)

    def _paint_face(self, canvas: Canvas, fine: Array, below: Array) -> None:
        front = -self.half_mm[1]
        for orbit, globe in zip(
            mirrored(Ellipsoid((31, front + 30, -30), (20, 27, 17), (0, 0, 0.30))),
            mirrored(Ellipsoid((34, front + 18, -30), (12, 12, 12))),
            strict=True,
        ):
            canvas.ellipsoid(orbit, 850, within=below)
            inner = Ellipsoid(orbit.centre_mm, tuple(a - 2.5 for a in orbit.axes_mm), orbit.angles)  # type: ignore[arg-type]
            canvas.ellipsoid(inner, -85)
            canvas.ellipsoid(globe, 60)
            canvas.ellipsoid(Ellipsoid(globe.centre_mm, (10.6, 10.6, 10.6)), 14)
        air = smoothstep((np.abs(fine) - 0.25) / 0.3)
        canvas.ellipsoid(Ellipsoid((0, front + 32, -34), (11, 30, 17)), -850, within=below * air)
        canvas.ellipsoid(Ellipsoid((0, -8, -31), (12, 12, 8)), -880, within=below)


def _sutures(x: Array, y: Array, z: Array, wander: Array) -> Array:
    """How far a point of the vault lies in the coronal, sagittal or lambdoid suture (0..1); `wander` bends them."""
    bend = 1.5 * wander
    coronal = y + 22 + 0.25 * z + bend
    lambdoid = y - 62 + 0.45 * np.abs(x) + 0.25 * z + bend
    gap = np.minimum(np.abs(coronal), np.abs(lambdoid))
    gap = np.minimum(gap, np.abs(x + bend) + np.clip(35 - z, 0, None))  # the sagittal one runs along the top
    return coverage(gap - 0.5, 1.0) * smoothstep((z + 8) / 10)
