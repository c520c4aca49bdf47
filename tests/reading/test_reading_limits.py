# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Millimetres, pixels and frames at the limits of what is read, on both sides."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from monai_ich.reading import read_series, read_slices
from monai_ich.reading.size_limits import MOST_VOXELS_VARIABLE, most_voxels, refuse_too_many_voxels
from monai_ich.utils.errors import ConfigurationError, ImageReadError


def _series(folder: Path, write_dicom: Callable[..., Path], heights_mm: list[float]) -> Path:
    folder.mkdir()
    for number, height in enumerate(heights_mm):
        write_dicom(folder / f"{number}.dcm", np.zeros((8, 8), np.int16), (0.0, 0.0, height))
    return folder


@pytest.mark.parametrize(
    ("heights_mm", "even"),
    [
        ([0, 5, 10, 15.09], True),  # a fiftieth of 5 mm is a tenth of a millimetre
        ([0, 5, 10, 15.11], False),
        ([0, 5, 10, 14.91], True),
        ([0, 5, 10, 14.89], False),
        ([0, 1, 2, 3.09], True),  # a tenth of a millimetre, whatever the step
        ([0, 1, 2, 3.11], False),
        ([0, 10, 20, 30.19], True),  # a fiftieth of 10 mm is more
        ([0, 10, 20, 30.21], False),
        ([0, 7], True),
    ],
)
def test_a_step_may_differ_by_a_tenth_of_a_millimetre_or_a_fiftieth(
    tmp_path: Path, write_dicom: Callable[..., Path], heights_mm: list[float], even: bool
) -> None:
    folder = _series(tmp_path / "series", write_dicom, heights_mm)
    if even:
        assert len(read_series(folder).pixels) == len(heights_mm)
        return
    with pytest.raises(ImageReadError, match=r"mm apart where the series has .* allow_gaps=True"):
        read_series(folder)
    assert len(read_series(folder, allow_gaps=True).pixels) == len(heights_mm)


@pytest.mark.parametrize(("apart_mm", "one"), [(0.009, True), (0.011, False)])
def test_a_hundredth_of_a_millimetre_tells_two_slices_apart(
    tmp_path: Path, write_dicom: Callable[..., Path], apart_mm: float, one: bool
) -> None:
    folder = _series(tmp_path / "series", write_dicom, [0, apart_mm])
    if one:
        with pytest.raises(ImageReadError, match="lie at the same position"):
            read_series(folder)
    else:
        assert len(read_series(folder).pixels) == 2


@pytest.mark.parametrize(
    ("rows", "columns", "frames", "refused"),
    [(8192, 8192, 1, False), (8192, 8193, 1, True), (1, 1, 20_000, False), (1, 1, 20_001, True), (1, 1, 0, False)],
)
def test_a_header_that_says_more_than_any_scanner_makes_is_refused(
    tmp_path: Path, write_dicom: Callable[..., Path], rows: int, columns: int, frames: int, refused: bool
) -> None:
    """A believed header is refused later, for its pixels are not there."""

    def change(dataset: object) -> None:
        dataset.Rows, dataset.Columns, dataset.NumberOfFrames = rows, columns, frames  # type: ignore[attr-defined]

    path = write_dicom(tmp_path / "a.dcm", np.zeros((4, 4), np.int16), change=change)
    with pytest.raises(ImageReadError) as caught:
        read_slices(path)
    assert ("which no CT has" in str(caught.value)) is refused


def test_the_largest_volume_is_512_megavoxels_or_what_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(MOST_VOXELS_VARIABLE, raising=False)
    assert most_voxels() == 512 * 512 * 2048
    refuse_too_many_voxels((512, 512, 2048), Path("a"))
    with pytest.raises(
        ImageReadError, match=r"\(512, 512, 2049\), 537133056 voxels, and one volume may have 536870912"
    ):
        refuse_too_many_voxels((512, 512, 2049), Path("a"))
    monkeypatch.setenv(MOST_VOXELS_VARIABLE, " 10 ")
    refuse_too_many_voxels((2, 5), Path("a"))
    with pytest.raises(ImageReadError, match="11 voxels"):
        refuse_too_many_voxels((1, 11), Path("a"))
    for wrong in ("0", "-1", "1.5", "ten", "1" * 19):
        monkeypatch.setenv(MOST_VOXELS_VARIABLE, wrong)
        with pytest.raises(ConfigurationError, match="expected a whole number above 0"):
            most_voxels()
    monkeypatch.setenv(MOST_VOXELS_VARIABLE, "1" * 18)
    assert most_voxels() == int("1" * 18)
