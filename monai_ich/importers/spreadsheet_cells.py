# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Cells of an Excel workbook that look filled on the screen, but hold no value that a program can read."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import openpyxl
from openpyxl.utils import get_column_letter

from monai_ich.utils.errors import FaultList

_SHOWN = 5


def workbook_faults(path: Path, columns: Collection[str], faults: FaultList) -> None:
    """Adds what makes cells of the first sheet vanish when they are read.

    These are formulas whose result was never stored (a program wrote the file, and Excel has not opened it since),
    errors such as #DIV/0!, merged cells below the header, of which only the first holds the value, and a hidden first
    sheet.

    Args:
        path: the workbook, which pandas could read.
        columns: names of the columns that are used; other columns may hold anything.
        faults: gets the faults; they name cells and never what stands in them.
    """
    written, stored = (openpyxl.load_workbook(path, data_only=data_only) for data_only in (False, True))
    sheet, results = written.worksheets[0], stored.worksheets[0]
    if sheet.sheet_state != "visible":
        seen = next((other.title for other in written.worksheets if other.sheet_state == "visible"), "")
        faults.add(f"its first sheet is hidden; make it visible, or move the sheet {seen!r} before it")
    used = {cell.column: str(cell.value).strip() for cell in results[1] if str(cell.value).strip() in columns}
    unknown: dict[str, list[str]] = {"formula": [], "error": []}
    for number in used:
        for row in range(2, sheet.max_row + 1):
            cell, result = sheet.cell(row, number), results.cell(row, number)
            if cell.data_type == "f" and result.value is None:
                unknown["formula"].append(cell.coordinate)
            elif result.data_type == "e":
                unknown["error"].append(cell.coordinate)
    remedies = {
        "formula": "hold a formula without a stored result; open the file in Excel and save it, or paste the values",
        "error": "hold an error such as #DIV/0! or #N/A; correct or empty them",
    }
    for kind, cells in unknown.items():
        if cells:
            faults.add(f"{_listed(cells)} {remedies[kind]}")
    merged = [
        str(area)
        for area in sheet.merged_cells.ranges
        if area.max_row > 1 and any(area.min_col <= number <= area.max_col for number in used)
    ]
    if merged:
        letters = ", ".join(get_column_letter(number) for number in used)
        faults.add(
            f"{_listed(merged)} are merged, so that all but the first of them are empty; unmerge the columns {letters} "
            "and fill in each row"
        )


def _listed(cells: list[str]) -> str:
    more = f" and {len(cells) - _SHOWN} more" if len(cells) > _SHOWN else ""
    return f"cells {', '.join(cells[:_SHOWN])}{more}"
