# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""The command that splits a manifest: from a CSV without splits to one that training accepts, and what it refuses."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from support import head_slice
from typer.testing import CliRunner

from monai_ich.__main__ import cli
from monai_ich.data import protocol_counts, read_manifest
from monai_ich.data.splits.split_command import SplitRequest, split_manifest
from monai_ich.utils.errors import ConfigurationError, ManifestError

CARD = {"name": "Mine", "description": "Mine.", "licence": "CC0-1.0", "dataset_dir": "."}
HOSPITALS = range(1, 7)


@pytest.fixture
def unsplit(tmp_path: Path) -> Path:
    """A CSV as people make it: no card, no splits, one slice unjudged; six patients in each of six hospitals."""
    rows = []
    for hospital in HOSPITALS:
        for patient in range(6):
            for position in range(3):
                name = f"h{hospital}p{patient}"
                label = "" if (hospital, patient, position) == (2, 3, 0) else int(patient % 2 and position == 1)
                cells = (
                    f"{name}-{position}",
                    f"{name}.nii.gz",
                    position,
                    "",
                    "",
                    name,
                    f"{name}s",
                    hospital,
                    "",
                    label,
                )
                rows.append((*cells, "", "", ""))
    columns = ["key", "image", "image_slice", "mask", "mask_slice", "patient_id", "study_id", "hospital", "split"]
    columns += ["hypodensity", "margin_irregularity", "blend_sign", "fluid_level"]
    path = tmp_path / "all.csv"
    pd.DataFrame(rows, columns=columns).to_csv(path, index=False)
    for name in {row[1] for row in rows}:
        (tmp_path / name).touch()
    return path


def run(*arguments: object) -> str:
    done = CliRunner().invoke(cli, ["split", *map(str, arguments)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def card_options(folder: Path) -> list[str]:
    return [f"--{key.replace('_', '-')}={value}" for key, value in {**CARD, "dataset_dir": folder}.items()]


def refusal(request: SplitRequest) -> str:
    with pytest.raises(ManifestError) as caught:
        split_manifest(request)
    return str(caught.value)


def test_counterfactual_pairs_are_not_split(unsplit: Path) -> None:
    table = pd.read_csv(unsplit, dtype=str, keep_default_na=False)
    table.assign(pair_id="").to_csv(unsplit, index=False)
    split_manifest(SplitRequest(unsplit, unsplit.with_name("none.csv"), card={**CARD, "dataset_dir": unsplit.parent}))
    table.assign(pair_id=["p"] * 2 + [""] * (len(table) - 2)).to_csv(unsplit, index=False)
    output = unsplit.with_name("new.csv")
    said = refusal(SplitRequest(unsplit, output, card={**CARD, "dataset_dir": unsplit.parent}))
    assert "2 rows are of counterfactual pairs (column pair_id), which make up a test set: split a manifest" in said
    assert not output.exists()


def test_from_a_csv_without_splits_to_a_manifest_that_training_accepts(unsplit: Path) -> None:
    with pytest.raises(ManifestError, match="row 2: split is empty; assign one with a protocol"):
        read_manifest(unsplit, dataset_dir=unsplit.parent)
    output = unsplit.parent / "made" / "mine.csv"
    before = unsplit.read_bytes()
    printed = run(unsplit, "--output", output, "--held-out", "5,6", "--seed", 3, *card_options(unsplit.parent))
    assert unsplit.read_bytes() == before
    manifest = read_manifest(output)
    assert manifest.dataset_dir == unsplit.parent.resolve()
    assert manifest.card is not None
    assert manifest.card["protocol"] == {
        "name": "patient",
        "marker": "hypodensity",
        "test_fraction": 0.2,
        "val_fraction": 0.2,
        "held_out": ["5", "6"],
        "left_out_unknown": 1,
        "left_out_others": 0,
    }
    assert manifest.card["seed"] == 3
    assert manifest.card["window_hu"] == [40, 80]
    assert manifest.card["counts"] == protocol_counts(manifest.frame)
    assert {name: counts["slices"] for name, counts in manifest.card["counts"].items()}["test_hospitals_5_6"] == 36
    assert [line.split()[:3] for line in printed.splitlines() if line.startswith(" test_hospitals_5_6")] == [
        ["test_hospitals_5_6", "36", "12"]
    ]
    assert "left out: 1 slices whose hypodensity is unknown" in printed


@pytest.mark.parametrize(
    ("protocol", "settings", "tests"),
    [
        ("paper", {"test_fraction": 0.5}, {"test_hospitals_1_4", "test_hospitals_5_11"}),
        ("patient", {}, {"test"}),
        ("hospital", {"held_out": ["5", "6"], "separate": True}, {"test_hospital_5", "test_hospital_6"}),
        ("kfold", {"folds": 3, "fold": 2}, {"test"}),
    ],
)
def test_every_protocol_passes_the_checks_of_training(
    unsplit: Path, protocol: str, settings: dict[str, Any], tests: set[str]
) -> None:
    request = SplitRequest(
        unsplit, unsplit.parent / "mine.csv", protocol, settings, {**CARD, "dataset_dir": unsplit.parent}
    )
    (path,) = split_manifest(request)
    manifest = read_manifest(path)
    assert set(manifest.frame["split"]) == {"train", "val"} | tests
    assert manifest.card is not None
    assert manifest.card["protocol"]["name"] == protocol
    assert manifest.card["protocol"].items() >= settings.items()
    first = path.read_bytes()
    split_manifest(replace(request, force=True))
    assert path.read_bytes() == first


def test_every_fold_is_written(unsplit: Path) -> None:
    output = unsplit.parent / "mine.csv"
    run(unsplit, "--output", output, "--protocol", "kfold", "--folds", 3, *card_options(unsplit.parent))
    tested: list[str] = []
    for fold in range(3):
        manifest = read_manifest(output.with_name(f"mine-fold{fold}.csv"))
        assert manifest.card is not None
        assert manifest.card["protocol"]["fold"] == fold
        tested += manifest.frame.loc[manifest.frame["split"] == "test", "key"].tolist()
    assert len(tested) == len(set(tested)) == 6 * 6 * 3 - 1
    assert not output.exists()


def test_a_manifest_with_splits_is_split_anew_under_its_own_card(tiny_phantom: Path, tmp_path: Path) -> None:
    """On the phantom's real files; its card's folder, licence and window go over to the new card, elsewhere."""
    output = tmp_path / "by_hospital.csv"
    split_manifest(SplitRequest(tiny_phantom, output, "hospital", {"held_out": ["5", "10"], "val_fraction": 0.4}))
    old, new = read_manifest(tiny_phantom), read_manifest(output)
    assert old.card is not None
    assert new.card is not None
    assert new.dataset_dir == old.dataset_dir
    for key in ("name", "description", "licence", "window_hu"):
        assert new.card[key] == old.card[key]
    assert set(new.frame["key"]) == set(old.frame["key"])
    tested = {
        table.loc[table["hospital"].isin(["5", "10"]), "split"].unique().item() for table in (old.frame, new.frame)
    }
    assert tested == {"test_hospitals_5_11", "test_new_hospitals"}


def test_nothing_is_overwritten_unless_asked(unsplit: Path) -> None:
    card = {**CARD, "dataset_dir": unsplit.parent}
    before = unsplit.read_bytes()
    same = unsplit.parent / "other" / ".." / "all.csv"
    (unsplit.parent / "other").mkdir()
    assert "--output is the manifest itself, and slices may be left out" in refusal(
        SplitRequest(unsplit, same, card=card)
    )
    assert unsplit.read_bytes() == before
    taken = unsplit.parent / "taken-fold1.json"
    taken.write_text("{}")
    request = SplitRequest(unsplit, unsplit.parent / "taken.csv", "kfold", {"folds": 3}, card)
    assert "taken-fold1.json exists; name another --output, or pass --force" in refusal(request)
    assert [path.name for path in unsplit.parent.glob("taken*")] == ["taken-fold1.json"]
    assert "expected a file name that ends with .csv" in refusal(replace(request, output=unsplit.parent / "all.json"))

    split_manifest(replace(request, force=True))
    assert len(list(unsplit.parent.glob("taken*"))) == 6
    split_manifest(SplitRequest(unsplit, unsplit, card=card, force=True))
    assert set(read_manifest(unsplit).frame["split"]) == {"train", "val", "test"}


def test_hospitals_with_commas_in_their_names_are_given_in_quotes(unsplit: Path) -> None:
    frame = pd.read_csv(unsplit, dtype=str, keep_default_na=False)
    frame["hospital"] = frame["hospital"].replace({"5": "Inselspital, Bern", "1": "Anna, Wien"})
    frame.to_csv(unsplit, index=False)
    output, card = unsplit.parent / "mine.csv", card_options(unsplit.parent)
    run(unsplit, "--output", output, "--protocol=hospital", "--held-out", '"Inselspital, Bern", 6', *card)
    table = read_manifest(output).frame
    assert set(table.loc[table["split"].str.startswith("test"), "hospital"]) == {"Inselspital, Bern", "6"}
    paper = ["--protocol=paper", "--test-fraction=0.5", "--train-hospitals", '2,"Anna, Wien"']
    run(unsplit, "--output", output, "--force", *paper, "--test-hospital", "Anna, Wien", *card)
    table = read_manifest(output).frame
    assert set(table.loc[table["split"] == "train", "hospital"]) == {"2", "Anna, Wien"}


def test_a_quote_that_is_not_closed_is_refused(unsplit: Path) -> None:
    options = ["split", str(unsplit), "--output", str(unsplit.parent / "x.csv"), "--held-out", '5,"6']
    with pytest.raises(ConfigurationError, match=r"expected names separated by commas.*got '5,\"6'"):
        CliRunner().invoke(cli, options, catch_exceptions=False)


def test_a_request_that_makes_no_sense_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    missing = tmp_path / "missing.csv"
    message = refusal(SplitRequest(missing, tmp_path / "x.csv", "kfold", {"held_out": ["5"], "test_fraction": 0.1}))
    assert "protocol 'kfold' has no --held-out; it takes --marker, --folds, --fold, --seed" in message
    assert "protocol 'kfold' has no --test-fraction" in message
    assert "protocol 'hospital' needs --held-out" in refusal(SplitRequest(missing, tmp_path / "x.csv", "hospital"))
    assert "protocol 'patients' is unknown" in refusal(SplitRequest(missing, tmp_path / "x.csv", "patients"))
    assert "Did you mean 'patient'?" in refusal(SplitRequest(missing, tmp_path / "x.csv", "patients"))
    assert "no manifest at" in refusal(SplitRequest(missing, tmp_path / "x.csv"))


def test_what_the_card_needs_is_asked_for_together(unsplit: Path) -> None:
    request = SplitRequest(unsplit, unsplit.parent / "mine.csv")
    assert "no card beside it: give --name, --description, --licence, --dataset-dir" in refusal(request)
    unsplit.with_suffix(".json").write_text(json.dumps({"name": "Mine", "dataset_dir": ".", "description": "Mine."}))
    assert "all.json, without it: give --licence" in refusal(request)
    unsplit.with_suffix(".json").write_text("{")
    assert "all.json is not valid JSON" in refusal(request)
    unsplit.with_suffix(".json").unlink()
    window = replace(request, card={**CARD, "window_hu": (40, 0)})
    assert "expected (level, width) in HU, width above 0" in refusal(window)


def test_a_cell_that_training_would_refuse_is_refused(unsplit: Path) -> None:
    frame = pd.read_csv(unsplit, dtype=str, keep_default_na=False)
    frame.loc[1, "hypodensity"] = "2"
    frame.loc[2, "patient_id"] = ""
    frame.assign(split="anything").to_csv(unsplit, index=False)
    message = refusal(SplitRequest(unsplit, unsplit.parent / "mine.csv", card=CARD))
    assert "row 3: hypodensity is '2'; expected 0, 1, or empty for unknown" in message
    assert "row 4: patient_id is empty" in message
    assert "anything" not in message
    frame.drop(columns="split").to_csv(unsplit, index=False)
    assert "column 'split' is missing" in refusal(SplitRequest(unsplit, unsplit.parent / "mine.csv", card=CARD))


def test_no_fold_is_written_when_one_is_impossible(unsplit: Path) -> None:
    """Three patients have a positive slice, and one of them nothing else: the fold that tests on it has one class."""
    frame = pd.read_csv(unsplit, dtype=str, keep_default_na=False)
    chosen = frame["patient_id"].isin(["h1p1", "h1p3", "h1p5"])
    frame = frame[chosen].assign(hypodensity="1")
    frame.loc[frame["patient_id"] != "h1p5", "hypodensity"] = ["0", "1", "0"] * 2
    frame.to_csv(unsplit, index=False)
    request = SplitRequest(unsplit, unsplit.parent / "mine.csv", "kfold", {"folds": 3}, CARD)
    assert "1 patients, has 3 slices with hypodensity and 0 without" in refusal(request)
    assert list(unsplit.parent.glob("mine*")) == []


def test_no_folds_are_refused(unsplit: Path) -> None:
    request = SplitRequest(unsplit, unsplit.parent / "mine.csv", "kfold", {"folds": 0}, CARD)
    assert "folds is 0; expected at least 3" in refusal(request)


def test_slices_of_patients_of_two_hospitals_are_reported(unsplit: Path) -> None:
    frame = pd.read_csv(unsplit, dtype=str, keep_default_na=False)
    frame["patient_id"] = frame["patient_id"].replace({"h1p0": "moved", "h6p0": "moved"})
    frame.to_csv(unsplit, index=False)
    options = ["--protocol", "hospital", "--held-out", "6", *card_options(unsplit.parent)]
    printed = run(unsplit, "--output", unsplit.parent / "mine.csv", *options)
    assert "left out: 3 slices of patients whom a held-out hospital examined as well" in printed


def test_a_choice_of_the_best_epoch_on_patients_of_training_is_told_of(unsplit: Path) -> None:
    output = unsplit.parent / "mine.csv"
    options = ["--test-fraction", "0.5", "--force", *card_options(unsplit.parent)]
    printed = run(unsplit, "--output", output, "--protocol", "paper", *options)
    frame = read_manifest(output).frame
    trained, validated = (set(frame.loc[frame["split"] == name, "patient_id"]) for name in ("train", "val"))
    assert 0 < len(trained & validated) < len(validated)
    said = (
        f"{len(trained & validated)} of the {len(validated)} patients of val are also in train: the choice of the best"
    )
    assert printed.count(said) == 1
    assert "the choice of the best" not in run(unsplit, "--output", output, "--protocol", "patient", *options)


def test_the_check_shows_patients_shared_with_training(unsplit: Path) -> None:
    output = unsplit.parent / "mine.csv"
    options = ["--protocol", "paper", "--test-fraction", "0.5", *card_options(unsplit.parent)]
    assert "left out: 27 slices that the second test set did not draw" in run(unsplit, "--output", output, *options)
    image = nib.Nifti1Image(np.stack([head_slice(64).T] * 3, axis=-1), np.diag([-1, -1, 5, 1]))
    for path in unsplit.parent.glob("*.nii.gz"):
        nib.save(image, path)
    shown = CliRunner().invoke(cli, ["check", str(output)], catch_exceptions=False).output
    frame = read_manifest(output).frame
    trained = set(frame.loc[frame["split"] == "train", "patient_id"])
    tested = set(frame.loc[frame["split"] == "test_hospitals_1_4", "patient_id"])
    (line,) = (line.split() for line in shown.splitlines() if line.startswith(" test_hospitals_1_4"))
    assert line[1:4] == ["9", str(len(tested)), str(len(tested & trained))]
    assert len(tested & trained) > 0
