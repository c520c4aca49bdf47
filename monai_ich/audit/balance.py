# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""How a marker is spread over hospitals and splits."""

from __future__ import annotations

import pandas as pd
from scipy.stats import fisher_exact


def hospital_counts(frame: pd.DataFrame, marker: str) -> pd.DataFrame:
    """Counts of every hospital within every split, over the slices whose marker is known.

    Returns:
        Columns `hospital, split, patients, slices, positive`, in order of appearance.
    """
    known = frame[frame[marker].notna()]
    grouped = known.groupby(["hospital", "split"], sort=False, observed=True)
    return grouped.agg(
        patients=("patient_id", "nunique"), slices=("key", "size"), positive=(marker, lambda cells: int(cells.sum()))
    ).reset_index()


def uneven_hospitals(frame: pd.DataFrame, marker: str) -> pd.DataFrame:
    """Compares each hospital's share of patients with a positive slice with the other hospitals' (Fisher's exact test).

    Patients are counted, not slices, because slices of a patient resemble one another.

    Returns:
        Columns `hospital, patients, positive_patients, others, positive_others, p_value`; p-values are corrected for
        the number of hospitals (Bonferroni). Empty with one hospital.
    """
    known = frame[frame[marker].notna()]
    patients = known.groupby(["hospital", "patient_id"], sort=False, observed=True)[marker].max().reset_index()
    counts = patients.groupby("hospital", sort=False)[marker].agg(["size", "sum"]).astype(int)
    rows = []
    for hospital, (size, positive) in zip(counts.index, counts.to_numpy(), strict=True):
        others, positive_others = counts["size"].sum() - size, counts["sum"].sum() - positive
        table = [[positive, size - positive], [positive_others, others - positive_others]]
        p_value = min(1.0, float(fisher_exact(table).pvalue) * len(counts))
        rows.append((str(hospital), int(size), int(positive), int(others), int(positive_others), p_value))
    columns = ["hospital", "patients", "positive_patients", "others", "positive_others", "p_value"]
    return pd.DataFrame(rows if len(rows) > 1 else [], columns=columns)
