# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""A table as Markdown and LaTeX: numbers as the paper prints them, intervals beneath, the paper's own beside."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TypeVar

from monai_ich.metrics import BLEEDING_AUC, FEWEST_PATIENTS, Difference, Estimate
from monai_ich.table.group_results import group_heading
from monai_ich.table.published_table import FOOTNOTES, PAPER_SOURCE, Footnote, paper_figure
from monai_ich.table.result_warnings import Compared
from monai_ich.table.table_results import TableResult
from monai_ich.utils.templates import render

HEADINGS = {"iou": "iou-seg", "acc": "acc", "precision": "prec", "recall": "rec", "f1": "f1", "auc": "auc"} | {
    BLEEDING_AUC: "auc-bleed"
}
NOTHING, TOO_FEW = "", "-"
IOU_NOTE = "iou-seg is pooled over the slices with blood: the sum of intersections over the sum of unions."

BLEEDING_NOTE = (
    "auc-bleed is the AUC of the positive slices against those negative ones that are known to show blood. "
    f"{TOO_FEW} stands where one of the two has fewer than {FEWEST_PATIENTS} patients."
)

T = TypeVar("T")
Body = list[list[list[str]]]  # the lines of each cell of each row


def number(value: float | None, signed: bool = False) -> str:
    """A figure with three digits and no leading zero, as the paper prints it.

    >>> number(0.9634), number(1.0), number(-0.0121, signed=True), number(None), number(0.00049, signed=True)
    ('.963', '1.000', '-.012', '', '.000')
    """
    if value is None or math.isnan(value):
        return NOTHING
    text = f"{abs(value):.3f}"
    sign = "" if float(text) == 0 else "-" if value < 0 else "+" if signed else ""
    return sign + text.removeprefix("0")


def interval(low: float, high: float, signed: bool = False) -> str:
    """`[low, high]`; nothing where it is not defined."""
    return NOTHING if math.isnan(low) else f"[{number(low, signed)}, {number(high, signed)}]"


def p_text(p: float) -> str:
    """A p-value.

    >>> p_text(0.0314), p_text(0.0002), p_text(1.0)
    ('.031', '<.001', '1.000')
    """
    return NOTHING if math.isnan(p) else "<.001" if p < 0.001 else number(p)


def heading(result: TableResult, column: tuple[str, str]) -> str:
    """A column's name, such as `A auc`."""
    return f"{result.test_sets[column[0]].letter} {HEADINGS[column[1]]}"


@dataclass(frozen=True)
class Cell:
    """What is printed in one cell: mean over runs, its interval, the paper's figure; "" for what is not there.

    `marks` are the letters of the notes about the paper's figure.
    """

    value: str
    interval: str
    paper: str
    marks: str
    best: bool


@dataclass(frozen=True)
class Row:
    """A row of the table as it is printed."""

    name: str
    runs: int
    cells: list[Cell]


def _rows(result: TableResult) -> list[Row]:
    return [
        Row(row, len(result.seeds[row]), [_cell(result, row, column) for column in result.columns])
        for row in result.rows
    ]


def _cell(result: TableResult, row: str, column: tuple[str, str]) -> Cell:
    estimate = result.estimate(row, column)
    paper = number(paper_figure(row, *column, marker=result.marker))
    marks = "".join(note.mark for note in FOOTNOTES if paper and (row, *column) in note.places)
    if estimate is None:
        return Cell(NOTHING, NOTHING, paper, marks, best=False)
    between = interval(estimate.low, estimate.high)
    value = TOO_FEW if column[1] == BLEEDING_AUC and math.isnan(estimate.value) else number(estimate.value)
    return Cell(value, between, paper, marks, best=row in result.best(column))


def _notes(result: TableResult) -> list[Footnote]:
    """Which IoU is printed, and the notes about those of the paper's figures that are shown."""
    columns = [(row, *column) for row in result.rows for column in result.columns]
    shown = {place for place in columns if paper_figure(*place, marker=result.marker) is not None}
    own = [Footnote(IOU_NOTE)] if any(metric == "iou" for _, metric in result.columns) else []
    own += [Footnote(BLEEDING_NOTE)] if any(metric == BLEEDING_AUC for _, metric in result.columns) else []
    return own + [note for note in FOOTNOTES if note.places & shown]


def markdown(result: TableResult, footer: Sequence[str], figure: str) -> str:
    """The whole table: figures, differences, gap, counts, warnings and where it comes from.

    Args:
        result: computed.
        footer: lines of provenance.
        figure: file name of the picture of intervals.
    """
    return render(
        Path(__file__).with_name("table.md.jinja"),
        result=result,
        headings=[heading(result, column) for column in result.columns],
        rows=_rows(result),
        notes=_notes(result),
        differences=_differences(result),
        gaps=_gaps(result),
        groups=_groups(result),
        number=number,
        paper_source=PAPER_SOURCE,
        figure=figure,
        footer=footer,
    )


def _differences(result: TableResult) -> Iterator[tuple[str, list[str], list[str], Body]]:
    """For each test set with differences: its letter, the rows compared with, headings and body."""
    for of_set in result.test_sets.values():
        if of_set.differences:
            head, metrics, body = _by_row(result, of_set.differences, _compared_lines)
            yield of_set.letter, list(dict.fromkeys(result.references[m] for m in metrics)), head, body


def _groups(result: TableResult) -> Iterator[tuple[str, str, list[str], Body]]:
    """For each test set and attribute: the set's letter, the attribute, headings and body."""
    for test_set, found in result.groups.items():
        for groups in found:
            rows = [row for row in result.rows if any(key[0] == row for key in groups.estimates)]
            body = [[[row], *(_group_lines(groups.estimates.get((row, m))) for m in groups.metrics)] for row in rows]
            yield (
                result.test_sets[test_set].letter,
                groups.attribute,
                ["method", *map(group_heading, groups.metrics)],
                body,
            )


def _group_lines(estimate: Estimate | None) -> list[str]:
    if estimate is None:
        return [NOTHING]
    if math.isnan(estimate.value):
        return [TOO_FEW]
    return [number(estimate.value), interval(estimate.low, estimate.high)]


def groups_latex(result: TableResult, footer: Sequence[str]) -> str:
    """The tables of groups for a paper, one for each test set and attribute; needs the package booktabs."""
    return render(Path(__file__).with_name("groups.tex.jinja"), groups=list(_groups(result)), provenance=footer)


def _gaps(result: TableResult) -> Iterator[tuple[str, str, str, list[str], Body]]:
    """The first test set minus the second, if there are gaps: letters, the test behind it, headings and body."""
    if result.gaps:
        first, second = [of_set.letter for of_set in result.test_sets.values()][:2]
        head, _, body = _by_row(result, result.gaps, _difference_lines)
        yield first, second, next(iter(result.gaps.values())).test, head, body


def _by_row(
    result: TableResult, values: Mapping[tuple[str, str], T], lines: Callable[[T], list[str]]
) -> tuple[list[str], list[str], Body]:
    """Headings, metrics and body of a table with a line for each row that `values`, {(row, metric): value}, has."""
    metrics = [metric for metric in HEADINGS if any(key[1] == metric for key in values)]
    rows = [row for row in result.rows if any(key[0] == row for key in values)]
    body = [[[row], *(lines(values[row, m]) if (row, m) in values else [] for m in metrics)] for row in rows]
    return ["method", *(HEADINGS[metric] for metric in metrics)], metrics, body


def _compared_lines(compared: Compared) -> list[str]:
    p = p_text(compared.difference.p_value)
    return [*_difference_lines(compared.difference), f"p {p} ({p_text(compared.p_holm)})" if p else NOTHING]


def _difference_lines(difference: Difference) -> list[str]:
    return [number(difference.value, signed=True), interval(difference.low, difference.high, signed=True)]


def latex(result: TableResult, footer: Sequence[str]) -> str:
    """The table of figures for a paper: three lines a row (mean, interval, the paper's); needs the package booktabs."""
    groups, first = [], 3  # each test set's letter, first column in the table (from 1), and width; IoU has no letter
    for test_set, columns in groupby(result.columns, lambda column: column[0] if column[1] != "iou" else NOTHING):
        width = len(list(columns))
        groups.append((result.test_sets[test_set].letter if test_set else NOTHING, first, width))
        first += width
    return render(
        Path(__file__).with_name("table.tex.jinja"),
        provenance=[*footer, *result.warnings],
        notes=_notes(result),
        groups=groups,
        names=[
            f"{HEADINGS[metric]} {result.test_sets[test_set].letter}" if metric == "iou" else HEADINGS[metric]
            for test_set, metric in result.columns
        ],
        rows=_rows(result),
    )
