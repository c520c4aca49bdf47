# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""The joint systems: a segmentation run first, whose encoder the second stage leaves as it was."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from mlflow import MlflowClient
from monai.bundle import run as run_bundle
from support import from_root, without_figures

from monai_ich.networks import resnet_encoder
from monai_ich.utils.errors import ConfigurationError, MonaiIchError, RunDirectoryError

pytestmark = pytest.mark.usefixtures("in_root", "no_figures")

TRAIN = "bundles/mtl/train.json"
FROZEN = "encoder.frozen."


def _train(row: str, settings: dict[str, Any], **more: Any) -> Path:
    run_bundle(config_file=[TRAIN, f"bundles/mtl/{row}.json"], **{**settings, **more})
    return Path(more["run_dir"])


def _weights(checkpoint: Path) -> dict[str, torch.Tensor]:
    return torch.load(checkpoint, weights_only=True)["model"]


def _refusal(row: str, settings: dict[str, Any], **more: Any) -> BaseException:
    with pytest.raises(RuntimeError) as caught:
        _train(row, settings, **more)
    cause: BaseException | None = caught.value
    while cause is not None and not isinstance(cause, MonaiIchError):
        cause = cause.__cause__
    assert cause is not None
    return cause


@pytest.fixture(scope="module")
def joint_run(tiny_settings: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Joint-Learning, whose U-Net has running statistics that a forward pass in training mode would change."""
    run_dir = tmp_path_factory.mktemp("joint") / "joint-learning"
    with from_root(), without_figures():
        return _train("joint_learning", tiny_settings, run_dir=str(run_dir), max_epochs=2)


@pytest.fixture
def own_run(joint_run: Path, tmp_path: Path) -> Path:
    """A copy of the joint run for a test that changes it."""
    copy = Path(shutil.copytree(joint_run, tmp_path / joint_run.name))
    config = copy / "train.json"
    config.write_text(config.read_text().replace(str(joint_run), str(copy)))
    return copy


def test_the_frozen_encoder_is_bit_identical_after_training(joint_run: Path) -> None:
    segmentation = _weights(joint_run / "segmentation/models/best.pt")
    expected = {k.removeprefix("encoder."): v for k, v in segmentation.items() if k.startswith("encoder.")}
    assert any(name.endswith("running_var") and not torch.all(v == 1) for name, v in expected.items())
    for checkpoint in ("best.pt", "last.pt"):
        weights = _weights(joint_run / "models" / checkpoint)
        frozen = {k.removeprefix(FROZEN): v for k, v in weights.items() if k.startswith(FROZEN)}
        assert frozen.keys() == expected.keys()
        for name, tensor in expected.items():
            assert tensor.equal(frozen[name]), name
    assert json.loads((joint_run / "segmentation/train.json").read_text())["row"] == "U-Net"


def test_the_second_stage_is_the_same_whether_the_first_was_just_trained_or_named(
    tiny_settings: dict[str, Any], joint_run: Path, tmp_path: Path
) -> None:
    named = _train(
        "joint_learning",
        tiny_settings,
        run_dir=str(tmp_path / "named"),
        max_epochs=2,
        segmentation_run=str(joint_run / "segmentation"),
    )
    assert not (named / "segmentation").exists()
    whole, other = _weights(joint_run / "models/last.pt"), _weights(named / "models/last.pt")
    assert whole.keys() == other.keys()
    for name, tensor in whole.items():
        assert tensor.equal(other[name]), name


def test_going_on_with_the_second_stage_leaves_the_first_alone(own_run: Path) -> None:
    files = sorted((own_run / "segmentation").rglob("*.*"))
    before = [path.stat().st_mtime_ns for path in files]
    assert len(files) > 8
    run_bundle(config_file=str(own_run / "train.json"), max_epochs=3)
    assert torch.load(own_run / "models/last.pt", weights_only=True)["epoch"] == 3
    assert [path.stat().st_mtime_ns for path in sorted((own_run / "segmentation").rglob("*.*"))] == before


def test_a_joint_run_is_evaluated_without_its_first_stage(own_run: Path) -> None:
    (own_run / "segmentation/models/best.pt").unlink()
    run_bundle(config_file=[str(own_run / "train.json"), str(own_run / "evaluate.json")])
    again, first = (json.loads((own_run / p).read_text()) for p in ("evaluation/results.json", "results.json"))
    for name, metrics in first["metrics"].items():
        assert again["metrics"][name] == pytest.approx(metrics, nan_ok=True)


def test_a_segmentation_run_that_does_not_go_with_it_is_refused(
    tiny_settings: dict[str, Any], tiny_run: Path, tmp_path: Path
) -> None:
    run_dir = str(tmp_path / "run")
    error = _refusal("joint_learning", tiny_settings, run_dir=run_dir, segmentation_run=str(tiny_run))
    assert isinstance(error, ConfigurationError)
    assert "expected a run of U-Net, got one of MTL-Swin-Unet (cls+seg+rec)" in str(error)
    error = _refusal("joint_learning", tiny_settings, run_dir=run_dir, segmentation_run=str(tmp_path / "none"))
    assert not (tmp_path / "run").exists()  # nothing was begun
    assert isinstance(error, RunDirectoryError)
    assert "holds no run" in str(error)
    error = _refusal("resnet152", tiny_settings, run_dir=str(tmp_path / "other"), segmentation_run=str(tiny_run))
    assert isinstance(error, ConfigurationError)
    assert "ResNet152 has no segmentation stage" in str(error)


def test_a_run_says_what_its_encoders_began_from(
    tiny_settings: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Printed, in MLflow, in `results.json` and in the weights, from which the second stage takes it."""
    weights = tmp_path / "resnet.pth"
    torch.save(resnet_encoder("demo").state_dict(), weights)
    settings = {**tiny_settings, "unet_encoder": "resnet34"}
    first = _train("u_net", settings, run_dir=str(tmp_path / "first"), pretrained=str(weights))
    second = _train("joint_learning", settings, run_dir=str(tmp_path / "second"), segmentation_run=str(first))
    began = f"ResNetPyramid from resnet.pth (sha256 {hashlib.sha256(weights.read_bytes()).hexdigest()[:12]})"
    origins = {
        first: {"encoder": began},
        second: {"frozen": f"{began}, then trained to segment", "trainable": "EfficientNetPyramid from random weights"},
    }
    printed = capsys.readouterr().out
    for run, expected in origins.items():
        text = "; ".join(f"{name}: {origin}" for name, origin in expected.items())
        assert f"\n{text}\n" in printed
        assert json.loads((run / "results.json").read_text())["encoders"] == expected
        assert torch.load(run / "models/best.pt", weights_only=True)["encoders"] == expected
        run_id = json.loads((run / "mlflow.json").read_text())["run_id"]
        assert MlflowClient(tiny_settings["tracking_uri"]).get_run(run_id).data.params["encoders"] == text
    run_bundle(config_file=[str(first / "train.json"), str(first / "evaluate.json")])
    assert json.loads((first / "evaluation/results.json").read_text())["encoders"] == origins[first]
