# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""The part of an audit that needs the manifest's rows only: class balance and power."""

from __future__ import annotations

import numpy as np
import pandas as pd

from monai_ich.audit.balance import uneven_hospitals
from monai_ich.audit.findings import Finding, Severity
from monai_ich.audit.shortcut_probe import ProbeResult, attribute_probe
from monai_ich.data import test_splits
from monai_ich.metrics import FEWEST_PATIENTS, minimum_detectable_auc_difference

MOST_PROBED = 10_000  # slices; more would narrow the interval, not change the verdict
SHORTCUT_AUC = 0.6
UNEVEN_P_VALUE = 0.001

ASSUMED_AUC = 0.9
COARSE_DIFFERENCE = 0.1
NO_LABEL = "No label is known in any row, so nothing can be said of it."


def balance_findings(frame: pd.DataFrame, marker: str) -> list[Finding]:
    """Does the hospital tell the label?"""
    if len(frame["hospital"].unique()) == 1:
        return [Finding("balance", Severity.PASSED, "There is one hospital; it tells nothing.")]
    known = probed_rows(frame, marker)
    if known.empty:
        return [Finding("balance", Severity.SKIPPED, NO_LABEL)]
    probe = probe_rows(known[["hospital"]], known, marker)
    uneven = uneven_hospitals(frame, marker)
    uneven = uneven[uneven["p_value"] < UNEVEN_P_VALUE]
    said = shortcut_text(probe, "the hospital alone")
    examples = tuple(
        {
            "hospital": row["hospital"],
            "patients with a positive slice": f"{row['positive_patients']} of {row['patients']}",
            "elsewhere": f"{row['positive_others']} of {row['others']}",
            "p (Fisher, corrected)": f"{row['p_value']:.1e}",
        }
        for _, row in uneven.iterrows()
    )
    if examples or is_shortcut(probe):
        names = f"; {len(examples)} hospitals differ from the others" if examples else ""
        remedy = (
            "Balance hospitals within the training split, report each hospital by itself, or test on hospitals that "
            "training has not seen."
        )
        return [Finding("balance", Severity.WARNING, f"{said}{names}.", remedy, examples)]
    severity = Severity.SKIPPED if probe is None else Severity.PASSED
    return [Finding("balance", severity, f"{said}; no hospital differs much from the others.")]


def probed_rows(frame: pd.DataFrame, marker: str) -> pd.DataFrame:
    """Rows whose marker is known, of as many patients drawn at random as hold about `MOST_PROBED` slices."""
    known = frame[frame[marker].notna()]
    if len(known) <= MOST_PROBED:
        return known
    sizes = known.groupby("patient_id", sort=False).size().sample(frac=1, random_state=0)
    return known[known["patient_id"].isin(sizes.index[sizes.cumsum() <= MOST_PROBED])]


def probe_rows(attributes: pd.DataFrame, rows: pd.DataFrame, marker: str) -> ProbeResult | None:
    """`attribute_probe` of a manifest's rows."""
    patients = pd.factorize(rows["patient_id"])[0]
    return attribute_probe(attributes, rows[marker].to_numpy(dtype=np.int64), patients)


def shortcut_text(probe: ProbeResult | None, what: str) -> str:
    """What a probe says, as the beginning of a sentence."""
    if probe is None:
        return f"What {what} tells cannot be measured: nothing varies, or a class has fewer than 5 patients"
    return (
        f"A model of {what} reaches AUC {probe.auc:.2f} (95 % interval {probe.low:.2f} to {probe.high:.2f}, "
        f"{probe.slices} slices of {probe.patients} patients, cross-validated by patients)"
    )


def is_shortcut(probe: ProbeResult | None) -> bool:
    return probe is not None and probe.auc >= SHORTCUT_AUC and probe.low > 0.5


def power_findings(frame: pd.DataFrame, marker: str) -> list[Finding]:
    """How small a difference of AUC can each test set show?"""
    if not frame[marker].notna().any():
        return [Finding("power", Severity.SKIPPED, NO_LABEL)]
    findings = []
    for name in test_splits(frame):
        rows = frame[(frame["split"] == name) & frame[marker].notna()]
        positive = rows[marker] == 1
        slices = (int(positive.sum()), int((~positive).sum()))
        patients = (rows.loc[positive, "patient_id"].nunique(), rows.loc[~positive, "patient_id"].nunique())
        best, worst = (minimum_detectable_auc_difference(ASSUMED_AUC, *counts) for counts in (slices, patients))
        coarse = not best <= COARSE_DIFFERENCE or patients[0] < FEWEST_PATIENTS
        summary = (
            f"{name}: {slices[0]} positive slices of {sum(slices)}, of {patients[0]} patients. Two networks near AUC "
            f"{ASSUMED_AUC} must differ by {best:.3f} to be told apart (4 times in 5, 5 % level, correlation .5), if "
            f"slices were independent; by {worst:.3f}, if a patient's slices were all alike."
        )
        remedy = "Add patients with the marker to this test set, or claim no smaller difference." if coarse else ""
        findings.append(Finding("power", Severity.WARNING if coarse else Severity.PASSED, summary, remedy))
    return findings or [Finding("power", Severity.SKIPPED, "The manifest has no test set.")]
