# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Labels from a table that a hospital keeps: CSV or xlsx, keyed by patient, study, series or SOP instance."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Protocol

import pandas as pd

from monai_ich.data.manifest_checks import INVISIBLE
from monai_ich.labels.label_cells import (
    Level,
    canonical_name,
    label_numbers,
    level_of_column,
    plain_cell,
    shapes_of,
    spoilt_names,
    zero_padded,
)
from monai_ich.labels.label_grids import (
    ID_LEVELS,
    LabelGrid,
    TableOptions,
    damage_refused_as_table,
    is_header,
    read_grid,
)
from monai_ich.labels.label_matching import LEVEL_WORDS, Labels, LabelTable
from monai_ich.labels.spreadsheet_cells import workbook_faults
from monai_ich.utils.errors import FaultList, ManifestError, did_you_mean
from monai_ich.utils.keys import LABEL_NAMES, is_label, labels_among

_HEADER_SEARCH = 20
_LEVELS: dict[str, Level] = {word: level for level, word in LEVEL_WORDS.items()}


class Tokens(Protocol):
    """What names are replaced by."""

    def token(self, kind: str, value: str) -> str:
        """The token of a name of a patient, study, series or instance."""


def read_labels(
    path: Path,
    pseudonyms: Tokens,
    columns: Mapping[str, str] | None = None,
    options: TableOptions | None = None,
) -> Labels:
    """Reads a table of labels; its names are turned into tokens at once.

    Args:
        path: text with commas, semicolons or tabs, or a workbook (`.xlsx`, `.xlsm`).
        pseudonyms: make the tokens.
        columns: marker or `label_<name>` -> the table's own column, for columns that are called otherwise.
        options: how the table is kept.

    Raises:
        ManifestError: with all faults: no key column or several, no label, cells that are no label, cells of a workbook
            that only look filled (`workbook_faults`), rows of one name that contradict each other. Faults name rows,
            never what stands in the key column.
    """
    options = options or TableOptions()
    with damage_refused_as_table(path):
        grid = read_grid(path, options)
        table = grid.table()
    if table.columns.has_duplicates:
        raise ManifestError(f"{path.name}: two columns have the same name; rename or remove one.")
    faults = FaultList(f"the labels {path.name} cannot be used:")
    level, key_column = _key_column(grid, options, faults)
    # without a key column the first row may be a patient's, so it is not shown
    its_columns = f"; it has {', '.join(table.columns)}" if key_column else ""
    sources = _label_columns(table, columns or {}, its_columns, faults)
    cells = {label: label_numbers(table[column], column, options.values, faults) for label, column in sources.items()}
    values = pd.DataFrame(cells, index=table.index)
    if "hospital" in table:
        sources = {**sources, "hospital": "hospital"}
    hospital = _hospital_cells(table["hospital"], faults) if "hospital" in table else None
    if key_column:
        spoilt_names(table[key_column], key_column, faults)
    if grid.sheet is not None:
        used = {n: name for n, name in enumerate(grid.names(), 1) if name in (key_column, *sources.values()) and name}
        key = next((number for number, name in used.items() if name == key_column), 0)
        with damage_refused_as_table(path):
            workbook_faults(grid.sheet, key, used, grid.header + 1, faults)
    faults.raise_if_any(ManifestError)
    names = table[key_column].map(partial(canonical_name, level=level))
    given = names != ""
    about = LabelTable(
        name=path.name,
        where=grid.where,
        key_column=key_column,
        sources=sources,
        unused=tuple(name for name in table.columns if name not in (key_column, *sources.values())),
        read=len(table),
        empty=int((~given).sum()),
        empty_but_labelled=tuple(int(row) for row in values.index[~given & values.notna().any(axis=1)]),
        shapes=tuple(shapes_of(names[given])),
        is_legacy=grid.is_legacy,
    )
    return _by_token(path, pseudonyms, level, table.loc[given, key_column], values[given], hospital, about)


def _by_token(
    path: Path,
    pseudonyms: Tokens,
    level: Level,
    keys: pd.Series,
    values: pd.DataFrame,
    hospital: pd.Series | None,
    about: LabelTable,
) -> Labels:
    """The labels with tokens in place of names, and the tokens of the names' other spellings."""
    tokens: list[str] = []
    exact: dict[str, tuple[str, ...]] = {}
    padded: dict[str, tuple[str, ...]] = {}
    for key in keys:
        name = canonical_name(key, level)
        token = pseudonyms.token(level, name)
        tokens.append(token)
        spellings = {plain_cell(key), key.strip()} - {name}
        exact[token] = (*exact.get(token, ()), *(pseudonyms.token(level, other) for other in sorted(spellings)))
        if level == "patient":
            padded[token] = tuple(pseudonyms.token(level, other) for other in zero_padded(name))
    index = pd.Index(tokens, dtype=str)
    sites = None if hospital is None else hospital[keys.index].set_axis(index)
    rows = pd.Series(keys.index, index=index)
    copies = dict(Counter(tokens))
    labels = Labels(
        level, values.set_axis(index, axis=0), sites, rows, copies=copies, exact=exact, padded=padded, table=about
    )
    return _one_row_a_name(labels, path)


def _key_column(grid: LabelGrid, options: TableOptions, faults: FaultList) -> tuple[Level, str]:
    """The level and the name of the column that names what a row is about; ("patient", "") and a fault without one."""
    names = [name for name in grid.names() if name]
    asked = _LEVELS.get(options.id_level)
    if options.id_column:
        column = plain_cell(options.id_column)
        level = asked or level_of_column(column)
        if column not in names:
            faults.add(f"it has no column {column!r} (--id-column) in row {grid.header + 1}{_elsewhere(grid, options)}")
        elif level is None:
            faults.add(f"column {column!r} (--id-column) may name anything; say what with --id-level {_OR}")
        else:
            return level, column
        return "patient", ""
    found = {name: level for name in names if (level := level_of_column(name)) and asked in (None, level)}
    if len(found) == 1:
        column, level = next(iter(found.items()))
        return level, column
    count = f"it has {len(found)} columns that name what a row is about"
    if found:
        faults.add(f"{count} ({', '.join(found)}); choose one with --id-level {_OR}, or with --id-column NAME")
    else:
        faults.add(
            f"{count} (none); expected one of PatientID, StudyInstanceUID, SeriesInstanceUID, SOPInstanceUID"
            f"{_elsewhere(grid, options)}. If it is called otherwise, say --id-column NAME --id-level {_OR}."
        )
    return "patient", ""


_OR = ", ".join(ID_LEVELS[:-1]) + f" or {ID_LEVELS[-1]}"


def _elsewhere(grid: LabelGrid, options: TableOptions) -> str:
    """A hint where another row among the first looks like the header."""
    rows = enumerate(grid.rows[:_HEADER_SEARCH], 1)
    found = [number for number, row in rows if number != grid.header + 1 and is_header(row, options)]
    return f"; row {found[0]} looks like the header (--header-row {found[0]})" if found else ""


def _label_columns(
    table: pd.DataFrame, columns: Mapping[str, str], its_columns: str, faults: FaultList
) -> dict[str, str]:
    own = {label: plain_cell(column) for label, column in columns.items()}
    sources = {column: column for column in labels_among(table.columns)} | own
    for label, column in own.items():
        if not is_label(label):
            faults.add(f"{label!r} is not a label; expected {LABEL_NAMES}")
        if column not in table:
            hint = did_you_mean(column, table.columns) if its_columns else ""
            faults.add(f"it has no column {column!r} for {label}{its_columns}{hint and '.'}{hint}")
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
    return replace(labels, cells=labels.cells[first], hospital=hospital, rows=labels.rows[first])
