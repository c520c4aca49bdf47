# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Every format and axis order gives the same canonical slices; everything unfit is refused in words."""

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

from monai_ich.transforms import read_slices, to_source_geometry
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


def test_frames_in_colours_are_no_mask(tmp_path: Path, write_enhanced: Callable[..., Path]) -> None:
    path = write_enhanced(tmp_path / "c.dcm", np.zeros((2, 4, 5), np.uint16), [np.zeros(3), np.ones(3)], [(1.0, 0.0)])
    dataset = pydicom.dcmread(path)
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation, dataset.PlanarConfiguration = 3, "RGB", 0
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 8, 8, 7
    dataset.PixelData = bytes(2 * 4 * 5 * 3)
    dataset.save_as(path)
    with pytest.raises(ImageReadError, match=r"expected grey slices, got pixel data of shape \(2, 4, 5, 3\)"):
        read_slices(path, kind="mask")


def test_mask_labels_become_one(tmp_path: Path, ct_object: SimpleNamespace, write_nifti: Callable[..., Path]) -> None:
    labels = (ct_object.mask * np.array([1, 2, 5, 3])[:, None, None]).astype(np.uint16)
    stack = read_slices(write_nifti(tmp_path / "m.nii.gz", labels), kind="mask")
    np.testing.assert_array_equal(stack.pixels, ct_object.mask)


@pytest.mark.parametrize("values", [np.float32(0.3), np.int16(-900)])
def test_what_is_no_mask_is_refused(tmp_path: Path, write_nifti: Callable[..., Path], values: np.generic) -> None:
    path = write_nifti(tmp_path / "m.nii", np.full((2, 8, 8), values))
    with pytest.raises(ImageReadError, match=r"m\.nii: expected a mask with whole labels.*not exchanged"):
        read_slices(path, kind="mask")


def _delete(keyword: str) -> Callable[[Any], None]:
    return lambda dataset: delattr(dataset, keyword)


def _set(keyword: str, value: object) -> Callable[[Any], None]:
    return lambda dataset: setattr(dataset, keyword, value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_set("Modality", "MR"), "expected Modality CT, got MR"),
        (_delete("RescaleSlope"), "RescaleSlope is missing; without it the values are not HU"),
        (_delete("RescaleIntercept"), "RescaleIntercept is missing; without it the values are not HU"),
        (_set("RescaleType", "Z_EFF"), "RescaleType is 'Z_EFF', expected HU"),
        (_set("ImageType", ["ORIGINAL", "PRIMARY", "LOCALIZER"]), "is a localizer"),
        (_set("PhotometricInterpretation", "MONOCHROME1"), "expected PhotometricInterpretation MONOCHROME2"),
        (_delete("ImageOrientationPatient"), "ImageOrientationPatient is missing; without it the orientation"),
        (_delete("ImagePositionPatient"), "ImagePositionPatient is missing"),
        (_set("PixelSpacing", [0.5]), "wrong number of values"),
        (_set("ImageOrientationPatient", [1, 0, 0, 0, 0, -1]), "is a coronal slice .* expected axial"),
        (_set("ImageOrientationPatient", [0, 1, 0, 0, 0, -1]), "is a sagittal slice"),
        (_delete("PixelData"), "pixel data cannot be decoded"),
    ],
)
def test_unfit_dicom_is_refused(
    tmp_path: Path, write_dicom: Callable[..., Path], change: Callable[[Any], None], message: str
) -> None:
    path = write_dicom(tmp_path / "bad.dcm", np.zeros((8, 8), np.int16), change=change)
    with pytest.raises(ImageReadError, match=rf"bad\.dcm: .*{message}"):
        read_slices(path)


@pytest.mark.parametrize("keep", [0.999, 0.6, 0.02])
@pytest.mark.parametrize("source", ["native.dcm", "jpeg2000.dcm", "v.nii", "v.nii.gz", "v.mha"])
def test_truncated_files(
    tmp_path: Path,
    ct_object: SimpleNamespace,
    write_nifti: Callable[..., Path],
    write_dicom: Callable[..., Path],
    source: str,
    keep: float,
) -> None:
    path = tmp_path / source
    if source == "native.dcm":
        write_dicom(path, ct_object.hu[0])
    elif source == "jpeg2000.dcm":
        path.write_bytes(REAL_SLICE.read_bytes())
    elif source == "v.mha":
        import itk

        itk.imwrite(itk.image_from_array(ct_object.hu), str(path), compression=False)
    else:
        write_nifti(path, ct_object.hu)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * keep)])
    with pytest.raises(ImageReadError, match=source):
        read_slices(path)


def test_missing_empty_and_foreign_files(tmp_path: Path) -> None:
    with pytest.raises(ImageReadError, match=r"none\.dcm: no such file"):
        read_slices(tmp_path / "none.dcm")
    (tmp_path / "empty.dcm").touch()
    with pytest.raises(ImageReadError, match=r"empty\.dcm: "):
        read_slices(tmp_path / "empty.dcm")
    (tmp_path / "notes.txt").write_text("not an image at all, but long enough to look at" * 10)
    with pytest.raises(ImageReadError, match=r"notes\.txt: (is no DICOM file|cannot be parsed)"):
        read_slices(tmp_path / "notes.txt")


def test_nifti_without_orientation_or_with_nan_is_refused(tmp_path: Path) -> None:
    image = nib.Nifti1Image(np.zeros((8, 8, 2), np.float32), np.eye(4))
    image.set_sform(None, code=0)
    image.set_qform(None, code=0)
    nib.save(image, tmp_path / "v.nii")
    with pytest.raises(ImageReadError, match=r"neither sform nor qform is set"):
        read_slices(tmp_path / "v.nii")
    nib.save(nib.Nifti1Image(np.full((8, 8, 2), np.nan, np.float32), np.eye(4)), tmp_path / "n.nii")
    with pytest.raises(ImageReadError, match=r"n\.nii: holds values that are no numbers"):
        read_slices(tmp_path / "n.nii")
    nib.save(nib.Nifti1Image(np.zeros((8, 8, 2, 3), np.float32), np.eye(4)), tmp_path / "t.nii")
    with pytest.raises(ImageReadError, match=r"expected one grey value a voxel"):
        read_slices(tmp_path / "t.nii")


def test_dicom_without_preamble_and_meta_information(
    tmp_path: Path, ct_object: SimpleNamespace, write_dicom: Callable[..., Path]
) -> None:
    dataset = pydicom.dcmread(write_dicom(tmp_path / "s.dcm", ct_object.hu[0]))
    del dataset.file_meta
    dataset.preamble = None
    dataset.save_as(tmp_path / "bare.dcm", implicit_vr=True, little_endian=True)
    assert (tmp_path / "bare.dcm").read_bytes()[128:132] != b"DICM"
    np.testing.assert_array_equal(read_slices(tmp_path / "bare.dcm").pixels[0], ct_object.hu[0])
