# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Pairs of nearly identical slices, found by their fingerprints without comparing each with each."""

from __future__ import annotations

from itertools import combinations

import numpy as np

from monai_ich.utils.console import progress_bar

MAX_DISTANCE = 32  # of 256 bits; a first sieve only: a few in a million pairs of strangers are as near
GUARANTEED_DISTANCE = 14  # pairs as near are found, but in a crowd
MOST_PARTNERS = 8  # of a slice, the nearest ones
_BAND_BITS = 16
_ORDERS = tuple(combinations(range(16), 2))
_STEPS = 16  # places that two slices are apart in an order, at most, to be compared
_NOBODY = -1


def near_pairs(fingerprints: np.ndarray, groups: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Finds pairs of slices of different groups whose fingerprints differ in at most `MAX_DISTANCE` bits.

    The 256 bits are 16 bands of 16. All slices are sorted by two bands and what follows them, once for each of the 120
    pairs of bands, and each is compared with the 16 next to it on either side. Of 14 wrong bits two bands at least are
    free, so such a pair shares both bands in some order (multi-index hashing: Norouzi, Punjani, Fleet, CVPR 2012), and
    meets there unless 16 others share these too and come between. Pairs of more wrong bits meet by chance.

    The work is 120 * (a sort + 16 comparisons) a slice and what is kept `MOST_PARTNERS` pairs a slice, also where all
    look alike: then each is paired with its nearest ones among those it met.

    Args:
        fingerprints: uint64 (N,4).
        groups: int (N,), slices of one group are not paired with one another.

    Returns:
        Pairs int64 (P,2) with the smaller number first, nearest first, and their distances int64 (P,).
    """
    nearest = _Nearest(len(fingerprints))
    with progress_bar(disable=len(fingerprints) < 2) as bar:
        for first, second in bar.track(_ORDERS, description="comparing fingerprints"):
            _compare(fingerprints, groups, _order(fingerprints, first, second), nearest)
    return nearest.pairs()


class _Nearest:
    """The nearest partners of N slices, of those that were offered."""

    def __init__(self, count: int) -> None:
        self.partners = np.full((count, MOST_PARTNERS), _NOBODY, dtype=np.int32)
        self.distances = np.full((count, MOST_PARTNERS), MAX_DISTANCE + 1, dtype=np.int16)

    def offer(self, slices: np.ndarray, partners: np.ndarray, distances: np.ndarray) -> None:
        """One partner for each of these different slices (k,); it takes the place of a farther one."""
        farthest = self.distances[slices].argmax(axis=1)
        useful = distances < self.distances[slices, farthest]
        useful &= (self.partners[slices] != partners[:, None]).all(axis=1)
        places = slices[useful], farthest[useful]
        self.partners[places], self.distances[places] = partners[useful], distances[useful]

    def pairs(self) -> tuple[np.ndarray, np.ndarray]:
        """All of them once: see `near_pairs`."""
        slices, places = np.nonzero(self.partners != _NOBODY)
        partners = self.partners[slices, places].astype(np.int64)
        codes = np.minimum(slices, partners) * len(self.partners) + np.maximum(slices, partners)
        codes, kept = np.unique(codes, return_index=True)
        distances = self.distances[slices, places][kept].astype(np.int64)
        order = np.argsort(distances, kind="stable")
        return np.stack(np.divmod(codes[order], max(1, len(self.partners))), axis=1), distances[order]


def _order(fingerprints: np.ndarray, first: int, second: int) -> np.ndarray:
    """The slices (N,) sorted by two bands and, where these agree, by the two after them."""
    bands = fingerprints.view(np.uint16).reshape(-1, 16)
    keys = np.zeros(len(fingerprints), dtype=np.uint64)
    for band in (first, second, (second + 1) % 16, (second + 2) % 16):
        keys = keys << np.uint64(_BAND_BITS) | bands[:, band]
    return np.argsort(keys, kind="stable")


def _compare(fingerprints: np.ndarray, groups: np.ndarray, order: np.ndarray, nearest: _Nearest) -> None:
    """Compares slices that are up to `_STEPS` places apart in an order (N,)."""
    words, group = np.ascontiguousarray(fingerprints[order].T), groups[order]  # (4, N), (N,)
    for step in range(1, min(_STEPS + 1, len(order))):
        distances = np.bitwise_count(words[:, step:] ^ words[:, :-step]).sum(axis=0, dtype=np.int16)
        near = np.flatnonzero((distances <= MAX_DISTANCE) & (group[step:] != group[:-step]))
        one, other = order[near], order[near + step]
        nearest.offer(one, other, distances[near])
        nearest.offer(other, one, distances[near])
