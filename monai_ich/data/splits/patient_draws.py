# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Drawing patients, all slices of one together, so that each part has its share of the positives."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedKFold, train_test_split

from monai_ich.utils.errors import ManifestError

# More strata than this do not balance better, and scikit-learn's folds take time for each.
MOST_STRATA = 100


@dataclass(frozen=True, eq=False)
class Patients:
    """The patients of some slices, in order of their ids.

    Attributes:
        of_row: each slice's patient, by position: int (rows,).
        slices: how many slices each patient has: int (patients,).
        positives: how many of them are positive: int (patients,).
    """

    of_row: np.ndarray
    slices: np.ndarray
    positives: np.ndarray

    @property
    def is_positive(self) -> np.ndarray:
        """Whether each patient has a positive slice: bool (patients,)."""
        return self.positives > 0

    def strata(self, of: np.ndarray, count: int) -> np.ndarray:
        """Puts the patients `of` (positions) into `count` strata of one size, by positive slices, then by slices."""
        order = np.lexsort((self.slices[of], self.positives[of]))
        strata = np.empty(len(of), dtype=int)
        strata[order] = np.arange(len(of)) * count // max(len(of), 1)
        return strata


def group_patients(patient_id: pd.Series, positive: np.ndarray) -> Patients:
    """Groups slices by patient; `positive` is bool (rows,)."""
    of_row, ids = pd.factorize(patient_id.astype(str), sort=True)
    slices = np.bincount(of_row, minlength=len(ids))
    return Patients(of_row, slices, np.bincount(of_row, weights=positive, minlength=len(ids)).astype(int))


def draw_patients(patients: Patients, fraction: float, random: np.random.RandomState, name: str) -> np.ndarray:
    """Draws a share of the patients with a positive slice, and the same share of the others.

    Both shares are of patients, rounded; a patient's slices go together, so the share of slices is close to it only as
    far as the patients allow. Within each of the two classes the draw is stratified by how many positive slices, and
    how many slices, a patient has.

    Args:
        patients: who can be drawn.
        fraction: the share to draw.
        random: the source of the draw.
        name: of the split that is drawn, `test` or `val`, for the message.

    Returns:
        Whether each slice is drawn: bool (rows,).

    Raises:
        ManifestError: none, or all, of the patients with a positive slice would be drawn.
    """
    drawn = np.zeros(len(patients.slices), dtype=bool)
    for is_class in (True, False):
        members = np.flatnonzero(patients.is_positive == is_class)
        wanted = round(fraction * len(members))
        if is_class and not 0 < wanted < len(members):
            raise ManifestError(
                f"the {name} split would get {wanted} of the {len(members)} patients with a positive slice, of "
                f"{len(drawn)} patients that it is drawn from, for {name}_fraction is {fraction:g}; at least one must "
                "be drawn and one left: add patients, or change the fraction"
            )
        if wanted == len(members):
            drawn[members] = True
        elif wanted > 0:
            count = min(wanted, len(members) - wanted, MOST_STRATA)
            _, chosen = train_test_split(
                members, test_size=wanted, stratify=patients.strata(members, count), random_state=random
            )
            drawn[chosen] = True
    return drawn[patients.of_row]


def deal_patients(patients: Patients, folds: int, random: np.random.RandomState) -> np.ndarray:
    """Deals the patients into folds, stratified as in `draw_patients`.

    scikit-learn's `StratifiedGroupKFold` is not used: it looks at every patient in turn, which takes minutes where each
    of 752,803 slices is a patient's only one, and its seed only decides between patients whose counts are alike.

    Returns:
        The fold of each slice: int (rows,).

    Raises:
        ManifestError: fewer patients with a positive slice than folds.
    """
    is_positive = patients.is_positive
    if is_positive.sum() < folds:
        raise ManifestError(
            f"{folds} folds need {folds} patients with a positive slice, one for each; there are "
            f"{int(is_positive.sum())} of {len(is_positive)} patients: ask for fewer folds or add patients"
        )
    classes = [np.flatnonzero(is_positive), np.flatnonzero(~is_positive)]
    # a class with fewer patients than folds cannot be a stratum of its own, and with the others it could make up a fold
    few = classes.pop() if len(classes[1]) < folds else np.empty(0, dtype=int)
    strata = np.full(len(is_positive), -1)
    for number, members in enumerate(classes):
        count = min(len(members) // folds, MOST_STRATA)
        strata[members] = number * MOST_STRATA + patients.strata(members, count)
    # in order of strata the folds differ by one patient at most in each class, not only in each stratum
    order = np.argsort(strata, kind="stable")[len(few) :]
    fold = np.empty(len(strata), dtype=int)
    splitter = StratifiedKFold(folds, shuffle=True, random_state=random)
    for number, (_, chosen) in enumerate(splitter.split(order, strata[order])):
        fold[order[chosen]] = number
    sizes = np.bincount(fold[order], minlength=folds)
    fold[few] = np.lexsort((random.permutation(folds), sizes))[: len(few)]  # one each to the smallest
    return fold[patients.of_row]
