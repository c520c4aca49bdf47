# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Makes the whole phantom: all studies over several processes, then truth table, manifest and card, in this order."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
from threadpoolctl import threadpool_limits

from monai_ich.data.manifest import write_manifest
from monai_ich.data.manifest_card import add_place_faults
from monai_ich.data.manifest_checks import check_classes
from monai_ich.data.splits import paper_protocol
from monai_ich.phantom.planned_studies import PlannedStudy, planned_studies
from monai_ich.phantom.recorded_spec import PHANTOM_NAME, record_spec, refuse_another_phantom
from monai_ich.phantom.spec import PhantomSpec
from monai_ich.phantom.study import make_study
from monai_ich.utils.console import progress_bar
from monai_ich.utils.errors import FaultList, ManifestError
from monai_ich.utils.files import replace_file
from monai_ich.utils.keys import BRAIN_WINDOW_HU, PAIR_ID
from monai_ich.utils.worker_pool import map_in_processes

_SPLIT_ATTEMPTS = 50
_MARKER = "hypodensity"  # whose classes every test set must have
TRUTH_FILE = "truth.csv"
_DESCRIPTION = (
    "Procedural head CTs with intracerebral haemorrhage and known truth; eleven hospitals, masks for hospitals 1-4. "
    "No patient is behind any of it."
)


def generate_phantom(
    dataset_dir: Path | str, manifest: Path | str, spec: PhantomSpec | None = None, *, workers: int | None = None
) -> Path:
    """Makes the phantom, or goes on with an interrupted one; does nothing when it is already there.

    Nothing that is there already is deleted. The manifest is written last, so a phantom that has one is complete. Bytes
    do not depend on `workers`.

    Args:
        dataset_dir: folder for `images/`, `masks/`, `truth.csv` and `phantom.json` (the specification).
        manifest: the CSV to write; its card lies beside it.
        spec: what to make; the default is the demo set.
        workers: processes; None takes one for each available core.

    Returns:
        The manifest's path.

    Raises:
        ConfigurationError: the folder holds another phantom, or something else; or the manifest is of other data.
        MonaiIchError: a worker process died.
        ManifestError: the manifest cannot be written there, or the specification is too small for the paper's protocol
            or for the extra test sets.
    """
    folder, table, spec = Path(dataset_dir), Path(manifest), spec or PhantomSpec()
    faults = FaultList("the phantom cannot be made:")
    add_place_faults(table, faults)
    faults.raise_if_any(ManifestError)
    refuse_another_phantom(folder, table, spec)
    if table.exists() and (folder / TRUTH_FILE).exists():
        return table
    table.unlink(missing_ok=True)  # until there is something behind it
    record_spec(folder, spec)
    studies = planned_studies(spec)
    records = _make_studies(folder, spec, studies, workers)
    rows = [row for study in studies for row in json.loads(records[study].read_text(encoding="utf-8"))]
    truth = pd.DataFrame([row["truth"] for row in rows]).to_csv(index=False, lineterminator="\n")
    replace_file(folder / TRUTH_FILE, truth.encode())
    frame, protocol = _split(pd.DataFrame([row["manifest"] for row in rows]), spec.seed)
    return write_manifest(
        frame,
        table,
        name=PHANTOM_NAME,
        description=_DESCRIPTION,
        licence="Apache-2.0",
        dataset_dir=folder,
        window_hu=BRAIN_WINDOW_HU,
        protocol=protocol,
        seed=spec.seed,
    )


def _split(frame: pd.DataFrame, seed: int) -> tuple[pd.DataFrame, dict[str, Any]]:
    """The paper's protocol, and beside it the extra test sets, whose slices have their split already.

    The first seed from `seed` on that the protocol is possible with is taken: tiny phantoms need luck.
    """
    extra = frame[frame["split"] != ""]
    frame = frame[frame["split"] == ""]
    if len(extra):
        faults = FaultList("the extra test sets cannot be used; make more patients for them:")
        check_classes(extra, [_MARKER], (), faults)
        faults.raise_if_any(ManifestError)
    made = set(frame["hospital"].astype(str))
    shares: dict[str, Any] = {"marker": _MARKER, "test_fraction": 0.1, "val_fraction": 0.2}
    for attempt in range(seed, seed + _SPLIT_ATTEMPTS):
        try:
            drawn = paper_protocol(
                frame, train_hospitals=[name for name in "1234" if name in made], **shares, seed=attempt
            )
        except ManifestError:
            if attempt == seed + _SPLIT_ATTEMPTS - 1:
                raise
        else:
            break
    whole = pd.concat([drawn, extra], ignore_index=True)
    if (whole[PAIR_ID] == "").all():
        whole = whole.drop(columns=PAIR_ID)
    protocol = {"name": "paper", **shares, "unit": "slice", "seed": attempt}
    if len(extra):
        protocol["extra_test_sets"] = list(extra["split"].unique())
    return whole, protocol


def _make_studies(
    folder: Path, spec: PhantomSpec, studies: list[PlannedStudy], workers: int | None
) -> dict[PlannedStudy, Path]:
    records: dict[PlannedStudy, Path] = {}
    with progress_bar() as progress, threadpool_limits(1):
        task = progress.add_task("making the phantom", total=len(studies))
        for study, record in map_in_processes(lambda study: make_study(folder, spec, study), studies, workers):
            records[study] = record
            progress.advance(task)
    return records
