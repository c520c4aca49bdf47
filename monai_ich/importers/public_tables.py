# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Reads the table of a public set, and refuses what is not the table of the release."""

from __future__ import annotations

import contextlib
import csv
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from monai_ich.utils.errors import ConfigurationError

REMEDY = "Take the table of the release."

# What pandas raises on a file that is no CSV of the columns and types asked for.
CSV_ERRORS = (OSError, ValueError, TypeError, OverflowError, csv.Error, pd.errors.ParserError, pd.errors.ParserWarning)


def read_public_table(path: Path, columns: Sequence[str], dtype: Any = None) -> pd.DataFrame:
    """The columns asked for, without rows that are there twice.

    Raises:
        ConfigurationError: there is no such file, it is no CSV in UTF-8, or columns are missing.
    """
    if not path.is_file():
        raise ConfigurationError(f"{path} is not a file. {REMEDY}")
    try:
        with _even_rows():
            table = pd.read_csv(path, dtype=dtype, index_col=False)
    except CSV_ERRORS as error:
        raise ConfigurationError(
            f"{path.name} cannot be read as a table ({type(error).__name__}); expected CSV in UTF-8 with the columns "
            f"{', '.join(columns[:6])}. {REMEDY}"
        ) from error
    missing = [column for column in columns if column not in table]
    if missing:
        raise ConfigurationError(f"{path.name} lacks the columns {', '.join(missing[:6])}. {REMEDY}")
    return table[list(columns)].drop_duplicates()


def whole_numbers(frame: pd.DataFrame, columns: Sequence[str], path: Path, most: int) -> pd.DataFrame:
    """The columns as int64.

    Raises:
        ConfigurationError: cells are no whole numbers from 0 to `most`.
    """
    # as text, since pandas does not turn a whole number of 400 digits, once it is one, into infinity
    numbers = frame[list(columns)].astype(str).apply(pd.to_numeric, errors="coerce").astype(float)
    fit = numbers.ge(0) & numbers.le(most) & (np.floor(numbers) == numbers)
    wrong = ~fit.all(axis=1)
    if wrong.any():
        names = [column for column in columns if not fit[column].all()]
        raise ConfigurationError(
            f"{path.name}: {int(wrong.sum())} rows hold something else than whole numbers from 0 to {most} in "
            f"{', '.join(names[:6])}. {REMEDY}"
        )
    return numbers.astype("int64")


@contextlib.contextmanager
def _even_rows() -> Iterator[None]:
    """Within it, `read_csv(index_col=False)` refuses rows that are longer than the header.

    By default pandas takes their first cell for a row name, and every other cell moves one column to the left.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.ParserWarning)
        yield
