# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Cells of a table of labels: one spelling of names and values, and in which other spellings a name may be stored."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

import numpy as np
import pandas as pd

from monai_ich.data.manifest_checks import INVISIBLE
from monai_ich.utils.errors import ConfigurationError, FaultList
from monai_ich.utils.lists import comma_list

Level = Literal["patient", "study", "series", "instance"]
_ROWS_SHOWN = 5
# A name of the type LO (PS3.5 6.2) may be longer; no hospital numbers its patients with more digits.
_MOST_DIGITS = 20
_SHAPE_PARTS = 6

# Column names, letters only in lower case, that name a level.
_KEY_COLUMNS: dict[str, Level] = {
    **dict.fromkeys(("patientid", "patient"), "patient"),
    **dict.fromkeys(("studyinstanceuid", "studyuid"), "study"),
    **dict.fromkeys(("seriesinstanceuid", "seriesuid"), "series"),
    **dict.fromkeys(("sopinstanceuid", "sopuid", "instanceuid"), "instance"),
}
_VALUES = {"": np.nan, "nan": np.nan, "0": 0.0, "no": 0.0, "false": 0.0, "1": 1.0, "yes": 1.0, "true": 1.0}
_MEANINGS = {"": np.nan, "0": 0.0, "1": 1.0}


def plain_cell(text: str) -> str:
    """A cell in one spelling: full-width letters as ASCII ones, no blanks at the ends, nothing invisible.

    What spreadsheets put around text that looks like a number is taken off.

    >>> plain_cell(" １２３\\u3000"), plain_cell('="0012"'), plain_cell("'0012")
    ('123', '0012', '0012')
    """
    plain = unicodedata.normalize("NFKC", text).strip()
    plain = re.sub(INVISIBLE, "", re.sub(r"\s+", " ", plain)).strip()
    return re.sub(r'^="(.*)"$|^\'(?=\w+$)', r"\1", plain)


def level_of_column(name: str) -> Level | None:
    """What a column stands for, by the name that it has in DICOM; None for any other column.

    >>> level_of_column("Patient ID"), level_of_column("患者ID")
    ('patient', None)
    """
    plain = re.sub(r"[^a-z]", "", name.lower())
    return _KEY_COLUMNS.get(plain)


def canonical_name(text: str, level: Level) -> str:
    """The name of a patient, study, series or slice in one spelling; a number is written without decimals.

    >>> canonical_name("１２３４５.0", "patient"), canonical_name("1.2.0", "study")
    ('12345', '1.2.0')
    """
    plain = plain_cell(text)
    return re.sub(r"^([0-9]+)\.0+$", r"\1", plain) if level == "patient" else plain


def zero_padded(name: str) -> Iterator[str]:
    """A number with more or fewer leading zeros, which spreadsheets drop; nothing for a name that is no number.

    >>> list(zero_padded("012"))[:3]
    ['12', '0012', '00012']
    """
    if re.fullmatch(r"[0-9]+", name) and len(name) <= _MOST_DIGITS:
        digits = name.lstrip("0") or "0"
        yield from (padded for n in range(len(digits), _MOST_DIGITS + 1) if (padded := digits.zfill(n)) != name)


def shape_of(text: str) -> str:
    """What a name looks like, without what it is: it may be printed where the name may not.

    >>> shape_of("0012345"), shape_of("MRN-12"), shape_of("1.2.840.113619.2.55")
    ('7 digits, first 0', '3 letters, "-", 2 digits', 'UID of 19 characters')
    """
    if re.fullmatch(r"[0-9]+(\.[0-9]+){3,}", text):
        return f"UID of {len(text)} characters"
    runs = re.findall(r"[0-9]+|[^\W\d_]+|.", text, flags=re.DOTALL)
    if not text or len(runs) > _SHAPE_PARTS:
        return f"{len(text)} characters" if text else "empty"
    return ", ".join(map(_shape_of_run, runs))


def parse_values(pairs: str) -> dict[str, float]:
    """`"有=1,無=0"` -> `{"有": 1.0, "無": 0.0}`; an empty side after the `=` means unknown.

    Raises:
        ConfigurationError: with all pairs that are none, that name a value twice, or that give an empty cell a meaning.
    """
    faults = FaultList("values cannot be used:")
    values: dict[str, float] = {}
    for pair in comma_list(pairs):
        text, equals, meaning = pair.rpartition("=")
        value, number = _value_key(text), plain_cell(meaning)
        if not equals or number not in _MEANINGS:
            faults.add(f"{pair!r} is not text=0, text=1 or text= (unknown)")
        elif value in values:
            faults.add(f"{text!r} is given twice")
        elif not value:
            faults.add(f"{pair!r} gives empty cells a meaning; they are unknown. Fill them in in the table.")
        else:
            values[value] = _MEANINGS[number]
    faults.raise_if_any(ConfigurationError)
    return values


def label_numbers(cells: pd.Series, column: str, values: Mapping[str, float], faults: FaultList) -> pd.Series:
    """A column's labels as 1.0, 0.0 and NaN (unknown).

    Args:
        cells: text, indexed by row number.
        column: its name.
        values: what further texts mean, from `parse_values`. Where they give a known text another meaning (as
            `1=0,2=1` does), no text is known but theirs: a 0 beside such codes may mean anything.
        faults: gets the rows whose cells are no labels; what stands in them is not shown.
    """
    values = {_value_key(text): value for text, value in values.items()}
    differs = any(text in _VALUES and _VALUES[text] != value for text, value in values.items())
    known = {"": np.nan, **({} if differs else _VALUES), **values}
    plain = cells.map(_value_key)
    wrong = plain[~plain.isin(list(known))]
    if len(wrong):
        rows = ", ".join(map(str, wrong.index[:_ROWS_SHOWN]))
        expected = "one of those of --values" if differs else "0, 1"
        faults.add(
            f"column {column!r}, row {rows}: {len(wrong)} cells are not labels; expected {expected} or empty "
            '(unknown). Say what other texts mean with --values "TEXT=1,TEXT=0"'
        )
    return plain.map(known).astype(float)


def spoilt_names(cells: pd.Series, column: str, faults: FaultList) -> None:
    """Adds a fault for names that a spreadsheet has rounded: 1.23457E+11 is no longer any one patient's number."""
    rounded = cells[cells.map(plain_cell).str.fullmatch(r"[0-9]+([.,][0-9]+)?[eE]\+?[0-9]+")]
    if len(rounded):
        faults.add(
            f"column {column!r}, row {', '.join(map(str, rounded.index[:_ROWS_SHOWN]))}: {len(rounded)} cells hold "
            "rounded numbers such as 1.2E+11, whose digits are lost; export the column again as text"
        )


def _value_key(text: str) -> str:
    return re.sub(r"^([0-9]+)\.0+$", r"\1", plain_cell(text).casefold())


def _shape_of_run(run: str) -> str:
    if run[0].isdigit() and run.isascii():
        return f"{len(run)} digits{', first 0' if run[0] == '0' else ''}"
    if run[0].isalpha():
        return f"{len(run)} {'' if run.isascii() else 'wide or accented '}letters"
    return f'"{run}"'


def shapes_of(names: Sequence[str], most: int = 3) -> list[str]:
    """The shapes of some names, each once, at most `most`."""
    return list(dict.fromkeys(map(shape_of, names)))[:most]
