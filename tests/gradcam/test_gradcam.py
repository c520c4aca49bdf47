# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Grad-CAM of real runs: test sets with measures and in MLflow, studies in their own geometry, every row."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import mlflow
import nibabel as nib
import numpy as np
import pandas as pd
import pydicom
import pytest
import torch
from export_support import run_of_row
from monai.bundle import ConfigParser
from support import ROOT, bundle_part, from_root
from typer.testing import CliRunner

from monai_ich.__main__ import cli
from monai_ich.data import SliceDataset, SliceStore, read_manifest
from monai_ich.gradcam.explainer import GradCAMChoice, GradCAMExplainer, default_layer
from monai_ich.gradcam.run_explanation import GradCAMRequest, explain_run
from monai_ich.gradcam.test_set_maps import choose_slices, slices_of_kinds, summarise
from monai_ich.networks import joint_swin, mtl_swin_unet, unet_segmenter
from monai_ich.utils.errors import ConfigurationError, RunDirectoryError
from monai_ich.utils.keys import MARKERS

pytestmark = pytest.mark.usefixtures("in_root")

TEST_SETS = ("test_hospitals_1_4", "test_hospitals_5_11")
BASE = ROOT / "bundles/mtl/train.json"


def is_row(overlay: Path) -> bool:
    return "row" in ConfigParser.load_config_file(overlay)


ROWS = sorted(path for path in (ROOT / "bundles").glob("*/*.json") if is_row(path))


def row_network(overlay: Path, **settings: Any) -> tuple[Any, list[str]]:
    """The tiny network of a row with untrained weights, and its tasks."""
    config = ConfigParser.load_config_files([str(BASE), str(overlay)]) | {"segmentation_checkpoint": ""} | settings
    parser = ConfigParser(config)
    torch.manual_seed(0)
    return parser.get_parsed_content("network_def"), parser.get_parsed_content("tasks")


@pytest.mark.parametrize("markers", [["hypodensity"], ["hypodensity", "blend_sign", "fluid_level"]], ids=["1", "3"])
@pytest.mark.parametrize("overlay", ROWS, ids=lambda path: path.stem)
def test_every_row_has_maps(overlay: Path, markers: list[str]) -> None:
    network, tasks = row_network(overlay, markers=markers)
    network.eval()
    image = torch.rand(2, 1, 64, 96)
    heads = [head for head in ("cls", "seg") if head in tasks]
    assert heads
    for head in heads:
        both = []
        for against in (False, True):
            explainer = GradCAMExplainer(network, markers, GradCAMChoice(head, markers[-1], against=against))
            found = explainer(image)
            assert found.maps.shape == (2, 64, 96)
            assert min(found.cells.shape[1:]) >= 2
            with torch.no_grad():
                torch.testing.assert_close(found.output, network(image)[head])
            both.append(found.cells)
        assert torch.maximum(*both).flatten(1).amax(1).min() > 0, "something speaks for or against"
    if "cls" in tasks:
        probability = GradCAMExplainer(network, markers, GradCAMChoice(marker=markers[-1])).probabilities(
            logits := network(image)["cls"].detach()
        )
        expected = logits.softmax(1)[:, 1] if len(markers) == 1 else logits.sigmoid()[:, len(markers) - 1]
        torch.testing.assert_close(probability, expected)


def test_the_wavelet_option_and_the_frozen_part_have_maps_too() -> None:
    network, _ = row_network(ROOT / "bundles/mtl/joint_learning.json")
    wavelet, _ = row_network(
        ROOT / "bundles/mtl/joint_learning.json",
        network_def={"_target_": "monai_ich.networks.joint_learning", "size": "demo", "classifier": "wavelet"},
    )
    image = torch.rand(2, 1, 64, 96)
    assert GradCAMExplainer(wavelet, ["hypodensity"], GradCAMChoice())(image).cells.shape == (2, 2, 3)
    for layer, size in (("encoder.frozen", (4, 6)), ("encoder.frozen.downs.1", (16, 24))):
        found = GradCAMExplainer(network, ["hypodensity"], GradCAMChoice(layer=layer))(image)
        assert found.cells.shape == (2, *size)


def test_a_joint_system_s_maps_are_the_head_s_two_halves() -> None:
    """Both parts' signed maps, averaged and added up, give back the logit: computed here from the head alone."""
    torch.manual_seed(0)
    network = joint_swin("demo", standardise_pooled=False).eval()
    image = torch.rand(2, 1, 64, 64)
    total = torch.zeros(2)
    for part in ("frozen", "trainable"):
        for against, sign in ((False, 1), (True, -1)):
            explainer = GradCAMExplainer(
                network, ["a", "b"], GradCAMChoice("cls", "b", f"encoder.{part}", against=against)
            )
            total += sign * explainer(image).cells.sum(dim=(1, 2))
    linear = network.heads["cls"].linear
    torch.testing.assert_close(total, (network(image)["cls"] - linear.bias)[:, 1].detach())


def test_the_default_method_is_the_paper_s() -> None:
    assert GradCAMChoice().method == "gradcam"


def test_the_default_layer_is_late_but_not_the_last_of_swin_and_the_last_of_cnns() -> None:
    names = {
        overlay.stem: default_layer(row_network(overlay)[0])
        for overlay in ROWS
        if overlay.stem in ("train", "tiny", "resnet152", "joint_swin_transformer", "joint_learning", "u_net")
    }
    assert names == {
        "train": "encoder.layers.1.blocks.1",
        "tiny": "encoder.layers.1.blocks.1",
        "resnet152": "encoder",
        "joint_swin_transformer": "encoder.trainable.layers.1.blocks.1",
        "joint_learning": "encoder.trainable",
        "u_net": "encoder",
    }


def test_a_choice_with_several_faults_is_refused_with_all_of_them() -> None:
    network = mtl_swin_unet("demo", tasks=("cls", "seg"))
    with pytest.raises(ConfigurationError) as caught:
        GradCAMExplainer(network, ["hypodensity"], GradCAMChoice("cls", "hypodensty", "encoder.nrm", "gradcam+"))
    for part in ("Did you mean 'hypodensity'", "Did you mean 'encoder.norm'", "method: expected one of"):
        assert part in str(caught.value)
    with pytest.raises(ConfigurationError, match=r"head: expected one of \['seg'\]"):
        GradCAMExplainer(unet_segmenter("demo"), [], GradCAMChoice())
    with pytest.raises(ConfigurationError, match=r"marker: expected one of.*got 'blood'"):
        GradCAMExplainer(unet_segmenter("demo"), [], GradCAMChoice("seg", "blood"))
    with pytest.raises(ConfigurationError, match=r"head: expected one of \['cls', 'seg'\].*got 'rec'"):
        GradCAMExplainer(mtl_swin_unet("demo"), ["hypodensity"], GradCAMChoice("rec"))
    with pytest.raises(ConfigurationError, match=r"pooled and points nowhere; name encoder\.trainable"):
        GradCAMExplainer(joint_swin("demo"), ["hypodensity"], GradCAMChoice(layer="encoder"))


@pytest.fixture(scope="module")
def data(tiny_phantom: Path) -> dict[str, SliceDataset]:
    """All slices of the tiny phantom as one data set, and the masked hospital's alone."""
    manifest = read_manifest(tiny_phantom)
    store = SliceStore(manifest.frame, manifest.dataset_dir, bundle_part("preprocessing", image_size=64), None)
    return {"all": SliceDataset(store, None)}


def test_kinds_are_those_of_the_manifest_and_its_masks(data: dict[str, SliceDataset]) -> None:
    dataset = data["all"]
    frame = dataset.slices.frame
    by_mask, by_marker = 0, 0
    for marker in MARKERS:
        expected = []
        for i, row in frame[frame[marker] == 0].iterrows():
            other = any(row[name] == 1 for name in MARKERS if name != marker)
            masked = bool(row["mask"]) and bool(dataset[i]["mask"].any())
            by_mask, by_marker = by_mask + (masked and not other), by_marker + (other and not masked)
            if other or masked:
                expected.append(i)
        kinds = slices_of_kinds(dataset, marker)
        assert kinds == {"marker": frame.index[frame[marker] == 1].tolist(), "haematoma_without": expected}
    assert by_mask, "some are known from their masks alone"
    assert by_marker, "some are known from another marker alone"


def test_slices_are_drawn_by_key_and_one_a_patient_first(data: dict[str, SliceDataset]) -> None:
    dataset = data["all"]
    indices = list(range(len(dataset)))
    patients = dataset.slices.frame["patient_id"]
    count = patients.nunique()
    chosen = choose_slices(dataset, indices, count)
    assert patients.loc[chosen].nunique() == count
    assert choose_slices(dataset, indices[::-1], count) == chosen, "the order of the manifest does not matter"
    assert choose_slices(dataset, indices, count - 2) == chosen[:-2], "fewer are the first of more"
    assert sorted(choose_slices(dataset, indices, 10_000)) == indices
    assert choose_slices(dataset, [], 3) == []
    assert chosen[:count] != sorted(chosen), "not simply the first"


@pytest.fixture(scope="module")
def explained_run(tiny_run: Path) -> Path:
    with from_root():
        explain_run(GradCAMRequest(tiny_run, slices=2))
    return tiny_run


def test_a_run_s_test_sets_get_measures_and_pictures(explained_run: Path, tiny_phantom: Path) -> None:
    rows = pd.read_csv(explained_run / "gradcam/gradcam.csv")
    manifest = pd.read_csv(tiny_phantom)
    assert set(rows["test_set"]) == set(TEST_SETS)
    for name in TEST_SETS:
        predicted = pd.read_csv(explained_run / f"predictions/{name}.csv").set_index("key")
        of_set = rows[rows["test_set"] == name]
        positive = manifest[(manifest["split"] == name) & (manifest["hypodensity"] == 1)]["key"]
        assert set(of_set[of_set["kind"] == "marker"]["key"]) == set(positive)
        np.testing.assert_allclose(
            of_set["probability"], predicted.loc[of_set["key"], "probability_hypodensity"], atol=1e-5
        )
        assert (explained_run / f"gradcam/gradcam_{name}.png").stat().st_size > 10_000
    shares = rows[["energy_share", "uniform_share", "ceiling_share", "pointing"]]
    assert ((shares >= 0) & (shares <= 1) | shares.isna()).all(axis=None)
    assert rows.loc[~rows["has_mask"], "energy_share"].isna().all()
    measured = rows[rows["has_mask"] & (rows["map_maximum"] > 0)]
    assert measured["energy_share"].notna().all()
    np.testing.assert_allclose(measured["uniform_share"], measured["mask_area_px"] / 64**2)
    summary = pd.read_csv(explained_run / "gradcam/gradcam_summary.csv")
    pd.testing.assert_frame_equal(summary, summarise(rows), check_dtype=False)
    assert summary["slices"].sum() == len(rows)


def test_figures_and_measures_are_added_to_the_run_in_mlflow(
    explained_run: Path, tiny_settings: dict[str, Any]
) -> None:
    run_id = json.loads((explained_run / "mlflow.json").read_text())["run_id"]
    client = mlflow.MlflowClient(tiny_settings["tracking_uri"])
    figures = {artifact.path for artifact in client.list_artifacts(run_id, "figures")}
    assert {f"figures/gradcam_{name}.png" for name in TEST_SETS} <= figures
    tables = {artifact.path for artifact in client.list_artifacts(run_id, "gradcam")}
    assert tables == {"gradcam/gradcam.csv", "gradcam/gradcam_summary.csv"}
    assert client.get_run(run_id).info.status == "FINISHED"


def test_a_run_s_own_figures_hold_the_maps(tiny_run: Path) -> None:
    """Drawn at the end of training, before anything asks for them."""
    for name in TEST_SETS:
        assert (tiny_run / f"figures/gradcam_{name}.png").stat().st_size > 10_000


def test_the_same_again(explained_run: Path, tmp_path: Path) -> None:
    explain_run(GradCAMRequest(explained_run, output_dir=tmp_path, slices=2))
    for name in ("gradcam.csv", "gradcam_summary.csv"):
        assert (tmp_path / name).read_bytes() == (explained_run / "gradcam" / name).read_bytes()


def test_a_run_that_mlflow_does_not_know_is_explained_and_says_so(
    tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/empty.db")
    explain_run(GradCAMRequest(tiny_run, output_dir=tmp_path / "out", slices=1))
    assert (tmp_path / "out/gradcam.csv").is_file()
    assert "does not know this run" in capsys.readouterr().out
    assert mlflow.MlflowClient(f"sqlite:///{tmp_path}/empty.db").search_runs(["0"]) == []


def test_rows_without_a_classifier_or_of_two_stages_are_explained(tiny_run: Path, tmp_path: Path) -> None:
    unet = run_of_row(tiny_run, ROOT / "bundles/mtl/u_net.json", tmp_path / "unet")
    explain_run(GradCAMRequest(unet, output_dir=tmp_path / "a", slices=1, choice=GradCAMChoice("seg")))
    rows = pd.read_csv(tmp_path / "a/gradcam.csv")
    assert rows["probability"].isna().all()
    assert set(rows["kind"]) <= {"marker", "haematoma_without"}
    joint = run_of_row(tiny_run, ROOT / "bundles/mtl/joint_swin_transformer.json", tmp_path / "joint")
    choice = GradCAMChoice(layer="encoder.frozen", method="gradcam++")
    explain_run(GradCAMRequest(joint, output_dir=tmp_path / "b", slices=1, choice=choice))
    assert pd.read_csv(tmp_path / "b/gradcam.csv")["probability"].between(0, 1).all()


def test_a_study_gets_a_heat_map_on_its_own_grid(tiny_run: Path, tiny_phantom: Path, tmp_path: Path) -> None:
    """The tiny phantom's slices are 64 x 64, as the network's input: the volume is the maps, turned back."""
    series = sorted((tiny_phantom.parent / "images").rglob("*.dcm"))[0].parent
    called = CliRunner().invoke(cli, ["gradcam", str(tiny_run), str(series), "--output-dir", str(tmp_path)])
    assert called.exit_code == 0, called.output
    table = pd.read_csv(tmp_path / "gradcam.csv")
    files = sorted(series.glob("*.dcm"), key=lambda f: float(pydicom.dcmread(f).ImagePositionPatient[2]))
    assert len(table) == len(files) == 3
    assert table["z_mm"].is_monotonic_increasing
    assert table["probability"].between(0, 1).all()
    volume = nib.load(tmp_path / "gradcam.nii.gz")
    heat = np.asarray(volume.dataobj)
    np.testing.assert_allclose(heat.max(axis=(0, 1)), table["map_maximum"], rtol=1e-5)
    parser = ConfigParser(ConfigParser.load_config_file(tiny_run / "train.json"))
    network = parser.get_parsed_content("network_def")
    network.load_state_dict(torch.load(tiny_run / "models/best.pt", weights_only=True)["model"])
    for number, file in enumerate(files):
        dataset = pydicom.dcmread(file)
        hu = dataset.pixel_array * float(dataset.RescaleSlope) + float(dataset.RescaleIntercept)
        image = torch.as_tensor(np.clip(hu / 80, 0, 1), dtype=torch.float32)[None, None]
        maps = GradCAMExplainer(network, ["hypodensity"], GradCAMChoice())(image).maps[0].numpy()
        row_direction = np.asarray(dataset.ImageOrientationPatient, dtype=float)
        np.testing.assert_allclose(row_direction, [1, 0, 0, 0, 1, 0], atol=1e-6)
        inverse = np.linalg.inv(volume.affine)
        for row, column in ((3, 50), (40, 10), (60, 33)):
            lps = np.asarray(dataset.ImagePositionPatient, dtype=float)
            lps = lps + np.array([column * float(dataset.PixelSpacing[1]), row * float(dataset.PixelSpacing[0]), 0])
            voxel = np.rint((inverse @ np.array([-lps[0], -lps[1], lps[2], 1]))[:3]).astype(int)
            assert voxel[2] == number
            assert heat[tuple(voxel)] == pytest.approx(maps[row, column], rel=1e-3, abs=1e-6)


def test_what_is_no_run_or_has_no_such_head_is_refused(tiny_run: Path, tmp_path: Path) -> None:
    with pytest.raises(RunDirectoryError, match=r"has no train\.json"):
        explain_run(GradCAMRequest(tmp_path))
    with pytest.raises(ConfigurationError, match="marker: expected one of"):
        explain_run(GradCAMRequest(tiny_run, output_dir=tmp_path / "out", choice=GradCAMChoice(marker="blend_sign")))
    assert not (tmp_path / "out").exists()
