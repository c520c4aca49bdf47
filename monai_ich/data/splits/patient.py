# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""The patient protocol: training, validation and test by patient; hospitals may be held out as a second test set."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from sklearn.utils import check_random_state

from monai_ich.data.splits.held_out import check_hospitals, hold_out, test_name
from monai_ich.data.splits.outcome import finished
from monai_ich.data.splits.patient_draws import draw_patients, group_patients
from monai_ich.data.splits.protocol_rows import hospital_names, is_positive, known_sorted, request_faults
from monai_ich.utils.errors import ManifestError
from monai_ich.utils.keys import Split


def patient_protocol(
    frame: pd.DataFrame,
    *,
    marker: str = "hypodensity",
    test_fraction: float = 0.2,
    val_fraction: float = 0.2,
    held_out: Sequence[str] = (),
    seed: int = 0,
) -> pd.DataFrame:
    """Splits by patient, stratified by whether a patient has a positive slice: no patient is in two splits.

    1. The held-out hospitals, if any, are a test set as a whole: new patients of new hospitals.
    2. `test_fraction` of the other patients are a test set: new patients of the hospitals that are trained on.
    3. `val_fraction` of those left are validation, the rest training.

    The test set is `test`. With held-out hospitals there are two, named by their hospitals (`test_hospitals_1_4` and
    `test_hospitals_5_11`, `test_hospital_Kyoto`), or `test_same_hospitals` and `test_new_hospitals` where the
    hospitals are neither one nor a run of numbers.

    Slices whose marker is unknown are **not in the returned table**, nor are slices of the other hospitals whose
    patient was also seen in a held-out one. The draw does not depend on the order of the rows.

    Args:
        frame: a table with at least `key`, `patient_id`, `hospital` and the marker's column.
        marker: the marker that the classes are of.
        test_fraction: the share of patients in the test set.
        val_fraction: the share of the remaining patients in validation.
        held_out: hospitals of the second test set.
        seed: of every draw.

    Returns:
        A new table, sorted by `key`, with `split` filled in.

    Raises:
        ManifestError: the draw is impossible; the message gives the counts.
    """
    hospitals = list(dict.fromkeys(str(name) for name in held_out))
    fractions = {"test_fraction": test_fraction, "val_fraction": val_fraction}
    faults = request_faults("the patient protocol", frame, marker, fractions)
    faults.raise_if_any(ManifestError)
    known = known_sorted(frame, marker)
    check_hospitals(hospitals, known, faults)
    faults.raise_if_any(ManifestError)

    outside, inside = hold_out(known, hospitals)
    same, new = _test_names(hospitals, hospital_names(known)[~outside])
    split = np.full(len(known), "", dtype=object)
    split[outside] = new
    random = check_random_state(seed)
    positive = is_positive(known, marker)
    rest = np.flatnonzero(inside)
    for name, fraction, part in (("test", test_fraction, same), ("val", val_fraction, Split.VAL.value)):
        patients = group_patients(known["patient_id"].iloc[rest], positive[rest])
        drawn = draw_patients(patients, fraction, random, name)
        split[rest[drawn]] = part
        rest = rest[~drawn]
    split[rest] = Split.TRAIN.value
    return finished(known, split, marker)


def _test_names(held_out: list[str], others: np.ndarray) -> tuple[str, str]:
    """The names of the test set of the other hospitals and of that of the held-out ones."""
    same, new = "test_same_hospitals", "test_new_hospitals"
    if not held_out:
        return "test", new
    by_hospital = test_name(list(pd.unique(others)), same), test_name(held_out, new)
    return by_hospital if by_hospital[0] != by_hospital[1] else (same, new)
