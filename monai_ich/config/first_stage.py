# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""The config of a joint system's first stage, a segmentation run, from the joint run's own."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from monai.bundle import ConfigParser
from monai.bundle.utils import ID_SEP_KEY, MERGE_KEY

from monai_ich.config.settings import SETTINGS, names_where, value_at
from monai_ich.utils.errors import ConfigurationError, FaultList, RunDirectoryError
from monai_ich.utils.run_files import RunDirectory

STAGE, NAMED_RUN, CHECKPOINT = "segmentation_stage", "segmentation_run", "segmentation_checkpoint"
PRETRAINED, STAGE_PRETRAINED = "pretrained", "segmentation_pretrained"


def with_stage(config: dict[str, Any], files: Sequence[Path]) -> dict[str, Any]:
    """Replaces the file that a joint row names in `segmentation_stage` by what the stage changes in the joint config.

    The stage is the base with its own row in the place of the joint row: what the joint row changes goes back to the
    base, but for the settings that a stage shares with the joint run. The joint run's other overlays and overrides,
    such as the recipe and the number of epochs, hold for both. A joint row with `segmentation_pretrained` has encoders
    of two kinds: there `pretrained` is the second stage's alone.

    Args:
        config: merged, expressions as text.
        files: that it was merged from, base first; the stage's file lies beside the one that names it.

    Raises:
        ConfigurationError: there is no such file, or no file names it.
    """
    named = config.get(STAGE)
    if not isinstance(named, str) or not named:
        return config
    loaded = {file: ConfigParser.load_config_file(file) for file in files}
    naming = [file for file, content in loaded.items() if STAGE in content]
    if not naming:
        raise ConfigurationError(
            f"{STAGE}: expected a config file that names {named!r}, as the stage's file lies beside it, but none does. "
            "Start the joint row with python -m monai.bundle run --config_file."
        )
    path = naming[-1].parent / named
    if not path.is_file():
        raise ConfigurationError(
            f"{STAGE}: expected the file of a segmentation row beside the config that names it, but there is no {path}."
        )
    base, row, stage = loaded[files[0]], loaded[naming[-1]], ConfigParser.load_config_file(path)
    shared = {name.split(ID_SEP_KEY)[-1] for name in names_where(lambda setting: setting.of_stage)}
    changes: dict[str, Any] = {}
    for key in (name.removeprefix(MERGE_KEY) for name in row):
        known, value = value_at(base, key)
        if known and key.split(ID_SEP_KEY)[-1] not in shared:
            changes[key] = value
    if STAGE_PRETRAINED in row:
        recipes = [content[PRETRAINED] for content in loaded.values() if PRETRAINED in content]
        changes[PRETRAINED] = config[STAGE_PRETRAINED] or recipes[-1]
    return {**config, STAGE: {**changes, **{key: value for key, value in stage.items() if key not in shared}}}


def stage_config(config: dict[str, Any]) -> dict[str, Any]:
    """The config of a joint run's first stage, from the joint run's own as `with_stage` gives it.

    The stage has no classifier. Settings that are of one, such as groups and their balance, are not its own.
    """
    of_joint = (STAGE, NAMED_RUN, STAGE_PRETRAINED)
    parser = ConfigParser({key: copy.deepcopy(value) for key, value in config.items() if key not in of_joint})
    parser.update(config[STAGE])
    for name in names_where(lambda setting: setting.of_classifier):
        if name in parser:
            parser[name] = SETTINGS[name].unnamed
    parser.get().pop(CHECKPOINT, None)
    return parser.get()


def check_named_run(config: dict[str, Any]) -> None:
    """Checks an existing segmentation run that a joint system is to take instead of training its own.

    Raises:
        ConfigurationError: the system has no segmentation stage, or the run does not go with it.
        RunDirectoryError: the run is not there or not complete.
    """
    if not config.get(NAMED_RUN):
        return
    if not config.get(STAGE):
        raise ConfigurationError(
            f"{NAMED_RUN}: {config['row']} has no segmentation stage; leave out {config[NAMED_RUN]!r}, or add the "
            "overlay of a joint system."
        )
    run = RunDirectory(Path(config[NAMED_RUN]))
    if not run.config.is_file() or not run.results.is_file():
        state = "is not complete" if run.config.is_file() else "holds no run"
        raise RunDirectoryError(
            f"{NAMED_RUN}: expected the directory of a complete segmentation run, but {run.path} {state}."
        )
    ours, theirs = ConfigParser(stage_config(config)), ConfigParser(run.read_config())
    faults = FaultList(f"{NAMED_RUN}: {run.path} does not go with {config['row']}:")
    if theirs["row"] != ours["row"]:
        faults.add(f"expected a run of {ours['row']}, got one of {theirs['row']}")
    for name in sorted(names_where(lambda setting: setting.of_stage)):
        usual = SETTINGS[name].unnamed
        own, other = (parser.get_parsed_content(name) if name in parser else usual for parser in (ours, theirs))
        if own != other:
            faults.add(f"{name} is {other!r} there and {own!r} here")
    faults.raise_if_any(ConfigurationError)
