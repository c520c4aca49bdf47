# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Everything that a table says, computed from saved predictions alone: no network, no data, no server."""

from __future__ import annotations

import math
import string
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from monai_ich.metrics import (
    BLEEDING_AUC,
    CLASSIFICATION_METRICS,
    COMPARED_METRICS,
    Difference,
    Estimate,
    PatientBootstrap,
    PredictionTable,
    align_predictions,
    gap_between,
    holm_correction,
    paired_for_gap,
)
from monai_ich.networks.encoder_origins import ORIGINS, origins_text
from monai_ich.table.group_results import (
    GroupResult,
    asked_attributes,
    group_results,
    group_warnings,
    validation_thresholds,
)
from monai_ich.table.plan import differing_keys
from monai_ich.table.published_table import in_paper_order
from monai_ich.table.result_warnings import Compared, SetResult, commit_warnings, set_warnings
from monai_ich.table.table_runs import RunRecord, read_record
from monai_ich.utils.errors import ComparisonError, ConfigurationError, FaultList, did_you_mean
from monai_ich.utils.keys import Split
from monai_ich.utils.run_files import RunDirectory

TABLE_METRICS = (*COMPARED_METRICS, BLEEDING_AUC)
DEFAULT_REFERENCE, DEFAULT_SEG_REFERENCE = "Swin Transformer", "Swin-Unet"


@dataclass(frozen=True)
class Analysis:
    """How a table is computed.

    Attributes:
        reference: the row that the others are compared with in classification; "" takes the Swin Transformer, or else
            the first row with a classifier.
        seg_reference: the same for the IoU; "" takes Swin-Unet, or else the first row with a segmentation.
        marker: of the columns; "" takes the first in the predictions.
        resamples: of the bootstrap.
        bootstrap_seed: of its draw.
        level: of the intervals.
        attributes: whose groups and pairs are measured, such as `head_holder=yes` (`parse_attribute`).
    """

    reference: str = ""
    seg_reference: str = ""
    marker: str = ""
    resamples: int = 2000
    bootstrap_seed: int = 0
    level: float = 0.95
    attributes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class TableResult:
    """A table: computed, not yet written.

    Attributes:
        name: of the table.
        rows: names, in order.
        seeds: {row: seeds that are there}.
        marker: of the classification columns; "" without a classifier.
        threshold: probability from which a slice is positive.
        analysis: how it was computed.
        references: {metric: reference row}.
        test_sets: {name: result}, A first.
        gaps: {(row, metric): first test set minus second}.
        groups: {test set: results of the attributes that were asked for}.
        records: of all runs.
        origins: {row: from what the encoders of its runs began, each text once}.
        warnings: in plain words.
    """

    name: str
    rows: list[str]
    seeds: dict[str, list[int]]
    marker: str
    threshold: float
    analysis: Analysis
    references: dict[str, str]
    test_sets: dict[str, SetResult]
    gaps: dict[tuple[str, str], Difference]
    records: list[RunRecord]
    origins: dict[str, list[str]]
    warnings: list[str] = field(default_factory=list)
    groups: dict[str, list[GroupResult]] = field(default_factory=dict)

    @property
    def columns(self) -> list[tuple[str, str]]:
        """(test set, metric) in the paper's order: IoU first, then each test set's classification."""
        present = [
            (name, metric)
            for name, result in self.test_sets.items()
            for metric in TABLE_METRICS
            if any((row, "auc" if metric == BLEEDING_AUC else metric) in result.estimates for row in self.rows)
        ]
        return sorted(present, key=lambda column: column[1] != "iou")

    def estimate(self, row: str, column: tuple[str, str]) -> Estimate | None:
        """What stands in a cell."""
        return self.test_sets[column[0]].estimates.get((row, column[1]))

    def best(self, column: tuple[str, str], digits: int = 3) -> set[str]:
        """The rows with the best mean of a column, as far as its printed digits tell."""
        values = {row: estimate.value for row in self.rows if (estimate := self.estimate(row, column)) is not None}
        shown = {row: round(value, digits) for row, value in values.items() if not math.isnan(value)}
        return {row for row, value in shown.items() if value == max(shown.values())} if len(shown) > 1 else set()


def compute_table(name: str, run_dirs: Sequence[Path], analysis: Analysis) -> TableResult:
    """Computes a table from complete runs.

    Args:
        name: of the table.
        run_dirs: of the runs; their records say what row and seed each is.
        analysis: how.

    Raises:
        ComparisonError: there is none, or runs of another manifest, other settings or other slices are among them.
        ConfigurationError: a reference or the marker is not in the table.
    """
    if not run_dirs:
        raise ComparisonError("no run is complete yet, so there is no table; train some rows first.")
    records = [read_record(run_dir) for run_dir in run_dirs]
    threshold = check_same_table(run_dirs, records)
    rows = in_paper_order(list({record.row for record in records}))
    predictions = _load(run_dirs, records, rows)
    marker = _marker(predictions, analysis)
    tables = [table for of_rows in predictions.values() for runs in of_rows.values() for table in runs]
    attributes = asked_attributes(analysis.attributes, tables)
    ordered = _in_order(run_dirs, records, rows)
    thresholds = validation_thresholds(ordered, marker) if attributes else {}
    boots = {
        test_set: PatientBootstrap(
            align_predictions(test_set, tables, marker),
            threshold=threshold,
            resamples=analysis.resamples,
            seed=analysis.bootstrap_seed,
            level=analysis.level,
            attributes=attributes,
            validation_thresholds=thresholds,
        )
        for test_set, tables in predictions.items()
    }
    references = _references(rows, boots, analysis)
    test_sets = {
        test_set: _set_result(string.ascii_uppercase[number % 26], boot, rows, references)
        for number, (test_set, boot) in enumerate(boots.items())
    }
    groups = {
        test_set: group_results(boot, rows, references.get("auc", "")) for test_set, boot in boots.items() if attributes
    }
    seeds = {row: sorted(record.seed for record in records if record.row == row) for row in rows}
    gaps = _gaps(list(boots.values()), rows)
    warnings = [line for test_set in test_sets.values() for line in set_warnings(test_set)] + commit_warnings(records)
    for test_set, found in groups.items():
        warnings.extend(group_warnings(f"Test {test_sets[test_set].letter}", found, attributes))
    classified = {row for row in rows if any(boot.has(row, "auc") for boot in boots.values())}
    if attributes and not classified <= set(thresholds):
        lacking = ", ".join(row for row in rows if row in classified and row not in thresholds)
        warnings.append(f"No accuracy at the threshold of validation: runs of {lacking} saved no validation.csv.")
    origins = _origins(run_dirs, records, rows)
    return TableResult(
        name,
        rows,
        seeds,
        marker,
        threshold,
        analysis,
        references,
        test_sets,
        gaps,
        records,
        origins,
        warnings,
        groups,
    )


def check_same_table(run_dirs: Sequence[Path], records: Sequence[RunRecord]) -> float:
    """Refuses runs that do not belong together, and returns the threshold that all of them share.

    Raises:
        ComparisonError: with every run whose manifest, recipe, settings or threshold differs from the first's, or whose
            config from that of its row's first seed.
    """
    faults = FaultList("These runs cannot stand in one table; give each setting a table of its own (--output-dir):")
    results = [RunDirectory(run_dir).read_results() for run_dir in run_dirs]
    first, threshold = records[0], results[0]["threshold"]
    for run_dir, record, result in zip(run_dirs, records, results, strict=True):
        for what in ("manifest_sha256", "recipe", "settings"):
            own, other = getattr(record, what), getattr(first, what)
            if own != other:
                faults.add(f"{run_dir}: {what} is {own!r}, but {other!r} in {run_dirs[0]}")
        if result["threshold"] != threshold:
            faults.add(f"{run_dir}: threshold is {result['threshold']}, but {threshold} in {run_dirs[0]}")
    for row in {record.row for record in records}:
        of_row = [run_dir for run_dir, record in zip(run_dirs, records, strict=True) if record.row == row]
        configs = [RunDirectory(run_dir).read_config() for run_dir in of_row]
        for run_dir, config in zip(of_row, configs, strict=True):
            for key in differing_keys(configs[0], config):
                faults.add(f"{run_dir}: {key} is {config.get(key)!r}, but {configs[0].get(key)!r} in {of_row[0]}")
    faults.raise_if_any(ComparisonError)
    return float(threshold)


def _origins(run_dirs: Sequence[Path], records: Sequence[RunRecord], rows: Sequence[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {row: [] for row in rows}
    for run_dir, record in zip(run_dirs, records, strict=True):
        text = origins_text(RunDirectory(run_dir).read_results().get(ORIGINS))
        if text not in found[record.row]:
            found[record.row].append(text)
    return found


def _load(
    run_dirs: Sequence[Path], records: Sequence[RunRecord], rows: Sequence[str]
) -> dict[str, dict[str, list[PredictionTable]]]:
    """{test set: {row: tables in the order of seeds}}, the paper's test sets first."""
    found: dict[str, dict[str, list[PredictionTable]]] = {}
    for row, runs in _in_order(run_dirs, records, rows).items():
        for run_dir in runs:
            for path in sorted(RunDirectory(run_dir).predictions.glob("*.csv")):
                found.setdefault(path.stem, {}).setdefault(row, []).append(PredictionTable.from_csv(path))
    papers = [Split.TEST_A.value, Split.TEST_B.value]
    names = sorted(found, key=lambda name: (papers.index(name) if name in papers else len(papers), name))
    return {name: found[name] for name in names}


def _in_order(run_dirs: Sequence[Path], records: Sequence[RunRecord], rows: Sequence[str]) -> dict[str, list[Path]]:
    """{row: its runs' directories in the order of seeds}, in the order of the rows."""
    pairs = sorted(zip(records, run_dirs, strict=True), key=lambda pair: pair[0].seed)
    return {row: [run_dir for record, run_dir in pairs if record.row == row] for row in rows}


def _marker(predictions: dict[str, dict[str, list[PredictionTable]]], analysis: Analysis) -> str:
    tables = [table for rows in predictions.values() for runs in rows.values() for table in runs]
    markers = list(dict.fromkeys(marker for table in tables for marker in table.markers))
    if analysis.marker and analysis.marker not in markers:
        raise ConfigurationError(
            f"marker: expected one of those predicted ({', '.join(markers) or 'none'}), got {analysis.marker!r}."
            f"{did_you_mean(analysis.marker, markers)}"
        )
    return analysis.marker or (markers[0] if markers else "")


def _references(rows: list[str], boots: dict[str, PatientBootstrap], analysis: Analysis) -> dict[str, str]:
    """{metric: reference row}; a metric that no row has is left out."""
    references: dict[str, str] = {}
    for metric in TABLE_METRICS:
        able = [row for row in rows if any(boot.has(row, metric) for boot in boots.values())]
        asked, usual = (
            (analysis.seg_reference, DEFAULT_SEG_REFERENCE)
            if metric == "iou"
            else (analysis.reference, DEFAULT_REFERENCE)
        )
        if asked and able and asked not in able:
            option = "seg-reference" if metric == "iou" else "reference"
            raise ConfigurationError(
                f"{option}: expected a row of this table that has {metric} ({', '.join(able)}), got {asked!r}."
                f"{did_you_mean(asked, able)}"
            )
        if able:
            references[metric] = asked or (usual if usual in able else able[0])
    return references


def _set_result(letter: str, boot: PatientBootstrap, rows: list[str], references: dict[str, str]) -> SetResult:
    estimates = {
        (row, metric): boot.estimate(row, metric) for row in rows for metric in TABLE_METRICS if boot.has(row, metric)
    }
    differences: dict[tuple[str, str], Compared] = {}
    for metric, reference in references.items():
        others = [row for row in rows if row != reference and boot.has(row, metric) and boot.has(reference, metric)]
        found = [boot.difference(row, reference, metric) for row in others]
        corrected = holm_correction([difference.p_value for difference in found])
        differences |= {
            (row, metric): Compared(difference, float(p))
            for row, difference, p in zip(others, found, corrected, strict=True)
        }
    has_auc = "auc" in references and boot.has(references["auc"], "auc")
    detectable = boot.detectable(references["auc"]) if has_auc else {}
    return SetResult(letter, boot.predictions.counts, detectable, estimates, differences)


def _gaps(boots: list[PatientBootstrap], rows: list[str]) -> dict[tuple[str, str], Difference]:
    """First test set minus second; none with a single test set."""
    if len(boots) < 2:
        return {}
    first, second = paired_for_gap(boots[0], boots[1])
    return {
        (row, metric): gap_between(first, second, row, metric)
        for row in rows
        for metric in ("iou", *CLASSIFICATION_METRICS)
        if first.has(row, metric) and second.has(row, metric)
    }
