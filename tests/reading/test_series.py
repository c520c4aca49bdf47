# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""A folder of slices becomes one volume in the order of the patient, or an error that says why not."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pydicom
import pytest
from monai.data import ITKReader
from pydicom.data import get_testdata_file
from pydicom.dataelem import DataElement
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ImplicitVRLittleEndian

from monai_ich.reading import read_series
from monai_ich.utils.errors import ImageReadError

SHIPPED = Path(get_testdata_file("CT_small.dcm")).parent / "dicomdirtests"


def test_sorted_by_position_and_placed_as_itk_does(
    tmp_path: Path, ct_object: SimpleNamespace, write_series: Callable[..., list[Path]]
) -> None:
    paths = write_series(tmp_path / "ct", ct_object.hu)
    (tmp_path / "ct" / "readme.txt").write_text("not a slice")
    stack = read_series(tmp_path)
    np.testing.assert_array_equal(stack.pixels, ct_object.hu)
    assert list(stack.paths) == paths
    assert (stack.slice_index, stack.notes) == ((0, 1, 2, 3), ())
    np.testing.assert_allclose((stack.affine_ras_mm @ [3, 5, 7, 1])[:3], ct_object.world_ras((3, 5, 7)))
    np.testing.assert_array_equal(read_series(paths[::-1]).pixels, ct_object.hu)
    reader = ITKReader()
    array, meta = reader.get_data(reader.read(tmp_path / "ct"))
    np.testing.assert_array_equal(stack.pixels, array.T)
    np.testing.assert_allclose(stack.source_affine_ras_mm, meta["affine"], atol=1e-6)


def test_the_directory_of_a_cd_is_passed_over(
    tmp_path: Path, ct_object: SimpleNamespace, write_series: Callable[..., list[Path]]
) -> None:
    write_series(tmp_path / "ct", ct_object.hu)
    shutil.copy(get_testdata_file("DICOMDIR"), tmp_path / "DICOMDIR")
    np.testing.assert_array_equal(read_series(tmp_path).pixels, ct_object.hu)
    with pytest.raises(ImageReadError, match="DICOMDIR: expected Modality CT, got none"):
        read_series(tmp_path / "DICOMDIR")


@pytest.mark.parametrize("implicit", [True, False])
@pytest.mark.parametrize("name", ["IM{:04d}", "{:d}.IMA", "slice.{:d}"])
def test_slices_without_preamble_are_known_by_their_content(
    tmp_path: Path, ct_object: SimpleNamespace, write_series: Callable[..., list[Path]], name: str, implicit: bool
) -> None:
    for number, path in enumerate(write_series(tmp_path / "ct", ct_object.hu)):
        data = pydicom.dcmread(path)
        data.preamble, data.file_meta = None, FileMetaDataset()
        bare = path.with_name(name.format(number))
        data.save_as(bare, implicit_vr=implicit, little_endian=True, enforce_file_format=False)
        path.unlink()
    (tmp_path / "ct" / "notes.txt").write_bytes(b"\x08\x00 no data set, although it begins like one")
    (tmp_path / "ct" / "picture").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(200))
    np.testing.assert_array_equal(read_series(tmp_path).pixels, ct_object.hu)


def test_a_linked_folder_is_read(
    tmp_path: Path, ct_object: SimpleNamespace, write_series: Callable[..., list[Path]]
) -> None:
    write_series(tmp_path / "store" / "ct", ct_object.hu)
    (tmp_path / "study").mkdir()
    for name in ("x", "y"):
        (tmp_path / "study" / name).symlink_to(tmp_path / "store" / "ct")
    np.testing.assert_array_equal(read_series(tmp_path / "study").pixels, ct_object.hu)


def test_tilted_gantry_shears_the_slice_direction(
    tmp_path: Path, ct_object: SimpleNamespace, write_series: Callable[..., list[Path]]
) -> None:
    write_series(tmp_path / "ct", ct_object.hu, shear=2.0)
    stack = read_series(tmp_path)
    np.testing.assert_allclose(stack.source_affine_ras_mm[:3, 2], [0, -2.0, 5.0])
    assert stack.slice_step_mm == pytest.approx(np.hypot(2, 5))


def test_several_series_need_a_choice(
    tmp_path: Path,
    ct_object: SimpleNamespace,
    write_series: Callable[..., list[Path]],
    write_dicom: Callable[..., Path],
) -> None:
    write_series(tmp_path, ct_object.hu)
    write_dicom(
        tmp_path / "other.dcm", ct_object.hu[0], change=lambda dataset: setattr(dataset, "SeriesInstanceUID", "9.9")
    )
    with pytest.raises(
        ImageReadError, match=r"holds 2 CT series(.|\n)*1\.2\.3 \(series number 2, 4 slices\)(.|\n)*9\.9"
    ):
        read_series(tmp_path)
    assert len(read_series(tmp_path, series_uid="9.9").pixels) == 1
    with pytest.raises(ImageReadError, match=r"holds no CT series 7\.7; it holds:(.|\n)*9\.9"):
        read_series(tmp_path, series_uid="7.7")


def test_localizers_and_reformats_are_passed_over(
    tmp_path: Path,
    ct_object: SimpleNamespace,
    write_series: Callable[..., list[Path]],
    write_dicom: Callable[..., Path],
) -> None:
    write_series(tmp_path, ct_object.hu)
    write_dicom(
        tmp_path / "scout.dcm", ct_object.hu[0], change=lambda d: setattr(d, "ImageType", ["A", "B", "LOCALIZER"])
    )
    write_dicom(
        tmp_path / "mpr.dcm",
        ct_object.hu[0],
        orientation=(1, 0, 0, 0, 0, -1),
        change=lambda d: setattr(d, "SeriesInstanceUID", "5.5"),
    )
    np.testing.assert_array_equal(read_series(tmp_path).pixels, ct_object.hu)
    with pytest.raises(ImageReadError, match=r"scout\.dcm: is a localizer"):
        read_series(tmp_path / "scout.dcm")
    with pytest.raises(ImageReadError, match=r"mpr\.dcm: is a coronal slice"):
        read_series([tmp_path / "mpr.dcm"])


def test_a_position_twice(tmp_path: Path, ct_object: SimpleNamespace, write_series: Callable[..., list[Path]]) -> None:
    paths = write_series(tmp_path, ct_object.hu)
    (tmp_path / "copy.dcm").write_bytes(paths[2].read_bytes())
    with pytest.raises(ImageReadError, match=r"lie at the same position"):
        read_series(tmp_path)


def test_gaps_are_refused_unless_allowed(
    tmp_path: Path, ct_object: SimpleNamespace, write_series: Callable[..., list[Path]]
) -> None:
    paths = write_series(tmp_path, np.concatenate([ct_object.hu, ct_object.hu + 1]))
    paths[5].unlink()
    with pytest.raises(ImageReadError, match=r"lie 10\.00 mm apart where the series has 5\.00 mm"):
        read_series(tmp_path)
    stack = read_series(tmp_path, allow_gaps=True)
    assert len(stack.pixels) == 7
    assert "not evenly spaced" in stack.notes[0]


def test_shipped_gappy_series_is_refused() -> None:
    with pytest.raises(ImageReadError, match=r"mm apart where the series has 1\.25 mm"):
        read_series(SHIPPED / "77654033" / "CT2")


def test_all_damaged_slices_are_reported_together(
    tmp_path: Path, ct_object: SimpleNamespace, write_series: Callable[..., list[Path]]
) -> None:
    paths = write_series(tmp_path, ct_object.hu)
    for path in paths[:2]:
        path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(ImageReadError) as caught:
        read_series(tmp_path)
    assert all(path.name in str(caught.value) for path in paths[:2])
    assert paths[2].name not in str(caught.value)


def test_frames_of_one_file_are_sorted(
    tmp_path: Path, ct_object: SimpleNamespace, write_enhanced: Callable[..., Path]
) -> None:
    order = [2, 0, 3, 1]
    positions = [np.array([-10.0, -20.0, 30.0 + 5 * n]) for n in order]
    path = write_enhanced(tmp_path / "e.dcm", ct_object.hu[order], positions, [(1.0, 0.0)])
    np.testing.assert_array_equal(read_series(path).pixels, ct_object.hu)


def test_nothing_to_read(tmp_path: Path, ct_object: SimpleNamespace, write_nifti: Callable[..., Path]) -> None:
    with pytest.raises(ImageReadError, match=r"no such file or folder"):
        read_series(tmp_path / "none")
    with pytest.raises(ImageReadError, match=r"holds no axial CT slice"):
        read_series(tmp_path)
    np.testing.assert_array_equal(read_series(write_nifti(tmp_path / "v.nii", ct_object.hu)).pixels, ct_object.hu)


def test_what_makes_values_less_than_plain_hu_is_noted(
    tmp_path: Path, ct_object: SimpleNamespace, write_series: Callable[..., list[Path]]
) -> None:
    assert read_series(write_series(tmp_path / "plain", ct_object.hu)).notes == ()
    changes = {"LossyImageCompression": "01", "LossyImageCompressionRatio": ["10", "4"], "ContrastBolusAgent": "X 300"}
    for path in write_series(tmp_path / "ct", ct_object.hu)[1:]:  # the first slice says nothing
        data = pydicom.dcmread(path)
        for keyword, value in changes.items():
            setattr(data, keyword, value)
        data.ImageType = ["DERIVED", "PRIMARY", "AXIAL"]
        data.save_as(path)
    with pytest.raises(ImageReadError, match=r"compressed with loss at 40:1; expected 15:1 or less.*--allow-lossy"):
        read_series(tmp_path / "ct")
    notes = read_series(tmp_path / "ct", allow_lossy=True).notes
    assert [note.partition(":")[0] for note in notes[:1]] == ["pixels were compressed with loss at 40"]
    assert "derived" in notes[1]
    assert "contrast agent" in notes[2]
    assert not any("X 300" in note for note in notes), "what was given is nobody's business"
    assert len(notes) == 3


def test_ratios_of_slices_make_one_note_and_a_strange_one_loses_no_slice(
    tmp_path: Path, ct_object: SimpleNamespace, write_series: Callable[..., list[Path]]
) -> None:
    paths = write_series(tmp_path / "ct", ct_object.hu)
    for ratio, path in zip(("9.5", "10.25", "12:1 or so", ""), paths, strict=True):
        data = pydicom.dcmread(path)
        data.LossyImageCompression = "01"
        data.add(DataElement(0x00282112, "LO", ratio))  # read as DS, since an implicit file does not say
        data.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
        data.save_as(path, implicit_vr=True, little_endian=True)
    stack = read_series(tmp_path / "ct")
    np.testing.assert_array_equal(stack.pixels, ct_object.hu)
    assert stack.notes == ("pixels were compressed with loss at 10.25:1: fine differences of density may be gone",)
