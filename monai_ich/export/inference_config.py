# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""The inference config of an exported bundle: what the run's own prediction needs, and nothing of where it ran."""

from __future__ import annotations

import json
import re
from typing import Any

from monai.bundle import ConfigParser
from monai.bundle.utils import ID_SEP_KEY

from monai_ich.config.config_checks import REFERENCE
from monai_ich.config.former_configs import upgraded
from monai_ich.utils.files import json_text
from monai_ich.utils.run_files import RunDirectory

# The bundle's `network_def` returns one tensor, as MONAI's tools want it; the network with all heads is this item.
NETWORK = "multitask_network"
# What a bundle's config is read for; everything else is kept only where one of these refers to it.
ROOTS = (
    "imports",
    "row",
    "bundle_root",
    "device",
    "dataset_dir",
    "input",
    "output_dir",
    "checkpoint",
    "preprocessing",
    "dataset",
    "dataloader",
    "network_def",
    "inferer",
    "evaluator",
    "initialize",
    "run",
)
# What chooses among the series of a folder, with its defaults; a run of before does not have it.
INPUT_SETTINGS: dict[str, Any] = {"series_uid": "", "series_description": "", "acquisition": 0, "file_names": False}
# Arguments of a network's builder that name files of weights: a bundle has its own.
WEIGHT_SOURCES = ("pretrained", "segmentation_checkpoint")


def inference_config(run: RunDirectory) -> dict[str, Any]:
    """Returns the config that predicts as the run does, with the names of this package.

    These are the run's `train.json` and `inference.json`, merged as MONAI merges them, without what prediction does not
    refer to. The `task` of `network_def` is still missing: the network's outputs decide it.
    """
    merged = upgraded(ConfigParser.load_config_files([str(run.config), str(run.inference_config)]))
    merged = {**merged, **INPUT_SETTINGS}
    merged["dataset"] = {**merged["dataset"], **{name: f"@{name}" for name in INPUT_SETTINGS}}
    builder = {key: value for key, value in merged.pop("network_def").items() if key not in WEIGHT_SOURCES}
    text = re.sub(r"@network_def\b", f"@{NETWORK}", json_text(merged))
    config = {
        **json.loads(text),
        "bundle_root": ".",
        "dataset_dir": "",
        "input": "",
        "checkpoint": "$@bundle_root + '/models/model.pt'",
        NETWORK: builder,
        "network_def": {"_target_": "monai_ich.networks.PrimaryOutput", "network": f"@{NETWORK}"},
    }
    return _needed(config)


def _needed(config: dict[str, Any]) -> dict[str, Any]:
    """The part of a config that the roots refer to, directly or not; of a block that is no component, its parts."""
    items: dict[str, Any] = {}
    for key, value in config.items():
        is_block = isinstance(value, dict) and value and "_target_" not in value
        items |= {f"{key}{ID_SEP_KEY}{part}": item for part, item in value.items()} if is_block else {key: value}
    kept: dict[str, Any] = {}
    waiting = [item for item in items if item.split(ID_SEP_KEY)[0] in ROOTS]
    while waiting:
        item = waiting.pop()
        if item not in kept:
            kept[item] = items[item]
            found = REFERENCE.findall(json_text(items[item]))
            names = [f"{name.replace('#', ID_SEP_KEY)}{ID_SEP_KEY}" for name in found]
            waiting += [other for other in items if any(_overlap(f"{other}{ID_SEP_KEY}", name) for name in names)]
    return _with_blocks({item: kept[item] for item in items if item in kept})


def _overlap(one: str, other: str) -> bool:
    return one.startswith(other) or other.startswith(one)


def _with_blocks(items: dict[str, Any]) -> dict[str, Any]:
    config: dict[str, Any] = {}
    for item, value in items.items():
        key, _, part = item.partition(ID_SEP_KEY)
        if part:
            config.setdefault(key, {})[part] = value
        else:
            config[key] = value
    return config
