# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""The command `check` reads slices of every hospital, and refuses what training would."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from support import bundle_part, head_slice
from typer.testing import CliRunner

from monai_ich.__main__ import cli
from monai_ich.audit.manifest_audit import AuditRequest, audit_manifest
from monai_ich.audit.manifest_check import SAMPLED_SLICES, SAMPLED_STUDIES, check_manifest, sampled_rows
from monai_ich.data import SliceStore, read_manifest, write_manifest
from monai_ich.utils.errors import ImageReadError, ManifestError

SLICES = 4
SPLITS = {"a": "train", "b": "val", "c": "test"}


def volume(path: Path, values: np.ndarray) -> None:
    nib.save(nib.Nifti1Image(values.transpose(2, 1, 0), np.diag([-1.0, -1.0, 5.0, 1.0])), path)


def made(folder: Path, wrong: str = "", offset: float = 0.0, labels: tuple[int, ...] = (1,), **cells: str) -> Path:
    """A manifest of three patients; the images of `wrong` have an offset, its masks these labels."""
    rows = []
    for patient, split in SPLITS.items():
        hu = np.stack([head_slice(64)] * SLICES)
        mask = np.zeros(hu.shape, np.uint8)
        for place, label in enumerate(labels if patient == wrong else (1,)):
            mask[:, 30 + place, 30:34] = label
        volume(folder / f"{patient}.nii.gz", (hu + (offset if patient == wrong else 0)).astype(np.int16))
        volume(folder / f"{patient}_mask.nii.gz", mask)
        for number in range(SLICES):
            place = {"image_slice": number, "mask": f"{patient}_mask.nii.gz", "mask_slice": number}
            names = {"patient_id": patient, "study_id": patient, "hospital": "H", "split": split}
            marker = {"hypodensity": number % 2, "margin_irregularity": "", "blend_sign": "", "fluid_level": ""}
            how = cells if patient == wrong else dict.fromkeys(cells, "")
            rows.append({"key": f"{patient}{number}", "image": f"{patient}.nii.gz", **place, **names, **marker, **how})
    about = {"name": "x", "description": "x", "licence": "x", "protocol": {"name": "patient"}}
    return write_manifest(pd.DataFrame(rows), folder / "m.csv", dataset_dir=folder, window_hu=(40, 80), **about)


def training_reads(manifest: Path) -> SliceStore:
    read = read_manifest(manifest)
    store = SliceStore(read.frame, read.dataset_dir, bundle_part("preprocessing"), progress=False)
    store.prepare()
    return store


def test_a_good_manifest_passes_and_says_how_much_was_read(tmp_path: Path) -> None:
    shown = CliRunner().invoke(cli, ["check", str(made(tmp_path))], catch_exceptions=False)
    assert shown.exit_code == 0
    assert "12 of 12 slices were read: images are in HU, masks have one label (all: --thorough)" in shown.output


@pytest.mark.parametrize("wrong", SPLITS)
def test_values_that_are_no_hu_stop_check_audit_and_training_alike(
    tmp_path: Path, wrong: str, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = made(tmp_path, wrong, 1024)
    says = rf"{wrong}\.nii\.gz: its values are no Hounsfield units: .*look like HU \+1024"
    for refuses in (lambda: check_manifest(manifest, "hypodensity", None), lambda: training_reads(manifest)):
        with pytest.raises(ImageReadError, match=says):
            refuses()
    capsys.readouterr()
    assert audit_manifest(AuditRequest(manifest, pictures=False, workers=1)) == 2
    assert "look like HU +1024" in capsys.readouterr().out


def test_a_manifest_says_what_to_add_or_that_values_are_taken_as_they_are(tmp_path: Path) -> None:
    as_hu = training_reads(made(tmp_path))
    manifest = made(tmp_path, "b", 1024, image_values="-1024")
    check_manifest(manifest, "hypodensity", None)
    with_offset = training_reads(manifest)
    as_they_are = training_reads(made(tmp_path, "b", 1024, image_values="any"))
    for row in range(12):
        np.testing.assert_array_equal(with_offset[row]["image"], as_hu[row]["image"])
        is_white = float(as_they_are[row]["image"].min()) > 0.2
        assert is_white == (4 <= row < 8)  # air at +24 HU


def test_masks_of_several_labels_stop_check_and_training_until_the_labels_are_said(tmp_path: Path) -> None:
    manifest = made(tmp_path, "a", labels=(1, 2, 3))
    says = r"a_mask\.nii\.gz: expected a mask of 0 and 1 .*got the labels 1 \(16 pixels\), 2 \(16 pixels\), 3 \("
    for refuses in (lambda: check_manifest(manifest, "hypodensity", None), lambda: training_reads(manifest)):
        with pytest.raises(ImageReadError, match=says):
            refuses()
    drawn = {}
    for labels in ("1", "1 3", "1 2 3"):
        store = training_reads(made(tmp_path, "a", labels=(1, 2, 3), mask_labels=labels))
        drawn[labels] = [int(store[row]["mask"].sum()) for row in range(12)]
    assert drawn["1 2 3"][:4] > drawn["1 3"][:4] > drawn["1"][:4] > [0] * 4
    assert drawn["1 2 3"][4:] == drawn["1"][4:]


@pytest.mark.parametrize(
    ("cells", "says"),
    [
        ({"image_values": "hu"}, "image_values is 'hu'; expected a number to be added"),
        ({"image_values": "nan"}, "image_values is 'nan'"),
        ({"mask_labels": "1,2"}, "mask_labels is '1,2'; expected the numbers that mean haemorrhage"),
        ({"mask_labels": "0"}, "mask_labels is '0'"),
    ],
)
def test_wrong_cells_are_named(tmp_path: Path, cells: dict[str, str], says: str) -> None:
    with pytest.raises(ManifestError, match=says):
        made(tmp_path, "a", **cells)


def test_the_sample_is_of_every_hospital_and_thorough_is_all() -> None:
    rows = [
        {"study_id": f"{hospital}-{study}", "hospital": hospital, "image": f"{hospital}/{study}/{n}.dcm"}
        for hospital, studies in (("big", 200), ("small", 3), ("one", 1))
        for study in range(studies)
        for n in range(10)
    ]
    frame = pd.DataFrame(rows).assign(image_slice=pd.array([pd.NA] * len(rows), dtype="Int64"))
    sampled = sampled_rows(frame)
    studies = sampled.groupby("hospital")["study_id"].nunique()
    assert (studies["small"], studies["one"], studies.sum()) == (3, 1, SAMPLED_STUDIES)
    assert set(sampled.groupby("study_id").size()) == {SAMPLED_SLICES}
    assert {"big/0/0.dcm", "big/0/9.dcm"} <= set(sampled["image"])
    few = frame.iloc[:15]
    assert sampled_rows(few).groupby("study_id").size().tolist() == [6, 5]
