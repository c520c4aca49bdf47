# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Brings the configs of runs that were made before version 0.1.0 up to date. Goes with version 0.2.0."""

from __future__ import annotations

import json
from typing import Any

from monai_ich.utils.files import json_text

FORMER_NAMES = {
    **{
        f"monai_ich.apps.{name}": f"monai_ich.bundle.{name}"
        for name in ("Evaluation", "evaluate", "prepare", "test_datasets", "train")
    },
    "monai_ich.apps.StudySlices": "monai_ich.prediction.StudySlices",
    "monai_ich.apps.predict": "monai_ich.prediction.predict",
    "monai_ich.bundle.effective_config": "monai_ich.config.effective_config",
    "monai_ich.apps.ensure_phantom": "monai_ich.phantom.ensure_phantom",
    "monai_ich.apps.refuse_findings": "monai_ich.audit.refuse_findings",
    "monai_ich.inferers.AutocastInferer": "monai_ich.engines.AutocastInferer",
    "monai_ich.data.PhantomSpec": "monai_ich.phantom.PhantomSpec",
}
_FORMER_STAGE = "monai_ich.apps.segmentation_checkpoint("
_STAGE = "$monai_ich.bundle.segmentation_checkpoint(monai_ich.config.effective_config(), @run_directory)"
_STAGE_STEPS = ("@named_segmentation", "@segmentation_checkpoint")


def is_former(config: dict[str, Any]) -> bool:
    """Whether a raw config is of before version 0.1.0: it names rooms that are no more."""
    return any(room in json_text(config) for room in ("monai_ich.apps.", "monai_ich.inferers."))


def upgraded(config: dict[str, Any]) -> dict[str, Any]:
    """A raw config with the names and blocks of today; one that has them already comes back as it is.

    What it computes stays the same. Keys that are no more stay too, as other parts of the config refer to them.
    """
    if not is_former(config):
        return config
    text = json_text(config)
    for former, name in FORMER_NAMES.items():
        text = text.replace(former, name)
    config = json.loads(text)
    config["data"] = {"markers": "@classified_markers", "manifest": "@manifest_data", "slices": "@slices"}
    config["network"] = "$monai_ich.engines.on_all_processes(@network_def.to(@device), @device)"
    steps = [step for step in config["initialize"] if step not in _STAGE_STEPS and "init_distributed" not in step]
    # MONAI has counted the steps already when the first of them brings the config up to date
    nothing = ["$None"] * (len(config["initialize"]) - len(steps))
    config["initialize"], config["named_segmentation"] = [*steps, *nothing], ""
    config.pop("finalize", None)
    if _FORMER_STAGE in str(config.get("segmentation_checkpoint")):
        stage = config["segmentation_stage"]
        config["segmentation_checkpoint"] = _STAGE if stage else ""
        if stage:
            config["initialize"] = [*steps, "@segmentation_checkpoint", "$monai.utils.set_determinism(seed=@seed)"]
            stage["initialize"] = steps
    return config
