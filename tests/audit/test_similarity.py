# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Similarity is of the details inside the head: not of outlines, skulls or a remainder of head."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from monai_ich.audit.slice_similarity import FEWEST_CONTENT_SHARE, NEAR_IDENTICAL, similarity

SIDE = 128


def _head(seed: int, radius: float = 56.0, noise: float = 12.0) -> np.ndarray:
    """A disc of noise inside a bright rim with soft edges, as the skull has them."""
    rows, columns = np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2
    distance = np.hypot(rows, columns)
    inside = np.random.default_rng(seed).normal(110, noise, (SIDE, SIDE))
    bone = np.clip(distance - radius + 4, 0, 1)
    head = inside * (1 - bone) + 255 * bone
    return np.clip(head * np.clip(radius + 2 - distance, 0, 1), 0, 255).astype(np.uint8)


def test_a_picture_is_like_itself_and_like_its_copies() -> None:
    head = _head(0)
    assert similarity(head, head) == pytest.approx(1.0)
    brighter = np.where((head > 0) & (head < 255), head + 9, head).astype(np.uint8)
    assert similarity(head, brighter) > 0.95
    assert similarity(head, np.roll(head, (1, -1), axis=(0, 1))) > 0.95
    assert similarity(head, np.zeros_like(head)) == 0.0


def test_the_correlation_is_numpy_s_where_nothing_has_to_be_left_out() -> None:
    one, other = (np.random.default_rng(seed).integers(1, 255, (SIDE, SIDE)).astype(np.uint8) for seed in (0, 1))
    mixed = (one // 2 + other // 2).astype(np.uint8)
    details = [x - ndimage.gaussian_filter(x.astype(np.float64), 1.0) for x in (one, mixed)]
    inner = tuple([slice(8, -8)] * 2)  # the picture's rim is not brain
    expected = np.corrcoef(details[0][inner].ravel(), details[1][inner].ravel())[0, 1]
    assert similarity(one, mixed) == pytest.approx(expected, abs=0.02)


def test_one_outline_does_not_make_two_heads_alike() -> None:
    """With the skull's rim, two strangers of a phantom, softly reconstructed, correlated by .78."""
    one, other = _head(0, noise=1.0), _head(1, noise=1.0)
    everywhere = [x - ndimage.gaussian_filter(x.astype(np.float64), 1.0) for x in (one, other)]
    shown = (one > 0) & (one < 255) & (other > 0) & (other < 255)
    assert np.corrcoef(everywhere[0][shown], everywhere[1][shown])[0, 1] > 0.78
    assert abs(similarity(one, other)) < 0.1
    flat = np.where(one == 0, 0, 100).astype(np.uint8)
    assert abs(similarity(one, flat)) < NEAR_IDENTICAL / 2


def test_a_remainder_of_a_head_is_like_nothing() -> None:
    """A vertex, or two blank slices with the same table: too little to tell, even when it is the same picture."""
    radius = np.sqrt(FEWEST_CONTENT_SHARE / np.pi) * SIDE
    little, enough = _head(0, radius=radius), _head(0, radius=1.4 * radius)
    assert similarity(little, little) == 0.0
    assert similarity(enough, enough) == pytest.approx(1.0)
    blank = np.zeros((SIDE, SIDE), np.uint8)
    blank[110:120, 20:100] = 90
    assert similarity(blank, blank) == 0.0


def test_a_gap_in_the_skull_changes_what_is_inside_not_the_verdict() -> None:
    """Where bone divides the brain, noise may open or close a gap between its parts."""
    closed = _head(0)
    closed[:, 70:74] = 255
    opened = closed.copy()
    opened[60:66, 70:74] = 120
    assert similarity(closed, opened) > 0.9
