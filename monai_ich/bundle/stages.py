# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""The first stage of the joint systems: a segmentation run, trained within the joint run or named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from monai.bundle import run as run_bundle

from monai_ich.config.first_stage import NAMED_RUN, stage_config
from monai_ich.engines import rank, wait_for_all
from monai_ich.utils.console import console
from monai_ich.utils.files import replace_json
from monai_ich.utils.run_files import RunDirectory


def segmentation_checkpoint(config: dict[str, Any], run_directory: RunDirectory) -> str:
    """Returns the weights of a joint system's segmentation stage, which is trained first where it is not done yet.

    The stage is a run of its own in `<run>/segmentation`, with its own results and MLflow run, and with the settings of
    the joint run: the same data, seed and epochs unless the stage's row says otherwise. A complete one is not
    trained again, and an interrupted one goes on.

    Args:
        config: the joint run's, as `effective_config` gives it.
        run_directory: of the joint run.

    Returns:
        The path of the best checkpoint: of the stage, or of the run that `segmentation_run` names.
    """
    if config.get(NAMED_RUN):
        return str(RunDirectory(Path(config[NAMED_RUN])).best_checkpoint)
    run = run_directory.first_stage
    if not run.results.exists():
        _train_stage(config, run_directory)
    return str(run.best_checkpoint)


def _train_stage(config: dict[str, Any], joint: RunDirectory) -> None:
    root = config["bundle_root"]
    own = {"bundle_root": root, "run_dir": joint.first_stage.path.as_posix(), "resume": False}
    if rank() == 0:
        replace_json(joint.first_stage_config, {**stage_config(config), **own}, indent=4)
        console.print("first of two stages: segmentation; its encoder will be frozen in the second")
    wait_for_all()
    try:
        run_bundle(config_file=str(joint.first_stage_config))
    except BaseException:
        if rank() == 0:
            console.print(
                "\nThat was the first of two stages. Continue both with\n"
                f"  python -m monai.bundle run --config_file {joint.config}",
                soft_wrap=True,
            )
        raise
