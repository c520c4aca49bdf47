# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Checks a manifest as training would, and shows what is in it."""

from __future__ import annotations

from pathlib import Path

from monai_ich.data.manifest import read_manifest
from monai_ich.data.split_counts_table import split_table
from monai_ich.utils.console import console


def check_manifest(path: Path, marker: str, dataset_dir: Path | None) -> None:
    """Reads the manifest with every check and prints a table of its splits.

    Raises:
        ManifestError: with all faults of the manifest.
    """
    manifest = read_manifest(path, markers=[marker], dataset_dir=dataset_dir)
    protocol = (manifest.card or {}).get("protocol", {}).get("name", "not stated")
    console.print(f"{path}: no faults; protocol: {protocol}; files relative to {manifest.dataset_dir}", soft_wrap=True)
    console.print(split_table(manifest.frame, marker))
