# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Runs that are there already: opening the config of one, finding the newest, and predicting with it."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from monai.bundle import ConfigParser
from monai.bundle import run as run_bundle
from pydicom.data import get_testdata_file

from monai_ich.config.former_configs import upgraded
from monai_ich.utils.errors import RunDirectoryError
from monai_ich.utils.run_files import RunDirectory

EXAMPLE_SLICE = "J2K_pixelrep_mismatch.dcm"


def open_config(run: Path) -> ConfigParser:
    """A run's own config, to build parts of: nothing is trained or fetched, and its weights come from `best.pt`.

    Raises:
        RunDirectoryError: it is no run's directory.
    """
    directory = RunDirectory(run)
    if not directory.config.is_file():
        raise RunDirectoryError(f"expected a run's directory, but {run} has no {directory.config.name}.")
    config = upgraded(directory.read_config())
    config |= {
        "run_dir": str(run),
        "bundle_root": str(run),
        "segmentation_checkpoint": "",
        "run_directory": "$monai_ich.bundle.RunDirectory(Path(@run_dir))",
        "network": "$@network_def.to(@device)",
    }
    if "pretrained" in config["network_def"]:
        config["network_def"]["pretrained"] = None
    manifest: dict[str, Any] = config.get("manifest_data") or config["data"]["manifest"]
    manifest["required_splits"] = []
    return ConfigParser(config)


def newest_complete_run(runs_dir: Path) -> Path:
    """Returns the directory of the newest run that has results.

    Raises:
        RunDirectoryError: when there is none.
    """
    results = RunDirectory(Path()).results.name
    complete = sorted(runs_dir.glob(f"*/{results}"), key=lambda path: path.stat().st_mtime)
    if not complete:
        raise RunDirectoryError(f"expected a complete run in {runs_dir}/, found none. Train one first: make demo")
    return complete[-1].parent


def predict_with_run(run: Path, source: Path, output_dir: Path) -> None:
    """Predicts `source` with a run's own configs: the same as `inference.json` on the command line.

    Raises:
        RunDirectoryError: when `run` is no run's directory.
    """
    directory = RunDirectory(run)
    configs = [directory.config, directory.inference_config]
    missing = [path.name for path in configs if not path.is_file()]
    if missing:
        raise RunDirectoryError(f"expected a run's directory, but {run} has no {', '.join(missing)}.")
    with warnings.catch_warnings():
        # MONAI warns that configs are code; this one was written by the run
        warnings.filterwarnings("ignore", message="parsing config_file")
        run_bundle(
            config_file=[str(path) for path in configs],
            run_dir=str(run),  # a run of before names the folder that it was made in, and may have been moved since
            input=str(source),
            output_dir=str(output_dir),
        )


def example_slice() -> Path:
    """Returns the real head-CT slice that pydicom ships: JPEG 2000, gantry tilted by about 22 degrees."""
    return Path(str(get_testdata_file(EXAMPLE_SLICE)))
