# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""The four markers by their clinical definitions, measured anew on the noise-free HU and on a 3-D lattice."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import ConvexHull

from monai_ich.phantom import PatientTruth, PhantomPatient, PhantomSpec, draw_patient, make_patient
from monai_ich.phantom.clot import ClotLevels
from monai_ich.phantom.grids import PlaneGrid
from monai_ich.phantom.slice_truth import SliceTruth, measure

SPEC = PhantomSpec(matrix=384, clot_volume_factor=2.5)  # large clots, whose edges pixels resolve


@cache
def patients(hospital: int, wanted: Callable[[PatientTruth], bool], count: int) -> list[PhantomPatient]:
    found: list[PhantomPatient] = []
    number = 0
    while len(found) < count:
        if wanted(draw_patient(SPEC, hospital, number)):
            found.append(make_patient(SPEC, hospital, number))
        number += 1
    return found


def cuts(patient: PhantomPatient) -> Iterator[tuple[NDArray, NDArray, float, SliceTruth]]:
    """Noise-free HU and mask of each slice with blood, both on every second pixel, the pixel's size, and its truth."""
    for index in range(patient.scan.count):
        hu, grid, levels = patient.tissue(index)
        truth = measure(levels, patient.scan.pixel_mm, fluid=patient.truth.fluid_level)
        if truth.clot_area_mm2 > 0:
            mask = np.zeros(hu.shape, dtype=bool)
            mask[levels.window] = levels.surface < 0
            yield hu, mask, grid.pixel_mm, truth


def dark_holes_mm2(hu: NDArray, mask: NDArray, pixel_mm: float, below_hu: float) -> float:
    """Area of the largest dark component within the mask that a bright rim separates from everything outside."""
    names, count = ndimage.label((hu < below_hu) | ~mask)
    outside = set(np.unique(names[~mask]))
    sizes = [int((names == n).sum()) for n in range(1, count + 1) if n not in outside]
    return max(sizes, default=0) * pixel_mm**2


def only_hypodense(t: PatientTruth) -> bool:
    return t.hypodensity and not (t.blend_sign or t.fluid_level) and t.clot_volume_ml > 8


def plain(t: PatientTruth) -> bool:
    return t.ich and not (t.hypodensity or t.blend_sign or t.fluid_level or t.margin_irregularity)


def irregular(t: PatientTruth) -> bool:
    return t.margin_irregularity and not t.hypodensity


def blended(t: PatientTruth) -> bool:
    return t.blend_sign and not t.hypodensity and t.clot_volume_ml > 12


def levelled(t: PatientTruth) -> bool:
    return t.fluid_level and not t.hypodensity


def test_hypodensity_is_enclosed_wherever_it_is_labelled() -> None:
    seen = 0
    for patient in patients(1, only_hypodense, 8):
        threshold = patient.clot.hu - 9
        for hu, mask, pixel_mm, truth in cuts(patient):
            if truth.hypodensity:
                seen += 1
                # The image's soft rim eats into the area, hence 10 rather than the label's 20 mm2.
                assert dark_holes_mm2(hu, mask, pixel_mm, threshold) >= 10
                assert truth.hypodense_contrast_hu >= 10
    assert seen >= 20


def test_no_dark_hole_where_no_marker_is() -> None:
    blood = 0
    for patient in patients(1, plain, 6):
        for hu, mask, pixel_mm, truth in cuts(patient):
            blood += 1
            assert truth.hypodensity == truth.blend_sign == truth.fluid_level == truth.margin_irregularity == 0
            assert dark_holes_mm2(hu, mask, pixel_mm, patient.clot.hu - 12) < 5
    assert blood >= 15


def test_hypodensity_does_not_touch_the_surface_in_3d() -> None:
    for patient in patients(1, lambda t: t.hypodensity and (t.blend_sign or t.margin_irregularity), 4):
        clot, step = patient.clot, 1.5
        half = int(1.5 * max(clot.body.axes_mm) / step)
        inside, dark = [], []
        for level in range(-half, half + 1):
            corner = np.asarray(clot.body.centre_mm) + np.array([-half, -half, level]) * step
            across, down = np.array([step, 0, 0]), np.array([0, step, 0])
            grid = PlaneGrid(corner, down, across, (2 * half + 1, 2 * half + 1))
            levels = clot.levels(grid, patient.head, 5.0)
            plane, holes = np.zeros(grid.shape, dtype=bool), np.zeros(grid.shape, dtype=bool)
            if levels is not None:
                plane[levels.window], holes[levels.window] = levels.surface < 0, levels.hypodense < 0
            inside.append(plane)
            dark.append(holes)
        solid, holes = np.stack(inside), np.stack(dark)
        assert holes.sum() * step**3 > 50
        near_outside = ndimage.binary_dilation(~solid)
        assert not (holes & near_outside).any()
        volume_ml = solid.sum() * step**3 / 1000
        assert volume_ml == pytest.approx(clot.volume_ml, rel=0.04)
        assert volume_ml == pytest.approx(patient.truth.clot_volume_ml, rel=0.06)


def test_labels_need_visibility() -> None:
    """A patient with the marker has slices without it, and tiny cuts are never labelled."""
    unlabelled = 0
    for patient in patients(1, only_hypodense, 8):
        for _, _, _, truth in cuts(patient):
            assert not (truth.hypodensity and truth.hypodense_area_mm2 < 20)
            assert not (truth.margin_irregularity and truth.bumps_visible < 2)
            unlabelled += truth.hypodensity == 0
    assert unlabelled >= 4


def test_blend_sign_is_two_adjacent_parts_18_hu_apart() -> None:
    seen = 0
    for patient in patients(1, blended, 5):
        for hu, mask, pixel_mm, truth in cuts(patient):
            if not truth.blend_sign or truth.dark_part_area_mm2 < 0.12 * truth.clot_area_mm2:
                continue
            seen += 1
            core = ndimage.binary_erosion(mask, iterations=2)
            low, high = np.percentile(hu[core], [3, 95])
            dark = core & (hu < (low + high) / 2)
            bright = core & ~dark
            assert hu[bright].mean() - hu[dark].mean() >= 17  # 18 between the parts, less the soft interface
            assert min(dark.sum(), bright.sum()) * pixel_mm**2 >= 15
            rim = core & ~ndimage.binary_erosion(core)
            assert (dark & rim).any()  # it reaches the edge: not encapsulated
    assert seen >= 8


def dark_and_bright(hu: NDArray, mask: NDArray) -> tuple[NDArray, NDArray, float]:
    """The two sides of a clot's threshold, two pixels away from its edge, and that threshold."""
    core = ndimage.binary_erosion(mask, iterations=2)
    threshold = float(np.percentile(hu[core], [3, 95]).mean())
    return core & (hu < threshold), core & (hu >= threshold), threshold


def interface(hu: NDArray, mask: NDArray, pixel_mm: float) -> NDArray:
    """(column, row) in each column where bright lies right beneath at least 4 mm of dark; rows to parts of a pixel."""
    dark, bright, threshold = dark_and_bright(hu, mask)
    points = []
    for column in np.flatnonzero(bright.any(axis=0)):
        row = int(bright[:, column].argmax())
        above = dark[:row, column][::-1]
        layer = len(above) if above.all() else int(above.argmin())
        if layer * pixel_mm >= 4:
            before, after = hu[row - 1, column], hu[row, column]
            points.append((column, row - 1 + (threshold - before) / (after - before)))
    return np.array(points).reshape(-1, 2)


@pytest.mark.parametrize("hospital", [2, 4, 11])  # of many; heads are turned furthest in 11, the gantry tilts in all
def test_fluid_level_is_horizontal_with_the_dark_part_in_front(hospital: int) -> None:
    seen = 0
    for patient in patients(hospital, levelled, 4):
        for hu, mask, pixel_mm, truth in cuts(patient):
            if not truth.fluid_level:
                continue
            seen += 1
            points = interface(hu, mask, pixel_mm)
            assert len(points) >= 8
            slope = np.polyfit(*points.T, 1)[0]
            assert abs(np.rad2deg(np.arctan(slope))) < 3
            assert np.abs(points[:, 1] - np.median(points[:, 1])).max() * pixel_mm < 1
            dark, bright, _ = dark_and_bright(hu, mask)
            assert np.nonzero(dark)[0].mean() < np.nonzero(bright)[0].mean()
            assert truth.dark_part_contrast_hu >= 18
    assert seen >= 20
    if hospital == 11:
        assert max(abs(p.pose.yaw) for p in patients(11, levelled, 4)) > 0.1


def boxes(*columns_mm: tuple[int, int], level_mm: int, upside_down: bool = False) -> ClotLevels:
    """A cut through clots that are rectangles, 30 mm tall, with 40 HU in front of a level and 70 HU behind it."""
    row, column = (a.astype(np.float32) for a in np.mgrid[0:40, 0:60])  # 1 mm a pixel
    sides = [abs(column - (a + b) / 2) - (b - a) / 2 for a, b in columns_mm]
    surface = np.maximum(abs(row - 20) - 15, np.min(sides, axis=0))
    dark = row - np.float32(5 + level_mm)
    dark = -dark if upside_down else dark
    hu = np.where(dark < 0, np.float32(40), np.float32(70))
    window = (slice(0, 40), slice(0, 60))
    return ClotLevels(window, surface, surface, (), None, dark, hu, rim_mm=np.ones_like(surface))


@pytest.mark.parametrize(
    ("levels", "fluid_level"),
    [
        (boxes((10, 30), level_mm=10), 1),
        (boxes((10, 22), level_mm=10), 1),
        (boxes((10, 20), level_mm=10), 0),  # 9 mm of it inside the rim: too short
        (boxes((10, 19), (25, 34), (40, 49), level_mm=10), 0),  # 27 mm in three parts
        (boxes((10, 19), (25, 45), level_mm=10), 1),  # one of the parts suffices
        (boxes((10, 50), level_mm=6), 1),
        (boxes((10, 50), level_mm=4), 0),  # less than 4 mm of it inside the rim
        (boxes((10, 50), level_mm=27), 0),  # next to nothing has settled
        (boxes((10, 30), level_mm=10, upside_down=True), 0),  # serum does not lie under sediment
    ],
)
def test_fluid_level_needs_one_layer_with_a_long_interface(levels: ClotLevels, fluid_level: int) -> None:
    assert measure(levels, 0.5, fluid=True).fluid_level == fluid_level


def test_rule_for_fluid_levels_leaves_blend_signs_alone() -> None:
    truth = measure(boxes((10, 19), (25, 34), level_mm=10), 0.5, fluid=False)
    assert (truth.blend_sign, truth.fluid_level) == (1, 0)


def test_irregular_margins_have_lower_solidity() -> None:
    def solidity(mask: NDArray) -> float:
        points = np.argwhere(mask)
        corners = np.concatenate([points + np.array([a, b]) for a in (-0.5, 0.5) for b in (-0.5, 0.5)])
        return mask.sum() / ConvexHull(corners).volume

    def values(group: list[PhantomPatient], label: int) -> list[float]:
        return [
            solidity(mask)
            for patient in group
            for _, mask, _, truth in cuts(patient)
            if truth.clot_area_mm2 > 250 and truth.margin_irregularity == label
        ]

    rough, smooth = values(patients(1, irregular, 6), 1), values(patients(1, plain, 6), 0)
    assert len(rough) >= 10
    assert np.median(rough) < 0.91
    assert np.median(smooth) > np.median(rough) + 0.04
