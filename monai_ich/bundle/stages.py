# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""The first stage of the joint systems: a segmentation run, trained within the joint run or named."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

from monai.bundle import ConfigParser
from monai.bundle import run as run_bundle

from monai_ich.bundle.run_directory import RunDirectory
from monai_ich.engines import rank, wait_for_all
from monai_ich.utils.console import console
from monai_ich.utils.errors import ConfigurationError, FaultList, RunDirectoryError
from monai_ich.utils.files import replace_json

STAGE_FOLDER = "segmentation"
# What a named segmentation run must agree on with the joint run: what its encoder sees, and its architecture.
_SHARED_SETTINGS = ("window", "image_size", "size")


def named_segmentation(config: dict[str, Any], segmentation_run: str) -> str:
    """Checks an existing segmentation run that a joint system is to take instead of training its own.

    Args:
        config: the joint run's config; `segmentation_stage` holds the overlay of the stage, empty for other systems.
        segmentation_run: the run's directory, or "" for none.

    Returns:
        The path of its best checkpoint, or "".

    Raises:
        ConfigurationError: the system has no segmentation stage, or the run does not go with it.
        RunDirectoryError: the run is not there or not complete.
    """
    if not segmentation_run:
        return ""
    if not config["segmentation_stage"]:
        raise ConfigurationError(
            f"segmentation_run: {config['row']} has no segmentation stage; leave out {segmentation_run!r}, or add the "
            "overlay of a joint system."
        )
    run = RunDirectory(Path(segmentation_run), resuming=False)
    _check_named(run, config)
    return str(run.best_checkpoint)


def segmentation_checkpoint(config: dict[str, Any], named: str, run_directory: RunDirectory) -> str:
    """Returns the weights of a joint system's segmentation stage, which is trained first where it is not done yet.

    The stage is a run of its own in `<run>/segmentation`, with its own results and MLflow run, and with the settings of
    the joint run: the same data, seed and epochs unless the stage's overlay says otherwise. A complete one is not
    trained again, and an interrupted one goes on.

    Args:
        config: see `named_segmentation`.
        named: what `named_segmentation` gave; taken as it is.
        run_directory: of the joint run.

    Returns:
        The path of the best checkpoint, "" for a system without such a stage.
    """
    if named or not config["segmentation_stage"]:
        return named
    run = RunDirectory(run_directory.path / STAGE_FOLDER, resuming=False)
    if not run.results.exists():
        _train_stage(config, run)
    return str(run.best_checkpoint)


def _train_stage(config: dict[str, Any], run: RunDirectory) -> None:
    joint = run.path.parent
    parser = ConfigParser(copy.deepcopy(config))
    parser.update(config["segmentation_stage"])
    # the process group, where there is one, still serves the second stage
    parser.update({"segmentation_stage": {}, "run_dir": run.path.as_posix(), "resume": False, "finalize": []})
    file = joint / f"{STAGE_FOLDER}.json"
    if rank() == 0:
        replace_json(file, parser.get(), indent=4)
        console.print("first of two stages: segmentation; its encoder will be frozen in the second")
    wait_for_all()
    try:
        run_bundle(config_file=str(file))
    except BaseException:
        if rank() == 0:
            console.print(
                "\nThat was the first of two stages. Continue both with\n"
                f"  python -m monai.bundle run --config_file {joint / 'train.json'}",
                soft_wrap=True,
            )
        raise


def _check_named(run: RunDirectory, config: dict[str, Any]) -> None:
    saved = run.path / "train.json"
    if not saved.is_file() or not run.results.is_file():
        state = "is not complete" if saved.is_file() else "holds no run"
        raise RunDirectoryError(
            f"segmentation_run: expected the directory of a complete segmentation run, but {run.path} {state}."
        )
    theirs = json.loads(saved.read_text(encoding="utf-8"))
    stage = ConfigParser(copy.deepcopy(config))
    stage.update(config["segmentation_stage"])
    faults = FaultList(f"segmentation_run: {run.path} does not go with {config['row']}:")
    if theirs["row"] != stage["row"]:
        faults.add(f"expected a run of {stage['row']}, got one of {theirs['row']}")
    for name in _SHARED_SETTINGS:
        own, other = (parser.get_parsed_content(name) for parser in (stage, ConfigParser(theirs)))
        if own != other:
            faults.add(f"{name} is {other!r} there and {own!r} here")
    faults.raise_if_any(ConfigurationError)
