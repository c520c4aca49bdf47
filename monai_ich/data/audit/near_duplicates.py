# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Pairs of nearly identical slices, found by their fingerprints without comparing each with each."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import numpy as np

from monai_ich.utils.console import progress_bar

MAX_DISTANCE = 32  # of 256 bits; a first sieve only: a few in a million pairs of strangers are as near
_GUARANTEED_DISTANCE = 14  # 14 bits spoil 14 bands of 16 at most
_BAND_BITS = 16
_TABLES = tuple(combinations(range(16), 2))
_MOST_PER_FINGERPRINT = 8  # slices of one fingerprint that are paired with those of another
_MOST_PARTNERS = 8  # other fingerprints that are looked for of one, within the guaranteed distance and farther
_MOST_STEPS = 64  # neighbours in a bucket that a fingerprint is compared with


def near_pairs(fingerprints: np.ndarray, groups: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Finds pairs of slices of different groups whose fingerprints differ in at most `MAX_DISTANCE` bits.

    Multi-index hashing (Norouzi, Punjani, Fleet, CVPR 2012): the 256 bits are 16 bands of 16; slices that agree in any
    two bands land in one bucket of one of 120 tables and are compared. Pairs that differ in up to 14 bits must meet so,
    pairs that differ in 24 random bits do in 9 of 10 cases.

    What is kept grows with the number of slices, not with its square, also where thousands of slices look alike:
    slices of equal fingerprints are paired with the first of them; of two near fingerprints, at most 8 slices each;
    a fingerprint meets the 64 that follow it in a bucket, where likeness orders them, and has enough after 8 partners.
    So every copy is in some pair, but not every pair of a thousand copies is listed.

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
    pairs = np.concatenate([members.pairs_within(), members.pairs_across(_near_entries(unique, members.owner))])
    ordered = np.unique(np.sort(pairs, axis=1), axis=0)
    distances = _distance(fingerprints, ordered[:, 0], ordered[:, 1])
    order = np.argsort(distances, kind="stable")
    return ordered[order], distances[order]


class _Members:
    """The slices of every fingerprint: the first of each group, in ascending order.

    Attributes:
        owner: int (U,), the group that alone has a fingerprint; -1 where several have it.
    """

    def __init__(self, entry_of: np.ndarray, groups: np.ndarray) -> None:
        """`entry_of` (N,) is each slice's fingerprint, `groups` (N,) its group."""
        firsts = np.unique(entry_of * (np.int64(groups.max()) + 1) + groups, return_index=True)[1]
        firsts.sort()
        self.slices = firsts[np.argsort(entry_of[firsts], kind="stable")]
        self.starts = np.searchsorted(entry_of[self.slices], np.arange(entry_of.max() + 2))
        self.groups = groups
        self.owner = np.where(np.diff(self.starts) == 1, groups[self.slices[self.starts[:-1]]], -1)

    def pairs_within(self) -> np.ndarray:
        """The first slice of a fingerprint with each other one, (P,2)."""
        firsts = np.repeat(self.slices[self.starts[:-1]], np.diff(self.starts))
        return np.stack([firsts, self.slices], axis=1)[firsts != self.slices]

    def pairs_across(self, entries: np.ndarray) -> np.ndarray:
        """Slices of different groups, of each pair of fingerprints (E,2): (P,2)."""
        pairs = [np.empty((0, 2), dtype=np.int64)]
        counts = np.diff(self.starts)[entries]  # (E, 2)
        for one, other in np.ndindex(_MOST_PER_FINGERPRINT, _MOST_PER_FINGERPRINT):
            both = entries[(counts[:, 0] > one) & (counts[:, 1] > other)]
            slices = self.slices[self.starts[both] + (one, other)]
            pairs.append(slices[self.groups[slices[:, 0]] != self.groups[slices[:, 1]]])
        return np.concatenate(pairs)


def _near_entries(entries: np.ndarray, owner: np.ndarray) -> np.ndarray:
    """Pairs (P,2) of near fingerprints, uint64 (U,4), that do not belong to one group (`owner`, see `_Members`)."""
    partners = np.zeros((2, len(entries)), dtype=np.int64)  # within the guaranteed distance, and farther
    found = np.empty(0, dtype=np.int64)  # first * U + second, ascending
    with progress_bar() as bar:
        for table in bar.track(_TABLES, description="comparing fingerprints"):
            near = _near_in_table(entries, owner, partners.copy(), table)
            new = np.setdiff1d(near, found)
            if len(new):
                found = np.union1d(found, new)
                for ends in np.divmod(new, len(entries)):
                    np.add.at(partners, (_tier(_distance(entries, *np.divmod(new, len(entries)))), ends), 1)
    return np.stack(np.divmod(found, len(entries)), axis=1)


def _near_in_table(entries: np.ndarray, owner: np.ndarray, partners: np.ndarray, table: tuple[int, int]) -> np.ndarray:
    """Those that meet in a bucket of one table, as first * U + second; counts them into `partners` (2,U)."""
    found = [np.empty(0, dtype=np.int64)]
    for first, second in _bucket_pairs(entries, table):
        useful = (owner[first] != owner[second]) | (owner[first] < 0)
        first, second = first[useful], second[useful]
        distance = _distance(entries, first, second)
        tier = _tier(distance)
        useful = distance <= MAX_DISTANCE
        useful &= (partners[tier, first] < _MOST_PARTNERS) | (partners[tier, second] < _MOST_PARTNERS)
        first, second, tier = first[useful], second[useful], tier[useful]
        for ends in (first, second):
            np.add.at(partners, (tier, ends), 1)
        found.append(np.minimum(first, second) * len(entries) + np.maximum(first, second))
    return np.concatenate(found)


def _tier(distance: np.ndarray) -> np.ndarray:
    """0 for what must be found, so that strangers who happen to be near do not crowd it out; 1 for the others."""
    return (distance > _GUARANTEED_DISTANCE).astype(np.int64)


def _bucket_pairs(entries: np.ndarray, table: tuple[int, int]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields positions (first, second) of entries that agree in a table's two bands, a step at a time.

    Within a bucket the next two bands order the entries, other ones in every table: of the many in a large bucket,
    a copy is among the next ones in one table or another.
    """
    bands = entries.view(np.uint16).reshape(len(entries), -1)  # (U, 16)
    one, other = table
    keys = np.zeros(len(entries), dtype=np.uint64)
    for band in (one, other, (other + 1) % 16, (other + 2) % 16):
        keys = keys << np.uint64(_BAND_BITS) | bands[:, band]
    order = np.argsort(keys, kind="stable")
    buckets = keys[order] >> np.uint64(2 * _BAND_BITS)
    left, step = np.arange(len(buckets) - 1), 1
    while step <= _MOST_STEPS and len(left := left[buckets[left] == buckets[left + step]]):
        yield order[left], order[left + step]
        step += 1
        left = left[left + step < len(buckets)]


def _distance(fingerprints: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    return np.bitwise_count(fingerprints[first] ^ fingerprints[second]).sum(axis=1, dtype=np.int64)
