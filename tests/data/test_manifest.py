# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Manifests: what is written is read back, byte for byte the same each time."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from manifest_cases import CARD, COLUMNS, SPLITS, faults_of, make, rehash, table

from monai_ich.data import dataset_directory, read_manifest, refresh_card, split_names, test_splits, write_manifest
from monai_ich.utils.errors import ManifestError
from monai_ich.utils.keys import MARKERS


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = make(tmp_path)
    manifest = read_manifest(path)
    frame = manifest.frame
    assert list(frame.columns) == COLUMNS
    assert len(frame) == 8
    assert frame["image_slice"].dtype == "Int64"
    assert frame["image_slice"].isna().tolist() == [True, True] + [False] * 6
    assert frame["mask"].tolist()[-2:] == ["", ""]
    assert frame["patient_id"].tolist()[:3] == ["000", "000", "001"]
    assert frame["hypodensity"].tolist() == [0, 1] * 4
    assert frame["margin_irregularity"].isna().all()
    assert frame["fluid_level"].tolist() == [0, 1] * 4
    assert all(frame[marker].dtype == np.float32 for marker in MARKERS)
    assert manifest.dataset_dir == (tmp_path / "data").resolve() == dataset_directory(path)
    assert manifest.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert split_names(frame) == list(SPLITS)
    assert test_splits(frame) == list(SPLITS[2:])


def test_the_csv_is_plain(tmp_path: Path) -> None:
    lines = make(tmp_path).read_bytes().decode().split("\n")
    assert lines[0] == ",".join(COLUMNS)
    assert lines[1] == "train-0,images/0.dcm,,masks/0.nii.gz,0,000,s0,1,train,0,,,0"
    assert lines[8] == "test_hospitals_5_11-1,images/3.nii.gz,1,,,003,s3,5,test_hospitals_5_11,1,,1,1"
    assert lines[9:] == [""]


def test_the_card(tmp_path: Path) -> None:
    path = make(tmp_path)
    card = json.loads(path.with_suffix(".json").read_text())
    assert card["dataset_dir"] == "../data"
    assert card["window_hu"] == [40, 80]
    assert card["seed"] == 7
    assert card["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    positives = {"hypodensity": 1, "margin_irregularity": 0, "blend_sign": 1, "fluid_level": 1}
    assert card["counts"]["train"] == {"slices": 2, "patients": 1, "annotated": 2, "positives": positives}
    assert card["counts"]["test_hospitals_5_11"]["annotated"] == 0
    assert read_manifest(path).card == card


def test_the_same_table_gives_the_same_bytes(tmp_path: Path) -> None:
    first, second = make(tmp_path / "a"), make(tmp_path / "b", table()[sorted(COLUMNS)])
    assert first.read_bytes() == second.read_bytes()
    assert first.with_suffix(".json").read_bytes() == second.with_suffix(".json").read_bytes()
    again = write_manifest(read_manifest(first).frame, first, dataset_dir=tmp_path / "a" / "data", seed=7, **CARD)
    assert again.read_bytes() == second.read_bytes()
    assert sorted(entry.name for entry in first.parent.iterdir()) == ["tiny.csv", "tiny.json"]


def test_a_patient_may_be_in_two_splits(tmp_path: Path) -> None:
    read_manifest(make(tmp_path, table().assign(patient_id="p", study_id="s")))


def test_a_manifest_of_test_sets_only(tmp_path: Path) -> None:
    path = make(tmp_path, table().iloc[4:])
    assert "split 'train' has no rows" in faults_of(path)
    assert len(read_manifest(path, required_splits=()).frame) == 4


def test_refreshing_renews_the_counts_and_keeps_the_rest(tmp_path: Path) -> None:
    path = make(tmp_path)
    before = json.loads(path.with_suffix(".json").read_text())
    path.write_text(path.read_text().replace("test_hospitals_5_11,0", "test_new,0"))
    card = json.loads(refresh_card(path).read_text())
    assert card["counts"]["test_new"]["slices"] == 1
    kept = set(before) - {"counts", "sha256"}
    assert {name: card[name] for name in kept} == {name: before[name] for name in kept}


def test_a_byte_order_mark_is_no_fault(tmp_path: Path) -> None:
    path = make(tmp_path)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    rehash(path)
    assert read_manifest(path).frame["key"].iloc[0] == "train-0"


def test_a_table_outside_the_schema_is_not_written(tmp_path: Path) -> None:
    frame = table().assign(split=["train"] * 7 + ["holdout"], hypodensity=[0.5, *[0] * 7]).drop(columns="hospital")
    with pytest.raises(ManifestError) as caught:
        write_manifest(frame, tmp_path / "x.csv", dataset_dir=tmp_path, **(CARD | {"window_hu": (40, -80)}))
    message = str(caught.value)
    assert "window_hu is (40, -80)" in message
    assert "column 'hospital' is missing" in message
    assert "row 9: split is 'holdout'" in message
    assert "row 2: hypodensity is '0.5'" in message
    assert not list(tmp_path.iterdir())


def test_the_example_of_the_readme_fits_the_schema(tmp_path: Path) -> None:
    readme = (Path(__file__).parents[2] / "data_manifests" / "README.md").read_text()
    example = readme.split("```")[1].strip() + "\n"
    path = tmp_path / "example.csv"
    path.write_text(example)
    frame = read_manifest(path, markers=(), dataset_dir=tmp_path, check_files=False, required_splits=()).frame
    assert frame["image_slice"].tolist() == [pd.NA, 7]
    assert frame["mask_slice"].tolist() == [12, pd.NA]
    for column in COLUMNS:
        assert f"`{column}`" in readme


def test_attributes_and_pairs_are_texts_behind_the_schema(tmp_path: Path) -> None:
    one, other = table(), table().assign(key=lambda slices: slices["key"] + "-again")
    frame = pd.concat([one, other], ignore_index=True).assign(
        pair_id=[f"p{i % 8}" for i in range(16)], attribute_slice_mm=["5", "05.0", "", "NA", *"1234"] * 2
    )
    path = make(tmp_path, frame)
    header = path.read_text().splitlines()[0].split(",")
    assert header[-2:] == ["attribute_slice_mm", "pair_id"]
    read = read_manifest(path).frame
    assert read["attribute_slice_mm"].tolist() == ["5", "05.0", "", "NA", *"1234"] * 2, "no text is taken for a number"
    assert read["pair_id"].tolist() == frame["pair_id"].tolist()
    blank = table().assign(attribute_kernel=["soft ", *["soft"] * 7])
    with pytest.raises(ManifestError, match="row 2: attribute_kernel is 'soft '; expected text without blanks"):
        make(tmp_path, blank)
    with pytest.raises(ManifestError, match=r"column 'Kernel' is not part of the schema.*attribute_<name>"):
        make(tmp_path, table().assign(Kernel="soft"))


def test_pairs_that_are_none_are_refused(tmp_path: Path) -> None:
    lonely = table().assign(pair_id=["a", *[""] * 7])
    with pytest.raises(ManifestError, match=r"row 2: pair_id 'a' is of 1 slices; expected 2; give both slices"):
        make(tmp_path, lonely)
    unlike = table().assign(pair_id=["a", "", "", "b", "b", "", "", "a"])
    with pytest.raises(ManifestError) as caught:
        make(tmp_path, unlike)
    named = [fault for fault in caught.value.faults if "differs between" in fault]
    differing = [*["patient_id"] * 4, *["split"] * 4, *["hypodensity"] * 4, *["blend_sign"] * 4, *["fluid_level"] * 4]
    assert [fault.split()[2] for fault in named] == differing
    assert named[0].startswith("row 2: patient_id differs between the two slices of pair_id 'a'; the two slices of a")
