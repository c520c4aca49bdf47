# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""The slices of one study for a network: decoded and preprocessed as they are asked for, and let go again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset

from monai_ich.reading.hounsfield import ValueCheck, ValueRule
from monai_ich.reading.series import open_series
from monai_ich.reading.series_choice import SeriesChoice
from monai_ich.reading.volumes import is_volume
from monai_ich.utils.errors import ConfigurationError
from monai_ich.utils.keys import Key

# Slices that are decoded at one time: 512 x 512 pixels in float32 take 1 MiB each, and preprocessing as much again.
CHUNK_SLICES = 16


class StudySlices(Dataset):
    """The slices of one CT series, preprocessed as in training: `{"image": float32 (1, S, S), "index": int}`.

    Only the slices of one chunk are in memory. In order, each is decoded once.

    Attributes:
        source: where they come from.
        preprocessing: the one of training.
        series: decodes them.
        geometry: of all of them, from foot to head.
        file_names: names of files may be written into results.
    """

    def __init__(
        self,
        source: str | Path,
        preprocessing: Callable[[Any], Any],
        series_uid: str = "",
        series_description: str = "",
        acquisition: int = 0,
        file_names: bool = False,
        offset_hu: float = 0.0,
        any_values: bool = False,
        allow_lossy: bool = False,
    ) -> None:
        """Reads the headers of the series and some of its slices; the others are decoded later.

        Args:
            source: a DICOM file, a folder of one series, or a volume such as NIfTI.
            preprocessing: the one of training.
            series_uid: which series of a folder, see `SeriesChoice`.
            series_description: the same by a part of its description.
            acquisition: which scan of a series.
            file_names: names of files may be written into results. They are often names of patients.
            offset_hu: added to the values to make HU of them.
            any_values: take values that do not look like HU.
            allow_lossy: take pixels that were compressed with loss at more than 15:1.

        Raises:
            ConfigurationError: when no source is named, or the choice of the series is none.
            ImageReadError: when it is not one axial CT series in HU, was compressed with too much loss, or cannot be
                read.
        """
        if not str(source):
            raise ConfigurationError(
                "input: expected a DICOM file, a folder of DICOM slices or a NIfTI volume, got none."
            )
        choice = SeriesChoice(str(series_uid), str(series_description), acquisition)  # MONAI reads "5" as a number
        self.source, self.preprocessing, self.file_names = Path(source), preprocessing, file_names
        rule = ValueRule(offset_hu, is_checked=not any_values)
        self.series = open_series(self.source, choice, allow_gaps=True, values=rule, allow_lossy=allow_lossy)
        self.geometry = self.series.geometry
        self._first, self._images = 0, torch.empty(0)
        self._check = ValueCheck() if rule.is_checked else None
        self._judged: set[int] = set()
        if rule.is_checked:
            self._refuse_no_hu()

    def __len__(self) -> int:
        return len(self.series)

    def __getitem__(self, index: int) -> dict[str, Any]:
        """One slice.

        Raises:
            ImageReadError: with all slices of the series that cannot be decoded.
        """
        if not self._first <= index < self._first + len(self._images):
            self._images = torch.empty(0)  # let go before the next ones are decoded
            self._first = index // CHUNK_SLICES * CHUNK_SLICES
            stack = self.series.read(range(self._first, min(self._first + CHUNK_SLICES, len(self))))
            if self._check is not None and self._first not in self._judged:
                self._judged.add(self._first)
                self._check.add(stack.pixels, stack.paths)
            self._images = torch.as_tensor(np.asarray(self.preprocessing({Key.IMAGE: stack})[Key.IMAGE]))  # (n, S, S)
        return {Key.IMAGE.value: self._images[index - self._first][None].clone(), Key.INDEX.value: index}

    def _refuse_no_hu(self) -> None:
        """Looks at some slices, so that a whole series of other values is refused before a network runs on it."""
        spread = np.unique(np.linspace(0, len(self) - 1, CHUNK_SLICES).round().astype(int)).tolist()
        check = ValueCheck()
        for number in spread:
            stack = self.series.read([number])
            check.add(stack.pixels, stack.paths)
        check.refuse(self.source)

    def refuse_no_hu(self) -> None:
        """Looks at all slices that were asked for; to be called before anything is written of them.

        Raises:
            ImageReadError: their values do not look like HU.
        """
        if self._check is not None:
            self._check.refuse(self.source)

    def images(self, numbers: Sequence[int]) -> torch.Tensor:
        """(n, 1, S, S) of some slices.

        Raises:
            ImageReadError: see `__getitem__`.
        """
        return torch.stack([self[number][Key.IMAGE.value] for number in numbers])

    @property
    def shown_source(self) -> str:
        """What a result says of where it comes from: the kind of the source, or its name where that was asked for."""
        if self.file_names:
            return self.source.name
        return "volume file" if is_volume(self.source) else "DICOM series"
