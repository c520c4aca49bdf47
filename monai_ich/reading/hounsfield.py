# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Tells Hounsfield units from other values: a head CT has air, bone, and soft tissue around 30 HU between them.

A window of HU makes a picture of any values, and a network a number of any picture. So values that are no HU have to be
found before they are used.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from monai_ich.utils.errors import ImageReadError

ANY_VALUES = "any"

# Smaller images are no CT slices, and too few pixels to judge.
_LEAST_PIXELS = 48 * 48
_JUDGED_SIDE = 256  # pixels of a larger slice that are looked at, about, along each side
_LOW, _HIGH = -1024, 36_000  # of the histogram, one bin for each whole value
_AIR_HU, _TISSUE_HU, _BONE_HU, _DENSE_HU = -500, -850, 300, 900
_SOFT_HU = (-150, 100)  # from fat to clotted blood
_BRAIN_HU = (15, 50)  # where the commonest value of soft tissue lies

# Of five real heads and 800 phantom slices, single slices included, the least and the most were: air .146, soft .44,
# bone .017 and .31.
_LEAST_AIR = 0.02  # of all pixels of a volume
_LEAST_AIR_OF_A_SLICE = 0.002
_LEAST_TISSUE = 0.05  # of all pixels; with less there is no head to judge
_LEAST_SOFT = 0.2  # of tissue
_LEAST_BONE, _MOST_DENSE = 0.002, 0.35  # of tissue
_LEAST_CUT_OFF = 0.1  # of all pixels: those that have the lowest value, where lower ones were set to it

# What programs add to HU, or leave out.
_OFFSETS = (-1024, -1000, 1024, 1000, -2048, -4096, -8192, -32768)


@dataclass(frozen=True)
class ValueRule:
    """What to do with a file's values.

    Attributes:
        offset_hu: added to them; -1024 for HU + 1024.
        is_checked: they must look like HU.
    """

    offset_hu: float = 0.0
    is_checked: bool = True

    @classmethod
    def parse(cls, text: str) -> ValueRule:
        """The rule that a manifest's column `image_values` or an option states: empty, "any", or an offset in HU.

        >>> ValueRule.parse(""), ValueRule.parse("any").is_checked, ValueRule.parse("-1024").offset_hu
        (ValueRule(offset_hu=0.0, is_checked=True), False, -1024.0)

        Raises:
            ValueError: it is none of them.
        """
        if text == ANY_VALUES:
            return cls(is_checked=False)
        offset = float(text or 0)
        if not math.isfinite(offset):
            raise ValueError(f"{text!r} is no offset in HU")
        return cls(offset)


HU = ValueRule()


class ValueCheck:
    """Looks at the slices of one volume, some at a time, and refuses the volume where its values are no HU."""

    def __init__(self) -> None:
        self._counts = np.zeros(_HIGH - _LOW, dtype=np.int64)
        self._range = (math.inf, -math.inf)
        self._airless: list[Path] = []

    def add(self, slices: np.ndarray, paths: Sequence[Path]) -> None:
        """Takes slices (N,H,W) and the file of each."""
        if math.prod(slices.shape[1:]) < _LEAST_PIXELS:
            return
        step = max(1, max(slices.shape[1:]) // _JUDGED_SIDE)
        for pixels, path in zip(slices[:, ::step, ::step], paths, strict=True):
            self._range = (min(self._range[0], float(pixels.min())), max(self._range[1], float(pixels.max())))
            bins = np.clip(np.rint(pixels), _LOW, _HIGH - 1).astype(np.int32).ravel() - _LOW
            counts = np.bincount(bins, minlength=len(self._counts))
            self._counts += counts
            if counts[: _AIR_HU - _LOW + 1].sum() < _LEAST_AIR_OF_A_SLICE * bins.size:
                self._airless.append(path)

    def refuse(self, source: Path | None) -> None:
        """Raises ImageReadError, naming `source`, when what was added does not look like a head CT in HU."""
        if not self._counts.any():
            return
        shares = _Shares.of(self._counts)
        if shares.fault:
            likely, remedy = self._likely(shares)
            raise ImageReadError(source, f"its values are no Hounsfield units: {shares.fault}. {likely}", remedy)
        if self._airless:
            raise ImageReadError(
                self._airless[0],
                f"its values are no Hounsfield units: this slice shows no air, which others of its volume do "
                f"({len(self._airless)} such slices)",
                _remedy("Correct the Rescale Intercept (0028,1052) of these slices."),
            )

    def _likely(self, shares: _Shares) -> tuple[str, str]:
        """What the values probably are, and what to do."""
        low, high = self._range
        offset = _likely_offset(self._counts)
        if offset:
            return f"They look like HU {-offset:+d}", _remedy("Correct them.", f"{offset:d}")
        convert = _remedy("Convert them to HU, or take the original series.")
        if low >= -1.001 and high <= 1.001:
            return "They look like grey values from 0 to 1 of a window", convert
        if low >= 0 and high <= 255:
            return "They look like grey values from 0 to 255 of a window", convert
        if shares.air >= _LEAST_AIR:
            why = "an intercept is used twice, the skull is taken away, or values are inverted"
            return f"They lie between {low:g} and {high:g}, as where {why}", convert
        if low > _TISSUE_HU and self._is_cut_off(low):
            what = "cut off below" if high > _BONE_HU else "skull-stripped, or cut off below and above"
            return f"They look like HU that were {what} ({low:g} to {high:g})", convert
        return f"They lie between {low:g} and {high:g}, as in MR or in units of another kind", convert

    def _is_cut_off(self, low: float) -> bool:
        """Whether many pixels have the lowest value, and many of the others that of soft tissue."""
        lowest = int(np.clip(round(low), _LOW, _HIGH - 1)) - _LOW
        others = self._counts.copy()
        others[lowest] = 0
        soft = others[_SOFT_HU[0] - _LOW : _SOFT_HU[1] + 1 - _LOW].sum()
        is_common = self._counts[lowest] >= _LEAST_CUT_OFF * self._counts.sum()
        return bool(is_common and soft >= _LEAST_SOFT * others.sum())


@dataclass(frozen=True)
class _Shares:
    """Shares of the pixels: air and tissue of all; soft tissue, bone and dense bone of tissue."""

    air: float
    tissue: float
    soft: float
    bone: float
    dense: float

    @classmethod
    def of(cls, counts: np.ndarray) -> _Shares:
        """Of a histogram with one bin for each HU from `_LOW`."""
        total, tissue = int(counts.sum()), int(counts[_TISSUE_HU + 1 - _LOW :].sum())
        return cls(
            air=counts[: _AIR_HU + 1 - _LOW].sum() / total,
            tissue=tissue / total,
            soft=counts[_SOFT_HU[0] - _LOW : _SOFT_HU[1] + 1 - _LOW].sum() / max(tissue, 1),
            bone=counts[_BONE_HU + 1 - _LOW :].sum() / max(tissue, 1),
            dense=counts[_DENSE_HU + 1 - _LOW :].sum() / max(tissue, 1),
        )

    @property
    def fault(self) -> str:
        """What is missing for a head CT in HU; empty where nothing is."""
        if self.air < _LEAST_AIR:
            return f"air, near -1000, has {self.air:.1%} of the pixels; expected {_LEAST_AIR:.0%} or more"
        if self.tissue < _LEAST_TISSUE:
            return ""
        limits = (
            (
                self.soft < _LEAST_SOFT,
                f"soft tissue, {_SOFT_HU[0]} to {_SOFT_HU[1]}",
                self.soft,
                f"{_LEAST_SOFT:.0%} or more",
            ),
            (self.bone < _LEAST_BONE, f"bone, above {_BONE_HU}", self.bone, f"{_LEAST_BONE:.1%} or more"),
            (self.dense > _MOST_DENSE, f"dense bone, above {_DENSE_HU}", self.dense, f"{_MOST_DENSE:.0%} or less"),
        )
        for is_outside, what, share, expected in limits:
            if is_outside:
                return f"{what}, has {share:.1%} of what is no air; expected {expected}"
        return ""


def _likely_offset(counts: np.ndarray) -> int:
    """The number that makes HU of the values, the commonest first; 0 where none does."""
    found = {}
    for offset in _OFFSETS:
        shifted = np.zeros_like(counts)
        bins = np.clip(np.arange(len(counts)) + offset, 0, len(counts) - 1)
        np.add.at(shifted, bins, counts)
        shares = _Shares.of(shifted)
        if shares.tissue >= _LEAST_TISSUE and not shares.fault:
            found[offset] = _mode(shifted, _SOFT_HU[0])
    fitting = [offset for offset, mode in found.items() if _BRAIN_HU[0] <= mode <= _BRAIN_HU[1]]
    return (fitting or list(found) or [0])[0]


def _mode(counts: np.ndarray, above: float) -> int:
    """The commonest value, in HU, above a limit and below bone."""
    smooth = np.convolve(counts, np.ones(5), "same")
    first = int(np.clip(math.floor(above) + 1, _LOW, _BONE_HU - 1))
    return first + int(smooth[first - _LOW : _BONE_HU - _LOW].argmax())


def _remedy(first: str, offset: str = "") -> str:
    add = f"To add {offset}: --offset {offset} (in a manifest: {offset} in column image_values). " if offset else ""
    return f"{first} {add}To take the values as they are: --any-values (in a manifest: {ANY_VALUES})."
