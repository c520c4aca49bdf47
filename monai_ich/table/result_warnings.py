# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Warnings about a table's numbers: too few positives, degenerate resamples, several states of the code."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from monai_ich.metrics import BLEEDING_AUC, FEWEST_PATIENTS, Difference, Estimate
from monai_ich.table.table_runs import RunRecord

LEVEL = 0.05  # a difference with a p-value of at least this counts as not found


@dataclass(frozen=True)
class Compared:
    """A difference and its p-value corrected for the other rows of its column (Holm)."""

    difference: Difference
    p_holm: float


@dataclass(frozen=True, eq=False)
class SetResult:
    """What the table says of one test set.

    Attributes:
        letter: short name in the columns, A, B, ...
        counts: slices, patients, positives ... (see `AlignedPredictions.counts`).
        detectable: the smallest AUC difference that it can show, and what that comes from.
        estimates: {(row, metric): mean over runs with its interval}.
        differences: {(row, metric): to the reference row}.
    """

    letter: str
    counts: dict[str, int]
    detectable: dict[str, float]
    estimates: dict[tuple[str, str], Estimate]
    differences: dict[tuple[str, str], Compared]


def set_warnings(result: SetResult) -> list[str]:
    """Warnings about one test set."""
    counts, name = result.counts, f"Test {result.letter}"
    classified = any(metric == "auc" for _, metric in result.estimates)
    if not classified:
        return []
    positives, negatives = counts["positives"], counts["labelled"] - counts["positives"]
    if positives == 0 or negatives == 0:
        return [f"{name} has {positives} positive and {negatives} negative slices: its AUC is not defined."]
    lines = [_detectable(result, name)] if result.differences else []
    if counts["positive_patients"] < FEWEST_PATIENTS:
        lines.append(
            f"{name}: positive slices: {positives}, of patients: {counts['positive_patients']}. With fewer "
            f"than {FEWEST_PATIENTS} such patients intervals are too narrow and p-values too small: conclude nothing."
        )
    worst = max(
        estimate.degenerate for (_, metric), estimate in result.estimates.items() if metric not in ("iou", BLEEDING_AUC)
    )
    if worst > 0:
        lines.append(f"{name}: {worst} resamples held no positive or no negative slice and were left out.")
    lines.append(_bleeding(result, name))
    return [line for line in lines if line]


def _bleeding(result: SetResult, name: str) -> str:
    """Says why the AUC against bleeding negatives is not there; "" where it is."""
    found = [estimate.value for (_, metric), estimate in result.estimates.items() if metric == BLEEDING_AUC]
    if not found:
        return (
            f"{name}: the saved predictions do not say which slices show blood, so there is no AUC against bleeding "
            "negatives. Evaluate the runs again."
        )
    if not math.isnan(found[0]):
        return ""
    return (
        f"{name}: the AUC against bleeding negatives needs {FEWEST_PATIENTS} patients with a positive slice and as "
        "many with a bleeding negative one."
    )


def _detectable(result: SetResult, name: str) -> str:
    """Warns of AUC differences that were not found and are too small for this test set to show; "" without any."""
    smallest, counts = result.detectable["minimum_difference"], result.counts
    differences = [compared.difference for (_, metric), compared in result.differences.items() if metric == "auc"]
    empty = [d for d in differences if abs(d.value) < smallest and not d.p_value < LEVEL]
    if not empty:
        return ""
    return (
        f"{name}: with {counts['positives']} positive slices of {counts['positive_patients']} patients, a difference "
        f"of AUC below {smallest:.3f} is found in fewer than 4 of 5 such test sets. {len(empty)} of "
        f"{len(differences)} differences here are smaller and were not found: that does not show that there is none."
    )


def commit_warnings(records: Sequence[RunRecord]) -> list[str]:
    """Warns when the runs were not all trained by one and the same, committed state of the code."""
    commits = sorted({commit for record in records for commit in record.commits})
    lines = []
    if len(commits) > 1:
        lines.append(f"The runs were trained by {len(commits)} states of the code: {', '.join(commits)}.")
    if any(commit.endswith("-dirty") for commit in commits):
        lines.append("Some runs were trained by code that differs from its commit (marked -dirty).")
    return lines
