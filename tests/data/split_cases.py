# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Slices of eleven hospitals whose patients differ in how many slices, and how many positives, they have."""

from __future__ import annotations

import numpy as np
import pandas as pd


def cohort(per_hospital: int = 30, seed: int = 0) -> pd.DataFrame:
    """A table with `per_hospital` patients of each hospital, of whom two in five have some positive slices."""
    rng = np.random.default_rng(seed)
    rows = []
    for hospital in range(1, 12):
        for number in range(per_hospital):
            share = rng.uniform(0.1, 0.7) if number % 5 < 2 else 0.0
            for position in range(rng.integers(10, 30)):
                patient = f"h{hospital}p{number:03d}"
                label = float(rng.random() < share)
                rows.append((f"{patient}-{position:02d}", patient, "", str(hospital), "", label, 0))
    columns = ["key", "patient_id", "mask", "hospital", "split", "hypodensity", "blend_sign"]
    return pd.DataFrame(rows, columns=columns)


def shuffled(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.sample(frac=1, random_state=5)


def split_of_patients(drawn: pd.DataFrame) -> dict[str, set[str]]:
    """The splits that each patient is in."""
    found: dict[str, set[str]] = {}
    for patient, split in zip(drawn["patient_id"], drawn["split"], strict=True):
        found.setdefault(patient, set()).add(split)
    return found


def patients_of_class(drawn: pd.DataFrame, split: str) -> tuple[int, int]:
    """How many patients of a split have a positive slice, and how many have none."""
    most = drawn[drawn["split"] == split].groupby("patient_id")["hypodensity"].max()
    return int((most == 1).sum()), int((most == 0).sum())


def positive_share(frame: pd.DataFrame) -> float:
    return float((frame["hypodensity"] == 1).mean())
