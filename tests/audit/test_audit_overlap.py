# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Shared patients and studies are found, and judged by the protocol."""

from __future__ import annotations

import pandas as pd
import pytest

from monai_ich.audit.balance import hospital_counts, uneven_hospitals
from monai_ich.audit.findings import Finding, Severity
from monai_ich.audit.overlap import overlap_findings, protocol_name

TEST_A, TEST_B = "test_hospitals_1_4", "test_hospitals_5_11"


def _frame(*rows: tuple[str, str, str]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["patient_id", "study_id", "split"])


def _of(findings: list[Finding], check: str) -> list[Finding]:
    return [finding for finding in findings if finding.check == check]


def test_patients_apart_pass() -> None:
    findings = overlap_findings(_frame(("a", "1", "train"), ("b", "2", "val"), ("c", "3", "test")), "")
    assert [f.severity for f in findings] == [Severity.PASSED] * 2
    assert "No patient is in two splits (3 patients)" in findings[0].summary


@pytest.mark.parametrize(
    ("protocol", "first", "second", "severity"),
    [
        ("paper", "train", TEST_A, Severity.WARNING),
        ("paper", "train", "val", Severity.WARNING),
        ("paper", "train", TEST_B, Severity.FATAL),
        ("paper", "val", TEST_B, Severity.FATAL),
        ("patient", "train", TEST_A, Severity.FATAL),
        ("patient", "train", "val", Severity.FATAL),
        ("patient", "val", "test", Severity.FATAL),
        ("hospital", "test_hospital_5", "test_hospital_6", Severity.WARNING),
        ("", "train", "test", Severity.FATAL),
    ],
)
def test_a_shared_patient_is_as_grave_as_the_protocol_says(
    protocol: str, first: str, second: str, severity: Severity
) -> None:
    rows = [("a", "1", first), ("a", "2", second), ("a", "2", second), ("b", "3", second), ("c", "4", first)]
    finding = _of(overlap_findings(_frame(*rows), protocol), "patients")
    assert [f.severity for f in finding] == [severity]
    assert f"1 of 2 patients of {second} are in {first} too (2 of its slices)" in finding[0].summary
    assert finding[0].examples == ({"patient_id": "a", f"slices in {first}": 1, f"slices in {second}": 2},)


def test_a_study_in_two_splits_is_found_though_its_patient_has_two_names() -> None:
    findings = overlap_findings(_frame(("a", "1", "train"), ("b", "1", "test"), ("c", "2", "train")), "patient")
    assert _of(findings, "patients")[0].severity is Severity.PASSED
    shared, owners = _of(findings, "studies")
    assert shared.severity is owners.severity is Severity.FATAL
    assert "1 of 1 studies of test are in train too" in shared.summary
    assert owners.examples == ({"study_id": "1", "patient_ids": "a, b", "splits": "train, test"},)


def test_a_card_without_a_protocol_has_no_name_for_it() -> None:
    assert protocol_name(None) == protocol_name({"protocol": "paper"}) == protocol_name({"protocol": {}}) == ""
    assert protocol_name({"protocol": {"name": "paper"}}) == "paper"


def _labelled(hospitals: dict[str, tuple[int, int]]) -> pd.DataFrame:
    """Two slices a patient, of which one is positive in the first of (positive, all) patients."""
    rows = [
        {
            "key": f"{h}-{i}-{s}",
            "hospital": h,
            "patient_id": f"{h}-{i}",
            "split": "train" if i % 2 else "val",
            "hypodensity": float(s == 0 and i < positive),
        }
        for h, (positive, patients) in hospitals.items()
        for i in range(patients)
        for s in range(2)
    ]
    return pd.DataFrame(rows)


def test_hospitals_are_counted_and_compared_by_patients() -> None:
    frame = _labelled({"A": (3, 10), "B": (3, 10), "C": (9, 10)})
    counts = hospital_counts(frame, "hypodensity").set_index(["hospital", "split"])
    assert counts.loc[("A", "val")].tolist() == [5, 10, 2]
    uneven = uneven_hospitals(frame, "hypodensity").set_index("hospital")
    assert uneven.loc["C", ["patients", "positive_patients", "others", "positive_others"]].tolist() == [10, 9, 20, 6]
    assert uneven["p_value"].idxmin() == "C"
    # Fisher's exact p of 9/10 against 6/20 by its hypergeometric tail, times three hospitals
    from math import comb

    ways = {k: comb(10, k) * comb(20, 15 - k) for k in range(11)}
    tail = sum(w for w in ways.values() if w <= ways[9]) / sum(ways.values())
    assert uneven.loc["C", "p_value"] == pytest.approx(3 * tail)
    assert uneven_hospitals(_labelled({"A": (3, 10)}), "hypodensity").empty
