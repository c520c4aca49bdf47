# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""A table's runs in MLflow: tagged as they train, and fetched where another machine has finished them."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import mlflow
from mlflow.entities import Run, RunTag
from mlflow.exceptions import MlflowException

from monai_ich.table.plan import PlannedRun, differing_keys, setting_of
from monai_ich.table.table_runs import LOCK_NAME, RECORD_NAME, RunRecord, is_complete, read_record
from monai_ich.utils.console import console
from monai_ich.utils.run_files import RunDirectory

FINISHED = "attributes.status = 'FINISHED'"

CONFIG_FOLDER = "config"  # of an MLflow run's artifacts, as training writes it


class TableTracking:
    """The MLflow experiment that all runs of a table belong to.

    A run has the tags `table`, `row` and `seed`; a complete run also has its record as an artifact. So everybody who
    uses the same MLflow server can take a finished run instead of training it again.
    """

    def __init__(self, tracking_uri: str, experiment_name: str) -> None:
        """Takes where runs are tracked (`MLFLOW_TRACKING_URI` wins, as in a run), and the experiment."""
        self.client = mlflow.MlflowClient(os.environ.get("MLFLOW_TRACKING_URI", tracking_uri))
        self.experiment_name = experiment_name
        self.tagged: set[str] = set()

    @classmethod
    def of(cls, run: PlannedRun) -> TableTracking:
        """The tracking that a planned run's config names."""
        return cls(setting_of(run.config, "tracking_uri"), run.overrides["tracker::experiment_name"])

    def tag(self, run: PlannedRun) -> None:
        """Tags the run as soon as it has an MLflow run; does nothing before, or when it is tagged."""
        run_id = self._run_id(run)
        if run_id is None or run_id in self.tagged:
            return
        tags = {"table": self.experiment_name.removeprefix("table-"), "row": run.row.name, "seed": str(run.seed)}
        self.client.log_batch(run_id, tags=[RunTag(name, value) for name, value in tags.items()])
        self.tagged.add(run_id)

    def publish(self, run: PlannedRun) -> None:
        """Adds the record of a complete run, once, which says that others may take it.

        A run that was killed between its results and its end in MLflow is ended here.
        """
        record, run_id = read_record(run.run_dir), self._run_id(run)
        if record.published or run_id is None:
            return
        self.tag(run)
        self.client.log_artifact(run_id, str(RunDirectory(run.run_dir).config), CONFIG_FOLDER)
        self.client.log_artifact(run_id, str(run.run_dir / RECORD_NAME))
        if self.client.get_run(run_id).info.status != "FINISHED":
            self.client.set_terminated(run_id, "FINISHED")
        replace(record, published=True).write(run.run_dir)

    def _run_id(self, run: PlannedRun) -> str | None:
        try:
            return json.loads(RunDirectory(run.run_dir).mlflow_identity.read_text(encoding="utf-8"))["run_id"]
        except (FileNotFoundError, json.JSONDecodeError):
            return None  # not started yet, or being written in this moment

    def finished(self) -> dict[tuple[str, int], list[Run]]:
        """All finished runs of the experiment with this table's tags, newest first, by row and seed."""
        experiment = self.client.get_experiment_by_name(self.experiment_name)
        found: dict[tuple[str, int], list[Run]] = {}
        token: str | None = None
        while experiment is not None:
            page = self.client.search_runs([experiment.experiment_id], FINISHED, page_token=token)
            for run in page:
                tags = run.data.tags
                if "row" in tags and "seed" in tags and "table" in tags:
                    found.setdefault((tags["row"], int(tags["seed"])), []).append(run)
            token = page.token
            if not token:
                break
        return found

    def fetch(self, run: PlannedRun, candidates: list[Run], wanted: RunRecord) -> bool:
        """Takes the newest candidate of the same data and configuration, if there is one, as the run's directory.

        What was begun here is kept beside it, under another name.

        Args:
            run: to be had.
            candidates: finished runs of its row and seed.
            wanted: the record that the run would get here.

        Returns:
            Whether the run is there now.
        """
        for candidate in candidates:
            if candidate.data.params.get("manifest_sha256", wanted.manifest_sha256) != wanted.manifest_sha256:
                continue
            run.run_dir.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=run.run_dir.parent, prefix=".fetch-") as folder:
                fetched = self._download(candidate, Path(folder) / "run")
                if fetched is not None and _fits(run, fetched, wanted):
                    record = replace(read_record(fetched), fetched_from=candidate.info.run_id, published=True)
                    record.write(fetched)
                    _put_in_place(fetched, run.run_dir)
                    return True
        return False

    def _download(self, candidate: Run, folder: Path) -> Path | None:
        """Downloads what a table needs; None where the run has not published it."""
        folder.mkdir()
        run_id = candidate.info.run_id
        present = {artifact.path for artifact in self.client.list_artifacts(run_id)}
        files = RunDirectory(folder)
        needed = (RECORD_NAME, files.results.name, files.predictions.name, CONFIG_FOLDER)
        if not set(needed) <= present:
            return None
        further = {files.validation_predictions.name} & present  # runs of version 0.1 have none
        for name in (*needed, *further):
            self.client.download_artifacts(run_id, name, str(folder))
        config = folder / CONFIG_FOLDER / files.config.name
        if not config.is_file():
            return None
        shutil.move(config, files.config)
        return folder if is_complete(folder) else None


def try_tracking(action: str, do: Callable[[PlannedRun], None], run: PlannedRun) -> None:
    """Calls `do`; when the MLflow server does not answer, says so and goes on: the run itself is on the disk."""
    try:
        do(run)
    except MlflowException as error:
        console.print(f"MLflow: {action} failed; it is tried again when the table is run again: {error}", markup=False)


def _fits(run: PlannedRun, fetched: Path, wanted: RunRecord) -> bool:
    record = read_record(fetched)
    differing = differing_keys(RunDirectory(fetched).read_config(), run.config)
    if record.manifest_sha256 != wanted.manifest_sha256:
        differing.append("manifest")
    if differing:
        console.print(
            f"MLflow has a finished run of {run.name} with another {', '.join(differing)}: left out", soft_wrap=True
        )
    return not differing


def _put_in_place(fetched: Path, run_dir: Path) -> None:
    if {path.name for path in run_dir.iterdir()} <= {LOCK_NAME}:
        shutil.rmtree(run_dir)
    else:
        number = sum(1 for _ in run_dir.parent.glob(f"{run_dir.name}.unfinished*"))
        shutil.move(run_dir, run_dir.with_name(f"{run_dir.name}.unfinished{number}"))
    shutil.move(fetched, run_dir)
