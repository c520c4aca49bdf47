# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Pairs of nearly identical slices, found by their fingerprints without comparing each with each."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import numpy as np

from monai_ich.utils.console import progress_bar

MAX_DISTANCE = 32  # of 256 bits; a first sieve only: a few in a million pairs of strangers are as near
_BAND_BITS = 16
_TABLES = tuple(combinations(range(16), 2))
_MOST_PER_FINGERPRINT = 8  # slices of one fingerprint that are paired with those of another
_MOST_PARTNERS = 8  # other fingerprints that are looked for of one
_MOST_STEPS = 64  # neighbours in a bucket that a fingerprint is compared with


def near_pairs(fingerprints: np.ndarray, groups: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Finds pairs of slices of different groups whose fingerprints differ in at most `MAX_DISTANCE` bits.

    Multi-index hashing (Norouzi, Punjani, Fleet, CVPR 2012): the 256 bits are 16 bands of 16; slices that agree in any
    two bands land in one bucket of one of 120 tables and are compared. Pairs that differ in up to 14 bits must meet so,
    pairs that differ in 24 random bits do in 9 of 10 cases.

    Time and memory grow with the number of slices, not with its square, also where thousands of slices look alike:
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
    pairs = [
        *members.pairs_within(),
        *(pair for one, other in _near_entries(unique, members.owner) for pair in members.pairs_across(one, other)),
    ]
    if not pairs:
        return np.empty((0, 2), dtype=np.int64), np.empty(0, dtype=np.int64)
    ordered = np.unique(np.sort(np.array(pairs, dtype=np.int64), axis=1), axis=0)
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


def _near_entries(entries: np.ndarray, owner: np.ndarray) -> list[tuple[int, int]]:
    """Pairs of near fingerprints, uint64 (U,4), that do not belong to one group (`owner`, see `_Members`)."""
    partners = np.zeros(len(entries), dtype=np.int64)
    found = np.empty(0, dtype=np.int64)  # first * U + second, ascending
    with progress_bar() as bar:
        for table in bar.track(_TABLES, description="comparing fingerprints"):
            for first, second in _bucket_pairs(entries, table):
                useful = (owner[first] != owner[second]) | (owner[first] < 0)
                useful &= (partners[first] < _MOST_PARTNERS) | (partners[second] < _MOST_PARTNERS)
                first, second = first[useful], second[useful]
                near = _distance(entries, first, second) <= MAX_DISTANCE
                low, high = np.minimum(first[near], second[near]), np.maximum(first[near], second[near])
                new = np.setdiff1d(low * len(entries) + high, found)
                if len(new):
                    found = np.union1d(found, new)
                    ends = np.concatenate(np.divmod(new, len(entries)))
                    partners += np.bincount(ends, minlength=len(entries))
    return list(zip(*(ends.tolist() for ends in np.divmod(found, len(entries))), strict=True))


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
