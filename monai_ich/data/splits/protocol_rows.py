# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""What every protocol starts from: a request that makes sense, and the slices whose marker is known, sorted by key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from monai_ich.data.manifest_labels import is_empty, nowhere_known
from monai_ich.utils.errors import FaultList
from monai_ich.utils.keys import MARKERS, unknown_label

COLUMNS = ("key", "patient_id", "hospital")


def request_faults(title: str, frame: pd.DataFrame, marker: str, fractions: Mapping[str, float]) -> FaultList:
    """The faults that a request to any protocol can have; the protocol adds its own and raises.

    Args:
        title: the protocol, as the message names it.
        frame: a table with at least `key`, `patient_id`, `hospital` and the marker's column.
        marker: the marker that the classes are of.
        fractions: the shares asked for, by the name of the argument.
    """
    faults = FaultList(f"{title} cannot be applied:")
    unknown = unknown_label(marker, [*MARKERS, *frame.columns])
    if unknown:
        faults.add(unknown)
    for name in (column for column in (*COLUMNS, *(() if unknown else (marker,))) if column not in frame):
        faults.add(f"the table has no column {name!r}; expected a manifest's columns")
    for name in (column for column in COLUMNS if column in frame):
        empty = int(is_empty(frame[name]).sum())
        if empty:
            faults.add(f"{name} is empty in {empty} of {len(frame)} rows; every slice needs one")
    if marker in frame and not unknown:
        _check_marker(frame, marker, faults)
    for name, fraction in fractions.items():
        if not 0 < fraction < 1:
            faults.add(f"{name} is {fraction}; expected a number between 0 and 1")
    if "key" in frame and frame["key"].duplicated().any():
        faults.add(f"{int(frame['key'].duplicated().sum())} keys are repeated; give every slice a key of its own")
    return faults


def known_sorted(frame: pd.DataFrame, marker: str) -> pd.DataFrame:
    """The slices whose marker is known, sorted by `key`, so that no draw depends on the order of the rows."""
    known = ~is_empty(frame[marker]).to_numpy(dtype=bool)
    return frame.loc[known].sort_values("key", kind="stable")


def is_positive(known: pd.DataFrame, marker: str) -> np.ndarray:
    """Whether each slice has the marker: bool (rows,)."""
    return pd.to_numeric(known[marker]).to_numpy() == 1


def hospital_names(frame: pd.DataFrame) -> np.ndarray:
    """Each slice's hospital as text: (rows,)."""
    return frame["hospital"].astype(str).to_numpy(dtype=object)


def in_order(names: Sequence[str]) -> list[str]:
    """Hospitals as people list them: numbers by value, then the others by name.

    >>> in_order(["10", "B", "9", "A"])
    ['9', '10', 'A', 'B']
    """
    return sorted(names, key=lambda name: (not name.isdecimal(), int(name) if name.isdecimal() else 0, name))


def _check_marker(frame: pd.DataFrame, marker: str, faults: FaultList) -> None:
    if said := nowhere_known(frame, marker):
        faults.add(said)
    cells = frame[marker]
    wrong = ~is_empty(cells) & ~pd.to_numeric(cells, errors="coerce").isin([0, 1])
    if wrong.any():
        example = cells[wrong].iloc[0]
        faults.add(
            f"{marker} is {example!r} in one of {int(wrong.sum())} such rows; expected 0, 1, or empty for unknown"
        )
