# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""What is seen beside a haemorrhage and may be taken for one, or hide it: never part of the mask or of a label."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from monai_ich.phantom.canvas import Canvas, Ellipsoid, coverage, mirrored
from monai_ich.phantom.grids import Array, PlaneGrid, Vector, WaveField, smoothstep
from monai_ich.phantom.head import Head
from monai_ich.phantom.spec import IncidentalRates

_METAL_HU = 3000.0


@dataclass(frozen=True)
class ContrastVessels:
    """Large arteries and dural sinuses that are filled with contrast medium."""

    hu: float
    shapes: tuple[Ellipsoid, ...]

    @classmethod
    def draw(cls, head: Head, rng: np.random.Generator) -> ContrastVessels:
        """Density as in CT angiography to late phase; vessels a little wider or narrower than usual."""
        hu, wide = float(rng.uniform(150, 320)), float(rng.uniform(0.85, 1.25))
        back = head.half_mm[1] - 5
        middle = (
            Ellipsoid((0, 0, -24), (1.7 * wide, 1.7 * wide, 12)),  # basilar artery
            Ellipsoid((0, -29, 4), (1.6 * wide, 5, 16), (0.3, 0, 0)),  # anterior cerebral arteries
            Ellipsoid((0, 50, 8), (2.0 * wide, 16, 2.5 * wide), (0.5, 0, 0)),  # straight sinus
            Ellipsoid((0, back, 10), (3.0 * wide, 4 * wide, 34), (0.2, 0, 0)),  # superior sagittal sinus
        )
        sides = (
            Ellipsoid((13, -13, -20), (2.2 * wide, 2.2 * wide, 7)),  # internal carotid artery
            Ellipsoid((23, -13, -14), (12, 1.6 * wide, 1.8 * wide), (0, 0.1, -0.2)),  # middle cerebral artery
            Ellipsoid((40.5, -6, 0), (1.3 * wide, 13, 1.6 * wide), (0.5, 0, 0.1)),  # its branches over the insula
            Ellipsoid((40.5, 6, 8), (1.3 * wide, 11, 1.5 * wide), (-0.4, 0, 0.1)),
            Ellipsoid((12, 13, -11), (1.4 * wide, 11, 1.6 * wide), (0, 0, -0.7)),  # posterior cerebral artery
            Ellipsoid((33, back - 19, -20), (26, 3.5 * wide, 3.5 * wide), (0, 0, -0.6)),  # transverse sinus
        )
        return cls(hu, (*middle, *(shape for side in sides for shape in mirrored(side))))

    def paint(self, canvas: Canvas, depth: Array) -> None:
        inside = coverage(-depth, 1.0)
        for shape in self.shapes:
            canvas.ellipsoid(shape, self.hu, edge_mm=1.0, within=inside)


@dataclass(frozen=True)
class ChronicSubdural:
    """A crescent of old, dark blood between the inner table and the brain of one side."""

    side: int
    thickest_mm: float
    azimuth: float  # of its thickest part, in radians from the side towards the back
    level_mm: float
    hu: float

    @classmethod
    def draw(cls, head: Head, rng: np.random.Generator) -> ChronicSubdural:
        return cls(
            side=1 if rng.random() < 0.5 else -1,
            thickest_mm=float(rng.uniform(6, 16)),
            azimuth=float(rng.uniform(-0.6, 0.3)),
            level_mm=float(rng.uniform(15, 35)),
            hu=float(rng.uniform(10, 22)),
        )

    def paint(self, canvas: Canvas, depth: Array) -> None:
        azimuth = np.arctan2(canvas.y, self.side * canvas.x) - np.float32(self.azimuth)
        extent = 1 - np.square(azimuth / 1.15) - np.square((canvas.z - self.level_mm) / 42)
        crescent = self.thickest_mm * np.sqrt(np.clip(extent, 0, None))
        canvas.blend(coverage(depth - crescent, 1.5) * coverage(-depth, 1.0) * (crescent > 0), self.hu)


@dataclass(frozen=True)
class OldInfarct:
    """A territory of the middle cerebral artery that has turned into fluid and scar."""

    body: Ellipsoid
    edge: WaveField
    hu: float

    @classmethod
    def draw(cls, head: Head, rng: np.random.Generator) -> OldInfarct:
        side = 1 if rng.random() < 0.5 else -1
        centre = (side * float(rng.uniform(42, 52)), float(rng.uniform(-25, 35)), float(rng.uniform(8, 34)))
        axes = tuple(float(a) for a in rng.uniform([12, 12, 11], [20, 24, 18]))
        body = Ellipsoid(centre, (axes[0], axes[1], axes[2]), (0.0, 0.0, float(rng.normal(0, 0.3))))
        return cls(body, WaveField.draw(rng, (12, 30), 24), float(rng.uniform(8, 16)))

    def paint(self, canvas: Canvas, depth: Array) -> None:
        distance, steepness = self.body.distance(canvas.x, canvas.y, canvas.z, canvas.grid.normal)
        distance += np.float32(2.5) * self.edge.on(canvas.grid)
        canvas.blend(coverage(distance, 3 + 0.6 * canvas.thickness_mm * steepness) * coverage(1 - depth, 1.5), self.hu)


@dataclass(frozen=True)
class Streaks:
    """A metal clip near the skull base, with bright and dark rays in the slices that hold it."""

    centre_mm: Vector
    radius_mm: float
    amplitude_hu: float
    rays: tuple[tuple[int, float], ...]  # number of rays around the clip, and their phase

    @classmethod
    def draw(cls, head: Head, rng: np.random.Generator) -> Streaks:
        centre = np.array([rng.choice([-1, 1]) * rng.uniform(4, 26), rng.uniform(-22, -8), rng.uniform(-16, 0)])
        rays = tuple((int(rng.integers(5, 24)), float(rng.uniform(0, 2 * np.pi))) for _ in range(4))
        return cls(centre, float(rng.uniform(1.5, 3.0)), float(rng.uniform(60, 160)), rays)

    def add_to(self, hu: Array, grid: PlaneGrid, thickness_mm: float) -> None:
        """Adds rays and the clip itself to a slice (H, W), unless the clip is further away than the thickness."""
        away = abs(float((self.centre_mm - grid.origin) @ grid.normal))
        share = max(0.0, 1 - away / thickness_mm)
        if share == 0:
            return
        across = grid.col_step / np.linalg.norm(grid.col_step)
        down = grid.row_step / np.linalg.norm(grid.row_step)
        place = [a - np.float32(c) for a, c in zip((grid.x, grid.y, grid.z), self.centre_mm, strict=True)]
        u, v = (sum(np.float32(n) * a for n, a in zip(axis, place, strict=True)) for axis in (across, down))
        radius, angle = np.hypot(u, v), np.arctan2(v, u)
        pattern = sum(np.cos(np.float32(count) * angle + np.float32(phase)) for count, phase in self.rays)
        fall = np.exp(-radius / 28) * smoothstep((hu + 900) / 600)  # none in air
        hu += np.float32(share * self.amplitude_hu / len(self.rays)) * pattern * fall
        hu += np.float32(share) * coverage(radius - np.float32(self.radius_mm), 1.5) * (_METAL_HU - hu)


@dataclass(frozen=True)
class Incidental:
    """What one patient has of it; the names are those of `IncidentalRates`."""

    contrast_vessels: ContrastVessels | None = None
    chronic_subdural: ChronicSubdural | None = None
    old_infarct: OldInfarct | None = None
    streaks: Streaks | None = None

    @classmethod
    def draw(cls, rates: IncidentalRates, head: Head, stream: Callable[[int], np.random.Generator]) -> Incidental:
        """Draws each finding from a generator of its own, `stream(0)` to `stream(3)`, so none changes another."""
        kinds: tuple[Any, ...] = (ContrastVessels, ChronicSubdural, OldInfarct, Streaks)
        found: dict[str, Any] = {}
        for number, (field, kind) in enumerate(zip(fields(cls), kinds, strict=True)):
            rng = stream(number)
            if rng.random() < getattr(rates, field.name):
                found[field.name] = kind.draw(head, rng)
        return cls(**found)

    @property
    def present(self) -> dict[str, bool]:
        """Which of them the patient has."""
        return {field.name: getattr(self, field.name) is not None for field in fields(self)}

    def paint(self, canvas: Canvas, depth: Array) -> None:
        """Paints what belongs to the anatomy, before the clot, which lies over it. `depth`: mm below the bone."""
        for finding in (self.old_infarct, self.chronic_subdural, self.contrast_vessels):
            if finding is not None:
                finding.paint(canvas, depth)
