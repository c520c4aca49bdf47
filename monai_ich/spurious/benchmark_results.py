# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""What a benchmark found: the table of every condition, and the endpoints in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from monai_ich.metrics import Estimate
from monai_ich.spurious.benchmark import Benchmark, Condition
from monai_ich.spurious.benchmark_runs import condition_folder
from monai_ich.table.group_results import GroupResult
from monai_ich.table.result_warnings import Compared, SetResult
from monai_ich.table.table_results import Analysis, TableResult, compute_table
from monai_ich.table.table_runs import complete_runs, read_record
from monai_ich.utils.errors import ComparisonError
from monai_ich.utils.keys import Split

NEW_PAIRS, KNOWN_PAIRS, REVERSED = "test_pairs_5_11", "test_pairs_1_4", "test_reversed"
Endpoint = tuple[str, str]  # test set, metric
# The primary endpoint (docs/decisions/0015): positives without the nuisance against negatives with it, new hospitals.
PRIMARY: Endpoint = (NEW_PAIRS, "conflict_auc")
# {endpoint: heading}, in the order of the page.
ENDPOINTS: dict[Endpoint, str] = {
    PRIMARY: "conflict AUC, new",
    (NEW_PAIRS, "ace"): "ACE, new",
    (NEW_PAIRS, "flips"): "flips, new",
    (NEW_PAIRS, "wga_val"): "WGA, new",
    (NEW_PAIRS, "auc"): "AUC, new",
    (KNOWN_PAIRS, "conflict_auc"): "conflict AUC, 1-4",
    (KNOWN_PAIRS, "ace"): "ACE, 1-4",
    (KNOWN_PAIRS, "wga_val"): "WGA, 1-4",
    (Split.TEST_A.value, "auc"): "AUC, same dial",
    (REVERSED, "conflict_auc"): "conflict AUC, reversed",
    (REVERSED, "auc"): "AUC, reversed",
}


@dataclass(frozen=True, eq=False)
class ConditionResult:
    """One condition: its table, in the benchmark's order of methods."""

    condition: Condition
    methods: list[str]
    table: TableResult

    def estimate(self, method: str, endpoint: Endpoint) -> Estimate | None:
        """The mean over runs with its interval; None where there is no such test set, metric or run."""
        test_set, metric = endpoint
        found = (part.estimates.get((method, metric)) for part in self._parts(test_set))
        return next(filter(None, found), None)

    def difference(self, method: str, endpoint: Endpoint) -> Compared | None:
        """The method minus the reference, with Holm's correction over the methods of the condition."""
        test_set, metric = endpoint
        found = (part.differences.get((method, metric)) for part in self._parts(test_set))
        return next(filter(None, found), None)

    def _parts(self, test_set: str) -> list[SetResult | GroupResult]:
        """What the table says of a test set: of all slices, and of the groups of the nuisance."""
        whole = self.table.test_sets.get(test_set)
        return [*([whole] if whole else []), *self.table.groups.get(test_set, [])]

    @property
    def warnings(self) -> list[str]:
        """In plain words."""
        return [f"{self.condition.name}: {line}" for line in self.table.warnings]


def compute_condition(benchmark: Benchmark, condition: Condition, output_dir: Path, resamples: int) -> ConditionResult:
    """Computes one condition from its complete runs.

    Args:
        benchmark: that the condition is of.
        condition: to compute.
        output_dir: of the benchmark's runs.
        resamples: of the bootstrap over patients.

    Raises:
        ComparisonError: the reference has no complete run, or runs of other data or settings are among them.
    """
    known = [method.name for method in benchmark.methods]
    rows = {run: read_record(run).row for run in complete_runs(condition_folder(output_dir, condition))}
    if benchmark.reference not in rows.values():
        raise ComparisonError(
            f"{condition.name}: the reference method {benchmark.reference!r} has no complete run, so there is nothing "
            "to compare with; train it first"
        )
    attributes = (condition.nuisance.attribute.text,)
    analysis = Analysis(reference=benchmark.reference, resamples=resamples, attributes=attributes)
    table = compute_table(condition.name, [run for run, row in rows.items() if row in known], analysis)
    return ConditionResult(condition, [name for name in known if name in table.rows], table)


def results_frame(results: Sequence[ConditionResult]) -> pd.DataFrame:
    """All figures for programs: one line a condition, method and endpoint."""
    lines = []
    for result in results:
        for method in result.methods:
            for endpoint in ENDPOINTS:
                estimate = result.estimate(method, endpoint)
                if estimate is not None:
                    lines.append(_line(result, method, endpoint, estimate))
    return pd.DataFrame(lines)


def _line(result: ConditionResult, method: str, endpoint: Endpoint, estimate: Estimate) -> dict[str, object]:
    compared = result.difference(method, endpoint)
    difference = compared.difference if compared else None
    return {
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
