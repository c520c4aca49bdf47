# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Whole runs with groups: killed and resumed, refused, as a joint system, and with a new last layer."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from monai.bundle import run as run_bundle
from support import ROOT

from monai_ich.bundle import RunDirectory
from monai_ich.bundle.saved_runs import open_config
from monai_ich.metrics import PredictionTable
from monai_ich.networks import load_weights
from monai_ich.utils.errors import ConfigurationError, RunDirectoryError

pytestmark = pytest.mark.usefixtures("in_root", "no_figures")

BUNDLE = ROOT / "bundles/mtl"
CLASSIFIER = [str(BUNDLE / "train.json"), str(BUNDLE / "swin_transformer.json")]
GROUP_DRO = [*CLASSIFIER, str(BUNDLE / "robust/group_dro.json")]
SELECMIX = [*CLASSIFIER, str(BUNDLE / "robust/selecmix_by_attributes.json")]
DFR = str(BUNDLE / "robust/dfr.json")


def _run_dir(settings: dict[str, Any], name: str) -> Path:
    return Path(settings["run_directory::runs_dir"]) / name


def test_a_killed_run_of_group_dro_ends_where_an_uninterrupted_one_does(grouped_settings: dict[str, Any]) -> None:
    settings = {**grouped_settings, "max_epochs": 3, "loss::group_dro_step": 0.1}
    whole, killed, run_dir = _whole_and_killed(GROUP_DRO, settings, "dro")
    (q,) = whole["loss"].values()
    assert q.sum().item() == pytest.approx(1)
    assert (q - 0.25).abs().max().item() > 1e-3, "the weights of the groups have moved"
    assert not torch.equal(next(iter(killed["loss"].values())), q)

    resumed = _resumed(GROUP_DRO, settings, run_dir, whole)
    assert torch.equal(next(iter(resumed["loss"].values())), q)
    best = torch.load(run_dir / "models/best.pt", weights_only=True)
    assert 0 <= best["val_worst_group_acc"] <= 1


def test_a_killed_run_of_selecmix_draws_the_same_partners_and_mixtures(grouped_settings: dict[str, Any]) -> None:
    settings = {**grouped_settings, "max_epochs": 3}
    whole, _, run_dir = _whole_and_killed(SELECMIX, settings, "selecmix")
    _resumed(SELECMIX, settings, run_dir, whole)


def _whole_and_killed(
    config: list[str], settings: dict[str, Any], name: str
) -> tuple[dict[str, Any], dict[str, Any], Path]:
    """Checkpoints of an uninterrupted run and of one killed after its first epoch, and the folder of the latter."""
    run_bundle(config_file=config, **settings, run_dir=str(_run_dir(settings, f"{name}-whole")))
    whole = torch.load(_run_dir(settings, f"{name}-whole") / "models/last.pt", weights_only=True)
    run_dir = _run_dir(settings, f"{name}-killed")
    overrides = [text for name, value in settings.items() for text in (f"--{name}", str(value))]
    command = [sys.executable, "-m", "monai.bundle", "run", "--config_file", str(config), *overrides]
    # as many threads as this process, so that sums are added up in the same order
    environment = {**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads()), "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(
        [*command, "--run_dir", str(run_dir)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=ROOT,
    )
    assert process.stdout is not None
    printed = []
    for line in process.stdout:
        printed.append(line)
        if line.startswith("epoch 1/3"):
            process.send_signal(signal.SIGKILL)
            break
    rest, _ = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL, "".join(printed) + rest
    killed = torch.load(run_dir / "models/last.pt", weights_only=True)
    assert killed["epoch"] < 3, "it was killed too late to tell"
    return whole, killed, run_dir


def _resumed(config: list[str], settings: dict[str, Any], run_dir: Path, whole: dict[str, Any]) -> dict[str, Any]:
    """Resumes a killed run, which has to end with the weights of the uninterrupted one, bit for bit."""
    run_bundle(config_file=config, **settings, run_dir=str(run_dir))
    resumed: dict[str, Any] = torch.load(run_dir / "models/last.pt", weights_only=True)
    for name, weights in whole["model"].items():
        assert weights.equal(resumed["model"][name]), name
    return resumed


def test_settings_that_do_not_go_together_are_told_before_anything_is_built(grouped_settings: dict[str, Any]) -> None:
    settings = {**grouped_settings, "data::attributes": [], "train::mixing": "selecmix_by_attributes"}
    with pytest.raises(RuntimeError) as caught:
        run_bundle(config_file=GROUP_DRO, **settings, run_dir=str(_run_dir(settings, "refused")))
    error = caught.value.__cause__
    assert isinstance(error, ConfigurationError)
    assert len(error.faults) == 2
    assert "data::attributes" in error.faults[0]
    assert "train::mixing" in error.faults[1]
    assert not _run_dir(settings, "refused").exists()


def test_the_first_stage_of_a_joint_system_goes_without_groups(grouped_settings: dict[str, Any]) -> None:
    files = [str(BUNDLE / name) for name in ("train.json", "joint_learning.json", "robust/balanced_groups.json")]
    run_dir = _run_dir(grouped_settings, "joint-balanced")
    run_bundle(config_file=files, **grouped_settings, run_dir=str(run_dir))
    joint, stage = RunDirectory(run_dir).read_config(), RunDirectory(run_dir).first_stage.read_config()
    assert (joint["train"]["balance"], joint["data"]["attributes"]) == ("group", ["head_holder"])
    assert (stage["train"]["balance"], stage["data"]["attributes"]) == ("none", [])


@pytest.fixture(scope="module")
def trained(grouped_settings: dict[str, Any]) -> Path:
    """A complete run that knows nothing of groups."""
    run_dir = _run_dir(grouped_settings, "before-dfr")
    run_bundle(config_file=CLASSIFIER, **{**grouped_settings, "data::attributes": []}, run_dir=str(run_dir))
    return run_dir


def test_a_run_with_a_new_last_layer_is_a_run(trained: Path, grouped_settings: dict[str, Any]) -> None:
    attributes = {"data::attributes": ["head_holder"], "dfr_on": "train"}
    run_bundle(config_file=[str(trained / "train.json"), DFR], **attributes)
    retrained = trained.with_name(f"{trained.name}-dfr")
    before, after = (torch.load(run / "models/best.pt", weights_only=True) for run in (trained, retrained))
    assert after["dfr"]["on"] == "train"
    changed = {name for name, weights in before["model"].items() if not weights.equal(after["model"][name])}
    assert changed == {"heads.cls.linear.weight", "heads.cls.linear.bias"}
    config = RunDirectory(retrained).read_config()
    assert (config["dfr_on"], config["data"]["attributes"]) == ("train", ["head_holder"])

    parser = open_config(retrained)
    network = parser.get_parsed_content("network")
    load_weights(network, RunDirectory(retrained).best_checkpoint)
    dataset = parser.get_parsed_content("test::datasets")["test_hospitals_1_4"]
    saved = PredictionTable.from_csv(retrained / "predictions/test_hospitals_1_4.csv")
    with torch.no_grad():
        logits = network.eval()(torch.stack([dataset[index]["image"] for index in range(len(dataset))]))["cls"]
    np.testing.assert_allclose(logits.softmax(dim=1)[:, 1], saved.probabilities()[:, 0], atol=1e-5)
    assert (logits[:, 0] == 0).all()

    run_bundle(config_file=[str(retrained / "train.json"), str(retrained / "evaluate.json")])
    first, again = (json.loads((retrained / p).read_text()) for p in ("results.json", "evaluation/results.json"))
    assert again["metrics"]["test_hospitals_1_4"] == pytest.approx(first["metrics"]["test_hospitals_1_4"], nan_ok=True)
    for files, changes in (([trained, DFR], attributes), ([retrained], {"max_epochs": 5})):
        with pytest.raises(RuntimeError) as caught:
            run_bundle(config_file=[str(files[0] / "train.json"), *files[1:]], **changes)
        assert isinstance(caught.value.__cause__, RunDirectoryError), "a complete run is not written over"
        assert "cannot be trained further" in str(caught.value.__cause__)
    assert RunDirectory(retrained).results.is_file()


def test_a_last_layer_without_groups_is_refused(trained: Path, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError) as caught:
        run_bundle(config_file=[str(trained / "train.json"), DFR], output_dir=str(tmp_path / "new"))
    assert "name the attributes in data::attributes" in str(caught.value.__cause__)
