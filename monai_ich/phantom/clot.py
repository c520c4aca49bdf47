# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""The haematoma: a 3-D surface and the structures inside it that make the four markers, as signed distances in mm."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from monai_ich.phantom.brain import tentorium_gap
from monai_ich.phantom.canvas import Canvas, Ellipsoid, coverage
from monai_ich.phantom.grids import Array, Grid, PlaneGrid, Vector, WaveField, Window, smoothstep
from monai_ich.phantom.head import Head

MASS_EFFECT_MM = 12.0  # tissue is pushed no further than this


@dataclass(frozen=True)
class Bump:
    """A focal bulge of the surface: a ball, stretched along z so that neighbouring slices show it too."""

    centre_mm: Vector
    radius_mm: float

    def distance(self, grid: Grid) -> Array:
        x, y, z = (a - np.float32(c) for a, c in zip((grid.x, grid.y, grid.z), self.centre_mm, strict=True))
        return np.sqrt(x * x + y * y + 0.36 * z * z) - np.float32(self.radius_mm)


@dataclass(frozen=True)
class Hypodensity:
    """A dark region inside the clot: rounded in the plane, blunt-ended along z. Sharp: black hole; soft: swirl."""

    centre_mm: Vector
    axes_mm: tuple[float, float, float]
    yaw: float
    wobble: WaveField
    hu: float
    edge_mm: float

    @property
    def kind(self) -> str:
        return "black_hole" if self.edge_mm < 1.5 else "swirl"

    def distance(self, grid: Grid) -> Array:
        x, y, z = (a - np.float32(c) for a, c in zip((grid.x, grid.y, grid.z), self.centre_mm, strict=True))
        cos, sin = np.float32(np.cos(self.yaw)), np.float32(np.sin(self.yaw))
        u, v = (x * cos + y * sin) / self.axes_mm[0], (y * cos - x * sin) / self.axes_mm[1]
        w = z / self.axes_mm[2]
        small = min(self.axes_mm)
        return ((u * u + v * v + w**4) ** 0.5 - 1) * small + 0.10 * small * self.wobble.on(grid)


@dataclass(frozen=True)
class DarkPart:
    """The dark side of a blend sign or of a fluid level: where (p - centre) . normal < offset, `drop_hu` darker.

    `curve_mm` bends a blend sign's interface; a fluid's level is flat.
    """

    centre_mm: Vector
    normal: Vector
    offset_mm: float
    drop_hu: float
    edge_mm: float
    curve_mm: float
    wobble: WaveField

    def distance(self, grid: Grid) -> Array:
        x, y, z = (a - np.float32(c) for a, c in zip((grid.x, grid.y, grid.z), self.centre_mm, strict=True))
        n = self.normal.astype(np.float32)
        level = x * n[0] + y * n[1] + z * n[2] - np.float32(self.offset_mm)
        return level + np.float32(self.curve_mm) * self.wobble.on(grid) if self.curve_mm else level


@dataclass(frozen=True)
class ClotLevels:
    """A clot's cut through one slice: signed distances (mm, negative inside) over a window of the slice's grid.

    Attributes:
        window: where the arrays lie in the slice's grid.
        surface: the haematoma.
        body: the haematoma without its bumps.
        bumps: one array per bump.
        hypodense: union of the dark regions inside; None when the clot has none.
        dark: the dark side of the blend sign or fluid level; None when the clot has neither.
        hu: noise-free HU of the clot's tissue, meaningful where `surface` < 0.
        rim_mm: width over which the surface is drawn soft, as it runs obliquely through the slice's thickness.
    """

    window: Window
    surface: Array
    body: Array
    bumps: tuple[Array, ...]
    hypodense: Array | None
    dark: Array | None
    hu: Array
    rim_mm: Array


@dataclass(frozen=True)
class Clot:
    """One patient's haematoma.

    Attributes:
        location: where in the brain.
        body, radius_mm: the underlying ellipsoid and its equivalent radius.
        side: -1 or 1 when the clot must stay on that side of the mid-line, else 0.
        infratentorial: below the tentorium rather than above it.
        rough_mm, rough: amplitude and field of the surface's gentle unevenness.
        hu, texture: density and the field that varies it.
        blend_sign, fluid_level: at most one of them.
        oedema_mm, oedema_hu: thickness and density of the rim of oedema.
        volume_ml: volume of the finished shape.
    """

    location: str
    body: Ellipsoid
    radius_mm: float
    side: int
    infratentorial: bool
    rough_mm: float
    rough: WaveField
    bumps: tuple[Bump, ...]
    hu: float
    texture: WaveField
    hypodensities: tuple[Hypodensity, ...]
    blend_sign: DarkPart | None
    fluid_level: DarkPart | None
    oedema_mm: float
    oedema_hu: float
    volume_ml: float

    @property
    def margin_mm(self) -> float:
        """Least distance between a hypodensity and the clot's surface or another dark part."""
        return max(3.0, 0.17 * self.radius_mm)

    @property
    def dark_part(self) -> DarkPart | None:
        return self.blend_sign or self.fluid_level

    def walls(self, grid: Grid, head: Head) -> Array:
        """Where the clot may not go (positive there): bone, the mid-line, the other side of the tentorium."""
        x, y, z = head.warp(grid)
        limit = 2.0 - head.clearance(x, y, z)
        if self.side:
            limit = np.maximum(limit, 2.5 - self.side * x)
        gap = tentorium_gap(x, y, z)
        gap = gap if self.infratentorial else -gap - 0.8 * np.clip(22 - y, 0, None)
        return np.maximum(limit, gap + 1.5)

    def body_distance(self, grid: Grid, normal: Vector | None = None) -> tuple[Array, Array]:
        """Signed distance of the unclipped body, and its steepness along `normal`."""
        distance, steepness = self.body.distance(grid.x, grid.y, grid.z, normal)
        return distance + np.float32(self.rough_mm) * self.rough.on(grid), steepness

    def union(self, body: Array, bumps: tuple[Array, ...]) -> Array:
        """Body and bumps, joined with a rounded groove."""
        blend = np.float32(0.06 * self.radius_mm)
        for bump in bumps:
            share = np.clip(0.5 + 0.5 * (bump - body) / blend, 0, 1)
            body = bump + share * (body - bump) - blend * share * (1 - share)
        return body

    def hypodense_distance(self, grid: Grid, surface: Array, dark: Array | None) -> Array | None:
        """Union of the hypodensities, kept `margin_mm` away from the surface and from a dark part."""
        if not self.hypodensities:
            return None
        inner = np.minimum.reduce([region.distance(grid) for region in self.hypodensities])
        inner = np.maximum(inner, surface + np.float32(self.margin_mm))
        return inner if dark is None else np.maximum(inner, np.float32(self.margin_mm) - dark)

    def levels(self, grid: PlaneGrid, head: Head, thickness_mm: float) -> ClotLevels | None:
        """The clot's cut through a slice, or None where the slice misses it."""
        reach = 1.5 * max(self.body.axes_mm) + self.oedema_mm
        window = grid.window(np.asarray(self.body.centre_mm), reach)
        if window is None:
            return None
        local = grid.crop(window)
        body, steepness = self.body_distance(local, grid.normal)
        bumps = tuple(bump.distance(local) for bump in self.bumps)
        walls = self.walls(local, head)
        surface = np.maximum(self.union(body, bumps), walls)
        dark = self.dark_part.distance(local) if self.dark_part else None
        hypodense = self.hypodense_distance(local, surface, dark)
        hu = self.tissue_hu(local, dark, hypodense)
        bumps = tuple(np.maximum(bump, walls) for bump in bumps)
        rim = np.float32(0.9) + np.float32(0.6 * thickness_mm) * steepness
        return ClotLevels(window, surface, np.maximum(body, walls), bumps, hypodense, dark, hu, rim)

    def tissue_hu(self, grid: Grid, dark: Array | None, hypodense: Array | None) -> Array:
        """Noise-free HU of the clot's own tissue."""
        hu = self.hu + np.float32(1.8) * self.texture.on(grid)
        if self.dark_part is not None and dark is not None:
            hu -= self.dark_part.drop_hu * coverage(dark, self.dark_part.edge_mm)
        if hypodense is not None:
            edge, value = self.hypodensities[0].edge_mm, self.hypodensities[0].hu
            hu += coverage(hypodense, edge) * (value + 0.5 * (hu - self.hu) - hu)
        return hu

    def displace(self, canvas: Canvas, depth: Array) -> None:
        """Mass effect: tissue around the clot was pushed outwards, least next to the skull."""
        centre = [np.float32(c) for c in self.body.centre_mm]
        d = [a - c for a, c in zip((canvas.x, canvas.y, canvas.z), centre, strict=True)]
        rho = np.sqrt(d[0] ** 2 + d[1] ** 2 + d[2] ** 2) + np.float32(0.1)
        before = np.cbrt(np.maximum(rho**3 - 0.55 * self.radius_mm**3, (0.5 * rho) ** 3))
        weight = smoothstep(depth / 22) * np.exp(-np.clip(rho - self.radius_mm, 0, None) / 35)
        pull = weight * np.minimum(rho - before, MASS_EFFECT_MM) / rho
        canvas.x, canvas.y, canvas.z = canvas.x - pull * d[0], canvas.y - pull * d[1], canvas.z - pull * d[2]

    def paint(self, canvas: Canvas, levels: ClotLevels, depth: Array) -> None:
        """Paints oedema, then the clot."""
        inside = coverage(1.0 - depth[levels.window], 1.5)
        uneven = 0.25 * self.rough.on(canvas.grid.crop(levels.window))
        rim = smoothstep(1.6 * (1 - levels.surface / self.oedema_mm) - uneven)
        canvas.blend(0.9 * rim * inside, self.oedema_hu, levels.window)
        solid = coverage(levels.surface, levels.rim_mm)
        canvas.blend(solid * inside, levels.hu, levels.window)
