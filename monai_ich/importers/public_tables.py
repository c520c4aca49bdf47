# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Reads the table of a public set, and refuses what is not the table of the release."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from monai_ich.importers.label_tables import CSV_ERRORS, even_rows
from monai_ich.utils.errors import ConfigurationError

REMEDY = "Take the table of the release."


def read_public_table(path: Path, columns: Sequence[str], dtype: Any = None) -> pd.DataFrame:
    """The columns asked for, without rows that are there twice.

    Raises:
        ConfigurationError: there is no such file, it is no CSV in UTF-8, or columns are missing.
    """
    if not path.is_file():
        raise ConfigurationError(f"{path} is not a file. {REMEDY}")
    try:
        with even_rows():
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
