# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""A manifest's cells: from the CSV's bytes to text, from any table to text, and from checked text to typed columns."""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from monai_ich.data.manifest_checks import COLUMNS, FIRST_DATA_ROW, ROWS_SHOWN, SLICE_COLUMNS, is_text
from monai_ich.utils.errors import FaultList, ManifestError, did_you_mean
from monai_ich.utils.keys import descriptions_among, labels_among


def text_frame(frame: pd.DataFrame) -> pd.DataFrame:
    """A manifest's cells as they are written: text, empty string where empty, indexed by row number in a spreadsheet.

    Numbers that are whole lose their `.0`; anything else is left for the checks to report.
    """
    rows = pd.RangeIndex(FIRST_DATA_ROW, FIRST_DATA_ROW + len(frame))
    return pd.DataFrame({name: _text_cells(frame[name]) for name in frame.columns}).set_axis(rows, axis=0)


def typed_frame(cells: pd.DataFrame) -> pd.DataFrame:
    """Checked text cells as a typed frame (see `Manifest.frame`)."""
    columns: dict[str, Any] = {}
    for name in written_columns(cells):
        if is_text(name):
            columns[name] = cells[name]
        elif name in SLICE_COLUMNS:
            columns[name] = pd.to_numeric(cells[name].where(cells[name] != "")).astype("Int64")
        else:
            columns[name] = cells[name].map({"0": 0.0, "1": 1.0}).astype(np.float32)
    return pd.DataFrame(columns).reset_index(drop=True)


def written_columns(frame: pd.DataFrame) -> list[str]:
    """A manifest's columns in their order: the schema's, further labels, attributes, and the pairs where there are."""
    return list(dict.fromkeys([*COLUMNS, *labels_among(frame.columns), *descriptions_among(frame.columns)]))


def _text_cells(column: pd.Series) -> pd.Series:
    types = pd.api.types
    whole = types.is_float_dtype(column.dtype) and bool((column.dropna() % 1 == 0).all())
    if whole or types.is_bool_dtype(column.dtype):
        column = column.astype("Int64")
    elif not types.is_numeric_dtype(column.dtype):
        column = column.map(_text_cell, na_action="ignore")
    return column.astype("string").fillna("").astype(str)


def _text_cell(value: object) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def whole_floats_as_numbers(cells: pd.DataFrame) -> pd.DataFrame:
    """Text cells of slices and labels, in which `3.0` became `3`; 0.5 stays, for the checks to refuse.

    pandas reads a column of whole numbers with empty cells as floats, and writes it so.
    """
    names = [name for name in (*SLICE_COLUMNS, *labels_among(cells.columns)) if name in cells]
    return cells.assign(**{name: cells[name].str.replace(r"^([0-9]+)\.0+$", r"\1", regex=True) for name in names})


def read_bytes(path: Path) -> bytes:
    """The CSV's bytes.

    Raises:
        ManifestError: there is no such file, and the message names the ones that are there; or it cannot be read.
    """
    try:
        check_is_there(path)
        return path.read_bytes()
    except OSError as error:
        raise ManifestError(f"{path} cannot be read ({error.strerror}); correct the path or its permissions") from error


def check_is_there(path: Path) -> None:
    """Raises ManifestError unless there is a file at `path`; the message names the CSV files that are there."""
    if path.is_file():
        return
    names = sorted(entry.name for entry in path.parent.glob("*.csv"))  # nothing where there is no such folder
    where = "this folder" if path.parent == Path() else str(path.parent)
    if names:
        advice = f"{where} holds {', '.join(names[:8])}.{did_you_mean(path.name, names)}"
    else:
        advice = f"{where} holds no CSV file; correct the path, or write a manifest (data_manifests/README.md)"
    raise ManifestError(f"no manifest at {path}; {advice}")


def read_cells(path: Path, data: bytes, faults: FaultList) -> pd.DataFrame:
    """The CSV's cells as text, indexed by row number; rows that are wholly empty are dropped.

    Raises:
        ManifestError: nothing can be read at all (empty file, not UTF-8, a quote that never ends).
    """
    content = data.removeprefix(codecs.BOM_UTF8)
    if not content.strip():
        raise ManifestError(f"{path} is empty; expected a header row with {', '.join(COLUMNS)}")
    if not content.partition(b"\n")[0].strip():
        raise ManifestError(f"{path} begins with an empty line; expected the header in row 1. Remove the line.")
    if b"\0" in data:
        # pandas would end a cell there
        raise ManifestError(f"{path} holds NUL bytes, as UTF-16 and spreadsheets do; export it again as 'CSV UTF-8'")
    try:
        data.decode("utf-8")
        header, widths_agree = _check_widths(data, faults)
        cells = _parse(data) if widths_agree else _parse_ragged(data, len(header))
    except UnicodeDecodeError as error:
        row = data.count(b"\n", 0, error.start) + 1
        byte = f"{data[error.start]:#04x}"
        raise ManifestError(f"{path} is not UTF-8 (row {row}, byte {byte}); export it again as 'CSV UTF-8'") from error
    except (csv.Error, pd.errors.ParserError) as error:
        raise ManifestError(f"{path} is not valid CSV: {error}; look for a quote that is not closed") from error
    cells.columns = pd.Index(header)  # pandas would rename a repeated column
    cells.index = pd.RangeIndex(FIRST_DATA_ROW, FIRST_DATA_ROW + len(cells))
    blank = (cells == "").all(axis=1)
    return cells.loc[~blank] if blank.any() else cells


def _parse(data: bytes) -> pd.DataFrame:
    # blank lines are kept until rows are numbered, or the numbers would not be those of the spreadsheet
    options: dict[str, Any] = {"dtype": str, "keep_default_na": False, "skip_blank_lines": False}
    return pd.read_csv(io.BytesIO(data), encoding="utf-8-sig", **options).fillna("")


def _parse_ragged(data: bytes, width: int) -> pd.DataFrame:
    """Rows cut or filled to the header's width, so that the faults of the other cells are found as well."""
    rows = [(row + [""] * width)[:width] for row in _csv_rows(data)]
    return pd.DataFrame(rows[1:], dtype=str)


def _csv_rows(data: bytes) -> Iterator[list[str]]:
    return csv.reader(io.TextIOWrapper(io.BytesIO(data), encoding="utf-8-sig", newline=""))


def _check_widths(data: bytes, faults: FaultList) -> tuple[list[str], bool]:
    """Adds a fault for rows with more or fewer cells than the header; returns the header and whether there are none."""
    rows = _csv_rows(data)
    header = next(rows)
    width = len(header)
    wrong = [(row, len(cells)) for row, cells in enumerate(rows, FIRST_DATA_ROW) if cells and len(cells) != width]
    for row, cells in wrong[:ROWS_SHOWN]:
        faults.add(f"row {row}: {cells} cells where the header has {width}; quote a cell that holds a comma")
    if len(wrong) > ROWS_SHOWN:
        faults.add(f"... and {len(wrong) - ROWS_SHOWN} more rows with a wrong number of cells")
    return header, not wrong
