# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Parts of the bundles that tests share, taken from the shipped configs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from monai.bundle import ConfigParser
from monai.transforms import Compose

ROOT = Path(__file__).resolve().parents[1]
TRAIN_JSON = ROOT / "bundles/mtl/train.json"


def bundle_part(name: str, **settings: Any) -> Compose:
    """Builds one part of `train.json`, with some settings changed."""
    parser = ConfigParser(ConfigParser.load_config_file(TRAIN_JSON))
    parser.update(settings)
    return parser.get_parsed_content(name)


# Settings under which every training config runs in seconds.
TINY: dict[str, Any] = {"max_epochs": 1, "batch_size": 2, "image_size": 64, "pretrained": "", "precision": "float32"}
