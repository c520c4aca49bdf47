# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Data sets that tests of data sets and of the store share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from dataset_support import SIZE, preprocessing

from monai_ich.data.datasets import SliceDataset
from monai_ich.data.store import SliceStore
from monai_ich.utils.keys import MARKERS


@pytest.fixture
def frame(tmp_path: Path) -> pd.DataFrame:
    """Two studies of one volume each with a mask volume, one study of two 2-D files without."""
    generator = np.random.default_rng(0)
    rows = []
    for study in ("s1", "s2"):
        image = generator.integers(0, 100, (SIZE, SIZE, 3)).astype(np.int16)
        nib.save(nib.Nifti1Image(image, np.eye(4)), tmp_path / f"{study}.nii")
        nib.save(nib.Nifti1Image((image > 60).astype(np.uint8), np.eye(4)), tmp_path / f"{study}_m.nii")
        rows += [(f"{study}/{n}", f"{study}.nii", n, f"{study}_m.nii", n, study, n % 2) for n in range(3)]
    for n in range(2):
        image = generator.integers(0, 100, (SIZE, SIZE)).astype(np.int16)
        nib.save(nib.Nifti1Image(image, np.eye(4)), tmp_path / f"flat{n}.nii")
        rows.append((f"s3/{n}", f"flat{n}.nii", pd.NA, "", pd.NA, "s3", n))
    columns = ["key", "image", "image_slice", "mask", "mask_slice", "study_id", "hypodensity"]
    table = pd.DataFrame(rows, columns=columns)
    table["patient_id"] = table["study_id"].str.replace("s", "p")
    table["hospital"], table["split"] = "1", "train"
    table[["image_slice", "mask_slice"]] = table[["image_slice", "mask_slice"]].astype("Int64")
    table["hypodensity"] = table["hypodensity"].astype("float32")
    for marker in MARKERS[1:]:
        table[marker] = np.float32(np.nan)
    return table.sample(frac=1, random_state=1).reset_index(drop=True)  # studies in disorder


@pytest.fixture
def make(tmp_path: Path, frame: pd.DataFrame) -> Callable[..., SliceDataset]:
    def build(table: pd.DataFrame = frame, split: str | None = None, **change: Any) -> SliceDataset:
        names = ("augmentation", "markers", "drop_unlabelled", "only_with_blood", "groups")
        of_dataset = {key: change.pop(key) for key in names if key in change}
        of_store = {
            "preprocessing": preprocessing(),
            "cache_dir": tmp_path / "cache",
            "progress": False,
            "num_workers": 0,
        } | change
        return SliceDataset(SliceStore(table, tmp_path, **of_store), split, **of_dataset)

    return build
