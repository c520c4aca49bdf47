# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Epochs in which every class, or every group, has the same number of slices (Idrissi et al., arXiv 2110.14503)."""

from __future__ import annotations

import numpy as np

from monai_ich.data.datasets import SliceDataset
from monai_ich.utils.errors import ConfigurationError, did_you_mean
from monai_ich.utils.keys import BALANCE_BY, BALANCES


class DrawnStrata:
    """As many draws of every stratum, with replacement: first one of its patients, then one of the patient's slices.

    An epoch is as long as the data set. Slices of unknown stratum have the share of ordinary training: each of them
    comes once.
    """

    def __init__(self, strata: np.ndarray, patients: np.ndarray) -> None:
        """
        Args:
            strata: int64 (n,), the class or group of each slice, negative where unknown.
            patients: (n,), whose slice it is.
        """
        self.size = len(strata)
        self.unknown = np.flatnonzero(strata < 0)
        # of each stratum, the rows of each of its patients
        self.rows_of = [_rows_by_patient(np.flatnonzero(strata == s), patients) for s in np.unique(strata[strata >= 0])]

    def rows(self, generator: np.random.Generator) -> np.ndarray:
        """The rows of an epoch in their order, int64 (size,)."""
        draws = self.size - len(self.unknown)
        # what is left over when the draws are shared out goes to other strata in every epoch
        turn = np.arange(draws) + generator.integers(len(self.rows_of))
        counts = np.bincount(turn % len(self.rows_of), minlength=len(self.rows_of))
        drawn = [self.unknown]
        for of_patients, count in zip(self.rows_of, counts.tolist(), strict=True):
            chosen = [of_patients[patient] for patient in generator.integers(len(of_patients), size=count).tolist()]
            places = generator.random(count).tolist()
            picked = [rows[int(place * len(rows))] for rows, place in zip(chosen, places, strict=True)]
            drawn.append(np.array(picked, np.int64))
        return generator.permutation(np.concatenate(drawn))


class SubsampledStrata:
    """The same number of slices of every stratum, without replacement: that of the smallest stratum.

    The slices are chosen once for all epochs. Slices of unknown stratum all stay.
    """

    def __init__(self, strata: np.ndarray, seed: int) -> None:
        """
        Args:
            strata: int64 (n,), the class or group of each slice, negative where unknown.
            seed: of the choice.
        """
        generator = np.random.default_rng(seed)
        rows_of = [np.flatnonzero(strata == stratum) for stratum in np.unique(strata[strata >= 0])]
        least = min(map(len, rows_of))
        chosen = [generator.choice(rows, least, replace=False) for rows in rows_of]
        self.chosen = np.sort(np.concatenate([np.flatnonzero(strata < 0), *chosen]))
        self.size = len(self.chosen)

    def rows(self, generator: np.random.Generator) -> np.ndarray:
        """The rows of an epoch in their order, int64 (size,)."""
        return generator.permutation(self.chosen)


def balanced_strata(
    dataset: SliceDataset, balance: str, balance_by: str = "draw", seed: int = 0
) -> DrawnStrata | SubsampledStrata | None:
    """What of a data set an `EpochSampler` draws in an epoch.

    Args:
        dataset: of training, with one marker.
        balance: `class` or `group`; `none`: every slice once.
        balance_by: `draw` (RWY and RWG in the paper, there without regard to patients) or `subsample` (SUBY and SUBG).
        seed: of the subsample.

    Returns:
        The plan of an epoch; None for `none`.

    Raises:
        ConfigurationError: an option is unknown, or there are no groups, no labels or several markers.
    """
    for name, value, options in (("balance", balance, BALANCES), ("balance_by", balance_by, BALANCE_BY)):
        if value not in options:
            expected = f"{name} is one of {list(options)}, got {value!r}."
            raise ConfigurationError(expected + did_you_mean(str(value), options))
    if balance == "none":
        return None
    if balance == "group" and dataset.groups is None:
        raise ConfigurationError("balance is 'group', but the data set has no groups; name data::attributes")
    if balance == "class" and len(dataset.markers) != 1:
        raise ConfigurationError(f"balance is 'class', but the data set has {len(dataset.markers)} markers; choose one")
    strata = dataset.labels if dataset.groups is None or balance == "class" else dataset.groups
    if balance_by == "subsample":
        return SubsampledStrata(strata, seed)
    return DrawnStrata(strata, dataset.slices.frame["patient_id"].to_numpy()[dataset.rows])


def _rows_by_patient(rows: np.ndarray, patients: np.ndarray) -> list[np.ndarray]:
    _, patient_of_row = np.unique(patients[rows].astype(str), return_inverse=True)
    return [rows[patient_of_row == patient] for patient in range(patient_of_row.max() + 1)]
