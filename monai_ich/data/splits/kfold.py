# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""The k-fold protocol: every patient is tested on in one fold, and validated on in another."""

from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn.utils import check_random_state

from monai_ich.data.splits.outcome import finished
from monai_ich.data.splits.patient_draws import deal_patients, group_patients
from monai_ich.data.splits.protocol_rows import is_positive, known_sorted, request_faults
from monai_ich.utils.errors import ManifestError
from monai_ich.utils.keys import Split

FEWEST_FOLDS = 3  # one each for training, validation and test


def kfold_protocol(
    frame: pd.DataFrame, *, marker: str = "hypodensity", folds: int = 5, fold: int = 0, seed: int = 0
) -> pd.DataFrame:
    """One fold of a k-fold cross-validation by patient, stratified by whether a patient has a positive slice.

    The patients are dealt into `folds` parts, the same for every `fold`. Part `fold` is the test set `test`, the next
    one (after the last comes the first) is validation, the others are training: over all folds, every slice with a
    known marker is tested on once, by a network that was neither trained nor chosen on its patient.

    Slices whose marker is unknown are **not in the returned table**. The parts do not depend on the order of the rows.

    Args:
        frame: a table with at least `key`, `patient_id`, `hospital` and the marker's column.
        marker: the marker that the classes are of.
        folds: how many parts, at least 3.
        fold: which of them to test on, from 0.
        seed: of the deal.

    Returns:
        A new table, sorted by `key`, with `split` filled in.

    Raises:
        ManifestError: the deal is impossible; the message gives the counts.
    """
    faults = request_faults("the k-fold protocol", frame, marker, {})
    if folds < FEWEST_FOLDS:
        faults.add(f"folds is {folds}; expected at least {FEWEST_FOLDS}: training, validation and test")
    elif not 0 <= fold < folds:
        faults.add(f"fold is {fold}; expected a number from 0 to {folds - 1}")
    faults.raise_if_any(ManifestError)
    known = known_sorted(frame, marker)
    patients = group_patients(known["patient_id"], is_positive(known, marker))
    part = deal_patients(patients, folds, check_random_state(seed))
    split = np.full(len(known), Split.TRAIN.value, dtype=object)
    split[part == fold] = "test"
    split[part == (fold + 1) % folds] = Split.VAL.value
    return finished(known, split, marker)
