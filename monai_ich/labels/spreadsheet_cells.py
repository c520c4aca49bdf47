# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""A sheet of an Excel workbook: its rows as text, and cells that look filled, but hold no value a program can read."""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import openpyxl
from openpyxl.cell import Cell, MergedCell
from openpyxl.utils import get_column_letter
from openpyxl.worksheet.worksheet import Worksheet

from monai_ich.utils.errors import FaultList, ManifestError, did_you_mean

_SHOWN = 5
# Excel keeps no more digits of a number.
_MOST_EXACT = 10**15


@dataclass(frozen=True)
class WorkbookSheet:
    """One sheet, read twice.

    Attributes:
        written: cells as they were typed, formulas included.
        results: cells as they were computed when the workbook was last saved by Excel.
        first_visible: title of the first sheet that is not hidden.
        is_named: whether it was asked for by its title; or else it is the first one.
    """

    written: Worksheet
    results: Worksheet
    first_visible: str
    is_named: bool

    @property
    def title(self) -> str:
        """The sheet's name."""
        return str(self.results.title)

    def rows(self) -> list[list[str]]:
        """All cells as text; empty rows at the end are left out."""
        rows = [[cell_text(cell) for cell in row] for row in self.results.iter_rows()]
        while rows and not any(rows[-1]):
            rows.pop()
        return rows


def open_sheet(path: Path, title: str = "") -> WorkbookSheet:
    """Opens a sheet by its title, by default the first one.

    Raises:
        ManifestError: the workbook has no such sheet.
    """
    written, results = (openpyxl.load_workbook(path, data_only=data_only) for data_only in (False, True))
    titles = [sheet.title for sheet in results.worksheets]
    chosen = title or (titles[0] if titles else "")
    if chosen not in titles:
        raise ManifestError(
            f"{path.name} has no sheet {chosen!r}; it has {', '.join(map(repr, titles)) or 'none with cells'}."
            f"{did_you_mean(chosen, titles)} Name one with --sheet."
        )
    visible = [sheet.title for sheet in results.worksheets if sheet.sheet_state == "visible"]
    return WorkbookSheet(written[chosen], results[chosen], next(iter(visible), ""), title != "")


def cell_text(cell: Cell | MergedCell) -> str:
    """A cell as text; a number as Excel shows it, with the leading zeros that its format gives it."""
    value: Any = cell.value
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer() and abs(value) < _MOST_EXACT:
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and re.fullmatch(r"0+", str(cell.number_format)):
        return str(value).zfill(len(str(cell.number_format)))
    if isinstance(value, datetime.datetime) and value.time() == datetime.time():
        return value.date().isoformat()
    return str(value)


def workbook_faults(
    sheet: WorkbookSheet, key_column: int, columns: Mapping[int, str], header_row: int, faults: FaultList
) -> None:
    """Adds what makes cells of a sheet vanish or change when they are read.

    These are formulas whose result was never stored (a program wrote the file, and Excel has not opened it since),
    errors such as #DIV/0!, merged cells below the header, of which only the first holds the value, and a hidden first
    sheet. In the key column, they are also dates, and numbers of more than 15 digits: Excel has changed those names.

    Args:
        sheet: the sheet, whose rows could be read.
        key_column: number of the column that names what a row is about, from 1; 0 where there is none.
        columns: number from 1 -> name of the columns that are used; other columns may hold anything.
        header_row: number of the header row, from 1.
        faults: gets the faults; they name cells and never what stands in them.
    """
    if sheet.results.sheet_state != "visible" and not sheet.is_named:
        faults.add(
            f"its first sheet is hidden; make it visible, or move the sheet {sheet.first_visible!r} before it, or name "
            "the one to read with --sheet"
        )
    unknown: dict[str, list[str]] = {kind: [] for kind in _REMEDIES}
    for number in columns:
        for row in range(header_row + 1, sheet.results.max_row + 1):
            cell, result = sheet.written.cell(row, number), sheet.results.cell(row, number)
            kind = _kind_of_fault(cell, result, number == key_column)
            if kind:
                unknown[kind].append(result.coordinate)
    for kind, cells in unknown.items():
        if cells:
            faults.add(f"{_listed(cells)} {_REMEDIES[kind]}")
    merged = [
        str(area)
        for area in sheet.results.merged_cells.ranges
        if area.max_row > header_row and any(area.min_col <= number <= area.max_col for number in columns)
    ]
    if merged:
        letters = ", ".join(get_column_letter(number) for number in columns)
        faults.add(
            f"{_listed(merged)} are merged, so that all but the first of them are empty; unmerge the columns {letters} "
            "and fill in each row"
        )


_REMEDIES = {
    "formula": "hold a formula without a stored result; open the file in Excel and save it, or paste the values",
    "error": "hold an error such as #DIV/0! or #N/A; correct or empty them",
    "date": "hold dates, into which Excel turns a name such as 1-2; format the column as text, and enter them again",
    "digits": "hold numbers of more than 15 digits, of which Excel has rounded the last; enter them again as text",
}


def _kind_of_fault(cell: Cell | MergedCell, result: Cell | MergedCell, is_key: bool) -> str:
    if cell.data_type == "f" and result.value is None:
        return "formula"
    if result.data_type == "e":
        return "error"
    if is_key and isinstance(result.value, (datetime.date, datetime.time)):
        return "date"
    if is_key and isinstance(result.value, (int, float)) and abs(result.value) >= _MOST_EXACT:
        return "digits"
    return ""


def _listed(cells: list[str]) -> str:
    more = f" and {len(cells) - _SHOWN} more" if len(cells) > _SHOWN else ""
    return f"cells {', '.join(cells[:_SHOWN])}{more}"
