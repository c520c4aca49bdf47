# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Copies of slices are found, other slices are not, and not every pair is compared."""

from __future__ import annotations

import numpy as np
import pytest

from monai_ich.data.audit import MAX_DISTANCE, near_duplicates, near_pairs, similarity


def _flip(words: np.ndarray, bits: np.ndarray) -> np.ndarray:
    unpacked = np.unpackbits(words.view(np.uint8))
    unpacked[bits] ^= 1
    return np.packbits(unpacked).view(np.uint64)


def _random(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 2**64, (count, 4), dtype=np.uint64)


def test_all_pairs_within_the_guaranteed_distance_are_found() -> None:
    rng = np.random.default_rng(1)
    originals = _random(300)
    copies = np.stack([_flip(words, rng.choice(256, i % 15, replace=False)) for i, words in enumerate(originals)])
    pairs, distances = near_pairs(np.concatenate([originals, copies]), np.arange(600))
    assert {tuple(pair) for pair in pairs.tolist()} == {(i, i + 300) for i in range(300)}
    assert sorted(distances.tolist()) == sorted(i % 15 for i in range(300))
    assert (np.diff(distances) >= 0).all()


def test_pairs_within_a_group_and_far_pairs_are_left_out() -> None:
    one, other = _random(2)
    far = _flip(one, np.arange(0, 256, 7))  # 37 bits, none in some bands
    words = np.stack([one, one, other, far])
    assert near_pairs(words, np.array([0, 0, 1, 2]))[0].tolist() == []
    assert near_pairs(words, np.array([0, 1, 1, 2]))[0].tolist() == [[0, 1]]
    assert near_pairs(words[:0], np.array([], dtype=np.int64))[0].shape == (0, 2)
    assert MAX_DISTANCE < 37


def test_a_picture_that_a_thousand_slices_share_gives_a_thousand_pairs_not_a_million() -> None:
    words = np.repeat(_random(1), 1000, axis=0)
    pairs, _ = near_pairs(words, np.arange(1000))
    assert pairs.tolist() == [[0, i] for i in range(1, 1000)]


@pytest.mark.parametrize("count", [2_000, 8_000])
def test_the_work_grows_with_the_slices_not_with_their_square(count: int) -> None:
    bands = np.ascontiguousarray(_random(count)).view(np.uint16)
    compared = sum(len(first) for first, _ in near_duplicates._bucket_pairs(bands))
    assert compared <= count // 100  # of count^2 / 2 pairs


def _head(seed: int) -> np.ndarray:
    """A disc of noise with a bright rim."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:64, :64] - 31.5
    radius = np.hypot(rows, columns)
    return np.where(radius > 30, 0, np.where(radius > 27, 255, rng.normal(110, 12, (64, 64)))).astype(np.uint8)


def test_similarity_is_of_details_not_of_outlines() -> None:
    head = _head(0)
    assert similarity(head, head) == pytest.approx(1.0)
    assert abs(similarity(head, _head(1))) < 0.1
    brighter = np.where((head > 0) & (head < 255), head + 9, head).astype(np.uint8)
    assert similarity(head, brighter) > 0.95
    assert similarity(head, np.zeros_like(head)) == 0.0
    flat = np.where(head == 0, 0, 100).astype(np.uint8)
    assert abs(similarity(head, flat)) < 0.5
