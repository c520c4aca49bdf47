# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""A prediction of values that are no HU is refused, and one whose mask shows no blood says so."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import nibabel as nib
import numpy as np
import pytest
import torch
from support import head_slice

from monai_ich.prediction.study_slices import CHUNK_SLICES
from monai_ich.utils.errors import ImageReadError

Predict = Callable[..., SimpleNamespace]
PLACES = [(0, 0, 5 * number) for number in range(6)]


def head(slices: int = 6, clot_hu: float = 65) -> np.ndarray:
    """(slices, 64, 64) HU: skin and skull, and in brain of 20 HU a clot of 6 x 8 pixels in every slice."""
    hu = np.stack([head_slice(64, brain_hu=20)] * slices)
    hu[:, 30:36, 28:36] = clot_hu
    return hu


def volume(path: Path, hu: np.ndarray) -> Path:
    nib.save(nib.Nifti1Image(hu.transpose(2, 1, 0).astype(np.float32), np.diag([-1.0, -1.0, 5.0, 1.0])), path)
    return path


class ClotInBrain(torch.nn.Module):
    """`seg` is blood above 40 HU, in the middle of the slice alone: skull is as bright in the window."""

    def __init__(self) -> None:
        super().__init__()
        self.sharpness = torch.nn.Parameter(torch.tensor(100.0))
        self.register_buffer("inside", torch.zeros(64, 64))
        self.inside[20:44, 20:44] = 1

    def forward(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        blood = self.sharpness * ((images - 0.5) * self.inside - (1 - self.inside))
        return {"seg": torch.cat([-blood, blood], dim=1)}


@pytest.fixture
def predict_clot(predict_known: Predict) -> Predict:
    """Predicts with the check of values on."""
    return lambda source, **settings: predict_known(source, ClotInBrain(), **{"any_values": False, **settings})


def test_the_right_values_give_no_note(predict_clot: Predict, tmp_path: Path) -> None:
    got = predict_clot(volume(tmp_path / "v.nii.gz", head()))
    assert got.study["haematoma_volume_ml"] == pytest.approx(6 * 48 * 5 / 1000, abs=1e-3)
    assert got.study["notes"] == []
    assert got.study["haematoma_hu_shares"] == {"outside_0_to_100": 0, "bone_above_300": 0, "air_below_-200": 0}


def test_values_with_an_offset_are_refused_until_it_is_given(predict_clot: Predict, tmp_path: Path) -> None:
    right = predict_clot(volume(tmp_path / "right.nii.gz", head()))
    shifted = volume(tmp_path / "shifted.nii.gz", head() + 1024)
    with pytest.raises(ImageReadError, match=r"shifted\.nii\.gz: its values .*look like HU \+1024.*--offset -1024"):
        predict_clot(shifted)
    got = predict_clot(shifted, offset_hu=-1024)
    assert got.study == right.study | {"checkpoint_sha256": got.study["checkpoint_sha256"]}
    np.testing.assert_array_equal(got.mask.get_fdata(), right.mask.get_fdata())
    assert predict_clot(shifted, any_values=True).study["slices"] == 6


def test_a_slice_between_those_looked_at_first_is_found_before_anything_is_written(
    predict_clot: Predict, tmp_path: Path
) -> None:
    hu = head(5 * CHUNK_SLICES)
    looked_at = np.linspace(0, len(hu) - 1, CHUNK_SLICES).round()
    hidden = next(number for number in range(len(hu)) if number not in looked_at)
    hu[hidden] += 1024
    with pytest.raises(ImageReadError, match="this slice shows no air"):
        predict_clot(volume(tmp_path / "v.nii.gz", hu))
    assert not list(tmp_path.glob("out*/study.json"))


@pytest.mark.parametrize(
    ("clot_hu", "share", "notes"),
    [
        (99, {"outside_0_to_100": 0, "bone_above_300": 0}, []),
        (120, {"outside_0_to_100": 1, "bone_above_300": 0}, ["100% of the mask's pixels have not the 0 to 100 HU"]),
        (900, {"outside_0_to_100": 1, "bone_above_300": 1}, ["100% of the mask's pixels have not", "100% of .* bone"]),
    ],
)
def test_a_mask_that_shows_no_blood_is_noted(
    predict_clot: Predict, tmp_path: Path, clot_hu: float, share: dict[str, float], notes: list[str]
) -> None:
    got = predict_clot(volume(tmp_path / "v.nii.gz", head(clot_hu=clot_hu)))
    assert got.study["haematoma_hu_shares"] == {**share, "air_below_-200": 0}
    assert len(got.study["notes"]) == len(notes)
    for note, expected in zip(got.study["notes"], notes, strict=True):
        assert re.match(expected, note)


def test_the_share_counts_pixels_of_all_slices(predict_clot: Predict, tmp_path: Path) -> None:
    hu = head()
    hu[0, 30:36, 28:36] = 120  # one clot of six
    got = predict_clot(volume(tmp_path / "v.nii.gz", hu))
    assert got.study["haematoma_hu_shares"]["outside_0_to_100"] == pytest.approx(1 / 6, abs=1e-4)
    assert got.study["notes"] == []
    hu[1, 30:36, 28:36] = 120
    assert len(predict_clot(volume(tmp_path / "w.nii.gz", hu)).study["notes"]) == 1


def test_much_loss_is_refused_until_it_is_accepted(
    predict_known: Predict, write_head: Callable[..., Path], tmp_path: Path
) -> None:
    tags = {"LossyImageCompression": "01", "LossyImageCompressionRatio": "40"}
    folder = write_head(tmp_path / "ct", PLACES, [5.0] * 6, **tags)
    with pytest.raises(ImageReadError, match=r"compressed with loss at 40:1; expected 15:1 or less.*--allow-lossy"):
        predict_known(folder)
    assert "with loss at 40:1" in predict_known(folder, allow_lossy=True).study["notes"][0]
