# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Labels from a table that a hospital keeps: CSV or xlsx, keyed by patient, study, series or SOP instance."""

from __future__ import annotations

import contextlib
import csv
import io
import re
import struct
import warnings
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from openpyxl.utils.exceptions import InvalidFileException

from monai_ich.data.manifest_checks import INVISIBLE
from monai_ich.importers.pseudonyms import Pseudonyms
from monai_ich.importers.spreadsheet_cells import workbook_faults
from monai_ich.utils.errors import FaultList, ManifestError
from monai_ich.utils.keys import LABEL_NAMES, is_label, labels_among

Level = Literal["patient", "study", "series", "instance"]
POSITIVES = ("blood", "all")

# Column names, letters only in lower case, that name a level.
_KEY_COLUMNS: dict[str, Level] = {
    **dict.fromkeys(("patientid", "patient"), "patient"),
    **dict.fromkeys(("studyinstanceuid", "studyuid"), "study"),
    **dict.fromkeys(("seriesinstanceuid", "seriesuid"), "series"),
    **dict.fromkeys(("sopinstanceuid", "sopuid", "instanceuid"), "instance"),
}
_CELLS = {"": np.nan, "nan": np.nan, "0": 0.0, "no": 0.0, "false": 0.0, "1": 1.0, "yes": 1.0, "true": 1.0}
_FIRST_ROW = 2
WORKBOOKS = (".xlsx", ".xlsm")

# What pandas raises on a file that is no CSV of the columns and types asked for, and openpyxl on a damaged workbook.
CSV_ERRORS = (OSError, ValueError, TypeError, OverflowError, csv.Error, pd.errors.ParserError, pd.errors.ParserWarning)
_BOOK_ERRORS = (
    *(zipfile.BadZipFile, zlib.error, LookupError, AttributeError, SyntaxError, EOFError, RuntimeError),
    *(NotImplementedError, InvalidFileException, struct.error),
)


@dataclass(frozen=True, eq=False)
class Labels:
    """Labels by name.

    Attributes:
        level: what a row is about.
        cells: float64, one row a name, indexed by its token; a column for each marker or `label_<name>`; NaN unknown.
        hospital: text, indexed alike; None when the table has no such column.
        rows: row number in the spreadsheet, indexed alike.
    """

    level: Level
    cells: pd.DataFrame
    hospital: pd.Series | None
    rows: pd.Series


def read_labels(path: Path, pseudonyms: Pseudonyms, columns: Mapping[str, str] | None = None) -> Labels:
    """Reads a table of labels; its names are turned into tokens at once.

    Args:
        path: `.csv` (comma, semicolon or tab; UTF-8) or `.xlsx` (the first sheet).
        pseudonyms: make the tokens.
        columns: marker or `label_<name>` -> the table's own column, for columns that are called otherwise.

    Raises:
        ManifestError: with all faults: no key column or several, no label, cells that are no label, cells of a workbook
            that only look filled (`workbook_faults`), rows of one name that contradict each other. Faults name rows,
            never what stands in the key column.
    """
    table = _read_table(path)
    faults = FaultList(f"the labels {path.name} cannot be used:")
    level, key_column = _key_column(table, faults)
    # without a key column the first row may be a patient's, so it is not shown
    its_columns = f"; it has {', '.join(table.columns)}" if key_column else ""
    sources = _label_columns(table, columns or {}, its_columns, faults)
    values = pd.DataFrame(
        {label: _label_cells(table[column], column, faults) for label, column in sources.items()},
        index=table.index,
    )
    hospital = _hospital_cells(table["hospital"], faults) if "hospital" in table else None
    if path.suffix.lower() in WORKBOOKS:
        with _damage_refused(path):
            workbook_faults(path, {key_column, "hospital", *sources.values()}, faults)
    faults.raise_if_any(ManifestError)
    keys = table[key_column].str.strip()
    given = keys != ""
    tokens = keys[given].map(lambda key: pseudonyms.token(level, key))
    frame = values[given].set_axis(pd.Index(tokens), axis=0)
    sites = None if hospital is None else hospital[given].set_axis(pd.Index(tokens))
    rows = pd.Series(table.index[given], index=pd.Index(tokens))
    return _one_row_a_name(Labels(level, frame, sites, rows), path)


def apply_labels(frame: pd.DataFrame, labels: Labels, positives: str) -> tuple[pd.DataFrame, int]:
    """Fills the labels into a table of slices.

    A label of a whole study (series, patient) says that *some* slice shows the marker. Its 0 holds for every slice; its
    1 holds for the slices with blood in their mask, and 0 for those with an empty mask; slices without a mask stay
    unknown. `positives="all"` gives the 1 to every slice instead.

    Args:
        frame: one row a slice, with a token column for each level, and `blood` (1, 0, NaN without a mask).
        labels: the labels.
        positives: which slices of a positive study are positive.

    Returns:
        A new table with label columns, and the number of labels that stayed unknown for want of a mask.
    """
    spread = labels.cells.reindex(frame[labels.level]).set_axis(frame.index, axis=0)
    unknown = 0
    if labels.level != "instance" and positives == "blood":
        for name in spread:
            positive = spread[name] == 1
            unknown += int((positive & frame["blood"].isna()).sum())
            spread[name] = spread[name].mask(positive, frame["blood"])
    return frame.assign(**{name: spread[name] for name in spread}), unknown


def unused_rows(frame: pd.DataFrame, labels: Labels) -> list[int]:
    """The rows, in the spreadsheet, whose name no slice of the table has."""
    return [int(row) for row in labels.rows[~labels.rows.index.isin(frame[labels.level])]]


@contextlib.contextmanager
def even_rows() -> Iterator[None]:
    """Within it, `read_csv(index_col=False)` refuses rows that are longer than the header.

    By default pandas takes their first cell for a row name, and every other cell moves one column to the left.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.ParserWarning)
        yield


@contextlib.contextmanager
def _damage_refused(path: Path) -> Iterator[None]:
    """Turns what pandas and openpyxl raise on a damaged file into ManifestError."""
    try:
        yield
    except (*CSV_ERRORS, *_BOOK_ERRORS) as error:
        raise ManifestError(
            f"{path.name} cannot be read as a table ({type(error).__name__}); expected CSV in UTF-8 with a header row "
            "and no row longer than it, or .xlsx. Save it again as 'CSV UTF-8' or as an Excel workbook."
        ) from None  # the cause quotes cells


def _read_table(path: Path) -> pd.DataFrame:
    """All cells as text, indexed by row number in a spreadsheet."""
    if not path.is_file():
        raise ManifestError(f"{path}: no such table of labels; correct the path")
    with _damage_refused(path):
        if path.suffix.lower() in WORKBOOKS:
            table = pd.read_excel(path, dtype=str, keep_default_na=False)
        else:
            text = path.read_bytes().decode("utf-8-sig")
            dialect = csv.Sniffer().sniff(text.partition("\n")[0] + "\n", delimiters=",;\t")
            options: dict[str, Any] = {"sep": dialect.delimiter, "dtype": str, "keep_default_na": False}
            with even_rows():
                table = pd.read_csv(io.StringIO(text), index_col=False, **options)
    table.columns = pd.Index([str(name).strip() for name in table.columns])
    if table.columns.has_duplicates:
        raise ManifestError(f"{path.name}: two columns have the same name; rename or remove one.")
    table.index = pd.RangeIndex(_FIRST_ROW, _FIRST_ROW + len(table))
    return table.fillna("").astype(str)


def _key_column(table: pd.DataFrame, faults: FaultList) -> tuple[Level, str]:
    found = {
        column: _KEY_COLUMNS[plain]
        for column in table.columns
        if (plain := re.sub(r"[^a-z]", "", str(column).lower())) in _KEY_COLUMNS
    }
    if len(found) != 1:
        faults.add(
            f"it has {len(found)} columns that name what a row is about ({', '.join(found) or 'none'}); expected one "
            "of PatientID, StudyInstanceUID, SeriesInstanceUID, SOPInstanceUID. Rename or remove columns."
        )
        return "patient", ""
    column, level = next(iter(found.items()))
    return level, column


def _label_columns(
    table: pd.DataFrame, columns: Mapping[str, str], its_columns: str, faults: FaultList
) -> dict[str, str]:
    sources = {column: column for column in labels_among(table.columns)} | dict(columns)
    for label, column in columns.items():
        if not is_label(label):
            faults.add(f"{label!r} is not a label; expected {LABEL_NAMES}")
        if column not in table:
            faults.add(f"it has no column {column!r} for {label}{its_columns}")
    if not sources and "hospital" not in table:
        faults.add(
            f"no column holds labels: expected {LABEL_NAMES}{its_columns}. Name columns with --column marker=column."
        )
    return {label: column for label, column in sources.items() if column in table}


def _hospital_cells(cells: pd.Series, faults: FaultList) -> pd.Series:
    """Without blanks at the ends. A stray quote makes one cell of many lines, so a wrong one is not shown."""
    plain = cells.str.strip()
    wrong = plain[plain.str.contains(INVISIBLE, regex=True)]
    if len(wrong):
        faults.add(
            f"column hospital: {len(wrong)} cells hold line breaks or invisible characters (row {wrong.index[0]} "
            "first); expected a name. Look for a stray quote before that row, and save the table again."
        )
    return plain


def _label_cells(cells: pd.Series, column: str, faults: FaultList) -> pd.Series:
    plain = cells.str.strip().str.lower().str.replace(r"\.0$", "", regex=True)
    wrong = plain[~plain.isin(list(_CELLS))]
    if len(wrong):
        rows = ", ".join(map(str, wrong.index[:5]))
        faults.add(
            f"column {column!r}, row {rows}: {len(wrong)} cells are not labels; expected 0, 1 or empty (unknown)"
        )
    return plain.map(_CELLS).astype(float)


def _one_row_a_name(labels: Labels, path: Path) -> Labels:
    """Drops repeated rows that say the same."""
    names = labels.cells.index
    if not names.has_duplicates:
        return labels
    filled = labels.cells.assign(hospital="" if labels.hospital is None else labels.hospital.to_numpy())
    distinct = filled.assign(name=names).drop_duplicates()["name"]
    differs = distinct[distinct.duplicated()].unique()
    if len(differs):
        rows = labels.rows[names.isin(differs)]
        raise ManifestError(
            f"{path.name}: rows {', '.join(map(str, rows[:10]))} name the same {labels.level} and contradict each "
            f"other ({len(differs)} such names); keep one row of each."
        )
    first = ~names.duplicated()
    hospital = None if labels.hospital is None else labels.hospital[first]
    return Labels(labels.level, labels.cells[first], hospital, labels.rows[first])
