# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Headers that give more voxels than there are, or than a volume may have, are refused before memory is taken."""

from __future__ import annotations

import gzip
import tracemalloc
from pathlib import Path

import itk
import nibabel as nib
import numpy as np
import pydicom
import pytest
from pydicom.data import get_testdata_file

from monai_ich.reading import read_slices
from monai_ich.reading.size_limits import MOST_VOXELS_VARIABLE
from monai_ich.utils.errors import ConfigurationError, ImageReadError

HU = np.arange(8 * 6 * 4, dtype=np.int16).reshape(4, 6, 8)


def write_detached(folder: Path, suffix: str, packed: bool) -> tuple[Path, Path]:
    """A header and its data file, by ITK."""
    itk.imwrite(itk.image_from_array(HU), str(folder / f"v{suffix}"), compression=packed)
    (data,) = (path for path in folder.iterdir() if path.name != f"v{suffix}")
    return folder / f"v{suffix}", data


def replace_in(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("suffix", [".mhd", ".nhdr"])
def test_a_detached_volume_is_read(tmp_path: Path, suffix: str, packed: bool) -> None:
    header, _ = write_detached(tmp_path, suffix, packed)
    np.testing.assert_array_equal(read_slices(header).pixels, HU)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: data[:-2], "384 bytes after 0, but its data file v.raw holds 382 bytes"),
        (lambda data: data + b"\0\0", "384 bytes after 0, but its data file v.raw holds 386 bytes"),
        (lambda _: b"", "holds 0 bytes"),
    ],
    ids=["short", "surplus", "empty"],
)
@pytest.mark.parametrize("suffix", [".mhd", ".nhdr"])
def test_raw_data_of_another_size(tmp_path: Path, suffix: str, change: object, message: str) -> None:
    header, data = write_detached(tmp_path, suffix, packed=False)
    data.write_bytes(change(data.read_bytes()))  # type: ignore[operator]
    with pytest.raises(ImageReadError, match=rf"v\{suffix}: cannot be decoded: .*{message}"):
        read_slices(header)


@pytest.mark.parametrize("suffix", [".mhd", ".nhdr"])
@pytest.mark.parametrize("packed", [False, True])
def test_a_size_that_the_data_cannot_have_takes_no_memory(tmp_path: Path, suffix: str, packed: bool) -> None:
    header, _ = write_detached(tmp_path, suffix, packed)
    replace_in(header, "8 6 4", "4000 4000 30")
    before = Path("/proc/self/statm").read_text().split()[1]
    with pytest.raises(ImageReadError, match=rf"v\{suffix}: cannot be decoded: its header gives .4000, 4000, 30."):
        read_slices(header)
    grown_pages = int(Path("/proc/self/statm").read_text().split()[1]) - int(before)
    assert grown_pages * 4096 < 200e6  # ITK would have filled 960 MB


def test_bytes_before_the_voxels_are_counted(tmp_path: Path) -> None:
    header, data = write_detached(tmp_path, ".mhd", packed=False)
    data.write_bytes(b"preamble" + data.read_bytes())
    replace_in(header, "ElementDataFile", "HeaderSize = 8\nElementDataFile")
    np.testing.assert_array_equal(read_slices(header).pixels, HU)
    replace_in(header, "HeaderSize = 8", "HeaderSize = 6")
    with pytest.raises(ImageReadError, match="384 bytes after 6, but its data file"):
        read_slices(header)


def test_bytes_before_the_voxels_of_nrrd(tmp_path: Path) -> None:
    header, data = write_detached(tmp_path, ".nhdr", packed=False)
    data.write_bytes(b"line\n" + data.read_bytes())
    replace_in(header, "encoding: raw", "encoding: raw\nline skip: 1")
    np.testing.assert_array_equal(read_slices(header).pixels, HU)
    replace_in(header, "line skip: 1", "byte skip: 5")
    np.testing.assert_array_equal(read_slices(header).pixels, HU)
    replace_in(header, "byte skip: 5", "byte skip: -1")
    np.testing.assert_array_equal(read_slices(header).pixels, HU)


@pytest.mark.parametrize(
    ("suffix", "name", "message"),
    [
        (".mhd", "nowhere.raw", "names the data file 'nowhere.raw', and there is no such file"),
        (".nhdr", "nowhere.raw", "names the data file 'nowhere.raw', and there is no such file"),
        (".mhd", ".", "no such file"),
        (".nhdr", "/dev/zero", "no such file"),
        (".mhd", "v%03d.raw 1 4 1", "its voxels lie in several files"),
        (".nhdr", "LIST", "its voxels lie in several files"),
    ],
)
def test_data_files_that_are_none(tmp_path: Path, suffix: str, name: str, message: str) -> None:
    header, _ = write_detached(tmp_path, suffix, packed=False)
    replace_in(header, "v.raw", name)
    with pytest.raises(ImageReadError, match=rf"v\{suffix}: .*{message}"):
        read_slices(header)


def test_a_header_without_end(tmp_path: Path) -> None:
    (tmp_path / "v.nhdr").write_bytes(b"NRRD0004\n" + b"# comment\n" * 200_000)
    with pytest.raises(ImageReadError, match="its header does not end"):
        read_slices(tmp_path / "v.nhdr")


def write_bomb(path: Path, unpacked_bytes: int) -> None:
    """A true NIfTI header of 8 x 8 x 3 voxels, and zeros after it."""
    header = nib.Nifti1Image(np.zeros((8, 8, 3), np.int16), np.diag([-1.0, -1.0, 5.0, 1.0])).to_bytes()
    with gzip.open(path, "wb", compresslevel=1) as stream:
        stream.write(header)
        for _ in range(unpacked_bytes >> 20):
            stream.write(bytes(1 << 20))


def test_a_gzip_bomb_takes_no_memory(tmp_path: Path) -> None:
    write_bomb(tmp_path / "v.nii.gz", 200 << 20)
    assert (tmp_path / "v.nii.gz").stat().st_size < 2e6
    tracemalloc.start()
    with pytest.raises(ImageReadError, match=r"v\.nii\.gz: .*unpacks to far more than the \d+ bytes that its header"):
        read_slices(tmp_path / "v.nii.gz")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 50e6


def test_a_little_padding_is_no_bomb(tmp_path: Path) -> None:
    write_bomb(tmp_path / "v.nii.gz", 1 << 20)
    assert read_slices(tmp_path / "v.nii.gz").pixels.shape == (3, 8, 8)


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_too_many_voxels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str) -> None:
    image = nib.Nifti1Image(np.zeros((8, 6, 4), np.int16), np.diag([-1.0, -1.0, 5.0, 1.0]))
    nib.save(image, tmp_path / f"v{suffix}")
    monkeypatch.setenv(MOST_VOXELS_VARIABLE, "192")
    assert read_slices(tmp_path / f"v{suffix}").pixels.shape == (4, 6, 8)
    monkeypatch.setenv(MOST_VOXELS_VARIABLE, "191")
    with pytest.raises(ImageReadError, match=rf"{suffix}: .*\(8, 6, 4\), 192 voxels, and one volume may have 191"):
        read_slices(tmp_path / f"v{suffix}")
    monkeypatch.setenv(MOST_VOXELS_VARIABLE, "many")
    with pytest.raises(ConfigurationError, match="MONAI_ICH_MOST_VOXELS is 'many'; expected a whole number"):
        read_slices(tmp_path / f"v{suffix}")


@pytest.mark.parametrize("suffix", [".mha", ".nrrd", ".mhd"])
def test_too_many_voxels_for_itk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str) -> None:
    itk.imwrite(itk.image_from_array(HU), str(tmp_path / f"v{suffix}"))
    monkeypatch.setenv(MOST_VOXELS_VARIABLE, "191")
    with pytest.raises(ImageReadError, match="192 voxels, and one volume may have 191"):
        read_slices(tmp_path / f"v{suffix}")


def test_a_sparse_file_of_zeros_is_refused_by_the_default(tmp_path: Path) -> None:
    """The file can hold what its header says, so only the limit refuses it."""
    header = nib.Nifti1Header()
    header.set_data_shape((4096, 4096, 33))
    header.set_data_dtype(np.int16)
    header["vox_offset"], header["magic"], header["sform_code"] = 352, b"n+1", 1
    with (tmp_path / "v.nii").open("wb") as stream:
        stream.write(header.binaryblock)
        stream.truncate(352 + 4096 * 4096 * 33 * 2)
    with pytest.raises(ImageReadError, match="553648128 voxels, and one volume may have 536870912"):
        read_slices(tmp_path / "v.nii")


def test_too_many_voxels_of_a_multi_frame(tmp_path: Path) -> None:
    data = pydicom.dcmread(str(get_testdata_file("CT_small.dcm")))
    data.NumberOfFrames, data.Rows, data.Columns = 19_999, 256, 256  # each of them within its own limit
    data.save_as(tmp_path / "s.dcm")
    with pytest.raises(ImageReadError, match=r"\(19999, 256, 256\), 1310654464 voxels"):
        read_slices(tmp_path / "s.dcm")
