# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Real processes: killed and resumed, and two that train one model."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import mlflow
import pytest
import torch
from monai.bundle import run as run_bundle
from support import ROOT, from_root, without_figures

pytestmark = pytest.mark.usefixtures("in_root", "no_figures")

TRAIN = "bundles/mtl/train.json"


def _arguments(settings: dict[str, Any]) -> list[str]:
    return [text for name, value in settings.items() for text in (f"--{name}", str(value))]


def _environment() -> dict[str, str]:
    # as many threads as this process, so that sums are added up in the same order
    return {**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads()), "PYTHONUNBUFFERED": "1"}


def _finish(module_and_arguments: list[str], **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs `python -m ...` to its end."""
    return subprocess.run(
        [sys.executable, "-m", *module_and_arguments],
        env={**_environment(), **environment},
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
        timeout=240,
    )


@pytest.fixture(scope="module")
def uninterrupted(tiny_settings: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> dict[str, torch.Tensor]:
    """Returns the weights after three epochs of a run that nothing disturbed."""
    run_dir = tmp_path_factory.mktemp("uninterrupted") / "run"
    with from_root(), without_figures():
        run_bundle(config_file=[TRAIN], **{**tiny_settings, "max_epochs": 3, "run_dir": str(run_dir)})
    return torch.load(run_dir / "models/last.pt", weights_only=True)["model"]


@pytest.mark.parametrize("deadly", [signal.SIGKILL, signal.SIGINT], ids=["kill -9", "Ctrl-C"])
def test_a_killed_run_ends_where_an_uninterrupted_one_does(
    deadly: signal.Signals, tiny_settings: dict[str, Any], uninterrupted: dict[str, torch.Tensor]
) -> None:
    run_dir = Path(tiny_settings["run_directory::runs_dir"]) / deadly.name
    settings = {**tiny_settings, "max_epochs": 3, "run_dir": str(run_dir)}
    command = [sys.executable, "-m", "monai.bundle", "run", "--config_file", TRAIN, *_arguments(settings)]
    process = subprocess.Popen(
        command, env=_environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=ROOT
    )
    assert process.stdout is not None
    printed = []
    for line in process.stdout:
        printed.append(line)
        if line.startswith("epoch 1/3"):
            process.send_signal(deadly)
            break
    rest, _ = process.communicate(timeout=60)
    output = "".join(printed) + rest
    assert process.returncode != 0, output
    assert torch.load(run_dir / "models/last.pt", weights_only=True)["epoch"] < 3, "it was killed too late to tell"
    client = mlflow.MlflowClient(tiny_settings["tracking_uri"])
    run_id = json.loads((run_dir / "mlflow.json").read_text())["run_id"]
    if deadly is signal.SIGINT:
        assert client.get_run(run_id).info.status == "KILLED"
        assert f"--config_file {run_dir}/train.json" in output
        assert "Traceback" not in output

    run_bundle(config_file=[TRAIN], **settings)
    resumed = torch.load(run_dir / "models/last.pt", weights_only=True)
    assert resumed["epoch"] == 3
    assert resumed["model"].keys() == uninterrupted.keys()
    for name, weights in uninterrupted.items():
        assert weights.equal(resumed["model"][name]), name
    assert json.loads((run_dir / "mlflow.json").read_text())["run_id"] == run_id
    assert client.get_run(run_id).info.status == "FINISHED"
    assert [m.step for m in client.get_metric_history(run_id, "train_loss")][-1] == 3


def test_two_processes_agree_with_one(tiny_settings: dict[str, Any]) -> None:
    client = mlflow.MlflowClient(tiny_settings["tracking_uri"])
    results, losses = [], []
    for processes in (1, 2):
        run_dir = Path(tiny_settings["run_directory::runs_dir"]) / f"processes-{processes}"
        # each process draws stochastic depth for itself
        settings = {**tiny_settings, "network_def::drop_path_rate": 0, "batch_size": 4, "run_dir": str(run_dir)}
        if processes == 1:
            run_bundle(config_file=[TRAIN], **settings)
        else:
            launcher = ["torch.distributed.run", "--nproc_per_node=2", "-m", "monai.bundle", "run"]
            finished = _finish([*launcher, "--config_file", TRAIN, *_arguments(settings)], OMP_NUM_THREADS="1")
            assert finished.returncode == 0, finished.stdout + finished.stderr
            assert finished.stdout.count("epoch 1/1") == 1, "only one process speaks"
        results.append(json.loads((run_dir / "results.json").read_text())["metrics"])
        tracked = client.get_run(json.loads((run_dir / "mlflow.json").read_text())["run_id"]).data.metrics
        losses.append({name: value for name, value in tracked.items() if name.startswith(("train_loss", "val_loss"))})
    one, two = results
    for name, metrics in one.items():
        assert two[name] == pytest.approx(metrics, abs=1e-3, nan_ok=True)
    assert len(losses[0]) == 8
    assert losses[1] == pytest.approx(losses[0], abs=1e-4)


def test_processes_that_torchrun_did_not_start_are_refused(tiny_settings: dict[str, Any], tmp_path: Path) -> None:
    command = ["monai.bundle", "run", "--config_file", TRAIN, "--run_dir", str(tmp_path / "run")]
    finished = _finish(command, WORLD_SIZE="2")
    assert finished.returncode == 1
    assert "expected to be started by torchrun" in finished.stdout
    assert "Traceback" not in finished.stdout + finished.stderr
    assert not (tmp_path / "run").exists()
