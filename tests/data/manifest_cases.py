# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""A tiny data set with a manifest, and ways to spoil it; shared by the tests of manifests."""

from __future__ import annotations

import csv
import hashlib
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from monai_ich.data import read_manifest, write_manifest
from monai_ich.utils.errors import ManifestError

COLUMNS = [
    "key",
    "image",
    "image_slice",
    "mask",
    "mask_slice",
    "patient_id",
    "study_id",
    "hospital",
    "split",
    "hypodensity",
    "margin_irregularity",
    "blend_sign",
    "fluid_level",
]
SPLITS = ("train", "val", "test_hospitals_1_4", "test_hospitals_5_11")
CARD = {
    "name": "Tiny",
    "description": "Two slices a split.",
    "licence": "CC0-1.0",
    "window_hu": (40, 80),
    "protocol": {"name": "by hand"},
}


def table() -> pd.DataFrame:
    """Two slices a split, one with and one without hypodensity; the new hospitals have no masks."""
    rows = []
    for number, split in enumerate(SPLITS):
        for i in range(2):
            annotated = number < 3
            rows.append(
                {
                    "key": f"{split}-{i}",
                    "image": f"images/{number}.nii.gz" if number else f"images/{i}.dcm",
                    "image_slice": i if number else None,
                    "mask": f"masks/{number}.nii.gz" if annotated else None,
                    "mask_slice": i if annotated else None,
                    "patient_id": f"00{number}",
                    "study_id": f"s{number}",
                    "hospital": "1" if annotated else "5",
                    "split": split,
                    "hypodensity": i,
                    "margin_irregularity": None,
                    "blend_sign": 1.0 if i else np.nan,
                    "fluid_level": bool(i),
                }
            )
    return pd.DataFrame(rows)


def make(folder: Path, frame: pd.DataFrame | None = None) -> Path:
    """A data set with its files in `folder / "data"`, and its manifest."""
    frame = table() if frame is None else frame
    for name in {*frame["image"], *frame["mask"].dropna()}:
        (folder / "data" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "data" / name).touch()
    return write_manifest(frame, folder / "manifests" / "tiny.csv", dataset_dir=folder / "data", seed=7, **CARD)


def edit(path: Path, changes: dict[tuple[int, str], str]) -> None:
    """Changes cells, named by row number in a spreadsheet and column, and refreshes the card's hash."""
    with path.open(newline="") as stream:
        rows = list(csv.reader(stream))
    for (row, column), value in changes.items():
        rows[row - 1][COLUMNS.index(column)] = value
    with path.open("w", newline="") as stream:
        csv.writer(stream, lineterminator="\n").writerows(rows)
    rehash(path)


def rehash(path: Path) -> None:
    card_file = path.with_suffix(".json")
    card = json.loads(card_file.read_text())
    card_file.write_text(json.dumps(card | {"sha256": hashlib.sha256(path.read_bytes()).hexdigest()}))


def faults_of(path: Path, **options: object) -> str:
    with pytest.raises(ManifestError) as caught:
        read_manifest(path, **options)  # type: ignore[arg-type]
    return str(caught.value)
