# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""The inference config of an exported bundle: what the run's own prediction needs, and nothing of where it ran."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from monai.bundle import ConfigParser

from monai_ich.config.config_checks import REFERENCE
from monai_ich.utils.files import json_text
from monai_ich.utils.run_files import CONFIG_NAME

INFERENCE_NAME = "inference.json"
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
# Arguments of a network's builder that name files of weights: a bundle has its own.
WEIGHT_SOURCES = ("pretrained", "segmentation_checkpoint")


def inference_config(run_dir: Path) -> dict[str, Any]:
    """Returns the config that predicts as the run does, with the names of this package.

    It is the run's `train.json` and `inference.json`, merged as MONAI merges them and cut to what prediction refers to.
    `network_def` lacks its `task` still: the network's outputs tell it.
    """
    files = [str(run_dir / CONFIG_NAME), str(run_dir / INFERENCE_NAME)]
    merged: dict[str, Any] = ConfigParser.load_config_files(files)
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
    needed = _reachable(config)
    return {key: value for key, value in config.items() if key in needed}


def _reachable(config: dict[str, Any]) -> set[str]:
    """The top-level keys that the roots refer to, directly or not."""
    needed: set[str] = set()
    waiting = [key for key in ROOTS if key in config]
    while waiting:
        key = waiting.pop()
        if key not in needed:
            needed.add(key)
            references = REFERENCE.findall(json_text(config[key]))
            waiting += [name for name in (re.split("::|#", found)[0] for found in references) if name in config]
    return needed


def settings_of(run_dir: Path, names: tuple[str, ...]) -> dict[str, Any]:
    """Returns the values of a run's settings, expressions evaluated."""
    parser = ConfigParser(ConfigParser.load_config_file(run_dir / CONFIG_NAME))
    return {name: parser.get_parsed_content(name) for name in names}
