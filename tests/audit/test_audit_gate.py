# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Training refuses a manifest with a fatal finding unless told otherwise."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from audit_support import Planted
from monai.bundle import ConfigWorkflow
from monai.bundle import run as run_bundle
from support import TRAIN_JSON

from monai_ich.audit import refuse_findings
from monai_ich.data import read_manifest
from monai_ich.utils.errors import ManifestError


def test_a_patient_in_two_splits_is_refused_without_an_audit(planted: Planted) -> None:
    planted.frame.loc[planted.row("train"), "split"] = "val"
    manifest = read_manifest(planted.write())
    with pytest.raises(ManifestError) as caught:
        refuse_findings(manifest)
    message = str(caught.value)
    assert "patients: 1 of" in message
    assert "where the protocol 'patient' promises that none is" in message
    assert "studies: 1 of" in message
    assert "--data::allow_findings True" in message


def test_allowed_findings_are_said_aloud(planted: Planted, capsys: pytest.CaptureFixture[str]) -> None:
    planted.frame.loc[planted.row("train"), "split"] = "val"
    refuse_findings(read_manifest(planted.write()), allow=True)
    said = capsys.readouterr().out
    assert "training in spite of 2 fatal findings" in said
    assert "not audited yet: python -m monai_ich audit" in said


def test_what_only_an_audit_sees_is_refused_afterwards(planted: Planted, capsys: pytest.CaptureFixture[str]) -> None:
    copied = {"key": "copied", "patient_id": "b", "study_id": "other", "split": "test_patients"}
    planted.re_export(planted.row("train"), lambda p: p, **copied)
    refuse_findings(read_manifest(planted.write()))
    assert planted.audit()[0] == 2
    with pytest.raises(ManifestError, match=r"near-identical slices: \d pairs of slices of test_patients and train"):
        refuse_findings(read_manifest(planted.path))
    capsys.readouterr()
    planted.frame = planted.frame.iloc[:-1]
    refuse_findings(read_manifest(planted.write()))  # another manifest: the audit does not hold for it
    assert "not audited yet" in capsys.readouterr().out


def test_the_clean_and_the_paper_s_manifest_pass(patient_phantom: Path, tiny_phantom: Path) -> None:
    refuse_findings(read_manifest(patient_phantom))
    refuse_findings(read_manifest(tiny_phantom))


@pytest.mark.parametrize("content", ["{", "[]", '{"sha256": "SHA", "findings": [{"check": "x"}]}'])
def test_a_spoilt_audit_is_not_taken_for_a_clean_one(planted: Planted, content: str) -> None:
    manifest = read_manifest(planted.write())
    planted.path.with_suffix(".audit.json").write_text(content.replace("SHA", manifest.sha256))
    with pytest.raises(ManifestError, match="is not an audit of monai_ich"):
        refuse_findings(manifest)


@pytest.mark.usefixtures("in_root")
def test_the_bundle_refuses_before_anything_is_trained(
    planted: Planted, tiny_settings: dict[str, Any], tmp_path: Path
) -> None:
    planted.frame.loc[planted.row("train"), "split"] = "val"
    settings = {**tiny_settings, "manifest": str(planted.write()), "run_dir": str(tmp_path / "run")}
    with pytest.raises(RuntimeError) as caught:
        run_bundle(config_file=[str(TRAIN_JSON)], **settings)
    assert isinstance(caught.value.__cause__, ManifestError)
    assert not (tmp_path / "run").exists()
    ConfigWorkflow([str(TRAIN_JSON)], workflow_type="train", **settings, **{"data::allow_findings": True}).initialize()
