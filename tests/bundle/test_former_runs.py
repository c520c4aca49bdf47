# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Runs that were made before version 0.1.0 can be evaluated, predicted with, explained, exported and continued.

`former_runs/` holds the configs that such runs kept; only the places in them are filled in here.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from monai.bundle import run as run_bundle
from support import from_root

from monai_ich.bundle import predict_with_run
from monai_ich.bundle.saved_runs import example_slice, open_config
from monai_ich.config.former_configs import is_former, upgraded
from monai_ich.export import export_run
from monai_ich.gradcam.run_explanation import GradCAMRequest, explain_run

pytestmark = pytest.mark.usefixtures("in_root")

FORMER = Path(__file__).parent / "former_runs"


def _placed(name: str, run: Path, settings: dict[str, Any]) -> Path:
    """Writes the configs of a run of before into `run`, with the places of this test."""
    run.mkdir(parents=True, exist_ok=True)
    places = {
        "MANIFEST.csv": settings["manifest"],
        "sqlite:///STORE": settings["tracking_uri"],
        '"CACHE"': f'"{settings["cache_dir"]}"',
        '"RUN"': f'"{run}"',
    }
    for file in (FORMER / name).glob("*.json"):
        text = file.read_text(encoding="utf-8")
        for former, place in places.items():
            text = text.replace(former, place)
        (run / file.name).write_text(text, encoding="utf-8")
    return run


@pytest.fixture(scope="module")
def run_with_former_skips(tiny_settings: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A complete run of two epochs, whose decoders got what the encoder's stages put out, as all did before."""
    run = tmp_path_factory.mktemp("former") / "run"
    with from_root():
        run_bundle(
            config_file=["bundles/mtl/train.json"],
            **{**tiny_settings, "skips": "outputs", "max_epochs": 2, "run_dir": str(run)},
        )
    return run


@pytest.fixture
def former_run(run_with_former_skips: Path, tiny_settings: dict[str, Any], tmp_path: Path) -> Path:
    """The run with the configs of before: what was saved beside them is the same as today."""
    run = tmp_path / "former"
    shutil.copytree(run_with_former_skips, run)
    (run / "mlflow.json").unlink()
    _placed("mtl", run, tiny_settings)
    config = json.loads((run / "train.json").read_text())
    (run / "train.json").write_text(json.dumps({**config, "max_epochs": 2}))
    return run


def test_the_configs_name_rooms_that_are_no_more_and_are_brought_up_to_date() -> None:
    for name in ("mtl", "joint"):
        config = json.loads((FORMER / name / "train.json").read_text())
        assert is_former(config)
        today = upgraded(config)
        assert not is_former(today)
        assert upgraded(today) is today


def test_a_former_run_is_evaluated_and_predicted_with(former_run: Path, tmp_path: Path) -> None:
    run_bundle(config_file=[str(former_run / "train.json"), str(former_run / "evaluate.json")])
    again, first = (json.loads((former_run / p).read_text()) for p in ("evaluation/results.json", "results.json"))
    for name, metrics in first["metrics"].items():
        assert again["metrics"][name] == pytest.approx(metrics, nan_ok=True)
    moved = former_run.rename(tmp_path / "moved")
    predict_with_run(moved, example_slice(), tmp_path / "prediction")
    assert json.loads((tmp_path / "prediction/study.json").read_text())["slices"] == 1


def test_a_former_run_is_explained_and_exported(former_run: Path, tmp_path: Path) -> None:
    assert open_config(former_run).get_parsed_content("data::markers") == ["hypodensity"]
    explain_run(GradCAMRequest(former_run, slices=1))
    assert (former_run / "gradcam/gradcam.csv").is_file()
    export_run(former_run, tmp_path / "exported")
    assert (tmp_path / "exported/models/model.pt").is_file()


@pytest.mark.usefixtures("no_figures")
def test_a_former_run_goes_on(former_run: Path) -> None:
    run_bundle(config_file=str(former_run / "train.json"), max_epochs=3)
    assert torch.load(former_run / "models/last.pt", weights_only=True)["epoch"] == 3
    assert (former_run / "results.json").is_file()


@pytest.mark.usefixtures("no_figures")
def test_a_former_joint_run_goes_on_with_both_stages(tiny_settings: dict[str, Any], tmp_path: Path) -> None:
    run = _placed("joint", tmp_path / "joint", tiny_settings)
    run_bundle(config_file=str(run / "train.json"))
    assert json.loads((run / "segmentation/train.json").read_text())["row"] == "U-Net"
    assert (run / "segmentation/results.json").is_file()
    assert (run / "results.json").is_file()
