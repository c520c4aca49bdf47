# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""The table of predictions, one row a slice: saved, it is what every metric is computed from, now and later."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from monai_ich.metrics.classification import classification_metrics, multilabel_metrics
from monai_ich.metrics.group_metrics import BLEEDING_AUC, GROUP_METRICS, AttributeGroups, bleeding_auc
from monai_ich.metrics.segmentation import segmentation_counts, segmentation_metrics
from monai_ich.utils.attributes import known_opposites
from monai_ich.utils.errors import MonaiIchError
from monai_ich.utils.keys import Key, Task, descriptions_among
from monai_ich.utils.probabilities import haematoma_mask, marker_probabilities

IDENTITY_COLUMNS = ("index", "key", "patient_id", "study_id", "hospital")
SEG_COLUMNS = ("seg_intersection", "seg_union", "seg_pred_area", "seg_area", "seg_pixels")
KNOWN_WITHOUT_MASK = ("seg_pred_area", "seg_pixels")
LABEL, PROBABILITY = "label_", "probability_"


@dataclass(frozen=True, eq=False)
class PredictionTable:
    """Predictions of a data set, and the truth beside them.

    Attributes:
        frame: `index, key, patient_id, study_id, hospital`; the manifest's `attribute_<name>` and `pair_id`, texts,
            where it has them (empty = unknown); `has_blood` (0, 1, missing = unknown; not in tables of version 0.1);
            `label_<marker>` (0, 1, missing = unknown) and `probability_<marker>` of each marker, if there is a
            classifier; `seg_intersection, seg_union,
            seg_pred_area, seg_area, seg_pixels` in pixels and `has_mask`, if there is a segmentation (intersection,
            union and area are missing where nobody annotated; tables of version 0.1 have no `seg_pixels`). One row a
            slice, sorted by `index`.
    """

    frame: pd.DataFrame

    @property
    def markers(self) -> tuple[str, ...]:
        """The markers with a probability, in column order."""
        return tuple(name.removeprefix(PROBABILITY) for name in self.frame if name.startswith(PROBABILITY))

    @property
    def has_segmentation(self) -> bool:
        """Whether the table holds pixel counts."""
        return SEG_COLUMNS[0] in self.frame

    @classmethod
    def from_batch(
        cls, batch: Mapping[str, Any], output: Mapping[str, torch.Tensor], markers: Sequence[str]
    ) -> PredictionTable:
        """Turns a batch and the network's output for it into rows.

        Args:
            batch: `index, key, patient_id, study_id, hospital`; `has_blood` if it is there; `label` for a classifier;
                `mask` and `has_mask` for a segmentation (see `Key`).
            output: logits `cls` (B, 2) for one marker or (B, K), `seg` (B, 2, H, W); any others are left out.
            markers: the K names.
        """
        columns: dict[str, Any] = {"index": torch.as_tensor(batch[Key.INDEX]).tolist()}
        texts = [*IDENTITY_COLUMNS[1:], *descriptions_among(batch)]
        columns |= {name: list(batch[name]) for name in texts}
        if Key.HAS_BLOOD in batch:
            blood = torch.as_tensor(batch[Key.HAS_BLOOD]).cpu().numpy()
            columns[Key.HAS_BLOOD.value] = np.where(blood >= 0, blood.astype(float), np.nan)
        if Task.CLS in output:
            columns |= _classification_columns(output[Task.CLS], batch[Key.LABEL], markers)
        if Task.SEG in output:
            columns |= _segmentation_columns(output[Task.SEG], batch[Key.MASK], batch[Key.HAS_MASK])
        return cls(_typed(pd.DataFrame(columns)))

    @classmethod
    def concatenate(cls, tables: Sequence[PredictionTable]) -> PredictionTable:
        """Joins tables of one data set: sorted by `index`, and each slice once.

        Several processes share a data set evenly by seeing a few slices twice.
        """
        frame = pd.concat([table.frame for table in tables], ignore_index=True)
        once = frame.drop_duplicates("index").sort_values("index", kind="stable")
        return cls(once.reset_index(drop=True))

    @classmethod
    def from_csv(cls, path: Path | str) -> PredictionTable:
        """Reads a table that `to_csv` wrote; equal to the one written, to the last bit.

        Raises:
            MonaiIchError: it is not a table of predictions.
        """
        names = list(pd.read_csv(path, nrows=0).columns)
        # probabilities are read as text first: numpy parses them exactly, pandas' fast parser may miss the last bit
        described = descriptions_among(names)
        text = [*IDENTITY_COLUMNS[1:], *described, *(name for name in names if name.startswith(PROBABILITY))]
        frame = pd.read_csv(path, dtype=dict.fromkeys(text, str), keep_default_na=False, na_values=[""])
        frame[described] = frame[described].fillna("")
        missing = [name for name in IDENTITY_COLUMNS if name not in frame]
        if missing:
            raise MonaiIchError(f"{path} is not a table of predictions: it has no column {', '.join(missing)}")
        return cls(_typed(frame))

    def to_csv(self, path: Path | str) -> Path:
        """Writes the table, folders included; returns the path."""
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        self.frame.to_csv(path, index=False, lineterminator="\n")
        return path

    def labels(self) -> np.ndarray:
        """Labels (N, K), NaN = unknown."""
        return self.frame[[LABEL + marker for marker in self.markers]].to_numpy(dtype=float, na_value=np.nan)

    def probabilities(self) -> np.ndarray:
        """Probabilities (N, K)."""
        return self.frame[[PROBABILITY + marker for marker in self.markers]].to_numpy(dtype=float)

    def metrics(self, threshold: float = 0.5) -> dict[str, float]:
        """Metrics of the parts that the table holds.

        Returns:
            `classification_metrics` for one marker, `multilabel_metrics` for several, `segmentation_metrics` of the
            annotated slices; `n` also without a classifier. For one marker also `auc_bleeding` (see `bleeding_auc`),
            and for each attribute of `known_opposites` the metrics of `AttributeGroups.metrics` that `GROUP_METRICS`
            names, as `<metric>_<attribute>`.

        Raises:
            ComparisonError: a counterfactual pair is not one (see `counterfactual_pairs`).
        """
        result: dict[str, float] = {"n": len(self.frame)}
        if len(self.markers) == 1:
            result |= classification_metrics(self.labels()[:, 0], self.probabilities()[:, 0], threshold)
            result |= self._group_metrics(threshold)
        elif self.markers:
            result |= multilabel_metrics(self.labels(), self.probabilities(), self.markers, threshold)
        if self.has_segmentation:
            annotated = self.frame[self.frame[Key.HAS_MASK.value]]
            names = [name for name in ("seg_intersection", "seg_union", "seg_area", "seg_pixels") if name in annotated]
            result |= segmentation_metrics(*(annotated[name].to_numpy(dtype=float) for name in names))
        return result

    def shows_blood(self) -> np.ndarray | None:
        """Which slices are known to show blood, bool (N,): by `has_blood`, or else by the area of the mask.

        None where the table says it of no slice: it is of version 0.1 and without a segmentation, or without masks.
        """
        if Key.HAS_BLOOD in self.frame:
            return self.frame[Key.HAS_BLOOD.value].to_numpy(dtype=float, na_value=np.nan) == 1
        if not self.has_segmentation or not self.frame[Key.HAS_MASK.value].any():
            return None
        area = self.frame["seg_area"].to_numpy(dtype=float, na_value=np.nan)
        return self.frame[Key.HAS_MASK.value].to_numpy() & (area > 0)

    def _group_metrics(self, threshold: float) -> dict[str, float]:
        labels = self.labels()[:, 0]
        known = labels >= 0
        frame, scores, truth = self.frame[known], self.probabilities()[known].T, labels[known] == 1
        if frame.empty:
            return {}
        once, blood = np.ones((1, len(frame))), self.shows_blood()
        result: dict[str, float] = {}
        if blood is not None:
            patients = frame[Key.PATIENT_ID].to_numpy(dtype=str)
            result[BLEEDING_AUC] = _number(bleeding_auc(truth, scores, once, blood[known], patients))
        for attribute in known_opposites(frame):
            found = AttributeGroups.of(attribute, frame, truth).metrics(scores, once, threshold)
            result |= {f"{name}_{attribute.name}": _number(found[name]) for name in GROUP_METRICS if name in found}
        return result


def _number(values: np.ndarray) -> float:
    """The one number of an array; an undefined one is `math.nan` itself, as everywhere in the metrics."""
    return math.nan if np.isnan(values).all() else float(values.item())


def _classification_columns(logits: torch.Tensor, label: torch.Tensor, markers: Sequence[str]) -> dict[str, Any]:
    labels = label.cpu().numpy().astype(float).reshape(len(logits), len(markers))
    labels = np.where(labels >= 0, labels, np.nan)  # also NaN stays NaN
    probabilities = marker_probabilities(logits.cpu(), len(markers)).numpy().astype(float)
    columns: dict[str, Any] = {LABEL + marker: labels[:, i] for i, marker in enumerate(markers)}
    return columns | {PROBABILITY + marker: probabilities[:, i] for i, marker in enumerate(markers)}


def _segmentation_columns(logits: torch.Tensor, mask: torch.Tensor, has_mask: torch.Tensor) -> dict[str, Any]:
    counts = segmentation_counts(haematoma_mask(logits).cpu().numpy(), mask[:, 0].cpu().numpy())
    annotated = has_mask.cpu().numpy().astype(bool)
    columns: dict[str, Any] = {
        name: values if name in KNOWN_WITHOUT_MASK else np.where(annotated, values.astype(float), np.nan)
        for name, values in counts.items()
    }
    return columns | {Key.HAS_MASK.value: annotated}


def _typed(frame: pd.DataFrame) -> pd.DataFrame:
    types: dict[str, Any] = {"index": np.int64, **dict.fromkeys(IDENTITY_COLUMNS[1:], str)}
    counted = (*SEG_COLUMNS, Key.HAS_BLOOD)
    types |= {name: "Int64" for name in frame if name in counted or name.startswith(LABEL)}
    types |= {name: np.float64 for name in frame if name.startswith(PROBABILITY)}
    types |= {Key.HAS_MASK.value: bool} if Key.HAS_MASK.value in frame else {}
    return frame.astype(types)
