# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Which labels of a mask are blood: the user's choice, and what is taken where nothing was chosen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from monai_ich.reading.slice_reading import as_mask
from monai_ich.utils.errors import ImageReadError, cut

OPTION = "--mask-labels"
# The one label of a file that may be taken without a choice: masks hold 0 and 1, pictures 0 and 255.
PLAIN_LABELS = (1, 255)
_MOST_SHOWN = 12
_MOST_COUNTED = 1 << 16


@dataclass(frozen=True)
class Segment:
    """One segment of a file that names its segments.

    Attributes:
        name: as the file has it.
        number: its label value or Segment Number.
        pixels: how many it has, None where that is not known yet.
    """

    name: str
    number: int
    pixels: int | None = None

    def __str__(self) -> str:
        count = "" if self.pixels is None else f", {self.pixels} voxels"
        return f"{self.name!r} ({self.number}{count})"


def numbers_among(chosen: Sequence[str]) -> tuple[int, ...]:
    """The label numbers of a choice.

    >>> numbers_among(("1", "haematoma", "4"))
    (1, 4)
    """
    return tuple(int(name) for name in chosen if name.isascii() and name.isdigit() and len(name) < 10)


def choose_segments(segments: Sequence[Segment], chosen: Sequence[str], path: Path) -> list[int]:
    """Places of the segments that are blood; several of one name are taken together.

    A choice is a segment's name, in whatever case, or its number. Of several choices, those that a file does not have
    are passed over, as files of one folder may differ. One must be there.

    Raises:
        ImageReadError: several segments and none chosen, none that was chosen, or one number of several segments.
    """
    if not chosen and len({segment.name for segment in segments}) == 1:
        return list(range(len(segments)))
    names = {name.casefold().strip() for name in chosen}
    found = [place for place, segment in enumerate(segments) if segment.name.casefold().strip() in names]
    taken = {segments[place].name.casefold().strip() for place in found}
    for number in numbers_among([name for name in chosen if name.casefold().strip() not in taken]):
        numbered = [place for place, segment in enumerate(segments) if segment.number == number]
        if len(numbered) > 1:
            raise ImageReadError(
                path,
                f"has {len(numbered)} segments of number {number}: {_listed([segments[p] for p in numbered])}",
                f"Choose by name: {OPTION}.",
            )
        found += numbered
    if found:
        return sorted(set(found))
    what = f"no segment {' or '.join(map(repr, chosen))}" if chosen else f"{len(segments)} segments"
    raise ImageReadError(
        path, f"holds {what}; it has {_listed(segments)}", f"Say by name or number which are blood: {OPTION}."
    )


def _listed(segments: Sequence[Segment]) -> str:
    shown = ", ".join(map(str, segments[:_MOST_SHOWN])) or "none"
    return cut(shown + (f" and {len(segments) - _MOST_SHOWN} more" if len(segments) > _MOST_SHOWN else ""))


def label_counts(values: np.ndarray) -> dict[int, int] | None:
    """Label -> its number of voxels, 0 left out; None when a value is no whole number from 0 up, so this is no mask."""
    if values.dtype.kind == "f":
        if not np.isfinite(values).all() or not np.allclose(values, np.rint(values), atol=1e-3):
            return None
        values = np.rint(values)
    if values.size == 0 or values.min() < 0:
        return None if values.size else {}
    if values.max() < _MOST_COUNTED:  # far faster than sorting
        counts = np.bincount(values.astype(np.uint16).ravel())
        return {int(label): int(counts[label]) for label in np.flatnonzero(counts) if label}
    found, numbers = np.unique(values, return_counts=True)
    return {int(label): int(count) for label, count in zip(found, numbers, strict=True) if label}


def blood_of(values: np.ndarray, path: Path, chosen: Sequence[str]) -> np.ndarray:
    """uint8 of the same shape, 1 where a label that was chosen is; for files that give labels no names.

    Without a number among the choice, the file must have one label, 1 or 255. With one, a file may lack all of them:
    this patient has none of it.

    Raises:
        ImageReadError: the values are no labels, other labels are there and none was chosen, or 255 is there, which is
            a picture's only label, and others were chosen.
    """
    counts = label_counts(values)
    if counts is None:
        return as_mask(values, path)  # refuses it in the words of training's reader
    numbers = numbers_among(chosen)
    if not numbers and (set(counts) <= {1} or set(counts) <= {255}):
        return as_mask(values, path)
    if not numbers or (set(counts) == {255} and 255 not in numbers):
        expected = f"expected {' or '.join(map(str, numbers or PLAIN_LABELS))} alone"
        raise ImageReadError(
            path,
            f"holds the labels {counts_in_words(counts)}, beside 0; {expected}, as nothing says which are blood",
            f'Say which numbers are blood, such as {OPTION} "1,4"; where edges are blurred, threshold first.',
        )
    return as_mask(np.isin(values if values.dtype.kind != "f" else np.rint(values), numbers).view(np.uint8), path)


def counts_in_words(counts: Mapping[int, int]) -> str:
    """Labels with their numbers of voxels.

    >>> counts_in_words({1: 92, 2: 150})
    '1 (92 voxels), 2 (150 voxels)'
    """
    shown = [f"{label} ({count} voxels)" for label, count in list(counts.items())[:_MOST_SHOWN]]
    return ", ".join(shown) + (f" and {len(counts) - _MOST_SHOWN} more" if len(counts) > _MOST_SHOWN else "")
