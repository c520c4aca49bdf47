# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Acquisition attributes are those of the header, of plain and of multi-frame files."""

from __future__ import annotations

import math
from pathlib import Path

import pandas as pd
import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset

from monai_ich.audit.acquisition import ACQUISITION_ATTRIBUTES, has_header, read_acquisition
from monai_ich.audit.header_check import header_findings
from monai_ich.utils.errors import ImageReadError

HEAD_CT = Path(str(get_testdata_file("J2K_pixelrep_mismatch.dcm")))


def test_the_attributes_of_a_real_head_ct() -> None:
    data = pydicom.dcmread(HEAD_CT, stop_before_pixels=True)
    found, _ = read_acquisition(HEAD_CT)
    assert tuple(found) == ACQUISITION_ATTRIBUTES
    assert found["manufacturer"] == data.Manufacturer
    assert found["kernel"] == str(data.ConvolutionKernel)
    assert found["tube voltage (kVp)"] == float(data.KVP)
    assert found["pixel spacing (mm)"] == float(data.PixelSpacing[0])
    assert found["slice thickness (mm)"] == float(data.SliceThickness)


def test_several_windows_and_missing_values(tmp_path: Path) -> None:
    data = pydicom.dcmread(get_testdata_file("CT_small.dcm"))
    data.WindowCenter, data.WindowWidth = [35, 700], [80, 3200]
    data.ConvolutionKernel = ["H31s", "3"]
    del data.KVP
    data.SliceThickness = None
    data.save_as(tmp_path / "a.dcm")
    found, _ = read_acquisition(tmp_path / "a.dcm")
    assert (found["window level (HU)"], found["window width (HU)"], found["kernel"]) == (35, 80, "H31s")
    assert math.isnan(float(found["tube voltage (kVp)"]))
    assert math.isnan(float(found["slice thickness (mm)"]))


def test_a_multi_frame_file_says_it_in_its_functional_groups(tmp_path: Path) -> None:
    data = pydicom.dcmread(get_testdata_file("CT_small.dcm"))
    for keyword in ("PixelSpacing", "WindowCenter", "WindowWidth", "SliceThickness"):
        if keyword in data:
            delattr(data, keyword)
    measures, window, frames = Dataset(), [Dataset(), Dataset()], [Dataset(), Dataset()]
    measures.PixelSpacing, measures.SliceThickness = [0.4, 0.5], 2.5
    shared = Dataset()
    shared.PixelMeasuresSequence = [measures]
    for number, (frame, level) in enumerate(zip(frames, (40, 600), strict=True)):
        window[number].WindowCenter, window[number].WindowWidth = level, 80
        frame.FrameVOILUTSequence = [window[number]]
    data.SharedFunctionalGroupsSequence, data.PerFrameFunctionalGroupsSequence = [shared], frames
    data.save_as(tmp_path / "a.dcm")
    found = [read_acquisition(tmp_path / "a.dcm", frame)[0] for frame in (0, 1)]
    assert [f["window level (HU)"] for f in found] == [40, 600]
    assert {f["pixel spacing (mm)"] for f in found} == {0.4}
    assert found[0]["slice thickness (mm)"] == 2.5


def test_loss_derivation_and_contrast_are_counted(tmp_path: Path) -> None:
    def plain(data: Dataset) -> None:
        data.ImageType = ["ORIGINAL", "PRIMARY"]

    def lossy(data: Dataset) -> None:
        data.LossyImageCompression, data.LossyImageCompressionRatio = "01", 12

    def contrast(data: Dataset) -> None:
        data.ContrastBolusAgent, data.ImageType = "Iomeprol", ["DERIVED", "SECONDARY"]

    names = []
    for change in (plain, lossy, contrast):
        data = pydicom.dcmread(get_testdata_file("CT_small.dcm"))
        plain(data)
        change(data)
        data.ContrastBolusAgent = data.ContrastBolusAgent if change is contrast else ""
        names.append(f"{change.__name__}.dcm")
        data.save_as(tmp_path / names[-1])
    frame = pd.DataFrame({"image": names, "image_slice": pd.array([pd.NA] * 3, "Int64"), "hypodensity": math.nan})
    fine, bad = (header_findings(rows, tmp_path, "hypodensity", 1) for rows in (frame.head(1), frame))
    assert [(f.check, f.severity) for f in fine] == [("headers", "skipped"), ("acquisition", "passed")]
    assert [(f.check, f.severity) for f in bad] == [("headers", "skipped"), ("acquisition", "warning")]
    assert "Of 3 slices, 1 were compressed with loss, 1 were derived from other" in bad[1].summary
    assert "(loss: up to 12:1)" in bad[1].summary


def test_what_has_no_header(tmp_path: Path) -> None:
    assert has_header("a/IM0001")
    assert not has_header("a/ct.nii.gz")
    (tmp_path / "a.dcm").write_bytes(b"no DICOM")
    with pytest.raises(ImageReadError):
        read_acquisition(tmp_path / "a.dcm")
