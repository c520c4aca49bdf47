# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Counterfactual pairs: what a prediction does when one attribute of a slice is changed and nothing else."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.special import logit

from monai_ich.utils.attributes import Attribute
from monai_ich.utils.errors import ComparisonError, FaultList, shown
from monai_ich.utils.keys import PAIR_ID, Key

PAIR_METRICS = ("ace", "flips", "logit_shift")
# Float32 probabilities end in 0 and 1; their logits are cut here, at about 16, so that a shift stays a number.
SMALLEST_PROBABILITY = 1e-7


def counterfactual_pairs(frame: pd.DataFrame, attribute: Attribute) -> np.ndarray:
    """Finds the pairs of slices that differ in an attribute.

    Pairs whose two slices share the attribute's value differ in another attribute, and are left out.

    Args:
        frame: one row a slice, with `key`, `patient_id`, the attribute's column and `pair_id` ("" = of no pair).
        attribute: with a value that counts as "with".

    Returns:
        int (P, 2): positions of the slice with the attribute and of the one without it, by `pair_id`.

    Raises:
        ComparisonError: listing every pair that has not two slices, or slices of two patients, or an unknown value.
    """
    if PAIR_ID not in frame or attribute.column not in frame or not attribute.value_with:
        return np.empty((0, 2), dtype=np.int64)
    table = pd.DataFrame(
        {
            "pair": frame[PAIR_ID].to_numpy(dtype=object),
            "key": frame[Key.KEY].to_numpy(dtype=object),
            "patient": frame[Key.PATIENT_ID].to_numpy(dtype=object),
            "value": attribute.values(frame[attribute.column]),
        }
    )
    table = table[table["pair"] != ""]
    faults = FaultList(f"Some counterfactual pairs cannot be used for {attribute.text}:")
    pairs = []
    for pair, rows in table.groupby("pair", sort=True):
        keys = ", ".join(map(str, rows["key"]))
        if len(rows) == 1:
            faults.add(f"pair {shown(pair)}: the partner of {keys} is missing")
        elif len(rows) > 2:
            faults.add(f"pair {shown(pair)} has {len(rows)} slices, expected 2: {keys}")
        elif len(set(rows["patient"])) > 1:
            faults.add(f"pair {shown(pair)} is of two patients: {keys}")
        elif (rows["value"] == "").any():
            if (rows["value"] != "").any():
                faults.add(f"pair {shown(pair)}: {attribute.column} is unknown in one of {keys}")
        else:
            present = rows["value"] == attribute.value_with
            if present.sum() == 1:
                pairs.append((rows.index[present][0], rows.index[~present][0]))
    faults.raise_if_any(ComparisonError)
    return np.array(pairs, dtype=np.int64).reshape(-1, 2)


def pair_effects(present: np.ndarray, absent: np.ndarray, threshold: float = 0.5) -> dict[str, np.ndarray]:
    """What the attribute does to each pair's prediction.

    >>> {name: values.round(2).tolist() for name, values in pair_effects(np.array([0.9]), np.array([0.4])).items()}
    {'ace': [0.5], 'flips': [1.0], 'logit_shift': [2.6]}

    Args:
        present: (..., P) probabilities of the slices with the attribute.
        absent: the same of their partners without it.
        threshold: a slice is called positive from this probability on.

    Returns:
        Each of the same shape. `ace`: p(with) - p(without), whose mean is the average causal effect; `flips`: 1 where
        the two are not called the same; `logit_shift`: logit p(with) - logit p(without), of probabilities that are kept
        `SMALLEST_PROBABILITY` away from 0 and 1.
    """
    present, absent = np.asarray(present, dtype=float), np.asarray(absent, dtype=float)
    first, second = (logit(p.clip(SMALLEST_PROBABILITY, 1 - SMALLEST_PROBABILITY)) for p in (present, absent))
    flips = (present >= threshold) != (absent >= threshold)
    return {"ace": present - absent, "flips": flips.astype(float), "logit_shift": first - second}
