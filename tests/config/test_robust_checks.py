# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Settings about groups are checked against each other before anything is read."""

from __future__ import annotations

import json
from typing import Any

import pytest
from support import ROOT

from monai_ich.config import check_config
from monai_ich.config.first_stage import stage_config
from monai_ich.config.robust_checks import robust_faults
from monai_ich.config.settings import SETTINGS
from monai_ich.utils.errors import ConfigurationError

BASE: dict[str, Any] = json.loads((ROOT / "bundles/mtl/train.json").read_text())


def _config(**changes: Any) -> dict[str, Any]:
    """The base with settings changed; `data__attributes` is `data::attributes`."""
    config = json.loads(json.dumps(BASE))
    for name, value in changes.items():
        block, _, inner = name.partition("__")
        if inner:
            config[block][inner] = value
        else:
            config[block] = value
    return config


HOLDER = {"data__attributes": ["holder"]}


@pytest.mark.parametrize(
    "changes",
    [
        {},
        HOLDER,
        {"train__balance": "class"},
        {"validate__best_by": "val_worst_class_acc"},
        {**HOLDER, "train__balance": "group", "loss__robust": "group_dro"},
        {**HOLDER, "train__balance": "group", "train__mixing": "selecmix_by_attributes"},
        {**HOLDER, "loss__robust": "reweighting", "train__balance": "class"},
        {**HOLDER, "data__attribute_bins": {"holder": [1, 2.5]}},
        {"tasks": ["seg"]},
        {"markers": ["hypodensity", "blend_sign"]},
        {**HOLDER, "tasks": "$['cls']", "markers": "@mine"},
        {"train__balance": "group", "data__attributes": "$@mine"},
    ],
)
def test_what_goes_together_is_taken(changes: dict[str, Any]) -> None:
    assert list(robust_faults(_config(**changes))) == []


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"train__balance": "group"}, ["data::attributes: train::balance 'group' needs groups"]),
        ({"loss__robust": "reweighting"}, ["data::attributes: loss::robust 'reweighting' needs groups"]),
        ({"train__mixing": "selecmix_by_attributes"}, ["data::attributes: train::mixing 'selecmix_by_attributes'"]),
        ({"validate__best_by": "val_worst_group_acc"}, ["validate::best_by 'val_worst_group_acc' needs groups"]),
        ({"data__attribute_bins": {"volume": [1]}}, ["data::attribute_bins: no attribute is named"]),
        ({"train__balance": "class", "tasks": ["seg"]}, ["tasks: train::balance 'class' needs a classifier"]),
        ({**HOLDER, "tasks": ["seg", "rec"]}, ["tasks: data::attributes needs a classifier"]),
        ({**HOLDER, "markers": ["hypodensity", "blend_sign"]}, ["markers: data::attributes needs one marker"]),
        (
            {**HOLDER, "train__mixing": "selecmix_by_attributes", "loss__robust": "group_dro"},
            ["train::mixing: a mixture of slices is in no group"],
        ),
        (
            {**HOLDER, "train__balance": "group", "loss__robust": "reweighting"},
            ["correct the same imbalance twice"],
        ),
        (
            {"train__balance": "group", "loss__robust": "reweighting", "markers": ["hypodensity", "blend_sign"]},
            ["needs groups", "needs one marker", "imbalance twice"],
        ),
    ],
)
def test_what_does_not_is_told_all_at_once(changes: dict[str, Any], told: list[str]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        check_config(_config(**changes), BASE)
    assert len(caught.value.faults) == len(told)
    assert all(text in fault for text, fault in zip(told, caught.value.faults, strict=True)), str(caught.value)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"data__attributes": "holder"}, "data::attributes: expected a list of names"),
        ({"data__attributes": ["holder", "holder"]}, "data::attributes: expected a list of names, without repeats"),
        ({**HOLDER, "data__attribute_bins": {"holder": ["low"]}}, "data::attribute_bins: expected lists of limits"),
        ({**HOLDER, "data__attribute_bins": {"holder": []}}, "data::attribute_bins: expected lists of limits"),
        ({"train__balance": "groups"}, "Did you mean 'group'?"),
        ({"loss__group_dro_step": -0.1}, "loss::group_dro_step: expected a number of at least 0"),
        ({"validate__best_by": "val_worst_group"}, "Did you mean 'val_worst_group_acc'?"),
    ],
)
def test_values_of_another_kind_are_told(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        check_config(_config(**changes), BASE)
    assert told in str(caught.value)


def test_a_first_stage_has_the_usual_values_of_what_a_classifier_has() -> None:
    changes = {**HOLDER, "train__balance": "group", "loss__robust": "group_dro", "train__mixing": "none"}
    stage = stage_config({**_config(**changes), "segmentation_stage": {"tasks": ["seg"]}})
    assert list(robust_faults(stage)) == []
    for name in ("data::attributes", "train::balance", "loss::robust"):
        block, inner = name.split("::")
        assert stage[block][inner] == SETTINGS[name].unnamed == BASE[block][inner]
