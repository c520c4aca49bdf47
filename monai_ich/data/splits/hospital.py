# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""The hospital protocol: named hospitals are held out as test sets, the others are split by patient."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from sklearn.utils import check_random_state

from monai_ich.data.splits.held_out import check_hospitals, hold_out, test_name
from monai_ich.data.splits.outcome import finished
from monai_ich.data.splits.patient_draws import draw_patients, group_patients
from monai_ich.data.splits.protocol_rows import hospital_names, is_positive, known_sorted, request_faults
from monai_ich.utils.errors import FaultList, ManifestError
from monai_ich.utils.keys import Split


def hospital_protocol(
    frame: pd.DataFrame,
    *,
    held_out: Sequence[str],
    separate: bool = False,
    marker: str = "hypodensity",
    val_fraction: float = 0.2,
    seed: int = 0,
) -> pd.DataFrame:
    """Leaves hospitals out: all slices of the named ones are for testing, the others' patients for training.

    `val_fraction` of the other hospitals' patients, stratified by whether a patient has a positive slice, are
    validation. No patient is in two of training, validation and test; a patient whom two held-out hospitals examined
    may be in both of their test sets where they are `separate`, for neither is trained on.

    The test set is named by its hospitals: `test_hospitals_5_11` for a run of numbers, `test_hospital_Kyoto` for one,
    `test_new_hospitals` otherwise.

    Slices whose marker is unknown are **not in the returned table**, nor are slices of the other hospitals whose
    patient was also seen in a held-out one. The draw does not depend on the order of the rows.

    Args:
        frame: a table with at least `key`, `patient_id`, `hospital` and the marker's column.
        held_out: the hospitals to test on.
        separate: a test set for each of them, instead of one for all.
        marker: the marker that the classes are of.
        val_fraction: the share of the other hospitals' patients in validation.
        seed: of the draw.

    Returns:
        A new table, sorted by `key`, with `split` filled in.

    Raises:
        ManifestError: the draw is impossible; the message gives the counts.
    """
    hospitals = list(dict.fromkeys(str(name) for name in held_out))
    faults = request_faults("the hospital protocol", frame, marker, {"val_fraction": val_fraction})
    names = _test_names(hospitals, separate, faults)
    faults.raise_if_any(ManifestError)
    known = known_sorted(frame, marker)
    check_hospitals(hospitals, known, faults)
    faults.raise_if_any(ManifestError)

    outside, inside = hold_out(known, hospitals)
    split = np.full(len(known), "", dtype=object)
    split[outside] = [names[name] for name in hospital_names(known)[outside]]
    rest = np.flatnonzero(inside)
    patients = group_patients(known["patient_id"].iloc[rest], is_positive(known, marker)[rest])
    drawn = draw_patients(patients, val_fraction, check_random_state(seed), "val")
    split[rest] = np.where(drawn, Split.VAL.value, Split.TRAIN.value)
    return finished(known, split, marker, apart=(Split.TRAIN.value, Split.VAL.value))


def _test_names(hospitals: list[str], separate: bool, faults: FaultList) -> dict[str, str]:
    """The test set of each held-out hospital."""
    if not hospitals:
        faults.add("no hospital is held out; name at least one to test on")
    if not separate:
        return dict.fromkeys(hospitals, test_name(hospitals, "test_new_hospitals") if hospitals else "")
    names: dict[str, str] = {}
    for hospital in hospitals:
        name = test_name([hospital], "")
        twin = next((other for other, taken in names.items() if taken == name), None)
        if twin is not None:
            faults.add(f"hospitals {twin!r} and {hospital!r} would both be {name!r}; rename one in the table")
        names[hospital] = name
    return names
