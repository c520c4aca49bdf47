# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Patients and studies in several splits, judged by what the card's protocol promises."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import Any

import pandas as pd

from monai_ich.audit.findings import Finding, Severity
from monai_ich.utils.keys import Split

EXAMPLES = 5

# Splits that share patients on purpose, by the protocol's name in the card. Any other protocol, and a manifest without
# a card, promises that no patient is in two splits.
_SHARING = {"paper": frozenset({Split.TRAIN.value, Split.VAL.value, Split.TEST_A.value})}


def protocol_name(card: Mapping[str, Any] | None) -> str:
    """The name of the protocol in a manifest's card; "" where there is none."""
    protocol = (card or {}).get("protocol")
    return str(protocol.get("name", "")) if isinstance(protocol, Mapping) else ""


def may_share(protocol: str, first: str, second: str) -> bool:
    """Whether a protocol lets two splits share patients.

    >>> may_share("paper", "train", "test_hospitals_1_4"), may_share("paper", "train", "test_hospitals_5_11")
    (True, False)
    """
    return {first, second} <= _SHARING.get(protocol, frozenset())


def shared_severity(protocol: str, first: str, second: str) -> Severity:
    """How grave it is that two splits share a patient.

    A protocol that means it is still warned of. Two test sets that share patients make no result better than it is,
    they are only not independent of each other.
    """
    meant = may_share(protocol, first, second) or both_tests(first, second)
    return Severity.WARNING if meant else Severity.FATAL


def both_tests(first: str, second: str) -> bool:
    """Whether nothing is learnt or chosen on either split."""
    return first.startswith("test") and second.startswith("test")


def split_pairs(frame: pd.DataFrame) -> Iterator[tuple[str, str]]:
    """Every two splits, training before validation before the test sets, which keep their order."""
    first = [Split.TRAIN.value, Split.VAL.value]
    names = [str(name) for name in frame["split"].unique()]
    yield from combinations([*(n for n in first if n in names), *(n for n in names if n not in first)], 2)


def overlap_findings(frame: pd.DataFrame, protocol: str) -> list[Finding]:
    """Looks for patients and studies that are in two splits, and for studies of two patients.

    Args:
        frame: a manifest's rows.
        protocol: see `protocol_name`.

    Returns:
        A finding for every two splits that share, or one that says that none do.
    """
    findings = []
    for check, column in (("patients", "patient_id"), ("studies", "study_id")):
        slices = pd.crosstab(frame[column], frame["split"])
        shared = [_shared(slices, check, column, pair, protocol) for pair in split_pairs(frame)]
        findings += [finding for finding in shared if finding is not None] or [
            Finding(check, Severity.PASSED, f"No {_ONE[check]} is in two splits ({len(slices)} {check}).")
        ]
    return [*findings, *_studies_of_two_patients(frame)]


_ONE = {"patients": "patient", "studies": "study"}


def _shared(slices: pd.DataFrame, check: str, column: str, pair: tuple[str, str], protocol: str) -> Finding | None:
    """Args: slices: (ids, splits) how many slices of each patient or study a split has."""
    first, second = pair
    both = slices[(slices[first] > 0) & (slices[second] > 0)]
    if both.empty:
        return None
    there = int((slices[second] > 0).sum())
    said = f"{len(both)} of {there} {check} of {second} are in {first} too ({int(both[second].sum())} of its slices)"
    if both_tests(first, second) and not may_share(protocol, first, second):
        summary, remedy = f"{said}.", "Say so where the two are compared: they are not independent."
    elif may_share(protocol, first, second):
        summary = f"{said}, as the protocol {protocol!r} has it: results on {second} include recognising them."
        remedy = "Report it with the results; for a claim about new patients, use a split by patients."
    else:
        promise = f"the protocol {protocol!r} promises" if protocol else "the manifest names no protocol that allows"
        summary = f"{said}, where {promise} {'that none is' if protocol else 'it'}."
        remedy = "Assign whole patients to splits, or correct the identifiers."
    examples = tuple(
        {column: str(name), f"slices in {first}": int(row[first]), f"slices in {second}": int(row[second])}
        for name, row in both.head(EXAMPLES).iterrows()
    )
    return Finding(check, shared_severity(protocol, first, second), summary, remedy, examples)


def _studies_of_two_patients(frame: pd.DataFrame) -> list[Finding]:
    """A study has one patient: two patient_ids mean that one person is counted as two, or two studies as one."""
    owners = frame.groupby("study_id", sort=False)["patient_id"].nunique()
    names = owners.index[owners > 1]
    if names.empty:
        return []
    rows = frame[frame["study_id"].isin(names)].groupby("study_id", sort=False)
    examples = tuple(
        {
            "study_id": str(name),
            "patient_ids": ", ".join(of_study["patient_id"].unique()[:EXAMPLES]),
            "splits": ", ".join(of_study["split"].unique()),
        }
        for name, of_study in list(rows)[:EXAMPLES]
    )
    return [
        Finding(
            "studies",
            Severity.FATAL,
            f"{len(names)} studies have slices under more than one patient_id.",
            "Correct patient_id or study_id: a split by patients is none while one person has two identifiers.",
            examples,
        )
    ]
