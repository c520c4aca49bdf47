# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""A table as Markdown and LaTeX: numbers as the paper prints them, intervals beneath, the paper's own beside."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Sequence
from itertools import groupby

from monai_ich.metrics import Difference
from monai_ich.table.published_table import PAPER_SOURCE, paper_figure
from monai_ich.table.result_warnings import Compared
from monai_ich.table.table_results import TableResult

HEADINGS = {"iou": "iou-seg", "acc": "acc", "precision": "prec", "recall": "rec", "f1": "f1", "auc": "auc"}
NOTHING = ""
LATEX_SPECIAL = {"&": r"\&", "%": r"\%", "_": r"\_", "#": r"\#", "$": r"\$", "{": r"\{", "}": r"\}"}
LATEX_SPECIAL |= {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}


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


def cell_lines(result: TableResult, row: str, column: tuple[str, str], bold: Callable[[str], str]) -> list[str]:
    """The three lines of a cell: mean (bold if best), interval, the paper's figure."""
    estimate = result.estimate(row, column)
    paper = number(paper_figure(row, *column, marker=result.marker))
    if estimate is None:
        return [NOTHING, NOTHING, paper]
    value = number(estimate.value)
    return [bold(value) if row in result.best(column) else value, interval(estimate.low, estimate.high), paper]


def markdown(result: TableResult, footer: Sequence[str], figure: str) -> str:
    """The whole table: figures, differences, gap, counts, warnings and where it comes from.

    Args:
        result: computed.
        footer: lines of provenance.
        figure: file name of the picture of intervals.
    """
    parts = [f"# Table {result.name}", _lead(result), _main_table(result)]
    if result.warnings:
        parts += ["## Warnings", "\n".join(f"- **{line}**" for line in result.warnings)]
    parts += ["## Intervals", f"![Means and intervals]({figure})", *_differences(result), *_gap(result)]
    parts += ["## Test sets", _counts(result), "## Provenance", "\n".join(f"- {line}" for line in footer)]
    return "\n\n".join(parts) + "\n"


def _lead(result: TableResult) -> str:
    analysis = result.analysis
    marker = f"Marker {result.marker}, threshold {result.threshold:g}. " if result.marker else ""
    return (
        f"{marker}Each cell: mean over the runs, best of the column in bold; [{analysis.level:.0%} interval over "
        f"patients, {analysis.resamples} resamples]; *the paper's figure*, of other data: {PAPER_SOURCE}."
    )


def _main_table(result: TableResult) -> str:
    body = []
    for row in result.rows:
        cells = []
        for column in result.columns:
            value, between, paper = cell_lines(result, row, column, lambda text: f"**{text}**")
            cells.append(_stack([value, between, f"*{paper}*" if paper else NOTHING]))
        body.append([row, str(len(result.seeds[row])), *cells])
    return _grid(["method", "runs", *(heading(result, column) for column in result.columns)], body)


def _differences(result: TableResult) -> list[str]:
    parts: list[str] = []
    for of_set in result.test_sets.values():
        metrics = [m for m in HEADINGS if any(key[1] == m for key in of_set.differences)]
        rows = [row for row in result.rows if any(key[0] == row for key in of_set.differences)]
        if not rows:
            continue
        body = [[row, *(_compared_cell(of_set.differences.get((row, m))) for m in metrics)] for row in rows]
        names = " and ".join(dict.fromkeys(f"{result.references[m]}" for m in metrics))
        parts += [
            f"## Test {of_set.letter}: differences to {names}",
            _grid(["method", *map(HEADINGS.get, metrics)], body),
        ]
    if parts:
        parts.append(
            "Row minus reference, its interval, p (p after Holm's correction for the rows of that column). AUC: "
            "DeLong's test with patients as clusters; the others: paired bootstrap over patients."
        )
    return parts


def _compared_cell(compared: Compared | None) -> str:
    if compared is None:
        return NOTHING
    p = p_text(compared.difference.p_value)
    return _stack([*_difference_lines(compared.difference), f"p {p} ({p_text(compared.p_holm)})" if p else NOTHING])


def _difference_lines(difference: Difference) -> list[str]:
    return [number(difference.value, signed=True), interval(difference.low, difference.high, signed=True)]


def _gap(result: TableResult) -> list[str]:
    if not result.gaps:
        return []
    first, second = [of_set.letter for of_set in result.test_sets.values()][:2]
    metrics = [m for m in HEADINGS if any(key[1] == m for key in result.gaps)]
    rows = [row for row in result.rows if any(key[0] == row for key in result.gaps)]
    body = []
    for row in rows:
        gaps = [result.gaps.get((row, metric)) for metric in metrics]
        body.append([row, *(_stack(_difference_lines(gap)) if gap else NOTHING for gap in gaps)])
    how = next(iter(result.gaps.values())).test
    return [
        f"## From {first} to {second}",
        f"Test {first} minus test {second}: what is lost on going there ({how}).",
        _grid(["method", *map(HEADINGS.get, metrics)], body),
    ]


def _counts(result: TableResult) -> str:
    header = ["", "split", "slices", "patients", "positive slices", "patients with one", "with mask", "with blood"]
    body = []
    for name, of_set in result.test_sets.items():
        c = of_set.counts
        of_labelled = f" of {c['labelled']}" if c["labelled"] != c["slices"] else ""
        figures = [c["slices"], c["patients"], f"{c['positives']}{of_labelled}", c["positive_patients"]]
        smallest = number(of_set.detectable.get("minimum_difference"))
        body.append([of_set.letter, name, *map(str, figures), str(c["annotated"]), str(c["with_blood"]), smallest])
    return _grid([*header, "AUC difference found 4 times in 5"], body)


def _stack(lines: Iterable[str]) -> str:
    return "<br>".join(line for line in lines if line)


def _grid(header: Sequence[str | None], body: Sequence[Sequence[str]]) -> str:
    rule = ["---", *["---:"] * (len(header) - 1)]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in [header, rule, *body])


def latex(result: TableResult, footer: Sequence[str]) -> str:
    """The table of figures for a paper: three lines a row (mean, interval, the paper's); needs the package booktabs."""
    columns = result.columns
    groups = [(key, len(list(group))) for key, group in groupby(columns, lambda c: ("", c[0])[c[1] != "iou"])]
    top, rules, at = [NOTHING, NOTHING], [], 3
    for name, width in groups:
        letter = result.test_sets[name].letter if name else NOTHING
        top.append(rf"\multicolumn{{{width}}}{{c}}{{{'test ' + letter if letter else ''}}}")
        rules += [rf"\cmidrule(lr){{{at}-{at + width - 1}}}"] if letter else []
        at += width
    names = [HEADINGS[m] if m != "iou" else f"{HEADINGS[m]} {result.test_sets[t].letter}" for t, m in columns]
    lines = [f"% {line}" for line in ["needs \\usepackage{booktabs}", *footer, *result.warnings]]
    lines += [rf"\begin{{tabular}}{{lr{'r' * len(columns)}}}", r"\toprule", _tex_line(top), *rules]
    lines += [_tex_line(["method", "runs", *names]), r"\midrule"]
    for row in result.rows:
        cells = [cell_lines(result, row, column, lambda text: rf"\textbf{{{text}}}") for column in columns]
        lines.append(_tex_line([_escaped(row), str(len(result.seeds[row])), *(cell[0] for cell in cells)]))
        for part, style in ((1, r"\scriptsize {}"), (2, r"\itshape {}")):
            texts = [style.replace("{}", cell[part]) if cell[part] else NOTHING for cell in cells]
            if any(texts):
                lines.append(_tex_line([NOTHING, NOTHING, *texts]))
        lines.append(r"\addlinespace")
    return "\n".join([*lines[:-1], r"\bottomrule", r"\end{tabular}"]) + "\n"


def _tex_line(cells: Sequence[str]) -> str:
    # a bracket right after \\ would be taken for its optional argument
    return " & ".join(f"{{{cell}}}" if cell.startswith("[") else cell for cell in cells) + r" \\"


def _escaped(text: str) -> str:
    return re.sub("|".join(map(re.escape, LATEX_SPECIAL)), lambda found: LATEX_SPECIAL[found.group()], text)
