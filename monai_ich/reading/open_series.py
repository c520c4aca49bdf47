# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""A series whose headers were read and whose pixels are decoded some slices at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset

from monai_ich.reading.dicom_frames import Frame, open_dicom
from monai_ich.reading.geometry import SliceGeometry, SliceStack, find_reorientation
from monai_ich.reading.slice_reading import (
    decode_to_values,
    frames_geometry,
    stack_of,
    volume_geometry,
    volume_values,
    with_pixels,
)
from monai_ich.reading.volumes import open_volume
from monai_ich.utils.errors import FaultList, ImageReadError


@dataclass(frozen=True, eq=False)
class OpenSeries:
    """One CT series: its geometry is known, and its slices are decoded when they are asked for.

    Attributes:
        geometry: of all N slices, from foot to head.
        decode: positions 0..N-1 -> these slices in HU.
    """

    geometry: SliceGeometry
    decode: Callable[[Sequence[int]], SliceStack]

    def __len__(self) -> int:
        return len(self.geometry.slice_index)

    def read(self, numbers: Sequence[int]) -> SliceStack:
        """Decodes some of the slices; every slice that is ever decoded passes here.

        Raises:
            ImageReadError: with all damaged slices of the series, also those that were not asked for.
        """
        return self.decode(numbers)

    def chunks(self, size: int) -> Iterator[SliceStack]:
        """The slices in order, at most `size` at a time."""
        for start in range(0, len(self), size):
            yield self.read(range(start, min(start + size, len(self))))


def open_frames(frames: Sequence[Frame], offset_hu: float = 0.0) -> OpenSeries:
    """The series of frames in order, `offset_hu` added to its values; no pixel is decoded yet.

    Raises:
        ImageReadError: when the slices are not axial, or differ among themselves in orientation, spacing or size.
    """
    geometry = frames_geometry(frames, range(len(frames)))
    decoder = _FrameDecoder(frames, offset_hu)
    return OpenSeries(geometry, lambda numbers: with_pixels(geometry.take(numbers), decoder.values(numbers)))


@dataclass(eq=False)
class _FrameDecoder:
    """Decodes frames; the last file stays open as long as frames of it are asked for."""

    frames: Sequence[Frame]
    offset_hu: float
    _file: tuple[Path, Dataset] | None = field(default=None, repr=False)

    def values(self, numbers: Sequence[int]) -> np.ndarray:
        """(n,H,W) HU in the order of `numbers`, rows and columns as stored; each file is opened once.

        Raises:
            ImageReadError: with all damaged files of the series.
        """
        values = np.empty((0, *self.frames[0].shape_rc), dtype=np.float32)
        faults = FaultList(f"{len({f.path for f in self.frames})} files make up the series; some cannot be decoded")
        for path, positions in self._by_file(numbers).items():
            try:
                decoded = self._decode(path, [numbers[p] for p in positions])
            except ImageReadError as error:
                faults.add(str(error))
                continue
            if not len(values):  # the first file has proved its size, so the header may be believed
                values = np.empty((len(numbers), *self.frames[0].shape_rc), dtype=np.float32)
            values[positions] = decoded
        if len(faults):
            self._add_others(faults, numbers)
        faults.raise_if_any(ImageReadError)
        return values

    def _by_file(self, numbers: Sequence[int]) -> dict[Path, list[int]]:
        by_file: dict[Path, list[int]] = {}
        for position, number in enumerate(numbers):
            by_file.setdefault(self.frames[number].path, []).append(position)
        return by_file

    def _decode(self, path: Path, numbers: Sequence[int]) -> np.ndarray:
        if self._file is None or self._file[0] != path:
            self._file = None  # let go before the next one is read
            self._file = path, open_dicom(path)
        frames = [self.frames[number] for number in numbers]
        return decode_to_values(self._file[1], frames, "image", self.offset_hu)

    def _add_others(self, faults: FaultList, known: Sequence[int]) -> None:
        """A series with a damaged slice is of no use, so the rest of it is looked through for others."""
        done = {self.frames[number].path for number in known}
        others = [number for number, frame in enumerate(self.frames) if frame.path not in done]
        for path, positions in self._by_file(others).items():
            try:
                self._decode(path, [others[position] for position in positions])
            except ImageReadError as error:
                faults.add(str(error))


def open_volume_file(path: Path, offset_hu: float = 0.0) -> OpenSeries:
    """The series in a volume file, such as NIfTI, `offset_hu` added to its values.

    Raises:
        ImageReadError: when its header, or the packing of a .nii.gz, is damaged, or its orientation is unknown.
    """
    volume = open_volume(path)
    reorientation = find_reorientation(volume.affine_ras_mm, path)
    geometry = volume_geometry(reorientation, volume.shape, volume.affine_ras_mm, path)
    axis = reorientation.axes[0]
    stored = volume if axis == 2 else volume.loaded()

    def decode(numbers: Sequence[int]) -> SliceStack:
        first = min(numbers)
        slices = reorientation.apply(stored.part(axis, first, max(numbers) + 1))
        values = volume_values(slices[[number - first for number in numbers]], path, "image", offset_hu)
        return stack_of(geometry.take(numbers), values)

    return OpenSeries(geometry, decode)
