# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""A group of slices: each file once, image and mask on one grid, faults named; and the shared preprocessing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from pydicom.data import get_testdata_file
from support import bundle_part, head_slice

import monai_ich.transforms.loading as loading
from monai_ich.reading import read_series
from monai_ich.transforms import (
    FitSquared,
    HUWindowd,
    LoadSlicesd,
    to_source_geometry,
    window_bounds_hu,
)
from monai_ich.utils.errors import ConfigurationError, ImageReadError


@pytest.mark.parametrize("axcodes", ["LPS", "RAS", "PSR"])
def test_dicom_slices_and_nifti_mask_meet(
    tmp_path: Path,
    ct_object: SimpleNamespace,
    write_series: Callable[..., list[Path]],
    write_nifti: Callable[..., Path],
    axcodes: str,
) -> None:
    paths = write_series(tmp_path / "ct", ct_object.hu)
    mask = write_nifti(tmp_path / "mask.nii.gz", ct_object.mask, axcodes)
    item = LoadSlicesd()(
        {"image": [(paths[n], None) for n in (3, 0, 2)], "mask": [(mask, 3), None, (mask, 2)], "label": 1}
    )
    np.testing.assert_array_equal(item["image"], ct_object.hu[[3, 0, 2]])
    np.testing.assert_array_equal(item["mask"], ct_object.mask[[3, 0, 2]] * np.array([1, 0, 1])[:, None, None])
    assert (item["image"].dtype, item["mask"].dtype, item["label"]) == (torch.float32, torch.uint8, 1)


def test_each_file_is_decoded_once(
    tmp_path: Path, ct_object: SimpleNamespace, write_nifti: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    image = write_nifti(tmp_path / "i.nii", ct_object.hu)
    mask = write_nifti(tmp_path / "m.nii", ct_object.mask)
    calls: list[str] = []
    real = loading.read_slices
    monkeypatch.setattr(
        loading, "read_slices", lambda path, *rest, **how: calls.append(path.name) or real(path, *rest, **how)
    )
    LoadSlicesd()({"image": [(image, n) for n in range(4)], "mask": [(mask, n) for n in range(4)]})
    assert sorted(calls) == ["i.nii", "m.nii"]


def test_faults_of_a_group_are_named_together(
    tmp_path: Path, ct_object: SimpleNamespace, write_nifti: Callable[..., Path]
) -> None:
    image = write_nifti(tmp_path / "i.nii", ct_object.hu)
    item = {"image": [(image, 0), (tmp_path / "gone.dcm", None), (image, 9)], "key": ["a", "b", "c"]}
    with pytest.raises(ImageReadError) as caught:
        LoadSlicesd()(item)
    assert len(caught.value.faults) == 2
    assert "a and 1 more: " in str(caught.value)
    assert "slice 9 was asked for" in str(caught.value)
    assert f"b: {tmp_path / 'gone.dcm'}: no such file" in str(caught.value)
    with pytest.raises(ImageReadError, match=r"holds 4 slices, but no slice index is given"):
        LoadSlicesd()({"image": [(image, None)]})
    with pytest.raises(ImageReadError, match=r"the item has no 'image'"):
        LoadSlicesd()({"imag": [(image, None)]})


def test_mask_of_another_shape_place_or_group(
    tmp_path: Path, ct_object: SimpleNamespace, write_nifti: Callable[..., Path]
) -> None:
    image = write_nifti(tmp_path / "i.nii", ct_object.hu)
    small = write_nifti(tmp_path / "small.nii", ct_object.mask[:, :20])
    with pytest.raises(
        ImageReadError, match=r"i\.nii and mask .*small\.nii: .*\(1, 24, 20\) against|\(24, 20\) against"
    ):
        LoadSlicesd()({"image": [(image, 0)], "mask": [(small, 0)]})
    mask = write_nifti(tmp_path / "m.nii", ct_object.mask)
    off_by_one = {"image": [(image, 1)], "mask": [(mask, 2)]}
    with pytest.raises(ImageReadError, match=r"centres lie 5\.0 mm apart.*0-based"):
        LoadSlicesd()(off_by_one)
    assert LoadSlicesd(max_offset_mm=None)(off_by_one)["mask"].sum() == ct_object.mask[2].sum()
    other = write_nifti(tmp_path / "o.nii", ct_object.hu[:, :20])
    with pytest.raises(ImageReadError, match=r"o\.nii has \(20, 20\) rows x columns, .*i\.nii of the same group"):
        LoadSlicesd()({"image": [(image, 0), (other, 0)]})


@pytest.mark.parametrize(("window", "bounds"), [((40, 80), (0, 80)), ([50.0, 130.0], (-15, 115))])
def test_window(window: tuple[float, float], bounds: tuple[float, float]) -> None:
    assert window_bounds_hu(window) == bounds
    hu = torch.tensor([[[-1000.0, bounds[0], window[0], bounds[1], 3000.0]]])
    got = HUWindowd("image", window)({"image": hu})["image"]
    np.testing.assert_allclose(got.flatten(), [0, 0, 0.5, 1, 1], atol=1e-6)
    assert hu[0, 0, 0] == -1000  # the input is left as it was


@pytest.mark.parametrize(
    "window",
    [(40, 0), (40, -80), (40,), (40, 80, 1), "[40, 80]", 40, None, ("40", "80"), (float("nan"), 80), (True, 1)],
)
def test_what_is_no_window(window: object) -> None:
    with pytest.raises(ConfigurationError, match="window: expected"):
        HUWindowd("image", window)  # type: ignore[arg-type]


@pytest.mark.parametrize("size", [0, 33, 100, -32, 224.0, True])
def test_sizes_that_are_no_multiple_of_32(size: int) -> None:
    with pytest.raises(ConfigurationError, match=r"image_size: expected a multiple of 32"):
        FitSquared(size=size)


def test_square_slices_are_plainly_resized_and_others_keep_their_aspect() -> None:
    image = torch.rand(2, 96, 96)
    mask = (image > 0.5).to(torch.uint8)
    fitted = FitSquared(size=32)({"image": image, "mask": mask})
    by_hand = image.reshape(2, 32, 3, 32, 3).mean(dim=(2, 4))  # area: the mean of each 3 x 3 block
    np.testing.assert_allclose(fitted["image"], by_hand, atol=1e-6)
    np.testing.assert_array_equal(fitted["mask"], mask[:, 1::3, 1::3])  # nearest-exact: the block's middle pixel
    assert fitted["mask"].dtype == torch.uint8
    wide = FitSquared("image", 32, "area")({"image": torch.ones(1, 32, 64)})["image"]
    assert wide.shape == (1, 32, 32)
    np.testing.assert_array_equal(wide[0].sum(dim=1), [0] * 8 + [32] * 16 + [0] * 8)


def test_the_whole_preprocessing_and_its_way_back(
    tmp_path: Path, ct_object: SimpleNamespace, write_nifti: Callable[..., Path]
) -> None:
    big = ct_object.mask.repeat(4, axis=1).repeat(4, axis=2)  # (4, 96, 80)
    head = head_slice(96)[:, :80]
    hu = np.where(big == 1, 60, np.where((head > 0) & (head < 100), 20, head))
    path = write_nifti(tmp_path / "v.nii", hu.astype(np.int16), "RAS")
    mask = write_nifti(tmp_path / "m.nii", big, "LAS")
    done = bundle_part("preprocessing", image_size=192)(
        {"image": [(path, n) for n in range(4)], "mask": [(mask, n) for n in range(4)]}
    )
    assert done["image"].shape == done["mask"].shape == (4, 192, 192)
    inside = np.asarray(done["mask"]) == 1
    np.testing.assert_allclose(np.asarray(done["image"])[inside], 0.75, atol=1e-6)
    stack = read_series(path)
    from_stack = bundle_part("preprocessing", image_size=192)({"image": stack})  # inference: no mask, read once
    assert set(from_stack) == {"image"}
    np.testing.assert_array_equal(from_stack["image"], done["image"])
    back = to_source_geometry(done["mask"], stack).array > 0.5
    stored = big[:, ::-1, ::-1].transpose(2, 1, 0)
    np.testing.assert_array_equal(back, stored)
    with pytest.raises(ValueError, match=r"expected \(4, S, S\)"):
        to_source_geometry(done["mask"][:2], stack)


def test_the_real_slice_is_a_head_after_preprocessing() -> None:
    path = Path(get_testdata_file("J2K_pixelrep_mismatch.dcm"))
    image = bundle_part("preprocessing", window=[40, 80], image_size=224)({"image": [(path, None)]})["image"]
    assert image.shape == (1, 224, 224)
    assert 0.05 < float(image.mean()) < 0.6  # a head, not black or white
