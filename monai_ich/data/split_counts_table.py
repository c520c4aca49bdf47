# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""The table of a manifest's splits that commands print."""

from __future__ import annotations

import pandas as pd
from rich.markup import escape
from rich.table import Table

from monai_ich.data.splits.counts import protocol_counts
from monai_ich.data.splits.outcome import shared_patients
from monai_ich.data.splits.protocol_rows import in_order
from monai_ich.utils.keys import Split

HOSPITALS_SHOWN = 12


def split_table(frame: pd.DataFrame, marker: str) -> Table:
    """One row a split, training first: its counts, its hospitals, and how many of its patients are also in training.

    Args:
        frame: a manifest's rows.
        marker: the marker whose positives are counted.
    """
    table = Table("split", "slices", "patients", "also in train", "annotated", f"{marker} positive", box=None)
    table.add_column("hospitals", overflow="fold")
    shared = shared_patients(frame)
    every = protocol_counts(frame, [marker])
    for split in sorted(every, key=lambda name: (name.startswith("test"), name)):
        counts = every[split]
        pairs = (split, Split.TRAIN.value), (Split.TRAIN.value, split)
        also_in_train = "" if split == Split.TRAIN else str(sum(shared.get(pair, 0) for pair in pairs))
        positives = counts["positives"][marker]
        share = f"{positives} ({100 * positives / counts['slices']:.1f}%)"
        numbers = (str(counts["slices"]), str(counts["patients"]), also_in_train, str(counts["annotated"]), share)
        table.add_row(escape(split), *numbers, _hospitals(frame.loc[frame["split"] == split, "hospital"]))
    return table


def _hospitals(cells: pd.Series) -> str:
    names = in_order([str(name) for name in cells.unique()])
    more = f" and {len(names) - HOSPITALS_SHOWN} more" if len(names) > HOSPITALS_SHOWN else ""
    return escape(", ".join(names[:HOSPITALS_SHOWN]) + more)
