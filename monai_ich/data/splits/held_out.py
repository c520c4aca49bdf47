# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Hospitals that are held out of training: which slices, and what their test sets are called."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import pandas as pd

from monai_ich.data.splits.protocol_rows import hospital_names, in_order
from monai_ich.utils.errors import FaultList, did_you_mean


def check_hospitals(held_out: Sequence[str], known: pd.DataFrame, faults: FaultList) -> None:
    """Adds a fault for each held-out hospital without slices, and when no hospital is left to train on."""
    present = check_present("held-out", held_out, known, faults)
    if held_out and present and set(present) <= set(held_out):
        faults.add(f"all {len(present)} hospitals are held out; leave at least one to train on")


def check_present(what: str, hospitals: Sequence[str], known: pd.DataFrame, faults: FaultList) -> list[str]:
    """Adds a fault for each of the named hospitals without slices, and returns those that have some, in order."""
    present = in_order(list(pd.unique(hospital_names(known))))
    for name in (hospital for hospital in hospitals if hospital not in present):
        listed = ", ".join(present[:20]) + (f" and {len(present) - 20} more" if len(present) > 20 else "")
        hint = did_you_mean(name, present)
        faults.add(
            f"{what} hospital {name!r} has no slice with a known marker; the hospitals that have are {listed}.{hint}"
        )
    return present


def hold_out(known: pd.DataFrame, held_out: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Separates the held-out hospitals' slices from those that may be trained on.

    A patient whom both a held-out and another hospital examined is tested on, not trained on: the slices of the other
    hospital are in neither.

    Returns:
        Whether each slice is held out, and whether it may be trained on: bool (rows,) each.
    """
    outside = np.isin(hospital_names(known), list(held_out))
    patient = known["patient_id"].astype(str)
    return outside, ~outside & ~patient.isin(patient[outside].unique()).to_numpy()


def test_name(hospitals: Sequence[str], otherwise: str) -> str:
    """What a test set of some hospitals is called: by the hospital, by a run of numbers, or else as given.

    >>> test_name(["6", "5", "7"], "test_new_hospitals"), test_name(["Kyoto-2"], "test_new_hospitals")
    ('test_hospitals_5_7', 'test_hospital_Kyoto_2')
    >>> test_name(["1", "4"], "test_new_hospitals")
    'test_new_hospitals'
    """
    if len(hospitals) == 1:
        return "test_hospital_" + re.sub(r"\W+", "_", hospitals[0])
    if not all(name.isdecimal() for name in hospitals):
        return otherwise
    numbers = sorted(int(name) for name in hospitals)
    run = numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    return f"test_hospitals_{numbers[0]}_{numbers[-1]}" if run else otherwise


test_name.__test__ = False  # type: ignore[attr-defined]  # pytest would otherwise collect it wherever it is imported
