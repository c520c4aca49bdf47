# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Draws a patient's haematoma so that it has the volume and the markers that the patient's truth asks for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from monai_ich.phantom.canvas import Ellipsoid
from monai_ich.phantom.clot import Bump, Clot, DarkPart, Hypodensity
from monai_ich.phantom.grids import PointCloud, Vector, WaveField
from monai_ich.phantom.head import Head
from monai_ich.phantom.patients import PatientTruth

# name: (share, centre in mm for the left side, largest volume that fits in ml)
_LOCATIONS: dict[str, tuple[float, tuple[float, float, float], float]] = {
    "basal_ganglia": (0.44, (27, -3, 7), 100),
    "thalamus": (0.16, (17, 13, 9), 35),
    "frontal_lobe": (0.11, (29, -40, 27), 100),
    "parietal_lobe": (0.11, (31, 30, 36), 100),
    "temporal_lobe": (0.07, (44, 6, -8), 45),
    "occipital_lobe": (0.05, (27, 54, 16), 45),
    "cerebellum": (0.06, (21, 52, -36), 22),
}
_CLOUD = 22  # cells along an edge of the cube that volumes are measured on


def draw_clot(truth: PatientTruth, head: Head, gravity: Vector, rng: np.random.Generator) -> Clot:
    """Draws the haematoma of a patient who has one.

    Args:
        truth: which markers the clot has, and the volume aimed at.
        head: the envelope that limits it.
        gravity: unit vector in the head frame along which blood settles (posterior in a patient lying supine).
        rng: the patient's clot stream.
    """
    clot = _draw_shape(truth, rng)
    clot = _fit_volume(clot, truth, head, rng)
    dark = _draw_dark_part(truth, clot, gravity, rng)
    clot = replace(clot, fluid_level=dark) if truth.fluid_level else replace(clot, blend_sign=dark)
    regions = _draw_hypodensities(clot, head, rng)
    return replace(clot, hypodensities=regions) if truth.hypodensity else clot


def _draw_shape(truth: PatientTruth, rng: np.random.Generator) -> Clot:
    names = [n for n, (_, _, most) in _LOCATIONS.items() if truth.clot_volume_ml <= most]
    shares = np.array([_LOCATIONS[n][0] for n in names])
    name = names[int(rng.choice(len(names), p=shares / shares.sum()))]
    side = 1 if rng.random() < 0.5 else -1
    centre = np.array(_LOCATIONS[name][1]) + rng.normal(0, [3.0, 5.0, 4.0])
    shape = np.array([0.84, 1.10, 1.14]) * np.exp(rng.normal(0, [0.08, 0.10, 0.10]))
    angles = (float(rng.normal(0, 0.15)), float(rng.normal(0, 0.15)), float(side * rng.normal(0.15, 0.35)))
    plain = not (truth.blend_sign or truth.fluid_level)
    return Clot(
        location=name,
        body=Ellipsoid((float(side * centre[0]), float(centre[1]), float(centre[2])), _triple(shape), angles),
        radius_mm=1.0,
        side=side,
        infratentorial=name == "cerebellum",
        rough_mm=0.0,
        rough=WaveField.draw(rng, (16, 34), 16),
        bumps=(),
        hu=float(rng.uniform(59.5, 73.5) if plain else rng.uniform(68.5, 78)),
        texture=WaveField.draw(rng, (5, 14), 48),
        hypodensities=(),
        blend_sign=None,
        fluid_level=None,
        oedema_mm=1.0,
        oedema_hu=float(rng.uniform(12, 20)),
        volume_ml=0.0,
    )


def _fit_volume(clot: Clot, truth: PatientTruth, head: Head, rng: np.random.Generator) -> Clot:
    """Scales the shape, bumps included and walls respected, until it has the volume aimed at."""
    shape = np.array(clot.body.axes_mm) / np.prod(clot.body.axes_mm) ** (1 / 3)
    aims = _draw_bump_directions(rng) if truth.margin_irregularity else []
    smooth, oedema = float(rng.uniform(0.02, 0.045)), float(rng.uniform(0.25, 0.50))
    radius = (truth.clot_volume_ml * 1000 * 3 / 4 / np.pi) ** (1 / 3) * (0.9 if aims else 1.0)
    for _ in range(4):
        axes = radius * shape
        bumps = tuple(
            Bump(np.asarray(clot.body.centre_mm) + direction * axes * 0.93, size * radius) for direction, size in aims
        )
        clot = replace(
            clot,
            body=Ellipsoid(clot.body.centre_mm, _triple(axes), clot.body.angles),
            radius_mm=float(radius),
            rough_mm=smooth * float(radius),
            bumps=bumps,
            oedema_mm=float(np.clip(oedema * radius, 3.5, 11.0)),
        )
        surface = _measure(clot, head)[1]
        volume = float((surface < 0).sum()) * _cell_ml(clot)
        clot = replace(clot, volume_ml=volume)
        radius *= float(np.clip((truth.clot_volume_ml / max(volume, 0.1)) ** (1 / 3), 0.8, 1.2))
    return clot


def _draw_bump_directions(rng: np.random.Generator) -> list[tuple[Vector, float]]:
    """Three to five directions spread around the equator, each with its bump's radius over the clot's."""
    count = int(rng.integers(3, 6))
    azimuths = rng.uniform(0, 2 * np.pi) + (np.arange(count) + rng.uniform(-0.18, 0.18, count)) * 2 * np.pi / count
    heights = rng.uniform(-0.45, 0.45, count)
    flat = np.sqrt(1 - heights**2)
    directions = np.stack([flat * np.cos(azimuths), flat * np.sin(azimuths), heights], axis=1)
    return [(d, float(s)) for d, s in zip(directions, rng.uniform(0.30, 0.44, count), strict=True)]


def _draw_dark_part(truth: PatientTruth, clot: Clot, gravity: Vector, rng: np.random.Generator) -> DarkPart | None:
    azimuth, tip = rng.uniform(0, 2 * np.pi), rng.normal(0, 0.12)
    drop_blend, drop_fluid = rng.uniform(20, 27), rng.uniform(24, 32)
    offset = float(rng.uniform(-0.30, 0.05) * clot.radius_mm)
    wobble = WaveField.draw(rng, (18, 40), 12)
    centre = np.asarray(clot.body.centre_mm)
    if truth.fluid_level:
        return DarkPart(centre, gravity, offset, float(drop_fluid), 1.0, 0.0, wobble)
    if truth.blend_sign:
        normal = np.array([np.cos(azimuth), np.sin(azimuth), tip])
        normal /= np.linalg.norm(normal)
        return DarkPart(centre, normal, offset, float(drop_blend), 1.0, 0.06 * clot.radius_mm, wobble)
    return None


def _draw_hypodensities(clot: Clot, head: Head, rng: np.random.Generator) -> tuple[Hypodensity, ...]:
    """One or two regions about points that lie deep in the clot's bright part."""
    cloud, surface = _measure(clot, head)
    depth = -surface
    if clot.dark_part is not None:
        depth = np.minimum(depth, clot.dark_part.distance(cloud))
    deep = np.flatnonzero(depth > 0.72 * depth.max())
    swirl = bool(rng.random() < 0.45)
    sharp_hu = min(float(rng.uniform(15, 30)), clot.hu - 30)
    hu, edge = (float(rng.uniform(22, 32)), 2.6) if swirl else (sharp_hu, 0.9)
    regions = []
    for _ in range(2 if rng.random() < 0.35 else 1):
        pick = int(rng.choice(deep))
        wide = float(rng.uniform(0.40, 0.54)) * clot.radius_mm
        axes = (wide, wide * float(rng.uniform(0.6, 0.95)), float(rng.uniform(0.60, 0.85)) * clot.body.axes_mm[2])
        centre = np.array([cloud.x[pick], cloud.y[pick], cloud.z[pick]], dtype=np.float64)
        wobble = WaveField.draw(rng, (8, 18), 16)
        regions.append(Hypodensity(centre, axes, float(rng.uniform(0, np.pi)), wobble, hu, edge))
    return tuple(regions)


def _cube_half(clot: Clot) -> float:
    return 1.45 * max(clot.body.axes_mm)


def _cell_ml(clot: Clot) -> float:
    return (2 * _cube_half(clot) / _CLOUD) ** 3 / 1000


def _measure(clot: Clot, head: Head) -> tuple[PointCloud, np.ndarray]:
    """Cells around the clot, and its signed distance there."""
    cloud = PointCloud.cube(np.asarray(clot.body.centre_mm), _cube_half(clot), _CLOUD)
    body, _ = clot.body_distance(cloud)
    bumps = tuple(bump.distance(cloud) for bump in clot.bumps)
    return cloud, np.maximum(clot.union(body, bumps), clot.walls(cloud, head))


def _triple(values: np.ndarray) -> tuple[float, float, float]:
    return float(values[0]), float(values[1]), float(values[2])
