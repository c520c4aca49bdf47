# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Counterfactual pairs are one patient's, and are reported as copies only where they claim to be two."""

from __future__ import annotations

from pathlib import Path

from audit_support import Planted, findings

from monai_ich.phantom import CounterfactualPairs, PhantomSpec, generate_phantom


def test_pairs_are_copies_only_under_two_patient_ids(tmp_path: Path) -> None:
    spec = PhantomSpec(
        studies=(8, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1),
        slices_per_study=4,
        matrix=64,
        clot_volume_factor=2,
        pairs=CounterfactualPairs("side_letter", (4, 0, 0, 0, 2, 2, 2, 0, 2, 0, 2)),
    )
    clean = generate_phantom(tmp_path / "data", tmp_path / "phantom.csv", spec, workers=1)
    planted = Planted(clean, tmp_path / "planted", "paper")
    status, report = planted.audit()
    assert status == 0
    (copies,) = findings(report, "near-identical slices")
    assert (copies["severity"], copies["summary"]) == ("passed", "No slice is a copy of another patient's.")
    of_pairs = [f for f in report["findings"] if f["summary"].startswith("test_pairs") and f["check"] != "power"]
    assert {f["severity"] for f in of_pairs} == {"passed"}

    second = planted.frame["study_id"].str.endswith("_s2")
    assert second.sum() == 14 * 4
    planted.frame.loc[second, "patient_id"] += "-TWIN"
    planted.frame["pair_id"] = ""  # the manifest's check refuses a pair of two patients
    _, report = planted.audit()
    warned = findings(report, "near-identical slices", "warning")
    assert {f["summary"].split(" of slices within ")[1].split()[0] for f in warned} == {
        "test_pairs_1_4",
        "test_pairs_5_11",
    }
