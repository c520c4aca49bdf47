# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Predictions with an attribute and counterfactual pairs."""

from __future__ import annotations

import numpy as np
import pandas as pd

from monai_ich.metrics import PredictionTable


def cohort(patients: int = 60, slices: int = 4, run: int = 0) -> pd.DataFrame:
    """A slice a row; the attribute `head_holder` goes with the marker, and half of the score comes from it."""
    truth, rng = np.random.default_rng(3), np.random.default_rng([5, run])
    n = patients * slices
    marker = truth.random(n) < 0.4
    holder = truth.random(n) < np.where(marker, 0.7, 0.3)
    scores = 1 / (1 + np.exp(-rng.normal(1.0 * (2 * marker - 1) + 1.0 * (2 * holder - 1), 1.5)))
    return pd.DataFrame(
        {
            "index": np.arange(n),
            "key": [f"k{i:04d}" for i in range(n)],
            "patient_id": [f"p{i // slices}" for i in range(n)],
            "study_id": "s",
            "hospital": [str(1 + i // slices % 3) for i in range(n)],
            "attribute_head_holder": np.where(holder, "yes", "no"),
            "attribute_clot_volume_ml": [f"{v:.2f}" for v in truth.gamma(2.0, 10.0, n)],
            "has_blood": np.where(marker | (truth.random(n) < 0.5), 1, 0),
            "label_hypodensity": marker.astype(int),
            "probability_hypodensity": scores,
        }
    )


def paired(patients: int = 30, present: float = 0.8, absent: float = 0.5) -> pd.DataFrame:
    """A pair a patient, the slice without the holder first; the probabilities are the same for all."""
    n = 2 * patients
    return pd.DataFrame(
        {
            "index": np.arange(n),
            "key": [f"k{i:03d}" for i in range(n)],
            "patient_id": [f"p{i // 2}" for i in range(n)],
            "study_id": "s",
            "hospital": "1",
            "attribute_head_holder": ["no", "yes"] * patients,
            "pair_id": [f"pair{i // 2:03d}" for i in range(n)],
            "label_hypodensity": [i // 2 % 2 for i in range(n)],
            "probability_hypodensity": [absent, present] * patients,
        }
    )


def table(frame: pd.DataFrame) -> PredictionTable:
    types = {name: "Int64" for name in frame if name.startswith("label_") or name == "has_blood"}
    return PredictionTable(frame.astype(types))
