# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""The part of an audit that reads DICOM headers: do they tell the label, and what do values suffer from?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from monai_ich.audit.acquisition import has_header, read_acquisition
from monai_ich.audit.findings import Finding, Severity
from monai_ich.audit.row_checks import MOST_PROBED, NO_LABEL, is_shortcut, probe_rows, probed_rows, shortcut_text
from monai_ich.reading.acquisition_notes import Acquisition
from monai_ich.utils.console import progress_bar
from monai_ich.utils.errors import ImageReadError
from monai_ich.utils.worker_pool import map_in_processes

_BLOCK = 64  # headers that a process reads at once


def header_findings(frame: pd.DataFrame, dataset_dir: Path, marker: str, workers: int | None) -> list[Finding]:
    """Predicts the marker from scanner, kernel, tube voltage, pixel spacing, slice thickness and the file's window.

    It also says how many slices were compressed with loss, derived from others, or made with contrast.
    """
    check = "headers"
    labelled = probed_rows(frame, marker)
    rows = frame.head(MOST_PROBED) if labelled.empty else labelled
    rows = rows[rows["image"].map(lambda name: has_header(name))]
    if rows.empty:
        summary = "The images are volumes without acquisition headers (NIfTI or alike): shortcuts of scanner, kernel "
        summary += "or voltage cannot be looked for, nor lossy compression or contrast."
        return [Finding(check, Severity.SKIPPED, summary, "Keep the DICOM headers where you can, or a table of them.")]
    attributes, made = _read_all(rows, dataset_dir, workers)
    if labelled.empty:
        return [Finding(check, Severity.SKIPPED, NO_LABEL), _acquisition_finding(made)]
    return [_shortcut_finding(attributes, rows.loc[attributes.index], marker), _acquisition_finding(made)]


def _shortcut_finding(attributes: pd.DataFrame, rows: pd.DataFrame, marker: str) -> Finding:
    check = "headers"
    probe = probe_rows(attributes, rows, marker)
    summary = shortcut_text(probe, "the DICOM headers alone")
    if probe is None:
        return Finding(check, Severity.SKIPPED, f"{summary}.")
    examples = tuple({"attribute": name, "AUC of it alone": f"{auc:.2f}"} for name, auc in probe.single.items())
    if is_shortcut(probe):
        remedy = (
            "A network may learn this instead of the haemorrhage. Find out why the attribute goes with the label; "
            "balance it, or test where it does not hold."
        )
        return Finding(check, Severity.WARNING, f"{summary}: they predict {marker}.", remedy, examples)
    return Finding(check, Severity.PASSED, f"{summary}.", "", examples)


def _acquisition_finding(made: Sequence[Acquisition]) -> Finding:
    """How many slices hold values that are less than plain HU."""
    counts = {
        "compressed with loss": sum(one.lossy for one in made),
        "derived from other images": sum(one.derived for one in made),
        "made with a contrast agent": sum(one.contrast for one in made),
    }
    if not any(counts.values()):
        fine = f"By their headers, none of {len(made)} slices was compressed with loss, derived, or made with contrast."
        return Finding("acquisition", Severity.PASSED, fine)
    said = ", ".join(f"{count} were {what}" for what, count in counts.items() if count)
    ratios = [one.ratio for one in made if one.lossy and not math.isnan(one.ratio)]
    highest = f" (loss: up to {max(ratios):.3g}:1)" if ratios else ""
    remedy = "Loss changes densities, and vessels with contrast look like blood: leave such slices out, or report them."
    return Finding("acquisition", Severity.WARNING, f"Of {len(made)} slices, {said}{highest}.", remedy)


def _read_all(rows: pd.DataFrame, dataset_dir: Path, workers: int | None) -> tuple[pd.DataFrame, list[Acquisition]]:
    """One row of attributes a slice, with the index of `rows`, and how each was made, without unreadable slices."""
    blocks = [rows.iloc[start : start + _BLOCK] for start in range(0, len(rows), _BLOCK)]
    found: dict[int, tuple[dict[str, Any], Acquisition]] = {}
    with progress_bar() as bar:
        task = bar.add_task("reading headers", total=len(rows))
        for block, read in map_in_processes(lambda block: _read_block(block, dataset_dir), blocks, workers):
            found.update(read)
            bar.advance(task, len(block))
    attributes = pd.DataFrame.from_dict({index: of_slice for index, (of_slice, _) in found.items()}, orient="index")
    return attributes, [made for _, made in found.values()]


def _read_block(rows: pd.DataFrame, dataset_dir: Path) -> dict[int, tuple[dict[str, Any], Acquisition]]:
    read = {}
    for index, image, number in zip(rows.index, rows["image"], rows["image_slice"], strict=True):
        try:
            read[int(index)] = read_acquisition(dataset_dir / image, None if pd.isna(number) else int(number))
        except ImageReadError:
            continue  # the check of the files reports it
    return read
