# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""One MLflow run belongs to one run directory, whatever happens to the process."""

from __future__ import annotations

import json
import math
from pathlib import Path

import mlflow
import pytest
from mlflow.entities import Run

from monai_ich.handlers import MLflowTracker


@pytest.fixture(scope="module")
def uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A real store; its tables take seconds to make, so the module shares one."""
    return f"sqlite:///{tmp_path_factory.mktemp('mlflow')}/mlflow.db"


@pytest.fixture
def tracker(uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MLflowTracker:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(tmp_path)
    return MLflowTracker(uri, "experiment", "a-run", tmp_path / "run", {"lr": 0.1, "window": [40, 80]})


def _run(uri: str, tracker: MLflowTracker) -> Run:
    return mlflow.MlflowClient(uri).get_run(tracker.run_id)


def test_a_run_says_who_what_and_from_which_code(uri: str, tracker: MLflowTracker) -> None:
    tracker.start()
    run = _run(uri, tracker)
    assert run.info.run_name == "a-run"
    assert run.info.status == "RUNNING"
    assert run.data.params == {"lr": "0.1", "window": "[40, 80]"}
    assert run.data.tags["mlflow.user"]
    tracker.finish("FAILED")
    assert _run(uri, tracker).info.status == "FAILED"


def test_a_second_process_joins_the_same_run(uri: str, tracker: MLflowTracker, tmp_path: Path) -> None:
    tracker.start()
    tracker.log_metrics({"loss": 1.0}, step=1)
    tracker.finish("KILLED")
    again = MLflowTracker(uri, "experiment", "a-run", tmp_path / "run", {"lr": 0.2})
    again.start()
    again.log_metrics({"loss": 0.5}, step=2)
    assert again.run_id == tracker.run_id
    history = mlflow.MlflowClient(uri).get_metric_history(again.run_id, "loss")
    assert [(m.step, m.value) for m in history] == [(1, 1.0), (2, 0.5)]
    assert _run(uri, again).info.status == "RUNNING"
    assert _run(uri, again).data.params["lr"] == "0.1", "parameters are those the run began with"


def test_a_run_deleted_from_the_store_is_made_anew(tracker: MLflowTracker, tmp_path: Path) -> None:
    tracker.identity.parent.mkdir(parents=True)
    identity = {"run_id": "0" * 32, "tracking_uri": tracker.tracking_uri, "experiment": "experiment"}
    tracker.identity.write_text(json.dumps(identity))
    tracker.start()
    assert tracker.run_id != "0" * 32


def test_undefined_metrics_are_left_out_and_many_points_fit(uri: str, tracker: MLflowTracker) -> None:
    tracker.start()
    tracker.log_metrics({"auc": math.nan, "acc": 0.5}, step=3)
    assert _run(uri, tracker).data.metrics == {"acc": 0.5}
    tracker.log_points([("iteration_loss", float(i), i) for i in range(1203)])
    assert len(mlflow.MlflowClient(uri).get_metric_history(tracker.run_id, "iteration_loss")) == 1203


def test_files_become_artifacts(uri: str, tracker: MLflowTracker, tmp_path: Path) -> None:
    tracker.start()
    (tmp_path / "table.csv").write_text("a\n1\n")
    tracker.log_artifact(tmp_path / "table.csv", "predictions")
    names = {a.path for a in mlflow.MlflowClient(uri).list_artifacts(tracker.run_id)}
    assert names == {"predictions"}


def test_the_environment_names_the_store(uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    assert MLflowTracker("sqlite:///elsewhere.db", "e", "r", tmp_path).tracking_uri == uri
