# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""The first step of every bundle: find the merged config, check it, and make failures readable."""

from __future__ import annotations

import copy
import inspect
import logging
import os
import sys
import traceback
import warnings
from types import TracebackType
from typing import Any

from monai.bundle import ConfigParser
from monai.utils import ensure_tuple

from monai_ich.config.config_checks import check_config
from monai_ich.utils.errors import ConfigurationError
from monai_ich.utils.failures import show_failure

# Third-party messages that tell a user of this program nothing to act on, each by its own words.
IRRELEVANT_WARNINGS = (
    # torch.jit deprecations inside MONAI's imports
    "`torch.jit.script` is deprecated",
    # the engine has no metric of MONAI's kind; ours are computed from the table of predictions
    "No key_val_metric",
)


def running_parser() -> ConfigParser:
    """Returns the parser whose expression is being evaluated.

    MONAI hands an expression no reference to its own parser, so it is looked for on the call stack.

    Raises:
        ConfigurationError: when not called from an expression of a bundle config.
    """
    for frame in inspect.stack(context=0):
        owner = frame.frame.f_locals.get("self")
        if isinstance(owner, ConfigParser):
            return owner
    raise ConfigurationError(
        "expected to be called from an expression of a MONAI bundle config, but none is evaluated."
    )


def effective_config() -> dict[str, Any]:
    """Returns a copy of the running bundle's config: files and overrides merged, expressions as text."""
    config = copy.deepcopy(running_parser().get())
    config.pop("_meta_", None)
    return config


def base_config() -> dict[str, Any] | None:
    """Returns the first config file of the running bundle, the one that overlays and overrides change.

    None where the workflow was not started by `monai.bundle`, whose arguments are looked for on the call stack.
    """
    for frame in inspect.stack(context=0):
        if frame.function == "create_workflow" and "config_file" in frame.frame.f_locals:
            return ConfigParser.load_config_file(ensure_tuple(frame.frame.f_locals["config_file"])[0])
    return None


def start() -> None:
    """Checks the whole config, quietens third parties by name, and shows the project's errors without a traceback.

    Raises:
        ConfigurationError: on any fault of the config, or several processes without the multi-GPU overlay.
    """
    sys.excepthook = _show_failure
    for message in IRRELEVANT_WARNINGS:
        warnings.filterwarnings("ignore", message=f".*{message}")
    logging.captureWarnings(False)
    config = effective_config()
    check_config(config, base_config())
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    if processes > 1 and not config.get("distributed", False):
        raise ConfigurationError(
            f"expected one process, but {processes} were launched: each would train its own model. Add the overlay "
            "multi_gpu_train.json as the last of --config_file \"['train.json', ..., 'multi_gpu_train.json']\"."
        )


def _show_failure(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Prints only the message of an error that is the user's to mend; anything else keeps its traceback."""
    if not show_failure(error):
        traceback.print_exception(kind, error, trace)
