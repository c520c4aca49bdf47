# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Tells apart the scans that one Series Instance UID may hold: no stack of slices is a mixture of two."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from monai_ich.reading.dicom_frames import Frame

# Two slices nearer than this are the same slice, mm.
SAME_POSITION_MM = 0.01
# A series is not scanned more often than this. More parts show that numbers or times are in no order.
_MOST_RUNS = 4
# A step that is less than this part of the one before it is another step.
_SHORTER = 0.75


def separate_scans(frames: Sequence[Frame]) -> list[list[Frame]]:
    """The frames of one series as stacks that can each be one volume; mostly there is one.

    Slices of different size, orientation, pixel spacing or frame of reference never share a stack. Slices of different
    acquisitions do as long as the acquisitions lie beside one another, such as a thin base and a thick vertex, or the
    rotations of a sequential scan. Acquisitions that overlap along the patient are scans of their own. Without
    different numbers, the times decide: a scan ends where the table has gone back.
    """
    grids: list[list[Frame]] = []
    for frame in frames:
        home = next((grid for grid in grids if _shares_grid(grid[0], frame)), None)
        if home is None:
            grids.append([frame])
        else:
            home.append(frame)
    return [scan for grid in grids for scan in _scans_of_grid(grid)]


def same_grid(one: Frame, other: Frame) -> bool:
    """Whether two slices have the same matrix, orientation and pixel spacing."""
    directions = [[*frame.row_direction, *frame.column_direction] for frame in (one, other)]
    same_plane = np.allclose(directions[1], directions[0], atol=1e-3)
    same_spacing = np.allclose(other.spacing_mm_rc, one.spacing_mm_rc, rtol=1e-3)
    return bool(same_plane and same_spacing and one.shape_rc == other.shape_rc)


def _shares_grid(one: Frame, other: Frame) -> bool:
    return one.mark.frame_of_reference == other.mark.frame_of_reference and same_grid(one, other)


@dataclass
class _Block:
    """Slices that were acquired one after the other, in one direction."""

    slices: list[int]
    low_mm: float
    high_mm: float
    direction: int = 0
    step_mm: float = 0.0

    def side_of(self, other: _Block) -> int:
        """1 where the other lies beyond this one's upper end, -1 below it, 0 where they overlap."""
        return 1 if other.low_mm > self.high_mm else -1 if other.high_mm < self.low_mm else 0

    def extend(self, other: _Block) -> bool:
        """Takes the other in if it goes on in the same direction, and not at a shorter step: that begins a scan too."""
        side = self.side_of(other)
        step_mm = max(other.low_mm - self.high_mm, self.low_mm - other.high_mm)
        if side == 0 or self.direction == -side or step_mm < _SHORTER * self.step_mm:
            return False
        self.slices += other.slices
        self.low_mm, self.high_mm = min(self.low_mm, other.low_mm), max(self.high_mm, other.high_mm)
        self.direction, self.step_mm = side, step_mm
        return True


def _scans_of_grid(frames: list[Frame]) -> list[list[Frame]]:
    normal = frames[0].normal * np.sign(frames[0].normal[2])
    heights = [float(frame.position_lps_mm @ normal) for frame in frames]
    scans: list[list[_Block]] = []
    for block in _blocks(frames, heights):
        fits = (scan for scan in scans if all(part.side_of(block) for part in scan))
        home = next(fits, None)
        if home is None:
            scans.append([block])
        else:
            home.append(block)
    found = [sorted(number for block in scan for number in block.slices) for scan in scans]
    if len(found) > 1 and _is_disorder(frames, heights, found):
        return [frames]
    return [[frames[number] for number in scan] for scan in found]


def _blocks(frames: Sequence[Frame], heights: Sequence[float]) -> list[_Block]:
    """The slices in the order of their acquisition numbers and times, cut where the direction turns."""
    with_times = all(frame.mark.time is not None for frame in frames)

    def order(number: int) -> tuple[float, str, tuple[str, float]]:
        mark = frames[number].mark
        numeric = int(mark.number) if mark.number.lstrip("+-").isdecimal() else math.inf
        return numeric, mark.number, (mark.time if with_times and mark.time else ("", 0.0))

    blocks: list[_Block] = []
    for _, group in itertools.groupby(sorted(range(len(frames)), key=order), key=order):
        slices = list(group)
        its_heights = [heights[number] for number in slices]
        atom = _Block(slices, min(its_heights), max(its_heights))
        if not blocks or not blocks[-1].extend(atom):
            blocks.append(atom)
    return blocks


def _is_disorder(frames: Sequence[Frame], heights: Sequence[float], scans: Sequence[Sequence[int]]) -> bool:
    """Whether what looks like several scans is one whose numbers or times are in no order.

    Each slice then has its own place, no acquisition number joins slices, and the parts are many or of one slice.
    """
    numbers = {frame.mark.number for frame in frames}
    tells_nothing = len(numbers) in (1, len(frames))
    distinct = bool((np.diff(sorted(heights)) >= SAME_POSITION_MM).all())
    return distinct and tells_nothing and (len(scans) > _MOST_RUNS or min(map(len, scans)) < 2)
