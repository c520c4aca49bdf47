# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""A table of labels as it stands, before anything in it is understood: its rows as text, and which is the header."""

from __future__ import annotations

import contextlib
import csv
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pandas as pd
from openpyxl.utils.exceptions import InvalidFileException

from monai_ich.labels.delimited_text import DELIMITERS, text_rows
from monai_ich.labels.label_cells import level_of_column, plain_cell
from monai_ich.labels.label_matching import LEVEL_WORDS
from monai_ich.labels.spreadsheet_cells import WorkbookSheet, open_sheet
from monai_ich.labels.table_encodings import decode_table
from monai_ich.utils.errors import FaultList, ManifestError

WORKBOOKS = (".xlsx", ".xlsm")
ID_LEVELS = tuple(LEVEL_WORDS.values())
_SEPARATOR_LINE = re.compile(r'\s*"?sep=.?"?\s*')  # what Excel puts before the header to name the delimiter
_OLD_WORKBOOK, _ZIP = b"\xd0\xcf\x11\xe0", b"PK\x03\x04"

# What openpyxl raises on a damaged workbook, and csv on a file that is no table.
_DAMAGE = (
    *(OSError, ValueError, TypeError, OverflowError, csv.Error, zipfile.BadZipFile, zlib.error, LookupError),
    *(AttributeError, SyntaxError, EOFError, RuntimeError, NotImplementedError, InvalidFileException, struct.error),
)


@dataclass(frozen=True)
class TableOptions:
    """How a table of labels is kept, where that does not go without saying.

    Attributes:
        id_column: the column that names what a row is about; empty: the one that is called as in DICOM.
        id_level: what it names, one of `ID_LEVELS`; empty: what a column of that name is in DICOM.
        header_row: number of the header row in a spreadsheet, from 1; 0 for the first row with anything in it.
        sheet: title of a workbook's sheet; empty for the first one.
        values: further texts -> 1.0, 0.0 or NaN (unknown), see `parse_values`.
        encoding: of a CSV, as Python names it; empty to find it.
    """

    id_column: str = ""
    id_level: str = ""
    header_row: int = 0
    sheet: str = ""
    values: Mapping[str, float] = field(default_factory=dict)
    encoding: str = ""

    def add_faults(self, has_table: bool, faults: FaultList) -> None:
        """Adds what is wrong with the options themselves."""
        if not has_table and self != TableOptions():
            faults.add("options say how the table of labels is kept, but no table is given (--labels)")
        if self.id_level not in ("", *ID_LEVELS):
            faults.add(f"id_level is {self.id_level!r}; expected one of {', '.join(ID_LEVELS)}")
        if self.header_row < 0:
            faults.add(f"header_row is {self.header_row}; expected the number of a row, from 1")


@dataclass(frozen=True, eq=False)
class LabelGrid:
    """A table as it stands: all rows as text, the header among them."""

    rows: list[list[str]]
    header: int  # place in `rows`
    where: str
    sheet: WorkbookSheet | None = None
    is_legacy: bool = False

    def names(self) -> list[str]:
        return [plain_cell(name) for name in self.rows[self.header]]

    def table(self) -> pd.DataFrame:
        """The rows that hold anything, indexed by row number in a spreadsheet; columns without a name are left out."""
        names = self.names()
        numbered = [(n, row) for n, row in enumerate(self.rows[self.header + 1 :], self.header + 2) if any(_plain(row))]
        cells = [(row + [""] * len(names))[: len(names)] for _, row in numbered]
        table = pd.DataFrame(cells, index=pd.Index([n for n, _ in numbered], dtype=int), columns=names, dtype=str)
        return table.loc[:, [name != "" for name in names]]


def read_grid(path: Path, options: TableOptions) -> LabelGrid:
    if not path.is_file():
        raise ManifestError(f"{path}: no such table of labels; correct the path")
    if path.suffix.lower() in WORKBOOKS:
        if options.encoding:
            raise ManifestError(f"{path.name} is a workbook, which has no --encoding; leave it out")
        sheet = open_sheet(path, options.sheet)
        grid = _with_header(sheet.rows(), options, path)
        where = f"sheet {sheet.title!r}, header in row {grid.header + 1}"
        return LabelGrid(grid.rows, grid.header, where, sheet)
    if options.sheet:
        raise ManifestError(f"{path.name} is no workbook ({', '.join(WORKBOOKS)}), so it has no --sheet; leave it out")
    data = path.read_bytes()
    if data.startswith((_OLD_WORKBOOK, _ZIP)):
        raise ManifestError(
            f"{path.name} cannot be read as a table: it is a workbook. Save it as an Excel workbook (.xlsx), and keep "
            "that suffix."
        )
    text, encoding = decode_table(data, path.name, options.encoding)
    first = options.header_row or _first_filled(text.splitlines())
    rows, delimiter = text_rows(text, path.name, first, partial(is_header, options=options))
    grid = _with_header(rows, options, path)
    width = len(grid.rows[grid.header])
    longer = [number for number, row in enumerate(rows, 1) if number > grid.header + 1 and len(row) > width]
    if longer:
        raise ManifestError(
            f"{path.name} cannot be read as a table: row {longer[0]} has {len(rows[longer[0] - 1])} cells, and the "
            f"header in row {grid.header + 1} has {width} ({len(longer)} such rows). Quote cells that hold the "
            "delimiter, or say where the header is with --header-row."
        )
    where = f"{encoding}, {DELIMITERS[delimiter]}, header in row {grid.header + 1}"
    return LabelGrid(rows, grid.header, where, is_legacy=not options.encoding and not encoding.startswith("utf"))


def _with_header(rows: list[list[str]], options: TableOptions, path: Path) -> LabelGrid:
    header = (options.header_row or _first_filled(["".join(row) for row in rows])) - 1
    if header >= len(rows):
        raise ManifestError(f"{path.name} has {len(rows)} rows, so none is the header row {header + 1}; correct it")
    return LabelGrid(rows, header, "")


def _first_filled(lines: Sequence[str]) -> int:
    """Number from 1 of the first line with anything of the table in it."""
    filled = (number for number, line in enumerate(lines, 1) if line.strip() and not _SEPARATOR_LINE.fullmatch(line))
    return next(filled, 1)


def _plain(row: Sequence[str]) -> list[str]:
    return [cell.strip() for cell in row]


def is_header(cells: Sequence[str], options: TableOptions) -> bool:
    names = [plain_cell(cell) for cell in cells]
    if options.id_column:
        return plain_cell(options.id_column) in names
    return any(level_of_column(name) for name in names)


@contextlib.contextmanager
def damage_refused_as_table(path: Path) -> Iterator[None]:
    """Turns what csv and openpyxl raise on a damaged file into ManifestError."""
    try:
        yield
    except _DAMAGE as error:
        raise ManifestError(
            f"{path.name} cannot be read as a table ({type(error).__name__}); expected CSV with a header row and no "
            "row longer than it, or .xlsx. Save it again as 'CSV UTF-8' or as an Excel workbook."
        ) from None  # the cause quotes cells
