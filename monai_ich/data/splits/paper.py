# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""The paper's protocol (section 4.1.2), slice by slice; the first test set shares patients with training on purpose."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state, resample

from monai_ich.data.splits.held_out import check_present
from monai_ich.data.splits.outcome import finished
from monai_ich.data.splits.protocol_rows import hospital_names, is_positive, known_sorted, request_faults
from monai_ich.utils.errors import ManifestError
from monai_ich.utils.keys import Split


def paper_protocol(
    frame: pd.DataFrame,
    *,
    marker: str = "hypodensity",
    train_hospitals: Sequence[str] = ("1", "2", "3", "4"),
    test_hospital: str = "1",
    test_fraction: float = 0.1,
    val_fraction: float = 0.2,
    seed: int = 0,
) -> pd.DataFrame:
    """The paper's protocol (section 4.1.2), slice by slice.

    1. Test A (`test_hospitals_1_4`): `test_fraction` of the test hospital's slices, drawn at random. Its patients may
       also be in training: no covariate shift.
    2. The other slices of the training hospitals: `val_fraction` for validation, the rest for training, at random.
       Validation shares patients with training too, so a best epoch chosen on it is chosen optimistically.
    3. Test B (`test_hospitals_5_11`): as many slices as test A with as many positives, drawn at random from all other
       hospitals: covariate shift, no shared patients.

    Slices that test B does not draw, and slices whose marker is unknown, are **not in the returned table**. The draw
    does not depend on the order of the rows: they are sorted by `key` first, and returned so.

    Args:
        frame: a table with at least `key`, `patient_id`, `hospital` and the marker's column.
        marker: the marker that the classes are of.
        train_hospitals: the hospitals of training, validation and test A.
        test_hospital: the one of them that test A is drawn from.
        test_fraction: the share of its slices in test A.
        val_fraction: the share of the remaining slices in validation.
        seed: of every draw.

    Returns:
        A new table, sorted by `key`, with `split` filled in.

    Raises:
        ManifestError: the draw is impossible, or test B shares patients; the message gives the counts.
    """
    hospitals = [str(name) for name in train_hospitals]
    fractions = {"test_fraction": test_fraction, "val_fraction": val_fraction}
    faults = request_faults("the paper's protocol", frame, marker, fractions)
    if str(test_hospital) not in hospitals:
        expected = f"expected one of the training hospitals {', '.join(hospitals)}"
        faults.add(f"test_hospital is {str(test_hospital)!r}; {expected}")
    faults.raise_if_any(ManifestError)
    known = known_sorted(frame, marker)
    # a name that is misspelt would go to test B
    check_present("training", hospitals, known, faults)
    faults.raise_if_any(ManifestError)
    positive = is_positive(known, marker)
    hospital = hospital_names(known)
    inside = np.isin(hospital, hospitals)
    random = check_random_state(seed)
    split = np.full(len(known), "", dtype=object)

    candidates = np.flatnonzero(hospital == str(test_hospital))
    size_a = round(test_fraction * len(candidates))
    _check_test_a_size(size_a, len(candidates), str(test_hospital), test_fraction)
    test_a = resample(candidates, replace=False, n_samples=size_a, random_state=random)
    split[test_a] = Split.TEST_A.value

    rest = np.flatnonzero(inside & (split == ""))
    _check_rest(len(rest), val_fraction)
    train, val = train_test_split(rest, test_size=val_fraction, random_state=random)
    split[train], split[val] = Split.TRAIN.value, Split.VAL.value

    split[_draw_like(test_a, ~inside, positive, random, seed)] = Split.TEST_B.value
    return finished(known, split, marker, apart=(Split.TEST_B.value,))


def _check_test_a_size(size: int, available: int, hospital: str, fraction: float) -> None:
    if size < 1:
        raise ManifestError(
            f"test A would be empty: hospital {hospital} has {available} slices with a known marker, of which "
            f"{fraction:g} are to be drawn; add slices, raise test_fraction, or name another test_hospital"
        )


def _check_rest(available: int, val_fraction: float) -> None:
    if available < 2:
        raise ManifestError(
            f"{available} slices of the training hospitals are left after test A; at least 2 are needed to give "
            f"{val_fraction:g} of them to validation: add slices or lower test_fraction"
        )


def _draw_like(
    test_a: np.ndarray, outside: np.ndarray, positive: np.ndarray, random: np.random.RandomState, seed: int
) -> np.ndarray:
    """Draws from the slices `outside` as many positives and negatives as test A has."""
    drawn = []
    for name, of_class in (("positive", positive), ("negative", ~positive)):
        wanted = int(of_class[test_a].sum())
        available = np.flatnonzero(outside & of_class)
        if wanted == 0:
            raise ManifestError(
                f"test A, drawn with seed {seed}, has no {name} slice among {len(test_a)}, so AUC is undefined; "
                "choose another seed or marker, or raise test_fraction"
            )
        if wanted > len(available):
            raise ManifestError(
                f"test B needs {wanted} {name} slices to match test A, but the other hospitals have {len(available)} "
                f"of {int(outside.sum())} slices; add slices of other hospitals or lower test_fraction"
            )
        drawn.append(resample(available, replace=False, n_samples=wanted, random_state=random))
    return np.concatenate(drawn)
