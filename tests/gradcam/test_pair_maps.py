# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Maps against the known cause: the changed region, energies of real maps, false acquittals, rank correlations."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
import torch
from dataset_support import SIZE, preprocessing
from scipy.stats import rankdata

from monai_ich.data import SliceDataset, SliceStore
from monai_ich.gradcam.class_activation import activation_maps
from monai_ich.gradcam.explainer import GradCAMChoice, GradCAMExplainer
from monai_ich.gradcam.pair_maps import (
    changed_region,
    compared_choices,
    measure_pairs,
    rank_over_networks,
    summarise_pairs,
)
from monai_ich.gradcam.run_explanation import GradCAMRequest, explain_pairs, explain_run
from monai_ich.networks import HeadOutput, MultiTaskNet, mtl_swin_unet, unet_segmenter
from monai_ich.utils.attributes import parse_attribute
from monai_ich.utils.errors import ComparisonError, ConfigurationError
from monai_ich.utils.keys import MARKERS

PAIRS = 5
HOLDER = parse_attribute("head_holder=yes")


@pytest.fixture
def frame(tmp_path: Path) -> pd.DataFrame:
    """Five pairs: the partner with the holder has a bright bar of 2 x 8 pixels at the top; blood is 4 x 4 pixels."""
    generator, rows = np.random.default_rng(0), []
    for number in range(PAIRS):
        image = np.repeat(generator.integers(20, 60, (SIZE, SIZE, 1)), 2, axis=2).astype(np.int16)
        image[:2, 8:16, 1] += 30
        mask = np.zeros_like(image, dtype=np.uint8)
        mask[12:16, 20:24] = 1
        nib.save(nib.Nifti1Image(image, np.eye(4)), tmp_path / f"{number}.nii")
        nib.save(nib.Nifti1Image(mask, np.eye(4)), tmp_path / f"{number}_m.nii")
        for side, holder in enumerate(("no", "yes")):
            volume = {"image": f"{number}.nii", "mask": f"{number}_m.nii", "image_slice": side, "mask_slice": side}
            identity = {"patient_id": f"p{number}", "study_id": f"s{number}", "hospital": "1", "split": "test_pairs"}
            told = {"attribute_head_holder": holder, "pair_id": f"pair{number}"}
            rows.append({"key": f"{number}-{holder}", **volume, **identity, **told})
    markers = dict.fromkeys(MARKERS, np.float32(0))
    return pd.DataFrame(rows).assign(**markers).astype({"image_slice": "Int64", "mask_slice": "Int64"})


def dataset(frame: pd.DataFrame, folder: Path) -> SliceDataset:
    return SliceDataset(SliceStore(frame, folder, preprocessing(), num_workers=1, progress=False), "test_pairs")


def test_the_changed_region_is_exact() -> None:
    absent = np.full((2, 3, 4), 0.5)
    present = absent.copy()
    present[0, 1, 2], present[1, 0, 0], present[1, 2, 3] = 0.541, 0.46, 0.459
    expected = np.zeros(present.shape, bool)
    expected[0, 1, 2] = expected[1, 2, 3] = True  # .04 itself does not count
    assert (changed_region(present, absent) == expected).all()
    assert (changed_region(absent, present) == expected).all()
    assert changed_region(present, absent, 0.03).sum() == 3
    with pytest.raises(ValueError, match=r"one shape \(N, H, W\)"):
        changed_region(present, absent[:1])


def test_maps_of_pairs_are_measured_as_their_parts_say(frame: pd.DataFrame, tmp_path: Path, swin: MultiTaskNet) -> None:
    choices = compared_choices(swin)
    assert [choice.method for choice in choices] == ["hirescam", "gradcam"], "two stages have one layer"
    rows = measure_pairs(swin, ["hypodensity"], dataset(frame, tmp_path), HOLDER, choices, batch_size=2)
    assert len(rows) == 2 * PAIRS
    assert rows["cause_uniform"].tolist() == [16 / SIZE**2] * len(rows)
    assert rows["clot_uniform"].tolist() == [16 / SIZE**2] * len(rows)
    assert sorted(rows["key"]) == sorted([f"{n}-yes" for n in range(PAIRS)] * 2)
    for row in rows.to_dict("records"):
        stored = np.asarray(nib.load(tmp_path / f"{row['key'][0]}.nii").dataobj, np.float32) / 100
        without, present = (torch.from_numpy(stored[None, None, ..., side]) for side in (0, 1))
        with torch.no_grad():
            p_with, p_without = (swin(image)["cls"].softmax(1)[0, 1].item() for image in (present, without))
        assert (row["probability"], row["probability_without"]) == pytest.approx((p_with, p_without), abs=1e-6)
        assert row["effect"] == pytest.approx(p_with - p_without, abs=1e-6)
        layer, method = f"network.{row['layer']}", row["method"]
        found = activation_maps(HeadOutput(swin, "cls"), present, layer=layer, class_index=1, minus=0, method=method)
        heat = found.maps[0].numpy().astype(float)
        if heat.max() <= 0:
            assert math.isnan(row["cause_energy"])
            continue
        assert row["cause_energy"] == pytest.approx(heat[:2, 8:16].sum() / heat.sum(), rel=1e-4)
        assert row["clot_energy"] == pytest.approx(heat[12:16, 20:24].sum() / heat.sum(), rel=1e-4)


def test_choices_are_two_methods_at_two_layers_of_a_swin() -> None:
    choices = compared_choices(mtl_swin_unet("demo", ["cls"]), "hypodensity")
    assert [(choice.layer, choice.method) for choice in choices] == [
        ("encoder.layers.1.blocks.1", "hirescam"),
        ("encoder.layers.1.blocks.1", "gradcam"),
        ("encoder.layers.2.blocks.1", "hirescam"),
        ("encoder.layers.2.blocks.1", "gradcam"),
    ]


def _row(effect: float, energy: float, uniform: float = 0.2, **changes: Any) -> dict[str, Any]:
    measures = {"cause_energy": energy, "cause_uniform": uniform, "clot_energy": 0.3, "clot_uniform": 0.1}
    shown = {"effect": effect, "map_maximum": 0.0 if math.isnan(energy) else 1.0}
    return {"run": "one", "method": "hirescam", "layer": "l", **measures, **shown, **changes}


def test_a_summary_counts_what_a_map_acquits_falsely() -> None:
    rows = pd.DataFrame(
        [
            _row(0.5, 0.1),  # depends on it, and the map does not say so
            _row(-0.5, 0.19),  # the same, in the other direction
            _row(0.5, 0.2),  # the map is no better than uniform, but not below
            _row(0.1, 0.0),  # does not move by more than .1
            _row(0.11, 0.3),
            _row(0.9, math.nan),  # an empty map says nothing
        ]
    )
    (line,) = summarise_pairs(rows).to_dict("records")
    assert (line["pairs"], line["empty_maps"], line["moved"]) == (6, 1, 4)
    assert line["false_acquittals"] == 2 / 4
    assert line["ace"] == pytest.approx(np.mean([0.5, -0.5, 0.5, 0.1, 0.11, 0.9]))
    assert line["cause_energy"] == pytest.approx(np.mean([0.1, 0.19, 0.2, 0.0, 0.3]))
    effects, energies = [0.5, 0.5, 0.5, 0.1, 0.11], [0.1, 0.19, 0.2, 0.0, 0.3]
    expected = np.corrcoef(rankdata(effects), rankdata(energies))[0, 1]
    assert line["rank_correlation"] == pytest.approx(expected, abs=1e-12)
    (still,) = summarise_pairs(rows.assign(effect=0.0)).to_dict("records")
    assert (still["moved"], still["ace"]) == (0, 0.0)
    assert math.isnan(still["false_acquittals"])
    assert math.isnan(still["rank_correlation"])


def test_networks_are_ranked_by_their_dependence() -> None:
    dependence = {"a": (0.0, 0.30), "b": (-0.2, 0.20), "c": (0.4, 0.10)}
    rows = [_row(effect, energy, run=run) for run, (effect, energy) in dependence.items()]
    summary = summarise_pairs(pd.DataFrame(rows), ("run", "method", "layer"))
    (line,) = rank_over_networks(summary).to_dict("records")
    assert line == {"method": "hirescam", "layer": "l", "networks": 3, "rank_correlation": pytest.approx(-1.0)}


def test_a_run_s_pairs_are_written(
    frame: pd.DataFrame, tmp_path: Path, swin: MultiTaskNet, capsys: pytest.CaptureFixture[str]
) -> None:
    tracker = SimpleNamespace(rejoin=lambda: False, tracking_uri="nowhere")
    evaluation: Any = SimpleNamespace(
        network=swin,
        markers=["hypodensity"],
        datasets={"test_pairs": dataset(frame, tmp_path)},
        batch_size=4,
        tracker=tracker,
    )
    explainer = GradCAMExplainer(swin, ["hypodensity"], GradCAMChoice())
    rows, summary = map(pd.read_csv, explain_pairs(evaluation, explainer, parse_attribute("head_holder"), tmp_path))
    assert len(rows) == 2 * PAIRS
    assert summary[["test_set", "method", "pairs"]].to_numpy().tolist() == [
        ["test_pairs", "hirescam", PAIRS],
        ["test_pairs", "gradcam", PAIRS],
    ]
    assert "gradcam_pairs.csv" in capsys.readouterr().out
    with pytest.raises(ConfigurationError, match="no test set has pairs"):
        explain_pairs(evaluation, explainer, parse_attribute("kernel=sharp"), tmp_path)
    evaluation.datasets = {"test_pairs": dataset(frame.drop(index=0).reset_index(drop=True), tmp_path)}
    with pytest.raises(ComparisonError, match="the partner of 0-yes is missing"):
        explain_pairs(evaluation, explainer, HOLDER, tmp_path)
    evaluation.network, evaluation.markers = unet_segmenter("demo"), []
    with pytest.raises(ConfigurationError, match="without a classifier"):
        explain_pairs(evaluation, explainer, HOLDER, tmp_path)


def test_a_study_has_no_pairs(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="leave out the study or --attribute"):
        explain_run(GradCAMRequest(tmp_path, tmp_path / "study", attribute="head_holder=yes"))
