# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Figures of rendered heads without haemorrhage against those of five real heads (1.5-10 mm, four makers)."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pydicom
import pytest
from numpy.typing import NDArray
from pydicom.data import get_testdata_file
from pydicom.pixels import apply_rescale
from scipy import fft, ndimage
from scipy.stats import spearmanr

from monai_ich.phantom import HOSPITALS, PhantomPatient, PhantomSpec, draw_patient, make_patient
from monai_ich.phantom.grids import PlaneGrid, WaveField, upsample_twice
from monai_ich.phantom.noise import slice_noise

WHOLE = PhantomSpec(slices_per_study=None)  # 512 x 512
LEVELS = (0.2, 0.45, 0.6, 0.78)  # of the stack, from either end

# Least and most of the real heads. Each hospital's median lies within.
REAL = {
    "autocorrelation_1mm": (0.29, 0.60),
    "autocorrelation_2mm": (-0.06, 0.39),
    "spectrum_centroid": (0.22, 0.35),  # cycles/mm
    "noise_sd": (2.2, 6.4),  # HU
    "bone_95": (1072, 1473),  # HU
    "bone_max": (1433, 1896),  # HU, of the head
    "mode": (30, 38),  # HU
    "csf": (0, 12),  # % of the brain below 15 HU
    "texture": (1.9, 4.5),  # HU, standard deviation between 1.5 and 5 mm
}


def without_haemorrhage(hospital: int) -> PhantomPatient:
    number = next(n for n in range(50) if not draw_patient(WHOLE, hospital, n).ich)
    return make_patient(WHOLE, hospital, number)


def brain_of(hu: NDArray) -> NDArray:
    """What bone encloses, 1 mm away from it: the largest part."""
    bone = hu > 300
    inside = ndimage.binary_fill_holes(ndimage.binary_closing(bone, iterations=3))
    inside &= ~ndimage.binary_dilation(bone, iterations=2) & (hu > -60)
    names, count = ndimage.label(ndimage.binary_opening(inside, iterations=3))
    return names == (1 + np.bincount(names.ravel())[1:].argmax()) if count else inside


def smooth(hu: NDArray, where: NDArray, sigma: float) -> NDArray:
    """Gaussian mean over the pixels of `where` alone."""
    weight = ndimage.gaussian_filter(where.astype(np.float32), sigma, truncate=3)
    return ndimage.gaussian_filter(np.where(where, hu, 0), sigma, truncate=3) / np.maximum(weight, 1e-3)


def autocorrelation(noise: NDArray, where: NDArray, pixels: float) -> float:
    """Mean over rows and columns, between the two whole shifts next to `pixels`."""

    def at(shift: int) -> float:
        products = []
        for values, inside in ((noise, where), (noise.T, where.T)):
            both = inside[shift:] & inside[:-shift]
            products.append(np.mean((values[shift:] * values[:-shift])[both]))
        return float(np.mean(products))

    low = int(pixels)
    return ((1 - pixels + low) * at(low) + (pixels - low) * at(low + 1)) / float(np.var(noise[where]))


def spectrum_centroid(noise: NDArray, where: NDArray, pixel_mm: float, size: int = 40) -> float:
    """Mean frequency of the power spectrum of all squares that lie within `where` but for a tenth, in cycles/mm."""
    power, taper = np.zeros((size, size)), np.outer(np.hanning(size), np.hanning(size))
    for row in range(0, noise.shape[0] - size, size // 2):
        for column in range(0, noise.shape[1] - size, size // 2):
            square = np.s_[row : row + size, column : column + size]
            if where[square].mean() > 0.9:
                power += np.abs(fft.fft2(noise[square] * where[square] * taper)) ** 2
    frequency = fft.fftfreq(size, pixel_mm)
    radius = np.hypot(frequency[:, None], frequency)
    power[radius > 0.5 / pixel_mm] = 0
    return float((radius * power).sum() / power.sum())


def measured(hu: NDArray, pixel: float) -> dict[str, float]:
    """The figures of one slice."""
    brain = brain_of(hu)
    core = ndimage.binary_erosion(brain, iterations=round(6 / pixel))
    fine, coarse = (smooth(hu, core, sigma / pixel) for sigma in (1.5, 3))
    even = ndimage.binary_opening(core & (np.abs(fine - coarse) < 4) & (fine > 18), iterations=2)
    residual = hu - coarse
    soft = smooth(hu, brain, 1 / pixel)[brain]
    counts = ndimage.gaussian_filter1d(np.histogram(soft, np.arange(0, 60.5, 0.5))[0].astype(float), 2)
    return {
        "autocorrelation_1mm": autocorrelation(residual, even, 1 / pixel),
        "autocorrelation_2mm": autocorrelation(residual, even, 2 / pixel),
        "spectrum_centroid": spectrum_centroid(residual, even, pixel),
        "noise_sd": residual[even].std(),
        "bone_95": np.percentile(hu[hu > 300], 95),
        "bone_max": hu.max(),
        "mode": 0.5 * counts.argmax() + 0.25,
        "csf": 100 * np.mean(soft < 15),
        "texture": (fine - smooth(hu, core, 5 / pixel))[core].std(),
    }


def compared(one: NDArray, two: NDArray, pixel: float) -> dict[str, float]:
    """How alike two neighbouring slices are: their brain, smoothed, and their noise."""
    both = ndimage.binary_erosion(brain_of(one) & brain_of(two), iterations=round(6 / pixel))
    shapes = [smooth(hu, both, 1.5 / pixel)[both] for hu in (one, two)]
    flat = both & (np.abs(smooth(one, both, 1.5 / pixel) - smooth(one, both, 3 / pixel)) < 4)
    noises = [(hu - smooth(hu, both, 1 / pixel))[flat] for hu in (one, two)]
    return {"neighbouring_brain": np.corrcoef(*shapes)[0, 1], "neighbouring_noise": np.corrcoef(*noises)[0, 1]}


def figures_of(patient: PhantomPatient) -> dict[str, float]:
    """Medians over the levels; of the bone's maximum the largest of every second slice."""
    pixel, rows = patient.scan.pixel_mm, []
    for level in LEVELS:
        first = int(level * patient.scan.count)
        pair = [patient.render(index).hu.astype(np.float32) for index in (first, first + 1)]
        spans = [slice(max(0, at.min() - 3), at.max() + 4) for at in np.nonzero(pair[0] > 300)]
        one, two = (hu[spans[0], spans[1]] for hu in pair)
        rows.append({**measured(one, pixel), **compared(one, two, pixel)})
    densest = max(patient.render(index).hu.max() for index in range(0, patient.scan.count, 2))
    return {**pd.DataFrame(rows).median(), "bone_max": densest}


@pytest.fixture(scope="module")
def figures() -> pd.DataFrame:
    """One row a hospital."""
    patients = {hospital: without_haemorrhage(hospital) for hospital in HOSPITALS}
    rows = [
        {"slice_mm": p.scan.thickness_mm, "sharp": p.truth.kernel_sharp, "atrophy": p.brain.atrophy, **figures_of(p)}
        for p in patients.values()
    ]
    return pd.DataFrame(rows, index=list(patients))


def test_ruler_finds_a_real_head_within_the_same_limits() -> None:
    """The texture is left out: at the level of the petrous bone it is mostly anatomy."""
    data = pydicom.dcmread(get_testdata_file("J2K_pixelrep_mismatch.dcm"))
    hu = np.maximum(apply_rescale(data.pixel_array, data), -1024).astype(np.float32)
    found = measured(hu, float(data.PixelSpacing[0]))
    limits = {name: limit for name, limit in REAL.items() if name != "texture"}
    assert {name: found[name] for name, (low, high) in limits.items() if not low <= found[name] <= high} == {}


@pytest.mark.parametrize("name", REAL)
def test_figure_lies_within_that_of_real_heads(figures: pd.DataFrame, name: str) -> None:
    low, high = REAL[name]
    outside = figures[name][(figures[name] < low) | (figures[name] > high)]
    assert outside.empty, f"expected {low} to {high}"


def test_neighbouring_slices_are_as_alike_as_real_ones(figures: pd.DataFrame) -> None:
    thin = figures[figures["slice_mm"] <= 5]
    assert 0.12 <= thin["neighbouring_noise"].min() <= thin["neighbouring_noise"].max() <= 0.22  # real: .16
    assert 0.58 <= thin["neighbouring_brain"].median() <= 0.78  # real: .70
    assert thin["neighbouring_brain"].min() >= 0.45


def test_csf_grows_with_atrophy(figures: pd.DataFrame) -> None:
    young, old = figures[figures["atrophy"] < 0.35], figures[figures["atrophy"] > 0.65]
    assert min(len(young), len(old)) >= 3
    assert young["csf"].max() < 2.5
    assert 4 < old["csf"].max() <= 12
    assert spearmanr(figures["atrophy"], figures["csf"]).statistic > 0.7


def diploe_and_tables(patient: PhantomPatient, index: int) -> tuple[float, float]:
    """Median HU of the vault's middle and of the two layers near its surfaces, noise-free."""
    hu, grid, _ = patient.tissue(index)
    filled = ndimage.binary_fill_holes(hu > 300)
    bone = filled & ~ndimage.binary_opening(filled & (hu < 300))
    deep = ndimage.distance_transform_edt(bone) * grid.pixel_mm
    return float(np.median(hu[bone & (deep > 2.6)])), float(np.median(hu[bone & (deep > 0.9) & (deep < 1.8)]))


@pytest.mark.parametrize("hospital", [1, 6, 9])
def test_vault_has_diploe_between_two_tables(hospital: int) -> None:
    patient = without_haemorrhage(hospital)
    diploe, tables = diploe_and_tables(patient, patient.scan.count // 2)
    assert 350 <= diploe <= 900
    assert tables > diploe + 250


@pytest.mark.parametrize("hospital", [1, 3])
def test_petrous_bone_is_dense_and_holds_air_cells(hospital: int) -> None:
    patient = without_haemorrhage(hospital)
    cells, densest = 0.0, 0.0
    for index in range(patient.scan.count):
        hu, grid, _ = patient.tissue(index)
        near = (np.abs(np.abs(grid.x) - 50) < 14) & (np.abs(grid.y - 30) < 17) & (np.abs(grid.z + 34) < 18)
        cells = max(cells, float((hu[near] < -300).sum()) * grid.pixel_mm**2)
        capsule = (np.abs(np.abs(grid.x) - 36) < 6) & (np.abs(grid.y - 23) < 5) & (np.abs(grid.z + 29) < 4)
        densest = max(densest, float(hu[capsule].max(initial=0)))
    assert 60 <= cells <= 900  # mm2 of one slice, both sides
    assert 1500 <= densest <= 2100  # noise-free; a thick slice holds other bone as well


@pytest.mark.parametrize("blur_mm", [0.4, 0.7, 1.0])
@pytest.mark.parametrize("shape", [(64, 64), (256, 200)])
def test_noise_has_unit_variance_after_upsampling(blur_mm: float, shape: tuple[int, int]) -> None:
    fields = [slice_noise(shape, 0.84, blur_mm, *map(np.random.default_rng, (k, k + 1))) for k in range(0, 40, 2)]
    assert np.std([upsample_twice(field) for field in fields]) == pytest.approx(1, abs=0.02)


def test_noise_is_shared_by_neighbours_alone_and_coarser_with_more_blur() -> None:
    fields = [slice_noise((256, 256), 0.84, 0.7, *map(np.random.default_rng, (k, k + 1))).ravel() for k in range(6)]
    related = np.corrcoef(fields)
    assert np.diag(related, 1) == pytest.approx(0.16, abs=0.02)
    assert np.abs(np.triu(related, 2)).max() < 0.02
    everywhere = np.ones((256, 256), dtype=bool)
    grains = [
        autocorrelation(slice_noise((256, 256), 0.84, blur, *map(np.random.default_rng, (0, 1))), everywhere, 1 / 0.84)
        for blur in (0.4, 0.7, 1.0)
    ]
    assert grains[0] + 0.03 < grains[1] < grains[2] - 0.03


def test_a_slice_thickness_averages_a_wave_field() -> None:
    field = WaveField.draw(np.random.default_rng(1), (5, 16), 32)
    down, across = np.array([0, 0.9, 0.2]), np.array([1.0, 0.1, -0.05])
    grid = PlaneGrid(np.array([-10.0, 4, 5]), down, across, (20, 30))
    planes = [
        field.on(PlaneGrid(grid.origin + offset * grid.normal, down, across, grid.shape))
        for offset in (np.arange(200) + 0.5) / 200 * 5 - 2.5
    ]
    np.testing.assert_allclose(field.on(grid, 5.0), np.mean(planes, axis=0), atol=2e-3)
