# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Near fingerprints are found, others are not, and not every pair is compared."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from monai_ich.data.audit import MAX_DISTANCE, near_duplicates, near_pairs


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


def test_a_crowd_that_looks_alike_does_not_give_a_pair_for_every_two() -> None:
    """1,500 blank slices with a little noise: a million pairs are near one another."""
    rng = np.random.default_rng(2)
    blank = _random(1)[0]
    words = np.stack([_flip(blank, rng.choice(256, 3, replace=False)) for _ in range(1500)])
    pairs, distances = near_pairs(words, np.arange(1500))
    assert len(pairs) < 1500 * 16
    assert set(pairs.ravel().tolist()) == set(range(1500))
    assert distances.max() <= 6


def test_a_crowd_of_one_patient_hides_no_copy() -> None:
    """A thin series is a crowd of neighbours; what it was copied from has to be found among them."""
    rng = np.random.default_rng(3)
    first = _random(1)[0]
    series = np.stack([_flip(first, rng.choice(256, 10, replace=False)) for _ in range(400)])
    copies = np.stack([_flip(words, rng.choice(256, 4, replace=False)) for words in series[::40]])
    groups = np.concatenate([np.zeros(400, np.int64), np.arange(1, 11)])
    pairs, _ = near_pairs(np.concatenate([series, copies]), groups)
    found = {tuple(pair) for pair in pairs.tolist()}
    assert {(40 * i, 400 + i) for i in range(10)} <= found
    assert not any(one < 400 and other < 400 for one, other in found)


@pytest.mark.parametrize("count", [2_000, 8_000])
def test_the_work_grows_with_the_slices_not_with_their_square(count: int) -> None:
    compared = _compared(np.unique(_random(count), axis=0))
    assert compared <= count // 100  # of count^2 / 2 pairs


def test_the_work_has_a_bound_where_all_slices_share_every_bucket() -> None:
    words = _random(1).repeat(1000, axis=0)
    assert _compared(words) <= 1000 * 64 * 120


def _compared(words: np.ndarray) -> int:
    tables = itertools.combinations(range(16), 2)
    return sum(len(first) for table in tables for first, _ in near_duplicates._bucket_pairs(words, table))
