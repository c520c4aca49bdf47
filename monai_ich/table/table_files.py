# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""The files that a table is written to: Markdown, LaTeX, CSV, JSON and a picture of the intervals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from monai_ich.table.forest_figure import forest_figure
from monai_ich.table.published_table import PAPER_SOURCE, paper_figure
from monai_ich.table.result_warnings import Compared
from monai_ich.table.table_results import TableResult
from monai_ich.table.table_text import groups_latex, heading, latex, markdown
from monai_ich.utils.files import json_text, replace_file
from monai_ich.utils.provenance import git_commit
from monai_ich.visualize import figure_bytes

FIGURE_NAME = "intervals.png"
SHOWN_METRICS = ("iou", "f1", "auc")  # in the picture; a panel for each of the eleven columns is too small to read


def write_table(result: TableResult, output_dir: Path) -> list[Path]:
    """Writes `table.md`, `.tex`, `.csv`, `.json` and `intervals.png`, `.pdf`; each is replaced in one step.

    With attributes also `groups.csv` and `groups.tex`.

    Returns:
        The paths.
    """
    output_dir.mkdir(parents=True, exist_ok=True)
    footer = footer_lines(result)
    picture = intervals_figure(result)
    contents = {
        "table.md": markdown(result, footer, FIGURE_NAME).encode(),
        "table.tex": latex(result, footer).encode(),
        "table.csv": table_frame(result).to_csv(index=False, lineterminator="\n").encode(),
        "table.json": (json_text(table_json(result, footer)) + "\n").encode(),
        FIGURE_NAME: figure_bytes(picture),
        FIGURE_NAME.replace(".png", ".pdf"): figure_bytes(picture, "pdf"),
    }
    if result.groups:
        contents["groups.csv"] = groups_frame(result).to_csv(index=False, lineterminator="\n").encode()
        contents["groups.tex"] = groups_latex(result, footer).encode()
    for name, data in contents.items():
        replace_file(output_dir / name, data)
    return [output_dir / name for name in contents]


def footer_lines(result: TableResult) -> list[str]:
    """Where a table comes from: data, code, machines, what the encoders began from, and minutes."""
    first = result.records[0]
    settings = ", ".join(f"{key}={value}" for key, value in first.settings.items())
    commits = sorted({commit for record in result.records for commit in record.commits})
    machines = sorted({machine_text(record.machine) for record in result.records if record.machine})
    minutes = {row: sum(r.seconds for r in result.records if r.row == row) / 60 for row in result.rows}
    return [
        f"manifest {first.manifest}, sha256 {first.manifest_sha256}",
        f"recipe {first.recipe}" + (f" with {settings}" if settings else ""),
        f"trained by git commit {', '.join(commits) or 'unknown'}; written by {git_commit() or 'unknown'}",
        f"machine: {'; '.join(machines) or 'unknown'}",
        *(f"encoders of {row}: {' / '.join(texts)}" for row, texts in result.origins.items()),
        "minutes of training, all runs of a row: " + ", ".join(f"{row} {m:.1f}" for row, m in minutes.items()),
        f"bootstrap: {result.analysis.resamples} resamples of patients, seed {result.analysis.bootstrap_seed}",
    ]


def machine_text(machine: Mapping[str, str]) -> str:
    """A machine (see `RunRecord`) in words."""
    return ", ".join(f"Python {text}" if key == "python" else text for key, text in machine.items())


def table_frame(result: TableResult) -> pd.DataFrame:
    """The table for programs: one line a row; for each column mean, interval, spread over runs, the paper's figure, and
    the difference to the reference with both p-values; then the gaps."""
    lines: list[dict[str, Any]] = []
    for row in result.rows:
        line: dict[str, Any] = {"method": row, "runs": len(result.seeds[row])}
        for column in result.columns:
            name = heading(result, column)
            estimate = result.estimate(row, column)
            figures = asdict(estimate) if estimate is not None else {}
            line |= {name: figures.get("value"), f"{name} low": figures.get("low"), f"{name} high": figures.get("high")}
            line[f"{name} sd over runs"] = figures.get("spread")
            line[f"{name} paper"] = paper_figure(row, *column, marker=result.marker)
            line |= _difference_columns(result, row, column, name)
        for metric in dict.fromkeys(metric for _, metric in result.gaps):
            gap = result.gaps.get((row, metric))
            line |= {f"gap {metric}{end}": getattr(gap, part, None) for end, part in _ENDS.items()}
        lines.append(line)
    return pd.DataFrame(lines)


def groups_frame(result: TableResult) -> pd.DataFrame:
    """The metrics of groups for programs: one line a test set, attribute, row and metric, with mean, interval, spread
    over runs, the difference to the reference row and its p-values."""
    lines = [
        {
            "test_set": test_set,
            "attribute": groups.attribute,
            "method": row,
            "metric": metric,
            "value": estimate.value,
            "low": estimate.low,
            "high": estimate.high,
            "sd over runs": estimate.spread,
            **_compared(groups.differences.get((row, metric))),
        }
        for test_set, found in result.groups.items()
        for groups in found
        for (row, metric), estimate in groups.estimates.items()
    ]
    names = ["test_set", "attribute", "method", "metric", "value", "low", "high", "sd over runs", *_compared(None)]
    return pd.DataFrame(lines, columns=names)


_ENDS = {"": "value", " low": "low", " high": "high"}


def _difference_columns(result: TableResult, row: str, column: tuple[str, str], name: str) -> dict[str, Any]:
    compared = result.test_sets[column[0]].differences.get((row, column[1]))
    return {f"{name} {part}": value for part, value in _compared(compared).items()}


def _compared(compared: Compared | None) -> dict[str, Any]:
    difference = None if compared is None else compared.difference
    columns = {f"difference{end}": getattr(difference, part, None) for end, part in _ENDS.items()}
    return columns | {"p": getattr(difference, "p_value", None), "p Holm": getattr(compared, "p_holm", None)}


def table_json(result: TableResult, footer: list[str]) -> dict[str, Any]:
    """Everything that was computed."""
    return {
        "name": result.name,
        "marker": result.marker,
        "threshold": result.threshold,
        "analysis": asdict(result.analysis),
        "references": result.references,
        "rows": [{"row": row, "seeds": result.seeds[row]} for row in result.rows],
        "test_sets": {
            name: {
                "letter": of_set.letter,
                "counts": of_set.counts,
                "detectable_auc_difference": of_set.detectable,
                "estimates": _nested({key: asdict(e) for key, e in of_set.estimates.items()}),
                "differences": _nested(
                    {key: {**asdict(c.difference), "p_holm": c.p_holm} for key, c in of_set.differences.items()}
                ),
                "paper": _nested(
                    {
                        (row, metric): figure
                        for row in result.rows
                        for test_set, metric in result.columns
                        if test_set == name and (figure := paper_figure(row, name, metric, result.marker)) is not None
                    }
                ),
            }
            for name, of_set in result.test_sets.items()
        },
        "gaps": _nested({key: asdict(gap) for key, gap in result.gaps.items()}),
        "groups": {
            test_set: {
                groups.attribute: {
                    "small": groups.small,
                    "estimates": _nested({key: asdict(e) for key, e in groups.estimates.items()}),
                    "differences": _nested(
                        {key: {**asdict(c.difference), "p_holm": c.p_holm} for key, c in groups.differences.items()}
                    ),
                }
                for groups in found
            }
            for test_set, found in result.groups.items()
        },
        "paper_source": PAPER_SOURCE,
        "warnings": result.warnings,
        "runs": [asdict(record) for record in result.records],
        "provenance": footer,
    }


def intervals_figure(result: TableResult) -> Any:
    """A forest plot of IoU, F1 and AUC of every test set, the paper's figures as open diamonds."""
    columns = [column for column in result.columns if column[1] in SHOWN_METRICS]
    estimates = {column: {row: result.estimate(row, column) for row in result.rows} for column in columns}
    panels = {
        heading(result, column): {row: (e.value, e.low, e.high) for row, e in of_column.items() if e is not None}
        for column, of_column in estimates.items()
    }
    papers = {
        heading(result, column): {
            row: figure
            for row in result.rows
            if (figure := paper_figure(row, *column, marker=result.marker)) is not None
        }
        for column in columns
    }
    references = {heading(result, column): result.references[column[1]] for column in columns}
    level = f"mean over runs, {result.analysis.level:.0%} interval over patients"
    return forest_figure(panels, result.rows, references, papers if any(papers.values()) else None, level)


def _nested(flat: dict[tuple[str, str], Any]) -> dict[str, dict[str, Any]]:
    nested: dict[str, dict[str, Any]] = {}
    for (row, metric), value in flat.items():
        nested.setdefault(row, {})[metric] = value
    return nested
