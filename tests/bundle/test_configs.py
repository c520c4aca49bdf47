# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Every config under bundles/ is built and run on tiny data the day it lands."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
import pytest
import torch
from monai.bundle import ConfigParser, ConfigWorkflow
from monai.bundle import run as run_bundle
from pydicom.data import get_testdata_file
from support import ROOT, strict_json

from monai_ich.bundle import RunDirectory
from monai_ich.data import Draw, read_manifest
from monai_ich.handlers import DivergedError
from monai_ich.metrics import PredictionTable
from monai_ich.table.plan import merged_config
from monai_ich.utils.errors import ConfigurationError
from monai_ich.utils.keys import MARKERS

pytestmark = pytest.mark.usefixtures("in_root")

BUNDLE = ROOT / "bundles/mtl"
BASES = {path.parent: path for path in sorted((ROOT / "bundles").glob("*/train.json"))}
NOT_CONFIGS = {"metadata.json", "train.json", "spurious.json"}
# These need a trained run, and have tests of their own, below and in test_robust_runs.py.
AFTER_TRAINING = {"evaluate.json", "inference.json", "dfr.json"}
OVERLAYS = sorted(p for p in (ROOT / "bundles").rglob("*.json") if p.name not in NOT_CONFIGS | AFTER_TRAINING)
# The rows of Table 1 are trained by tests/table/test_table_rows.py, which finds them as the table does.
ROWS = [p for p in OVERLAYS if p.parent in BASES and "row" in json.loads(p.read_text())]


def _files(*overlays: Path) -> list[str]:
    folders = overlays[0].parents if overlays else BASES
    base = next(BASES[folder] for folder in folders if folder in BASES)
    return [str(path) for path in (base, *overlays)]


def test_there_is_no_config_that_no_test_runs() -> None:
    found = {path.name for path in (ROOT / "bundles").rglob("*.json")}
    assert found == NOT_CONFIGS | AFTER_TRAINING | {path.name for path in OVERLAYS}


@pytest.mark.parametrize("overlay", [p for p in OVERLAYS if p not in ROWS], ids=lambda p: f"{p.parent.name}/{p.name}")
def test_an_overlay_trains(overlay: Path, tiny_settings: dict[str, Any], grouped_settings: dict[str, Any]) -> None:
    settings = grouped_settings if overlay.parent.name == "robust" else tiny_settings
    run_dir = Path(tiny_settings["run_directory::runs_dir"]) / overlay.stem
    run_bundle(config_file=_files(overlay), **settings, run_dir=str(run_dir))
    results = json.loads((run_dir / "results.json").read_text())
    assert set(results["metrics"]) == {"test_hospitals_1_4", "test_hospitals_5_11"}
    assert torch.load(run_dir / "models/last.pt", weights_only=True)["epoch"] == 1


@pytest.mark.parametrize("kind", ["train", "inference"])
def test_monai_finds_every_property_it_asks_for(kind: str, tiny_settings: dict[str, Any], tmp_path: Path) -> None:
    files = _files() if kind == "train" else [*_files(), str(ROOT / "bundles/mtl/inference.json")]
    slice_file = str(get_testdata_file("J2K_pixelrep_mismatch.dcm"))
    settings = {**tiny_settings, "run_dir": str(tmp_path / "run"), "input": slice_file}
    workflow = ConfigWorkflow(files, workflow_type=kind, **settings)
    workflow.initialize()
    assert workflow.check_properties() == []
    assert workflow.parser["_meta_"]["monai_version"]


def test_a_run_is_tracked_from_losses_to_figures(tiny_run: Path, tiny_settings: dict[str, Any]) -> None:
    identity = json.loads((tiny_run / "mlflow.json").read_text())
    client = mlflow.MlflowClient(tiny_settings["tracking_uri"])
    run = client.get_run(identity["run_id"])
    assert run.info.status == "FINISHED"
    assert run.data.params["protocol"] == "paper"
    assert len(run.data.params["manifest_sha256"]) == 64
    for name in ("train_loss", "train_loss_cls", "train_loss_seg", "train_loss_rec", "val_loss", "val_iou", "lr"):
        assert [m.step for m in client.get_metric_history(identity["run_id"], name)] == [1, 2], name
    for metric in ("acc", "precision", "recall", "f1", "auc"):
        assert f"test_hospitals_1_4_{metric}" in run.data.metrics
        assert f"test_hospitals_5_11_{metric}" in run.data.metrics
    results = strict_json(tiny_run / "results.json")["metrics"]["test_hospitals_1_4"]
    for metric in ("iou", "iou_per_image", "iou_macro", "iou_all_slices", "iou_per_image_all_slices"):
        assert run.data.metrics[f"test_hospitals_1_4_{metric}"] == results[metric]
    assert "auc_bleeding" in results
    assert "validation.csv" in {a.path for a in client.list_artifacts(identity["run_id"])}
    frame = read_manifest(tiny_settings["manifest"]).frame
    for file, split in (("validation.csv", "val"), ("predictions/test_hospitals_1_4.csv", "test_hospitals_1_4")):
        saved = PredictionTable.from_csv(tiny_run / file)
        rows = frame[frame["split"] == split]
        assert saved.frame["key"].tolist() == rows["key"].tolist()
        blood = saved.shows_blood()
        assert blood is not None
        assert set(rows["key"][(rows[list(MARKERS)] == 1).any(axis=1)]) <= set(saved.frame["key"][blood])
    figures = {a.path for a in client.list_artifacts(identity["run_id"], "figures")}
    assert {"figures/roc_hypodensity.png", "figures/confusion_hypodensity.png"} <= figures
    assert {"figures/precision_recall_hypodensity.png", "figures/panel_test_hospitals_1_4.png"} <= figures
    files = {f"figures/{path.name}" for path in (tiny_run / "figures").iterdir()}
    assert files == figures | {name.replace(".png", ".pdf") for name in figures}, "MLflow gets the PNGs"
    assert {a.path for a in client.list_artifacts(identity["run_id"], "checkpoints")} == {
        "checkpoints/best.pt",
        "checkpoints/last.pt",
    }


def test_every_json_file_of_a_run_is_strict(tiny_run: Path) -> None:
    files = {path.relative_to(tiny_run).as_posix(): strict_json(path) for path in tiny_run.rglob("*.json")}
    assert files.keys() >= {"train.json", "results.json", "provenance.json", "mlflow.json"}
    metrics = PredictionTable.from_csv(tiny_run / "predictions/test_hospitals_5_11.csv").metrics()
    undefined = [name for name, value in metrics.items() if math.isnan(value)]
    assert undefined, "the test needs a metric that is not defined"
    assert all(files["results.json"]["metrics"]["test_hospitals_5_11"][name] is None for name in undefined)


def test_saved_predictions_are_the_source_of_the_metrics(tiny_run: Path) -> None:
    results = RunDirectory(tiny_run, resuming=False).read_results()["metrics"]
    for name, metrics in results.items():
        again = PredictionTable.from_csv(tiny_run / "predictions" / f"{name}.csv").metrics()
        assert again == pytest.approx(metrics, nan_ok=True)


def test_evaluating_a_run_needs_only_its_directory(tiny_run: Path, tiny_settings: dict[str, Any]) -> None:
    run_bundle(config_file=[str(tiny_run / "train.json"), str(tiny_run / "evaluate.json")])
    again, first = (json.loads((tiny_run / p).read_text()) for p in ("evaluation/results.json", "results.json"))
    assert again["epoch"] == first["epoch"]
    for name, metrics in first["metrics"].items():
        assert again["metrics"][name] == pytest.approx(metrics, nan_ok=True)
    identity = json.loads((tiny_run / "evaluation/mlflow.json").read_text())
    run = mlflow.MlflowClient(tiny_settings["tracking_uri"]).get_run(identity["run_id"])
    assert run.info.run_name.endswith("-evaluation")
    assert run.info.status == "FINISHED"


def test_a_run_that_fails_says_so_in_mlflow(tiny_settings: dict[str, Any], tmp_path: Path) -> None:
    run_dir = tmp_path / "diverging"
    with pytest.raises(RuntimeError) as caught:
        run_bundle(config_file=_files(), **{**tiny_settings, "lr": 1e30, "max_epochs": 3, "run_dir": str(run_dir)})
    assert isinstance(caught.value.__cause__, DivergedError)
    run_id = json.loads((run_dir / "mlflow.json").read_text())["run_id"]
    assert mlflow.MlflowClient(tiny_settings["tracking_uri"]).get_run(run_id).info.status == "FAILED"
    assert not (run_dir / "results.json").exists()


@pytest.mark.usefixtures("no_figures")
def test_two_runs_with_one_seed_give_the_same_metrics(tiny_settings: dict[str, Any]) -> None:
    results = []
    for name in ("first", "second"):
        run_dir = Path(tiny_settings["run_directory::runs_dir"]) / f"seed-{name}"
        run_bundle(config_file=_files(), **tiny_settings, run_dir=str(run_dir))
        results.append([pd.read_csv(run_dir / "predictions" / f"test_hospitals_{h}.csv") for h in ("1_4", "5_11")])
    for first, second in zip(*results, strict=True):
        pd.testing.assert_frame_equal(first, second)


@pytest.mark.usefixtures("no_figures")
def test_another_seed_gives_another_run(tiny_settings: dict[str, Any], tiny_run: Path) -> None:
    run_dir = Path(tiny_settings["run_directory::runs_dir"]) / "another-seed"
    run_bundle(config_file=_files(), **tiny_settings, run_dir=str(run_dir), seed=1)
    first, other = (pd.read_csv(d / "predictions/test_hospitals_1_4.csv") for d in (tiny_run, run_dir))
    assert (first["probability_hypodensity"] != other["probability_hypodensity"]).any()


def test_the_paper_s_config_is_the_paper_s_recipe(tiny_settings: dict[str, Any], tmp_path: Path) -> None:
    """Section 4.2, number by number; only data, weights and length are changed to run here."""
    overlay = ROOT / "bundles/mtl/paper.json"
    settings = {key: value for key, value in tiny_settings.items() if key != "image_size"}
    settings |= {"run_dir": str(tmp_path / "run"), "bundle_root": str(overlay.parent)}
    workflow = ConfigWorkflow(_files(overlay), workflow_type="train", **settings)
    workflow.initialize()
    optimizer = workflow.parser.get_parsed_content("optimizer")
    assert isinstance(optimizer, torch.optim.SGD)
    assert (optimizer.defaults["momentum"], optimizer.defaults["weight_decay"]) == (0.9, 1e-4)
    assert workflow.parser.get_parsed_content("loss").weights == {"cls": 0.3, "seg": 0.4, "rec": 0.4}
    trainer = workflow.parser.get_parsed_content("train::trainer")
    assert workflow.parser.get_parsed_content("train::dataset")[Draw(0, 0)]["image"].shape == (1, 224, 224)
    workflow.parser.get_parsed_content("tracker").start()
    trainer.state.epoch_length = 2
    trainer.run()
    assert trainer.state.iteration == 2


@pytest.mark.parametrize(("row", "only_blood"), [("u_net.json", True), ("cls_seg.json", False)])
def test_the_paper_s_recipe_keeps_the_last_batch_and_segments_slices_with_blood_alone(
    row: str, only_blood: bool, tiny_settings: dict[str, Any]
) -> None:
    overrides = {key: tiny_settings[key] for key in ("manifest", "cache_dir", "image_size")}
    parser = ConfigParser(merged_config([Path(f) for f in [*_files(BUNDLE / row), BUNDLE / "paper.json"]], overrides))
    dataset = parser.get_parsed_content("train::dataset")
    blood = dataset.slices.with_blood(dataset.rows)
    train = dataset.slices.frame.query("split == 'train'").index.to_numpy()
    assert blood.all() == only_blood
    assert len(dataset) == (dataset.slices.with_blood(train).sum() if only_blood else len(train))
    assert len(parser.get_parsed_content("validate::dataset")) == (dataset.slices.frame["split"] == "val").sum()

    parser["batch_size"] = len(dataset) - 1  # the last batch holds one slice
    sampler, loader = (parser.get_parsed_content(f"train::{name}") for name in ("sampler", "dataloader"))
    assert sorted(draw.row for draw in sampler) == list(range(len(dataset)))
    assert len(loader) == 2


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"lrr": 3}, "Did you mean 'lr'"),
        ({"tasks": ["cls", "sg"]}, "Did you mean 'seg'"),
        ({"network_def::windowsize": 4}, "Did you mean 'window_size'"),
    ],
)
def test_a_mistaken_override_stops_before_anything_is_built(
    overrides: dict[str, Any], message: str, tiny_settings: dict[str, Any], tmp_path: Path
) -> None:
    with pytest.raises(RuntimeError) as caught:
        run_bundle(config_file=_files(), **tiny_settings, run_dir=str(tmp_path / "run"), **overrides)
    assert isinstance(caught.value.__cause__, ConfigurationError)
    assert message in str(caught.value.__cause__)
    assert not (tmp_path / "run").exists()
