# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Rows of a table compared on one test set: means over runs, intervals, paired differences and gaps between sets."""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from monai_ich.metrics.aligned import AlignedPredictions
from monai_ich.metrics.classification import CLASSIFICATION_METRICS
from monai_ich.metrics.delong import auc_covariance, compare_aucs
from monai_ich.metrics.detectable import median_correlation, median_ratio, minimum_detectable_auc_difference
from monai_ich.metrics.group_metrics import BLEEDING_AUC, AttributeGroups, bleeding_auc
from monai_ich.metrics.resampling import (
    bootstrap_p_value,
    percentile_interval,
    resample_counts,
    weighted_classification_metrics,
    weighted_iou,
)
from monai_ich.utils.attributes import Attribute

COMPARED_METRICS = ("iou", *CLASSIFICATION_METRICS)
BLOCK_ELEMENTS = 2**24  # resamples x slices held at once as float64: 128 MiB


@dataclass(frozen=True)
class Estimate:
    """A mean over runs, with the patient bootstrap's percentile interval.

    Attributes:
        value: mean over the runs.
        low: of the interval; NaN where no resample defines it.
        high: of the interval.
        spread: standard deviation over the runs (n - 1); NaN for a single one.
        runs: how many.
        degenerate: resamples left out, because a class or the blood is missing in them.
    """

    value: float
    low: float
    high: float
    spread: float = math.nan
    runs: int = 1
    degenerate: int = 0


@dataclass(frozen=True)
class Difference:
    """A difference of two means over runs.

    Attributes:
        value: first minus second.
        low: of the 95% interval.
        high: of the interval.
        p_value: two-sided, of "no difference".
        test: what the interval and the p-value come from.
        p_value_independent: for AUC, what DeLong's test would give if slices of one patient were independent.
    """

    value: float
    low: float
    high: float
    p_value: float
    test: str
    p_value_independent: float = math.nan


def group_metric(metric: str, attribute: str) -> str:
    """What a `PatientBootstrap` calls a metric of groups.

    >>> group_metric("ace", "head_holder=yes")
    'ace head_holder=yes'
    """
    return f"{metric} {attribute}"


class PatientBootstrap:
    """Metrics of all rows on the same resamples of one test set's patients.

    A resample draws as many patients as there are, with replacement, and takes all slices of each. All rows and runs
    see the same resamples, so that differences between rows are paired. Runs are averaged within a resample: the
    intervals are about other patients, not about other seeds (`Estimate.spread` tells of those).
    """

    def __init__(
        self,
        predictions: AlignedPredictions,
        *,
        threshold: float = 0.5,
        resamples: int = 2000,
        seed: int = 0,
        level: float = 0.95,
        patients: np.ndarray | None = None,
        stream: str | None = None,
        attributes: Sequence[Attribute] = (),
        validation_thresholds: Mapping[str, np.ndarray] | None = None,
    ) -> None:
        """Computes every metric of every row, once as observed and once for each resample.

        Args:
            predictions: of all rows.
            threshold: a slice is called positive from this probability on.
            resamples: how many.
            seed: of the draw, which depends on nothing else than it, the patients and `stream`.
            level: of the intervals.
            patients: the sorted ids to draw from; the test set's own if not given.
            stream: test sets with different streams are drawn independently; the test set's name if not given.
            attributes: for each that the predictions have, the metrics of `AttributeGroups.metrics` are computed, too,
                as `<metric> <attribute>` (`group_metric`).
            validation_thresholds: {row: (S,)} for `wga_val`.

        Raises:
            ComparisonError: a counterfactual pair is not one (see `counterfactual_pairs`).
            ConfigurationError: an attribute's bins are asked for where it is no number.
        """
        self.predictions, self.threshold, self.level = predictions, threshold, level
        self.resamples, self.seed = resamples, seed
        self.attributes, self.validation_thresholds = tuple(attributes), validation_thresholds or {}
        described = predictions.descriptions
        self.groups = {
            attribute.text: AttributeGroups.of(attribute, described, predictions.truth)
            for attribute in self.attributes
            if attribute.column in described
        }
        self.patients = predictions.patients if patients is None else patients
        rng = np.random.default_rng([seed, zlib.crc32((stream or predictions.name).encode())])
        counts = resample_counts(len(self.patients), resamples, rng)
        observed = self._metrics(np.ones((1, len(self.patients)), dtype=int))
        self._runs = {name: values[0] for name, values in observed.items()}  # (S,)
        largest = max(len(predictions.truth), len(predictions.patient_of_blood), 1)
        block = max(1, BLOCK_ELEMENTS // largest)
        parts = [self._metrics(counts[begin : begin + block]) for begin in range(0, resamples, block)]
        self._replicates = {
            name: np.concatenate([part[name].mean(axis=1) for part in parts]) for name in self._runs
        }  # (R,)

    def _metrics(self, counts: np.ndarray) -> dict[tuple[str, str], np.ndarray]:
        """{(row, metric): (R, S)} for patients' counts (R, P)."""
        predictions = self.predictions
        slice_weights = counts[:, np.searchsorted(self.patients, predictions.patient_of_slice)].astype(float)
        blood_weights = counts[:, np.searchsorted(self.patients, predictions.patient_of_blood)].astype(float)
        result: dict[tuple[str, str], np.ndarray] = {}
        for row, scores in predictions.scores.items():
            metrics = weighted_classification_metrics(predictions.truth, scores, slice_weights, self.threshold)
            result |= {(row, name): values for name, values in metrics.items()}
            if predictions.blood is not None:
                result[row, BLEEDING_AUC] = bleeding_auc(
                    predictions.truth, scores, slice_weights, predictions.blood, predictions.patient_of_slice
                )
            for text, groups in self.groups.items():
                found = groups.metrics(scores, slice_weights, self.threshold, self.validation_thresholds.get(row))
                result |= {(row, group_metric(name, text)): values for name, values in found.items()}
        if len(predictions.patient_of_blood):
            for row, intersections in predictions.intersections.items():
                result[row, "iou"] = weighted_iou(intersections, predictions.unions[row], blood_weights)
        return result

    def has(self, row: str, metric: str) -> bool:
        """Whether the metric is defined for the row."""
        return (row, metric) in self._runs

    def runs(self, row: str, metric: str) -> np.ndarray:
        """The metric of each run, (S,)."""
        return self._runs[row, metric]

    def replicates(self, row: str, metric: str) -> np.ndarray:
        """The mean over runs in each resample, (R,), NaN where undefined."""
        return self._replicates[row, metric]

    def estimate(self, row: str, metric: str) -> Estimate:
        """The mean over runs and its interval."""
        runs = self.runs(row, metric)
        low, high, degenerate = percentile_interval(self.replicates(row, metric), self.level)
        spread = float(runs.std(ddof=1)) if len(runs) > 1 else math.nan
        return Estimate(float(runs.mean()), low, high, spread, len(runs), degenerate)

    def difference(self, row: str, reference: str, metric: str) -> Difference:
        """`row` minus `reference`: by DeLong's test with patients as clusters for AUC, else by the paired bootstrap."""
        if metric == "auc":
            return self._auc_difference(row, reference)
        replicates = self.replicates(row, metric) - self.replicates(reference, metric)
        low, high, _ = percentile_interval(replicates, self.level)
        value = float(self.runs(row, metric).mean() - self.runs(reference, metric).mean())
        return Difference(value, low, high, bootstrap_p_value(replicates), "paired patient bootstrap")

    def _auc_difference(self, row: str, reference: str) -> Difference:
        predictions = self.predictions
        value = float(self.runs(row, "auc").mean() - self.runs(reference, "auc").mean())
        test = "DeLong, clustered by patient"
        if math.isnan(value):  # one class only
            return Difference(value, math.nan, math.nan, math.nan, test)
        pair = predictions.scores[row], predictions.scores[reference]
        result = compare_aucs(predictions.truth, *pair, predictions.patient_of_slice, self.level)
        independent = compare_aucs(predictions.truth, *pair, None, self.level)
        return Difference(value, result.low, result.high, result.p_value, test, independent.p_value)

    def detectable(self, reference: str, power: float = 0.8) -> dict[str, float]:
        """What difference of AUC this test set can show at all (see `minimum_detectable_auc_difference`).

        Returns:
            `minimum_difference`, and what it comes from: the reference's `auc`, and as medians over the rows the
            `design_effect` (at least 1), the `averaging` over runs (at most 1) and the `correlation` between rows.
        """
        truth, patients = self.predictions.truth, self.predictions.patient_of_slice
        positives = int(truth.sum())
        basis = {"auc": float(self.runs(reference, "auc").mean())}
        if 0 < positives < len(truth):
            rows = list(self.predictions.scores.values())
            clustered, independent = auc_covariance(truth, rows, patients)[1], auc_covariance(truth, rows)[1]
            singles = np.array([np.diag(auc_covariance(truth, list(runs))[1]).mean() for runs in rows])
            basis["design_effect"] = max(1.0, median_ratio(np.diag(clustered), np.diag(independent)))
            basis["averaging"] = min(1.0, median_ratio(np.diag(independent), singles))
            basis["correlation"] = median_correlation(clustered)
        smallest = minimum_detectable_auc_difference(
            n_positive=positives, n_negative=len(truth) - positives, power=power, **basis
        )
        return {"minimum_difference": smallest, **basis}


def gap_between(first: PatientBootstrap, second: PatientBootstrap, row: str, metric: str) -> Difference:
    """A row's metric on one test set minus that on another: positive is what is lost on going to the second.

    Both bootstraps must come from `paired_for_gap`, which draws test sets that share patients together.
    """
    replicates = first.replicates(row, metric) - second.replicates(row, metric)
    low, high, _ = percentile_interval(replicates, first.level)
    value = float(first.runs(row, metric).mean() - second.runs(row, metric).mean())
    shared = len(first.patients) == len(second.patients) and bool((first.patients == second.patients).all())
    test = "patient bootstrap, " + ("test sets drawn together" if shared else "test sets drawn independently")
    return Difference(value, low, high, bootstrap_p_value(replicates), test)


def paired_for_gap(first: PatientBootstrap, second: PatientBootstrap) -> tuple[PatientBootstrap, PatientBootstrap]:
    """The two bootstraps themselves where no patient is in both test sets, else new ones over all patients of both.

    A shared patient's slices are correlated across the sets; drawn together, they carry the same weight in both.
    """
    if len(np.intersect1d(first.patients, second.patients)) == 0:
        return first, second
    union = np.union1d(first.patients, second.patients)
    together = [
        PatientBootstrap(
            one.predictions,
            threshold=one.threshold,
            resamples=one.resamples,
            seed=one.seed,
            level=one.level,
            patients=union,
            stream="together",
            attributes=one.attributes,
            validation_thresholds=one.validation_thresholds,
        )
        for one in (first, second)
    ]
    return together[0], together[1]
