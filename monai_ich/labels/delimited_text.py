# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Rows of a table that is kept as text: commas, semicolons or tabs, whichever its header row is separated by."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence

from monai_ich.utils.errors import ManifestError

DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab"}
# Stands alone in the last row, unless a quote swallows it.
_END = "\x00end of the table"


def text_rows(
    text: str, name: str, header_row: int, is_header: Callable[[Sequence[str]], bool]
) -> tuple[list[list[str]], str]:
    """All rows of a table, and the delimiter.

    The delimiter is the one with which the header row is a header. If there is none, it is the one that gives most
    cells.

    Args:
        text: the table.
        name: of the file, for the messages.
        header_row: number of the header row, from 1.
        is_header: whether some cells are those of the header.

    Raises:
        ManifestError: a quote is never closed.
    """
    read = {delimiter: _rows(text, delimiter) for delimiter in DELIMITERS}
    headers = {delimiter: rows[header_row - 1] for delimiter, rows in read.items() if len(rows) >= header_row}
    fitting = [delimiter for delimiter, cells in headers.items() if is_header(cells)]
    most = sorted(headers, key=lambda delimiter: -len(headers[delimiter]))
    delimiter = (fitting or most or list(DELIMITERS))[0]
    rows = read[delimiter]
    if rows[-1:] != [[_END]]:
        raise ManifestError(
            f"{name} cannot be read as a table: a quote is opened in row {len(rows)} or before and never closed. Look "
            "for a stray quote, and save the table again."
        )
    return rows[:-1], delimiter


def _rows(text: str, delimiter: str) -> list[list[str]]:
    ends = "" if text.endswith(("\n", "\r")) or not text else "\n"
    return list(csv.reader(io.StringIO(f"{text}{ends}{_END}", newline=""), delimiter=delimiter))
