# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Metrics of groups of slices: by marker and attribute, against bleeding negatives, and of counterfactual pairs."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.metrics import roc_curve

from monai_ich.metrics.pair_metrics import PAIR_METRICS, counterfactual_pairs, pair_effects
from monai_ich.metrics.resampling import ratio, weighted_auc
from monai_ich.utils.attributes import Attribute
from monai_ich.utils.keys import Key

# Below this many patients with a positive slice, DeLong's test for clusters rejects a true null more often than it says
# (measured on simulated null data: 8 % at 7 patients and 10 % at 4, where 5 % is stated; see docs/statistics.md), and
# intervals are too narrow. A metric of a group of fewer patients is not given.
FEWEST_PATIENTS = 10
CALIBRATION_BINS = 10
BLEEDING_AUC = "auc_bleeding"
GROUP_METRICS = ("conflict_auc", "aligned_auc", "worst_auc_within", "wga", "wga_val", "worst_ece", *PAIR_METRICS)


def worst_group_accuracy(
    labels: np.ndarray, probabilities: np.ndarray, groups: np.ndarray, threshold: float = 0.5
) -> float:
    """The lowest accuracy among the groups that are there (Sagawa et al., arXiv 1911.08731).

    >>> worst_group_accuracy(np.array([0, 1, 1]), np.array([0.2, 0.9, 0.4]), np.array([0, 1, 1]))
    0.5

    Args:
        labels: (N,) 0 or 1; slices of an unknown label (NaN or negative) are left out.
        probabilities: (N,) of the marker.
        groups: int (N,), each slice's group; negative = unknown, left out.
        threshold: a slice is called positive from this probability on.

    Returns:
        From 0 to 1; NaN where no slice is left.
    """
    labels, probabilities, groups = np.asarray(labels, dtype=float), np.asarray(probabilities), np.asarray(groups)
    known = (labels >= 0) & (groups >= 0)
    if not known.any():
        return math.nan
    right = (probabilities[known] >= threshold) == (labels[known] == 1)
    _, codes = np.unique(groups[known], return_inverse=True)
    return float((np.bincount(codes, weights=right) / np.bincount(codes)).min())


def expected_calibration_error(labels: np.ndarray, probabilities: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Expected calibration error (ECE; Naeini et al., AAAI 2015) of the marker's probability, of weighted slices.

    The slices are put into 10 bins of equal width by their probability; a bin holds its lower limit, and the last one
    also 1. ECE is the mean over the bins, by their weight, of |mean probability - share of positives|.

    Args:
        labels: (N,) 0 or 1.
        probabilities: (N,).
        weights: (R, N).

    Returns:
        (R,), NaN where no slice has any weight.
    """
    weights = np.asarray(weights, dtype=float)
    limits = np.linspace(0, 1, CALIBRATION_BINS + 1)[1:-1]
    in_bin = np.digitize(probabilities, limits)[:, None] == np.arange(CALIBRATION_BINS)  # (N, bins)
    excess = weights @ (in_bin * (np.asarray(probabilities) - labels)[:, None])  # (R, bins)
    return ratio(np.abs(excess).sum(axis=1), weights.sum(axis=1))


def best_threshold(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """The probability from which slices are best called positive: that of the largest recall - false alarm rate.

    It is Youden's index (Cancer 3, 1950); of several equal ones, the highest probability is taken. It depends neither
    on prevalence nor on any attribute.

    >>> best_threshold(np.array([0, 0, 1, 1]), np.array([0.1, 0.2, 0.3, 0.9]))
    0.3

    Args:
        labels: (N,) 0, 1, or unknown (NaN or negative), which is left out.
        probabilities: (N,).

    Returns:
        One of the probabilities; NaN without both classes.
    """
    labels = np.asarray(labels, dtype=float)
    known = labels >= 0
    truth, scores = labels[known] == 1, np.asarray(probabilities, dtype=float)[known]
    if truth.all() or not truth.any():
        return math.nan
    false_alarms, recall, thresholds = roc_curve(truth, scores, drop_intermediate=False)
    best = int(np.argmax(recall[1:] - false_alarms[1:])) + 1  # the first point calls nothing positive
    return float(thresholds[best])


def bleeding_auc(
    truth: np.ndarray, scores: np.ndarray, weights: np.ndarray, blood: np.ndarray, patients: np.ndarray
) -> np.ndarray:
    """AUC of the positive slices against those negative ones that show blood.

    A negative slice without any blood is easy for a network that finds blood and knows nothing of the marker. This AUC
    leaves those out.

    Args:
        truth: bool (N,).
        scores: (S, N) of S runs.
        weights: (R, N).
        blood: bool (N,), which slices are known to show blood.
        patients: (N,), who each slice is of.

    Returns:
        (R, S); NaN with fewer than `FEWEST_PATIENTS` patients with a positive slice, or with a bleeding negative one.
    """
    return _auc_of(truth | blood, truth, scores, weights, patients)


@dataclass(frozen=True, eq=False)
class AttributeGroups:
    """The slices of one test set, grouped by marker and attribute, and its counterfactual pairs.

    Attributes:
        attribute: see `resolve_attribute`.
        truth: bool (N,).
        patients: (N,), who each slice is of.
        values: (N,) the attribute's value as text, "" = unknown.
        pairs: int (P, 2), see `counterfactual_pairs`.
    """

    attribute: Attribute
    truth: np.ndarray
    patients: np.ndarray
    values: np.ndarray
    pairs: np.ndarray

    @classmethod
    def of(cls, attribute: Attribute, frame: pd.DataFrame, truth: np.ndarray) -> AttributeGroups:
        """Groups the slices of a table.

        Args:
            attribute: see `resolve_attribute`; its column is in `frame`.
            frame: one row a slice, with `key`, `patient_id`, the attribute's column and, where there are pairs,
                `pair_id`.
            truth: bool (N,).

        Raises:
            ComparisonError: see `counterfactual_pairs`.
            ConfigurationError: see `Attribute.values`.
        """
        pairs = counterfactual_pairs(frame, attribute)
        patients = frame[Key.PATIENT_ID].to_numpy(dtype=str)
        values = attribute.values(frame[attribute.column])
        return cls(attribute, np.asarray(truth).astype(bool), patients, values, pairs)

    @property
    def present_values(self) -> list[str]:
        """The attribute's values that occur: bins from low to high, others sorted."""
        found = set(self.values) - {""}
        return [name for name in self.attribute.bins if name in found] or sorted(found)

    def group_numbers(self) -> np.ndarray:
        """int (N,): 2 x number of the value + marker; -1 where the value is unknown."""
        codes = pd.Categorical(self.values, categories=self.present_values).codes.astype(np.int64)
        return np.where(codes >= 0, 2 * codes + self.truth, -1)

    def metrics(
        self,
        scores: np.ndarray,
        weights: np.ndarray,
        threshold: float = 0.5,
        validation_thresholds: np.ndarray | None = None,
    ) -> dict[str, np.ndarray]:
        """Every metric of S runs in R resamples.

        - `conflict_auc`: positives without the attribute against negatives with it; `aligned_auc`: positives with it
          against negatives without it (Borkan et al., arXiv 1903.04561: BPSN and BNSP AUC).
        - `auc_within=<value>`: the AUC among the slices of one value; `worst_auc_within`: the lowest of them.
        - `wga`: the lowest accuracy of a group (value x marker); `wga_val`: the same at the thresholds of validation.
        - `worst_ece`: the highest calibration error of a value (`expected_calibration_error`). Of a group, whose
          slices have one label, it would say no more than the mean probability.
        - `ace`, `flips`, `logit_shift`: means over pairs, see `pair_effects`.

        Args:
            scores: (S, N) probabilities.
            weights: (R, N), how often each slice is in each resample.
            threshold: a slice is called positive from this probability on.
            validation_thresholds: (S,), each run's own.

        Returns:
            {metric: (R, S)}. The AUCs of conflict and the pairs are there where the attribute has a value that counts
            as "with". NaN is a metric that needs a group of fewer than `FEWEST_PATIENTS` patients.
        """
        scores, weights = np.atleast_2d(np.asarray(scores, dtype=float)), np.asarray(weights, dtype=float)
        result: dict[str, np.ndarray] = {}
        if self.attribute.value_with:
            for name, chosen in (("conflict_auc", self._conflicting()), ("aligned_auc", self._aligned())):
                result[name] = _auc_of(chosen, self.truth, scores, weights, self.patients)
        within = {
            f"auc_within={value}": _auc_of(self.values == value, self.truth, scores, weights, self.patients)
            for value in self.present_values
        }
        nothing = np.full((len(weights), len(scores)), math.nan)
        result |= within | {"worst_auc_within": np.min([*within.values()], axis=0) if within else nothing}
        result["wga"] = self._worst_accuracy(scores, weights, np.full(len(scores), threshold))
        if validation_thresholds is not None:
            result["wga_val"] = self._worst_accuracy(scores, weights, np.asarray(validation_thresholds))
        result["worst_ece"] = self._worst_calibration(scores, weights)
        if len(self.pairs):
            result |= self._pair_metrics(scores, weights, threshold)
        return result

    def small_groups(self) -> list[str]:
        """The groups that have fewer than `FEWEST_PATIENTS` patients, with their counts, in words."""
        lines = []
        for value in self.present_values:
            for truth, name in ((True, "positive"), (False, "negative")):
                count = self._patients_of((self.values == value) & (self.truth == truth))
                if count < FEWEST_PATIENTS:
                    lines.append(f"{name}, {self.attribute.name} {value}: {count}")
        if len(self.pairs) > 0 and self._patients_of(self.pairs[:, 0]) < FEWEST_PATIENTS:
            lines.append(f"pairs: {self._patients_of(self.pairs[:, 0])}")
        return lines

    def _with(self) -> np.ndarray:
        return self.values == self.attribute.value_with

    def _without(self) -> np.ndarray:
        return (self.values != "") & ~self._with()

    def _conflicting(self) -> np.ndarray:
        return np.where(self.truth, self._without(), self._with())

    def _aligned(self) -> np.ndarray:
        return np.where(self.truth, self._with(), self._without())

    def _patients_of(self, rows: np.ndarray) -> int:
        return len(np.unique(self.patients[rows]))

    def _worst_accuracy(self, scores: np.ndarray, weights: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
        right = ((scores >= thresholds[:, None]) == self.truth).astype(float)  # (S, N)
        right[np.isnan(thresholds)] = math.nan

        def accuracy(rows: np.ndarray) -> np.ndarray:
            there = weights[:, rows]
            return ratio(there @ right[:, rows].T, there.sum(axis=1)[:, None])

        groups = [(self.values == value) & (self.truth == t) for value in self.present_values for t in (False, True)]
        return self._of_each(groups, accuracy, (len(weights), len(scores))).min(axis=0)

    def _worst_calibration(self, scores: np.ndarray, weights: np.ndarray) -> np.ndarray:
        def error(rows: np.ndarray) -> np.ndarray:
            there = weights[:, rows]
            return np.stack([expected_calibration_error(self.truth[rows], run[rows], there) for run in scores], axis=1)

        groups = [self.values == value for value in self.present_values]
        return self._of_each(groups, error, (len(weights), len(scores))).max(axis=0)

    def _of_each(
        self, groups: list[np.ndarray], measure: Callable[[np.ndarray], np.ndarray], shape: tuple[int, int]
    ) -> np.ndarray:
        """(G, R, S) of each group's rows, NaN where it has too few patients; one of NaN where there is no group."""
        nothing = np.full(shape, math.nan)
        enough = [self._patients_of(rows) >= FEWEST_PATIENTS for rows in groups]
        return np.stack(
            [measure(rows) if many else nothing for rows, many in zip(groups, enough, strict=True)] or [nothing]
        )

    def _pair_metrics(self, scores: np.ndarray, weights: np.ndarray, threshold: float) -> dict[str, np.ndarray]:
        present, absent = self.pairs.T
        effects = pair_effects(scores[:, present], scores[:, absent], threshold)  # each (S, P)
        there = weights[:, present]  # both slices of a pair are of one patient
        total = there.sum(axis=1)[:, None]
        if self._patients_of(present) < FEWEST_PATIENTS:
            total = np.zeros_like(total)
        return {name: ratio(there @ effect.T, total) for name, effect in effects.items()}


def _auc_of(
    chosen: np.ndarray, truth: np.ndarray, scores: np.ndarray, weights: np.ndarray, patients: np.ndarray
) -> np.ndarray:
    """(R, S): AUC among the chosen slices; NaN where a class has fewer than `FEWEST_PATIENTS` patients."""
    if min(len(np.unique(patients[chosen & (truth == value)])) for value in (False, True)) < FEWEST_PATIENTS:
        return np.full((len(weights), len(scores)), math.nan)
    there = weights[:, chosen]
    return np.stack([weighted_auc(truth[chosen], run[chosen], there) for run in scores], axis=1)
