# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""What a benchmark found, computed from saved predictions: estimates, and differences to the reference method."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from monai_ich.metrics import Estimate, PatientBootstrap, align_predictions, holm_correction
from monai_ich.metrics.comparison import group_metric
from monai_ich.spurious.benchmark import Benchmark, Condition
from monai_ich.spurious.benchmark_runs import condition_folder
from monai_ich.table.result_warnings import Compared, commit_warnings
from monai_ich.table.table_results import check_same_table, load_predictions
from monai_ich.table.table_runs import RunRecord, complete_runs, read_record
from monai_ich.utils.errors import ComparisonError
from monai_ich.utils.keys import Split

NEW_PAIRS, KNOWN_PAIRS, REVERSED = "test_pairs_5_11", "test_pairs_1_4", "test_reversed"
# The primary endpoint (docs/decisions/0015): positives without the nuisance against negatives with it, new hospitals.
PRIMARY = (NEW_PAIRS, "conflict_auc")
# {(test set, metric): heading}, in the order of the page.
ENDPOINTS = {
    PRIMARY: "conflict AUC, new",
    (NEW_PAIRS, "ace"): "ACE, new",
    (NEW_PAIRS, "flips"): "flips, new",
    (NEW_PAIRS, "wga_val"): "WGA, new",
    (NEW_PAIRS, "auc"): "AUC, new",
    (KNOWN_PAIRS, "conflict_auc"): "conflict AUC, 1-4",
    (KNOWN_PAIRS, "ace"): "ACE, 1-4",
    (KNOWN_PAIRS, "wga_val"): "WGA, 1-4",
    (Split.TEST_A.value, "auc"): "AUC, same dial",
    (REVERSED, "auc"): "AUC, reversed dial",
}
ORDINARY_METRICS = ("auc",)  # all others are of groups


@dataclass(frozen=True, eq=False)
class ConditionResult:
    """One condition: every method's figures.

    Attributes:
        condition: it.
        methods: that have a complete run, in the benchmark's order.
        seeds: {method: its seeds}.
        estimates: {(method, endpoint): estimate}.
        differences: {(method, endpoint): minus the reference, with Holm's correction over the methods}.
        patients: {test set: patients}.
        records: of the runs.
    """

    condition: Condition
    methods: list[str]
    seeds: dict[str, list[int]]
    estimates: dict[tuple[str, tuple[str, str]], Estimate]
    differences: dict[tuple[str, tuple[str, str]], Compared]
    patients: dict[str, int]
    records: list[RunRecord]

    @property
    def warnings(self) -> list[str]:
        """In plain words."""
        return [f"{self.condition.name}: {line}" for line in commit_warnings(self.records)]


def compute_condition(benchmark: Benchmark, condition: Condition, output_dir: Path, resamples: int) -> ConditionResult:
    """Computes one condition from its complete runs.

    Args:
        benchmark: that the condition is of.
        condition: to compute.
        output_dir: of the benchmark.
        resamples: of the bootstrap over patients.

    Raises:
        ComparisonError: no run is complete, the reference has none, or runs of other data or settings are among them.
    """
    found = {run: read_record(run) for run in complete_runs(condition_folder(output_dir, condition))}
    order = [method.name for method in benchmark.methods]
    runs = [run for run, record in found.items() if record.row in order]
    records = [found[run] for run in runs]
    methods = [name for name in order if any(record.row == name for record in records)]
    if benchmark.reference not in methods:
        raise ComparisonError(
            f"{condition.name}: the reference method {benchmark.reference!r} has no complete run, so there is nothing "
            "to compare with; train it first"
        )
    threshold = check_same_table(runs, records)
    attribute = condition.nuisance.attribute
    predictions = load_predictions(runs, records, methods)
    thresholds = validation_thresholds(runs, records)
    boots = {
        name: PatientBootstrap(
            align_predictions(name, tables),
            threshold=threshold,
            resamples=resamples,
            attributes=[attribute],
            validation_thresholds=thresholds,
        )
        for name, tables in predictions.items()
        if any(test_set == name for test_set, _ in ENDPOINTS)
    }
    estimates: dict[tuple[str, tuple[str, str]], Estimate] = {}
    differences: dict[tuple[str, tuple[str, str]], Compared] = {}
    for endpoint in ENDPOINTS:
        test_set, metric = endpoint
        if test_set not in boots:
            continue
        boot, name = boots[test_set], metric if metric in ORDINARY_METRICS else group_metric(metric, attribute.text)
        having = [method for method in methods if boot.has(method, name)]
        estimates |= {(method, endpoint): boot.estimate(method, name) for method in having}
        others = [method for method in having if method != benchmark.reference and benchmark.reference in having]
        compared = [boot.difference(method, benchmark.reference, name) for method in others]
        corrected = holm_correction([difference.p_value for difference in compared])
        differences |= {
            (method, endpoint): Compared(difference, float(p))
            for method, difference, p in zip(others, compared, corrected, strict=True)
        }
    seeds = {name: sorted(record.seed for record in records if record.row == name) for name in methods}
    patients = {name: len(boot.patients) for name, boot in boots.items()}
    return ConditionResult(condition, methods, seeds, estimates, differences, patients, records)


def results_frame(results: Sequence[ConditionResult]) -> pd.DataFrame:
    """All figures for programs: one line a condition, method and endpoint."""
    lines = []
    for result in results:
        for (method, endpoint), estimate in result.estimates.items():
            compared = result.differences.get((method, endpoint))
            difference = compared.difference if compared else None
            lines.append(
                {
                    "nuisance": result.condition.nuisance.dial,
                    "dial": result.condition.dial,
                    "method": method,
                    "runs": estimate.runs,
                    "test_set": endpoint[0],
                    "metric": endpoint[1],
                    "value": estimate.value,
                    "low": estimate.low,
                    "high": estimate.high,
                    "sd_over_runs": estimate.spread,
                    "difference": difference and difference.value,
                    "difference_low": difference and difference.low,
                    "difference_high": difference and difference.high,
                    "p": difference and difference.p_value,
                    "p_holm": compared and compared.p_holm,
                }
            )
    return pd.DataFrame(lines)
