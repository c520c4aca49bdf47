# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Pairs of nearly identical slices, found by their fingerprints without comparing each with each."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import numpy as np
from scipy import ndimage

MAX_DISTANCE = 32  # of 256 bits; other patients' slices differ in 33 and more, 118 in the median (on the phantom)
NEAR_IDENTICAL = 0.78  # correlation of details; on the phantom other patients reach .48, neighbouring slices .77
_BAND_BITS = 16
_DETAIL_SIGMA_PX = 1.5
_MIN_SHARED_PX = 50
_MIN_SHARED_SHARE = 0.5  # of what either slice shows; another width of the window changes it
_MOST_PER_FINGERPRINT = 8


def near_pairs(fingerprints: np.ndarray, groups: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Finds pairs of slices of different groups whose fingerprints differ in at most `MAX_DISTANCE` bits.

    Multi-index hashing (Norouzi, Punjani, Fleet, CVPR 2012): the 256 bits are 16 bands of 16; slices that agree in any
    two bands land in one bucket of one of 120 tables and are compared. Pairs that differ in up to 14 bits must meet so,
    pairs that differ in 24 random bits do in 9 of 10 cases. Buckets are of 32 bits, so that the work grows with the
    number of slices, not with its square. Slices of equal fingerprints are paired with the first of them; of two near
    fingerprints, at most 8 slices each.

    Args:
        fingerprints: uint64 (N,4).
        groups: int (N,), slices of one group are not paired with one another.

    Returns:
        Pairs int64 (P,2) with the smaller number first, nearest first, and their distances int64 (P,).
    """
    if len(fingerprints) == 0:
        return np.empty((0, 2), dtype=np.int64), np.empty(0, dtype=np.int64)
    unique, entry_of = np.unique(fingerprints, axis=0, return_inverse=True)
    members = _Members(entry_of.ravel(), groups)
    bands = np.ascontiguousarray(unique).view(np.uint16)  # (U, 16)
    found = [_close(unique, first, second) for first, second in _bucket_pairs(bands)]
    entries = np.unique(np.concatenate([np.empty((0, 2), np.int64), *found]), axis=0)
    pairs = [
        *members.pairs_within(),
        *(pair for one, other in entries.tolist() for pair in members.pairs_across(one, other)),
    ]
    if not pairs:
        return np.empty((0, 2), dtype=np.int64), np.empty(0, dtype=np.int64)
    ordered = np.unique(np.sort(np.array(pairs, dtype=np.int64), axis=1), axis=0)
    distances = _distance(fingerprints, ordered[:, 0], ordered[:, 1])
    order = np.argsort(distances, kind="stable")
    return ordered[order], distances[order]


def similarity(first: np.ndarray, second: np.ndarray) -> float:
    """How alike two slices are in detail: the correlation of what is left when a blurred copy is subtracted.

    Noise and fine anatomy are a scan's own, so the correlation is high only for one and the same picture, also when it
    was compressed, resampled or shifted in HU. It is taken where neither slice is black or white in the brain window.

    Args:
        first: uint8 (H,W).
        second: the same shape.

    Returns:
        -1 to 1; 0 where the slices show too little in common to tell.
    """
    shown = [(slice_ > 0) & (slice_ < 255) for slice_ in (first, second)]
    shared, either = shown[0] & shown[1], shown[0] | shown[1]
    if shared.sum() < max(_MIN_SHARED_PX, _MIN_SHARED_SHARE * either.sum()):
        return 0.0
    details = [_detail(slice_, shared)[shared] for slice_ in (first, second)]
    spread = [float(detail.std()) for detail in details]
    if min(spread) == 0:
        return 0.0
    centred = [detail - detail.mean() for detail in details]
    return float((centred[0] * centred[1]).mean() / (spread[0] * spread[1]))


def _detail(plane: np.ndarray, where: np.ndarray) -> np.ndarray:
    """What a blur that sees only the pixels `where` leaves: the skull beside them, alike in all heads, stays out."""
    values, weight = np.where(where, plane, 0).astype(np.float64), where.astype(np.float64)
    blurred = ndimage.gaussian_filter(values, _DETAIL_SIGMA_PX)
    return values - blurred / np.maximum(ndimage.gaussian_filter(weight, _DETAIL_SIGMA_PX), 1e-9)


class _Members:
    """The slices of every fingerprint: the first of each group, in ascending order."""

    def __init__(self, entry_of: np.ndarray, groups: np.ndarray) -> None:
        """`entry_of` (N,) is each slice's fingerprint, `groups` (N,) its group."""
        firsts = np.unique(entry_of * (np.int64(groups.max()) + 1) + groups, return_index=True)[1]
        firsts.sort()
        self.slices = firsts[np.argsort(entry_of[firsts], kind="stable")]
        self.starts = np.searchsorted(entry_of[self.slices], np.arange(entry_of.max() + 2))
        self.groups = groups

    def __getitem__(self, entry: int) -> np.ndarray:
        return self.slices[self.starts[entry] : self.starts[entry + 1]]

    def pairs_within(self) -> Iterator[tuple[int, int]]:
        """The first slice of a fingerprint with each other one."""
        for entry in np.flatnonzero(np.diff(self.starts) > 1).tolist():
            first, *others = self[entry].tolist()
            yield from ((first, other) for other in others)

    def pairs_across(self, one: int, other: int) -> Iterator[tuple[int, int]]:
        """Slices of one fingerprint with those of another, where their groups differ."""
        for first in self[one][:_MOST_PER_FINGERPRINT].tolist():
            for second in self[other][:_MOST_PER_FINGERPRINT].tolist():
                if self.groups[first] != self.groups[second]:
                    yield first, second


def _bucket_pairs(bands: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields positions (first, second) of entries that share a bucket, a step of one table at a time."""
    wide = bands.astype(np.uint32)
    for one, other in combinations(range(wide.shape[1]), 2):
        keys = wide[:, one] << np.uint32(_BAND_BITS) | wide[:, other]
        order = np.argsort(keys, kind="stable")
        keys = keys[order]
        left, step = np.arange(len(keys) - 1), 1
        while len(left := left[keys[left] == keys[left + step]]):
            yield order[left], order[left + step]
            step += 1
            left = left[left + step < len(keys)]


def _close(entries: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """(P,2), those of the pairs that are near, smaller position first."""
    near = _distance(entries, first, second) <= MAX_DISTANCE
    return np.sort(np.stack([first[near], second[near]], axis=1), axis=1)


def _distance(fingerprints: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    return np.bitwise_count(fingerprints[first] ^ fingerprints[second]).sum(axis=1, dtype=np.int64)
