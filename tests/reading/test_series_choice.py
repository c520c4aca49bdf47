# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Several series in a folder, and several scans under one Series Instance UID: never a mixture, always a choice."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset

from monai_ich.reading import read_series
from monai_ich.reading.series_choice import SeriesChoice
from monai_ich.utils.errors import ConfigurationError, ImageReadError

LOW = tuple(range(0, 40, 5))  # eight heights of a scan, mm


@pytest.fixture
def write(tmp_path: Path, write_dicom: Callable[..., Path]) -> Callable[..., Path]:
    """Adds slices to the folder; the pixels of each say to which scan it belongs."""

    def add(heights_mm: Sequence[float], scan: int, of_slice: Callable[[int], dict[str, Any]] = lambda _: {}) -> Path:
        for number, height in enumerate(heights_mm):
            settings = of_slice(number)
            spacing, orientation = settings.pop("spacing", (0.5, 0.5)), settings.pop("orientation", (1, 0, 0, 0, 1, 0))

            def change(dataset: Dataset, settings: dict[str, Any] = settings) -> None:
                for keyword, value in settings.items():
                    setattr(dataset, keyword, value)

            path = tmp_path / f"{(number * 7) % 53:02d}-{len(list(tmp_path.iterdir()))}.dcm"
            pixels = np.full((8, 6), scan, np.int16)
            write_dicom(path, pixels, (0, 0, height), orientation=orientation, spacing=spacing, change=change)
        return tmp_path

    return add


def _scans(folder: Path) -> list[tuple[int, int]]:
    """(scan, slices) of every acquisition of the folder, each one read by its number in the list."""
    try:
        whole = read_series(folder, allow_gaps=True)
    except ImageReadError as error:
        message = str(error)
    else:
        return [(int(np.unique(whole.pixels).item()) if len(np.unique(whole.pixels)) == 1 else -1, len(whole.pixels))]
    assert "--acquisition" in message, message
    count = message.count("\n  - ")
    found = []
    for number in range(1, count + 1):
        stack = read_series(folder, allow_gaps=True, choice=SeriesChoice(acquisition=number))
        assert len(np.unique(stack.pixels)) == 1, "a mixture"
        found.append((int(stack.pixels[0, 0, 0]), len(stack.pixels)))
    with pytest.raises(ImageReadError, match=f"holds no CT series with an acquisition {count + 1}; it holds"):
        read_series(folder, choice=SeriesChoice(acquisition=count + 1))
    return found


def _times(start: int, step: int = 1) -> Callable[[int], dict[str, Any]]:
    return lambda number: {"AcquisitionTime": f"10{start + step * number:04d}.50", "AcquisitionNumber": 1}


def _each_its_number(start: int) -> Callable[[int], dict[str, Any]]:
    return lambda number: {"AcquisitionNumber": start + number}


@pytest.mark.parametrize("shift_mm", [0.0, 2.5])
@pytest.mark.parametrize(
    ("first", "second"),
    [
        (lambda _: {"AcquisitionNumber": 1}, lambda _: {"AcquisitionNumber": 2}),
        (_each_its_number(1), _each_its_number(9)),
        (_times(0), _times(30)),
        (lambda _: {"AcquisitionTime": "100000"}, lambda _: {"AcquisitionTime": "100200"}),
        (lambda _: {"AcquisitionDateTime": "20260101100000"}, lambda _: {"AcquisitionDateTime": "20260102090000"}),
        (lambda _: {"FrameOfReferenceUID": "1.2"}, lambda _: {"FrameOfReferenceUID": "1.3"}),
    ],
)
@pytest.mark.parametrize("backwards", [False, True])
def test_two_scans_of_one_place_are_told_apart(
    write: Callable[..., Path], first: Any, second: Any, shift_mm: float, backwards: bool
) -> None:
    write(LOW, 1, first)
    heights = [height + shift_mm for height in LOW]
    folder = write(heights[::-1] if backwards else heights, 2, second)
    assert _scans(folder) == [(1, 8), (2, 8)]


@pytest.mark.parametrize(
    "other",
    [
        {"spacing": (0.4, 0.4)},
        {"orientation": (1, 0, 0, 0, 0.9848, 0.1736)},
        {"FrameOfReferenceUID": "1.9"},
    ],
)
def test_slices_of_another_grid_are_another_scan_wherever_they_lie(write: Callable[..., Path], other: Any) -> None:
    write(LOW, 1)
    folder = write([100, 105, 110], 2, lambda _: dict(other))
    assert _scans(folder) == [(1, 8), (2, 3)]


def test_scans_side_by_side_are_one_volume(write: Callable[..., Path]) -> None:
    """A thin base and a thick vertex have two acquisition numbers, a sequential scan as many as rotations."""
    write(LOW, 1, lambda n: {"AcquisitionNumber": 1 + n // 4, "AcquisitionTime": f"1000{n // 4:02d}"})
    folder = write([42.5, 50, 57.5], 1, lambda _: {"AcquisitionNumber": 7, "AcquisitionTime": "095959"})
    stack = read_series(folder, allow_gaps=True)
    assert len(stack.pixels) == 11


def test_rotations_within_which_time_runs_the_other_way_are_one_volume(write: Callable[..., Path]) -> None:
    folder = write(LOW, 1, lambda n: {"AcquisitionTime": f"1000{10 * (n // 2) + 1 - n % 2:02d}"})
    assert len(read_series(folder).pixels) == 8


def test_times_in_no_order_make_no_scans(write: Callable[..., Path]) -> None:
    order = [3, 0, 6, 1, 7, 2, 5, 4]
    folder = write(LOW, 1, lambda n: {"AcquisitionTime": f"1000{order[n]:02d}"})
    assert len(read_series(folder).pixels) == 8


def test_a_malformed_acquisition_loses_no_slice(write: Callable[..., Path]) -> None:
    folder = write(LOW, 1, lambda _: {"AcquisitionTime": "noon", "AcquisitionDateTime": "x"})
    assert len(read_series(folder).pixels) == 8


def test_a_slice_of_another_acquisition_among_others_is_not_mixed_in(write: Callable[..., Path]) -> None:
    write(LOW, 1, lambda _: {"AcquisitionNumber": 1})
    folder = write([17.5], 2, lambda _: {"AcquisitionNumber": 2})
    assert _scans(folder) == [(1, 8), (2, 1)]


def test_series_are_chosen_by_uid_or_description(write: Callable[..., Path], tmp_path: Path) -> None:
    def of(uid: str, description: str, number: int) -> Callable[[int], dict[str, Any]]:
        return lambda _: {"SeriesInstanceUID": uid, "SeriesDescription": description, "SeriesNumber": number}

    write(LOW, 1, of("1.2.3.1", "Head 5.0 H30s", 2))
    write(LOW[:4], 2, of("1.2.3.2", "Head 1.0 (bone)", 3))
    with pytest.raises(ImageReadError) as caught:
        read_series(tmp_path)
    message = str(caught.value)
    assert "1.2.3.1 (series number 2, 8 slices): description 'Head 5.0 H30s', 5 mm thick, 6 x 8 pixels" in message
    assert "1.2.3.2 (series number 3, 4 slices): description 'Head 1.0 (bone)'" in message
    assert all(option in message for option in ("--series-uid", "--series-description", "series_uid"))
    assert "--acquisition" not in message
    for choice, scan in (
        (SeriesChoice("1.2.3.2"), 2),
        (SeriesChoice(description="H30"), 1),
        (SeriesChoice(description=r"^Head 1\."), 2),
        (SeriesChoice(description=r"\(bone\)$", acquisition=1), 2),
    ):
        assert np.unique(read_series(tmp_path, choice=choice).pixels).tolist() == [scan]
    with pytest.raises(ImageReadError, match="holds 2 CT series that fit what is asked for"):
        read_series(tmp_path, choice=SeriesChoice(description="Head"))
    with pytest.raises(ImageReadError, match=r"holds no CT series with 'neck' in its description; it holds:\n"):
        read_series(tmp_path, choice=SeriesChoice(description="neck"))


def test_what_is_no_choice_is_refused(tmp_path: Path, write_nifti: Callable[..., Path]) -> None:
    with pytest.raises(ConfigurationError, match=r"series_description: .* got '\(' \(.*Put a backslash"):
        SeriesChoice(description="(")
    with pytest.raises(ConfigurationError, match="acquisition: expected its number"):
        SeriesChoice(acquisition=-1)
    path = write_nifti(tmp_path / "v.nii", np.zeros((3, 8, 6), np.int16))
    with pytest.raises(ImageReadError, match="is a volume, which holds no DICOM series"):
        read_series(path, choice=SeriesChoice(acquisition=1))


def test_frames_of_an_enhanced_file_have_acquisitions_of_their_own(
    tmp_path: Path, write_enhanced: Callable[..., Path]
) -> None:
    heights = [0.0, 5.0, 10.0, 15.0] * 2
    path = write_enhanced(
        tmp_path / "e.dcm", np.repeat(np.array([1, 2], np.int16), 4)[:, None, None] * np.ones((8, 8, 6), np.int16),
        [np.array([0.0, 0.0, z]) for z in heights], [(1.0, 0.0)],
    )  # fmt: skip
    dataset = pydicom.dcmread(path)
    for number, frame in enumerate(dataset.PerFrameFunctionalGroupsSequence):
        content = Dataset()
        content.FrameAcquisitionNumber = 1 + number // 4
        frame.FrameContentSequence = pydicom.Sequence([content])
    dataset.save_as(path)
    assert _scans(tmp_path) == [(1, 4), (2, 4)]
