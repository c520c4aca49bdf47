# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""The counts of each split, as a manifest's card holds them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from monai_ich.utils.keys import labels_among


def protocol_counts(frame: pd.DataFrame, labels: Sequence[str] | None = None) -> dict[str, dict[str, Any]]:
    """Counts of each split, in order of appearance, as a manifest's card holds them.

    Args:
        frame: a manifest's rows.
        labels: the labels whose positives are counted; all that the frame holds if not given.

    Returns:
        `{split: {"slices", "patients", "annotated", "positives": {label: n}}}`; `annotated` counts the slices with a
        mask, also an all-zero one.
    """
    labels = labels_among(frame.columns) if labels is None else labels
    counts: dict[str, dict[str, Any]] = {}
    for name in frame["split"].unique():
        rows = frame[frame["split"] == name]
        counts[str(name)] = {
            "slices": len(rows),
            "patients": int(rows["patient_id"].nunique()),
            "annotated": int((rows["mask"].fillna("") != "").sum()),
            "positives": {label: int((pd.to_numeric(rows[label]) == 1).sum()) for label in labels},
        }
    return counts
