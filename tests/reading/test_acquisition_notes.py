# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Lossy compression, derived images and contrast are known from the header, and by the size of a compressed file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest
from awkward_files import source
from pydicom.uid import JPEG2000

from monai_ich.reading.acquisition_notes import Acquisition, refuse_lossy
from monai_ich.utils.errors import ImageReadError


def made(path: Path) -> Acquisition:
    return Acquisition.of(pydicom.dcmread(path, stop_before_pixels=True), path)


@pytest.mark.parametrize(("asked", "is_refused"), [(5, False), (60, True)])
def test_a_ratio_that_nobody_states_is_found_by_the_size_of_the_file(
    tmp_path: Path, asked: int, is_refused: bool
) -> None:
    data = pydicom.dcmread(source("693_UNCR.dcm"))
    data.compress(JPEG2000, j2k_cr=[asked], generate_instance_uid=False)
    data.LossyImageCompression = "01"
    if "LossyImageCompressionRatio" in data:
        del data.LossyImageCompressionRatio
    data.save_as(tmp_path / "lossy.dcm")
    found = made(tmp_path / "lossy.dcm")
    packed = len(data.PixelData)
    assert found.ratio == pytest.approx(512 * 512 * 2 / packed, rel=0.25)  # the header is part of the file
    assert found.ratio <= 512 * 512 * 2 / packed
    if is_refused:
        with pytest.raises(ImageReadError, match=r"with loss at \d+(\.\d)?:1; expected 15:1 or less.*--allow-l"):
            refuse_lossy(found, tmp_path / "lossy.dcm")
    else:
        refuse_lossy(found, tmp_path / "lossy.dcm")


def test_a_ratio_is_unknown_where_pixels_lie_plainly_and_nobody_states_it(tmp_path: Path) -> None:
    data = pydicom.dcmread(source("CT_small.dcm"))
    data.LossyImageCompression = "01"
    data.save_as(tmp_path / "plain.dcm")
    found = made(tmp_path / "plain.dcm")
    assert found.lossy
    assert np.isnan(found.ratio)
    refuse_lossy(found, tmp_path / "plain.dcm")


def test_a_lossless_file_is_never_refused() -> None:
    for name in ("693_J2KR.dcm", "CT_small.dcm", "J2K_pixelrep_mismatch.dcm"):
        refuse_lossy(made(source(name)), source(name))
