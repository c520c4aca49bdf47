# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Every format and axis order gives the same canonical slices."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nibabel as nib
import numpy as np
import pydicom
import pytest
from monai.data import ITKReader
from pydicom.data import get_testdata_file

from monai_ich.reading import read_slices
from monai_ich.transforms import to_source_geometry
from monai_ich.utils.errors import ImageReadError

REAL_SLICE = Path(get_testdata_file("J2K_pixelrep_mismatch.dcm"))


AXCODES = ["LPS", "RAS", "LAS", "LPI", "RPI", "PLS", "ARS", "PSR", "SAL", "IRP"]


def _assert_same_place(stack: Any, ct_object: SimpleNamespace, n: int, stored_index: int) -> None:
    """The affine sends pixel (stored_index, row, column) to where slice n of the object lies."""
    for row, column in ((0, 0), (5, 17), (23, 3)):
        got = stack.affine_ras_mm @ [stored_index, row, column, 1]
        np.testing.assert_allclose(got[:3], ct_object.world_ras((n, row, column)), atol=1e-4)


@pytest.mark.parametrize("kind", ["image", "mask"])
@pytest.mark.parametrize("axcodes", AXCODES)
def test_nifti_of_any_axis_order(
    tmp_path: Path, ct_object: SimpleNamespace, write_nifti: Callable[..., Path], axcodes: str, kind: str
) -> None:
    canonical = ct_object.hu if kind == "image" else ct_object.mask
    stack = read_slices(write_nifti(tmp_path / "v.nii.gz", canonical, axcodes), kind=kind)  # type: ignore[arg-type]
    from_head = "I" in axcodes
    np.testing.assert_array_equal(stack.pixels, canonical[::-1] if from_head else canonical)
    assert stack.pixels.dtype == (np.float32 if kind == "image" else np.uint8)
    assert stack.pixels.flags.c_contiguous
    assert stack.spacing_mm_rc == pytest.approx((0.6, 0.5), abs=1e-6)
    for n in range(4):
        _assert_same_place(stack, ct_object, n, 3 - n if from_head else n)


@pytest.mark.parametrize("axcodes", AXCODES)
def test_predictions_return_to_the_grid_of_the_file(
    tmp_path: Path, ct_object: SimpleNamespace, write_nifti: Callable[..., Path], axcodes: str
) -> None:
    path = write_nifti(tmp_path / "v.nii", ct_object.mask, axcodes)
    stack = read_slices(path, kind="mask")
    back = stack.reorientation.undo(stack.pixels)
    np.testing.assert_array_equal(back, np.asarray(nib.load(path).dataobj))
    squares = np.zeros((4, 24, 24), np.float32)
    squares[:, :, 2:22] = stack.pixels  # what FitSquared(size=24) would do: 20 columns, padded by 2 on either side
    volume = to_source_geometry(squares, stack)
    np.testing.assert_allclose(volume.array, np.asarray(nib.load(path).dataobj), atol=1e-6)
    np.testing.assert_allclose(volume.affine_ras_mm, nib.load(path).affine, atol=1e-6)


def test_some_slices_in_the_order_asked_for(
    tmp_path: Path, ct_object: SimpleNamespace, write_nifti: Callable[..., Path]
) -> None:
    path = write_nifti(tmp_path / "v.nii", ct_object.hu, "RAS")
    stack = read_slices(path, [3, 1])
    np.testing.assert_array_equal(stack.pixels, ct_object.hu[[3, 1]])
    _assert_same_place(stack, ct_object, 3, 3)
    volume = to_source_geometry(np.ones((2, 32, 32)), stack)
    assert volume.array.shape == (20, 24, 4)
    assert [bool(volume.array[..., n].any()) for n in range(4)] == [False, True, False, True]
    with pytest.raises(ImageReadError, match=r"slice 4 was asked for, but the file holds slices 0 to 3"):
        read_slices(path, [1, 4])


def test_two_dimensional_nifti(tmp_path: Path, ct_object: SimpleNamespace) -> None:
    """Stored (x, y) with x to the right and y to the front."""
    nib.save(nib.Nifti1Image(ct_object.hu[0].T[::-1, ::-1], np.diag([0.5, 0.6, 5, 1])), tmp_path / "s.nii")
    stack = read_slices(tmp_path / "s.nii")
    np.testing.assert_array_equal(stack.pixels[0], ct_object.hu[0])
    assert to_source_geometry(np.zeros((1, 32, 32)), stack).array.shape == (20, 24)


@pytest.mark.parametrize("suffix", ["nrrd", "mha"])
def test_itk_formats(tmp_path: Path, ct_object: SimpleNamespace, suffix: str) -> None:
    import itk

    image = itk.image_from_array(np.ascontiguousarray(ct_object.hu[:, ::-1, :]))  # rows stored back to front
    image.SetSpacing([0.5, 0.6, 5.0])
    image.SetDirection(np.diag([1.0, -1.0, 1.0]))
    image.SetOrigin([-10.0, -20.0 + 23 * 0.6, 30.0])
    itk.imwrite(image, str(tmp_path / f"v.{suffix}"))
    stack = read_slices(tmp_path / f"v.{suffix}")
    np.testing.assert_array_equal(stack.pixels, ct_object.hu)
    _assert_same_place(stack, ct_object, 2, 2)


@pytest.mark.parametrize(
    ("orientation", "store"),
    [
        ((1, 0, 0, 0, 1, 0), lambda a: a),
        ((-1, 0, 0, 0, 1, 0), lambda a: a[:, ::-1]),
        ((1, 0, 0, 0, -1, 0), lambda a: a[::-1]),
        ((-1, 0, 0, 0, -1, 0), lambda a: a[::-1, ::-1]),
        ((0, 1, 0, 1, 0, 0), lambda a: a.T),
        ((0, -1, 0, 1, 0, 0), lambda a: a.T[:, ::-1]),
    ],
)
def test_dicom_slice_of_any_in_plane_orientation(
    tmp_path: Path,
    ct_object: SimpleNamespace,
    write_dicom: Callable[..., Path],
    orientation: tuple[float, ...],
    store: Callable[[np.ndarray], np.ndarray],
) -> None:
    spacing = (0.6, 0.5) if orientation[0] else (0.5, 0.6)
    first = np.array([-10.0, -20.0, 35.0])  # centre of the stored first pixel: at the far end of a reversed axis
    first[0] += 19 * 0.5 if -1 in (orientation[0], orientation[3]) else 0
    first[1] += 23 * 0.6 if -1 in (orientation[1], orientation[4]) else 0
    path = write_dicom(tmp_path / "s.dcm", store(ct_object.hu[1]), tuple(first), orientation, spacing=spacing)
    stack = read_slices(path)
    np.testing.assert_array_equal(stack.pixels[0], ct_object.hu[1])
    assert stack.spacing_mm_rc == pytest.approx((0.6, 0.5))
    _assert_same_place(stack, ct_object, 1, 0)


@pytest.mark.parametrize(
    ("stored", "slope", "intercept", "expected"),
    [
        (np.array([[0, 1024], [1064, 4095]], np.uint16), 1.0, -1024.0, [[-1024, 0], [40, 3071]]),
        (np.array([[-2000, -1000], [0, 40]], np.int16), 1.0, 0.0, [[-1024, -1000], [0, 40]]),
        (np.array([[0, 40000], [2, 3]], np.uint16), 0.5, -1000.25, [[-1000.25, 18999.75], [-999.25, -998.75]]),
    ],
)
def test_rescale_and_clamp(
    tmp_path: Path, write_dicom: Callable[..., Path], stored: np.ndarray, slope: float, intercept: float, expected: list
) -> None:
    stack = read_slices(write_dicom(tmp_path / "s.dcm", stored, slope=slope, intercept=intercept))
    np.testing.assert_array_equal(stack.pixels[0], np.array(expected, np.float32))


def test_padding_value_above_ct_numbers_is_air_but_tissue_is_left_alone(
    tmp_path: Path, write_dicom: Callable[..., Path]
) -> None:
    stored = np.array([[0, 30000], [40, 100]], np.int16)

    def pad(value: int) -> Callable[[Any], None]:
        return lambda dataset: setattr(dataset, "PixelPaddingValue", value)

    high = read_slices(write_dicom(tmp_path / "a.dcm", stored, change=pad(30000)))
    np.testing.assert_array_equal(high.pixels[0], [[0, -1024], [40, 100]])
    water = read_slices(write_dicom(tmp_path / "b.dcm", stored, change=pad(0)))
    np.testing.assert_array_equal(water.pixels[0], [[0, 30000], [40, 100]])


def test_wrapped_unsigned_12_bit_values(tmp_path: Path, write_dicom: Callable[..., Path]) -> None:
    """-1000 HU stored modulo 4096 is 3096, as in some files of the RSNA 2019 set."""
    stored = np.array([[3096, 4095], [0, 3095]], np.uint16)
    path = write_dicom(tmp_path / "s.dcm", stored, change=lambda d: setattr(d, "BitsStored", 12))
    np.testing.assert_array_equal(read_slices(path).pixels[0], [[-1000, -1], [0, 3095]])


def test_real_tilted_jpeg2000_slice() -> None:
    """The head-CT slice that pydicom ships, against pydicom's decoding, ITK, and an affine worked out by hand."""
    stack = read_slices(REAL_SLICE)
    header = pydicom.dcmread(REAL_SLICE)
    hu = header.pixel_array * float(header.RescaleSlope) + float(header.RescaleIntercept)
    assert hu.min() == -2000  # padding: below air, so it is clamped
    np.testing.assert_array_equal(stack.pixels[0], np.maximum(hu, -1024).astype(np.float32))
    # IOP (1,0,0; 0,.9272,-.3746), spacing .431, IPP (-110.2153,-98.1898,72.1446), LPS; RAS negates the first two rows.
    by_hand = np.array(
        [[-0.431, 0, 110.2153], [0, -0.431 * 0.9272, 98.1898], [0, -0.431 * 0.3746, 72.1446]], dtype=float
    )
    np.testing.assert_allclose(stack.source_affine_ras_mm[:3, [0, 1, 3]], by_hand, atol=1e-6)
    np.testing.assert_allclose(stack.source_affine_ras_mm[:3, 2], np.array([0, -0.3746, 0.9272]) * 5.0, atol=1e-4)
    assert (stack.reorientation.flip_rows, stack.reorientation.flip_columns) == (False, False)
    reader = ITKReader()
    array, meta = reader.get_data(reader.read(REAL_SLICE))
    np.testing.assert_array_equal(stack.pixels[0], np.maximum(array[..., 0].T, -1024))
    itk_affine = meta["affine"]
    np.testing.assert_allclose(stack.source_affine_ras_mm[:, [0, 1, 3]], itk_affine[:, [0, 1, 3]], atol=1e-3)
    np.testing.assert_allclose(stack.source_affine_ras_mm[:3, 2] / 5.0, itk_affine[:3, 2], atol=1e-4)


def test_enhanced_multiframe(tmp_path: Path, ct_object: SimpleNamespace, write_enhanced: Callable[..., Path]) -> None:
    positions = [np.array([-10.0, -20.0, 30.0 + 5 * n]) for n in range(4)]
    stored = (ct_object.hu + 1024).astype(np.uint16)
    path = write_enhanced(tmp_path / "e.dcm", stored, positions, [(1.0, -1024.0)])
    stack = read_slices(path)
    np.testing.assert_array_equal(stack.pixels, ct_object.hu)
    _assert_same_place(stack, ct_object, 3, 3)
    np.testing.assert_array_equal(read_slices(path, [2]).pixels, ct_object.hu[[2]])
    _assert_same_place(read_slices(path, [2]), ct_object, 2, 2)
    reader = ITKReader()
    array, meta = reader.get_data(reader.read(path))
    np.testing.assert_array_equal(stack.pixels, array.T)
    np.testing.assert_allclose(stack.source_affine_ras_mm, meta["affine"], atol=1e-6)


def test_enhanced_multiframe_with_a_rescale_for_each_frame(
    tmp_path: Path, ct_object: SimpleNamespace, write_enhanced: Callable[..., Path]
) -> None:
    positions = [np.array([-10.0, -20.0, 30.0 + 5 * n]) for n in range(4)]
    rescale = [(1.0, 0.0), (2.0, -10.0), (0.5, 3.0), (1.0, 100.0)]
    stack = read_slices(write_enhanced(tmp_path / "e.dcm", ct_object.hu, positions, rescale), [1, 3])
    expected = [np.maximum(ct_object.hu[n] * rescale[n][0] + rescale[n][1], -1024) for n in (1, 3)]
    np.testing.assert_array_equal(stack.pixels, np.array(expected, np.float32))


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32, np.float64])
@pytest.mark.parametrize("label", [1, 255])
def test_one_label_is_the_haematoma(
    tmp_path: Path, ct_object: SimpleNamespace, write_nifti: Callable[..., Path], label: int, dtype: type
) -> None:
    stack = read_slices(write_nifti(tmp_path / "m.nii.gz", (ct_object.mask * label).astype(dtype)), kind="mask")
    np.testing.assert_array_equal(stack.pixels, ct_object.mask)


@pytest.mark.parametrize(
    ("numbers", "held"),
    [
        ([1, 2, 5, 3], "1 .*2 .*3 .*5 "),
        ([2, 2, 2, 2], "2 "),
        ([1, 255, 1, 1], "1 .*255 "),
        ([254, 255, 255, 255], "254 .*255 "),
    ],
)
def test_other_labels_are_refused_with_their_counts_unless_chosen(
    tmp_path: Path, ct_object: SimpleNamespace, write_nifti: Callable[..., Path], numbers: list[int], held: str
) -> None:
    values = (ct_object.mask * np.array(numbers)[:, None, None]).astype(np.uint16)
    path = write_nifti(tmp_path / "m.nii.gz", values)
    with pytest.raises(ImageReadError, match=rf"got the labels {held}\(\d+ pixels\)") as fault:
        read_slices(path, kind="mask")
    assert f"{numbers[0]} ({np.count_nonzero(values == numbers[0])} pixels)" in str(fault.value)
    chosen = [numbers[0], 77]  # a label that this file does not hold is no fault: another one may
    np.testing.assert_array_equal(read_slices(path, kind="mask", labels=chosen).pixels, values == numbers[0])


def test_dicom_without_preamble_and_meta_information(
    tmp_path: Path, ct_object: SimpleNamespace, write_dicom: Callable[..., Path]
) -> None:
    dataset = pydicom.dcmread(write_dicom(tmp_path / "s.dcm", ct_object.hu[0]))
    del dataset.file_meta
    dataset.preamble = None
    dataset.save_as(tmp_path / "bare.dcm", implicit_vr=True, little_endian=True)
    assert (tmp_path / "bare.dcm").read_bytes()[128:132] != b"DICM"
    np.testing.assert_array_equal(read_slices(tmp_path / "bare.dcm").pixels[0], ct_object.hu[0])
