# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""What fuzzing found: each input that once crashed, hung, took all memory or was read wrong, by name."""

from __future__ import annotations

import gzip
import json
import tracemalloc
import warnings
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest
from manifest_mutations import write_base
from pydicom.data import get_testdata_file
from pydicom.dataelem import DataElement

from monai_ich.data import read_manifest, refresh_card
from monai_ich.reading import read_series, read_slices
from monai_ich.utils.errors import ImageReadError, ManifestError

CT_SLICE = Path(str(get_testdata_file("CT_small.dcm")))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\xef\xbb\xbf", "is empty"),
        (b"\nkey,image\n", "begins with an empty line"),
        ("key,image\n".encode("utf-16-le"), "holds NUL bytes"),
        (b"key,image\na\0b,c\n", "holds NUL bytes"),
    ],
    ids=["byte order mark alone", "first line empty", "UTF-16 without mark", "NUL in a cell"],
)
def test_manifest_bytes(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "m.csv").write_bytes(content)
    with pytest.raises(ManifestError, match=rf"m\.csv {message}"):
        read_manifest(tmp_path / "m.csv")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("images/1.nii.gz,1", "images/1.nii.gz,01", "row 5: image_slice is '01'"),
        (
            "images/1.nii.gz,1",
            "./images/1.nii.gz,1",
            r"row 5: image is '\./images/1\.nii\.gz'; expected a path without",
        ),
        ("images/1.nii.gz,1", "images//1.nii.gz,1", r"row 5: image is 'images//1\.nii\.gz'"),
        (",p1,s1,", ",p1 ,s1,", r"row 4: patient_id is 'p1 '; expected text without blanks"),
        (",p1,s1,", ",p1\u200b,s1,", "row 4: patient_id is .*; expected text without blanks"),
        ("images/1.nii.gz,1", f"{'a' * 300}/1.nii.gz,1", "row 5: image file is .*where there is none"),
        ("train-0", "x" * 140_000, "is not valid CSV"),
    ],
    ids=["leading zero", "dot", "double slash", "blank", "zero width", "name too long", "cell too long"],
)
def test_manifest_cells(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = write_base(tmp_path)
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(ManifestError, match=message):
        read_manifest(path)


def test_a_repeated_column_is_named_by_refresh_card_too(tmp_path: Path) -> None:
    path = write_base(tmp_path)
    path.write_text(path.read_text().replace("mask_slice", "image_slice", 1))
    with pytest.raises(ManifestError, match="column 'image_slice' appears more than once"):
        refresh_card(path)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("protocol", "paper", "protocol 'paper'; expected an object"),
        ("protocol", {"name": 3}, "expected an object with the protocol's name"),
        ("window_hu", [float("nan"), 80], "expected .level, width. in HU"),
        ("window_hu", [10**400, 80], r"window_hu \[1000.*\.\.\.; expected"),
        ("dataset_dir", "a\0b", "expected a path, relative to the card"),
        ("name", "\ud800", "is not valid JSON"),
        ("licence", 7, "licence 7; expected text"),
    ],
)
def test_cards(tmp_path: Path, key: str, value: object, message: str) -> None:
    path = write_base(tmp_path)
    card = json.loads(path.with_suffix(".json").read_text())
    path.with_suffix(".json").write_text(json.dumps(card | {key: value}))
    with pytest.raises(ManifestError, match=message):
        read_manifest(path)


@pytest.mark.parametrize("content", ["[" * 100_000, '{"seed": ' + "7" * 5000 + "}"], ids=["too deep", "too long"])
def test_cards_that_json_cannot_hold(tmp_path: Path, content: str) -> None:
    path = write_base(tmp_path)
    path.with_suffix(".json").write_text(content)
    with pytest.raises(ManifestError, match="is not valid JSON"):
        read_manifest(path)


def _raw(name: str, value: bytes) -> Callable[[pydicom.Dataset], None]:
    """An attribute as it lies in a damaged file, whatever its VR allows."""
    return lambda data: data.__setitem__(name, DataElement(pydicom.datadict.tag_for_keyword(name), "UN", value))


def _number(name: str, value: int) -> Callable[[pydicom.Dataset], None]:
    return lambda data: setattr(data, name, value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_number("Columns", 127), "bytes of pixel data, but 1 frames of 128 rows x 127 columns"),
        (_number("Rows", 127), "bytes of pixel data"),
        (_number("Rows", 65535), "bytes of pixel data"),
        (_number("NumberOfFrames", 2_000_000_000), "which no CT has"),
        (_number("NumberOfFrames", -1), "which no CT has"),
        (_raw("RescaleSlope", b"nan "), "not a usable number|malformed"),
        (_raw("RescaleSlope", b"0 "), "not a usable number"),
        (_raw("ImagePositionPatient", b"nan\\0\\0 "), "not a usable number|malformed"),
        (_raw("ImageOrientationPatient", b"2\\0\\0\\0\\1\\0 "), "not a pair of unit vectors"),
        (lambda data: setattr(data.file_meta, "TransferSyntaxUID", "1.2.3"), "cannot be (parsed|decoded)"),
    ],
    ids=[
        *("column less", "row less", "too many rows", "too many frames", "negative frames"),
        *("slope nan", "slope 0", "position nan", "cosines too long", "unknown syntax"),
    ],
)
def test_dicom_attributes(tmp_path: Path, change: Callable[[pydicom.Dataset], None], message: str) -> None:
    data = pydicom.dcmread(CT_SLICE)
    change(data)
    data.save_as(tmp_path / "s.dcm", implicit_vr=False, little_endian=True)
    with pytest.raises(ImageReadError, match=rf"s\.dcm: .*({message})"):
        read_slices(tmp_path / "s.dcm")


def test_a_length_in_a_damaged_header_takes_no_memory(tmp_path: Path) -> None:
    data = CT_SLICE.read_bytes()
    place = data.index(b"\xe0\x7f\x10\x00OW\0\0") + 8
    (tmp_path / "s.dcm").write_bytes(data[:place] + b"\xf0\xff\xff\xff" + data[place + 4 :])
    tracemalloc.start()
    stack = read_slices(tmp_path / "s.dcm")  # what follows the pixels is taken for padding, which is right
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 50e6
    np.testing.assert_array_equal(stack.pixels, read_slices(CT_SLICE).pixels)


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize("shape", [(32767, 32767, 100), (0, 8, 3), (-1, 8, 3)])
def test_nifti_dimensions(tmp_path: Path, shape: tuple[int, ...], suffix: str) -> None:
    image = nib.Nifti1Image(np.zeros((8, 8, 3), np.int16), np.eye(4))
    data = bytearray(image.to_bytes())
    data[42:48] = np.array(shape, np.int16).tobytes()
    (tmp_path / f"v{suffix}").write_bytes(gzip.compress(data) if suffix == ".nii.gz" else data)
    with pytest.raises(ImageReadError, match=rf"v{suffix}: (cannot be decoded|expected one grey value)"):
        read_slices(tmp_path / f"v{suffix}")


def test_a_link_to_nothing_is_a_missing_slice(tmp_path: Path) -> None:
    (tmp_path / "a.dcm").write_bytes(CT_SLICE.read_bytes())
    assert len(read_series(tmp_path, allow_gaps=True).pixels) == 1
    (tmp_path / "b.dcm").symlink_to(tmp_path / "nowhere.dcm")
    with pytest.raises(ImageReadError, match=r"b\.dcm"):
        read_series(tmp_path, allow_gaps=True)


def test_oversized_metaimage(tmp_path: Path) -> None:
    header = (
        "ObjectType = Image\nNDims = 3\nDimSize = 30000 30000 900\nElementType = MET_SHORT\nElementDataFile = LOCAL\n"
    )
    (tmp_path / "v.mha").write_bytes(header.encode() + bytes(100))
    with pytest.raises(ImageReadError, match=r"v\.mha: cannot be decoded"):
        read_slices(tmp_path / "v.mha")


def test_a_message_does_not_quote_a_whole_damaged_file(tmp_path: Path) -> None:
    data = pydicom.dcmread(CT_SLICE)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # pydicom's, that the value is too long
        data.Modality = ["CT", "x" * 9000]
        data.save_as(tmp_path / "m.dcm")
    with pytest.raises(ImageReadError, match="expected Modality CT") as refused:
        read_slices(tmp_path / "m.dcm")
    assert len(str(refused.value)) < 1000
