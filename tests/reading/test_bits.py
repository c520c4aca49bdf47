# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Bits of stored values: shifted ones are refused, and wrapped negative HU are told from metal."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import RLELossless

from monai_ich.reading import read_slices
from monai_ich.utils.errors import ImageReadError

WriteDicom = Callable[..., Path]
METAL_HU = (3096, 3150, 3300, 4095)


def head(metal_hu: int | None = None, size: int = 64) -> np.ndarray:
    """HU of a head in air, noisy; a clip of metal beside its middle."""
    generator = np.random.default_rng(4)
    row, column = np.mgrid[:size, :size]
    radius = np.hypot(row - size / 2, column - size / 2) / size
    hu = np.where(radius < 0.4, generator.normal(35, 12, (size, size)), generator.normal(-990, 5, (size, size)))
    hu[(radius > 0.36) & (radius < 0.4)] = 1100
    hu[np.hypot(row - size / 3, column - size / 3) < 2] = -90  # fat
    if metal_hu is not None:
        hu[30:36, 40:46] = metal_hu
    return np.rint(hu).clip(-1000, 4095).astype(np.int32)


def twelve_bits(data: Dataset) -> None:
    data.BitsStored, data.HighBit, data.PixelRepresentation = 12, 11, 0


@pytest.mark.parametrize("metal_hu", [*METAL_HU, None])
def test_metal_stays_metal_where_air_was_cut_off(tmp_path: Path, write_dicom: WriteDicom, metal_hu: int | None) -> None:
    hu = head(metal_hu).clip(0)
    found = read_slices(write_dicom(tmp_path / "a.dcm", hu.astype(np.uint16), change=twelve_bits)).pixels[0]
    np.testing.assert_array_equal(found, hu)


@pytest.mark.parametrize("metal_hu", [2500, None])
def test_wrapped_air_and_fat_become_negative_again(
    tmp_path: Path, write_dicom: WriteDicom, metal_hu: int | None
) -> None:
    hu = head(metal_hu)
    stored = (hu % 4096).astype(np.uint16)
    found = read_slices(write_dicom(tmp_path / "a.dcm", stored, change=twelve_bits)).pixels[0]
    np.testing.assert_array_equal(found, hu)


def test_metal_of_a_file_that_can_hold_air_is_never_unwrapped(tmp_path: Path, write_dicom: WriteDicom) -> None:
    hu = head(3000).clip(-1000)
    path = write_dicom(tmp_path / "a.dcm", (hu + 1024).astype(np.uint16), intercept=-1024, change=twelve_bits)
    np.testing.assert_array_equal(read_slices(path).pixels[0], hu)


@pytest.mark.parametrize(
    "stored",
    [
        np.where(head() < -500, 0, head()).clip(0)[20:44, 20:44] + np.pad([[3200]], (0, 23)),  # neither background
        np.where(np.add.outer(np.arange(64), np.zeros(64)) < 32, 3100, 0),  # both
    ],
)
def test_what_cannot_be_told_is_refused(tmp_path: Path, write_dicom: WriteDicom, stored: np.ndarray) -> None:
    with pytest.raises(ImageReadError, match="they are metal, or negative HU that were stored modulo 4096"):
        read_slices(write_dicom(tmp_path / "a.dcm", stored.astype(np.uint16), change=twelve_bits))


@pytest.mark.parametrize("is_signed", [False, True])
def test_values_in_the_upper_bits_are_refused(tmp_path: Path, write_dicom: WriteDicom, is_signed: bool) -> None:
    def upper(data: Dataset) -> None:
        data.BitsStored, data.HighBit = 12, 15

    values = head(2000).clip(-1000 if is_signed else 0, 2047).astype(np.int16 if is_signed else np.uint16)
    with pytest.raises(ImageReadError, match="HighBit is 15 with BitsStored 12; expected 11"):
        read_slices(write_dicom(tmp_path / "a.dcm", values << 4, change=upper))
    found = read_slices(write_dicom(tmp_path / "b.dcm", values, change=upper)).pixels[0]  # only the header is wrong
    np.testing.assert_array_equal(found, values)


@pytest.mark.parametrize(("bits_stored", "high_bit"), [(12, 7), (16, 14), (12, 14)])
def test_other_bits_are_refused_where_the_values_do_not_explain_them(
    tmp_path: Path, write_dicom: WriteDicom, bits_stored: int, high_bit: int
) -> None:
    def change(data: Dataset) -> None:
        data.BitsStored, data.HighBit = bits_stored, high_bit

    with pytest.raises(ImageReadError, match="so its values may be shifted"):
        read_slices(write_dicom(tmp_path / "a.dcm", np.full((8, 8), 64, np.uint16), change=change))


def test_rle_in_the_upper_bits_is_refused_too(tmp_path: Path, write_dicom: WriteDicom) -> None:
    def change(data: Dataset) -> None:
        data.compress(RLELossless, generate_instance_uid=False)
        data.BitsStored, data.HighBit = 12, 15

    with pytest.raises(ImageReadError, match="so its values may be shifted"):
        read_slices(write_dicom(tmp_path / "a.dcm", head().clip(0).astype(np.uint16), change=change))
