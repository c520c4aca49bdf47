# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Which labels of a table are known, and what to say where the one asked for is not."""

from __future__ import annotations

import pandas as pd

from monai_ich.utils.keys import labels_among


def is_empty(cells: pd.Series) -> pd.Series:
    """Whether each cell is missing or an empty text: bool (rows,)."""
    return cells.isna() | (cells.astype("string").fillna("") == "")


def known_labels(frame: pd.DataFrame) -> list[str]:
    """The labels that are known in at least one row."""
    return [name for name in labels_among(frame.columns) if not is_empty(frame[name]).all()]


def nowhere_known(frame: pd.DataFrame, label: str) -> str:
    """What to say of a label, a column of the table, that is unknown in every row; "" where it is known in some.

    >>> nowhere_known(pd.DataFrame({"hypodensity": ["", ""], "label_subdural": ["0", "1"]}), "hypodensity")
    'hypodensity is unknown in all 2 rows; known in some are label_subdural. Choose one of them as the marker.'
    """
    known = known_labels(frame)
    if label in known:
        return ""
    remedy = (
        f"; known in some are {', '.join(known)}. Choose one of them as the marker."
        if known
        else ", and so is every other label. Fill in one of them."
    )
    return f"{label} is unknown in all {len(frame)} rows{remedy}"
