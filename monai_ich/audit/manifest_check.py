# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Checks a manifest as training would, reads some of its slices, and shows what is in it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from monai.transforms import Compose, Transform

from monai_ich.data import Manifest, SliceStore, read_manifest
from monai_ich.data.split_counts_table import split_table
from monai_ich.transforms import LoadSlicesd
from monai_ich.utils.console import console
from monai_ich.utils.keys import Key

SAMPLED_STUDIES, SAMPLED_SLICES = 40, 6


def check_manifest(path: Path, marker: str, dataset_dir: Path | None, thorough: bool = False) -> None:
    """Reads the manifest with every check, prints its splits, and reads slices of some studies of every hospital.

    Args:
        path: the CSV.
        marker: to classify.
        dataset_dir: folder of the images; None: the card's.
        thorough: read every slice, as training's preparation does.

    Raises:
        ManifestError: with all faults of the manifest.
        ImageReadError: with all files that were looked at and cannot be used: damaged, no HU, masks of several labels.
    """
    manifest = read_manifest(path, markers=[marker], dataset_dir=dataset_dir)
    protocol = (manifest.card or {}).get("protocol", {}).get("name", "not stated")
    console.print(
        f"{path}: the table has no faults; protocol: {protocol}; files relative to {manifest.dataset_dir}",
        soft_wrap=True,
    )
    frame = manifest.frame if thorough else sampled_rows(manifest.frame)
    console.print(split_table(manifest.frame, marker))
    _read(manifest, frame)
    others = "" if thorough else " (all: --thorough)"
    console.print(
        f"{len(frame)} of {len(manifest.frame)} slices were read: images are in HU, masks have one label{others}",
        soft_wrap=True,
    )


def sampled_rows(frame: pd.DataFrame) -> pd.DataFrame:
    """Up to 6 slices, evenly spread, of up to 40 volumes or folders, which are of all hospitals in turn."""
    folders = frame["image"].str.rpartition("/")[0]
    places = frame["image"].where(frame["image_slice"].notna(), folders)
    volume = pd.Series(pd.factorize(pd.MultiIndex.from_arrays([frame["study_id"], places]))[0], index=frame.index)
    of_volume = frame.assign(volume=volume).drop_duplicates("volume")
    turn = of_volume.groupby("hospital", sort=False).cumcount()
    chosen = set(of_volume.loc[turn.sort_values(kind="stable").index, "volume"].head(SAMPLED_STUDIES))
    rows: list[int] = []
    for members in (list(group) for name, group in volume.groupby(volume).groups.items() if name in chosen):
        spread = np.linspace(0, len(members) - 1, min(SAMPLED_SLICES, len(members)))
        rows += [members[round(place)] for place in spread]
    return frame.loc[sorted(rows)]


class _OnlyRead(Transform):
    """Lets the pixels go: that they could be read is all that is asked."""

    def __call__(self, data: Mapping[Any, Any]) -> dict[str, np.ndarray]:
        return {"read": np.ones(len(data[Key.IMAGE]), dtype=bool)}


def _read(manifest: Manifest, frame: pd.DataFrame) -> None:
    """Raises ImageReadError with every file that training would refuse."""
    preprocessing = Compose([LoadSlicesd(keys=[Key.IMAGE, Key.MASK]), _OnlyRead()])
    SliceStore(frame, manifest.dataset_dir, preprocessing, fields=("read",)).prepare()
