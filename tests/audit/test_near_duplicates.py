# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Near fingerprints are found, others are not, and not every pair is compared."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from monai_ich.audit import near_duplicates
from monai_ich.audit.near_duplicates import MAX_DISTANCE, MOST_PARTNERS, near_pairs


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


def _head_like(studies: int, slices: int) -> np.ndarray:
    """Hashes whose bits depend on one another as those of heads do, and hardly change from slice to slice."""
    rng = np.random.default_rng(4)
    hidden = rng.normal(size=(studies, 1, 6)) + 0.15 * rng.normal(size=(studies, slices, 6)).cumsum(axis=1)
    signs = hidden @ rng.normal(size=(6, 256)) + rng.normal(0, 0.7, (studies, slices, 256)) > 0
    return np.packbits(signs.reshape(-1, 256), axis=1).view(np.uint64)


def test_what_is_found_among_heads_is_what_comparing_each_with_each_finds() -> None:
    words = _head_like(studies=60, slices=30)
    group = np.arange(1800) // 30
    sources = np.arange(0, 1800, 9)
    rng = np.random.default_rng(5)
    copies = [_flip(words[row], rng.choice(256, 1 + i % 20, replace=False)) for i, row in enumerate(sources)]
    words, group = np.concatenate([words, copies]), np.concatenate([group, 60 + group[sources]])
    first, second = np.triu_indices(2000, 1)
    first, second = (end[group[first] != group[second]] for end in (first, second))
    distances = np.bitwise_count(words[first] ^ words[second]).sum(axis=1)
    near = distances <= MAX_DISTANCE
    all_near = dict(zip(zip(first[near], second[near], strict=True), distances[near], strict=True))
    assert len(all_near) > 1000
    pairs, found_distances = near_pairs(words, group)
    found = dict(zip(map(tuple, pairs.tolist()), found_distances, strict=True))
    assert found.items() <= all_near.items()
    nearest = [pair for pair, distance in all_near.items() if distance <= 20]
    assert sum(pair in found for pair in nearest) >= 0.97 * len(nearest)
    assert {(row, 1800 + i) for i, row in enumerate(sources)} <= found.keys()


def test_a_picture_that_a_thousand_slices_share_links_them_all_by_a_few_pairs_each() -> None:
    words = np.repeat(_random(1), 1000, axis=0)
    pairs, distances = near_pairs(words, np.arange(1000))
    assert len(pairs) <= 1000 * MOST_PARTNERS
    assert not distances.any()
    assert _are_linked(pairs, 1000)


def test_a_crowd_that_looks_alike_does_not_give_a_pair_for_every_two() -> None:
    """1,500 blank slices with a little noise: a million pairs are near one another."""
    rng = np.random.default_rng(2)
    blank = _random(1)[0]
    words = np.stack([_flip(blank, rng.choice(256, 3, replace=False)) for _ in range(1500)])
    pairs, distances = near_pairs(words, np.arange(1500))
    assert len(pairs) <= 1500 * MOST_PARTNERS
    assert set(pairs.ravel().tolist()) == set(range(1500))
    assert distances.max() <= 6


def test_near_strangers_take_no_copy_s_place() -> None:
    """Whatever comes first: a slice's partners are the nearest."""
    rng = np.random.default_rng(6)
    slice_ = _random(1)[0]
    strangers = np.stack([_flip(slice_, rng.choice(256, 24, replace=False)) for _ in range(60)])
    copy = _flip(slice_, rng.choice(256, 12, replace=False))
    for words in (np.stack([slice_, *strangers, copy]), np.stack([copy, *strangers, slice_])):
        pairs, distances = near_pairs(words, np.arange(62))
        assert (pairs[0].tolist(), distances[0]) == ([0, 61], 12)


def _are_linked(pairs: np.ndarray, count: int) -> bool:
    graph = coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(count, count))
    return bool(connected_components(graph, directed=False)[0] == 1)


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


def test_the_work_has_a_bound_where_all_slices_look_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    offered = []
    offer = near_duplicates._Nearest.offer

    def counted(self: near_duplicates._Nearest, slices: np.ndarray, *others: np.ndarray) -> None:
        offered.append(len(slices))
        offer(self, slices, *others)

    monkeypatch.setattr(near_duplicates._Nearest, "offer", counted)
    near_pairs(_random(1).repeat(1000, axis=0), np.arange(1000))
    assert 0 < sum(offered) <= 2 * 1000 * 16 * 120  # of 2 * 1000 * 500 * 120
