# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Faults of a config are found before anything is built, all together, with suggestions."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from monai_ich.config import check_config
from monai_ich.utils.errors import ConfigurationError

ROOT = Path(__file__).resolve().parents[2]
BASE: dict[str, Any] = json.loads((ROOT / "bundles/mtl/train.json").read_text())


def _faults(**changes: Any) -> str:
    config = copy.deepcopy(BASE)
    for path, value in changes.items():
        node = config
        *parents, last = path.split("::")
        for key in parents:
            node = node[key]
        node[last] = value
    with pytest.raises(ConfigurationError) as caught:
        check_config(config, BASE)
    return str(caught.value)


def test_the_shipped_config_has_no_faults() -> None:
    check_config(copy.deepcopy(BASE), BASE)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"lrr": 3}, "unknown key 'lrr'. Did you mean 'lr'?"),
        ({"max_epoch": 3}, "unknown key 'max_epoch'. Did you mean 'max_epochs'?"),
        ({"train::trainer::max_epoch": 3}, "takes no 'max_epoch'. Did you mean 'max_epochs'?"),
        ({"train::datset": 3}, "unknown key 'train::datset'. Did you mean 'train::dataset'?"),
        ({"network_def::windowsize": 7}, "takes no 'windowsize'. Did you mean 'window_size'?"),
        ({"network_def::_target_": "monai_ich.networks.swin"}, "there is no 'monai_ich.networks.swin' to build"),
        ({"tasks": ["cls", "sg"]}, "expected a list, without repeats, out of cls, seg, rec"),
        ({"tasks": ["cls", "sg"]}, "Did you mean 'seg'?"),
        ({"tasks": "cls"}, "tasks: expected a list"),
        ({"tasks": ["cls", "cls"]}, "without repeats"),
        ({"window": [40, 0]}, "width above 0"),
        ({"window": [40]}, "window: expected [level, width] in HU"),
        ({"image_size": 100}, "image_size: expected a multiple of 32"),
        ({"size": "tinny"}, "Did you mean 'tiny'?"),
        ({"precision": "fp16"}, "one of auto, float32, bfloat16"),
        ({"lr": 0}, "lr: expected a number above 0, got 0"),
        ({"lr": "1e-4"}, "lr: expected a number above 0, got '1e-4'"),
        ({"max_epochs": True}, "max_epochs: expected a whole number of at least 1, got True"),
        ({"tracking_uri": "./mlruns"}, "sqlite:///mlflow.db"),
        ({"manifest": "mine.xlsx"}, "the path of a .csv file"),
        ({"markers": ["hypodense"]}, "Did you mean 'hypodensity'?"),
        ({"data::allow_findings": "yes"}, "data::allow_findings: expected true or false"),
        ({"window": [float("nan"), 80]}, "window::0: expected a finite number, got nan"),
        (
            {"network_def::drop_path_rate": float("inf")},
            "network_def::drop_path_rate: expected a finite number, got inf",
        ),
        ({"loss::weights": {"cls": -1}}, "a number of at least 0 for every task"),
        ({"loss_weights": {"cls": 1}}, "Did you mean 'loss::weights'?"),
        ({"runs_dir": "x"}, "Did you mean 'run_directory::runs_dir'?"),
    ],
)
def test_a_fault_is_named_with_its_remedy(changes: dict[str, Any], expected: str) -> None:
    assert expected in _faults(**changes)


@pytest.mark.parametrize(
    ("order", "taken_back"),
    [
        (("paper.json", "tiny.json"), "size"),
        (("paper.json", "joint_swin_transformer_tiny.json"), "size"),
        (("paper.json", "cls_seg.json"), None),
        (("tiny.json", "paper.json"), None),
        (("mine.json", "variants.json"), "max_epochs, optimizer::lr"),
        (("variants.json", "mine.json"), None),
    ],
)
def test_a_row_that_takes_back_what_a_recipe_before_it_sets_is_refused(
    order: tuple[str, ...], taken_back: str | None
) -> None:
    own = {
        "mine.json": {"max_epochs": 3, "optimizer::lr": 1, "+initialize": ["$None"], "seed": 1},
        "variants.json": {"row": "mine", "max_epochs": 18, "optimizer": {"_target_": "x"}, "+initialize": ["$None"]},
    }
    bundle = ROOT / "bundles/mtl"
    overlays = {name: own.get(name) or json.loads((bundle / name).read_text()) for name in order}
    if taken_back is None:
        check_config(copy.deepcopy(BASE), BASE, overlays)
        return
    with pytest.raises(ConfigurationError) as caught:
        check_config(copy.deepcopy(BASE), BASE, overlays)
    first, row = order
    assert caught.value.faults == (
        f"{first} comes before {row}, which is a row and takes back its {taken_back}. "
        f"Give the row's file first: ..., {row!r}, {first!r}.",
    )


def test_all_faults_are_reported_together() -> None:
    message = _faults(lrr=3, window=[40], size="huge")
    assert message.count("\n  - ") == 3


def test_an_expression_is_left_to_the_part_that_takes_it() -> None:
    check_config({**copy.deepcopy(BASE), "max_epochs": "$2 * 3"}, BASE)
