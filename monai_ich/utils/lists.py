# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Lists as they are given on a command line."""

from __future__ import annotations

import csv

from monai_ich.utils.errors import ConfigurationError, shown


def comma_list(text: str) -> list[str]:
    """The names in a text, separated by commas; one that holds a comma itself stands in double quotes, as in a CSV.

    Raises:
        ConfigurationError: a quote is not closed, or something follows it.

    >>> comma_list('5, 6,"Inselspital, Bern"')
    ['5', '6', 'Inselspital, Bern']
    """
    try:
        rows = list(csv.reader([text], skipinitialspace=True, strict=True))
    except csv.Error as error:
        raise ConfigurationError(
            f'expected names separated by commas, each that holds a comma in double quotes, such as 5,"6, Bern"; '
            f"got {shown(text)} ({error})"
        ) from error
    return [name.strip() for row in rows for name in row if name.strip()]
