# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Predicts a study with a run's own configs."""

from __future__ import annotations

import warnings
from pathlib import Path

from pydicom.data import get_testdata_file

from monai_ich.bundle.run_directory import CONFIG_NAME
from monai_ich.utils.errors import RunDirectoryError

EXAMPLE_SLICE = "J2K_pixelrep_mismatch.dcm"


def predict_with_run(run: Path, source: Path, output_dir: Path) -> None:
    """Predicts `source` with a run's own configs: the same as `inference.json` on the command line.

    Raises:
        RunDirectoryError: when `run` is no run's directory.
    """
    from monai.bundle import run as run_bundle

    configs = [run / CONFIG_NAME, run / "inference.json"]
    missing = [path.name for path in configs if not path.is_file()]
    if missing:
        raise RunDirectoryError(f"expected a run's directory, but {run} has no {', '.join(missing)}.")
    with warnings.catch_warnings():
        # MONAI warns that configs are code; this one was written by the run
        warnings.filterwarnings("ignore", message="parsing config_file")
        run_bundle(
            config_file=[str(path) for path in configs],
            run_dir=str(run),
            input=str(source),
            output_dir=str(output_dir),
        )


def newest_complete_run(runs_dir: Path) -> Path:
    """Returns the directory of the newest run that has results.

    Raises:
        RunDirectoryError: when there is none.
    """
    complete = sorted(runs_dir.glob("*/results.json"), key=lambda path: path.stat().st_mtime)
    if not complete:
        raise RunDirectoryError(f"expected a complete run in {runs_dir}/, found none. Train one first: make demo")
    return complete[-1].parent


def example_slice() -> Path:
    """Returns the real head-CT slice that pydicom ships: JPEG 2000, gantry tilted by about 22 degrees."""
    return Path(str(get_testdata_file(EXAMPLE_SLICE)))
