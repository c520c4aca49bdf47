# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""What is checked and said of the rows of all series together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from monai_ich.importers.assembly import SERIES_FILE, Card
from monai_ich.importers.item_records import Refusal
from monai_ich.importers.series_attributes import SERIES_ATTRIBUTES
from monai_ich.importers.series_item import SeriesItem
from monai_ich.importers.series_reading import RESAMPLED


def without_unknown(frame: pd.DataFrame) -> pd.DataFrame:
    """The table without the attributes that no series states."""
    return frame.drop(columns=[name for name in SERIES_ATTRIBUTES if (frame[name].fillna("") == "").all()])


def with_resampled(card: Card, notes: Sequence[str], series: Sequence[dict[str, Any]]) -> tuple[Card, Sequence[str]]:
    """Says in the card's description, which later splits keep, and in a note, how many masks were resampled."""
    resampled = [one["annotated"] for one in series if one["mask_grid"] == RESAMPLED]
    if not resampled:
        return card, notes
    what = f"The masks of {len(resampled)} series ({sum(resampled)} slices) were drawn on another grid and resampled"
    note = f"{what}: look at some of them. {SERIES_FILE} names them, in column mask_grid."
    return replace(card, description=f"{card.description} {what} onto the slices.".strip()), [*notes, note]


def clash_of(
    item: SeriesItem, rows: Sequence[dict[str, Any]], shapes: dict[tuple[str, str], tuple[int, ...]]
) -> Refusal | None:
    """Slices of one study in one folder are read together, so they must have one size."""
    for row in rows:
        if row["image_slice"] is None:
            place = (item.study, row["image"].rpartition("/")[0])
            shape = tuple(row["shape"])
            if shapes.setdefault(place, shape) != shape:
                reason = f"its slices have another size {shape} than another series of the study in the same folder"
                remedy = "Separate the series, or give files names of their own with --files link."
                return Refusal(f"series {item.series}", len(rows), reason, remedy)
    return None
