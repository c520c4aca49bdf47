# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""What a run and its manifest say of themselves: what metadata and model card are written from."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from monai_ich.bundle.saved_runs import open_config
from monai_ich.config.workflow import settings_of
from monai_ich.data import Manifest, protocol_counts, read_manifest
from monai_ich.utils.errors import FaultList, ManifestError
from monai_ich.utils.keys import Key
from monai_ich.utils.run_files import RunDirectory


@dataclass(frozen=True)
class RunFacts:
    """Of one complete run.

    Attributes:
        run: its directory.
        settings: those that a card shows, by their names.
        markers: what the classifier tells apart; empty without a classifier.
        results: `results.json`: best epoch, and the metrics of each test set.
        provenance: commit, packages and machine of the training.
        metadata: the bundle's own `metadata.json`, as the run keeps it.
        manifest: of the data that it was trained and tested on.
    """

    run: RunDirectory
    settings: dict[str, Any]
    markers: list[str]
    results: dict[str, Any]
    provenance: dict[str, Any]
    metadata: dict[str, Any]
    manifest: Manifest

    @property
    def row(self) -> str:
        """The row of the paper's Table 1."""
        return str(self.settings["row"])

    @property
    def card(self) -> dict[str, Any]:
        """The manifest's card, empty where there is none."""
        return self.manifest.card or {}

    @property
    def protocol(self) -> str:
        """How the data were split, in words of the card."""
        protocol = dict(self.card.get("protocol", {}))
        name = protocol.pop("name", "not stated")
        details = ", ".join(f"{key} {value}" for key, value in protocol.items())
        return f"{name} ({details})" if details else str(name)

    @property
    def counts(self) -> dict[str, dict[str, Any]]:
        """Slices, patients, annotated slices and positives of each split."""
        return protocol_counts(self.manifest.frame)


def add_faults_of_run(run: RunDirectory, faults: FaultList) -> None:
    """Adds what a run's directory lacks for an export."""
    needed = (run.inference_config, run.metadata, run.logging_config, run.provenance, run.best_checkpoint)
    missing = [str(file.relative_to(run.path)) for file in needed if not file.is_file()]
    if not run.config.is_file():
        faults.add(f"{run.path} is no run's directory: it holds no {run.config.name}")
    elif not run.results.is_file():
        faults.add(f"the run in {run.path} is not complete: it holds no {run.results.name}; finish it first")
    elif missing:
        faults.add(f"the run in {run.path} lacks {', '.join(missing)}")


def read_facts(run: RunDirectory, manifest: Path | None) -> RunFacts:
    """Reads the facts of a complete run.

    Args:
        run: its directory.
        manifest: where the manifest's CSV is now; None takes the path that the run was trained with.

    Raises:
        ManifestError: the manifest is not there, has faults, or is not the one that the run was tested on.
    """
    config = open_config(run.path)
    settings = settings_of(config)
    path = Path(settings["manifest"]) if manifest is None else manifest
    if not path.is_file():
        raise ManifestError(
            f"expected the run's manifest at {path}, for the model card, but there is no such file. Export from the "
            "folder that the run was trained in, or name the manifest with --manifest."
        )
    read = read_manifest(path, markers=(), dataset_dir=path.parent, check_files=False, required_splits=())
    _refuse_another_manifest(run, read)
    provenance, metadata = (json.loads(file.read_text(encoding="utf-8")) for file in (run.provenance, run.metadata))
    markers = list(config.get_parsed_content("data::markers"))
    return RunFacts(run, settings, markers, run.read_results(), provenance, metadata, read)


def _refuse_another_manifest(run: RunDirectory, manifest: Manifest) -> None:
    """Raises ManifestError when a test set's slices are not the ones that the run predicted."""
    for file in sorted(run.predictions.glob("*.csv")):
        predicted = set(pd.read_csv(file, usecols=[Key.KEY.value], dtype=str)[Key.KEY.value])
        frame = manifest.frame
        listed = set(frame.loc[frame["split"] == file.stem, Key.KEY.value].astype(str))
        if not predicted <= listed:
            raise ManifestError(
                f"{manifest.path} is not the manifest of this run: {len(predicted - listed)} of the {len(predicted)} "
                f"slices that were predicted for {file.stem} are not in it. Name the right one with --manifest."
            )
