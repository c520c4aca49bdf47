# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""The part of an audit that reads DICOM headers: do they tell the label?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from monai_ich.audit.acquisition import has_header, read_acquisition
from monai_ich.audit.findings import Finding, Severity
from monai_ich.audit.row_checks import NO_LABEL, is_shortcut, probe_rows, probed_rows, shortcut_text
from monai_ich.utils.console import progress_bar
from monai_ich.utils.errors import ImageReadError
from monai_ich.utils.worker_pool import map_in_processes

_BLOCK = 64  # headers that a process reads at once


def header_findings(frame: pd.DataFrame, dataset_dir: Path, marker: str, workers: int | None) -> list[Finding]:
    """Predicts the marker from scanner, kernel, tube voltage, pixel spacing, slice thickness and the file's window."""
    check = "headers"
    rows = probed_rows(frame, marker)
    if rows.empty:
        return [Finding(check, Severity.SKIPPED, NO_LABEL)]
    rows = rows[rows["image"].map(lambda name: has_header(name))]
    if rows.empty:
        summary = "The images are volumes without acquisition headers (NIfTI or alike): shortcuts of scanner, kernel "
        summary += "or voltage cannot be looked for."
        return [Finding(check, Severity.SKIPPED, summary, "Keep the DICOM headers where you can, or a table of them.")]
    attributes = _read_all(rows, dataset_dir, workers)
    rows = rows.loc[attributes.index]
    probe = probe_rows(attributes, rows, marker)
    summary = shortcut_text(probe, "the DICOM headers alone")
    if probe is None:
        return [Finding(check, Severity.SKIPPED, f"{summary}.")]
    examples = tuple({"attribute": name, "AUC of it alone": f"{auc:.2f}"} for name, auc in probe.single.items())
    if is_shortcut(probe):
        remedy = (
            "A network may learn this instead of the haemorrhage. Find out why the attribute goes with the label; "
            "balance it, or test where it does not hold."
        )
        return [Finding(check, Severity.WARNING, f"{summary}: they predict {marker}.", remedy, examples)]
    return [Finding(check, Severity.PASSED, f"{summary}.", "", examples)]


def _read_all(rows: pd.DataFrame, dataset_dir: Path, workers: int | None) -> pd.DataFrame:
    """One row of attributes a slice, with the index of `rows`; slices that cannot be read are left out."""
    blocks = [rows.iloc[start : start + _BLOCK] for start in range(0, len(rows), _BLOCK)]
    found: dict[int, dict[str, Any]] = {}
    with progress_bar() as bar:
        task = bar.add_task("reading headers", total=len(rows))
        for block, read in map_in_processes(lambda block: _read_block(block, dataset_dir), blocks, workers):
            found.update(read)
            bar.advance(task, len(block))
    return pd.DataFrame.from_dict(found, orient="index")


def _read_block(rows: pd.DataFrame, dataset_dir: Path) -> dict[int, dict[str, Any]]:
    read = {}
    for index, image, number in zip(rows.index, rows["image"], rows["image_slice"], strict=True):
        try:
            read[int(index)] = read_acquisition(dataset_dir / image, None if pd.isna(number) else int(number))
        except ImageReadError:
            continue  # the check of the files reports it
    return read
