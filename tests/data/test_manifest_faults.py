# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Manifests: every fault of a bad one is named with its row and remedy, all of them together."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from manifest_cases import edit, faults_of, make, rehash, table

from monai_ich.data import dataset_directory, read_manifest, refresh_card
from monai_ich.data.manifest import read_unsplit
from monai_ich.utils.errors import ManifestError


def test_all_faults_are_reported_together(tmp_path: Path) -> None:
    path = make(tmp_path)
    changes = {
        (2, "key"): "train-1",
        (3, "image_slice"): "-1",
        (4, "image_slice"): "1.5",
        (5, "hypodensity"): "yes",
        (6, "split"): "traim",
        (7, "mask"): "masks/none.nii.gz",
        (8, "image"): "../3.nii.gz",
        (9, "patient_id"): "",
        (9, "mask_slice"): "4",
    }
    edit(path, changes)
    message = faults_of(path)
    expected = (
        "row 3: key 'train-1' is already that of row 2; give every slice a key of its own",
        "row 3: image_slice is '-1'; expected a whole number from 0, or empty for a 2-D file",
        "row 4: image_slice is '1.5'; expected a whole number",
        "row 5: hypodensity is 'yes'; expected 0, 1, or empty for unknown",
        "row 6: split is 'traim'; expected 'train', 'val' or a name that begins with 'test'. Did you mean 'train'?",
        f"row 7: mask file is 'masks/none.nii.gz'; expected a file in {(tmp_path / 'data').resolve()}",
        "row 8: image is '../3.nii.gz'; expected a path inside dataset_dir with forward slashes",
        "row 9: patient_id is empty",
        "row 9: mask_slice is given but mask is empty",
    )
    for text in expected:
        assert text in message
    assert "has changed" not in message


def test_row_numbers_are_those_of_a_spreadsheet_also_after_blank_lines(tmp_path: Path) -> None:
    path = make(tmp_path)
    lines = path.read_text().split("\n")
    lines[4] = lines[4].replace(",1,val,", ",1,vall,")
    path.write_text("\n".join([*lines[:2], "", *lines[2:], "", ""]))
    rehash(path)
    message = faults_of(path)
    assert "row 6: split is 'vall'" in message
    assert "row 3" not in message


def test_columns_missing_extra_mistyped_and_repeated(tmp_path: Path) -> None:
    path = make(tmp_path)
    text = path.read_text()
    path.write_text(text.replace("hypodensity,", "hypodencity,", 1).replace("blend_sign", "key", 1))
    rehash(path)
    message = faults_of(path)
    assert "column 'hypodencity' is not part of the schema. Did you mean 'hypodensity'?" in message
    assert "column 'blend_sign' is missing" in message
    assert "column 'key' appears more than once" in message
    path.write_text(text.replace(",", ";"))
    assert "must be separated by commas" in faults_of(path)


def test_rows_of_another_width(tmp_path: Path) -> None:
    path = make(tmp_path)
    lines = path.read_text().split("\n")
    lines[2] += ",a,note"
    lines[3] = lines[3].replace("val", "vol")
    path.write_text("\n".join(lines))
    message = faults_of(path)
    assert "row 3: 15 cells where the header has 13; quote a cell that holds a comma" in message
    assert "row 4: split is 'vol'" in message


def test_long_runs_of_one_fault_do_not_hide_another(tmp_path: Path) -> None:
    frame = pd.concat([table().assign(key=lambda t, n=n: t["key"] + f"-{n}", split="train") for n in range(30)])
    path = make(tmp_path, frame)
    edit(path, {(row, "hypodensity"): "2" for row in range(2, 242)} | {(241, "fluid_level"): "7"})
    message = faults_of(path)
    assert "row 6: hypodensity is '2'" in message
    assert "row 7: hypodensity" not in message
    assert "... and 235 more rows like row 6" in message
    assert "row 241: fluid_level is '7'" in message
    assert "split 'val' has no rows" in message


def test_one_slice_in_two_splits(tmp_path: Path) -> None:
    path = make(tmp_path)
    edit(path, {(4, "image"): "images/2.nii.gz"})
    message = faults_of(path)
    assert "row 6: slice 0 of 'images/2.nii.gz' is in split 'test_hospitals_1_4' and in 'val'" in message
    edit(path, {(4, "image"): "images/1.nii.gz", (5, "image"): "images/1.nii.gz", (5, "image_slice"): "0"})
    read_manifest(path)  # twice in one split is allowed


def test_missing_files_and_folders(tmp_path: Path) -> None:
    path = make(tmp_path)
    (tmp_path / "data" / "images" / "2.nii.gz").unlink()
    message = faults_of(path)
    assert "row 6: image file is 'images/2.nii.gz'; expected a file in" in message
    assert "row 7: image file" in message
    assert "row 5" not in message
    read_manifest(path, check_files=False)
    message = faults_of(path, dataset_dir=tmp_path / "nowhere")
    assert f"the dataset directory {tmp_path / 'nowhere'} does not exist; fetch or make the data" in message


def test_a_split_without_rows_or_with_one_class(tmp_path: Path) -> None:
    path = make(tmp_path)
    edit(path, {(4, "split"): "train", (5, "split"): "train", (8, "hypodensity"): "", (9, "hypodensity"): "0"})
    message = faults_of(path)
    assert "split 'val' has no rows" in message
    assert "split 'test_hospitals_5_11' has 0 slices with hypodensity and 1 without; AUC needs both" in message
    edit(path, {(4, "split"): "val", (5, "split"): "val"})
    assert "1 without; AUC needs both" in faults_of(path)
    read_manifest(path, markers=())
    read_manifest(path, markers=("hypodensity", "blend_sign"))


def test_splits_may_be_empty_until_they_are_needed(tmp_path: Path) -> None:
    path = make(tmp_path, table().assign(split=""))
    assert read_manifest(path, markers=(), required_splits=()).frame["split"].tolist() == [""] * 8
    message = faults_of(path, markers=())
    assert "row 2: split is empty; assign one with a protocol, or remove the row" in message
    assert "split 'train' has no rows" in message


def test_further_labels(tmp_path: Path) -> None:
    path = make(tmp_path, table().assign(label_subdural=[0, 1, None, 1, 0, 1, 0, 1]))
    frame = read_manifest(path, markers=("label_subdural", "hypodensity")).frame
    assert frame["label_subdural"].isna().tolist() == [n == 2 for n in range(8)]
    assert refresh_card(path).read_text().count('"label_subdural"') == 4
    assert "split 'val' has 1 slices with label_subdural and 0 without" in faults_of(path, markers=("label_subdural",))
    text = path.read_text()
    path.write_text(text.replace(",label_subdural", ",label_Subdural", 1))
    rehash(path)
    assert "column 'label_Subdural' is not part of the schema" in faults_of(path)
    path.write_text(text.replace(",0\n", ",7\n", 1))
    rehash(path)
    assert "label_subdural is '7'; expected 0, 1, or empty for unknown" in faults_of(path)


def test_unknown_markers(tmp_path: Path) -> None:
    message = faults_of(make(tmp_path), markers=("hypodensty",))
    assert "marker 'hypodensty' is unknown" in message
    assert "Did you mean 'hypodensity'?" in message


def test_a_csv_edited_after_its_card(tmp_path: Path) -> None:
    path = make(tmp_path)
    path.write_text(path.read_text().replace("train-0", "train-zero"))
    message = faults_of(path)
    assert "tiny.csv has changed since its card was written" in message
    assert f"d.refresh_card('{path}')" in message
    refresh_card(path)
    assert read_manifest(path).frame["key"].iloc[0] == "train-zero"


def test_without_a_card_the_folder_must_be_given(tmp_path: Path) -> None:
    path = make(tmp_path)
    path.with_suffix(".json").unlink()
    message = faults_of(path)
    assert "there is no card" in message
    assert "pass dataset_dir, or write a card with write_manifest" in message
    with pytest.raises(ManifestError, match="there is no card"):
        dataset_directory(path)
    with pytest.raises(ManifestError, match=r"there is no card .* to refresh"):
        refresh_card(path)
    assert read_manifest(path, dataset_dir=tmp_path / "data").card is None


def test_broken_cards(tmp_path: Path) -> None:
    path = make(tmp_path)
    card_file = path.with_suffix(".json")
    card = json.loads(card_file.read_text())
    card_file.write_text(json.dumps({"dataset_dir": 3, "window_hu": [40, 0], "sha256": card["sha256"]}))
    message = faults_of(path)
    assert "the card tiny.json lacks name, description, licence, protocol, counts, created_by" in message
    assert "has dataset_dir 3; expected a path" in message
    assert "has window_hu [40, 0]; expected [level, width]" in message
    card_file.write_text("{")
    assert "is not valid JSON" in faults_of(path)
    card_file.write_text("[]")
    assert "holds a JSON list; expected an object" in faults_of(path)


def test_files_that_are_no_manifest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make(tmp_path)
    with pytest.raises(ManifestError, match=r"no manifest at .*tinny.csv; .* holds tiny.csv. Did you mean 'tiny.csv'"):
        read_manifest(path.with_name("tinny.csv"))
    empty = tmp_path / "empty"
    empty.mkdir()
    said = r"; .*empty holds no CSV file; correct the path, or write a manifest \(data_manifests/README.md\)$"
    with pytest.raises(ManifestError, match=said):
        read_manifest(empty / "tiny.csv")
    monkeypatch.chdir(empty)
    with pytest.raises(ManifestError, match=r"^no manifest at tiny.csv; this folder holds no CSV file; correct"):
        read_manifest(Path("tiny.csv"))
    good = path.read_bytes()
    path.write_bytes(good.replace(b"val-0", b"val-\xe9"))
    assert "is not UTF-8 (row 4, byte 0xe9); export it again as 'CSV UTF-8'" in faults_of(path)
    path.write_bytes(b" \n")
    assert "is empty; expected a header row with key, image" in faults_of(path)
    path.write_bytes(good.replace(b"\n", b'\n"', 1))
    assert "cells where the header has 13" in faults_of(path)
    path.write_bytes(good[:-1] + b'"')
    assert "hypodensity" not in faults_of(path)


@pytest.mark.parametrize(
    "name", ["/data/1.nii.gz", "C:/data/1.nii.gz", "images\\1.nii.gz", "images/../../1.nii.gz", ".."]
)
def test_paths_that_leave_the_folder(tmp_path: Path, name: str) -> None:
    path = make(tmp_path)
    edit(path, {(4, "image"): name})
    assert f"row 4: image is {name!r}; expected a path inside dataset_dir" in faults_of(path, check_files=False)


def test_dots_in_a_name_are_no_fault(tmp_path: Path) -> None:
    frame = table()
    make(tmp_path, frame.assign(image=frame["image"].str.replace("images/", "images/a..b/")))


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    path = make(tmp_path)
    (tmp_path / "data" / "masks" / "1.nii.gz").unlink()
    (tmp_path / "data" / "masks" / "1.nii.gz").mkdir()
    assert "row 4: mask file is 'masks/1.nii.gz'" in faults_of(path)


def test_a_manifest_that_went_through_pandas_is_read(tmp_path: Path) -> None:
    path = make(tmp_path)
    before = read_manifest(path).frame
    frame = pd.read_csv(path, dtype=dict.fromkeys(("patient_id", "study_id", "hospital"), str))
    assert (frame["mask_slice"].dtype, frame["blend_sign"].dtype) == (float, float)  # for want of a cell
    frame.to_csv(path, index=False)
    assert ",0.0," in path.read_text()
    rehash(path)
    pd.testing.assert_frame_equal(read_manifest(path).frame, before)
    refresh_card(path)
    pd.testing.assert_frame_equal(read_unsplit(path).frame, before.assign(split=""))
    edit(path, {(3, "mask_slice"): "0.5", (4, "image_slice"): "1.00", (5, "hypodensity"): "0.5"})
    message = faults_of(path)
    assert "row 3: mask_slice is '0.5'; expected a whole number" in message
    assert "row 5: hypodensity is '0.5'; expected 0, 1, or empty" in message
    assert "row 4: image_slice" not in message
