# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""The brain: cortex and sulci, deep nuclei, ventricles, cisterns, dural folds, cerebellum and calcifications."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from monai_ich.phantom.canvas import Canvas, Ellipsoid, coverage, mirrored
from monai_ich.phantom.grids import Array, WaveField, smoothstep

_RIBBON_MM = 26.0  # no sulcus is deeper


@dataclass(frozen=True)
class Brain:
    """One patient's brain.

    Attributes:
        atrophy: 0 (young, tight sulci) to 1 (wide sulci and ventricles).
        ventricle: scale of the ventricles.
        grey_hu, white_hu, csf_hu: tissue densities.
        folds: field over directions whose zero set is where the sulci run.
        depth_field: how deep the sulci are, by place.
        texture, patches: fine and coarse density variation.
        calcifications: shapes and their HU (choroid plexus, pineal gland, sometimes the pallidum).
    """

    atrophy: float
    ventricle: float
    grey_hu: float
    white_hu: float
    csf_hu: float
    folds: WaveField
    depth_field: WaveField
    texture: WaveField
    patches: WaveField
    calcifications: tuple[tuple[Ellipsoid, float], ...]

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Brain:
        """Draws an adult brain; atrophy leans to old age, as strokes do."""
        atrophy = float(rng.beta(2.0, 2.2))
        return cls(
            atrophy=atrophy,
            ventricle=float(np.clip(rng.normal(0.75 + 0.75 * atrophy, 0.10), 0.6, 1.7)),
            grey_hu=float(rng.uniform(38.5, 41.5)),
            white_hu=float(rng.uniform(30.5, 32.5)),
            csf_hu=float(rng.uniform(3, 9)),
            folds=WaveField.draw(rng, (19, 30), 32),
            depth_field=WaveField.draw(rng, (30, 60), 16),
            texture=WaveField.draw(rng, (5, 16), 64),
            patches=WaveField.draw(rng, (25, 60), 16),
            calcifications=_draw_calcifications(rng),
        )

    def paint(self, canvas: Canvas, depth: Array) -> None:
        """Paints the brain wherever `depth` (mm below the cavity's wall) is positive."""
        inside = coverage(-depth, 1.0)
        tentorium = tentorium_gap(canvas.x, canvas.y, canvas.z)
        below = smoothstep(-tentorium / 2 + 0.5) * smoothstep((canvas.y - 4) / 8)
        canvas.blend(inside, self.white_hu)
        self._paint_deep(canvas, inside)
        self._paint_cortex(canvas, depth, inside * (1 - below), tentorium)
        self._paint_cerebellum(canvas, depth, inside * below)
        texture = self.texture.on(canvas.grid, canvas.thickness_mm) + 1.3 * self.patches.on(canvas.grid)
        canvas.blend(inside, canvas.hu + texture)
        self._paint_cisterns(canvas, inside)
        self._paint_ventricles(canvas, inside)
        self._paint_dura(canvas, depth, inside, tentorium)
        for shape, value in self.calcifications:
            canvas.ellipsoid(shape, value, edge_mm=0.8, within=inside)
        # Beam hardening leaves the brain beside the bone a few HU too bright.
        canvas.blend(inside, canvas.hu + 4.5 * np.exp(-np.clip(depth, 0, 60) / 5))

    def _paint_deep(self, canvas: Canvas, inside: Array) -> None:
        grey = self.grey_hu
        shapes = (
            (Ellipsoid((27, -1, 3), (7, 18, 11), (0, 0, 0.22)), grey - 1),  # lentiform nucleus
            (Ellipsoid((13, -20, 8), (6, 9, 11), (0, 0, 0.2)), grey),  # caudate head
            (Ellipsoid((11, 13, 6), (8.5, 15, 10), (0, 0, -0.35)), grey - 1),  # thalamus
            (Ellipsoid((37.5, -1, 4), (2.2, 22, 13), (0, 0, 0.08)), grey),  # insular cortex
        )
        for shape, value in shapes:
            for side in mirrored(shape):
                canvas.ellipsoid(side, value, edge_mm=2.0, within=inside)
        canvas.ellipsoid(Ellipsoid((0, 15, -28), (15, 13, 26)), 0.5 * (grey + self.white_hu), 2.0, inside)  # brainstem

    def _paint_cortex(self, canvas: Canvas, depth: Array, inside: Array, tentorium: Array) -> None:
        """Grey ribbon, sulci and the subarachnoid rim. The folds are computed only where the ribbon is."""
        medial = np.abs(canvas.x) + np.clip(depth - 34, 0, None) + np.clip(4 - tentorium, 0, None)  # the inner face
        surface = np.minimum(depth, medial)
        near = (surface < _RIBBON_MM) & (inside > 0)
        x, y, z = canvas.x[near], canvas.y[near], canvas.z[near]
        d = surface[near]
        radius = np.sqrt(x * x + y * y + z * z) + np.float32(1)
        spread = (72 + 0.35 * (radius - 72)) / np.maximum(
            radius, 40
        )  # mostly a function of direction: sulci run inwards
        # Sulci run inwards and are taller than they are wide, hence a field that changes slowly along z.
        fold = np.abs(self.folds.at(x * spread, y * spread, 0.12 * z * spread)) * np.float32(
            4.0
        )  # ~ mm from the sulcus
        reach = np.minimum(15 + 6 * self.depth_field.on(canvas.grid)[near], 0.28 * radius)
        soft = 1.0 + 0.32 * canvas.thickness_mm  # a thick slice cuts most sulci obliquely
        open_mm = 0.25 + 1.9 * self.atrophy + 0.5 * smoothstep((8 - d) / 8)
        share = inside[near]
        grey = np.maximum(coverage(d - 4.2, 1.5), coverage(fold - open_mm - 3.0, soft) * coverage(d - reach - 4, 4.0))
        hu = canvas.hu[near]
        hu += share * grey * (self.grey_hu - hu)
        sulcus = coverage(fold - open_mm, soft) * coverage(d - reach, 5.0) * (0.7 + 0.3 * self.atrophy)
        rim = coverage(depth[near] - 0.5 - 2.7 * self.atrophy, 1.4)
        hu += share * np.maximum(sulcus, rim) * (self.csf_hu + 2 - hu)
        canvas.hu[near] = hu

    def _paint_cerebellum(self, canvas: Canvas, depth: Array, inside: Array) -> None:
        if not bool((inside > 0.01).any()):
            return
        folia = 3.0 * np.cos(1.1 * (canvas.z + 0.35 * canvas.y) + 0.04 * np.abs(canvas.x))
        grey = coverage(depth - 9, 6.0)
        canvas.blend(inside, self.white_hu + 2 + grey * (self.grey_hu - self.white_hu - 3 + folia))
        canvas.blend(inside * coverage(depth - 0.8 - self.atrophy, 1.5), self.csf_hu + 4)

    def _paint_cisterns(self, canvas: Canvas, inside: Array) -> None:
        wide = 0.8 + 0.5 * self.atrophy
        tight = 0.8 + 0.35 * self.atrophy
        shapes = [
            Ellipsoid((0, -4, -15), (9 * wide, 7 * wide, 7)),  # suprasellar
            Ellipsoid((0, 29, -6), (9 * wide, 2.6 * wide, 8)),  # quadrigeminal
            Ellipsoid((0, 1, -28), (11, 2.0 * wide, 12)),  # prepontine
            Ellipsoid((0, 62, -50), (5 * wide, 8, 7)),  # cisterna magna
        ]
        for shape in (
            Ellipsoid((17, 17, -9), (1.7 * wide, 10, 8), (0, 0, -0.45)),  # ambient
            Ellipsoid((40.5, -2, 4), (1.25 * tight, 19, 13), (0, 0, 0.08)),  # sylvian, over the insula
            Ellipsoid((50, -14, 1), (11, 1.5 * tight, 8), (0, 0, -0.25)),  # sylvian, its stem to the surface
            Ellipsoid((50, 10, 9), (11, 1.3 * tight, 8), (0, 0, 0.30)),  # sylvian, posterior ramus
            Ellipsoid((20, -14, -17), (13, 2.4 * wide, 6), (0, 0, -0.15)),  # sylvian cistern
            Ellipsoid((17, 24, -33), (7, 3.0 * wide, 5)),  # cerebellopontine
        ):
            shapes += mirrored(shape)
        for shape in shapes:
            canvas.ellipsoid(shape, self.csf_hu, edge_mm=2.0, within=inside)

    def _paint_ventricles(self, canvas: Canvas, inside: Array) -> None:
        s = self.ventricle
        halves = (
            Ellipsoid((8.5, -23, 11), (3.6 * s, 10.5 * s, 8), (0.35, 0, 0.38)),  # frontal horn
            Ellipsoid((9.5, 3, 21), (4.8 * s, 25, 5.0 * s), (-0.10, 0, -0.14)),  # body
            Ellipsoid((22, 33, 11), (5.0 * s, 12, 9), (0.35, 0, -0.45)),  # atrium
            Ellipsoid((26, 50, 5), (2.8 * s, 12 * s, 4.5), (0, 0, 0.10)),  # occipital horn
            Ellipsoid((31, 6, -14), (1.9 * s, 13, 2.4 * s), (0, 0, -0.20)),  # temporal horn
        )
        for shape in halves:
            for side in mirrored(shape):
                canvas.ellipsoid(side, self.csf_hu, edge_mm=1.0, within=inside)
        canvas.ellipsoid(Ellipsoid((0, 5, 0), (1.7 * s * s, 12, 9)), self.csf_hu, 1.0, inside)  # third
        canvas.ellipsoid(Ellipsoid((0, 36, -33), (5.5 * s, 5.0 * s, 9)), self.csf_hu, 1.0, inside)  # fourth

    def _paint_dura(self, canvas: Canvas, depth: Array, inside: Array, tentorium: Array) -> None:
        x, y, z = np.abs(canvas.x), canvas.y, canvas.z
        above = smoothstep(tentorium / 3) * smoothstep((z + 16) / 8)
        fissure = coverage(x - 0.5 - 1.1 * self.atrophy, 1.3) * coverage(depth - np.where(y < 0, 40, 30), 6.0)
        canvas.blend(inside * above * fissure * (0.5 + 0.5 * self.atrophy), self.csf_hu + 3)
        falx = coverage(x - 0.7, 1.0) * coverage(depth - np.where(y < 0, 26, 40), 4.0)
        canvas.blend(inside * above * falx, 50)
        sheet = coverage(np.abs(tentorium) - 0.9, 1.4) * smoothstep((y - 26) / 8)
        canvas.blend(inside * sheet * 0.8, 48)
        sinus = Ellipsoid((0, 68, 6), (2.6, 5, 30), (0.5, 0, 0))  # superior sagittal sinus and confluence
        canvas.ellipsoid(sinus, 52, edge_mm=1.5, within=inside * coverage(depth - 6, 2.0))


def tentorium_gap(x: Array, y: Array, z: Array) -> Array:
    """Height in mm above the tentorium, a tent with its ridge in the mid-line (negative: posterior fossa)."""
    return (z - (1 - 0.33 * np.sqrt(x * x + 16) - 0.22 * (y - 30))) * np.float32(0.9)


def _draw_calcifications(rng: np.random.Generator) -> tuple[tuple[Ellipsoid, float], ...]:
    found: list[tuple[Ellipsoid, float]] = []
    if rng.random() < 0.7:
        for side in mirrored(Ellipsoid((22, 36, 11), (2.6, 4.5, 4.0), (0, 0, -0.4))):
            scaled = tuple(float(a * rng.uniform(0.6, 1.2)) for a in side.axes_mm)
            found.append((replace(side, axes_mm=(scaled[0], scaled[1], scaled[2])), float(rng.uniform(85, 190))))
    if rng.random() < 0.6:
        radius = float(rng.uniform(1.5, 3.2))
        found.append((Ellipsoid((0.0, 27.0, 2.0), (radius, radius * 1.2, radius)), float(rng.uniform(90, 200))))
    if rng.random() < 0.12:
        for side in mirrored(Ellipsoid((19, 0, 1), (2.0, 5, 3), (0, 0, 0.3))):
            found.append((side, float(rng.uniform(80, 130))))
    return tuple(found)
