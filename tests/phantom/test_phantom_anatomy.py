# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Tissue densities, random fields and the scanner's effects."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from monai_ich.phantom import HOSPITALS, PhantomPatient, PhantomSpec, draw_patient, gallery, make_patient, pair_gallery
from monai_ich.phantom.canvas import Ellipsoid
from monai_ich.phantom.grids import PlaneGrid, WaveField, upsample_twice

WHOLE = PhantomSpec(matrix=128, slices_per_study=None)


def first(spec: PhantomSpec, hospital: int, **wanted: bool) -> PhantomPatient:
    for number in range(200):
        truth = draw_patient(spec, hospital, number)
        if all(getattr(truth, name) == value for name, value in wanted.items()):
            return make_patient(spec, hospital, number)
    raise AssertionError(f"no patient with {wanted}")


@pytest.fixture(scope="module")
def head() -> np.ndarray:
    """Noise-free HU of a whole head without haemorrhage, from base to vertex."""
    patient = first(WHOLE, 1, ich=False)
    return np.stack([patient.tissue(index)[0] for index in range(patient.scan.count)])


def test_whole_head_is_covered(head: np.ndarray) -> None:
    assert 22 <= len(head) <= 27
    bone = (head > 300).sum(axis=(1, 2))
    assert bone.min() > 0
    assert (head[0] < -200)[40:80, 40:80].any()  # air spaces of the base
    assert bone[0] > bone[len(bone) // 2]


def test_tissues_lie_in_their_ranges(head: np.ndarray) -> None:
    middle = head[len(head) // 2]  # above the base, through the ventricles
    filled = ndimage.binary_fill_holes(middle > 300)
    brain = ndimage.binary_erosion(filled & (middle < 300), iterations=2)
    assert 20 <= np.percentile(middle[brain], 30) <= 32  # white matter
    assert 31 <= np.percentile(middle[brain], 85) <= 42  # grey matter
    assert 0 <= np.percentile(middle[brain], 0.3) <= 14  # CSF, some of it mixed with brain
    bone = middle[middle > 300]
    assert 400 <= np.median(bone) <= 1200
    assert 1400 <= bone.max() <= 2000  # the tables, before the kernel blurs them
    fat = middle[(middle < -30) & (middle > -500)]
    assert -110 <= np.median(fat) <= -60
    assert (middle == -1000).mean() > 0.2


def test_haemorrhage_is_bright_and_ringed_by_oedema() -> None:
    patient = first(PhantomSpec(matrix=128), 1, ich=True, hypodensity=False, blend_sign=False, fluid_level=False)
    clots, rims = [], []
    for index in range(patient.scan.count):
        hu, _, levels = patient.tissue(index)
        if levels is None or (levels.surface < -2).sum() < 30:
            continue
        window = hu[levels.window]
        clots.append(window[levels.surface < -2].mean())
        rim = (levels.surface > 2) & (levels.surface < 3.5) & (window < 60) & (window > -20)
        rims.append(np.median(window[rim]))
    assert 55 <= np.mean(clots) <= 80
    assert 8 <= np.mean(rims) <= 27


def test_noise_offset_and_holder_appear_in_the_slice() -> None:
    patient = first(PhantomSpec(matrix=256), 1, kernel_sharp=False, head_holder=True)
    hu, _, _ = patient.tissue(3)
    rendered = patient.render(3).hu.astype(float)
    clean = upsample_twice(hu)
    inner = np.zeros_like(clean, dtype=bool)
    inner[100:150, 110:150] = True
    residual = (rendered - ndimage.gaussian_filter(clean, 1.5))[inner]
    assert residual.mean() == pytest.approx(patient.truth.hu_offset, abs=1.5)
    assert residual.std() == pytest.approx(patient.truth.noise_hu, rel=0.3)
    without = replace(patient, truth=replace(patient.truth, head_holder=False)).render(3).hu
    added = np.nonzero(rendered - without > 300)
    assert len(added[0]) > 100
    assert added[0].min() > 110  # behind the head


def head_and_background(rendered: np.ndarray, pixel_mm: float) -> tuple[np.ndarray, np.ndarray]:
    """The head, found in the picture alone, and everything more than 6 mm away from it."""
    names, _ = ndimage.label(rendered > -300)
    sizes = np.bincount(names.ravel())[1:]
    head = ndimage.binary_fill_holes(names == 1 + sizes.argmax())
    return head, ndimage.distance_transform_edt(~head) * pixel_mm > 6


@pytest.mark.parametrize("number", range(4))
def test_masked_background_is_constant(number: int) -> None:
    patient = make_patient(PhantomSpec(matrix=256), 10, number)
    for index in range(patient.scan.count):
        rendered = patient.render(index).hu
        head, background = head_and_background(rendered, patient.scan.pixel_mm)
        assert background.mean() > 0.3
        assert (rendered[background] == -1024).all()
        assert not (rendered[ndimage.binary_dilation(head)] == -1024).any()  # nothing of the head is cut off
        assert rendered[head].max() > 300


@pytest.mark.parametrize("hospital", [n for n, site in HOSPITALS.items() if site.background == "air"])
def test_background_that_is_not_masked_has_noise(hospital: int) -> None:
    patient = first(PhantomSpec(matrix=256), hospital, head_holder=False)
    rendered = patient.render(2).hu
    _, background = head_and_background(rendered, patient.scan.pixel_mm)
    assert background.mean() > 0.3
    values, counts = np.unique(rendered[background], return_counts=True)
    assert len(values) >= 5
    assert counts.max() < 0.5 * counts.sum()
    assert (rendered[background] == -1024).mean() < 0.01


def test_wave_field_on_a_plane_equals_its_sum_at_the_points() -> None:
    field = WaveField.draw(np.random.default_rng(0), (8, 20), 32)
    origin, down, across = np.array([-40.0, -30, 5]), np.array([0, 0.9, 0.2]), np.array([1.0, 0.1, -0.05])
    grid = PlaneGrid(origin, down, across, (60, 80))
    r, c = 17, 41
    point = origin + r * down + c * across
    expected = np.sqrt(2 / 32) * np.cos(field.vectors.astype(float) @ point + field.phases).sum()
    assert field.on(grid)[r, c] == pytest.approx(expected, abs=2e-4)
    assert field.at(grid.x, grid.y, grid.z)[r, c] == pytest.approx(expected, abs=2e-3)
    assert field.on(grid).std() == pytest.approx(1, abs=0.35)


def test_upsampling_keeps_a_linear_ramp_in_place() -> None:
    rows, cols = np.mgrid[0:6, 0:8].astype(np.float32)
    fine_rows, fine_cols = np.mgrid[0:12, 0:16] / 2 - 0.25
    fine = upsample_twice(3 * rows - 2 * cols)
    np.testing.assert_allclose(fine[1:-1, 1:-1], (3 * fine_rows - 2 * fine_cols)[1:-1, 1:-1], atol=1e-5)


def test_ellipsoid_distance_and_window() -> None:
    shape = Ellipsoid((5, 0, 0), (10, 4, 6), (0, 0, np.pi / 2))
    x, y, z = (np.array(v, dtype=np.float32) for v in ([5, 9, 5, 5], [10, 0, 0.5, 13], [0, 0, 0, 0]))
    distance, _ = shape.distance(x, y, z)
    assert distance[:2] == pytest.approx([0, 0], abs=1e-5)  # the yaw has turned the long axis to y
    assert distance[2] < 0 < distance[3]
    grid = PlaneGrid(np.array([-20.0, -20, 7]), np.array([0, 1.0, 0]), np.array([1.0, 0, 0]), (41, 41))
    assert grid.window(np.array([5.0, 0, 0]), 6.0) is None
    assert grid.window(np.array([5.0, 0, 0]), 10.0) == (slice(10, 31), slice(15, 36))


@pytest.mark.parametrize("hospital", [6, 9])
def test_slices_lie_around_the_clot(hospital: int) -> None:
    for number in range(6):
        patient = make_patient(PhantomSpec(matrix=32), hospital, number)
        if patient.clot is None:
            continue
        centre = patient.pose.to_scanner(np.asarray(patient.clot.body.centre_mm))
        levels = [(patient.scan.centre_mm(k) - centre) @ patient.scan.normal for k in range(patient.scan.count)]
        assert min(abs(level) for level in levels) <= patient.scan.thickness_mm / 2 + 1e-6


def test_gallery_is_drawn(tmp_path: Path) -> None:
    picture = gallery(tmp_path / "images" / "phantom.png", PhantomSpec(matrix=32))
    assert picture.read_bytes().startswith(b"\x89PNG")
    pairs = pair_gallery(tmp_path / "images" / "pairs.png", PhantomSpec(matrix=32))
    assert pairs.read_bytes().startswith(b"\x89PNG")
    assert len(pairs.read_bytes()) > 10_000  # nine panels, not an empty page
