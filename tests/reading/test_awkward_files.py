# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Awkward DICOM files give pydicom's values or a refusal that says why; the table in the docs is true."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pydicom
import pytest
from awkward_files import CASES, DOCUMENT, Case, outcome, rescaled_by_frame, shipped, source, table
from pydicom.data import get_testdata_file
from pydicom.uid import JPEGLSLossless

import monai_ich.reading.decoders as module
from monai_ich.reading import read_series
from monai_ich.reading.dicom_frames import decode_frames, open_dicom, refuse_unless_ct
from monai_ich.reading.functional_groups import parametric_units
from monai_ich.reading.hounsfield import ValueRule
from monai_ich.utils.errors import ImageReadError


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.what)
def test_right_or_refused(tmp_path: Path, case: Case) -> None:
    got = outcome(case, tmp_path)
    if isinstance(case.expected, str):
        assert isinstance(got, str)
        assert case.expected in got
    else:
        np.testing.assert_array_equal(got, np.maximum(case.expected(), -1024))


def test_geometry_of_an_enhanced_ct(tmp_path: Path) -> None:
    """Against the file's attributes: rows towards the right (LPS -x), pixels 0.388672 mm, frames 10 mm apart."""
    path = shipped("eCT_Supplemental.dcm", rescaled_by_frame)(tmp_path)
    stack = read_series(path, values=ValueRule(is_checked=False))
    step = 0.388672
    np.testing.assert_allclose(
        stack.source_affine_ras_mm, [[step, 0, 0, -99.5], [0, -step, 0, 301.5], [0, 0, 10, -159], [0, 0, 0, 1]]
    )
    assert [note.partition(",")[0] for note in stack.notes] == ["the image is derived"]


def test_a_map_in_the_folder_of_a_series_is_passed_over(tmp_path: Path) -> None:
    for name in ("eCT_Supplemental.dcm", "693_UNCR.dcm"):
        shutil.copy(source(name), tmp_path)
    assert [path.name for path in read_series(tmp_path).paths] == ["693_UNCR.dcm"]


def test_a_mapping_to_hu_is_no_parametric_map() -> None:
    data = pydicom.dcmread(source("eCT_Supplemental.dcm"), stop_before_pixels=True)
    assert parametric_units(data) == ("ml/100ml/s",)
    mapping = data.SharedFunctionalGroupsSequence[0].RealWorldValueMappingSequence
    mapping[0].MeasurementUnitsCodeSequence[0].CodeValue = "[hnsf'U]"
    assert parametric_units(data) == ()
    classic = pydicom.dcmread(source("CT_small.dcm"), stop_before_pixels=True)
    assert parametric_units(classic) == ()
    mapping[0].MeasurementUnitsCodeSequence[0].CodeValue = "mg/cm3"
    classic.RealWorldValueMappingSequence = mapping
    assert parametric_units(classic) == ("mg/cm3",)


def test_a_malformed_mapping_is_refused(tmp_path: Path) -> None:
    data = pydicom.dcmread(source("CT_small.dcm"))
    data.add_new("RealWorldValueMappingSequence", "LO", "no sequence")
    with pytest.raises(ImageReadError, match="what its values measure is malformed"):
        refuse_unless_ct(data, tmp_path / "file.dcm")


def test_a_file_that_is_not_installed_is_named() -> None:
    with pytest.raises(FileNotFoundError, match=r"no_such_file\.dcm: expected in pydicom or pydicom-data"):
        source("no_such_file.dcm")


def test_the_table_is_up_to_date() -> None:
    assert DOCUMENT.read_text(encoding="utf-8") == table(), (
        "write it again: python tests/reading/awkward_files.py > docs/awkward_dicom.md"
    )


@pytest.mark.parametrize(
    ("name", "package"),
    [
        ("J2K_pixelrep_mismatch.dcm", "pylibjpeg-openjpeg"),
        ("MR_small_jpeg_ls_lossless.dcm", "pyjpegls"),
        ("JPEG-lossy.dcm", "python-gdcm"),
    ],
)
def test_a_missing_decoder_is_named(monkeypatch: pytest.MonkeyPatch, name: str, package: str) -> None:
    """As on a machine where no plug-in is installed."""
    from pydicom.pixels.decoders.base import Decoder

    monkeypatch.setattr(Decoder, "is_available", property(lambda self: False))
    path = Path(get_testdata_file(name, download=False) or "")
    with pytest.raises(ImageReadError) as caught:
        decode_frames(open_dicom(path), path, [0])
    assert f"Install the package {package}: pip install 'monai_ich[decoders]'" in str(caught.value)
    assert "is compressed as JPEG" in str(caught.value)


def test_a_video_is_no_ct(tmp_path: Path) -> None:
    with pytest.raises(ImageReadError, match=r"MPEG2 .* holds no CT slice that can be decoded\. Export it as Explicit"):
        module.choose_decoder("1.2.840.10008.1.2.4.100", tmp_path / "v.dcm")
    assert module.choose_decoder(JPEGLSLossless, tmp_path / "v.dcm") == "pyjpegls"
