# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""A table's metrics of groups and counterfactual pairs: for each test set and attribute that is asked for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from monai_ich.metrics import (
    FEWEST_PATIENTS,
    GROUP_METRICS,
    Estimate,
    PatientBootstrap,
    PredictionTable,
    best_threshold,
    group_metric,
    holm_correction,
)
from monai_ich.table.result_warnings import Compared
from monai_ich.utils.attributes import Attribute, parse_attribute, resolve_attribute
from monai_ich.utils.errors import ConfigurationError, FaultList, did_you_mean
from monai_ich.utils.keys import Key, attributes_among
from monai_ich.utils.run_files import RunDirectory

_WITHIN = "auc_within="
_HEADINGS = {
    "conflict_auc": "conflict auc",
    "aligned_auc": "aligned auc",
    "worst_auc_within": "worst auc within",
    "wga": "worst acc",
    "wga_val": "worst acc, val",
    "worst_ece": "worst ece",
    "ace": "ace",
    "flips": "flips",
    "logit_shift": "logit shift",
}


@dataclass(frozen=True, eq=False)
class GroupResult:
    """What the table says of one attribute on one test set.

    Attributes:
        attribute: as text.
        metrics: in order, those that any row has.
        estimates: {(row, metric): mean over runs with its interval}; NaN where a group has too few patients.
        differences: {(row, metric): to the reference row}.
        small: the groups of too few patients, with their counts.
    """

    attribute: str
    metrics: list[str]
    estimates: dict[tuple[str, str], Estimate]
    differences: dict[tuple[str, str], Compared]
    small: list[str]


def group_heading(metric: str) -> str:
    """A metric's heading.

    >>> group_heading("auc_within=yes"), group_heading("wga")
    ('auc within yes', 'worst acc')
    """
    return _HEADINGS.get(metric) or f"auc within {metric.removeprefix(_WITHIN)}"


def asked_attributes(texts: Sequence[str], tables: Iterable[PredictionTable]) -> list[Attribute]:
    """Reads the attributes that are asked for, and finds the value that counts as "with" in the predictions.

    Runs of before attributes were saved hold none at all: then nothing is refused, and the table says so.

    Raises:
        ConfigurationError: with every attribute that cannot be read, is not in the predictions, or has no such value.
    """
    frames = [table.frame for table in tables]
    known = list(dict.fromkeys(name for frame in frames for name in attributes_among(frame.columns)))
    faults = FaultList("The table cannot be made with these attributes:")
    found = []
    for text in texts:
        try:
            attribute = parse_attribute(text)
            if known and attribute.column not in (*known, Key.HOSPITAL):
                listed = f"the predictions hold {', '.join(known)}.{did_you_mean(attribute.column, known)}"
                faults.add(f"attribute {text}: there is no column {attribute.column}; {listed}")
                continue
            cells = {cell for frame in frames if attribute.column in frame for cell in frame[attribute.column]}
            found.append(resolve_attribute(attribute, sorted(cells)))
        except ConfigurationError as error:
            faults.add(str(error))
    faults.raise_if_any(ConfigurationError)
    return list(dict.fromkeys(found))


def validation_thresholds(run_dirs: Mapping[str, Sequence[Path]], marker: str) -> dict[str, np.ndarray]:
    """{row: (S,) each run's best threshold on its validation set}; rows of which a run has not saved it are left out.

    Args:
        run_dirs: {row: runs in the order of seeds}.
        marker: of the classifier.
    """
    found = {}
    for row, runs in run_dirs.items():
        paths = [RunDirectory(run).validation_predictions for run in runs]
        tables = [PredictionTable.from_csv(path) for path in paths if path.is_file()]
        if len(tables) < len(runs) or not all(marker in table.markers for table in tables):
            continue
        places = [table.markers.index(marker) for table in tables]
        found[row] = np.array(
            [
                best_threshold(table.labels()[:, place], table.probabilities()[:, place])
                for table, place in zip(tables, places, strict=True)
            ]
        )
    return found


def group_results(boot: PatientBootstrap, rows: Sequence[str], reference: str) -> list[GroupResult]:
    """The results of every attribute of a bootstrap, with differences to a reference row.

    Args:
        boot: of one test set.
        rows: of the table.
        reference: the row that the others are compared with; "" compares none.
    """
    results = []
    for text, groups in boot.groups.items():
        within = [f"{_WITHIN}{value}" for value in groups.present_values]
        order = [*GROUP_METRICS[:2], *within, *GROUP_METRICS[2:]]
        metrics = [name for name in order if any(boot.has(row, group_metric(name, text)) for row in rows)]
        able = {name: [row for row in rows if boot.has(row, group_metric(name, text))] for name in metrics}
        estimates = {
            (row, name): boot.estimate(row, group_metric(name, text)) for name in metrics for row in able[name]
        }
        differences: dict[tuple[str, str], Compared] = {}
        for name in metrics:
            others = [row for row in able[name] if row != reference]
            if reference not in able[name]:
                continue
            compared = [boot.difference(row, reference, group_metric(name, text)) for row in others]
            corrected = holm_correction([difference.p_value for difference in compared])
            differences |= {
                (row, name): Compared(difference, float(p))
                for row, difference, p in zip(others, compared, corrected, strict=True)
            }
        results.append(GroupResult(text, metrics, estimates, differences, groups.small_groups()))
    return results


def group_warnings(name: str, results: Sequence[GroupResult], asked: Sequence[Attribute]) -> list[str]:
    """Warnings about the groups of one test set, such as `Test A`."""
    lines = [
        f"{name}: groups of {result.attribute} with fewer than {FEWEST_PATIENTS} patients: {'; '.join(result.small)}. "
        "Metrics that need them print -."
        for result in results
        if result.small
    ]
    missing = [attribute.text for attribute in asked if attribute.text not in [r.attribute for r in results]]
    if missing:
        lines.append(
            f"{name}: the saved predictions do not hold {', '.join(missing)}. Give the manifest the columns and "
            "evaluate the runs again."
        )
    return lines
