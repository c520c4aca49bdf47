# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""The clean phantom passes, and every planted fault of identity or of files is found."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from audit_support import Planted, findings, other_detail, other_fine_detail
from scipy import ndimage
from support import strict_json
from typer.testing import CliRunner

from monai_ich.__main__ import cli
from monai_ich.audit import copies_check as copies
from monai_ich.audit.manifest_audit import AuditRequest, audit_manifest
from monai_ich.audit.near_duplicates import MOST_PARTNERS
from monai_ich.data import SliceStore
from monai_ich.utils.errors import ConfigurationError, ManifestError


def _auc(finding: dict[str, Any]) -> float:
    return float(finding["summary"].split("AUC ")[1].split()[0])


def test_the_clean_phantom_passes(planted: Planted) -> None:
    status, report = planted.audit(pictures=True)
    assert status == 0
    assert {f["check"] for f in report["findings"] if f["severity"] in ("warning", "fatal")} <= {"power"}
    (near,) = findings(report, "near-identical slices")
    assert near["summary"] == "No slice is a copy of another patient's."
    assert [f["check"] for f in report["findings"]] == [
        *("schema", "patients", "studies", "balance", "headers", "acquisition", "files"),
        "background",
        *("near-identical slices", "canary", "canary", "masks", "power"),
    ]
    for finding in findings(report, "canary", "passed"):
        assert 0.35 < _auc(finding) < 0.65
    assert len(findings(report, "canary", "passed")) == 2
    assert "<img" in planted.page()
    assert "http" not in planted.page().replace("data:image", "")


def test_the_paper_s_protocol_is_warned_of_not_forgiven(paper_phantom: Path, tmp_path: Path) -> None:
    paper = Planted(paper_phantom, tmp_path, "paper")
    status, report = paper.audit()
    assert status == 0
    assert report["severity"] == "warning"
    assert {f["severity"] for f in findings(report, "patients")} == {"warning"}
    shared = [f for f in findings(report, "canary") if "test_hospitals_1_4" in f["summary"]]
    new = [f for f in findings(report, "canary") if "test_hospitals_5_11" in f["summary"]]
    assert _auc(shared[0]) > 0.8
    assert shared[0]["severity"] == "warning"
    assert new[0]["severity"] == "passed"
    assert 0.3 < _auc(new[0]) < 0.7
    assert paper.audit(strict=True, pixels=False)[0] == 1


def test_a_slice_split_that_claims_to_be_by_patients(paper_phantom: Path, tmp_path: Path) -> None:
    status, report = Planted(paper_phantom, tmp_path, "patient").audit()
    assert status == 2
    assert report["severity"] == "fatal"
    assert findings(report, "patients", "fatal")
    assert findings(report, "studies", "fatal")
    recognised = findings(report, "canary", "fatal")
    assert all(_auc(f) > 0.8 for f in recognised)
    assert any("test_hospitals_1_4" in f["summary"] for f in recognised)
    # a patient's neighbouring slices look alike; they are the finding "patients", and no copies under other names
    assert [f["severity"] for f in findings(report, "near-identical slices")] == ["passed"]


def test_one_patient_in_two_splits(planted: Planted) -> None:
    row = planted.row("train")
    planted.frame.loc[row, "split"] = "test_patients"
    status, report = planted.audit(pixels=False)
    assert status == 2
    (finding,) = findings(report, "patients", "fatal")
    assert finding["examples"][0]["patient_id"] == planted.frame.loc[row, "patient_id"]


def _noisy(pixels: np.ndarray) -> np.ndarray:
    return pixels + np.random.default_rng(0).integers(-2, 3, pixels.shape)


@pytest.mark.parametrize(
    "change",
    [lambda p: p, lambda p: p + 3, _noisy, lambda p: np.kron(p, np.ones((2, 2)))],
    ids=["exact", "shifted in HU", "noisy", "resampled"],
)
def test_a_re_export_under_other_names(planted: Planted, change: Callable[[Any], Any]) -> None:
    row = planted.row("train", hypodensity=1)
    planted.re_export(row, change, key="copied", patient_id="somebody", study_id="other", split="test_patients")
    status, report = planted.audit()
    assert status == 2
    assert not findings(report, "patients", "fatal")
    (finding,) = findings(report, "near-identical slices", "fatal")
    said = re.fullmatch(
        r"(\d) pairs of slices of test_patients and train are nearly the same picture under different patient_ids.",
        finding["summary"],
    )
    pairs = finding["examples"]
    assert said
    assert int(said[1]) == len(pairs)  # so all are seen here
    assert {pairs[0]["key"], pairs[0]["copy's key"]} == {planted.frame.loc[row, "key"], "copied"}
    # a copy may be like the neighbours of its original too, but nobody else is like anybody
    owners = {planted.frame.loc[row, "patient_id"], "somebody"}
    assert all({pair["patient_id"], pair["copy's patient_id"]} == owners for pair in pairs)


def test_a_copy_within_a_split_or_within_the_paper_s_test_a_is_warned_of(
    planted: Planted, paper_phantom: Path, tmp_path: Path
) -> None:
    planted.re_export(planted.row("train"), lambda p: p, key="copied", patient_id="b", study_id="other")
    status, report = planted.audit()
    assert status == 0
    assert "within train" in findings(report, "near-identical slices", "warning")[0]["summary"]
    (tmp_path / "paper").mkdir()
    paper = Planted(paper_phantom, tmp_path / "paper", "paper")
    columns = {"patient_id": "b", "study_id": "other", "split": "test_hospitals_1_4"}
    paper.re_export(paper.row("train"), lambda p: p, key="copied", **columns)
    paper.re_export(paper.row("train"), lambda p: p, key="copied again", **{**columns, "split": "test_hospitals_5_11"})
    status, report = paper.audit()
    assert status == 2
    assert "test_hospitals_1_4" in findings(report, "near-identical slices", "warning")[0]["summary"]
    assert all("test_hospitals_5_11" in f["summary"] for f in findings(report, "near-identical slices", "fatal"))


def test_a_moved_head_is_no_copy(planted: Planted) -> None:
    row = planted.row("train", hypodensity=1)
    moved = {"key": "moved", "patient_id": "b", "study_id": "other", "split": "test_patients"}
    planted.re_export(row, lambda p: ndimage.rotate(p, 20, reshape=False, order=1, mode="nearest"), **moved)
    assert findings(planted.audit()[1], "near-identical slices")[0]["severity"] == "passed"


@pytest.mark.parametrize("change", [other_detail, other_fine_detail])
def test_a_like_head_of_other_detail_is_no_copy(
    planted: Planted, monkeypatch: pytest.MonkeyPatch, change: Callable[[Any], Any]
) -> None:
    row = planted.row("train", hypodensity=1)
    columns = {"patient_id": "b", "study_id": "other", "split": "test_patients"}
    planted.re_export(row, change, key="like it", **columns)
    status, report = planted.audit()
    assert status == 0
    assert [f["severity"] for f in findings(report, "near-identical slices")] == ["passed"]
    monkeypatch.setattr(copies, "NEAR_IDENTICAL", -1.0)  # it was a candidate
    (finding,) = findings(planted.audit()[1], "near-identical slices", "fatal")
    assert finding["examples"][0]["copy's key"] == "like it"


def test_slices_with_next_to_no_head_are_no_leak(planted: Planted) -> None:
    """The vertex of a head is the same oval everywhere; by itself it says nothing about who it is."""
    row = planted.row("train", hypodensity=1)
    rows, columns = np.mgrid[:64, :64] - 31.5

    def vertex(pixels: np.ndarray) -> np.ndarray:
        return np.where(np.hypot(rows, columns) < 7, pixels, pixels.min())

    planted.re_export(row, vertex, key="a vertex", patient_id="a", study_id="s")
    planted.re_export(row, vertex, key="its copy", patient_id="b", study_id="t", split="test_patients")
    status, report = planted.audit()
    assert status == 0
    assert findings(report, "near-identical slices")[0]["severity"] == "passed"


@pytest.mark.parametrize(("limit", "how"), [("MOST_COMPARED", "near fingerprints"), ("MOST_READ", "like looks")])
def test_pairs_that_are_too_many_are_named_not_passed_over(
    planted: Planted, monkeypatch: pytest.MonkeyPatch, limit: str, how: str
) -> None:
    monkeypatch.setattr(copies, limit, 1)
    row = planted.row("train", hypodensity=1)
    for number, split in enumerate(("test_patients", "val")):
        columns = {"patient_id": f"b{number}", "study_id": f"s{number}", "split": split}
        planted.re_export(row, lambda p: p, key=f"copy {number}", **columns)
    status, report = planted.audit()
    assert status == 2
    (fatal,) = findings(report, "near-identical slices", "fatal")
    assert "1 pairs of slices of test_patients and train" in fatal["summary"]
    assert [(pair["key"], pair["copy's key"]) for pair in fatal["examples"]] == [
        (planted.frame.loc[row, "key"], "copy 0")
    ]
    (finding,) = findings(report, "near-identical slices", "skipped")
    said = re.fullmatch(rf"Only 1 of (\d+) pairs of slices with {how} were compared further.", finding["summary"])
    assert said
    assert int(said[1]) >= 3


def test_a_slice_that_looks_like_too_many_others_is_named(planted: Planted) -> None:
    """A test slice that is nine times in training: found, and said that not all pairs were looked at."""
    row = planted.row("test_patients", hypodensity=1)
    for number in range(MOST_PARTNERS + 1):
        columns = {"patient_id": f"b{number}", "study_id": f"s{number}", "split": "train"}
        planted.re_export(row, lambda p: p, key=f"copy {number}", **columns)
    status, report = planted.audit()
    assert status == 2
    assert len(findings(report, "near-identical slices", "fatal")) == 1
    (finding,) = findings(report, "near-identical slices", "skipped")
    said = re.fullmatch(r"(\d+) slices look like 8 others or more; each was .* its nearest 8.", finding["summary"])
    assert said
    assert int(said[1]) >= MOST_PARTNERS + 2  # its neighbours may be among them


def test_a_file_that_cannot_be_read(planted: Planted, capsys: pytest.CaptureFixture[str]) -> None:
    path = planted.data / planted.frame.loc[3, "image"]
    path.write_bytes(path.read_bytes()[:-100])
    status, report = planted.audit()
    assert status == 2
    (finding,) = findings(report, "files", "fatal")
    of_study = planted.frame["study_id"] == planted.frame.loc[3, "study_id"]
    assert f"{of_study.sum()} slices belong to 1 studies that cannot be read whole" in finding["summary"]
    assert finding["examples"][0]["study_id"] == planted.frame.loc[3, "study_id"]
    assert findings(report, "masks", "passed")
    assert path.name in capsys.readouterr().out


def test_a_file_that_is_missing_does_not_stop_the_other_checks(planted: Planted) -> None:
    (planted.data / planted.frame.loc[0, "image"]).unlink()
    status, report = planted.audit()
    assert status == 2
    assert "files are missing" in findings(report, "schema", "fatal")[0]["summary"]
    assert findings(report, "files", "fatal")
    assert findings(report, "power")


def test_a_split_of_one_class_does_not_stop_the_other_checks(planted: Planted) -> None:
    test = planted.frame["split"] == "test_patients"
    planted.frame.loc[test, "hypodensity"] = 0.0
    planted.frame.loc[planted.row("train"), "split"] = "val"
    status, report = planted.audit(pixels=False)
    assert status == 2
    assert "a split lacks rows or one of the classes" in findings(report, "schema", "fatal")[0]["summary"]
    assert findings(report, "patients", "fatal")
    assert "0 positive slices" in findings(report, "power", "warning")[0]["summary"]


def test_a_table_that_does_not_fit_the_schema(planted: Planted) -> None:
    planted.write()
    planted.path.write_text(planted.path.read_text().replace(",train,", ",MUELLER^ANNA,", 1))
    result = CliRunner().invoke(cli, ["audit", str(planted.path)])
    assert result.exit_code == 2
    report = strict_json(planted.path.with_suffix(".audit.json"))
    assert [(f["check"], f["severity"]) for f in report["findings"]] == [("schema", "fatal")]
    assert "MUELLER" not in planted.path.with_suffix(".audit.json").read_text() + planted.page()
    with pytest.raises(ManifestError, match="no manifest at"):
        CliRunner().invoke(cli, ["audit", str(planted.path.with_name("none.csv"))], catch_exceptions=False)
    planted.write()
    with pytest.raises(ConfigurationError, match="Did you mean 'hypodensity'"):
        audit_manifest(AuditRequest(planted.path, "hypodensty"))


def test_nothing_of_a_patient_is_in_the_report(planted: Planted) -> None:
    """Names in headers and in paths stay where they are, whatever is found."""
    secrets = {"PatientName": "MUELLER^ANNA", "PatientID": "4711-0815", "PatientBirthDate": "19510203"}
    secrets |= {"AccessionNumber": "ACC998877"}
    for row in planted.frame.index:
        planted.change_header(int(row), **secrets)
    row = planted.row("train", hypodensity=1)
    folder = planted.data / "MUELLER_ANNA_19510203"
    folder.mkdir()
    broken = planted.re_export(row, lambda p: p, key="k1", patient_id="b", study_id="s", split="test_patients")
    planted.frame.loc[broken, "image"] = f"{folder.name}/a.dcm"
    (folder / "a.dcm").write_bytes(b"no DICOM")
    planted.re_export(row, lambda p: p, key="k2", patient_id="c", study_id="t", split="test_patients")
    assert planted.audit(pictures=True)[0] == 2
    assert "Near-identical slices" in planted.page()
    text = planted.path.with_suffix(".audit.json").read_text() + planted.page()
    for secret in (*secrets.values(), folder.name, "MUELLER", str(planted.data)):
        assert secret not in text


def test_a_second_audit_reads_no_image_again(planted: Planted, monkeypatch: pytest.MonkeyPatch) -> None:
    first = planted.audit()

    def refuse(self: SliceStore, group: int) -> dict[str, np.ndarray]:
        raise AssertionError("decoded again")

    monkeypatch.setattr(SliceStore, "_decode", refuse)
    assert planted.audit() == first


def test_the_command_line_s_status(planted: Planted) -> None:
    planted.write()
    arguments = ["audit", str(planted.path), "--no-pixels"]
    assert CliRunner().invoke(cli, arguments).exit_code == 0
    assert CliRunner().invoke(cli, [*arguments, "--strict"]).exit_code == 1  # of power: the set is small
    planted.frame.loc[planted.row("train"), "split"] = "val"
    planted.write()
    assert CliRunner().invoke(cli, arguments).exit_code == 2
