# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""A study passes in chunks: the same numbers, each slice decoded once, all faults together, no name written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import itk
import nibabel as nib
import numpy as np
import pytest
import torch
from support import bundle_part

from monai_ich.prediction import StudySlices
from monai_ich.prediction.slice_results import SliceResults
from monai_ich.prediction.study_slices import CHUNK_SLICES
from monai_ich.reading import open_series as module
from monai_ich.reading import read_series, read_slices, volumes
from monai_ich.reading.hounsfield import ValueRule
from monai_ich.utils.errors import ImageReadError
from monai_ich.utils.keys import Key

AS_THEY_ARE = ValueRule(is_checked=False)  # squares are no head
Predict = Callable[..., SimpleNamespace]
COUNT = 2 * CHUNK_SLICES + 3


@pytest.fixture
def series(tmp_path: Path, write_head: Any) -> Path:
    return write_head(tmp_path / "ct", [(0, 0, 5 * n) for n in range(COUNT)], [5.0] * COUNT)


def test_chunks_give_what_the_whole_gives_and_decode_each_slice_once(
    series: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    preprocessing = bundle_part("preprocessing", image_size=96)
    whole = np.asarray(preprocessing({Key.IMAGE: read_series(series, values=AS_THEY_ARE)})[Key.IMAGE])
    decoded: list[int] = []
    real = module.decode_to_values
    monkeypatch.setattr(module, "decode_to_values", lambda *how: decoded.append(1) or real(*how))
    study = StudySlices(series, preprocessing, any_values=True)
    images = np.stack([study[number]["image"][0] for number in range(len(study))])
    np.testing.assert_array_equal(images, whole)
    assert sum(decoded) == len(study) == COUNT
    np.testing.assert_array_equal(study.images([COUNT - 1, 0])[:, 0], whole[[COUNT - 1, 0]])


@pytest.mark.parametrize("axcodes", ["LPS", "RAI", "SPL", "LSA"])
@pytest.mark.parametrize("name", ["v.nii.gz", "v.nii", "v.nrrd"])
def test_a_volume_is_read_in_parts_as_it_is_whole(tmp_path: Path, axcodes: str, name: str) -> None:
    stored = np.random.default_rng(0).integers(-1000, 1000, (9, 7, COUNT)).astype(np.int16)
    affine = np.diag([-0.5, -0.5, 5.0, 1.0])
    change = nib.orientations.ornt_transform(
        nib.orientations.axcodes2ornt("LPS"), nib.orientations.axcodes2ornt(axcodes)
    )
    image = nib.Nifti1Image(stored, affine).as_reoriented(change)
    image.header.set_slope_inter(0.5, -3)
    nib.save(image, tmp_path / "v.nii.gz")
    if name == "v.nrrd":
        itk.imwrite(itk.imread(str(tmp_path / "v.nii.gz"), itk.SS), str(tmp_path / name))
    elif name == "v.nii":
        nib.save(nib.load(tmp_path / "v.nii.gz"), tmp_path / name)
    whole = read_slices(tmp_path / name)
    opened = module.open_volume_file(tmp_path / name)
    parts = list(opened.chunks(CHUNK_SLICES))
    assert [len(part.pixels) for part in parts] == [CHUNK_SLICES, CHUNK_SLICES, 3]
    np.testing.assert_array_equal(np.concatenate([part.pixels for part in parts]), whole.pixels)
    np.testing.assert_array_equal(np.concatenate([p.centres_ras_mm() for p in parts]), whole.centres_ras_mm())


def test_a_large_packed_volume_goes_through_a_temporary_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(volumes, "_MOST_IN_MEMORY", 1000)
    values = np.arange(12 * 8 * 30, dtype=np.int16).reshape(12, 8, 30)
    nib.save(nib.Nifti1Image(values, np.diag([-1, -1, 2, 1])), tmp_path / "v.nii.gz")
    np.testing.assert_array_equal(read_slices(tmp_path / "v.nii.gz").pixels, values.transpose(2, 1, 0))


def test_damaged_slices_of_all_chunks_are_reported_together(
    series: Path, predict_known: Predict, tmp_path: Path
) -> None:
    paths = read_series(series, values=AS_THEY_ARE).paths
    bad = [paths[1], paths[CHUNK_SLICES + 2], paths[-1]]
    for path in bad:
        path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(ImageReadError) as caught:
        predict_known(series)
    assert len(caught.value.faults) == 3
    assert all(path.name in str(caught.value) for path in bad)
    assert not list(tmp_path.glob("out*"))


def test_results_name_no_file_unless_asked(predict_known: Predict, write_head: Any, tmp_path: Path) -> None:
    folder = write_head(tmp_path / "Kirschbaum_Eleonore", [(0, 0, 5 * n) for n in range(3)], [5.0] * 3)
    for path in folder.glob("*.dcm"):
        path.rename(folder / f"Kirschbaum-{path.name}")
    got = predict_known(folder)
    for file in got.folder.iterdir():
        assert b"Kirschbaum" not in file.read_bytes(), file
    assert got.study["source"] == "DICOM series"
    assert "file" not in got.slices
    asked = predict_known(folder, file_names=True)
    assert asked.study["source"] == "Kirschbaum_Eleonore"
    assert asked.slices["file"].str.startswith("Kirschbaum-").all()
    assert asked.slices.drop(columns="file").equals(got.slices)
    nib.save(nib.Nifti1Image(np.zeros((64, 64, 2), np.int16), np.diag([-1, -1, 5, 1])), folder / "Kirschbaum.nii")
    assert predict_known(folder / "Kirschbaum.nii").study["source"] == "volume file"


def test_the_panel_keeps_the_slices_of_the_highest_rank(series: Path) -> None:
    """In whatever order batches come; of equal ones the first."""
    results = SliceResults(
        StudySlices(series, bundle_part("preprocessing", image_size=64), any_values=True), ["hypodensity"]
    )
    ranks = torch.tensor([0.0, 3, 1, 3, 3, 0, 2, 3, 3, 3, 3, 1])
    for numbers in ([0, 1, 2, 3, 4], [5, 6, 7], [8, 9, 10, 11]):
        logits = torch.stack([torch.zeros(len(numbers)), ranks[numbers]], dim=1)
        images = torch.tensor(numbers, dtype=torch.float32)[:, None, None, None]
        results.add(numbers, images, {"cls": logits})
    assert list(results.drawn) == [1, 3, 4, 7, 8, 9]
    assert [float(image) for image, _ in results.drawn.values()] == [1, 3, 4, 7, 8, 9]
    assert results.probabilities is not None
    np.testing.assert_allclose(results.probabilities[:12, 0], torch.sigmoid(ranks), rtol=1e-6)
