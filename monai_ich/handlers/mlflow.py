# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Tracks a run in MLflow: who made it, from what, how it went and what came out."""

from __future__ import annotations

import getpass
import json
import logging
import math
import os
import time
from pathlib import Path
from typing import Any

import mlflow
from ignite.engine import Engine, Events
from mlflow.entities import Metric, Param, RunTag
from mlflow.exceptions import MlflowException
from monai.utils import CommonKeys

from monai_ich.engines import rank
from monai_ich.handlers.engine_state import output_of
from monai_ich.utils.files import replace_json
from monai_ich.utils.provenance import git_commit
from monai_ich.utils.run_files import RunDirectory

FLUSH_EVERY = 500  # metrics in one request; the server takes 1,000 at most


class MLflowTracker:
    """One MLflow run that belongs to a run's directory: made once, and joined again by whatever continues the run.

    The run's id is kept in `<run_dir>/mlflow.json`. On other ranks than 0 every method does nothing.
    """

    def __init__(
        self,
        tracking_uri: str,
        experiment_name: str,
        run_name: str,
        run_dir: Path,
        params: dict[str, Any] | None = None,
        settings: dict[str, Any] | None = None,
    ) -> None:
        """Takes where to track (`MLFLOW_TRACKING_URI` wins), the names, the run's directory, and what to log of it.

        `params` are logged as they are, and `settings` with a dot between a block's name and its setting's.
        """
        self.tracking_uri = os.environ.get("MLFLOW_TRACKING_URI", tracking_uri)
        self.experiment_name = experiment_name
        self.run_name = run_name
        self.identity = RunDirectory(Path(run_dir)).mlflow_identity
        self.params = {name.replace("::", "."): value for name, value in (settings or {}).items()} | (params or {})
        self.active = rank() == 0
        self.run_id = ""
        if self.active:
            for name in ("mlflow", "alembic"):  # both announce every table of a new database
                logging.getLogger(name).setLevel(logging.WARNING)
            self.client = mlflow.MlflowClient(self.tracking_uri)

    def start(self, params: dict[str, Any] | None = None) -> None:
        """Joins the run of this directory, or makes it; then `params` are logged too."""
        if not self.active or self.run_id:
            return
        self.params |= params or {}
        self.run_id = self._joined() or self._made()

    def rejoin(self) -> bool:
        """Finds the run of this directory, to add artifacts to it; its status stays what it is.

        Returns:
            False where the store does not know the run, and on other ranks than 0.
        """
        if self.active:
            self.run_id = self._joined(status=None) or ""
        return bool(self.run_id)

    def _joined(self, status: str | None = "RUNNING") -> str | None:
        if not self.identity.is_file():
            return None
        identity = json.loads(self.identity.read_text(encoding="utf-8"))
        if identity["tracking_uri"] != self.tracking_uri:
            return None
        try:
            if status is None:
                self.client.get_run(identity["run_id"])
            else:
                self.client.update_run(identity["run_id"], status=status)
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            return None  # the database was deleted since; the run goes on under a new id
        return identity["run_id"]

    def _made(self) -> str:
        experiment = self.client.get_experiment_by_name(self.experiment_name)
        experiment_id = experiment.experiment_id if experiment else self.client.create_experiment(self.experiment_name)
        tags = {"mlflow.user": getpass.getuser(), "mlflow.source.name": "monai.bundle", "mlflow.source.type": "LOCAL"}
        commit = git_commit()
        if commit:
            tags["mlflow.source.git.commit"] = commit
        run = self.client.create_run(experiment_id, run_name=self.run_name, tags=tags)
        identity = {"run_id": run.info.run_id, "tracking_uri": self.tracking_uri, "experiment": self.experiment_name}
        replace_json(self.identity, identity)
        params = [Param(name, str(value)) for name, value in self.params.items()]
        self.client.log_batch(run.info.run_id, params=params)
        return run.info.run_id

    def log_metrics(self, metrics: dict[str, float], step: int) -> None:
        """Logs the finite ones of `metrics` at `step`; an undefined metric (NaN) is left out, not made up."""
        self.log_points([(name, value, step) for name, value in metrics.items() if math.isfinite(value)])

    def log_points(self, points: list[tuple[str, float, int]]) -> None:
        """Logs many (name, value, step) in few requests."""
        if not self.active:
            return
        now = int(time.time() * 1000)
        for begin in range(0, len(points), FLUSH_EVERY):
            batch = [Metric(name, value, now, step) for name, value, step in points[begin : begin + FLUSH_EVERY]]
            self.client.log_batch(self.run_id, metrics=batch)

    def set_tags(self, tags: dict[str, Any]) -> None:
        if self.active:
            self.client.log_batch(self.run_id, tags=[RunTag(name, str(value)) for name, value in tags.items()])

    def log_artifact(self, path: Path, folder: str | None = None) -> None:
        if self.active:
            self.client.log_artifact(self.run_id, str(path), folder)

    def finish(self, status: str = "FINISHED") -> None:
        """Ends the run as FINISHED, FAILED or KILLED."""
        if self.active and self.run_id:
            self.client.set_terminated(self.run_id, status)


class MLflowTraining:
    """Logs a trainer: losses at every iteration, and at every epoch its metrics and those of its validation.

    An iteration's loss is the one that its gradient is of; among several processes, the first one's share.
    """

    def __init__(self, tracker: MLflowTracker, evaluator: Engine) -> None:
        self.tracker = tracker
        self.evaluator = evaluator
        self.pending: list[tuple[str, Any, int]] = []

    def attach(self, engine: Engine) -> None:
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._record)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self._log_epoch)

    def _record(self, engine: Engine) -> None:
        self.pending.append(("iteration_loss", output_of(engine)[CommonKeys.LOSS].detach(), engine.state.iteration))
        if len(self.pending) >= FLUSH_EVERY:
            self._flush()

    def _flush(self) -> None:
        self.tracker.log_points([(name, float(value), step) for name, value, step in self.pending])
        self.pending.clear()

    def _log_epoch(self, engine: Engine) -> None:
        self._flush()
        metrics = dict(engine.state.metrics)
        if self.evaluator.state.epoch == engine.state.epoch:
            metrics.update(self.evaluator.state.metrics)
        self.tracker.log_metrics(metrics, step=engine.state.epoch)
