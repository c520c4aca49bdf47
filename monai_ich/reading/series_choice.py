# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Which of the series of a folder is meant: by UID, description and acquisition, or an error that lists them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from monai_ich.reading.acquisition_runs import separate_scans
from monai_ich.reading.dicom_frames import Frame
from monai_ich.utils.errors import ConfigurationError, ImageReadError, shown


@dataclass(frozen=True)
class SeriesChoice:
    """What is asked for.

    Attributes:
        uid: Series Instance UID (0020,000E); empty takes any.
        description: a regular expression that Series Description (0008,103E) must contain; empty takes any.
        acquisition: which of the scans under one Series Instance UID, numbered from 1 as the error lists them; 0 for
            none.

    Raises:
        ConfigurationError: the description is no regular expression, or the acquisition no number.
    """

    uid: str = ""
    description: str = ""
    acquisition: int = 0

    def __post_init__(self) -> None:
        try:
            re.compile(self.description)
        except re.error as error:
            raise ConfigurationError(
                f"series_description: expected a part of the Series Description or a regular expression, got "
                f"{self.description!r} ({error}). Put a backslash before signs such as ( [ + *."
            ) from error
        if isinstance(self.acquisition, bool) or not isinstance(self.acquisition, int) or self.acquisition < 0:
            raise ConfigurationError(
                f"acquisition: expected its number in the list, from 1, or 0 for none, got {self.acquisition!r}."
            )

    @property
    def is_open(self) -> bool:
        """Nothing is asked for."""
        return not (self.uid or self.description or self.acquisition)

    def takes(self, scan: SeriesScan) -> bool:
        """Whether a scan is among what is asked for."""
        return (
            self.uid in ("", scan.series.uid)
            and re.search(self.description, scan.series.description) is not None
            and self.acquisition in (0, scan.number)
        )


@dataclass(frozen=True)
class FoundSeries:
    """The axial CT frames of one Series Instance UID.

    Attributes:
        uid, number, description: of the first file; the number is Series Number (0020,0011).
        frames: in no order.
    """

    uid: str
    number: str
    description: str
    frames: list[Frame] = field(default_factory=list)


@dataclass(frozen=True)
class SeriesScan:
    """Frames that can be one volume, and which of its series' scans they are: `number` of `count`, from 1."""

    series: FoundSeries
    frames: list[Frame]
    number: int
    count: int

    def __str__(self) -> str:
        first = self.frames[0]
        place = f", acquisition {self.number} of {self.count}" if self.count > 1 else ""
        number = f", AcquisitionNumber {shown(first.mark.number, 20)}" if place and first.mark.number else ""
        known = sorted({frame.thickness_mm for frame in self.frames if not np.isnan(frame.thickness_mm)})
        thick = " to ".join(f"{mm:g}" for mm in dict.fromkeys([*known[:1], *known[-1:]]))
        rows, columns = first.shape_rc
        plural = "" if len(self.frames) == 1 else "s"
        return (
            f"{self.series.uid}{place} (series number {self.series.number}, {len(self.frames)} slice{plural}): "
            f"description {shown(self.series.description, 64)}{number}, {thick or 'unknown'} mm thick, "
            f"{columns} x {rows} pixels"
        )


def choose_scan(series: Mapping[str, FoundSeries], where: Path | str, choice: SeriesChoice) -> list[Frame]:
    """The frames of the only scan that `choice` takes.

    Raises:
        ImageReadError: there are none, or several; the message lists them, and says with which options to choose.
    """
    if not series:
        raise ImageReadError(where, "holds no axial CT slice in DICOM", "Give a folder of CT slices, or a volume file.")
    scans = list(_scans(series.values()))
    taken = [scan for scan in scans if choice.takes(scan)]
    if len(taken) == 1:
        return taken[0].frames
    if not taken:
        asked = [
            choice.uid,
            f"with {choice.description!r} in its description" if choice.description else "",
            f"with an acquisition {choice.acquisition}" if choice.acquisition else "",
        ]
        words = " ".join(filter(None, asked))
        raise ImageReadError(
            where, f"holds no CT series {words}; it holds:\n{_list(scans)}\nOne of them is expected", _remedy(scans)
        )
    uids = {scan.series.uid for scan in taken}
    if len(uids) == 1:
        what = f"{len(taken)} acquisitions under one Series Instance UID, which are no slices of one volume"
    else:
        what = f"{len(uids)} CT series" + ("" if choice.is_open else " that fit what is asked for")
    raise ImageReadError(where, f"holds {what}:\n{_list(taken)}\nOne must be chosen", _remedy(taken))


def _scans(series: Iterable[FoundSeries]) -> Iterator[SeriesScan]:
    for one in series:
        parts = separate_scans(one.frames)
        yield from (SeriesScan(one, frames, number, len(parts)) for number, frames in enumerate(parts, start=1))


def _list(scans: Sequence[SeriesScan]) -> str:
    return "\n".join(f"  - {scan}" for scan in scans)


def _remedy(scans: Sequence[SeriesScan]) -> str:
    """The options of `predict` and `gradcam`; a bundle's settings have the same names with underscores."""
    options = []
    if len({scan.series.uid for scan in scans}) > 1:
        options.append("--series-uid, or by a part of its description with --series-description")
    if any(scan.count > 1 for scan in scans):
        options.append("--acquisition and its number here")
    if not options:
        return ""
    names = "series_uid, series_description, acquisition"
    return f"Choose it with {'; and with '.join(options)}. (In a bundle's config: {names}.)"
