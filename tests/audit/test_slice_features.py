# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Fingerprints survive what another export does to a slice; the head's region and the counts are right."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import ndimage

from monai_ich.audit.near_duplicates import MAX_DISTANCE
from monai_ich.audit.slice_features import PixelCount, SliceFeaturesd, SlicePictured, head_region
from monai_ich.audit.slice_similarity import NEAR_IDENTICAL, similarity
from monai_ich.phantom import PhantomSpec, make_patient

SPEC = PhantomSpec(matrix=256, slices_per_study=3)


def _slices(number: int) -> np.ndarray:
    patient = make_patient(SPEC, 1, number)
    return np.stack([patient.render(index).hu for index in range(3)]).astype(np.float32)


def _features(hu: np.ndarray, mask: np.ndarray | None = None) -> dict[str, np.ndarray]:
    mask = np.zeros(hu.shape, np.uint8) if mask is None else mask
    return SliceFeaturesd()({"image": torch.from_numpy(np.maximum(hu, -1024)), "mask": torch.from_numpy(mask)})


def _pictures(hu: np.ndarray) -> np.ndarray:
    return SlicePictured()({"image": torch.from_numpy(np.maximum(hu, -1024).astype(np.float32))})["picture"]


def _jpeg(hu: np.ndarray) -> np.ndarray:
    stream = io.BytesIO()
    grey = np.clip((hu + 100) / 300 * 255, 0, 255).astype(np.uint8)
    Image.fromarray(grey).save(stream, "JPEG", quality=75)
    return np.asarray(Image.open(stream)).astype(np.float32) / 255 * 300 - 100


def _distances(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return np.bitwise_count(one ^ other).sum(axis=-1)


def _jpeg_of_window(hu: np.ndarray) -> np.ndarray:
    return _jpeg(np.clip(hu, 0, 80))


EXPORTS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "JPEG": _jpeg,
    "JPEG of the brain window": _jpeg_of_window,
    "8 bits of 2,000 HU": lambda hu: np.round(hu / 8) * 8,
    "twice the matrix": lambda hu: ndimage.zoom(hu, 2, order=1),
    "half the matrix": lambda hu: ndimage.zoom(hu, 0.5, order=1, grid_mode=True, mode="nearest"),
    "odd matrix": lambda hu: ndimage.zoom(hu, 200 / 256, order=1, grid_mode=True, mode="nearest"),
    "shifted HU": lambda hu: hu + 4,
    "scaled HU": lambda hu: hu * 1.02,
    "another window": lambda hu: (hu + 20) / 120 * 80,
    "noise": lambda hu: hu + np.random.default_rng(0).normal(0, 4, hu.shape).astype(np.float32),
    "masked background": lambda hu: np.where(hu < -900, -1024, hu),
    "shift": lambda hu: np.roll(hu, 1, axis=1),
}


@pytest.mark.parametrize("export", EXPORTS.values(), ids=EXPORTS.keys())
def test_a_copy_stays_near(export: Callable[[np.ndarray], np.ndarray]) -> None:
    hu = _slices(0)
    copied = np.stack([export(plane) for plane in hu]).astype(np.float32)
    original, copy = _features(hu), _features(copied)
    assert (_distances(original["fingerprint"], copy["fingerprint"]) <= 24).all()
    for one, other in zip(original["thumbnail"], copy["thumbnail"], strict=True):
        assert similarity(one, other) > NEAR_IDENTICAL
    for one, other in zip(_pictures(hu), _pictures(copied), strict=True):
        assert similarity(one, other) > NEAR_IDENTICAL


def test_other_patients_stay_apart() -> None:
    features, pictures = [], []
    for number in range(5):
        hu = _slices(number)
        features.append(_features(hu)["fingerprint"])
        pictures.append(_pictures(hu))
    for i, one in enumerate(pictures):
        for j, other in enumerate(pictures[:i]):
            assert _distances(features[i][:, None], features[j][None]).min() > MAX_DISTANCE / 2
            assert max(similarity(a, b) for a in one for b in other) < NEAR_IDENTICAL / 2


def test_vertices_of_two_heads_are_not_alike() -> None:
    """High slices are the likest of all: ovals of brain in a ring of bone."""
    spec = PhantomSpec(matrix=256, slices_per_study=None)
    tops = []
    for number in range(3):
        patient = make_patient(spec, 1, number)
        tops.append(
            _pictures(np.stack([patient.render(i).hu for i in range(patient.scan.count)[-3:]]).astype(np.float32))
        )
    for i, one in enumerate(tops):
        for other in tops[:i]:
            assert max(similarity(a, b) for a in one for b in other) < NEAR_IDENTICAL / 2


def test_counts_of_a_mask_inside_and_outside_the_head() -> None:
    rows, columns = np.mgrid[:128, :128] - 63.5
    radius = np.hypot(rows, columns)
    head = np.where(radius < 45, 900.0, -1000.0)
    head[radius < 40] = 30
    head[radius < 10] = -1000  # an air space is within the head
    head[:, 120:123] = 200  # a head holder is not
    hu = np.stack([head] * 4).astype(np.float32)
    mask = np.zeros(hu.shape, np.uint8)
    mask[1, 60:66, 60:66] = 1
    mask[2, 0:6, 0:6] = 1
    mask[3, 60:66, 117:126] = 1
    counts = _features(hu, mask)["pixel_counts"]
    assert counts[:, PixelCount.MASK].tolist() == [0, 36, 36, 54]
    assert counts[:, PixelCount.MASK_OUTSIDE].tolist() == [0, 0, 36, 54]
    assert head_region(head)[63, 63]
    assert _features(np.full((1, 128, 128), -1000, np.float32))["pixel_counts"][0, PixelCount.CONTENT] == 0


def test_a_small_mask_is_not_lost_on_the_coarse_grid() -> None:
    hu = np.full((1, 512, 512), 30, np.float32)
    mask = np.zeros(hu.shape, np.uint8)
    mask[0, 201, 303] = 1
    counts = _features(hu, mask)["pixel_counts"][0]
    assert (counts[PixelCount.MASK], counts[PixelCount.MASK_COARSE], counts[PixelCount.MASK_OUTSIDE]) == (1, 1, 0)
