# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""The counts of each split, as a manifest's card holds them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from monai_ich.utils.keys import MARKERS


def protocol_counts(frame: pd.DataFrame, markers: Sequence[str] = MARKERS) -> dict[str, dict[str, Any]]:
    """Counts of each split, in order of appearance, as a manifest's card holds them.

    Returns:
        `{split: {"slices", "patients", "annotated", "positives": {marker: n}}}`; `annotated` counts the slices with a
        mask, also an all-zero one.
    """
    counts: dict[str, dict[str, Any]] = {}
    for name in frame["split"].unique():
        rows = frame[frame["split"] == name]
        counts[str(name)] = {
            "slices": len(rows),
            "patients": int(rows["patient_id"].nunique()),
            "annotated": int((rows["mask"].fillna("") != "").sum()),
            "positives": {marker: int((pd.to_numeric(rows[marker]) == 1).sum()) for marker in markers},
        }
    return counts
