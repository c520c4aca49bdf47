# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Predictions of several networks for one test set, slice by slice: what a paired comparison starts from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from monai_ich.metrics.prediction_table import LABEL, PROBABILITY, PredictionTable
from monai_ich.utils.errors import ComparisonError, FaultList
from monai_ich.utils.keys import Key, descriptions_among


@dataclass(frozen=True, eq=False)
class AlignedPredictions:
    """One test set, and what every row of a table predicts for it.

    Attributes:
        name: of the test set.
        marker: that the classifiers predict.
        patients: (P,) ids of all patients, sorted.
        n_slices: of the whole test set.
        n_annotated: slices with a mask, also an all-zero one; 0 where no row has a segmentation.
        truth: bool (N,) of the slices whose marker is known.
        patient_of_slice: (N,) patient ids of those slices.
        scores: {row: (S, N)} probabilities of its S runs.
        patient_of_blood: (M,) patient ids of the annotated slices with blood.
        intersections: {row: (S, M)} pixels predicted and true.
        unions: {row: (S, M)} pixels predicted or true.
        descriptions: (N rows) of the slices whose marker is known: `key`, `patient_id`, `hospital`, and the attributes
            and `pair_id` where the predictions have them.
        blood: bool (N,) of those slices, whether they are known to show blood; None where no row's predictions say it
            of any slice (see `PredictionTable.shows_blood`).
    """

    name: str
    marker: str
    patients: np.ndarray
    n_slices: int
    n_annotated: int
    truth: np.ndarray
    patient_of_slice: np.ndarray
    scores: dict[str, np.ndarray]
    patient_of_blood: np.ndarray
    intersections: dict[str, np.ndarray]
    unions: dict[str, np.ndarray]
    descriptions: pd.DataFrame
    blood: np.ndarray | None

    @property
    def counts(self) -> dict[str, int]:
        """Slices, patients, labelled and positive slices, patients with a positive slice, and slices with masks."""
        return {
            "slices": self.n_slices,
            "patients": len(self.patients),
            "labelled": len(self.truth),
            "positives": int(self.truth.sum()),
            "positive_patients": len(np.unique(self.patient_of_slice[self.truth])),
            "annotated": self.n_annotated,
            "with_blood": len(self.patient_of_blood),
        }


def align_predictions(
    name: str, tables: Mapping[str, Sequence[PredictionTable]], marker: str = "hypodensity"
) -> AlignedPredictions:
    """Puts the predictions of several rows for one test set side by side.

    Args:
        name: of the test set.
        tables: {row: one table a run}. A row without this marker's probability takes no part in classification, one
            without pixel counts none in segmentation.
        marker: to compare.

    Raises:
        ComparisonError: with every table whose slices, patients or truth differ from those of the first.
    """
    faults = FaultList(f"The predictions for {name} are not of the same slices and cannot be compared:")
    frames = {row: [_by_key(table) for table in runs] for row, runs in tables.items()}
    classified = {row: [_labelled(f, marker) for f in runs] for row, runs in frames.items() if _has(runs, marker)}
    segmented = {row: [_with_blood(f) for f in runs] for row, runs in frames.items() if "seg_area" in runs[0]}
    truth = _common(classified, [Key.PATIENT_ID, LABEL + marker], faults)
    blood = _common(segmented, [Key.PATIENT_ID, "seg_area"], faults)
    faults.raise_if_any(ComparisonError)
    described = _described(classified, faults)
    faults.raise_if_any(ComparisonError)
    whole = pd.concat([frame[Key.PATIENT_ID] for runs in frames.values() for frame in runs])
    annotated = max((int(run[Key.HAS_MASK].sum()) for row in segmented for run in frames[row]), default=0)
    return AlignedPredictions(
        name=name,
        marker=marker,
        patients=np.unique(whole.to_numpy(dtype=str)),
        n_slices=int(whole.index.nunique()),
        n_annotated=annotated,
        truth=truth[LABEL + marker].to_numpy(dtype=float) == 1,
        patient_of_slice=truth[Key.PATIENT_ID].to_numpy(dtype=str),
        scores=_stacked(classified, PROBABILITY + marker),
        patient_of_blood=blood[Key.PATIENT_ID].to_numpy(dtype=str),
        intersections=_stacked(segmented, "seg_intersection"),
        unions=_stacked(segmented, "seg_union"),
        descriptions=described,
        blood=_known_blood(tables, truth.index),
    )


def _by_key(table: PredictionTable) -> pd.DataFrame:
    return table.frame.set_index(Key.KEY.value).sort_index()


def _has(runs: list[pd.DataFrame], marker: str) -> bool:
    return PROBABILITY + marker in runs[0]


def _labelled(frame: pd.DataFrame, marker: str) -> pd.DataFrame:
    """The slices whose marker is known; a table of another run may lack the marker: that shows in `_common`."""
    return frame[frame[LABEL + marker].notna()] if LABEL + marker in frame else frame.iloc[:0]


def _with_blood(frame: pd.DataFrame) -> pd.DataFrame:
    """The annotated slices with blood, the only ones that have a mask in the paper."""
    if "seg_area" not in frame:
        return frame.iloc[:0]
    return frame[frame[Key.HAS_MASK] & (frame["seg_area"].fillna(0) > 0)]


def _common(runs: dict[str, list[pd.DataFrame]], columns: Sequence[str], faults: FaultList) -> pd.DataFrame:
    """The columns that all runs share, from the first; a fault for every run in which they differ."""
    flat = [(f"{row}, run {number}", frame) for row, frames in runs.items() for number, frame in enumerate(frames)]
    if not flat:
        return pd.DataFrame({column: pd.Series(dtype=object) for column in columns})
    first_name, first = flat[0]
    for name, frame in flat[1:]:
        if not frame.index.equals(first.index):
            differing = frame.index.symmetric_difference(first.index)
            examples = ", ".join(str(key) for key in differing[:3])
            faults.add(f"{name}: {len(differing)} slices are in it or in {first_name} only ({examples})")
            continue
        for column in columns:
            unequal = frame[column].to_numpy() != first[column].to_numpy()
            if unequal.any():
                key = first.index[unequal][0]
                faults.add(f"{name}: {column} of {int(unequal.sum())} slices differs from {first_name} (first {key})")
    return first[list(columns)]


def _described(runs: dict[str, list[pd.DataFrame]], faults: FaultList) -> pd.DataFrame:
    """What the classified slices are; runs of before attributes were saved take the others' word."""
    columns = (Key.KEY.value, Key.PATIENT_ID.value, Key.HOSPITAL.value)
    frames = [frame for of_row in runs.values() for frame in of_row]
    if not frames:
        return pd.DataFrame({name: pd.Series(dtype=object) for name in columns})
    result = frames[0].reset_index().filter(columns)
    for name in dict.fromkeys(name for frame in frames for name in descriptions_among(frame.columns)):
        having = {
            row: [frame for frame in of_row if name in frame]
            for row, of_row in runs.items()
            if any(name in frame for frame in of_row)
        }
        result[name] = _common(having, [name], faults)[name].reindex(result[Key.KEY]).to_numpy()
    return result


def _known_blood(tables: Mapping[str, Sequence[PredictionTable]], keys: pd.Index) -> np.ndarray | None:
    """bool (N,): whether any run's table says that a slice shows blood; at another size a mask may have lost it."""
    known = []
    for table in (table for runs in tables.values() for table in runs):
        blood = table.shows_blood()
        if blood is not None:
            known.append(pd.Series(blood, table.frame[Key.KEY.value]).reindex(keys, fill_value=False).to_numpy())
    return np.any(known, axis=0) if known else None


def _stacked(runs: dict[str, list[pd.DataFrame]], column: str) -> dict[str, np.ndarray]:
    """{row: (S, N)}."""
    return {row: np.stack([frame[column].to_numpy(dtype=float) for frame in frames]) for row, frames in runs.items()}
