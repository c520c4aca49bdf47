# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Where each slice of a volume lies, and how far along the slice normal it counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

# Neighbours further apart than this, in units of what is usual for them, have a gap between them.
GAP_FACTOR = 1.25


@dataclass(frozen=True, eq=False)
class SlicePlaces:
    """The places of N slices with one orientation and one pixel spacing.

    A slice's extent is what its area is multiplied with in a volume. It reaches to the midpoints between the slice and
    its neighbours, so overlapping slices count nothing twice, whatever their thickness. The outer half of the first
    and the last slice is half the step to the neighbour, or half the Slice Thickness where there is no neighbour.
    A gap, such as a missing slice, is not filled: the slices beside it end at half their own thickness or half their
    other step, whichever is more.

    Attributes:
        first_pixel_ras_mm: (N,3), centre of the pixel (0, 0) of each slice in canonical orientation.
        thickness_mm: (N,) Slice Thickness (0018,0050), or the third spacing of a volume; NaN where unknown.
        below_mm, above_mm: (N,) extent of each slice along the normal, towards the feet and towards the head; NaN
            where unknown, as for a single slice without thickness.
        gaps_mm: lengths along the normal that belong to no slice of the volume, one for each gap.
        thinly_mm: the longest way between two slices that is covered by neither's thickness, but counts to the nearer
            one because it is usual for the series; 0 where there is none.
        is_even: whether one affine holds for all slices of the volume.
    """

    first_pixel_ras_mm: np.ndarray
    thickness_mm: np.ndarray
    below_mm: np.ndarray
    above_mm: np.ndarray
    gaps_mm: tuple[float, ...] = ()
    thinly_mm: float = 0.0
    is_even: bool = True

    @property
    def extent_mm(self) -> np.ndarray:
        """(N,) what a slice's area is multiplied with in a volume; NaN where unknown."""
        return np.asarray(self.below_mm + self.above_mm)

    def take(self, numbers: Sequence[int]) -> SlicePlaces:
        """The places of some of the slices; extents and gaps stay those of the whole volume."""
        chosen = list(numbers)
        return SlicePlaces(
            self.first_pixel_ras_mm[chosen],
            self.thickness_mm[chosen],
            self.below_mm[chosen],
            self.above_mm[chosen],
            self.gaps_mm,
            self.thinly_mm,
            self.is_even,
        )

    @classmethod
    def even(cls, affine_ras_mm: np.ndarray, thickness_mm: Sequence[float], step_known: bool = True) -> SlicePlaces:
        """The places on an even grid.

        Args:
            affine_ras_mm: (4,4), canonical index order (slice, row, column, 1) -> RAS mm.
            thickness_mm: (N,) NaN where unknown.
            step_known: the affine's step is a distance of slices, or a single slice's thickness, and not made up.
        """
        places = affine_ras_mm[:3, 3] + np.arange(len(thickness_mm))[:, None] * affine_ras_mm[:3, 0]
        step_mm = abs(float(affine_ras_mm[:3, 0] @ slice_normal(affine_ras_mm)))
        half = np.full(len(thickness_mm), step_mm / 2 if step_known else np.nan)
        thickness = np.asarray(thickness_mm, dtype=float)
        known = thickness[~np.isnan(thickness)] if len(thickness) > 1 else np.empty(0)
        usual_mm = float(np.median(known)) if known.size else step_mm
        thinly_mm = step_mm - usual_mm if step_mm > GAP_FACTOR * usual_mm else 0.0
        return cls(places, thickness, half, half, thinly_mm=thinly_mm)

    @classmethod
    def single(cls, first_pixel_ras_mm: np.ndarray, normal: np.ndarray, thickness_mm: Sequence[float]) -> SlicePlaces:
        """The places of slices that are known one by one.

        Args:
            first_pixel_ras_mm: (N,3).
            normal: (3,) unit vector from foot to head across the slices.
            thickness_mm: (N,) NaN where unknown.
        """
        thickness = np.asarray(thickness_mm, dtype=float)
        order = np.argsort(first_pixel_ras_mm @ normal, kind="stable")
        below, above = np.empty(len(order)), np.empty(len(order))
        heights, sorted_thickness = (first_pixel_ras_mm @ normal)[order], thickness[order]
        below[order], above[order], gaps_mm, thinly_mm = _extents(heights, sorted_thickness)
        return cls(np.asarray(first_pixel_ras_mm, dtype=float), thickness, below, above, gaps_mm, thinly_mm, False)


def slice_normal(affine_ras_mm: np.ndarray) -> np.ndarray:
    """(3,) unit vector from foot to head across canonical slices, from their (4,4) affine (slice, row, column, 1)."""
    normal = np.cross(affine_ras_mm[:3, 2], affine_ras_mm[:3, 1])
    return np.asarray(normal / np.linalg.norm(normal))


def _extents(
    heights_mm: np.ndarray, thickness_mm: np.ndarray
) -> tuple[np.ndarray, np.ndarray, tuple[float, ...], float]:
    """Below and above of slices in order of their heights, the gaps, and the longest way that is thinly covered."""
    steps = np.diff(heights_mm)
    usual = np.array([_usual_step(steps, thickness_mm, number) for number in range(len(steps))])
    is_gap = steps > GAP_FACTOR * usual
    count = len(heights_mm)
    below, above = np.empty(count), np.empty(count)
    for number in range(count):
        lower = number - 1 if number > 0 else None
        upper = number if number < len(steps) else None
        below[number] = _half(steps, is_gap, thickness_mm[number], lower, upper)
        above[number] = _half(steps, is_gap, thickness_mm[number], upper, lower)
    empty = (steps - above[:-1] - below[1:])[is_gap]
    covered = (thickness_mm[:-1] + thickness_mm[1:]) / 2
    thin = ~is_gap & (steps > GAP_FACTOR * covered)  # False where a thickness is unknown
    thinly_mm = float((steps - covered)[thin].max()) if thin.any() else 0.0
    return below, above, tuple(empty.tolist()), thinly_mm


def _usual_step(steps: np.ndarray, thickness_mm: np.ndarray, number: int) -> float:
    """The distance that two neighbours may be expected to have, by their thickness and the steps beside theirs."""
    beside = [*steps[max(number - 1, 0) : number], *steps[number + 1 : number + 2]]
    covered = float(thickness_mm[number] + thickness_mm[number + 1]) / 2
    if np.isnan(covered):
        return float(max(beside, default=steps[number]))
    return max(covered, float(min(beside, default=0.0)))


def _half(steps: np.ndarray, is_gap: np.ndarray, thickness_mm: float, here: int | None, there: int | None) -> float:
    """How far a slice reaches to one side: `here` numbers the step on that side and `there` the other, None beyond."""
    if here is not None and not is_gap[here]:
        return float(steps[here]) / 2
    other_mm = float(steps[there]) if there is not None and not is_gap[there] else np.nan
    if here is None:
        return (thickness_mm if np.isnan(other_mm) else other_mm) / 2
    return float(min(np.fmax(thickness_mm, other_mm), steps[here])) / 2  # fmax passes over what is unknown
