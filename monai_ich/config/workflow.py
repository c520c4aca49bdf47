# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""The bundle that is being run: its files, its merged config, and the first step of every run, which checks it."""

from __future__ import annotations

import copy
import inspect
import logging
import os
import re
import sys
import traceback
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

from monai.bundle import ConfigParser, ConfigWorkflow
from monai.utils import ensure_tuple

from monai_ich.config.config_checks import check_config
from monai_ich.config.first_stage import check_named_run, with_stage
from monai_ich.config.former_configs import is_former, upgraded
from monai_ich.config.settings import SETTINGS, value_at
from monai_ich.engines import init_distributed
from monai_ich.utils.errors import ConfigurationError
from monai_ich.utils.failures import show_failure

# Third-party messages that tell a user of this program nothing to act on, each by its own words.
IRRELEVANT_WARNINGS = (
    # torch.jit deprecations inside MONAI's imports
    "`torch.jit.script` is deprecated",
    # the engine has no metric of MONAI's kind; ours are computed from the table of predictions
    "No key_val_metric",
)


def name_of_row(row: str) -> str:
    """A row's name as a folder's.

    >>> name_of_row("MTL-Swin-Unet (cls+seg+rec)")
    'mtl-swin-unet-cls-seg-rec'
    """
    return re.sub(r"[^a-z0-9]+", "-", row.lower()).strip("-")


def _on_the_stack(kind: type[Any]) -> Iterator[Any]:
    """The instances of `kind` whose methods are running, innermost first.

    MONAI hands an expression no reference to its own parser or workflow, so they are looked for on the call stack.
    """
    for frame in inspect.stack(context=0):
        owner = frame.frame.f_locals.get("self")
        if isinstance(owner, kind):
            yield owner


def running_parser() -> ConfigParser:
    """Returns the parser whose expression is being evaluated.

    Raises:
        ConfigurationError: when not called from an expression of a bundle config.
    """
    for parser in _on_the_stack(ConfigParser):
        return parser
    raise ConfigurationError(
        "expected to be called from an expression of a MONAI bundle config, but none is evaluated."
    )


def config_folder() -> str:
    """Returns the folder of the running bundle's first config file: what a config names beside itself lies there.

    Raises:
        ConfigurationError: no bundle is running; the config must name the folder itself then.
    """
    for workflow in _on_the_stack(ConfigWorkflow):
        return workflow.config_root_path.as_posix()
    raise ConfigurationError(
        "bundle_root, run_dir: expected a bundle that is run by MONAI, whose folder is known, but the config was read "
        "by other means. Set both in the config."
    )


def config_files() -> list[Path]:
    """Returns the config files of the running bundle, base first; empty where `monai.bundle` did not start it."""
    for frame in inspect.stack(context=0):
        if frame.function == "create_workflow" and "config_file" in frame.frame.f_locals:
            return [Path(name) for name in ensure_tuple(frame.frame.f_locals["config_file"])]
    return []


def effective_config() -> dict[str, Any]:
    """Returns a copy of the running bundle's config: files and overrides merged, expressions as text.

    Raises:
        ConfigurationError: the first stage that a joint row names is not there.
    """
    config = copy.deepcopy(running_parser().get())
    config.pop("_meta_", None)
    for name in ("bundle_root", "run_dir"):
        if config.get(name) == "$monai_ich.config.config_folder()":
            config[name] = config_folder()
    return with_stage(config, config_files())


def shown_settings() -> dict[str, Any]:
    """Returns the running bundle's settings that MLflow and the model card show, expressions evaluated."""
    return settings_of(running_parser())


def settings_of(parser: ConfigParser) -> dict[str, Any]:
    """The values of a parsed config's settings that are shown, by their names."""
    raw = parser.get()
    names = [name for name, setting in SETTINGS.items() if setting.shown and value_at(raw, name)[0]]
    return {name: parser.get_parsed_content(name) for name in names}


def start() -> None:
    """Checks the whole config, quietens third parties by name, and shows the project's errors without a traceback.

    Where torchrun has started several processes, they join one group here.

    Raises:
        ConfigurationError: on any fault of the config.
        RunDirectoryError: a segmentation run that the config names is not there or not complete.
    """
    sys.excepthook = _show_failure
    for message in IRRELEVANT_WARNINGS:
        warnings.filterwarnings("ignore", message=f".*{message}")
    logging.captureWarnings(False)
    parser = running_parser()
    if is_former(parser.get()):
        parser.set(upgraded(parser.get()))
    config = effective_config()
    contents = {path.as_posix(): ConfigParser.load_config_file(path) for path in config_files()}
    bases, overlays = list(contents.values())[:1], dict(list(contents.items())[1:])
    check_config(config, upgraded(bases[0]) if bases else None, overlays)
    check_named_run(config)
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        init_distributed()


def _show_failure(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Prints only the message of an error that is the user's to mend; anything else keeps its traceback."""
    if not show_failure(error):
        traceback.print_exception(kind, error, trace)
