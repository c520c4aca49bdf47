# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""What every protocol ends with: the slices that were drawn, and proof that the protocol's promises are kept."""

from __future__ import annotations

from collections.abc import Collection
from itertools import combinations

import numpy as np
import pandas as pd

from monai_ich.data.splits.protocol_rows import is_positive
from monai_ich.utils.errors import FaultList, ManifestError


def finished(known: pd.DataFrame, split: np.ndarray, marker: str, apart: Collection[str] | None = None) -> pd.DataFrame:
    """The slices with a split, checked: both classes in every split, and no patient shared where that is promised.

    Args:
        known: the slices that the protocol could draw.
        split: the split of each, empty where it was not drawn: (rows,).
        marker: the marker that the classes are of.
        apart: the splits that may share no patient with any other; all of them if not given.

    Raises:
        ManifestError: a split lacks a class, or a promise is broken; the message gives the counts.
    """
    drawn = split != ""
    table = known.loc[drawn].assign(split=split[drawn].astype(str)).reset_index(drop=True)
    _check_classes(table, marker)
    check_patients_apart(table, apart)
    return table


def shared_patients(frame: pd.DataFrame) -> dict[tuple[str, str], int]:
    """How many patients each two splits share, for those that share any.

    Args:
        frame: a table with `patient_id` and `split`.

    >>> shared_patients(pd.DataFrame({"patient_id": ["a", "a", "b"], "split": ["train", "test", "val"]}))
    {('train', 'test'): 1}
    """
    pairs = frame[["patient_id", "split"]].astype(str).drop_duplicates()
    patients = {str(name): set(ids) for name, ids in pairs.groupby("split", sort=False)["patient_id"]}
    shared = {(a, b): len(patients[a] & patients[b]) for a, b in combinations(patients, 2)}
    return {pair: count for pair, count in shared.items() if count}


def check_patients_apart(frame: pd.DataFrame, apart: Collection[str] | None = None) -> None:
    """Refuses a table in which a patient is in two splits.

    Args:
        frame: a table with `patient_id` and `split`.
        apart: the splits that may share no patient with any other; all of them if not given.

    Raises:
        ManifestError: patients are shared; the message gives the splits and the counts.
    """
    faults = FaultList(
        "patients are shared by splits that may not share any; if different people have the same patient_id, give each "
        "an id of their own, otherwise leave their slices out of one split or use protocol 'hospital':"
    )
    for pair, count in shared_patients(frame).items():
        if apart is None or set(pair) & set(apart):
            faults.add(f"{pair[0]!r} and {pair[1]!r} share {count} patients")
    faults.raise_if_any(ManifestError)


def _check_classes(table: pd.DataFrame, marker: str) -> None:
    faults = FaultList("the split cannot be used:")
    rows = pd.DataFrame(
        {"split": table["split"], "patient": table["patient_id"], "positive": is_positive(table, marker)}
    )
    for name, of_split in rows.groupby("split", sort=False):
        positive = int(of_split["positive"].sum())
        negative = len(of_split) - positive
        if min(positive, negative) == 0:
            faults.add(
                f"{name!r}, {of_split['patient'].nunique()} patients, has {positive} slices with {marker} and "
                f"{negative} without; AUC needs both: choose another seed or marker, other fractions or hospitals, or "
                "add slices"
            )
    faults.raise_if_any(ManifestError)
